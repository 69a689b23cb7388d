//! What befalls a machine: full disks, closed terminals, stalled readers, busy processors. Each row
//! of `tests/ROWS.md` that no other file shows.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::failure::FailReason;
use smoothserve_protocol::id::Generation;
use smoothserve_protocol::message::{Done, Push, Refusal, Request};
use smoothserve_protocol::snapshot::{Receipt, ServiceState, Snapshot};
use smoothserve_protocol::{VERSION, auth};
use smoothserve_tests::binaries::{self, Program};
use smoothserve_tests::command::CommandConnection;
use smoothserve_tests::daemon::{TestDaemon, name, tool_at};
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::process::{self, Signal, resident_memory};
use smoothserve_tests::setup::{Folder, Service, Setup};
use smoothserve_tests::{http, look, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::agree::{assert_proof, ledger_agrees};

/// What the tool is given to find out that nobody answers, with room for a busy machine.
const TOOL_PATIENCE: Duration = Duration::from_secs(8);
/// How much memory those who do not read may cost.
const COST: u64 = 48 * 1024 * 1024;

async fn restarted(daemon: &TestDaemon) -> Receipt {
    match daemon.restart("shop").await {
        Ok(Done::Restarted(receipt)) => *receipt,
        other => panic!("not restarted but {other:?}"),
    }
}

async fn warnings(daemon: &TestDaemon) -> Vec<String> {
    match daemon.ask(Request::Events { after: None, limit: 5000 }).await {
        Ok(Done::Events(batch)) => batch
            .events
            .into_iter()
            .filter_map(|event| match event.kind {
                EventKind::Warning { text } => Some(text),
                _ => None,
            })
            .collect(),
        other => panic!("no events but {other:?}"),
    }
}

/// Three instances are replaced while clients are at it, and nobody notices.
async fn restarts_without_loss(daemon: &TestDaemon) {
    restarts_under_load(daemon, 1).await;
}

/// The same, so many times; the clients must be the first the service has.
async fn restarts_under_load(daemon: &TestDaemon, times: usize) {
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 8, ..LoadPlan::brisk() });
    load.answered(50).await;
    for _ in 0..times {
        assert_proof(&restarted(daemon).await, 3);
        load.answered(50).await;
    }
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(daemon, "shop", &report).await;
}

/// Puts a script in the place of the program, which is then `./fixture-backend` to it.
fn wrap(folder: &Folder, script: &str) -> anyhow::Result<()> {
    let wrapper = folder.app("shop").join("run.sh");
    fs::write(&wrapper, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    let file = folder.service_file("shop");
    let program = folder.program("shop").display().to_string();
    let text = fs::read_to_string(&file)?;
    Ok(fs::write(&file, text.replace(&program, &wrapper.display().to_string()))?)
}

// ---- processes --------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_leaves_its_group_and_keeps_the_port_is_named() {
    let folder = Setup::of(Service::new("shop").instances(2)).write().unwrap();
    wrap(&folder, "setsid ./fixture-backend \"$@\" &\nwait").unwrap();
    let daemon = TestDaemon::start(folder).await.unwrap();
    let snapshot = daemon.until("it is up", |snapshot| look::ready(snapshot, "shop") == 2).await;
    let kept = look::pids(&snapshot, "shop")[1];
    let refusal = daemon.restart("shop").await.unwrap_err();
    let Refusal::Halted { failure, .. } = refusal else { panic!("{refusal:?}") };
    let FailReason::PortTaken { holder, .. } = &failure.reason else { panic!("{failure:?}") };
    assert!(holder.contains(" fixture-backend (") && holder.starts_with("pid "), "{holder}");
    let stray = |text: &String| text.starts_with(holder) && text.contains("outlives it");
    assert!(warnings(&daemon).await.iter().any(stray), "{:?}", warnings(&daemon).await);
    // The other one was not touched, and serves.
    let snapshot = daemon.snapshot().await;
    assert!(look::pids(&snapshot, "shop").contains(&kept), "{}", look::summary(&snapshot));
    for _ in 0..4 {
        assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
    }
}

/// A connection on which much is told, and nobody listens.
async fn deaf(daemon: &TestDaemon, request: Request) -> CommandConnection {
    let mut connection = daemon.open().await.expect("the daemon lets us in");
    let answer = connection.ask(request).await.expect("there is an answer");
    assert!(answer.is_ok(), "{answer:?}");
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_blocks_neither_instance_nor_restart() {
    let folder = Setup::of(Service::new("shop")).write().unwrap();
    // Far more than all the pipes and sockets on the way can hold.
    wrap(&folder, "yes 'so much to say' | head -c 8000000\nexec ./fixture-backend \"$@\"").unwrap();
    let daemon = TestDaemon::start(folder).await.unwrap();
    daemon.until("it is up", |snapshot| look::ready(snapshot, "shop") == 3).await;
    let before = resident_memory(daemon.pid()).unwrap();
    let service = name("shop");
    let follow = Request::Logs { service, slot: None, lines: 10, grep: None, follow: true };
    let mut follower = deaf(&daemon, follow).await;
    let subscribe = Request::Subscribe { focus: Some(name("shop")), events_after: None };
    let _console = deaf(&daemon, subscribe).await;

    restarts_without_loss(&daemon).await;
    assert_proof(&restarted(&daemon).await, 3);
    let after = resident_memory(daemon.pid()).unwrap();
    assert!(after < before + COST, "{before} bytes became {after}");
    // Once it listens, it is told how much it has missed.
    let mut missed = 0;
    while missed == 0 {
        if let Push::Logs(batch) = follower.told().await.unwrap() {
            missed += batch.missed;
        }
    }
}

// ---- limits and disks -------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn when_descriptors_run_short_operators_and_instances_get_theirs() {
    let folder = Setup::of(Service::new("shop")).write().unwrap();
    let daemon = TestDaemon::start_with_descriptors(folder, 128).await.unwrap();
    let shop = daemon.listen("shop");
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(shop).await.unwrap());
    }
    assert_proof(&restarted(&daemon).await, 3);
    drop(idle);
    restarts_without_loss(&daemon).await;
}

/// A folder on a disk of its own that can be full; unmounted when dropped. Who may not mount one has
/// a folder that cannot be written.
struct Disk {
    path: PathBuf,
    is_own: bool,
}

impl Disk {
    fn new(path: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&path)?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k,mode=700", "none"])
            .arg(&path)
            .stderr(Stdio::null())
            .status();
        Ok(Self { is_own: mount.is_ok_and(|status| status.success()), path })
    }

    /// Takes the room for everything, also for that which is open.
    fn fill(&self) -> anyhow::Result<()> {
        if !self.is_own {
            return Ok(fs::set_permissions(&self.path, fs::Permissions::from_mode(0o500))?);
        }
        let mut filler = File::create(self.path.join("filler"))?;
        while filler.write_all(&[7; 4096]).is_ok() {}
        while filler.write_all(&[7; 1]).is_ok() {}
        Ok(())
    }

    fn free(&self) -> anyhow::Result<()> {
        if !self.is_own {
            return Ok(fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700))?);
        }
        Ok(fs::remove_file(self.path.join("filler"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_own {
            // Lazily, because a daemon may still be on its way out.
            let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_lines_and_records_and_nothing_else() {
    let setup = Setup::of(Service::new("shop"))
        .key("StateDir", "state")
        .key("log", "{file_path: state/log/smoothserve.log, debug: true}");
    let folder = setup.write().unwrap();
    // More than fits into what is left of a page.
    wrap(&folder, "yes 'so much to say' | head -c 20000\nexec ./fixture-backend \"$@\"").unwrap();
    let disk = Disk::new(folder.path().join("state")).unwrap();
    std::os::unix::fs::symlink("state/smoothserve.token", folder.token_file()).unwrap();
    let mut daemon = TestDaemon::start(folder).await.unwrap();
    daemon.until("it is up", |snapshot| look::ready(snapshot, "shop") == 3).await;
    let first = restarted(&daemon).await;
    let receipts = async |daemon: &TestDaemon| match daemon
        .ask(Request::History { service: None, limit: 10 })
        .await
    {
        Ok(Done::History(receipts)) => receipts,
        other => panic!("no history but {other:?}"),
    };
    let kept = async || (receipts(&daemon).await == [first.clone()]).then_some(());
    wait::until("the first receipt is kept", kept).await;

    disk.fill().unwrap();
    restarts_without_loss(&daemon).await;
    assert_proof(&restarted(&daemon).await, 3);
    let told = async || {
        let warnings = warnings(&daemon).await;
        warnings.iter().any(|text| text.contains("smoothserve.logs")).then_some(warnings)
    };
    let told = wait::until("it is said", told).await;
    assert!(told.len() < 10, "{told:#?}");

    // With room again, what was there before is whole, and new things are kept.
    disk.free().unwrap();
    let last = restarted(&daemon).await;
    let kept = async || {
        let receipts = receipts(&daemon).await;
        (receipts.first() == Some(&last) && receipts.last() == Some(&first)).then_some(())
    };
    wait::until("the last receipt is kept", kept).await;
    disk.fill().unwrap();
    daemon.signal(Signal::TERM).unwrap();
    assert!(daemon.exited().await.unwrap().success());
    assert_eq!(process::running_from(daemon.folder.path()), [] as [u32; 0], "left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_takes_nothing_keeps_nobody_from_serving() {
    let folder = Setup::of(Service::new("shop")).write().unwrap();
    let mut daemon = TestDaemon::start_as(folder, |command| {
        let full = || File::options().write(true).open("/dev/full").expect("Linux has it");
        command.stdout(full()).stderr(full()).env("RUST_LOG", "debug");
    })
    .await
    .unwrap();
    restarts_without_loss(&daemon).await;
    daemon.signal(Signal::TERM).unwrap();
    assert!(daemon.exited().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_in_the_state_folder_is_told_and_stands_in_nobodys_way() {
    let mut daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let first = restarted(&daemon).await;
    daemon.signal(Signal::KILL).unwrap();
    daemon.exited().await.unwrap();
    let left = process::running_from(daemon.folder.path());
    let folder = daemon.folder.path().to_owned();
    let records = folder.join("smoothserve.runs");
    fs::write(records.join("1"), b"\xff\0 nonsense").unwrap();
    fs::write(records.join("2"), b"").unwrap();
    fs::write(folder.join("smoothserve.lock"), b"\0\0 no pid").unwrap();
    let mut history =
        File::options().append(true).open(folder.join("smoothserve.history")).unwrap();
    history.write_all(b"{\"half\":\n\xff\xfe\0\n[]\n{").unwrap();

    daemon.start_again().await.unwrap();
    assert!(!left.iter().any(|pid| process::is_running(*pid)), "they are still there");
    let log = daemon.log();
    for record in ["1", "2"] {
        let damaged = format!("record {}: it is damaged", records.join(record).display());
        assert_eq!(log.matches(&damaged).count(), 1, "{log}");
        assert!(!records.join(record).exists());
    }
    let second = restarted(&daemon).await;
    assert!(second.operation > first.operation);
    let kept = async || {
        let request = Request::History { service: None, limit: 10 };
        let Ok(Done::History(receipts)) = daemon.ask(request).await else { panic!() };
        (receipts == [second.clone(), first.clone()]).then_some(())
    };
    wait::until("both receipts are told", kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_writes_where_it_watches_restarts_nothing() {
    let service = Service::new("shop")
        .instances(2)
        .key("auto_restart", "true")
        .key("delay_update_time", "300ms")
        .key("watch_files", "[./view]");
    let setup = Setup::of(service)
        .key("StateDir", "apps/shop/view/state")
        .key("instance_log", "{dir: apps/shop/view/logs}")
        .key("log", "{file_path: apps/shop/view/smoothserve.log, debug: true}");
    let folder = setup.write().unwrap();
    let view = folder.app("shop").join("view");
    fs::create_dir_all(view.join("state")).unwrap();
    std::os::unix::fs::symlink(view.join("state/smoothserve.token"), folder.token_file()).unwrap();
    let daemon = TestDaemon::start(folder).await.unwrap();
    daemon.until("it is up", |snapshot| look::ready(snapshot, "shop") == 2).await;
    // Logs, records, receipts: all of them are written.
    assert_eq!(restarted(&daemon).await.to, Generation(2));
    assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
    assert!(view.join("logs").read_dir().unwrap().next().is_some());

    // Only what somebody else writes there counts.
    fs::write(view.join("page.html"), "new").unwrap();
    let snapshot = daemon
        .until("the restart has ended", |snapshot| {
            let shop = look::service(snapshot, "shop");
            shop.operation.is_none() && shop.receipts.len() >= 2
        })
        .await;
    let newest = &look::service(&snapshot, "shop").receipts[0];
    assert_eq!(newest.to, Generation(3), "{newest:#?}");
    let page = view.join("page.html").display().to_string();
    let cause = format!("{:?}", newest.cause);
    assert!(cause.contains(&page) && !cause.contains("smoothserve"), "{cause}");
}

// ---- operators --------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_closed_takes_nothing_with_it() {
    let folder = Setup::of(Service::new("shop")).write().unwrap();
    let (terminal, side) = pty_process::open().unwrap();
    let side: std::os::fd::OwnedFd = rustix::io::dup(&side).unwrap();
    let mut daemon = TestDaemon::start_as(folder, |command| {
        let program = command.as_std().get_program().to_owned();
        let arguments: Vec<_> = command.as_std().get_args().map(ToOwned::to_owned).collect();
        let folder = command.as_std().get_current_dir().map(ToOwned::to_owned);
        // The leader of a session on this terminal, which is told when it goes.
        let mut leader = tokio::process::Command::new("setsid");
        leader.arg("--ctty").arg(program).args(arguments);
        leader.current_dir(folder.expect("a daemon has a folder")).kill_on_drop(true);
        let side = || side.try_clone().expect("there are descriptors");
        leader.stdin(side()).stdout(side()).stderr(side());
        *command = leader;
    })
    .await
    .unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    drop(side);
    drop(terminal);
    // The hang-up asks for the configuration, which is as it was.
    restarts_without_loss(&daemon).await;
    assert!(!look::pids(&daemon.snapshot().await, "shop").iter().any(|pid| before.contains(pid)));
    daemon.signal(Signal::TERM).unwrap();
    assert!(daemon.exited().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn int_and_quit_end_everything_as_term_does() {
    for signal in [Signal::INT, Signal::QUIT] {
        let mut daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
        let shop = daemon.listen("shop");
        let stream = tokio::spawn(http::get(shop, "/stream?ms=1500&chunks=3"));
        daemon
            .until("the stream has begun", |snapshot| {
                look::service(snapshot, "shop").row.traffic.in_flight == 1
            })
            .await;
        daemon.signal(signal).unwrap();
        assert!(daemon.exited().await.unwrap().success(), "{signal:?}");
        let stream = stream.await.unwrap().unwrap();
        assert!(stream.text().ends_with(smoothserve_tests::contract::LAST_LINE), "{stream:?}");
        assert_eq!(process::running_from(daemon.folder.path()), [] as [u32; 0], "left behind");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_interrupted_leaves_the_restart_to_the_daemon() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    daemon.folder.next_build("shop", "start-ms=700").unwrap();
    let tool = tokio::process::Command::new(binaries::path(Program::Tool).unwrap())
        .args(["restart", "shop", "--addr", &daemon.command().to_string(), "--token-file"])
        .arg(daemon.folder.token_file())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    daemon
        .until("it runs", |snapshot| {
            look::service(snapshot, "shop").row.state == ServiceState::Restarting
        })
        .await;
    process::send(tool.id().unwrap(), Signal::INT).unwrap();
    let output = tool.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let status = daemon.tool(&["status"]).await.unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("restarting"), "{status}");
    let snapshot = daemon
        .until("it has ended", |snapshot| !look::service(snapshot, "shop").receipts.is_empty())
        .await;
    assert_proof(&look::service(&snapshot, "shop").receipts[0], 3);
}

/// Checks that the tool gives up in time, with this code and one line that holds `reason`.
async fn gives_up(addr: &str, token_file: &Path, code: i32, reason: &str) {
    let began = Instant::now();
    for verb in [&["status"][..], &["restart", "shop"], &["logs", "shop"]] {
        let output = tool_at(addr, token_file, verb).await.expect("the tool ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{verb:?}: {said}");
        let first = said.lines().next().unwrap_or_default();
        assert!(first.contains(reason), "{verb:?}: {said}");
    }
    let took = began.elapsed() / 3;
    assert!(took < TOOL_PATIENCE, "{took:?} each");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_gives_up_on_whoever_is_no_daemon() {
    let daemon = Setup::of(Service::new("shop").instances(1)).start_ready().await.unwrap();
    let token = daemon.folder.token_file();
    // Connections wait in its queue, and nobody takes them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    gives_up(&silent.local_addr().unwrap().to_string(), &token, 7, "no answer within 5 s").await;
    let missing = daemon.folder.path().join("no.token");
    gives_up(&daemon.command().to_string(), &missing, 6, "no.token").await;
    // A public port: HTTP.
    gives_up(&daemon.listen("shop").to_string(), &token, 7, "not smoothserve").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_gives_up_on_a_daemon_of_another_version() {
    let daemon = Setup::of(Service::new("shop").instances(1)).start_ready().await.unwrap();
    let old = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = old.local_addr().unwrap().to_string();
    let answering = tokio::spawn(async move {
        let mut opening = auth::opening();
        opening[6..].copy_from_slice(&(VERSION - 1).to_be_bytes());
        while let Ok((mut stream, _)) = old.accept().await {
            // The tool may have gone.
            let _ = stream.write_all(&opening).await;
            let _ = stream.shutdown().await;
        }
    });
    let version = format!("version {}", VERSION - 1);
    gives_up(&addr, &daemon.folder.token_file(), 8, &version).await;
    answering.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_gives_up_on_a_daemon_that_is_stopped_and_finds_it_when_it_goes_on() {
    let daemon = Setup::of(Service::new("shop").instances(1)).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    daemon.signal(Signal::STOP).unwrap();
    let addr = daemon.command().to_string();
    let token = daemon.folder.token_file();
    gives_up(&addr, &token, 7, "no answer within 5 s").await;
    daemon.signal(Signal::CONT).unwrap();
    // As after a suspend: nothing is restarted.
    let output = daemon.tool(&["status", "--check"]).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(look::pids(&daemon.snapshot().await, "shop"), before);
    assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
}

// ---- a busy machine ---------------------------------------------------------------------------

/// Takes a processor for itself until it is dropped.
struct Burner(Child);

impl Burner {
    fn start() -> anyhow::Result<Self> {
        let burner = Command::new("/bin/sh").args(["-c", "while :; do :; done"]).spawn()?;
        Ok(Self(burner))
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        // It is there to be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_a_machine_that_is_fully_busy_loses_nothing() {
    let service = Service::new("shop").key("ready", "{http: /healthz, status: 200}");
    let service = service.key("liveness", "{http: /healthz, interval: 1, timeout: 3}");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let processors = std::thread::available_parallelism().unwrap().get();
    let burners: Vec<Burner> = (0..processors.min(8)).map(|_| Burner::start().unwrap()).collect();
    restarts_under_load(&daemon, 2).await;
    drop(burners);
    // No limit has passed falsely: nobody was replaced but by the restarts.
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::service(&snapshot, "shop").row.generation, Generation(3));
    let failed = look::count(&snapshot, "shop", |instance| instance.failure.is_some());
    assert_eq!(failed, 0, "{}", look::summary(&snapshot));
}

// ---- terminals and logs -------------------------------------------------------------------------

/// What moves a cursor, speaks to a terminal or turns the direction of text.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}')
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_steers_no_terminal_and_breaks_no_line() {
    let service = Service::new("shop").instances(1).key("drain_timeout", "1s");
    let setup = Setup::of(service).key("access_log", "{file_path: access.log, format: combined}");
    let daemon = setup.start_ready().await.unwrap();
    // What steers one and may stand in a head: of more than one byte each.
    let mut stream = TcpStream::connect(daemon.listen("shop")).await.unwrap();
    let head = "POST /once/\u{9b}2J\u{202e} HTTP/1.1\r\nhost: a\r\nuser-agent: \u{9b}2J\"\r\n\
                connection: close\r\ncontent-length: 4\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let is_inside =
        |snapshot: &Snapshot| look::service(snapshot, "shop").row.traffic.in_flight == 1;
    daemon.until("it is inside", is_inside).await;

    let output = daemon.tool(&["restart", "shop"]).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("POST /once/"), "{said}");
    assert!(!said.contains(steers), "{said:?}");

    stream.write_all(b"done").await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    let written = async || {
        let log = fs::read_to_string(daemon.folder.path().join("access.log")).ok()?;
        log.ends_with('\n').then_some(log)
    };
    let log = wait::until("it is in the log", written).await;
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains(r#""POST /once/\xC2\x9B2J\xE2\x80\xAE HTTP/1.1" 200 "#), "{log}");
    assert!(log.ends_with("\"\\xC2\\x9B2J\\x22\"\n"), "{log}");
    assert!(!daemon.log().contains(steers), "{:?}", daemon.log());
}
