//! Floods of HTTP/2: frames that are cheap to send, on connections that last as long as the proxy
//! lets them.

use std::net::SocketAddr;

use crate::proxy::tests::House;
use crate::wire::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, PING, POST, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, Wire, fields, frame,
};

/// Sent at once, so that whoever sends it does little else.
const TOGETHER: u32 = 50;
/// The most that one connection sends. It is more than what the proxy lets any of them send, and no
/// more, so that they do not burn the processors themselves.
const MOST: usize = 64 << 10;
/// In the block below, a reference to the field that was remembered last (RFC 7541 6.1).
const LATEST: u8 = 0xbe;

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) enum Flood {
    /// Requests, each taken back at once.
    RapidResets,
    /// Requests, each with an error for which the proxy has to reset it.
    MadeResets,
    Settings,
    Pings,
    /// Of one body.
    EmptyData,
    /// Of one header list.
    Continuations,
    /// Header lists of references to a long field.
    Hpack,
    /// Requests for large answers that are not taken.
    ClosedWindows,
}

impl Flood {
    /// Sends it until the proxy ends the connection.
    pub(crate) async fn once(self, addr: SocketAddr) {
        let Wire { mut writer, mut reader } = Wire::connect(&House { addr }).await;
        let writing = async {
            let (mut sent, mut count) = (0, 0);
            let mut next = self.first();
            while writer.write(&next).await && sent < self.most() {
                sent += next.len();
                next = self.piece(count);
                count += 1;
            }
        };
        tokio::join!(writing, reader.end());
    }

    /// Who waits for answers need not ask for more than may be asked for at a time.
    const fn most(self) -> usize {
        match self {
            Self::ClosedWindows => 1,
            _ => MOST,
        }
    }

    fn first(self) -> Vec<u8> {
        match self {
            Self::RapidResets | Self::MadeResets | Self::Settings | Self::Pings => Vec::new(),
            Self::EmptyData => frame(HEADERS, END_HEADERS, 1, &fields(POST)),
            Self::Continuations => frame(HEADERS, END_STREAM, 1, &fields(GET)),
            Self::Hpack => {
                // Four thousand bytes that are remembered.
                let mut block = fields(GET);
                block.extend([0x40, 1, b'x', 127, 0xa1, 0x1e]);
                block.extend([b'y'; 4000]);
                frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)
            }
            // A window of none for each stream.
            Self::ClosedWindows => frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]),
        }
    }

    fn piece(self, count: u32) -> Vec<u8> {
        let streams = (count * TOGETHER..(count + 1) * TOGETHER).map(|number| 2 * number + 1);
        let again = |frame: Vec<u8>| frame.repeat(TOGETHER as usize);
        match self {
            Self::RapidResets => streams
                .flat_map(|stream| {
                    let cancel = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
                    [get(stream, GET), cancel].concat()
                })
                .collect(),
            // A window that overflows.
            Self::MadeResets => streams
                .flat_map(|stream| {
                    let most = frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
                    [frame(HEADERS, END_HEADERS, stream, &fields(POST)), most].concat()
                })
                .collect(),
            Self::Settings => again(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1])),
            Self::Pings => again(frame(PING, 0, 0, &[0; 8])),
            Self::EmptyData => again(frame(DATA, 0, 1, &[])),
            Self::Continuations => again(frame(CONTINUATION, 0, 1, &fields(&[("x", "y")]))),
            Self::Hpack => {
                let mut block = fields(GET);
                block.extend([LATEST; 16_000]);
                frame(HEADERS, END_STREAM | END_HEADERS, 2 * count + 3, &block)
            }
            Self::ClosedWindows => streams.flat_map(|stream| get(stream, LARGE)).collect(),
        }
    }
}

const LARGE: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/big?bytes=1000000"),
    (":authority", "a"),
];

/// A whole request.
fn get(stream: u32, head: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields(head))
}
