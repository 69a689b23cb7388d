//! Exit codes: a public contract with the scripts of operators.

use std::process::ExitCode;

use smoothserve_protocol::message::Refusal;

use crate::client::ClientError;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or already so.
    Done,
    /// The operation failed on the server.
    Failed,
    /// Wrong usage, or a configuration that cannot be read.
    Usage,
    /// The state asked for is not so.
    NotSo,
    /// No such service or operation.
    Unknown,
    /// Refused: another operation runs, or the service is not what was expected.
    Conflict,
    /// Refused: not permitted.
    NotPermitted,
    /// The daemon cannot be reached.
    Unreachable,
    /// The versions are too far apart.
    Version,
    /// The wait ran out; the operation goes on.
    TimedOut,
    /// Ctrl-C: no longer waited for; the operation goes on.
    Interrupted,
    /// The code of a program that was run on the operator's behalf.
    Passed(u8),
}

impl Exit {
    /// The number, as the shell sees it.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotSo => 3,
            Self::Unknown => 4,
            Self::Conflict => 5,
            Self::NotPermitted => 6,
            Self::Unreachable => 7,
            Self::Version => 8,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
            Self::Passed(code) => code,
        }
    }

    /// The end by a signal, as a shell tells it.
    pub(crate) fn of_signal(signal: i32) -> Self {
        Self::Passed(u8::try_from(128 + signal).unwrap_or(1))
    }

    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed | Self::Passed(_) => "failed",
            Self::Usage => "usage",
            Self::NotSo => "not_so",
            Self::Unknown => "unknown",
            Self::Conflict => "conflict",
            Self::NotPermitted => "not_permitted",
            Self::Unreachable => "unreachable",
            Self::Version => "version",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
        }
    }

    /// Of two commands, the one a script should hear of.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if self.severity() >= other.severity() { self } else { other }
    }

    fn severity(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotSo => 1,
            Self::Unknown => 2,
            Self::Conflict => 3,
            Self::Failed | Self::Passed(_) => 4,
            // These end a list of commands, so that nothing comes after them.
            Self::TimedOut
            | Self::Interrupted
            | Self::Usage
            | Self::NotPermitted
            | Self::Unreachable
            | Self::Version => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<&Refusal> for Exit {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::UnknownService { .. } => Self::Unknown,
            Refusal::BadPattern { .. } => Self::Usage,
            Refusal::NothingToSteer { .. } => Self::NotSo,
            Refusal::Preflight { .. }
            | Refusal::Aborted { .. }
            | Refusal::Halted { .. }
            | Refusal::DrainTimedOut { .. }
            | Refusal::StartFailed { .. } => Self::Failed,
            Refusal::Conflict { .. }
            | Refusal::Superseded { .. }
            | Refusal::GenerationMoved { .. }
            | Refusal::NotRunning
            | Refusal::ShuttingDown => Self::Conflict,
            Refusal::NotPermitted => Self::NotPermitted,
        }
    }
}

impl From<&ClientError> for Exit {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::NotAccepted => Self::NotPermitted,
            ClientError::Version(_) => Self::Version,
            ClientError::Token { .. } => Self::NotPermitted,
            ClientError::Unreachable(_)
            | ClientError::Silent
            | ClientError::Foreign
            | ClientError::Lost(_) => Self::Unreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::id::{Generation, OperationId};

    use super::*;

    #[test]
    fn the_codes_are_those_of_the_manual() {
        let codes = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::NotSo, 3),
            (Exit::Unknown, 4),
            (Exit::Conflict, 5),
            (Exit::NotPermitted, 6),
            (Exit::Unreachable, 7),
            (Exit::Version, 8),
            (Exit::TimedOut, 124),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn of_several_names_the_worst_counts() {
        let worst = |exits: &[Exit]| exits.iter().copied().fold(Exit::Done, Exit::worse);
        assert_eq!(worst(&[Exit::Done, Exit::Unknown, Exit::Done]), Exit::Unknown);
        assert_eq!(worst(&[Exit::Unknown, Exit::Conflict]), Exit::Conflict);
        assert_eq!(worst(&[Exit::Failed, Exit::Conflict, Exit::Unknown]), Exit::Failed);
    }

    #[test]
    fn refusals_and_broken_connections_have_their_codes() {
        let (expected, found) = (Generation(1), Generation(2));
        for (refusal, code) in [
            (Refusal::Preflight { problem: String::new() }, 1),
            (Refusal::StartFailed { failures: Vec::new() }, 1),
            (Refusal::Conflict { operation: OperationId(1), what: String::new() }, 5),
            (Refusal::GenerationMoved { expected, found }, 5),
            (Refusal::NotRunning, 5),
            (Refusal::ShuttingDown, 5),
            (Refusal::NotPermitted, 6),
            (Refusal::NothingToSteer { why: String::new() }, 3),
            (Refusal::BadPattern { error: String::new() }, 2),
        ] {
            assert_eq!(Exit::from(&refusal).code(), code, "{refusal:?}");
        }
        for (error, code) in [
            (ClientError::Silent, 7),
            (ClientError::Foreign, 7),
            (ClientError::NotAccepted, 6),
            (ClientError::Version(2), 8),
        ] {
            assert_eq!(Exit::from(&error).code(), code, "{error:?}");
        }
    }
}
