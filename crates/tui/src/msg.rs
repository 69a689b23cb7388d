//! What the pure core is told: keys, sizes, and what the connection reports.

use std::time::Duration;

use smoothserve_protocol::event::EventBatch;
use smoothserve_protocol::log::LogBatch;
use smoothserve_protocol::message::{Done, Push, Refusal};
use smoothserve_protocol::plan::RestartPlan;
use smoothserve_protocol::snapshot::Receipt;

use crate::effect::Ticket;
use crate::input::Key;
use crate::model::page::Stats;
use crate::style::Background;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted, or arrived faster than anyone types.
    Paste(Paste),
    /// The terminal has this size now.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// The mouse was pressed here.
    Click {
        /// Columns from the left.
        column: u16,
        /// Rows from the top.
        row: u16,
    },
    /// The wheel was turned by one notch.
    Wheel(Turn),
    /// The connection reports something.
    Net(Box<Report>),
    /// A frame with everything said so far is on its way to the screen.
    Sent,
    /// The last frame that was sent is on the screen.
    Painted,
    /// The screen was written to files: the stem of their names, or why it could not be.
    Saved(Result<String, String>),
    /// So many frames a second are painted, because the terminal takes no more; none: all.
    Pace(Option<u8>),
    /// The terminal says what its background is.
    Background(Background),
    /// What the console itself did so far.
    Counted(Stats),
    /// Time passed.
    Tick,
}

/// What was pasted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paste {
    /// How many characters it has so far.
    pub characters: usize,
    /// Of its first line, what was not told before, without control characters.
    pub line: String,
}

/// Which way the wheel was turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Towards what is above.
    Up,
    /// Towards what is below.
    Down,
}

/// What the connection task reports.
#[derive(Clone, Debug)]
pub enum Report {
    /// It tries to connect.
    Trying,
    /// It is connected, and nothing is subscribed to yet.
    Connected,
    /// The connection is gone, or could not be made.
    Down {
        /// Why, in a few words.
        why: String,
        /// How many tries failed since the last connection.
        failures: u32,
        /// When the next try comes.
        retry_in: Duration,
    },
    /// The daemon said something by itself.
    Push(Push),
    /// The daemon answered a question about past events.
    History(EventBatch),
    /// The daemon answered a question about rolling restarts that have ended.
    Receipts {
        /// Which question.
        ticket: Ticket,
        /// Its answer.
        result: Result<Vec<Receipt>, Refusal>,
    },
    /// The daemon answered a question about what a service printed.
    Logs {
        /// Which question.
        ticket: Ticket,
        /// Its answer.
        result: Result<LogBatch, Refusal>,
    },
    /// The daemon said what a restart would do.
    Plan {
        /// Which question.
        ticket: Ticket,
        /// Its answer.
        plan: Box<RestartPlan>,
    },
    /// The daemon answered a command.
    Answered {
        /// Which command.
        ticket: Ticket,
        /// Its answer.
        result: Result<Done, Refusal>,
    },
    /// The connection ended before the answer to a command.
    Unanswered {
        /// Which command.
        ticket: Ticket,
    },
}
