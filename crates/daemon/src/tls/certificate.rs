//! A certificate with its chain and its private key, out of two PEM files.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};
use x509_cert::der::{self, Decode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// No chain and no key is as long as this.
const LARGEST_FILE: u64 = 1024 * 1024;
/// Whoever renews certificates does so earlier than this before they expire.
const SOON: Duration = Duration::from_hours(14 * 24);
const DAY: u64 = 24 * 60 * 60;
/// Anybody may read it, or write it.
const OPEN_TO_OTHERS: u32 = 0o007;

/// Where a certificate and its key lie; absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the certificate itself, then those that vouch for it.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// A certificate that can be shown to clients.
#[derive(Debug)]
pub struct Certificate {
    files: CertificateFiles,
    /// The hosts it is for, in lower case, as they stand in it: `*.example.com` too.
    names: Vec<String>,
    begins: SystemTime,
    expires: SystemTime,
    signed: Arc<CertifiedKey>,
}

/// Which of the two files it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The certificate with its chain.
    Certificate,
    /// The private key.
    Key,
}

/// Why there is no certificate in two files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", .file.display())]
pub struct Flaw {
    /// The file that is wrong.
    pub file: PathBuf,
    /// Which of the two it is.
    pub part: Part,
    /// What is wrong with it.
    pub reason: String,
    /// What to do about it, where that is not plain.
    pub help: Option<&'static str>,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// What is wrong with one of them, or with the two together.
    pub fn load(files: &CertificateFiles) -> Result<Self, Flaw> {
        let of_certificate = |found: Found| found.at(&files.certificate, Part::Certificate);
        let of_key = |found: Found| found.at(&files.key, Part::Key);
        let chain = chain(&files.certificate).map_err(of_certificate)?;
        let shown = Shown::read(&chain[0]).map_err(|_| of_certificate(MALFORMED.into()))?;
        let key = key(&files.key).map_err(of_key)?;
        let provider = aws_lc_rs::default_provider();
        let signed =
            CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => of_key(Found {
                    reason: "the key does not belong to the certificate".into(),
                    help: Some("in the file of the certificate, that of the server comes first"),
                }),
                Error::InvalidCertificate(_) => of_certificate(MALFORMED.into()),
                _ => of_key("it is a key of a kind that TLS cannot use".into()),
            })?;
        let (files, signed) = (files.clone(), Arc::new(signed));
        let Shown { names, begins, expires } = shown;
        Ok(Self { files, names, begins, expires, signed })
    }

    /// Where it lies.
    pub fn files(&self) -> &CertificateFiles {
        &self.files
    }

    /// Whether `other` is out of the same files, and they said the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.files == other.files && self.signed.cert == other.signed.cert
    }

    /// What an operator should know now, although it can be shown.
    pub fn warnings(&self) -> Vec<String> {
        self.doubt().into_iter().chain(self.open_key()).collect()
    }

    /// For whom it is and until when, for people.
    pub fn summary(&self) -> String {
        let names = if self.names.is_empty() { "no host".into() } else { self.names.join(", ") };
        let expires = jiff::Timestamp::try_from(self.expires);
        let expires = expires.map_or_else(|_| "never".into(), |at| at.strftime("%F").to_string());
        format!("for {names}, until {expires}")
    }

    /// From when on no client believes it, in seconds of Unix time.
    pub fn expires(&self) -> u64 {
        self.expires.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// Why clients do not believe it, or soon will not.
    pub fn doubt(&self) -> Option<String> {
        self.doubt_at(SystemTime::now())
    }

    pub(super) fn doubt_at(&self, now: SystemTime) -> Option<String> {
        let file = self.files.certificate.display();
        if now < self.begins {
            return Some(format!("{file}: the certificate is not valid yet"));
        }
        let Ok(left) = self.expires.duration_since(now) else {
            return Some(format!("{file}: the certificate has expired; no client believes it"));
        };
        (left < SOON).then(|| match left.as_secs() / DAY {
            0 => format!("{file}: the certificate expires within a day"),
            1 => format!("{file}: the certificate expires in 1 day"),
            days => format!("{file}: the certificate expires in {days} days"),
        })
    }

    fn open_key(&self) -> Option<String> {
        let mode = std::fs::metadata(&self.files.key).ok()?.permissions().mode();
        (mode & OPEN_TO_OTHERS != 0).then(|| {
            let file = self.files.key.display();
            format!("{file}: every user of this machine has access to the private key; chmod 600")
        })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn signed(&self) -> &Arc<CertifiedKey> {
        &self.signed
    }
}

/// What is wrong with a file, wherever it is.
struct Found {
    reason: String,
    help: Option<&'static str>,
}

const MALFORMED: &str = "the certificate in it is malformed";

impl Found {
    fn at(self, file: &Path, part: Part) -> Flaw {
        Flaw { file: file.to_owned(), part, reason: self.reason, help: self.help }
    }
}

impl From<&str> for Found {
    fn from(reason: &str) -> Self {
        Self { reason: reason.to_owned(), help: None }
    }
}

impl From<io::Error> for Found {
    fn from(error: io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "it does not exist".into(),
            io::ErrorKind::PermissionDenied => "permission denied".into(),
            _ => error.to_string(),
        };
        Self { reason, help: None }
    }
}

/// Reads no more than just too much, and nothing that could block, such as a pipe.
fn read(file: &Path) -> Result<Vec<u8>, Found> {
    if !std::fs::metadata(file)?.is_file() {
        return Err("it is not a regular file".into());
    }
    let mut bytes = Vec::new();
    File::open(file)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err("it is larger than 1 MiB".into());
    }
    Ok(bytes)
}

/// At least one certificate.
fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Found> {
    let text = read(file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(Found {
            reason: "there is no certificate in it".into(),
            help: Some("it is to be PEM, with a line `-----BEGIN CERTIFICATE-----`"),
        }),
        Err(_) => Err("it is no well-formed PEM".into()),
    }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, Found> {
    let text = read(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if memchr::memmem::find(&text, b"ENCRYPTED").is_some() => Found {
            reason: "the key is encrypted, and nobody is asked for its passphrase".into(),
            help: Some("`openssl pkey -in encrypted.key -out plain.key` writes it without one"),
        },
        pem::Error::NoItemsFound => Found {
            reason: "there is no private key in it".into(),
            help: Some("it is to be PEM, with a line such as `-----BEGIN PRIVATE KEY-----`"),
        },
        _ => "it is no well-formed PEM".into(),
    })
}

/// What a certificate says of itself.
struct Shown {
    names: Vec<String>,
    begins: SystemTime,
    expires: SystemTime,
}

impl Shown {
    fn read(certificate: &CertificateDer<'_>) -> der::Result<Self> {
        let certificate = x509_cert::Certificate::from_der(certificate)?;
        let certificate = certificate.tbs_certificate();
        let named = certificate.get_extension::<SubjectAltName>()?;
        let named = named.map_or_else(Vec::new, |(_, SubjectAltName(names))| names);
        let names = named.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
            _ => None,
        });
        let validity = certificate.validity();
        Ok(Self {
            names: names.collect(),
            begins: validity.not_before.to_system_time(),
            expires: validity.not_after.to_system_time(),
        })
    }
}
