//! One request, from its head to the head of its answer. The page to read first.
//!
//! check ▶ route ▶ admit ▶ enter a run (or wait for one) ▶ send ▶ answer with a body that holds
//! the pass until its last byte. No task, no channel and no lock that two services share.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use smoothserve_protocol::id::Slot;

use super::access::Access;
use super::arriving::Arriving;
use super::body::{Download, GuardedBody};
use super::client::Client;
use super::edge::{InPlace, Treatment};
use super::endpoint::{Age, Pass};
use super::exchange::{Asker, Exchange};
use super::expect::{self, Asked};
use super::progress::Awaited;
use super::refusal::Refusal;
use super::service::{ServiceProxy, WhenNone};
use super::to_https::{self, Way};
use super::tries::Tries;
use super::upload::{Fault, Uploading};
use super::upstream::{AnswerBody, Fate, Upstream};
use super::visit::RequestLine;
use super::{forward, forwarded, hold, http2, request_id, spare, target, upgrade};
use crate::config::{Trust, UpstreamProtocol};

/// Sent to an instance for a client of HTTP/1.0 that named no host: HTTP/1.1 demands one.
const NO_HOST: HeaderValue = HeaderValue::from_static("localhost");

/// Answers a request of `client`; what cannot be answered by an instance is answered by us.
pub(crate) async fn answer(
    client: Arc<Client>,
    request: Request<impl Into<Arriving>>,
) -> Result<Response<Download>, Infallible> {
    let began = Instant::now();
    let (prepared, id, note) = {
        let trust = client.proxy().trusted();
        let id = request_id::of(request.headers(), client.peer().addr, &trust);
        let note = client.proxy().accesses().note(&client, &request, id.as_ref(), began);
        (prepare(&client, request, &trust, id.as_ref()), id, note)
    };
    let answered = match prepared {
        Ok(prepared) => prepared.forward(&client, began, note).await,
        // Asked every other second by a balancer: neither counted nor logged.
        Err(Aside::Readiness) => Err(Refusal::readiness(client.proxy().standing())),
        Err(Aside::Moved(moved)) => {
            client.proxy().redirect();
            client.proxy().accesses().turned_away(note, "redirected", None, &moved);
            Err(moved)
        }
        Err(Aside::Refused(refusal)) => {
            client.proxy().reject();
            client.proxy().accesses().turned_away(note, "rejected", None, &refusal);
            Err(refusal)
        }
    };
    let mut response = answered.unwrap_or_else(|refusal| {
        client.progress().wait_for(Awaited::Next);
        refusal.into_response()
    });
    let stays_http = response.status() != StatusCode::SWITCHING_PROTOCOLS;
    if stays_http && client.is_leaving() {
        forward::close(response.headers_mut());
    }
    if let Some(id) = id {
        request_id::tell(response.headers_mut(), &id);
    }
    if client.is_secured()
        && let Some(hsts) = client.proxy().hsts()
    {
        // An instance that says more of itself is the one to be believed.
        response.headers_mut().entry(header::STRICT_TRANSPORT_SECURITY).or_insert(hsts);
    }
    Ok(response)
}

/// Why a request is for no instance.
enum Aside {
    /// It is a question to us: are clients welcome?
    Readiness,
    /// Its client is to come by HTTPS.
    Moved(Refusal),
    Refused(Refusal),
}

impl From<Refusal> for Aside {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A request that may go to an instance of `service`.
struct Prepared {
    service: Arc<ServiceProxy>,
    /// What its service has changed on the way.
    treatment: Option<Box<Treatment>>,
    head: Parts,
    uploading: Uploading,
    asked: Asked,
    tries: Tries,
    asker: Asker,
    /// The client's side of a protocol switch it asked for.
    upgrade: Option<OnUpgrade>,
}

/// How a request failed that was admitted.
enum Failure {
    /// By the client, in the middle of its body.
    Aborted(Fault),
    /// By an instance, or for want of one.
    Lost(Refusal),
}

/// Everything that depends on the request alone.
fn prepare(
    client: &Arc<Client>,
    request: Request<impl Into<Arriving>>,
    trust: &Trust,
    id: Option<&HeaderValue>,
) -> Result<Prepared, Aside> {
    if let Some(refusal) = client.noted().get() {
        return Err(refusal.clone().into());
    }
    let (mut head, body) = request.into_parts();
    let body = body.into();
    if head.version == Version::HTTP_2 {
        http2::translate(&mut head, &body, client.proxy().limits().max_header_size)?;
    }
    target::check(&mut head)?;
    let service = route(client, &head, trust)?;
    let length = forward::content_length(&head.headers);
    let most = if body.is_end_stream() { None } else { service.config().requests.max_body_size };
    if let (Some(length), Some(most)) = (length, most)
        && length > most
    {
        return Err(Refusal::body_too_large(most).into());
    }
    let (asked, expectation) = expect::read(&mut head, &body)?;
    // HTTP/2 knows no switch of this kind, and who asks for one may be answered without (RFC 9110 7.8).
    let can_switch = |_: &_| service.config().upstream_protocol == UpstreamProtocol::Http1;
    let upgrade = upgrade::wanted(&mut head, &body).filter(can_switch);
    if forward::is_last(&head.headers, head.version) {
        client.finish();
    }
    edit(&mut head, upgrade.as_ref().map(|(protocol, _)| protocol));
    let behind = forwarded::tell(&mut head.headers, &client.peer(), trust);
    head.headers.entry(header::HOST).or_insert(NO_HOST);
    if let Some(id) = id {
        request_id::tell(&mut head.headers, id);
    }
    let is_trusted = || trust.includes(client.peer().addr);
    let treatment = service.edge().map(|edge| Treatment::begin(edge, &mut head, is_trusted()));
    let wish = treatment.as_ref().and_then(|treatment| treatment.wish());
    let asker = Asker { behind, id: id.cloned() };
    let uploading = Uploading::new(body, client, expectation, most);
    let tries = Tries::new(&head.method, length, &uploading, wish);
    let upgrade = upgrade.map(|(_, client_side)| client_side);
    Ok(Prepared { service, treatment, head, uploading, asked, tries, asker, upgrade })
}

fn route(client: &Client, head: &Parts, trust: &Trust) -> Result<Arc<ServiceProxy>, Aside> {
    let table = client.proxy().table();
    if table.is_readiness(head.uri.path()) && matches!(head.method, Method::GET | Method::HEAD) {
        return Err(Aside::Readiness);
    }
    let beyond = match to_https::way(client, head, trust)? {
        Way::On => None,
        Way::Beyond(port) => Some(SocketAddr::new(client.listen().ip(), port)),
        Way::Moved(moved) => return Err(Aside::Moved(moved)),
    };
    let host = head.headers.get(header::HOST).and_then(|host| target::host_of(host.as_bytes()));
    let host = host.unwrap_or_default();
    if let Some(name) = client.server_name()
        && !host.eq_ignore_ascii_case(name.as_bytes())
        && table.leads_elsewhere(client.listen(), host, head.uri.path())
    {
        return Err(Refusal::misdirected(host).into());
    }
    let find = |listen| table.find(listen, host, head.uri.path());
    let service = find(client.listen()).or_else(|| find(beyond?));
    service.cloned().ok_or_else(|| Refusal::no_route(host).into())
}

fn edit(head: &mut Parts, upgrade: Option<&HeaderValue>) {
    forward::request(&mut head.headers);
    forward::via(&mut head.headers, head.version);
    if let Some(protocol) = upgrade {
        forward::upgrade(&mut head.headers, protocol.clone());
    }
    head.version = Version::HTTP_11;
}

impl Prepared {
    async fn forward(
        self,
        client: &Arc<Client>,
        began: Instant,
        note: Option<Box<Access>>,
    ) -> Result<Response<Download>, Refusal> {
        let Self { service, mut treatment, head, uploading, asked, mut tries, asker, upgrade } =
            self;
        let edge = treatment.as_ref().map(|treatment| Arc::clone(&treatment.edge));
        let admitted = match treatment.as_mut().and_then(|it| it.answer(service.name())) {
            Some(InPlace::Redirect(answer)) => {
                let exchange = Exchange::begin(service, Arc::clone(client), asker, began, note);
                return Err(exchange.answered_by_us(answer.on_behalf_of(edge)));
            }
            Some(InPlace::Refusal(refusal)) => Err(refusal),
            None => admit(&service, &tries, began),
        };
        let first = match admitted {
            Ok(first) => first,
            Err(refusal) => {
                let refusal = refusal.on_behalf_of(edge);
                service.counts().refused();
                let accesses = client.proxy().accesses();
                accesses.turned_away(note, "refused", Some(&service), &refusal);
                return Err(refusal);
            }
        };
        let mut exchange = Exchange::begin(service, Arc::clone(client), asker, began, note);
        let body = Body { uploading: &uploading, asked: &asked, switches: upgrade.is_some() };
        let sent = send(&head, &body, &mut exchange, &mut tries, first).await;
        let (answer, upstream) = match sent {
            Ok(answered) => answered,
            Err(Failure::Lost(refusal)) => return Err(exchange.lose(refusal.on_behalf_of(edge))),
            // Dropped, the exchange counts as aborted by its client.
            Err(Failure::Aborted(fault)) => {
                let noted = client.noted().get().cloned();
                return Err(noted.unwrap_or_else(|| fault.refusal()).on_behalf_of(edge));
            }
        };
        if let Err(refusal) = check_answer(&answer, upgrade.is_some()) {
            return Err(exchange.lose(refusal.on_behalf_of(edge)));
        }
        spare::keep_map(head.headers);
        exchange.answered(answer.status());
        let slot = exchange.slot();
        let mut response = match (answer.status(), upgrade, upstream) {
            (StatusCode::SWITCHING_PROTOCOLS, Some(client_side), Upstream::Http1(link)) => {
                let mut response = upgrade::switch(answer, link, exchange, client_side);
                finish(&mut response, treatment.as_deref(), slot);
                return Ok(response);
            }
            (_, _, upstream) => pass_on(answer, upstream, exchange, uploading),
        };
        finish(&mut response, treatment.as_deref(), slot);
        if asked.in_vain() {
            forward::close(response.headers_mut());
        }
        Ok(response)
    }
}

/// Changes in an instance's answer what its service has changed.
fn finish(response: &mut Response<Download>, treatment: Option<&Treatment>, slot: Option<Slot>) {
    if let Some(treatment) = treatment {
        treatment.finish(response.headers_mut(), slot);
    }
}

/// Takes a request in, if possible with the pass of a run.
fn admit(service: &ServiceProxy, tries: &Tries, now: Instant) -> Result<Option<Pass>, Refusal> {
    if let Some(pass) = tries.enter(service, now) {
        return Ok(Some(pass));
    }
    match service.when_none() {
        WhenNone::Stopped(reason) => {
            let name = service.name();
            Err(Refusal::unavailable(format!("service {name} is stopped: {reason}")))
        }
        WhenNone::Hold(_) | WhenNone::Failed(_) => Ok(None),
    }
}

/// What of a request outlives a single try.
struct Body<'a> {
    uploading: &'a Uploading,
    asked: &'a Asked,
    /// It asks for another protocol, and so for a connection of its own.
    switches: bool,
}

/// Sends a request until an instance answers, or the rules say that it may not be sent again.
async fn send(
    head: &Parts,
    body: &Body<'_>,
    exchange: &mut Exchange,
    tries: &mut Tries,
    mut first: Option<Pass>,
) -> Result<(Response<AnswerBody>, Upstream), Failure> {
    let mut now = exchange.began();
    loop {
        let pass = match first.take().or_else(|| tries.enter(exchange.service(), now)) {
            Some(pass) => pass,
            None => {
                let since = Instant::now();
                let waited = hold::wait(exchange, tries).await;
                now = Instant::now();
                exchange.waited(now - since);
                waited.map_err(Failure::Lost)?
            }
        };
        let run = pass.run();
        let age = if body.switches { Age::New } else { tries.age() };
        let entered = exchange.enter(pass, RequestLine::of(head), now, age).await;
        let mut upstream = match entered {
            Ok(upstream) => upstream,
            Err(error) => {
                tries.refused_by(run, &error);
                exchange.retry();
                now = Instant::now();
                continue;
            }
        };
        get_ready(body, tries, &upstream);
        let error = match exchange.ask(&mut upstream, head, body.uploading.begin()).await {
            Some(Ok(answer)) => return Ok((answer, upstream)),
            Some(Err(error)) => error,
            None => {
                exchange.failed_there("it gave no answer in time");
                let reason = format!("{run} gave no answer in time");
                return Err(Failure::Lost(Refusal::gateway_timeout(reason)));
            }
        };
        let was_kept = upstream.is_kept();
        drop(upstream);
        if let Some(fault) = body.uploading.fault() {
            return Err(Failure::Aborted(fault));
        }
        // A connection that was kept may be closed at any time, and a stream refused, which says nothing
        // of the run.
        let fate = error.fate();
        let is_of_the_run = match fate {
            Fate::Garbled => true,
            Fate::Unknown => !was_kept,
            Fate::Unwritten | Fate::Unprocessed | Fate::Refused => false,
        };
        if is_of_the_run {
            exchange.failed_there(&error.reason());
        }
        // What was not begun is as it was.
        let is_whole = fate == Fate::Unwritten || body.uploading.is_replayable();
        if !(is_whole && tries.may_go_again(run, &error)) {
            let reason = format!("{run} gave no answer: {}", error.reason());
            return Err(Failure::Lost(Refusal::bad_gateway(reason)));
        }
        if fate != Fate::Unwritten {
            exchange.retry();
        }
        if was_kept {
            exchange.found_closed();
        }
        exchange.leave();
    }
}

/// Makes the body of a request ready for this try.
fn get_ready(body: &Body<'_>, tries: &Tries, upstream: &Upstream) {
    match upstream {
        Upstream::Http1(_) if tries.is_idempotent() => {}
        Upstream::Http1(_) => body.uploading.forget(),
        // An instance may say of any request that it was not processed (RFC 9113 8.7); and what goes
        // with `100` ends here.
        Upstream::Http2(_) => body.asked.go_on(),
    }
}

/// Refuses answers that cannot be forwarded without a doubt about where they end.
fn check_answer(answer: &Response<AnswerBody>, switches: bool) -> Result<(), Refusal> {
    if !forward::is_framed(answer.headers(), answer.status()) {
        return Err(Refusal::bad_gateway("the instance framed its answer in two ways"));
    }
    let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    if switched && !(switches && answer.headers().contains_key(header::UPGRADE)) {
        return Err(Refusal::bad_gateway("the instance switched protocols unasked"));
    }
    Ok(())
}

/// The answer as the client gets it, with a body that carries the exchange to its last byte.
fn pass_on(
    answer: Response<AnswerBody>,
    upstream: Upstream,
    exchange: Exchange,
    uploading: Uploading,
) -> Response<Download> {
    let (mut head, incoming) = answer.into_parts();
    let claimed = match head.status {
        StatusCode::NOT_MODIFIED => forward::content_length(&head.headers),
        _ => None,
    };
    forward::response(&mut head.headers);
    forward::via(&mut head.headers, head.version);
    // hyper answers a client of HTTP/1.0 in HTTP/1.0, whatever stands here.
    head.version = Version::HTTP_11;
    let mut body = GuardedBody::new(incoming, upstream, exchange, uploading);
    body.finish_if_empty();
    let body = claimed.map_or(Download::Guarded(body), Download::Claimed);
    Response::from_parts(head, body)
}
