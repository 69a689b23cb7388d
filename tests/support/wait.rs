//! Waiting for a condition, within a limit: the only place that sleeps between two looks.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for anything before it fails.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until there is something to see.
///
/// # Panics
/// After [`LIMIT`], naming `what` was waited for.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    match within(LIMIT, look).await {
        Some(seen) => seen,
        None => panic!("waited {} s in vain until {what}", LIMIT.as_secs()),
    }
}

/// Looks until there is something to see, or `limit` has passed.
pub async fn within<T>(limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(seen) = look().await {
            return Some(seen);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(PAUSE).await;
    }
}
