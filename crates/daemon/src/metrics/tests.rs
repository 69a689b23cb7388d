//! The page, read by a strict reader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smoothserve_protocol::id::{Generation, Revision, RunId, ServiceName, Slot};
use smoothserve_protocol::snapshot::{DaemonView, Snapshot};

use self::prometheus::Page;
use super::page;
use crate::config::{ClientLimits, Limits, ServiceConfig, TlsListener, UpstreamProtocol};
use crate::core::sample_service;
use crate::proxy::{Endpoint, Launched, Outcome, Proxy, RouteTable, ServiceProxy};
use crate::supervisor::{Measures, RunMeasures, ServiceMeasures, Turns};
use crate::tls::MinVersion;
use crate::tls::tests::certificate;

#[path = "../../../../tests/support/prometheus.rs"]
#[expect(unreachable_pub, dead_code, reason = "it is a library of the end-to-end tests")]
mod prometheus;

/// A service with two places, in the first of which one run of a generation replaces another.
fn service(name: &str) -> ServiceMeasures {
    let name = ServiceName::new(name).unwrap();
    let config = Arc::new(ServiceConfig { name: name.clone(), ..sample_service("any", 2) });
    let run = |run, slot, generation| {
        let launch = Launched { run: RunId(run), slot: Slot(slot), generation };
        let addr = ([127, 0, 0, 1], 1).into();
        let endpoint = Endpoint::new(
            launch,
            crate::config::InstanceAddr::Port(addr),
            UpstreamProtocol::Http1,
            &Limits::default(),
            |_, _| {},
            |_| {},
        );
        endpoint.traffic().add(Duration::from_millis(3), Outcome::Completed, false);
        endpoint.traffic().add(Duration::from_millis(3), Outcome::Lost, true);
        let cpu = Some(Duration::from_millis(1500));
        RunMeasures { endpoint, cpu, rss_bytes: None }
    };
    let (old, new) = (Generation(7), Generation(8));
    let runs = vec![run(1, 0, old), run(2, 0, old), run(3, 1, old), run(4, 1, new)];
    let turns = Turns { launched: 4, failed: 1 };
    ServiceMeasures { proxy: ServiceProxy::new(config), name, turns, runs }
}

fn written(services: Vec<ServiceMeasures>) -> String {
    page::write(&measures(services), &proxy())
}

fn measures(services: Vec<ServiceMeasures>) -> Measures {
    let daemon = DaemonView { version: "1.2.3".into(), uptime_ms: 2500, ..DaemonView::default() };
    let snapshot = Snapshot { revision: Revision::default(), daemon, services: Vec::new() };
    Measures { snapshot: Arc::new(snapshot), services }
}

fn proxy() -> Arc<Proxy> {
    Proxy::new(RouteTable::new([]), 10, &ClientLimits::default())
}

#[test]
fn certificates_in_use_tell_when_they_expire() {
    let (proxy, certificate) = (proxy(), certificate(&["shop.example"]));
    let listener = |port| {
        // The same one twice is one.
        let certificates = vec![Arc::clone(&certificate), Arc::clone(&certificate)];
        TlsListener { port, certificates, min_version: MinVersion::default(), http2: true }
    };
    proxy.secure(&[listener(443), listener(8443)]);
    let page = Page::read(&page::write(&measures(Vec::new()), &proxy));
    let file = certificate.files().certificate.display().to_string();
    for port in ["443", "8443"] {
        let labels = [("port", port), ("file", &file)];
        let expires = page.value("smoothserve_tls_certificate_expiry_timestamp_seconds", &labels);
        assert_eq!(expires, certificate.expires() as f64);
    }
}

#[test]
fn a_page_is_what_a_strict_reader_takes() {
    let (plain, odd) = ("shop", "a\"b\\c");
    let services = vec![service(odd), service(plain)];
    for millis in [0, 1, 3, 100, 100_000_000] {
        let took = Duration::from_millis(millis);
        services[1].proxy.traffic().add(took, Outcome::Completed, millis == 3);
    }
    let page = Page::read(&written(services));
    assert_eq!(page.value("smoothserve_uptime_seconds", &[]), 2.5);
    assert_eq!(page.value("smoothserve_build_info", &[("version", "1.2.3")]), 1.0);
    for name in [plain, odd] {
        let of = |slot, generation, outcome| {
            let place = [("service", name), ("slot", slot), ("generation", generation)];
            let labels = [&place[..], &[("outcome", outcome)]].concat();
            page.value("smoothserve_instance_requests_total", &labels)
        };
        assert_eq!((of("1", "7", "completed"), of("1", "7", "lost")), (2.0, 2.0));
        assert_eq!((of("2", "7", "completed"), of("2", "8", "lost")), (1.0, 1.0));
        assert_eq!(of("2", "8", "cut"), 0.0);
        assert_eq!(page.value("smoothserve_service_failures_total", &[("service", name)]), 1.0);
        assert_eq!(page.value("smoothserve_service_launches_total", &[("service", name)]), 4.0);
        assert_eq!(
            page.sum("smoothserve_instance_cpu_seconds_total", &[("service", name)]),
            4.0 * 1.5
        );
    }
}

#[test]
fn a_request_is_counted_below_its_bound() {
    let services = vec![service("shop")];
    for micros in [511, 512, 1023, 70_000_000, u64::MAX] {
        let took = Duration::from_micros(micros);
        services[0].proxy.traffic().add(took, Outcome::Completed, false);
    }
    let page = Page::read(&written(services));
    let below = |bound| {
        let labels = [("service", "shop"), ("le", bound)];
        page.value("smoothserve_request_duration_seconds_bucket", &labels)
    };
    assert_eq!([below("0.000512"), below("0.001024"), below("0.002048")], [1.0, 3.0, 3.0]);
    assert_eq!([below("67.108864"), below("+Inf")], [3.0, 5.0]);
    let sum = page.value("smoothserve_request_duration_seconds_sum", &[("service", "shop")]);
    let expected = 70.0 + f64::from(u32::MAX) / 1e6;
    assert!((sum - expected).abs() < expected / 50.0, "{sum}");
}

#[test]
fn a_thousand_services_make_one_page_in_time() {
    let services = (0..1000).map(|number| service(&format!("s{number}"))).collect();
    let began = Instant::now();
    let text = written(services);
    // Not optimized, on a busy machine; it is a hundredth of that otherwise.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(text.len() < 16 << 20, "{} bytes", text.len());
    assert!(Page::read(&text).len() > 50_000);
}
