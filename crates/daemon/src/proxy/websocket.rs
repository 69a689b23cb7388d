//! As much of WebSocket as it takes to say good-bye: where a frame ends (RFC 6455 section 5.2), and
//! a Close frame (section 5.5.1).

/// "Going away": the server is shutting down (RFC 6455 section 7.4.1).
const GOING_AWAY: [u8; 2] = 1001u16.to_be_bytes();

const OPCODE: u8 = 0x0F;
const CLOSE: u8 = 0x08;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7F;

/// A Close frame for a client: unmasked.
pub(crate) const CLOSE_TO_CLIENT: [u8; 4] = [FINAL | CLOSE, 2, GOING_AWAY[0], GOING_AWAY[1]];

/// A Close frame for a server: masked, as all its frames must be. A mask of zeros leaves the
/// payload as it is; it needs no secret, for nothing in it is chosen by a web page.
pub(crate) const CLOSE_TO_SERVER: [u8; 8] =
    [FINAL | CLOSE, MASKED | 2, 0, 0, 0, 0, GOING_AWAY[0], GOING_AWAY[1]];

/// Follows one direction of a connection from frame to frame.
#[derive(Debug, Default)]
pub struct Frames {
    /// The bytes of a header that is not complete yet. The longest: 2, 8 of length, 4 of mask.
    header: [u8; 14],
    have: usize,
    /// Bytes of the payload still to come.
    payload: u64,
    /// A Close frame went by.
    closed: bool,
}

impl Frames {
    /// The last byte was the last of a frame, or none came yet.
    pub fn at_border(&self) -> bool {
        self.have == 0 && self.payload == 0
    }

    /// A Close frame went by: nothing may follow it in this direction.
    pub fn are_over(&self) -> bool {
        self.closed
    }

    /// Follows `bytes`.
    pub fn follow(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[self.step(rest)..];
        }
    }

    /// Follows `bytes` to the next border, and says how many that were; all of them, if there is
    /// none in them.
    pub fn follow_to_border(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && (taken == 0 || !self.at_border()) {
            taken += self.step(&bytes[taken..]);
        }
        taken
    }

    /// Takes as much as belongs to one header byte, or to the payload.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.payload > 0 {
            let taken = bytes.len().min(usize::try_from(self.payload).unwrap_or(usize::MAX));
            self.payload -= taken as u64;
            return taken;
        }
        self.header[self.have] = bytes[0];
        self.have += 1;
        if self.have >= 2 && self.have == self.header_length() {
            self.closed |= self.header[0] & OPCODE == CLOSE;
            self.payload = self.payload_length();
            self.have = 0;
        }
        1
    }

    fn header_length(&self) -> usize {
        let length = match self.header[1] & LENGTH {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & MASKED == 0 { 0 } else { 4 };
        2 + length + mask
    }

    fn payload_length(&self) -> u64 {
        let big_endian = |bytes: &[u8]| bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
        match self.header[1] & LENGTH {
            126 => big_endian(&self.header[2..4]),
            127 => big_endian(&self.header[2..10]),
            short => u64::from(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Where frames end, if the bytes come in portions of so many.
    fn borders(bytes: &[u8], portion: usize) -> (Vec<usize>, bool) {
        let (mut frames, mut borders, mut seen) = (Frames::default(), Vec::new(), 0);
        for mut chunk in bytes.chunks(portion) {
            while !chunk.is_empty() {
                let taken = frames.follow_to_border(chunk);
                (seen, chunk) = (seen + taken, &chunk[taken..]);
                if frames.at_border() {
                    borders.push(seen);
                }
            }
        }
        (borders, frames.are_over())
    }

    proptest! {
        #[test]
        fn any_split_has_the_same_borders(
            bytes in vec(prop_oneof![0..=20_u8, Just(126), Just(127), any::<u8>()], 0..300),
            portion in 1..300_usize,
        ) {
            prop_assert_eq!(borders(&bytes, portion), borders(&bytes, usize::MAX));
        }

        #[test]
        fn frames_end_where_their_senders_end_them(
            lengths in vec((prop_oneof![0..200_usize, 65_500..65_600_usize], any::<bool>()), 0..5),
            portion in 1..70_000_usize,
        ) {
            let frames: Vec<_> = lengths.iter().map(|(length, masked)| text(*length, *masked)).collect();
            let ends = frames.iter().scan(0, |end, frame| {
                *end += frame.len();
                Some(*end)
            });
            prop_assert_eq!(borders(&frames.concat(), portion), (ends.collect(), false));
        }
    }

    fn text(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { MASKED } else { 0 };
        let mut frame = vec![FINAL | 1];
        match length {
            0..126 => frame.push(mask | length as u8),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(7, if masked { 4 } else { 0 } + length));
        frame
    }

    #[test]
    fn borders_are_found_however_the_bytes_come() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
            for masked in [false, true] {
                let frame = text(length, masked);
                for piece in [1, 3, 1000, frame.len()] {
                    let mut frames = Frames::default();
                    let mut seen = 0;
                    for chunk in frame.chunks(piece) {
                        assert!(seen == 0 || !frames.at_border(), "{length} {masked} {piece}");
                        frames.follow(chunk);
                        seen += chunk.len();
                    }
                    assert!(frames.at_border(), "{length} {masked} {piece}");
                }
            }
        }
    }

    #[test]
    fn only_what_belongs_to_the_frame_under_way_is_taken() {
        let frame = text(300, true);
        let mut frames = Frames::default();
        frames.follow(&frame[..10]);
        let mut rest = frame[10..].to_vec();
        rest.extend(text(5, true));
        assert_eq!(frames.follow_to_border(&rest), frame.len() - 10);
        assert!(frames.at_border() && !frames.are_over());
    }

    #[test]
    fn close_frames_are_frames_and_seen() {
        for close in [&CLOSE_TO_CLIENT[..], &CLOSE_TO_SERVER[..]] {
            let mut frames = Frames::default();
            frames.follow(close);
            assert!(frames.at_border() && frames.are_over());
        }
    }
}
