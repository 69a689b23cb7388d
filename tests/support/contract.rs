//! What the fixture backend and its clients agree on, so that a client can tell a whole answer from
//! a part of one.

use std::fmt;

/// Header of every answer: the port of the instance that gave it.
pub const INSTANCE: &str = "x-instance";
/// Header of every answer: the process id of the instance that gave it.
pub const PID: &str = "x-pid";
/// Header of every answer: the generation the instance was launched with.
pub const GENERATION: &str = "x-generation";
/// Header or trailer: the [`Checksum`] of the answer's body.
pub const CHECKSUM: &str = "x-checksum";
/// The body of `/`.
pub const GREETING: &str = "hello from the fixture\n";
/// The last line of `/stream`.
pub const LAST_LINE: &str = "end of stream\n";
/// Environment variable: the file that records every execution of `/once/ID`.
pub const RECORD: &str = "FIXTURE_RECORD";
/// Environment variable: options, as a comma list.
pub const OPTIONS: &str = "FIXTURE";
/// The file of options in the working directory that overrides all others.
pub const CONF: &str = "fixture.conf";
/// The file in the working directory that names processes, one a line, whose `/healthz` says that
/// they are not well.
pub const SICK: &str = "fixture.sick";

/// FNV-1a: enough to notice a byte that is missing, doubled or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(u64);

impl Checksum {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut checksum = Self::default();
        checksum.update(bytes);
        checksum
    }

    /// Goes on with the bytes that follow.
    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What `/upload` and `/once/ID` answer to a body of this length and checksum.
pub fn receipt(what: &str, length: u64, checksum: Checksum) -> String {
    format!("{what} {length} {checksum}\n")
}

/// `length` bytes of the body of `/big`, from `offset` on. The period is a prime, so that a lost
/// buffer of any usual size shows.
pub fn pattern(offset: u64, length: usize) -> Vec<u8> {
    (offset..).take(length).map(|position| (position % 251) as u8).collect()
}

/// Chunk `index` of `/stream`.
pub fn stream_chunk(index: u64) -> String {
    format!("chunk {index}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_in_pieces_is_the_checksum_of_the_whole() {
        let bytes = pattern(0, 1000);
        let mut pieces = Checksum::default();
        bytes.chunks(7).for_each(|piece| pieces.update(piece));
        assert_eq!(pieces, Checksum::of(&bytes));
        assert_ne!(pieces, Checksum::of(&bytes[1..]));
    }

    #[test]
    fn the_pattern_goes_on_where_it_was_left() {
        assert_eq!(pattern(300, 10), pattern(0, 310)[300..]);
    }
}
