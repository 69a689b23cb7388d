//! What the pure core wants done: data, so that tests can read it.

use smoothserve_protocol::id::{EventSeq, ServiceName};
use smoothserve_protocol::message::Request;

/// Pairs the daemon's answer with what the operator asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

impl Ticket {
    /// The one after the last that was given, which it is from now on.
    pub const fn next(&mut self) -> Self {
        self.0 += 1;
        *self
    }
}

/// Something for the connection to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Replace what is subscribed to.
    Subscribe {
        /// The service to hear about in detail.
        focus: Option<ServiceName>,
        /// The last event already known.
        events_after: Option<EventSeq>,
    },
    /// Ask for the newest events.
    History {
        /// How many at most.
        limit: u32,
    },
    /// Ask for rolling restarts that have ended.
    Receipts {
        /// Comes back with the answer.
        ticket: Ticket,
        /// Of which service; none: of all.
        service: Option<ServiceName>,
        /// How many at most, the newest.
        limit: u32,
    },
    /// Ask what a service printed last.
    Logs {
        /// Comes back with the answer.
        ticket: Ticket,
        /// Which.
        service: ServiceName,
        /// How many lines at most.
        lines: u32,
        /// Hear of what it prints from then on; else of nothing that any service prints.
        follow: bool,
    },
    /// Ask what a restart would do.
    Plan {
        /// Comes back with the answer.
        ticket: Ticket,
        /// Of which service.
        service: ServiceName,
    },
    /// Send a command or a question; its answer comes back with the ticket.
    Act {
        /// Comes back with the answer.
        ticket: Ticket,
        /// What to send.
        request: Request,
    },
    /// Connect now instead of when the wait is over.
    RetryNow,
}

/// Something [`crate::update::update`] asks the runtime to do. None of it waits for the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Hand this to the connection.
    Order(Order),
    /// Keep this line for the next time somebody types one.
    Remember(String),
    /// Say what the console itself did so far.
    Count,
    /// Paint every cell anew.
    Redraw,
    /// Give this text to the terminal's clipboard.
    Copy(String),
    /// Write what is on the screen to files.
    Save,
    /// Have the terminal tell clicks and the wheel, or no longer.
    Mouse(bool),
    /// Leave the terminal to the shell until the process is continued.
    Suspend,
    /// End the console.
    Quit,
}

impl From<Order> for Effect {
    fn from(order: Order) -> Self {
        Self::Order(order)
    }
}
