//! What the console costs while nothing happens: rows 1 to 3.

use std::time::Duration;

use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan};

use crate::Extent;
use crate::attach::{USUAL, live};
use crate::daemon::{Course, Synthetic};
use crate::table::{Table, per_second};
use crate::usage::Usage;
use crate::world::{Mood, SMALL};

/// Of one core.
const CPU_BAR: f64 = 0.002;
const WAKES_BAR: f64 = 5.0;
const CLOCK_BAR: f64 = 60.0;

/// The last minute is drawn, and so is not still before it is over.
pub(crate) const MINUTE: Duration = Duration::from_secs(62);
/// What the start has left to do is done within this.
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) async fn idle(extent: &Extent, daemon: &TestDaemon) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let window = extent.seconds(60, 10);
    let (cpu, wakes) = cost(daemon, window).await?;
    let (percent, seconds) = (cpu * 100.0, window.as_secs());
    let figure = format!("{percent:.3} % of a core");
    table.line((1, "idle: processor time"), &figure, "<= 0.2 %", cpu <= CPU_BAR);
    let figure = format!("{wakes:.1} /s over {seconds} s");
    table.line((1, "idle: wake-ups"), &figure, "<= 5 /s", wakes <= WAKES_BAR);

    let clients = LoadPlan { clients: 4, pause: Duration::from_millis(50), ..LoadPlan::brisk() };
    let load = Load::start(daemon.listen("api"), clients);
    let (cpu, wakes) = cost(daemon, extent.seconds(20, 5)).await?;
    load.stop().await;
    let figure = format!("{:.3} %, {wakes:.1} /s", cpu * 100.0);
    table.note((1, "under a light load: processor time, wake-ups"), &figure);
    Ok(table)
}

/// The share of a core, and the wake-ups a second, of a console that is looked at.
async fn cost(daemon: &TestDaemon, window: Duration) -> anyhow::Result<(f64, f64)> {
    let mut console = live(USUAL, daemon).await?;
    console.watch(SETTLE).await?;
    let before = Usage::of(console.pid()?)?;
    console.watch(window).await?;
    let used = Usage::of(console.pid()?)?.since(before);
    Ok((used.cpu.as_secs_f64() / window.as_secs_f64(), per_second(used.wakes, window)))
}

pub(crate) async fn still(extent: &Extent) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let window = extent.seconds(20, 5);
    let daemon = Synthetic::start(SMALL, Course::of(Mood::Frozen)).await?;
    let mut console = live(USUAL, &daemon).await?;
    console.watch(MINUTE).await?;
    let (bytes, before) = (console.received(), Usage::of(console.pid()?)?);
    console.watch(window).await?;
    let bytes = console.received() - bytes;
    let writes = Usage::of(console.pid()?)?.since(before).writes_to_terminal(bytes);
    let figure = format!("{bytes} bytes, {writes} writes");
    table.line((2, "no visible change"), &figure, "0 and 0", bytes == 0 && writes == 0);

    daemon.set(Course::of(Mood::Clock));
    console.watch(Duration::from_secs(2)).await?;
    let bytes = console.received();
    console.watch(window).await?;
    let each = per_second(console.received() - bytes, window);
    let figure = format!("{each:.0} B/s");
    table.line((3, "the clock alone"), &figure, "<= 60 B/s", each <= CLOCK_BAR);
    Ok(table)
}
