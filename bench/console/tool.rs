//! The plain command line: row 28.

use std::process::Stdio;
use std::time::{Duration, Instant};

use smoothserve_tests::binaries::{self, Program};
use smoothserve_tests::daemon::TestDaemon;
use tokio::process::Command;

use crate::Extent;
use crate::attach::Target;
use crate::daemon::{Course, Synthetic};
use crate::table::{Table, Times};
use crate::world::{LARGE, Mood};

const STATUS_BAR: Duration = Duration::from_millis(20);
const JSON_BAR: Duration = Duration::from_millis(60);

pub(crate) async fn status(extent: &Extent, daemon: &TestDaemon) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let times = extent.times(41, 11);
    let took = run(daemon.into(), &["status"], times).await?;
    table.time((28, "smoothtool status, 8 services, median"), took.median(), STATUS_BAR);
    let daemon = Synthetic::start(LARGE, Course::of(Mood::Rates)).await?;
    let took = run((&daemon).into(), &["status", "--json"], times).await?;
    table.time((28, "status --json at 500x16, median"), took.median(), JSON_BAR);
    Ok(table)
}

async fn run(target: Target, arguments: &[&str], times: usize) -> anyhow::Result<Times> {
    let program = binaries::path(Program::Tool)?;
    let mut took = Vec::new();
    for _ in 0..=times {
        let began = Instant::now();
        let output = Command::new(&program)
            .args(arguments)
            .args(["--addr", &target.addr])
            .arg("--token-file")
            .arg(&target.token_file)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        took.push(began.elapsed());
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // The program was read from the disk first.
    took.remove(0);
    Ok(Times::of(took))
}
