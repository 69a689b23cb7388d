//! The whole way of a line, with real files.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::*;

pub(super) fn origin(service: &str) -> Origin {
    let service = ServiceName::new(service).unwrap();
    Origin { service, slot: Slot(0), generation: Generation(1) }
}

pub(super) fn question(service: &str) -> Question {
    let service = ServiceName::new(service).unwrap();
    Question { service, slot: None, lines: 5000, pattern: None }
}

/// Outputs that are kept in memory alone.
pub(super) fn outputs() -> Arc<Outputs> {
    Outputs::new(None, |warning| panic!("{warning}"))
}

fn config(folder: &Path) -> OutputConfig {
    OutputConfig {
        folder: folder.to_owned(),
        max_size: 20_000,
        max_backups: 0,
        max_age: None,
        compress: true,
        max_total: 10_000_000,
    }
}

fn print(recorder: &Recorder, text: &str) {
    recorder.record(Stream::Out, Piece { bytes: text.into(), is_cut: false });
}

fn texts(batch: &LogBatch) -> Vec<String> {
    batch.lines.iter().map(|line| String::from_utf8(line.bytes.clone()).unwrap()).collect()
}

#[tokio::test]
async fn what_memory_no_longer_holds_comes_from_rotated_files() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = Outputs::new(Some(config(folder.path())), |warning| panic!("{warning}"));
    let recorder = outputs.recorder(origin("shop"));
    for n in 0..3000 {
        print(&recorder, &format!("line {n}"));
    }
    let all: Vec<_> = (0..3000).map(|n| format!("line {n}")).collect();
    assert!(lock(&recorder.printed).slots[&Slot(0)].lines().len() < 1500);
    assert_eq!(texts(&outputs.ask(question("shop")).await), all);
    assert!(folder.path().join("shop-1.log.2.gz").is_file());
    let few = Question { lines: 5, ..question("shop") };
    assert_eq!(texts(&outputs.ask(few).await), all[2995..]);
    let pattern = Some(Pattern::new("99$").unwrap());
    let grep = Question { lines: 25, pattern, ..question("shop") };
    assert_eq!(outputs.ask(grep).await.lines.len(), 25);

    // Another daemon remembers nothing, and finds it all.
    outputs.flush().await;
    let next = Outputs::new(Some(config(folder.path())), |warning| panic!("{warning}"));
    assert_eq!(texts(&next.ask(question("shop")).await), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn between_answer_and_pushes_is_neither_gap_nor_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = Outputs::new(Some(config(folder.path())), |warning| panic!("{warning}"));
    let recorder = outputs.recorder(origin("shop"));
    let printing = std::thread::spawn(move || {
        for n in 0..4000 {
            print(&recorder, &n.to_string());
        }
        print(&recorder, "end");
    });
    for _ in 0..5 {
        let (answer, mut subscription) = outputs.follow(question("shop"));
        let mut heard = texts(&answer.await);
        while heard.last().is_none_or(|last| last != "end") {
            let batch = subscription.next().await;
            assert_eq!(batch.missed, 0);
            heard.extend(texts(&batch));
        }
        let expected: Vec<_> = (0..4000).map(|n| n.to_string()).chain(["end".into()]).collect();
        assert_eq!(heard, expected);
    }
    printing.join().unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_blocks_nobody_and_is_told_once() {
    let (warn, warned) = std::sync::mpsc::channel();
    let config = OutputConfig { folder: "/dev/null/output".into(), ..config(Path::new("/")) };
    let outputs = Outputs::new(Some(config), move |warning| warn.send(warning).unwrap());
    let mut child = Command::new("/bin/sh")
        .args(["-c", "yes 0123456789 | head -n 2000000; echo end"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut capture = Capture::begin(&mut child, origin("shop"), &outputs, None);
    // It can only exit when everything it wrote was taken.
    tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    capture.ended().await;
    assert_eq!(capture.tail().last().unwrap(), "end");
    let batch = outputs.ask(question("shop")).await;
    assert_eq!(texts(&batch).last().unwrap(), "end");
    drop(outputs);
    let warnings: Vec<_> = warned.iter().collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("output of instances is not kept in files: "), "{warnings:?}");
}

#[tokio::test]
async fn files_may_be_given_up_and_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = outputs();
    let recorder = outputs.recorder(origin("shop"));
    print(&recorder, "before");
    outputs.keep(Some(config(folder.path())));
    print(&recorder, "kept");
    outputs.keep(None);
    print(&recorder, "after");
    outputs.flush().await;
    let text = fs::read_to_string(folder.path().join("shop-1.log")).unwrap();
    assert!(text.ends_with(" g1 out | kept\n") && text.lines().count() == 1, "{text}");
}

#[tokio::test]
async fn a_thousand_quiet_slots_take_next_to_no_memory() {
    let outputs = outputs();
    for slot in 0..1000 {
        let recorder = outputs.recorder(Origin { slot: Slot(slot), ..origin("shop") });
        print(&recorder, "ready");
    }
    let printed = outputs.printed(&origin("shop").service);
    let cost: usize =
        lock(&printed).slots.values().flat_map(|ring| ring.lines()).map(|line| line.cost()).sum();
    assert!(cost < 1000 * 200, "{cost}");
    let began = Instant::now();
    assert_eq!(outputs.ask(question("shop")).await.lines.len(), 1000);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn escapes_reach_no_terminal() {
    assert_eq!(Escaped("a\u{1b}[31mb\tc").to_string(), "a\\u{1b}[31mb\tc");
}
