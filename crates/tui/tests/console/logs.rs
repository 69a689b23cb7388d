//! The log view: what is asked for, what is shown, and that nothing printed reaches the terminal raw.

use std::time::Duration;

use smoothserve_protocol::id::{Generation, Slot};
use smoothserve_protocol::log::{LogBatch, LogLine, Stream};
use smoothtool::effect::{Effect, Order};
use smoothtool::input::Key;
use smoothtool::model::Screen;
use smoothtool::msg::{Msg, Report};

use crate::stage::Stage;
use crate::support::world;

/// In front of the log of `api`, which printed the usual.
fn reading() -> Stage {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\rl");
    stage.answer_logs(world::logs());
    stage.text(80, 24);
    stage
}

fn line(unix_ms: u64, text: &str) -> LogLine {
    LogLine {
        unix_ms,
        slot: Slot(0),
        generation: Generation(42),
        stream: Stream::Out,
        bytes: text.into(),
    }
}

fn batch(lines: Vec<LogLine>) -> LogBatch {
    LogBatch { missed: 0, lines }
}

/// So many more lines, which say their number.
fn more(from: u64, to: u64) -> LogBatch {
    batch((from..to).map(|n| line(world::NOON + n, &format!("line {n} here"))).collect())
}

/// The questions about what a service printed: which, and whether to follow.
fn asked(effects: &[Effect]) -> Vec<(&str, bool)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Order(Order::Logs { service, follow, .. }) => Some((service.as_str(), *follow)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_log_is_followed_while_it_is_on_the_screen_and_no_longer() {
    let mut stage = Stage::live();
    stage.select("api");
    assert_eq!(asked(&stage.press("l")), [("api", true)]);
    assert_eq!(asked(&stage.press("?\u{1b}/\u{1b}")), []);
    assert_eq!(asked(&stage.press("\u{1b}")), [("api", false)]);
    stage.select("www");
    assert_eq!(asked(&stage.press("l")), [("www", true)]);
}

/// In front of `api` in a frame that has room for its last lines.
fn looking() -> Stage {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    stage.text(120, 40);
    stage
}

#[test]
fn the_last_lines_are_asked_for_only_where_they_are_shown() {
    let mut stage = Stage::live();
    stage.select("api");
    assert_eq!(asked(&stage.press("\r")), [], "80x24 has no room for them");
    let effects = stage.tell(Msg::Resize { width: 120, height: 40 });
    assert_eq!(asked(&effects), [("api", true)]);
    assert_eq!(asked(&stage.press("?\u{1b}")), []);
    let effects = stage.tell(Msg::Resize { width: 80, height: 24 });
    assert_eq!(asked(&effects), [("api", false)]);
    assert_eq!(asked(&stage.press("l")), [("api", true)]);
}

#[test]
fn the_last_lines_are_below_what_is_known_of_a_service() {
    let mut stage = looking();
    assert!(stage.text(120, 40).contains("asking the daemon"));
    stage.answer_logs(world::logs());
    stage.print(more(0, 1));
    let frame = stage.text(120, 40);
    assert!(frame.contains("╌╌ logs   api, all instances ╌╌"), "{frame}");
    assert!(frame.contains("api-1   | line 0 here"), "{frame}");
    assert!(!stage.text(80, 24).contains("line 0 here"));
}

#[test]
fn a_log_that_fills_the_screen_is_asked_for_whole() {
    let mut stage = looking();
    stage.answer_logs(more(90, 100));
    let effects = stage.press("l");
    let lines: Vec<u32> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Order(Order::Logs { lines, .. }) => Some(*lines),
            _ => None,
        })
        .collect();
    assert_eq!(lines, [1_000]);
    assert!(stage.text(120, 40).contains("line 99 here"), "what is known stays meanwhile");
    stage.answer_logs(more(0, 100));
    let frame = stage.text(120, 40);
    assert!(frame.contains("line 70 here") && !frame.contains("missing"), "{frame}");
    assert_eq!(asked(&stage.press("\u{1b}")), [], "all of it is followed already");
    assert!(stage.text(120, 40).contains("line 99 here"));
}

#[test]
fn what_was_filtered_in_the_log_is_not_so_below_the_service() {
    let mut stage = reading();
    stage.press("&nothing\r");
    assert!(stage.text(120, 40).contains("nothing of that kind"));
    stage.press("\u{1b}");
    assert!(stage.text(120, 40).contains("GET /v1/export 200"));
}

#[test]
fn after_a_failed_build_its_last_words_are_below() {
    let mut stage = Stage::live();
    stage.select("billing");
    stage.press("\r");
    let said = "╌╌ last words   billing-2 exited with code 1 after 4.0s ╌╌";
    let frame = stage.text(120, 40);
    let (above, below) = frame.split_once(said).unwrap_or_else(|| panic!("{frame}"));
    assert!(below.contains(r"| database\x1b[2J is not there"), "{frame}");
    assert!(!above.contains("is not there"), "they are told once: {frame}");
    assert!(stage.text(80, 24).contains("is not there"), "where there is no room for more");
    stage.pass(10 * 60 * 1_000);
    stage.model.clock.set(world::NOON + 10 * 60 * 1_000);
    assert!(!stage.text(120, 40).contains(said), "by and by, what it says now matters more");
}

#[test]
fn escape_goes_back_to_where_one_came_from() {
    let mut stage = reading();
    stage.press("\u{1b}");
    assert_eq!(stage.model.screen, Screen::Service(world::name("api")));
    stage.press("\u{1b}l\u{1b}");
    assert_eq!(stage.model.screen, Screen::Overview);
}

#[test]
fn what_another_service_printed_is_not_mixed_in() {
    let mut stage = reading();
    stage.press("\u{1b}\u{1b}");
    stage.select("www");
    stage.press("l");
    stage.print(more(0, 1));
    assert!(!stage.text(80, 24).contains("line 0 here"), "it was pushed before the answer");
    stage.answer_logs(more(1, 2));
    stage.print(more(2, 3));
    let frame = stage.text(80, 24);
    assert!(!frame.contains("SIGTERM"), "{frame}");
    assert!(frame.contains("line 1 here") && frame.contains("line 2 here"), "{frame}");
}

#[test]
fn it_follows_until_one_scrolls_and_counts_what_is_newer() {
    let mut stage = reading();
    stage.print(more(0, 100));
    let frame = stage.text(80, 24);
    assert!(frame.contains("line 99 here") && frame.contains("following"), "{frame}");
    stage.press("k");
    stage.print(more(100, 105));
    let frame = stage.text(80, 24);
    assert!(frame.contains("line 98 here") && !frame.contains("line 99 here"), "{frame}");
    assert!(frame.contains("+6 newer"), "{frame}");
    stage.press("g");
    assert!(stage.text(80, 24).contains("GET /v1/items/88 404 3ms"));
    stage.press("f");
    assert!(stage.text(80, 24).contains("line 104 here"));
    stage.press("fG");
    assert!(stage.model.logs.is_following());
}

#[test]
fn what_it_prints_is_harmless() {
    let mut stage = reading();
    let evil = "\u{1b}]0;owned\u{7}\u{9b}31m\u{1b}[5A\u{202e}\rfirst";
    stage.print(batch(vec![line(world::NOON, evil)]));
    stage.press("w");
    for (width, height) in [(40, 12), (80, 24), (120, 40)] {
        let buffer = stage.frame(width, height);
        for cell in &buffer.content {
            assert!(!cell.symbol().chars().any(char::is_control), "{:?}", cell.symbol());
        }
    }
    let frame = stage.text(120, 40);
    assert!(frame.contains(r"\x1b]0;owned\x07\u{9b}31m\x1b[5A\u{202e}\rfirst"), "{frame}");
    assert!(frame.contains("ERROR pool timeout"), "colours go: {frame}");
}

#[test]
fn one_instance_or_one_level_is_shown_alone() {
    let mut stage = reading();
    stage.press("i");
    let frame = stage.text(80, 24);
    assert!(frame.contains("logs   api-1") && frame.contains("/healthz"), "{frame}");
    assert!(!frame.contains("POST /v1/cart"), "{frame}");
    stage.press("iiii");
    assert!(stage.text(80, 24).contains("api, all instances"));
    stage.press("v");
    let frame = stage.text(80, 24);
    assert!(frame.contains("level warning") && frame.contains("slow query"), "{frame}");
    assert!(frame.contains("at pool.get"), "the rest of the message: {frame}");
    assert!(!frame.contains("POST /v1/cart"), "{frame}");
    stage.press("v");
    let frame = stage.text(80, 24);
    assert!(frame.contains("level error") && !frame.contains("slow query"), "{frame}");
    stage.press("v");
    assert!(stage.text(80, 24).contains("POST /v1/cart"));
}

#[test]
fn what_is_looked_for_is_found_up_and_down() {
    let mut stage = reading();
    stage.print(more(0, 200));
    stage.press("/line 42\r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("line 42 here") && frame.contains("/ line 42"), "{frame}");
    stage.press("/here\rNN");
    let first = stage.model.logs.found;
    stage.press("n");
    assert!(stage.model.logs.found > first);
    stage.press("/no such line\r");
    assert!(stage.text(80, 24).contains("nothing has no such line"));
    stage.press("/abc");
    stage.key(Key::Backspace);
    assert!(stage.text(80, 24).contains("/ab_"));
    stage.press("\u{1b}");
    assert_eq!(stage.model.logs.needle, "no such line", "cancelled");
}

#[test]
fn the_colours_of_the_application_are_kept_and_a_hit_still_shows() {
    use ratatui::style::{Color, Modifier};
    let mut stage = reading();
    let colour = |stage: &mut Stage, row: u16, column: u16| {
        // Typing takes its time, and the daemon goes on talking.
        stage.overview(world::overview());
        let cell = stage.frame(80, 24)[(column, row)].clone();
        (cell.symbol().to_owned(), cell.fg, cell.modifier)
    };
    let plain = Modifier::empty();
    assert_eq!(colour(&mut stage, 3, 26), ("i".into(), Color::Green, plain));
    assert_eq!(colour(&mut stage, 3, 36), ("/".into(), Color::Reset, Modifier::UNDERLINED));
    assert_eq!(colour(&mut stage, 3, 49), ("4".into(), Color::Yellow, Modifier::REVERSED));
    stage.press("/404\r");
    let hit = Modifier::REVERSED | Modifier::UNDERLINED;
    assert_eq!(colour(&mut stage, 3, 49), ("4".into(), Color::Reset, hit), "told from its ground");
    stage.press("/fo  GET /v1/items/8\r");
    assert_eq!(colour(&mut stage, 3, 27), ("n".into(), Color::Green, plain));
    for column in 28..47 {
        assert_eq!(colour(&mut stage, 3, column).2, Modifier::REVERSED, "over two inks");
    }
    // Scrolled to the right, the inks go with their text.
    stage.key(Key::Right);
    assert_eq!(stage.model.logs.column, 27);
    assert_eq!(colour(&mut stage, 4, 26), ("s".into(), Color::Reset, Modifier::DIM));
}

#[test]
fn without_colour_only_the_shape_of_text_is_kept() {
    use ratatui::style::Color;
    let env = [("LANG", "C.UTF-8"), ("TERM", "xterm"), ("NO_COLOR", "1")];
    let mut stage = Stage::with(&env, false).connected();
    stage.select("api");
    stage.press("l");
    stage.answer_logs(world::logs());
    let frame = stage.frame(80, 24);
    assert!(frame.content.iter().all(|cell| cell.fg == Color::Reset));
    assert!(frame.content.iter().all(|cell| cell.bg == Color::Reset));
}

#[test]
fn what_matches_a_pattern_is_shown_alone() {
    let mut stage = reading();
    stage.press("&items/\\d+|CART\r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("& items/\\d+|CART"), "{frame}");
    assert!(frame.contains("/v1/items/88") && !frame.contains("/v1/cart"), "{frame}");
    stage.press("&items/\\d+|cart\r");
    stage.print(batch(vec![line(world::NOON, "a cart"), line(world::NOON, "a horse")]));
    let frame = stage.text(80, 24);
    assert!(frame.contains("/v1/items/88") && frame.contains("/v1/cart"), "{frame}");
    assert!(frame.contains("a cart") && !frame.contains("a horse"), "{frame}");
    stage.overview(world::overview());
    assert!(stage.text(40, 12).contains("& items/\\d+|cart ╌╌"), "it is said there too");
    stage.press("&(\r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("&(_  unclosed group") && !frame.contains("a horse"), "{frame}");
    stage.press("\u{1b}");
    assert!(!stage.text(80, 24).contains("a horse"), "cancelled");
    stage.press("&\r");
    assert!(stage.text(80, 24).contains("a horse"), "no pattern, everything");
}

#[test]
fn what_is_cut_is_reached_to_the_right_and_no_further() {
    let mut stage = reading();
    let end = "to+read+to+its+end 200 31ms";
    assert!(!stage.text(80, 24).contains(end));
    for _ in 0..9 {
        stage.key(Key::Right);
    }
    let frame = stage.text(80, 24);
    assert!(frame.contains(end) && frame.contains("from column 109"), "{frame}");
    for _ in 0..9 {
        stage.key(Key::Left);
    }
    assert!(stage.text(80, 24).contains("info  GET /v1/search"));
    stage.press("w");
    stage.key(Key::Right);
    let frame = stage.text(80, 24);
    assert!(frame.contains("lines are wrapped") && frame.contains("info  GET /v1/s"), "{frame}");
}

#[test]
fn after_a_break_it_is_asked_anew_and_nothing_is_shown_twice() {
    let mut stage = reading();
    stage.print(more(0, 3));
    let why = "connection refused".to_owned();
    stage.net(Report::Down { why, failures: 1, retry_in: Duration::from_millis(250) });
    let effects = stage.net(Report::Connected);
    assert_eq!(asked(&effects), [("api", true)]);
    stage.overview(world::overview());
    stage.answer_logs(more(1, 5));
    let frame = stage.text(80, 24);
    assert_eq!(frame.matches("line 2 here").count(), 1, "{frame}");
    assert!(frame.contains("line 4 here") && frame.contains("GET /healthz"), "{frame}");
}

#[test]
fn lines_that_were_missed_are_a_row() {
    let mut stage = reading();
    stage.print(LogBatch { missed: 1_204, ..more(0, 1) });
    let frame = stage.text(80, 24);
    assert!(frame.contains("1 204 lines missed"), "{frame}");
}

#[test]
fn a_service_that_is_unknown_is_told() {
    use smoothserve_protocol::message::Refusal;
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("l");
    let Some((ticket, _)) = stage.model.logs.asked else { panic!("not asked") };
    let refusal = Refusal::UnknownService { name: world::name("api"), known: Vec::new() };
    stage.net(Report::Logs { ticket, result: Err(refusal) });
    assert!(stage.text(80, 24).contains("no service is named api"));
}

#[test]
fn a_megabyte_a_second_is_ten_small_frames() {
    use smoothtool::model::Dirty;
    let mut stage = reading();
    stage.paint();
    for tenth in 0..10 {
        let lines = (0..1_000).map(|n| {
            let text = format!("info {tenth} {n} {}", "x".repeat(90));
            line(world::NOON + tenth * 100, &text)
        });
        stage.print(batch(lines.collect()));
        assert_eq!(stage.model.dirty, Dirty::ByData);
        let frame = stage.text(80, 24);
        assert!(frame.contains(&format!("info {tenth} 999")), "{frame}");
        let touched = std::cell::Cell::new(0);
        stage.model.logs.window(19, |_| {
            touched.set(touched.get() + 1);
            1
        });
        assert_eq!(touched.get(), 19, "one look at each line that is shown");
        stage.paint();
        stage.pass(100);
    }
    assert!(stage.model.logs.bytes() <= 8 << 20);
}
