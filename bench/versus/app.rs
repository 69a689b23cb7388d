//! The web service behind every proxy: answers of any size, bodies read to the end, and a count of
//! what it executed, by id. It closes connections without a word if it is told to, as many
//! applications do.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use crate::cores;
use crate::wire::{Head, Wire};

/// How it is launched: `versus app -port=8086 -close-idle-ms=50 -close-after=7`.
pub(crate) const VERB: &str = "app";
/// `GET` this for as many bytes.
pub(crate) const BYTES: &str = "/bytes/";
/// Any request for this is executed and counted under the id that follows.
pub(crate) const EXECUTE: &str = "/execute/";
/// `GET` this for what was executed.
pub(crate) const EXECUTED: &str = "/executed";

/// When it closes a connection that the other end would keep.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Closing {
    /// After so long without a request.
    pub(crate) idle: Option<Duration>,
    /// After so many requests.
    pub(crate) requests: Option<u64>,
}

impl Closing {
    /// Arguments that say so.
    pub(crate) fn arguments(self) -> Vec<String> {
        let idle = self.idle.map(|idle| format!("-close-idle-ms={}", idle.as_millis()));
        let requests = self.requests.map(|requests| format!("-close-after={requests}"));
        idle.into_iter().chain(requests).collect()
    }

    fn from_arguments() -> anyhow::Result<Self> {
        let idle = number("-close-idle-ms=")?.map(Duration::from_millis);
        Ok(Self { idle, requests: number("-close-after=")? })
    }
}

/// How often each id was executed.
type Executed = Rc<RefCell<HashMap<String, u32>>>;

/// Serves until it is ended from outside.
///
/// # Errors
/// When it is launched wrongly, or cannot listen.
pub(crate) async fn run() -> anyhow::Result<()> {
    cores::stay_on(cores::LOAD)?;
    let port = number("-port=")?.context("no -port=")?;
    let closing = Closing::from_arguments()?;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port)?));
    let listener = TcpListener::bind(addr).await?;
    let executed = Executed::default();
    let serving = async {
        loop {
            let (stream, _) = listener.accept().await?;
            let executed = executed.clone();
            spawn_local(async move {
                // A proxy that closes its connection is no business of ours.
                let _ = serve(stream, closing, &executed).await;
            });
        }
    };
    LocalSet::new().run_until(serving).await
}

fn number(name: &str) -> anyhow::Result<Option<u64>> {
    let value = std::env::args().find_map(|argument| Some(argument.strip_prefix(name)?.to_owned()));
    value.map(|value| value.parse().with_context(|| format!("{name}{value}"))).transpose()
}

async fn serve(stream: TcpStream, closing: Closing, executed: &Executed) -> anyhow::Result<()> {
    let mut wire = Wire::new(stream)?;
    let mut answer = Vec::new();
    for _ in 0..closing.requests.unwrap_or(u64::MAX) {
        let next = wire.head();
        let head = match closing.idle {
            Some(idle) => timeout(idle, next).await.context("idle")?,
            None => next.await,
        };
        let Some(head) = head? else { break };
        if head.length.is_some() {
            wire.body(&head).await?;
        }
        answer.clear();
        write_answer(&mut answer, &head, executed)?;
        wire.send(&answer).await?;
    }
    Ok(())
}

fn write_answer(answer: &mut Vec<u8>, head: &Head, executed: &Executed) -> anyhow::Result<()> {
    let target = head.words().nth(1).context("no target")?;
    if let Some(length) = target.strip_prefix(BYTES) {
        begin(answer, length.parse()?);
        answer.resize(answer.len() + length.parse::<usize>()?, b'x');
        return Ok(());
    }
    let text = if let Some(id) = target.strip_prefix(EXECUTE) {
        *executed.borrow_mut().entry(id.to_owned()).or_default() += 1;
        String::from("done")
    } else if target == EXECUTED {
        let executed = executed.borrow();
        let twice = executed.values().filter(|times| **times > 1).count();
        format!("{} {twice}", executed.len())
    } else {
        String::from("ok")
    };
    begin(answer, text.len());
    answer.extend(text.bytes());
    Ok(())
}

fn begin(answer: &mut Vec<u8>, length: usize) {
    answer.extend(
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n")
            .bytes(),
    );
}
