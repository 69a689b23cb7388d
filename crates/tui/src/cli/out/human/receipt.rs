//! What a rolling restart did.

use jiff::tz::TimeZone;
use smoothserve_protocol::snapshot::{Ledger, Receipt, StepPhase, StepView};

use super::{heading, last_words};
use crate::cli::out::text::{Cell, table};
use crate::fmt::{count, day_and_clock, latency, took};
use crate::style::Role;
use crate::words::{self, escape};

/// The line that stays after a restart.
pub(crate) fn receipt(receipt: &Receipt) -> String {
    let Receipt { service, replaced, of, to, took_ms, ledger, .. } = receipt;
    let ended = if receipt.done { "done in" } else { "halted after" };
    let cut = if ledger.cut > 0 { format!(", {} cut", count(ledger.cut)) } else { String::new() };
    format!(
        "{service}  {ended} {}   {replaced} of {of} on {to}   {} requests during it, {} lost{cut}, {} held",
        took(*took_ms),
        count(ledger.accepted),
        count(ledger.lost),
        count(ledger.held),
    )
}

/// What a restart did to each instance, and how many were ready throughout.
pub(crate) fn receipt_steps(receipt: &Receipt) -> Vec<String> {
    let mut lines: Vec<_> =
        receipt.steps.iter().map(|one| step(receipt, one, words::step_parts(one))).collect();
    lines.push(format!("  at least {} of {} ready throughout", receipt.min_ready, receipt.of));
    lines
}

fn step(receipt: &Receipt, step: &StepView, mut parts: Vec<String>) -> String {
    if step.phase == StepPhase::Failed {
        parts.push("failed".to_owned());
    } else if parts.is_empty() {
        parts.push("not touched".to_owned());
    }
    format!("  {}-{}  {}", receipt.service, step.slot, parts.join(", "))
}

/// `smoothtool history`: a line a restart.
pub(crate) fn history(receipts: &[Receipt], zone: &TimeZone) -> String {
    let mut rows = vec![heading(&[
        "WHEN",
        "SERVICE",
        "OPERATION",
        "GENERATION",
        "RESULT",
        ">REPLACED",
        ">TOOK",
        ">LOST",
        ">HELD",
        ">MIN READY",
        "CAUSE",
    ])];
    rows.extend(receipts.iter().map(|receipt| past(receipt, zone)));
    table(&rows).join("\n")
}

fn past(receipt: &Receipt, zone: &TimeZone) -> Vec<Cell> {
    let Receipt { operation, service, from, to, replaced, of, took_ms, ledger, .. } = receipt;
    let (result, role) = if receipt.done { ("done", Role::Plain) } else { ("halted", Role::Bad) };
    let lost = Cell::figure(count(ledger.all_lost()));
    vec![
        Cell::word(day_and_clock(receipt.unix_ms, zone), Role::Quiet),
        Cell::word(service.as_str(), Role::Plain),
        Cell::word(operation.to_string(), Role::Plain),
        Cell::word(format!("{from} to {to}"), Role::Plain),
        Cell::word(result, role),
        Cell::figure(format!("{replaced}/{of}")),
        Cell::figure(took(*took_ms)),
        if ledger.all_lost() > 0 { lost.in_role(Role::Bad) } else { lost },
        Cell::figure(count(ledger.held)),
        Cell::figure(receipt.min_ready.to_string()),
        Cell::word(words::cause(&receipt.cause), Role::Plain),
    ]
}

/// Everything that is known of a restart that has ended.
pub(crate) fn whole_receipt(receipt: &Receipt, zone: &TimeZone) -> String {
    let Receipt { operation, service, from, to, .. } = receipt;
    let (when, cause) = (day_and_clock(receipt.unix_ms, zone), words::cause(&receipt.cause));
    let mut lines =
        vec![format!("{when}  {operation}  {from} to {to}, {cause}"), self::receipt(receipt)];
    lines.extend(receipt.steps.iter().map(|one| step(receipt, one, words::step_times(one))));
    lines.push(format!("  at least {} of {} ready throughout", receipt.min_ready, receipt.of));
    lines.push(format!("  {}", sum(&receipt.ledger)));
    if let Some(us) = receipt.slowest_held_us {
        lines.push(format!("  the longest that a request was held: {}", latency(us)));
    }
    if let Some(why) = &receipt.halted {
        lines.push(format!("  halted: {}", escape(why)));
    }
    if let Some((slot, failure)) = &receipt.failure {
        lines.push(format!("  {service}-{slot} {}", words::failure_reason(failure)));
        lines.extend(last_words(failure, usize::MAX));
    }
    lines.extend(receipt.remarks.iter().map(|remark| format!("  remark: {}", escape(remark))));
    lines.join("\n")
}

/// The ledger, of which every part was counted by itself.
fn sum(ledger: &Ledger) -> String {
    format!(
        "accepted {} = done {} + in flight {} + lost {} ({} cut)   retried {}, held {}, tunnels closed {}",
        count(ledger.accepted),
        count(ledger.done()),
        count(ledger.in_flight),
        count(ledger.all_lost()),
        count(ledger.cut),
        count(ledger.retried),
        count(ledger.held),
        count(ledger.tunnels_closed),
    )
}
