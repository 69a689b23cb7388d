//! Commands in the words of the command line: the same rules, the same questions, the same answers.

use std::time::Duration;

use smoothserve_protocol::id::{Generation, OperationId, Slot};
use smoothserve_protocol::message::{Done, Refusal, Request, Steer};
use smoothserve_protocol::snapshot::OnDrainTimeout;
use smoothtool::effect::{Effect, Order};
use smoothtool::input::Key;
use smoothtool::keymap::Context;
use smoothtool::model::page::Stats;
use smoothtool::model::question::Verb;
use smoothtool::model::{Front, Screen};
use smoothtool::msg::{Msg, Report};

use crate::behaviour::acted;
use crate::stage::Stage;
use crate::support::world;

/// The requests among `effects`.
fn requests(effects: &[Effect]) -> Vec<&Request> {
    let request = |effect| match effect {
        &Effect::Order(Order::Act { ref request, .. }) => Some(request),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

/// Why the line stays.
fn problem(stage: &Stage) -> &str {
    match &stage.model.front {
        Some(Front::Palette(palette)) => palette.problem.as_deref().unwrap_or_default(),
        other => panic!("no palette: {other:?}"),
    }
}

#[test]
fn what_asks_on_a_key_asks_the_same_here() {
    for (line, service, key, context) in [
        ("restart search", "search", "r", Context::Limit),
        ("stop www", "www", "x", Context::TypedName),
        ("stop worker-ui", "worker-ui", "x", Context::Question),
        ("abort api", "api", "x", Context::Offer),
        ("pause api", "api", "p", Context::Question),
        ("drain api --cut --yes", "api", "\rX", Context::TypedName),
    ] {
        let mut by_key = Stage::live();
        by_key.select(service);
        by_key.press(key);
        let mut by_line = Stage::live();
        // The cursor is elsewhere, and stays there.
        by_line.select("auth");
        assert_eq!(acted(&by_line.give(line)).len(), 0, "{line}: not before the answer");
        let (Some(Front::Question(key)), Some(Front::Question(line))) =
            (&by_key.model.front, &by_line.model.front)
        else {
            panic!("{line}: {:?}, {:?}", by_key.model.front, by_line.model.front)
        };
        assert_eq!((line.verb, &line.service, &line.level), (key.verb, &key.service, &key.level));
        assert_eq!(line.seen.generation, key.seen.generation);
        assert_eq!(by_line.model.context(), context);
        assert_eq!(by_line.model.selection.name(), Some(&world::name("auth")));
    }
}

#[test]
fn the_terms_of_a_restart_are_shown_and_sent() {
    let mut stage = Stage::live();
    stage.give("restart search --drain-timeout 90s --on-drain-timeout wait");
    let frame = stage.text(120, 40);
    let same = "smoothtool restart search --drain-timeout 90s --on-drain-timeout wait";
    assert!(frame.contains(&same[..40]), "{frame}");
    assert!(frame.contains("are finished first, up to 90s each."), "{frame}");
    assert!(frame.contains("What takes longer is waited for."), "{frame}");
    let effects = stage.press("y");
    assert_eq!(
        requests(&effects),
        [&Request::Restart {
            service: world::name("search"),
            drain_timeout_ms: Some(90_000),
            on_drain_timeout: Some(OnDrainTimeout::Wait),
            expected: Some(Generation(13)),
            join: false,
            wait: false,
        }]
    );
}

#[test]
fn several_services_are_asked_about_once_and_done_in_turn() {
    let mut stage = Stage::live();
    stage.give("restart search www --drain-timeout 90s");
    let frame = stage.text(80, 24);
    assert!(frame.contains("Restart 2 services, one after another?"), "{frame}");
    let effects = stage.press("y");
    let [Request::Restart { service, drain_timeout_ms: Some(90_000), wait: true, .. }] =
        &requests(&effects)[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(*service, world::name("search"), "the other one waits for it");

    let mut stage = Stage::live();
    stage.give("restart --all");
    let Some(Front::Question(question)) = &stage.model.front else { panic!() };
    assert_eq!(question.size(), 7, "what is stopped stays so");
}

#[test]
fn what_may_lose_requests_asks_for_the_name() {
    for line in ["restart search --on-drain-timeout cut", "stop search --force --yes"] {
        let mut stage = Stage::live();
        stage.give(line);
        assert_eq!(stage.model.context(), Context::TypedName, "{line}");
        assert!(stage.text(80, 24).contains("cut"), "{line}");
        assert_eq!(acted(&stage.press("search\r")), [&world::name("search")]);
    }
}

#[test]
fn what_asks_nothing_is_done_at_once() {
    let mut stage = Stage::live();
    assert_eq!(acted(&stage.give("start worker-ui")), [&world::name("worker-ui")]);
    let effects = stage.give("drain api --extend 2m --operation op-17");
    let steer = Steer::Extend { by_ms: 120_000 };
    let service = world::name("api");
    let operation = Some(OperationId(17));
    assert_eq!(requests(&effects), [&Request::Steer { service, operation, steer }]);
}

#[test]
fn a_line_that_cannot_be_done_stays_with_the_reason() {
    for (line, reason) in [
        ("restart apu", "no service is named apu; did you mean api?"),
        ("why serach", "did you mean search?"),
        ("stop api www --force --yes", "one service at a time: name the one you mean"),
        ("logs --all", "unexpected argument '--all'"),
        ("pause search", "search: no rolling restart runs"),
        ("pause api --operation op-9", "api: op-17 runs, not op-9"),
        ("resume op-99", "no operation op-99 runs"),
        ("restrat api", "unrecognized subcommand 'restrat'"),
        ("status --json", "`--json` has no use in the console"),
        ("tui", "`tui` is for the command line, not for the console"),
    ] {
        let mut stage = Stage::live();
        assert_eq!(stage.give(line), [], "{line}");
        assert!(problem(&stage).contains(reason), "{line}: {}", problem(&stage));
        assert!(stage.model.typed_before.is_empty());
        stage.press("x");
        assert_eq!(problem(&stage), "", "it is another line now");
    }
}

#[test]
fn nothing_is_commanded_by_who_may_only_look_or_looks_at_what_was() {
    let commands = ["start www", "stop www", "restart www", "pause api", "reload"];
    for line in commands {
        let mut stage = Stage::with(&[("LANG", "C.UTF-8"), ("TERM", "xterm")], true).connected();
        assert_eq!(stage.give(line), [], "{line}");
        assert_eq!(problem(&stage), "read-only: actions are off");

        let mut stage = Stage::live();
        let why = "connection refused".to_owned();
        stage.net(Report::Down { why, failures: 1, retry_in: Duration::from_secs(5) });
        assert_eq!(stage.give(line), [], "{line}");
        assert_eq!(problem(&stage), "actions off until it is back");
    }
}

#[test]
fn what_shows_something_goes_to_its_screen() {
    let api = || world::name("api");
    for (line, screen) in [
        ("events", Screen::Events),
        ("history api", Screen::History(Some(api()))),
        ("history", Screen::History(None)),
        ("logs api", Screen::Logs(api())),
        ("logs api/2", Screen::Logs(api())),
        ("wait api", Screen::Service(api())),
        ("wait op-17", Screen::Service(api())),
    ] {
        let mut stage = Stage::live();
        stage.select("search");
        stage.give(line);
        assert_eq!(stage.model.screen, screen, "{line}");
        assert_eq!(stage.model.front, None, "{line}");
    }
}

#[test]
fn logs_show_the_instance_and_the_lines_asked_for_alone() {
    for line in ["logs api/2 --grep 'v1/.*t$'", "logs api-2 --grep 'v1/.*t$'"] {
        let mut stage = Stage::live();
        stage.give(line);
        assert_eq!(stage.model.logs.filter().slot, Some(Slot(1)), "{line}");
    }
    let mut stage = Stage::live();
    stage.give("logs api --grep 'GET|POST'");
    stage.answer_logs(world::logs());
    let frame = stage.text(120, 40);
    assert!(frame.contains("POST /v1/cart") && !frame.contains("SIGTERM"), "{frame}");
    assert!(frame.contains("& GET|POST"), "{frame}");

    let mut stage = Stage::live();
    stage.give("logs api --grep 'a(b'");
    assert_eq!(problem(&stage), "`--grep`: unclosed group");
    assert_eq!(stage.model.screen, Screen::Overview);
}

#[test]
fn an_answer_is_a_page_in_the_words_of_the_command_line() {
    let mut stage = Stage::live();
    let effects = stage.give("why billing");
    assert_eq!(requests(&effects), [&Request::Status]);
    assert!(stage.text(80, 24).contains("asking the daemon"));
    stage.answer_page(world::status());
    let frame = stage.text(80, 24);
    assert!(frame.contains("why billing") && frame.contains("degraded"), "{frame}");
    let effects = stage.press("y");
    let [Effect::Copy(text)] = &effects[..] else { panic!("{effects:?}") };
    assert!(text.starts_with("billing is degraded"), "{text}");
    stage.press("\u{1b}");
    assert_eq!(stage.model.front, None);
}

#[test]
fn an_answer_that_comes_too_late_opens_nothing() {
    let mut stage = Stage::live();
    let effects = stage.give("reload --plan");
    let [Effect::Order(Order::Act { ticket, .. }), ..] = &effects[..] else {
        panic!("{effects:?}")
    };
    stage.press("\u{1b}");
    let result = Err(Refusal::ShuttingDown);
    stage.net(Report::Answered { ticket: *ticket, result: result.clone() });
    assert_eq!(stage.model.front, None);

    stage.give("reload --plan");
    stage.net(Report::Answered { ticket: *ticket, result });
    assert!(stage.text(80, 24).contains("asking the daemon"), "that was the other question");
}

#[test]
fn a_question_without_an_answer_says_so() {
    let mut stage = Stage::live();
    let effects = stage.give("restart api --plan");
    assert_eq!(requests(&effects), [&Request::PlanRestart { service: world::name("api") }]);
    let [Effect::Order(Order::Act { ticket, .. }), ..] = &effects[..] else {
        panic!("{effects:?}")
    };
    stage.net(Report::Unanswered { ticket: *ticket });
    assert!(stage.text(80, 24).contains("no answer: the connection ended"));
}

#[test]
fn a_page_is_scrolled_to_its_ends_and_no_further() {
    let mut stage = Stage::live();
    stage.give("status --wide");
    stage.answer_page(world::status());
    // The clock goes on.
    let page = |stage: &mut Stage| stage.text(80, 12).lines().skip(2).collect::<String>();
    let first = page(&mut stage);
    stage.press("G");
    let last = page(&mut stage);
    assert_ne!(first, last);
    stage.press("jjj");
    assert_eq!(page(&mut stage), last);
    stage.press("g");
    assert_eq!(page(&mut stage), first);
}

#[test]
fn tab_completes_and_goes_round() {
    let mut stage = Stage::live();
    let line = |stage: &Stage| match &stage.model.front {
        Some(Front::Palette(palette)) => palette.line.text().to_owned(),
        other => panic!("{other:?}"),
    };
    stage.press(":resta\t");
    assert_eq!(line(&stage), "restart ");
    stage.press("a\t");
    assert_eq!(line(&stage), "restart api");
    stage.press("\t");
    assert_eq!(line(&stage), "restart assets");
    stage.key(Key::BackTab);
    stage.key(Key::BackTab);
    assert_eq!(line(&stage), "restart auth");
    stage.press("\t");
    assert_eq!(line(&stage), "restart api", "all round");
    stage.press(" --dr\t");
    assert_eq!(line(&stage), "restart api --drain-timeout ");
}

#[test]
fn what_was_typed_comes_back_and_is_kept() {
    let mut stage = Stage::live();
    stage.model.typed_before = vec!["why billing".to_owned()];
    let effects = stage.give("events");
    assert_eq!(effects, [Effect::Remember("events".to_owned())]);
    stage.press(":");
    stage.key(Key::Up);
    stage.key(Key::Up);
    let effects = stage.key(Key::Enter);
    assert_eq!(requests(&effects), [&Request::Status]);
    assert_eq!(stage.model.typed_before, ["events", "why billing"]);
}

#[test]
fn no_key_is_a_command_while_one_types() {
    let mut stage = Stage::live();
    stage.select("www");
    let effects = stage.press(":xyrupqXL?1234/: ");
    assert_eq!(effects, []);
    assert_eq!(stage.model.context(), Context::Palette);
    assert_eq!(stage.press("\u{1b}"), []);
    assert_eq!(stage.model.context(), Context::Overview);
    assert_eq!(stage.press(":\r"), []);
    assert_eq!(stage.model.context(), Context::Overview, "an empty line closes it");
}

#[test]
fn the_end_of_a_long_line_is_in_sight_when_the_cursor_is_there() {
    let mut stage = Stage::live();
    stage.press(":");
    for c in "start ".chars().chain(std::iter::repeat_n('a', 100)).chain("END".chars()) {
        stage.key(Key::Char(c));
    }
    for (width, height) in [(40, 12), (80, 24)] {
        assert!(stage.text(width, height).contains("aEND"));
        stage.key(Key::Home);
        assert!(stage.text(width, height).contains(":start aa"));
        stage.key(Key::End);
    }
}

#[test]
fn the_console_tells_what_it_sends() {
    let mut stage = Stage::live();
    assert!(stage.give("stats").contains(&Effect::Count));
    let stats = Stats { bytes: 12_345, frames: 17, ..Stats::default() };
    stage.tell(Msg::Counted(stats));
    let frame = stage.text(80, 24);
    assert!(frame.contains("12 345") && frame.contains("17"), "{frame}");
}

#[test]
fn quit_leaves() {
    assert!(Stage::live().give("quit").contains(&Effect::Quit));
}

#[test]
fn a_question_from_the_palette_is_outdated_like_any_other() {
    let mut stage = Stage::live();
    stage.give("restart search");
    let mut overview = world::overview();
    for row in &mut overview.services {
        row.generation = Generation(row.generation.0 + 1);
    }
    stage.overview(overview);
    let Some(Front::Question(question)) = &stage.model.front else { panic!() };
    assert_eq!(question.verb, Verb::Restart);
    assert!(!question.moved.is_empty());
    let done = Done::AlreadySo;
    stage.answer_page(done);
    assert!(matches!(stage.model.front, Some(Front::Question(_))), "that is no answer to it");
}
