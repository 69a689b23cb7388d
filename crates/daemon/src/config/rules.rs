//! The rules that the keys of one service's file keep together.

use std::num::NonZeroU16;

use smoothserve_protocol::plan::RestartOrder;

use super::Limits;
use super::error::Problem;
use super::raw::RawService;
use super::resolve::Main;
use super::sockets::FIRST_PLACE;
use super::table::Spot;

pub(super) fn check_ports(raw: &RawService, problems: &mut Vec<Problem>) {
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

pub(super) fn check_env(raw: &RawService, problems: &mut Vec<Problem>) {
    for (name, _) in raw.env.iter().flatten() {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.value == "SOCKET" && raw.instance_socket.is_some() {
            problems.push(
                Problem::at(
                    &name.site,
                    "`env` sets `SOCKET`",
                    "set by smoothserve, to the path of each instance",
                )
                .help("remove it; `instance_socket` says where the paths are"),
            );
        } else if name.value == "PORT" {
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
pub(super) fn check_reachable(raw: &RawService, problems: &mut Vec<Problem>) {
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

pub(super) fn listen_port(
    raw: &RawService,
    main: &Main,
    problems: &mut Vec<Problem>,
) -> Option<u16> {
    let port = raw.port.as_ref().map(|port| port.value).or(main.proxy_port);
    if let (None, Some(name)) = (port, &raw.name) {
        problems.push(
            Problem::at(&name.site, "`port` is missing", "this service has no port to listen on")
                .help("add `port` here, or `ProxyPort` to smoothserve.yaml for all services"),
        );
    }
    port
}

pub(super) fn limits(raw: &RawService, problems: &mut Vec<Problem>) -> Limits {
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
    problems.extend(pause_of_nobody(raw));
    Limits {
        drain_timeout,
        on_drain_timeout: value_of(raw.on_drain_timeout.as_ref(), default.on_drain_timeout),
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
        max_fails: value_of(raw.max_fails.as_ref(), default.max_fails),
        fail_timeout: value_of(raw.fail_timeout.as_ref(), default.fail_timeout),
    }
}

/// A pause that is given to instances of which none ever pauses.
fn pause_of_nobody(raw: &RawService) -> Option<Problem> {
    let pause = raw.fail_timeout.as_ref()?;
    let never = raw.max_fails.as_ref().filter(|most| most.value == 0)?;
    let problem = Problem::at(
        &pause.site,
        "`fail_timeout` is set, but no instance is ever left out",
        "only for a `max_fails` of 1 and more",
    );
    Some(problem.see(&never.site, "this is 0"))
}

/// How one instance takes the place of another.
pub(super) struct Replacement {
    pub(super) order: RestartOrder,
    /// 0 unless the new run starts first.
    pub(super) surge_port: u16,
    pub(super) max_unavailable: NonZeroU16,
}

pub(super) fn replacement(raw: &RawService, problems: &mut Vec<Problem>) -> Replacement {
    let order = value_of(raw.restart_order.as_ref(), RestartOrder::default());
    let surge_port = match order {
        RestartOrder::StopFirst => {
            problems.extend(surge_port_of_nobody(raw));
            0
        }
        RestartOrder::StartFirst => surge_port(raw).unwrap_or_else(|problem| {
            problems.push(problem);
            0
        }),
    };
    problems.extend(too_many_unavailable(raw, order));
    let max_unavailable = value_of(raw.max_unavailable.as_ref(), NonZeroU16::MIN);
    Replacement { order, surge_port, max_unavailable }
}

fn surge_port_of_nobody(raw: &RawService) -> Option<Problem> {
    let surge = raw.surge_port.as_ref()?;
    let problem = Problem::at(
        &surge.site,
        "`surge_port` is set, but no instance would ever use it",
        "only for `restart_order: start-first`",
    )
    .help("add `restart_order: start-first`, or remove this line");
    Some(match &raw.restart_order {
        Some(order) => problem.see(&order.site, "this is `stop-first`"),
        None => problem,
    })
}

/// Where the first new run of a restart listens.
fn surge_port(raw: &RawService) -> Result<u16, Problem> {
    if let Some(socket) = &raw.instance_socket {
        let count = value_of(raw.instance_count.as_ref(), NonZeroU16::MIN);
        return FIRST_PLACE.checked_add(count.get()).ok_or_else(|| {
            let message =
                "`restart_order` is `start-first`, and no path is left for the new instance";
            Problem::at(&socket.site, message, "allowed: 1 to 65534 instances")
        });
    }
    // What is missing or too large has been noted.
    let Some(first) = &raw.start_instance_port else { return Ok(0) };
    let count = value_of(raw.instance_count.as_ref(), NonZeroU16::MIN);
    let Some(last) = first.value.checked_add(count.get() - 1) else { return Ok(0) };
    let Some(surge) = &raw.surge_port else {
        return last.checked_add(1).ok_or_else(|| {
            let message =
                "`restart_order` is `start-first`, and no port is left for the new instance";
            let site = raw.restart_order.as_ref().map_or(&first.site, |order| &order.site);
            Problem::at(site, message, "needed beside this key: `surge_port`, a free port")
                .see(&first.site, format!("the instances have ports {} to {last}", first.value))
        });
    };
    if (first.value..=last).contains(&surge.value) {
        let message = format!("`surge_port` is {}, which is the port of an instance", surge.value);
        let allowed = format!("allowed: any other than {} to {last}", first.value);
        return Err(Problem::at(&surge.site, message, allowed)
            .see(&first.site, "the instances begin at this port"));
    }
    Ok(surge.value)
}

fn too_many_unavailable(raw: &RawService, order: RestartOrder) -> Option<Problem> {
    let most = raw.max_unavailable.as_ref().filter(|most| most.value > NonZeroU16::MIN)?;
    let count = value_of(raw.instance_count.as_ref(), NonZeroU16::MIN);
    if let (RestartOrder::StartFirst, Some(order)) = (order, &raw.restart_order) {
        let problem = Problem::at(
            &most.site,
            format!(
                "`max_unavailable` is {}, but `start-first` takes no instance away",
                most.value
            ),
            "allowed: 1",
        );
        return Some(problem.see(&order.site, "each new one is ready before the old one drains"));
    }
    (most.value > count).then(|| {
        let message =
            format!("`max_unavailable` is {}, which is more instances than there are", most.value);
        let problem = Problem::at(
            &most.site,
            message,
            format!("allowed: 1 to `instance_count`, which is {count}"),
        );
        match &raw.instance_count {
            Some(count) => problem.see(&count.site, "`instance_count` is set here"),
            None => problem,
        }
    })
}

fn value_of<T: Copy>(spot: Option<&Spot<T>>, default: T) -> T {
    spot.map_or(default, |spot| spot.value)
}
