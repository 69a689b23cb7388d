//! Who may ask: both ends prove that they hold the token, which never crosses the wire.
//!
//! ```text
//! tool   ▶ magic, version                                           8 bytes
//! daemon ▶ magic, version, nonce                                   40 bytes
//! tool   ▶ nonce, HMAC-SHA-256(token, "tool"   ‖ version ‖ both nonces)   64 bytes
//! daemon ▶        HMAC-SHA-256(token, "daemon" ‖ version ‖ both nonces)   32 bytes
//! ```
//! Every step has a fixed length, so nothing a stranger sends is ever parsed. The daemon says
//! nothing before it saw the magic, which begins with NUL: no HTTP, TLS, SSH or Redis client can
//! begin so. A process that squats on the daemon's port sees one proof that is good for nothing.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::VERSION;

/// What a connection begins with, before the version.
pub const MAGIC: [u8; 6] = *b"\0SMOTH";
/// Length of the opening, in bytes.
pub const OPENING: usize = 8;
/// Length of a nonce, in bytes.
pub const NONCE: usize = 32;
/// Length of a proof, in bytes.
pub const PROOF: usize = 32;

/// The shared secret: 32 random bytes.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// Never shows the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random bytes: {0}")]
pub struct NoRandom(getrandom::Error);

/// The text is not 64 hexadecimal digits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token: 64 hexadecimal digits are expected")]
pub struct BadToken;

impl Token {
    /// A new one from the system's random numbers.
    ///
    /// # Errors
    /// When the system has none to give.
    pub fn generate() -> Result<Self, NoRandom> {
        random().map(Self)
    }

    /// Reads the content of a token file: 64 hexadecimal digits, white space around them ignored.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        let digits = text.trim().as_bytes();
        if digits.len() != 64 {
            return Err(BadToken);
        }
        let mut token = [0; 32];
        for (byte, pair) in token.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or(BadToken);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self(token))
    }

    /// The content of a token file.
    pub fn to_text(&self) -> String {
        use fmt::Write as _;
        let mut text = String::with_capacity(65);
        for byte in self.0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        text
    }
}

/// Which end proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// smoothtool.
    Tool,
    /// smoothserve.
    Daemon,
}

/// Both nonces of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Nonces {
    /// The daemon's.
    pub daemon: [u8; NONCE],
    /// The tool's.
    pub tool: [u8; NONCE],
}

/// A fresh nonce.
///
/// # Errors
/// When the system has no random bytes to give.
pub fn nonce() -> Result<[u8; NONCE], NoRandom> {
    random()
}

fn random() -> Result<[u8; 32], NoRandom> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(NoRandom)?;
    Ok(bytes)
}

/// The first bytes of either end.
pub fn opening() -> [u8; OPENING] {
    let mut bytes = [0; OPENING];
    bytes[..6].copy_from_slice(&MAGIC);
    bytes[6..].copy_from_slice(&VERSION.to_be_bytes());
    bytes
}

/// The version in an opening; none: these bytes are of another kind.
pub fn read_opening(bytes: &[u8; OPENING]) -> Option<u16> {
    (bytes[..6] == MAGIC).then(|| u16::from_be_bytes([bytes[6], bytes[7]]))
}

/// Proves that `side` holds `token`.
pub fn prove(token: &Token, side: Side, nonces: &Nonces) -> [u8; PROOF] {
    mac(token, side, nonces).finalize().into_bytes().into()
}

/// Whether `proof` proves that `side` holds `token`; in constant time.
pub fn verify(token: &Token, side: Side, nonces: &Nonces, proof: &[u8; PROOF]) -> bool {
    mac(token, side, nonces).verify_slice(proof).is_ok()
}

fn mac(token: &Token, side: Side, nonces: &Nonces) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&token.0).expect("HMAC takes a key of any length");
    mac.update(match side {
        Side::Tool => b"tool  ",
        Side::Daemon => b"daemon",
    });
    mac.update(&VERSION.to_be_bytes());
    mac.update(&nonces.daemon);
    mac.update(&nonces.tool);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_good_for_its_side_its_token_and_its_nonces_only() {
        let (token, other) = (Token([7; 32]), Token([8; 32]));
        let nonces = Nonces { daemon: [1; 32], tool: [2; 32] };
        let proof = prove(&token, Side::Tool, &nonces);
        assert!(verify(&token, Side::Tool, &nonces, &proof));
        assert!(!verify(&token, Side::Daemon, &nonces, &proof));
        assert!(!verify(&other, Side::Tool, &nonces, &proof));
        assert!(!verify(&token, Side::Tool, &Nonces { tool: [3; 32], ..nonces }, &proof));
    }

    #[test]
    fn a_token_survives_its_file() {
        let token = Token::generate().unwrap();
        assert_eq!(Token::parse(&token.to_text()).unwrap().0, token.0);
        assert_eq!(Token::parse("00").unwrap_err(), BadToken);
        assert_eq!(Token::parse(&"g".repeat(64)).unwrap_err(), BadToken);
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn an_opening_names_its_version() {
        assert_eq!(read_opening(&opening()), Some(VERSION));
        assert_eq!(read_opening(b"GET / HT"), None);
    }
}
