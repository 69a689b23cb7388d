//! The header of the PROXY protocol: however it arrives, it says the same and ends at the same byte,
//! within its bound; and what it says, another reader says too.
#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use ppp::{HeaderResult, PartialResult, v1, v2};
use smoothserve::fuzzing::{Header, proxy_header};

/// The fixed part of a binary header, and the most that may follow.
const LONGEST: usize = 16 + 4096;

type Read = Option<Result<Option<SocketAddr>, &'static str>>;

/// Reads `input` as a socket gives it, in parts of at most `part` bytes: what it comes to, and how
/// much was read. None: it ends before that is known.
fn read(input: &[u8], part: usize) -> (Read, usize) {
    let mut taken = 0;
    loop {
        let most = match proxy_header(&input[..taken]) {
            Ok(Header::Done(addr)) => return (Some(Ok(addr)), taken),
            Err(reason) => return (Some(Err(reason)), taken),
            Ok(Header::More(most)) => most,
            Ok(Header::Line(most)) => {
                let line = input[taken..].iter().position(|&byte| byte == b'\n');
                most.min(line.map_or(most, |end| end + 1))
            }
        };
        assert!(most > 0, "whoever asks for nothing asks for ever");
        if taken == input.len() {
            return (None, taken);
        }
        taken += most.min(part).min(input.len() - taken);
    }
}

/// Whom the header names, and its length.
fn read_by_another(input: &[u8]) -> (Option<SocketAddr>, usize) {
    match HeaderResult::parse(input) {
        HeaderResult::V1(header) => {
            let header = header.expect("it is a line of the PROXY protocol");
            let source = match header.addresses {
                v1::Addresses::Unknown => None,
                v1::Addresses::Tcp4(it) => Some((it.source_address, it.source_port).into()),
                v1::Addresses::Tcp6(it) => Some((it.source_address, it.source_port).into()),
            };
            (source, header.header.len())
        }
        HeaderResult::V2(header) => {
            let header = header.expect("it is a header of the PROXY protocol");
            let source = match (header.command, header.addresses) {
                (v2::Command::Local, _) => None,
                (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
                (_, v2::Addresses::IPv4(it)) => Some((it.source_address, it.source_port).into()),
                (_, v2::Addresses::IPv6(it)) => Some((it.source_address, it.source_port).into()),
            };
            (source, header.len())
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [which, part, rest @ ..] = data else { return };
    let begin: &[u8] = match which % 4 {
        0 => b"PROXY ",
        1 => b"PROXY TCP4 1.2.3.4 ",
        2 => b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0",
        _ => b"",
    };
    let input = [begin, rest].concat();
    let (one, taken) = read(&input, usize::from(*part) + 1);
    let (other, at_once) = read(&input, usize::MAX);
    assert_eq!(one, other);
    assert!(taken <= LONGEST);
    if let Some(Ok(source)) = one {
        assert_eq!(taken, at_once);
        // A port that is not there, in a header that is not the client's: the other one refuses it.
        let is_local = input.get(12) == Some(&0x20);
        if !is_local && HeaderResult::parse(&input).is_complete() {
            assert_eq!(read_by_another(&input), (source, taken));
        }
    }
});
