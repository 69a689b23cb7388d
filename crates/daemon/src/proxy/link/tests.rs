//! A connection to an instance, alone.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream as Peer;
use std::task::Waker;

use http::Request;
use tokio::net::UnixStream;

use super::*;

/// A connection, and the instance at its other end.
fn connected() -> (Link, Peer) {
    let (near, peer) = Peer::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let socket = UpstreamSocket::Unix(UnixStream::from_std(near).unwrap());
    (Link::new(socket), peer)
}

fn request() -> Parts {
    Request::get("/").header("host", "a").body(()).unwrap().into_parts().0
}

/// What becomes of a request on a connection that was kept, with which the instance has done
/// something of which the runtime has not heard.
async fn asked_again(suspects: bool, act: impl FnOnce(&mut Peer)) -> Poll<bool> {
    let (mut link, mut peer) = connected();
    peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    link.send(&request(), Upload::Nothing).await.unwrap();
    assert!(link.is_kept() && link.is_doubtful() && link.is_reusable());
    act(&mut peer);
    if suspects {
        link.suspect();
    }
    let (head, mut cx) = (request(), Context::from_waker(Waker::noop()));
    let asking = std::pin::pin!(link.send(&head, Upload::Nothing));
    asking.poll(&mut cx).map(|asked| matches!(asked, Err(Unanswered::Unwritten)))
}

#[tokio::test]
async fn who_suspects_sees_the_end_and_takes_stray_bytes_for_it() {
    let stray = |peer: &mut Peer| peer.write_all(b"stray").unwrap();
    let end = |peer: &mut Peer| peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(asked_again(true, stray).await, Poll::Ready(true));
    assert_eq!(asked_again(true, end).await, Poll::Ready(true));
    assert!(asked_again(true, |_| ()).await.is_pending());
    assert!(asked_again(false, stray).await.is_pending());
}

/// Its turn is over then.
async fn spend_the_turn() {
    poll_fn(|cx| {
        while let Poll::Ready(step) = coop::poll_proceed(cx) {
            step.made_progress();
        }
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn who_has_had_its_turn_sees_what_the_runtime_has_heard() {
    let stray = |peer: &mut Peer| peer.write_all(b"stray").unwrap();
    let end = |peer: &mut Peer| peer.shutdown(Shutdown::Write).unwrap();
    let acts: [fn(&mut Peer); 2] = [stray, end];
    for act in acts {
        let (mut link, mut peer) = connected();
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        link.send(&request(), Upload::Nothing).await.unwrap();
        assert!(link.is_reusable());
        act(&mut peer);
        poll_fn(|cx| link.0.socket.poll_readable(cx)).await.unwrap();
        spend_the_turn().await;
        let (head, mut cx) = (request(), Context::from_waker(Waker::noop()));
        let asked = std::pin::pin!(link.send(&head, Upload::Nothing)).poll(&mut cx);
        assert!(matches!(asked, Poll::Ready(Err(Unanswered::Unwritten))));
    }
}

#[tokio::test]
async fn a_connection_serves_no_further_request_that_is_closed_or_has_something_left() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nx", false),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", false),
    ] {
        let (mut link, mut peer) = connected();
        peer.write_all(answer.as_bytes()).unwrap();
        let answered = link.send(&request(), Upload::Nothing).await.unwrap();
        assert!(answered.into_body().is_over());
        assert_eq!(link.is_reusable(), expected, "{answer}");
    }
}

#[tokio::test]
async fn what_follows_a_switch_is_handed_over_with_the_socket() {
    let (mut link, mut peer) = connected();
    peer.write_all(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nhello").unwrap();
    link.send(&request(), Upload::Nothing).await.unwrap();
    let (_socket, said) = link.into_socket().unwrap();
    assert_eq!(said, "hello");
}

#[tokio::test]
async fn a_connection_keeps_no_memory_of_an_answer_however_large() {
    const LENGTH: usize = 4 * 1024 * 1024;
    let (mut link, mut peer) = connected();
    let sending = std::thread::spawn(move || {
        write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n").unwrap();
        peer.write_all(&vec![b'x'; LENGTH]).unwrap();
        peer
    });
    let mut body = link.send(&request(), Upload::Nothing).await.unwrap().into_body();
    let mut read = 0;
    while let Some(frame) = poll_fn(|cx| link.poll_frame(&mut body, cx)).await {
        let data = frame.unwrap().into_data().unwrap();
        assert!(data.len() <= spare::BUFFER && data.iter().all(|&byte| byte == b'x'));
        read += data.len();
    }
    assert_eq!((read, link.is_reusable(), link.0.read.capacity()), (LENGTH, true, 0));
    sending.join().unwrap();
}

#[tokio::test]
async fn a_connection_that_took_only_a_part_of_a_request_serves_no_other() {
    let (mut link, mut peer) = connected();
    peer.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n").unwrap();
    peer.shutdown(Shutdown::Read).unwrap();
    let answered = link.send(&request(), Upload::Nothing).await.unwrap();
    assert_eq!(answered.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(!link.is_reusable());
}
