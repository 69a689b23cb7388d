//! One question to an instance that speaks HTTP/2 without TLS.

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::{Request, Version};
use tokio::io::{AsyncRead, AsyncWrite};

/// The status that `GET path` is answered with.
///
/// # Errors
///
/// There is no answer, or it is not HTTP/2.
pub(super) async fn status(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
) -> Result<u16, String> {
    let (requests, connection) = client::handshake(stream).await.map_err(in_words)?;
    tokio::select! {
        status = ask(requests, host, path) => status,
        ended = connection => Err(ended.err().map_or_else(closed, in_words)),
    }
}

async fn ask(mut requests: SendRequest<Bytes>, host: &str, path: &str) -> Result<u16, String> {
    let request = Request::get(format!("http://{host}{path}"))
        .version(Version::HTTP_2)
        .header("user-agent", "smoothserve")
        .body(())
        .map_err(|error| error.to_string())?;
    let (answer, _) = requests.send_request(request, true).map_err(in_words)?;
    Ok(answer.await.map_err(in_words)?.status().as_u16())
}

fn in_words(error: h2::Error) -> String {
    format!("the answer is not HTTP/2: {error}")
}

fn closed() -> String {
    "the connection was closed".to_owned()
}

#[cfg(test)]
mod tests {
    use http::{Response, StatusCode};
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// What `/healthz` of an instance is answered with that does `script` with its one connection.
    async fn asked<F>(script: impl FnOnce(TcpStream) -> F) -> Result<u16, String>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stream = TcpStream::connect(addr).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let serving = tokio::spawn(script(accepted));
        let status = status(stream, &addr.to_string(), "/healthz").await;
        serving.abort();
        status
    }

    #[tokio::test]
    async fn an_instance_is_asked_in_http_2_and_its_status_read() {
        let serve = |stream| async {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let is_right = request.uri().path() == "/healthz" && request.method() == "GET";
                let status = if is_right { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND };
                let answer = Response::builder().status(status).body(()).unwrap();
                respond.send_response(answer, true).unwrap();
            }
        };
        assert_eq!(asked(serve).await, Ok(204));
    }

    #[tokio::test]
    async fn an_answer_of_http_1_is_none() {
        let serve = |mut stream: TcpStream| async move {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        };
        let error = asked(serve).await.unwrap_err();
        assert!(error.contains("not HTTP/2"), "{error}");
    }
}
