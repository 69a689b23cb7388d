//! `install_smoothserve.sh`: the unit it writes, what it refuses, and that a dry run changes
//! nothing. No test goes near the systemd of this machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Context;
use smoothserve_tests::binaries::{self, Program};
use smoothserve_tests::setup::{Folder, Service, Setup};

const SCRIPT: &str = "install_smoothserve.sh";
const UNIT: &str = "etc/systemd/system/smoothserve.service";
const LINK: &str = "usr/local/bin/smoothtool";

/// A folder as an operator has it: configuration, programs, and the script.
fn place(setup: Setup) -> anyhow::Result<Folder> {
    let folder = setup.write()?;
    for (program, name) in [(Program::Daemon, "smoothserve"), (Program::Tool, "smoothtool")] {
        fs::hard_link(binaries::path(program)?, folder.path().join(name)).context(name)?;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(SCRIPT);
    fs::copy(&script, folder.path().join(SCRIPT)).context(SCRIPT)?;
    Ok(folder)
}

fn sound_place() -> anyhow::Result<Folder> {
    place(Setup::of(Service::new("shop")))
}

fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg(folder.path().join(SCRIPT)).args(arguments).env_remove("DESTDIR");
    command
}

fn dry_run(folder: &Folder) -> Output {
    command(folder, &["--dry-run"]).output().expect("bash runs")
}

/// Installs below `root`, where systemd is left alone.
fn install_below(root: &Path, folder: &Folder, arguments: &[&str]) -> String {
    let output = command(folder, arguments).env("DESTDIR", root).output().expect("bash runs");
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// The script refuses with exit code 1, and says all of `words`.
fn assert_refused(output: &Output, words: &[&str]) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in words.iter().chain(&["error: ", "next: "]) {
        assert!(text.contains(word), "`{word}` is missing in:\n{text}");
    }
}

fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "`{line}` is missing in:\n{text}");
    }
}

/// Every file below `folder` with what is in it.
fn contents(folder: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[test]
fn a_dry_run_shows_a_unit_that_lets_a_drain_finish_and_changes_nothing() {
    let folder = sound_place().unwrap();
    let here = folder.path().canonicalize().unwrap().display().to_string();
    let before = contents(folder.path()).unwrap();
    let output = dry_run(&folder);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert_lines(
        &text,
        &[
            "Type=notify",
            "NotifyAccess=main",
            "KillMode=mixed",
            "KillSignal=SIGTERM",
            "TimeoutStopSec=90",
            "TimeoutStartSec=infinity",
            "Restart=on-failure",
            "OOMPolicy=continue",
            "LimitNOFILE=524288",
            &format!("WorkingDirectory={here}"),
            &format!("ExecStart=\"{here}/smoothserve\" --config \"{here}/smoothserve.yaml\""),
            "WantedBy=multi-user.target",
            "would run: systemctl daemon-reload",
            "would run: systemctl enable --quiet smoothserve.service",
            "would run: systemctl restart smoothserve.service",
        ],
    );
    assert!(!text.contains("StateDirectory"), "the token stays beside the configuration:\n{text}");
    assert!(before == contents(folder.path()).unwrap(), "a dry run wrote something");
}

#[test]
fn systemd_waits_longer_than_the_daemon_for_a_drain() {
    let cases = [
        ("shutdown_timeout", "2m", "TimeoutStopSec=150"),
        ("shutdown_timeout", "\"45s\"  # for downloads", "TimeoutStopSec=75"),
        ("Shutdown_Timeout", "500ms", "TimeoutStopSec=31"),
        ("shutdown_timeout", "08", "TimeoutStopSec=38"),
    ];
    for (key, value, expected) in cases {
        let folder = place(Setup::of(Service::new("shop")).key(key, value)).unwrap();
        assert_lines(&said(&dry_run(&folder)), &[expected]);
    }
}

#[test]
fn a_drain_time_that_the_script_cannot_find_is_not_guessed() {
    let folder = sound_place().unwrap();
    let text = fs::read_to_string(folder.config_file()).unwrap();
    let keys: Vec<&str> = text.lines().chain(["shutdown_timeout: 3h"]).collect();
    fs::write(folder.config_file(), format!("{{{}}}\n", keys.join(", "))).unwrap();
    assert_refused(&dry_run(&folder), &["cannot read shutdown_timeout", "a line of its own"]);
}

#[test]
fn what_is_missing_is_named() {
    for (file, word) in [
        ("smoothserve", "no program smoothserve in"),
        ("smoothtool", "no program smoothtool in"),
        ("smoothserve.yaml", "no smoothserve.yaml in"),
    ] {
        let folder = sound_place().unwrap();
        fs::remove_file(folder.path().join(file)).unwrap();
        assert_refused(&dry_run(&folder), &[word]);
    }
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    let folder = sound_place().unwrap();
    let tool = folder.path().join("smoothtool");
    fs::remove_file(&tool).unwrap();
    fs::write(&tool, "").unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o644)).unwrap();
    assert_refused(&dry_run(&folder), &["is not executable", "chmod +x"]);
}

#[test]
fn a_bad_configuration_is_refused_with_the_words_of_the_daemon() {
    let folder = place(Setup::of(Service::new("shop").key("instance_cuont", "3"))).unwrap();
    assert_refused(&dry_run(&folder), &["instance_cuont", "shop.yaml", "nothing was changed"]);
}

#[test]
fn a_folder_that_a_unit_cannot_name_is_refused() {
    let outer = sound_place().unwrap();
    let odd = outer.path().join("a $HOME");
    fs::create_dir(&odd).unwrap();
    for file in ["smoothserve", "smoothtool", "smoothserve.yaml", "services", SCRIPT] {
        fs::rename(outer.path().join(file), odd.join(file)).unwrap();
    }
    let mut command = Command::new("bash");
    let output = command.arg(odd.join(SCRIPT)).arg("--dry-run").output().unwrap();
    assert_refused(&output, &["cannot be named in a unit", "a $HOME"]);
}

#[test]
fn without_root_or_systemd_nothing_is_installed() {
    let folder = sound_place().unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let expected = match (is_root, Path::new("/run/systemd/system").exists()) {
        (false, _) => "this needs root",
        (true, false) => "systemd does not run here",
        // Here it would be installed, and that is not ours to do.
        (true, true) => return,
    };
    for arguments in [&[] as &[&str], &["--uninstall"]] {
        assert_refused(&command(&folder, arguments).output().unwrap(), &[expected]);
    }
}

#[test]
fn an_upgrade_keeps_a_unit_of_another_make_and_is_repeatable() {
    let folder = sound_place().unwrap();
    let root = tempfile::tempdir().unwrap();
    let (unit, link) = (root.path().join(UNIT), root.path().join(LINK));
    fs::create_dir_all(unit.parent().unwrap()).unwrap();
    fs::write(&unit, "[Service]\nType=simple\n").unwrap();

    let text = install_below(root.path(), &folder, &[]);
    assert!(text.contains("it is kept as"), "{text}");
    let kept = unit.with_extension("service.old");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "[Service]\nType=simple\n");
    assert_lines(&fs::read_to_string(&unit).unwrap(), &["Type=notify"]);
    let here = folder.path().canonicalize().unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), here.join("smoothtool"));

    let before = contents(&root.path().join("etc")).unwrap();
    let text = install_below(root.path(), &folder, &[]);
    assert!(!text.contains("it is kept as"), "{text}");
    let after = contents(&root.path().join("etc")).unwrap();
    assert!(before == after, "the second time changed something");

    install_below(root.path(), &folder, &["--uninstall"]);
    assert!(!unit.exists() && !link.is_symlink(), "something is left");
    assert!(kept.exists() && folder.config_file().exists(), "what is not ours is gone");
    install_below(root.path(), &folder, &["--uninstall"]);
}

#[test]
fn a_program_that_is_called_smoothtool_already_stays() {
    let folder = sound_place().unwrap();
    let root = tempfile::tempdir().unwrap();
    let link = root.path().join(LINK);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    fs::write(&link, "another").unwrap();
    let text = install_below(root.path(), &folder, &[]);
    assert!(text.contains("stays as it is"), "{text}");
    assert_eq!(fs::read_to_string(&link).unwrap(), "another");

    fs::remove_file(&link).unwrap();
    symlink("/elsewhere/smoothtool", &link).unwrap();
    install_below(root.path(), &folder, &["--uninstall"]);
    assert!(link.is_symlink(), "a link of another installation was removed");
}

#[test]
fn an_unknown_option_is_wrong_usage() {
    let folder = sound_place().unwrap();
    let output = command(&folder, &["--purge"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--purge"), "{}", said(&output));
}
