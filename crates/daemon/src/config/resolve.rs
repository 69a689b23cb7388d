//! From what is written to what it means: defaults and absolute paths.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::account::Accounts;
use super::error::{Problem, Site};
use super::raw::{RawMain, RawService};
use super::rules::{self, Replacement};
use super::table::Spot;
use super::{
    AccessLogConfig, ClientLimits, Edge, Https, Limits, LogConfig, OutputConfig, Readiness,
    RequestLimits, Resources, RunAs, ServiceConfig, SocketPaths, StopSignal, TlsListener, Trust,
    UpstreamProtocol, edge, https, limits, logs, sockets, tls, trust,
};

/// `smoothserve.yaml`, with its defaults.
pub(super) struct Main {
    /// None if it is missing or wrong, which has been noted.
    pub(super) command_port: Option<Spot<u16>>,
    pub(super) proxy_addr: IpAddr,
    pub(super) proxy_port: Option<u16>,
    /// The folder of services, and where it is named.
    pub(super) services: (PathBuf, Option<Site>),
    pub(super) state_dir: PathBuf,
    pub(super) shutdown_timeout: Duration,
    pub(super) trust: Trust,
    pub(super) shutdown_delay: Duration,
    pub(super) metrics: Option<Spot<SocketAddr>>,
    pub(super) ready_path: Option<String>,
    pub(super) clients: ClientLimits,
    pub(super) tls: Vec<TlsListener>,
    pub(super) https: Https,
    /// Where `redirect_https` has its ports.
    pub(super) redirects: Vec<Spot<u16>>,
    pub(super) log: Option<LogConfig>,
    pub(super) access_log: Option<AccessLogConfig>,
    pub(super) output: Option<OutputConfig>,
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
    /// Or `instance_socket`.
    pub(super) first_port: Site,
    /// `surge_port`, or `start_instance_port` if it follows from that.
    pub(super) surge_port: Site,
    /// `server_name`, or `name` if there is none.
    pub(super) routes: Site,
}

impl Main {
    /// `file` is absolute; `state_dir` is that of a daemon that names none.
    pub(super) fn new(
        file: &Path,
        mut raw: RawMain,
        state_dir: Option<PathBuf>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let dir = file.parent().unwrap_or(file).to_owned();
        let trust = trust::trust(&mut raw);
        let clients = limits::of_clients(&raw, problems);
        let site = raw.sub_config_dir.as_ref().map(|spot| spot.site.clone());
        let named_state_dir = raw.state_dir.map(|spot| absolute(&dir, &spot.value));
        let state_dir = named_state_dir.or(state_dir).unwrap_or_else(|| dir.clone());
        let services = raw.sub_config_dir.map_or("services".into(), |spot| spot.value);
        let log = raw.log.and_then(|log| logs::log(&dir, log));
        let access_log = raw.access_log;
        let access_log =
            access_log.and_then(|raw| logs::access_log(&dir, raw, log.as_ref(), problems));
        let proxy_addr = value_or(raw.proxy_addr.take(), Ipv4Addr::UNSPECIFIED.into());
        let tls = tls::listeners(&dir, raw.tls.take().unwrap_or_default(), problems);
        let redirects = raw.redirect_https.take().unwrap_or_default();
        let https = https::https(&redirects, raw.hsts.take(), proxy_addr, &tls, problems);
        Self {
            command_port: raw.command_port,
            proxy_addr,
            proxy_port: raw.proxy_port.map(|port| port.value),
            services: (absolute(&dir, &services), site),
            shutdown_timeout: value_or(raw.shutdown_timeout, Duration::from_secs(60)),
            trust,
            shutdown_delay: value_or(raw.shutdown_delay, Duration::ZERO),
            metrics: raw.metrics,
            ready_path: raw.ready_path.map(|path| path.value),
            clients,
            tls,
            https,
            redirects,
            log,
            access_log,
            output: logs::output(&dir, &state_dir, raw.instance_log, problems),
            state_dir,
            dir,
        }
    }
}

impl Service {
    /// The service in `file`, whose single values are all allowed.
    ///
    /// # Errors
    /// Every rule that the values break together.
    pub(super) fn new(
        file: &Path,
        main: &Main,
        accounts: &Accounts,
        mut raw: RawService,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        rules::check_ports(&raw, &mut problems);
        sockets::check(&raw, &mut problems);
        rules::check_env(&raw, &mut problems);
        rules::check_reachable(&raw, &mut problems);
        let port = rules::listen_port(&raw, main, &mut problems);
        let limits = rules::limits(&raw, &mut problems);
        let requests = limits::of_requests(&raw);
        let replacement = rules::replacement(&raw, &mut problems);
        let sockets = sockets::paths(&raw, main, replacement.order, &mut problems);
        let run_as = accounts.run_as(raw.user.as_ref(), raw.group.as_ref());
        let run_as = run_as.unwrap_or_else(|found| {
            problems.extend(found);
            None
        });
        let edge = edge::edge(std::mem::take(&mut raw.edge), &main.dir, &mut problems);
        let parts = Parts { port, requests, limits, replacement, sockets, run_as, edge };
        let service = Self::assemble(file, main, raw, parts);
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
        let (first_port, first_site) = match (raw.start_instance_port, &raw.instance_socket) {
            (Some(port), _) => (port.value, port.site),
            (None, Some(socket)) => (sockets::FIRST_PLACE, socket.site.clone()),
            (None, None) => return None,
        };
        let executable = absolute(&main.dir, &raw.executable_path?.value);
        let folder = executable.parent().unwrap_or(&executable).to_owned();
        let auto_restart = value_or(raw.auto_restart, false);
        let mut watch: Vec<_> = values(raw.watch_files.unwrap_or_default())
            .map(|path| without_dots(&folder.join(path)))
            .collect();
        if auto_restart {
            watch.push(executable.clone());
        }
        let site_of = |site: Option<Site>| site.unwrap_or_else(|| name.site.clone());
        let sites = Sites {
            name: name.site.clone(),
            port: site_of(raw.port.map(|spot| spot.site)),
            surge_port: raw.surge_port.map_or(first_site.clone(), |spot| spot.site),
            first_port: first_site,
            routes: site_of(raw.server_name.as_ref().map(|spot| spot.site.clone())),
        };
        let default_argument =
            if parts.sockets.is_some() { "-socket={socket}" } else { "-port={port}" };
        let config = ServiceConfig {
            source: file.to_owned(),
            name: name.value,
            listen: SocketAddr::new(main.proxy_addr, parts.port?),
            routes: value_or(raw.server_name, Vec::new()),
            is_default: false, // Known when all services are: `clash::set_defaults`.
            edge: parts.edge,
            instance_ip: value_or(raw.server_ip, Ipv4Addr::LOCALHOST.into()),
            first_port,
            instances: value_or(raw.instance_count, NonZeroU16::MIN),
            args: raw.args.map_or(vec![default_argument.into()], |args| values(args).collect()),
            sockets: parts.sockets,
            upstream_protocol: value_or(raw.upstream_protocol, UpstreamProtocol::Http1),
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
            watch_ignore: values(raw.watch_ignore.unwrap_or_default()).collect(),
            watch_gitignore: value_or(raw.watch_gitignore, true),
            restart_order: parts.replacement.order,
            surge_port: parts.replacement.surge_port,
            max_unavailable: parts.replacement.max_unavailable,
            liveness: raw.liveness,
            run_as: parts.run_as,
            resources: Resources {
                open_files: raw.open_files.map(|spot| spot.value),
                file_size: raw.file_size.map(|spot| spot.value),
                memory: raw.memory_limit.map(|spot| spot.value),
            },
            requests: parts.requests,
            limits: parts.limits,
        };
        Some(Self { config, default: raw.default, sites })
    }
}

/// What several keys decide together.
struct Parts {
    port: Option<u16>,
    requests: RequestLimits,
    limits: Limits,
    replacement: Replacement,
    sockets: Option<SocketPaths>,
    run_as: Option<RunAs>,
    edge: Option<Arc<Edge>>,
}

pub(super) fn value_or<T>(spot: Option<Spot<T>>, default: T) -> T {
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
pub(super) fn absolute(dir: &Path, path: &Path) -> PathBuf {
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
