//! Whether the new generation of a rolling restart does worse than the old one, so clearly that an
//! operator should look up.
//!
//! Few requests prove nothing, and two samples of one thing always differ. So each rule asks for
//! more than chance explains of so many requests, and for enough of a difference to matter.

use smoothserve_protocol::snapshot::{Canary, GenerationView};

/// Requests of each generation below which nothing is said.
const FEWEST: u64 = 50;
/// The 99th percentile of fewer requests is that of one or two.
const FEWEST_FOR_LATENCY: u64 = 200;
/// Failed requests that are no accident any more.
const FEWEST_FAILED: u64 = 5;
/// Standard deviations that chance does not reach while an operator looks.
const BEYOND_CHANCE: f64 = 3.0;

/// What the new generation does worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Its slowest requests are slower.
    pub slower: bool,
    /// More of its requests fail.
    pub failing: bool,
}

/// Compares the new generation with the old one.
pub fn judge(canary: &Canary) -> Verdict {
    let Canary { old, new } = canary;
    if old.ended.min(new.ended) < FEWEST {
        return Verdict::default();
    }
    Verdict { slower: is_slower(old, new), failing: is_failing(old, new) }
}

/// A quarter slower, and what chance may add to the percentile of so few requests: twofold for 300,
/// next to nothing for a hundred thousand.
fn is_slower(old: &GenerationView, new: &GenerationView) -> bool {
    let fewest = old.ended.min(new.ended);
    let (Some(before), Some(now)) = (old.p99_us, new.p99_us) else { return false };
    let factor = 1.25 + 13.0 / (fewest as f64).sqrt();
    fewest >= FEWEST_FOR_LATENCY && now as f64 > before as f64 * factor
}

/// Half as many again fail, and more than would if both were alike.
fn is_failing(old: &GenerationView, new: &GenerationView) -> bool {
    let (of_old, of_new) = (old.ended as f64, new.ended as f64);
    let (before, now) = (old.failed as f64 / of_old, new.failed as f64 / of_new);
    let both = (old.failed + new.failed) as f64 / (of_old + of_new);
    let deviation = (both * (1.0 - both) * (1.0 / of_old + 1.0 / of_new)).sqrt();
    new.failed >= FEWEST_FAILED && now >= before * 1.5 && now - before > deviation * BEYOND_CHANCE
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::id::Generation;

    use super::*;

    fn view(ended: u64, failed: u64, p99_ms: u64) -> GenerationView {
        GenerationView {
            generation: Generation(1),
            ready: 1,
            milli_rps: 0,
            ended,
            failed,
            p99_us: (ended > 0).then_some(p99_ms * 1_000),
        }
    }

    fn verdict(old: GenerationView, new: GenerationView) -> &'static str {
        match judge(&Canary { old, new }) {
            Verdict { slower: false, failing: false } => "alike",
            Verdict { slower: true, failing: false } => "slower",
            Verdict { slower: false, failing: true } => "failing",
            Verdict { slower: true, failing: true } => "slower and failing",
        }
    }

    #[test]
    fn it_is_worse_when_more_than_chance_says_so() {
        for (old, new, expected) in [
            // Nothing to compare.
            (view(0, 0, 0), view(0, 0, 0), "alike"),
            (view(10_000, 0, 90), view(49, 49, 9_000), "alike"),
            (view(0, 0, 0), view(10_000, 0, 90), "alike"),
            // All fail at once.
            (view(10_000, 0, 90), view(50, 50, 90), "failing"),
            (view(10_000, 10_000, 90), view(10_000, 10_000, 90), "alike"),
            // An accident, and more than that.
            (view(10_000, 0, 90), view(400, 4, 90), "alike"),
            (view(10_000, 0, 90), view(400, 5, 90), "failing"),
            // One in a hundred fails anyway.
            (view(10_000, 100, 90), view(400, 8, 90), "alike"),
            (view(10_000, 100, 90), view(400, 20, 90), "failing"),
            // No accident, and no matter.
            (view(10_000_000, 10_000, 90), view(10_000_000, 12_000, 90), "alike"),
            // The new one does better.
            (view(10_000, 400, 90), view(10_000, 0, 20), "alike"),
            // The fewer, the more it takes.
            (view(10_000, 0, 90), view(199, 0, 900), "alike"),
            (view(10_000, 0, 90), view(300, 0, 170), "alike"),
            (view(10_000, 0, 90), view(300, 0, 200), "slower"),
            (view(100_000, 0, 90), view(100_000, 0, 130), "slower"),
            (view(100_000, 0, 90), view(100_000, 0, 110), "alike"),
            (view(10_000, 0, 90), view(10_000, 500, 300), "slower and failing"),
        ] {
            assert_eq!(verdict(old, new), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn two_samples_of_one_thing_are_alike() {
        // Latencies with a long tail, one request in a hundred failed; the same for both.
        let mut seed = 17_u64;
        let mut random = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
        };
        let mut sample = |count: usize| {
            let mut micros: Vec<u64> = (0..count)
                .map(|_| {
                    let normal: f64 = (0..12).map(|_| random()).sum::<f64>() - 6.0;
                    (20_000.0 * normal.exp()) as u64
                })
                .collect();
            micros.sort_unstable();
            let failed = (0..count).filter(|_| random() < 0.01).count() as u64;
            let p99_us = micros.get(count * 99 / 100).copied();
            GenerationView { p99_us, ..view(count as u64, failed, 0) }
        };
        let alarms = (0..1_000)
            .map(|round| Canary { old: sample(1_000), new: sample(60 + round) })
            .filter(|canary| judge(canary) != Verdict::default());
        assert!(alarms.count() <= 5);
    }
}
