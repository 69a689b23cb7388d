//! Why a command did not do what it was asked: an exit code, and what the operator reads.

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::Refusal;
use smoothserve_protocol::snapshot::Receipt;

use super::exit::Exit;
use crate::client::{ClientError, Target};
use crate::words::{self, Explained, reason};

/// A command that did not do what it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// What the operator reads; nothing, when nobody is there to read.
    pub(crate) explained: Explained,
    /// What a restart did before it failed.
    pub(crate) receipt: Option<Box<Receipt>>,
}

impl Problem {
    /// A problem in one line.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        let explained = Explained { what: what.into(), ..Explained::default() };
        Self { exit, explained, receipt: None }
    }

    /// Adds one line of what happened.
    #[must_use]
    pub(crate) fn detail(mut self, line: impl Into<String>) -> Self {
        self.explained.details.push(line.into());
        self
    }

    /// Adds one line of what to do.
    #[must_use]
    pub(crate) fn next(mut self, line: impl Into<String>) -> Self {
        self.explained.next.push(line.into());
        self
    }

    /// Whoever read our answer has gone, as `head` does: no error, and nothing to say.
    pub(crate) fn reader_gone() -> Self {
        Self::new(Exit::Done, "")
    }

    /// The daemon refused a command about `service`; none: about itself.
    pub(crate) fn refused(service: Option<&ServiceName>, refusal: &Refusal) -> Self {
        let receipt = match refusal {
            Refusal::Halted { receipt, .. }
            | Refusal::DrainTimedOut { receipt, .. }
            | Refusal::Aborted { receipt, .. } => Some(receipt.clone()),
            _ => None,
        };
        Self { exit: refusal.into(), explained: words::refusal(service, refusal), receipt }
    }

    /// There is no connection to the daemon, or none any more.
    pub(crate) fn disconnected(target: &Target, error: &ClientError) -> Self {
        let addr = words::escape(&target.addr);
        let exit = Exit::from(error);
        match error {
            ClientError::Unreachable(error) => {
                let reason = reason(error);
                Self::new(exit, format!("cannot reach smoothserve at {addr}: {reason}"))
                    .next("is it up?          systemctl status smoothserve")
                    .next("another address?   smoothtool --addr HOST:PORT   or SMOOTHTOOL_ADDR")
            }
            ClientError::Silent | ClientError::Foreign => {
                Self::new(exit, format!("cannot reach smoothserve at {addr}: {error}"))
                    .next("another address?   smoothtool --addr HOST:PORT   or SMOOTHTOOL_ADDR")
            }
            ClientError::Token { .. } => Self::new(exit, error.to_string())
                .next("as the user that runs smoothserve, or with --token-file FILE"),
            ClientError::NotAccepted => {
                let file = target.token_file.display();
                Self::new(exit, format!("smoothserve at {addr} did not accept the token"))
                    .detail(format!("it was read from {file}"))
                    .next(
                        "another token?   smoothtool --token-file FILE   or SMOOTHTOOL_TOKEN_FILE",
                    )
            }
            ClientError::Version(_) => {
                Self::new(exit, error.to_string()).next("use the smoothtool of the same release")
            }
            ClientError::Lost(why) => {
                let reason = words::escape(why);
                Self::new(exit, format!("the connection to smoothserve at {addr} ended: {reason}"))
                    .detail("what it was doing may go on")
                    .next("smoothtool status")
            }
        }
    }
}
