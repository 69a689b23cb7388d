//! Answers of the terminal that come when keys are read already, as over a slow link.
//!
//! The reader of keys knows most answers and drops them, unless one is cut after its escape character,
//! which it then takes for the key; and it knows no answer about colours: of `ESC ] 11;rgb:...` it
//! makes keys, an `r` among them. What can be the rest of an answer is taken out here, and nothing
//! else is. Pure: events and the time in, events out.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::probe::background;
use crate::model::clock::Moment;
use crate::style::theme::Background;

/// An answer that takes longer is none.
const AWAITED: u64 = 10_000;
/// The rest of an answer follows its escape character sooner than a person's next key, but not always
/// in the same piece.
const HELD: u64 = 50;
/// No answer is longer.
const LONGEST: usize = 48;

/// What was taken in so far of something that may be an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Seen {
    /// Nothing.
    #[default]
    Nothing,
    /// An escape character, or the key; held back until this moment, then passed on.
    Escape { since: Moment, passed: bool },
    /// `ESC ]` and this.
    Colour(String),
    /// The same, and the escape character of its end.
    ColourEscape(String),
    /// `ESC [` and so many characters.
    Report(usize),
}

/// Takes answers out of what is typed.
#[derive(Clone, Debug, Default)]
pub struct Late {
    /// Until when answers may come; none: none will.
    until: Option<Moment>,
    seen: Seen,
}

/// What remains of a batch of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// What is not an answer.
    pub events: Vec<Event>,
    /// What the terminal says of its background, if it just did.
    pub background: Option<Background>,
}

impl Late {
    /// Questions were asked at `asked` that are not answered yet.
    pub const fn since(asked: Moment) -> Self {
        Self { until: Some(asked.plus(AWAITED)), seen: Seen::Nothing }
    }

    /// Takes answers out of `batch`, which was read at `now`.
    pub fn sift(&mut self, batch: Vec<Event>, now: Moment) -> Sifted {
        let mut sifted = self.release(now);
        for event in batch {
            self.take(event, now, &mut sifted);
        }
        if self.until.is_some_and(|until| now >= until) && self.seen == Seen::Nothing {
            self.until = None;
        }
        sifted
    }

    /// Passes on an Escape that was held back and is, after all, a key.
    pub fn release(&mut self, now: Moment) -> Sifted {
        let mut sifted = Sifted::default();
        if self.due().is_some_and(|due| now >= due) {
            self.seen = Seen::Escape { since: now, passed: true };
            sifted.events.push(key(KeyCode::Esc));
        }
        sifted
    }

    /// When to call [`Late::release`]; none: nothing is held back.
    pub const fn due(&self) -> Option<Moment> {
        match self.seen {
            Seen::Escape { since, passed: false } => Some(since.plus(HELD)),
            _ => None,
        }
    }

    fn take(&mut self, event: Event, now: Moment, sifted: &mut Sifted) {
        if self.until.is_none() {
            sifted.events.push(event);
            return;
        }
        // A size is told between keys, and is never part of an answer.
        let Some(typed) = character(&event) else {
            sifted.events.push(event);
            return;
        };
        self.seen = match (std::mem::take(&mut self.seen), typed) {
            (Seen::Nothing, Typed::Alt(']')) | (Seen::Escape { .. }, Typed::Plain(']')) => {
                Seen::Colour(String::new())
            }
            (Seen::Escape { .. }, Typed::Plain('[')) => Seen::Report(0),
            (Seen::Colour(text), Typed::Bell | Typed::Alt('\\'))
            | (Seen::ColourEscape(text), Typed::Plain('\\')) => {
                sifted.background = text.strip_prefix("11;").and_then(background);
                Seen::Nothing
            }
            (Seen::Colour(text), Typed::Escape) => Seen::ColourEscape(text),
            (Seen::Colour(mut text), Typed::Plain(c)) if continues_colour(&text, c) => {
                text.push(c);
                Seen::Colour(text)
            }
            (Seen::Report(length), Typed::Plain('0'..='9' | ';' | '?' | '$'))
                if length < LONGEST =>
            {
                Seen::Report(length + 1)
            }
            (Seen::Report(1..), Typed::Plain('R' | 'y' | 'c')) => Seen::Nothing,
            (before, typed) => return self.start_again(before, typed, event, now, sifted),
        };
    }

    /// `event` does not go on with what was seen before.
    fn start_again(
        &mut self,
        before: Seen,
        typed: Typed,
        event: Event,
        now: Moment,
        sifted: &mut Sifted,
    ) {
        if matches!(before, Seen::Escape { passed: false, .. }) {
            sifted.events.push(key(KeyCode::Esc));
        }
        match typed {
            Typed::Escape => self.seen = Seen::Escape { since: now, passed: false },
            Typed::Alt(']') => self.seen = Seen::Colour(String::new()),
            Typed::Alt(_) | Typed::Plain(_) | Typed::Bell | Typed::Other => {
                sifted.events.push(event);
            }
        }
    }
}

/// A key as a part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typed {
    Escape,
    Bell,
    Alt(char),
    Plain(char),
    Other,
}

fn character(event: &Event) -> Option<Typed> {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else {
        return None;
    };
    Some(match (code, modifiers.difference(KeyModifiers::SHIFT)) {
        (KeyCode::Esc, KeyModifiers::NONE) => Typed::Escape,
        (KeyCode::Char('g'), KeyModifiers::CONTROL) => Typed::Bell,
        (KeyCode::Char(c), KeyModifiers::ALT) => Typed::Alt(*c),
        (KeyCode::Char(c), KeyModifiers::NONE) => Typed::Plain(*c),
        _ => Typed::Other,
    })
}

/// Whether `11;rgb:hhhh/hhhh/hhhh` can go on with `c` after `text`.
fn continues_colour(text: &str, c: char) -> bool {
    const START: &str = "11;rgb";
    match START.chars().nth(text.len()) {
        Some(expected) => c == expected,
        None => text.len() < LONGEST && (c.is_ascii_hexdigit() || matches!(c, ':' | '/')),
    }
}

const fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELL: &str = "\x1b]11;rgb:ffff/ffff/ffff\x07";
    const STRING: &str = "\x1b]11;rgba:0000/0000/0000/ffff\x1b\\";

    /// What the reader of keys makes of one piece: Alt of what follows an escape character, the key
    /// where nothing does.
    fn read(piece: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let mut characters = piece.chars();
        while let Some(c) = characters.next() {
            events.push(match c {
                '\x1b' => match characters.next() {
                    Some(c) => Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::ALT)),
                    None => key(KeyCode::Esc),
                },
                '\x07' => Event::Key(KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL)),
                c => key(KeyCode::Char(c)),
            });
        }
        events
    }

    fn sifted(pieces: &[&str]) -> Sifted {
        let mut late = Late::since(Moment(0));
        let mut all = Sifted::default();
        for (piece, millis) in pieces.iter().zip(200..) {
            let Sifted { events, background } = late.sift(read(piece), Moment(millis));
            all.events.extend(events);
            all.background = all.background.or(background);
        }
        all.events.extend(late.release(Moment(1_000)).events);
        all
    }

    #[test]
    fn an_answer_is_no_key_however_it_is_split() {
        for (answer, said) in [(BELL, Background::Light), (STRING, Background::Dark)] {
            for first in 0..answer.len() {
                for second in first..answer.len() {
                    let (start, rest) = answer.split_at(second);
                    let (start, middle) = start.split_at(first);
                    let sifted = sifted(&[start, middle, rest]);
                    assert_eq!(sifted.events, [], "{start:?} {middle:?} {rest:?}");
                    assert_eq!(sifted.background, Some(said), "{start:?} {middle:?} {rest:?}");
                }
            }
        }
    }

    #[test]
    fn a_report_cut_after_its_escape_character_is_no_key() {
        for answer in ["[1;2R", "[?2026;2$y", "[?64;1;22c"] {
            for at in 0..answer.len() {
                let (first, second) = answer.split_at(at);
                assert_eq!(sifted(&["\x1b", first, second]).events, [], "{first:?} {second:?}");
            }
        }
    }

    #[test]
    fn keys_before_between_and_after_answers_are_keys() {
        let around = sifted(&["j", &format!("k{BELL}r"), "G"]);
        assert_eq!(around.events, read("jkrG"));
        // A person who presses Alt-] is not made to wait for the end of an answer.
        assert_eq!(sifted(&["\x1b]", "x"]).events, read("x"));
    }

    #[test]
    fn escape_is_a_key_when_nothing_follows_it() {
        assert_eq!(sifted(&["\x1b"]).events, read("\x1b"));
        let then = sifted(&["\x1b", "q"]);
        assert_eq!(then.events, [key(KeyCode::Esc), key(KeyCode::Char('q'))]);
    }

    #[test]
    fn an_answer_whose_escape_was_passed_on_is_still_no_key() {
        let mut late = Late::since(Moment(0));
        assert_eq!(late.sift(read("\x1b"), Moment(100)).events, []);
        assert_eq!(late.due(), Some(Moment(150)));
        assert_eq!(late.release(Moment(150)).events, [key(KeyCode::Esc)]);
        assert_eq!(late.due(), None);
        assert_eq!(late.sift(read("]11;rgb:ffff/ffff/ffff\x07"), Moment(400)).events, []);
    }

    #[test]
    fn nothing_is_held_back_when_no_answer_is_awaited() {
        let mut none = Late::default();
        assert_eq!(none.sift(read("\x1b"), Moment(100)).events, read("\x1b"));
        let mut over = Late::since(Moment(0));
        over.sift(read("j"), Moment(AWAITED));
        assert_eq!(over.sift(read("\x1b"), Moment(AWAITED + 1)).events, read("\x1b"));
    }
}
