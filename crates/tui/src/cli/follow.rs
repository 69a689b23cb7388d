//! Watches an operation until its answer comes, the time is over, or the operator goes away.

use std::time::Duration;

use smoothserve_protocol::id::{OperationId, RequestId, ServiceName};
use smoothserve_protocol::message::{Done, Push, Refusal, Request};
use smoothserve_protocol::snapshot::ServiceDetail;
use tokio::time::{Instant, sleep_until};

use super::exit::Exit;
use super::out::{Out, json};
use super::problem::Problem;
use super::progress::{self, Mode, Progress, Seen};
use super::session::{Link, Session};
use crate::client::Said;

/// A command whose end is awaited.
#[derive(Debug)]
pub(crate) struct Command {
    /// The word for it in JSON.
    pub(crate) verb: &'static str,
    /// What it is about.
    pub(crate) service: ServiceName,
    /// What to ask; its answer ends the wait.
    pub(crate) request: Request,
    /// How long to wait; none: as long as it takes.
    pub(crate) timeout: Option<Duration>,
    /// Answer in JSON.
    pub(crate) json: bool,
}

/// Asks, shows how it goes, and returns the daemon's answer.
///
/// # Errors
/// When the daemon refuses or is gone; with [`Exit::TimedOut`] and [`Exit::Interrupted`] when
/// nobody waits any more, in which case the operation goes on.
pub(crate) async fn follow(
    session: &mut Session,
    link: &mut Link,
    command: Command,
) -> Result<Done, Problem> {
    link.watch(Some(&command.service)).await?;
    let gone = |error| Problem::disconnected(&link.target, &error);
    let asked = link.client.send(command.request.clone()).await.map_err(gone)?;
    let mut watch = Watch::new(&session.out, &command, asked);
    let result = watch.run(session, link).await;
    session.out.end_line();
    result
}

/// How progress is shown on these streams.
pub(crate) fn mode(out: &Out, json: bool) -> Mode {
    match (json, out.terminals.stderr) {
        (true, _) => Mode::Changes,
        (false, true) => Mode::Redraw,
        (false, false) => Mode::Lines,
    }
}

/// Shows one line of progress as the mode wants it.
pub(crate) fn tell(out: &mut Out, mode: Mode, seen: &Seen) {
    match mode {
        Mode::Redraw => out.draw_line(&seen.line),
        Mode::Lines | Mode::Changes => out.note(&seen.line),
    }
}

struct Watch<'a> {
    command: &'a Command,
    asked: RequestId,
    mode: Mode,
    progress: Progress,
    until: Option<Instant>,
    service: Option<Box<ServiceDetail>>,
    operation: Option<OperationId>,
}

impl<'a> Watch<'a> {
    fn new(out: &Out, command: &'a Command, asked: RequestId) -> Self {
        let mode = mode(out, command.json);
        Self {
            command,
            asked,
            mode,
            progress: Progress::new(mode),
            until: command.timeout.map(|timeout| Instant::now() + timeout),
            service: None,
            operation: None,
        }
    }

    async fn run(&mut self, session: &mut Session, link: &mut Link) -> Result<Done, Problem> {
        loop {
            self.tell(&mut session.out)?;
            let due = self.progress.due(Instant::now());
            tokio::select! {
                biased;
                () = &mut session.interrupt => return Err(self.left(Exit::Interrupted)),
                said = link.client.next() => {
                    let said = said.map_err(|error| Problem::disconnected(&link.target, &error))?;
                    if let Some(result) = self.hear(session, said) {
                        return result.map_err(|refusal| {
                            Problem::refused(Some(&self.command.service), &refusal)
                        });
                    }
                }
                () = at(self.until) => return Err(self.left(Exit::TimedOut)),
                () = at(due) => {}
            }
        }
    }

    fn hear(&mut self, session: &Session, said: Said) -> Option<Result<Done, Refusal>> {
        match said {
            Said::Answer(id, result) if id == self.asked => return Some(result),
            // The service before this one may still be talked about.
            Said::Push(Push::Service(Some(service)))
                if service.row.name == self.command.service =>
            {
                self.service = Some(service);
                self.look(session);
            }
            Said::Push(Push::ServiceMoved(moved)) => {
                if let Some(service) = &mut self.service {
                    service.take(*moved);
                    self.look(session);
                }
            }
            // Events, the other services, a farewell that the end of the connection explains, and
            // answers that nobody awaits.
            Said::Answer(..) | Said::Push(_) => {}
        }
        None
    }

    fn look(&mut self, session: &Session) {
        let Some(service) = &self.service else { return };
        if let Some(seen) = progress::seen(service, session.out.glyphs) {
            self.progress.see(seen);
        }
        self.operation = service.row.operation.map(|operation| operation.id);
    }

    fn tell(&mut self, out: &mut Out) -> Result<(), Problem> {
        let Some(seen) = self.progress.poll(Instant::now()) else { return Ok(()) };
        match (self.mode, &self.service) {
            (Mode::Changes, Some(service)) => {
                match json::progress(self.command.verb, service, &seen.doing) {
                    Some(object) => out.answer(&object),
                    None => Ok(()),
                }
            }
            (mode, _) => {
                tell(out, mode, seen);
                Ok(())
            }
        }
    }

    /// Nobody waits any more, and the operation goes on.
    fn left(&self, exit: Exit) -> Problem {
        let Command { verb, service, .. } = self.command;
        let why = match exit {
            Exit::TimedOut => "the wait ran out",
            _ => "no longer waiting",
        };
        let awaited = match self.operation {
            Some(operation) => operation.to_string(),
            None => format!("{service} --for done"),
        };
        Problem::new(exit, format!("{why}; the {verb} of {service} goes on"))
            .next(format!("smoothtool wait {awaited}"))
    }
}

/// Resolves at this moment; none: never.
pub(crate) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
