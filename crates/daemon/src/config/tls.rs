//! Which listeners speak TLS, and with what certificates: read here, so that whatever is wrong with
//! one is told like anything else that is wrong in the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::Problem;
use super::raw::{RawCertificate, RawTlsListener};
use super::resolve::{absolute, value_or};
use super::table::Spot;
use crate::tls::{Certificate, CertificateFiles, Flaw, MinVersion, Part};

#[cfg(test)]
pub(super) mod tests;

/// A port whose clients speak TLS.
#[derive(Clone, Debug)]
pub struct TlsListener {
    /// Of [`ProxyAddr`](super::ServiceConfig::listen), as configured.
    pub port: u16,
    /// At least one; the first is for clients that name no host, or one that none is for.
    pub certificates: Vec<Arc<Certificate>>,
    /// The oldest version that is spoken.
    pub min_version: MinVersion,
    /// HTTP/2 is offered beside HTTP/1.
    pub http2: bool,
}

/// The listeners of `raw`, by port; paths are seen from `dir`.
pub(super) fn listeners(
    dir: &Path,
    raw: Vec<(Spot<u16>, RawTlsListener)>,
    problems: &mut Vec<Problem>,
) -> Vec<TlsListener> {
    let mut listeners: Vec<TlsListener> = Vec::new();
    for (port, raw) in raw {
        if listeners.iter().any(|earlier| earlier.port == port.value) {
            let message = format!("`tls` has port {} twice", port.value);
            problems.push(Problem::at(&port.site, message, "again here").help("remove one"));
        }
        let certificates = certificates(dir, raw.certificates, problems);
        let min_version = value_or(raw.min_version, MinVersion::default());
        let http2 = value_or(raw.http2, true);
        listeners.push(TlsListener { port: port.value, certificates, min_version, http2 });
    }
    listeners.sort_by_key(|listener| listener.port);
    listeners
}

fn certificates(
    dir: &Path,
    raw: Vec<RawCertificate>,
    problems: &mut Vec<Problem>,
) -> Vec<Arc<Certificate>> {
    let mut certificates = Vec::new();
    for RawCertificate { certificate, key } in raw {
        // What is missing has been noted.
        let (Some(certificate), Some(key)) = (certificate, key) else { continue };
        let file = |spot: &Spot<PathBuf>| absolute(dir, &spot.value);
        let files = CertificateFiles { certificate: file(&certificate), key: file(&key) };
        match Certificate::load(&files) {
            Ok(loaded) => certificates.push(Arc::new(loaded)),
            Err(flaw) => problems.push(problem(&flaw, &certificate, &key)),
        }
    }
    certificates
}

fn problem(flaw: &Flaw, certificate: &Spot<PathBuf>, key: &Spot<PathBuf>) -> Problem {
    let (site, what) = match flaw.part {
        Part::Certificate => (&certificate.site, "certificate"),
        Part::Key => (&key.site, "key"),
    };
    let message = format!("the file of the {what} cannot be used: {}", flaw.reason);
    let problem = Problem::at(site, message, format!("this is {}", flaw.file.display()));
    match flaw.help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// What an operator should know of `listeners`, when services listen on these ports.
pub(super) fn warnings(listeners: &[TlsListener], listening: &[u16]) -> Vec<String> {
    let unused = listeners.iter().filter(|listener| !listening.contains(&listener.port));
    let unused = unused
        .map(|listener| format!("`tls` names port {}, where no service listens", listener.port));
    let certificates = listeners.iter().flat_map(|listener| &listener.certificates);
    let mut warnings: Vec<String> = unused.collect();
    for warning in certificates.flat_map(|certificate| certificate.warnings()) {
        // One certificate may serve several ports.
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    warnings
}

/// A line for each difference; all of them are in force for the next client.
pub(super) fn differences(old: &[TlsListener], new: &[TlsListener]) -> Vec<String> {
    let of_port = |listeners: &[TlsListener], port| {
        listeners.iter().find(|listener| listener.port == port).cloned()
    };
    let gone = old.iter().filter(|old| of_port(new, old.port).is_none());
    let mut lines: Vec<String> =
        gone.map(|old| format!("tls.{} removed: plain HTTP from now on", old.port)).collect();
    for new in new {
        match of_port(old, new.port) {
            None => lines.push(format!("tls.{} added: {}", new.port, shown(&new.certificates))),
            Some(old) => lines.extend(difference(&old, new)),
        }
    }
    lines
}

fn difference(old: &TlsListener, new: &TlsListener) -> Vec<String> {
    let port = new.port;
    let mut lines = Vec::new();
    let is_same = old.certificates.len() == new.certificates.len()
        && old.certificates.iter().zip(&new.certificates).all(|(old, new)| old.is_same(new));
    if !is_same {
        let certificates = shown(&new.certificates);
        lines.push(format!("tls.{port}.certificates changed: {certificates}"));
    }
    if old.min_version != new.min_version {
        let [old, new] = [old, new].map(|listener| listener.min_version.name());
        lines.push(format!("tls.{port}.min_version {old} -> {new}"));
    }
    if old.http2 != new.http2 {
        lines.push(format!("tls.{port}.http2 {} -> {}", old.http2, new.http2));
    }
    lines
}

fn shown(certificates: &[Arc<Certificate>]) -> String {
    let shown: Vec<String> = certificates.iter().map(|one| one.summary()).collect();
    super::error::printable(&shown.join("; "))
}
