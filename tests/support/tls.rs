//! Certificates for a daemon's folder, and clients that believe them.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A certificate, as it was written down.
#[derive(Clone, Debug)]
pub struct Issued(CertificateDer<'static>);

/// Writes a certificate for `name`, which vouches for itself, to `folder` as `shop.pem` and
/// `shop.key`, in place of what is there.
///
/// # Errors
/// When it cannot be made or written.
pub fn issue(folder: &Path, name: &str) -> anyhow::Result<Issued> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![name.to_owned()])?.self_signed(&key)?;
    fs::write(folder.join("shop.pem"), certificate.pem())?;
    let file = folder.join("shop.key");
    fs::write(&file, key.serialize_pem())?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    Ok(Issued(certificate.der().clone()))
}

/// What `tls` of `smoothserve.yaml` is to be for such a certificate.
pub fn key(port: u16) -> String {
    format!("{{{port}: {{certificates: [{{certificate: shop.pem, key: shop.key}}]}}}}")
}

/// How a client connects.
#[derive(Clone, Default)]
pub enum Transport {
    /// To the port, and speaks.
    #[default]
    Plain,
    /// Inside TLS.
    Tls {
        /// Who is believed.
        connector: TlsConnector,
        /// Who is spoken to.
        name: ServerName<'static>,
    },
}

/// A connection, whatever is below it.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<C: AsyncRead + AsyncWrite + Send + Unpin> Connection for C {}

impl Transport {
    /// Inside TLS, to `name`, which shows one of `believed`.
    ///
    /// # Errors
    /// When there is no such name.
    pub fn tls(name: &str, believed: &[&Issued]) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(believed.iter().map(|issued| issued.0.clone()));
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self::Tls { connector, name: ServerName::try_from(name.to_owned())? })
    }

    /// Connects to `addr`.
    ///
    /// # Errors
    /// When nobody is there, or it is somebody else.
    pub async fn connect(&self, addr: SocketAddr) -> std::io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(match self {
            Self::Plain => Box::new(stream),
            Self::Tls { connector, name } => {
                Box::new(connector.connect(name.clone(), stream).await?)
            }
        })
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("Plain"),
            Self::Tls { name, .. } => f.debug_tuple("Tls").field(name).finish(),
        }
    }
}
