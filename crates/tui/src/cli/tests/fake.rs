//! A daemon that says what a test tells it to, and a command line with captured streams.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use clap::Parser;
use smoothserve_protocol::auth::Token;
use smoothserve_protocol::id::RequestId;
use smoothserve_protocol::io::{Sender, admit, split};
use smoothserve_protocol::message::{Done, FromDaemon, FromTool, Push, Refusal, Request};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::cli::args::Args;
use crate::cli::out::{Out, Terminals};
use crate::cli::session::{Interrupt, Session};
use crate::cli::target::{Place, Surroundings, TOKEN_FILE};

/// What a daemon does about a request, in this order.
pub(super) enum Act {
    Push(Push),
    Answer(Result<Done, Refusal>),
    /// Ends the connection, and listens no more.
    Leave,
}

/// Answers, and does nothing else.
pub(super) fn answer(result: Result<Done, Refusal>) -> Vec<Act> {
    vec![Act::Answer(result)]
}

/// A command line must have ended like this.
#[track_caller]
pub(super) fn ended(ran: &Ran, code: u8) {
    assert_eq!(ran.code, code, "stdout:\n{}\nstderr:\n{}", ran.stdout, ran.stderr);
}

type Script = Box<dyn FnMut(&Request) -> Vec<Act> + Send>;

/// A daemon on a free port.
pub(super) struct Fake {
    addr: SocketAddr,
    folder: TempDir,
    asked: Arc<Mutex<Vec<Request>>>,
}

/// What a command line left behind.
pub(super) struct Ran {
    pub(super) code: u8,
    pub(super) stdout: String,
    /// What stdout says, to the byte.
    pub(super) bytes: Vec<u8>,
    pub(super) stderr: String,
}

impl Fake {
    /// Listens; every request is answered by `script`, and `Subscribe` with nothing but its
    /// answer, unless the script has more to say.
    pub(super) async fn start(script: impl FnMut(&Request) -> Vec<Act> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token = Token::generate().unwrap();
        std::fs::write(folder.path().join(TOKEN_FILE), token.to_text()).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(listener, token, Box::new(script), asked.clone()));
        Self { addr, folder, asked }
    }

    pub(super) async fn run(&self, line: &str) -> Ran {
        self.run_until(line, Box::pin(std::future::pending())).await
    }

    /// Runs a command line that an operator interrupts.
    pub(super) async fn run_until(&self, line: &str, interrupt: Interrupt) -> Ran {
        run(self.place(), line, interrupt).await
    }

    /// Runs a command line whose answer is read on a terminal.
    pub(super) async fn run_on_terminal(&self, line: &str) -> Ran {
        let terminals = Terminals { stdout: true, ..Terminals::default() };
        let never = Box::pin(std::future::pending());
        run_on(Captured::default(), terminals, self.place(), line, never).await
    }

    /// Runs a command line whose answer nobody reads any more.
    pub(super) async fn run_unread(&self, line: &str) -> Ran {
        let closed = Captured { closed: true, ..Captured::default() };
        let never = Box::pin(std::future::pending());
        run_on(closed, Terminals::default(), self.place(), line, never).await
    }

    fn place(&self) -> Place {
        Place {
            addr: Some(self.addr.to_string()),
            config: None,
            token_file: Some(self.folder.path().join(TOKEN_FILE)),
        }
    }

    /// Runs a command line that holds the token of another daemon.
    pub(super) async fn run_with_token_of(&self, other: &Self, line: &str) -> Ran {
        let place = Place {
            addr: Some(self.addr.to_string()),
            config: None,
            token_file: Some(other.folder.path().join(TOKEN_FILE)),
        };
        run(place, line, Box::pin(std::future::pending())).await
    }

    /// What it was asked, subscriptions left out.
    pub(super) fn asked(&self) -> Vec<Request> {
        let asked = self.asked.lock().unwrap().clone();
        asked.into_iter().filter(|request| !matches!(request, Request::Subscribe { .. })).collect()
    }
}

/// Runs a command line at `place`.
pub(super) async fn run(place: Place, line: &str, interrupt: Interrupt) -> Ran {
    run_on(Captured::default(), Terminals::default(), place, line, interrupt).await
}

async fn run_on(
    stdout: Captured,
    terminals: Terminals,
    place: Place,
    line: &str,
    interrupt: Interrupt,
) -> Ran {
    let words = std::iter::once("smoothtool").chain(line.split_whitespace());
    let args = Args::try_parse_from(words).unwrap();
    let stderr = Captured::default();
    let mut out = Out::captured(stdout.clone(), stderr.clone(), args.verb.json());
    out.terminals = terminals;
    let around = Surroundings { config_folders: Vec::new(), state_folder: "/nowhere".into() };
    let mut session = Session { out, place, around, interrupt };
    let code = crate::cli::perform(&mut session, args.verb).await.code();
    Ran { code, stdout: stdout.text(), bytes: stdout.bytes(), stderr: stderr.text() }
}

async fn serve(
    listener: TcpListener,
    token: Token,
    mut script: Script,
    asked: Arc<Mutex<Vec<Request>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        if !talk(stream, &token, &mut script, &asked).await {
            return;
        }
    }
}

/// One connection to its end; whether to listen on.
async fn talk(
    mut stream: TcpStream,
    token: &Token,
    script: &mut Script,
    asked: &Mutex<Vec<Request>>,
) -> bool {
    if admit(&mut stream, token).await.is_err() {
        return true;
    }
    let (mut receiver, mut sender) = split::<_, FromTool, FromDaemon>(stream);
    while let Ok(Some(message)) = receiver.recv().await {
        let FromTool::Request { id, request } = message else { continue };
        asked.lock().unwrap().push(request.clone());
        if matches!(request, Request::Subscribe { .. }) {
            say(&mut sender, id, Act::Answer(Ok(Done::Subscribed))).await;
        }
        for act in script(&request) {
            if matches!(act, Act::Leave) {
                return false;
            }
            say(&mut sender, id, act).await;
        }
    }
    true
}

async fn say(sender: &mut Sender<TcpStream, FromDaemon>, id: RequestId, act: Act) {
    let message = match act {
        Act::Push(push) => FromDaemon::Push(push),
        Act::Answer(result) => FromDaemon::Response { id, result },
        Act::Leave => return,
    };
    // The tool may have left; the test sees what it said.
    let _ = sender.send(&message).await;
}

/// A stream that a test can read.
#[derive(Clone, Default)]
struct Captured {
    written: Arc<Mutex<Vec<u8>>>,
    /// Whoever read it has gone.
    closed: bool,
}

impl Captured {
    fn bytes(&self) -> Vec<u8> {
        self.written.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        let bytes = anstream::adapter::strip_bytes(&self.bytes()).into_vec();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
