//! The proxies that are compared: started on a core of their own, looked at from outside, and ended.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::Request;
use smoothserve_tests::binaries::{self, Program};
use smoothserve_tests::command::CommandConnection;
use smoothserve_tests::process::{self, Signal};
use smoothserve_tests::{ports, wait};
use tempfile::TempDir;

use crate::config::{self, Site};
use crate::{app, cores, load};

/// For the end of a process that was asked to.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Smoothserve,
    Nginx,
    Haproxy,
    Caddy,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Smoothserve, Self::Nginx, Self::Haproxy, Self::Caddy];

    /// Those that are on this machine.
    pub(crate) fn present() -> Vec<Self> {
        Self::ALL.into_iter().filter(|kind| kind.version().is_ok()).collect()
    }

    /// Those that are not.
    pub(crate) fn absent() -> Vec<Self> {
        Self::ALL.into_iter().filter(|kind| kind.version().is_err()).collect()
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smoothserve => "smoothserve",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Caddy => "Caddy",
        }
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn version(self) -> anyhow::Result<String> {
        let argument = match self {
            Self::Smoothserve => "--version",
            Self::Nginx | Self::Haproxy => "-v",
            Self::Caddy => "version",
        };
        let output = Command::new(self.program()?).arg(argument).output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said)?;
        let mut words = said.split([' ', '/', '\n']);
        let number = words.find(|word| word.trim_start_matches('v').starts_with(char::is_numeric));
        Ok(number.context("no version")?.to_owned())
    }

    fn program(self) -> anyhow::Result<PathBuf> {
        Ok(match self {
            Self::Smoothserve => binaries::path(Program::Daemon)?,
            Self::Nginx => "nginx".into(),
            Self::Haproxy => "haproxy".into(),
            Self::Caddy => std::env::var_os("CADDY").unwrap_or_else(|| "caddy".into()).into(),
        })
    }
}

/// One that runs, with the application behind it. Both end when it is dropped.
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) site: Site,
    /// smoothserve's only.
    command: u16,
    process: Process,
    /// smoothserve launches its own.
    _app: Option<Process>,
    folder: TempDir,
}

/// What a proxy costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Processor time since it began.
    pub(crate) time: Duration,
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
}

impl Proxy {
    /// Starts `kind` in front of `site`, whose ports are chosen here, and waits until it answers.
    ///
    /// # Errors
    /// When it does not, with what it said.
    pub(crate) async fn start(kind: Kind, site: &Site) -> anyhow::Result<Self> {
        let (listen, app, command) = (ports::take(1), ports::take(site.instances), ports::take(1));
        let site = Site { listen, app, ..site.clone() };
        let folder = TempDir::with_prefix_in("versus-", binaries::scratch()?)?;
        let mut program = Command::new(kind.program()?);
        let path = folder.path();
        match kind {
            Kind::Smoothserve => {
                program.arg("--config").arg(config::smoothserve(path, &site, command)?)
            }
            Kind::Nginx => program.arg("-p").arg(path).arg("-c").arg(config::nginx(path, &site)?),
            Kind::Haproxy => program.arg("-db").arg("-f").arg(config::haproxy(path, &site)?),
            Kind::Caddy => program
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(config::caddy(path, &site)?)
                .envs([("HOME", path), ("XDG_DATA_HOME", path), ("XDG_CONFIG_HOME", path)]),
        };
        let log = path.join("log");
        let app = (kind != Kind::Smoothserve).then(|| launch_app(&site)).transpose()?;
        let process = Process::start(program.stderr(File::create(&log)?), cores::PROXY)?;
        let proxy = Self { kind, site, command, process, _app: app, folder };
        if wait::within(wait::LIMIT, async || proxy.answers().await.ok()).await.is_none() {
            bail!("{} does not answer:\n{}", kind.name(), fs::read_to_string(log)?);
        }
        Ok(proxy)
    }

    /// Where clients reach it.
    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.site.listen).into()
    }

    /// Where the application behind it is reached without it.
    pub(crate) fn app_addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.site.app).into()
    }

    async fn answers(&self) -> anyhow::Result<()> {
        let host = self.site.host();
        let request = load::get("/", &host);
        match &self.site.certificate {
            None => load::ask(&mut load::connect(self.addr()).await?, &request).await,
            Some(certificate) => {
                load::ask(&mut certificate.connect(self.addr(), &host).await?, &request).await
            }
        }
    }

    /// What all its processes cost, the application's not among them.
    ///
    /// # Errors
    /// When it does not run any more.
    pub(crate) fn cost(&self) -> anyhow::Result<Cost> {
        let mut pids = vec![self.process.id()];
        if self.kind == Kind::Nginx {
            pids.extend(process::children(self.process.id()));
        }
        let mut cost = Cost { time: Duration::ZERO, memory: 0 };
        for pid in pids {
            cost.time += time_on_processor(pid)?;
            cost.memory += process::resident_memory(pid)?;
        }
        Ok(cost)
    }

    /// Replaces all instances, one after the other, and waits for the end of it.
    ///
    /// # Errors
    /// When this is not smoothserve, or it refuses.
    pub(crate) async fn restart(&self) -> anyhow::Result<()> {
        let command = SocketAddr::from((Ipv4Addr::LOCALHOST, self.command));
        let token = self.folder.path().join("smoothserve.token");
        let service = format!("service-{}", self.site.services / 2);
        let request = Request::Restart {
            service: ServiceName::new(&service)?,
            drain_timeout_ms: None,
            on_drain_timeout: None,
            expected: None,
            join: false,
            wait: true,
        };
        let answer = CommandConnection::open(command, &token).await?.ask(request).await?;
        answer.map_err(|refusal| anyhow::anyhow!("{refusal:?}")).map(drop)
    }
}

fn launch_app(site: &Site) -> anyhow::Result<Process> {
    let mut program = Command::new(std::env::current_exe()?);
    program.arg(app::VERB).arg(format!("-port={}", site.app)).args(site.closing.arguments());
    Process::start(&mut program, cores::LOAD)
}

/// User and system time of all threads, to the nanosecond: a hundredth of a second, as
/// `/proc/PID/stat` tells it, is too coarse for a short round.
fn time_on_processor(pid: u32) -> anyhow::Result<Duration> {
    let mut time = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let spent = text.split(' ').next().context("no time")?;
        time += Duration::from_nanos(spent.parse()?);
    }
    Ok(time)
}

/// A child that is ended when it is dropped.
struct Process(Child);

impl Process {
    fn start(program: &mut Command, core: usize) -> anyhow::Result<Self> {
        program.stdin(Stdio::null()).stdout(Stdio::null());
        // A child begins on the core of its parent.
        cores::stay_on(core)?;
        let child = program.spawn();
        cores::stay_on(cores::LOAD)?;
        Ok(Self(child.with_context(|| format!("could not start {:?}", program.get_program()))?))
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first: nginx and smoothserve end their own children then. It may be gone already.
        let _ = process::send(self.id(), Signal::TERM);
        let end = Instant::now() + END_LIMIT;
        while let Ok(None) = self.0.try_wait() {
            if Instant::now() >= end {
                let _ = self.0.kill();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
