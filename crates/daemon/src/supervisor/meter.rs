//! Rates and percentiles over the last while, from counters that only grow.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use histogram::Histogram;

use crate::proxy::Traffic;

/// Between two samples.
pub(super) const SAMPLE: Duration = Duration::from_secs(1);
/// The rate is the mean over so long.
const RATE: Duration = Duration::from_secs(10);
/// Percentiles and errors are of so long,
const LATENCY: Duration = Duration::from_secs(60);
/// in steps of this.
const STEP: Duration = Duration::from_secs(10);

/// What a console shows of one counter set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub milli_rps: u64,
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub errors_ppm: u32,
}

/// Earlier readings of one counter set.
#[derive(Debug, Default)]
pub(super) struct Meter {
    ended: VecDeque<(Instant, u64)>,
    readings: VecDeque<Reading>,
    figures: Figures,
}

#[derive(Debug)]
struct Reading {
    at: Instant,
    ended: u64,
    errors: u64,
    latency: Histogram,
}

impl Reading {
    fn take(now: Instant, traffic: &Traffic) -> Self {
        Self {
            at: now,
            ended: traffic.ended(),
            errors: traffic.errors(),
            latency: traffic.latency().load(),
        }
    }
}

impl Meter {
    /// The figures of the last sample.
    pub(super) fn figures(&self) -> Figures {
        self.figures
    }

    /// Reads the counters; to be called about once per [`SAMPLE`].
    pub(super) fn sample(&mut self, now: Instant, traffic: &Traffic) {
        let ended = traffic.ended();
        let quiet = self.ended.back().is_some_and(|(_, before)| *before == ended);
        self.ended.push_back((now, ended));
        keep(&mut self.ended, |(at, _)| now.duration_since(*at) <= RATE);
        if self.readings.back().is_none_or(|reading| now.duration_since(reading.at) >= STEP) {
            self.readings.push_back(Reading::take(now, traffic));
            keep(&mut self.readings, |reading| now.duration_since(reading.at) <= LATENCY);
        } else if quiet && self.figures == Figures::default() {
            // Nothing moved and nothing is shown: no percentile to look for.
            return;
        }
        self.figures = self.read(now, traffic);
    }

    fn read(&self, now: Instant, traffic: &Traffic) -> Figures {
        let Some(first) = self.readings.front() else { return Figures::default() };
        let current = Reading::take(now, traffic);
        let ended = current.ended - first.ended;
        let errors = (current.errors - first.errors).min(ended);
        let latency = current.latency.checked_sub(&first.latency).ok();
        let quantile = |q: f64| latency.as_ref().and_then(|histogram| middle(histogram, q));
        Figures {
            milli_rps: self.milli_rps(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            errors_ppm: (errors * 1_000_000).checked_div(ended).unwrap_or(0) as u32,
        }
    }

    fn milli_rps(&self) -> u64 {
        let (Some((from, before)), Some((to, after))) = (self.ended.front(), self.ended.back())
        else {
            return 0;
        };
        let millis = to.duration_since(*from).as_millis() as u64;
        ((after - before) * 1_000_000).checked_div(millis).unwrap_or(0)
    }
}

/// Drops from the front until one is left that `recent` holds for, or one in all. The first that is
/// kept is the baseline of what came after it.
fn keep<T>(samples: &mut VecDeque<T>, recent: impl Fn(&T) -> bool) {
    while samples.len() > 1 && samples.front().is_some_and(|sample| !recent(sample)) {
        samples.pop_front();
    }
}

fn middle(histogram: &Histogram, quantile: f64) -> Option<u64> {
    let bucket = histogram.quantile_bucket(quantile).ok()??;
    (bucket.count() > 0).then(|| bucket.start().midpoint(bucket.end()))
}
