//! `auto_restart`: what changes on disk becomes one rolling restart, however it changes.
//!
//! That nothing more came of a change is shown by a later one: its restart has the next generation
//! only if there was none in between.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::Generation;
use smoothserve_protocol::snapshot::{InstanceState, Receipt, ServiceState, Snapshot};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http, look, wait};
use tokio::time::sleep;

use crate::agree::{assert_proof, ledger_agrees};

/// Two instances of a service that watches its program, a folder and a file that is not there.
fn watching(name: &str) -> Service {
    Service::new(name)
        .instances(2)
        .key("auto_restart", "true")
        .key("delay_update_time", "300ms")
        .key("watch_files", "[./view, ./config/late.conf]")
}

/// The daemon of a service whose watched folder is there from the beginning.
async fn start(setup: Setup) -> anyhow::Result<TestDaemon> {
    let folder = setup.write()?;
    fs::create_dir(folder.app("shop").join("view"))?;
    own_program(&folder.program("shop"))?;
    let daemon = TestDaemon::start(folder).await?;
    daemon
        .until("every instance is ready", |snapshot| {
            snapshot.daemon.ready == snapshot.daemon.wanted
        })
        .await;
    Ok(daemon)
}

/// The programs of all tests are one file under many names: whoever touches it needs one of its own.
fn own_program(program: &Path) -> anyhow::Result<()> {
    let copy = program.with_extension("copy");
    fs::copy(program, &copy)?;
    Ok(fs::rename(copy, program)?)
}

/// Replaces a program by one that behaves the same and is another.
fn new_program(program: &Path) -> anyhow::Result<()> {
    let new = program.with_extension("new");
    fs::copy(program, &new)?;
    // What follows the end of a program is not loaded.
    File::options().append(true).open(&new)?.write_all(b"another")?;
    Ok(fs::rename(new, program)?)
}

fn touch(file: &Path) -> anyhow::Result<()> {
    Ok(File::open(file)?.set_modified(SystemTime::now())?)
}

/// A change that is seen, and its path.
fn change(daemon: &TestDaemon, text: &str) -> anyhow::Result<PathBuf> {
    let page = daemon.folder.app("shop").join("view/page.html");
    fs::write(&page, text)?;
    Ok(page)
}

fn generation(snapshot: &Snapshot) -> Generation {
    look::service(snapshot, "shop").row.generation
}

fn is_quiet(snapshot: &Snapshot) -> bool {
    look::service(snapshot, "shop").operation.is_none()
}

/// Waits for the end of the restart to this generation, and gives its receipt.
async fn ended(daemon: &TestDaemon, to: u64) -> Receipt {
    let to = Generation(to);
    let snapshot = daemon
        .until(&format!("the restart to {to} has ended"), |snapshot| {
            let shop = look::service(snapshot, "shop");
            is_quiet(snapshot) && shop.receipts.iter().any(|receipt| receipt.to >= to)
        })
        .await;
    let newest = look::service(&snapshot, "shop").receipts[0].clone();
    assert_eq!(newest.to, to, "{}", look::summary(&snapshot));
    newest
}

/// Checks that a restart was done because of `file`.
fn assert_because_of(receipt: &Receipt, file: &Path) {
    assert_proof(receipt, 2);
    let Cause::FilesChanged(files) = &receipt.cause else { panic!("{receipt:#?}") };
    let file = file.to_str().expect("a test names its files well");
    assert!(files.iter().any(|changed| changed == file), "{file} is not in {files:?}");
}

/// Checks that the changes so far made restarts up to this generation, and no more.
async fn assert_no_more(daemon: &TestDaemon, after: u64) -> anyhow::Result<()> {
    let page = change(daemon, "the last word")?;
    assert_because_of(&ended(daemon, after + 1).await, &page);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_renamed_into_place_is_restarted_once() {
    let daemon = start(Setup::of(watching("shop"))).await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 8, ..LoadPlan::brisk() });
    let program = daemon.folder.program("shop");
    new_program(&program).unwrap();
    assert_because_of(&ended(&daemon, 2).await, &program);
    let after = look::pids(&daemon.snapshot().await, "shop");
    assert!(before.iter().all(|pid| !after.contains(pid)), "{before:?} {after:?}");
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;
    assert_no_more(&daemon, 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_touched_or_replaced_by_itself_is_left_alone() {
    let daemon = start(Setup::of(watching("shop"))).await.unwrap();
    let program = daemon.folder.program("shop");
    let said = || daemon.log().matches("touched, same content").count();
    let newest = async || {
        let snapshot = daemon.snapshot().await;
        let receipt = look::service(&snapshot, "shop").receipts.first();
        is_quiet(&snapshot).then_some(receipt.map_or(1, |receipt| receipt.to.0))
    };
    // What was launched is read while it runs. Whoever touches it before that has happened gets a
    // restart, to be safe: nobody can tell any more what the file had held.
    let mut serves = 1;
    for _ in 0..5 {
        touch(&program).unwrap();
        let judged = async || {
            let newest = newest().await?;
            (said() > 0 || newest > serves).then_some(newest)
        };
        serves = wait::until("the touch is judged", judged).await;
        if said() > 0 {
            break;
        }
    }
    own_program(&program).unwrap();
    wait::until("a copy is taken for what it is", async || (said() == 2).then_some(())).await;
    assert_no_more(&daemon, serves).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_a_restart_by_hand_takes_along_restarts_nothing_more() {
    let service = watching("shop").key("delay_update_time", "2s");
    let daemon = start(Setup::of(service)).await.unwrap();
    change(&daemon, "before the restart").unwrap();
    daemon.restart("shop").await.unwrap();
    let said = || daemon.log().contains("touched, same content");
    wait::until("it says so", async || said().then_some(())).await;
    assert_no_more(&daemon, 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_switched_is_one_restart_even_to_the_same_program() {
    let service = watching("shop").key("executable_path", "apps/shop/current/fixture-backend");
    let folder = Setup::of(service).write().unwrap();
    let app = folder.app("shop");
    for release in ["1", "2"] {
        let release = app.join("releases").join(release);
        fs::create_dir_all(release.join("view")).unwrap();
        fs::copy(folder.program("shop"), release.join("fixture-backend")).unwrap();
    }
    symlink("releases/1", app.join("current")).unwrap();
    let daemon = TestDaemon::start(folder).await.unwrap();
    daemon.until("it serves", |snapshot| look::ready(snapshot, "shop") == 2).await;
    symlink("releases/2", app.join("next")).unwrap();
    fs::rename(app.join("next"), app.join("current")).unwrap();
    let current = app.join("current");
    assert_because_of(&ended(&daemon, 2).await, &current.join("fixture-backend"));
    let page = app.join("releases/2/view/page.html");
    fs::write(page, "new").unwrap();
    assert_because_of(&ended(&daemon, 3).await, &current.join("view/page.html"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_git_ignores_restarts_nothing() {
    let daemon = start(Setup::of(watching("shop"))).await.unwrap();
    let view = daemon.folder.app("shop").join("view");
    fs::write(view.join(".gitignore"), "*.tmp\nnode_modules/\n").unwrap();
    assert_because_of(&ended(&daemon, 2).await, &view.join(".gitignore"));
    for folder in ["node_modules/left-pad", ".git/objects"] {
        fs::create_dir_all(view.join(folder)).unwrap();
        fs::write(view.join(folder).join("index"), "new").unwrap();
    }
    fs::write(view.join("page.tmp"), "new").unwrap();
    assert_no_more(&daemon, 2).await.unwrap();
}

/// Copies a new program as a slow network would: what is there meanwhile is a part of it.
async fn copy_in_pieces(program: &Path) -> anyhow::Result<()> {
    let bytes = [&fs::read(program)?, &b"another"[..]].concat();
    fs::remove_file(program)?;
    let mut new = File::options().write(true).create_new(true).mode(0o755).open(program)?;
    for piece in bytes.chunks(bytes.len() / 10 + 1) {
        new.write_all(piece)?;
        sleep(Duration::from_millis(60)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_copied_slowly_is_restarted_once_when_it_is_whole() {
    let service = watching("shop").key("delay_update_time", "1s");
    let daemon = start(Setup::of(service)).await.unwrap();
    let program = daemon.folder.program("shop");
    copy_in_pieces(&program).await.unwrap();
    assert_because_of(&ended(&daemon, 2).await, &program);
    assert_no_more(&daemon, 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_stands_still_takes_nobody_away() {
    let daemon = start(Setup::of(watching("shop"))).await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let program = daemon.folder.program("shop");
    let bytes = [&fs::read(&program).unwrap(), &b"another"[..]].concat();
    let (here, to_come) = bytes.split_at(bytes.len() / 2);
    fs::remove_file(&program).unwrap();
    let new = File::options().write(true).create_new(true).mode(0o755).open(&program);
    let mut new = new.unwrap();
    new.write_all(here).unwrap();
    let writer = format!("is being written by pid {} ", std::process::id());
    wait::until("it says so", async || daemon.log().contains(&writer).then_some(())).await;
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::pids(&snapshot, "shop"), before, "{}", look::summary(&snapshot));
    assert_eq!(look::ready(&snapshot, "shop"), 2, "{}", look::summary(&snapshot));
    new.write_all(to_come).unwrap();
    drop(new);
    assert_because_of(&ended(&daemon, 2).await, &program);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_watched_with_all_that_comes_into_it() {
    let daemon = start(Setup::of(watching("shop"))).await.unwrap();
    let deep = daemon.folder.app("shop").join("view/shelf/box");
    fs::create_dir_all(&deep).unwrap();
    ended(&daemon, 2).await;
    let file = deep.join("page.html");
    fs::write(&file, "new").unwrap();
    assert_because_of(&ended(&daemon, 3).await, &file);
    fs::remove_file(&file).unwrap();
    assert_because_of(&ended(&daemon, 4).await, &file);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_appears_later_is_seen_when_it_does_and_when_it_changes() {
    let daemon = start(Setup::of(watching("shop"))).await.unwrap();
    let file = daemon.folder.app("shop").join("config/late.conf");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, "first").unwrap();
    assert_because_of(&ended(&daemon, 2).await, &file);
    fs::write(&file, "second").unwrap();
    assert_because_of(&ended(&daemon, 3).await, &file);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_changes_is_one_restart() {
    let daemon = start(Setup::of(watching("shop"))).await.unwrap();
    let view = daemon.folder.app("shop").join("view");
    for number in 0..5000 {
        let shelf = view.join(format!("shelf{}", number % 50));
        fs::create_dir_all(&shelf).unwrap();
        fs::write(shelf.join(number.to_string()), "page").unwrap();
    }
    assert_proof(&ended(&daemon, 2).await, 2);
    assert_no_more(&daemon, 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_during_a_restart_are_one_more_restart_afterwards() {
    let service = watching("shop").option("start-ms=700");
    let daemon = start(Setup::of(service)).await.unwrap();
    change(&daemon, "first").unwrap();
    // What changes before the first new run begins is what that run holds.
    let is_under_way = |snapshot: &Snapshot| {
        let first = &look::service(snapshot, "shop").instances[0];
        let is_new = first.generation == Generation(2) && first.pid.is_some();
        is_new && first.state == InstanceState::Starting
    };
    daemon.until("it restarts", is_under_way).await;
    change(&daemon, "second").unwrap();
    let page = change(&daemon, "third").unwrap();
    assert_proof(&ended_of(&daemon, 2).await, 2);
    assert_because_of(&ended(&daemon, 3).await, &page);
    assert_no_more(&daemon, 3).await.unwrap();
}

/// The receipt of the restart to this generation, whatever came after it.
async fn ended_of(daemon: &TestDaemon, to: u64) -> Receipt {
    let mut found = None;
    daemon
        .until(&format!("the restart to g{to} has ended"), |snapshot| {
            let receipts = &look::service(snapshot, "shop").receipts;
            found = receipts.iter().find(|receipt| receipt.to == Generation(to)).cloned();
            found.is_some()
        })
        .await;
    found.expect("it was waited for")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_auto_restart_a_change_is_nothing() {
    let still = watching("still").key("auto_restart", "false");
    let daemon = start(Setup::of(watching("shop")).service(still)).await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "still");
    let program = daemon.folder.program("still");
    new_program(&program).unwrap();
    fs::create_dir(daemon.folder.app("still").join("view")).unwrap();
    // What is seen later has been acted on, so what came before it would have been as well.
    assert_no_more(&daemon, 1).await.unwrap();
    assert_eq!(look::pids(&daemon.snapshot().await, "still"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_is_not_started_by_a_change() {
    let setup = Setup::of(watching("shop")).service(watching("blog"));
    let daemon = start(setup).await.unwrap();
    daemon.stop("shop").await.unwrap();
    change(&daemon, "while it is stopped").unwrap();
    new_program(&daemon.folder.program("blog")).unwrap();
    let snapshot = daemon
        .until("the other one is restarted", |snapshot| {
            look::service(snapshot, "blog").receipts.len() == 1
        })
        .await;
    assert_eq!(look::service(&snapshot, "shop").row.state, ServiceState::Stopped);
    daemon.start_service("shop").await.unwrap();
    assert_no_more(&daemon, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_no_good_halts_and_the_rest_serves_on() {
    let daemon = start(Setup::of(watching("shop"))).await.unwrap();
    let untouched = look::pids(&daemon.snapshot().await, "shop")[1];
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 8, ..LoadPlan::brisk() });
    load.answered(20).await;
    daemon.folder.next_build("shop", "exit-at-start=3").unwrap();
    change(&daemon, "with the bad build").unwrap();
    let receipt = ended(&daemon, 2).await;
    assert!(!receipt.done && receipt.replaced == 0, "{receipt:#?}");
    let why = receipt.halted.unwrap();
    assert!(why.contains("exited with code 3"), "{why}");
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::ready(&snapshot, "shop"), 1, "{}", look::summary(&snapshot));
    assert_eq!(generation(&snapshot), Generation(1), "what failed does not serve");
    assert!(look::pids(&snapshot, "shop").contains(&untouched), "{}", look::summary(&snapshot));
    load.answered(20).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;

    // The bad build is not tried on the other instance until something changes again.
    daemon.folder.next_build("shop", "").unwrap();
    daemon.until("the failed one is back", |snapshot| look::ready(snapshot, "shop") == 2).await;
    assert_no_more(&daemon, 2).await.unwrap();
    assert!(!look::pids(&daemon.snapshot().await, "shop").contains(&untouched));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_leaves_no_program_changes_nothing() {
    let daemon = start(Setup::of(watching("shop"))).await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let program = daemon.folder.program("shop");
    let away = program.with_extension("away");
    fs::rename(&program, &away).unwrap();
    let refused = "restart refused, nothing was changed";
    wait::until("it says so", async || daemon.log().contains(refused).then_some(())).await;
    assert_eq!(look::pids(&daemon.snapshot().await, "shop"), before);
    assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
    // What runs is what is there again.
    fs::rename(&away, &program).unwrap();
    let said = || daemon.log().contains("touched, same content");
    wait::until("it says so", async || said().then_some(())).await;
    assert_eq!(look::pids(&daemon.snapshot().await, "shop"), before);
    assert_no_more(&daemon, 1).await.unwrap();
}
