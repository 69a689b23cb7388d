//! Names and numbers that cross a module border: one type each, validated once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};

/// The name of a service: 1 to 64 characters, unique in a daemon.
///
/// White space, control characters and `/` are not allowed, nor a leading `-` (it would read as an
/// option), nor the word `all` (the tool reads it as "every service").
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Arc<str>);

/// Why a text is no [`ServiceName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text was empty, or longer than [`ServiceName::MAX_CHARS`].
    #[error("has {0} characters; 1 to 64 are allowed")]
    Length(usize),
    /// The text holds a character that a name may not hold.
    #[error("holds {0:?}; white space, control characters and `/` are not allowed")]
    Character(char),
    /// The text begins with `-`.
    #[error("begins with `-`, which reads as an option")]
    Dash,
    /// The text is a word with a meaning of its own.
    #[error("is `all`, which smoothtool reads as every service")]
    Reserved,
}

impl ServiceName {
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = 64;

    /// Checks `text` against the rules above.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let chars = text.chars().count();
        if chars == 0 || chars > Self::MAX_CHARS {
            return Err(NameError::Length(chars));
        }
        if let Some(bad) = text.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '/') {
            return Err(NameError::Character(bad));
        }
        if text.starts_with('-') {
            return Err(NameError::Dash);
        }
        if text == "all" {
            return Err(NameError::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl Encode for ServiceName {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.as_str().encode(encoder)
    }
}

impl<Context> Decode<Context> for ServiceName {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let text = String::decode(decoder)?;
        Self::new(&text).map_err(|error| DecodeError::OtherString(format!("a name that {error}")))
    }
}

impl<'de, Context> BorrowDecode<'de, Context> for ServiceName {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        Decode::decode(decoder)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for ServiceName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ServiceName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        Self::new(&text).map_err(|error| serde::de::Error::custom(format!("a name that {error}")))
    }
}

/// One instance's place in its service: index i has the fixed port `start_instance_port + i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Slot(pub u16);

/// Counted from 1, as people count: the first instance of `shop` is `shop-1`.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (u32::from(self.0) + 1).fmt(f)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode,
        )]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number! {
    /// One launch of one instance. Never reused, so a late message about an old process is
    /// recognised and dropped.
    RunId, "run-"
}
number! {
    /// One rolling restart, start or stop of a service.
    OperationId, "op-"
}
number! {
    /// Grows by one per service at each rollout.
    Generation, "g"
}
number! {
    /// Version of the daemon's state: grows with every change that is not a mere traffic figure.
    Revision, "r"
}
number! {
    /// Position in the event log, from 1, without gaps.
    EventSeq, "#"
}
number! {
    /// Pairs a response with its request; chosen by the tool, unique in a connection.
    RequestId, "req-"
}

impl FromStr for OperationId {
    type Err = std::num::ParseIntError;

    /// Reads `op-17` or `17`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix("op-").unwrap_or(text).parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_obey_the_rules() {
        for good in ["shop", "example.com", "a", "Zürich-2", "商店", &"x".repeat(64)] {
            assert!(ServiceName::new(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", NameError::Length(0)),
            ("a b", NameError::Character(' ')),
            ("a/b", NameError::Character('/')),
            ("a\u{1b}[2J", NameError::Character('\u{1b}')),
            ("-x", NameError::Dash),
            ("all", NameError::Reserved),
            (&"x".repeat(65), NameError::Length(65)),
        ] {
            assert_eq!(ServiceName::new(bad), Err(error), "{bad}");
        }
    }

    #[test]
    fn a_slot_is_shown_counted_from_one() {
        assert_eq!(Slot(0).to_string(), "1");
        assert_eq!("op-17".parse(), Ok(OperationId(17)));
    }
}
