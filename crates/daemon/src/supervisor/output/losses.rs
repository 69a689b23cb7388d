//! When to say that lines are not kept: once when it begins, once when it is over.

use std::time::{Duration, Instant};

/// No line was lost for so long: it is over.
const OVER: Duration = Duration::from_secs(5);

/// Lines that reached no file since this began.
#[derive(Debug, Default)]
pub(super) struct Losses(Option<Ongoing>);

#[derive(Debug)]
struct Ongoing {
    lines: u64,
    last: Instant,
}

impl Losses {
    /// One line is lost; gives the warning if it is the first.
    pub(super) fn lost(&mut self, now: Instant, why: impl FnOnce() -> String) -> Option<String> {
        match &mut self.0 {
            Some(ongoing) => {
                ongoing.lines += 1;
                ongoing.last = now;
                None
            }
            None => {
                self.0 = Some(Ongoing { lines: 1, last: now });
                Some(format!("output of instances is not kept in files: {}", why()))
            }
        }
    }

    /// The disk takes lines, and none waits; gives the other warning if it has been so for a while.
    pub(super) fn all_is_well(&mut self, now: Instant) -> Option<String> {
        let ongoing = self.0.take_if(|ongoing| now.duration_since(ongoing.last) >= OVER)?;
        let lines = ongoing.lines;
        Some(format!("output of instances is kept in files again; {lines} lines are not in them"))
    }

    pub(super) fn is_ongoing(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_when_it_begins_and_one_with_the_count_when_it_is_over() {
        let (mut losses, start) = (Losses::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(losses.all_is_well(start), None);
        let first = losses.lost(at(0), || "disk full".to_owned()).unwrap();
        assert!(first.ends_with(": disk full"), "{first}");
        for millis in 1..10 {
            assert_eq!(losses.lost(at(millis), || unreachable!()), None);
        }
        assert_eq!(losses.all_is_well(at(5000)), None);
        let last = losses.all_is_well(at(5009)).unwrap();
        assert!(last.contains("again; 10 lines"), "{last}");
        assert!(!losses.is_ongoing());
        assert!(losses.lost(at(6000), String::new).is_some());
    }
}
