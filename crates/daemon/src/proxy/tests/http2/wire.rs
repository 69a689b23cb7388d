//! A client that writes frames, whatever they are.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::patiently;
use crate::proxy::tests::House;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const WITH_PRIORITY: u8 = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// How a stream, or the whole connection, ended for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With the last byte of an answer, whose body this is.
    Answered(String),
    /// By RST_STREAM with this code.
    Reset(u32),
    /// By GOAWAY with this code, which is not 0.
    GoneAway(u32),
    /// Without a word.
    Closed,
}

pub(super) struct Wire {
    pub(super) writer: Writer,
    pub(super) reader: Reader,
}

pub(super) struct Writer(OwnedWriteHalf);

pub(super) struct Reader(OwnedReadHalf);

impl Wire {
    /// Says hello.
    pub(super) async fn connect(house: &House) -> Self {
        let mut wire = Self::silent(house).await;
        wire.write(PREFACE).await;
        wire.send(SETTINGS, 0, 0, &[]).await;
        wire
    }

    /// Says nothing.
    pub(super) async fn silent(house: &House) -> Self {
        let stream = TcpStream::connect(house.addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (reader, writer) = stream.into_split();
        Self { writer: Writer(writer), reader: Reader(reader) }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> bool {
        self.writer.write(bytes).await
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.write(&frame(kind, flags, stream, payload)).await
    }

    /// A whole request without a body.
    pub(super) async fn get(&mut self, stream: u32) -> bool {
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &fields(GET)).await
    }
}

impl Deref for Wire {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for Wire {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}

impl Writer {
    /// A peer that is gone is not an error here.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> bool {
        patiently(self.0.write_all(bytes)).await.is_ok()
    }
}

impl Reader {
    /// None at the end.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        patiently(self.read()).await
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut header = [0; 9];
        self.0.read_exact(&mut header).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff, payload })
    }

    /// The next frame of this kind.
    pub(super) async fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection ended");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// How `stream` ends; or the connection, if it is the first to do so.
    pub(super) async fn end_of(&mut self, stream: u32) -> Ended {
        let mut body = Vec::new();
        while let Some(frame) = self.next().await {
            match frame.kind {
                GOAWAY if code(&frame.payload[4..]) != 0 => {
                    return Ended::GoneAway(code(&frame.payload[4..]));
                }
                RST_STREAM if frame.stream == stream => return Ended::Reset(code(&frame.payload)),
                DATA | HEADERS if frame.stream == stream => {
                    if frame.kind == DATA {
                        body.extend_from_slice(&frame.payload);
                    }
                    if frame.flags & END_STREAM != 0 {
                        return Ended::Answered(String::from_utf8(body).unwrap());
                    }
                }
                _ => {}
            }
        }
        Ended::Closed
    }

    /// How the connection ends.
    pub(super) async fn end(&mut self) -> Ended {
        self.end_of(u32::MAX).await
    }

    /// Nothing comes for a moment.
    pub(super) async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(50), self.read()).await.is_err()
    }
}

pub(super) fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(super) const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
pub(super) const POST: &[(&str, &str)] =
    &[(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")];

/// A header list of literals that nobody has to remember (RFC 7541 6.2.2).
pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

/// RFC 7541 5.2, without Huffman's code.
fn text(block: &mut Vec<u8>, text: &str) {
    match text.len() {
        length @ ..127 => block.push(u8::try_from(length).unwrap()),
        length => {
            block.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
    }
    block.extend(text.as_bytes());
}
