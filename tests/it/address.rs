//! Who asks, as the instances of a daemon behind other proxies are told.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use smoothserve_tests::http as client;
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::wait::LIMIT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What an instance received of a request with these headers: `name: value` lines.
async fn received(addr: SocketAddr, fields: &[(&str, &str)]) -> Vec<String> {
    let mut request = Request::get("/headers");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Bytes::new()).expect("the headers are valid");
    let answer = client::send(addr, request).await.expect("it is answered");
    let head: serde_json::Value = serde_json::from_slice(&answer.body).expect("it is JSON");
    let fields = head["headers"].as_array().expect("it has headers").iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    fields.map(|field| [&field[0], &field[1]].map(text).join(": ")).collect()
}

fn assert_holds(received: &[String], lines: &[&str]) {
    for line in lines {
        assert!(received.iter().any(|found| found == line), "no {line:?} in {received:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_in_front_is_believed_as_soon_as_it_is_trusted() {
    let daemon = Setup::of(Service::new("shop").instances(1)).start_ready().await.unwrap();
    let addr = daemon.listen("shop");
    let fields = [
        ("host", "shop.example"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "www.example"),
        ("forwarded", "for=192.0.2.1;proto=https"),
    ];
    let stranger = received(addr, &fields).await;
    assert_holds(
        &stranger,
        &[
            "host: shop.example",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http",
            "x-forwarded-host: shop.example",
        ],
    );
    assert!(!stranger.iter().any(|line| line.starts_with("forwarded:")), "{stranger:#?}");

    daemon.folder.set_main("trusted_proxies", "[127.0.0.0/8]").unwrap();
    let report = daemon.reload().await;
    assert!(report.applied && report.problems.is_empty(), "{report:#?}");
    assert_eq!(report.daemon, ["trusted_proxies none -> 127.0.0.0/8"]);
    assert_holds(
        &received(addr, &fields).await,
        &[
            "host: shop.example",
            "x-forwarded-for: 192.0.2.1, 127.0.0.1",
            "x-forwarded-proto: https",
            "x-forwarded-host: www.example",
            "forwarded: for=192.0.2.1;proto=https, for=127.0.0.1;host=\"shop.example\";proto=http",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_have_names_as_soon_as_that_is_wanted() {
    let daemon = Setup::of(Service::new("shop").instances(1)).start_ready().await.unwrap();
    let addr = daemon.listen("shop");
    assert_eq!(client::get(addr, "/").await.unwrap().header("x-request-id"), "");
    daemon.folder.set_main("request_id", "true").unwrap();
    assert_eq!(daemon.reload().await.daemon, ["request_id false -> true"]);
    let answer = client::get(addr, "/headers").await.unwrap();
    let id = answer.header("x-request-id");
    assert_eq!(id.len(), 32, "{id}");
    assert!(answer.text().contains(&format!("[\"x-request-id\",\"{id}\"]")), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_that_passes_bytes_on_says_who_its_client_is() {
    let daemon = Setup::of(Service::new("shop").instances(1)).start_ready().await.unwrap();
    let addr = daemon.listen("shop");
    daemon.folder.set_main("proxy_protocol", &format!("[{}]", addr.port())).unwrap();
    let report = daemon.reload().await;
    assert_eq!(report.daemon, [format!("proxy_protocol none -> {}", addr.port())]);

    let ask = "GET /headers HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
    for (introduction, told) in [
        ("PROXY TCP4 192.0.2.1 10.0.0.1 4660 80\r\n", "[\"x-forwarded-for\",\"192.0.2.1\"]"),
        ("", "the PROXY protocol"),
    ] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(format!("{introduction}{ask}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("no end came").unwrap();
        assert!(answer.contains(told), "{answer}");
    }
}
