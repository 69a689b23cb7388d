//! Finds the files and reads each by itself, and nothing else does; how they go together is `load`.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::account::Accounts;
use super::error::{Problem, Site, Source};
use super::raw::{RawMain, RawService};
use super::resolve::{Main, Service};
use super::table::{Letters, Table};
use super::yaml;

/// No configuration is as long as this.
const LARGEST_FILE: u64 = 1024 * 1024;

/// `smoothserve.yaml`, as far as it can be told; what is wrong is noted.
pub(super) fn main_file(file: &Path, problems: &mut Vec<Problem>) -> Option<Main> {
    let source = keep(read_file(file), problems)?;
    let mut table = keep(read_table(&source, Letters::AnyCase), problems)?;
    let raw = RawMain::read(&mut table);
    let found = table.finish();
    let is_sound = found.is_empty();
    problems.extend(found);
    let mut main = Main::new(file, raw, systemd_state_dir(), problems);
    if !is_sound {
        // Else a mistake in `ProxyPort` would come back as one in every service.
        main.proxy_port = main.proxy_port.or(Some(0));
    }
    Some(main)
}

/// The first folder that systemd's `StateDirectory=` has made for us.
fn systemd_state_dir() -> Option<PathBuf> {
    let folders = std::env::var_os("STATE_DIRECTORY")?;
    std::env::split_paths(&folders).find(|folder| folder.is_absolute())
}

/// A service's file, and what it holds or what is wrong in it.
pub(super) type ServiceFile = (PathBuf, Result<Service, Vec<Problem>>);

/// Every file of the folder of services, by name.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn services(main: &Main) -> Result<Vec<ServiceFile>, Problem> {
    let (folder, site) = &main.services;
    let files = service_files(folder).map_err(|error| no_folder(folder, site.as_ref(), &error))?;
    let accounts = Accounts::of_system();
    let read = |file: PathBuf| {
        let service = read_service(&file, main, &accounts);
        (file, service)
    };
    Ok(files.into_iter().map(read).collect())
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

fn read_service(file: &Path, main: &Main, accounts: &Accounts) -> Result<Service, Vec<Problem>> {
    let source = read_file(file).map_err(|problem| vec![problem])?;
    let mut table = read_table(&source, Letters::Exact).map_err(|problem| vec![problem])?;
    let raw = RawService::read(&mut table);
    let found = table.finish();
    if found.is_empty() { Service::new(file, main, accounts, raw) } else { Err(found) }
}

fn read_table(source: &Arc<Source>, letters: Letters) -> Result<Table, Problem> {
    let root = yaml::parse(&source.text).map_err(|flaw| {
        let site = Site { source: source.clone(), span: flaw.at..flaw.at };
        Problem::at(&site, flaw.message, "here").help(flaw.help)
    })?;
    Table::of_file(source, root, letters)
}

fn read_file(path: &Path) -> Result<Arc<Source>, Problem> {
    let bytes = bytes(path, LARGEST_FILE).map_err(|error| {
        Problem::of_file(path, format!("the file cannot be read: {}", reason(&error)))
    })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Problem::of_file(path, "the file is larger than 1 MiB")
            .help("no configuration is that long; is it the right file?"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => {
            Ok(Arc::new(Source { path: path.to_owned(), text: plain(&text), is_former: false }))
        }
        Err(error) => Err(not_utf8(path, error.as_bytes(), error.utf8_error().valid_up_to())),
    }
}

/// Reads no more than one byte above `most`, and nothing that could block, such as a pipe.
pub(super) fn bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
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
pub(super) fn reason(error: &io::Error) -> String {
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
