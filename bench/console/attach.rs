//! The console in front of a daemon, on a terminal.

use std::path::PathBuf;

use smoothserve_tests::binaries::{self, Program};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::terminal::{Kind, Terminal};

use crate::daemon::Synthetic;

/// A terminal as it was a century ago,
pub(crate) const SMALL: Kind = Kind::of(80, 24);
/// and an ordinary one.
pub(crate) const USUAL: Kind = Kind::of(120, 40);
pub(crate) const KINDS: [Kind; 2] = [SMALL, USUAL];

/// What the console shows when it is connected.
pub(crate) const LIVE: &str = "▪ live";

/// Where a daemon is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) addr: String,
    pub(crate) token_file: PathBuf,
}

impl From<&Synthetic> for Target {
    fn from(daemon: &Synthetic) -> Self {
        Self { addr: daemon.addr(), token_file: daemon.token_file() }
    }
}

impl From<&TestDaemon> for Target {
    fn from(daemon: &TestDaemon) -> Self {
        Self { addr: daemon.command().to_string(), token_file: daemon.folder.token_file() }
    }
}

/// `smoothtool tui` in front of `target`, just started.
pub(crate) fn console(kind: Kind, target: impl Into<Target>) -> anyhow::Result<Terminal> {
    let Target { addr, token_file } = target.into();
    let arguments = ["tui".into(), "--addr".into(), addr.into(), "--token-file".into()];
    let arguments = arguments.into_iter().chain([token_file.into_os_string()]);
    Terminal::start(kind, &binaries::path(Program::Tool)?, arguments)
}

/// The same, once it shows what the daemon says.
pub(crate) async fn live(kind: Kind, target: impl Into<Target>) -> anyhow::Result<Terminal> {
    let mut console = console(kind, target)?;
    console.shows(LIVE).await?;
    Ok(console)
}

/// A real daemon with eight services of two instances, all of them ready.
pub(crate) async fn eight_services() -> anyhow::Result<TestDaemon> {
    let names = ["api", "assets", "auth", "billing", "search", "webhooks", "worker-ui", "www"];
    let services = names.map(|name| Service::new(name).instances(2));
    services.into_iter().fold(Setup::default(), Setup::service).start_ready().await
}
