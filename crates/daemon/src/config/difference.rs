//! What differs within one service, and what each difference needs.
//!
//! Values of the environment are never told, for they may be secrets.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use smoothserve_protocol::plan::{ChangeKind, RestartOrder};
use smoothserve_protocol::snapshot::OnDrainTimeout;

use super::edge;
use super::error::printable;
use super::quantity::{shown_duration, shown_size};
use super::{
    ClientLimits, Limits, Liveness, Readiness, RequestLimits, Resources, RunAs, ServiceConfig,
    StopSignal, Trust, UpstreamProtocol,
};

/// The heaviest thing that the way from `old` to `new` needs, and a line for each difference; none
/// if nothing differs.
pub(super) fn between(
    old: &ServiceConfig,
    new: &ServiceConfig,
) -> Option<(ChangeKind, Vec<String>)> {
    // A field that is new has to be looked at here.
    let ServiceConfig {
        source,
        name: _,
        listen,
        routes,
        is_default,
        edge,
        instance_ip,
        first_port,
        sockets,
        instances,
        upstream_protocol,
        executable,
        args,
        env,
        env_file,
        working_dir,
        enabled,
        auto_restart,
        watch: _,
        watch_ignore,
        watch_gitignore,
        ready,
        delay_running_time,
        delay_update_time,
        stop_signal,
        restart_order,
        surge_port,
        max_unavailable,
        liveness,
        run_as,
        resources,
        requests,
        limits,
    } = old;
    let mut live = Lines::new(ChangeKind::Live);
    live.add("file", source, &new.source, |file| path(file));
    live.plain("ProxyAddr", &listen.ip(), &new.listen.ip());
    live.plain("port", &listen.port(), &new.listen.port());
    live.add("server_name", routes, &new.routes, |routes| list(routes));
    live.plain("default", is_default, &new.is_default);
    live.lines.extend(edge::differences(edge.as_deref(), new.edge.as_deref()));
    live.plain("enabled", enabled, &new.enabled);
    live.plain("auto_restart", auto_restart, &new.auto_restart);
    live.add("watch_files", &watched(old), &watched(new), |files| list(files));
    live.add("watch_ignore", watch_ignore, &new.watch_ignore, |patterns| list(patterns));
    live.plain("watch_gitignore", watch_gitignore, &new.watch_gitignore);
    live.add("ready", ready, &new.ready, |ready| format!("{{{}}}", probe(ready)));
    live.add("liveness", liveness, &new.liveness, |liveness| {
        or_none(liveness.as_ref().map(self::liveness))
    });
    live.add("delay_running_time", delay_running_time, &new.delay_running_time, shown_duration);
    live.add("delay_update_time", delay_update_time, &new.delay_update_time, shown_duration);
    live.add("restart_order", restart_order, &new.restart_order, |order| order_name(*order).into());
    let have_ports = old.sockets.is_none() && new.sockets.is_none();
    if have_ports {
        live.add("surge_port", surge_port, &new.surge_port, |port| {
            or_none((*port != 0).then(|| port.to_string()))
        });
    }
    live.plain("max_unavailable", max_unavailable, &new.max_unavailable);
    live.add("stop_signal", stop_signal, &new.stop_signal, |signal| signal_name(*signal).into());
    live.limits(limits, &new.limits);
    live.requests(requests, &new.requests);

    let mut scale = Lines::new(ChangeKind::Scale);
    scale.plain("instance_count", instances, &new.instances);

    let mut restart = Lines::new(ChangeKind::Restart);
    restart.plain("server_ip", instance_ip, &new.instance_ip);
    if have_ports {
        restart.plain("start_instance_port", first_port, &new.first_port);
    }
    restart.add("instance_socket", sockets, &new.sockets, |sockets| {
        or_none(sockets.as_ref().map(|paths| printable(paths.as_str())))
    });
    restart.add("upstream_protocol", upstream_protocol, &new.upstream_protocol, |protocol| {
        protocol_name(*protocol).into()
    });
    restart.add("executable_path", executable, &new.executable, |file| path(file));
    if *args != new.args {
        restart.lines.push(format!("args changed: {args:?} -> {:?}", new.args));
    }
    restart.env(env, &new.env);
    restart.add("env_file", env_file, &new.env_file, |file| or_none(file.as_deref().map(path)));
    restart.add("working_dir", working_dir, &new.working_dir, |folder| path(folder));
    restart.add("user", run_as, &new.run_as, |run_as| or_none(run_as.as_ref().map(account)));
    let Resources { open_files, file_size, memory } = resources;
    restart.add("open_files", open_files, &new.resources.open_files, |count| {
        or_none(count.map(|count| count.to_string()))
    });
    restart.add("file_size", file_size, &new.resources.file_size, size);
    live.add("memory_limit", memory, &new.resources.memory, size);

    let all = [restart, scale, live];
    let heaviest = all.iter().find(|lines| !lines.lines.is_empty())?.kind;
    Some((heaviest, all.into_iter().flat_map(|lines| lines.lines).collect()))
}

/// What differs in whose word counts; all of it is in force for the next request
/// or connection.
pub(super) fn of_trust(old: &Trust, new: &Trust) -> Vec<String> {
    let Trust { proxies, forwarded, request_id, proxy_protocol } = old;
    let mut live = Lines::new(ChangeKind::Live);
    live.add("trusted_proxies", proxies, &new.proxies, |proxies| list(proxies));
    live.plain("forwarded", forwarded, &new.forwarded);
    live.plain("request_id", request_id, &new.request_id);
    live.add("proxy_protocol", proxy_protocol, &new.proxy_protocol, |ports| list(ports));
    live.lines
}

/// Differences that need the same.
struct Lines {
    kind: ChangeKind,
    lines: Vec<String>,
}

impl Lines {
    fn new(kind: ChangeKind) -> Self {
        Self { kind, lines: Vec::new() }
    }

    fn add<T: PartialEq>(&mut self, key: &str, old: &T, new: &T, shown: impl Fn(&T) -> String) {
        if old != new {
            self.lines.push(format!("{key} {} -> {}", shown(old), shown(new)));
        }
    }

    fn plain<T: PartialEq + Display>(&mut self, key: &str, old: &T, new: &T) {
        self.add(key, old, new, T::to_string);
    }

    fn env(&mut self, old: &[(String, String)], new: &[(String, String)]) {
        let value = |env: &[(String, String)], name: &str| {
            env.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        };
        for (name, before) in old {
            match value(new, name) {
                Some(after) if after == *before => {}
                Some(_) => self.lines.push(format!("env.{name} changed")),
                None => self.lines.push(format!("env.{name} removed")),
            }
        }
        let added = new.iter().filter(|(name, _)| value(old, name).is_none());
        self.lines.extend(added.map(|(name, _)| format!("env.{name} added")));
    }

    fn limits(&mut self, old: &Limits, new: &Limits) {
        let Limits {
            drain_timeout,
            on_drain_timeout,
            tunnel_grace,
            stop_timeout,
            ready_timeout,
            min_ready_time,
            hold_timeout,
            hold_max,
            upstream_idle_timeout,
            max_fails,
            fail_timeout,
        } = old;
        self.add("drain_timeout", drain_timeout, &new.drain_timeout, shown_duration);
        self.add("on_drain_timeout", on_drain_timeout, &new.on_drain_timeout, |timeout| {
            on_drain_timeout_name(*timeout).into()
        });
        self.add("tunnel_grace", tunnel_grace, &new.tunnel_grace, shown_duration);
        self.add("stop_timeout", stop_timeout, &new.stop_timeout, shown_duration);
        self.add("ready_timeout", ready_timeout, &new.ready_timeout, shown_duration);
        self.add("min_ready_time", min_ready_time, &new.min_ready_time, shown_duration);
        self.add("hold_timeout", hold_timeout, &new.hold_timeout, time);
        self.plain("hold_max", hold_max, &new.hold_max);
        self.plain("max_fails", max_fails, &new.max_fails);
        self.add("fail_timeout", fail_timeout, &new.fail_timeout, shown_duration);
        let (old, new) = (upstream_idle_timeout, &new.upstream_idle_timeout);
        self.add("upstream_idle_timeout", old, new, shown_duration);
    }

    fn requests(&mut self, old: &RequestLimits, new: &RequestLimits) {
        let RequestLimits {
            max_body_size,
            body_timeout,
            write_timeout,
            connect_timeout,
            response_timeout,
            upstream_body_timeout,
        } = old;
        self.add("max_body_size", max_body_size, &new.max_body_size, size);
        self.add("body_timeout", body_timeout, &new.body_timeout, shown_duration);
        self.add("write_timeout", write_timeout, &new.write_timeout, shown_duration);
        self.add("connect_timeout", connect_timeout, &new.connect_timeout, shown_duration);
        self.add("response_timeout", response_timeout, &new.response_timeout, time);
        let (old, new) = (upstream_body_timeout, &new.upstream_body_timeout);
        self.add("upstream_body_timeout", old, new, time);
    }
}

/// A line for each difference in what clients are allowed.
pub(super) fn of_clients(old: &ClientLimits, new: &ClientLimits) -> Vec<String> {
    let ClientLimits {
        header_timeout,
        idle_timeout,
        max_header_size,
        max_connections,
        max_connections_per_client,
        http2,
    } = old;
    let mut live = Lines::new(ChangeKind::Live);
    live.add("header_timeout", header_timeout, &new.header_timeout, shown_duration);
    live.add("idle_timeout", idle_timeout, &new.idle_timeout, shown_duration);
    live.add("max_header_size", max_header_size, &new.max_header_size, |bytes| {
        shown_size(*bytes as u64)
    });
    live.add("max_connections", max_connections, &new.max_connections, count);
    live.add("http2", http2, &new.http2, |ports| list(ports));
    let (old, new) = (max_connections_per_client, &new.max_connections_per_client);
    live.add("max_connections_per_client", old, new, count);
    live.lines
}

/// What the operator named; what is watched besides follows from other keys.
fn watched(service: &ServiceConfig) -> Vec<String> {
    let is_named = |file: &&PathBuf| **file != service.executable && **file != service.source;
    service.watch.iter().filter(is_named).map(|file| path(file)).collect()
}

fn path(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(|item| printable(&item.to_string())).collect();
    or_none((!items.is_empty()).then(|| items.join(", ")))
}

fn or_none(shown: Option<String>) -> String {
    shown.unwrap_or_else(|| "none".into())
}

fn size(bytes: &Option<u64>) -> String {
    or_none(bytes.map(shown_size))
}

fn time(time: &Option<Duration>) -> String {
    or_none(time.as_ref().map(shown_duration))
}

fn count(count: &Option<usize>) -> String {
    or_none(count.map(|count| count.to_string()))
}

/// With its numbers, which may change while the names stay.
fn account(run_as: &RunAs) -> String {
    let RunAs { shown, uid, gid, groups } = run_as;
    let groups: String = groups.iter().map(|group| format!(", {group}")).collect();
    printable(&format!("{shown} (uid {uid}, gid {gid}{groups})"))
}

fn probe(probe: &Readiness) -> String {
    match probe {
        Readiness::Tcp => "tcp: true".into(),
        Readiness::Http { path, status } => format!("http: {path}, status: {status}"),
        Readiness::Log(pattern) => format!("log: {:?}", pattern.as_str()),
    }
}

fn liveness(liveness: &Liveness) -> String {
    let Liveness { probe, interval, timeout, failures } = liveness;
    let [interval, timeout] = [interval, timeout].map(shown_duration);
    let probe = self::probe(probe);
    format!("{{{probe}, interval: {interval}, timeout: {timeout}, failures: {failures}}}")
}

fn protocol_name(protocol: UpstreamProtocol) -> &'static str {
    match protocol {
        UpstreamProtocol::Http1 => "http1",
        UpstreamProtocol::H2c => "h2c",
    }
}

fn order_name(order: RestartOrder) -> &'static str {
    match order {
        RestartOrder::StopFirst => "stop-first",
        RestartOrder::StartFirst => "start-first",
    }
}

fn on_drain_timeout_name(timeout: OnDrainTimeout) -> &'static str {
    match timeout {
        OnDrainTimeout::Abort => "abort",
        OnDrainTimeout::Wait => "wait",
        OnDrainTimeout::Cut => "cut",
    }
}

fn signal_name(signal: StopSignal) -> &'static str {
    match signal {
        StopSignal::Term => "TERM",
        StopSignal::Int => "INT",
        StopSignal::Quit => "QUIT",
        StopSignal::Hup => "HUP",
        StopSignal::Usr1 => "USR1",
        StopSignal::Usr2 => "USR2",
    }
}
