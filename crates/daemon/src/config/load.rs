//! Reads the files, and nothing else does.

use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Colour, ConfigErrors, Problem, Site, Source, printable};
use super::raw::{RawMain, RawService};
use super::resolve::{Main, Service};
use super::table::{Letters, Table};
use super::{Config, ServiceConfig, clash, yaml};

/// No configuration is as long as this.
const LARGEST_FILE: u64 = 1024 * 1024;

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
    let main = read_main(&source, &mut problems);
    let mut services = match &main {
        Some(main) => read_services(main, &mut problems),
        None => Vec::new(),
    };
    clash::set_defaults(&mut services);
    if let Some(main) = &main {
        problems.extend(clash::find(main, &services));
    }
    match (main, ConfigErrors::new(problems)) {
        (Some(main), None) => Ok(assemble(source, main, services)),
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

fn read_main(file: &Path, problems: &mut Vec<Problem>) -> Option<Main> {
    let source = keep(read_file(file), problems)?;
    let mut table = keep(read_table(&source, Letters::AnyCase), problems)?;
    let raw = RawMain::read(&mut table);
    let found = table.finish();
    let is_sound = found.is_empty();
    problems.extend(found);
    let mut main = Main::new(file, raw);
    if !is_sound {
        // Else a mistake in `ProxyPort` would come back as one in every service.
        main.proxy_port = main.proxy_port.or(Some(0));
    }
    Some(main)
}

fn read_services(main: &Main, problems: &mut Vec<Problem>) -> Vec<Service> {
    let (folder, site) = &main.services;
    match service_files(folder) {
        Ok(files) => files.iter().filter_map(|file| read_service(file, main, problems)).collect(),
        Err(error) => {
            problems.push(no_folder(folder, site.as_ref(), &error));
            Vec::new()
        }
    }
}

fn no_folder(folder: &Path, site: Option<&Site>, error: &io::Error) -> Problem {
    let message = format!("the folder of services cannot be read: {}", reason(error));
    let help = "create it, or name another one with `SubConfigDir`";
    match site {
        Some(site) => Problem::at(site, message, format!("this is {}", folder.display())),
        None => Problem::of_file(folder, message),
    }
    .help(help)
}

/// The `*.yaml` and `*.yml` of `folder` by name, without hidden ones.
fn service_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_yaml =
            path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_yaml && !is_hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_service(file: &Path, main: &Main, problems: &mut Vec<Problem>) -> Option<Service> {
    let source = keep(read_file(file), problems)?;
    let mut table = keep(read_table(&source, Letters::Exact), problems)?;
    let raw = RawService::read(&mut table);
    let found = table.finish();
    if !found.is_empty() {
        problems.extend(found);
        return None;
    }
    match Service::new(file, main, raw) {
        Ok(service) => Some(service),
        Err(found) => {
            problems.extend(found);
            None
        }
    }
}

fn read_table(source: &Arc<Source>, letters: Letters) -> Result<Table, Problem> {
    let root = yaml::parse(&source.text).map_err(|flaw| {
        let site = Site { source: source.clone(), span: flaw.at..flaw.at };
        Problem::at(&site, flaw.message, "here").help(flaw.help)
    })?;
    Table::of_file(source, root, letters)
}

fn read_file(path: &Path) -> Result<Arc<Source>, Problem> {
    let bytes = read_bytes(path).map_err(|error| {
        Problem::of_file(path, format!("the file cannot be read: {}", reason(&error)))
    })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Problem::of_file(path, "the file is larger than 1 MiB")
            .help("no configuration is that long; is it the right file?"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Arc::new(Source { path: path.to_owned(), text: plain(&text) })),
        Err(error) => Err(not_utf8(path, error.as_bytes(), error.utf8_error().valid_up_to())),
    }
}

/// Reads no more than just too much, and nothing that could block, such as a pipe.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Editors of other systems leave a byte order mark and carriage returns.
fn plain(text: &str) -> String {
    text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n")
}

fn not_utf8(path: &Path, bytes: &[u8], valid: usize) -> Problem {
    let before = &bytes[..valid];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let end =
        bytes[valid..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |n| valid + n);
    let column = String::from_utf8_lossy(&bytes[start..valid]).chars().count() + 1;
    let text = String::from_utf8_lossy(&bytes[start..end]);
    let found = format!("byte 0x{:02x} in line {line}, column {column} is not UTF-8", bytes[valid]);
    Problem::of_file(path, found)
        .help(format!("save the file as UTF-8; the line reads `{}`", text.trim()))
}

/// The system's words without its number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::NotADirectory => "it is not a folder".into(),
        _ => error.to_string(),
    }
}

fn keep<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn assemble(source: PathBuf, main: Main, services: Vec<Service>) -> Config {
    let mut services: Vec<_> =
        services.into_iter().map(|service| Arc::new(service.config)).collect();
    services.sort_by(|one, other| one.name.cmp(&other.name));
    let mut warnings: Vec<_> = services.iter().flat_map(|service| missing_paths(service)).collect();
    if services.is_empty() {
        warnings.push(format!("{} holds no service (*.yaml)", main.services.0.display()));
    }
    Config {
        source,
        command: SocketAddr::new(
            Ipv4Addr::LOCALHOST.into(),
            main.command_port.map_or(0, |port| port.value),
        ),
        state_dir: main.state_dir.or_else(systemd_state_dir).unwrap_or(main.dir),
        shutdown_timeout: main.shutdown_timeout,
        log: main.log,
        services,
        warnings: warnings.iter().map(|warning| printable(warning)).collect(),
    }
}

/// The first folder that systemd's `StateDirectory=` has made for us.
fn systemd_state_dir() -> Option<PathBuf> {
    let folders = std::env::var_os("STATE_DIRECTORY")?;
    std::env::split_paths(&folders).find(|folder| folder.is_absolute())
}

/// What a service names and is not there; it may come later.
fn missing_paths(service: &ServiceConfig) -> Vec<String> {
    let named = [
        ("executable_path", Some(&service.executable)),
        ("working_dir", Some(&service.working_dir)),
        ("env_file", service.env_file.as_ref()),
    ];
    let missing = named.into_iter().filter_map(|(key, path)| Some((key, path?)));
    missing
        .filter(|(_, path)| !path.exists())
        .map(|(key, path)| {
            format!(
                "{}: `{key}` of {} does not exist: {}",
                service.source.display(),
                service.name,
                path.display()
            )
        })
        .collect()
}
