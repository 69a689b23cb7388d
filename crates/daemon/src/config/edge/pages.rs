//! `error_pages`: what clients read in place of our own one-line answers.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::super::error::Problem;
use super::super::resolve::absolute;
use super::super::table::{Spot, Table};
use super::super::{read, scalar};

/// A page, as its file was when the configuration was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Absolute.
    pub file: PathBuf,
    /// By the ending of the file's name.
    pub content_type: HeaderValue,
    /// At most 256 KiB.
    pub body: Bytes,
}

/// Where a page is to be read, and in place of what.
pub(super) type RawPages = Vec<(StatusCode, Spot<PathBuf>)>;

/// A page is kept in memory.
const LARGEST: u64 = 256 * 1024;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `{502: file, 503: file, 504: file}`: what is answered for want of an instance's answer.
pub(super) fn raw(table: &mut Table) -> RawPages {
    let kinds = [
        ("502", StatusCode::BAD_GATEWAY),
        ("503", StatusCode::SERVICE_UNAVAILABLE),
        ("504", StatusCode::GATEWAY_TIMEOUT),
    ];
    let file = |(key, status)| Some((status, table.take(key, &scalar::PATH)?));
    kinds.into_iter().filter_map(file).collect()
}

/// Reads each page; a relative path starts from `dir`.
pub(super) fn read(
    raw: RawPages,
    dir: &Path,
    problems: &mut Vec<Problem>,
) -> Vec<(StatusCode, Page)> {
    let read = |(status, file): (StatusCode, Spot<PathBuf>)| match page(&file, dir) {
        Ok(page) => Some((status, page)),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    raw.into_iter().filter_map(read).collect()
}

fn page(spot: &Spot<PathBuf>, dir: &Path) -> Result<Page, Problem> {
    let file = absolute(dir, &spot.value);
    let this = format!("this is {}", file.display());
    let Some(content_type) = content_type(&file) else {
        let message = "the ending of a page does not say what kind of text it is";
        return Err(Problem::at(&spot.site, message, "allowed: .html, .htm, .txt or .json"));
    };
    let body = read::bytes(&file, LARGEST).map_err(|error| {
        let message = format!("the page cannot be read: {}", read::reason(&error));
        Problem::at(&spot.site, message, &this).help("create it, or name another file")
    })?;
    if body.len() as u64 > LARGEST {
        let message = "the page is larger than 256 KiB";
        return Err(Problem::at(&spot.site, message, &this)
            .help("it is kept in memory; images and scripts are better served from elsewhere"));
    }
    Ok(Page { file, content_type, body: body.into() })
}

fn content_type(file: &Path) -> Option<HeaderValue> {
    match file.extension()?.to_str()? {
        "html" | "htm" => Some(HTML),
        "txt" => Some(TEXT),
        "json" => Some(JSON),
        _ => None,
    }
}
