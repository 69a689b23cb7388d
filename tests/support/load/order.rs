//! One HTTP request with the exact answer it must get.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::time::sleep;

use crate::contract::{Checksum, GREETING, LAST_LINE, pattern, receipt, stream_chunk};
use crate::load::plan::{Kind, LoadPlan};

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Bytes of a large answer.
const BIG: usize = 200_000;
/// Chunks of a stream, and of a slow upload.
const CHUNKS: u64 = 10;
/// Bytes of one chunk of a slow upload.
const DRIBBLE: usize = 500;

/// One HTTP request with the exact answer it must get.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) answer: Bytes,
    /// The id under which its execution is recorded.
    pub(crate) id: Option<String>,
    upload: Upload,
}

#[derive(Clone, Debug)]
enum Upload {
    Nothing,
    Whole(Bytes),
    /// In chunks spread over this time; with a length in the head, or without.
    Dribbled {
        bytes: Bytes,
        over: Duration,
        has_length: bool,
    },
}

impl Order {
    /// The `turn`-th request of a client, of this kind; a conversation is none.
    pub(crate) fn new(kind: Kind, turn: u64, id: String, plan: &LoadPlan) -> Option<Self> {
        Some(match kind {
            Kind::Get => Self::get("/", GREETING),
            Kind::Big => Self::get(&format!("/big?bytes={BIG}"), pattern(0, BIG)),
            Kind::Stream => {
                let target = format!("/stream?ms={}&chunks={CHUNKS}", plan.stream.as_millis());
                let chunks: String = (0..CHUNKS).map(stream_chunk).collect();
                Self::get(&target, chunks + LAST_LINE)
            }
            Kind::Post => {
                let body = Bytes::from(pattern(turn, upload_length(turn)));
                let answer = receipt(&id, body.len() as u64, Checksum::of(&body));
                let order = Self::post(&format!("/once/{id}"), answer, Upload::Whole(body));
                Self { id: Some(id), ..order }
            }
            Kind::Echo => {
                let body = Bytes::from(pattern(turn, 1000));
                Self::post("/echo", body.clone(), Upload::Whole(body))
            }
            Kind::Upload => {
                let bytes = Bytes::from(pattern(turn, CHUNKS as usize * DRIBBLE));
                let answer = receipt("upload", bytes.len() as u64, Checksum::of(&bytes));
                let has_length = turn.is_multiple_of(2);
                let upload = Upload::Dribbled { bytes, over: plan.upload, has_length };
                Self::post("/upload", answer, upload)
            }
            Kind::WebSocket => return None,
        })
    }

    fn get(target: &str, answer: impl Into<Bytes>) -> Self {
        Self {
            method: Method::GET,
            target: target.to_owned(),
            answer: answer.into(),
            id: None,
            upload: Upload::Nothing,
        }
    }

    fn post(target: &str, answer: impl Into<Bytes>, upload: Upload) -> Self {
        Self { method: Method::POST, upload, ..Self::get(target, answer) }
    }

    /// The request, to be sent once.
    pub(crate) fn request(&self, host: &str) -> Request<Body> {
        let mut request = Request::new(self.upload.body());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.parse().expect("every target above is a valid one");
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(host).expect("a test names a valid host"));
        if let Upload::Dribbled { bytes, has_length: true, .. } = &self.upload {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        }
        request
    }
}

impl Upload {
    fn body(&self) -> Body {
        match self {
            Self::Nothing => Full::default().boxed_unsync(),
            Self::Whole(bytes) => Full::new(bytes.clone()).boxed_unsync(),
            Self::Dribbled { bytes, over, .. } => dribble(bytes.clone(), *over),
        }
    }
}

fn dribble(bytes: Bytes, over: Duration) -> Body {
    let pause = over / CHUNKS as u32;
    StreamBody::new(stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        sleep(pause).await;
        let piece = rest.split_to(DRIBBLE.min(rest.len()));
        Some((Ok(Frame::data(piece)), rest))
    }))
    .boxed_unsync()
}

/// Mostly small, and now and then larger than what a proxy would keep to send it again.
fn upload_length(turn: u64) -> usize {
    match turn % 16 {
        0 => 0,
        7 => 100_000,
        short => short as usize * 100,
    }
}
