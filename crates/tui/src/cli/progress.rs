//! What a running operation looks like while one waits for it, and how often one is told.
//!
//! Pure: the caller brings the time and the stream.

use std::time::Duration;

use smoothserve_protocol::snapshot::{OperationView, ServiceDetail};
use tokio::time::Instant;

use super::out::text::pips;
use crate::fmt::{count, duration};
use crate::style::Glyphs;
use crate::words::{blockers, doing, under_way};

/// On a terminal, at most 5 lines a second.
const REDRAW: Duration = Duration::from_millis(200);
/// Elsewhere, a sign of life after so much silence.
const SILENCE: Duration = Duration::from_secs(30);

/// What can be said of an operation at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What it does just now; another text is another state.
    pub(crate) doing: String,
    /// The whole line.
    pub(crate) line: String,
}

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One line that is drawn again and again.
    Redraw,
    /// A line for each change of state, and one for each long silence.
    Lines,
    /// A change of state each, for programs.
    Changes,
}

/// Decides when to tell.
#[derive(Debug)]
pub(crate) struct Progress {
    mode: Mode,
    seen: Option<Seen>,
    /// What was told last, and when.
    told: Option<(Seen, Instant)>,
}

impl Progress {
    /// Nothing is told yet.
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode, seen: None, told: None }
    }

    /// Takes note of what is so now.
    pub(crate) fn see(&mut self, seen: Seen) {
        self.seen = Some(seen);
    }

    /// What to tell now, if it is time.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<&Seen> {
        if self.due(now)? > now {
            return None;
        }
        self.told = self.seen.clone().map(|seen| (seen, now));
        self.seen.as_ref()
    }

    /// When to ask [`Progress::poll`] again, if nothing new is seen.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let seen = self.seen.as_ref()?;
        let Some((told, at)) = &self.told else { return Some(now) };
        let changed = told.doing != seen.doing;
        match self.mode {
            Mode::Redraw => (told != seen).then_some(*at + REDRAW),
            Mode::Lines => Some(if changed { *at } else { *at + SILENCE }),
            Mode::Changes => changed.then_some(*at),
        }
    }
}

/// After so long, what a drain waits for is worth a name.
const WORTH_A_NAME: u64 = 2_000;

/// What `service` shows of its operation; none: none runs.
pub(crate) fn seen(service: &ServiceDetail, glyphs: &Glyphs) -> Option<Seen> {
    let operation = service.operation.as_ref()?;
    let summary = operation.summary;
    let mut doing = doing(service, operation);
    let Inside { left, waits } = inside(service, operation).unwrap_or_default();
    let waits_for = waits.as_ref().map(|who| format!(", waiting for {who}")).unwrap_or_default();
    let mut line = format!(
        "{}  {}  {} of {}   {doing}{left}{waits_for}   in flight {}   lost {}",
        service.row.name,
        pips(&service.row.pips, glyphs),
        summary.done,
        summary.of,
        count(operation.ledger.in_flight),
        count(operation.ledger.all_lost()),
    );
    if let Some(eta_ms) = operation.eta_ms {
        line += &format!("   eta {}", duration(eta_ms));
    }
    if waits.is_some() {
        // Not by name: the oldest may change many times a second, and that is no other state.
        doing += ", waiting for requests";
    }
    Some(Seen { doing, line })
}

/// The only drain there is.
#[derive(Default)]
struct Inside {
    /// How far it is.
    left: String,
    /// What it waits for, when that takes long.
    waits: Option<String>,
}

fn inside(service: &ServiceDetail, operation: &OperationView) -> Option<Inside> {
    let [one] = under_way(service, operation)[..] else { return None };
    let drain = one.drain.as_ref()?;
    let inside = one.in_flight.saturating_add(one.tunnels);
    let (left, of) = (count(u64::from(inside)), count(u64::from(drain.began_with)));
    let long = drain.since_ms > WORTH_A_NAME;
    let waits = if long { blockers(&drain.blockers, inside) } else { None };
    Some(Inside { left: format!(": {left} of {of} left"), waits })
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::snapshot::StepPhase;

    use super::*;
    use crate::cli::tests::samples::{paused, restarting};
    use crate::style::glyphs::UNICODE;

    fn seen(doing: &str, line: &str) -> Seen {
        Seen { doing: doing.into(), line: line.into() }
    }

    fn told(progress: &mut Progress, now: Instant) -> Option<String> {
        progress.poll(now).map(|seen| seen.line.clone())
    }

    #[test]
    fn a_terminal_is_redrawn_at_most_five_times_a_second() {
        let mut progress = Progress::new(Mode::Redraw);
        let start = Instant::now();
        assert_eq!(told(&mut progress, start), None, "nothing seen");
        progress.see(seen("a", "a 1"));
        assert_eq!(told(&mut progress, start).as_deref(), Some("a 1"));
        progress.see(seen("a", "a 2"));
        assert_eq!(told(&mut progress, start + Duration::from_millis(100)), None);
        progress.see(seen("b", "b 3"));
        assert_eq!(told(&mut progress, start + REDRAW).as_deref(), Some("b 3"));
        assert_eq!(progress.due(start + REDRAW), None, "nothing changed");
    }

    #[test]
    fn a_pipe_hears_of_changes_and_of_long_silence() {
        let mut progress = Progress::new(Mode::Lines);
        let start = Instant::now();
        progress.see(seen("a", "a 1"));
        assert_eq!(told(&mut progress, start).as_deref(), Some("a 1"));
        progress.see(seen("a", "a 2"));
        assert_eq!(told(&mut progress, start + Duration::from_secs(29)), None);
        assert_eq!(told(&mut progress, start + SILENCE).as_deref(), Some("a 2"));
        progress.see(seen("b", "b 3"));
        assert_eq!(told(&mut progress, start + SILENCE).as_deref(), Some("b 3"));
    }

    #[test]
    fn a_drain_that_takes_long_names_what_it_waits_for() {
        let shown = |since_ms| {
            let mut service = restarting();
            service.instances[1].drain.as_mut().unwrap().since_ms = since_ms;
            super::seen(&service, &UNICODE).unwrap()
        };
        let (early, late, later) = (shown(2_000), shown(2_001), shown(30_000));
        assert_eq!(early.doing, "draining api-2");
        assert!(early.line.contains("draining api-2: 3 of 14 left   in flight"), "{}", early.line);
        let waits = "draining api-2: 3 of 14 left, waiting for GET /export 41s from 10.0.0.7:4312 and 2 more";
        assert!(late.line.contains(waits), "{}", late.line);
        assert_ne!(late.doing, early.doing, "a pipe hears of it");
        assert_eq!(late.doing, later.doing, "once");
    }

    #[test]
    fn a_restart_that_is_paused_or_ended_says_so() {
        let seen = |service: &ServiceDetail| super::seen(service, &UNICODE).unwrap().doing;
        let mut service = paused();
        let then = "draining api-2, then paused by ops@bastion, waiting for requests";
        assert_eq!(seen(&service), then);
        service.operation.as_mut().unwrap().steps[1].phase = StepPhase::Done;
        assert_eq!(seen(&service), "paused by ops@bastion");
        service.operation.as_mut().unwrap().aborting = true;
        assert_eq!(seen(&service), "aborting");
    }
}
