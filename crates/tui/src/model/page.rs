//! A page of text in front of the screen, and the question whose answer it waits for.

use smoothserve_protocol::id::ServiceName;

use crate::effect::Ticket;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What it is about: the command that asked for it.
    pub title: String,
    /// Rows down from the first.
    pub down: usize,
    /// What it says.
    pub content: Content,
}

/// What a page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing yet: this was asked.
    Awaited(Ticket, Asked),
    /// These lines.
    Text(Vec<String>),
}

/// What the daemon is asked for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Why a service is not ready.
    Why(ServiceName),
    /// What runs.
    Status {
        /// Of these services; none: of all.
        names: Vec<ServiceName>,
        /// With every instance.
        wide: bool,
    },
    /// What a restart would do.
    Plan(ServiceName),
    /// To read the configuration again, or to say what that would change.
    Reload {
        /// Only say it.
        plan: bool,
    },
    /// Rolling restarts that have ended.
    Receipts {
        /// Of this service; none: of all.
        service: Option<ServiceName>,
        /// The newest so many.
        limit: u32,
        /// The whole receipt of each.
        whole: bool,
    },
}

impl Page {
    /// A page that says `text`.
    pub fn of_text(title: &str, text: &str) -> Self {
        let content = Content::Text(text.lines().map(str::to_owned).collect());
        Self { title: title.to_owned(), down: 0, content }
    }

    /// Its lines; none while the answer is awaited.
    pub fn text(&self) -> &[String] {
        match &self.content {
            Content::Awaited(..) => &[],
            Content::Text(lines) => lines,
        }
    }
}

/// What the console itself did since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Milliseconds since then.
    pub running_ms: u64,
    /// How often the screen was drawn.
    pub draws: u64,
    /// Frames that went to the terminal; the others changed nothing.
    pub frames: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Calls that wrote them.
    pub writes: u64,
    /// Keys and other events of the terminal.
    pub events: u64,
    /// Reports of the connection.
    pub reports: u64,
}
