//! A service with a long name: it gives way, and what tells instances apart stays.

use smoothserve_protocol::message::Push;
use smoothserve_protocol::snapshot::ServiceDetail;
use smoothtool::msg::Report;

use crate::stage::Stage;
use crate::support::world;

const LONG: &str = "talk-with-a-rather-long-name-of-a-service";

/// In front of `detail`, whose service has the long name; the others are as ever.
fn stage(mut detail: ServiceDetail) -> Stage {
    let mut overview = world::overview();
    detail.row.name = world::name(LONG);
    overview.services[0] = detail.row.clone();
    let mut events = world::events();
    for event in &mut events.events {
        if event.service.as_ref().is_some_and(|name| name.as_str() == "api") {
            event.service = Some(world::name(LONG));
        }
    }
    let mut stage = Stage::empty();
    stage.net(Report::Connected);
    stage.overview(overview);
    stage.net(Report::History(events));
    stage.paint();
    while stage.model.selection.name().is_none_or(|name| name.as_str() != LONG) {
        stage.press("j");
    }
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    stage.paint();
    stage
}

/// The lines of `frame` below the rule with this heading, up to the next rule.
fn section(frame: &str, heading: &str) -> String {
    let mut lines = frame.lines().skip_while(|line| !line.contains(heading)).skip(1);
    let lines = lines.by_ref().take_while(|line| !line.contains("╌╌"));
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn shows(frame: &str, texts: &[&str]) {
    for text in texts {
        assert!(frame.contains(text), "{text}: {frame}");
    }
}

#[test]
fn the_numbers_of_instances_stay_in_every_list() {
    let mut stage = stage(world::api());
    stage.press("\r");
    stage.text(120, 40);
    stage.answer_logs(world::logs());
    let frame = stage.text(120, 40);
    let heading = format!("{LONG}   rolling restart g41 to g42, by ops@bastion");
    shows(&frame, &[&heading, "draining talk-with-a-rather-long-name-of-a-service-3   "]);
    for number in 1..=4 {
        shows(
            &section(&frame, &heading),
            &[&format!(" talk-with-a-rather-long-nam›-{number}  g4")],
        );
        let of_step = format!("  talk-with-a-rather-long-nam›-{number}  ");
        shows(&section(&frame, "this restart ╌"), &[&of_step]);
    }
    shows(&section(&frame, "waits for ╌"), &[" talk-with-a-rather-long-nam›-3  GET /v1/export"]);
    let frame = stage.text(80, 24);
    shows(
        &frame,
        &[
            "draining talk-with-a-rat›-3  29s elapsed   eta 25s",
            " talk-with-a›-3  g41  draining",
            "  talk-with-a-rathe›-4  waits for talk-with-a-rather-long-name-of-a-service-3",
        ],
    );
    shows(&stage.text(40, 12), &[" talk-with›-3 draining"]);
}

#[test]
fn the_numbers_of_instances_stay_in_what_happened_and_what_they_print() {
    let mut stage = stage(world::api());
    stage.press("3");
    let event = " talk-with-a-rather-lo›-3 draining";
    shows(&stage.text(200, 60), &[&format!("  {LONG}-3 draining")]);
    shows(&stage.text(120, 40), &[event]);
    shows(&stage.text(80, 24), &[event]);
    shows(&stage.text(40, 12), &["talk-with›-3 draining"]);
    stage.press("1");
    shows(&stage.text(80, 24), &[event]);
    stage.press("l");
    stage.answer_logs(world::logs());
    shows(&stage.text(120, 40), &[" talk-with-a-rather-l›-2 | info"]);
    shows(&stage.text(80, 24), &[" talk-with-a-›-2 | info"]);
}

#[test]
fn the_name_in_a_heading_gives_way_first() {
    let mut stage = stage(world::api());
    stage.press("l");
    stage.answer_logs(world::logs());
    let heading = |stage: &mut Stage, width, height| {
        stage.text(width, height).lines().nth(2).unwrap().to_owned()
    };
    let whole = format!("logs   {LONG}, all instances ╌");
    shows(&heading(&mut stage, 120, 40), &[&whole, "╌ following   level all ╌"]);
    let short = "logs   talk-with-a-rather-long-nam›, all instances ╌ following   level all ╌";
    shows(&heading(&mut stage, 80, 24), &[short]);
    stage.press("iii");
    stage.answer_logs(world::logs());
    shows(&heading(&mut stage, 80, 24), &["-3 ╌", "╌ following   level all ╌"]);
    shows(&heading(&mut stage, 40, 12), &["logs   talk-with-a-›-3 ╌ following ╌"]);
}

#[test]
fn the_name_in_a_question_gives_way_first() {
    let mut stage = stage(world::quiet("search"));
    stage.press("\rr");
    let mut plan = world::plan("search");
    plan.service = world::name(LONG);
    stage.answer_plan(plan);
    let title = "Restart talk-with-a-rather-long-name-of-a-ser›, g13 to g14?";
    for (width, height) in [(80, 24), (120, 40)] {
        shows(&stage.text(width, height), &[title]);
    }
    shows(&stage.text(40, 14), &["Restart talk-with-a-rathe›, g13 to g14?"]);
}

#[test]
fn a_column_takes_the_room_that_is_there() {
    let mut stage = stage(world::quiet("search"));
    let name = |stage: &mut Stage, width| {
        let frame = stage.text(width, 24);
        let line = frame.lines().find(|line| line.contains("talk-")).unwrap();
        line.split_whitespace().find(|word| word.starts_with("talk-")).unwrap().to_owned()
    };
    assert_eq!(name(&mut stage, 72), "talk-with-a-rat›");
    assert_eq!(name(&mut stage, 80), "talk-with-a-rather-l›");
    assert_eq!(name(&mut stage, 109), LONG);
    assert_eq!(name(&mut stage, 200), LONG);
    stage.press("\r");
    assert!(stage.text(200, 60).contains(&format!("   {LONG}-4  g13  ready")));
}
