//! Where frames of a WebSocket end: at the same bytes however they come, and where another library
//! finds their ends.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use smoothserve::fuzzing::Frames;
use smoothserve_fuzz::in_portions;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, OpCode};

/// Every border in `input`, and whether a Close frame went by.
fn borders(input: &[u8]) -> (Vec<usize>, bool) {
    let (mut frames, mut borders, mut taken) = (Frames::default(), Vec::new(), 0);
    while taken < input.len() {
        let count = frames.follow_to_border(&input[taken..]);
        assert!(count > 0, "nothing is taken for ever");
        taken += count;
        if frames.at_border() {
            borders.push(taken);
        }
    }
    (borders, frames.are_over())
}

/// The same by another library, as long as it has no other objections.
fn borders_by_another(input: &[u8]) -> (Vec<usize>, bool, bool) {
    let (mut borders, mut is_over, mut from) = (Vec::new(), false, 0_u64);
    loop {
        let mut rest = Cursor::new(input.get(from as usize..).unwrap_or_default());
        let (header, length) = match FrameHeader::parse(&mut rest) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return (borders, is_over, true),
            Err(_) => return (borders, is_over, false),
        };
        is_over |= header.opcode == OpCode::Control(Control::Close);
        let Some(end) = (from + rest.position()).checked_add(length) else {
            return (borders, is_over, true);
        };
        if end > input.len() as u64 {
            return (borders, is_over, true);
        }
        from = end;
        borders.push(end as usize);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((input, portions)) = in_portions(data) else { return };
    let (found, is_over) = borders(input);
    let mut frames = Frames::default();
    let mut taken = 0;
    for portion in portions {
        frames.follow(portion);
        taken += portion.len();
        assert_eq!(frames.at_border(), taken == 0 || found.contains(&taken), "at {taken}");
    }
    assert_eq!(frames.are_over(), is_over);
    let (other, other_is_over, is_whole) = borders_by_another(input);
    assert_eq!(found[..other.len()], other);
    if is_whole {
        assert_eq!((found.len(), is_over), (other.len(), other_is_over));
    }
});
