//! The recorded demo in `docs/console.cast` is one that players can play.

use std::fs;

use serde_json::Value;

use crate::folder;

/// A page that shows it loads it whole.
const LONGEST: usize = 300_000;

/// A recording: its size, and what came when.
struct Recording {
    size: (u16, u16),
    events: Vec<(f64, String)>,
}

/// Reads an asciicast, version 2.
fn read(text: &str) -> Recording {
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let header = lines.next().unwrap();
    assert_eq!(header["version"], 2);
    let cells = |key: &str| u16::try_from(header[key].as_u64().unwrap()).unwrap();
    let size = (cells("width"), cells("height"));
    let event = |line: Value| {
        let parts = line.as_array().unwrap();
        assert_eq!((parts.len(), parts[1].as_str()), (3, Some("o")), "{line}");
        (parts[0].as_f64().unwrap(), parts[2].as_str().unwrap().to_owned())
    };
    Recording { size, events: lines.map(event).collect() }
}

#[test]
fn the_recording_is_an_asciicast_of_a_restart_without_loss() {
    let text = fs::read_to_string(folder("../../docs/console.cast")).unwrap();
    assert!(text.len() <= LONGEST, "{} bytes", text.len());
    let Recording { size: (width, height), events } = read(&text);
    assert!(events.is_sorted_by(|a, b| a.0 <= b.0), "time goes on");

    let cells = |count| std::num::NonZeroU16::new(count).unwrap();
    let mut screen = vt100::Parser::new(cells(height), cells(width), 0);
    let mut waited_for = ["Restart search", "draining", "of 4 replaced", "past restarts"].iter();
    let mut wanted = waited_for.next();
    for (_, bytes) in &events {
        screen.process(bytes.as_bytes());
        let shown = screen.screen().contents();
        if wanted.is_some_and(|wanted| shown.contains(wanted)) {
            wanted = waited_for.next();
        }
        assert!(!shown.contains("lost 1"), "{shown}");
    }
    assert_eq!(wanted, None, "never shown");
    assert!(!screen.screen().alternate_screen(), "it ends where it began");
}

#[test]
fn the_recording_tells_nothing_of_the_machine_it_was_made_on() {
    let text = fs::read_to_string(folder("../../docs/console.cast")).unwrap();
    for word in ["/home/", "/root", "/work", "target/"] {
        assert!(!text.contains(word), "{word}");
    }
}
