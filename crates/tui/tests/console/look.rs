//! What the terminal told about itself, on the screen: its background, its pace.

use std::collections::HashSet;

use ratatui::style::Color;
use smoothserve_protocol::snapshot::{InstanceState, Pip};
use smoothtool::msg::Msg;
use smoothtool::style::Background;
use smoothtool::style::glyphs::{ASCII, UNICODE};

use crate::stage::{Stage, both};

/// A terminal that said that it is light.
fn light() -> Stage {
    let mut stage = Stage::live();
    stage.tell(Msg::Background(Background::Light));
    stage
}

fn has(stage: &mut Stage, colour: Color) -> bool {
    stage.frame(120, 40).content.iter().any(|cell| cell.fg == colour)
}

#[test]
fn yellow_is_never_used_on_light() {
    let mut stage = light();
    for keys in ["", "\r", "\u{1b}3", "\u{1b}h", "1r"] {
        stage.press(keys);
        stage.detail();
        assert!(!has(&mut stage, Color::Yellow), "{keys:?}");
    }
    assert!(has(&mut Stage::live(), Color::Yellow), "the test tests nothing");
}

#[test]
fn screens_on_light() {
    for (screen, keys) in [("overview", ""), ("service", "\r")] {
        let mut stage = light();
        stage.select("api");
        stage.press(keys);
        stage.detail();
        let frame = both(&stage.frame(80, 24));
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("{screen}_light"), frame);
        });
    }
}

#[test]
fn the_theme_is_the_terminals_until_one_is_chosen() {
    let mut stage = light();
    for (toast, yellow) in
        [("theme: dark", true), ("theme: light", false), ("theme: auto (light)", false)]
    {
        stage.press("t");
        assert!(stage.text(80, 24).contains(toast), "{toast}");
        assert_eq!(has(&mut stage, Color::Yellow), yellow, "{toast}");
        assert_eq!(has(&mut stage, Color::Magenta), !yellow, "{toast}");
    }
}

#[test]
fn without_colours_there_is_no_theme_to_choose() {
    let env = [("LANG", "C.UTF-8"), ("TERM", "xterm"), ("NO_COLOR", "1")];
    let mut stage = Stage::with(&env, false).connected();
    stage.press("t");
    assert!(stage.text(80, 24).contains("there is none to choose"));
}

#[test]
fn a_theme_is_chosen_by_its_name_too() {
    let mut stage = light();
    for (name, yellow) in [("dark", true), ("light", false), ("auto", false)] {
        stage.give(&format!("theme {name}"));
        assert!(stage.text(80, 24).contains(&format!("theme: {name}")), "{name}");
        assert_eq!(has(&mut stage, Color::Yellow), yellow, "{name}");
    }
}

#[test]
fn fewer_frames_are_told_where_there_is_room() {
    let mut stage = Stage::live();
    stage.tell(Msg::Pace(Some(2)));
    for (width, height) in [(80, 24), (120, 40)] {
        let frame = stage.text(width, height);
        let first = frame.lines().next().unwrap();
        assert!(first.contains("▪ live") && first.contains("  2 fps  up 41d06"), "{first}");
    }
    stage.tell(Msg::Pace(None));
    assert!(!stage.text(80, 24).contains("fps"));
}

#[test]
fn every_state_has_a_mark_of_its_own() {
    use InstanceState::*;
    let old = [Stopped, Starting, Ready, Draining, Stopping, Backoff, Failed, Unhealthy];
    let pips = old.map(|state| Pip { state, new: false });
    for glyphs in [&UNICODE, &ASCII] {
        let all = pips.into_iter().chain([Pip { state: Ready, new: true }]);
        let marks: HashSet<&str> = all.map(|pip| glyphs.pip(pip).0).collect();
        assert_eq!(marks.len(), pips.len() + 1, "{marks:?}");
    }
}
