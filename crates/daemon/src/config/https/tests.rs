//! Redirects and what browsers remember, beside ports of TLS that exist.

use super::super::changes;
use super::super::tls::tests::{A, Folder};
use super::*;

#[test]
fn clients_are_sent_to_the_well_known_port_or_to_the_lowest() {
    let folder = Folder::new();
    let one = "{certificates: [{certificate: a.pem, key: a.key}]}";
    for (ports, sent) in [(vec![8443], 8443), (vec![9443, 8443], 8443), (vec![80, 443], 443)] {
        let ports: Vec<String> = ports.iter().map(|port| format!("{port}: {one}")).collect();
        let tls = format!("tls: {{{}}}\nredirect_https: [8081, 8080, 8081]", ports.join(", "));
        let https = folder.load(&tls).unwrap().https;
        let ports = https.redirected.iter().map(SocketAddr::port).collect::<Vec<_>>();
        assert_eq!((https.port, ports), (sent, vec![8080, 8081]));
    }
}

#[test]
fn a_redirect_is_listened_on_with_the_services() {
    let folder = Folder::new();
    let config =
        folder.load(&format!("{A}\nredirect_https: [8080]\nproxy_protocol: [8080]")).unwrap();
    let ports: Vec<u16> = config.listeners().iter().map(SocketAddr::port).collect();
    assert_eq!(ports, [8080, 8443]);
    assert!(!config.warnings.iter().any(|text| text.contains("no service listens")));
}

#[test]
fn a_redirect_has_its_port_for_itself_and_services() {
    let folder = Folder::new();
    for (redirect, said) in [
        (8443, "port 8443 speaks TLS and redirects to it"),
        (8000, "port 8000 is the command port"),
        (9001, "an instance would get port 9001, which redirects"),
    ] {
        let errors = folder.load(&format!("{A}\nredirect_https: [{redirect}]")).unwrap_err();
        assert!(errors.contains(&format!("error: {said}")), "{errors}");
        assert_eq!(errors.matches("error: ").count(), 1, "{errors}");
    }
}

#[test]
fn what_browsers_are_told_is_a_header() {
    let folder = Folder::new();
    for (yaml, value) in [
        ("{max_age: 1y}", "max-age=31536000"),
        ("{max_age: 30d, include_subdomains: true}", "max-age=2592000; includeSubDomains"),
        ("{max_age: 0}", "max-age=0"),
    ] {
        let config = folder.load(&format!("{A}\nhsts: {yaml}")).unwrap();
        assert_eq!(config.https.hsts.unwrap().value(), value);
    }
    for yaml in ["{max_age: 11y}", "{max_age: 1w}", "{include_subdomains: true}", "31536000"] {
        assert!(folder.load(&format!("{A}\nhsts: {yaml}")).is_err(), "{yaml}");
    }
}

#[test]
fn a_reload_says_what_changes() {
    let folder = Folder::new();
    let plain = folder.load(A).unwrap();
    let sent = folder.load(&format!("{A}\nredirect_https: [8080]")).unwrap();
    let strict = folder.load(&format!("{A}\nhsts: {{max_age: 1h}}")).unwrap();
    let lines = ["redirect_https none -> 8080 (to 8443)", "listens on 0.0.0.0:8080"];
    assert_eq!(changes(&plain, &sent).daemon, lines);
    let line = "hsts none -> {max_age: 3600s, include_subdomains: false}";
    assert_eq!(changes(&plain, &strict).daemon, [line]);
}
