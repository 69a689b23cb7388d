//! What clicks are about: the services by the rows in which they were last painted, since that is
//! what the operator saw.

use smoothserve_protocol::id::ServiceName;

/// The mouse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mouse {
    /// Whether clicks and the wheel are for the console.
    pub on: bool,
    /// The services of the frame that is on its way, by their rows.
    sent: Vec<(u16, ServiceName)>,
    /// The same of the frame that is on the screen.
    painted: Vec<(u16, ServiceName)>,
}

impl Mouse {
    /// A frame with these services is on its way to the screen.
    pub fn sent(&mut self, services: Vec<(u16, ServiceName)>) {
        self.sent = services;
    }

    /// It is on the screen.
    pub fn painted(&mut self) {
        self.painted.clone_from(&self.sent);
    }

    /// The service that is painted in row `row`.
    pub fn service_at(&self, row: u16) -> Option<&ServiceName> {
        self.painted.iter().find(|(painted, _)| *painted == row).map(|(_, name)| name)
    }
}
