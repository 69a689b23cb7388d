//! The mouse: it selects what was painted, opens and scrolls, and never commands anything.

use smoothserve_protocol::snapshot::ServiceState;
use smoothtool::effect::{Effect, Order};
use smoothtool::model::Screen;
use smoothtool::msg::{Msg, Turn};

use crate::stage::Stage;
use crate::support::world;

/// A console with the mouse on, `width` by `height`.
fn stage(width: u16, height: u16) -> Stage {
    let mut stage = Stage::live();
    stage.tell(Msg::Resize { width, height });
    assert_eq!(stage.press("m"), [Effect::Mouse(true)]);
    stage
}

/// The row in which `name` is.
fn row_of(stage: &mut Stage, name: &str) -> u16 {
    let (width, height) = stage.model.size;
    let frame = stage.text(width, height);
    let row = frame.lines().skip(3).position(|line| {
        let start: String = line.chars().take(14).collect();
        start.contains(name)
    });
    u16::try_from(row.unwrap() + 3).unwrap()
}

fn click(stage: &mut Stage, row: u16) -> Vec<Effect> {
    let effects = stage.tell(Msg::Click { column: 5, row });
    stage.paint();
    effects
}

fn selected(stage: &Stage) -> Option<&str> {
    stage.model.selection.name().map(|name| name.as_str())
}

#[test]
fn a_click_selects_and_the_next_one_opens() {
    for (width, height) in [(40, 12), (80, 24), (120, 40), (200, 60)] {
        for name in ["assets", "www", "api"] {
            let mut stage = stage(width, height);
            let row = row_of(&mut stage, name);
            click(&mut stage, row);
            assert_eq!(selected(&stage), Some(name), "{width}x{height}");
            assert_eq!(stage.model.screen, Screen::Overview);
            click(&mut stage, row);
            assert_eq!(stage.model.screen, Screen::Service(world::name(name)));
        }
    }
}

#[test]
fn a_click_is_about_what_was_painted_there() {
    let mut stage = stage(80, 24);
    let row = row_of(&mut stage, "www");
    let mut overview = world::overview();
    let www = overview.services.iter_mut().find(|service| service.name.as_str() == "www").unwrap();
    www.state = ServiceState::Failed;
    stage.overview(overview);
    assert_ne!(row_of(&mut stage, "www"), row, "it moved, and that is not painted yet");
    click(&mut stage, row);
    assert_eq!(selected(&stage), Some("www"));

    let row = row_of(&mut stage, "auth");
    let mut overview = world::overview();
    overview.services.retain(|service| service.name.as_str() != "auth");
    stage.overview(overview);
    click(&mut stage, row);
    assert_eq!(
        selected(&stage),
        Some("www"),
        "what is gone is not selected, nor what took its place"
    );
}

#[test]
fn a_frame_that_has_not_arrived_was_not_seen() {
    let mut stage = stage(80, 24);
    let row = row_of(&mut stage, "www");
    let mut overview = world::overview();
    overview.services.retain(|service| service.name.as_str() != "auth");
    stage.overview(overview);
    stage.tell(Msg::Sent);
    stage.tell(Msg::Click { column: 5, row });
    assert_eq!(selected(&stage), Some("www"));
}

#[test]
fn nothing_is_clicked_beside_the_list_or_while_the_mouse_is_off() {
    let mut stage = stage(80, 24);
    for row in [0, 1, 2, 3, 15, 20, 23, 400] {
        click(&mut stage, row);
        assert_eq!(selected(&stage), Some("billing"), "{row}");
    }
    let row = row_of(&mut stage, "www");
    assert_eq!(stage.press("m"), [Effect::Mouse(false)]);
    click(&mut stage, row);
    stage.tell(Msg::Wheel(Turn::Down));
    assert_eq!(selected(&stage), Some("billing"));
}

#[test]
fn the_wheel_moves_the_cursor_and_scrolls() {
    let mut stage = stage(80, 24);
    stage.tell(Msg::Wheel(Turn::Down));
    stage.tell(Msg::Wheel(Turn::Down));
    assert_eq!(stage.model.selection.row(), 2);
    stage.tell(Msg::Wheel(Turn::Up));
    assert_eq!(stage.model.selection.row(), 1);
    stage.press("3");
    stage.tell(Msg::Wheel(Turn::Up));
    assert_eq!(stage.model.events.index() + 3, stage.model.events.shown() - 1);
    stage.tell(Msg::Wheel(Turn::Down));
    assert!(stage.model.events.is_following());
}

#[test]
fn the_mouse_never_commands_anything() {
    for keys in ["", "\r", "3", "l", "h", "?", "r", "x", "jx", "u"] {
        let mut stage = stage(80, 24);
        stage.press("j");
        stage.press(keys);
        stage.pass(1_000);
        let front = stage.model.front.clone();
        for row in 0..24 {
            for column in 0..80 {
                let effects = stage.tell(Msg::Click { column, row });
                let acts = |effect: &Effect| matches!(effect, Effect::Order(Order::Act { .. }));
                assert!(!effects.iter().any(acts), "{keys:?} {column} {row}");
            }
        }
        assert_eq!(stage.model.front, front, "{keys:?}: no question is answered or closed");
    }
}
