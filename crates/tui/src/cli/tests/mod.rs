//! Verbs from end to end, against a daemon that says what a test tells it to.

mod fake;
mod samples;
mod verbs;
