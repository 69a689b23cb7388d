//! One admitted request, from the moment it is accepted until its last byte or its end.
//!
//! An [`Exchange`] ends exactly once, as exactly one thing, and whatever it holds is released with
//! it: by a call that says how it ended, or by being dropped, in a panic too.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderValue, Response};
use smoothserve_protocol::id::Slot;

use super::access::Access;
use super::client::Client;
use super::endpoint::{Age, Pass};
use super::ledger::Outcome;
use super::link::Link;
use super::progress::Awaited;
use super::refusal::Refusal;
use super::service::ServiceProxy;
use super::upload::Upload;
use super::upstream::{AnswerBody, Unanswered, Upstream};
use super::visit::{RequestLine, Visit};

/// A request that counts as accepted and in flight while this lives.
pub(crate) struct Exchange {
    service: Arc<ServiceProxy>,
    client: Arc<Client>,
    asker: Asker,
    began: Instant,
    /// The run that works on it; none while it is held or between two tries.
    pass: Option<Pass>,
    outcome: Outcome,
    /// The instance answered with 500 or above.
    failed: bool,
    retried: bool,
    /// For the access log.
    note: Option<Box<Access>>,
}

/// What is known of who sent a request, beyond the client's connection.
pub(crate) struct Asker {
    /// Who asks, if the client asks for somebody else.
    pub(crate) behind: Option<IpAddr>,
    /// The name of the request, if requests have one.
    pub(crate) id: Option<HeaderValue>,
}

impl Exchange {
    /// Counts a request of `client` as accepted.
    pub(crate) fn begin(
        service: Arc<ServiceProxy>,
        client: Arc<Client>,
        asker: Asker,
        began: Instant,
        mut note: Option<Box<Access>>,
    ) -> Self {
        service.counts().begin();
        client.progress().begin(service.patience());
        if let Some(note) = &mut note {
            note.service = Some(Arc::clone(&service));
            // The log tells of whoever asks, as the instance is told.
            note.client = asker.behind.unwrap_or(note.client);
        }
        Self {
            service,
            client,
            asker,
            began,
            pass: None,
            // What it is if nobody says otherwise: a request is dropped whose client is gone.
            outcome: Outcome::ClientAborted,
            failed: false,
            retried: false,
            note,
        }
    }

    pub(crate) fn service(&self) -> &Arc<ServiceProxy> {
        &self.service
    }

    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Works inside this run from now on, on a connection that is there or a new one.
    ///
    /// # Errors
    ///
    /// The run could not be connected to, and has been left again.
    pub(crate) async fn enter(
        &mut self,
        pass: Pass,
        line: RequestLine,
        now: Instant,
        age: Age,
    ) -> std::io::Result<Upstream> {
        if let Some(note) = &mut self.note {
            note.entered(pass.launched());
        }
        let pass = self.pass.insert(pass);
        let visit = Visit::new(Arc::clone(&self.client), self.asker.behind, line, self.began);
        if let Some(upstream) = pass.sit(visit, now, age) {
            return Ok(upstream);
        }
        let limit = self.service.config().requests.connect_timeout;
        // Boxed, so that requests for which a connection is there need no room for it.
        let connected = Box::pin(pass.connect(limit, age)).await;
        if let Err(error) = &connected {
            if is_of_the_run(error) {
                self.failed_there(&error.to_string());
            }
            self.leave();
        }
        connected
    }

    /// The run is to blame for it that the request got no answer.
    pub(crate) fn failed_there(&self, why: &str) {
        if let Some(pass) = &self.pass {
            self.service.failed_in(pass, why);
        }
    }

    /// Sends a request there and waits for the head of its answer; none: it is overdue.
    pub(crate) async fn ask(
        &self,
        upstream: &mut Upstream,
        head: &Parts,
        upload: Upload,
    ) -> Option<Result<Response<AnswerBody>, Unanswered>> {
        let progress = self.client.progress();
        progress.wait_for(Awaited::Answer);
        progress.unless_overdue(Awaited::Answer, pin!(upstream.send(head, upload))).await
    }

    /// Leaves the run; another one may be tried.
    pub(crate) fn leave(&mut self) {
        self.pass = None;
    }

    /// Whose run works on it.
    pub(crate) fn slot(&self) -> Option<Slot> {
        self.pass.as_ref().map(|pass| pass.launched().slot)
    }

    /// The connection it took was closed before it was answered; it is sent again.
    pub(crate) fn found_closed(&self) {
        if let Some(pass) = &self.pass {
            pass.note_sent_again();
        }
    }

    /// A second try begins.
    pub(crate) fn retry(&mut self) {
        if let Some(note) = &mut self.note {
            note.retries += 1;
        }
        if !self.retried {
            self.retried = true;
            self.service.counts().retried();
        }
    }

    /// What the instance answered.
    pub(crate) fn answered(&mut self, status: http::StatusCode) {
        self.client.progress().wait_for(Awaited::Rest);
        self.failed = status.is_server_error();
        if let Some(pass) = &self.pass {
            pass.endpoint().answered();
        }
        if let Some(note) = &mut self.note {
            note.answered(status);
        }
    }

    /// It waited for an instance.
    pub(crate) fn waited(&mut self, time: Duration) {
        if let Some(note) = &mut self.note {
            note.held += time;
        }
    }

    /// So many bytes of the answer's body were handed over.
    pub(crate) fn handed_over(&mut self, bytes: usize) {
        if let Some(note) = &mut self.note {
            note.bytes += bytes as u64;
        }
    }

    /// The last byte was handed over; `link` may serve another request.
    pub(crate) fn complete(mut self, link: Option<Link>) {
        self.outcome = Outcome::Completed;
        let now = Instant::now();
        if let (Some(pass), Some(link)) = (&mut self.pass, link) {
            pass.give_back(link, now);
        }
        self.end(now);
    }

    /// The answer is ours, and as good as one of an instance.
    pub(crate) fn answered_by_us(mut self, answer: Refusal) -> Refusal {
        if let Some(note) = &mut self.note {
            note.refused(&answer);
        }
        self.complete(None);
        answer
    }

    /// The client switches protocols: this is done, and its pass goes on with the tunnel.
    pub(crate) fn upgrade(mut self) -> Option<Pass> {
        self.outcome = Outcome::Completed;
        self.end(Instant::now());
        self.pass.take()
    }

    /// The instance broke off in the middle of its answer, or was given up there.
    pub(crate) fn broke_off(mut self) {
        self.report_loss(match self.client.progress().overdue() {
            Some(Awaited::Rest) => "the instance sent nothing more in the middle of its answer",
            _ => "the instance broke off in the middle of its answer",
        });
        self.outcome = Outcome::Lost;
    }

    /// There will be no answer but ours.
    pub(crate) fn lose(mut self, refusal: Refusal) -> Refusal {
        self.report_loss(refusal.reason());
        if let Some(note) = &mut self.note {
            note.refused(&refusal);
        }
        self.outcome = Outcome::Lost;
        refusal
    }

    /// A loss that an operator caused by cutting is no news to the operator.
    fn report_loss(&self, reason: &str) {
        if !self.client.is_cut() {
            let addr = self.pass.as_ref().map(Pass::addr);
            self.service.losses().report(self.service.name().as_str(), reason, addr);
        }
    }

    fn end(&mut self, now: Instant) {
        let outcome = match self.outcome {
            Outcome::Completed => Outcome::Completed,
            _ if self.client.is_cut() => Outcome::Cut,
            _ if std::thread::panicking() => Outcome::Lost,
            outcome => outcome,
        };
        self.outcome = Outcome::Ended;
        self.client.progress().wait_for(Awaited::Next);
        let failed = self.failed || matches!(outcome, Outcome::Lost);
        let took = now.saturating_duration_since(self.began);
        if let Some(pass) = &self.pass {
            pass.traffic().add(took, outcome, failed);
        }
        self.service.traffic().add(took, outcome, failed);
        tracing::debug!(
            service = %self.service.name(),
            client = %self.asker.behind.unwrap_or_else(|| self.client.addr().ip()),
            request_id = self.asker.id.as_ref().and_then(|id| id.to_str().ok()),
            run = ?self.pass.as_ref().map(Pass::run),
            ?outcome,
            ?took,
            "request ended"
        );
        self.service.counts().end(outcome);
        if let Some(note) = self.note.take() {
            self.client.proxy().accesses().tell(note, now, outcome.name());
        }
    }
}

/// Whether a connection failed by the fault of whom it was to reach, and not for want of
/// descriptors, ports or memory on our side.
fn is_of_the_run(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable,
        NotFound, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionRefused
            | ConnectionReset
            | ConnectionAborted
            | HostUnreachable
            | NetworkUnreachable
            | NotFound
            | TimedOut
    )
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !matches!(self.outcome, Outcome::Ended) {
            self.end(Instant::now());
        }
        // And now the pass: whoever hears the ring finds this request counted.
    }
}
