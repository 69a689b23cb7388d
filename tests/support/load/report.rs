//! What clients saw, as exact counts.

use std::fmt;
use std::time::Duration;

use crate::record::Record;

/// How many failures a report describes; all are counted.
const DESCRIBED: usize = 20;

/// What clients saw: `sent = ok + lost`, where a WebSocket counts as its handshake.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Requests of which at least one byte was written.
    pub sent: u64,
    /// Requests answered in full, as they should be.
    pub ok: u64,
    /// Requests to which the connection broke before any byte of an answer.
    pub reset: u64,
    /// Requests whose answer broke off.
    pub truncated: u64,
    /// Requests answered with other bytes than they should be.
    pub wrong: u64,
    /// Requests without a whole answer in time.
    pub timed_out: u64,
    /// Answers with a status of 500 and above, each with its request.
    pub server_errors: Vec<String>,
    /// Connections that could not be made, or that ended before a byte was written on them.
    /// Nothing was sent on them, so nothing was lost.
    pub refused: u64,
    /// Keep-alive connections that the server closed between two requests.
    pub reopened: u64,
    /// WebSocket conversations that ended as the client wished.
    pub ws_ok: u64,
    /// WebSocket conversations that the server ended with a Close.
    pub ws_closed_by_drain: u64,
    /// WebSocket conversations that broke without a Close.
    pub ws_broken: u64,
    /// Every POST with an id of its own.
    pub posts: Vec<Post>,
    /// The longest time from the first byte of a request to the last one of its answer.
    pub slowest: Duration,
    /// The first failures, in words.
    pub failures: Vec<String>,
}

/// A POST with an id of its own.
#[derive(Clone, Debug)]
pub struct Post {
    /// Its id.
    pub id: String,
    /// It was answered in full, so it was executed.
    pub is_answered: bool,
}

impl LoadReport {
    /// Requests sent and not answered as they should be.
    pub fn lost(&self) -> u64 {
        self.reset + self.truncated + self.wrong + self.timed_out + self.server_errors.len() as u64
    }

    /// Checks that nothing at all was lost, and that the counts add up.
    ///
    /// # Panics
    /// When something was, with all that is known about it.
    pub fn assert_nothing_lost(&self) {
        assert!(self.lost() == 0 && self.ws_broken == 0, "requests were lost:\n{self}");
        self.assert_consistent();
        assert!(self.ok > 0, "nothing was tested:\n{self}");
    }

    /// Checks that the counts add up.
    ///
    /// # Panics
    /// When they do not: the load client itself is wrong.
    pub fn assert_consistent(&self) {
        assert_eq!(self.sent, self.ok + self.lost(), "the client counts wrongly:\n{self}");
    }

    /// Checks that each POST was executed once if it was answered, and else at most once.
    ///
    /// # Panics
    /// When one was not, naming it.
    pub fn assert_executed_once(&self, record: &Record) {
        assert!(record.repeated().is_empty(), "executed twice: {:?}\n{self}", record.repeated());
        let answered = self.posts.iter().filter(|post| post.is_answered);
        let unrecorded: Vec<&str> =
            answered.map(|post| post.id.as_str()).filter(|id| record.executions(id) == 0).collect();
        assert!(unrecorded.is_empty(), "answered, but never executed: {unrecorded:?}\n{self}");
    }

    pub(crate) fn describe(&mut self, failure: String) {
        if self.failures.len() < DESCRIBED {
            self.failures.push(failure);
        }
    }

    /// Adds what other clients saw.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.ok += other.ok;
        self.reset += other.reset;
        self.truncated += other.truncated;
        self.wrong += other.wrong;
        self.timed_out += other.timed_out;
        self.server_errors.extend(other.server_errors);
        self.refused += other.refused;
        self.reopened += other.reopened;
        self.ws_ok += other.ws_ok;
        self.ws_closed_by_drain += other.ws_closed_by_drain;
        self.ws_broken += other.ws_broken;
        self.posts.extend(other.posts);
        self.slowest = self.slowest.max(other.slowest);
        other.failures.into_iter().for_each(|failure| self.describe(failure));
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "sent {} = ok {} + reset {} + truncated {} + wrong {} + timed out {} + server errors {}",
            self.sent,
            self.ok,
            self.reset,
            self.truncated,
            self.wrong,
            self.timed_out,
            self.server_errors.len(),
        )?;
        writeln!(f, "connections: refused {}, reopened {}", self.refused, self.reopened)?;
        writeln!(
            f,
            "conversations: ok {}, closed by drain {}, broken {}",
            self.ws_ok, self.ws_closed_by_drain, self.ws_broken,
        )?;
        writeln!(f, "posts {}, slowest answer {:?}", self.posts.len(), self.slowest)?;
        self.failures.iter().try_for_each(|failure| writeln!(f, "- {failure}"))
    }
}
