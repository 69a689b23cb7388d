//! A service in the storm: its files, and what was done to it that may cost requests.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Mutex;

use smoothserve_protocol::id::ServiceName;
use smoothserve_tests::daemon::name;
use smoothserve_tests::ports;
use smoothserve_tests::setup::{Folder, Service};

use super::dice::Dice;

/// Instances of each service, before and after.
pub(super) const INSTANCES: u16 = 3;
/// Meanwhile they are up to so many.
const MOST: u16 = 5;

/// What may happen to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lot {
    /// Whatever loses no request: restarts, new builds, reloads.
    Calm,
    /// Builds that fail, kills, cuts as well.
    Rough,
    /// All that, and it is stopped and started.
    OnAndOff,
}

/// A service with its files.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) name: ServiceName,
    pub(super) lot: Lot,
    file: PathBuf,
    app: PathBuf,
    /// Its file as it was at first.
    text: String,
    now: Mutex<Now>,
}

/// What it is at present, and what it went through.
#[derive(Clone, Copy, Debug, Default)]
struct Now {
    instances: u16,
    setting: u64,
    build: u64,
    went_through: Trouble,
}

/// What may cost requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    pub(super) kills: u64,
    /// Builds that serve for a while, and crash.
    pub(super) crashing_builds: u64,
    /// Builds that never serve.
    pub(super) dead_builds: u64,
    pub(super) stops: u64,
    pub(super) cuts: u64,
}

impl Trouble {
    /// It may have cost something.
    pub(super) const fn is_harsh(self) -> bool {
        let Self { kills, crashing_builds, dead_builds, stops, cuts } = self;
        kills + crashing_builds + dead_builds + stops + cuts > 0
    }
}

/// A build, as arguments that it adds to those of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Build {
    Good,
    Slow,
    ExitsAtStart,
    NeverListens,
    Crashes,
}

impl Build {
    const fn argument(self) -> &'static str {
        match self {
            Self::Good => "",
            Self::Slow => "--start-ms=700",
            Self::ExitsAtStart => "--exit-at-start=3",
            Self::NeverListens => "--never-listen",
            Self::Crashes => "--crash-after-ms=1500",
        }
    }
}

/// Service `number`, of one kind or another.
pub(super) fn service(number: usize) -> Service {
    let service = Service::new(&site_name(number))
        .instances(INSTANCES)
        // A small script, so that a new build is a small file.
        .key("executable_path", &format!("apps/{}/run", site_name(number)))
        // One more than the most, for runs that start first.
        .key("start_instance_port", &ports::take(MOST + 1).to_string())
        .key("auto_restart", "true")
        .key("delay_update_time", "300ms")
        .key("watch_files", "[./view]")
        .key("ready_timeout", "10s")
        .key("stop_timeout", "2s")
        .key("tunnel_grace", "500ms")
        .key("hold_timeout", "20s");
    let service = match number % 4 {
        0 => service,
        1 => service.option("exit-on-term-ms=50"),
        2 => service.option("close-after=7"),
        _ => service.key("ready", "{http: /healthz, status: 200}"),
    };
    match number % 5 {
        0 => service.key("restart_order", "start-first"),
        1 => service.key("max_unavailable", "2"),
        // Streams take longer: such restarts end with the drain, and nothing is lost.
        2 => service.key("drain_timeout", "300ms").key("tunnel_grace", "100ms"),
        3 => service.key("ready", "{log: \"listening on\"}"),
        _ => service,
    }
}

fn site_name(number: usize) -> String {
    format!("shop{number}")
}

impl Site {
    /// Service `number` of `folder`, with a good build.
    pub(super) fn new(folder: &Folder, number: usize) -> anyhow::Result<Self> {
        let lot = match number % 3 {
            0 => Lot::Calm,
            1 => Lot::Rough,
            _ => Lot::OnAndOff,
        };
        let plain = site_name(number);
        let file = folder.service_file(&plain);
        let site = Self {
            name: name(&plain),
            lot,
            app: folder.app(&plain),
            text: fs::read_to_string(&file)?,
            file,
            now: Mutex::new(Now { instances: INSTANCES, ..Now::default() }),
        };
        fs::create_dir(site.app.join("view"))?;
        site.build(Build::Good)?;
        Ok(site)
    }

    pub(super) fn went_through(&self) -> Trouble {
        self.with(|now| now.went_through)
    }

    /// Notes something that may cost requests, before it is done.
    pub(super) fn note(&self, note: impl FnOnce(&mut Trouble)) {
        self.with(|now| note(&mut now.went_through));
    }

    /// Replaces the program.
    pub(super) fn build(&self, build: Build) -> anyhow::Result<()> {
        let number = self.with(|now| {
            now.build += 1;
            match build {
                Build::Good | Build::Slow => {}
                Build::ExitsAtStart | Build::NeverListens => now.went_through.dead_builds += 1,
                Build::Crashes => now.went_through.crashing_builds += 1,
            }
            now.build
        });
        let argument = build.argument();
        let script =
            format!("#!/bin/sh\n# build {number}\nexec ./fixture-backend \"$@\" {argument}\n");
        let new = self.app.join(format!("run.{number}"));
        let mut file = File::options().write(true).create_new(true).mode(0o755).open(&new)?;
        file.write_all(script.as_bytes())?;
        drop(file);
        Ok(fs::rename(new, self.app.join("run"))?)
    }

    /// Changes a watched file.
    pub(super) fn page(&self, dice: &mut Dice) -> anyhow::Result<()> {
        Ok(fs::write(self.app.join("view/page.html"), dice.roll(1000).to_string())?)
    }

    /// More or fewer instances.
    pub(super) fn scale(&self, dice: &mut Dice) -> anyhow::Result<()> {
        self.write(|now| now.instances = 1 + dice.roll(u64::from(MOST)) as u16)
    }

    /// Another environment.
    pub(super) fn set(&self) -> anyhow::Result<()> {
        self.write(|now| now.setting += 1)
    }

    /// As many instances as at first.
    pub(super) fn settle(&self) -> anyhow::Result<()> {
        self.write(|now| now.instances = INSTANCES)
    }

    /// A file that must not be taken.
    pub(super) fn spoil(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let half = &self.text[..self.text.len() / 2];
        let bad = dice.pick(&[
            self.text.replace("instance_count: ", "instance_count: -"),
            self.text.replace("port: ", "prot: "),
            format!("{half}\n  - [\n"),
            String::new(),
        ]);
        self.replace(&bad)
    }

    fn write(&self, change: impl FnOnce(&mut Now)) -> anyhow::Result<()> {
        let now = self.with(|now| {
            change(now);
            *now
        });
        let lines = self.text.lines().map(|line| {
            if line.starts_with("instance_count: ") {
                format!("instance_count: {}\n", now.instances)
            } else if let Some(env) = line.strip_prefix("env: {") {
                format!("env: {{SETTING: \"{}\", {env}\n", now.setting)
            } else {
                format!("{line}\n")
            }
        });
        self.replace(&lines.collect::<String>())
    }

    fn replace(&self, text: &str) -> anyhow::Result<()> {
        let new = tempfile::NamedTempFile::new_in(&self.app)?;
        fs::write(new.path(), text)?;
        new.persist(&self.file)?;
        Ok(())
    }

    fn with<T>(&self, with: impl FnOnce(&mut Now) -> T) -> T {
        with(&mut self.now.lock().expect("nobody panics while holding it"))
    }
}
