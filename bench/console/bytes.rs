//! What goes to the terminal, and what comes from the daemon: rows 4 to 8, and 12.

use std::time::Duration;

use smoothserve_tests::terminal::Kind;

use crate::Extent;
use crate::attach::{KINDS, USUAL, live};
use crate::daemon::{Course, Synthetic};
use crate::rest::MINUTE;
use crate::table::{Row, Table, per_second, rate};
use crate::usage::Usage;
use crate::world::{LARGE, Mood, SMALL, World};

/// A stream of frames, with its bars in bytes a second: at 80x24, at 120x40.
struct Stream {
    what: [Row; 2],
    world: World,
    mood: Mood,
    /// What is pressed first.
    keys: &'static str,
    /// What is shown then.
    shows: &'static str,
    bars: [f64; 2],
}

const STREAMS: [Stream; 3] = [
    Stream {
        what: [(4, "overview, rates at 1 Hz, 80x24"), (4, "the same, 120x40")],
        world: SMALL,
        mood: Mood::Rates,
        keys: "",
        shows: "services 8",
        bars: [400.0, 900.0],
    },
    Stream {
        what: [(5, "a restart on screen, 80x24"), (5, "the same, 120x40")],
        world: SMALL,
        mood: Mood::Restart,
        keys: "\r",
        shows: "1 of 4 replaced",
        bars: [2_500.0, 4_000.0],
    },
    Stream {
        what: [(6, "every number of 500 services, 80x24"), (6, "the same, 120x40")],
        world: LARGE,
        mood: Mood::Everything,
        keys: "",
        shows: "services 500",
        bars: [25_000.0, 60_000.0],
    },
];

/// What a key or a start has left to do is done within this.
const SETTLE: Duration = Duration::from_secs(2);
/// A frame is over when nothing came for so long.
const QUIET: Duration = Duration::from_millis(150);

/// Bytes of a full repaint.
const REPAINT_BARS: [u64; 2] = [4_096, 8_192];
const OVERVIEW_BAR: f64 = 20_000.0;
const RESTART_BAR: f64 = 60_000.0;

pub(crate) async fn streams(extent: &Extent) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let window = extent.seconds(20, 5);
    for stream in &STREAMS {
        let [small, usual] = KINDS.map(|kind| flow(stream, kind, window));
        let bytes = tokio::try_join!(small, usual)?;
        for ((row, bytes), bar) in stream.what.into_iter().zip([bytes.0, bytes.1]).zip(stream.bars)
        {
            let kept = per_second(bytes, window) <= bar;
            let bar = format!("<= {:.1} kB/s", bar / 1e3);
            table.line(row, &rate(bytes, window), &bar, kept);
        }
    }
    Ok(table)
}

/// Bytes to the terminal within `window`.
async fn flow(stream: &Stream, kind: Kind, window: Duration) -> anyhow::Result<u64> {
    let daemon = Synthetic::start(stream.world, Course::of(stream.mood)).await?;
    let mut console = live(kind, &daemon).await?;
    console.press(stream.keys).await?;
    console.shows(stream.shows).await?;
    console.watch(SETTLE).await?;
    let before = console.received();
    console.watch(window).await?;
    Ok(console.received() - before)
}

pub(crate) async fn repaint(extent: &Extent) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let times = extent.times(20, 5);
    let [small, usual] = KINDS.map(|kind| repaints(kind, times));
    let (small, usual) = tokio::try_join!(small, usual)?;
    for (what, found, bar, bar_text) in [
        ("a full repaint, 80x24", &small, REPAINT_BARS[0], "<= 4 KiB"),
        ("the same, 120x40", &usual, REPAINT_BARS[1], "<= 8 KiB"),
    ] {
        table.line((7, what), &format!("{} bytes", found.bytes), bar_text, found.bytes <= bar);
    }
    let (writes, frames) = (small.writes + usual.writes, small.frames + usual.frames);
    let figure = format!("{writes} for {frames} frames");
    table.line((8, "calls of write"), &figure, "1 a frame", writes == frames);
    Ok(table)
}

/// What painting the screen anew takes.
struct Repaints {
    /// Of the larger of two screens.
    bytes: u64,
    writes: u64,
    frames: u64,
}

async fn repaints(kind: Kind, times: usize) -> anyhow::Result<Repaints> {
    let daemon = Synthetic::start(SMALL, Course::of(Mood::Frozen)).await?;
    let mut console = live(kind, &daemon).await?;
    console.watch(MINUTE).await?;
    let mut found = Repaints { bytes: 0, writes: 0, frames: 0 };
    for key in ["", "\r"] {
        console.press(key).await?;
        console.watch(SETTLE).await?;
        let (received, before) = (console.received(), Usage::of(console.pid()?)?);
        for _ in 0..times {
            console.press("\x0c").await?;
            console.settle(QUIET).await?;
        }
        let received = console.received() - received;
        found.bytes = found.bytes.max(received / times as u64);
        found.writes += Usage::of(console.pid()?)?.since(before).writes_to_terminal(received);
        found.frames += times as u64;
    }
    anyhow::ensure!(found.bytes > u64::from(kind.width), "nothing was painted");
    Ok(found)
}

pub(crate) async fn from_the_daemon(extent: &Extent) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let window = extent.seconds(20, 5);
    let daemon = Synthetic::start(LARGE, Course { events: 1, ..Course::of(Mood::Rates) }).await?;
    let mut console = live(USUAL, &daemon).await?;
    console.watch(SETTLE).await?;
    let before = daemon.sent();
    console.watch(window).await?;
    let bytes = daemon.sent() - before;
    let kept = per_second(bytes, window) <= OVERVIEW_BAR;
    let row = (12, "500x16: from the daemon, overview");
    table.line(row, &rate(bytes, window), "<= 20 kB/s", kept);

    daemon.set(Course { events: 1, ..Course::of(Mood::Restart) });
    console.press("g\r").await?;
    console.shows("1 of 16 replaced").await?;
    let before = daemon.sent();
    console.watch(window).await?;
    let bytes = daemon.sent() - before;
    let kept = per_second(bytes, window) <= RESTART_BAR;
    let row = (12, "500x16: with a restart open");
    table.line(row, &rate(bytes, window), "<= 60 kB/s", kept);
    Ok(table)
}
