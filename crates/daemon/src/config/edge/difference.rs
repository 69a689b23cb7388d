//! What differs at the edge of a service; all of it is in force for the next request.
//!
//! Values of headers are never told, for they may be secrets.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue, StatusCode};

use super::super::error::printable;
use super::{CanonicalHost, Edge, HeaderEdits, Page, PathPrefix, Sticky};

/// A line for each difference.
pub(in crate::config) fn differences(old: Option<&Edge>, new: Option<&Edge>) -> Vec<String> {
    let nothing = Edge::default();
    let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
    // A field that is new has to be looked at here.
    let Edge {
        request_headers,
        response_headers,
        strip_prefix,
        canonical_host,
        error_pages,
        maintenance,
        sticky,
    } = old;
    let mut lines = Vec::new();
    headers("request_headers", request_headers, &new.request_headers, &mut lines);
    headers("response_headers", response_headers, &new.response_headers, &mut lines);
    let prefix = |prefix: &Option<PathPrefix>| prefix.as_ref().map(|it| it.as_str().to_owned());
    plain("strip_prefix", prefix(strip_prefix), prefix(&new.strip_prefix), &mut lines);
    let host = |host: &Option<CanonicalHost>| host.as_ref().map(ToString::to_string);
    plain("canonical_host", host(canonical_host), host(&new.canonical_host), &mut lines);
    pages(error_pages, &new.error_pages, &mut lines);
    let flag = |flag: bool| Some(flag.to_string());
    plain("maintenance", flag(*maintenance), flag(new.maintenance), &mut lines);
    let cookie = |sticky: &Option<Sticky>| sticky.as_ref().map(|sticky| sticky.cookie.clone());
    plain("sticky.cookie", cookie(sticky), cookie(&new.sticky), &mut lines);
    lines
}

fn headers(key: &str, old: &HeaderEdits, new: &HeaderEdits, lines: &mut Vec<String>) {
    let value = |edits: &HeaderEdits, name: &HeaderName| -> Option<HeaderValue> {
        edits.set.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    for (name, before) in &old.set {
        match value(new, name) {
            Some(after) if after == *before => {}
            Some(_) => lines.push(format!("{key}.set.{name} changed")),
            None => lines.push(format!("{key}.set.{name} removed")),
        }
    }
    let added = new.set.iter().filter(|(name, _)| value(old, name).is_none());
    lines.extend(added.map(|(name, _)| format!("{key}.set.{name} added")));
    if old.remove != new.remove {
        let [old, new] = [old, new].map(|edits| list(&edits.remove));
        lines.push(format!("{key}.remove {old} -> {new}"));
    }
}

fn pages(old: &[(StatusCode, Page)], new: &[(StatusCode, Page)], lines: &mut Vec<String>) {
    let file = |page: &Page| printable(&page.file.to_string_lossy());
    let find = |pages: &[(StatusCode, Page)], status| {
        pages.iter().find(|(of, _)| *of == status).map(|(_, page)| page.clone())
    };
    let known: BTreeSet<StatusCode> = old.iter().chain(new).map(|(status, _)| *status).collect();
    for status in known {
        let (key, before) = (format!("error_pages.{}", status.as_u16()), find(old, status));
        match (&before, &find(new, status)) {
            (Some(before), Some(after)) if before == after => {}
            (Some(before), Some(after)) if before.file == after.file => {
                lines.push(format!("{key}: {} has other content", file(after)));
            }
            (before, after) => {
                plain(&key, before.as_ref().map(file), after.as_ref().map(file), lines);
            }
        }
    }
}

fn plain(key: &str, old: Option<String>, new: Option<String>, lines: &mut Vec<String>) {
    if old != new {
        let [old, new] = [old, new].map(|text| text.unwrap_or_else(|| "none".to_owned()));
        lines.push(format!("{key} {old} -> {new}"));
    }
}

fn list(names: &[HeaderName]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ")
}
