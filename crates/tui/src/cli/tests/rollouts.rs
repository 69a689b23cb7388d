//! Plans, changes of course, and reloads.

use smoothserve_protocol::id::{Generation, OperationId, Slot};
use smoothserve_protocol::message::{Done, Refusal, Request, Steer};
use smoothserve_protocol::plan::{
    ChangeKind, PlannedStep, ReloadReport, RestartOrder, RestartPlan, ServicePlan,
};
use smoothserve_protocol::snapshot::{InstanceState, OnDrainTimeout};

use super::fake::{Act, Fake, answer, ended};
use super::samples::{name, receipt, restarting, snapshot};

const OPERATION: OperationId = OperationId(17);

fn plan(problem: Option<&str>) -> RestartPlan {
    let step = |slot, state, in_flight| PlannedStep {
        slot: Slot(slot),
        state,
        port: 8_086 + slot,
        in_flight,
        tunnels: slot.into(),
    };
    RestartPlan {
        service: name("api"),
        problem: problem.map(str::to_owned),
        from: Generation(41),
        to: Generation(42),
        order: RestartOrder::StopFirst,
        max_unavailable: 1,
        drain_timeout_ms: 60_000,
        on_drain_timeout: OnDrainTimeout::Abort,
        eta_ms: Some(54_000),
        steps: vec![step(0, InstanceState::Ready, 1_204), step(1, InstanceState::Unhealthy, 0)],
    }
}

fn planning(problem: Option<&'static str>) -> impl FnMut(&Request) -> Vec<Act> + Send {
    move |request| match request {
        Request::PlanRestart { .. } => answer(Ok(Done::RestartPlan(Box::new(plan(problem))))),
        _ => answer(Err(Refusal::NotPermitted)),
    }
}

#[tokio::test]
async fn a_plan_shows_what_a_restart_would_do() {
    let fake = Fake::start(planning(None)).await;
    let ran = fake.run("restart api --plan").await;
    ended(&ran, 0);
    assert_eq!(fake.asked(), [Request::PlanRestart { service: name("api") }]);
    insta::assert_snapshot!(ran.stdout);
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_restart_is_a_code_of_its_own() {
    let fake = Fake::start(planning(Some("/srv/api is not executable"))).await;
    let words = fake.run("restart api --plan").await;
    ended(&words, 3);
    let first = words.stdout.lines().next().unwrap();
    assert_eq!(first, "api  refused: nothing would be done: /srv/api is not executable");
    let json = fake.run("restart api api2 --plan --json").await;
    ended(&json, 3);
    insta::with_settings!({filters => vec![(r#""time":"[^"]*""#, r#""time":"[time]""#)]}, {
        insta::assert_snapshot!(json.stdout);
    });
}

fn steered(request: &Request) -> Vec<Act> {
    match request {
        Request::Status => answer(Ok(Done::Status(Box::new(snapshot(vec![restarting()]))))),
        Request::Steer { .. } => answer(Ok(Done::Steered { operation: OPERATION })),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn a_restart_is_steered_by_the_name_of_its_service() {
    let fake = Fake::start(steered).await;
    for (line, operation, steer, words) in [
        ("pause api", None, Steer::Pause, "is paused; the turn under way is finished first"),
        ("resume api --operation op-17", Some(OPERATION), Steer::Resume, "goes on"),
        (
            "abort api --operation 17",
            Some(OPERATION),
            Steer::Abort,
            "ends at the nearest safe point",
        ),
        ("drain api --extend 90s", None, Steer::Extend { by_ms: 90_000 }, "has 1m30 more to drain"),
        ("drain api --cut --yes", None, Steer::Cut, "cuts what it waits for"),
    ] {
        let ran = fake.run(line).await;
        ended(&ran, 0);
        assert_eq!(ran.stderr, format!("api  op-17 {words}\n"));
        assert_eq!(ran.stdout, "");
        let expected = Request::Steer { service: name("api"), operation, steer };
        assert_eq!(fake.asked().last(), Some(&expected), "{line}");
    }
}

#[tokio::test]
async fn a_restart_is_steered_by_its_own_id() {
    let fake = Fake::start(steered).await;
    ended(&fake.run("pause op-17").await, 0);
    let (service, operation) = (name("api"), Some(OPERATION));
    let expected = Request::Steer { service, operation, steer: Steer::Pause };
    assert_eq!(fake.asked().last(), Some(&expected));
    let unknown = fake.run("pause op-18").await;
    ended(&unknown, 4);
    assert!(unknown.stderr.contains("no operation op-18 runs"), "{}", unknown.stderr);
    ended(&fake.run("pause op-17 --operation op-18").await, 2);
}

#[tokio::test]
async fn a_change_of_course_in_json_says_what_was_done() {
    let fake = Fake::start(steered).await;
    for (line, verb, result) in [
        ("pause api --json", "pause", "paused"),
        ("resume api --json", "resume", "resumed"),
        ("abort api --json", "abort", "aborting"),
        ("drain api --extend 5 --json", "drain", "extended"),
        ("drain api --cut --yes --json", "drain", "cut"),
    ] {
        let ran = fake.run(line).await;
        let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(value["schema"], format!("smoothtool.{verb}/1"), "{line}");
        assert_eq!((&value["service"], &value["result"]), (&"api".into(), &result.into()));
        assert_eq!(value["operation"], "op-17");
    }
}

#[tokio::test]
async fn nothing_to_steer_is_a_state_that_is_not_so() {
    let fake = Fake::start(|_| {
        answer(Err(Refusal::NothingToSteer { why: "no rolling restart runs".into() }))
    })
    .await;
    for line in ["pause api", "resume api", "abort api", "drain api --extend 60s"] {
        let ran = fake.run(line).await;
        ended(&ran, 3);
        assert_eq!(ran.stderr, "error: api: no rolling restart runs\n");
    }
}

#[tokio::test]
async fn a_restart_that_an_operator_ends_has_failed() {
    let mut receipt = receipt();
    (receipt.done, receipt.replaced) = (false, 1);
    let refusal = Refusal::Aborted { by: "ops@b".into(), receipt: Box::new(receipt) };
    let fake = Fake::start(move |request| match request {
        Request::Restart { .. } => answer(Err(refusal.clone())),
        _ => Vec::new(),
    })
    .await;
    let words = fake.run("restart api").await;
    ended(&words, 1);
    assert!(words.stderr.contains("the restart of api was ended by ops@b"), "{}", words.stderr);
    assert!(words.stderr.contains("1 of 3 replaced and on g42"), "{}", words.stderr);
    let json = fake.run("restart api --json").await;
    let value: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(value["receipt"]["replaced"], 1);
}

fn report(problems: &[&str], applied: bool) -> ReloadReport {
    let change = |text, kind, what: &[&str]| ServicePlan {
        service: name(text),
        kind,
        what: what.iter().map(|line| (*line).to_owned()).collect(),
    };
    ReloadReport {
        applied,
        problems: problems.iter().map(|text| (*text).to_owned()).collect(),
        daemon: vec!["log.debug false -> true".into()],
        services: vec![
            change("api", ChangeKind::Restart, &["env.LEVEL changed", "args changed"]),
            change("assets", ChangeKind::Live, &["hold_max 1000 -> 500"]),
            change("blog", ChangeKind::Added, &[]),
            change("old", ChangeKind::Removed, &[]),
            change("shop", ChangeKind::Scale, &["instance_count 3 -> 5"]),
        ],
        unchanged: 7,
    }
}

fn reloading(report: ReloadReport) -> impl FnMut(&Request) -> Vec<Act> + Send {
    move |_| answer(Ok(Done::Reloaded(Box::new(report.clone()))))
}

#[tokio::test]
async fn a_reload_says_what_changes_for_whom() {
    let fake = Fake::start(reloading(report(&[], true))).await;
    let done = fake.run("reload").await;
    ended(&done, 0);
    let planned = Fake::start(reloading(report(&[], false))).await;
    let plan = planned.run("reload --plan").await;
    ended(&plan, 0);
    let asked = [fake.asked(), planned.asked()].concat();
    assert_eq!(asked, [Request::Reload { plan: false }, Request::Reload { plan: true }]);
    let json = fake.run("reload --json").await;
    ended(&json, 0);
    insta::with_settings!({filters => vec![(r#""time":"[^"]*""#, r#""time":"[time]""#)]}, {
        insta::assert_snapshot!(format!("{}\n{}\n{}", done.stdout, plan.stdout, json.stdout));
    });
}

#[tokio::test]
async fn a_reload_that_changes_nothing_is_done() {
    let nothing = ReloadReport { applied: true, unchanged: 8, ..ReloadReport::default() };
    let ran = Fake::start(reloading(nothing)).await.run("reload").await;
    ended(&ran, 0);
    assert_eq!(ran.stdout, "nothing changes; 8 services as before\n");
}

#[tokio::test]
async fn a_file_that_is_rejected_is_told_in_full_whatever_else_was_applied() {
    let wrong = "error: unknown key `prot`\n --> /srv/\u{9b}shop.yaml:3:5\n  |\n3 | prot: 80";
    let fake = Fake::start(reloading(report(&[wrong], true))).await;
    let words = fake.run("reload").await;
    ended(&words, 2);
    assert!(words.stdout.starts_with("applied: 5 services changed, 7 services as before\n"));
    let json = fake.run("reload --json").await;
    ended(&json, 2);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value["problems"][0], wrong);
    insta::assert_snapshot!(words.stderr);
}
