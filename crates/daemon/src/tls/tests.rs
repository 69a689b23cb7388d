//! Certificates made for a test, and what is said of files that hold none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};

use super::*;

/// A certificate of its own issuer for `names`, in files of `folder`.
pub(crate) fn issue(folder: &Path, file: &str, names: &[&str]) -> CertificateFiles {
    write(folder, file, params(names))
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn write(folder: &Path, file: &str, params: CertificateParams) -> CertificateFiles {
    let key = KeyPair::generate().unwrap();
    let files = CertificateFiles {
        certificate: folder.join(file).with_extension("pem"),
        key: folder.join(file).with_extension("key"),
    };
    fs::create_dir_all(files.certificate.parent().unwrap()).unwrap();
    fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    files
}

/// One that is loaded.
pub(crate) fn certificate(names: &[&str]) -> Arc<Certificate> {
    let folder = tempfile::tempdir().unwrap();
    Arc::new(Certificate::load(&issue(folder.path(), "test", names)).unwrap())
}

#[test]
fn a_certificate_says_for_whom_it_is_and_until_when() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = params(&["Shop.example", "*.shop.example", "127.0.0.1"]);
    params.not_after = rcgen::date_time_ymd(2051, 3, 4);
    let certificate = Certificate::load(&write(folder.path(), "shop", params)).unwrap();
    assert_eq!(certificate.summary(), "for shop.example, *.shop.example, until 2051-03-04");
    assert_eq!(certificate.expires(), 2_561_500_800);
    assert!(certificate.warnings().is_empty());
}

#[test]
fn an_operator_hears_of_the_end_of_a_certificate_before_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = params(&["shop.example"]);
    let (begin, end) = (rcgen::date_time_ymd(2030, 1, 1), rcgen::date_time_ymd(2030, 4, 1));
    (params.not_before, params.not_after) = (begin, end);
    let certificate = Certificate::load(&write(folder.path(), "shop", params)).unwrap();
    let end = SystemTime::from(end);
    let day = Duration::from_hours(24);
    let file = folder.path().join("shop.pem").display().to_string();
    for (now, doubt) in [
        (SystemTime::from(begin) - day, Some("the certificate is not valid yet")),
        (end - 15 * day, None),
        (end - 13 * day, Some("the certificate expires in 13 days")),
        (end - day, Some("the certificate expires in 1 day")),
        (end - day / 2, Some("the certificate expires within a day")),
        (end + day, Some("the certificate has expired; no client believes it")),
    ] {
        assert_eq!(certificate.doubt_at(now), doubt.map(|doubt| format!("{file}: {doubt}")));
    }
}

#[test]
fn a_key_that_everybody_can_read_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let files = issue(folder.path(), "shop", &["shop.example"]);
    for (mode, is_told) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
        let warnings = Certificate::load(&files).unwrap().warnings();
        assert_eq!(!warnings.is_empty(), is_told, "{mode:o}: {warnings:?}");
    }
}

#[test]
fn a_flaw_names_its_file_and_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = ("one", "other");
    let [one, other] = [one, other].map(|name| issue(folder.path(), name, &["shop.example"]));
    let text = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let pem = |label: &str| format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n");
    let with_certificate =
        |certificate| (CertificateFiles { certificate, ..one.clone() }, Part::Certificate);
    let with_key = |key| (CertificateFiles { key, ..one.clone() }, Part::Key);
    for ((files, part), reason) in [
        (with_key(other.key.clone()), "the key does not belong to the certificate"),
        (with_key(one.certificate.clone()), "there is no private key in it"),
        (with_certificate(one.key.clone()), "there is no certificate in it"),
        (with_certificate(folder.path().join("no")), "it does not exist"),
        (with_certificate(folder.path().to_owned()), "it is not a regular file"),
        (with_certificate(text("empty", "")), "there is no certificate in it"),
        (with_certificate(text("der", &pem("CERTIFICATE"))), MALFORMED),
        (
            with_certificate(text("cut", "-----BEGIN CERTIFICATE-----\nMAA=\n")),
            "it is no well-formed PEM",
        ),
        (with_certificate(text("long", &" ".repeat(2 << 20))), "it is larger than 1 MiB"),
        (
            with_key(text("encrypted", &pem("ENCRYPTED PRIVATE KEY"))),
            "the key is encrypted, and nobody is asked for its passphrase",
        ),
        (
            with_key(text("strange", &pem("PRIVATE KEY"))),
            "it is a key of a kind that TLS cannot use",
        ),
    ] {
        let flaw = Certificate::load(&files).unwrap_err();
        let file = match part {
            Part::Certificate => files.certificate,
            Part::Key => files.key,
        };
        assert_eq!((flaw.part, flaw.file, flaw.reason.as_str()), (part, file, reason));
    }
}

const MALFORMED: &str = "the certificate in it is malformed";
