//! What single words of the command line stand for: names, times, addresses, sizes.

use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use smoothserve_protocol::id::{NameError, OperationId, ServiceName, Slot};

/// The name of a service, or the word `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Every service.
    All,
    /// This one.
    Service(ServiceName),
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "all" => Ok(Self::All),
            name => ServiceName::new(name).map(Self::Service),
        }
    }
}

/// Which services a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// None was named.
    Unnamed,
    /// Every one.
    All,
    /// These, in this order.
    Named(Vec<ServiceName>),
}

impl Selection {
    /// From the names given and whether `--all` was. The word `all` among names means all.
    pub(crate) fn new(names: &[Name], all: bool) -> Self {
        if all || names.contains(&Name::All) {
            return Self::All;
        }
        let mut named: Vec<ServiceName> = Vec::new();
        for name in names {
            match name {
                Name::Service(name) if !named.contains(name) => named.push(name.clone()),
                Name::Service(_) | Name::All => {}
            }
        }
        if named.is_empty() { Self::Unnamed } else { Self::Named(named) }
    }
}

/// What `wait` waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// A service.
    Service(ServiceName),
    /// An operation.
    Operation(OperationId),
}

impl FromStr for Awaited {
    type Err = NameError;

    /// `op-17` is an operation, anything else a service.
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.strip_prefix("op-").map(str::parse) {
            Some(Ok(number)) => Ok(Self::Operation(OperationId(number))),
            _ => ServiceName::new(text).map(Self::Service),
        }
    }
}

/// Whose output to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Printer {
    /// The service.
    pub(crate) service: ServiceName,
    /// One of its instances; none: all.
    pub(crate) slot: Option<Slot>,
}

impl FromStr for Printer {
    type Err = String;

    /// `shop`, or `shop/2` for its second instance.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once('/') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let service = ServiceName::new(name).map_err(|error| error.to_string())?;
        let slot = number.map(|number| {
            slot(number).ok_or_else(|| format!("`{number}` is no instance; they count from 1"))
        });
        Ok(Self { service, slot: slot.transpose()? })
    }
}

impl Printer {
    /// Reads the name of an instance, `shop-2`, when its service is one of `known`.
    pub(crate) fn of_instance(name: &str, known: &[ServiceName]) -> Option<Self> {
        let (service, number) = name.rsplit_once('-')?;
        let service = known.iter().find(|known| known.as_str() == service)?;
        Some(Self { service: service.clone(), slot: Some(slot(number)?) })
    }
}

/// As people count: the first is 1.
fn slot(number: &str) -> Option<Slot> {
    number.parse::<u16>().ok()?.checked_sub(1).map(Slot)
}

/// The state to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// Every instance is ready
    Ready,
    /// Every instance is stopped
    Stopped,
    /// No operation runs
    Done,
}

/// A length of time: `30s`, `5m`, `1h30m`, `500ms`; a bare number is seconds.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let expected = || "a time such as 30s, 5m or 1h30m is expected".to_owned();
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let span: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
    Duration::try_from(span).map_err(|_| expected())
}

/// `op-17`.
pub(super) fn operation(text: &str) -> Result<OperationId, String> {
    text.parse().map_err(|_| "an operation such as op-17 is expected".to_owned())
}

/// `host:port`.
pub(super) fn addr(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0) => {
            Ok(text.to_owned())
        }
        _ => Err("an address such as 127.0.0.1:8000 is expected".to_owned()),
    }
}

/// `-port=8086`.
pub(super) fn port_flag(text: &str) -> Result<u16, String> {
    let port = text.trim_start_matches('-').strip_prefix("port=");
    port.and_then(|port| port.parse().ok()).ok_or_else(|| "-port=N is expected".to_owned())
}

/// `120x40`.
pub(super) fn size(text: &str) -> Result<(u16, u16), String> {
    let parts = text.split_once('x');
    let parts = parts.and_then(|(columns, rows)| Some((columns.parse().ok()?, rows.parse().ok()?)));
    parts.ok_or_else(|| "a size such as 120x40 is expected".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        for (text, seconds) in
            [("30", 30.0), ("30s", 30.0), ("5m", 300.0), ("1h30m", 5400.0), ("500ms", 0.5)]
        {
            assert_eq!(span(text).unwrap().as_secs_f64(), seconds, "{text}");
        }
        assert!(span("soon").is_err());
    }

    #[test]
    fn an_instance_is_named_with_its_service() {
        let name = |text| ServiceName::new(text).unwrap();
        let printer = |text, slot| Printer { service: name(text), slot };
        assert_eq!("shop".parse(), Ok(printer("shop", None)));
        assert_eq!("shop/2".parse(), Ok(printer("shop", Some(Slot(1)))));
        for wrong in ["shop/0", "shop/x", "shop/", "/1", "shop/1/2", "shop/70000"] {
            assert!(wrong.parse::<Printer>().is_err(), "{wrong}");
        }
        let known = [name("shop"), name("shop-2")];
        let instance = |text| Printer::of_instance(text, &known);
        assert_eq!(instance("shop-1"), Some(printer("shop", Some(Slot(0)))));
        assert_eq!(instance("shop-2-3"), Some(printer("shop-2", Some(Slot(2)))));
        assert_eq!(instance("shop-0"), None);
        assert_eq!(instance("stop-1"), None);
    }

    #[test]
    fn an_operation_is_told_from_a_service() {
        assert_eq!("op-17".parse(), Ok(Awaited::Operation(OperationId(17))));
        let service = |text| Ok(Awaited::Service(ServiceName::new(text).unwrap()));
        assert_eq!("op-ed".parse(), service("op-ed"));
        assert_eq!("17".parse(), service("17"));
    }
}
