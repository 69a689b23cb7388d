//! `strip_prefix`: what of a path is the proxy's affair, and not the instance's.

use http::HeaderValue;

use super::super::host;
use super::super::scalar::{Hint, Kind};

/// A path that begins with `/` and does not end with one: visible ASCII without `?` and `#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(HeaderValue);

impl PathPrefix {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("it is visible ASCII")
    }

    /// The same as the value of a header.
    pub fn as_header(&self) -> &HeaderValue {
        &self.0
    }
}

pub(super) const PREFIX: Kind<PathPrefix> =
    Kind { allowed: "a path that begins with `/`, such as `/api`", parse: prefix };

fn prefix(text: &str) -> Result<PathPrefix, Hint> {
    if !text.starts_with('/') {
        return Err(Hint(None));
    }
    match host::prefix(text)? {
        path if path.is_empty() => Err(Hint(None)),
        path => Ok(PathPrefix(HeaderValue::try_from(path).map_err(|_| Hint(None))?)),
    }
}

#[cfg(test)]
impl PathPrefix {
    /// As a file has it.
    pub(crate) fn sample(text: &str) -> Self {
        prefix(text).unwrap()
    }
}
