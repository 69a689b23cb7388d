//! Who asks, as the instances of a daemon behind other proxies are told.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use smoothserve_tests::http as client;
use smoothserve_tests::setup::{Service, Setup};

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
