//! One certificate for all proxies, of an ECDSA key on P-256, and connections that believe it and
//! nothing else.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use smoothserve_tests::binaries;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::wire::Wire;

/// What all clients offer and nothing else, so that all proxies do the same sums: the suite and the
/// group as OpenSSL names them.
pub(crate) const SUITE: &str = "TLS_AES_128_GCM_SHA256";
pub(crate) const GROUP: &str = "X25519";

/// Its files, which last as long as it does, and clients that believe it.
pub(crate) struct Certificate {
    folder: TempDir,
    connector: TlsConnector,
}

impl Certificate {
    /// A new one for `host`, which vouches for itself.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub(crate) fn issue(host: &str) -> anyhow::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let issued = CertificateParams::new(vec![host.to_owned()])?.self_signed(&key)?;
        let mut roots = RootCertStore::empty();
        roots.add(issued.der().clone())?;
        let folder = TempDir::with_prefix_in("versus-", binaries::scratch()?)?;
        let certificate = Self { folder, connector: connector(roots)? };
        fs::write(certificate.chain(), issued.pem())?;
        fs::write(certificate.key(), key.serialize_pem())?;
        fs::set_permissions(certificate.key(), fs::Permissions::from_mode(0o600))?;
        fs::write(certificate.both(), issued.pem() + &key.serialize_pem())?;
        Ok(certificate)
    }

    pub(crate) fn chain(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Both in one file, as HAProxy reads them.
    pub(crate) fn both(&self) -> PathBuf {
        self.folder.path().join("both.pem")
    }

    /// A new connection after a full handshake: no session is ever resumed.
    ///
    /// # Errors
    /// When there is none to be had, or the other end shows another certificate.
    pub(crate) async fn connect(
        &self,
        addr: SocketAddr,
        host: &str,
    ) -> anyhow::Result<Wire<TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Wire::over(self.connector.connect(name, stream).await?))
    }
}

fn connector(roots: RootCertStore) -> anyhow::Result<TlsConnector> {
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider));
    let config = config.with_protocol_versions(&[&TLS13])?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
