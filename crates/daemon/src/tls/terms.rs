//! The terms of a handshake: versions, certificates, the protocols to be spoken inside, and tickets.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::aws_lc_rs::{self, Ticketer};
use tokio_rustls::rustls::server::ProducesTickets;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

use super::Certificate;
use super::choice::Choice;

/// What is spoken inside, the most wanted first (RFC 7301). Whoever asks for none of them is told
/// so; whoever asks for nothing speaks HTTP/1.
const PROTOCOLS: [&[u8]; 3] = [b"h2", b"http/1.1", b"http/1.0"];

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl MinVersion {
    /// As it may be written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }

    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static ALL: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls12 => &ALL,
            Self::Tls13 => &ALL[..1],
        }
    }
}

/// Seals what a client brings back to be known again (RFC 8446 4.6.1), with keys of this process
/// that change as time passes. They outlive a change of certificates.
pub(crate) struct Tickets(Option<Arc<dyn ProducesTickets>>);

impl Tickets {
    pub(crate) fn new() -> Self {
        // It fails for want of random numbers; without them, no handshake succeeds either.
        Self(Ticketer::new().ok())
    }
}

/// What a listener offers its clients.
#[derive(Clone)]
pub(crate) struct Terms(Arc<ServerConfig>);

impl Terms {
    /// There is at least one certificate; the first is the default. `http2` is offered or not.
    pub(crate) fn new(
        certificates: &[Arc<Certificate>],
        min_version: MinVersion,
        http2: bool,
        tickets: &Tickets,
    ) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(min_version.versions())
            .expect("the provider has ciphers for both versions")
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::new(Choice::new(certificates)));
        let protocols = PROTOCOLS.iter().skip(usize::from(!http2));
        config.alpn_protocols = protocols.map(|protocol| protocol.to_vec()).collect();
        if let Tickets(Some(ticketer)) = tickets {
            config.ticketer = Arc::clone(ticketer);
        }
        Self(Arc::new(config))
    }

    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.0
    }
}
