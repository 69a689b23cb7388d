//! Certificates that are renewed while everything runs: their files are looked at every few seconds,
//! and read when they have changed and are quiet, since certificate and key are written one after
//! the other.
//!
//! What is wrong with one is told, and the last good one stays. Who is shown them is not known here.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::TlsListener;
use crate::tls::Certificate;

/// Between two looks.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// What was seen of the files so far.
#[derive(Default)]
pub(super) struct Renewal {
    /// When they were read.
    read: Vec<Stamp>,
    /// At the last look.
    seen: Vec<Stamp>,
    /// Doubts that were told.
    told: BTreeSet<String>,
}

/// By what a change of a file is noticed; none: it is not there.
type Stamp = Option<(u64, u64, i64, i64)>;

/// What a look came to.
#[derive(Default)]
pub(super) struct Found {
    /// The listeners with their new certificates; none: all stay.
    pub(super) renewed: Option<Vec<TlsListener>>,
    /// For an operator, a line each.
    pub(super) news: Vec<String>,
    /// The same, of what is wrong or soon will be.
    pub(super) warnings: Vec<String>,
}

impl Renewal {
    /// Other listeners, or other certificates, are in force.
    pub(super) fn begin_anew(&mut self) {
        (self.read, self.seen) = Default::default();
    }

    /// Looks at the files of `listeners`. It may wait for a disk.
    pub(super) fn look(&mut self, listeners: &[TlsListener]) -> Found {
        let mut found = Found::default();
        let now = stamps(listeners);
        let is_quiet = now == self.seen;
        if is_quiet && now != self.read {
            found = read(listeners);
            self.read.clone_from(&now);
        }
        self.seen = now;
        let in_force = found.renewed.as_deref().unwrap_or(listeners);
        let doubts: BTreeSet<String> = certificates(in_force).flat_map(|one| one.doubt()).collect();
        found.warnings.extend(doubts.difference(&self.told).cloned());
        self.told = doubts;
        found
    }
}

fn certificates(listeners: &[TlsListener]) -> impl Iterator<Item = &Arc<Certificate>> {
    listeners.iter().flat_map(|listener| &listener.certificates)
}

fn stamps(listeners: &[TlsListener]) -> Vec<Stamp> {
    let stamp = |file: &Path| {
        let of = |file: Metadata| (file.ino(), file.size(), file.mtime(), file.mtime_nsec());
        std::fs::metadata(file).map(of).ok()
    };
    let files = certificates(listeners).map(|certificate| certificate.files());
    files.flat_map(|files| [stamp(&files.certificate), stamp(&files.key)]).collect()
}

/// Reads all of them again.
fn read(listeners: &[TlsListener]) -> Found {
    let mut found = Found::default();
    let mut renewed = listeners.to_vec();
    let mut is_renewed = false;
    for certificate in renewed.iter_mut().flat_map(|listener| &mut listener.certificates) {
        match Certificate::load(certificate.files()) {
            Ok(same) if same.is_same(certificate) => {}
            Ok(new) => {
                let (file, summary) = (new.files().certificate.display(), new.summary());
                found.news.push(format!("{file}: a new certificate {summary}"));
                *certificate = Arc::new(new);
                is_renewed = true;
            }
            Err(flaw) => {
                found.warnings.push(format!("{flaw}; the certificate from before stays in use"));
            }
        }
    }
    found.renewed = is_renewed.then_some(renewed);
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tls::CertificateFiles;
    use crate::tls::MinVersion;
    use crate::tls::tests::issue;

    fn listener(files: &CertificateFiles) -> TlsListener {
        let certificates = vec![Arc::new(Certificate::load(files).unwrap())];
        TlsListener { port: 443, certificates, min_version: MinVersion::default(), http2: true }
    }

    /// The first look after which the files have been read.
    fn settle(renewal: &mut Renewal, listeners: &[TlsListener]) -> Found {
        renewal.look(listeners);
        renewal.look(listeners)
    }

    #[test]
    fn a_new_certificate_is_taken_when_its_files_are_quiet() {
        let folder = tempfile::tempdir().unwrap();
        let files = issue(folder.path(), "shop", &["shop.example"]);
        let old = [listener(&files)];
        let mut renewal = Renewal::default();
        assert!(settle(&mut renewal, &old).renewed.is_none());

        issue(folder.path(), "shop", &["new.example"]);
        assert!(renewal.look(&old).renewed.is_none(), "perhaps the key is still to come");
        let found = renewal.look(&old);
        let new = found.renewed.unwrap();
        assert_eq!(new[0].certificates[0].summary(), "for new.example, until 4096-01-01");
        assert_eq!(found.news.len(), 1);
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        assert!(settle(&mut renewal, &new).renewed.is_none());
    }

    #[test]
    fn one_that_is_wrong_is_told_once_and_the_others_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| issue(folder.path(), name, &["a.example"]));
        let old = [listener(&one), listener(&two)];
        let mut renewal = Renewal::default();
        settle(&mut renewal, &old);

        fs::write(&one.certificate, "half").unwrap();
        issue(folder.path(), "two", &["b.example"]);
        let found = settle(&mut renewal, &old);
        let new = found.renewed.unwrap();
        assert!(new[0].certificates[0].is_same(&old[0].certificates[0]));
        assert!(!new[1].certificates[0].is_same(&old[1].certificates[0]));
        let file = one.certificate.display();
        let told = format!(
            "{file}: there is no certificate in it; the certificate from before stays in use"
        );
        assert_eq!(found.warnings, [told]);
        assert!(settle(&mut renewal, &new).warnings.is_empty());
        fs::remove_file(&one.key).unwrap();
        assert_eq!(settle(&mut renewal, &new).warnings.len(), 1);
    }

    #[test]
    fn a_file_that_changed_while_nobody_looked_is_read_at_first() {
        let folder = tempfile::tempdir().unwrap();
        let files = issue(folder.path(), "shop", &["shop.example"]);
        let old = [listener(&files)];
        issue(folder.path(), "shop", &["new.example"]);
        assert!(settle(&mut Renewal::default(), &old).renewed.is_some());
    }
}
