//! One WebSocket conversation: some words, each echoed, then a goodbye.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use futures_util::{SinkExt, StreamExt};
use http::{Request, header};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::load::{LoadPlan, Progress};
use crate::tls::Connection;

/// Words in a conversation.
const WORDS: u32 = 5;

/// How a conversation went.
#[derive(Debug)]
pub(crate) enum Conversation {
    /// Every word was echoed, and the client said goodbye.
    Ended,
    /// The server said goodbye.
    ClosedByDrain,
    /// It broke without a goodbye, or a word came back as another.
    Broken(String),
    /// There was no connection; nothing was written.
    Refused(String),
    /// The handshake got no answer.
    Reset(String),
    /// The handshake was answered with something else.
    ServerError(String),
    /// It took too long.
    TimedOut,
}

/// Holds one conversation.
pub(crate) async fn converse(
    addr: SocketAddr,
    host: &str,
    plan: &LoadPlan,
    progress: &Progress,
) -> Conversation {
    let stream = match plan.transport.connect(addr).await {
        Ok(stream) => stream,
        Err(error) => return Conversation::Refused(error.to_string()),
    };
    let socket = match client_async(handshake(host), stream).await {
        Ok((socket, _)) => socket,
        Err(Error::Http(response)) => {
            return Conversation::ServerError(format!("{} instead of 101", response.status()));
        }
        Err(error) => return Conversation::Reset(error.to_string()),
    };
    progress.conversing.fetch_add(1, Ordering::Relaxed);
    let ended = talk(socket, plan).await;
    progress.conversing.fetch_sub(1, Ordering::Relaxed);
    ended.unwrap_or_else(|error| Conversation::Broken(error.to_string()))
}

fn handshake(host: &str) -> Request<()> {
    Request::get(format!("ws://{host}/ws"))
        .header(header::HOST, host)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .body(())
        .expect("a test names a valid host")
}

async fn talk(
    mut socket: WebSocketStream<Box<dyn Connection>>,
    plan: &LoadPlan,
) -> Result<Conversation, Error> {
    for number in 0..WORDS {
        let word = Message::text(format!("word {number}"));
        match say(&mut socket, word.clone()).await? {
            Some(echo) if echo == word => {}
            Some(other) => return Ok(Conversation::Broken(format!("{word} came back as {other}"))),
            None => return Ok(Conversation::ClosedByDrain),
        }
        // As a browser would, it goes on listening between two words.
        match timeout(plan.conversation / WORDS, socket.next()).await {
            Err(_) => {}
            Ok(Some(Ok(Message::Close(_)))) => return Ok(Conversation::ClosedByDrain),
            Ok(Some(Ok(other))) => {
                return Ok(Conversation::Broken(format!("heard {other} without a question")));
            }
            Ok(Some(Err(error))) => return Err(error),
            Ok(None) => return Err(Error::ConnectionClosed),
        }
    }
    socket.close(None).await?;
    // Whoever says goodbye first waits for the other's, so that nobody is left with a reset.
    while let Some(heard) = socket.next().await {
        if let Message::Close(goodbye) = heard? {
            return Ok(match goodbye {
                // Both said goodbye at the same time: this one is no answer to ours.
                Some(goodbye) if goodbye.code == CloseCode::Away => Conversation::ClosedByDrain,
                Some(_) | None => Conversation::Ended,
            });
        }
    }
    Ok(Conversation::Broken("no goodbye in return".to_owned()))
}

/// Says a word and hears its echo; none: the server said goodbye instead.
async fn say(
    socket: &mut WebSocketStream<Box<dyn Connection>>,
    word: Message,
) -> Result<Option<Message>, Error> {
    // The server may have said goodbye while nobody listened: then the word cannot be sent, and
    // its goodbye is still there to be heard.
    let sent = socket.send(word).await;
    while let Some(heard) = socket.next().await {
        match heard? {
            Message::Close(_) => return Ok(None),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            echo @ (Message::Text(_) | Message::Binary(_)) => return Ok(Some(echo)),
        }
    }
    sent?;
    Err(Error::ConnectionClosed)
}
