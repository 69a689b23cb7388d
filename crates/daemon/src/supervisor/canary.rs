//! The old and the new generation of a rolling restart side by side, as long as both serve.
//!
//! What the runs of a generation counted is taken together before a percentile is read from it:
//! percentiles do not add up. Which of the two does better is for whoever looks to say.

use smoothserve_protocol::id::{Generation, RunId};
use smoothserve_protocol::snapshot::{Canary, GenerationView, InstanceState, InstanceView};

use super::meter::{Meter, Window};

/// How both do. None unless each has an instance that takes requests.
pub(super) fn side_by_side<'a>(
    instances: &[InstanceView],
    from: Generation,
    to: Generation,
    meter: impl Fn(RunId) -> Option<&'a Meter>,
) -> Option<Canary> {
    if from == to {
        return None;
    }
    let old = view(instances, from, &meter)?;
    Some(Canary { old, new: view(instances, to, &meter)? })
}

fn view<'a>(
    instances: &[InstanceView],
    generation: Generation,
    meter: impl Fn(RunId) -> Option<&'a Meter>,
) -> Option<GenerationView> {
    let of_it = || instances.iter().filter(|instance| instance.generation == generation);
    let ready = of_it().filter(|instance| instance.state == InstanceState::Ready).count();
    if ready == 0 {
        return None;
    }
    let (mut window, mut milli_rps) = (Window::default(), 0);
    // One that drains served until just now, and its last answers count.
    for meter in of_it().filter_map(|instance| meter(instance.run?)) {
        window.add(meter.window());
        milli_rps += meter.figures().milli_rps;
    }
    Some(GenerationView {
        generation,
        ready: ready as u16,
        milli_rps,
        ended: window.ended,
        failed: window.errors,
        p99_us: window.quantile(0.99),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, Instant};

    use smoothserve_protocol::id::Slot;

    use super::super::meter::SAMPLE;
    use super::*;
    use crate::proxy::{Outcome, Traffic};

    fn instance(slot: u16, state: InstanceState, generation: u64) -> InstanceView {
        InstanceView {
            slot: Slot(slot),
            state,
            run: Some(RunId(u64::from(slot))),
            generation: Generation(generation),
            pid: None,
            port: 0,
            socket: None,
            in_flight: 0,
            tunnels: 0,
            drain: None,
            milli_rps: 0,
            p50_us: None,
            p99_us: None,
            errors_ppm: 0,
            up_ms: None,
            failures: 0,
            retry_ms: None,
            failure: None,
            cpu_permille: None,
            rss_bytes: None,
        }
    }

    /// A run that answered so many requests in so many milliseconds each.
    fn measured(answers: &[(u32, u64)], failed: u32) -> Meter {
        let (mut meter, traffic, began) = (Meter::default(), Traffic::new(), Instant::now());
        meter.sample(began, &traffic);
        for (count, millis) in answers {
            (0..*count).for_each(|_| {
                traffic.add(Duration::from_millis(*millis), Outcome::Completed, false)
            });
        }
        (0..failed).for_each(|_| traffic.add(Duration::from_millis(1), Outcome::Completed, true));
        meter.sample(began + SAMPLE, &traffic);
        meter
    }

    #[test]
    fn the_runs_of_a_generation_are_measured_as_one() {
        use InstanceState::{Draining, Ready, Starting};
        let instances = [
            instance(0, Ready, 2),
            instance(1, Draining, 1),
            instance(2, Ready, 1),
            instance(3, Ready, 1),
        ];
        // The slow ones are a fiftieth of one run, and less than a hundredth of all three: the mean
        // of the percentiles would be 300 ms.
        let meters = HashMap::from([
            (RunId(0), measured(&[(40, 20)], 10)),
            (RunId(1), measured(&[(980, 10), (20, 900)], 0)),
            (RunId(2), measured(&[(1_000, 10)], 0)),
            (RunId(3), measured(&[(1_000, 10)], 0)),
        ]);
        let canary = side_by_side(&instances, Generation(1), Generation(2), |run| meters.get(&run));
        let Canary { old, new } = canary.unwrap();
        assert_eq!(
            (old.generation, old.ready, old.ended, old.failed),
            (Generation(1), 2, 3_000, 0)
        );
        assert_eq!(old.milli_rps, 3_000_000);
        assert!(old.p99_us.unwrap().abs_diff(10_000) < 400, "{old:?}");
        assert_eq!((new.ready, new.ended, new.failed, new.errors_ppm()), (1, 50, 10, 200_000));

        let serve_both = |states: [InstanceState; 2]| {
            let instances = [instance(0, states[0], 2), instance(1, states[1], 1)];
            side_by_side(&instances, Generation(1), Generation(2), |run| meters.get(&run)).is_some()
        };
        assert!(serve_both([Ready, Ready]));
        assert!(!serve_both([Starting, Ready]) && !serve_both([Ready, Draining]));
        // A start brings no other generation.
        let same = side_by_side(&instances, Generation(1), Generation(1), |run| meters.get(&run));
        assert_eq!(same, None);
    }
}
