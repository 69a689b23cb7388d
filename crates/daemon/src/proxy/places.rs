//! How many clients there may be at once: places, whose number may change.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Some are taken, and the others are free.
pub(crate) struct Places {
    number: AtomicUsize,
    taken: AtomicUsize,
    freed: Notify,
}

/// One of them, until dropped.
pub(crate) struct Place(Arc<Places>);

impl Places {
    pub(crate) fn new(number: usize) -> Arc<Self> {
        Arc::new(Self {
            number: AtomicUsize::new(number),
            taken: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    /// From now on there are so many. Whoever has one keeps it.
    pub(crate) fn resize(&self, number: usize) {
        self.number.store(number, Ordering::SeqCst);
        self.freed.notify_waiters();
    }

    /// Is none free?
    pub(crate) fn is_full(&self) -> bool {
        self.taken.load(Ordering::SeqCst) >= self.number.load(Ordering::SeqCst)
    }

    /// A free one, if there is one.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<Place> {
        let number = self.number.load(Ordering::SeqCst);
        let more = |taken| if taken < number { Some(taken + 1) } else { None };
        let taken = self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        // Lazily: a place that is dropped gives itself back.
        taken.is_ok().then(|| Place(Arc::clone(self)))
    }

    /// The next free one.
    ///
    /// # Cancel safety
    /// Whoever stops waiting takes none.
    pub(crate) async fn take(self: &Arc<Self>) -> Place {
        loop {
            // Before the look, not after it: whoever leaves in between must wake us.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(place) = self.try_take() {
                return place;
            }
            freed.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn who_waits_gets_the_place_of_whoever_leaves() {
        let places = Places::new(1);
        let first = places.try_take().unwrap();
        assert!(places.try_take().is_none());
        let mut waiting = pin!(places.take());
        assert!(timeout(Duration::from_millis(1), waiting.as_mut()).await.is_err());
        drop(first);
        let second = timeout(Duration::from_secs(10), waiting).await.expect("a place");
        assert!(places.try_take().is_none());
        drop(second);
        assert!(places.try_take().is_some());
    }

    #[tokio::test]
    async fn fewer_places_take_none_away_and_more_are_had_at_once() {
        let places = Places::new(2);
        let taken = [places.try_take(), places.try_take()];
        places.resize(1);
        let [first, second] = taken.map(Option::unwrap);
        drop(first);
        assert!(places.try_take().is_none(), "one is taken, and there is one");
        let mut waiting = pin!(places.take());
        assert!(timeout(Duration::from_millis(1), waiting.as_mut()).await.is_err());
        places.resize(2);
        timeout(Duration::from_secs(10), waiting).await.expect("a place");
        drop(second);
    }
}
