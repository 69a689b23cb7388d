//! What an instance is and may use, seen in /proc. Whom it runs as can only be chosen by root.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use smoothserve_tests::daemon::{TestDaemon, run_to_exit};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http, look};

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|text| text.contains("\nUid:\t0\t0\t0\t0\n"))
}

/// Whether everybody may go through all the folders above `path`.
fn is_reachable(path: &Path) -> bool {
    let may_enter = |folder: &Path| {
        folder.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    };
    path.ancestors().skip(1).all(may_enter)
}

fn status(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}:")));
    line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn limit(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("it has that limit");
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_those_of_the_file_and_of_its_instances_alone() {
    let service = Service::new("shop").key("open_files", "512").key("file_size", "10MiB");
    let daemon = Setup::of(service).service(Service::new("blog")).start_ready().await.unwrap();
    let snapshot = daemon.snapshot().await;
    for pid in look::pids(&snapshot, "shop") {
        assert_eq!(limit(pid, "Max open files"), "512 512");
        assert_eq!(limit(pid, "Max file size"), format!("{0} {0}", 10 << 20));
    }
    let own = limit(std::process::id(), "Max open files");
    for pid in look::pids(&snapshot, "blog") {
        assert_eq!(limit(pid, "Max file size"), limit(std::process::id(), "Max file size"));
        assert_eq!(limit(pid, "Max open files"), own);
    }
    assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_of_root_starts_instances_as_somebody_else() {
    let service = Service::new("shop").instances(1).key("user", "nobody").key("env", "{A: b}");
    let folder = Setup::of(service).write().unwrap();
    if !is_root() || !is_reachable(folder.path()) {
        eprintln!("not tested: it takes root, and a folder that everybody may reach");
        return;
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let daemon = TestDaemon::start(folder).await.unwrap();
    daemon.until("it serves", |snapshot| look::ready(snapshot, "shop") == 1).await;
    assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
    let nobody = fs::read_to_string("/etc/passwd").unwrap();
    let nobody = nobody.lines().find(|line| line.starts_with("nobody:")).unwrap();
    let [uid, gid] = [2, 3].map(|field| nobody.split(':').nth(field).unwrap());
    let pid = look::pids(&daemon.snapshot().await, "shop")[0];
    assert_eq!(status(pid, "Uid"), [uid; 4].join(" "));
    assert_eq!(status(pid, "Gid"), [gid; 4].join(" "));
    // None of root's, whatever those are.
    assert!(
        !status(pid, "Groups").split(' ').any(|group| group == "0"),
        "{}",
        status(pid, "Groups")
    );
    assert_eq!(status(pid, "CapEff"), "0".repeat(16));
    // Somebody else's process is told to exit all the same, and followed by another.
    assert!(daemon.restart("shop").await.is_ok());
    let next = look::pids(&daemon.snapshot().await, "shop")[0];
    assert!(next != pid && status(next, "Uid") == [uid; 4].join(" "));
    assert!(daemon.stop("shop").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_does_not_exist_is_refused_with_its_name() {
    let service = Service::new("shop").key("user", "nobody-of-that-name");
    let folder = Setup::of(service).write().unwrap();
    let output = run_to_exit(&folder.config_file()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("nobody-of-that-name"), "{said}");
}
