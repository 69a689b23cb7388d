//! Rates and percentiles over the last while, from counters that only grow.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use histogram::SparseHistogram;

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
    window: Window,
    figures: Figures,
}

/// What was counted over the last [`LATENCY`]; windows of several counter sets can be taken
/// together, as figures cannot.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    pub ended: u64,
    pub errors: u64,
    /// None: of nothing.
    latency: Option<SparseHistogram>,
}

impl Window {
    /// Adds what another counter set counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.ended += other.ended;
        self.errors += other.errors;
        self.latency = match (self.latency.take(), &other.latency) {
            // They cannot but fit each other: all have one shape, and no minute has 2^64 requests.
            (Some(all), Some(more)) => all.checked_add(more).ok().or(Some(all)),
            (all, more) => all.or_else(|| more.clone()),
        };
    }

    pub(super) fn quantile(&self, quantile: f64) -> Option<u64> {
        middle(self.latency.as_ref()?, quantile)
    }
}

#[derive(Debug)]
struct Reading {
    at: Instant,
    ended: u64,
    errors: u64,
    /// Without its empty buckets: a minute of readings is kept of every run, and most are quiet.
    latency: SparseHistogram,
}

impl Reading {
    fn take(now: Instant, traffic: &Traffic) -> Self {
        Self {
            at: now,
            ended: traffic.ended(),
            errors: traffic.errors(),
            latency: SparseHistogram::from(&traffic.latency().load()),
        }
    }
}

impl Meter {
    /// The figures of the last sample.
    pub(super) fn figures(&self) -> Figures {
        self.figures
    }

    /// What the figures of the last sample were read from.
    pub(super) const fn window(&self) -> &Window {
        &self.window
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
        self.window = self.read(now, traffic);
        let Window { ended, errors, .. } = self.window;
        self.figures = Figures {
            milli_rps: self.milli_rps(),
            p50_us: self.window.quantile(0.5),
            p99_us: self.window.quantile(0.99),
            errors_ppm: (errors * 1_000_000).checked_div(ended).unwrap_or(0) as u32,
        };
    }

    fn read(&self, now: Instant, traffic: &Traffic) -> Window {
        let Some(first) = self.readings.front() else { return Window::default() };
        let current = Reading::take(now, traffic);
        let ended = current.ended - first.ended;
        let errors = (current.errors - first.errors).min(ended);
        Window { ended, errors, latency: current.latency.checked_sub(&first.latency).ok() }
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

fn middle(histogram: &SparseHistogram, quantile: f64) -> Option<u64> {
    let found = histogram.quantile(quantile).ok()??;
    let bucket = found.entries().values().next()?;
    (bucket.count() > 0).then(|| bucket.start().midpoint(bucket.end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Outcome;

    #[test]
    fn figures_are_of_the_last_minute_and_nothing_before_it() {
        let (mut meter, traffic) = (Meter::default(), Traffic::new());
        let began = Instant::now();
        let answer = |millis, count, failed| {
            (0..count).for_each(|_| {
                traffic.add(Duration::from_millis(millis), Outcome::Completed, failed)
            });
        };
        let about = |figure: Option<u64>, millis: u64| {
            figure.is_some_and(|micros| micros.abs_diff(millis * 1000) <= millis * 1000 / 30)
        };
        for second in 0..180 {
            match second {
                5 => answer(900, 100, true),
                100..110 => answer(10, 10, false),
                120 => answer(300, 2, false),
                _ => {}
            }
            meter.sample(began + SAMPLE * second, &traffic);
            let Figures { milli_rps, p50_us, p99_us, errors_ppm } = meter.figures();
            match second {
                0..=4 | 71..=99 => assert_eq!(meter.figures(), Figures::default(), "{second}"),
                6 => assert!(about(p50_us, 900) && errors_ppm == 1_000_000),
                109 => assert_eq!((milli_rps, errors_ppm), (10_000, 0)),
                125 => assert!(about(p50_us, 10) && about(p99_us, 300)),
                _ => {}
            }
        }
    }

    #[test]
    fn a_quiet_run_takes_next_to_no_memory() {
        let reading = Reading::take(Instant::now(), &Traffic::new());
        assert!(reading.latency.is_empty());
    }
}
