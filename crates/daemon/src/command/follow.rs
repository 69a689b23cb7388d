//! The output of instances on its way to one console: in batches, not too fast, and only after the
//! answer to the question it came with.

use std::time::Duration;

use smoothserve_protocol::id::RequestId;
use smoothserve_protocol::log::LogBatch;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::supervisor::Subscription;

/// Two pushes are at least so far apart,
const FASTEST: Duration = Duration::from_millis(100);
/// and two looks at what came and was not wanted.
const LOOK: Duration = Duration::from_millis(10);

/// What is followed; ends when it is dropped.
pub(super) struct Follow {
    asked: RequestId,
    is_answered: bool,
    batches: mpsc::Receiver<LogBatch>,
    _gathering: AbortOnDropHandle<()>,
}

impl Follow {
    /// Gathers what comes; nothing is given before [`Self::answered`].
    pub(super) fn begin(asked: RequestId, subscription: Subscription) -> Self {
        // One batch waits for the console, what comes meanwhile in the subscription, which loses
        // and counts what is too much for it.
        let (sender, batches) = mpsc::channel(1);
        let gathering = AbortOnDropHandle::new(tokio::spawn(gather(subscription, sender)));
        Self { asked, is_answered: false, batches, _gathering: gathering }
    }

    /// The answer to the question `id` is on its way.
    pub(super) fn answered(&mut self, id: RequestId) {
        self.is_answered |= self.asked == id;
    }
}

/// The next batch, once the question was answered; never, if nothing is followed.
///
/// # Cancel safety
/// A batch that was not given stays.
pub(super) async fn next(follow: &mut Option<Follow>) -> LogBatch {
    match follow {
        Some(follow) if follow.is_answered => match follow.batches.recv().await {
            Some(batch) => batch,
            // The task ends only with us, or with a panic that was reported.
            None => std::future::pending().await,
        },
        _ => std::future::pending().await,
    }
}

async fn gather(mut subscription: Subscription, batches: mpsc::Sender<LogBatch>) {
    loop {
        let batch = subscription.next().await;
        if batch == LogBatch::default() {
            sleep(LOOK).await;
            continue;
        }
        if batches.send(batch).await.is_err() {
            return;
        }
        sleep(FASTEST).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow() -> (Option<Follow>, mpsc::Sender<LogBatch>) {
        let (sender, batches) = mpsc::channel(1);
        let gathering = AbortOnDropHandle::new(tokio::spawn(std::future::pending()));
        let follow =
            Follow { asked: RequestId(7), is_answered: false, batches, _gathering: gathering };
        (Some(follow), sender)
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_comes_before_the_answer() {
        let (mut follow, sender) = follow();
        let batch = LogBatch { missed: 3, lines: Vec::new() };
        sender.send(batch.clone()).await.unwrap();
        let early = tokio::time::timeout(Duration::from_secs(60), next(&mut follow)).await;
        assert!(early.is_err());
        follow.as_mut().unwrap().answered(RequestId(6));
        let early = tokio::time::timeout(Duration::from_secs(60), next(&mut follow)).await;
        assert!(early.is_err());
        follow.as_mut().unwrap().answered(RequestId(7));
        assert_eq!(next(&mut follow).await, batch);
    }
}
