//! Records the console at work: a service is restarted under load, the drain is watched, the receipt
//! read. `cargo run --release -p smoothserve-tests --example record` writes `docs/console.cast`, to be
//! played by `asciinema play`.
//!
//! A real daemon, a real load, and keys that are pressed by a script. Pauses are shortened.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;
use smoothserve_tests::binaries::{self, Program};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan, Mix};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::terminal::{Kind, Terminal};
use tempfile::TempDir;

const KIND: Kind = Kind::of(100, 30);
/// Nothing is shown for longer without a change.
const LONGEST_PAUSE: Duration = Duration::from_millis(700);
/// What comes within this is one event of the recording.
const TOGETHER: Duration = Duration::from_millis(30);
/// The figures of the first seconds are still those of the start.
const WARM_UP: Duration = Duration::from_secs(12);
/// Long enough to read a screen.
const READ: Duration = Duration::from_millis(2_500);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Its name is on the screen.
    let programs = TempDir::with_prefix_in("opt-", "/tmp")?;
    let daemon = start(programs.path()).await?;
    let loads: Vec<Load> = [("api", 16), ("search", 24), ("www", 6)]
        .map(|(name, clients)| Load::start(daemon.listen(name), plan(clients)))
        .into();
    tokio::time::sleep(WARM_UP).await;
    let recording = record(&daemon).await?;
    for load in loads {
        let report = load.stop().await;
        anyhow::ensure!(report.lost() == 0, "requests were lost: {:?}", report.failures);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/console.cast");
    fs::write(&file, recording.text()?).with_context(|| file.display().to_string())
}

/// Four services; the programs of all of them lie in `programs`.
async fn start(programs: &Path) -> anyhow::Result<TestDaemon> {
    let mut setup = Setup::default();
    for (name, instances) in [("api", 3), ("mail", 2), ("search", 4), ("www", 2)] {
        let program = programs.join(name);
        fs::copy(binaries::path(Program::Backend)?, &program)?;
        let service = Service::new(name)
            .instances(instances)
            .option("start-ms=700")
            .key("ready", "{http: /healthz}")
            .key("min_ready_time", "500ms")
            .key("executable_path", &program.display().to_string());
        setup = setup.service(service);
    }
    setup.start_ready().await
}

/// Short requests, and some that a drain has to wait for.
fn plan(clients: usize) -> LoadPlan {
    let mix = Mix { stream: 1, upload: 1, web_socket: 0, ..Mix::default() };
    let (pause, stream) = (Duration::from_millis(40), Duration::from_secs(3));
    LoadPlan { clients, mix, pause, stream, ..LoadPlan::default() }
}

async fn record(daemon: &TestDaemon) -> anyhow::Result<Recording> {
    let tool = binaries::path(Program::Tool)?;
    let (addr, token_file) = (daemon.command().to_string(), daemon.folder.token_file());
    let arguments = ["tui".into(), "--addr".into(), addr.into(), "--token-file".into()];
    let arguments = arguments.into_iter().chain([token_file.into_os_string()]);
    let mut terminal = Terminal::start(KIND, &tool, arguments)?;
    let mut recording = Recording::default();

    recording.until(&mut terminal, "▪ live").await?;
    recording.watch(&mut terminal, READ).await?;
    for shows in ["▸ mail", "▸ search"] {
        terminal.press("j").await?;
        recording.until(&mut terminal, shows).await?;
        recording.watch(&mut terminal, READ / 4).await?;
    }
    terminal.press("\r").await?;
    recording.watch(&mut terminal, READ).await?;
    terminal.press("r").await?;
    recording.until(&mut terminal, "Restart search").await?;
    recording.watch(&mut terminal, READ).await?;
    terminal.press("y").await?;
    recording.until(&mut terminal, "of 4 replaced").await?;
    recording.until(&mut terminal, "last restarts").await?;
    recording.watch(&mut terminal, READ).await?;
    terminal.press("h").await?;
    recording.until(&mut terminal, "past restarts").await?;
    recording.watch(&mut terminal, READ / 2).await?;
    terminal.press("\r").await?;
    recording.until(&mut terminal, "4 of 4 replaced").await?;
    recording.watch(&mut terminal, READ * 2).await?;
    for key in ["\x1b", "1"] {
        terminal.press(key).await?;
        recording.watch(&mut terminal, READ / 2).await?;
    }
    terminal.press("q").await?;
    recording.watch(&mut terminal, READ / 2).await?;
    terminal.ends().await?;
    Ok(recording)
}

/// What came to the terminal, and when.
#[derive(Debug, Default)]
struct Recording {
    events: Vec<(Duration, Vec<u8>)>,
    last: Option<Instant>,
}

impl Recording {
    fn note(&mut self, bytes: Vec<u8>) {
        let now = Instant::now();
        let pause = self.last.map_or(Duration::ZERO, |last| now - last);
        self.last = Some(now);
        match self.events.last_mut() {
            Some((_, said)) if pause < TOGETHER => said.extend(bytes),
            Some((at, _)) => {
                let at = *at + pause.min(LONGEST_PAUSE);
                self.events.push((at, bytes));
            }
            None => self.events.push((Duration::ZERO, bytes)),
        }
    }

    async fn watch(&mut self, terminal: &mut Terminal, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while let Some(bytes) = terminal.next(until).await? {
            self.note(bytes);
        }
        Ok(())
    }

    async fn until(&mut self, terminal: &mut Terminal, text: &str) -> anyhow::Result<()> {
        let limit = Instant::now() + Duration::from_secs(120);
        while !terminal.text().contains(text) {
            let bytes = terminal.next(limit).await?;
            let bytes = bytes.with_context(|| format!("no {text:?} in\n{}", terminal.text()))?;
            self.note(bytes);
        }
        Ok(())
    }

    /// As an asciicast, version 2.
    fn text(&self) -> anyhow::Result<String> {
        let header = json!({
            "version": 2,
            "width": KIND.width,
            "height": KIND.height,
            "title": "smoothtool tui: a rolling restart under load",
            "env": { "TERM": "xterm-256color" },
        });
        let mut lines = vec![header.to_string()];
        // A character may come in two pieces.
        let mut rest = Vec::new();
        for (at, bytes) in &self.events {
            rest.extend_from_slice(bytes);
            let whole = match std::str::from_utf8(&rest) {
                Ok(text) => text.len(),
                Err(error) => error.valid_up_to(),
            };
            let piece: Vec<u8> = rest.drain(..whole).collect();
            if !piece.is_empty() {
                let seconds = at.as_millis() as f64 / 1e3;
                lines.push(json!([seconds, "o", String::from_utf8(piece)?]).to_string());
            }
        }
        Ok(lines.join("\n") + "\n")
    }
}
