//! What a question says, and when it is none.

use smoothserve_protocol::id::OperationId;
use smoothserve_protocol::message::Push;
use smoothserve_protocol::snapshot::{
    InstanceState, OnDrainTimeout, OperationKind, OperationSummary, Pip,
};
use smoothtool::effect::{Effect, Order};
use smoothtool::model::Front;
use smoothtool::msg::Report;

use crate::stage::Stage;
use crate::support::world;

/// In front of `search` with so many instances, all ready, and so much in flight.
fn stage(instances: usize, in_flight: u64) -> Stage {
    let mut overview = world::overview();
    overview.services[4].pips = vec![Pip { state: InstanceState::Ready, new: false }; instances];
    overview.services[4].traffic.in_flight = in_flight;
    let mut stage = Stage::live();
    stage.overview(overview);
    stage.select("search");
    stage.paint();
    stage
}

/// The words of the open question, in one line.
fn words(stage: &mut Stage) -> String {
    let frame = stage.text(80, 30);
    let inside = frame.lines().filter_map(|line| line.split('╎').nth(1));
    inside.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

fn restart(instances: usize, in_flight: u64) -> String {
    let mut stage = stage(instances, in_flight);
    stage.press("r");
    stage.answer_plan(world::plan("search"));
    words(&mut stage)
}

#[test]
fn of_what_is_not_in_flight_nothing_is_said() {
    let none = restart(4, 0);
    let whole = "A request that takes longer than 30s ends the restart. Nothing is lost.";
    assert!(none.contains(whole) && !none.contains("in flight"), "{none}");
    let one = restart(4, 1);
    let what = "1 in flight is finished first, up to 30s. What takes longer ends the restart.";
    assert!(one.contains(what), "{one}");
    let three = restart(4, 3);
    assert!(three.contains("3 in flight are finished first, up to 30s each."), "{three}");

    let mut stage = stage(4, 0);
    stage.press("r");
    assert!(!words(&mut stage).contains("in flight"), "before the daemon said its plan");
    let mut plan = world::plan("search");
    plan.on_drain_timeout = OnDrainTimeout::Cut;
    stage.answer_plan(plan);
    let cut = words(&mut stage);
    assert!(cut.contains("A request that takes longer than 30s is cut, and lost."), "{cut}");
}

#[test]
fn one_instance_and_two_are_not_all() {
    let asked = |instances, key| {
        let mut stage = stage(instances, 2);
        stage.press(key);
        words(&mut stage)
    };
    for (instances, stopped, killed) in [
        (1, "1 instance drains, then stops. ", "1 instance ends now. "),
        (2, "Both instances drain, then stop. ", "Both instances end now. "),
        (4, "All 4 instances drain, then stop. ", "All 4 instances end now. "),
    ] {
        let (stop, kill) = (asked(instances, "x"), asked(instances, "X"));
        assert!(stop.starts_with(stopped), "{stop}");
        assert!(kill.starts_with(killed), "{kill}");
    }
}

#[test]
fn what_is_away_is_named() {
    assert!(restart(1, 0).starts_with("1 instance. Requests wait while it is away."));
    let mut stage = stage(2, 0);
    let mut overview = world::overview();
    overview.services[4].pips.truncate(2);
    overview.services[4].pips[0].state = InstanceState::Failed;
    stage.overview(overview);
    stage.press("r");
    let text = words(&mut stage);
    let expected = "2 instances, one at a time. Requests wait while none is ready.";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn a_restart_under_way_is_said_instead_of_asking() {
    let mut stage = Stage::live();
    stage.select("api");
    for keys in ["r", "\rr"] {
        stage.press(keys);
        assert!(stage.model.front.is_none());
        let frame = stage.text(80, 24);
        let why = " a rolling restart is under way; x aborts it, or wait for its end\n";
        assert!(frame.contains(why), "{frame}");
    }
    stage.give("restart api");
    let frame = stage.text(80, 24);
    assert!(frame.contains("api: a rolling restart is under way; x aborts it"), "{frame}");
}

#[test]
fn a_question_that_would_be_refused_takes_no_yes() {
    let mut stage = stage(4, 0);
    stage.press("r");
    stage.answer_plan(world::plan("search"));
    let mut overview = world::overview();
    let (id, kind) = (OperationId(18), OperationKind::Stop);
    overview.services[4].operation = Some(OperationSummary { id, kind, done: 0, of: 4 });
    stage.net(Report::Push(Push::Overview(overview)));
    stage.paint();
    stage.pass(200);
    assert_takes_no_yes(&mut stage, "It would be refused: a stop is under way; wait for its end.");

    let mut stage = self::stage(4, 0);
    stage.press("r");
    let mut plan = world::plan("search");
    plan.problem = Some("/opt/search/bin/search is not there".into());
    stage.answer_plan(plan);
    assert_takes_no_yes(&mut stage, "It would be refused: /opt/search/bin/search is not there.");
}

fn assert_takes_no_yes(stage: &mut Stage, why: &str) {
    let text = words(stage);
    assert!(text.contains(why) && text.contains("[ Cancel ] restart (would be refused)"), "{text}");
    assert!(!text.contains("same as"), "it would join what runs: {text}");
    let frame = stage.text(80, 24);
    let hints = frame.lines().last().unwrap();
    assert_eq!(hints.trim(), "enter cancel  esc cancel");
    let effects = stage.press("y");
    assert!(!effects.iter().any(|one| matches!(one, Effect::Order(Order::Act { .. }))));
    assert!(matches!(stage.model.front, Some(Front::Question(_))));
    stage.press("\u{1b}");
    assert!(stage.model.front.is_none());
}
