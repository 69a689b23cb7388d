//! Processes as they are started, limited, signalled and reaped, with real ones.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::{Message, Question};
use super::*;
use crate::config::{RunAs, ServiceConfig};

fn shell(script: &str) -> Launch {
    let config = ServiceConfig {
        executable: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        first_port: 1,
        ..crate::core::sample_service("shop", 1)
    };
    let records = Records::new(std::path::Path::new("/nowhere"));
    let (run, config) = (RunId(1), Arc::new(config));
    let outputs = Outputs::new(None, |warning| panic!("{warning}"));
    let (slot, generation) = (Slot(0), Generation(1));
    Launch { run, config, slot, port: 1, generation, records, outputs }
}

/// Runs `script`, tells it to stop as soon as it is there, and says how it ended.
async fn run(script: &str, stop: bool) -> (Exit, Vec<String>) {
    run_to_end(shell(script), stop).await
}

/// What `script` prints as a service that `change` was made to.
async fn printed(script: &str, change: impl FnOnce(&mut ServiceConfig)) -> Vec<String> {
    let mut launch = shell(script);
    change(Arc::make_mut(&mut launch.config));
    let (exit, output) = run_to_end(launch, false).await;
    assert_eq!(exit, Exit::Code(0), "{output:?}");
    output
}

async fn run_to_end(launch: Launch, stop: bool) -> (Exit, Vec<String>) {
    let (sender, mut inbox) = mpsc::unbounded_channel();
    let (signals, signalled) = mpsc::unbounded_channel();
    let task = tokio::spawn(live(launch, signalled, Inbox(sender)));
    loop {
        match inbox.recv().await {
            Some(super::super::Message::Input(Input::Launched { .. })) if stop => {
                signals.send(Signal::Stop).unwrap();
            }
            Some(super::super::Message::Input(Input::Exited { exit, last_output, .. })) => {
                task.await.unwrap();
                return (exit, last_output);
            }
            Some(super::super::Message::Input(Input::LaunchFailed { reason, .. })) => {
                panic!("{reason}")
            }
            Some(_) => {}
            None => panic!("no exit was reported"),
        }
    }
}

#[tokio::test]
async fn an_exit_comes_with_its_code_and_its_last_words() {
    let (exit, output) = run("echo out; echo bad flag >&2; exit 3", false).await;
    assert_eq!(exit, Exit::Code(3));
    assert!(output.contains(&"bad flag".to_owned()), "{output:?}");
}

#[tokio::test]
async fn a_line_that_is_waited_for_says_that_the_run_is_ready() {
    let (sender, mut inbox) = mpsc::unbounded_channel();
    let (signals, signalled) = mpsc::unbounded_channel();
    let mut launch = shell("echo starting; echo now serving; exec sleep 600");
    let pattern = crate::config::Pattern::new("^now serving$").unwrap();
    Arc::make_mut(&mut launch.config).ready = Readiness::Log(pattern);
    let task = tokio::spawn(live(launch, signalled, Inbox(sender)));
    let mut news = async || match inbox.recv().await {
        Some(super::super::Message::Input(input)) => input,
        _ => panic!("nothing more is told"),
    };
    assert!(matches!(news().await, Input::Launched { .. }));
    assert!(matches!(news().await, Input::Answering { run: RunId(1) }));
    signals.send(Signal::Stop).unwrap();
    assert!(matches!(news().await, Input::Exited { .. }));
    task.await.unwrap();
}

#[tokio::test]
async fn a_stop_reaches_the_whole_group() {
    // A wrapper that starts its app without exec: both must be gone.
    let (exit, _) = run("sleep 600 & wait", true).await;
    assert_eq!(exit, Exit::Signal { signal: 15, core: false });
}

#[tokio::test]
async fn what_a_fallen_leader_left_is_heard_to_its_end() {
    let (sender, mut inbox) = mpsc::unbounded_channel();
    let (_signals, signalled) = mpsc::unbounded_channel();
    // It prints long after the report of the exit.
    let launch = shell("(trap '' TERM; sleep 0.5; echo late) & echo first; exit 3");
    let outputs = Arc::clone(&launch.outputs);
    live(launch, signalled, Inbox(sender)).await;
    let mut exits = Vec::new();
    while let Ok(super::super::Message::Input(input)) = inbox.try_recv() {
        if let Input::Exited { last_output, .. } = input {
            exits.push(last_output);
        }
    }
    assert_eq!(exits, [["first"]]);
    let service = crate::core::sample_service("shop", 1).name;
    let question = Question { service, slot: None, lines: 10, pattern: None };
    let printed = outputs.ask(question).await;
    let printed: Vec<_> = printed.lines.iter().map(|line| line.bytes.as_slice()).collect();
    assert_eq!(printed, [&b"first"[..], b"late"]);
}

#[tokio::test]
async fn an_orphan_that_nobody_else_reaps_does_not_keep_its_run() {
    // As the first process of a container, this one is given the orphans of its children.
    let me = Some(rustix::process::getpid());
    rustix::process::set_child_subreaper(me).unwrap();
    let stopped = run("sleep 600 & sleep 600; exit 0", true);
    let stopped = tokio::time::timeout(Duration::from_secs(20), stopped).await;
    assert_eq!(stopped.unwrap().0, Exit::Signal { signal: 15, core: false });
}

#[tokio::test]
async fn who_left_the_group_is_named_and_no_longer_listened_to() {
    for stop in [false, true] {
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let (signals, signalled) = mpsc::unbounded_channel();
        // It holds the pipes for ever, and no signal to the group reaches it.
        let leave = "setsid sleep 600 & echo $!; \
                     until [ \"$(cut -d' ' -f6 /proc/$!/stat)\" = $! ]; do :; done; echo left";
        let end = if stop { "wait" } else { "exit 3" };
        let mut launch = shell(&format!("{leave}; {end}"));
        let pattern = crate::config::Pattern::new("^left$").unwrap();
        Arc::make_mut(&mut launch.config).ready = Readiness::Log(pattern);
        let task = tokio::spawn(live(launch, signalled, Inbox(sender)));
        let (mut warnings, mut said) = (Vec::new(), Vec::new());
        let left = async {
            while !matches!(inbox.recv().await, Some(Message::Input(Input::Answering { .. }))) {}
        };
        tokio::time::timeout(Duration::from_secs(20), left).await.unwrap();
        if stop {
            signals.send(Signal::Stop).unwrap();
        }
        tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
        while let Ok(message) = inbox.try_recv() {
            match message {
                Message::Warn(_, slot, text) => warnings.push((slot, text)),
                Message::Input(Input::Exited { last_output, .. }) => said = last_output,
                _ => {}
            }
        }
        let stray: i32 = said[0].parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(stray).unwrap(), rustix::process::Signal::KILL)
            .unwrap();
        let [(Slot(0), text)] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(text.starts_with(&format!("pid {stray} sleep (")), "{text}");
    }
}

#[tokio::test]
async fn fifty_that_end_in_the_same_moment_are_all_reaped_each_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    // Open in both ways, so that nobody waits for the other end; closed, all of them end.
    let end = File::options().read(true).write(true).open(&fifo).unwrap();
    let (sender, mut inbox) = mpsc::unbounded_channel();
    let (mut signals, mut tasks) = (Vec::new(), tokio::task::JoinSet::new());
    for code in 0..50_u16 {
        let script = format!("exec 3<{}; echo waiting; read line <&3; exit {code}", fifo.display());
        let mut launch = shell(&script);
        launch.run = RunId(u64::from(code));
        let pattern = crate::config::Pattern::new("^waiting$").unwrap();
        Arc::make_mut(&mut launch.config).ready = Readiness::Log(pattern);
        let (signal, signalled) = mpsc::unbounded_channel();
        signals.push(signal);
        tasks.spawn(live(launch, signalled, Inbox(sender.clone())));
    }
    drop(sender);
    let (mut waiting, mut end, mut codes) = (0, Some(end), BTreeMap::new());
    let all = async {
        while let Some(message) = inbox.recv().await {
            match message {
                Message::Input(Input::Answering { .. }) => waiting += 1,
                Message::Input(Input::Exited { run, exit, .. }) => drop(codes.insert(run, exit)),
                _ => {}
            }
            if waiting == 50 {
                end.take();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    let expected: BTreeMap<RunId, Exit> =
        (0..50).map(|code| (RunId(code), Exit::Code(code as i32))).collect();
    assert_eq!(codes, expected);
}

/// Why a service that `change` was made to cannot be launched.
async fn refused(change: impl FnOnce(&mut ServiceConfig)) -> String {
    let (sender, mut inbox) = mpsc::unbounded_channel();
    let (_signals, signalled) = mpsc::unbounded_channel();
    let mut launch = shell("");
    change(Arc::make_mut(&mut launch.config));
    live(launch, signalled, Inbox(sender)).await;
    match inbox.recv().await {
        Some(super::super::Message::Input(Input::LaunchFailed { reason, .. })) => {
            reason.to_string()
        }
        _ => panic!("it was launched"),
    }
}

#[tokio::test]
async fn a_missing_executable_is_named() {
    let reason = refused(|config| config.executable = "/nowhere/app".into()).await;
    assert!(reason.contains("/nowhere/app: No such file"), "{reason}");
}

/// A launch of the program that will be, or is, at `app`.
fn launch_of(app: &Path) -> Launch {
    let mut launch = shell("");
    let config = Arc::make_mut(&mut launch.config);
    (config.executable, config.args) = (app.into(), Vec::new());
    launch
}

fn write_program(app: &Path) -> File {
    let mut file = File::create(app).unwrap();
    file.write_all(b"#!/bin/sh\nexit 7\n").unwrap();
    file.set_permissions(Permissions::from_mode(0o755)).unwrap();
    file
}

#[tokio::test]
async fn a_program_that_is_still_being_written_or_not_there_yet_is_tried_again() {
    for is_there in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().join("app");
        // As long as somebody has it open for writing, the system executes no file.
        let writer = is_there.then(|| write_program(&app));
        let ended = tokio::spawn(run_to_end(launch_of(&app), false));
        // A first try at least; nothing can be seen of it.
        sleep(RETRY * 4).await;
        match writer {
            Some(writer) => drop(writer),
            None => {
                let beside = folder.path().join("new");
                drop(write_program(&beside));
                std::fs::rename(beside, &app).unwrap();
            }
        }
        assert_eq!(ended.await.unwrap().0, Exit::Code(7), "{is_there}");
    }
}

#[tokio::test]
async fn a_program_that_somebody_keeps_open_for_writing_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    let _writer = write_program(&app);
    let reason = refused(|config| config.executable = app.clone()).await;
    let expected = format!("{}: Text file busy (os error 26)", app.display());
    assert!(reason.contains(&expected), "{reason}");
}

#[tokio::test]
async fn what_is_no_program_is_named_with_the_number_of_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    std::fs::write(&app, b"\0\x01\x02 of another machine").unwrap();
    std::fs::set_permissions(&app, std::fs::Permissions::from_mode(0o755)).unwrap();
    let reason = refused(|config| config.executable = app.clone()).await;
    let expected = format!("{}: Exec format error (os error 8)", app.display());
    assert!(reason.contains(&expected), "{reason}");
}

#[tokio::test]
async fn a_script_whose_interpreter_is_missing_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    std::fs::write(&app, "#!/nowhere/python3\n").unwrap();
    std::fs::set_permissions(&app, std::fs::Permissions::from_mode(0o755)).unwrap();
    let reason = refused(|config| config.executable = app).await;
    let expected = "its interpreter, /nowhere/python3: No such file or directory (os error 2)";
    assert!(reason.contains(expected), "{reason}");
}

/// Descriptors that were left open for whoever we start, by whoever started us.
fn handed_down(descriptor: &str) -> bool {
    let parent = std::os::unix::process::parent_id();
    let read = |pid: u32| std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok();
    read(parent).is_some_and(|target| read(std::process::id()) == Some(target))
}

#[tokio::test]
async fn nothing_of_the_daemon_reaches_a_new_process() {
    // As the daemon has: a listener, an open file.
    let _listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _file = tempfile::tempfile().unwrap();
    // A shell may block signals for a moment of its own; `exec` passes on what it was given.
    let status = "exec grep -E '^Sig(Blk|Ign)' /proc/self/status";
    let descriptors = "readlink /proc/$$/fd/0; ls /proc/$$/fd";
    // The second is a fork of the daemon, which is another way to the same program.
    for open_files in [None, Some(64)] {
        let sets = printed(status, |config| config.resources.open_files = open_files).await;
        let [blocked, ignored] = [0, 1].map(|line: usize| {
            let (_, set) = sets[line].split_once('\t').unwrap();
            u64::from_str_radix(set, 16).unwrap()
        });
        assert_eq!(blocked, 0, "{sets:?}");
        let pipe = 1 << (rustix::process::Signal::PIPE.as_raw() - 1);
        assert_eq!(ignored & pipe, 0, "{sets:?}");

        let change = |config: &mut ServiceConfig| config.resources.open_files = open_files;
        let mut open = printed(descriptors, change).await;
        assert_eq!(open.remove(0), "/dev/null");
        let own = |number: &String| ["0", "1", "2"].contains(&number.as_str());
        open.retain(|number| own(number) || !handed_down(number));
        open.sort();
        assert_eq!(open, ["0", "1", "2"]);
    }
}

#[tokio::test]
async fn limits_hold_from_the_first_instruction() {
    let script = "ulimit -Sn; ulimit -Hn; ulimit -f";
    let output = printed(script, |config| {
        config.resources.open_files = Some(77);
        // A shell counts blocks of 512 bytes.
        config.resources.file_size = Some(512 * 9);
    });
    assert_eq!(output.await, ["77", "77", "9"]);
}

#[tokio::test]
async fn an_instance_runs_as_its_user_with_the_groups_of_that_user_alone() {
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else; that others are refused is tested in `confine`.
        return;
    }
    let run_as = |uid| {
        let shown = "somebody".to_owned();
        Some(RunAs { shown, uid, gid: 65_534, groups: vec![7, 8] })
    };
    let script =
        "grep -E '^(Uid|Gid|Groups|CapEff)' /proc/$$/status; echo \"$USER $LOGNAME $HOME\"";
    let nobody = users::by_number(65_534);
    let output = printed(script, |config| config.run_as = run_as(65_534)).await;
    let four = "65534\t65534\t65534\t65534";
    assert_eq!(output[0], format!("Uid:\t{four}"));
    assert_eq!(output[1], format!("Gid:\t{four}"));
    assert_eq!(output[2].trim(), "Groups:\t7 8");
    assert_eq!(output[3], "CapEff:\t0000000000000000");
    if let Some(users::User { name, home }) = nobody {
        assert_eq!(output[4], format!("{name} {name} {home}"));
    }
    // Nobody's home is better than the daemon's.
    let output = printed(script, |config| config.run_as = run_as(4_294_967_000)).await;
    assert_eq!(output[4].trim(), "");
}

#[tokio::test]
async fn a_program_that_is_closed_to_its_user_says_so() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    std::fs::write(&app, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&app, std::fs::Permissions::from_mode(0o755)).unwrap();
    // The folder is the daemon's alone.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let nobody = RunAs { shown: "nobody".into(), uid: 65_534, gid: 65_534, groups: vec![] };
    let reason = refused(|config| (config.executable, config.run_as) = (app, Some(nobody))).await;
    let closed = format!("user nobody may not enter {}", folder.path().display());
    assert!(reason.contains("Permission denied (os error 13)"), "{reason}");
    assert!(reason.ends_with(&closed), "{reason}");
}
