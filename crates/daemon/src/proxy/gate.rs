//! Who is inside a run, and closing the door behind them.
//!
//! One atomic word, so that "is it open" and "count me in" are one step: a request can never slip
//! in between a drain that saw nobody and the signal that follows it. Knows nothing of requests,
//! endpoints or bells; whoever is told to ring does so.

#[cfg(not(loom_gate))]
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(loom_gate)]
use loom::sync::atomic::{AtomicU64, Ordering};

/// Which closing of a gate this is.
///
/// Chosen by whoever closes and given back when the last one leaves, so that a ring that was under
/// way while the gate was reopened and closed again is recognised as an old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u16);

const CLOSED: u64 = 1 << 63;
/// Closed for good and without a ring: the process behind it is gone.
const SILENT: u64 = 1 << 62;
const EPOCH_SHIFT: u32 = 32;
const EPOCH: u64 = (u16::MAX as u64) << EPOCH_SHIFT;
const INSIDE: u64 = u32::MAX as u64;

/// Counts who is inside, and admits nobody while closed.
///
/// Bit 63: closed. Bit 62: silent. Bits 32 to 47: the epoch of the last closing. Bits 0 to 31: how
/// many are inside. Everything is sequentially consistent: the proxy enters and then looks, the
/// supervisor closes and then counts, and neither may be seen in the other order.
pub struct Gate {
    word: AtomicU64,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// What a closing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// How many were inside at that moment.
    pub inside: u32,
    /// Nobody was inside, so nobody will leave: the closer rings.
    pub rings: bool,
}

impl Gate {
    /// An open gate with nobody inside.
    pub fn new() -> Self {
        Self { word: AtomicU64::new(0) }
    }

    /// Adds one, unless closed. Each `true` is paid back with one [`leave`](Self::leave).
    pub fn enter(&self) -> bool {
        self.change(|word| if word & CLOSED == 0 { Some(word + 1) } else { None }).is_ok()
    }

    /// Takes one away. `Some` tells the caller to ring: the gate is closed and it was the last.
    ///
    /// The epoch comes out of the very word that was decremented, so that each emptying rings
    /// exactly once even if the gate is reopened at this moment.
    #[must_use = "somebody waits for the ring"]
    pub fn leave(&self) -> Option<Epoch> {
        let before = self.word.fetch_sub(1, Ordering::SeqCst);
        debug_assert!(before & INSIDE > 0, "left without having entered");
        let rings = before & INSIDE == 1 && before & (CLOSED | SILENT) == CLOSED;
        rings.then(|| epoch_of(before))
    }

    /// Admits nobody from now on. The last one inside is told to ring with `epoch`.
    pub fn close(&self, epoch: Epoch) -> Closing {
        let marked = CLOSED | (u64::from(epoch.0) << EPOCH_SHIFT);
        let before = match self.change(|word| Some((word & (INSIDE | SILENT)) | marked)) {
            Ok(before) | Err(before) => before,
        };
        let inside = (before & INSIDE) as u32;
        Closing { inside, rings: inside == 0 }
    }

    /// Admits again. Does nothing to a gate that was [`shut`](Self::shut).
    pub fn reopen(&self) {
        // A refusal means that it is shut; there is nothing to reopen then.
        let _ = self.change(|word| if word & SILENT == 0 { Some(word & !CLOSED) } else { None });
    }

    /// Closes for good; nobody rings, because nobody waits for a process that is gone.
    pub fn shut(&self) {
        self.word.fetch_or(CLOSED | SILENT, Ordering::SeqCst);
    }

    /// How many are inside.
    pub fn inside(&self) -> u32 {
        (self.word.load(Ordering::SeqCst) & INSIDE) as u32
    }

    /// How many are inside; none if it is closed. One look, so that a chooser compares only what
    /// it could enter.
    pub fn load(&self) -> Option<u32> {
        let word = self.word.load(Ordering::SeqCst);
        (word & CLOSED == 0).then_some((word & INSIDE) as u32)
    }

    fn change(&self, to: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
        self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, to)
    }
}

fn epoch_of(word: u64) -> Epoch {
    Epoch(((word & EPOCH) >> EPOCH_SHIFT) as u16)
}

#[cfg(all(test, not(loom_gate)))]
mod tests {
    use super::*;

    #[test]
    fn a_closed_gate_admits_nobody_and_the_last_one_out_rings() {
        let gate = Gate::new();
        assert!(gate.enter() && gate.enter());
        assert_eq!(gate.close(Epoch(7)), Closing { inside: 2, rings: false });
        assert!(!gate.enter());
        assert_eq!(gate.leave(), None);
        assert_eq!(gate.leave(), Some(Epoch(7)));
    }

    #[test]
    fn closing_an_empty_gate_rings_at_once() {
        let gate = Gate::new();
        assert_eq!(gate.close(Epoch(1)), Closing { inside: 0, rings: true });
    }

    #[test]
    fn a_reopened_gate_rings_only_for_its_next_closing() {
        let gate = Gate::new();
        assert!(gate.enter());
        gate.close(Epoch(1));
        gate.reopen();
        assert_eq!(gate.leave(), None);
        assert!(gate.enter());
        gate.close(Epoch(2));
        assert_eq!(gate.leave(), Some(Epoch(2)));
    }

    #[test]
    fn a_shut_gate_never_rings_on_leaving_and_never_opens() {
        let gate = Gate::new();
        assert!(gate.enter());
        gate.close(Epoch(3));
        gate.shut();
        gate.reopen();
        assert!(!gate.enter());
        assert_eq!(gate.leave(), None);
    }
}

/// The interleavings, by `RUSTFLAGS="--cfg loom_gate" cargo test -p smoothserve --lib gate`.
#[cfg(all(test, loom_gate))]
mod interleavings {
    use std::sync::atomic::AtomicUsize;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// A gate with the bells it rang, by epoch, and how many are really inside.
    ///
    /// The counters are std's: loom changes threads at its own atomics only, so each is one step
    /// with the gate's before it, and there are fewer interleavings to go through.
    #[derive(Default)]
    struct House {
        gate: Gate,
        inside: AtomicUsize,
        rings: [AtomicUsize; 3],
    }

    impl House {
        fn visit(&self) {
            if !self.gate.enter() {
                return;
            }
            self.inside.fetch_add(1, Ordering::SeqCst);
            self.inside.fetch_sub(1, Ordering::SeqCst);
            if let Some(epoch) = self.gate.leave() {
                self.ring(epoch);
            }
        }

        fn close(&self, epoch: Epoch) {
            if self.gate.close(epoch).rings {
                self.ring(epoch);
            }
        }

        fn ring(&self, epoch: Epoch) {
            self.rings[usize::from(epoch.0)].fetch_add(1, Ordering::SeqCst);
        }

        fn rings(&self, epoch: u16) -> usize {
            self.rings[usize::from(epoch)].load(Ordering::SeqCst)
        }
    }

    /// At most three times in a run is a thread stopped that could go on; loom's authors found no
    /// error that needs more, and all of them would take minutes.
    fn explore(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    fn visitor(house: &Arc<House>) -> thread::JoinHandle<()> {
        let house = Arc::clone(house);
        thread::spawn(move || house.visit())
    }

    #[test]
    fn a_closing_rings_once_and_never_while_somebody_is_inside() {
        explore(|| {
            let house = Arc::new(House::default());
            let visitors = [visitor(&house), visitor(&house)];
            house.close(Epoch(1));
            if house.rings(1) == 1 {
                assert_eq!(house.inside.load(Ordering::SeqCst), 0);
                assert!(!house.gate.enter());
            }
            for visitor in visitors {
                visitor.join().unwrap();
            }
            assert_eq!(house.rings(1), 1);
        });
    }

    #[test]
    fn a_reopened_gate_rings_for_its_last_closing_whatever_the_first_one_did() {
        explore(|| {
            let house = Arc::new(House::default());
            let visitors = [visitor(&house), visitor(&house)];
            house.close(Epoch(1));
            house.gate.reopen();
            house.close(Epoch(2));
            for visitor in visitors {
                visitor.join().unwrap();
            }
            assert!(house.rings(1) <= 1);
            assert_eq!(house.rings(2), 1);
        });
    }
}
