//! A plain request is read, and its answer is written, as hyper does it: byte for byte.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{answer, plain};
use crate::proxy::elaborate::server;
use crate::proxy::guard::{Guarded, Noted};

/// All headers of a request together.
const MAX_FIELDS: usize = 64 * 1024;

/// What comes of a body, in this order.
#[derive(Clone, Debug)]
enum Step {
    /// So many bytes.
    Data(usize),
    /// Nothing for a moment.
    Pause,
    /// An error.
    Break,
    Trailers,
}

/// An answer that can be given more than once.
#[derive(Clone, Debug)]
struct Script {
    status: u16,
    reason: Option<&'static str>,
    fields: Vec<(&'static str, &'static str)>,
    steps: Vec<Step>,
    length: Length,
    /// The body says with its last frame that it was the last.
    knows_end: bool,
}

/// What is told of the length of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Length {
    Unknown,
    /// By the body.
    Known,
    /// By a field, and it is this much more than there is.
    Told(i8),
    /// By both.
    Both,
}

struct Played {
    steps: VecDeque<Step>,
    length: Option<u64>,
    knows_end: bool,
}

impl Script {
    fn sum(&self) -> u64 {
        let lengths = self.steps.iter().map(|step| match step {
            Step::Data(length) => *length as u64,
            Step::Pause | Step::Break | Step::Trailers => 0,
        });
        lengths.sum()
    }

    fn play(&self) -> Response<Played> {
        let (sum, steps) = (self.sum(), self.steps.iter().cloned().collect());
        let length = matches!(self.length, Length::Known | Length::Both).then_some(sum);
        let mut answer = Response::new(Played { steps, length, knows_end: self.knows_end });
        *answer.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in &self.fields {
            answer.headers_mut().append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let told = match self.length {
            Length::Unknown | Length::Known => None,
            Length::Told(more) => Some(sum.saturating_add_signed(more.into())),
            Length::Both => Some(sum),
        };
        if let Some(told) = told {
            answer.headers_mut().insert("content-length", told.into());
        }
        if let Some(reason) = self.reason {
            answer.extensions_mut().insert(ReasonPhrase::from_static(reason.as_bytes()));
        }
        answer
    }

    fn breaks_off(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Break))
    }
}

impl Body for Played {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(match self.steps.pop_front() {
            Some(Step::Data(length)) => {
                let bytes = (0..length).map(|place| b'a' + (place % 26) as u8);
                Some(Ok(Frame::data(bytes.collect())))
            }
            Some(Step::Pause) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Step::Break) => Some(Err(std::io::ErrorKind::Other.into())),
            Some(Step::Trailers) => {
                let fields = ["x-sum", "x-other", "cache-control"].map(HeaderName::from_static);
                let trailers = fields.map(|name| (name, HeaderValue::from_static("7")));
                Some(Ok(Frame::trailers(HeaderMap::from_iter(trailers))))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.knows_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Everything that comes until the end, on whatever date.
async fn read_all(mut client: DuplexStream) -> Vec<u8> {
    const NAME: &[u8] = b"\r\ndate: ";
    let mut read = Vec::new();
    client.read_to_end(&mut read).await.unwrap();
    let names: Vec<_> = memchr::memmem::find_iter(&read, NAME).collect();
    for name in names {
        let value = read[name + NAME.len()..].iter_mut().take_while(|byte| **byte != b'\r');
        value.for_each(|byte| *byte = b'-');
    }
    read
}

/// What hyper sends to whoever asks like this.
async fn sent_by_hyper(request: &str, script: &Script, room: usize) -> Vec<u8> {
    let (mut client, far) = tokio::io::duplex(room);
    let service = service_fn(|_: Request<Incoming>| async { Ok::<_, Infallible>(script.play()) });
    let serving = server(MAX_FIELDS).serve_connection(TokioIo::new(far), service);
    let asking = async {
        // It may give up before it has read all that is asked.
        let _ = client.write_all(request.as_bytes()).await;
        let _ = client.shutdown().await;
        read_all(client).await
    };
    tokio::join!(serving, asking).1
}

/// What is sent here; `requests` are plain.
async fn sent(requests: &[Bytes], script: &Script, room: usize) -> Vec<u8> {
    let (client, mut far) = tokio::io::duplex(room);
    let serving = async move {
        for request in requests {
            let (_, manner) = plain::read(request).unwrap();
            if !answer::send(&mut far, &manner, script.play()).await.unwrap_or(false) {
                return;
            }
        }
    };
    tokio::join!(serving, read_all(client)).1
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => select(vec![0, 1, 2, 30, 1023, 1024, 1025, 5000, 9000, 70_000]).prop_map(Step::Data),
        2 => Just(Step::Pause),
    ]
}

/// Frames, and how they end.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![
        5 => Just(None),
        1 => Just(Some(Step::Break)),
        2 => Just(Some(Step::Trailers)),
    ];
    (vec(step(), 0..6), end).prop_map(|(steps, end)| steps.into_iter().chain(end).collect())
}

fn field() -> impl Strategy<Value = (&'static str, &'static str)> {
    select(vec![
        ("x-a", "1"),
        ("x-a", ""),
        ("set-cookie", "a=b; path=/"),
        ("content-type", "text/plain"),
        ("server", "\u{e9}"),
    ])
}

/// Fields that stand alone.
fn fields() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let trailer =
        option::of(select(vec![("trailer", "x-sum"), ("trailer", "X-Sum , cache-control")]));
    let close = option::weighted(0.2, Just(("connection", "close")));
    let date = option::weighted(0.2, Just(("date", "Thu, 01 Jan 1970 00:00:00 GMT")));
    (vec(field(), 0..4), trailer, close, date).prop_map(|(fields, trailer, close, date)| {
        fields.into_iter().chain(trailer).chain(close).chain(date).collect()
    })
}

fn script() -> impl Strategy<Value = Script> {
    let status = select(vec![200, 201, 204, 206, 299, 304, 404, 500, 502, 599]);
    let reason = option::weighted(0.2, select(vec!["Fine", "", "\u{e9}"]));
    let length = prop_oneof![
        Just(Length::Unknown),
        Just(Length::Known),
        (-2..3_i8).prop_map(Length::Told),
        Just(Length::Both),
    ];
    let script = (status, reason, fields(), steps(), length, any::<bool>());
    script.prop_map(|(status, reason, fields, steps, length, knows_end)| Script {
        status,
        reason,
        fields,
        steps,
        length,
        knows_end,
    })
}

/// A head, and whether it is plain.
fn head() -> impl Strategy<Value = (String, bool)> {
    let line = select(vec![
        ("GET / HTTP/1.1\r\n", true),
        ("\r\nHEAD /a%20b//../?c=[]{}|^` HTTP/1.1\r\n", true),
        ("OPTIONS * HTTP/1.1\r\n", true),
        ("X!#$ http://[::1]:80/?\u{fc} HTTP/1.7\r\n", true),
        ("DELETE /d HTTP/1.0\r\n", false),
    ]);
    let field = select(vec![
        ("Host: a\r\n", true),
        ("x-A:\t b \t\r\n", true),
        ("x-a: \u{e9}\r\n", true),
        ("x-b:\r\n", true),
        ("Cookie: a=b\r\n", true),
        ("connection: keep-alive\r\n", true),
        ("te: trailers\r\n", true),
        ("upgrade: websocket\r\n", false),
        ("EXPECT: 100-continue\r\n", false),
    ]);
    let framing = option::weighted(
        0.4,
        select(vec![
            ("Content-Length: 0\r\n\r\n", true),
            ("Content-Length: 3\r\n\r\n", false),
            ("Content-Length: 3\r\n\r\nabc", false),
            ("transfer-encoding: chunked\r\n\r\n", false),
            ("transfer-encoding: chunked\r\n\r\n0\r\n\r\n", false),
        ]),
    );
    (line, vec(field, 0..12), framing).prop_map(|(line, fields, framing)| {
        let parts = [line].into_iter().chain(fields).chain([framing.unwrap_or(("\r\n", true))]);
        let is_plain = parts.clone().all(|(_, is_plain)| is_plain);
        (parts.map(|(text, _)| text).collect(), is_plain)
    })
}

/// What hyper makes of a request that the guard lets through.
async fn read_by_hyper(request: &[u8]) -> Option<Parts> {
    let (mut client, far) = tokio::io::duplex(1 << 20);
    client.write_all(request).await.unwrap();
    client.shutdown().await.unwrap();
    let found = Arc::new(Mutex::new(None));
    let service = service_fn(|request: Request<Incoming>| {
        *found.lock().unwrap() = Some(request.into_parts().0);
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    let guarded = Guarded::new(far, MAX_FIELDS, Noted::default());
    let _ = server(MAX_FIELDS).serve_connection(TokioIo::new(guarded), service).await;
    found.lock().unwrap().take()
}

/// What the guard lets through of a request, and whether more of it is to come. None: it is refused.
async fn guarded(request: &[u8]) -> Option<(Bytes, bool)> {
    let noted = Noted::default();
    let mut guarded = Guarded::new(request, MAX_FIELDS, noted.clone());
    let mut bytes = vec![0; request.len()];
    let count = guarded.read(&mut bytes).await.unwrap();
    bytes.truncate(count);
    noted.get().is_none().then(|| (bytes.into(), guarded.is_inside()))
}

proptest! {
    #[test]
    fn an_answer_is_written_as_hyper_writes_it(
        script in script(),
        method in select(vec!["GET", "HEAD", "OPTIONS"]),
        asks in vec(select(vec!["te: trailers\r\n", "connection: close\r\n", "host: a\r\n"]), 0..3),
        room in select(vec![64, 1000, 1 << 20]),
    ) {
        let head = format!("{method} / HTTP/1.1\r\n{}\r\n", asks.concat());
        let requests = [Bytes::from(head.clone()), "GET /2 HTTP/1.1\r\n\r\n".into()];
        let both = format!("{head}GET /2 HTTP/1.1\r\n\r\n");
        let theirs = block_on(sent_by_hyper(&both, &script, room));
        let ours = block_on(sent(&requests, &script, room));
        if script.breaks_off() || matches!(script.length, Length::Told(1..)) {
            // What hyper had not yet written when it broke off, it keeps to itself.
            prop_assert!(ours.starts_with(&theirs), "{ours:?} {theirs:?}");
            prop_assert!(!ours.ends_with(b"\r\n0\r\n\r\n") || !script.breaks_off());
        } else {
            prop_assert_eq!(
                String::from_utf8_lossy(&ours),
                String::from_utf8_lossy(&theirs)
            );
        }
    }

    #[test]
    fn a_plain_request_reads_as_in_hyper((request, is_plain) in head()) {
        let guarded = block_on(guarded(request.as_bytes()));
        prop_assume!(guarded.is_some());
        let (bytes, is_inside) = guarded.unwrap();
        let read = if is_inside { None } else { plain::read(&bytes) };
        prop_assert_eq!(read.is_some(), is_plain, "{}", request);
        if let Some((read, _)) = read {
            let (ours, theirs) = (read.into_parts().0, block_on(read_by_hyper(request.as_bytes())));
            let theirs = theirs.unwrap();
            prop_assert_eq!((ours.method, ours.uri), (theirs.method, theirs.uri));
            prop_assert_eq!((ours.version, ours.headers), (theirs.version, theirs.headers));
        }
    }
}
