//! Clients that are turned away at the door: one answer, whatever they asked for, and out.
//!
//! Cheap, because it happens when there are too many: no task, but for a few at a time that are
//! listened to until they have read their answer.

use std::mem::MaybeUninit;
use std::sync::LazyLock;

use socket2::SockRef;
use tokio::net::TcpStream;

use super::Proxy;
use super::linger;
use super::refusal::Refusal;

/// Descriptors that those may take who still read why they were turned away.
pub const LEAVING: usize = 16;
/// What of a request is read before it is answered; it is usually there already.
const REQUEST: usize = 16 * 1024;

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no place for any client.
    NoPlace,
    /// Its address has as many connections as it may have.
    TooManyOfOne,
}

/// Answers `stream` and closes it.
pub(crate) fn turn_away(proxy: &Proxy, stream: TcpStream, reason: Reason) {
    proxy.reject();
    let socket = SockRef::from(&stream);
    // A socket closed with unread bytes in it is reset, and the answer would be lost. Whatever
    // fails here, the client is gone or not reading, and is left.
    let _ = socket.recv(&mut [MaybeUninit::uninit(); REQUEST]);
    let _ = socket.send(page(reason));
    let _ = socket.shutdown(std::net::Shutdown::Write);
    if let Some(place) = proxy.leaving().try_take() {
        proxy.tasks().spawn(async move {
            linger::listen(stream).await;
            drop(place);
        });
    }
}

fn page(reason: Reason) -> &'static [u8] {
    static NO_PLACE: LazyLock<Vec<u8>> =
        LazyLock::new(|| Refusal::unavailable("too many clients are connected").into_bytes());
    static TOO_MANY: LazyLock<Vec<u8>> = LazyLock::new(|| Refusal::too_many().into_bytes());
    match reason {
        Reason::NoPlace => &NO_PLACE,
        Reason::TooManyOfOne => &TOO_MANY,
    }
}
