//! What has been tried for one request, and what may be tried next: the retry rules in one place.

use http::Method;
use smoothserve_protocol::id::{RunId, Slot};
use tokio::time::Instant;

use super::endpoint::{Age, Pass};
use super::refusal::Refusal;
use super::service::ServiceProxy;
use super::upload::{REPLAY_WINDOW, Uploading};
use super::upstream::{Fate, Unanswered};

/// The memory of one request's attempts.
pub(crate) struct Tries {
    /// Sending it twice is the same as sending it once (RFC 9110 9.2.2).
    idempotent: bool,
    /// Its client would come back to this instance.
    wish: Option<Slot>,
    /// Its body is known to fit the replay window, so that it can be repeated for sure.
    short: bool,
    /// It was sent to this run, and that failed before the answer began. Once is allowed.
    failed: Option<RunId>,
    /// How often it came back unwritten.
    returns: usize,
    /// Runs that could not be connected to, or refused it, since the last pause.
    refused: Vec<RunId>,
    /// Why, of the last one.
    last_refusal: Option<String>,
    /// When it was first held.
    held: Option<Instant>,
}

/// As many runs are tried in a row; more would keep the client waiting for a service that is down
/// as a whole.
const MAX_REFUSALS: usize = 3;

/// A run that accepts connections only to close them gives requests back for ever.
const MAX_RETURNS: usize = 3;

impl Tries {
    pub(crate) fn new(
        method: &Method,
        length: Option<u64>,
        upload: &Uploading,
        wish: Option<Slot>,
    ) -> Self {
        let fits = length.is_some_and(|length| length <= REPLAY_WINDOW as u64);
        Self {
            idempotent: method.is_idempotent(),
            wish,
            short: fits || upload.is_nothing(),
            failed: None,
            returns: 0,
            refused: Vec::new(),
            last_refusal: None,
            held: None,
        }
    }

    /// Sending it twice is the same as sending it once.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// It may be sent once more if this time fails, as far as its body can.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.idempotent && self.failed.is_none()
    }

    /// How old a connection may be this time.
    pub(crate) fn age(&self) -> Age {
        if self.failed.is_some() || self.returns > 0 {
            Age::New
        } else if self.idempotent && self.short {
            Age::Any
        } else {
            Age::Recent
        }
    }

    /// Enters a run: preferably not the one that failed, never one that just refused.
    pub(crate) fn enter(&self, service: &ServiceProxy, now: std::time::Instant) -> Option<Pass> {
        if self.refused.len() >= MAX_REFUSALS {
            return None;
        }
        if let Some(failed) = self.failed {
            let elsewhere: Vec<RunId> = self.refused.iter().copied().chain([failed]).collect();
            if let Some(pass) = service.enter(&elsewhere, self.wish, now) {
                return Some(pass);
            }
        }
        service.enter(&self.refused, self.wish, now)
    }

    /// `run` could not be connected to, or refused it: it is as if nothing had been sent.
    pub(crate) fn refused_by(&mut self, run: RunId, why: &impl std::fmt::Display) {
        self.refused.push(run);
        self.last_refusal = Some(format!("{run}: {why}"));
    }

    /// Some run refused since the last pause, so that it is worth asking again.
    pub(crate) fn was_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// After a pause: those that refused may listen by now.
    pub(crate) fn ask_again(&mut self) {
        self.refused.clear();
    }

    /// Nothing was done with the request: its connection was dead already. May it be sent again?
    fn came_back(&mut self) -> bool {
        self.returns += 1;
        self.returns <= MAX_RETURNS
    }

    /// The request was sent to `run` and not answered. May it be sent again, as far as its body can?
    pub(crate) fn may_go_again(&mut self, run: RunId, unanswered: &Unanswered) -> bool {
        match unanswered.fate() {
            Fate::Unwritten => self.came_back(),
            Fate::Unprocessed if self.came_back() => true,
            // Nothing is lost by waiting, until it has waited for as long as any request may.
            Fate::Unprocessed | Fate::Refused => {
                self.refused_by(run, &unanswered.reason());
                true
            }
            Fate::Unknown if self.is_repeatable() => {
                self.failed = Some(run);
                true
            }
            Fate::Unknown | Fate::Garbled => false,
        }
    }

    /// It is held; gives when that began, and whether it begins now.
    pub(crate) fn held_since(&mut self) -> (Instant, bool) {
        let first = self.held.is_none();
        (*self.held.get_or_insert_with(Instant::now), first)
    }

    /// What to say when no run can be entered.
    pub(crate) fn nobody(&self, reason: String) -> Refusal {
        match &self.last_refusal {
            Some(refusal) => Refusal::bad_gateway(format!("{reason}; {refusal}")),
            None => Refusal::unavailable(reason),
        }
    }
}
