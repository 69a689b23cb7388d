//! How long a task has its thread before others have their turn.
//!
//! tokio gives a task so many steps at a time (its cooperative budget), and each call to the kernel is
//! one of them, whether it moves ten bytes or all that a socket holds. Whoever has megabytes to move
//! would keep a thread for milliseconds, and everybody waiting who is to be served by it. So bytes
//! cost steps as well.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::ReadBuf;
use tokio::task::{coop, yield_now};

/// Bytes in a turn. What is passed on counts twice, read and written.
const TURN: usize = 512 * 1024;
/// Bytes for one of the 128 steps that tokio gives.
const STEP: usize = TURN / 128;

thread_local! {
    /// Bytes that were paid for on this thread, again from zero when it is full.
    static PAID: Cell<usize> = const { Cell::new(0) };
}

/// Reads, and pays for what was read.
pub(super) fn read(
    buffer: &mut ReadBuf<'_>,
    cx: &mut Context<'_>,
    read: impl FnOnce(&mut ReadBuf<'_>, &mut Context<'_>) -> Poll<io::Result<()>>,
) -> Poll<io::Result<()>> {
    let before = buffer.filled().len();
    let read = read(buffer, cx);
    pay(buffer.filled().len() - before, cx);
    read
}

/// Pays for what was written.
pub(super) fn wrote(
    written: Poll<io::Result<usize>>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if let Poll::Ready(Ok(written)) = &written {
        pay(*written, cx);
    }
    written
}

/// With nothing left, the task's next call to the kernel waits for its next turn.
fn pay(bytes: usize, cx: &mut Context<'_>) {
    PAID.set(PAID.get().wrapping_add(bytes));
    for _ in 0..bytes / STEP {
        // It is to be woken for a call it has to wait for, and not for having paid.
        if !coop::has_budget_remaining() {
            return;
        }
        if let Poll::Ready(step) = coop::poll_proceed(cx) {
            step.made_progress();
        }
    }
}

/// A future that wakes itself while it runs, as those do that talk to themselves through a channel.
///
/// tokio takes it for one that somebody else woke, and lets it have its next turn before the driver
/// was asked who else has something to do. Here it rests until that was done.
pub(super) async fn in_turns<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut paid = 0;
    let mut rest: Option<Arc<Rest>> = None;
    poll_fn(|cx| {
        if rest.as_ref().is_some_and(|rest| !rest.is_over.load(Ordering::Acquire)) {
            return Poll::Pending;
        }
        rest = None;
        let before = PAID.get();
        let output = future.as_mut().poll(cx);
        paid += PAID.get().wrapping_sub(before);
        if output.is_pending() && paid >= TURN {
            paid = 0;
            rest = Some(Rest::begin(cx.waker()));
        }
        output
    })
    .await
}

/// Between two turns.
struct Rest {
    is_over: AtomicBool,
    task: Waker,
}

impl Rest {
    fn begin(task: &Waker) -> Arc<Self> {
        let rest = Arc::new(Self { is_over: AtomicBool::new(false), task: task.clone() });
        let waker = Waker::from(Arc::clone(&rest));
        // It is not over yet: whoever yields is woken when the driver was asked.
        let _ = pin!(yield_now()).poll(&mut Context::from_waker(&waker));
        rest
    }
}

impl Wake for Rest {
    fn wake(self: Arc<Self>) {
        self.is_over.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::AtomicUsize;

    use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::proxy::UpstreamSocket;
    use crate::proxy::stream::Stream;

    /// Both ends of a connection.
    async fn connected() -> [TcpStream; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(connecting, listener.accept());
        [near.unwrap(), far.unwrap().0]
    }

    /// How many bytes pass, in pieces of this size, with the last 16 steps of a turn.
    async fn pass(from: &mut Stream, to: &mut UpstreamSocket, piece: usize) -> usize {
        yield_now().await;
        let mut bytes = vec![0; piece];
        let mut passed = 0;
        poll_fn(|cx| {
            pay(TURN - 16 * STEP, cx);
            loop {
                let mut buffer = ReadBuf::new(&mut bytes);
                let read = Pin::new(&mut *from).poll_read(cx, &mut buffer);
                if read.is_pending() || buffer.filled().is_empty() {
                    return Poll::Ready(());
                }
                let Poll::Ready(wrote) = Pin::new(&mut *to).poll_write(cx, buffer.filled()) else {
                    return Poll::Ready(());
                };
                passed += wrote.unwrap();
            }
        })
        .await;
        passed
    }

    #[tokio::test]
    async fn a_turn_is_so_many_bytes_or_so_many_calls() {
        let [client, mut sender] = connected().await;
        let [instance, _receiver] = connected().await;
        // More than is passed on, and as much as fits into the sockets of any machine.
        sender.write_all(&[b'x'; 60 * 1024]).await.unwrap();
        let (mut from, mut to) = (Stream::Plain(client), UpstreamSocket::Tcp(instance));
        assert_eq!(pass(&mut from, &mut to, 16 * 1024).await, 16 * STEP / 2);
        assert_eq!(pass(&mut from, &mut to, 1024).await, 16 / 2 * 1024);
    }

    #[tokio::test]
    async fn a_whole_turn_passes_on_half_of_what_it_pays_for() {
        let mut bytes = vec![0; 64 * 1024];
        for _ in 0..3 {
            yield_now().await;
            let mut passed = 0;
            poll_fn(|cx| {
                while coop::has_budget_remaining() {
                    let mut buffer = ReadBuf::new(&mut bytes);
                    let fill = |buffer: &mut ReadBuf<'_>, _: &mut Context<'_>| {
                        buffer.set_filled(buffer.capacity());
                        Poll::Ready(Ok(()))
                    };
                    assert!(read(&mut buffer, cx, fill).is_ready());
                    let all = buffer.filled().len();
                    assert!(wrote(Poll::Ready(Ok(all)), cx).is_ready());
                    passed += all;
                }
                Poll::Ready(())
            })
            .await;
            assert_eq!(passed, TURN / 2);
        }
    }

    /// Never ready: pays for a piece, and wakes itself.
    fn busy(polls: &AtomicUsize) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            pay(TURN / 4, cx);
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// The most polls of a task between two times that the driver was asked for events.
    async fn most(task: impl Future<Output = ()> + Send + 'static, polls: &AtomicUsize) -> usize {
        let task = tokio::spawn(task);
        let mut most = 0;
        for _ in 0..100 {
            let before = polls.load(Ordering::Relaxed);
            yield_now().await;
            most = most.max(polls.load(Ordering::Relaxed) - before);
        }
        task.abort();
        most
    }

    #[tokio::test]
    async fn who_wakes_itself_has_one_turn_until_events_were_asked_for() {
        static ALONE: AtomicUsize = AtomicUsize::new(0);
        static IN_TURNS: AtomicUsize = AtomicUsize::new(0);
        assert!(most(busy(&ALONE), &ALONE).await > 4);
        assert_eq!(most(in_turns(busy(&IN_TURNS)), &IN_TURNS).await, 4);
    }
}
