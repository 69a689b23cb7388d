//! From a stream of bytes to lines: the ends, and where a line is cut that has none.

use super::line::LONGEST;

/// Collects the bytes of one pipe.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    begun: Vec<u8>,
}

/// A line, or a piece of one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub bytes: Vec<u8>,
    /// The line goes on in the next piece.
    pub is_cut: bool,
}

impl Splitter {
    /// Takes what came, and gives what it completes.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut give: impl FnMut(Piece)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(&bytes[..end], &mut give);
            give(self.piece(false));
            bytes = &bytes[end + 1..];
        }
        self.add(bytes, &mut give);
    }

    /// What the pipe ended with, if that was not the end of a line.
    pub(crate) fn finish(mut self) -> Option<Piece> {
        (!self.begun.is_empty()).then(|| self.piece(false))
    }

    fn add(&mut self, mut bytes: &[u8], give: &mut impl FnMut(Piece)) {
        while self.begun.len() + bytes.len() > LONGEST {
            let (now, later) = bytes.split_at(LONGEST - self.begun.len());
            self.begun.extend_from_slice(now);
            give(self.piece(true));
            bytes = later;
        }
        self.begun.extend_from_slice(bytes);
    }

    /// The memory goes with the piece: one long line must not cost 64 KiB for ever.
    fn piece(&mut self, is_cut: bool) -> Piece {
        Piece { bytes: std::mem::take(&mut self.begun), is_cut }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines_and_no_byte_is_missing(
            bytes in vec(prop_oneof![any::<u8>(), Just(b'\n')], 0..300),
            times in prop_oneof![Just(1_usize), Just(LONGEST / 100)],
            portion in 1..20_000_usize,
        ) {
            let bytes = bytes.repeat(times);
            let pieces = split(&bytes, portion);
            prop_assert_eq!(&pieces, &split(&bytes, usize::MAX));
            let mut back = Vec::new();
            for piece in &pieces {
                prop_assert!(piece.bytes.len() <= LONGEST);
                back.extend_from_slice(&piece.bytes);
                if !piece.is_cut {
                    back.push(b'\n');
                }
            }
            if !bytes.ends_with(b"\n") && !bytes.is_empty() {
                back.pop();
            }
            prop_assert!(back == bytes);
        }
    }

    /// What comes of `bytes`, given in portions of `portion` bytes.
    fn split(bytes: &[u8], portion: usize) -> Vec<Piece> {
        let (mut splitter, mut pieces) = (Splitter::default(), Vec::new());
        for portion in bytes.chunks(portion) {
            splitter.take(portion, |piece| pieces.push(piece));
        }
        pieces.extend(splitter.finish());
        pieces
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        for portion in [1, 2, 3, 100] {
            let pieces = split(b"one\r\n\n\xff\x00\nlast", portion);
            let bytes: Vec<&[u8]> = pieces.iter().map(|piece| piece.bytes.as_slice()).collect();
            assert_eq!(bytes, [&b"one\r"[..], b"", b"\xff\x00", b"last"], "{portion}");
            assert!(pieces.iter().all(|piece| !piece.is_cut));
        }
    }

    #[test]
    fn a_line_without_an_end_is_cut_and_says_so() {
        let mut endless = vec![b'x'; 3 * LONGEST + 5];
        endless.push(b'\n');
        for portion in [1000, 8192, endless.len()] {
            let pieces = split(&endless, portion);
            let shape: Vec<_> = pieces.iter().map(|p| (p.bytes.len(), p.is_cut)).collect();
            let whole = (LONGEST, true);
            assert_eq!(shape, [whole, whole, whole, (5, false)]);
        }
    }

    #[test]
    fn a_line_as_long_as_may_be_is_not_cut() {
        let mut bytes = vec![b'x'; LONGEST];
        bytes.push(b'\n');
        let pieces = split(&bytes, 8192);
        assert_eq!(pieces.len(), 1);
        assert!(!pieces[0].is_cut);
    }
}
