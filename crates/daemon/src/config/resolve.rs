//! From what is written to what it means: defaults, absolute paths, and the rules within one file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::error::{Problem, Site};
use super::raw::{RawLog, RawMain, RawService};
use super::table::Spot;
use super::{Limits, LogConfig, Readiness, ServiceConfig, StopSignal};

/// `smoothserve.yaml`, with its defaults.
pub(super) struct Main {
    /// None if it is missing or wrong, which has been noted.
    pub(super) command_port: Option<Spot<u16>>,
    pub(super) proxy_addr: IpAddr,
    pub(super) proxy_port: Option<u16>,
    /// The folder of services, and where it is named.
    pub(super) services: (PathBuf, Option<Site>),
    pub(super) state_dir: Option<PathBuf>,
    pub(super) shutdown_timeout: Duration,
    pub(super) log: Option<LogConfig>,
    /// The folder of `smoothserve.yaml`.
    pub(super) dir: PathBuf,
}

/// A service with the places that a clash with another one is shown at.
pub(super) struct Service {
    pub(super) config: ServiceConfig,
    /// `default`, if it is given.
    pub(super) default: Option<Spot<bool>>,
    pub(super) sites: Sites,
}

/// Where a service's file says what others may clash with.
pub(super) struct Sites {
    pub(super) name: Site,
    /// `port`, or `name` if the port is `ProxyPort`.
    pub(super) port: Site,
    pub(super) first_port: Site,
    /// `server_name`, or `name` if there is none.
    pub(super) routes: Site,
}

impl Main {
    /// `file` is absolute.
    pub(super) fn new(file: &Path, raw: RawMain) -> Self {
        let dir = file.parent().unwrap_or(file).to_owned();
        let site = raw.sub_config_dir.as_ref().map(|spot| spot.site.clone());
        let services = raw.sub_config_dir.map_or("services".into(), |spot| spot.value);
        Self {
            command_port: raw.command_port,
            proxy_addr: value_or(raw.proxy_addr, Ipv4Addr::UNSPECIFIED.into()),
            proxy_port: raw.proxy_port.map(|port| port.value),
            services: (absolute(&dir, &services), site),
            state_dir: raw.state_dir.map(|spot| absolute(&dir, &spot.value)),
            shutdown_timeout: value_or(raw.shutdown_timeout, Duration::from_secs(60)),
            log: raw.log.and_then(|log| log_config(&dir, log)),
            dir,
        }
    }
}

/// None without `file_path`, whose absence has been noted.
fn log_config(dir: &Path, raw: RawLog) -> Option<LogConfig> {
    const MEBIBYTE: u64 = 1024 * 1024;
    const DAY: u64 = 24 * 60 * 60;
    let days = value_or(raw.max_age, 0);
    Some(LogConfig {
        file: absolute(dir, &raw.file_path?.value),
        max_size: value_or(raw.max_size, 100) * MEBIBYTE,
        max_backups: value_or(raw.max_backups, 10),
        max_age: (days > 0).then(|| Duration::from_secs(u64::from(days) * DAY)),
        compress: value_or(raw.compress, false),
        debug: value_or(raw.debug, false),
    })
}

impl Service {
    /// The service in `file`, whose single values are all allowed.
    ///
    /// # Errors
    /// Every rule that the values break together.
    pub(super) fn new(file: &Path, main: &Main, raw: RawService) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        check_ports(&raw, &mut problems);
        check_env(&raw, &mut problems);
        check_reachable(&raw, &mut problems);
        let port = listen_port(&raw, main, &mut problems);
        let limits = limits(&raw, &mut problems);
        let service = Self::assemble(file, main, raw, Parts { port, limits });
        match service {
            Some(service) if problems.is_empty() => Ok(service),
            _ => {
                problems.sort_by_key(Problem::offset);
                Err(problems)
            }
        }
    }

    fn assemble(file: &Path, main: &Main, raw: RawService, parts: Parts) -> Option<Self> {
        let name = raw.name?;
        let first_port = raw.start_instance_port?;
        let executable = absolute(&main.dir, &raw.executable_path?.value);
        let folder = executable.parent().unwrap_or(&executable).to_owned();
        let auto_restart = value_or(raw.auto_restart, false);
        let mut watch: Vec<_> = values(raw.watch_files.unwrap_or_default())
            .map(|path| without_dots(&folder.join(path)))
            .collect();
        if auto_restart {
            watch.extend([executable.clone(), file.to_owned()]);
        }
        let site_of = |site: Option<Site>| site.unwrap_or_else(|| name.site.clone());
        let sites = Sites {
            name: name.site.clone(),
            port: site_of(raw.port.map(|spot| spot.site)),
            first_port: first_port.site.clone(),
            routes: site_of(raw.server_name.as_ref().map(|spot| spot.site.clone())),
        };
        let config = ServiceConfig {
            source: file.to_owned(),
            name: name.value,
            listen: SocketAddr::new(main.proxy_addr, parts.port?),
            routes: value_or(raw.server_name, Vec::new()),
            is_default: false, // Known when all services are: `clash::set_defaults`.
            instance_ip: value_or(raw.server_ip, Ipv4Addr::LOCALHOST.into()),
            first_port: first_port.value,
            instances: value_or(raw.instance_count, NonZeroU16::MIN),
            args: raw.args.map_or(vec!["-port={port}".into()], |args| values(args).collect()),
            env: pairs(raw.env.unwrap_or_default()),
            env_file: raw.env_file.map(|spot| absolute(&main.dir, &spot.value)),
            working_dir: raw.working_dir.map_or(folder, |spot| absolute(&main.dir, &spot.value)),
            executable,
            enabled: value_or(raw.enabled, true),
            auto_restart,
            watch: once_each(watch),
            ready: raw.ready.unwrap_or(Readiness::Tcp),
            delay_running_time: value_or(raw.delay_running_time, Duration::ZERO),
            delay_update_time: value_or(raw.delay_update_time, Duration::from_secs(2)),
            stop_signal: value_or(raw.stop_signal, StopSignal::Term),
            limits: parts.limits,
        };
        Some(Self { config, default: raw.default, sites })
    }
}

/// What several keys decide together.
struct Parts {
    port: Option<u16>,
    limits: Limits,
}

fn check_ports(raw: &RawService, problems: &mut Vec<Problem>) {
    let (Some(first), Some(count)) = (&raw.start_instance_port, &raw.instance_count) else {
        return;
    };
    let last = u32::from(first.value) + u32::from(count.value.get()) - 1;
    if last > u32::from(u16::MAX) {
        let most = u32::from(u16::MAX) - u32::from(first.value) + 1;
        let problem = Problem::at(
            &count.site,
            format!("the last instance would need port {last}"),
            format!("allowed: 1 to {most}, as ports end at 65535"),
        );
        problems.push(problem.see(&first.site, "counted from this port"));
    }
}

fn check_env(raw: &RawService, problems: &mut Vec<Problem>) {
    for (name, _) in raw.env.iter().flatten() {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.value == "PORT" {
            problems.push(
                Problem::at(
                    &name.site,
                    "`env` sets `PORT`",
                    "set by smoothserve, to the port of each instance",
                )
                .help("remove it; `start_instance_port` says where the ports begin"),
            );
        } else if name.value.starts_with(|c: char| c.is_ascii_digit())
            || name.value.is_empty()
            || !name.value.chars().all(is_name)
        {
            problems.push(Problem::at(
                &name.site,
                format!("`{}` is no name of an environment variable", name.value),
                "allowed: letters, digits and `_`, not beginning with a digit",
            ));
        }
    }
}

/// A service without hosts lives on being a default.
fn check_reachable(raw: &RawService, problems: &mut Vec<Problem>) {
    if raw.server_name.as_ref().is_some_and(|names| !names.value.is_empty()) {
        return;
    }
    if let Some(Spot { value: false, site }) = &raw.default {
        problems.push(
            Problem::at(
                site,
                "`default` is `false` and there is no `server_name`",
                "no request could reach this service",
            )
            .help("add a `server_name`, or remove this line"),
        );
    }
}

fn listen_port(raw: &RawService, main: &Main, problems: &mut Vec<Problem>) -> Option<u16> {
    let port = raw.port.as_ref().map(|port| port.value).or(main.proxy_port);
    if let (None, Some(name)) = (port, &raw.name) {
        problems.push(
            Problem::at(&name.site, "`port` is missing", "this service has no port to listen on")
                .help("add `port` here, or `ProxyPort` to smoothserve.yaml for all services"),
        );
    }
    port
}

fn limits(raw: &RawService, problems: &mut Vec<Problem>) -> Limits {
    let default = Limits::default();
    let drain_timeout = value_of(raw.drain_timeout.as_ref(), default.drain_timeout);
    if let Some(grace) = &raw.tunnel_grace
        && grace.value > drain_timeout
    {
        let allowed =
            format!("allowed: at most `drain_timeout`, which is {} s", drain_timeout.as_secs_f64());
        let problem = Problem::at(&grace.site, "`tunnel_grace` is above `drain_timeout`", allowed);
        problems.push(match &raw.drain_timeout {
            Some(drain) => problem.see(&drain.site, "`drain_timeout` is set here"),
            None => problem,
        });
    }
    Limits {
        drain_timeout,
        tunnel_grace: value_of(raw.tunnel_grace.as_ref(), default.tunnel_grace.min(drain_timeout)),
        stop_timeout: value_of(raw.stop_timeout.as_ref(), default.stop_timeout),
        ready_timeout: value_of(raw.ready_timeout.as_ref(), default.ready_timeout),
        min_ready_time: value_of(raw.min_ready_time.as_ref(), default.min_ready_time),
        hold_timeout: raw.hold_timeout.as_ref().map(|time| time.value).or(default.hold_timeout),
        hold_max: value_of(raw.hold_max.as_ref(), default.hold_max),
        upstream_idle_timeout: value_of(
            raw.upstream_idle_timeout.as_ref(),
            default.upstream_idle_timeout,
        ),
    }
}

fn value_or<T>(spot: Option<Spot<T>>, default: T) -> T {
    spot.map_or(default, |spot| spot.value)
}

fn value_of<T: Copy>(spot: Option<&Spot<T>>, default: T) -> T {
    spot.map_or(default, |spot| spot.value)
}

fn values<T>(spots: Vec<Spot<T>>) -> impl Iterator<Item = T> {
    spots.into_iter().map(|spot| spot.value)
}

fn pairs(spots: Vec<(Spot<String>, Spot<String>)>) -> Vec<(String, String)> {
    spots.into_iter().map(|(name, value)| (name.value, value.value)).collect()
}

fn once_each(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut once = Vec::new();
    for path in paths {
        if !once.contains(&path) {
            once.push(path);
        }
    }
    once
}

/// `path` seen from `dir`, without `.`; `..` is left to the system, which knows symbolic links.
fn absolute(dir: &Path, path: &Path) -> PathBuf {
    dir.join(path).components().collect()
}

/// `path` without `.` and `..`, read from the text alone, as the original program did.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_dots() {
        assert_eq!(absolute(Path::new("/srv"), Path::new("./bin/./a")), Path::new("/srv/bin/a"));
        assert_eq!(absolute(Path::new("/srv"), Path::new("/bin/a")), Path::new("/bin/a"));
        assert_eq!(without_dots(Path::new("/srv/bin/../etc/.")), Path::new("/srv/etc"));
        assert_eq!(without_dots(Path::new("/../..")), Path::new("/"));
    }
}
