//! The two files as they are written: which keys there are, and which kind of value each takes.
//!
//! Nothing here knows a default, a path's folder or another key's value; that is `resolve`.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use smoothserve_protocol::id::ServiceName;

use super::error::Problem;
use super::scalar;
use super::table::{Spot, Table};
use super::{Readiness, Route, StopSignal};

/// `smoothserve.yaml`.
pub(super) struct RawMain {
    pub(super) command_port: Option<Spot<u16>>,
    pub(super) proxy_addr: Option<Spot<IpAddr>>,
    pub(super) proxy_port: Option<Spot<u16>>,
    pub(super) sub_config_dir: Option<Spot<PathBuf>>,
    pub(super) state_dir: Option<Spot<PathBuf>>,
    pub(super) shutdown_timeout: Option<Spot<Duration>>,
    pub(super) log: Option<RawLog>,
}

/// `log` of `smoothserve.yaml`.
pub(super) struct RawLog {
    pub(super) file_path: Option<Spot<PathBuf>>,
    pub(super) max_size: Option<Spot<u64>>,
    pub(super) max_backups: Option<Spot<usize>>,
    pub(super) max_age: Option<Spot<u32>>,
    pub(super) compress: Option<Spot<bool>>,
    pub(super) debug: Option<Spot<bool>>,
}

/// A file of the folder of services.
pub(super) struct RawService {
    pub(super) name: Option<Spot<ServiceName>>,
    pub(super) server_name: Option<Spot<Vec<Route>>>,
    pub(super) server_ip: Option<Spot<IpAddr>>,
    pub(super) port: Option<Spot<u16>>,
    pub(super) default: Option<Spot<bool>>,
    pub(super) start_instance_port: Option<Spot<u16>>,
    pub(super) instance_count: Option<Spot<NonZeroU16>>,
    pub(super) executable_path: Option<Spot<PathBuf>>,
    pub(super) args: Option<Vec<Spot<String>>>,
    pub(super) env: Option<Vec<(Spot<String>, Spot<String>)>>,
    pub(super) env_file: Option<Spot<PathBuf>>,
    pub(super) working_dir: Option<Spot<PathBuf>>,
    pub(super) enabled: Option<Spot<bool>>,
    pub(super) auto_restart: Option<Spot<bool>>,
    pub(super) watch_files: Option<Vec<Spot<PathBuf>>>,
    pub(super) ready: Option<Readiness>,
    pub(super) delay_running_time: Option<Spot<Duration>>,
    pub(super) delay_update_time: Option<Spot<Duration>>,
    pub(super) stop_signal: Option<Spot<StopSignal>>,
    pub(super) drain_timeout: Option<Spot<Duration>>,
    pub(super) tunnel_grace: Option<Spot<Duration>>,
    pub(super) stop_timeout: Option<Spot<Duration>>,
    pub(super) ready_timeout: Option<Spot<Duration>>,
    pub(super) min_ready_time: Option<Spot<Duration>>,
    pub(super) hold_timeout: Option<Spot<Duration>>,
    pub(super) hold_max: Option<Spot<usize>>,
    pub(super) upstream_idle_timeout: Option<Spot<Duration>>,
}

impl RawMain {
    /// Takes every key of the file.
    pub(super) fn read(table: &mut Table) -> Self {
        Self {
            command_port: table.require("CommandPort", &scalar::PORT),
            proxy_addr: table.take("ProxyAddr", &scalar::ADDRESS),
            proxy_port: table.take("ProxyPort", &scalar::PORT),
            sub_config_dir: table.take("SubConfigDir", &scalar::PATH),
            state_dir: table.take("StateDir", &scalar::PATH),
            shutdown_timeout: table.take("shutdown_timeout", &scalar::DURATION),
            log: table.take_table("log", RawLog::read).map(|log| log.value),
        }
    }
}

impl RawLog {
    fn read(table: &mut Table) -> Self {
        Self {
            file_path: table.require("file_path", &scalar::PATH),
            max_size: table.take("max_size", &scalar::MEBIBYTES),
            max_backups: table.take("max_backups", &scalar::BACKUPS),
            max_age: table.take("max_age", &scalar::DAYS),
            compress: table.take("compress", &scalar::FLAG),
            debug: table.take("debug", &scalar::FLAG),
        }
    }
}

impl RawService {
    /// Takes every key of the file.
    pub(super) fn read(table: &mut Table) -> Self {
        Self {
            name: table.require("name", &scalar::NAME),
            server_name: table.take("server_name", &scalar::HOSTS),
            server_ip: table.take("server_ip", &scalar::ADDRESS),
            port: table.take("port", &scalar::PORT),
            default: table.take("default", &scalar::FLAG),
            start_instance_port: table.require("start_instance_port", &scalar::FIRST_PORT),
            instance_count: table.take("instance_count", &scalar::INSTANCES),
            executable_path: table.require("executable_path", &scalar::PATH),
            args: table.take_list("args", &scalar::ARGUMENT),
            env: table.take_pairs("env", &scalar::TEXT),
            env_file: table.take("env_file", &scalar::PATH),
            working_dir: table.take("working_dir", &scalar::PATH),
            enabled: table.take("enabled", &scalar::FLAG),
            auto_restart: table.take("auto_restart", &scalar::FLAG),
            watch_files: table.take_list("watch_files", &scalar::PATH),
            ready: table.take_table("ready", readiness).and_then(|ready| ready.value),
            delay_running_time: table.take("delay_running_time", &scalar::DURATION),
            delay_update_time: table.take("delay_update_time", &scalar::SHORT_DURATION),
            stop_signal: table.take("stop_signal", &scalar::STOP_SIGNAL),
            drain_timeout: table.take("drain_timeout", &scalar::DURATION),
            tunnel_grace: table.take("tunnel_grace", &scalar::DURATION),
            stop_timeout: table.take("stop_timeout", &scalar::DURATION),
            ready_timeout: table.take("ready_timeout", &scalar::TIMEOUT),
            min_ready_time: table.take("min_ready_time", &scalar::DURATION),
            hold_timeout: table.take("hold_timeout", &scalar::DURATION),
            hold_max: table.take("hold_max", &scalar::HOLD_MAX),
            upstream_idle_timeout: table.take("upstream_idle_timeout", &scalar::DURATION),
        }
    }
}

/// `{tcp: true}` or `{http: /healthz, status: 200}`; none with a problem noted.
fn readiness(table: &mut Table) -> Option<Readiness> {
    let tcp = table.take("tcp", &scalar::TRUE);
    let http = table.take("http", &scalar::HTTP_PATH);
    let status = table.take("status", &scalar::STATUS);
    // A wrong value is not an absent one, and an unknown key is reported as such.
    if table.has_problems() || !table.is_empty() {
        return None;
    }
    let problem = match (tcp, http, status) {
        (Some(_), None, None) => return Some(Readiness::Tcp),
        (None, Some(path), status) => {
            let status = status.map_or(200, |status| status.value);
            return Some(Readiness::Http { path: path.value, status });
        }
        (Some(tcp), Some(http), _) => {
            Problem::at(&http.site, "`ready` has both `http` and `tcp`", "allowed: one of the two")
                .see(&tcp.site, "the other one")
        }
        (_, None, Some(status)) => Problem::at(
            &status.site,
            "`ready.status` has no `ready.http`",
            "needed beside this key: `http`, a path",
        ),
        (None, None, None) => Problem::at(
            table.site(),
            "`ready` is empty",
            "allowed: `{tcp: true}` or `{http: /healthz, status: 200}`",
        ),
    };
    table.note(problem);
    None
}
