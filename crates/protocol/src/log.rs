//! What instances print, as it is shown to an operator.

use bincode::{Decode, Encode};

use crate::id::{Generation, Slot};

/// Which of its two outputs an instance wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line that an instance printed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LogLine {
    /// When it was read, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// Whose line.
    pub slot: Slot,
    /// Of which generation.
    pub generation: Generation,
    /// Where it was written to.
    pub stream: Stream,
    /// The line as it was written, without its end; not necessarily text. At most 64 KiB: a longer
    /// one comes in pieces.
    pub bytes: Vec<u8>,
}

/// A piece of the output of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct LogBatch {
    /// Lines that were asked for, or that came meanwhile, and could not be kept for this reader.
    pub missed: u64,
    /// The rest, oldest first.
    pub lines: Vec<LogLine>,
}
