//! The rules of the console: whom a key is about, when it is refused, what is asked first.

use std::time::Duration;

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::{Generation, OperationId, ServiceName};
use smoothserve_protocol::message::{Done, Push, Refusal, Request, Steer};
use smoothserve_protocol::snapshot::{InstanceState, ServiceDetail, ServiceState};
use smoothtool::effect::{Effect, Order, Ticket};
use smoothtool::input::Key;
use smoothtool::keymap::Context;
use smoothtool::model::{Front, Screen};
use smoothtool::msg::{Msg, Paste, Report};
use smoothtool::style::Role;

use crate::stage::Stage;
use crate::support::world;

/// The services that effects act on.
pub(crate) fn acted(effects: &[Effect]) -> Vec<&ServiceName> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Order(Order::Act {
                request:
                    Request::Start { service, .. }
                    | Request::Stop { service, .. }
                    | Request::Restart { service, .. }
                    | Request::Steer { service, .. },
                ..
            }) => Some(service),
            _ => None,
        })
        .collect()
}

fn selected(stage: &Stage) -> Option<&str> {
    stage.model.selection.name().map(ServiceName::as_str)
}

#[test]
fn the_cursor_stays_with_its_service_when_rows_move() {
    let mut stage = Stage::live();
    stage.select("www");
    let mut overview = world::overview();
    overview.services[6].state = ServiceState::Failed;
    stage.overview(overview);
    assert_eq!(selected(&stage), Some("www"));
    assert_eq!(stage.model.selection.row(), 0);
}

#[test]
fn a_vanished_service_leaves_the_cursor_nowhere() {
    let mut stage = Stage::live();
    stage.select("auth");
    let mut overview = world::overview();
    overview.services.retain(|row| row.name.as_str() != "auth");
    stage.overview(overview);
    stage.paint();
    assert_eq!(selected(&stage), None);
    assert_eq!(acted(&stage.press("u")).len(), 0);
    stage.press("j");
    assert_eq!(selected(&stage), Some("search"), "the one that took its place");
}

#[test]
fn a_start_does_not_ask() {
    let mut stage = Stage::live();
    stage.select("worker-ui");
    assert_eq!(acted(&stage.press("u")), [&world::name("worker-ui")]);
}

#[test]
fn a_restart_asks_for_one_key_and_carries_what_was_seen() {
    let mut stage = Stage::live();
    stage.select("search");
    assert_eq!(acted(&stage.press("r")).len(), 0);
    assert_eq!(stage.model.context(), Context::Limit);
    let effects = stage.press("y");
    let [Effect::Order(Order::Act { request, .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(
        *request,
        Request::Restart {
            service: world::name("search"),
            drain_timeout_ms: None,
            on_drain_timeout: None,
            expected: Some(Generation(13)),
            join: false,
            wait: false,
        }
    );
    assert_eq!(stage.model.context(), Context::Overview);
}

#[test]
fn a_stop_of_a_live_service_asks_for_its_name() {
    let mut stage = Stage::live();
    stage.select("www");
    stage.press("x");
    assert_eq!(acted(&stage.press("ww\r")).len(), 0, "not the whole name");
    assert_eq!(acted(&stage.press("w\r")), [&world::name("www")]);
}

#[test]
fn a_stop_of_what_does_not_serve_asks_for_one_key() {
    let mut stage = Stage::live();
    stage.select("worker-ui");
    stage.press("x");
    assert_eq!(stage.model.context(), Context::Question);
    assert_eq!(acted(&stage.press("y")), [&world::name("worker-ui")]);
}

#[test]
fn enter_and_escape_cancel() {
    for no in ["\r", "\u{1b}"] {
        let mut stage = Stage::live();
        stage.select("search");
        stage.press("r");
        assert_eq!(acted(&stage.press(no)).len(), 0);
        assert_eq!(stage.model.context(), Context::Overview);
        assert_eq!(acted(&stage.press("y")).len(), 0);
    }
}

#[test]
fn what_was_typed_before_the_question_could_be_read_is_no_answer() {
    let mut stage = Stage::live();
    stage.select("search");
    let mut effects = stage.key(Key::Char('r'));
    effects.extend(stage.key(Key::Char('y')));
    stage.paint();
    effects.extend(stage.key(Key::Char('y')));
    stage.pass(149);
    effects.extend(stage.key(Key::Char('y')));
    assert_eq!(acted(&effects).len(), 0);
    stage.pass(1);
    assert_eq!(acted(&stage.key(Key::Char('y'))).len(), 1);
}

#[test]
fn a_name_typed_ahead_is_not_typed() {
    let mut stage = Stage::live();
    stage.select("www");
    for c in "xwww".chars() {
        stage.key(Key::Char(c));
    }
    stage.paint();
    stage.pass(200);
    assert_eq!(acted(&stage.press("\r")).len(), 0);
}

#[test]
fn a_generation_that_moved_on_is_asked_about_again() {
    let mut stage = Stage::live();
    stage.select("search");
    stage.press("r");
    let mut overview = world::overview();
    overview.services[4].generation = Generation(14);
    stage.overview(overview);
    assert_eq!(acted(&stage.key(Key::Char('y'))).len(), 0, "not painted yet");
    let frame = stage.text(80, 24);
    assert!(frame.contains("It moved on from g13 to g14 meanwhile."), "{frame}");
    stage.paint();
    stage.pass(200);
    let effects = stage.press("y");
    let [Effect::Order(Order::Act { request: Request::Restart { expected, .. }, .. })] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(*expected, Some(Generation(14)));
}

#[test]
fn a_service_that_is_gone_is_no_longer_asked_about() {
    let mut stage = Stage::live();
    stage.select("search");
    stage.press("r");
    let mut overview = world::overview();
    overview.services.retain(|row| row.name.as_str() != "search");
    stage.overview(overview);
    assert_eq!(stage.model.front, None);
    assert!(stage.text(80, 24).contains("search is gone"));
}

#[test]
fn what_is_typed_is_seen_however_old_the_data_are() {
    let mut stage = Stage::live();
    stage.press("3");
    stage.pass(8_000);
    stage.press("/drain");
    let frame = stage.text(80, 24);
    assert!(frame.contains(" /drain_") && frame.contains("data from 14:02:07"), "{frame}");
}

#[test]
fn a_command_that_would_be_refused_is_no_hint() {
    let mut stage = Stage::live();
    stage.select("api");
    let last = |frame: String| frame.lines().last().map(str::to_owned).unwrap_or_default();
    let overview = last(stage.text(80, 24));
    assert!(overview.contains("x abort") && !overview.contains("r restart"), "{overview}");
    stage.press("\r");
    let service = last(stage.text(80, 24));
    assert!(service.contains("x abort") && !service.contains("u start"), "{service}");
    stage.press("1");
    stage.select("www");
    let ready = last(stage.text(80, 24));
    assert!(ready.contains("r restart  x stop  u start"), "{ready}");
}

#[test]
fn a_service_of_which_nothing_is_ready_is_bad() {
    let mut stage = Stage::live();
    let mut overview = world::overview();
    let billing = overview.services.iter_mut().find(|row| row.name == world::name("billing"));
    for pip in &mut billing.unwrap().pips {
        pip.state = InstanceState::Backoff;
    }
    stage.overview(overview);
    let frame = stage.frame(80, 24);
    let text = stage.text(80, 24);
    let row = text.lines().position(|line| line.contains("billing")).unwrap();
    let at = text.lines().nth(row).unwrap().split("0/2").next().unwrap().chars().count();
    let (column, row) = (u16::try_from(at).unwrap(), u16::try_from(row).unwrap());
    let bad = stage.model.look.theme.style(Role::Bad);
    assert_eq!(frame[(column, row)].fg, bad.fg.unwrap());
}

#[test]
fn old_data_refuses_commands_and_says_why() {
    let mut stage = Stage::live();
    stage.select("worker-ui");
    stage.pass(3_000);
    assert_eq!(acted(&stage.press("u")).len(), 0);
    let frame = stage.text(80, 24);
    assert!(frame.contains("◌ no data"), "{frame}");
    assert!(frame.contains("actions off until it is back"), "{frame}");
    assert!(frame.contains("lost ?"), "{frame}");
}

#[test]
fn what_is_off_is_said_once() {
    let mut stage = Stage::live();
    stage.select("search");
    stage.net(down());
    let off = |stage: &mut Stage| stage.text(80, 24).matches("actions off").count();
    assert_eq!(off(&mut stage), 1);
    stage.press("r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("\n actions off until it is back\n"), "{frame}");
    assert_eq!(off(&mut stage), 1);
    stage.pass(6_000);
    assert_eq!(off(&mut stage), 1, "as before");
}

#[test]
fn the_age_of_the_data_has_one_place() {
    for keys in ["", "\r", "3", "l", "h"] {
        let mut stage = Stage::live();
        stage.press(keys);
        stage.net(down());
        let row = |stage: &mut Stage, height| {
            let frame = stage.text(80, height);
            assert!(frame.lines().nth(2).unwrap().starts_with("╌╌ "), "its title stays: {frame}");
            frame.lines().position(|line| line.starts_with(" data from"))
        };
        assert_eq!(row(&mut stage, 24), Some(22), "{keys}");
        assert_eq!(row(&mut stage, 12), Some(10), "{keys}");
        stage.press("t");
        assert_eq!(row(&mut stage, 24), Some(21), "above what is said of a key: {keys}");
    }
}

#[test]
fn a_question_is_not_answered_while_the_daemon_is_away() {
    let mut stage = Stage::live();
    stage.select("search");
    stage.press("r");
    stage.net(down());
    stage.paint();
    assert_eq!(acted(&stage.press("y")).len(), 0);
    assert!(stage.model.front.is_some(), "it stays open");
}

fn down() -> Report {
    let why = "connection refused".to_owned();
    Report::Down { why, failures: 1, retry_in: Duration::from_millis(250) }
}

#[test]
fn read_only_refuses_commands_and_says_why() {
    let mut stage = Stage::with(&[("LANG", "C.UTF-8")], true).connected();
    stage.select("worker-ui");
    assert_eq!(acted(&stage.press("u")).len(), 0);
    let frame = stage.text(80, 24);
    assert!(frame.contains("read-only: actions are off"), "{frame}");
    assert!(!frame.contains("r restart"), "{frame}");
}

#[test]
fn a_command_waits_until_its_target_was_on_the_screen() {
    let mut stage = Stage::live();
    stage.select("www");
    stage.press("k");
    assert_eq!(selected(&stage), Some("worker-ui"));
    stage.key(Key::Char('j'));
    assert_eq!(acted(&stage.key(Key::Char('u'))).len(), 0);
    stage.paint();
    assert_eq!(acted(&stage.key(Key::Char('u'))), [&world::name("www")]);
}

#[test]
fn pasted_text_is_no_command() {
    let mut stage = Stage::live();
    let paste = Paste { characters: 4_096, line: "ru".repeat(2_048) };
    assert_eq!(acted(&stage.tell(Msg::Paste(paste.clone()))).len(), 0);
    assert!(stage.text(80, 24).contains("4096 pasted characters ignored"));
    stage.press("r");
    assert_eq!(acted(&stage.tell(Msg::Paste(paste))).len(), 0);
}

#[test]
fn pasted_text_is_text_where_text_is_typed() {
    let paste = |line: &str| Msg::Paste(Paste { characters: 99, line: line.to_owned() });
    for (keys, line, shown) in [
        (":re", "start api", ":restart api"),
        ("/st", "ate:re", "/state:re_"),
        ("3/dr", "aining", "/draining_"),
        ("3&^a", "pi", "&^api_"),
        ("?/co", "py", "/copy_"),
    ] {
        let mut stage = Stage::live();
        stage.press(keys);
        assert_eq!(acted(&stage.tell(paste(line))).len(), 0, "{keys}");
        let frame = stage.text(120, 40);
        assert!(frame.contains(shown) && !frame.contains("ignored"), "{keys}: {frame}");
    }
    // As with keys: not before the question could be read, and only return confirms.
    let mut stage = Stage::live();
    stage.select("www");
    stage.key(Key::Char('X'));
    stage.tell(paste("www"));
    stage.paint();
    stage.pass(200);
    assert_eq!(acted(&stage.press("\r")).len(), 0);
    assert_eq!(acted(&stage.tell(paste("www"))).len(), 0);
    stage.paint();
    assert_eq!(acted(&stage.press("\r")), [&world::name("www")]);
}

#[test]
fn a_paste_never_outgrows_a_line() {
    for keys in [":", "/", "3/", "?/"] {
        let mut stage = Stage::live();
        stage.press(keys);
        stage.tell(Msg::Paste(Paste { characters: 9_000, line: "商".repeat(9_000) }));
        let typed = match &stage.model.front {
            Some(Front::Palette(palette)) => palette.line.text(),
            Some(Front::Filter { typed, .. }) => typed,
            Some(Front::Find(entry)) => &entry.typed,
            Some(Front::Help(help)) => help.needle.text(),
            other => panic!("{other:?}"),
        };
        assert!((1..=400).contains(&typed.chars().count()), "{keys}");
        stage.text(80, 24);
    }
}

#[test]
fn a_refusal_is_shown_with_its_reason() {
    let mut stage = Stage::live();
    stage.select("search");
    stage.press("r");
    let effects = stage.press("y");
    let [Effect::Order(Order::Act { ticket, .. })] = effects[..] else { panic!("{effects:?}") };
    let what = "rolling restart by ops@bastion".to_owned();
    let refusal = Refusal::Conflict { operation: OperationId(17), what };
    stage.net(Report::Answered { ticket, result: Err(refusal) });
    let frame = stage.text(80, 24);
    assert!(frame.contains("op-17"), "{frame}");
    stage.pass(6_000);
    assert_eq!(stage.model.toast, None);
}

#[test]
fn what_is_said_of_a_key_is_gone_with_the_next_one() {
    let mut stage = Stage::live();
    stage.press("/zzz\r");
    stage.press("r");
    assert!(stage.text(80, 24).contains("no service selected"));
    stage.press("\u{1b}j");
    assert!(!stage.text(80, 24).contains("no service selected"));
}

#[test]
fn what_the_daemon_says_stays_while_keys_are_pressed() {
    let mut stage = Stage::live();
    stage.select("worker-ui");
    let effects = stage.press("u");
    let [Effect::Order(Order::Act { ticket, .. })] = effects[..] else { panic!("{effects:?}") };
    stage.net(Report::Answered { ticket, result: Ok(Done::AlreadySo) });
    stage.press("k");
    assert!(stage.text(80, 24).contains("worker-ui is running already"));
}

#[test]
fn an_answer_is_shown_once() {
    let mut stage = Stage::live();
    stage.select("worker-ui");
    let effects = stage.press("u");
    let [Effect::Order(Order::Act { ticket, .. })] = effects[..] else { panic!("{effects:?}") };
    stage.net(Report::Unanswered { ticket });
    assert!(stage.text(80, 24).contains("no answer; look before asking again"));
    stage.pass(6_000);
    stage.net(Report::Answered { ticket, result: Ok(Done::AlreadySo) });
    assert_eq!(stage.model.toast, None);
}

#[test]
fn the_focus_follows_the_cursor_and_the_screen() {
    let mut stage = Stage::live();
    let effects = stage.press("gj");
    let focus = |effects: &[Effect]| match effects.last() {
        Some(Effect::Order(Order::Subscribe { focus, .. })) => focus.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(focus(&effects), Some(world::name("api")));
    assert_eq!(stage.press("\r"), [], "it is in focus already");
    assert_eq!(stage.model.screen, Screen::Service(world::name("api")));
    assert_eq!(stage.press("3"), [], "and stays so");
}

#[test]
fn after_a_break_everything_is_asked_for_again() {
    let mut stage = Stage::live();
    stage.pass(1_000);
    stage.net(down());
    assert!(stage.text(80, 24).contains("✗ disconnected 1s"));
    stage.pass(24_000);
    let effects = stage.net(Report::Connected);
    let last = stage.model.events.last();
    assert!(last.is_some());
    assert_eq!(
        effects,
        [Order::Subscribe { focus: Some(world::name("billing")), events_after: last }.into()]
    );
    stage.overview(world::overview());
    let frame = stage.text(80, 24);
    assert!(frame.contains("▪ live"), "{frame}");
    assert!(frame.contains("connected again after 25s"), "{frame}");
}

#[test]
fn another_daemon_is_named_and_its_events_begin_anew() {
    let mut stage = Stage::live();
    let mut overview = world::overview();
    overview.daemon.pid = 902;
    overview.daemon.uptime_ms = 1_000;
    let effects = stage.overview(overview);
    assert!(effects.contains(&Order::History { limit: 500 }.into()), "{effects:?}");
    assert!(stage.text(80, 24).contains("daemon is new (pid 902, was 811)"));
}

#[test]
fn a_daemon_that_said_good_bye_is_not_an_alarm() {
    let mut stage = Stage::live();
    stage.net(Report::Push(Push::Bye { reason: "upgrade to 0.9.3".into() }));
    stage.net(down());
    stage.pass(3_000);
    let frame = stage.text(80, 24);
    assert!(frame.contains("◌ announced its end 3s ago"), "{frame}");
    assert!(frame.contains("upgrade to 0.9.3"), "{frame}");
}

#[test]
fn lost_requests_stay_red_until_they_are_noted() {
    use smoothtool::style::Role;
    use smoothtool::view::header::lost_figure;
    let mut stage = Stage::live();
    let mut overview = world::overview();
    overview.daemon.traffic.lost = 2;
    stage.overview(overview);
    assert_eq!(lost_figure(&stage.model), ("2".to_owned(), Role::Bad));
    stage.press("L");
    assert_eq!(lost_figure(&stage.model), ("2".to_owned(), Role::Ok));
}

#[test]
fn a_ledger_that_does_not_add_up_is_shown_after_three_samples() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    let mut detail = world::api();
    detail.operation.as_mut().unwrap().ledger.accepted += 5;
    for samples in 1..=3 {
        let frame = stage.text(80, 24);
        assert!(!frame.contains("unaccounted"), "after {samples}: {frame}");
        stage.net(Report::Push(Push::Service(Some(Box::new(detail.clone())))));
    }
    let frame = stage.text(80, 24);
    assert!(frame.contains("unaccounted 5"), "{frame}");
}

#[test]
fn a_new_generation_that_does_worse_is_marked_in_every_frame() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    let mut show = |p99_ms, failed, width, height| {
        let mut detail = world::api();
        detail.operation.as_mut().unwrap().canary = Some(world::canary(p99_ms, failed));
        stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
        let frame = stage.text(width, height);
        let lines = frame.lines().filter(|line| line.contains("g42 2 ready"));
        lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("")
    };
    for (p99_ms, failed, width, height, expected) in [
        (
            82,
            0,
            120,
            40,
            "   g41 1 ready 408/s p99 91ms err 0.00%   g42 2 ready 816/s p99 82ms err 0.00%",
        ),
        (
            182,
            0,
            120,
            40,
            "   g41 1 ready 408/s p99 91ms err 0.00%   g42 2 ready 816/s !p99 182ms err 0.00%   slower",
        ),
        (
            82,
            490,
            80,
            24,
            "   g41 1 ready 408/s p99 91ms err 0.00%   g42 2 ready 816/s p99 82ms !err 1.00%",
        ),
        (1_820, 490, 80, 24, "   g42 2 ready 816/s !p99 1.82s !err 1.00%   slower, fails more"),
        (182, 0, 40, 24, " g42 2 ready 816/s !p99 182ms err 0.00%"),
        (1_820, 490, 40, 24, " g42 2 ready 816/s !p99 1.82s !err 1.00%"),
        (1_820, 490, 39, 24, " g42 2 ready !p99 1.82s !err 1.00%"),
        // The instances come first.
        (1_820, 490, 40, 12, ""),
    ] {
        assert_eq!(show(p99_ms, failed, width, height), expected, "{width}x{height}");
    }
}

#[test]
fn a_wide_frame_tells_which_instance_fails() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    let mut detail = world::api();
    detail.instances[1].errors_ppm = 12_300;
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    let row = |frame: &str| frame.lines().find(|line| line.contains("api-2")).unwrap().to_owned();
    let frame = stage.text(200, 60);
    assert!(frame.contains("P99  ERR%  UP"), "{frame}");
    assert!(row(&frame).contains("82ms  1.23  21s"), "{frame}");
    // The note about a drain is worth more.
    let frame = stage.text(120, 40);
    assert!(!row(&frame).contains("1.23") && frame.contains("11 done, 3 to go"), "{frame}");
}

#[test]
fn what_moved_is_taken_over_and_ages_go_on_meanwhile() {
    let mut stage = Stage::live();
    let age = |stage: &mut Stage, name: &str| {
        let frame = stage.text(120, 24);
        let row = frame.lines().find(|line| line.contains(name)).unwrap().to_owned();
        row.split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!(
        (age(&mut stage, "www"), age(&mut stage, "billing")),
        ("3m55".into(), "2m16".into())
    );
    let before = world::overview();
    let mut now = before.clone();
    now.daemon.uptime_ms += 61_000;
    now.daemon.unix_ms += 61_000;
    now.services.iter_mut().for_each(|row| row.since_ms += 61_000);
    now.services[3].state = ServiceState::Ready;
    now.services[3].since_ms = 2_000;
    now.services[6].traffic.milli_rps = 777_000;
    let moved = now.moved_since(&before).unwrap();
    assert_eq!((moved.rows.len(), moved.figures.as_ref().map(Vec::len)), (1, Some(1)));
    stage.pass(61_000);
    stage.net(Report::Push(Push::OverviewMoved(moved)));
    assert_eq!((age(&mut stage, "www"), age(&mut stage, "billing")), ("4m56".into(), "2s".into()));
    let frame = stage.text(120, 24);
    assert!(frame.contains("live") && frame.contains("14:03:08"), "{frame}");
    let row = |name: &str| frame.lines().find(|line| line.contains(name)).unwrap();
    assert!(row("www").contains("777") && row("billing").contains("ready"), "{frame}");
}

#[test]
fn what_moved_in_another_service_or_before_anything_was_told_is_no_matter() {
    let mut empty = Stage::empty();
    empty.net(Report::Connected);
    let before = world::overview();
    let moved = before.moved_since(&before).unwrap();
    empty.net(Report::Push(Push::OverviewMoved(moved)));
    assert_eq!(empty.model.world.rows(), []);

    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    let mut now = world::api();
    now.ledger.accepted += 1;
    now.operation.as_mut().unwrap().ledger.accepted = 18_777;
    let moved = now.moved_since(&world::api()).unwrap();
    let mut other = moved.clone();
    other.row = world::quiet("www").row;
    let frame = stage.text(80, 24);
    stage.net(Report::Push(Push::ServiceMoved(Box::new(other))));
    assert_eq!(stage.text(80, 24), frame);
    stage.net(Report::Push(Push::ServiceMoved(Box::new(moved))));
    assert!(stage.text(80, 24).contains("18 777"));
}

#[test]
fn a_restart_that_is_paused_or_ended_says_so() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    let mut detail = world::api();
    let operation = detail.operation.as_mut().unwrap();
    operation.paused_by = Some(Cause::Operator("ops@bastion".into()));
    stage.net(Report::Push(Push::Service(Some(Box::new(detail.clone())))));
    let frame = stage.text(80, 24);
    assert!(frame.contains("draining api-3, then paused by ops@bas"), "{frame}");
    detail.operation.as_mut().unwrap().aborting = true;
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    let frame = stage.text(80, 24);
    assert!(frame.contains("aborting, draining api-3"), "{frame}");
}

#[test]
fn what_is_unhealthy_or_stale_is_marked_and_named() {
    let mut stage = Stage::live();
    let mut overview = world::overview();
    let row = &mut overview.services[2];
    row.stale_config = true;
    row.pips[1].state = InstanceState::Unhealthy;
    stage.overview(overview);
    stage.select("auth");
    let frame = stage.text(80, 24);
    assert!(frame.contains(" ▸!auth             ready       ▪?▪"), "{frame}");
    stage.press("\r");
    let mut detail = world::detail("auth");
    detail.instances[1].state = InstanceState::Unhealthy;
    let problem = "error: unknown key `prot`\n --> /srv/auth.yaml:3:5\n  |";
    detail.config_problem = Some(problem.into());
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    let frame = stage.text(80, 24);
    assert!(frame.contains("! config: /srv/auth.yaml:3:5: unknown key `prot`"), "{frame}");
    assert!(frame.contains("g13  unhealthy "), "{frame}");
}

#[test]
fn control_c_leaves_from_everywhere() {
    for keys in ["", "?", "r", "x", "3", "\r"] {
        let mut stage = Stage::live();
        stage.select("www");
        stage.press(keys);
        assert_eq!(stage.key(Key::Ctrl('c')), [Effect::Quit], "{keys:?}");
    }
}

#[test]
fn help_closes_and_leaves_the_screen_as_it_was() {
    let mut stage = Stage::live();
    stage.press("3?");
    assert!(matches!(stage.model.front, Some(Front::Help { .. })));
    stage.press("\u{1b}");
    assert_eq!(stage.model.screen, Screen::Events);
}

/// The requests that effects send.
fn asked(effects: &[Effect]) -> Vec<&Request> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Order(Order::Act { request, .. }) => Some(request),
            _ => None,
        })
        .collect()
}

fn steers(steer: Steer) -> Request {
    Request::Steer { service: world::name("api"), operation: Some(OperationId(17)), steer }
}

/// In front of `api`, which is in the middle of a rolling restart.
fn restarting() -> Stage {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    stage.detail();
    stage.paint();
    stage
}

fn tell_detail(stage: &mut Stage, change: impl FnOnce(&mut ServiceDetail)) {
    let mut detail = world::api();
    change(&mut detail);
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    stage.paint();
    stage.pass(200);
}

fn paused_by_ops(detail: &mut ServiceDetail) {
    let operation = detail.operation.as_mut().unwrap();
    operation.paused_by = Some(Cause::Operator("ops@bastion".into()));
}

#[test]
fn a_restart_is_paused_and_resumed_with_the_same_key() {
    let mut stage = restarting();
    assert!(stage.text(80, 24).contains("p pause after this one"));
    assert_eq!(stage.press("p"), [], "it asks first");
    assert_eq!(asked(&stage.press("y")), [&steers(Steer::Pause)]);
    tell_detail(&mut stage, paused_by_ops);
    let frame = stage.text(80, 24);
    assert!(frame.contains("! paused by ops@bastion: no further turn begins"), "{frame}");
    assert!(frame.contains(" p resume "), "{frame}");
    stage.press("p");
    let frame = stage.text(80, 24);
    assert!(frame.contains("It was paused by"), "{frame}");
    assert_eq!(asked(&stage.press("y")), [&steers(Steer::Resume)]);
}

#[test]
fn a_restart_that_runs_is_ended_before_its_service_is_stopped() {
    let mut stage = restarting();
    stage.press("x");
    let frame = stage.text(80, 24);
    assert!(frame.contains("End the restart of api here?"), "{frame}");
    assert!(frame.contains("smoothtool abort api --operation op-17"), "{frame}");
    assert_eq!(asked(&stage.press("y")), [&steers(Steer::Abort)]);

    stage.press("xx");
    let frame = stage.text(80, 24);
    assert!(frame.contains("Stop api?  This takes a live service down."), "{frame}");
    let effects = stage.press("api\r");
    assert!(matches!(asked(&effects)[..], [Request::Stop { .. }]), "{effects:?}");
}

#[test]
fn a_drain_is_given_a_minute_without_a_question() {
    let mut stage = restarting();
    let effects = stage.press("+");
    assert_eq!(asked(&effects), [&steers(Steer::Extend { by_ms: 60_000 })]);
    let [Effect::Order(Order::Act { ticket, .. })] = effects[..] else { panic!("{effects:?}") };
    let done = Done::Steered { operation: OperationId(17) };
    stage.net(Report::Answered { ticket, result: Ok(done) });
    assert!(stage.text(80, 24).contains("op-17 has 1m00 more to drain"));
}

#[test]
fn cutting_requests_takes_the_name_and_names_them() {
    let mut stage = restarting();
    stage.press("X");
    let frame = stage.text(80, 24);
    assert!(frame.contains("3 requests inside api-3: cut at once."), "{frame}");
    assert!(frame.contains("GET /v1/export 1.9s from 10.0.0.7:4312"), "{frame}");
    assert_eq!(acted(&stage.press("y\r")).len(), 0);
    stage.press("\u{1b}X");
    assert_eq!(asked(&stage.press("api\r")), [&steers(Steer::Cut)]);
}

#[test]
fn what_is_cut_is_what_was_drained_when_it_was_asked() {
    let mut stage = restarting();
    stage.press("Xapi");
    let mut detail = world::api();
    detail.instances[3].drain = detail.instances[2].drain.take();
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    assert_eq!(acted(&stage.key(Key::Enter)).len(), 0, "not painted yet");
    stage.paint();
    stage.pass(200);
    assert!(stage.text(80, 24).contains("Other instances drain than a moment ago."));
    assert_eq!(acted(&stage.press("\r")).len(), 0, "the name has to be typed anew");
    assert_eq!(asked(&stage.press("api\r")), [&steers(Steer::Cut)]);
}

#[test]
fn a_question_about_a_restart_that_has_ended_goes_away() {
    for key in ["p", "x", "X"] {
        let mut stage = restarting();
        stage.press(key);
        let mut overview = world::overview();
        overview.services[0].operation = None;
        stage.overview(overview);
        assert_eq!(stage.model.front, None, "{key}");
        assert!(stage.text(80, 24).contains("op-17 of api has ended"), "{key}");
        assert_eq!(acted(&stage.press("y")).len(), 0, "{key}");
    }
}

#[test]
fn another_restart_than_the_one_on_the_screen_is_not_extended() {
    let mut stage = restarting();
    let mut overview = world::overview();
    overview.services[0].operation.as_mut().unwrap().id = OperationId(18);
    stage.overview(overview);
    let mut detail = world::api();
    detail.operation.as_mut().unwrap().summary.id = OperationId(18);
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    assert_eq!(acted(&stage.key(Key::Char('+'))).len(), 0);
    assert!(stage.text(80, 24).contains("the restart had not been drawn yet"));
    stage.paint();
    stage.pass(200);
    let effects = stage.press("+");
    let [Request::Steer { operation, .. }] = asked(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(*operation, Some(OperationId(18)));
}

#[test]
fn there_is_no_course_to_change_without_a_restart() {
    let mut stage = Stage::live();
    stage.select("www");
    stage.press("\r");
    stage.detail();
    for key in ["p", "+"] {
        assert_eq!(acted(&stage.press(key)).len(), 0, "{key}");
        assert_eq!(stage.model.front, None, "{key}");
    }
    let frame = stage.text(120, 40);
    assert!(frame.contains("no rolling restart runs"), "{frame}");
    assert!(!frame.contains("p pause"), "{frame}");
}

#[test]
fn a_read_only_console_offers_no_course() {
    let mut stage = Stage::with(&[("LANG", "C.UTF-8")], true).connected();
    stage.select("api");
    stage.press("\r");
    stage.detail();
    for key in ["p", "+", "X", "x", "r", "u"] {
        assert_eq!(acted(&stage.press(key)).len(), 0, "{key}");
        assert_eq!(stage.model.front, None, "{key}");
    }
    let frame = stage.text(120, 40);
    for hint in ["p pause", "+ 60s", "X cut", "x stop", "r restart"] {
        assert!(!frame.contains(hint), "{hint}: {frame}");
    }
}

#[test]
fn everything_that_a_drain_waits_for_is_named_oldest_first() {
    let mut stage = restarting();
    tell_detail(&mut stage, |detail| {
        let drain = detail.instances[2].drain.as_mut().unwrap();
        let mut young = drain.blockers[0].clone();
        (young.age_ms, young.path) = (700, "/v1/\u{1b}[2Jsocket".into());
        (young.method, young.tunnel) = ("GET".into(), true);
        drain.blockers.insert(0, young);
    });
    let frame = stage.text(120, 40);
    let (old, young) = (frame.find("/v1/export"), frame.find(r"tunnel GET /v1/\x1b[2Jsocket"));
    assert!(old.is_some() && old < young, "{frame}");
    assert!(frame.contains("from 10.0.0.7:4312"), "{frame}");
    assert!(frame.contains("and 1 more"), "{frame}");
    assert!(stage.text(40, 12).contains("waits 1.9s for GET /v1/export"));
}

#[test]
fn a_restart_that_failed_tells_why_with_its_last_words() {
    let mut stage = Stage::live();
    stage.select("billing");
    stage.press("\r");
    let mut detail = world::halted();
    detail.row.name = world::name("billing");
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    let frame = stage.text(120, 40);
    assert!(frame.contains("billing-2 exited with code 1 after 4.0s"), "{frame}");
    assert!(frame.contains(r"| database\x1b[2J is not there"), "{frame}");
    assert!(frame.contains("! billing-1 took 9.0s to exit"), "{frame}");
}

#[test]
fn a_restart_question_promises_no_generation() {
    let mut stage = Stage::live();
    stage.select("search");
    stage.press("r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("Restart search, now on g13?"), "{frame}");
    assert!(!frame.contains("g14"), "{frame}");
}

#[test]
fn a_configuration_that_cannot_be_used_is_named_on_every_screen() {
    for keys in ["", "\r", "3", "l", "h", "?"] {
        let mut stage = Stage::live();
        stage.select("api");
        stage.press(keys);
        let before = stage.text(80, 24);
        assert!(!before.contains("config:"), "{before}");
        stage.overview(world::misconfigured());
        let frame = stage.text(80, 24);
        let line = frame.lines().nth(2).unwrap();
        let problem = "/etc/smoothserve/smoothserve.yaml:3:1: unknown key `command_pr";
        assert!(line.starts_with(&format!(" ! config: {problem}")), "{keys:?}: {frame}");
        assert_eq!(before.lines().nth(2), frame.lines().nth(3), "nothing is hidden: {frame}");
        assert!(stage.text(40, 12).contains("! config: /etc/smoothserve"));
        stage.overview(world::overview());
        assert!(!stage.text(80, 24).contains("config:"));
    }
}

/// The names in the list, in the order shown.
fn listed(stage: &Stage) -> Vec<&str> {
    stage.model.list.shown().iter().map(ServiceName::as_str).collect()
}

#[test]
fn a_filter_works_as_it_is_typed() {
    let mut stage = Stage::live();
    stage.press("/w");
    assert_eq!(listed(&stage), ["webhooks", "worker-ui", "www"]);
    let frame = stage.text(80, 24);
    assert!(frame.contains("services 3 of 8"), "{frame}");
    assert!(frame.contains("sort state, name   / w"), "{frame}");
    assert!(frame.contains(" /w_ "), "{frame}");
    assert!(frame.contains("part of the name, state:ready, !not"), "{frame}");
    stage.press("w\r");
    assert_eq!(stage.model.context(), Context::Overview);
    assert_eq!(listed(&stage), ["www"], "kept");
    stage.press("\u{1b}");
    assert_eq!(listed(&stage).len(), 8);
}

#[test]
fn a_filter_is_of_states_and_of_what_is_not() {
    let mut stage = Stage::live();
    stage.press("/state:ready !w\r");
    assert_eq!(listed(&stage), ["assets", "auth", "search"]);
    let mut overview = world::overview();
    overview.services[1].state = ServiceState::Failed;
    stage.overview(overview);
    assert_eq!(listed(&stage), ["auth", "search"], "it follows the states");
    stage.press("/ zzz");
    assert!(stage.text(80, 24).contains("no service matches"));
    assert!(stage.text(40, 12).contains("no service matches"));
}

#[test]
fn the_cursor_waits_at_what_was_looked_for_and_comes_back() {
    let mut stage = Stage::live();
    stage.select("auth");
    stage.press("/xyz");
    assert_eq!(selected(&stage), None);
    for _ in 0..3 {
        stage.key(Key::Backspace);
    }
    assert_eq!(selected(&stage), Some("auth"), "it is shown again");
    stage.press("sear");
    assert_eq!(selected(&stage), Some("search"));
    stage.press("\u{1b}");
    assert_eq!(selected(&stage), Some("auth"), "nothing was chosen");
    stage.press("/sear\r");
    stage.overview(world::overview());
    stage.paint();
    stage.press("r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("Restart search"), "{frame}");
}

#[test]
fn a_service_that_data_filters_out_leaves_the_cursor_nowhere() {
    let mut stage = Stage::live();
    stage.press("/state:ready\r");
    stage.select("assets");
    let mut overview = world::overview();
    overview.services[1].state = ServiceState::Degraded;
    stage.overview(overview);
    stage.paint();
    assert_eq!(selected(&stage), None);
    assert_eq!(acted(&stage.press("u")).len(), 0);
    stage.overview(world::overview());
    assert_eq!(selected(&stage), None, "data moves it nowhere");
    assert_eq!(acted(&stage.press("u")).len(), 0);
}

/// The overview with the rates of `www` and `auth` changed.
fn rates(www: u64, auth: u64) -> smoothserve_protocol::snapshot::Overview {
    let mut overview = world::overview();
    overview.services[6].traffic.milli_rps = www;
    overview.services[2].traffic.milli_rps = auth;
    overview
}

#[test]
fn every_column_can_be_sorted_by() {
    let mut stage = Stage::live();
    let firsts = [("name", "api"), ("in flight", "api"), ("rps", "api"), ("p99", "webhooks")];
    for (name, first) in firsts.into_iter().chain([("errors", "billing"), ("lost", "api")]) {
        stage.press("o");
        let frame = stage.text(120, 40);
        assert!(frame.contains(&format!("sort {name} ")), "{name}: {frame}");
        assert_eq!(listed(&stage)[0], first, "{name}");
        assert_eq!(selected(&stage), Some("billing"), "the cursor stays with its service");
    }
    assert!(stage.text(120, 40).contains("LOST"));
    stage.press("oO");
    assert!(stage.text(120, 40).contains("sort state, name reversed"));
    assert_eq!(listed(&stage)[7], "billing");
    assert_eq!(listed(&stage)[0], "assets");
}

#[test]
fn rows_in_the_order_of_a_rate_move_once_a_second_at_most() {
    let mut stage = Stage::live();
    stage.press("ooo");
    assert_eq!(listed(&stage)[..2], ["api", "assets"]);
    stage.pass(400);
    stage.overview(rates(9_000_000, 0));
    assert_eq!(listed(&stage)[..2], ["api", "assets"], "not a second ago");
    stage.pass(600);
    stage.overview(rates(9_000_000, 0));
    assert_eq!(listed(&stage)[..2], ["www", "api"]);
    assert_eq!(selected(&stage), Some("billing"));
}

#[test]
fn no_row_moves_while_a_question_is_open() {
    for sort in ["", "ooo"] {
        let mut stage = Stage::live();
        stage.press(sort);
        stage.select("www");
        let before = stage.model.list.shown().to_vec();
        stage.press("r");
        for _ in 0..3 {
            stage.pass(1_000);
            let mut overview = rates(9_000_000, 0);
            overview.services[6].state = ServiceState::Failed;
            stage.overview(overview);
            assert_eq!(stage.model.list.shown(), before, "{sort:?}");
        }
        stage.press("\u{1b}");
        stage.pass(1_000);
        let mut overview = rates(9_000_000, 0);
        overview.services[6].state = ServiceState::Failed;
        stage.overview(overview);
        assert_ne!(stage.model.list.shown(), before, "{sort:?}: closed");
    }
}

/// Marks `names`, and leaves the cursor on the last of them.
fn mark(stage: &mut Stage, names: &[&str]) {
    for name in names {
        stage.select(name);
        stage.press(" ");
        stage.overview(world::overview());
        stage.paint();
    }
    stage.select(names.last().unwrap());
    stage.paint();
}

fn restart_of(name: &str, limit: Option<u64>, wait: bool) -> Request {
    Request::Restart {
        service: world::name(name),
        drain_timeout_ms: limit,
        on_drain_timeout: None,
        expected: Some(Generation(13)),
        join: false,
        wait,
    }
}

fn ticket_of(effects: &[Effect]) -> Ticket {
    let tickets: Vec<Ticket> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Order(Order::Act { ticket, .. }) => Some(*ticket),
            _ => None,
        })
        .collect();
    assert_eq!(tickets.len(), 1, "{effects:?}");
    tickets[0]
}

/// The daemon answers the command about the present one of several services.
fn answer_batch(stage: &mut Stage, result: Result<Done, Refusal>) -> Vec<Effect> {
    let ticket = stage.model.batch.as_ref().unwrap().ticket;
    stage.net(Report::Answered { ticket, result })
}

#[test]
fn a_batch_goes_on_when_the_one_before_is_done() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www", "assets"]);
    stage.press("r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("Restart 3 services, one after another?"), "{frame}");
    assert!(frame.contains("assets, search, www"), "in the order shown: {frame}");
    assert!(frame.contains("12 instances"), "{frame}");
    assert!(frame.contains("27 in flight are finished first."), "{frame}");
    assert!(frame.contains("same as  smoothtool restart assets search www"), "{frame}");
    let effects = stage.press("y");
    assert_eq!(asked(&effects), [&restart_of("assets", None, true)]);
    assert_eq!(acted(&stage.press("jk3?")).len(), 0, "nothing else happens before the answer");
    for keys in ["\u{1b}", "\u{1b}", "1"] {
        stage.press(keys);
        let frame = stage.text(80, 24);
        assert!(frame.contains("restarting 1 of 3: assets"), "on every screen: {frame}");
    }
    let effects = answer_batch(&mut stage, Ok(Done::AlreadySo));
    assert_eq!(asked(&effects), [&restart_of("search", None, true)]);
    assert_eq!(stage.model.list.marks(), 2, "what is done loses its mark");
    let effects = answer_batch(&mut stage, Ok(Done::AlreadySo));
    assert_eq!(asked(&effects), [&restart_of("www", None, true)]);
    assert_eq!(answer_batch(&mut stage, Ok(Done::AlreadySo)), []);
    assert_eq!(stage.model.batch, None);
    assert_eq!(stage.model.list.marks(), 0);
    let frame = stage.text(80, 24);
    assert!(frame.contains("restart: 3 of 3 done"), "{frame}");
}

#[test]
fn a_batch_ends_at_the_first_that_fails_and_says_what_was_not_begun() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www", "assets"]);
    stage.press("ry");
    answer_batch(&mut stage, Ok(Done::AlreadySo));
    assert_eq!(answer_batch(&mut stage, Err(Refusal::NotRunning)), []);
    assert_eq!(stage.model.batch, None);
    let frame = stage.text(80, 24);
    assert!(frame.contains("restart ended at search, 2 of 3; not begun: www"), "{frame}");
    assert!(frame.contains("search is stopped, there is nothing to restart"), "{frame}");
    assert_eq!(stage.model.list.marked().count(), 2, "those that are not done stay marked");
}

#[test]
fn a_connection_lost_in_between_ends_a_batch() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www"]);
    let ticket = ticket_of(&stage.press("ry"));
    assert_eq!(stage.net(Report::Unanswered { ticket }), []);
    stage.net(down());
    let frame = stage.text(80, 24);
    assert!(frame.contains("restart ended at search, 1 of 2; not begun: www"), "{frame}");
    stage.net(Report::Connected);
    stage.overview(world::overview());
    assert_eq!(stage.model.batch, None, "it does not go on by itself");
}

#[test]
fn an_answer_that_says_nothing_of_the_end_ends_a_batch() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www"]);
    stage.press("ry");
    let begun = Done::Begun { operation: OperationId(19) };
    assert_eq!(answer_batch(&mut stage, Ok(begun)), []);
    assert_eq!(stage.model.batch, None);
}

#[test]
fn a_batch_can_be_ended_after_the_present_one_and_by_that_key_alone() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www", "assets"]);
    stage.press("ry\u{1b}\u{1b}");
    assert_eq!(stage.model.list.marks(), 0, "esc takes the marks away");
    assert!(!stage.model.batch.as_ref().unwrap().is_ending, "and not the batch");
    assert!(stage.text(40, 12).contains("restarting 1 of 3: assets   E ends it"));
    stage.press("E");
    assert!(stage.text(80, 24).contains("restarting 1 of 3: assets   then no more"));
    assert_eq!(answer_batch(&mut stage, Ok(Done::AlreadySo)), []);
    let frame = stage.text(80, 24);
    assert!(frame.contains("restart: 1 of 3 done; not begun: search, www"), "{frame}");
    stage.press("E");
    assert!(stage.text(80, 24).contains("no batch is under way"));
}

#[test]
fn leaving_a_batch_undone_takes_two_quits() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www", "assets"]);
    stage.press("ry");
    assert_eq!(stage.press("q"), []);
    assert!(stage.text(80, 24).contains("2 more would not be begun"));
    assert_eq!(stage.press("q"), [Effect::Quit]);
}

#[test]
fn one_batch_runs_at_a_time() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www"]);
    stage.press("ry");
    for key in ["r", "x", "u"] {
        assert_eq!(acted(&stage.press(key)).len(), 0, "{key}");
        assert_eq!(stage.model.front, None, "{key}");
    }
    assert!(stage.text(80, 24).contains("a batch is under way: E ends it"));
}

#[test]
fn a_stop_of_several_takes_their_number() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www"]);
    stage.press("x");
    let frame = stage.text(80, 24);
    assert!(frame.contains("Stop 2 services?  This takes live services down."), "{frame}");
    assert!(frame.contains("854 requests a second will answer 503."), "{frame}");
    assert_eq!(acted(&stage.press("search\r")).len(), 0);
    stage.press("\u{1b}");
    stage.overview(world::overview());
    stage.press("x");
    assert_eq!(acted(&stage.press("3\r")).len(), 0, "another number");
    stage.key(Key::Backspace);
    assert_eq!(acted(&stage.press("2\r")), [&world::name("search")]);
}

#[test]
fn a_start_of_several_does_not_ask() {
    let mut stage = Stage::live();
    mark(&mut stage, &["worker-ui", "www"]);
    let effects = stage.press("u");
    let expected = Request::Start { service: world::name("worker-ui"), wait: true };
    assert_eq!(asked(&effects), [&expected]);
    let done = Done::Started { instances: 3, took_ms: 4_000 };
    let effects = answer_batch(&mut stage, Ok(done));
    assert_eq!(acted(&effects), [&world::name("www")]);
}

#[test]
fn one_mark_is_about_that_service_and_not_about_the_cursor() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search"]);
    stage.select("www");
    assert!(stage.text(120, 40).contains("r restart marked"));
    let effects = stage.press("ry");
    assert_eq!(asked(&effects), [&restart_of("search", None, false)]);
}

#[test]
fn marks_count_only_when_they_were_on_the_screen() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search"]);
    stage.key(Key::Char('*'));
    assert_eq!(acted(&stage.key(Key::Char('u'))).len(), 0);
    assert!(stage.text(80, 24).contains("the marks had not been drawn yet: press again"));
    stage.paint();
    assert_eq!(acted(&stage.press("u")).len(), 1);
}

#[test]
fn marks_are_counted_and_go_with_their_service() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www"]);
    assert!(stage.text(80, 24).contains("services 8   2 marked"));
    assert!(stage.text(80, 24).contains("*  search "));
    assert!(stage.text(40, 12).contains("search      *"));
    let mut overview = world::overview();
    overview.services.retain(|row| row.name.as_str() != "www");
    stage.overview(overview);
    stage.overview(world::overview());
    assert!(stage.text(80, 24).contains("services 8   1 marked"));
    stage.press("*");
    assert!(stage.text(80, 24).contains("services 8   8 marked"));
    stage.press("*");
    assert_eq!(stage.model.list.marks(), 0);
}

#[test]
fn a_mark_that_the_filter_hides_is_not_acted_on() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www"]);
    stage.press("/sea\r");
    stage.overview(world::overview());
    stage.paint();
    assert!(stage.text(80, 24).contains("1 of 2 marked"));
    let effects = stage.press("ry");
    assert_eq!(asked(&effects), [&restart_of("search", None, false)]);
    stage.press("/!sea !www\r");
    stage.overview(world::overview());
    stage.paint();
    assert_eq!(acted(&stage.press("u")).len(), 0);
    assert!(stage.text(80, 24).contains("no marked service is shown"));
}

#[test]
fn a_question_about_several_is_asked_again_when_one_moves_on() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www"]);
    stage.press("r");
    let mut overview = world::overview();
    overview.services[6].generation = Generation(14);
    stage.overview(overview.clone());
    assert_eq!(acted(&stage.key(Key::Char('y'))).len(), 0, "not painted yet");
    let frame = stage.text(80, 24);
    assert!(frame.contains("www moved on from g13 to g14 meanwhile."), "{frame}");
    stage.paint();
    stage.pass(200);
    assert_eq!(asked(&stage.press("y")), [&restart_of("search", None, true)]);
    let effects = answer_batch(&mut stage, Ok(Done::AlreadySo));
    let [Request::Restart { expected, .. }] = asked(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(*expected, Some(Generation(14)), "as it was seen");

    mark(&mut stage, &["auth", "assets"]);
    stage.model.batch = None;
    stage.press("r");
    overview.services.retain(|row| row.name.as_str() != "auth");
    stage.overview(overview);
    assert_eq!(stage.model.front, None);
    assert!(stage.text(80, 24).contains("auth is gone"));
}

#[test]
fn the_drain_limit_is_changed_in_the_question_and_sent_when_it_was() {
    let mut stage = Stage::live();
    stage.select("search");
    let effects = stage.press("r");
    assert!(matches!(effects[..], [Effect::Order(Order::Plan { .. })]), "{effects:?}");
    let frame = stage.text(80, 24);
    assert!(frame.contains("- its own limit +"), "{frame}");
    stage.answer_plan(world::plan("search"));
    let frame = stage.text(80, 24);
    assert!(frame.contains("Restart search, g13 to g14?"), "{frame}");
    assert!(frame.contains("finished first, up to 30s each."), "{frame}");
    assert!(frame.contains("- 30s limit +"), "{frame}");
    stage.press("++");
    let frame = stage.text(80, 24);
    assert!(frame.contains("- 60s limit +"), "{frame}");
    assert!(frame.contains("smoothtool restart search --drain-timeout 60s"), "{frame}");
    assert_eq!(asked(&stage.press("y")), [&restart_of("search", Some(60_000), false)]);

    stage.press("r");
    stage.answer_plan(world::plan("search"));
    assert_eq!(asked(&stage.press("+-y")), [&restart_of("search", None, false)]);
}

#[test]
fn a_limit_that_was_not_seen_is_not_agreed_to() {
    let mut stage = Stage::live();
    stage.select("search");
    stage.press("r");
    stage.answer_plan(world::plan("search"));
    stage.key(Key::Char('+'));
    assert_eq!(acted(&stage.key(Key::Char('y'))).len(), 0);
    stage.paint();
    stage.pass(149);
    assert_eq!(acted(&stage.key(Key::Char('y'))).len(), 0);
    stage.pass(1);
    assert_eq!(acted(&stage.key(Key::Char('y'))).len(), 1);
}

#[test]
fn what_stands_in_the_way_of_a_restart_is_said_before() {
    let mut stage = Stage::live();
    stage.select("search");
    stage.press("r");
    let mut plan = world::plan("search");
    plan.problem = Some("/opt/search/bin/search is not there".into());
    plan.on_drain_timeout = smoothserve_protocol::snapshot::OnDrainTimeout::Cut;
    stage.answer_plan(plan);
    let frame = stage.text(80, 24);
    assert!(frame.contains("It would be refused: /opt/search/bin/search is not"), "{frame}");
    assert!(frame.contains("What takes longer is cut, and lost."), "{frame}");
}

#[test]
fn an_answer_to_an_older_question_changes_nothing() {
    let mut stage = Stage::live();
    stage.select("search");
    let effects = stage.press("r");
    let [Effect::Order(Order::Plan { ticket, .. })] = effects[..] else { panic!("{effects:?}") };
    stage.press("\u{1b}r");
    stage.net(Report::Plan { ticket, plan: Box::new(world::plan("search")) });
    assert!(stage.text(80, 24).contains("- its own limit +"));
}

#[test]
fn a_kill_takes_the_name_and_says_what_it_loses() {
    let mut stage = Stage::live();
    stage.select("www");
    stage.press("X");
    let frame = stage.text(80, 24);
    assert!(frame.contains("Kill www now?  This loses 4 requests."), "{frame}");
    assert!(frame.contains("same as  smoothtool stop www --force --yes"), "{frame}");
    assert!(stage.text(40, 12).contains("type the name to confirm"));
    assert_eq!(acted(&stage.press("y\r")).len(), 0);
    stage.press("\u{1b}");
    stage.overview(world::overview());
    stage.press("X");
    let expected = Request::Stop {
        service: world::name("www"),
        force: true,
        timeout_ms: None,
        expected: Some(Generation(13)),
        wait: false,
    };
    assert_eq!(asked(&stage.press("www\r")), [&expected]);

    stage.press("\rX");
    assert!(stage.text(80, 24).contains("Kill www now?"), "and on its own screen");
}

#[test]
fn a_kill_is_about_one_service() {
    let mut stage = Stage::live();
    mark(&mut stage, &["search", "www"]);
    stage.press("X");
    assert_eq!(stage.model.front, None);
    assert!(stage.text(80, 24).contains("that is about one service alone"));
}

#[test]
fn where_a_restart_runs_and_nothing_drains_nothing_is_killed() {
    let mut stage = restarting();
    tell_detail(&mut stage, |detail| detail.instances[2].drain = None);
    stage.press("X");
    assert_eq!(stage.model.front, None);
    assert!(stage.text(80, 24).contains("nothing drains now"));
}

#[test]
fn a_frame_too_small_for_the_cursor_takes_no_command() {
    let mut stage = Stage::live();
    stage.select("worker-ui");
    stage.frame(19, 4);
    stage.paint();
    assert_eq!(acted(&stage.press("u")).len(), 0);
    stage.press("r");
    assert_eq!(stage.model.front, None);
    stage.frame(80, 24);
    stage.paint();
    assert_eq!(acted(&stage.press("u")), [&world::name("worker-ui")]);
}

#[test]
fn two_quick_moves_of_the_cursor_do_not_make_a_target_of_what_is_not_on_the_screen() {
    let mut stage = Stage::live();
    stage.select("www");
    stage.key(Key::Char('k'));
    stage.tell(Msg::Sent);
    stage.key(Key::Char('j'));
    stage.tell(Msg::Painted);
    assert_eq!(selected(&stage), Some("www"));
    assert_eq!(acted(&stage.key(Key::Char('u'))).len(), 0, "the frame shows worker-ui");
    stage.paint();
    assert_eq!(acted(&stage.key(Key::Char('u'))), [&world::name("www")]);
}
