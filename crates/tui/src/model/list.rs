//! The list of services as it is shown: which, in what order, and which of them are marked.
//!
//! It knows names alone, never rows by number: what is shown in a row is looked up by its name. The
//! cursor is [`super::select`].

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::snapshot::{ServiceRow, ServiceState};

use super::clock::Moment;
use super::filter::Filter;

/// Rows that are in the order of a figure move no more often than this, in milliseconds.
const RESORTED_AFTER: u64 = 1_000;

/// What the rows are ordered by. Names break ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// What needs a look comes first: rows move when a state changes and never because a rate does.
    #[default]
    State,
    /// The name.
    Name,
    /// Requests whose last byte is owed.
    InFlight,
    /// Requests a second.
    Rate,
    /// The 99th percentile.
    P99,
    /// The share of errors.
    Errors,
    /// Requests lost since the daemon started.
    Lost,
}

impl Column {
    /// The one after it, around in a circle.
    const fn next(self) -> Self {
        match self {
            Self::State => Self::Name,
            Self::Name => Self::InFlight,
            Self::InFlight => Self::Rate,
            Self::Rate => Self::P99,
            Self::P99 => Self::Errors,
            Self::Errors => Self::Lost,
            Self::Lost => Self::State,
        }
    }

    /// As the screen names it.
    const fn name(self) -> &'static str {
        match self {
            Self::State => "state, name",
            Self::Name => "name",
            Self::InFlight => "in flight",
            Self::Rate => "rps",
            Self::P99 => "p99",
            Self::Errors => "errors",
            Self::Lost => "lost",
        }
    }

    /// Whether it moves all the time.
    const fn is_figure(self) -> bool {
        !matches!(self, Self::State | Self::Name)
    }

    /// What an operator looks for comes first: the worst state, the highest figure.
    fn compare(self, a: &ServiceRow, b: &ServiceRow) -> Ordering {
        let (x, y) = (&a.traffic, &b.traffic);
        match self {
            Self::State => rank(a.state).cmp(&rank(b.state)),
            Self::Name => a.name.cmp(&b.name),
            Self::InFlight => y.in_flight.cmp(&x.in_flight),
            Self::Rate => y.milli_rps.cmp(&x.milli_rps),
            Self::P99 => y.p99_us.cmp(&x.p99_us),
            Self::Errors => y.errors_ppm.cmp(&x.errors_ppm),
            Self::Lost => y.lost.cmp(&x.lost),
        }
    }
}

const fn rank(state: ServiceState) -> u8 {
    match state {
        ServiceState::Failed => 0,
        ServiceState::Degraded => 1,
        ServiceState::Restarting => 2,
        ServiceState::Starting
        | ServiceState::Stopping
        | ServiceState::Ready
        | ServiceState::Stopped => 3,
    }
}

/// The list of services.
#[derive(Clone, Debug, Default)]
pub struct List {
    shown: Vec<ServiceName>,
    column: Column,
    is_reversed: bool,
    filter: Filter,
    marked: BTreeSet<ServiceName>,
    /// When the rows were last put in order; none: they must be, whatever the time.
    sorted: Option<Moment>,
}

impl List {
    /// What is shown, from the first row to the last.
    pub fn shown(&self) -> &[ServiceName] {
        &self.shown
    }

    /// What the rows are ordered by.
    pub const fn column(&self) -> Column {
        self.column
    }

    /// The order in words.
    pub fn order(&self) -> String {
        let reversed = if self.is_reversed { " reversed" } else { "" };
        format!("sort {}{reversed}", self.column.name())
    }

    /// What is let pass.
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Lets something else pass. What is shown follows with [`Self::arrange`].
    pub fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
        self.sorted = None;
    }

    /// Orders by the next column, in its own direction.
    pub const fn sort_by_next(&mut self) {
        self.column = self.column.next();
        self.is_reversed = false;
        self.sorted = None;
    }

    /// Turns the order round.
    pub const fn reverse(&mut self) {
        self.is_reversed = !self.is_reversed;
        self.sorted = None;
    }

    /// The services are now these, by name. Rows keep their places while somebody reads them: in the order of
    /// a figure for a second, and for as long as `is_held`.
    pub fn arrange(&mut self, rows: &[ServiceRow], now: Moment, is_held: bool) {
        self.marked.retain(|name| rows.binary_search_by(|row| row.name.cmp(name)).is_ok());
        let mut shown: Vec<&ServiceRow> =
            rows.iter().filter(|row| self.filter.lets_pass(row)).collect();
        if self.may_move(now, is_held) {
            shown.sort_by(|a, b| self.compare(a, b));
            self.sorted = Some(now);
        } else {
            let places: HashMap<_, _> = self.shown.iter().zip(0..).collect();
            // What is new goes to the end.
            shown.sort_by_key(|row| places.get(&row.name).copied().unwrap_or(usize::MAX));
        }
        self.shown = shown.into_iter().map(|row| row.name.clone()).collect();
    }

    fn may_move(&self, now: Moment, is_held: bool) -> bool {
        let Some(sorted) = self.sorted else { return true };
        !is_held && (!self.column.is_figure() || now.since(sorted) >= RESORTED_AFTER)
    }

    fn compare(&self, a: &ServiceRow, b: &ServiceRow) -> Ordering {
        let order = self.column.compare(a, b);
        let order = if self.is_reversed { order.reverse() } else { order };
        order.then_with(|| a.name.cmp(&b.name))
    }

    /// Marks `name`, or takes its mark away.
    pub fn toggle_mark(&mut self, name: &ServiceName) {
        if !self.marked.remove(name) {
            self.marked.insert(name.clone());
        }
    }

    /// Marks everything that is shown, or, when all of that is marked, nothing at all.
    pub fn mark_all_or_none(&mut self) {
        if self.shown.iter().all(|name| self.marked.contains(name)) {
            self.marked.clear();
        } else {
            self.marked.extend(self.shown.iter().cloned());
        }
    }

    /// Takes the mark of `name` away.
    pub fn unmark(&mut self, name: &ServiceName) {
        self.marked.remove(name);
    }

    /// Takes all marks away.
    pub fn unmark_all(&mut self) {
        self.marked.clear();
    }

    /// Whether `name` is marked.
    pub fn is_marked(&self, name: &ServiceName) -> bool {
        self.marked.contains(name)
    }

    /// How many are marked, those included that are not shown.
    pub fn marks(&self) -> usize {
        self.marked.len()
    }

    /// What is marked and shown, from the first row to the last.
    pub fn marked(&self) -> impl Iterator<Item = &ServiceName> {
        self.shown.iter().filter(|name| self.marked.contains(*name))
    }
}
