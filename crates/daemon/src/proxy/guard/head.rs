//! The head of a request, line by line as it arrives: what RFC 9112 2, 3 and 5 allow, and of the
//! headers those that say how the body is framed.

use http::Uri;
use memchr::{memchr, memchr_iter};

use crate::proxy::refusal::Refusal;

/// Of the request line, without its end.
pub(crate) const MAX_REQUEST_LINE: usize = 16 * 1024;
pub(crate) const MAX_METHOD: usize = 32;
/// hyper has room for so many in place. For more, it would ask the allocator twice for every request.
pub(crate) const MAX_FIELD_COUNT: usize = 100;
/// Of empty lines before the request line.
const MAX_EMPTY: usize = 16;

/// How far a head has been read.
pub(crate) struct Head {
    max_fields: usize,
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Where to look for its end.
    searched: usize,
    /// Where the headers begin; 0: the request line is not complete yet.
    fields: usize,
    count: usize,
    is_http_1_0: bool,
    length: Option<u64>,
    is_chunked: bool,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes; often none.
    Sized(u64),
    Chunked,
}

impl Head {
    /// One whose headers are no larger than this, and no single one larger than half of it.
    pub(crate) const fn new(max_fields: usize) -> Self {
        Self {
            max_fields,
            line: 0,
            searched: 0,
            fields: 0,
            count: 0,
            is_http_1_0: false,
            length: None,
            is_chunked: false,
        }
    }

    /// Reads on in a head of which `bytes` is everything so far. None: it is not complete.
    ///
    /// Gives its length, and what follows it.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Result<Option<(usize, Body)>, Refusal> {
        loop {
            self.check_beginning(&bytes[self.line..])?;
            let Some(found) = memchr(b'\n', &bytes[self.searched..]) else {
                break;
            };
            let end = self.searched + found;
            let [line @ .., b'\r'] = &mut bytes[self.line..end] else {
                return Err(Refusal::malformed("a line does not end in CR LF"));
            };
            self.line = end + 1;
            self.searched = self.line;
            if self.fields != 0 {
                if line.is_empty() {
                    self.check_bytes(&bytes[self.fields..self.line])?;
                    return Ok(Some((self.line, self.body()?)));
                }
                self.field(line)?;
            } else if !line.is_empty() {
                self.is_http_1_0 = request_line(line)?;
                self.fields = self.line;
            } else if self.line > MAX_EMPTY {
                return Err(Refusal::malformed("there are empty lines before the request"));
            }
        }
        self.searched = bytes.len();
        self.check_unfinished(&bytes[self.line..])?;
        Ok(None)
    }

    /// What is no request at all is not waited for to its end: a handshake of TLS has no lines.
    fn check_beginning(&self, line: &[u8]) -> Result<(), Refusal> {
        match line.first() {
            Some(&first) if self.fields == 0 && first != b'\r' && !is_token(first) => {
                Err(no_request_line())
            }
            _ => Ok(()),
        }
    }

    /// A line may be too long before its end has come. The last byte may be the first half of that.
    fn check_unfinished(&self, line: &[u8]) -> Result<(), Refusal> {
        let length = line.len().saturating_sub(1);
        if self.fields != 0 {
            self.check_size(line, length, self.line + length - self.fields)
        } else if length > MAX_REQUEST_LINE {
            Err(Refusal::request_line_too_long())
        } else {
            Ok(())
        }
    }

    /// Checks a header line of this length, and all of them so far.
    fn check_size(&self, line: &[u8], length: usize, sum: usize) -> Result<(), Refusal> {
        if length > self.max_fields / 2 {
            return Err(Refusal::header_too_large(name(line), self.max_fields / 2));
        }
        if sum > self.max_fields {
            return Err(Refusal::headers_too_large(self.max_fields));
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.count += 1;
        if self.count > MAX_FIELD_COUNT {
            return Err(Refusal::too_many_headers());
        }
        self.check_size(line, line.len(), self.line - self.fields)?;
        let Some(name) = name(line) else {
            return Err(Refusal::malformed("a header line has no valid name"));
        };
        let value = &line[name.len() + 1..];
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    /// Checks the bytes of all header lines, of which each ends in CR LF, and the empty one after
    /// them. All at once, because many short lines are not worth a vector each.
    fn check_bytes(&self, lines: &[u8]) -> Result<(), Refusal> {
        let is_odd = |byte: u8| is_control(byte) && byte != b'\r' && byte != b'\n';
        // A loop that may stop early is not made one of vectors.
        let odd = lines.iter().fold(false, |odd, &byte| odd | is_odd(byte));
        if odd || memchr_iter(b'\r', lines).count() != self.count + 1 {
            return Err(Refusal::malformed("a header value holds a control byte"));
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let length = length(value.trim_ascii())
            .ok_or_else(|| Refusal::malformed("the content-length is no number"))?;
        match self.length.replace(length) {
            Some(_) => Err(Refusal::malformed("there is more than one content-length")),
            None => Ok(()),
        }
    }

    /// Decoding only the last of several codings would forward a body that is not what it says
    /// (RFC 9112 6.1).
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.is_chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::malformed("transfer-encoding is not exactly one chunked"));
        }
        self.is_chunked = true;
        Ok(())
    }

    /// RFC 9112 6.3, where a doubt is left to the server.
    fn body(&self) -> Result<Body, Refusal> {
        match (self.is_chunked, self.length) {
            (false, length) => Ok(Body::Sized(length.unwrap_or(0))),
            (true, Some(_)) => {
                Err(Refusal::malformed("there are a content-length and a transfer-encoding"))
            }
            (true, None) if self.is_http_1_0 => {
                Err(Refusal::malformed("HTTP/1.0 has no transfer-encoding"))
            }
            (true, None) => Ok(Body::Chunked),
        }
    }
}

/// Checks `METHOD target HTTP/1.x`, and whether x is 0. A higher x than 1 is made 1.
fn request_line(line: &mut [u8]) -> Result<bool, Refusal> {
    if line.len() > MAX_REQUEST_LINE {
        return Err(Refusal::request_line_too_long());
    }
    let Some(method) = line.iter().position(|&byte| !is_token(byte)) else {
        return Err(no_request_line());
    };
    if method > MAX_METHOD {
        return Err(Refusal::malformed("the method is longer than 32 bytes"));
    }
    let [b' ', rest @ ..] = &mut line[method..] else {
        return Err(no_request_line());
    };
    let Some(space) = rest.iter().position(|&byte| byte == b' ') else {
        return Err(no_request_line());
    };
    let (target, version) = rest.split_at_mut(space);
    if method == 0 || target.is_empty() {
        return Err(no_request_line());
    }
    if !is_target(target) {
        return Err(Refusal::malformed("the target is neither a path nor an address"));
    }
    match version {
        [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => {
            let is_http_1_0 = *minor == b'0';
            *minor = (*minor).min(b'1');
            Ok(is_http_1_0)
        }
        [b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Refusal::version())
        }
        _ => Err(no_request_line()),
    }
}

fn no_request_line() -> Refusal {
    Refusal::malformed("the request line is not `METHOD target HTTP/1.1`")
}

/// What hyper takes for a target too. It would drop a fragment, and none is ever sent (RFC 9112
/// 3.2).
fn is_target(target: &[u8]) -> bool {
    is_path(target) || (!target.contains(&b'#') && is_uri(target))
}

/// A path, perhaps with a query.
pub(crate) fn is_path(target: &[u8]) -> bool {
    target.starts_with(b"/") && target.iter().all(|&byte| is_plain(byte))
}

/// It is allowed both in a path and in a query.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'_' | b'a'..=b'~')
}

fn is_uri(target: &[u8]) -> bool {
    Uri::try_from(target).is_ok()
}

/// The name of a header, if there is one, and a colon right after it.
fn name(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|&byte| !is_token(byte))?;
    (end > 0 && line[end] == b':').then(|| &line[..end])
}

/// 1*DIGIT and nothing else, as far as a body can be.
fn length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let length: u64 = str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()?;
    (length <= i64::MAX as u64).then_some(length)
}

/// Any but the tab.
pub(super) fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// A `tchar` (RFC 9110 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            table[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
                || matches!(byte, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
            byte += 1;
        }
        table
    };
    TOKEN[byte as usize]
}
