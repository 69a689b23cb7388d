//! The header of the PROXY protocol, as haproxy.org/download/3.0/doc/proxy-protocol.txt defines it:
//! version 1 is a line of text, version 2 is binary.
//!
//! Strict, because what follows is another's request: a header that two readers would end at two
//! places is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use memchr::memchr;

/// What to do to have the header whole, and nothing beside it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read so many bytes at most.
    More(usize),
    /// Read up to the end of the line, and so many bytes at most.
    Line(usize),
    /// It is whole. None: the sender speaks for itself, or cannot name an address.
    Done(Option<SocketAddr>),
}

/// With its end (section 2.1).
pub(super) const LONGEST_LINE: usize = 107;

const TEXT: &[u8] = b"PROXY ";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// `PROXY UNKNOWN\r\n`: nothing shorter is whole.
const SHORTEST: usize = 15;
/// Of a binary header, up to the length of the rest.
const FIXED: usize = 16;
/// Addresses, and what a sender may add to them; it is skipped.
const LONGEST_REST: usize = 4096;
/// What a socket with a path takes, however short that is.
const LONGEST_PATH: usize = 108;

const NO_HEADER: &str = "only the PROXY protocol is spoken here";
const BAD_LINE: &str = "the line of the PROXY protocol is malformed";
const BAD_HEADER: &str = "the header of the PROXY protocol is malformed";

/// What follows when `bytes` is all that was read.
///
/// # Errors
/// Why it will never be a header.
pub(crate) fn next(bytes: &[u8]) -> Result<Step, &'static str> {
    let begins = |signature: &[u8]| {
        let common = signature.len().min(bytes.len());
        bytes[..common] == signature[..common]
    };
    if !begins(TEXT) && !begins(BINARY) {
        return Err(NO_HEADER);
    }
    if bytes.len() < SHORTEST {
        return Ok(Step::More(SHORTEST - bytes.len()));
    }
    if begins(TEXT) { text(bytes) } else { binary(bytes) }
}

fn text(bytes: &[u8]) -> Result<Step, &'static str> {
    match memchr(b'\n', bytes) {
        None if bytes.len() < LONGEST_LINE => Ok(Step::Line(LONGEST_LINE - bytes.len())),
        Some(end) if end + 1 == bytes.len() => line(bytes).map(Step::Done).ok_or(BAD_LINE),
        None | Some(_) => Err(BAD_LINE),
    }
}

/// What a whole line says.
fn line(bytes: &[u8]) -> Option<Option<SocketAddr>> {
    let line = str::from_utf8(bytes).ok()?.strip_suffix("\r\n")?.strip_prefix("PROXY ")?;
    // Some readers end the line here.
    if line.contains('\r') {
        return None;
    }
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(None);
    }
    let words: Vec<&str> = line.split(' ').collect();
    let [family, source, destination, from, to] = words[..] else { return None };
    let address = |text: &str| match family {
        "TCP4" => text.parse().map(IpAddr::V4).ok(),
        "TCP6" => text.parse().map(IpAddr::V6).ok(),
        _ => None,
    };
    let (source, _) = (address(source)?, address(destination)?);
    let (from, _) = (port(from)?, port(to)?);
    Some(Some(SocketAddr::new(source, from)))
}

/// Without a sign and without zeros in front.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    if is_plain && is_short { text.parse().ok() } else { None }
}

/// Section 2.2.
fn binary(bytes: &[u8]) -> Result<Step, &'static str> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else {
        return Ok(Step::More(FIXED - bytes.len()));
    };
    let [version_and_command, family, high, low] = fixed[BINARY.len()..] else {
        return Err(BAD_HEADER);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_REST {
        return Err("the header of the PROXY protocol is larger than 4096 bytes");
    }
    if rest.len() < length {
        return Ok(Step::More(length - rest.len()));
    }
    match version_and_command {
        // LOCAL: a health check of the sender's own.
        0x20 => Ok(Step::Done(None)),
        0x21 => source(family, rest).map(Step::Done),
        _ => Err(BAD_HEADER),
    }
}

/// The source in what follows the fixed part of a binary header.
fn source(family: u8, rest: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    match family {
        0x00 => Ok(None),
        // Two sockets with paths.
        0x31 if rest.len() >= 2 * LONGEST_PATH => Ok(None),
        // TCP over IPv4: source and destination, then their ports.
        0x11 => {
            let (addr, rest) = rest.split_first_chunk::<4>().ok_or(BAD_HEADER)?;
            port_behind(rest, 4).map(|port| Some((Ipv4Addr::from(*addr), port).into()))
        }
        // TCP over IPv6.
        0x21 => {
            let (addr, rest) = rest.split_first_chunk::<16>().ok_or(BAD_HEADER)?;
            port_behind(rest, 16).map(|port| Some((Ipv6Addr::from(*addr), port).into()))
        }
        _ => Err(BAD_HEADER),
    }
}

/// The port that follows a destination of so many bytes and is followed by another one.
fn port_behind(rest: &[u8], destination: usize) -> Result<u16, &'static str> {
    match rest.get(destination..) {
        Some([high, low, _, _, ..]) => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(BAD_HEADER),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Reads `input` as a socket gives it, in parts of at most `part` bytes: what it comes to, and
    /// how much was read. None: it ends before that is known.
    fn read(
        input: &[u8],
        part: usize,
    ) -> (Option<Result<Option<SocketAddr>, &'static str>>, usize) {
        let mut taken = 0;
        loop {
            let most = match next(&input[..taken]) {
                Ok(Step::Done(addr)) => return (Some(Ok(addr)), taken),
                Err(reason) => return (Some(Err(reason)), taken),
                Ok(Step::More(most)) => most,
                Ok(Step::Line(most)) => {
                    let line = memchr(b'\n', &input[taken..]).map_or(most, |end| end + 1);
                    most.min(line)
                }
            };
            if taken == input.len() {
                return (None, taken);
            }
            taken += most.min(part).min(input.len() - taken);
        }
    }

    fn with_fixed(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [BINARY, &[version_and_command, family], &length, rest].concat()
    }

    /// The header is read to its end and no further, however it arrives.
    #[track_caller]
    fn whole(header: &[u8], source: Option<&str>) {
        let source = source.map(|source| source.parse().unwrap());
        for part in [1, 7, 16, 10_000] {
            let input = [header, b"GET / HTTP/1.1\r\n"].concat();
            let expected = (Some(Ok(source)), header.len());
            assert_eq!(read(&input, part), expected, "{}", header.escape_ascii());
            assert_eq!(read(&header[..header.len() - 1], part).0, None);
        }
    }

    #[track_caller]
    fn refused(input: &[u8]) {
        for part in [1, 7, 16, 10_000] {
            let (read, taken) = read(input, part);
            assert!(matches!(read, Some(Err(_))), "{}: {read:?}", input.escape_ascii());
            assert!(taken <= FIXED + LONGEST_REST);
        }
    }

    #[test]
    fn a_line_names_the_source() {
        whole(b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n", Some("192.0.2.1:56324"));
        whole(b"PROXY TCP4 0.0.0.0 10.0.0.1 0 443\r\n", Some("0.0.0.0:0"));
        whole(b"PROXY TCP6 2001:db8::1 ::1 65535 443\r\n", Some("[2001:db8::1]:65535"));
        let widest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let line = format!("PROXY TCP6 {widest} {widest} 65535 65535\r\n");
        whole(line.as_bytes(), Some(&format!("[{widest}]:65535")));
        whole(b"PROXY UNKNOWN\r\n", None);
        let line = format!("PROXY UNKNOWN {widest} {widest} 65535 65535\r\n");
        assert_eq!(line.len(), LONGEST_LINE);
        whole(line.as_bytes(), None);
    }

    #[test]
    fn a_malformed_line_is_refused() {
        for line in [
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "proxy TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY  TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1  2\r\n",
            "PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY UNKNOWN \rGET / HTTP/1.1\r\n",
            "PROXY TCP4\r\nGET / HTTP/1.1\r\n",
            "PROXY \r\n\r\nGET / HTTP/1.1\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n",
        ] {
            refused(line.as_bytes());
        }
        refused(format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_LINE)).as_bytes());
        refused(b"PROXY TCP4 192.0.2.1 10.0.0.\xff 1 2\r\n");
    }

    #[test]
    fn a_binary_header_names_the_source() {
        let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 1, 0xbb];
        whole(&with_fixed(0x21, 0x11, &v4), Some("192.0.2.1:56324"));
        let extras = [&v4[..], &[0x04, 0, 3, b'\r', b'\n', 0], &[0xff; 2000]].concat();
        whole(&with_fixed(0x21, 0x11, &extras), Some("192.0.2.1:56324"));
        let v6 = [&Ipv6Addr::LOCALHOST.octets()[..], &[0x20; 16], &[0, 80, 1, 0xbb]].concat();
        whole(&with_fixed(0x21, 0x21, &v6), Some("[::1]:80"));
        for nobody in [
            with_fixed(0x20, 0x00, &[]),
            with_fixed(0x20, 0x11, &v4),
            with_fixed(0x20, 0xff, &[1]),
            with_fixed(0x21, 0x00, &[]),
            with_fixed(0x21, 0x00, &[7; LONGEST_REST]),
            with_fixed(0x21, 0x31, &[0; 216]),
        ] {
            whole(&nobody, None);
        }
    }

    #[test]
    fn a_malformed_binary_header_is_refused() {
        for header in [
            with_fixed(0x11, 0x11, &[0; 12]),
            with_fixed(0x22, 0x11, &[0; 12]),
            with_fixed(0x21, 0x12, &[0; 12]),
            with_fixed(0x21, 0x41, &[0; 12]),
            with_fixed(0x21, 0x31, &[0; 215]),
            with_fixed(0x21, 0x11, &[0; 11]),
            with_fixed(0x21, 0x21, &[0; 35]),
            with_fixed(0x21, 0x11, &[]),
            with_fixed(0x21, 0x11, &[0; LONGEST_REST + 1]),
            with_fixed(0x20, 0x00, &[0; 65535]),
        ] {
            refused(&header);
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_and_the_end_is_where_it_was(
            which in 0..3,
            bytes in vec(any::<u8>(), 0..300),
            (version_and_command, family) in (0x1f_u8..0x23, any::<u8>()),
            tail in vec(any::<u8>(), 0..50),
            part in 1..300_usize,
        ) {
            let header = match which {
                0 => [TEXT, &bytes].concat(),
                1 => with_fixed(version_and_command, family, &bytes),
                _ => bytes,
            };
            let input = [header, tail].concat();
            let (one, taken) = read(&input, part);
            let (other, at_once) = read(&input, usize::MAX);
            prop_assert_eq!(&one, &other);
            if matches!(one, Some(Ok(_))) {
                prop_assert_eq!(taken, at_once);
            }
            prop_assert!(taken <= FIXED + LONGEST_REST);
        }

        #[test]
        fn what_a_sender_writes_is_read(addr: SocketAddr, tail in vec(any::<u8>(), 0..50)) {
            let (ip, port) = (addr.ip(), addr.port());
            let family = if ip.is_ipv4() { "TCP4" } else { "TCP6" };
            let line = format!("PROXY {family} {ip} {ip} {port} {port}\r\n");
            let octets = match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let ports = port.to_be_bytes();
            let rest = [&octets[..], &octets, &ports, &ports].concat();
            let binary = with_fixed(0x21, if ip.is_ipv4() { 0x11 } else { 0x21 }, &rest);
            for header in [line.into_bytes(), binary] {
                let input = [&header[..], &tail].concat();
                let expected = Some(Ok(Some(SocketAddr::new(ip, port))));
                prop_assert_eq!(read(&input, 16), (expected, header.len()));
            }
        }
    }
}
