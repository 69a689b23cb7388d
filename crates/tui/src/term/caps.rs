//! What the terminal can show, told by the environment.

use crate::model::Look;
use crate::style::Theme;
use crate::style::glyphs::{ASCII, UNICODE};

/// Which glyphs to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum GlyphChoice {
    /// Unicode where the terminal and the locale have it
    #[default]
    Auto,
    /// Unicode, whatever the environment says
    Unicode,
    /// Nothing but ASCII
    Ascii,
}

/// What to show, given the operator's choice and the environment that `read` looks into.
pub fn look(choice: GlyphChoice, read: impl Fn(&str) -> Option<String>) -> Look {
    let term = read("TERM").unwrap_or_default();
    let ascii = match choice {
        GlyphChoice::Ascii => true,
        GlyphChoice::Unicode => false,
        GlyphChoice::Auto => matches!(term.as_str(), "linux" | "dumb") || !is_utf8(&read),
    };
    let no_colour = read("NO_COLOR").is_some_and(|value| !value.is_empty());
    Look {
        glyphs: if ascii { &ASCII } else { &UNICODE },
        theme: Theme { colour: !no_colour && term != "dumb", faded: false },
    }
}

/// Whether the locale's characters are those of UTF-8. The first variable that is set decides.
fn is_utf8(read: &impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| read(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(choice: GlyphChoice, env: &[(&str, &str)], ascii: bool, colour: bool) {
        let read = |name: &str| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let look = look(choice, read);
        assert_eq!(look.glyphs.ascii_only, ascii, "{env:?}");
        assert_eq!(look.theme.colour, colour, "{env:?}");
    }

    #[test]
    fn the_environment_decides() {
        use GlyphChoice::{Ascii, Auto, Unicode};
        check(Auto, &[("TERM", "xterm-256color"), ("LANG", "de_CH.UTF-8")], false, true);
        check(Auto, &[("TERM", "linux"), ("LANG", "de_CH.UTF-8")], true, true);
        check(Auto, &[("TERM", "xterm"), ("LANG", "C")], true, true);
        check(Auto, &[("TERM", "xterm"), ("LC_ALL", "C"), ("LANG", "C.UTF-8")], true, true);
        check(Auto, &[("TERM", "xterm"), ("LC_ALL", ""), ("LANG", "C.utf8")], false, true);
        check(Auto, &[], true, true);
        check(Unicode, &[("LANG", "C"), ("NO_COLOR", "1")], false, false);
        check(Ascii, &[("LANG", "C.UTF-8"), ("NO_COLOR", "")], true, true);
        check(Auto, &[("TERM", "dumb"), ("LANG", "C.UTF-8")], true, false);
    }
}
