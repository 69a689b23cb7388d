//! From the files to one configuration, or to all that is wrong in them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Colour, ConfigErrors, Problem, printable};
use super::resolve::{Main, Service};
use super::{Config, ServiceConfig, clash, edge, limits, read, tls, trust};

/// Reads `main_file` and the services it names.
///
/// Paths in the result are absolute; the folder of `main_file` counts, not the working directory.
/// Files are only read; what they name need not exist, see [`Config::warnings`].
///
/// # Errors
/// Everything that is wrong in any of the files.
pub fn load(main_file: &Path) -> Result<Config, ConfigErrors> {
    let source = std::path::absolute(main_file).unwrap_or_else(|_| main_file.to_owned());
    let mut problems = Vec::new();
    let main = read::main_file(&source, &mut problems);
    let mut services = main.as_ref().map_or_else(Vec::new, |main| sound(main, &mut problems));
    clash::set_defaults(&mut services.iter_mut().collect::<Vec<_>>());
    if let Some(main) = &main {
        problems.extend(clash::find(main, &services.iter().collect::<Vec<_>>()));
    }
    match (main, ConfigErrors::new(problems)) {
        (Some(main), None) => {
            let services = services.into_iter().map(|service| Arc::new(service.config));
            Ok(assemble(source, main, services.collect()))
        }
        (_, Some(errors)) => Err(errors),
        (None, None) => unreachable!("a main file that gives nothing has left a problem"),
    }
}

/// Says whether the configuration in `main_file` is sound, in the words that `--check` prints.
///
/// # Errors
/// The rendered problems; they are for standard error.
pub fn check(main_file: &Path, colour: Colour) -> Result<String, String> {
    let config = load(main_file).map_err(|errors| errors.render(colour))?;
    let instances: u32 =
        config.services.iter().map(|service| u32::from(service.instances.get())).sum();
    let mut lines: Vec<_> =
        config.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    let counted = |count: u32, noun: &str| {
        if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
    };
    let services = u32::try_from(config.services.len()).unwrap_or(u32::MAX);
    lines.push(format!("ok: {}, {}", counted(services, "service"), counted(instances, "instance")));
    Ok(lines.join("\n"))
}

/// The services whose files are sound.
fn sound(main: &Main, problems: &mut Vec<Problem>) -> Vec<Service> {
    let files = match read::services(main) {
        Ok(files) => files,
        Err(problem) => {
            problems.push(problem);
            return Vec::new();
        }
    };
    let mut services = Vec::new();
    for (_, service) in files {
        match service {
            Ok(service) => services.push(service),
            Err(found) => problems.extend(found),
        }
    }
    services
}

/// The configuration of `main` with `services`, between which nothing clashes.
pub(super) fn assemble(
    source: PathBuf,
    main: Main,
    mut services: Vec<Arc<ServiceConfig>>,
) -> Config {
    services.sort_by(|one, other| one.name.cmp(&other.name));
    let mut warnings: Vec<_> = services.iter().flat_map(|service| missing_paths(service)).collect();
    for service in &services {
        let of_edge = edge::warnings(service).into_iter();
        warnings.extend(of_edge.map(|text| format!("{}: {text}", service.source.display())));
    }
    warnings.extend(main.metrics.as_ref().and_then(|addr| open_metrics(addr.value)));
    if services.is_empty() {
        warnings.push(format!("{} holds no service (*.yaml)", main.services.0.display()));
    }
    let mut listening: Vec<u16> = services.iter().map(|service| service.listen.port()).collect();
    let of_tls = tls::warnings(&main.tls, &listening);
    listening.extend(main.redirects.iter().map(|port| port.value));
    let of_http2 = limits::unheard("http2", &main.clients.http2, &listening);
    let of_main =
        trust::warnings(&main.trust, &listening).into_iter().chain(of_tls).chain(of_http2);
    warnings.extend(of_main.map(|text| format!("{}: {text}", source.display())));
    Config {
        source,
        command: SocketAddr::new(
            Ipv4Addr::LOCALHOST.into(),
            main.command_port.map_or(0, |port| port.value),
        ),
        state_dir: main.state_dir,
        shutdown_timeout: main.shutdown_timeout,
        trust: main.trust,
        shutdown_delay: main.shutdown_delay,
        ready_path: main.ready_path,
        metrics: main.metrics.map(|addr| addr.value),
        clients: main.clients,
        tls: main.tls,
        https: main.https,
        log: main.log,
        access_log: main.access_log,
        output: main.output,
        services_dir: main.services.0,
        services,
        warnings: warnings.iter().map(|warning| printable(warning)).collect(),
    }
}

/// Figures that others than this machine and its own network may read.
fn open_metrics(addr: SocketAddr) -> Option<String> {
    let is_near = match addr.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    (!is_near).then(|| {
        format!(
            "`metrics: {addr}`: whoever reaches this machine can read the figures, which ask for \
             no password; 127.0.0.1:{} is reached from here alone",
            addr.port()
        )
    })
}

/// What a service names and is not there; it may come later.
fn missing_paths(service: &ServiceConfig) -> Vec<String> {
    let sockets = service.sockets.as_ref().map(|paths| paths.path(0));
    let folder = sockets.as_deref().and_then(Path::parent).map(Path::to_owned);
    let named = [
        ("`executable_path`", Some(&service.executable)),
        ("`working_dir`", Some(&service.working_dir)),
        ("`env_file`", service.env_file.as_ref()),
        ("the folder of `instance_socket`", folder.as_ref()),
    ];
    let missing = named.into_iter().filter_map(|(key, path)| Some((key, path?)));
    missing
        .filter(|(_, path)| !path.exists())
        .map(|(key, path)| {
            format!(
                "{}: {key} of {} does not exist: {}",
                service.source.display(),
                service.name,
                path.display()
            )
        })
        .collect()
}
