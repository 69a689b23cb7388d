//! Where one message ends and the next begins, without a doubt: RFC 9112 6, read strictly.

use super::chunks::Chunks;
use super::head::{Body, Head};
use crate::proxy::refusal::Refusal;

/// Follows the messages of one connection through its bytes.
pub struct Framer {
    max_fields: usize,
    state: State,
}

enum State {
    Head(Head),
    Sized(u64),
    Chunked(Chunks),
}

/// What is known of the bytes that were shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many of them belong to the message under way, and are in order.
    Pass(usize),
    /// They are the beginning of a head: they are to be shown again, with what follows.
    More,
}

impl Framer {
    /// At the beginning of the first message. The headers of each may take `max_fields` bytes
    /// together, and half of that one alone.
    #[must_use]
    pub const fn new(max_fields: usize) -> Self {
        Self { max_fields, state: State::Head(Head::new(max_fields)) }
    }

    /// In the middle of a body.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        !matches!(self.state, State::Head(_))
    }

    /// Looks at the next bytes: those after the last that passed. None of them belongs to a message
    /// after the one under way if they pass.
    ///
    /// A version above HTTP/1.1 is made HTTP/1.1 in place: that is the one we speak, and what hyper
    /// takes (RFC 9112 2.3).
    ///
    /// # Errors
    ///
    /// What is wrong with them. Nothing of them may be used, and nothing more may be shown.
    pub fn next(&mut self, bytes: &mut [u8]) -> Result<Step, Refusal> {
        let begun = match &mut self.state {
            State::Head(head) => {
                let Some((length, body)) = head.read(bytes)? else {
                    return Ok(Step::More);
                };
                self.state = match body {
                    Body::Sized(length) => State::Sized(length),
                    Body::Chunked => State::Chunked(Chunks::new()),
                };
                length
            }
            State::Sized(_) | State::Chunked(_) => 0,
        };
        let body = self.read_body(&bytes[begun..])?;
        Ok(Step::Pass(begun + body))
    }

    fn read_body(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let (read, is_over) = match &mut self.state {
            State::Head(_) => (0, false),
            State::Sized(remaining) => {
                let read = usize::try_from(*remaining).unwrap_or(usize::MAX).min(bytes.len());
                *remaining -= read as u64;
                (read, *remaining == 0)
            }
            State::Chunked(chunks) => (chunks.read(bytes)?, chunks.are_over()),
        };
        if is_over {
            self.state = State::Head(Head::new(self.max_fields));
        }
        Ok(read)
    }
}
