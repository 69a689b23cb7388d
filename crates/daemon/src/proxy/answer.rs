//! An answer out of the bytes that came from an instance (RFC 9112 4 to 7).
//!
//! Pure: it takes from a buffer what is complete there. Values, and the pieces of a body, share the
//! memory of what was read.

mod decoder;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use httparse::{Header, ParserConfig, Status};
use hyper::ext::ReasonPhrase;

pub use self::decoder::Decoder;
use super::{forward, spare};

/// Of a head. No RFC gives a number, but what is not bounded is a way to exhaust us.
const MAX_HEAD: usize = 64 * 1024;
/// Of fields; httparse wants to know beforehand.
const MAX_FIELD_COUNT: usize = 100;
/// Fields that are added on the way: `Via` and a few more.
const ADDED: usize = 3;

/// The head of an answer, interim or not.
#[derive(Debug)]
pub struct Head {
    /// Status, version, fields, and what the instance calls the status if that is not the usual name.
    pub parts: Parts,
    /// The connection may carry another request after it (RFC 9112 9.3).
    pub keeps_alive: bool,
}

/// What came is no HTTP.
#[derive(Debug, thiserror::Error)]
#[error("not HTTP: {0}")]
pub struct Garbled(Cow<'static, str>);

impl Garbled {
    fn by(error: impl std::error::Error) -> Self {
        Self(error.to_string().into())
    }

    const fn because(reason: &'static str) -> Self {
        Self(Cow::Borrowed(reason))
    }
}

impl Head {
    /// Takes a head out of what was read; none: it is not complete, and to be asked for again with
    /// what follows.
    ///
    /// # Errors
    ///
    /// It is none, or larger than 64 KiB, or has more than 100 fields.
    pub fn take(read: &mut BytesMut) -> Result<Option<Self>, Garbled> {
        let mut places = [[0; 4]; MAX_FIELD_COUNT];
        let Some(found) = find(read, &mut places)? else {
            return if read.len() > MAX_HEAD { Err(too_large()) } else { Ok(None) };
        };
        if found.length > MAX_HEAD {
            return Err(too_large());
        }
        let bytes = read.split_to(found.length).freeze();
        let (mut parts, ()) = Response::new(()).into_parts();
        (parts.status, parts.version) = (found.status, found.version);
        parts.headers = fields(&bytes, &places[..found.count])?;
        if let Some(reason) = found.reason {
            parts.extensions.insert(reason);
        }
        let keeps_alive = !forward::is_last(&parts.headers, parts.version);
        Ok(Some(Self { parts, keeps_alive }))
    }

    /// How the body of an answer to `method` is to be read (RFC 9112 6.3).
    ///
    /// # Errors
    ///
    /// It cannot be known.
    pub fn body(&self, method: &Method) -> Result<Decoder, Garbled> {
        let Parts { status, version, headers, .. } = &self.parts;
        if !forward::is_framed(headers, *status) {
            return Err(Garbled::because("it is framed in two ways"));
        }
        if *method == Method::HEAD || !forward::allows_content(*status) {
            return Ok(Decoder::sized(0));
        }
        if headers.contains_key(TRANSFER_ENCODING) {
            if *version == Version::HTTP_10 {
                return Err(Garbled::because("HTTP/1.0 has no transfer-encoding"));
            }
            return Ok(Decoder::chunked());
        }
        if headers.contains_key(CONTENT_LENGTH) {
            let length = forward::content_length(headers);
            return length.map(Decoder::sized).ok_or(Garbled::because("the length is too large"));
        }
        Ok(Decoder::to_the_end())
    }
}

/// Where a field lies in a head: where its name begins and ends, and its value.
type Place = [u32; 4];

struct Found {
    length: usize,
    count: usize,
    status: StatusCode,
    version: Version,
    /// In other words than usual.
    reason: Option<ReasonPhrase>,
}

fn find(bytes: &[u8], places: &mut [Place]) -> Result<Option<Found>, Garbled> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELD_COUNT];
    let mut answer = httparse::Response::new(&mut []);
    let parsed =
        ParserConfig::default().parse_response_with_uninit_headers(&mut answer, bytes, &mut fields);
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(error) => return Err(Garbled::by(error)),
    };
    let offset = |piece: &[u8]| place(bytes, piece);
    for (place, field) in places.iter_mut().zip(answer.headers.iter()) {
        let ([name, end], [value, value_end]) =
            (offset(field.name.as_bytes()), offset(field.value));
        *place = [name, end, value, value_end];
    }
    let status = StatusCode::from_u16(answer.code.unwrap_or_default()).map_err(Garbled::by)?;
    let reason = answer.reason.filter(|reason| Some(*reason) != status.canonical_reason());
    Ok(Some(Found {
        length,
        count: answer.headers.len(),
        status,
        version: if answer.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 },
        reason: reason.and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok()),
    }))
}

/// Where `piece` of `bytes` begins and ends. A head is far below 4 GiB.
#[expect(clippy::cast_possible_truncation, reason = "what is read of a head is bounded")]
fn place(bytes: &[u8], piece: &[u8]) -> [u32; 2] {
    let begin = piece.as_ptr().addr() - bytes.as_ptr().addr();
    [begin as u32, (begin + piece.len()) as u32]
}

fn fields(bytes: &Bytes, places: &[Place]) -> Result<HeaderMap, Garbled> {
    let mut headers = spare::map();
    headers.reserve(places.len() + ADDED);
    for place in places {
        let [name, name_end, value, value_end] = place.map(|offset| offset as usize);
        let name = HeaderName::from_bytes(&bytes[name..name_end]).map_err(Garbled::by)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice(value..value_end));
        headers.append(name, value.map_err(Garbled::by)?);
    }
    Ok(headers)
}

const fn too_large() -> Garbled {
    Garbled::because("the head is larger than 65536 bytes")
}
