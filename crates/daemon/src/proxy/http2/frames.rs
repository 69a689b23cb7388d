//! Where frames begin, in bytes that come in pieces (RFC 9113 4.1). Their payloads are not looked at.

/// What a client sends before its first frame (RFC 9113 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER: usize = 9;

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Of the payload, in bytes.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
}

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

impl Frame {
    /// Its payload is as long as that of its kind (RFC 9113 6).
    pub(super) fn is_sized(self) -> bool {
        match self.kind {
            PRIORITY => self.length == 5,
            RST_STREAM | WINDOW_UPDATE => self.length == 4,
            SETTINGS if self.flags & ACK != 0 => self.length == 0,
            SETTINGS => self.length.is_multiple_of(6),
            PING => self.length == 8,
            GOAWAY => self.length >= 8,
            _ => true,
        }
    }
}

/// Of DATA and HEADERS.
pub(super) const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
pub(super) const ACK: u8 = 1;

/// Follows the frames of a client through its bytes.
pub(super) struct Frames {
    /// What is passed over before the next frame: the preface, or a payload.
    skip: usize,
    header: [u8; HEADER],
    /// How much of `header` has come.
    begun: usize,
}

impl Frames {
    /// Before the preface.
    pub(super) const fn new() -> Self {
        Self { skip: PREFACE.len(), header: [0; HEADER], begun: 0 }
    }

    /// The next frame that begins in `bytes`, which then are what follows its header; none: they are
    /// used up.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        let skipped = self.skip.min(bytes.len());
        *bytes = &bytes[skipped..];
        self.skip -= skipped;
        let count = (HEADER - self.begun).min(bytes.len());
        let (header, rest) = bytes.split_at(count);
        self.header[self.begun..][..count].copy_from_slice(header);
        self.begun += count;
        *bytes = rest;
        if self.begun < HEADER {
            return None;
        }
        self.begun = 0;
        let [a, b, c, kind, flags, ..] = self.header;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.skip = length;
        Some(Frame { length, kind, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_their_bytes_are_split() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]);
        bytes.extend([0, 1, 2, DATA, END_STREAM, 0, 0, 0, 1]);
        bytes.extend([7; 258]);
        bytes.extend([0, 0, 8, PING, ACK, 0, 0, 0, 0]);
        bytes.extend([0; 8]);
        let frame = |length, kind, flags| Frame { length, kind, flags };
        let expected = [frame(0, SETTINGS, 0), frame(258, DATA, END_STREAM), frame(8, PING, ACK)];
        for size in 1..=bytes.len() {
            let mut frames = Frames::new();
            let mut found = Vec::new();
            for mut piece in bytes.chunks(size) {
                while let Some(frame) = frames.next(&mut piece) {
                    found.push(frame);
                }
            }
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }
}
