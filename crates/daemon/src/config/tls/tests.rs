//! Ports of TLS with certificates that exist.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::super::{Config, changes, load};
use super::*;
use crate::tls::tests::issue;

/// A folder with a service on port 8443 and certificates `a` and `b`.
pub(in super::super) struct Folder(TempDir);

impl Folder {
    pub(in super::super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("services")).unwrap();
        let service =
            "name: shop\nport: 8443\nstart_instance_port: 9001\nexecutable_path: /bin/true\n";
        fs::write(folder.path().join("services/shop.yaml"), service).unwrap();
        for name in ["a", "b"] {
            issue(folder.path(), name, &[&format!("{name}.example")]);
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What `smoothserve.yaml` means with these lines.
    pub(in super::super) fn load(&self, tls: &str) -> Result<Config, String> {
        let file = self.path("smoothserve.yaml");
        fs::write(&file, format!("CommandPort: 8000\n{tls}")).unwrap();
        load(&file).map_err(|errors| errors.to_string())
    }
}

pub(in super::super) const A: &str =
    "tls: {8443: {certificates: [{certificate: a.pem, key: a.key}]}}";

#[test]
fn a_port_has_its_certificates_in_order() {
    let folder = Folder::new();
    let tls = "tls:\n  8443:\n    min_version: 1.3\n    http2: false\n    certificates:\n      \
               - {certificate: ./b.pem, key: ./b.key}\n      - {certificate: a.pem, key: a.key}\n";
    let config = folder.load(tls).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let [listener] = &config.tls[..] else { panic!("one port") };
    assert_eq!((listener.port, listener.min_version), (8443, MinVersion::Tls13));
    assert!(!listener.http2);
    let files = listener.certificates.iter().map(|one| one.files().certificate.clone());
    assert_eq!(files.collect::<Vec<_>>(), [folder.path("b.pem"), folder.path("a.pem")]);
}

#[test]
fn a_key_of_another_certificate_is_told_where_it_stands() {
    let folder = Folder::new();
    let said = folder
        .load("tls:\n  8443:\n    certificates:\n      - certificate: a.pem\n        key: b.key\n")
        .unwrap_err();
    for part in [
        "the file of the key cannot be used: the key does not belong to the certificate",
        "smoothserve.yaml:6:14",
        &format!("this is {}", folder.path("b.key").display()),
        "help: in the file of the certificate, that of the server comes first",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_port_is_there_once() {
    let folder = Folder::new();
    let one = "{certificates: [{certificate: a.pem, key: a.key}]}";
    let said = folder.load(&format!("tls:\n  8443: {one}\n  08443: {one}\n")).unwrap_err();
    assert!(said.contains("`tls` has port 8443 twice"), "{said}");
}

#[test]
fn what_is_odd_about_a_port_or_a_certificate_is_a_warning() {
    let folder = Folder::new();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(folder.path("a.key"), mode).unwrap();
    let config = folder.load(&A.replace("8443", "8444")).unwrap();
    let [port, key] = &config.warnings[..] else { panic!("{:?}", config.warnings) };
    assert!(port.ends_with("`tls` names port 8444, where no service listens"), "{port}");
    assert!(key.contains("a.key: every user of this machine has access"), "{key}");
}

#[test]
fn a_reload_says_what_changes() {
    let folder = Folder::new();
    let plain = folder.load("").unwrap();
    let a = folder.load(A).unwrap();
    let b = folder.load(&A.replace("a.", "b.")).unwrap();
    let strict =
        folder.load(&A.replace("{certificates", "{min_version: 1.3, certificates")).unwrap();
    let alone = folder.load(&A.replace("{certificates", "{http2: false, certificates")).unwrap();
    issue(&folder.path(""), "a", &["new.example"]);
    let renewed = folder.load(A).unwrap();
    for (old, new, line) in [
        (&plain, &a, "tls.8443 added: for a.example, until 4096-01-01"),
        (&a, &plain, "tls.8443 removed: plain HTTP from now on"),
        (&a, &b, "tls.8443.certificates changed: for b.example, until 4096-01-01"),
        (&a, &renewed, "tls.8443.certificates changed: for new.example, until 4096-01-01"),
        (&a, &strict, "tls.8443.min_version 1.2 -> 1.3"),
        (&a, &alone, "tls.8443.http2 true -> false"),
    ] {
        assert_eq!(changes(old, new).daemon, [line]);
    }
    let again = folder.load(A).unwrap();
    assert!(changes(&renewed, &again).daemon.is_empty());
}
