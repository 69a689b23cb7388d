//! Receipts of the past.

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::{OperationId, Slot};
use smoothserve_protocol::message::{Done, Refusal, Request};
use smoothserve_protocol::snapshot::{Ledger, Receipt, StepPhase, StepView};

use super::fake::{Act, Fake, answer, ended};
use super::samples::{failure, name, receipt};

/// Its second instance failed, and an instance before it had to be killed.
fn halted() -> Receipt {
    let killed = StepView { killed: true, stop_ms: Some(10_000), ..receipt().steps[0] };
    Receipt {
        operation: OperationId(9),
        service: name("billing"),
        cause: Cause::FilesChanged(vec!["bin/billing".into()]),
        done: false,
        halted: Some("billing-2 exited with code 1".into()),
        replaced: 1,
        steps: vec![killed, StepView::new(Slot(1), StepPhase::Failed)],
        ledger: Ledger { accepted: 1_200, completed: 1_197, lost: 2, cut: 1, ..Ledger::default() },
        failure: Some((Slot(1), failure())),
        remarks: vec!["billing-1 ignored TERM\u{7}".into()],
        slowest_held_us: None,
        ..receipt()
    }
}

fn past(request: &Request) -> Vec<Act> {
    match request {
        Request::History { service: Some(service), .. } if *service == name("idle") => {
            answer(Ok(Done::History(Vec::new())))
        }
        Request::History { service: Some(service), .. } if *service == name("shop") => {
            let (name, known) = (service.clone(), vec![name("api")]);
            answer(Err(Refusal::UnknownService { name, known }))
        }
        Request::History { limit, .. } => {
            let mut receipts = vec![receipt(), halted()];
            receipts.truncate(usize::try_from(*limit).unwrap());
            answer(Ok(Done::History(receipts)))
        }
        _ => answer(Err(Refusal::NotPermitted)),
    }
}

/// The time of day depends on the zone of whoever tests.
fn timeless(text: &str) -> String {
    let date = "2026-01-02 ";
    let mut pieces = text.split(date);
    let mut timeless = pieces.next().unwrap().to_owned();
    for piece in pieces {
        timeless += "2026-01-02 [clock]";
        timeless += &piece["14:02:07".len()..];
    }
    timeless
}

#[tokio::test]
async fn history_is_a_line_a_restart() {
    let fake = Fake::start(past).await;
    let ran = fake.run("history").await;
    ended(&ran, 0);
    assert_eq!(fake.asked(), [Request::History { service: None, limit: 20 }]);
    insta::assert_snapshot!(timeless(&ran.stdout));
}

#[tokio::test]
async fn a_whole_receipt_tells_everything_that_is_known() {
    let fake = Fake::start(past).await;
    let last = fake.run("history api --last").await;
    ended(&last, 0);
    assert_eq!(last.stdout.lines().filter(|line| line.contains("op-")).count(), 1);
    let wide = fake.run("history -n 2 --wide").await;
    ended(&wide, 0);
    let expected = [
        Request::History { service: Some(name("api")), limit: 1 },
        Request::History { service: None, limit: 2 },
    ];
    assert_eq!(fake.asked(), expected);
    insta::assert_snapshot!(timeless(&wide.stdout));
}

#[tokio::test]
async fn history_in_json_is_one_receipt_a_line() {
    let fake = Fake::start(past).await;
    let ran = fake.run("history --json").await;
    ended(&ran, 0);
    insta::with_settings!({filters => vec![(r#""time":"[^"]*""#, r#""time":"[time]""#)]}, {
        insta::assert_snapshot!(ran.stdout);
    });
}

#[tokio::test]
async fn a_service_without_a_past_is_no_error_and_an_unknown_one_is() {
    let fake = Fake::start(past).await;
    let idle = fake.run("history idle").await;
    ended(&idle, 0);
    assert_eq!(
        (idle.stdout.as_str(), idle.stderr.as_str()),
        ("", "no rolling restart is on record\n")
    );
    ended(&fake.run("history shop").await, 4);
}
