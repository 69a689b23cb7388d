//! Folders of configurations, each with the exact words that an operator reads about it.
//!
//! `UPDATE_EXPECT=1 cargo test -p smoothserve config` writes the words anew; read them before they
//! are committed.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::tls::MinVersion;

/// Of files that are sound, and of files that are not.
const LINES: &[&str] = &[
    "name: shop",
    "server_name: example.com, *.example.org/a",
    "start_instance_port: 8086",
    "start_instance_port: &port 8086",
    "instance_count: 3",
    "instance_count: 0x10",
    "executable_path: ./shop",
    "env: {A: b, \"C\": 'd'}",
    "args:",
    "  - -port={port}",
    "\t- x",
    "ready: {http: /healthz, status: 200}",
    "drain_timeout: 1h",
    "drain_timeout: *port",
    "watch_files: [a, \"b\"]",
    "nam: shop",
    "---",
    "{",
    "\"",
    "? [a]",
    "#",
];

/// The folders in `tests/configs/<kind>`.
fn cases(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/configs").join(kind);
    let root = root.canonicalize().unwrap();
    let mut cases: Vec<_> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// Compares `said` with what the folder expects; the difference, if there is one.
fn compare(case: &Path, said: &str) -> Option<String> {
    let said = format!("{}\n", said.replace(case.to_str().unwrap(), "$DIR"));
    let file = case.join("expected.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, said).unwrap();
        return None;
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    (expected != said)
        .then(|| format!("{}\n--- expected\n{expected}--- said\n{said}", case.display()))
}

fn assert_none(differences: &[String]) {
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

proptest! {
    /// As another editor saves it, it is the same.
    #[test]
    fn any_file_has_one_verdict_harmless_to_a_terminal(
        service in vec(select(LINES), 0..8),
        noise in "[^\r\u{feff}]{0,12}",
        at in 0..8_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("smoothserve.yaml");
        fs::create_dir(folder.path().join("services")).unwrap();
        let mut lines: Vec<&str> = service;
        lines.insert(at.min(lines.len()), &noise);
        let text = lines.join("\n");
        let verdict = |main_text: &str, text: &str| {
            fs::write(&main, main_text).unwrap();
            fs::write(folder.path().join("services/shop.yaml"), text).unwrap();
            check(&main, Colour::Never)
        };
        let said = verdict("SubConfigDir: services\nProxyPort: 8085\n", &text);
        let (Ok(words) | Err(words)) = &said;
        prop_assert!(!words.contains(|c: char| c.is_control() && c != '\n'), "{words:?}");
        let elsewhere = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        prop_assert_eq!(said, verdict("\u{feff}SubConfigDir: services\r\nProxyPort: 8085\r\n", &elsewhere));
    }
}

#[test]
fn every_valid_folder_loads() {
    let cases = cases("valid");
    let check = |case: &PathBuf| {
        let said = check(&case.join("smoothserve.yaml"), Colour::Never);
        compare(case, &said.unwrap_or_else(|errors| panic!("{}:\n{errors}", case.display())))
    };
    assert_none(&cases.iter().filter_map(check).collect::<Vec<_>>());
}

#[test]
fn every_invalid_folder_gets_its_message() {
    let cases = cases("invalid");
    let check = |case: &PathBuf| {
        let said = check(&case.join("smoothserve.yaml"), Colour::Never);
        compare(case, &said.expect_err(&format!("{} is accepted", case.display())))
    };
    assert_none(&cases.iter().filter_map(check).collect::<Vec<_>>());
}

#[test]
fn every_invalid_folder_has_one_problem() {
    for case in cases("invalid").iter().filter(|case| !case.ends_with("many_problems")) {
        let errors = load(&case.join("smoothserve.yaml")).unwrap_err();
        assert_eq!(errors.problems().len(), 1, "{}:\n{errors}", case.display());
    }
}

#[test]
fn a_message_does_nothing_to_a_terminal_unless_colour_is_asked_for() {
    for case in cases("invalid") {
        let errors = load(&case.join("smoothserve.yaml")).unwrap_err();
        let is_harmful = |c: char| c.is_control() && c != '\n';
        assert!(!errors.to_string().contains(is_harmful), "{}", case.display());
        assert!(errors.render(Colour::Always).contains('\u{1b}'), "{}", case.display());
    }
}

fn valid(name: &str) -> Config {
    let case = cases("valid").into_iter().find(|case| case.ends_with(name)).unwrap();
    load(&case.join("smoothserve.yaml")).unwrap()
}

#[test]
fn a_file_of_the_original_program_means_what_it_meant() {
    let config = valid("original");
    let folder = config.source.parent().unwrap().to_owned();
    assert_eq!(config.command, "127.0.0.1:8000".parse().unwrap());
    assert_eq!((config.metrics, config.access_log), (None, None));
    assert_eq!((config.ready_path, config.shutdown_delay), (None, Duration::ZERO));
    assert!(config.tls.is_empty() && config.https.redirected.is_empty());
    let log = config.log.unwrap();
    assert_eq!((log.file, log.max_size), (folder.join("log/app.log"), 100 << 20));
    assert_eq!(log.max_age, Some(Duration::from_hours(100 * 24)));

    let [site, zyadmin] = &config.services[..] else { panic!("two services") };
    assert_eq!(zyadmin.name.as_str(), "zyadmin");
    assert_eq!(zyadmin.listen, "127.0.0.1:8085".parse().unwrap());
    assert_eq!((zyadmin.instance_ip, zyadmin.port(Slot(1))), ("127.0.0.1".parse().unwrap(), 8087));
    assert_eq!(zyadmin.delay_running_time, Duration::from_secs(5));
    assert_eq!(zyadmin.delay_update_time, Duration::from_secs(2));
    assert_eq!(zyadmin.args, ["-port={port}"]);
    assert_eq!(zyadmin.working_dir, Path::new("/data/www/build"));
    let watched =
        ["view", "app_linux", "config"].map(|name| Path::new("/data/www/build").join(name));
    assert_eq!(zyadmin.watch, watched);
    assert!(zyadmin.is_default && zyadmin.enabled && zyadmin.auto_restart);

    let hosts = ["a.example", "b.example"].map(|name| Host::Exact(name.into()));
    assert_eq!(site.routes.iter().map(|route| route.host.clone()).collect::<Vec<_>>(), hosts);
    assert!(site.is_default, "alone on its port");
}

#[test]
fn instances_that_listen_on_paths_have_one_for_each_place_and_no_port() {
    let config = valid("instance_sockets");
    let folder = config.source.parent().unwrap();
    let [blog, shop] = &config.services[..] else { panic!("two services") };
    assert_eq!(shop.args, ["-socket={socket}"]);
    let path = |port| match shop.addr(port) {
        InstanceAddr::Socket(path) => path.to_path_buf(),
        InstanceAddr::Port(addr) => panic!("{addr}"),
    };
    let paths: Vec<_> = shop.slots().map(|slot| path(shop.port(slot))).collect();
    let run = folder.join("run");
    assert_eq!(paths, ["shop-0.sock", "shop-1.sock", "shop-2.sock"].map(|name| run.join(name)));
    assert_eq!(path(shop.surge_port), run.join("shop-3.sock"));
    assert_eq!(blog.args, ["--uds", "{socket}"]);
    assert_eq!(
        blog.addr(blog.port(Slot(0))),
        InstanceAddr::Socket(Path::new("/run/blog/0").into())
    );
    let warnings = config.warnings.join("\n");
    assert!(
        warnings.contains("the folder of `instance_socket` of shop does not exist"),
        "{warnings}"
    );
}

#[test]
fn every_key_has_its_effect() {
    let config = valid("every_key");
    let folder = config.source.parent().unwrap();
    assert_eq!(config.state_dir, folder.join("state"));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(90));
    let proxies = ["10.0.0.0/8", "192.0.2.7", "::1"].map(|network| network.parse().unwrap());
    let trust = Trust {
        proxies: proxies.into(),
        forwarded: true,
        request_id: true,
        proxy_protocol: vec![80, 443],
    };
    assert_eq!(config.trust, trust);
    assert_eq!(config.shutdown_delay, Duration::from_millis(1500));
    assert_eq!(config.ready_path.as_deref(), Some("/up"));
    assert_eq!(config.metrics, Some("[fd00::1]:9100".parse().unwrap()));
    let access_log = AccessLogConfig {
        file: folder.join("access.log"),
        format: AccessLogFormat::Combined,
        max_size: 2 << 20,
        max_backups: 0,
        max_age: Some(Duration::from_hours(24)),
        compress: true,
    };
    assert_eq!(config.access_log, Some(access_log));
    let clients = ClientLimits {
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        max_header_size: 16 << 10,
        max_connections: Some(5000),
        max_connections_per_client: Some(100),
        http2: vec![80, 443],
    };
    assert_eq!(config.clients, clients);
    let [service] = &config.services[..] else { panic!("one service") };
    assert_eq!(service.routes[0].host, Host::Wildcard(".shop.example".into()));
    assert_eq!(service.routes[0].prefix, "/admin");
    assert_eq!(
        service.env,
        [("MODE", "fast"), ("VERSION", "1.10")].map(|(n, v)| (n.into(), v.into()))
    );
    assert_eq!(service.ready, Readiness::Http { path: "/healthz".into(), status: 204 });
    assert_eq!(service.upstream_protocol, UpstreamProtocol::H2c);
    assert_eq!(service.stop_signal, StopSignal::Quit);
    assert_eq!(service.executable, folder.join("bin/shop"));
    assert_eq!(service.args, ["serve", "--listen=127.0.0.1:{port}", "--name={name}-{slot}", "7"]);
    assert_eq!(service.limits.hold_timeout, Some(Duration::from_millis(2500)));
    assert_eq!(service.limits.tunnel_grace, Duration::from_secs(10));
    assert_eq!(service.limits.hold_max, 50);
    assert_eq!(service.limits.max_fails, 3);
    assert_eq!(service.limits.fail_timeout, Duration::from_secs(30));
    let requests = RequestLimits {
        max_body_size: Some(20_000_000),
        body_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(120),
        connect_timeout: Duration::from_secs(1),
        response_timeout: None,
        upstream_body_timeout: Some(Duration::from_secs(3600)),
    };
    assert_eq!(service.requests, requests);
    assert!(!service.enabled && !service.auto_restart);
    assert_eq!(service.limits.on_drain_timeout, OnDrainTimeout::Cut);
    assert_eq!((service.restart_order, service.surge_port), (RestartOrder::StopFirst, 0));
    assert_eq!(service.max_unavailable.get(), 3);
    assert_eq!(service.watch_ignore, ["*.log", "!keep.log", "cache/"]);
    assert!(!service.watch_gitignore);
    let resources = Resources {
        open_files: Some(4096),
        file_size: Some(10_000_000_000),
        memory: Some(512 << 20),
    };
    assert_eq!(service.resources, resources);
    let liveness = Liveness {
        probe: Readiness::Http { path: "/alive".into(), status: 204 },
        interval: Duration::from_secs(5),
        timeout: Duration::from_millis(500),
        failures: 10,
    };
    assert_eq!(service.liveness, Some(liveness));
    let output = OutputConfig {
        folder: folder.join("output"),
        max_size: 1 << 20,
        max_backups: 0,
        max_age: None,
        compress: false,
        max_total: 10 << 20,
    };
    assert_eq!(config.output, Some(output));
}

#[test]
fn a_new_run_that_starts_first_has_a_port_of_its_own() {
    let config = valid("start_first");
    let [far, near] = &config.services[..] else { panic!("two services") };
    assert_eq!((far.restart_order, far.surge_port), (RestartOrder::StartFirst, 65535));
    assert_eq!((near.restart_order, near.surge_port), (RestartOrder::StartFirst, 9002));
    assert!(matches!(&far.ready, Readiness::Log(line) if line.matches(b"listening on 80")));
    let liveness = far.liveness.as_ref().unwrap();
    assert_eq!((&liveness.probe, liveness.failures), (&Readiness::Tcp, 3));
    assert_eq!(config.output, None, "it is switched off");
}

#[test]
fn the_output_of_instances_is_kept_unless_it_is_switched_off() {
    let config = valid("original");
    let output = OutputConfig {
        folder: config.state_dir.join("smoothserve.logs"),
        max_size: 10 << 20,
        max_backups: 5,
        max_age: Some(Duration::from_hours(14 * 24)),
        compress: true,
        max_total: 1024 << 20,
    };
    assert_eq!(config.output, Some(output));
}

#[test]
fn the_default_of_a_port_is_marked_or_without_a_host_or_alone() {
    let config = valid("one_port");
    let defaults: Vec<_> = config.services.iter().map(|service| service.is_default).collect();
    let names: Vec<_> = config.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["alone", "any_one", "any_two", "hosts", "rest", "strict"]);
    assert_eq!(defaults, [true, true, false, false, true, false]);
}

/// The example as it is, and with every key that is commented out.
#[test]
fn the_example_shows_keys_that_exist_with_their_defaults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("services")).unwrap();
    fs::create_dir(copy.path().join("pages")).unwrap();
    for page in ["502.html", "503.html", "504.html"] {
        fs::write(copy.path().join("pages").join(page), "").unwrap();
    }
    crate::tls::tests::issue(copy.path(), "tls/shop", &["shop.example"]);
    // The account of the example need not exist here; the one that runs this test does.
    let user = format!("user: {}", rustix::process::geteuid().as_raw());
    let group = format!("group: {}", rustix::process::getegid().as_raw());
    for name in ["smoothserve.yaml", "services/hello.yaml"] {
        let text = uncommented(&fs::read_to_string(root.join(name)).unwrap());
        let text = text.replace("user: www-data", &user).replace("group: www-data", &group);
        fs::write(copy.path().join(name), text).unwrap();
    }
    let shown = load(&root.join("smoothserve.yaml")).unwrap();
    let full = load(&copy.path().join("smoothserve.yaml")).unwrap_or_else(|e| panic!("{e}"));
    let (shown_hello, hello) = (&shown.services[0], &full.services[0]);
    assert_eq!(full.shutdown_timeout, shown.shutdown_timeout);
    assert_eq!((&full.trust, &shown.trust), (&Trust::default(), &Trust::default()));
    assert_eq!(full.shutdown_delay, shown.shutdown_delay);
    assert_eq!(full.ready_path.as_deref(), Some("/-/ready"));
    assert_eq!((&full.clients, &shown.clients), (&ClientLimits::default(), &full.clients));
    assert_eq!(
        (&hello.requests, &shown_hello.requests),
        (&RequestLimits::default(), &hello.requests)
    );
    let [secure] = &full.tls[..] else { panic!("one port of TLS") };
    assert_eq!((secure.port, secure.min_version), (443, MinVersion::default()));
    assert!(secure.http2);
    assert!(shown.tls.is_empty());
    let hsts = Hsts { max_age: Duration::from_hours(365 * 24), include_subdomains: false };
    assert_eq!(full.https, Https { hsts: Some(hsts), ..shown.https.clone() });
    assert!(shown.https.redirected.is_empty());
    assert_eq!((full.command, hello.listen), (shown.command, shown_hello.listen));
    let limits = Limits { hold_timeout: None, ..hello.limits.clone() };
    assert_eq!((&limits, &hello.ready), (&shown_hello.limits, &shown_hello.ready));
    assert_eq!(hello.delay_update_time, shown_hello.delay_update_time);
    assert_eq!((hello.enabled, hello.auto_restart), (true, false));
    assert_eq!((hello.instance_ip, hello.stop_signal), (shown_hello.instance_ip, StopSignal::Term));
    assert_eq!(hello.restart_order, shown_hello.restart_order);
    assert_eq!(hello.max_unavailable, shown_hello.max_unavailable);
    assert_eq!(hello.watch_gitignore, shown_hello.watch_gitignore);
    let liveness = hello.liveness.as_ref().unwrap();
    assert_eq!(
        (liveness.interval, liveness.timeout),
        (Duration::from_secs(10), Duration::from_secs(3))
    );
    assert_eq!(liveness.failures, 3);
    let Resources { open_files, file_size, memory } = hello.resources;
    assert!(open_files.is_some() && file_size.is_some() && memory.is_some());
    let access_log = full.access_log.unwrap();
    assert_eq!((access_log.max_size, access_log.max_backups), (100 << 20, 10));
    assert_eq!((access_log.format, access_log.max_age), (AccessLogFormat::Json, None));
    assert_eq!(full.metrics, Some("127.0.0.1:9100".parse().unwrap()));
    let log = full.log.unwrap();
    assert_eq!((log.max_size, log.max_backups, log.max_age), (100 << 20, 10, None));
    let default = shown.output.unwrap();
    assert_eq!(default.folder, shown.state_dir.join("smoothserve.logs"));
    let folder = copy.path().join("smoothserve.logs");
    assert_eq!(full.output.unwrap(), OutputConfig { folder, ..default });
    assert_eq!(hello.env, [("MODE".to_owned(), "production".to_owned())]);
}

/// Commented keys without their `#`: lines such as `# key: value`, and indented ones below them.
fn uncommented(text: &str) -> String {
    let is_key = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("- ").unwrap_or(line);
        let word = line.split(": ").next().unwrap_or_default().trim_end_matches(':');
        let is_prose = ["Default", "Or", "Try it"].contains(&word);
        !is_prose && !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if is_key(rest) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_missing_main_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("smoothserve.yaml");
    let errors = load(&file).unwrap_err();
    assert_eq!(errors.problems()[0].file(), file);
    assert!(errors.to_string().contains("the file cannot be read: it does not exist"), "{errors}");
}

#[test]
fn a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("smoothserve.yaml");
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    let errors = load(&file).unwrap_err();
    assert!(errors.to_string().contains("not a regular file"), "{errors}");
}
