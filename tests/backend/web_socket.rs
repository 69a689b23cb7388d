//! `/ws`: says back whatever it hears, until the client or the instance leaves.

use futures_util::{SinkExt, StreamExt};
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{Request, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::body::{self, Body};
use crate::lifetime::{self, Phase};

/// Whether a request wants to become a WebSocket.
pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    request.uri().path() == "/ws"
        && request.headers().contains_key(SEC_WEBSOCKET_KEY)
        && request
            .headers()
            .get(UPGRADE)
            .is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The answer to a request that wants to become a WebSocket.
pub(crate) fn accept<B>(request: &Request<B>) -> Response<Body> {
    let mut response = Response::new(body::empty());
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        return response;
    };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .expect("base64 is a valid header value");
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Says back whatever it hears.
pub(crate) async fn echo(upgrade: OnUpgrade, mut phase: watch::Receiver<Phase>) {
    let Ok(upgraded) = upgrade.await else { return };
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let mut leaves = false;
    loop {
        let heard = tokio::select! {
            heard = socket.next() => heard,
            () = lifetime::finishing(&mut phase), if !leaves => {
                leaves = true;
                if say_goodbye(&mut socket).await.is_err() { return; }
                continue;
            }
        };
        match heard {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) if !leaves => {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            // Answered by the library.
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

async fn say_goodbye(
    socket: &mut WebSocketStream<TokioIo<Upgraded>>,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    socket.close(Some(CloseFrame { code: CloseCode::Away, reason: "leaving".into() })).await
}
