//! The token file: who can read it may command the daemon.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use smoothserve_protocol::auth::{BadToken, NoRandom, Token};

/// Its name in the state folder.
const NAME: &str = "smoothserve.token";

/// Why the token file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It can be neither made nor read.
    #[error("token file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may read or write it.
    #[error(
        "token file {} has mode {mode:04o}, so others can command the daemon; \
         `chmod 600` it, or remove it and a new one is made",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("token file {} belongs to uid {owner}, not to the daemon's user", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// It holds something else.
    #[error("token file {}: {source}; remove it and a new one is made", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: BadToken,
    },
    /// There are no random bytes to make one from.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

/// The place of the token. Read anew for each connection, so that a changed token counts at once.
#[derive(Clone, Debug)]
pub(crate) struct TokenFile(PathBuf);

impl TokenFile {
    /// The token file in `state_dir`, made if there is none.
    ///
    /// # Errors
    /// When there is one that others can read, or that holds something else.
    pub(crate) fn open(state_dir: &Path) -> Result<Self, TokenError> {
        let file = Self(state_dir.join(NAME));
        let io = |source| TokenError::Io { path: file.0.clone(), source };
        fs::create_dir_all(state_dir).map_err(io)?;
        let token = Token::generate()?;
        // Whoever comes second finds the first one's, and uses that.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file.0) {
            Ok(mut made) => {
                made.write_all(token.to_text().as_bytes())
                    .and_then(|()| made.sync_all())
                    .map_err(io)?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
        file.read()?;
        Ok(file)
    }

    /// The token as it is now.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn read(&self) -> Result<Token, TokenError> {
        let path = || self.0.clone();
        let io = |source| TokenError::Io { path: path(), source };
        let found = fs::metadata(&self.0).map_err(io)?;
        if found.mode() & 0o077 != 0 {
            return Err(TokenError::Exposed { path: path(), mode: found.mode() & 0o7777 });
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(TokenError::Foreign { path: path(), owner: found.uid() });
        }
        let text = fs::read_to_string(&self.0).map_err(io)?;
        Token::parse(&text).map_err(|source| TokenError::Malformed { path: path(), source })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        TokenFile::open(folder.path()).unwrap();
        let first = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        TokenFile::open(folder.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
    }

    #[test]
    fn one_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::open(folder.path()).unwrap();
        fs::set_permissions(&file.0, fs::Permissions::from_mode(0o640)).unwrap();
        let error = file.read().unwrap_err().to_string();
        assert!(error.contains("has mode 0640") && error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn one_that_holds_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::open(folder.path()).unwrap();
        fs::write(&file.0, "hello").unwrap();
        assert!(matches!(file.read(), Err(TokenError::Malformed { .. })));
    }
}
