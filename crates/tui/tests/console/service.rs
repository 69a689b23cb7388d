//! One service with more instances than fit: which of them are on the screen.

use ratatui::style::Color;
use smoothserve_protocol::id::{OperationId, Slot};
use smoothserve_protocol::message::Push;
use smoothserve_protocol::snapshot::{InstanceState, Pip, ServiceState, StepPhase, StepView};
use smoothtool::console::text;
use smoothtool::msg::Report;

use crate::stage::Stage;
use crate::support::world;

/// In front of `api` with sixteen instances, of which this one drains.
fn crowded(turn: u16) -> Stage {
    let mut overview = world::overview();
    overview.services[0].pips = vec![Pip { state: InstanceState::Ready, new: false }; 16];
    let mut detail = world::api();
    detail.row = overview.services[0].clone();
    let operation = detail.operation.as_mut().unwrap();
    let (draining, ready) = (detail.instances[2].clone(), detail.instances[3].clone());
    let (mut instances, mut steps) = (Vec::new(), Vec::new());
    for slot in (0..16).map(Slot) {
        let is_turn = slot == Slot(turn);
        let mut instance = if is_turn { draining.clone() } else { ready.clone() };
        instance.slot = slot;
        instances.push(instance);
        let phase = if is_turn { StepPhase::Running } else { StepPhase::Waiting };
        steps.push(StepView::new(slot, phase));
    }
    (detail.instances, operation.steps) = (instances, steps);
    let mut stage = Stage::live();
    stage.overview(overview);
    stage.select("api");
    stage.press("\r");
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    stage.text(80, 24);
    stage
}

#[test]
fn what_happens_to_many_instances_is_in_sight_with_the_one_it_happens_to() {
    let mut stage = crowded(10);
    let frame = stage.text(80, 24);
    for text in ["9 to 12 of 16", "▸ api-11", "▾  api-11", "waits for api-11", "/v1/export"] {
        assert!(frame.contains(text), "{text}: {frame}");
    }
    let narrow = stage.text(40, 12);
    assert!(narrow.contains("api-11") && narrow.contains("+13"), "{narrow}");
}

#[test]
fn a_restart_that_ended_half_way_leaves_both_generations_in_the_heading() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    let mut detail = world::api();
    detail.operation = None;
    detail.row.operation = None;
    detail.row.state = ServiceState::Ready;
    for one in &mut detail.instances {
        one.state = InstanceState::Ready;
        one.drain = None;
    }
    let mut overview = world::overview();
    overview.services[0] = detail.row.clone();
    stage.overview(overview);
    stage.net(Report::Push(Push::Service(Some(Box::new(detail.clone())))));
    assert!(stage.text(80, 24).contains("api   ready, 2 on g42 and 2 on g41 "));
    detail.instances[3].state = InstanceState::Stopped;
    for one in &mut detail.instances {
        one.generation = detail.row.generation;
    }
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    let frame = stage.text(80, 24);
    assert!(frame.contains("api   ready on g4"), "{frame}");
}

#[test]
fn an_account_says_what_it_is_of() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    let accepted = |stage: &mut Stage, width, height| {
        let frame = stage.text(width, height);
        let line = frame.lines().find(|line| line.contains("accepted ")).unwrap();
        line.trim().to_owned()
    };
    let restart = "this restart: accepted 18 402 = done 18 366 + in flight 36 + lost 0   held 0";
    assert_eq!(accepted(&mut stage, 80, 24), restart);
    let wide =
        "this restart: accepted 18 402  =  done 18 366  +  in flight 36  +  lost 0      held 0";
    assert_eq!(accepted(&mut stage, 120, 40), wide);
    assert_eq!(accepted(&mut stage, 40, 12), "restart: accepted 18 402 = done 18 366");
    assert_eq!(accepted(&mut stage, 30, 12), "accepted 18 402 = done 18 366");
    stage.press("1");
    assert_eq!(accepted(&mut stage, 120, 40), wide, "below the list too");

    stage.select("www");
    stage.press("\r");
    let start = "since start: accepted 1 204 118  =  done 1 204 094  +  in flight 24  +  lost 0";
    assert!(accepted(&mut stage, 120, 40).starts_with(start));
    let total = "total: accepted 1 204 118 = done 1 204 094 + in flight 24 + lost 0   held 2";
    assert_eq!(accepted(&mut stage, 80, 24), total);
    let mut detail = world::quiet("www");
    (detail.ledger.accepted, detail.ledger.completed) = (63, 39);
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    let start = "since start: accepted 63  =  done 39  +  in flight 24  +  lost 0      held 2";
    assert_eq!(accepted(&mut stage, 80, 24), start);
}

#[test]
fn the_other_instances_are_reached_by_scrolling() {
    let mut stage = crowded(2);
    assert!(stage.text(80, 24).contains("1 to 4 of 16"));
    stage.press("j");
    assert!(stage.text(80, 24).contains("2 to 5 of 16"));
    stage.press("Gj");
    let frame = stage.text(80, 24);
    assert!(frame.contains("13 to 16 of 16") && frame.contains("   api-16 "), "{frame}");
    stage.press("k");
    assert!(stage.text(80, 24).contains("12 to 15 of 16"));
    stage.press("l\u{1b}");
    assert!(stage.text(80, 24).contains("1 to 4 of 16"), "whoever comes back sees what happens");
    stage.press("G");
    assert!(
        !stage.text(120, 40).contains("to 16 of 16"),
        "where all fit there is nothing to scroll"
    );
}

#[test]
fn a_heading_without_room_leaves_out_what_it_can_do_without() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    let heading = |stage: &mut Stage, width| {
        let frame = stage.text(width, 12);
        frame.lines().nth(2).unwrap().to_owned()
    };
    assert!(heading(&mut stage, 80).contains("g41 to g42, by ops@bastion"));
    assert!(heading(&mut stage, 40).contains("api   rolling restart g41 to g42 ╌"));
    assert!(heading(&mut stage, 30).contains("api   rolling restart g› ╌"));
}

#[test]
fn a_guess_that_rises_above_all_before_says_why() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    let mut said = |eta_ms: Option<u64>, done: usize| {
        let mut detail = world::api();
        let operation = detail.operation.as_mut().unwrap();
        operation.eta_ms = eta_ms;
        for (index, step) in operation.steps.iter_mut().enumerate() {
            step.phase = if index < done { StepPhase::Done } else { StepPhase::Waiting };
        }
        stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
        let frame = stage.text(80, 24);
        let line = frame.lines().find(|line| line.contains("longer than said"));
        line.map(|line| line.trim().to_owned())
    };
    assert_eq!(said(None, 0), None);
    assert_eq!(said(Some(25_000), 1), None);
    assert_eq!(said(Some(10_000), 1), None);
    assert_eq!(said(Some(25_900), 1), None, "it rises by what it fell");
    let longer = "! longer than said: eta was 25s, api-2 took 14s";
    assert_eq!(said(Some(31_000), 2).as_deref(), Some(longer));
    assert_eq!(said(Some(24_000), 2), None);
    assert_eq!(
        said(Some(26_000), 0).as_deref().map(|line| line.contains("more to do")),
        Some(true)
    );
}

#[test]
fn another_restart_has_guesses_of_its_own() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    let mut detail = world::api();
    let operation = detail.operation.as_mut().unwrap();
    (operation.summary.id, operation.eta_ms) = (OperationId(18), Some(90_000));
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    let frame = stage.text(80, 24);
    assert!(frame.contains("eta 1m30") && !frame.contains("longer than said"), "{frame}");
}

#[test]
fn a_drain_is_yellow_at_half_of_its_limit_and_red_at_four_fifths() {
    let mut stage = Stage::live();
    stage.select("api");
    stage.press("\r");
    for (since_ms, colour) in [
        (14_999, Color::Reset),
        (15_000, Color::Yellow),
        (23_999, Color::Yellow),
        (24_000, Color::Red),
    ] {
        let mut detail = world::api();
        detail.instances[2].drain.as_mut().unwrap().since_ms = since_ms;
        stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
        let frame = stage.frame(80, 24);
        let text = text(&frame);
        let (row, line) =
            (0..).zip(text.lines()).find(|(_, line)| line.contains("of 30s")).unwrap();
        let before = line.split(" of 30s").next().unwrap();
        let column = u16::try_from(before.chars().count()).unwrap() - 1;
        assert_eq!(frame[(column, row)].fg, colour, "{since_ms}");
    }
}
