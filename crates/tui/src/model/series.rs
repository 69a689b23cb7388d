//! The last 60 seconds of each service, one sample a second, kept by the console itself.

use std::collections::{BTreeMap, VecDeque};

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::snapshot::{ServiceRow, Traffic};

use super::clock::Moment;

/// Samples kept.
pub const LENGTH: usize = 60;
/// Figures come once a second; a whole overview in between is no sample.
const STEP: u64 = 900;

/// One figure of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Requests ended per 1 000 seconds.
    Rate,
    /// The 99th percentile in microseconds.
    P99,
    /// Requests whose last byte is owed.
    InFlight,
    /// Errors per million.
    Errors,
}

/// The rings, by service.
#[derive(Clone, Debug, Default)]
pub struct Series {
    rings: BTreeMap<ServiceName, VecDeque<Traffic>>,
    sampled: Option<Moment>,
}

impl Series {
    /// Takes a sample of every service, unless the last one is too near.
    pub fn sample(&mut self, rows: &[ServiceRow], now: Moment) {
        if self.sampled.is_some_and(|sampled| now.since(sampled) < STEP) {
            return;
        }
        self.sampled = Some(now);
        if self.rings.len() > rows.len() {
            self.rings.retain(|name, _| rows.iter().any(|row| row.name == *name));
        }
        for row in rows {
            let ring = self.rings.entry(row.name.clone()).or_default();
            if ring.len() == LENGTH {
                ring.pop_front();
            }
            ring.push_back(row.traffic);
        }
    }

    /// The last minute of one figure, oldest first; shorter when less is known.
    pub fn last_minute(&self, name: &ServiceName, figure: Figure) -> Vec<u64> {
        let ring = self.rings.get(name).into_iter().flatten();
        ring.map(|traffic| match figure {
            Figure::Rate => traffic.milli_rps,
            Figure::P99 => traffic.p99_us.unwrap_or(0),
            Figure::InFlight => traffic.in_flight,
            Figure::Errors => u64::from(traffic.errors_ppm),
        })
        .collect()
    }
}
