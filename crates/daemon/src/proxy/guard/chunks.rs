//! A chunked body (RFC 9112 7.1), read as strictly as it is written down: what one parser forgives,
//! another takes for the end of the body.

use super::head::{is_control, is_token};
use crate::proxy::refusal::Refusal;

/// Enough for any size that fits 64 bits; more zeros before it are somebody's overflow.
const MAX_DIGITS: usize = 16;
/// Of a whole body. Nobody knows any extension; they are dropped, and a body must not be made of
/// them.
const MAX_EXTENSIONS: usize = 8 * 1024;
/// Of all trailers.
const MAX_TRAILERS: usize = 16 * 1024;
pub(crate) const MAX_TRAILER_COUNT: usize = 64;

/// How far a chunked body has been read.
pub(crate) struct Chunks {
    at: At,
    /// The size of the chunk under way, and then what is left of it.
    size: u64,
    extensions: usize,
    trailers: usize,
    trailer_count: usize,
    /// Blanks may follow a size: old servers pad it.
    forgives_blanks: bool,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// After so many digits of a size.
    Size(usize),
    Extension,
    /// In blanks after a size.
    Blank,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a line after the last chunk.
    Line,
    TrailerName,
    Trailer,
    TrailerLf,
    LastLf,
    End,
}

impl Chunks {
    pub(crate) const fn new() -> Self {
        Self {
            at: At::Size(0),
            size: 0,
            extensions: 0,
            trailers: 0,
            trailer_count: 0,
            forgives_blanks: false,
        }
    }

    /// Of an instance, which may mean well and write badly.
    pub(crate) const fn forgiving() -> Self {
        Self { forgives_blanks: true, ..Self::new() }
    }

    pub(crate) fn are_over(&self) -> bool {
        self.at == At::End
    }

    /// Reads on, at most to the end of the body, and says how far it came.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut read = 0;
        while let (Some(&byte), false) = (bytes.get(read), self.are_over()) {
            read += match self.at {
                At::Data => self.skip(bytes.len() - read),
                _ => {
                    self.at = self.after(byte)?;
                    1
                }
            };
        }
        Ok(read)
    }

    /// Reads on to where data begins, or to the end of the body, and says how far it came. The lines
    /// of trailers are added to `trailers`.
    pub(crate) fn read_framing(
        &mut self,
        bytes: &[u8],
        trailers: &mut Vec<u8>,
    ) -> Result<usize, Refusal> {
        let mut read = 0;
        while let (Some(&byte), false) = (bytes.get(read), self.at == At::Data || self.are_over()) {
            let was_in_trailers =
                matches!(self.at, At::Line | At::TrailerName | At::Trailer | At::TrailerLf);
            self.at = self.after(byte)?;
            if was_in_trailers && self.at != At::LastLf {
                trailers.push(byte);
            }
            read += 1;
        }
        Ok(read)
    }

    /// Reads on in data, of which so many bytes may be there, and says how many are.
    pub(crate) fn read_data(&mut self, there: usize) -> usize {
        if self.at == At::Data { self.skip(there) } else { 0 }
    }

    /// Skips chunk data, of which so many bytes are there.
    fn skip(&mut self, there: usize) -> usize {
        let skipped = usize::try_from(self.size).unwrap_or(usize::MAX).min(there);
        self.size -= skipped as u64;
        if self.size == 0 {
            self.at = At::DataCr;
        }
        skipped
    }

    fn after(&mut self, byte: u8) -> Result<At, Refusal> {
        match (self.at, byte) {
            (At::Size(digits), _) => self.after_digits(digits, byte),
            (At::Extension | At::Blank, b'\r') => Ok(At::SizeLf),
            (At::Blank, _) => self.after_blank(byte),
            (At::Extension, _) => self.count_extension(byte),
            (At::SizeLf, b'\n') if self.size == 0 => Ok(At::Line),
            (At::SizeLf, b'\n') => Ok(At::Data),
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::Size(0)),
            (At::Line, b'\r') => Ok(At::LastLf),
            (At::Line | At::TrailerName, _) if is_token(byte) => {
                self.trailer_count += usize::from(self.at == At::Line);
                self.count_trailer(At::TrailerName)
            }
            (At::TrailerName, b':') => self.count_trailer(At::Trailer),
            (At::Line | At::TrailerName, _) => {
                Err(Refusal::malformed("a trailer has no valid name"))
            }
            (At::Trailer, b'\r') => Ok(At::TrailerLf),
            (At::Trailer, _) if is_control(byte) => {
                Err(Refusal::malformed("a trailer holds a control byte"))
            }
            (At::Trailer, _) => self.count_trailer(At::Trailer),
            (At::TrailerLf, b'\n') => Ok(At::Line),
            (At::LastLf, b'\n') => Ok(At::End),
            (At::DataCr | At::DataLf, _) => {
                Err(Refusal::malformed("a chunk is not followed by CR LF"))
            }
            (At::SizeLf | At::TrailerLf | At::LastLf, _) => {
                Err(Refusal::malformed("a line of a chunked body does not end in CR LF"))
            }
            (At::Data | At::End, _) => unreachable!("neither is read byte by byte"),
        }
    }

    fn after_digits(&mut self, digits: usize, byte: u8) -> Result<At, Refusal> {
        if let Some(digit) = (byte as char).to_digit(16)
            && digits < MAX_DIGITS
        {
            let higher = if digits == 0 { 0 } else { self.size << 4 };
            self.size = higher | u64::from(digit);
            return Ok(At::Size(digits + 1));
        }
        match byte {
            b' ' | b'\t' if digits > 0 && self.forgives_blanks => Ok(At::Blank),
            b';' if digits > 0 => Ok(At::Extension),
            b'\r' if digits > 0 => Ok(At::SizeLf),
            _ => Err(Refusal::malformed("a chunk size is not a plain hexadecimal number")),
        }
    }

    fn after_blank(&mut self, byte: u8) -> Result<At, Refusal> {
        match byte {
            b' ' | b'\t' => self.count_extension(byte).map(|_| At::Blank),
            b';' => Ok(At::Extension),
            _ => Err(Refusal::malformed("a chunk size is not a plain hexadecimal number")),
        }
    }

    fn count_extension(&mut self, byte: u8) -> Result<At, Refusal> {
        self.extensions += 1;
        if is_control(byte) {
            return Err(Refusal::malformed("a chunk extension holds a control byte"));
        }
        if self.extensions > MAX_EXTENSIONS {
            return Err(Refusal::malformed("the chunk extensions are larger than 8192 bytes"));
        }
        Ok(At::Extension)
    }

    fn count_trailer(&mut self, then: At) -> Result<At, Refusal> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS || self.trailer_count > MAX_TRAILER_COUNT {
            return Err(Refusal::trailers_too_large());
        }
        Ok(then)
    }
}
