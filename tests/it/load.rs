//! The load client and the fixture backend against each other, without a proxy: what they say of
//! each other must be true before either is believed.

use std::time::Duration;

use http::StatusCode;
use smoothserve_tests::backend::TestBackend;
use smoothserve_tests::contract::{CHECKSUM, Checksum, GREETING};
use smoothserve_tests::http::{get, post};
use smoothserve_tests::load::{Load, LoadPlan, LoadReport, Mix, Progress};
use smoothserve_tests::process::{self, Signal};

/// Few clients of every kind.
fn plan() -> LoadPlan {
    LoadPlan { clients: 16, ..LoadPlan::brisk() }
}

/// A mix of one kind alone.
const NOTHING: Mix = Mix { get: 0, post: 0, echo: 0, big: 0, stream: 0, upload: 0, web_socket: 0 };

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_behaves_well_loses_nothing() {
    let backend = TestBackend::start(&[]).await.unwrap();
    let load = Load::start(backend.addr, plan());
    load.answered(500).await;
    load.until("a conversation", |progress| progress.conversing() > 0).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    report.assert_executed_once(&backend.record().unwrap());
    assert!(report.ws_ok > 0 && report.refused == 0 && report.reopened == 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_closed_between_requests_are_opened_again() {
    let backend = TestBackend::start(&["--close-after=3", "--idle-ms=5"]).await.unwrap();
    // Long enough for the backend to have closed, however busy the machine: a request that meets
    // the close is lost without a proxy.
    let plan = LoadPlan { pause: Duration::from_millis(200), ..LoadPlan::short_requests() };
    let load = Load::start(backend.addr, LoadPlan { clients: 24, ..plan });
    load.answered(200).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    assert!(report.reopened > 100, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_exit_ends_every_answer_and_conversation() {
    let mut backend = TestBackend::start(&[]).await.unwrap();
    let mix = Mix { stream: 1, web_socket: 1, ..NOTHING };
    let load = Load::start(backend.addr, LoadPlan { mix, clients: 8, ..plan() });
    load.until("conversations", |progress| progress.conversing() > 2).await;
    process::send(backend.pid(), Signal::TERM).unwrap();
    assert!(backend.child.wait().await.unwrap().success());
    load.until("refusals", |progress| progress.refused() > 8).await;
    let report = load.stop().await;
    report.assert_consistent();
    assert_eq!(report.truncated + report.ws_broken, 0, "{report}");
    assert!(report.ws_closed_by_drain > 0, "{report}");
}

/// Four streams and four conversations are under way, then the process is gone.
async fn killed_in_the_middle(options: &[&str], signal: Signal) -> anyhow::Result<[LoadReport; 2]> {
    let mut backend = TestBackend::start(options).await?;
    let long = Duration::from_secs(20);
    let plan = LoadPlan { stream: long, conversation: long / 4, clients: 4, ..plan() };
    let streams = Mix { stream: 1, ..NOTHING };
    let streams = Load::start(backend.addr, LoadPlan { mix: streams, ..plan.clone() });
    let talks = Mix { web_socket: 1, ..NOTHING };
    let talks = Load::start(backend.addr, LoadPlan { mix: talks, ..plan });
    streams.until("every stream has begun", |progress| progress.answering() == 4).await;
    talks.until("everybody talks", |progress| progress.conversing() == 4).await;

    process::send(backend.pid(), signal)?;
    backend.child.wait().await?;
    let is_refused = |progress: &Progress| progress.refused() >= 4;
    streams.until("no more streams", is_refused).await;
    talks.until("no more talks", is_refused).await;
    Ok([streams.stop().await, talks.stop().await])
}

fn assert_all_lost([streams, talks]: [LoadReport; 2]) {
    streams.assert_consistent();
    assert_eq!((streams.sent, streams.truncated), (4, 4), "{streams}");
    talks.assert_consistent();
    assert_eq!((talks.sent, talks.ok, talks.ws_broken), (4, 4, 4), "{talks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_backend_owed_is_counted_as_lost() {
    assert_all_lost(killed_in_the_middle(&[], Signal::KILL).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_exits_at_once_on_term_loses_what_it_has() {
    let options = ["--exit-on-term-ms=20"];
    assert_all_lost(killed_in_the_middle(&options, Signal::TERM).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_answers_as_it_says() {
    let backend = TestBackend::start(&["--generation=g7", "--unhealthy"]).await.unwrap();
    let get = async |path| get(backend.addr, path).await;

    let greeting = get("/").await.unwrap();
    assert_eq!((greeting.status, greeting.text().as_str()), (StatusCode::OK, GREETING));
    assert_eq!(greeting.header("x-instance"), backend.addr.port().to_string());
    assert_eq!(greeting.header("x-pid"), backend.pid().to_string());
    assert_eq!(greeting.header("x-generation"), "g7");
    assert_eq!(get("/healthz").await.unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get("/status/418").await.unwrap().status, StatusCode::IM_A_TEAPOT);
    assert_eq!(get("/slow?ms=1").await.unwrap().text(), GREETING);
    assert_eq!(get("/nowhere").await.unwrap().status, StatusCode::NOT_FOUND);
    assert!(get("/headers?a=%20").await.unwrap().text().contains("\"/headers?a=%20\""));
    assert!(get("/abort-mid-body").await.is_err());

    let echo = post(backend.addr, "/echo", "say it".into()).await.unwrap();
    assert_eq!((echo.text().as_str(), echo.header("x-executions")), ("say it", "1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_reach_a_client_that_takes_them() {
    let backend = TestBackend::start(&[]).await.unwrap();
    let request = http::Request::get("/trailers").header("te", "trailers");
    let request = request.body(bytes::Bytes::new()).unwrap();
    let answer = smoothserve_tests::http::send(backend.addr, request).await.unwrap();
    let checksum = Checksum::of(GREETING.as_bytes()).to_string();
    assert_eq!(answer.trailers.unwrap()[CHECKSUM], checksum.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_can_refuse_to_start_or_crash() {
    for (option, code) in [("--exit-at-start=3", 3), ("--crash-after-ms=20", 70)] {
        let backend = TestBackend::launch(&[option]).unwrap();
        let output = backend.child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{option}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("fixture: "), "{output:?}");
    }
}
