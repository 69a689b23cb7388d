//! One table of keys: what the help lists, what the hints show, what is dispatched and what the
//! manual says are one; also with keys of one's own.

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use smoothtool::action::Action;
use smoothtool::input::Key;
use smoothtool::keymap::{Context, TABLE};
use smoothtool::keys::{self, FIXED, Keys, KeysError, TAKEN, listing};
use smoothtool::model::{Front, Screen};
use smoothtool::view::hints::hinted;

use crate::behaviour::acted;
use crate::stage::Stage;
use crate::support::world;

/// Each with the keys that lead there.
const SCREENS: [(&str, Context); 5] = [
    ("", Context::Overview),
    ("\r", Context::Service),
    ("3", Context::Events),
    ("l", Context::Logs),
    ("h", Context::History),
];

/// The keys that a file gives.
fn from_file(text: &str) -> Result<Keys, KeysError> {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/smoothtool");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("keys.yaml"), text).unwrap();
    keys::read(|name| (name == "HOME").then(|| home.path().to_owned()))
}

/// Those of the table, and some with a file.
fn all() -> Vec<Keys> {
    let own = "overview: {R: restart, r: try-now, Q: quit}\nlogs: {J: down, A: note-lost}\n";
    vec![Keys::default(), from_file(own).unwrap(), from_file(&listing(&Keys::default())).unwrap()]
}

#[test]
fn every_binding_is_dispatched() {
    for keys in all() {
        for context in Context::ALL {
            for binding in keys.bindings(context) {
                for &key in binding.keys {
                    assert_eq!(keys.find(context, key), Some(binding.action), "{context:?} {key}");
                }
            }
        }
    }
}

#[test]
fn no_key_has_two_meanings_in_one_place_and_nothing_is_without_a_key() {
    for keys in all() {
        for context in Context::ALL {
            let mut seen = HashSet::new();
            for binding in keys.bindings(context) {
                assert!(!binding.keys.is_empty(), "{context:?} {binding:?}");
                for key in binding.keys {
                    assert!(seen.insert(key), "{context:?} {key}");
                }
            }
        }
    }
}

#[test]
fn what_can_be_given_keys_has_one_name_in_one_place() {
    for context in Context::ALL.into_iter().filter(|context| context.takes_own_keys()) {
        let mut seen = HashSet::new();
        for binding in Keys::default().bindings(context) {
            let name = binding.action.name();
            assert!(seen.insert(name), "{context:?} {name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        }
    }
}

#[test]
fn keys_that_terminals_take_are_not_bound() {
    for binding in TABLE {
        assert!(binding.keys.iter().all(|key| !TAKEN.contains(key)), "{binding:?}");
    }
}

#[test]
fn the_help_lists_every_key_of_its_screen() {
    for keys in all() {
        for (way, context) in SCREENS {
            let mut stage = Stage::live();
            stage.press(way);
            stage.model.keys = keys.clone();
            assert_eq!(stage.model.screen_context(), context);
            stage.press("?");
            // From row to row, all of them come into sight.
            let mut help = String::new();
            for _ in keys.bindings(context) {
                help += &stage.text(80, 24);
                stage.press("j");
            }
            for binding in keys.bindings(context) {
                let shown = binding.keys[0].to_string();
                let listed = |line: &str| {
                    line.contains(binding.help)
                        && line.split(binding.help).any(|before| before.contains(&shown))
                };
                assert!(help.lines().any(listed), "{context:?} {shown} {}: {help}", binding.help);
            }
        }
    }
}

#[test]
fn hints_are_keys_that_work_here() {
    for keys in all() {
        for way in ["", "\r", "3", "?", "?/", "r", "x", "jx", "l", "l/", "h", ":", ":keys\r"] {
            let mut stage = Stage::live();
            stage.press(way);
            stage.model.keys = keys.clone();
            let frame = stage.text(120, 40);
            let bar = frame.lines().last().unwrap();
            let context = stage.model.context();
            let mut shown = 0;
            for binding in hinted(&stage.model) {
                let hint = format!("{} {}", binding.keys[0], binding.hint.unwrap());
                assert!(bar.contains(&hint), "{context:?} {hint}: {bar}");
                assert_eq!(keys.find(context, binding.keys[0]), Some(binding.action));
                shown += hint.len() + 2;
            }
            assert_eq!(bar.trim_end().len(), shown - 1, "{context:?}: nothing else: {bar}");
        }
    }
}

#[test]
fn the_way_back_is_hinted_at_in_the_narrowest_question() {
    for (key, hint) in [("r", "esc cancel"), ("X", "esc cancel"), ("?", "esc close")] {
        let mut stage = Stage::live();
        stage.select("search");
        stage.press(key);
        for width in [20, 40, 80] {
            let frame = stage.text(width, 12);
            assert!(frame.lines().last().unwrap().contains(hint), "{key} {width}: {frame}");
        }
    }
}

#[test]
fn why_commands_are_off_is_told_in_every_width() {
    let silent: fn() -> Stage = || {
        let mut stage = Stage::live();
        stage.pass(3_000);
        stage
    };
    let read_only: fn() -> Stage = || Stage::with(&[("LANG", "C.UTF-8")], true).connected();
    for (stage, why) in [(silent, "actions off"), (read_only, "read-only")] {
        for way in ["", "\r"] {
            let mut stage = stage();
            stage.select("api");
            stage.press(way);
            for width in 40..=200 {
                let frame = stage.text(width, 24);
                let bar = frame.lines().last().unwrap();
                let (hints, _) = bar.split_once(why).unwrap_or_else(|| panic!("{width}: {bar}"));
                assert!(hints.ends_with("  "), "{width}: {bar}");
            }
        }
    }
}

#[test]
fn a_key_of_ones_own_does_what_it_is_named_for() {
    let mut stage = Stage::live();
    stage.model.keys = from_file("overview: {B: restart}").unwrap();
    stage.select("search");
    stage.press("r");
    assert_eq!(stage.model.front, None, "it is another key now");
    stage.press("B");
    assert_eq!(acted(&stage.press("y")), [&world::name("search")]);
    assert!(stage.text(80, 24).contains("B restart"));
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_all_that_is_wrong() {
    let error = from_file("overview:\n  R: restart\n  ^q: quit\n").unwrap_err();
    assert!(error.to_string().ends_with("keys.yaml cannot be used"), "{error}");
    assert_eq!(error.problems.len(), 2, "{error:?}");
}

#[test]
fn the_listing_is_a_file_of_the_same_keys() {
    for keys in all() {
        let again = from_file(&listing(&keys)).unwrap();
        for context in Context::ALL {
            let of = |keys: &Keys| -> Vec<(Action, HashSet<Key>)> {
                let bindings = keys.bindings(context);
                bindings.map(|one| (one.action, one.keys.iter().copied().collect())).collect()
            };
            assert_eq!(of(&again), of(&keys), "{context:?}");
        }
    }
}

#[test]
fn a_row_of_the_help_is_done_as_its_key_does_it() {
    let mut stage = Stage::live();
    stage.select("search");
    stage.write("?/rolling");
    stage.press("\r\r");
    assert_eq!(stage.model.context(), Context::Limit);
    assert_eq!(acted(&stage.press("y")), [&world::name("search")]);
    stage.write("?/past restarts");
    stage.press("\r\r");
    assert_eq!(stage.model.screen, Screen::History(None));
}

#[test]
fn a_row_that_is_off_says_why_and_is_not_done() {
    let mut stage = Stage::with(&[("LANG", "C.UTF-8"), ("TERM", "xterm")], true).connected();
    stage.press("?/rolling");
    let frame = stage.text(80, 24);
    assert!(frame.contains("r (off)"), "{frame}");
    assert!(frame.contains("off now: read-only: actions are off"), "{frame}");
    assert_eq!(acted(&stage.press("\r\ry")).len(), 0);
    assert!(matches!(stage.model.front, Some(Front::Help(_))));
}

#[test]
fn a_search_in_the_help_ends_before_the_help_does() {
    let mut stage = Stage::live();
    stage.press("?/quit");
    let found = stage.text(80, 24);
    assert!(found.contains("quit, the daemon") && !found.contains("rolling restart"), "{found}");
    stage.press("\u{1b}");
    assert!(stage.text(80, 24).contains("rolling restart"));
    stage.press("\u{1b}");
    assert_eq!(stage.model.front, None);
}

/// The manual page of the keys, as the table has them.
fn manual() -> String {
    let mut text = String::from(MANUAL);
    for context in Context::ALL {
        let bindings: Vec<_> = Keys::default()
            .bindings(context)
            .map(|one| (one.keys.to_vec(), one.help, one.action))
            .collect();
        writeln!(text, "\n## {}\n", title(context)).unwrap();
        if !context.takes_own_keys() {
            writeln!(text, "These keys cannot be changed.\n").unwrap();
        }
        writeln!(text, "| keys | what | name |\n|---|---|---|").unwrap();
        for (keys, help, action) in bindings {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            writeln!(text, "| {} | {help} | {} |", keys.join(" "), action.name()).unwrap();
        }
    }
    text
}

/// Of which one name may stand for several: in words.
const fn title(context: Context) -> &'static str {
    match context {
        Context::HelpFind => "find in the help",
        Context::Offer => "question about a restart that runs",
        Context::TypedName => "question that a name answers",
        _ => context.name(),
    }
}

const MANUAL: &str = "\
# The keys of the console

Made from the table that the console itself uses; `?` shows those of the present screen and
`smoothtool keys` those in effect.

Own keys stand in `~/.config/smoothtool/keys.yaml` (`$XDG_CONFIG_HOME/smoothtool/keys.yaml`): a place,
then a key and the name of what it does there.

```yaml
overview:
  R: restart
  r: try-now             # it had R
logs:
  '-': half-page-up      # signs and digits stand in quotes
```

What is named has the keys that the file gives it and no others. Nothing may be left without a key.
`enter`, `esc`, `^c` and `^z` are always what they are, and keys that terminals take for something
else (`^s` `^q` `^b` `^a` `^i` `^j` `^m` `^h`) cannot be used. A file with a mistake keeps the console
from starting (exit code 2), and every mistake is named with its line.
";

#[test]
fn the_manual_has_the_keys_of_the_table() {
    let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/keys.md");
    let manual = manual();
    for key in FIXED.iter().chain(&TAKEN) {
        assert!(manual.contains(&format!("`{key}`")), "{key}");
    }
    let example = manual.split("```").nth(1).unwrap().strip_prefix("yaml\n").unwrap();
    from_file(example).unwrap();
    if std::env::var_os("INSTA_UPDATE").is_some_and(|how| how == "always") {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &manual).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(written, manual, "INSTA_UPDATE=always writes docs/keys.md anew");
}
