//! What the keys of the edge come to, and what a reload says of them.

use std::path::Path;

use super::super::{Config, changes, load, reload};
use super::*;
use smoothserve_protocol::plan::ChangeKind;

const SHOP: &str =
    "name: shop\nport: 8085\nstart_instance_port: 8086\nexecutable_path: /bin/true\n";

const MAIN: &str = "smoothserve.yaml";

/// The configuration of a folder with the one service `shop`, which has these keys besides.
fn config(folder: &Path, keys: &str) -> Config {
    let services = folder.join("services");
    std::fs::create_dir_all(&services).unwrap();
    std::fs::write(folder.join(MAIN), "CommandPort: 8000\n").unwrap();
    std::fs::write(services.join("shop.yaml"), format!("{SHOP}{keys}\n")).unwrap();
    load(&folder.join(MAIN)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn edge_of(keys: &str) -> Option<Arc<Edge>> {
    let folder = tempfile::tempdir().unwrap();
    config(folder.path(), keys).services[0].edge.clone()
}

/// What a reload says that takes the service from these keys to those.
fn told(old: &str, new: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (running, next) = (config(folder.path(), old), config(folder.path(), new));
    let Some(plan) = changes(&running, &next).services.pop() else { return Vec::new() };
    assert_eq!(plan.kind, ChangeKind::Live);
    plan.what
}

#[test]
fn a_service_without_these_keys_has_no_edge() {
    assert_eq!(edge_of(""), None);
    assert_eq!(edge_of("request_headers: {}\nresponse_headers: {set: {}, remove: []}"), None);
}

#[test]
fn headers_are_read_in_any_letter_case() {
    let edge = edge_of("response_headers: {set: {X-A: \"1 2\", x-b: \"\"}, remove: [SERVER]}");
    let HeaderEdits { set, remove } = &edge.unwrap().response_headers;
    let set: Vec<_> = set.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(set, [("x-a", &b"1 2"[..]), ("x-b", b"")]);
    assert_eq!(remove, &["server"]);
}

#[test]
fn a_reload_tells_which_headers_change_and_never_their_values() {
    let key = "request_headers";
    let old = format!("{key}: {{set: {{X-A: first-secret, X-B: b}}, remove: [Cookie]}}");
    let new = format!("{key}: {{set: {{X-A: second-secret, X-C: c}}}}");
    let expected = [
        "request_headers.set.x-a changed",
        "request_headers.set.x-b removed",
        "request_headers.set.x-c added",
        "request_headers.remove cookie -> none",
    ];
    assert_eq!(told(&old, &new), expected);
    assert_eq!(told(&old, &old), [""; 0]);
    assert_eq!(told("", "response_headers: {set: {A: b}}"), ["response_headers.set.a added"]);
}

#[test]
fn a_prefix_has_no_slash_at_its_end() {
    let edge = edge_of("strip_prefix: /api/v1/").unwrap();
    assert_eq!(edge.strip_prefix.as_ref().unwrap().as_str(), "/api/v1");
    let (old, new) = ("strip_prefix: /api", "strip_prefix: /api/v1");
    assert_eq!(told(old, new), ["strip_prefix /api -> /api/v1"]);
    assert_eq!(told(old, ""), ["strip_prefix /api -> none"]);
}

#[test]
fn a_canonical_host_is_lower_case_and_may_have_a_port() {
    let host = |text: &str| edge_of(&format!("canonical_host: {text}")).unwrap();
    let host = |text| host(text).canonical_host.clone().unwrap();
    let named = |name: &str, port| CanonicalHost { name: name.into(), port };
    assert_eq!(host("WWW.Example.com"), named("www.example.com", None));
    assert_eq!(host("www.example.com:8443"), named("www.example.com", Some(8443)));
    assert_eq!(host("\"[::1]\""), named("[::1]", None));
    assert_eq!(host("\"[::1]:80\""), named("[::1]", Some(80)));
    let (old, new) = ("canonical_host: a.example", "canonical_host: b.example:81");
    assert_eq!(told(old, new), ["canonical_host a.example -> b.example:81"]);
}

#[test]
fn pages_are_read_with_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("down.html", "<p>down");
    write("down.json", "{}");
    let keys = "error_pages: {503: ./down.html, 502: down.json}";
    let running = config(folder.path(), keys);
    let edge = running.services[0].edge.clone().unwrap();
    let page = |status| edge.page(status).map(|page| (&page.content_type, &page.body[..]));
    let (html, json) = ("text/html; charset=utf-8", "application/json");
    assert_eq!(
        page(StatusCode::SERVICE_UNAVAILABLE),
        Some((&html.parse().unwrap(), &b"<p>down"[..]))
    );
    assert_eq!(page(StatusCode::BAD_GATEWAY), Some((&json.parse().unwrap(), &b"{}"[..])));
    assert_eq!(page(StatusCode::GATEWAY_TIMEOUT), None);

    write("down.html", "<p>back soon");
    let told: Vec<String> =
        changes(&running, &config(folder.path(), "error_pages: {503: down.html}"))
            .services
            .pop()
            .unwrap()
            .what;
    let root = folder.path().display();
    let expected = [
        format!("error_pages.502 {root}/down.json -> none"),
        format!("error_pages.503: {root}/down.html has other content"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_page_that_is_gone_leaves_the_service_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("down.html");
    std::fs::write(&page, "down").unwrap();
    let running = config(folder.path(), "error_pages: {503: down.html}");
    std::fs::remove_file(&page).unwrap();
    let reloaded = reload(&folder.path().join(MAIN), &running).unwrap();
    assert!(Arc::ptr_eq(&reloaded.config.services[0], &running.services[0]));
    let rendered = &reloaded.rejected[0].rendered;
    assert!(rendered.contains("the page cannot be read: it does not exist"), "{rendered}");
}

#[test]
fn a_page_is_bounded_and_no_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("down.html");
    let refused = || {
        let keys = format!("{SHOP}error_pages: {{503: down.html}}\n");
        std::fs::write(folder.path().join("services/shop.yaml"), keys).unwrap();
        load(&folder.path().join(MAIN)).unwrap_err().to_string()
    };
    config(folder.path(), "");
    std::fs::write(&page, vec![b'x'; 256 * 1024 + 1]).unwrap();
    assert!(refused().contains("the page is larger than 256 KiB"));
    std::fs::write(&page, vec![b'x'; 256 * 1024]).unwrap();
    config(folder.path(), "error_pages: {503: down.html}");
    std::fs::remove_file(&page).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &page, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    assert!(refused().contains("it is not a regular file"));
}

#[test]
fn maintenance_is_switched_by_a_reload() {
    assert_eq!(edge_of("maintenance: false"), None);
    assert_eq!(told("", "maintenance: true"), ["maintenance false -> true"]);
    assert_eq!(told("maintenance: true", ""), ["maintenance true -> false"]);
}

#[test]
fn clients_stay_by_a_cookie_of_the_operators_choice() {
    let edge = edge_of("sticky: {cookie: AT_1}").unwrap();
    assert_eq!(edge.sticky, Some(Sticky { cookie: "AT_1".into() }));
    assert_eq!(told("", "sticky: {cookie: at}"), ["sticky.cookie none -> at"]);
}
