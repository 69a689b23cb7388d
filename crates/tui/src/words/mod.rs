//! What the daemon says, in plain English: one wording for the command line and the console.
//!
//! Knows no colour, no width and no terminal. Whatever came from a process or a file is escaped
//! here, so that no text of a service can steer the terminal it is shown on.

mod blocker;
mod escape;
mod event;
mod failure;
mod nearest;
mod operation;
mod printed;
mod problem;
mod reason;
mod refusal;
mod state;

pub use blocker::{blocker, blockers, on_drain_timeout};
pub use escape::escape;
pub use event::{Mark, Told, cause, event_line, subject, told};
pub use failure::{exit, failure_line, failure_reason, last_output};
pub(crate) use nearest::nearest;
pub use operation::{course, doing, operation_kind, step_parts, step_state, step_times, under_way};
pub use printed::{Piece, Severity, printed, printed_pieces, severity};
pub use problem::problem_line;
pub use reason::reason;
pub use refusal::{Explained, refusal};
pub use state::{instance_name, instance_state, ready, service_state};
