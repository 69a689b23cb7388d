//! How much memory the console takes: row 13.
//!
//! What it keeps has a bound: a minute of each service's figures, 5 000 events. Both are full within
//! the time that is measured here, so that nothing is left that an hour could add.

use std::time::{Duration, Instant};

use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::process;
use smoothserve_tests::terminal::Terminal;

use crate::Extent;
use crate::attach::{USUAL, live};
use crate::daemon::{Course, Synthetic};
use crate::table::Table;
use crate::world::{LARGE, Mood};

const SMALL_BAR: u64 = 24 << 20;
const LARGE_BAR: u64 = 48 << 20;
/// What the last third of the time may add.
const FLAT_BAR: u64 = 512 << 10;
/// As many events as the console keeps come within a minute.
const EVENTS: u64 = 100;

pub(crate) async fn small(extent: &Extent, daemon: &TestDaemon) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let mut console = live(USUAL, daemon).await?;
    look_around(&mut console, extent.seconds(60, 8)).await?;
    let bytes = process::resident_memory(console.pid()?)?;
    table.line((13, "memory at 8 services"), &mebibytes(bytes), "<= 24 MiB", bytes <= SMALL_BAR);
    Ok(table)
}

pub(crate) async fn large(extent: &Extent) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let course = Course { events: EVENTS, ..Course::of(Mood::Restart) };
    let daemon = Synthetic::start(LARGE, course).await?;
    let mut console = live(USUAL, &daemon).await?;
    let third = extent.seconds(60, 6);
    look_around(&mut console, third * 2).await?;
    let before = process::resident_memory(console.pid()?)?;
    look_around(&mut console, third).await?;
    let bytes = process::resident_memory(console.pid()?)?;
    let events = daemon.newest_event();
    table.line((13, "memory at 500x16"), &mebibytes(bytes), "<= 48 MiB", bytes <= LARGE_BAR);
    let growth = bytes.saturating_sub(before);
    let figure = format!("{} KiB, {events} events", growth >> 10);
    // Before everything is full, it may grow.
    if extent.is_quick {
        table.note((13, "growth in the last third"), &figure);
    } else {
        table.line((13, "growth in the last minute of 3"), &figure, "flat", growth <= FLAT_BAR);
    }
    Ok(table)
}

/// Goes through the screens for so long.
async fn look_around(console: &mut Terminal, time: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + time;
    for keys in ["j", "\r", "l", "\x1b", "3", "1", "h", "1", "j", "?", "\x1b"].iter().cycle() {
        if Instant::now() > until {
            break;
        }
        console.press(keys).await?;
        console.watch(Duration::from_millis(300)).await?;
    }
    Ok(())
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
