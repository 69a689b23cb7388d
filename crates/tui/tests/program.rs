//! The program itself, beside a daemon that is a shell script.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A folder with `smoothtool` and a `smoothserve` that does what `script` says.
struct Installed {
    folder: TempDir,
}

impl Installed {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tool = folder.path().join("smoothtool");
        let built = env!("CARGO_BIN_EXE_smoothtool");
        if fs::hard_link(built, &tool).is_err() {
            fs::copy(built, &tool).unwrap();
        }
        let daemon = folder.path().join("smoothserve");
        fs::write(&daemon, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&daemon, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        Self { folder }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(self.folder.path().join("smoothtool"));
        command
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_RUNTIME_DIR", self.run_folder())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn run_folder(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// The folder of a running demo.
    fn demo_folder(&self) -> Option<PathBuf> {
        fs::read_dir(self.run_folder()).unwrap().next().map(|entry| entry.unwrap().path())
    }
}

#[test]
fn keys_that_cannot_be_used_are_named_before_the_console_starts() {
    let installed = Installed::new("exit 1");
    fs::create_dir_all(installed.folder.path().join("smoothtool-keys/smoothtool")).unwrap();
    installed.write("smoothtool-keys/smoothtool/keys.yaml", "overview:\n  R: restrat\n");
    let folder = installed.folder.path().join("smoothtool-keys");
    for line in ["tui --addr 127.0.0.1:1 --token-file none", "keys"] {
        let output = installed.command(line).env("XDG_CONFIG_HOME", &folder).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {told}");
        assert!(told.contains("keys.yaml cannot be used"), "{told}");
        assert!(told.contains("line 2: `restrat` is nothing that overview can do"), "{told}");
    }
    let output = installed.run("keys");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("  r: restart"));
}

#[track_caller]
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_daemon_that_cannot_read_its_configuration_explains_itself() {
    let installed = Installed::new("echo \"no such key: Commandport\" >&2; exit 2");
    installed.write("smoothserve.yaml", &format!("CommandPort: {}", free_port()));
    let output = installed.run("start");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("  no such key: Commandport"), "{}", stderr(&output));
    // What an earlier start said is not said again.
    let again = stderr(&installed.run("start"));
    assert_eq!(again.matches("no such key").count(), 1, "{again}");
}

#[test]
fn config_check_is_what_the_daemon_says() {
    let installed = Installed::new("echo \"$@\"; exit 2");
    installed.write("other.yaml", "not: looked at");
    let output = installed.run("config check --config other.yaml");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "--check --config other.yaml\n");
}

#[test]
fn old_spellings_work_and_name_the_new_ones() {
    let installed = Installed::new("exit 0");
    installed.write("x.yaml", &format!("CommandPort: {}", free_port()));
    let output = installed.run("-config x.yaml -restart shop");
    assert_eq!(output.status.code(), Some(7));
    let note = "note: an old spelling; it is now: smoothtool --config x.yaml restart shop";
    assert!(stderr(&output).starts_with(note), "{}", stderr(&output));
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    let installed = Installed::new("exit 0");
    for (line, code) in [
        ("reboot", 2),
        ("", 2),
        ("demo --addr 127.0.0.1:1", 2),
        ("restart a --timeout 5m --no-wait", 2),
        ("restart a --timeout 5m --plan", 2),
        ("--help", 0),
        ("--version", 0),
    ] {
        let output = installed.run(line);
        assert_eq!(output.status.code(), Some(code), "{line}: {}", stderr(&output));
    }
}

/// Says that it serves nobody, and ends with its stdin, as the daemon does.
const WAITS: &str = "\
cd \"$(dirname \"$0\")\"
echo began > began
cat > /dev/null
echo ended > log";

fn demo(installed: &Installed) -> (Child, PathBuf) {
    let child = installed.command("demo --once").stderr(Stdio::null()).spawn().unwrap();
    // Before there is a daemon, nobody could clean up after a demo that is killed.
    wait_until("the demo's daemon begins", || installed.folder.path().join("began").exists());
    let folder = installed.demo_folder().unwrap();
    (child, folder)
}

fn kill(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn the_demo_leaves_nothing_behind_when_it_is_told_to_go() {
    use rustix::process::Signal;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let installed = Installed::new(WAITS);
        let (mut child, folder) = demo(&installed);
        kill(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(!folder.exists(), "{signal:?}");
        assert!(installed.folder.path().join("log").exists(), "{signal:?}");
    }
}

#[test]
fn the_demo_leaves_nothing_behind_when_it_is_killed() {
    let installed = Installed::new(WAITS);
    let (mut child, folder) = demo(&installed);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the folder is removed", || !folder.exists());
    assert!(Path::new(&installed.folder.path().join("log")).exists());
}

#[test]
fn a_demo_whose_daemon_does_not_start_says_what_it_said() {
    let installed = Installed::new("echo no room; exit 1");
    let output = installed.run("demo --once");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("  no room"), "{}", stderr(&output));
    assert_eq!(installed.demo_folder(), None);
}
