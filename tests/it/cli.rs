//! The tool as scripts see it: exit codes and JSON.

use std::process::Output;

use serde_json::Value;
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{look, ports};

async fn daemon() -> anyhow::Result<TestDaemon> {
    Setup::of(Service::new("shop")).service(Service::new("blog").instances(1)).start_ready().await
}

/// Checks a command's exit code, and gives what it wrote to stdout.
async fn run(daemon: &TestDaemon, arguments: &[&str], code: i32) -> anyhow::Result<String> {
    let output = daemon.tool(arguments).await?;
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    Ok(String::from_utf8(output.stdout)?)
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\nstdout:\n{out}\nstderr:\n{err}", output.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn done_or_already_so_is_0() {
    let daemon = daemon().await.unwrap();
    run(&daemon, &["status"], 0).await.unwrap();
    run(&daemon, &["status", "--check"], 0).await.unwrap();
    run(&daemon, &["restart", "shop"], 0).await.unwrap();
    run(&daemon, &["start", "shop"], 0).await.unwrap();
    run(&daemon, &["stop", "shop"], 0).await.unwrap();
    run(&daemon, &["stop", "shop"], 0).await.unwrap();
    assert_eq!(look::ready(&daemon.snapshot().await, "shop"), 0);
    run(&daemon, &["start", "shop"], 0).await.unwrap();
    assert_eq!(look::ready(&daemon.snapshot().await, "shop"), 3);
    run(&daemon, &["restart", "--all"], 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_wrongly_is_2_and_what_is_unknown_is_4() {
    let daemon = daemon().await.unwrap();
    run(&daemon, &["no-such-verb"], 2).await.unwrap();
    run(&daemon, &["restart", "--no-such-option"], 2).await.unwrap();
    for verb in ["restart", "start", "stop"] {
        let output = daemon.tool(&[verb, "shpo"]).await.unwrap();
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("shpo") && said.contains("shop"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_is_3_to_a_check() {
    let daemon = daemon().await.unwrap();
    run(&daemon, &["stop", "blog"], 0).await.unwrap();
    run(&daemon, &["status", "--check", "shop"], 0).await.unwrap();
    run(&daemon, &["status", "--check", "blog"], 3).await.unwrap();
    // A restart is no start.
    run(&daemon, &["restart", "blog"], 5).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_daemon_is_7_and_another_token_is_6() {
    let daemon = daemon().await.unwrap();
    let nobody = format!("127.0.0.1:{}", ports::take(1));
    let tool = smoothserve_tests::daemon::tool_at;
    let output = tool(&nobody, &daemon.folder.token_file(), &["status"]).await.unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&nobody), "{}", said(&output));

    let other = daemon.folder.path().join("other.token");
    std::fs::write(&other, "00".repeat(32)).unwrap();
    let output = tool(&daemon.command().to_string(), &other, &["status"]).await.unwrap();
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_one_object_of_a_named_schema() {
    let daemon = daemon().await.unwrap();
    let text = run(&daemon, &["status", "--json"], 0).await.unwrap();
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["schema"], "smoothtool.status/1", "{text}");
    let services = status["services"].as_array().unwrap();
    let names: Vec<&str> = services.iter().filter_map(|service| service["name"].as_str()).collect();
    assert_eq!(names, ["blog", "shop"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_one_object_a_line() {
    let daemon = daemon().await.unwrap();
    let text = run(&daemon, &["restart", "shop", "--json"], 0).await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["schema"] == "smoothtool.restart/1"), "{text}");
    assert_eq!(lines.last().unwrap()["type"], "receipt", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_spelling_still_restarts() {
    let daemon = daemon().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "blog");
    run(&daemon, &["-restart", "blog"], 0).await.unwrap();
    assert_ne!(look::pids(&daemon.snapshot().await, "blog"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_a_name_ends_the_daemon() {
    let mut daemon = daemon().await.unwrap();
    run(&daemon, &["stop", "--yes"], 0).await.unwrap();
    assert!(daemon.exited().await.unwrap().success());
}
