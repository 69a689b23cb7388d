//! How this instance behaves: read once, at launch, from the environment, the arguments and a file.
//!
//! | option | behaviour |
//! |---|---|
//! | `port N` | where it listens, on 127.0.0.1 |
//! | `socket PATH` | where it listens in place of that |
//! | `generation TEXT` | shown in its first line and in every answer |
//! | `start-ms N` | listens only after so long |
//! | `never-listen` | runs, and never listens |
//! | `exit-at-start CODE` | says why, and exits |
//! | `exit-on-term-ms N` | on TERM: exits that soon, whatever it was doing |
//! | `ignore-term` | on TERM: nothing |
//! | `crash-after-ms N` | exits with code 70 that long after its launch |
//! | `unhealthy` | `/healthz` answers 503 |
//! | `idle-ms N` | closes a connection that was idle for so long after a request |
//! | `close-after N` | closes a connection after so many requests |
//! | `h2c` | speaks HTTP/2 without TLS, and nothing else |
//! | `max-streams N` | with `h2c`: takes so many requests at once on a connection |
//! | `broken garbage` | answers every connection with bytes that are no answer |
//! | `broken reset` | resets every connection in the middle of its answer |
//! | `broken deaf` | reads a head on every connection, and does nothing more |
//!
//! An option is `--name value` or `--name=value` as argument, `name=value` in the comma list of
//! [`OPTIONS`], `name value` or `name=value` on a line of [`CONF`]. The last one wins: the file over
//! the arguments, those over the environment. So a test swaps the build by writing a file.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use smoothserve_tests::contract::{CONF, OPTIONS, RECORD};

use crate::broken::Broken;
use crate::listener::Place;

/// How this instance behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) port: u16,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) generation: String,
    /// Where executions are recorded; none: nowhere.
    pub(crate) record: Option<PathBuf>,
    pub(crate) start: Start,
    pub(crate) on_term: OnTerm,
    pub(crate) crash_after: Option<Duration>,
    pub(crate) is_unhealthy: bool,
    pub(crate) idle: Option<Duration>,
    pub(crate) requests_per_connection: Option<u64>,
    pub(crate) is_h2c: bool,
    /// None: as many as the library likes.
    pub(crate) streams_per_connection: Option<u32>,
    pub(crate) broken: Option<Broken>,
}

/// What it does first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Listen { after: Duration },
    NeverListen,
    Refuse { code: u8 },
}

impl Default for Start {
    fn default() -> Self {
        Self::Listen { after: Duration::ZERO }
    }
}

/// What it does on TERM.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum OnTerm {
    /// Accepts no more, finishes what it has, exits.
    #[default]
    Finish,
    /// Accepts no more, and exits this soon.
    Exit {
        after: Duration,
    },
    Ignore,
}

/// One option with its value, if it has one.
type Setting = (String, Option<String>);

impl Options {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let mut options =
            Self { record: env::var_os(RECORD).map(PathBuf::from), ..Self::default() };
        let (environment, conf) = (env::var(OPTIONS).unwrap_or_default(), conf_text()?);
        let settings = environment
            .split(',')
            .filter_map(setting)
            .chain(arguments(env::args().skip(1)))
            .chain(conf.lines().filter_map(setting));
        for (name, value) in settings {
            options
                .apply(&name, value.as_deref())
                .with_context(|| format!("option {name}={}", value.unwrap_or_default()))?;
        }
        if options.port == 0 && options.socket.is_none() {
            bail!("neither port nor socket was given");
        }
        Ok(options)
    }

    /// Where it is to listen.
    pub(crate) fn place(&self) -> Place {
        self.socket.clone().map_or(Place::Port(self.port), Place::Path)
    }

    fn apply(&mut self, name: &str, value: Option<&str>) -> anyhow::Result<()> {
        match name {
            "port" => self.port = number(value)?,
            "socket" => self.socket = Some(value.context("needs a path")?.into()),
            "generation" => self.generation = value.unwrap_or_default().to_owned(),
            "start-ms" => self.start = Start::Listen { after: millis(value)? },
            "never-listen" => self.start = Start::NeverListen,
            "exit-at-start" => self.start = Start::Refuse { code: number(value)? },
            "exit-on-term-ms" => self.on_term = OnTerm::Exit { after: millis(value)? },
            "ignore-term" => self.on_term = OnTerm::Ignore,
            "crash-after-ms" => self.crash_after = Some(millis(value)?),
            "unhealthy" => self.is_unhealthy = true,
            "idle-ms" => self.idle = Some(millis(value)?),
            "close-after" => self.requests_per_connection = Some(number(value)?),
            "h2c" => self.is_h2c = true,
            "max-streams" => self.streams_per_connection = Some(number(value)?),
            "broken" => {
                self.broken = Some(match value {
                    Some("garbage") => Broken::Garbage,
                    Some("reset") => Broken::Reset,
                    Some("deaf") => Broken::Deaf,
                    _ => bail!("is garbage, reset or deaf"),
                });
            }
            _ => bail!("is unknown"),
        }
        Ok(())
    }
}

fn takes_value(name: &str) -> bool {
    !matches!(name, "never-listen" | "ignore-term" | "unhealthy" | "h2c")
}

fn arguments(mut arguments: impl Iterator<Item = String>) -> Vec<Setting> {
    let mut settings = Vec::new();
    while let Some(argument) = arguments.next() {
        let name = argument.trim_start_matches('-');
        settings.push(match name.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None if takes_value(name) => (name.to_owned(), arguments.next()),
            None => (name.to_owned(), None),
        });
    }
    settings
}

fn setting(text: &str) -> Option<Setting> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    Some(match text.split_once(['=', ' ']) {
        Some((name, value)) => (name.trim().to_owned(), Some(value.trim().to_owned())),
        None => (text.to_owned(), None),
    })
}

fn conf_text() -> anyhow::Result<String> {
    match fs::read_to_string(Path::new(CONF)) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).context(CONF),
    }
}

fn number<T: std::str::FromStr>(value: Option<&str>) -> anyhow::Result<T> {
    let value = value.context("needs a number")?;
    value.parse().ok().with_context(|| format!("{value} is no number"))
}

fn millis(value: Option<&str>) -> anyhow::Result<Duration> {
    Ok(Duration::from_millis(number(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(arguments: &[&str]) -> Vec<Setting> {
        super::arguments(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn an_argument_is_read_in_every_spelling() {
        let port = || ("port".to_owned(), Some("80".to_owned()));
        for spelling in [&["-port=80"][..], &["--port=80"], &["--port", "80"]] {
            assert_eq!(given(spelling), [port()]);
        }
        let flag = ("ignore-term".to_owned(), None);
        assert_eq!(given(&["--ignore-term", "-port=80"]), [flag, port()]);
    }

    #[test]
    fn a_line_of_the_file_is_read_in_every_spelling() {
        assert_eq!(setting("idle-ms 5"), setting(" idle-ms=5 "));
        assert_eq!(setting("  "), None);
        assert_eq!(setting("unhealthy"), Some(("unhealthy".to_owned(), None)));
    }
}
