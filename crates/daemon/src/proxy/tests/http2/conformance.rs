//! Every case of `cases`, and those that need a closer look.

use std::fmt;

use super::cases::{self, Case, Must, Step};
use super::wire::{self, Ended, Wire};
use super::*;

/// The page that lists the cases.
const PAGE: &str = include_str!("../../../../../../tests/HTTP2.md");

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer => write!(f, "the answer"),
            Self::GoOn => write!(f, "the answer to what follows"),
            Self::Stream(code) => write!(f, "RST_STREAM, {}", name(*code)),
            Self::Connection(code) => write!(f, "GOAWAY, {}", name(*code)),
            Self::End(code) => write!(f, "GOAWAY, {} or PROTOCOL_ERROR", name(*code)),
            Self::Close => write!(f, "the end"),
        }
    }
}

fn name(code: u32) -> String {
    // As `h2::Reason` calls it.
    format!("{:?}", h2::Reason::from(code))
}

impl Must {
    /// A connection may end where a stream would have been enough, and without a word (RFC 9113 5.4).
    fn allows(self, ended: &Ended) -> bool {
        match self {
            Self::Answer | Self::GoOn => matches!(ended, Ended::Answered(_)),
            Self::Stream(code) => match ended {
                Ended::Reset(found) | Ended::GoneAway(found) => *found == code,
                Ended::Closed => true,
                Ended::Answered(_) => false,
            },
            Self::Connection(code) => match ended {
                Ended::GoneAway(found) => *found == code,
                Ended::Closed => true,
                Ended::Reset(_) | Ended::Answered(_) => false,
            },
            Self::End(code) => match ended {
                Ended::GoneAway(found) => *found == code || *found == 1,
                Ended::Closed => true,
                Ended::Reset(_) | Ended::Answered(_) => false,
            },
            Self::Close => matches!(ended, Ended::Closed | Ended::GoneAway(_)),
        }
    }
}

async fn run(house: &House, case: &Case) -> Ended {
    let mut wire = match cases::UNGREETED.contains(&case.section) {
        true => Wire::silent(house).await,
        false => Wire::connect(house).await,
    };
    for step in &case.steps {
        match step {
            Step::Send(bytes) => {
                wire.write(bytes).await;
            }
            Step::Answered(stream) => {
                let ended = wire.end_of(*stream).await;
                assert!(matches!(ended, Ended::Answered(_)), "{ended:?}");
            }
        }
    }
    match case.must {
        Must::GoOn => {
            wire.get(99).await;
            wire.end_of(99).await
        }
        Must::Stream(_) if case.section == "5.1.2" => wire.end_of(257).await,
        Must::Answer | Must::Stream(_) => wire.end_of(1).await,
        Must::Connection(_) | Must::End(_) | Must::Close => wire.end().await,
    }
}

#[tokio::test]
async fn what_h2spec_asks_is_answered_as_the_rfcs_say() {
    let house = house().await;
    // Its connections are many, and it answers when it has the whole request.
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut failures = Vec::new();
    for case in cases::all() {
        let ended = tokio::time::timeout(PATIENCE / 2, run(&house, &case)).await;
        let Case { section, sent, must, .. } = case;
        if !ended.as_ref().is_ok_and(|ended| must.allows(ended)) {
            failures.push(format!("{section} {sent}: {must} must come, not {ended:?}"));
        }
        let row = format!("| {section} | {sent} | {must} |");
        if !PAGE.lines().any(|line| line == row) {
            failures.push(format!("tests/HTTP2.md does not have\n{row}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    house.proxy.cut_all();
}

#[tokio::test]
async fn settings_and_pings_are_acknowledged_and_acknowledgements_are_not() {
    let house = house().await;
    let mut wire = Wire::connect(&house).await;
    let acknowledged = async {
        loop {
            let frame = wire.next().await.unwrap();
            if frame.kind == wire::SETTINGS && frame.flags == wire::ACK {
                return frame;
            }
        }
    };
    assert_eq!(acknowledged.await.payload, b"");
    wire.send(wire::PING, wire::ACK, 0, b"notasked").await;
    wire.send(wire::PING, 0, 0, b"12345678").await;
    let pong = wire.until(wire::PING).await;
    assert_eq!((pong.flags, &pong.payload[..]), (wire::ACK, b"12345678" as &[u8]));
    assert!(wire.is_quiet().await);
}

#[tokio::test]
async fn an_answer_comes_in_pieces_as_the_window_opens() {
    let house = house().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut wire = Wire::silent(&house).await;
    wire.write(wire::PREFACE).await;
    // SETTINGS_INITIAL_WINDOW_SIZE is 1.
    wire.send(wire::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]).await;
    wire.get(1).await;
    let first = wire.until(wire::DATA).await;
    assert_eq!((first.flags, &first.payload[..]), (0, b"o" as &[u8]));
    assert!(wire.is_quiet().await);
    wire.send(wire::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]).await;
    let last = wire.until(wire::DATA).await;
    assert_eq!((last.flags, &last.payload[..]), (wire::END_STREAM, b"k" as &[u8]));
}

#[tokio::test]
async fn what_is_announced_is_what_is_kept() {
    let house = house().await;
    let mut wire = Wire::connect(&house).await;
    let settings = wire.until(wire::SETTINGS).await.payload;
    let mut announced: Vec<(u8, u32)> =
        settings.chunks(6).map(|setting| (setting[1], wire::code(&setting[2..]))).collect();
    announced.sort_unstable();
    // Streams at once, the window of each, and the size of a header list. No WebSocket (RFC 8441).
    assert_eq!(announced, [(3, 128), (4, 128 * 1024), (6, 96 * 1024)]);
}
