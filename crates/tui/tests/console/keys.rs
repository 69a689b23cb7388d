//! One table of keys: what the help lists, what the hints show and what is dispatched are one.

use std::collections::HashSet;

use smoothtool::input::Key;
use smoothtool::keymap::{self, Context, TABLE};
use smoothtool::view::hints::hinted;

use crate::stage::Stage;

#[test]
fn every_binding_is_dispatched() {
    for context in Context::ALL {
        for binding in keymap::bindings(context) {
            for &key in binding.keys {
                assert_eq!(keymap::find(context, key), Some(binding.action), "{context:?} {key}");
            }
        }
    }
}

#[test]
fn no_key_has_two_meanings_in_one_place() {
    for context in Context::ALL {
        let mut seen = HashSet::new();
        for key in keymap::bindings(context).flat_map(|binding| binding.keys) {
            assert!(seen.insert(key), "{context:?} {key}");
        }
    }
}

#[test]
fn keys_that_terminals_take_are_not_bound() {
    let taken = ['s', 'q', 'b', 'a', 'i', 'j', 'm', 'h'].map(Key::Ctrl);
    for binding in TABLE {
        assert!(binding.keys.iter().all(|key| !taken.contains(key)), "{binding:?}");
    }
}

#[test]
fn the_help_lists_every_key_of_its_screen() {
    for (keys, context) in [
        ("", Context::Overview),
        ("\r", Context::Service),
        ("3", Context::Events),
        ("l", Context::Logs),
        ("h", Context::History),
    ] {
        let mut stage = Stage::live();
        stage.press(keys);
        stage.press("?");
        assert_eq!(stage.model.screen_context(), context);
        // Whoever goes down sees the rest.
        let mut help = stage.text(80, 24);
        for _ in 0..40 {
            stage.press("j");
            help += &stage.text(80, 24);
        }
        for binding in keymap::bindings(context) {
            assert!(help.contains(binding.help), "{context:?} {}: {help}", binding.help);
        }
    }
}

#[test]
fn hints_are_keys_that_work_here() {
    for keys in ["", "\r", "3", "?", "r", "x", "jx", "l", "l/", "h"] {
        let mut stage = Stage::live();
        stage.press(keys);
        let frame = stage.text(120, 40);
        let bar = frame.lines().last().unwrap();
        let context = stage.model.context();
        let mut shown = 0;
        for binding in hinted(&stage.model) {
            let hint = format!("{} {}", binding.keys[0], binding.hint.unwrap());
            assert!(bar.contains(&hint), "{context:?} {hint}: {bar}");
            assert_eq!(keymap::find(context, binding.keys[0]), Some(binding.action));
            shown += hint.len() + 2;
        }
        assert_eq!(bar.trim_end().len(), shown - 1, "{context:?}: nothing else: {bar}");
    }
}
