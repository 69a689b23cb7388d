//! One request, one answer.
//!
//! | path | answer |
//! |---|---|
//! | `/` | a short greeting |
//! | `/healthz` | 200, or 503 if it is to be unhealthy, or [`SICK`] names this process |
//! | `/fragile` | the greeting; none at all, if [`SICK`] names this process |
//! | `/hoard?mib=64` | the greeting; so much memory more is in use from then on |
//! | `/echo` | the request's body |
//! | `/once/ID` | length and checksum of the request's body; the execution is recorded |
//! | `/upload` | length and checksum of the request's body |
//! | `/headers` | the request's head as JSON |
//! | `/slow?ms=500` | the greeting, after that |
//! | `/stream?ms=2000&chunks=20` | chunks spread over that time, and a known last line |
//! | `/big?bytes=1000000` | so many bytes of a known pattern, with a Content-Length |
//! | `/trailers` | a chunked body, its checksum as a trailer |
//! | `/abort-mid-body?bytes=1000` | so many bytes of twice as many promised |
//! | `/status/503` | that status |
//! | `/ws` | a WebSocket that echoes |

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRAILER};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use smoothserve_tests::contract::{
    CHECKSUM, Checksum, GENERATION, GREETING, INSTANCE, PID, SICK, receipt,
};
use tokio::time::sleep;

use crate::body::{self, Body};
use crate::options::Options;
use crate::web_socket;

/// Header of `/echo` and `/once/ID`: how many of them this process has executed.
const EXECUTIONS: &str = "x-executions";

/// What every answer may need.
pub(crate) struct Fixture {
    pub(crate) options: Options,
    /// Shared with the other instances, and therefore only ever appended to.
    record: Option<File>,
    executions: AtomicU64,
    hoard: Mutex<Vec<u8>>,
    /// On every answer.
    identity: HeaderMap,
}

impl Fixture {
    pub(crate) fn new(options: Options) -> anyhow::Result<Self> {
        let record = options.record.as_ref().map(|path| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("could not open the record {}", path.display()))
        });
        Ok(Self {
            record: record.transpose()?,
            executions: AtomicU64::new(0),
            hoard: Mutex::default(),
            identity: identity(&options)?,
            options,
        })
    }

    /// Counts an execution.
    fn execute(&self) -> u64 {
        self.executions.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn record(&self, id: &str) -> io::Result<()> {
        let Some(mut record) = self.record.as_ref() else { return Ok(()) };
        // One write, so that the lines of several instances do not mix.
        let line = format!("{id} {} {}\n", self.options.port, process::id());
        record.write_all(line.as_bytes())
    }
}

fn identity(options: &Options) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static(INSTANCE), HeaderValue::from(options.port));
    headers.insert(HeaderName::from_static(PID), HeaderValue::from(process::id()));
    headers.insert(
        HeaderName::from_static(GENERATION),
        HeaderValue::from_str(&options.generation).context("generation")?,
    );
    Ok(headers)
}

/// Answers `request`; whatever goes wrong on the way becomes a 500 that says so.
///
/// # Errors
/// There is to be no answer, and the connection is to be closed.
pub(crate) async fn answer(
    fixture: &Fixture,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    if request.uri().path() == "/fragile" && is_sick() {
        return Err(io::Error::other("sick"));
    }
    let mut response = match dispatch(fixture, request).await {
        Ok(response) => response,
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("fixture: {error:#}\n")),
    };
    response.headers_mut().extend(fixture.identity.clone());
    Ok(response)
}

async fn dispatch(fixture: &Fixture, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let path = request.uri().path().to_owned();
    let query = Query(request.uri().query().unwrap_or_default().to_owned());
    if let Some(id) = path.strip_prefix("/once/") {
        return once(fixture, id, request).await;
    }
    if let Some(status) = path.strip_prefix("/status/") {
        return Ok(text(StatusCode::from_bytes(status.as_bytes())?, format!("{status}\n")));
    }
    match path.as_str() {
        "/" | "/fragile" => Ok(text(StatusCode::OK, GREETING)),
        "/healthz" => Ok(health(fixture)),
        "/echo" => echo(fixture, request).await,
        "/upload" => upload("upload", request).await,
        "/headers" => Ok(head_as_json(&request)),
        "/hoard" => {
            let mut hoard = fixture.hoard.lock().expect("nobody panics with it");
            let length = hoard.len() + ((query.number("mib", 64) as usize) << 20);
            // Written to, or it would not be there.
            hoard.resize(length, 1);
            Ok(text(StatusCode::OK, GREETING))
        }
        "/slow" => {
            sleep(query.millis("ms", 500)).await;
            Ok(text(StatusCode::OK, GREETING))
        }
        "/stream" => {
            Ok(Response::new(body::spread(query.millis("ms", 2000), query.number("chunks", 20))))
        }
        "/big" => Ok(large(query.number("bytes", 1_000_000))),
        "/trailers" => Ok(trailers()),
        "/abort-mid-body" => Ok(broken(query.number("bytes", 1000))),
        "/ws" => Ok(web_socket::accept(&request)),
        _ => Ok(text(StatusCode::NOT_FOUND, "fixture: no such path\n")),
    }
}

async fn once(
    fixture: &Fixture,
    id: &str,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Body>> {
    // Executed when the whole request is there, as a web service would: a part of one is none.
    let mut response = upload(id, request).await?;
    fixture.record(id)?;
    response.headers_mut().insert(EXECUTIONS, HeaderValue::from(fixture.execute()));
    Ok(response)
}

async fn echo(fixture: &Fixture, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let bytes = request.into_body().collect().await?.to_bytes();
    let mut response = text(StatusCode::OK, bytes);
    response.headers_mut().insert(EXECUTIONS, HeaderValue::from(fixture.execute()));
    Ok(response)
}

async fn upload(what: &str, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let mut body = request.into_body();
    let (mut length, mut checksum) = (0, Checksum::default());
    while let Some(frame) = body.frame().await {
        if let Some(piece) = frame?.data_ref() {
            length += piece.len() as u64;
            checksum.update(piece);
        }
    }
    Ok(text(StatusCode::OK, receipt(what, length, checksum)))
}

fn health(fixture: &Fixture) -> Response<Body> {
    if fixture.options.is_unhealthy || is_sick() {
        text(StatusCode::SERVICE_UNAVAILABLE, "unhealthy, as told\n")
    } else {
        text(StatusCode::OK, "healthy\n")
    }
}

/// Whether the file of the sick names this process.
fn is_sick() -> bool {
    let own = process::id().to_string();
    fs::read_to_string(SICK).is_ok_and(|text| text.lines().any(|line| line == own))
}

fn head_as_json(request: &Request<Incoming>) -> Response<Body> {
    let headers: Vec<[String; 2]> = request
        .headers()
        .iter()
        .map(|(name, value)| {
            [name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()]
        })
        .collect();
    let head = serde_json::json!({
        "method": request.method().as_str(),
        "target": request.uri().to_string(),
        "version": format!("{:?}", request.version()),
        "headers": headers,
    });
    text(StatusCode::OK, head.to_string())
}

fn large(length: u64) -> Response<Body> {
    let mut response = Response::new(body::large(length));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn broken(length: u64) -> Response<Body> {
    let mut response = Response::new(body::broken(length));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(2 * length));
    response
}

fn trailers() -> Response<Body> {
    let mut response = Response::new(body::with_trailer(Bytes::from_static(GREETING.as_bytes())));
    response.headers_mut().insert(TRAILER, HeaderValue::from_static(CHECKSUM));
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(body::whole(body));
    *response.status_mut() = status;
    response
}

/// `name=number` pairs after the `?`.
struct Query(String);

impl Query {
    fn number(&self, name: &str, default: u64) -> u64 {
        self.0
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(found, _)| *found == name)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(default)
    }

    fn millis(&self, name: &str, default: u64) -> Duration {
        Duration::from_millis(self.number(name, default))
    }
}
