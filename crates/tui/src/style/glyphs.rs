//! The glyphs: one set of East-Asian neutral width, one of ASCII.

use smoothserve_protocol::snapshot::{InstanceState, Pip};

use super::theme::Role;
use crate::words::Mark;

/// One set of glyphs; each is one column wide.
#[derive(Debug)]
pub struct Glyphs {
    /// Ready, of the present generation.
    pub ready: &'static str,
    /// Ready, of the generation a rollout brings.
    pub new: &'static str,
    /// Launched, not ready.
    pub starting: &'static str,
    /// Closed, finishing.
    pub draining: &'static str,
    /// Told to exit.
    pub stopping: &'static str,
    /// Not running.
    pub stopped: &'static str,
    /// Given up.
    pub failed: &'static str,
    /// Waiting for the next try.
    pub backoff: &'static str,
    /// Not answering its liveness probe.
    pub unhealthy: &'static str,
    /// The cursor, and a beginning.
    pub cursor: &'static str,
    /// Done.
    pub check: &'static str,
    /// Between sections.
    pub rule: &'static str,
    /// The sides of a box.
    pub side: &'static str,
    /// The filled part of a bar.
    pub full: &'static str,
    /// The rest of a bar.
    pub empty: &'static str,
    /// Where text was cut.
    pub cut: &'static str,
    /// Nothing else may be sent.
    pub ascii_only: bool,
}

/// For every terminal that knows UTF-8.
pub const UNICODE: Glyphs = Glyphs {
    ready: "▪",
    new: "▮",
    starting: "▴",
    draining: "▾",
    stopping: "▿",
    stopped: "▫",
    failed: "✗",
    backoff: "◌",
    unhealthy: "?",
    cursor: "▸",
    check: "✓",
    rule: "╌",
    side: "╎",
    full: "▰",
    empty: "▱",
    cut: "›",
    ascii_only: false,
};

/// For the others.
pub const ASCII: Glyphs = Glyphs {
    ready: "o",
    new: "#",
    starting: "^",
    draining: "v",
    stopping: "-",
    stopped: ".",
    failed: "X",
    backoff: "~",
    unhealthy: "?",
    cursor: ">",
    check: "+",
    rule: "-",
    side: "|",
    full: "#",
    empty: ".",
    cut: ">",
    ascii_only: true,
};

impl Glyphs {
    /// The mark of one instance and how it looks.
    pub const fn pip(&self, pip: Pip) -> (&'static str, Role) {
        let mark = match pip.state {
            InstanceState::Stopped => self.stopped,
            InstanceState::Starting => self.starting,
            InstanceState::Ready if pip.new => return (self.new, Role::Ok),
            InstanceState::Ready => self.ready,
            InstanceState::Draining => self.draining,
            InstanceState::Stopping => self.stopping,
            InstanceState::Backoff => self.backoff,
            InstanceState::Failed => self.failed,
            InstanceState::Unhealthy => self.unhealthy,
        };
        (mark, Role::of_instance(pip.state))
    }

    /// The mark of an event and how it looks.
    pub const fn mark(&self, mark: Mark) -> (&'static str, Role) {
        match mark {
            Mark::Note => (self.ready, Role::Plain),
            Mark::Began => (self.cursor, Role::Plain),
            Mark::Good => (self.check, Role::Ok),
            Mark::Starting => (self.starting, Role::New),
            Mark::Draining => (self.draining, Role::Moving),
            Mark::Stopping => (self.stopping, Role::Moving),
            Mark::Retry => (self.backoff, Role::Moving),
            Mark::Warning => ("!", Role::Moving),
            Mark::Bad => (self.failed, Role::Bad),
        }
    }
}

/// More instances than this are counted instead of drawn.
pub const DRAWN: usize = 14;

/// How many there are of each kind, in the order in which the kinds first come.
pub fn counted(pips: &[Pip]) -> Vec<(usize, Pip)> {
    let mut kinds: Vec<(usize, Pip)> = Vec::new();
    for &pip in pips {
        match kinds.iter_mut().find(|(_, kind)| *kind == pip) {
            Some((count, _)) => *count += 1,
            None => kinds.push((1, pip)),
        }
    }
    kinds
}
