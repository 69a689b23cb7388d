//! What a frame says that a command would be about.

use super::events::Place;
use smoothserve_protocol::id::{OperationId, ServiceName};

/// What can be read off one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The service under the cursor, or that fills the screen.
    pub target: Option<ServiceName>,
    /// The rolling restart of that service.
    pub restart: Option<OperationId>,
    /// The marked services that are listed, in their order.
    pub marked: Vec<ServiceName>,
    /// How many are marked, those included that are not listed.
    pub marks: usize,
    /// The line of the event log under the cursor.
    pub line: Option<Place>,
    /// The services that can be clicked on, each with its row; none while the mouse is off.
    pub clickable: Vec<(u16, ServiceName)>,
}

impl Sight {
    /// The service that can be clicked on in row `row`.
    pub fn service_at(&self, row: u16) -> Option<&ServiceName> {
        self.clickable.iter().find(|(painted, _)| *painted == row).map(|(_, name)| name)
    }
}
