//! The two files as they are written: which keys there are, and which kind of value each takes.
//!
//! Nothing here knows a default, a path's folder or another key's value; that is `resolve`.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::plan::RestartOrder;
use smoothserve_protocol::snapshot::OnDrainTimeout;

use super::account::Account;
use super::edge::RawEdge;
use super::table::{Spot, Switch, Table};
use crate::tls::MinVersion;

use super::{
    AccessLogFormat, Liveness, Network, Readiness, Route, StopSignal, UpstreamProtocol, probes,
    scalar,
};

/// `smoothserve.yaml`.
pub(super) struct RawMain {
    pub(super) command_port: Option<Spot<u16>>,
    pub(super) proxy_addr: Option<Spot<IpAddr>>,
    pub(super) proxy_port: Option<Spot<u16>>,
    pub(super) sub_config_dir: Option<Spot<PathBuf>>,
    pub(super) state_dir: Option<Spot<PathBuf>>,
    pub(super) shutdown_timeout: Option<Spot<Duration>>,
    pub(super) trusted_proxies: Option<Vec<Spot<Network>>>,
    pub(super) forwarded: Option<Spot<bool>>,
    pub(super) request_id: Option<Spot<bool>>,
    pub(super) proxy_protocol: Option<Vec<Spot<u16>>>,
    pub(super) shutdown_delay: Option<Spot<Duration>>,
    pub(super) metrics: Option<Spot<SocketAddr>>,
    pub(super) ready_path: Option<Spot<String>>,
    pub(super) header_timeout: Option<Spot<Duration>>,
    pub(super) idle_timeout: Option<Spot<Duration>>,
    pub(super) max_header_size: Option<Spot<usize>>,
    pub(super) max_connections: Option<Spot<Option<usize>>>,
    pub(super) max_connections_per_client: Option<Spot<Option<usize>>>,
    pub(super) tls: Option<Vec<(Spot<u16>, RawTlsListener)>>,
    pub(super) redirect_https: Option<Vec<Spot<u16>>>,
    pub(super) hsts: Option<Spot<RawHsts>>,
    pub(super) http2: Option<Vec<Spot<u16>>>,
    pub(super) log: Option<RawLog>,
    pub(super) access_log: Option<RawAccessLog>,
    pub(super) instance_log: Option<Switch<RawOutput>>,
}

/// A port in `tls` of `smoothserve.yaml`.
pub(super) struct RawTlsListener {
    /// Empty: what is wrong has been noted.
    pub(super) certificates: Vec<RawCertificate>,
    pub(super) min_version: Option<Spot<MinVersion>>,
    pub(super) http2: Option<Spot<bool>>,
}

/// One of the `certificates` of a port.
pub(super) struct RawCertificate {
    pub(super) certificate: Option<Spot<PathBuf>>,
    pub(super) key: Option<Spot<PathBuf>>,
}

/// `hsts` of `smoothserve.yaml`.
pub(super) struct RawHsts {
    pub(super) max_age: Option<Spot<Duration>>,
    pub(super) include_subdomains: Option<Spot<bool>>,
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

/// `access_log` of `smoothserve.yaml`.
pub(super) struct RawAccessLog {
    pub(super) file_path: Option<Spot<PathBuf>>,
    pub(super) format: Option<Spot<AccessLogFormat>>,
    pub(super) max_size: Option<Spot<u64>>,
    pub(super) max_backups: Option<Spot<usize>>,
    pub(super) max_age: Option<Spot<u32>>,
    pub(super) compress: Option<Spot<bool>>,
}

/// `instance_log` of `smoothserve.yaml`.
#[derive(Default)]
pub(super) struct RawOutput {
    pub(super) dir: Option<Spot<PathBuf>>,
    pub(super) max_size: Option<Spot<u64>>,
    pub(super) max_backups: Option<Spot<usize>>,
    pub(super) max_age: Option<Spot<u32>>,
    pub(super) compress: Option<Spot<bool>>,
    pub(super) max_total: Option<Spot<u64>>,
}

/// A file of the folder of services.
pub(super) struct RawService {
    pub(super) name: Option<Spot<ServiceName>>,
    pub(super) server_name: Option<Spot<Vec<Route>>>,
    pub(super) server_ip: Option<Spot<IpAddr>>,
    pub(super) port: Option<Spot<u16>>,
    pub(super) default: Option<Spot<bool>>,
    pub(super) edge: RawEdge,
    pub(super) start_instance_port: Option<Spot<u16>>,
    pub(super) instance_socket: Option<Spot<String>>,
    pub(super) instance_count: Option<Spot<NonZeroU16>>,
    pub(super) upstream_protocol: Option<Spot<UpstreamProtocol>>,
    pub(super) executable_path: Option<Spot<PathBuf>>,
    pub(super) args: Option<Vec<Spot<String>>>,
    pub(super) env: Option<Vec<(Spot<String>, Spot<String>)>>,
    pub(super) env_file: Option<Spot<PathBuf>>,
    pub(super) working_dir: Option<Spot<PathBuf>>,
    pub(super) user: Option<Spot<Account>>,
    pub(super) group: Option<Spot<Account>>,
    pub(super) open_files: Option<Spot<u64>>,
    pub(super) file_size: Option<Spot<u64>>,
    pub(super) memory_limit: Option<Spot<u64>>,
    pub(super) enabled: Option<Spot<bool>>,
    pub(super) auto_restart: Option<Spot<bool>>,
    pub(super) watch_files: Option<Vec<Spot<PathBuf>>>,
    pub(super) watch_ignore: Option<Vec<Spot<String>>>,
    pub(super) watch_gitignore: Option<Spot<bool>>,
    pub(super) ready: Option<Readiness>,
    pub(super) liveness: Option<Liveness>,
    pub(super) delay_running_time: Option<Spot<Duration>>,
    pub(super) delay_update_time: Option<Spot<Duration>>,
    pub(super) restart_order: Option<Spot<RestartOrder>>,
    pub(super) surge_port: Option<Spot<u16>>,
    pub(super) max_unavailable: Option<Spot<NonZeroU16>>,
    pub(super) stop_signal: Option<Spot<StopSignal>>,
    pub(super) drain_timeout: Option<Spot<Duration>>,
    pub(super) on_drain_timeout: Option<Spot<OnDrainTimeout>>,
    pub(super) tunnel_grace: Option<Spot<Duration>>,
    pub(super) stop_timeout: Option<Spot<Duration>>,
    pub(super) ready_timeout: Option<Spot<Duration>>,
    pub(super) min_ready_time: Option<Spot<Duration>>,
    pub(super) hold_timeout: Option<Spot<Duration>>,
    pub(super) hold_max: Option<Spot<usize>>,
    pub(super) upstream_idle_timeout: Option<Spot<Duration>>,
    pub(super) max_fails: Option<Spot<u32>>,
    pub(super) fail_timeout: Option<Spot<Duration>>,
    pub(super) max_body_size: Option<Spot<Option<u64>>>,
    pub(super) body_timeout: Option<Spot<Duration>>,
    pub(super) write_timeout: Option<Spot<Duration>>,
    pub(super) connect_timeout: Option<Spot<Duration>>,
    pub(super) response_timeout: Option<Spot<Option<Duration>>>,
    pub(super) upstream_body_timeout: Option<Spot<Option<Duration>>>,
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
            trusted_proxies: table.take_list("trusted_proxies", &scalar::NETWORK),
            forwarded: table.take("forwarded", &scalar::FLAG),
            request_id: table.take("request_id", &scalar::FLAG),
            proxy_protocol: table.take_list("proxy_protocol", &scalar::PORT),
            shutdown_delay: table.take("shutdown_delay", &scalar::DURATION),
            metrics: table.take("metrics", &scalar::SOCKET),
            ready_path: table.take("ready_path", &scalar::READY_PATH),
            header_timeout: table.take("header_timeout", &scalar::TIMEOUT),
            idle_timeout: table.take("idle_timeout", &scalar::TIMEOUT),
            max_header_size: table.take("max_header_size", &scalar::HEADER_SIZE),
            max_connections: table.take("max_connections", &scalar::CONNECTIONS),
            max_connections_per_client: table
                .take("max_connections_per_client", &scalar::CONNECTIONS),
            tls: table.take_tables("tls", &scalar::PORT, RawTlsListener::read),
            redirect_https: table.take_list("redirect_https", &scalar::FIRST_PORT),
            hsts: table.take_table("hsts", RawHsts::read),
            http2: table.take_list("http2", &scalar::PORT),
            log: table.take_table("log", RawLog::read).map(|log| log.value),
            access_log: table.take_table("access_log", RawAccessLog::read).map(|log| log.value),
            instance_log: table.take_switch("instance_log", RawOutput::read),
        }
    }
}

impl RawTlsListener {
    fn read(table: &mut Table) -> Self {
        Self {
            certificates: table.require_tables("certificates", RawCertificate::read),
            min_version: table.take("min_version", &scalar::MIN_VERSION),
            http2: table.take("http2", &scalar::FLAG),
        }
    }
}

impl RawCertificate {
    fn read(table: &mut Table) -> Self {
        Self {
            certificate: table.require("certificate", &scalar::PATH),
            key: table.require("key", &scalar::PATH),
        }
    }
}

impl RawHsts {
    fn read(table: &mut Table) -> Self {
        Self {
            max_age: table.require("max_age", &scalar::AGE),
            include_subdomains: table.take("include_subdomains", &scalar::FLAG),
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

impl RawAccessLog {
    fn read(table: &mut Table) -> Self {
        Self {
            file_path: table.require("file_path", &scalar::PATH),
            format: table.take("format", &scalar::ACCESS_LOG_FORMAT),
            max_size: table.take("max_size", &scalar::MEBIBYTES),
            max_backups: table.take("max_backups", &scalar::BACKUPS),
            max_age: table.take("max_age", &scalar::DAYS),
            compress: table.take("compress", &scalar::FLAG),
        }
    }
}

impl RawOutput {
    fn read(table: &mut Table) -> Self {
        Self {
            dir: table.take("dir", &scalar::PATH),
            max_size: table.take("max_size", &scalar::MEBIBYTES),
            max_backups: table.take("max_backups", &scalar::BACKUPS),
            max_age: table.take("max_age", &scalar::DAYS),
            compress: table.take("compress", &scalar::FLAG),
            max_total: table.take("max_total", &scalar::MEBIBYTES),
        }
    }
}

impl RawService {
    /// Takes every key of the file.
    pub(super) fn read(table: &mut Table) -> Self {
        let has_socket = table.holds("instance_socket");
        Self {
            name: table.require("name", &scalar::NAME),
            server_name: table.take("server_name", &scalar::HOSTS),
            server_ip: table.take("server_ip", &scalar::ADDRESS),
            port: table.take("port", &scalar::PORT),
            default: table.take("default", &scalar::FLAG),
            edge: RawEdge::read(table),
            start_instance_port: if has_socket {
                table.take("start_instance_port", &scalar::FIRST_PORT)
            } else {
                table.require("start_instance_port", &scalar::FIRST_PORT)
            },
            instance_socket: table.take("instance_socket", &scalar::SOCKET_PATH),
            instance_count: table.take("instance_count", &scalar::INSTANCES),
            upstream_protocol: table.take("upstream_protocol", &scalar::UPSTREAM_PROTOCOL),
            executable_path: table.require("executable_path", &scalar::PATH),
            args: table.take_list("args", &scalar::ARGUMENT),
            env: table.take_pairs("env", &scalar::TEXT),
            env_file: table.take("env_file", &scalar::PATH),
            working_dir: table.take("working_dir", &scalar::PATH),
            user: table.take("user", &scalar::ACCOUNT),
            group: table.take("group", &scalar::ACCOUNT),
            open_files: table.take("open_files", &scalar::OPEN_FILES),
            file_size: table.take("file_size", &scalar::FILE_SIZE),
            memory_limit: table.take("memory_limit", &scalar::MEMORY),
            enabled: table.take("enabled", &scalar::FLAG),
            auto_restart: table.take("auto_restart", &scalar::FLAG),
            watch_files: table.take_list("watch_files", &scalar::PATH),
            watch_ignore: table.take_list("watch_ignore", &scalar::IGNORED),
            watch_gitignore: table.take("watch_gitignore", &scalar::FLAG),
            ready: table.take_table("ready", probes::readiness).and_then(|ready| ready.value),
            liveness: table.take_table("liveness", probes::liveness).and_then(|live| live.value),
            delay_running_time: table.take("delay_running_time", &scalar::DURATION),
            delay_update_time: table.take("delay_update_time", &scalar::SHORT_DURATION),
            restart_order: table.take("restart_order", &scalar::RESTART_ORDER),
            surge_port: table.take("surge_port", &scalar::FIRST_PORT),
            max_unavailable: table.take("max_unavailable", &scalar::INSTANCES),
            stop_signal: table.take("stop_signal", &scalar::STOP_SIGNAL),
            drain_timeout: table.take("drain_timeout", &scalar::DURATION),
            on_drain_timeout: table.take("on_drain_timeout", &scalar::ON_DRAIN_TIMEOUT),
            tunnel_grace: table.take("tunnel_grace", &scalar::DURATION),
            stop_timeout: table.take("stop_timeout", &scalar::DURATION),
            ready_timeout: table.take("ready_timeout", &scalar::TIMEOUT),
            min_ready_time: table.take("min_ready_time", &scalar::DURATION),
            hold_timeout: table.take("hold_timeout", &scalar::DURATION),
            hold_max: table.take("hold_max", &scalar::HOLD_MAX),
            upstream_idle_timeout: table.take("upstream_idle_timeout", &scalar::DURATION),
            max_fails: table.take("max_fails", &scalar::MAX_FAILS),
            fail_timeout: table.take("fail_timeout", &scalar::TIMEOUT),
            max_body_size: table.take("max_body_size", &scalar::BODY_SIZE),
            body_timeout: table.take("body_timeout", &scalar::TIMEOUT),
            write_timeout: table.take("write_timeout", &scalar::TIMEOUT),
            connect_timeout: table.take("connect_timeout", &scalar::TIMEOUT),
            response_timeout: table.take("response_timeout", &scalar::TIMEOUT_OR_NONE),
            upstream_body_timeout: table.take("upstream_body_timeout", &scalar::TIMEOUT_OR_NONE),
        }
    }
}
