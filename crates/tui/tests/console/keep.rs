//! What is taken away from the screen: copies, files, and a picture that is held still.

use std::time::Duration;

use smoothtool::effect::Effect;
use smoothtool::input::Key;
use smoothtool::keymap::Context;
use smoothtool::msg::{Msg, Report};
use smoothtool::term::clip::Way;

use crate::behaviour::acted;
use crate::stage::Stage;
use crate::support::world;

fn copied(effects: &[Effect]) -> Option<&str> {
    effects.iter().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text.as_str()),
        _ => None,
    })
}

#[test]
fn a_name_or_the_whole_service_is_copied() {
    let mut stage = Stage::live();
    stage.select("billing");
    assert_eq!(copied(&stage.press("y")), Some("billing"));
    let effects = stage.press("Y");
    let json: serde_json::Value = serde_json::from_str(copied(&effects).unwrap()).unwrap();
    assert_eq!(json["name"], "billing");
    assert!(stage.text(80, 24).contains("copied billing as JSON by OSC 52"));
}

#[test]
fn the_toast_says_which_way_the_copy_went() {
    let mut stage = Stage::live();
    stage.model.clipboard = Way::Tmux;
    stage.press("y");
    assert!(stage.text(80, 24).contains("copied billing by OSC 52 through tmux"));
}

#[test]
fn the_lines_on_the_screen_are_copied_as_they_were_printed() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("l");
    stage.answer_logs(world::logs());
    stage.text(80, 12);
    let shown = stage.press("y");
    let shown = copied(&shown).unwrap();
    assert_eq!(shown.lines().count(), 7);
    assert!(shown.lines().last().unwrap().ends_with("200 31ms"), "whole lines: {shown}");
    assert!(!shown.contains('\u{1b}'));
    let all = stage.press("Y");
    assert_eq!(copied(&all).unwrap().lines().count(), 12);
}

#[test]
fn a_receipt_is_copied_in_a_line_in_full_or_as_json() {
    let mut stage = Stage::live();
    stage.press("h");
    stage.answer_receipts(world::past());
    let line = stage.press("y");
    assert_eq!(copied(&line).unwrap().lines().count(), 1);
    let json = stage.press("Y");
    assert!(serde_json::from_str::<serde_json::Value>(copied(&json).unwrap()).is_ok());
    let whole = stage.press("\ry");
    let whole = copied(&whole).unwrap();
    assert!(whole.contains("accepted") && !whole.contains('\u{1b}'), "{whole}");
}

#[test]
fn a_copy_that_no_terminal_takes_is_cut_and_says_so() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("l");
    let mut batch = world::logs();
    for line in &mut batch.lines {
        line.bytes = "ä".repeat(4_000).into();
    }
    stage.answer_logs(batch);
    let effects = stage.press("Y");
    let text = copied(&effects).unwrap();
    assert!(text.len() <= 74_994 && text.len() > 74_900, "{}", text.len());
    assert!(stage.text(80, 24).contains("copied the first 74 99"));
}

#[test]
fn what_is_held_still_does_not_change_and_takes_no_command() {
    let mut stage = Stage::live();
    stage.select("api");
    let before = stage.text(80, 24);
    stage.press("z");
    assert_eq!(stage.model.context(), Context::Frozen);
    let held = stage.text(80, 24);
    let rows = |text: &str| text.lines().take(22).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&before), rows(&held));
    assert!(held.contains("z go on") && held.contains("frozen at 14:02:"), "{held}");

    stage.pass(1_000);
    let mut overview = world::overview();
    overview.services.clear();
    stage.overview(overview);
    assert_eq!(stage.text(80, 24), held, "not by data");
    assert_eq!(acted(&stage.press("ruxjX\r")).len(), 0, "nor by keys");
    assert_eq!(stage.text(80, 24), held);
    assert!(copied(&stage.press("y")).unwrap().contains("webhooks"));

    stage.key(Key::Esc);
    assert_ne!(stage.model.context(), Context::Frozen);
    assert!(stage.text(80, 24).contains("no service is configured"));
}

#[test]
fn what_is_held_still_says_that_the_daemon_is_gone() {
    let mut stage = Stage::live();
    stage.press("z");
    let why = "connection refused".to_owned();
    stage.net(Report::Down { why, failures: 1, retry_in: Duration::from_secs(1) });
    for (width, height) in [(80, 24), (120, 40)] {
        stage.model.size = (width, height);
        assert!(stage.text(width, height).contains("disconnected"));
    }
}

#[test]
fn another_size_ends_what_is_held_still() {
    let mut stage = Stage::live();
    stage.press("z");
    stage.tell(Msg::Resize { width: 100, height: 30 });
    assert_eq!(stage.model.context(), Context::Overview);
}

#[test]
fn a_saved_screen_is_told_and_so_is_one_that_could_not_be() {
    let mut stage = Stage::live();
    assert_eq!(stage.press("w"), [Effect::Save]);
    stage.tell(Msg::Saved(Ok("smoothtool-2026-01-02T140207".into())));
    assert!(stage.text(80, 24).contains("saved smoothtool-2026-01-02T140207.txt and"));
    stage.tell(Msg::Saved(Err("permission denied".into())));
    assert!(stage.text(80, 24).contains("could not save the screen: permission denied"));
}
