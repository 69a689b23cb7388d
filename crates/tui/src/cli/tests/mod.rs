//! Verbs from end to end, against a daemon that says what a test tells it to.

mod fake;
mod history;
mod logs;
mod rollouts;
pub(super) mod samples;
mod verbs;
