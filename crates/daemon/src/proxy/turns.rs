//! How long a task has its thread before others have their turn.
//!
//! tokio gives a task so many steps at a time (its cooperative budget), and each call to the kernel is
//! one of them, whether it moves ten bytes or all that a socket holds. Whoever has megabytes to move
//! would keep a thread for milliseconds, and everybody waiting who is to be served by it. So bytes
//! cost steps as well.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
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
pub(super) struct InTurns<F> {
    future: Pin<Box<F>>,
    /// In this turn.
    paid: usize,
    rest: Option<Arc<Rest>>,
}

/// Between two turns.
struct Rest {
    is_over: AtomicBool,
    task: Waker,
}

impl<F> InTurns<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future: Box::pin(future), paid: 0, rest: None }
    }
}

impl<F: Future> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.rest.as_ref().is_some_and(|rest| !rest.is_over.load(Ordering::Acquire)) {
            return Poll::Pending;
        }
        self.rest = None;
        let before = PAID.get();
        let output = self.future.as_mut().poll(cx);
        self.paid += PAID.get().wrapping_sub(before);
        if output.is_pending() && self.paid >= TURN {
            self.paid = 0;
            self.rest = Some(Rest::begin(cx.waker()));
        }
        output
    }
}

impl Rest {
    fn begin(task: &Waker) -> Arc<Self> {
        let rest = Arc::new(Self { is_over: AtomicBool::new(false), task: task.clone() });
        let waker = Waker::from(Arc::clone(&rest));
        // Whoever yields is woken when the driver was asked.
        let yielded = pin!(yield_now()).poll(&mut Context::from_waker(&waker));
        if yielded.is_ready() {
            waker.wake();
        }
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
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use socket2::SockRef;
    use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::proxy::UpstreamSocket;
    use crate::proxy::stream::Stream;

    const MEGABYTE: usize = 1 << 20;

    /// Both ends of a connection that holds megabytes.
    async fn roomy() -> [TcpStream; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(connecting, listener.accept());
        [near.unwrap(), far.unwrap().0].map(|end| {
            SockRef::from(&end).set_send_buffer_size(4 * MEGABYTE).unwrap();
            SockRef::from(&end).set_recv_buffer_size(4 * MEGABYTE).unwrap();
            end
        })
    }

    /// How many bytes pass in one turn, in pieces of this size, when there is no end of them.
    async fn turn(from: &mut Stream, to: &mut UpstreamSocket, piece: usize) -> usize {
        yield_now().await;
        let mut bytes = vec![0; piece];
        let mut passed = 0;
        poll_fn(|cx| {
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
        let [client, mut sender] = roomy().await;
        let [instance, _receiver] = roomy().await;
        sender.write_all(&vec![b'x'; 2 * MEGABYTE]).await.unwrap();
        let (mut from, mut to) = (Stream::Plain(client), UpstreamSocket::Tcp(instance));
        for _ in 0..3 {
            assert_eq!(turn(&mut from, &mut to, 64 * 1024).await, TURN / 2);
            assert_eq!(turn(&mut from, &mut to, 1024).await, 128 / 2 * 1024);
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
        assert_eq!(most(InTurns::new(busy(&IN_TURNS)), &IN_TURNS).await, 4);
    }
}
