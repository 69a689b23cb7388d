//! The command port: who comes, and whether they hold the token.
//!
//! Strangers and operators are counted apart, so that a flood of the former cannot lock out the
//! latter. Nothing a stranger sends is parsed: see [`smoothserve_protocol::auth`].

mod brief;
mod feed;
mod follow;
mod session;
#[cfg(test)]
mod stage;
mod token;

use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::io as wire;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::token::TokenError;
pub(crate) use self::token::TokenFile;
use crate::accept::{BACK_OFF, Complaints, Newest};
use crate::reload::Reloads;
use crate::supervisor::Handle;

/// Sessions of operators at once.
const SESSIONS: usize = 32;
/// Connections at once that have not proven anything; the oldest makes room for the newest.
const STRANGERS: usize = 16;
/// How long the handshake may take in all.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// How long sessions are given for their good-bye.
const GOODBYE: Duration = Duration::from_secs(1);
/// Bytes that the system takes off a session before it has to wait for its console: what lies there
/// gets old, and is read before anything newer.
const SEND_BUFFER: usize = 64 * 1024;

/// Where operators come in.
pub(crate) struct CommandPort {
    door: Arc<Door>,
    tasks: TaskTracker,
    /// Ends the accepting at the present port.
    leaving: CancellationToken,
}

impl CommandPort {
    /// A port that nobody can reach yet.
    pub(crate) fn new(token: TokenFile, supervisor: Handle, reloads: Reloads) -> Self {
        let sessions = Arc::new(Semaphore::new(SESSIONS));
        let closing = CancellationToken::new();
        let door = Arc::new(Door { token, supervisor, reloads, closing, sessions });
        Self { door, tasks: TaskTracker::new(), leaving: CancellationToken::new() }
    }

    /// Admits operators by `listener` from now on, and by no other; whoever is in stays.
    pub(crate) fn move_to(&mut self, listener: TcpListener) {
        self.leaving.cancel();
        self.leaving = CancellationToken::new();
        let (door, leaving) = (Arc::clone(&self.door), self.leaving.clone());
        self.tasks.spawn(serve(listener, door, leaving));
    }

    /// Says when it ends, and how it is ended.
    pub(crate) fn end(&self) -> End {
        End { closing: self.door.closing.clone(), tasks: self.tasks.clone() }
    }
}

/// The end of the command port, wherever that is by then.
pub(crate) struct End {
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl End {
    /// Says good-bye to everybody.
    pub(crate) async fn close(self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Admits operators until `leaving`, and lets them finish; or until everything closes, and then says
/// good-bye to them.
async fn serve(listener: TcpListener, door: Arc<Door>, leaving: CancellationToken) {
    let closing = door.closing.clone();
    let mut strangers = Newest::new(STRANGERS);
    let mut tasks = JoinSet::new();
    let mut complaints = Complaints::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (proven, session) = tokio::sync::oneshot::channel();
                    strangers.admit(tasks.spawn(Arc::clone(&door).admit(stream, proven)));
                    tasks.spawn(Arc::clone(&door).session(session));
                }
                Err(error) => {
                    // Out of descriptors, most likely: those in use will come back.
                    if complaints.are_due() {
                        tracing::warn!("command port: {error}");
                    }
                    sleep(BACK_OFF).await;
                }
            },
            Some(_) = tasks.join_next() => {}
            () = leaving.cancelled() => break,
            () = closing.cancelled() => break,
        }
    }
    drop(listener);
    tokio::select! {
        () = async { while tasks.join_next().await.is_some() {} } => return,
        () = closing.cancelled() => {}
    }
    let ended = async { while tasks.join_next().await.is_some() {} };
    // A console that takes nothing does not keep the daemon.
    let _ = timeout(GOODBYE, ended).await;
}

/// What every connection needs.
struct Door {
    token: TokenFile,
    supervisor: Handle,
    reloads: Reloads,
    closing: CancellationToken,
    sessions: Arc<Semaphore>,
}

type Proven = tokio::sync::oneshot::Sender<TcpStream>;

impl Door {
    /// The handshake. Whatever goes wrong, the stranger sees a closed connection.
    async fn admit(self: Arc<Self>, mut stream: TcpStream, proven: Proven) {
        let _ = stream.set_nodelay(true);
        let token = match self.token.read() {
            Ok(token) => token,
            Err(error) => return tracing::error!("command port: {error}"),
        };
        match timeout(HANDSHAKE, wire::admit(&mut stream, &token)).await {
            // The receiver is the session task, which waits for nothing else.
            Ok(Ok(())) => drop(proven.send(stream)),
            Ok(Err(error)) => tracing::debug!("command port: refused: {error}"),
            Err(_) => tracing::debug!("command port: refused: too slow"),
        }
    }

    /// A session, once the stranger has proven to be none.
    async fn session(self: Arc<Self>, proven: tokio::sync::oneshot::Receiver<TcpStream>) {
        let Ok(stream) = proven.await else { return };
        let Ok(_place) = Arc::clone(&self.sessions).try_acquire_owned() else {
            return tracing::warn!("command port: {SESSIONS} sessions already, one more refused");
        };
        // A larger buffer is no worse than it was before.
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let reach = (self.supervisor.clone(), self.reloads.clone());
        session::run(stream, reach, self.closing.clone()).await;
    }
}
