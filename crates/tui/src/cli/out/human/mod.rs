//! Answers for people.

mod drain;
mod log;
mod plan;
mod receipt;
mod status;
mod why;

use jiff::tz::TimeZone;
use smoothserve_protocol::event::Event;
use smoothserve_protocol::failure::Failure;
use smoothserve_protocol::snapshot::InstanceView;

use super::text::{Cell, paint};
use crate::cli::problem::Problem;
use crate::fmt::day_and_clock;
use crate::style::{Glyphs, Role};
use crate::words::{self, escape, event_line, instance_state};

pub(crate) use log::log_line;
pub(crate) use plan::{reload, restart_plan};
pub(crate) use receipt::{history, receipt, receipt_steps, whole_receipt};
pub(crate) use status::{Width, status};
pub(crate) use why::why;

/// An error: what, why, what next; the first line alone is enough.
pub(crate) fn problem(problem: &Problem) -> String {
    let explained = &problem.explained;
    let mut text = format!("{} {}", paint("error:", Role::Bad), explained.what);
    for line in &explained.details {
        text += &format!("\n  {line}");
    }
    for (position, line) in explained.next.iter().enumerate() {
        let label = if position == 0 { "next:" } else { "" };
        text += &format!("\n  {label:5} {line}");
    }
    text
}

/// One line of `smoothtool events`.
pub(crate) fn event(event: &Event, zone: &TimeZone, glyphs: &Glyphs) -> String {
    let (mark, what) = event_line(event);
    let (glyph, role) = glyphs.mark(mark);
    let glyph = paint(glyph, role);
    format!("{}  {glyph}  {:12}  {what}", day_and_clock(event.unix_ms, zone), words::subject(event))
}

/// At most so many of the last lines that a run wrote.
fn last_words(failure: &Failure, most: usize) -> impl Iterator<Item = String> {
    let skipped = failure.last_output.len().saturating_sub(most);
    let lines = failure.last_output.iter().skip(skipped);
    lines.map(|line| paint(&format!("    | {}", escape(line)), Role::Quiet))
}

/// Headings; those of figures begin with `>`.
fn heading(names: &[&str]) -> Vec<Cell> {
    let cell = |name: &&str| match name.strip_prefix('>') {
        Some(name) => Cell::figure(name).in_role(Role::Strong),
        None => Cell::word(*name, Role::Strong),
    };
    names.iter().map(cell).collect()
}

/// The state of an instance, as it looks.
fn state(instance: &InstanceView) -> String {
    paint(instance_state(instance.state), Role::of_instance(instance.state))
}
