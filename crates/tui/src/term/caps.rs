//! What the terminal can show: told by the environment, and by itself if it makes sense to ask.

use crate::model::Look;
use crate::style::glyphs::{ASCII, UNICODE};
use crate::style::{Background, Theme};
use crate::term::probe::{Answers, Questions};

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
        theme: Theme {
            colour: !no_colour && term != "dumb",
            faded: false,
            found: Background::Dark,
            chosen: None,
        },
    }
}

/// What to ask the terminal, given what is known without.
pub fn questions(
    choice: GlyphChoice,
    look: Look,
    read: impl Fn(&str) -> Option<String>,
) -> Questions {
    let term = read("TERM").unwrap_or_default();
    // These answer nothing, and may show the question.
    if matches!(term.as_str(), "" | "dumb" | "unknown" | "linux" | "emacs" | "eterm") {
        return Questions::default();
    }
    // GNU screen keeps a question about colours, puts it again to every terminal that it is attached
    // to, and gives the answer to whatever window is open then. tmux, which has the same TERM where
    // it is old, answers for itself, and ignores what it does not know.
    let is_set = |name| read(name).is_some_and(|value: String| !value.is_empty());
    let screen = (term.starts_with("screen") || is_set("STY")) && !is_set("TMUX");
    Questions {
        background: look.theme.colour && !screen,
        synchronized: !screen,
        width: choice == GlyphChoice::Auto && !look.glyphs.ascii_only,
    }
}

/// `look`, now that the terminal said more.
pub const fn informed(look: Look, answers: Answers) -> Look {
    let found = match answers.background {
        Some(background) => background,
        None => look.theme.found,
    };
    Look {
        glyphs: if answers.wide { &ASCII } else { look.glyphs },
        theme: Theme { found, ..look.theme },
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

    fn asked(choice: GlyphChoice, env: &[(&str, &str)]) -> (bool, bool, bool) {
        let read = |name: &str| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let Questions { background, synchronized, width } =
            questions(choice, look(choice, read), read);
        (background, synchronized, width)
    }

    #[test]
    fn only_what_makes_sense_is_asked() {
        use GlyphChoice::{Ascii, Auto, Unicode};
        let xterm = ("TERM", "xterm-256color");
        let utf8 = ("LANG", "C.UTF-8");
        assert_eq!(asked(Auto, &[xterm, utf8]), (true, true, true));
        assert_eq!(asked(Unicode, &[xterm, utf8]), (true, true, false), "it was said");
        assert_eq!(asked(Ascii, &[xterm, utf8]), (true, true, false), "it was said");
        assert_eq!(asked(Auto, &[xterm]), (true, true, false), "ASCII is narrow");
        assert_eq!(asked(Auto, &[xterm, utf8, ("NO_COLOR", "1")]), (false, true, true));
        for term in ["linux", "dumb", ""] {
            assert_eq!(asked(Auto, &[("TERM", term), utf8]), (false, false, false), "{term}");
        }
    }

    #[test]
    fn screen_is_not_asked_what_it_would_pass_on_and_tmux_is() {
        use GlyphChoice::Auto;
        let utf8 = ("LANG", "C.UTF-8");
        let screen = ("TERM", "screen-256color");
        assert_eq!(asked(Auto, &[screen, utf8]), (false, false, true));
        let inside = [("TERM", "xterm"), ("STY", "811.pts-0.here"), utf8];
        assert_eq!(asked(Auto, &inside), (false, false, true));
        assert_eq!(
            asked(Auto, &[screen, ("TMUX", "/tmp/tmux-0/default,1,0"), utf8]),
            (true, true, true)
        );
    }

    #[test]
    fn the_terminal_knows_better_than_the_environment() {
        let read = |name: &str| (name == "LANG").then(|| "C.UTF-8".to_owned());
        let before = look(GlyphChoice::Auto, read);
        let light = Answers { background: Some(Background::Light), ..Answers::default() };
        assert_eq!(informed(before, light).theme.background(), Background::Light);
        assert!(!informed(before, light).glyphs.ascii_only);
        let wide = Answers { wide: true, ..Answers::default() };
        assert!(informed(before, wide).glyphs.ascii_only);
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
