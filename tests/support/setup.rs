//! A daemon's folder: its configuration, its services with their programs, and nothing else.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

use crate::binaries::{self, Program};
use crate::contract::{CONF, RECORD, SICK};
use crate::daemon::TestDaemon;
use crate::ports;

/// A daemon to be started.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    keys: Keys,
    services: Vec<Service>,
}

/// A service to be started, with the fixture backend as its program.
#[derive(Clone, Debug)]
pub struct Service {
    name: String,
    program: Program,
    instances: u16,
    ports: u16,
    options: Vec<String>,
    keys: Keys,
    has_sockets: bool,
}

/// Keys with their YAML, each once, in the order they were first set.
#[derive(Clone, Debug, Default)]
struct Keys(Vec<(String, String)>);

impl Keys {
    fn set(&mut self, key: &str, yaml: &str) {
        match self.0.iter_mut().find(|(set, _)| set == key) {
            Some((_, old)) => yaml.clone_into(old),
            None => self.0.push((key.to_owned(), yaml.to_owned())),
        }
    }

    fn text(&self) -> String {
        self.0.iter().map(|(key, yaml)| format!("{key}: {yaml}\n")).collect()
    }
}

impl Service {
    /// Three instances that behave well.
    ///
    /// What a service waits for out of caution is short, so that tests are; a test that is about
    /// one of these times sets it.
    pub fn new(name: &str) -> Self {
        let mut keys = Keys::default();
        keys.set("auto_restart", "false");
        keys.set("min_ready_time", "100ms");
        keys.set("tunnel_grace", "1s");
        let (program, options) = (Program::Backend, Vec::new());
        let name = name.to_owned();
        Self { name, program, instances: 3, ports: 0, options, keys, has_sockets: false }
    }

    /// The smallest web service in place of the fixture backend.
    #[must_use]
    pub fn tiny(mut self) -> Self {
        self.program = Program::Tiny;
        self
    }

    /// Its instances listen on paths in [`Folder::sockets`] in place of ports.
    #[must_use]
    pub fn on_sockets(mut self) -> Self {
        self.has_sockets = true;
        self
    }

    /// So many instances.
    #[must_use]
    pub fn instances(mut self, count: u16) -> Self {
        self.instances = count;
        self
    }

    /// Ports for so many instances in a row, for a test that adds some, or starts new ones beside
    /// the old.
    #[must_use]
    pub fn room_for(mut self, count: u16) -> Self {
        self.ports = count;
        self
    }

    /// One more option for the fixture backend: `exit-on-term-ms=50`.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(format!("--{option}"));
        self
    }

    /// Sets a key of the service's file.
    #[must_use]
    pub fn key(mut self, key: &str, yaml: &str) -> Self {
        self.keys.set(key, yaml);
        self
    }
}

impl Setup {
    /// A daemon with one service.
    pub fn of(service: Service) -> Self {
        Self::default().service(service)
    }

    /// One more service.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Sets a key of `smoothserve.yaml`.
    #[must_use]
    pub fn key(mut self, key: &str, yaml: &str) -> Self {
        self.keys.set(key, yaml);
        self
    }

    /// Writes everything down, starts the daemon and waits until it serves; its instances may be
    /// starting still.
    ///
    /// # Errors
    /// When it does not begin to serve, with its log.
    pub async fn start(self) -> anyhow::Result<TestDaemon> {
        TestDaemon::start(self.write()?).await
    }

    /// Starts the daemon and waits until every instance is ready.
    ///
    /// # Errors
    /// When it does not begin to serve, with its log.
    pub async fn start_ready(self) -> anyhow::Result<TestDaemon> {
        let daemon = self.start().await?;
        daemon
            .until("every instance is ready", |snapshot| {
                snapshot.daemon.ready == snapshot.daemon.wanted && snapshot.daemon.wanted > 0
            })
            .await;
        Ok(daemon)
    }

    /// Writes everything down, and starts nothing.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(mut self) -> anyhow::Result<Folder> {
        let folder = Folder::new()?;
        self.keys.set("CommandPort", "0");
        self.keys.set("ProxyAddr", "127.0.0.1");
        self.keys.set("ProxyPort", &ports::take(1).to_string());
        self.keys.set("SubConfigDir", "services");
        fs::write(folder.config_file(), self.keys.text())?;
        for service in &self.services {
            folder.write_service(service)?;
        }
        Ok(folder)
    }
}

/// A daemon's folder; gone when dropped.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    /// With the folder of service files, and nothing in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix_in("daemon-", binaries::scratch()?)?;
        let folder = Self { folder };
        fs::create_dir(folder.path().join("services"))?;
        fs::create_dir(folder.sockets())?;
        Ok(folder)
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `smoothserve.yaml`.
    pub fn config_file(&self) -> PathBuf {
        self.path().join("smoothserve.yaml")
    }

    /// A service's file.
    pub fn service_file(&self, name: &str) -> PathBuf {
        self.path().join("services").join(format!("{name}.yaml"))
    }

    /// Where the programs of all services are.
    pub fn apps(&self) -> PathBuf {
        self.path().join("apps")
    }

    /// Where a service's program is, and its working directory.
    pub fn app(&self, name: &str) -> PathBuf {
        self.apps().join(name)
    }

    /// Where the instances of all services listen that have no ports.
    pub fn sockets(&self) -> PathBuf {
        self.path().join("run")
    }

    /// A service's program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.app(name).join("fixture-backend")
    }

    /// Where the instances of all services record what they execute.
    pub fn record_file(&self) -> PathBuf {
        self.path().join("record")
    }

    /// The token of the command port.
    pub fn token_file(&self) -> PathBuf {
        self.path().join("smoothserve.token")
    }

    /// What the daemon says.
    pub fn log_file(&self) -> PathBuf {
        self.path().join("daemon.log")
    }

    /// The port at which a service's requests come in.
    ///
    /// # Errors
    /// When its file says nothing of it.
    pub fn listen(&self, name: &str) -> anyhow::Result<SocketAddr> {
        let file = self.service_file(name);
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let port = text.lines().find_map(|line| line.strip_prefix("port: "));
        let port = port.with_context(|| format!("no port in {}", file.display()))?;
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port.trim().parse()?)))
    }

    /// Lets what is launched from now on behave as these lines say, whatever the configuration
    /// does; the empty text takes that back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn next_build(&self, service: &str, options: &str) -> anyhow::Result<()> {
        replace(&self.app(service).join(CONF), options)
    }

    /// Lets the processes of a service that are named say to whoever asks `/healthz` that they are
    /// not well; nobody named, everybody is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn make_sick(&self, service: &str, pids: &[u32]) -> anyhow::Result<()> {
        let lines: String = pids.iter().map(|pid| format!("{pid}\n")).collect();
        replace(&self.app(service).join(SICK), &lines)
    }

    /// Sets a key in a service's file.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn set(&self, service: &str, key: &str, yaml: &str) -> anyhow::Result<()> {
        set_key(&self.service_file(service), key, yaml)
    }

    /// Sets a key in `smoothserve.yaml`.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn set_main(&self, key: &str, yaml: &str) -> anyhow::Result<()> {
        set_key(&self.config_file(), key, yaml)
    }

    /// Writes one more service down.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn add(&self, service: &Service) -> anyhow::Result<()> {
        self.write_service(service)
    }

    fn write_service(&self, service: &Service) -> anyhow::Result<()> {
        let app = self.app(&service.name);
        fs::create_dir_all(&app)?;
        let program = self.program(&service.name);
        fs::hard_link(binaries::path(service.program)?, &program)
            .context("could not link the backend")?;

        let place = if service.has_sockets { "-socket={socket}" } else { "-port={port}" };
        let args = [place, "--generation={generation}"]
            .into_iter()
            .chain(service.options.iter().map(String::as_str));
        let args: Vec<String> = args.map(|arg| format!("\"{arg}\"")).collect();
        let mut keys = Keys::default();
        keys.set("name", &service.name);
        keys.set("port", &ports::take(1).to_string());
        if service.has_sockets {
            keys.set("instance_socket", "\"./run/{name}-{slot}.sock\"");
        } else {
            let ports = ports::take(service.instances.max(service.ports));
            keys.set("start_instance_port", &ports.to_string());
        }
        keys.set("instance_count", &service.instances.to_string());
        keys.set("executable_path", &program.display().to_string());
        keys.set("args", &format!("[{}]", args.join(", ")));
        keys.set("env", &format!("{{{RECORD}: \"{}\"}}", self.record_file().display()));
        for (key, yaml) in &service.keys.0 {
            keys.set(key, yaml);
        }
        replace(&self.service_file(&service.name), &keys.text())
    }
}

fn set_key(file: &Path, key: &str, yaml: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    let mut keys = Keys(pairs.map(|(key, yaml)| (key.to_owned(), yaml.to_owned())).collect());
    keys.set(key, yaml);
    replace(file, &keys.text())
}

/// Renamed into place, so that nobody reads half of it.
fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, file)?)
}
