//! What the console costs and how fast it is, each figure with the bar it has to keep:
//! `cargo run --release -p smoothserve-tests --example console`. Exits with 1 when a bar is missed.
//!
//! `-- --quick` takes two minutes instead of eight, with shorter windows; `-- 9 11` measures these
//! rows alone. The rows are those of `docs/console.md`, where it says what came out.
//!
//! Most figures are of the real `smoothtool tui` on a real terminal, in front of a daemon whose world
//! is made up ([`daemon`], [`world`]) or of the real one.

mod attach;
mod bytes;
mod daemon;
mod frames;
mod keys;
mod link;
mod memory;
mod rest;
mod table;
mod tool;
mod usage;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use table::Table;

/// How much is measured.
#[derive(Clone, Debug, Default)]
struct Extent {
    is_quick: bool,
    /// These rows; empty: all.
    rows: Vec<u8>,
}

impl Extent {
    fn read(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut extent = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--quick" => extent.is_quick = true,
                row => extent.rows.push(row.parse().with_context(|| format!("no row: {row}"))?),
            }
        }
        Ok(extent)
    }

    fn wants(&self, rows: &[u8]) -> bool {
        self.rows.is_empty() || rows.iter().any(|row| self.rows.contains(row))
    }

    /// So many seconds, or a few when it must be quick.
    fn seconds(&self, full: u64, quick: u64) -> Duration {
        Duration::from_secs(if self.is_quick { quick } else { full })
    }

    /// So often, or less when it must be quick.
    fn times(&self, full: usize, quick: usize) -> usize {
        if self.is_quick { quick } else { full }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let extent = Extent::read(std::env::args().skip(1))?;
    let daemon = attach::eight_services().await?;
    let mut table = Table::default();

    // One after the other: these are times.
    let wants = |rows: &[u8]| extent.wants(rows);
    if wants(&[11]) {
        table.add(frames::measure(&extent)?);
    }
    if wants(&[1]) {
        table.add(rest::idle(&extent, &daemon).await?);
    }
    if wants(&[9]) {
        table.add(keys::press(&extent).await?);
    }
    if wants(&[10]) {
        table.add(keys::start(&extent, &daemon).await?);
    }
    if wants(&[14, 15]) {
        table.add(link::outage(&extent).await?);
    }
    if wants(&[16]) {
        table.add(link::terminal_gone(&extent).await?);
    }
    if wants(&[28]) {
        table.add(tool::status(&extent, &daemon).await?);
    }

    // All at once: bytes and memory are what they are, whatever else the machine does.
    let (still, streams, repaint, told, small, large, stopped) = tokio::try_join!(
        when(wants(&[2, 3]), rest::still(&extent)),
        when(wants(&[4, 5, 6]), bytes::streams(&extent)),
        when(wants(&[7, 8]), bytes::repaint(&extent)),
        when(wants(&[12]), bytes::from_the_daemon(&extent)),
        when(wants(&[13]), memory::small(&extent, &daemon)),
        when(wants(&[13]), memory::large(&extent)),
        when(wants(&[26]), link::stopped_reader(&extent)),
    )?;
    for found in [still, streams, repaint, told, small, large, stopped] {
        table.add(found);
    }
    Ok(if table.print() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is found, if it is wanted.
async fn when(
    wanted: bool,
    finding: impl Future<Output = anyhow::Result<Table>>,
) -> anyhow::Result<Table> {
    if wanted { finding.await } else { Ok(Table::default()) }
}
