//! Rules about the sources that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// One Rust source.
struct Source {
    /// From the workspace's folder on.
    path: String,
    text: String,
}

impl Source {
    /// Lines of code outside the unit tests, numbered, without their comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(self.text.lines());
        lines
            .take_while(|(_, line)| *line != "mod tests {")
            .map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust source below `folder` of the workspace.
fn sources(folder: &str) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    collect(&workspace().join(folder), folder, &mut sources)?;
    ensure!(!sources.is_empty(), "no sources in {folder}");
    Ok(sources)
}

fn collect(folder: &Path, name: &str, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| name.to_owned())? {
        let entry = entry?.path();
        let file = entry.file_name().and_then(|file| file.to_str()).context("a name of bytes")?;
        let path = format!("{name}/{file}");
        if entry.is_dir() {
            collect(&entry, &path, sources)?;
        } else if file.ends_with(".rs") {
            sources.push(Source { path, text: fs::read_to_string(&entry)? });
        }
    }
    Ok(())
}

/// Every Rust source of the workspace.
fn all_sources() -> anyhow::Result<Vec<Source>> {
    let mut all = sources("tests")?;
    for package in ["daemon", "protocol", "tui"] {
        all.extend(sources(&format!("crates/{package}/src"))?);
    }
    Ok(all)
}

/// Where `code` of `folder` holds one of these words.
fn mentions(folder: &str, words: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for source in sources(folder)?.iter().filter(|source| !source.path.contains("/core/world/")) {
        for (number, line) in source.code() {
            if let Some(word) = words.iter().find(|word| holds_word(line, word)) {
                found.push(format!("{}:{number}: `{word}`", source.path));
            }
        }
    }
    Ok(found)
}

/// Whether `line` holds `word`, not as a part of a longer one.
fn holds_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn the_core_is_pure() {
    let impure = [
        "tokio",
        "hyper",
        "notify::",
        "std::fs",
        "std::process",
        "std::thread",
        "std::env",
        // In braces they would not be found.
        "std::{",
        "Instant::now",
        "SystemTime",
    ];
    let found = mentions("crates/daemon/src/core", &impure).unwrap();
    assert_none("the core does no I/O and reads no clock", &found);
}

#[test]
fn the_proxy_knows_neither_core_nor_supervisor_nor_command_port() {
    let strangers = ["crate::core", "crate::supervisor", "crate::command", "crate::{"];
    let found = mentions("crates/daemon/src/proxy", &strangers).unwrap();
    assert_none("the proxy serves what it is given", &found);
}

#[test]
fn the_core_knows_neither_proxy_nor_supervisor_nor_command_port() {
    let strangers = ["crate::proxy", "crate::supervisor", "crate::command", "crate::{"];
    let found = mentions("crates/daemon/src/core", &strangers).unwrap();
    assert_none("the core decides and knows nobody", &found);
}

#[test]
fn only_what_is_shown_or_written_knows_the_time_of_day() {
    // A clock that is set must end no wait: that is what `Instant` is for.
    let allowed = [
        // When an event happened, when a line was printed.
        "supervisor/journal.rs",
        "supervisor/output/line.rs",
        // When an answer was made.
        "proxy/date.rs",
        // How old a file is, of which the system knows the time of day alone.
        "supervisor/output/shelf.rs",
        "supervisor/output/files.rs",
        "files/content.rs",
        "logfile.rs",
        "access_log/mod.rs",
        "rotation.rs",
        // Until when a certificate is valid.
        "tls/certificate.rs",
    ];
    let tests = ["/tests.rs", "/tests/"];
    let found: Vec<String> = mentions("crates/daemon/src", &["SystemTime", "UNIX_EPOCH"])
        .unwrap()
        .into_iter()
        .filter(|place| !tests.iter().any(|part| place.contains(part)))
        .filter(|place| {
            let path = place.strip_prefix("crates/daemon/src/").unwrap_or(place);
            !allowed.iter().any(|file| path.starts_with(file))
        })
        .collect();
    assert_none("all waits are by the monotonic clock", &found);
}

#[test]
fn no_instance_dies_with_a_thread_of_the_daemon() {
    // The system sends that signal when the thread ends that started the process.
    let words = ["set_parent_process_death_signal", "PR_SET_PDEATHSIG", "pdeathsig"];
    let found = mentions("crates/daemon/src", &words).unwrap();
    assert_none("PDEATHSIG is not used", &found);
}

#[test]
fn nobody_is_signalled_by_a_number_that_may_be_anothers() {
    let by_number = ["kill_process", "kill_process_group", "kill_current_process_group", "libc"];
    let mut found = mentions("crates/daemon/src", &by_number).unwrap();
    // It keeps the number of a group in use as long as somebody is signalled by it.
    let tests = ["/tests.rs", "/tests/"];
    found.retain(|place| !place.starts_with("crates/daemon/src/supervisor/group.rs"));
    found.retain(|place| !tests.iter().any(|part| place.contains(part)));
    assert_none("signals go through a descriptor, or to a group in group.rs", &found);
}

/// Reads a page of rows, of which each test that it names must exist; gives it, and how many.
fn page_of_rows(path: &str) -> (String, usize) {
    let rows = fs::read_to_string(workspace().join(path)).expect("the page is there");
    let named = rows.split('`').filter_map(|word| {
        let (path, name) = word.split_once("::")?;
        path.ends_with(".rs").then_some((path, name))
    });
    let (mut count, mut missing) = (0, Vec::new());
    for (path, name) in named {
        count += 1;
        let text = fs::read_to_string(workspace().join(path)).unwrap_or_default();
        if !text.contains(&format!("fn {name}(")) {
            missing.push(format!("{path}::{name}"));
        }
    }
    assert_none("a row names tests that exist", &missing);
    (rows, count)
}

fn assert_has_rows(page: &str, mut numbers: impl Iterator<Item = u32>) {
    let is_missing =
        |number: &u32| !page.lines().any(|line| line.starts_with(&format!("| {number} |")));
    let forgotten = numbers.find(is_missing);
    assert!(forgotten.is_none(), "no line for row {forgotten:?}");
}

#[test]
fn every_test_that_the_rows_name_exists() {
    let (rows, count) = page_of_rows("tests/ROWS.md");
    assert!(count > 100, "only {count} tests were found in it");
    assert_has_rows(&rows, 1..=52);
}

#[test]
fn every_row_of_http_has_its_tests() {
    let (rows, count) = page_of_rows("tests/HTTP.md");
    assert!(count > 50, "only {count} tests were found in it");
    let (requests, answers) = rows.split_once("## Answers").unwrap();
    assert_has_rows(requests, 1..=17);
    assert_has_rows(answers, 1..=10);
}

#[test]
fn every_row_of_http_2_has_its_tests() {
    let (page, count) = page_of_rows("tests/HTTP2.md");
    assert!(count > 40, "only {count} tests were found in it");
    assert_has_rows(&page, 1..=36);
}

#[test]
fn every_test_that_the_page_of_the_console_names_exists() {
    let (page, count) = page_of_rows("docs/console.md");
    assert!(count > 20, "only {count} tests were found in it");
    assert_has_rows(&page, 1..=29);
}

#[test]
fn daemon_and_tool_never_import_each_other() {
    for (folder, other) in [("crates/daemon", "smoothtool"), ("crates/tui", "smoothserve")] {
        let manifest = fs::read_to_string(workspace().join(folder).join("Cargo.toml")).unwrap();
        let depends = manifest.lines().any(|line| line.starts_with(&format!("{other}.")));
        assert!(!depends, "{folder} depends on {other}");
    }
}

#[test]
fn bincode_can_be_replaced_in_one_file() {
    let functions = ["bincode::encode_to_vec", "bincode::decode_from_slice", "bincode::config"];
    let found = mentions("crates", &functions).unwrap();
    let elsewhere: Vec<String> = found
        .into_iter()
        .filter(|place| !place.starts_with("crates/protocol/src/frame.rs"))
        .collect();
    assert_none("only frame.rs encodes", &elsewhere);
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<String> = all_sources()
        .unwrap()
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path)
        .collect();
    assert_none("a module opens with `//!`", &silent);
}

#[test]
fn nothing_is_left_for_later() {
    // In two parts, so that this file does not hold them.
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("#[ig", "nore")];
    let mut found = Vec::new();
    for source in all_sources().unwrap() {
        for (number, line) in (1..).zip(source.text.lines()) {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                found.push(format!("{}:{number}: `{word}`", source.path));
            }
        }
    }
    assert_none("what is to be done is done, or not begun", &found);
}

#[test]
fn no_test_file_is_forgotten() {
    let tests = sources("tests/it").unwrap();
    let main = tests.iter().find(|source| source.path == "tests/it/main.rs").unwrap();
    let forgotten: Vec<String> = tests
        .iter()
        .filter_map(|source| source.path.strip_prefix("tests/it/")?.strip_suffix(".rs"))
        .filter(|name| !name.contains('/') && *name != "main")
        .filter(|name| !main.text.lines().any(|line| line == format!("mod {name};")))
        .map(str::to_owned)
        .collect();
    assert_none("main.rs names every file of tests", &forgotten);
}
