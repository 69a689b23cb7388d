//! One of those who make trouble: a connection to the command port, and two hands on the files.

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use smoothserve_protocol::id::RequestId;
use smoothserve_protocol::message::{Done, Refusal, Request, Steer};
use smoothserve_tests::command::CommandConnection;
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::process::{self, Signal};
use tokio::time::{Instant, timeout_at};

use super::dice::Dice;
use super::site::{Build, Lot, Site};

/// Between two things one operator does: at least so long,
const SHORTEST: u64 = 100;
/// and at most so long, in milliseconds.
const LONGEST: u64 = 500;
/// How long the last answers may take, from the end of the storm on: restarts wait until whoever
/// paused them resumes them, and for instances that crash until a good build is there.
const LAST_ANSWERS: Duration = Duration::from_secs(120);

/// Somebody with a connection of its own.
pub(super) struct Operator {
    dice: Dice,
    sites: Arc<Vec<Site>>,
    connection: CommandConnection,
    command: SocketAddr,
    token_file: PathBuf,
    daemon: u32,
    apps: PathBuf,
    /// Questions without an answer yet.
    open: HashSet<RequestId>,
    tally: Tally,
}

/// What one has done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) asked: u64,
    pub(super) refused: u64,
    pub(super) files: u64,
    pub(super) kills: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.refused += other.refused;
        self.files += other.files;
        self.kills += other.kills;
    }
}

impl Operator {
    pub(super) async fn new(
        daemon: &TestDaemon,
        sites: Arc<Vec<Site>>,
        dice: Dice,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            dice,
            sites,
            connection: daemon.open().await?,
            command: daemon.command(),
            token_file: daemon.folder.token_file(),
            daemon: daemon.pid(),
            apps: daemon.folder.path().join("apps"),
            open: HashSet::new(),
            tally: Tally::default(),
        })
    }

    /// Makes trouble until `end`.
    pub(super) async fn run(mut self, end: Instant) -> anyhow::Result<Self> {
        while Instant::now() < end {
            self.make_trouble().await?;
            let pause = SHORTEST + self.dice.roll(LONGEST - SHORTEST);
            let next = Instant::now() + Duration::from_millis(pause);
            while let Ok(answer) = timeout_at(next, self.connection.answered()).await {
                self.take(answer?)?;
            }
        }
        Ok(self)
    }

    /// Hears every answer that is still owed, once, and says what was done.
    pub(super) async fn finish(mut self) -> anyhow::Result<Tally> {
        self.hear().await?;
        // An answer that came twice would come before this one.
        self.ask(Request::Status).await?;
        self.hear().await?;
        Ok(self.tally)
    }

    async fn hear(&mut self) -> anyhow::Result<()> {
        let last = Instant::now() + LAST_ANSWERS;
        while !self.open.is_empty() {
            let answer = timeout_at(last, self.connection.answered()).await;
            let answer = answer.with_context(|| format!("never answered: {:?}", self.open))?;
            self.take(answer?)?;
        }
        Ok(())
    }

    async fn ask(&mut self, request: Request) -> anyhow::Result<()> {
        let id = self.connection.begin(request).await?;
        self.open.insert(id);
        self.tally.asked += 1;
        Ok(())
    }

    fn take(&mut self, (id, result): (RequestId, Result<Done, Refusal>)) -> anyhow::Result<()> {
        ensure!(self.open.remove(&id), "{id} was answered twice, or never asked: {result:?}");
        match result {
            Ok(Done::Reloaded(report)) if report.services.len() > self.sites.len() => {
                bail!("more services than there are: {report:?}");
            }
            Ok(_) => {}
            Err(_) => self.tally.refused += 1,
        }
        Ok(())
    }

    async fn make_trouble(&mut self) -> anyhow::Result<()> {
        let sites = Arc::clone(&self.sites);
        let site = &sites[self.dice.roll(sites.len() as u64) as usize];
        let kinds = match site.lot {
            Lot::Calm => 17,
            Lot::Rough => 22,
            Lot::OnAndOff => 26,
        };
        let dice = &mut self.dice;
        match dice.roll(kinds) {
            0..=4 => return self.restart(site).await,
            5 | 6 => return self.steer(site).await,
            7 => site.scale(dice)?,
            8 => site.set()?,
            9 => site.spoil(dice)?,
            10 => site.build(Build::Good)?,
            11 => site.build(Build::Slow)?,
            12 => site.page(dice)?,
            13 => return self.reload().await,
            14..=16 => return self.look(site).await,
            17 | 18 => return self.kill(site),
            19 => site.build(dice.pick(&[Build::ExitsAtStart, Build::NeverListens]))?,
            20 => site.build(Build::Crashes)?,
            21 => site.build(Build::Good)?,
            22 | 23 => return self.stop(site).await,
            _ => return self.start(site).await,
        }
        self.tally.files += 1;
        Ok(())
    }

    async fn restart(&mut self, site: &Site) -> anyhow::Result<()> {
        let dice = &mut self.dice;
        let request = Request::Restart {
            service: site.name.clone(),
            drain_timeout_ms: dice.one_in(4).then_some(700),
            on_drain_timeout: None,
            expected: None,
            join: !dice.one_in(3),
            wait: dice.one_in(2),
        };
        self.ask(request).await
    }

    async fn steer(&mut self, site: &Site) -> anyhow::Result<()> {
        let mut steers =
            vec![Steer::Pause, Steer::Resume, Steer::Abort, Steer::Extend { by_ms: 500 }];
        if site.lot != Lot::Calm {
            steers.push(Steer::Cut);
        }
        let steer = self.dice.pick(&steers);
        if steer == Steer::Cut {
            site.note(|trouble| trouble.cuts += 1);
        }
        self.ask(Request::Steer { service: site.name.clone(), operation: None, steer }).await
    }

    async fn reload(&mut self) -> anyhow::Result<()> {
        if self.dice.one_in(3) {
            process::send(self.daemon, Signal::HUP)?;
            return Ok(());
        }
        let plan = self.dice.one_in(3);
        self.ask(Request::Reload { plan }).await
    }

    /// Goes without waiting for any answer, and comes back.
    async fn hang_up(&mut self) -> anyhow::Result<()> {
        self.connection = CommandConnection::open(self.command, &self.token_file).await?;
        self.open.clear();
        Ok(())
    }

    /// Asks for something that changes nothing.
    async fn look(&mut self, site: &Site) -> anyhow::Result<()> {
        let service = site.name.clone();
        let request = match self.dice.roll(7) {
            6 => return self.hang_up().await,
            0 => Request::Status,
            1 => Request::Events { after: None, limit: 200 },
            2 => Request::Subscribe { focus: Some(service), events_after: None },
            3 => Request::PlanRestart { service },
            4 => Request::History { service: Some(service), limit: 20 },
            _ => Request::Logs {
                service,
                slot: None,
                lines: 50,
                grep: None,
                follow: self.dice.one_in(3),
            },
        };
        self.ask(request).await
    }

    async fn stop(&mut self, site: &Site) -> anyhow::Result<()> {
        site.note(|trouble| trouble.stops += 1);
        let dice = &mut self.dice;
        let request = Request::Stop {
            service: site.name.clone(),
            force: dice.one_in(4),
            timeout_ms: dice.one_in(3).then_some(200),
            expected: None,
            wait: dice.one_in(2),
        };
        self.ask(request).await
    }

    async fn start(&mut self, site: &Site) -> anyhow::Result<()> {
        let wait = self.dice.one_in(2);
        self.ask(Request::Start { service: site.name.clone(), wait }).await
    }

    /// Kills one of its instances, whatever it is doing.
    fn kill(&mut self, site: &Site) -> anyhow::Result<()> {
        let app = self.apps.join(site.name.as_str());
        let pids = process::running_from(&app);
        if pids.is_empty() {
            return Ok(());
        }
        site.note(|trouble| trouble.kills += 1);
        self.tally.kills += 1;
        let pid = self.dice.pick(&pids);
        // Looked at again: its number may be somebody else's by now.
        if fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(&app)) {
            process::send(pid, Signal::KILL)?;
        }
        Ok(())
    }
}
