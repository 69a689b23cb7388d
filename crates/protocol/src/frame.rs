//! Bytes to messages and back. The only file that names bincode's functions, so that another codec
//! can take its place here.
//!
//! On the wire a frame is a big-endian `u32` length and then so many bytes of payload.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

/// The longest payload, in bytes, that either end accepts.
pub const MAX_FRAME: usize = 4 * 1024 * 1024;

/// bincode counts the memory a message takes, not its bytes on the wire; this is that limit.
const MAX_MEMORY: usize = 16 * 1024 * 1024;

type Config = Configuration<LittleEndian, Varint, Limit<MAX_MEMORY>>;

const CONFIG: Config = bincode::config::standard().with_limit::<MAX_MEMORY>();

/// Why a payload is no message, or a message no payload.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The bytes are not a message of this version.
    #[error("malformed message: {0}")]
    Malformed(#[from] bincode::error::DecodeError),
    /// A message was read, and bytes were left.
    #[error("{0} bytes after the end of a message")]
    Trailing(usize),
    /// The message is larger than [`MAX_FRAME`].
    #[error("message of {0} bytes; at most {MAX_FRAME} can be sent")]
    TooLong(usize),
    /// The message cannot be written.
    #[error("message that cannot be written: {0}")]
    Unwritable(#[from] bincode::error::EncodeError),
}

/// Writes one message, without its length.
///
/// # Errors
/// [`FrameError::TooLong`] when it is larger than [`MAX_FRAME`].
pub fn encode<T: Encode>(message: &T) -> Result<Vec<u8>, FrameError> {
    let payload = bincode::encode_to_vec(message, CONFIG)?;
    if payload.len() > MAX_FRAME {
        return Err(FrameError::TooLong(payload.len()));
    }
    Ok(payload)
}

/// Reads one message, without its length. Never panics, and never takes more memory than a
/// constant, whatever the bytes.
///
/// # Errors
/// When the bytes are not exactly one message.
pub fn decode<T: Decode<()>>(payload: &[u8]) -> Result<T, FrameError> {
    let (message, read) = bincode::decode_from_slice(payload, CONFIG)?;
    if read != payload.len() {
        return Err(FrameError::Trailing(payload.len() - read));
    }
    Ok(message)
}
