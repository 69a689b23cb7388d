//! When the daemon or the terminal goes: rows 14, 15, 16 and 26.

use std::time::{Duration, Instant};

use anyhow::Context;
use smoothserve_tests::process;
use smoothserve_tests::terminal::Terminal;
use tokio::time::{sleep, timeout};

use crate::Extent;
use crate::attach::{LIVE, USUAL, live};
use crate::daemon::{Course, Synthetic};
use crate::rest::MINUTE;
use crate::table::{Table, Times, millis};
use crate::world::{LARGE, Mood, SMALL};

const SILENT_BAR: Duration = Duration::from_millis(3_100);
/// One frame, at ten a second.
const FRAME: Duration = Duration::from_millis(100);
const BACK_BAR: Duration = Duration::from_secs(1);
const GONE_BAR: Duration = Duration::from_secs(1);
const GONE_CPU_BAR: Duration = Duration::from_millis(50);
/// What the console may grow by while its terminal takes nothing.
const GROWTH_BAR: u64 = 1_000_000;

const TICK: Duration = Duration::from_millis(10);

pub(crate) async fn outage(extent: &Extent) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let daemon = Synthetic::start(SMALL, Course::of(Mood::Clock)).await?;
    let mut console = live(USUAL, &daemon).await?;
    console.watch(Duration::from_secs(2)).await?;
    let silent = Course { is_silent: true, ..Course::of(Mood::Clock) };

    let mut ages = Vec::new();
    for _ in 0..extent.times(3, 1) {
        console.settle(Duration::from_millis(300)).await?;
        let clock = console.row(0);
        let last = console.until("the next second", |console| console.row(0) != clock).await?;
        daemon.set(silent);
        ages.push(console.shows("no data").await? - last);
        daemon.set(Course::of(Mood::Clock));
        console.shows(LIVE).await?;
    }
    let row = (14, "stale shown after the last byte");
    table.time(row, Times::of(ages).longest(), SILENT_BAR);

    let (mut shown, mut back) = (Vec::new(), Vec::new());
    for round in 0..extent.times(8, 3) {
        let left = Instant::now();
        daemon.leave().await;
        shown.push(console.shows("disconnected").await? - left);
        // At another moment between two tries each time.
        console.watch(Duration::from_millis(1_500 + 370 * round as u64)).await?;
        let listens = Instant::now();
        daemon.come_back()?;
        back.push(console.shows(LIVE).await? - listens);
        console.watch(Duration::from_millis(500)).await?;
    }
    let row = (14, "stale shown after a closed socket, longest");
    table.time(row, Times::of(shown).longest(), FRAME);
    let back = Times::of(back);
    table.time((15, "live again once it listens, longest"), back.longest(), BACK_BAR);
    table.note((15, "the same, median"), &millis(back.median()));
    Ok(table)
}

pub(crate) async fn terminal_gone(extent: &Extent) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let daemon = Synthetic::start(SMALL, Course::of(Mood::Rates)).await?;
    let (mut ends, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..extent.times(5, 2) {
        let mut console = live(USUAL, &daemon).await?;
        console.watch(Duration::from_secs(1)).await?;
        let pid = console.pid()?;
        let before = process::processor_time(pid)?;
        let closed = Instant::now();
        let mut child = console.close();
        // It is left as it ended until its times were read.
        let ended = async {
            while process::is_running(pid) {
                sleep(Duration::from_millis(2)).await;
            }
            closed.elapsed()
        };
        let took = timeout(Duration::from_secs(20), ended).await;
        ends.push(took.context("the console outlives its terminal")?);
        costs.push(process::processor_time(pid)?.saturating_sub(before));
        child.wait().await?;
    }
    table.time((16, "the terminal is gone: exit, longest"), Times::of(ends).longest(), GONE_BAR);
    // The system counts in these steps.
    let cost = Times::of(costs).longest() + TICK;
    table.time((16, "processor time of that, at most"), cost, GONE_CPU_BAR);
    Ok(table)
}

pub(crate) async fn stopped_reader(extent: &Extent) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let busy = Course { events: 20, ..Course::of(Mood::Everything) };
    let daemon = Synthetic::start(LARGE, busy).await?;
    let mut console = live(USUAL, &daemon).await?;
    // What it keeps of each service is full then.
    console.watch(MINUTE).await?;
    let before = process::resident_memory(console.pid()?)?;
    // Nobody reads the terminal.
    sleep(extent.seconds(10, 5)).await;
    let growth = process::resident_memory(console.pid()?)?.saturating_sub(before);
    let row = (26, "reader stopped: the console grows by");
    table.line(row, &kilobytes(growth), "<= 1 MB", growth <= GROWTH_BAR);

    let (newest, resumed) = (daemon.clock(), Instant::now());
    let seen = console
        .until("the newest state", |console| {
            clock(console).is_some_and(|shown| shown >= newest / 1_000 % 86_400)
        })
        .await?;
    let row = (26, "newest state after it goes on");
    table.time(row, seen - resumed, FRAME);

    daemon.set(Course::of(Mood::Frozen));
    console.press("3").await?;
    let sent = daemon.newest_event();
    let wanted = format!("events {}", spaced(sent));
    let all = console.shows(&wanted).await.is_ok();
    let figure = format!("{sent} of {sent}");
    let figure = if all { figure } else { format!("fewer than {sent}") };
    table.line((26, "events that arrived"), &figure, "all", all);
    Ok(table)
}

/// Seconds of the day that the header shows.
fn clock(console: &Terminal) -> Option<u64> {
    let header = console.row(0);
    let mut parts = header.split_whitespace().last()?.split(':').map(str::parse::<u64>);
    let mut part = || parts.next()?.ok();
    Some((part()? * 60 + part()?) * 60 + part()?)
}

/// As the console writes counts: a space between thousands.
fn spaced(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        _ => format!("{} {:03}", spaced(count / 1_000), count % 1_000),
    }
}

fn kilobytes(bytes: u64) -> String {
    format!("{} kB", bytes / 1_000)
}
