//! TLS as listeners need it: certificates out of files, which of them a client is shown, and the
//! terms of a handshake.
//!
//! Knows neither the configuration's text nor connections. With the handshake of `proxy`, the only
//! place that knows the libraries for TLS and certificates.

mod certificate;
mod choice;
mod terms;
#[cfg(test)]
pub(crate) mod tests;

pub use self::certificate::{Certificate, CertificateFiles, Flaw, Part};
pub use self::terms::MinVersion;
pub(crate) use self::terms::{Terms, Tickets};
