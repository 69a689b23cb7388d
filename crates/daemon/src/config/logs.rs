//! `log`, `access_log` and `instance_log` of `smoothserve.yaml`, with their defaults.

use std::path::Path;
use std::time::Duration;

use super::error::Problem;
use super::raw::{RawAccessLog, RawLog, RawOutput};
use super::resolve::{absolute, value_or};
use super::table::Switch;
use super::{AccessLogConfig, AccessLogFormat, LogConfig, OutputConfig};

const MEBIBYTE: u64 = 1024 * 1024;
const DAY: u64 = 24 * 60 * 60;

/// None without `file_path`, whose absence has been noted.
pub(super) fn log(dir: &Path, raw: RawLog) -> Option<LogConfig> {
    Some(LogConfig {
        file: absolute(dir, &raw.file_path?.value),
        max_size: value_or(raw.max_size, 100) * MEBIBYTE,
        max_backups: value_or(raw.max_backups, 10),
        max_age: days(value_or(raw.max_age, 0)),
        compress: value_or(raw.compress, false),
        debug: value_or(raw.debug, false),
    })
}

/// None without `file_path`, whose absence has been noted, and if the daemon's own log is that file.
pub(super) fn access_log(
    dir: &Path,
    raw: RawAccessLog,
    log: Option<&LogConfig>,
    problems: &mut Vec<Problem>,
) -> Option<AccessLogConfig> {
    let path = raw.file_path?;
    let file = absolute(dir, &path.value);
    if log.is_some_and(|log| log.file == file) {
        let message = "`log` and `access_log` have one file";
        problems.push(Problem::at(&path.site, message, "choose another file"));
        return None;
    }
    Some(AccessLogConfig {
        file,
        format: value_or(raw.format, AccessLogFormat::Json),
        max_size: value_or(raw.max_size, 100) * MEBIBYTE,
        max_backups: value_or(raw.max_backups, 10),
        max_age: days(value_or(raw.max_age, 0)),
        compress: value_or(raw.compress, false),
    })
}

/// None if it is switched off, or wrong, which is noted.
pub(super) fn output(
    dir: &Path,
    state_dir: &Path,
    raw: Option<Switch<RawOutput>>,
    problems: &mut Vec<Problem>,
) -> Option<OutputConfig> {
    let raw = match raw {
        Some(Switch::Flag(false)) => return None,
        Some(Switch::Flag(true)) | None => RawOutput::default(),
        Some(Switch::Table(raw)) => raw,
    };
    let max_size = raw.max_size.as_ref().map_or(10, |size| size.value);
    let max_total = raw.max_total.as_ref().map_or(1024, |size| size.value);
    if let Some(site) = raw.max_total.as_ref().or(raw.max_size.as_ref()).map(|size| &size.site)
        && max_total < max_size
    {
        let message = "all files of `instance_log` together may hold less than one of them";
        let allowed = format!("`max_total` is {max_total} MiB, `max_size` is {max_size} MiB");
        let problem = Problem::at(site, message, allowed);
        problems.push(problem.help("`max_total` must be at least `max_size`"));
        return None;
    }
    Some(OutputConfig {
        folder: raw
            .dir
            .map_or(state_dir.join("smoothserve.logs"), |folder| absolute(dir, &folder.value)),
        max_size: max_size * MEBIBYTE,
        max_backups: value_or(raw.max_backups, 5),
        max_age: days(value_or(raw.max_age, 14)),
        compress: value_or(raw.compress, true),
        max_total: max_total * MEBIBYTE,
    })
}

fn days(count: u32) -> Option<Duration> {
    (count > 0).then(|| Duration::from_secs(u64::from(count) * DAY))
}
