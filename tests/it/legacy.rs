//! A folder as the users of GoSmoothServe have it, key by key, runs unchanged.

use std::fs;

use bytes::Bytes;
use http::Request;
use smoothserve_protocol::message::Done;
use smoothserve_tests::binaries::{self, Program};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::http::Answer;
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::setup::Folder;
use smoothserve_tests::{http as client, look, ports, wait};

use crate::agree::{assert_proof, ledger_agrees};

const MAIN: &str = r#"CommandPort: {command}
ProxyAddr: "127.0.0.1"
SubConfigDir: ./services
log:
  file_path: ./log/app.log
  max_size: 100
  max_backups: 10
  max_age: 100
  compress: true
  debug: true
"#;

/// With hosts, one instance, and nothing watched.
const SITE: &str = r#"name: site                               # shown in the console
server_name: "a.example, b.example"      # hosts
server_ip:  127.0.0.1
port: {port}
start_instance_port: {first}
instance_count: 1    # one is enough
executable_path: {program}
auto_restart: false
"#;

/// Without hosts, watched.
const ADMIN: &str = r#"name: zyadmin
port: {port}
start_instance_port: {first}
instance_count: 2
executable_path: {program}
auto_restart: true
delay_running_time: 1
watch_files:
  - ./view
  - ./app_linux
  - ./config
"#;

/// Fills in what must differ from one machine to the next, and nothing else.
fn write_service(folder: &Folder, name: &str, template: &str, count: u16) -> anyhow::Result<()> {
    let program = folder.path().join("www").join(name).join("app_linux");
    fs::create_dir_all(program.parent().expect("it lies in a folder"))?;
    fs::copy(binaries::path(Program::Backend)?, &program)?;
    let text = template
        .replace("{port}", &ports::take(1).to_string())
        .replace("{first}", &ports::take(count).to_string())
        .replace("{program}", &program.display().to_string());
    Ok(fs::write(folder.service_file(name), text)?)
}

async fn daemon() -> anyhow::Result<TestDaemon> {
    let folder = Folder::new()?;
    fs::write(folder.config_file(), MAIN.replace("{command}", &ports::take(1).to_string()))?;
    write_service(&folder, "site", SITE, 1)?;
    write_service(&folder, "zyadmin", ADMIN, 2)?;
    let daemon = TestDaemon::start(folder).await?;
    daemon.until("all three are ready", |snapshot| snapshot.daemon.ready == 3).await;
    Ok(daemon)
}

async fn get_from(daemon: &TestDaemon, service: &str, host: &str) -> anyhow::Result<Answer> {
    let request = Request::get("/").header("host", host).body(Bytes::new())?;
    client::send(daemon.listen(service), request).await
}

/// The words a process was started with.
fn command_line(pid: u32) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
    Ok(text.trim_end_matches('\0').split('\0').map(str::to_owned).collect())
}

fn environment(pid: u32) -> anyhow::Result<String> {
    Ok(fs::read_to_string(format!("/proc/{pid}/environ"))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_is_started_as_it_always_was() {
    let daemon = daemon().await.unwrap();
    let snapshot = daemon.snapshot().await;
    for instance in &look::service(&snapshot, "zyadmin").instances {
        let (pid, port) = (instance.pid.unwrap(), instance.port);
        let program = daemon.folder.path().join("www/zyadmin/app_linux");
        let words = [program.display().to_string(), format!("-port={port}")];
        assert_eq!(command_line(pid).unwrap(), words);
        let folder = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        assert_eq!(Some(folder.as_path()), program.parent());
        let set = environment(pid).unwrap();
        assert!(set.split('\0').any(|pair| pair == format!("PORT={port}")), "{set}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_hosts_reach_it_and_no_others_do() {
    let daemon = daemon().await.unwrap();
    let site = look::service(&daemon.snapshot().await, "site").instances[0].port.to_string();
    for host in ["a.example", "b.example", "B.Example:80"] {
        let answer = get_from(&daemon, "site", host).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.header("x-instance")), (200, site.as_str()));
    }
    // Alone on its port, it takes the rest as well; and so does a service without hosts.
    for service in ["site", "zyadmin"] {
        assert_eq!(get_from(&daemon, service, "c.example").await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_log_is_written_where_it_says() {
    let daemon = daemon().await.unwrap();
    let log = daemon.folder.path().join("log/app.log");
    let written = async |what: &str| {
        wait::until(&format!("the log says {what}"), async || {
            fs::read_to_string(&log).is_ok_and(|text| text.contains(what)).then_some(())
        })
        .await;
    };
    written("serving").await;
    // What the application prints has files of its own.
    let output = daemon.folder.path().join("smoothserve.logs/zyadmin-1.log");
    wait::until("the output is kept", async || {
        let text = fs::read_to_string(&output).unwrap_or_default();
        text.contains("fixture: listening on").then_some(())
    })
    .await;
    daemon.tool(&["status"]).await.unwrap();
    // `debug: true`: consoles that come are told of.
    written("is here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_command_restarts_it_under_load() {
    let daemon = daemon().await.unwrap();
    let plan = LoadPlan { clients: 8, ..LoadPlan::brisk() };
    let load = Load::start(daemon.listen("zyadmin"), plan);
    load.answered(50).await;
    let output = daemon.tool(&["-restart", "zyadmin"]).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    load.answered(50).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "zyadmin", &report).await;
    let snapshot = daemon.snapshot().await;
    let receipt = &look::service(&snapshot, "zyadmin").receipts[0];
    assert_proof(receipt, 2);
    let waited = |ready: Option<u64>| ready.is_some_and(|ready| ready >= 1000);
    assert!(receipt.steps.iter().all(|step| waited(step.ready_ms)), "{receipt:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_watches_lies_beside_its_program() {
    let daemon = daemon().await.unwrap();
    let view = daemon.folder.path().join("www/zyadmin/view");
    fs::create_dir(&view).unwrap();
    fs::write(view.join("index.html"), "new").unwrap();
    let restarted = async |service: &'static str| {
        let is_done = |snapshot: &_| look::service(snapshot, service).receipts.len() == 1;
        daemon.until("it is restarted", is_done).await
    };
    let snapshot = restarted("zyadmin").await;
    assert_proof(&look::service(&snapshot, "zyadmin").receipts[0], 2);
    let Ok(Done::Restarted(receipt)) = daemon.restart("site").await else { panic!() };
    assert_proof(&receipt, 1);
}
