//! What instances print: every byte is in a line, however it comes, no line is longer than its bound,
//! and none of them steers the terminal it is shown on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smoothserve::fuzzing::printed_lines;
use smoothserve_fuzz::in_portions;
use smoothtool::style::ink;
use smoothtool::words::{escape, printed, severity};

/// A line without an end is cut here.
const LONGEST: usize = 64 * 1024;

/// What moves the cursor, speaks to the terminal, or turns the direction of text.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

fn check_shown(line: &[u8]) {
    let text = printed(line);
    assert!(!text.contains(steers), "{text:?}");
    assert_eq!(escape(&text), text, "harmless text is left alone");
    let (inked, runs) = ink::read(line);
    assert_eq!(inked, text, "colours change no text");
    assert!(runs.is_sorted_by(|one, next| one.from < next.from));
    for run in &runs {
        assert!(inked.is_char_boundary(run.from) && run.from < inked.len());
        assert_eq!(ink::at(&runs, run.from).0, run.ink);
    }
    assert!(text.len() <= 8 * line.len(), "{} bytes of {}", text.len(), line.len());
    severity(&text);
}

fuzz_target!(|data: &[u8]| {
    let Some((input, portions)) = in_portions(data) else { return };
    let lines = printed_lines(portions.iter().copied());
    assert_eq!(lines, printed_lines([input]));
    let mut back = Vec::new();
    for (bytes, is_cut) in &lines {
        assert!(bytes.len() <= LONGEST && (!is_cut || bytes.len() == LONGEST));
        back.extend_from_slice(bytes);
        if !is_cut {
            back.push(b'\n');
        }
        check_shown(bytes);
    }
    let missing = if input.is_empty() || input.ends_with(b"\n") { 0 } else { 1 };
    assert_eq!(back[..back.len() - missing], *input);

    // The same so often that it has to be cut, if it has no end.
    if let Some(first) = portions.iter().find(|portion| !portion.is_empty()) {
        let often = 2 * LONGEST / first.len() + 2;
        if first.len() > 64 {
            let repeated = printed_lines(std::iter::repeat_n(*first, often));
            assert!(repeated.iter().all(|(bytes, _)| bytes.len() <= LONGEST));
            assert_eq!(repeated, printed_lines([first.repeat(often).as_slice()]));
        }
    }
});
