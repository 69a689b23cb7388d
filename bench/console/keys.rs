//! How fast it comes and answers: rows 9 and 10.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::terminal::{Kind, Terminal};
use tokio::time::sleep;

use crate::Extent;
use crate::attach::{LIVE, Target, USUAL, console, live};
use crate::daemon::{Course, Synthetic};
use crate::table::{Table, Times, millis};
use crate::world::{LARGE, Mood};

const KEY_BARS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(16)];
const FRAME_BAR: Duration = Duration::from_millis(50);
const DATA_BAR: Duration = Duration::from_millis(150);
/// A terminal that answers nothing may cost the wait for its answers.
const DEAF_BAR: Duration = Duration::from_millis(150);

/// The rest of a frame is not later than this.
const REST: Duration = Duration::from_micros(1_500);
/// The last line of the first frame.
const FIRST_FRAME: &str = "q quit";

pub(crate) async fn press(extent: &Extent) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let times = extent.times(400, 60);
    let moving = strokes(Mood::Restart, times).await?;
    let (median, late) = (moving.median(), moving.percentile(99));
    let [median_bar, late_bar] = KEY_BARS;
    table.time((9, "500x16: key to paint, median"), median, median_bar);
    table.time((9, "the same, 99th percentile"), late, late_bar);
    let worst = strokes(Mood::Everything, times).await?;
    let figure = format!("{}, {}", millis(worst.median()), millis(worst.percentile(99)));
    table.note((9, "the same while every number moves at 10 Hz"), &figure);
    Ok(table)
}

/// The cursor goes down and up, a key at a time; how long each takes to be seen.
async fn strokes(mood: Mood, times: usize) -> anyhow::Result<Times> {
    let daemon = Synthetic::start(LARGE, Course { events: 1, ..Course::of(mood) }).await?;
    let mut console = live(USUAL, &daemon).await?;
    console.watch(Duration::from_secs(2)).await?;
    let mut took = Vec::new();
    let mut row: usize = 0;
    for stroke in 0..times {
        // At another moment of the beat in which the daemon speaks each time.
        console.watch(Duration::from_millis(40 + (stroke as u64 * 37) % 101)).await?;
        let key = if stroke / 12 % 2 == 0 { "j" } else { "k" };
        row = if key == "j" { row + 1 } else { row - 1 };
        let wanted = format!("▸ service-{row:03} ");
        let pressed = Instant::now();
        console.press(key).await?;
        let mut seen = console
            .until(&wanted, |console| console.text().lines().any(|line| line.contains(&wanted)))
            .await?;
        while console.next(Instant::now() + REST).await?.is_some() {
            seen = Instant::now();
        }
        took.push(seen - pressed);
    }
    Ok(Times::of(took))
}

pub(crate) async fn start(extent: &Extent, daemon: &TestDaemon) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let times = extent.times(21, 7);
    let (mut frames, mut data) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let mut console = console(USUAL, daemon)?;
        frames.push(first_frame(&mut console).await?);
        data.push(console.shows(LIVE).await? - console.started());
    }
    let (frames, data) = (Times::of(frames), Times::of(data));
    table.time((10, "first frame after exec, median"), frames.median(), FRAME_BAR);
    table.time((10, "the same with data, median"), data.median(), DATA_BAR);
    let figure = format!("{}, {}", millis(frames.longest()), millis(data.longest()));
    table.note((10, "longest of both"), &figure);

    // It takes the connection, and never says a word.
    let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let target = Target { addr: mute.local_addr()?.to_string(), ..daemon.into() };
    let mut frames = Vec::new();
    for _ in 0..times {
        let mut console = console(USUAL, target.clone())?;
        frames.push(first_frame(&mut console).await?);
    }
    let row = (10, "first frame, a daemon that says nothing");
    table.time(row, Times::of(frames).median(), FRAME_BAR);

    let deaf = Kind { is_deaf: true, ..USUAL };
    let mut frames = Vec::new();
    for _ in 0..times {
        let mut console = console(deaf, daemon)?;
        frames.push(first_frame(&mut console).await?);
        sleep(Duration::from_millis(20)).await;
    }
    let row = (10, "first frame, a terminal that answers nothing");
    table.time(row, Times::of(frames).median(), DEAF_BAR);
    Ok(table)
}

async fn first_frame(console: &mut Terminal) -> anyhow::Result<Duration> {
    Ok(console.shows(FIRST_FRAME).await? - console.started())
}
