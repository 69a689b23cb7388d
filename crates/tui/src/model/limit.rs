//! How long an instance may take to finish its requests: the service's own limit, or another that
//! the operator wants for one restart.

/// What can be wanted, in milliseconds.
const STEPS: [u64; 14] = [
    5_000, 10_000, 15_000, 20_000, 30_000, 45_000, 60_000, 90_000, 120_000, 180_000, 300_000,
    600_000, 1_800_000, 3_600_000,
];
/// The first step while the service's own limit is not known.
const USUAL: u64 = 30_000;

/// A drain limit, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    own: Option<u64>,
    wanted: Option<u64>,
}

impl Limit {
    /// This one is wanted, whatever the service's own is.
    pub const fn wanting(wanted: Option<u64>) -> Self {
        Self { own: None, wanted }
    }

    /// The service's own limit became known.
    pub fn set_own(&mut self, own: u64) {
        self.own = Some(own);
        self.want(self.wanted);
    }

    /// What the operator wants instead of the service's own.
    pub const fn wanted(self) -> Option<u64> {
        self.wanted
    }

    /// What would hold; none: the service's own, which is not known.
    pub fn effective(self) -> Option<u64> {
        self.wanted.or(self.own)
    }

    /// The next longer one.
    pub fn lengthen(&mut self) {
        let next = match self.effective() {
            Some(now) => STEPS.into_iter().find(|step| *step > now).or(self.wanted),
            None => Some(USUAL),
        };
        self.want(next);
    }

    /// The next shorter one; below the shortest, the service's own if that is not known.
    pub fn shorten(&mut self) {
        let next = match self.effective() {
            Some(now) => {
                let shorter = STEPS.into_iter().rfind(|step| *step < now);
                shorter.or(self.wanted.filter(|_| self.own.is_some()))
            }
            None => Some(USUAL),
        };
        self.want(next);
    }

    fn want(&mut self, wanted: Option<u64>) {
        self.wanted = wanted.filter(|wanted| Some(*wanted) != self.own);
    }
}

/// `millis` as the command line reads it: `90s`, `5m`, `1500ms`.
pub fn text(millis: u64) -> String {
    match millis {
        _ if millis >= 120_000 && millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_goes_in_steps_from_the_own_one_and_back() {
        let mut limit = Limit::default();
        limit.set_own(40_000);
        let mut seen = Vec::new();
        for longer in [true, true, false, false, false] {
            if longer {
                limit.lengthen()
            } else {
                limit.shorten()
            }
            seen.push(limit.wanted());
        }
        let expected = [45_000, 60_000, 45_000, 30_000, 20_000].map(Some);
        assert_eq!(seen, expected);
        limit.set_own(20_000);
        assert_eq!(limit.wanted(), None, "nothing else than its own is wanted");
    }

    #[test]
    fn a_limit_stays_within_the_steps() {
        let mut limit = Limit::default();
        limit.set_own(30_000);
        for _ in 0..50 {
            limit.lengthen();
        }
        assert_eq!(limit.wanted(), Some(3_600_000));
        for _ in 0..50 {
            limit.shorten();
        }
        assert_eq!(limit.wanted(), Some(5_000));
        limit.set_own(7_200_000);
        limit.want(None);
        limit.lengthen();
        assert_eq!(limit.wanted(), None, "its own is longer than any step");
    }

    #[test]
    fn a_limit_that_is_not_known_can_be_left_as_it_is() {
        let mut limit = Limit::default();
        limit.lengthen();
        assert_eq!(limit.wanted(), Some(USUAL));
        for _ in 0..5 {
            limit.shorten();
        }
        assert_eq!(limit.wanted(), None);
    }

    #[test]
    fn a_limit_reads_as_on_the_command_line() {
        for (millis, expected) in
            [(1_500, "1500ms"), (60_000, "60s"), (90_000, "90s"), (300_000, "5m")]
        {
            assert_eq!(text(millis), expected);
        }
    }
}
