//! An instance that writes its frames itself (RFC 9113 4.1).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;

const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const NO_ERROR: u32 = 0;
pub(super) const INTERNAL_ERROR: u32 = 2;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const CANCEL: u32 = 8;

/// `:status: 200` in HPACK's static table; 204 follows it, and 304 comes with 0x8b.
const OK: u8 = 0x88;

const PREFACE: usize = 24;

/// One connection, from the side of the instance.
pub(super) struct Frames(TcpStream);

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn is_last(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// Where each connection, numbered from 0, is handled by the test's own function.
pub(super) struct Instance {
    pub(super) addr: SocketAddr,
    connections: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Instance {
    /// `settings` are pairs of RFC 9113 6.5.2.
    pub(super) async fn new<F>(
        settings: &'static [(u16, u32)],
        script: impl Fn(u64, Frames) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let frames = Frames::greet(stream, settings).await;
                serving.spawn(script(count.fetch_add(1, Ordering::SeqCst), frames));
            }
        });
        Self { addr, connections, task }
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Frames {
    async fn greet(mut stream: TcpStream, settings: &[(u16, u32)]) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.read_exact(&mut [0; PREFACE]).await.unwrap();
        let mut frames = Self(stream);
        let pair =
            |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let settings: Vec<u8> = settings.iter().flat_map(pair).collect();
        frames.write(SETTINGS, 0, 0, &settings).await;
        frames
    }

    /// The next one of a stream; none: the connection is over. What concerns all is dealt with.
    pub(super) async fn read(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            let frame = Frame { kind: head[3], flags: head[4], stream, payload };
            match frame.kind {
                SETTINGS | PING if frame.flags & ACK == 0 => {
                    let payload = if frame.kind == PING { &frame.payload[..] } else { &[] };
                    self.write(frame.kind, ACK, 0, payload).await;
                }
                DATA | HEADERS | RST_STREAM => return Some(frame),
                _ => {}
            }
        }
    }

    /// The next head of a request, and its stream.
    pub(super) async fn head(&mut self) -> Option<Frame> {
        loop {
            let frame = self.read().await?;
            if frame.kind == HEADERS {
                return Some(frame);
            }
        }
    }

    /// Reads on to the end of a request; what its body was.
    pub(super) async fn body(&mut self, head: &Frame) -> Vec<u8> {
        let (mut body, mut is_over) = (Vec::new(), head.is_last());
        while !is_over {
            let Some(frame) = self.read().await else { return body };
            is_over = frame.is_last();
            if frame.kind == DATA {
                body.extend(frame.payload);
            }
        }
        body
    }

    pub(super) async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        let _ = self.0.write_all(&[&head[..], payload].concat()).await;
    }

    /// The head of a 200 with these fields.
    pub(super) async fn answer(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.answer_as(OK, false, stream, fields).await;
    }

    /// A head with a status as it is in HPACK's static table; `is_last`: nothing follows.
    pub(super) async fn answer_as(
        &mut self,
        status: u8,
        is_last: bool,
        stream: u32,
        fields: &[(&str, &str)],
    ) {
        let mut block = vec![status];
        for (name, value) in fields {
            // Literals (RFC 7541 6.2.2).
            block.extend([&[0, name.len() as u8], name.as_bytes()].concat());
            block.extend([&[value.len() as u8], value.as_bytes()].concat());
        }
        let flags = if is_last { END_HEADERS | END_STREAM } else { END_HEADERS };
        self.write(HEADERS, flags, stream, &block).await;
    }

    /// A whole 200.
    pub(super) async fn answer_with(&mut self, stream: u32, body: &str) {
        self.answer(stream, &[]).await;
        self.write(DATA, END_STREAM, stream, body.as_bytes()).await;
    }

    pub(super) async fn reset(&mut self, stream: u32, code: u32) {
        self.write(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    /// No stream above `last` was processed, or will be.
    pub(super) async fn go_away(&mut self, last: u32) {
        let payload = [last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat();
        self.write(GOAWAY, 0, 0, &payload).await;
    }

    /// Answers each request with `ok`, as it is complete.
    pub(super) async fn answer_all(mut self) {
        while let Some(frame) = self.read().await {
            if frame.is_last() {
                self.answer_with(frame.stream, "ok").await;
            }
        }
    }
}
