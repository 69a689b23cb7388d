//! Every screen in every size and look, from the fixed world.

use std::time::Duration;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;
use smoothserve_protocol::event::Cause;
use smoothserve_protocol::message::Push;
use smoothtool::console::text;
use smoothtool::input::Key;
use smoothtool::msg::{Msg, Report};
use smoothtool::style::Background;

use crate::stage::{Stage, both};
use crate::support::world;

const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 40), (200, 60)];

/// Brings a stage to a screen.
type Way = fn(&mut Stage);

const SCREENS: &[(&str, Way)] = &[
    ("overview", |_| {}),
    ("filtered", |stage| {
        stage.press("ooo/!api state:re");
        stage.overview(crate::support::world::overview());
        stage.detail();
    }),
    ("service", |stage| {
        stage.select("api");
        stage.press("\r");
        stage.detail();
        stage.text(120, 40);
        stage.answer_logs(world::logs());
    }),
    ("quiet_service", |stage| {
        stage.select("billing");
        stage.press("\r");
        stage.detail();
        stage.text(120, 40);
        let mut batch = world::logs();
        batch.lines.truncate(3);
        stage.answer_logs(batch);
    }),
    ("config_problem", |stage| {
        stage.overview(world::misconfigured());
        stage.select("api");
    }),
    ("events", |stage| {
        stage.press("3");
    }),
    ("events_found", |stage| {
        stage.press("3v/try\r");
    }),
    ("events_pattern", |stage| {
        stage.press("3kk&www|(b\r");
    }),
    ("paused_service", |stage| {
        stage.select("api");
        stage.press("\r");
        let mut detail = crate::support::world::api();
        let operation = detail.operation.as_mut().unwrap();
        operation.paused_by = Some(Cause::Operator("ops@bastion".into()));
        stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    }),
    ("history", |stage| {
        stage.press("h");
        stage.answer_receipts(world::past());
        stage.press("j");
    }),
    ("receipt", |stage| {
        stage.press("h");
        stage.answer_receipts(world::past());
        stage.press("\r");
    }),
    ("logs", |stage| {
        stage.select("api");
        stage.press("l");
        stage.answer_logs(world::logs());
    }),
    ("logs_wrapped", |stage| {
        stage.select("api");
        stage.press("\rlw");
        stage.answer_logs(world::logs());
    }),
    ("logs_found", |stage| {
        stage.select("api");
        stage.press("lv/pool");
        stage.answer_logs(world::logs());
        stage.press("\r/ti");
    }),
    ("logs_pattern", |stage| {
        stage.select("api");
        stage.press("l&/v1|at\r");
        stage.answer_logs(world::logs());
        stage.text(80, 24);
        stage.key(Key::Right);
    }),
    ("confirm_pause", |stage| {
        stage.select("api");
        stage.press("\rp");
    }),
    ("confirm_abort", |stage| {
        stage.select("api");
        stage.press("\rx");
    }),
    ("confirm_cut", |stage| {
        stage.select("api");
        stage.press("\rXap");
    }),
    ("confirm_restart", |stage| {
        stage.select("search");
        stage.press("r");
        stage.answer_plan(crate::support::world::plan("search"));
    }),
    ("confirm_limit", |stage| {
        stage.select("search");
        stage.press("r");
        stage.answer_plan(crate::support::world::plan("search"));
        stage.press("++");
    }),
    ("confirm_kill", |stage| {
        stage.select("www");
        stage.press("Xww");
    }),
    ("confirm_several", |stage| {
        stage.press("gj j  r");
    }),
    ("confirm_stop_several", |stage| {
        stage.press("gj j  x4");
    }),
    ("batch", |stage| {
        stage.press("gj j  ry");
    }),
    ("confirm_stop", |stage| {
        stage.select("www");
        stage.press("xww");
    }),
    ("help", |stage| {
        stage.press("?");
    }),
    ("help_search", |stage| {
        stage.select("api");
        stage.press("\r");
        stage.write("?/re");
        stage.key(Key::Down);
    }),
    ("palette", |stage| {
        stage.select("search");
        stage.press(":re\t");
    }),
    ("palette_problem", |stage| {
        stage.give("restart api --on-drain-timeout kill");
    }),
    ("page", |stage| {
        stage.give("why api");
        stage.answer_page(world::status());
    }),
    ("page_table", |stage| {
        stage.give("status --wide");
        stage.answer_page(world::status());
        stage.press("G");
    }),
];

fn looks() -> [(&'static str, Stage); 3] {
    let unicode = [("LANG", "C.UTF-8"), ("TERM", "xterm")];
    let ascii = [("LANG", "C"), ("TERM", "xterm")];
    let plain = [("LANG", "C.UTF-8"), ("TERM", "xterm"), ("NO_COLOR", "1")];
    [
        ("unicode", Stage::with(&unicode, false).connected()),
        ("ascii", Stage::with(&ascii, false).connected()),
        ("no_colour", Stage::with(&plain, false).connected()),
    ]
}

/// A minute of samples, so that sparklines have something to show.
fn warm_up(stage: &mut Stage) {
    for second in 0..60 {
        let mut overview = crate::support::world::overview();
        for (i, row) in (0..).zip(&mut overview.services) {
            row.traffic.milli_rps = row.traffic.milli_rps * (20 + (second * (i + 3)) % 17) / 36;
        }
        stage.overview(overview);
        stage.pass(1_000);
    }
    stage.overview(crate::support::world::overview());
    stage.detail();
    stage.paint();
}

/// The connection broke 24 s ago.
fn lose(stage: &mut Stage) {
    let why = "connection refused".to_owned();
    stage.pass(21_000);
    stage.net(Report::Down { why, failures: 5, retry_in: Duration::from_secs(6) });
    stage.pass(3_000);
}

#[test]
fn every_screen_in_every_look() {
    for (look, mut stage) in looks() {
        warm_up(&mut stage);
        for (screen, way) in SCREENS.iter().copied() {
            let mut stage = Stage { model: stage.model.clone(), now: stage.now };
            way(&mut stage);
            snapshot(&mut stage, &format!("{screen}_{look}"));
            if look == "unicode" {
                lose(&mut stage);
                snapshot(&mut stage, &format!("{screen}_stale"));
            }
        }
    }
}

fn snapshot(stage: &mut Stage, name: &str) {
    let frames: Vec<String> = SIZES
        .iter()
        .map(|&(width, height)| format!("{width}x{height}\n{}", both(&stage.frame(width, height))))
        .collect();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, frames.join("\n"));
    });
}

#[test]
fn the_first_frame_needs_no_daemon() {
    let mut stage = Stage::empty();
    let frame = stage.text(80, 24);
    assert!(frame.contains("connecting"), "{frame}");
    assert!(frame.contains("q quit"), "{frame}");
}

#[test]
fn the_smallest_frame_is_one_line() {
    let mut stage = Stage::live();
    assert_eq!(stage.text(30, 3).lines().next(), Some("21/23 lost 0 api 2/4"));
}

/// Every screen of a console that begins as `stage`, in every size, a single line too: live, held
/// still, and without the daemon.
fn every_frame(stage: &Stage) -> impl Iterator<Item = (String, Buffer)> {
    let sizes = SIZES.into_iter().chain([(30, 3)]);
    let places =
        SCREENS.iter().flat_map(move |screen| sizes.clone().map(move |size| (screen, size)));
    places.flat_map(|(&(screen, way), (width, height))| {
        let mut stage = Stage { model: stage.model.clone(), now: stage.now };
        way(&mut stage);
        let live = stage.frame(width, height);
        let mut held = Stage { model: stage.model.clone(), now: stage.now };
        held.press("z");
        let held = held.frame(width, height);
        lose(&mut stage);
        let stale = stage.frame(width, height);
        [("live", live), ("held still", held), ("stale", stale)]
            .map(|(how, frame)| (format!("{screen}, {width}x{height}, {how}"), frame))
    })
}

#[test]
fn no_screen_has_a_character_of_ambiguous_width() {
    use unicode_width::UnicodeWidthChar;
    let [(_, unicode), ..] = looks();
    for (place, frame) in every_frame(&unicode) {
        for c in text(&frame).chars().filter(|c| *c != '\n') {
            assert_eq!((c.width(), c.width_cjk()), (Some(1), Some(1)), "{place}: {c:?}");
        }
    }
}

#[test]
fn ascii_is_all_there_is_without_unicode() {
    let [_, (_, ascii), _] = looks();
    for (place, frame) in every_frame(&ascii) {
        assert!(text(&frame).is_ascii(), "{place}");
    }
}

#[test]
fn no_screen_has_a_colour_without_colours() {
    let [.., (_, plain)] = looks();
    for (place, frame) in every_frame(&plain) {
        let is_plain = |cell: &Cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset);
        assert!(frame.content.iter().all(is_plain), "{place}");
    }
}

#[test]
fn on_light_every_screen_is_the_same_but_for_yellow() {
    let [(_, dark), ..] = looks();
    let mut light = Stage { model: dark.model.clone(), now: dark.now };
    light.tell(Msg::Background(Background::Light));
    for ((place, dark), (_, light)) in every_frame(&dark).zip(every_frame(&light)) {
        let same = |dark: &Cell, light: &Cell| {
            let wanted = if dark.fg == Color::Yellow { Color::Magenta } else { dark.fg };
            // What an application printed in yellow is its own matter.
            let is_printed = place.starts_with("logs") || place.contains("service");
            let is_same = light.fg == wanted || light.fg == dark.fg && is_printed;
            is_same && (dark.symbol(), dark.modifier) == (light.symbol(), light.modifier)
        };
        let mut cells = dark.content.iter().zip(&light.content);
        assert!(cells.all(|(dark, light)| same(dark, light)), "{place}");
    }
}

#[test]
fn nothing_that_is_secondary_is_in_a_colour_that_backgrounds_have() {
    let [(_, unicode), ..] = looks();
    for (place, frame) in every_frame(&unicode) {
        // The log has the colours of who printed it.
        if place.starts_with("logs") || place.starts_with("service") {
            continue;
        }
        let wrong = [Color::DarkGray, Color::Black, Color::White, Color::Gray, Color::Blue];
        let is_readable = |cell: &Cell| !wrong.contains(&cell.fg) && cell.bg == Color::Reset;
        assert!(frame.content.iter().all(is_readable), "{place}");
    }
}

#[test]
fn a_picture_that_is_held_still_says_so_in_every_size() {
    let frames = SIZES.map(|(width, height)| {
        let mut stage = Stage::live();
        stage.text(width, height);
        stage.press("z");
        stage.pass(5_000);
        format!("{width}x{height}\n{}", both(&stage.frame(width, height)))
    });
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("frozen_unicode", frames.join("\n"));
    });
}

#[test]
fn states_are_told_apart_without_colour() {
    let [_, _, (_, mut stage)] = looks();
    let live = stage.text(80, 24);
    lose(&mut stage);
    let stale = stage.text(80, 24);
    assert_ne!(live, stale);
    assert!(stale.contains("lost ?"), "{stale}");
}
