//! The clipboard of the machine that the operator sits at: reached through the terminal, by an
//! escape sequence (OSC 52), wherever the console runs. Knows nothing of what is copied.

use data_encoding::BASE64;

/// More than this and terminals ignore the whole: the sequence of xterm holds 100 000 bytes.
pub const LONGEST: usize = 74_994;
/// What `screen` passes on at once.
const CHUNK: usize = 512;

/// How the sequence reaches the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// It is right there.
    #[default]
    Plain,
    /// tmux stands between.
    Tmux,
    /// screen stands between.
    Screen,
}

impl Way {
    /// As the environment that `read` looks into tells.
    pub fn of(read: impl Fn(&str) -> Option<String>) -> Self {
        let is_set = |name: &str| read(name).is_some_and(|value| !value.is_empty());
        let term = read("TERM").unwrap_or_default();
        if is_set("TMUX") || term.starts_with("tmux") {
            Self::Tmux
        } else if is_set("STY") || term.starts_with("screen") {
            Self::Screen
        } else {
            Self::Plain
        }
    }

    /// As the operator is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "OSC 52",
            Self::Tmux => "OSC 52 through tmux",
            Self::Screen => "OSC 52 through screen",
        }
    }

    /// What to send so that `text` is in the clipboard.
    pub fn sequence(self, text: &str) -> Vec<u8> {
        let plain = format!("\x1b]52;c;{}\x07", BASE64.encode(text.as_bytes()));
        match self {
            Self::Plain => plain.into_bytes(),
            // Once for tmux itself, which takes it where `set-clipboard` is on, and once wrapped,
            // which it passes on where `allow-passthrough` is.
            Self::Tmux => {
                let wrapped = plain.replace('\x1b', "\x1b\x1b");
                format!("{plain}\x1bPtmux;{wrapped}\x1b\\").into_bytes()
            }
            Self::Screen => {
                let mut sequence = Vec::with_capacity(plain.len() * 2);
                for chunk in plain.as_bytes().chunks(CHUNK) {
                    sequence.extend_from_slice(b"\x1bP");
                    sequence.extend_from_slice(chunk);
                    sequence.extend_from_slice(b"\x1b\\");
                }
                sequence
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(env: &[(&str, &str)]) -> Way {
        Way::of(|name| env.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_environment_tells_what_stands_between() {
        assert_eq!(way(&[("TERM", "xterm-256color")]), Way::Plain);
        assert_eq!(way(&[("TERM", "screen-256color"), ("TMUX", "/tmp/tmux-0/a,1,0")]), Way::Tmux);
        assert_eq!(way(&[("TERM", "tmux-256color")]), Way::Tmux);
        assert_eq!(way(&[("TERM", "screen"), ("TMUX", "")]), Way::Screen);
        assert_eq!(way(&[("TERM", "xterm"), ("STY", "811.pts-0")]), Way::Screen);
        assert_eq!(way(&[]), Way::Plain);
    }

    #[test]
    fn the_text_is_wrapped_for_what_stands_between() {
        assert_eq!(Way::Plain.sequence("api"), b"\x1b]52;c;YXBp\x07");
        assert_eq!(
            Way::Tmux.sequence("api"),
            b"\x1b]52;c;YXBp\x07\x1bPtmux;\x1b\x1b]52;c;YXBp\x07\x1b\\"
        );
        assert_eq!(Way::Screen.sequence("api"), b"\x1bP\x1b]52;c;YXBp\x07\x1b\\");
        let long = Way::Screen.sequence(&"x".repeat(1_000));
        assert!(long.split(|&b| b == b'P').all(|chunk| chunk.len() <= CHUNK + 3));
    }

    #[test]
    fn the_longest_text_fits_into_what_xterm_takes() {
        assert!(Way::Plain.sequence(&"x".repeat(LONGEST)).len() <= 100_000);
    }
}
