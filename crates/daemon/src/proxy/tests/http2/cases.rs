//! What h2spec asks of a server, section by section: what is sent, and what must come.
//!
//! Sections are those of RFC 7540 and 7541, as h2spec has them; what RFC 9113 has changed since is
//! noted. `generic` is what any server has to do.

use super::wire::*;

/// One connection of a client, step by step.
pub(super) struct Case {
    pub(super) section: &'static str,
    pub(super) sent: &'static str,
    pub(super) steps: Vec<Step>,
    pub(super) must: Must,
}

pub(super) enum Step {
    Send(Vec<u8>),
    /// Until this stream is answered.
    Answered(u32),
}

/// What must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Must {
    /// Stream 1 is answered.
    Answer,
    /// The rest is ignored: a further request is answered.
    GoOn,
    /// At least the stream ends, with this error.
    Stream(u32),
    /// The connection ends, with this error or none at all.
    Connection(u32),
    /// The connection ends, with this error, for which h2 says PROTOCOL_ERROR as well.
    End(u32),
    /// The connection ends, in any way.
    Close,
}

use Must::{Answer, Close, Connection, End, GoOn, Stream};

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;

const WHOLE: u8 = END_STREAM | END_HEADERS;

fn send(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Send(bytes.into())
}

/// A request without a body.
fn get(stream: u32) -> Step {
    send(frame(HEADERS, WHOLE, stream, &fields(GET)))
}

/// A request whose body is still to come.
fn post(stream: u32) -> Step {
    send(frame(HEADERS, END_HEADERS, stream, &fields(POST)))
}

/// A request of these fields alone.
fn ask(list: &[(&str, &str)]) -> Step {
    send(frame(HEADERS, WHOLE, 1, &fields(list)))
}

/// A request with a field more.
fn ask_with(more: &[(&str, &str)]) -> Step {
    ask(&[GET, more].concat())
}

/// A request of this header block.
fn block(bytes: &[u8]) -> Step {
    send(frame(HEADERS, WHOLE, 1, bytes))
}

/// The first part of a header block.
fn begin_block(stream: u32) -> Step {
    send(frame(HEADERS, END_STREAM, stream, &fields(GET)))
}

fn one(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Step {
    send(frame(kind, flags, stream, payload))
}

fn setting(id: u8, value: u32) -> Vec<u8> {
    [&[0, id][..], &value.to_be_bytes()].concat()
}

/// As it is sent by a client that says hello itself.
pub(super) const UNGREETED: &[&str] = &["generic/1", "3.5"];

fn case(section: &'static str, sent: &'static str, steps: Vec<Step>, must: Must) -> Case {
    Case { section, sent, steps, must }
}

pub(super) fn all() -> Vec<Case> {
    [generic(), hpack_as_used(), framing(), states(), kinds(), windows(), messages(), hpack()]
        .into_iter()
        .flatten()
        .collect()
}

fn generic() -> Vec<Case> {
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let padded = [&[5][..], &fields(GET), &[0; 5]].concat();
    let weighted = [&[0x80, 0, 0, 3, 15][..], &fields(GET)].concat();
    let parts = fields(GET);
    let (first, rest) = parts.split_at(9);
    let (second, third) = rest.split_at(9);
    let trailers = fields(&[("x-sum", "1")]);
    vec![
        case("generic/1", "the preface", vec![send(hello), get(1)], Answer),
        case(
            "generic/2",
            "PRIORITY for an idle stream",
            vec![one(PRIORITY, 0, 1, &[0, 0, 0, 0, 9]), get(1)],
            Answer,
        ),
        case(
            "generic/2",
            "WINDOW_UPDATE on a stream that is half closed",
            vec![get(1), one(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 9])],
            Answer,
        ),
        case(
            "generic/2",
            "PRIORITY on a stream that is half closed",
            vec![get(1), one(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])],
            Answer,
        ),
        case(
            "generic/2",
            "RST_STREAM on a stream that is half closed",
            vec![get(1), one(RST_STREAM, 0, 1, &[0, 0, 0, 8])],
            GoOn,
        ),
        case(
            "generic/2",
            "PRIORITY on a closed stream",
            vec![get(1), Step::Answered(1), one(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])],
            GoOn,
        ),
        case("generic/3.1", "a DATA frame", vec![post(1), one(DATA, END_STREAM, 1, b"x")], Answer),
        case(
            "generic/3.1",
            "several DATA frames",
            vec![post(1), one(DATA, 0, 1, b"x"), one(DATA, END_STREAM, 1, b"y")],
            Answer,
        ),
        case(
            "generic/3.1",
            "a DATA frame with padding",
            vec![post(1), one(DATA, END_STREAM | PADDED, 1, b"\x03x\0\0\0")],
            Answer,
        ),
        case("generic/3.2", "a HEADERS frame", vec![get(1)], Answer),
        case(
            "generic/3.2",
            "a HEADERS frame with padding",
            vec![one(HEADERS, WHOLE | PADDED, 1, &padded)],
            Answer,
        ),
        case(
            "generic/3.2",
            "a HEADERS frame with a priority",
            vec![one(HEADERS, WHOLE | WITH_PRIORITY, 1, &weighted)],
            Answer,
        ),
        case(
            "generic/3.3",
            "PRIORITY with the least weight",
            vec![one(PRIORITY, 0, 1, &[0; 5]), get(1)],
            Answer,
        ),
        case(
            "generic/3.3",
            "PRIORITY with the greatest weight",
            vec![one(PRIORITY, 0, 1, &[0, 0, 0, 0, 255]), get(1)],
            Answer,
        ),
        case(
            "generic/3.3",
            "PRIORITY with a dependency",
            vec![one(PRIORITY, 0, 5, &[0, 0, 0, 3, 9]), get(1)],
            Answer,
        ),
        case(
            "generic/3.3",
            "PRIORITY that is exclusive",
            vec![one(PRIORITY, 0, 5, &[0x80, 0, 0, 3, 9]), get(1)],
            Answer,
        ),
        case(
            "generic/3.3",
            "PRIORITY for a later stream, then an earlier one",
            vec![one(PRIORITY, 0, 7, &[0, 0, 0, 0, 9]), get(1)],
            Answer,
        ),
        case(
            "generic/3.4",
            "RST_STREAM on an open stream",
            vec![post(1), one(RST_STREAM, 0, 1, &[0, 0, 0, 8])],
            GoOn,
        ),
        case(
            "generic/3.5",
            "SETTINGS",
            vec![one(SETTINGS, 0, 0, &setting(3, 100)), get(1)],
            Answer,
        ),
        case("generic/3.7", "PING", vec![one(PING, 0, 0, &[7; 8]), get(1)], Answer),
        case("generic/3.8", "GOAWAY", vec![get(1), one(GOAWAY, 0, 0, &[0; 8])], Answer),
        case(
            "generic/3.9",
            "WINDOW_UPDATE on the connection",
            vec![one(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), get(1)],
            Answer,
        ),
        case(
            "generic/3.9",
            "WINDOW_UPDATE on a stream",
            vec![post(1), one(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), one(DATA, END_STREAM, 1, &[])],
            Answer,
        ),
        case(
            "generic/3.10",
            "a CONTINUATION frame",
            vec![one(HEADERS, END_STREAM, 1, first), one(CONTINUATION, END_HEADERS, 1, rest)],
            Answer,
        ),
        case(
            "generic/3.10",
            "several CONTINUATION frames",
            vec![
                one(HEADERS, END_STREAM, 1, first),
                one(CONTINUATION, 0, 1, second),
                one(CONTINUATION, END_HEADERS, 1, third),
            ],
            Answer,
        ),
        case("generic/4", "GET", vec![get(1)], Answer),
        case("generic/4", "HEAD", vec![ask(&[(":method", "HEAD"), GET[1], GET[2], GET[3]])], GoOn),
        case("generic/4", "POST", vec![post(1), one(DATA, END_STREAM, 1, b"hello")], Answer),
        case(
            "generic/4",
            "POST with trailers",
            vec![post(1), one(DATA, 0, 1, b"hello"), one(HEADERS, WHOLE, 1, &trailers)],
            Answer,
        ),
    ]
}

/// GET / of `a`, by fields of the static table; then `more`.
fn indexed(more: &[u8]) -> Step {
    block(&[&[0x82, 0x86, 0x84, 0x41, 1, b'a'][..], more].concat())
}

fn hpack_as_used() -> Vec<Case> {
    let huffman = [0x40, 0x82, 0x94, 0xe7, 0x82, 0x94, 0xe7];
    vec![
        case("generic/5", "indexed fields", vec![indexed(&[])], Answer),
        case(
            "generic/5",
            "a literal that is indexed, with an indexed name",
            vec![indexed(&[0x7a, 1, b'x'])],
            Answer,
        ),
        case(
            "generic/5",
            "a literal that is indexed, with a name of its own",
            vec![indexed(b"\x40\x01x\x01y")],
            Answer,
        ),
        case(
            "generic/5",
            "a literal that is not indexed, with an indexed name",
            vec![indexed(&[0x0f, 0x2b, 1, b'x'])],
            Answer,
        ),
        case(
            "generic/5",
            "a literal that is not indexed, with a name of its own",
            vec![indexed(b"\0\x01x\x01y")],
            Answer,
        ),
        case(
            "generic/5",
            "a literal that is never indexed, with an indexed name",
            vec![indexed(&[0x1f, 0x2b, 1, b'x'])],
            Answer,
        ),
        case(
            "generic/5",
            "a literal that is never indexed, with a name of its own",
            vec![indexed(b"\x10\x01x\x01y")],
            Answer,
        ),
        case(
            "generic/5",
            "a field of the dynamic table",
            vec![indexed(b"\x40\x01x\x01y\xbe")],
            Answer,
        ),
        case("generic/5", "names and values in Huffman's code", vec![indexed(&huffman)], Answer),
        case(
            "generic/5",
            "an update of the size of the dynamic table",
            vec![block(&[0x3f, 0xe1, 0x1f, 0x82, 0x86, 0x84, 0x41, 1, b'a'])],
            Answer,
        ),
        case(
            "generic/5",
            "two of them",
            vec![block(&[0x20, 0x3f, 0xe1, 0x1f, 0x82, 0x86, 0x84, 0x41, 1, b'a'])],
            Answer,
        ),
    ]
}

fn framing() -> Vec<Case> {
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let mut reserved = frame(PING, 0, 0, &[0; 8]);
    reserved[5] = 0x80;
    let large = vec![b'x'; 16_385];
    let long = fields(&[GET, &[("x", &"y".repeat(17_000))]].concat());
    vec![
        case("3.5", "the preface", vec![send(hello), get(1)], Answer),
        case(
            "3.5",
            "half a preface, and something else",
            vec![send("PRI * HTTP/2.0\r\n\r\nSM\r\n\rX")],
            Close,
        ),
        case(
            "3.5",
            "the preface, and then no SETTINGS",
            vec![send(PREFACE), get(1)],
            Connection(PROTOCOL),
        ),
        case(
            "4.1",
            "a frame of a kind nobody knows",
            vec![one(0xfa, 0, 0, &[1, 2, 3]), get(1)],
            Answer,
        ),
        case("4.1", "flags nobody knows", vec![one(PING, 0x16, 0, &[0; 8]), get(1)], Answer),
        case("4.1", "the reserved bit of a stream's number", vec![send(reserved), get(1)], Answer),
        case(
            "4.2",
            "DATA as large as may be",
            vec![post(1), one(DATA, END_STREAM, 1, &large[1..])],
            Answer,
        ),
        case(
            "4.2",
            "DATA that is larger",
            vec![post(1), one(DATA, END_STREAM, 1, &large)],
            Stream(FRAME_SIZE),
        ),
        case(
            "4.2",
            "HEADERS that are larger",
            vec![one(HEADERS, WHOLE, 1, &long)],
            Connection(FRAME_SIZE),
        ),
        case("4.3", "a header block that is none", vec![block(&[0xff; 9])], End(COMPRESSION)),
        case(
            "4.3",
            "PRIORITY inside a header block",
            vec![begin_block(1), one(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])],
            Connection(PROTOCOL),
        ),
        case(
            "4.3",
            "HEADERS of another stream inside a header block",
            vec![begin_block(1), get(3)],
            Connection(PROTOCOL),
        ),
        case("5.5", "a kind nobody knows", vec![one(0x16, 0, 0, &[0; 8]), get(1)], Answer),
        case(
            "5.5",
            "a kind nobody knows inside a header block",
            vec![begin_block(1), one(0x16, 0, 0, &[0; 8])],
            Connection(PROTOCOL),
        ),
        case(
            "5.4.1",
            "a frame that is an error",
            vec![one(PING, 0, 1, &[0; 8])],
            Connection(PROTOCOL),
        ),
        case(
            "5.4.1",
            "more after that",
            vec![one(PING, 0, 1, &[0; 8]), get(1)],
            Connection(PROTOCOL),
        ),
    ]
}

fn states() -> Vec<Case> {
    let (reset, update) = (8_u32.to_be_bytes(), 1_u32.to_be_bytes());
    let more = fields(&[("x", "y")]);
    let closed = |step: Step| vec![get(1), Step::Answered(1), step];
    let was_reset = |step: Step| vec![post(1), one(RST_STREAM, 0, 1, &reset), step];
    vec![
        case(
            "5.1",
            "DATA on an idle stream",
            vec![one(DATA, END_STREAM, 1, b"x")],
            Connection(PROTOCOL),
        ),
        case(
            "5.1",
            "RST_STREAM on an idle stream",
            vec![one(RST_STREAM, 0, 1, &reset)],
            Connection(PROTOCOL),
        ),
        case(
            "5.1",
            "WINDOW_UPDATE on an idle stream",
            vec![one(WINDOW_UPDATE, 0, 1, &update)],
            Connection(PROTOCOL),
        ),
        case(
            "5.1",
            "CONTINUATION on an idle stream",
            vec![one(CONTINUATION, END_HEADERS, 1, &more)],
            Connection(PROTOCOL),
        ),
        case(
            "5.1",
            "DATA on a stream that is half closed",
            vec![get(1), one(DATA, END_STREAM, 1, b"x")],
            End(STREAM_CLOSED),
        ),
        case(
            "5.1",
            "HEADERS on a stream that is half closed",
            vec![get(1), one(HEADERS, WHOLE, 1, &more)],
            End(STREAM_CLOSED),
        ),
        case(
            "5.1",
            "CONTINUATION on a stream that is half closed",
            vec![get(1), one(CONTINUATION, END_HEADERS, 1, &more)],
            Connection(PROTOCOL),
        ),
        case(
            "5.1",
            "DATA on a stream that was reset",
            was_reset(one(DATA, END_STREAM, 1, b"x")),
            Stream(STREAM_CLOSED),
        ),
        case(
            "5.1",
            "HEADERS on a stream that was reset",
            was_reset(one(HEADERS, WHOLE, 1, &more)),
            End(STREAM_CLOSED),
        ),
        case(
            "5.1",
            "CONTINUATION on a stream that was reset",
            was_reset(one(CONTINUATION, END_HEADERS, 1, &more)),
            Connection(PROTOCOL),
        ),
        case(
            "5.1",
            "DATA on a closed stream",
            closed(one(DATA, END_STREAM, 1, b"x")),
            Stream(STREAM_CLOSED),
        ),
        case(
            "5.1",
            "HEADERS on a closed stream",
            closed(one(HEADERS, WHOLE, 1, &more)),
            End(STREAM_CLOSED),
        ),
        case(
            "5.1",
            "CONTINUATION on a closed stream",
            closed(one(CONTINUATION, END_HEADERS, 1, &more)),
            Connection(PROTOCOL),
        ),
        case(
            "5.1.1",
            "a stream with an even number",
            vec![one(HEADERS, WHOLE, 2, &fields(GET))],
            Connection(PROTOCOL),
        ),
        case(
            "5.1.1",
            "a stream with a lower number than the last",
            vec![get(5), Step::Answered(5), get(3)],
            Connection(PROTOCOL),
        ),
        case(
            "5.1.2",
            "more streams than may be",
            (0..129).map(|n| post(1 + 2 * n)).collect(),
            Stream(REFUSED),
        ),
        case(
            "5.3.1",
            "HEADERS that depend on their own stream",
            vec![one(
                HEADERS,
                WHOLE | WITH_PRIORITY,
                1,
                &[&[0, 0, 0, 1, 9][..], &fields(GET)].concat(),
            )],
            Stream(PROTOCOL),
        ),
        case(
            "5.3.1",
            "PRIORITY that depends on its own stream",
            vec![one(PRIORITY, 0, 1, &[0, 0, 0, 1, 9])],
            Stream(PROTOCOL),
        ),
        case(
            "7",
            "GOAWAY with a code nobody knows",
            vec![get(1), one(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0xff])],
            Answer,
        ),
        case(
            "7",
            "RST_STREAM with a code nobody knows",
            vec![post(1), one(RST_STREAM, 0, 1, &[0, 0, 0, 0xff])],
            GoOn,
        ),
    ]
}

fn kinds() -> Vec<Case> {
    let ping = [0; 8];
    let list = fields(GET);
    let padding = [&[0xff][..], &list].concat();
    vec![
        case("6.1", "DATA on stream 0", vec![one(DATA, END_STREAM, 0, b"x")], Connection(PROTOCOL)),
        case(
            "6.1",
            "DATA on a stream that is not open",
            vec![get(1), one(DATA, END_STREAM, 1, b"x")],
            End(STREAM_CLOSED),
        ),
        case(
            "6.1",
            "DATA with more padding than there is",
            vec![post(1), one(DATA, END_STREAM | PADDED, 1, b"\x06test")],
            Connection(PROTOCOL),
        ),
        case(
            "6.2",
            "PRIORITY after HEADERS that are not complete",
            vec![begin_block(1), one(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])],
            Connection(PROTOCOL),
        ),
        case(
            "6.2",
            "HEADERS after those of another stream that are not complete",
            vec![begin_block(1), get(3)],
            Connection(PROTOCOL),
        ),
        case(
            "6.2",
            "HEADERS on stream 0",
            vec![one(HEADERS, WHOLE, 0, &list)],
            Connection(PROTOCOL),
        ),
        case(
            "6.2",
            "HEADERS with more padding than there is",
            vec![one(HEADERS, WHOLE | PADDED, 1, &padding)],
            Connection(PROTOCOL),
        ),
        case(
            "6.3",
            "PRIORITY on stream 0",
            vec![one(PRIORITY, 0, 0, &[0, 0, 0, 1, 9])],
            Connection(PROTOCOL),
        ),
        case(
            "6.3",
            "PRIORITY of another size",
            vec![one(PRIORITY, 0, 1, &[0, 0, 0, 1])],
            Stream(FRAME_SIZE),
        ),
        case(
            "6.4",
            "RST_STREAM on stream 0",
            vec![one(RST_STREAM, 0, 0, &[0; 4])],
            Connection(PROTOCOL),
        ),
        case(
            "6.4",
            "RST_STREAM on an idle stream",
            vec![one(RST_STREAM, 0, 1, &[0; 4])],
            Connection(PROTOCOL),
        ),
        case(
            "6.4",
            "RST_STREAM of another size",
            vec![post(1), one(RST_STREAM, 0, 1, &[0; 3])],
            Connection(FRAME_SIZE),
        ),
        case(
            "6.5",
            "an acknowledgement of SETTINGS with content",
            vec![one(SETTINGS, ACK, 0, &[0])],
            Connection(FRAME_SIZE),
        ),
        case(
            "6.5",
            "SETTINGS on a stream",
            vec![one(SETTINGS, 0, 1, &setting(3, 100))],
            Connection(PROTOCOL),
        ),
        case(
            "6.5",
            "SETTINGS of another size",
            vec![one(SETTINGS, 0, 0, &[0, 3, 0])],
            Connection(FRAME_SIZE),
        ),
        case(
            "6.5.2",
            "SETTINGS_ENABLE_PUSH of 2",
            vec![one(SETTINGS, 0, 0, &setting(2, 2))],
            Connection(PROTOCOL),
        ),
        case(
            "6.5.2",
            "SETTINGS_INITIAL_WINDOW_SIZE above its bound",
            vec![one(SETTINGS, 0, 0, &setting(4, 1 << 31))],
            End(FLOW_CONTROL),
        ),
        case(
            "6.5.2",
            "SETTINGS_MAX_FRAME_SIZE below its bounds",
            vec![one(SETTINGS, 0, 0, &setting(5, 16_383))],
            Connection(PROTOCOL),
        ),
        case(
            "6.5.2",
            "SETTINGS_MAX_FRAME_SIZE above its bounds",
            vec![one(SETTINGS, 0, 0, &setting(5, 1 << 24))],
            Connection(PROTOCOL),
        ),
        case(
            "6.5.2",
            "a setting nobody knows",
            vec![one(SETTINGS, 0, 0, &setting(0xff, 1)), get(1)],
            Answer,
        ),
        case("6.7", "PING on a stream", vec![one(PING, 0, 1, &ping)], Connection(PROTOCOL)),
        case(
            "6.7",
            "PING of another size",
            vec![one(PING, 0, 0, &ping[1..])],
            Connection(FRAME_SIZE),
        ),
        case("6.8", "GOAWAY on a stream", vec![one(GOAWAY, 0, 1, &ping)], Connection(PROTOCOL)),
        case(
            "6.10",
            "several CONTINUATION frames",
            vec![
                begin_block(1),
                one(CONTINUATION, 0, 1, &fields(&[("x", "1")])),
                one(CONTINUATION, END_HEADERS, 1, &fields(&[("y", "2")])),
            ],
            Answer,
        ),
        case(
            "6.10",
            "another frame after CONTINUATION",
            vec![begin_block(1), one(CONTINUATION, 0, 1, &[]), one(DATA, END_STREAM, 1, b"x")],
            Connection(PROTOCOL),
        ),
        case(
            "6.10",
            "CONTINUATION on stream 0",
            vec![begin_block(1), one(CONTINUATION, END_HEADERS, 0, &[])],
            Connection(PROTOCOL),
        ),
        case(
            "6.10",
            "CONTINUATION after complete HEADERS",
            vec![post(1), one(CONTINUATION, END_HEADERS, 1, &[])],
            Connection(PROTOCOL),
        ),
        case(
            "6.10",
            "CONTINUATION after the last of them",
            vec![
                begin_block(1),
                one(CONTINUATION, END_HEADERS, 1, &[]),
                one(CONTINUATION, END_HEADERS, 1, &[]),
            ],
            Connection(PROTOCOL),
        ),
        case(
            "6.10",
            "CONTINUATION after DATA",
            vec![post(1), one(DATA, 0, 1, b"x"), one(CONTINUATION, END_HEADERS, 1, &[])],
            Connection(PROTOCOL),
        ),
        case(
            "8.2",
            "PUSH_PROMISE",
            vec![post(1), one(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &list].concat())],
            Connection(PROTOCOL),
        ),
    ]
}

fn windows() -> Vec<Case> {
    let most = 0x7fff_ffff_u32.to_be_bytes();
    let update = |stream, payload: &[u8]| one(WINDOW_UPDATE, 0, stream, payload);
    let first = |value| one(SETTINGS, 0, 0, &setting(4, value));
    vec![
        case(
            "6.9",
            "WINDOW_UPDATE of 0 on the connection",
            vec![update(0, &[0; 4])],
            Connection(PROTOCOL),
        ),
        case(
            "6.9",
            "WINDOW_UPDATE of 0 on a stream",
            vec![post(1), update(1, &[0; 4])],
            Stream(PROTOCOL),
        ),
        case(
            "6.9",
            "WINDOW_UPDATE of another size",
            vec![update(0, &[0, 0, 1])],
            Connection(FRAME_SIZE),
        ),
        case(
            "6.9.1",
            "a window of 1, byte by byte",
            vec![first(1), get(1), update(1, &[0, 0, 0, 1])],
            Answer,
        ),
        case(
            "6.9.1",
            "a window of the connection above its bound",
            vec![update(0, &most), update(0, &most)],
            Connection(FLOW_CONTROL),
        ),
        case(
            "6.9.1",
            "a window of a stream above its bound",
            vec![post(1), update(1, &most), update(1, &most)],
            Stream(FLOW_CONTROL),
        ),
        case(
            "6.9.2",
            "a window that is opened by SETTINGS",
            vec![first(0), get(1), first(9)],
            Answer,
        ),
        case(
            "6.9.2",
            "a window that SETTINGS make less than nothing",
            vec![first(1), get(1), first(0), update(1, &[0, 0, 0, 2])],
            Answer,
        ),
        case(
            "6.9.2",
            "SETTINGS that make a window larger than may be",
            vec![post(1), update(1, &[0, 0, 0, 1]), first(0x7fff_ffff)],
            Connection(FLOW_CONTROL),
        ),
        case(
            "6.5.3",
            "two values for one setting",
            vec![one(SETTINGS, 0, 0, &[setting(4, 0), setting(4, 9)].concat()), get(1)],
            Answer,
        ),
    ]
}

fn messages() -> Vec<Case> {
    let [method, scheme, path, authority] = GET else { unreachable!("four fields") };
    let [method, scheme, path, authority] = [*method, *scheme, *path, *authority];
    let lengthy = |length| {
        one(HEADERS, END_HEADERS, 1, &fields(&[POST, &[("content-length", length)]].concat()))
    };
    let pseudo = fields(&[(":method", "GET")]);
    vec![
        case(
            "8.1",
            "a second HEADERS that does not end the stream",
            vec![post(1), one(HEADERS, END_HEADERS, 1, &fields(&[("x", "y")]))],
            Stream(PROTOCOL),
        ),
        case("8.1.2", "a name with capitals", vec![ask_with(&[("X-Test", "y")])], Stream(PROTOCOL)),
        case(
            "8.1.2.1",
            "a pseudo-field nobody knows",
            vec![ask(&[method, scheme, path, authority, (":test", "y")])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.1",
            "a pseudo-field of answers",
            vec![ask(&[method, scheme, path, authority, (":status", "200")])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.1",
            "a pseudo-field in trailers, which h2 drops",
            vec![post(1), one(DATA, 0, 1, b"x"), one(HEADERS, WHOLE, 1, &pseudo)],
            Answer,
        ),
        case(
            "8.1.2.1",
            "a pseudo-field after a field",
            vec![ask(&[method, scheme, authority, ("x", "y"), path])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.2",
            "`connection`",
            vec![ask_with(&[("connection", "keep-alive")])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.2",
            "`te` other than trailers",
            vec![ask_with(&[("te", "trailers, deflate")])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.2",
            "`transfer-encoding`",
            vec![ask_with(&[("transfer-encoding", "chunked")])],
            Stream(PROTOCOL),
        ),
        case("8.1.2.2", "`upgrade`", vec![ask_with(&[("upgrade", "websocket")])], Stream(PROTOCOL)),
        case(
            "8.1.2.2",
            "`keep-alive`",
            vec![ask_with(&[("keep-alive", "timeout=5")])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.2",
            "`proxy-connection`",
            vec![ask_with(&[("proxy-connection", "close")])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.3",
            "an empty path",
            vec![ask(&[method, scheme, (":path", ""), authority])],
            Stream(PROTOCOL),
        ),
        case("8.1.2.3", "no method", vec![ask(&[scheme, path, authority])], Stream(PROTOCOL)),
        case("8.1.2.3", "no scheme", vec![ask(&[method, path, authority])], Stream(PROTOCOL)),
        case("8.1.2.3", "no path", vec![ask(&[method, scheme, authority])], Stream(PROTOCOL)),
        case(
            "8.1.2.3",
            "two methods",
            vec![ask(&[method, method, scheme, path, authority])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.3",
            "two schemes",
            vec![ask(&[method, scheme, scheme, path, authority])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.3",
            "two paths",
            vec![ask(&[method, scheme, path, path, authority])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.3",
            "two authorities",
            vec![ask(&[method, scheme, path, authority, authority])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.6",
            "a length that is not that of the body",
            vec![lengthy("1"), one(DATA, END_STREAM, 1, b"test")],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.6",
            "a length that is not that of all DATA",
            vec![lengthy("1"), one(DATA, 0, 1, b"te"), one(DATA, END_STREAM, 1, b"st")],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.6",
            "a length that is more than the body",
            vec![lengthy("9"), one(DATA, END_STREAM, 1, b"test")],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.6",
            "a length without a body",
            vec![ask_with(&[("content-length", "1")])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.6",
            "lengths that differ",
            vec![ask_with(&[("content-length", "0"), ("content-length", "1")])],
            Stream(PROTOCOL),
        ),
        case(
            "8.1.2.6",
            "a length that is no number",
            vec![ask_with(&[("content-length", "+0")])],
            Stream(PROTOCOL),
        ),
        case(
            "8.3",
            "CONNECT with `:protocol`, which is not offered",
            vec![ask(&[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                scheme,
                path,
                authority,
            ])],
            Stream(PROTOCOL),
        ),
        case(
            "8.3",
            "CONNECT with a path",
            vec![ask(&[(":method", "CONNECT"), scheme, path, authority])],
            Stream(PROTOCOL),
        ),
    ]
}

fn hpack() -> Vec<Case> {
    vec![
        case(
            "hpack/2.3.3",
            "an index beyond both tables",
            vec![indexed(&[0xc6])],
            End(COMPRESSION),
        ),
        case(
            "hpack/2.3.3",
            "a literal whose name is an index beyond both tables",
            vec![indexed(&[0x7f, 7, 1, b'x'])],
            End(COMPRESSION),
        ),
        case(
            "hpack/4.2",
            "an update of the table's size at the end",
            vec![indexed(&[0x21])],
            End(COMPRESSION),
        ),
        case(
            "hpack/5.2",
            "Huffman's code with more than 7 bits of padding",
            vec![indexed(&[0x40, 1, b'x', 0x82, 0x1f, 0xff])],
            End(COMPRESSION),
        ),
        case(
            "hpack/5.2",
            "Huffman's code padded with zeros",
            vec![indexed(&[0x40, 1, b'x', 0x81, 0x18])],
            End(COMPRESSION),
        ),
        case(
            "hpack/5.2",
            "Huffman's code with the end in it",
            vec![indexed(&[0x40, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff])],
            End(COMPRESSION),
        ),
        case("hpack/6.1", "index 0", vec![indexed(&[0x80])], End(COMPRESSION)),
        case(
            "hpack/6.3",
            "an update above the size that was allowed",
            vec![block(&[0x3f, 0xe2, 0x1f, 0x82, 0x86, 0x84, 0x41, 1, b'a'])],
            End(COMPRESSION),
        ),
    ]
}
