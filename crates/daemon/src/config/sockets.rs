//! `instance_socket`: instances that listen on paths in place of ports.
//!
//! Each place where a run may be has a number, as it has a port otherwise; the path is made of it.
//! Nothing here looks at what is on disk.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smoothserve_protocol::plan::RestartOrder;

use super::error::Problem;
use super::raw::RawService;
use super::resolve::{Main, absolute};
use super::table::Spot;

/// Where an instance listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum InstanceAddr {
    /// On a port.
    Port(SocketAddr),
    /// On a path, which is absolute and fits an address.
    Socket(Arc<Path>),
}

/// Fits into a sentence: `port 8087`, `socket /run/shop-0.sock`.
impl fmt::Display for InstanceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(addr) => write!(f, "port {}", addr.port()),
            Self::Socket(path) => write!(f, "socket {}", path.display()),
        }
    }
}

/// The paths of a service's instances: absolute, with `{slot}` still in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPaths(String);

impl SocketPaths {
    /// The path of place `number`, from 0.
    pub fn path(&self, number: u16) -> PathBuf {
        self.0.replace(SLOT, &number.to_string()).into()
    }

    /// As it is written, with its folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Number of the first place, where places have no ports; 0 stands for none.
pub(super) const FIRST_PLACE: u16 = 1;

const SLOT: &str = "{slot}";
const NAME: &str = "{name}";
const SOCKET: &str = "{socket}";
const PORT: &str = "{port}";

/// What `struct sockaddr_un` has room for, without the zero at the end.
const LONGEST: usize = 107;

/// The paths that `instance_socket` comes to; none if it is not given, or wrong.
pub(super) fn paths(
    raw: &RawService,
    main: &Main,
    order: RestartOrder,
    problems: &mut Vec<Problem>,
) -> Option<SocketPaths> {
    let socket = raw.instance_socket.as_ref()?;
    let name = raw.name.as_ref()?;
    let path = absolute(&main.dir, Path::new(&socket.value.replace(NAME, name.value.as_str())));
    let Some(path) = path.to_str() else {
        let message = "`instance_socket` lies in a folder whose name is not UTF-8";
        problems.push(Problem::at(&socket.site, message, "allowed: a path that is UTF-8"));
        return None;
    };
    let paths = SocketPaths(path.to_owned());
    let count = raw.instance_count.as_ref().map_or(1, |count| count.value.get());
    let last = match order {
        RestartOrder::StopFirst => count - 1,
        // The one more place of a restart.
        RestartOrder::StartFirst => count,
    };
    let longest = paths.path(last);
    let length = longest.as_os_str().len();
    if length > LONGEST {
        let message = format!("a path of `instance_socket` would have {length} bytes");
        let allowed = format!("allowed: at most {LONGEST}, as the system has room for no more");
        let problem = Problem::at(&socket.site, message, allowed);
        problems.push(problem.help(format!("the longest would be {}", longest.display())));
        return None;
    }
    Some(paths)
}

/// What goes with ports, and what with paths.
pub(super) fn check(raw: &RawService, problems: &mut Vec<Problem>) {
    match &raw.instance_socket {
        Some(socket) => {
            problems.extend(keys_of_ports(raw, socket));
            let of_a_port = arguments_with(raw, PORT);
            problems.extend(of_a_port.map(|spot| {
                let message = "`args` has `{port}`, but instances have no ports";
                Problem::at(&spot.site, message, "write `{socket}`")
                    .see(&socket.site, "they listen on these paths")
            }));
        }
        None => {
            let of_a_path = arguments_with(raw, SOCKET);
            problems.extend(of_a_path.map(|spot| {
                let message = "`args` has `{socket}`, but instances listen on ports";
                Problem::at(&spot.site, message, "write `{port}`, or add `instance_socket`")
            }));
        }
    }
}

fn keys_of_ports<'a>(
    raw: &'a RawService,
    socket: &'a Spot<String>,
) -> impl Iterator<Item = Problem> + 'a {
    let given = [
        ("start_instance_port", raw.start_instance_port.as_ref().map(|spot| &spot.site)),
        ("surge_port", raw.surge_port.as_ref().map(|spot| &spot.site)),
        ("server_ip", raw.server_ip.as_ref().map(|spot| &spot.site)),
    ];
    let given = given.into_iter().filter_map(|(key, site)| Some((key, site?)));
    given.map(|(key, site)| {
        let message = format!("`{key}` is set, but instances listen on paths");
        Problem::at(site, message, "only without `instance_socket`")
            .see(&socket.site, "on these")
            .help("remove one of them")
    })
}

fn arguments_with<'a>(
    raw: &'a RawService,
    placeholder: &'static str,
) -> impl Iterator<Item = &'a Spot<String>> {
    raw.args.iter().flatten().filter(move |argument| argument.value.contains(placeholder))
}
