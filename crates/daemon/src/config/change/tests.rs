//! Edits of a configuration, and the plan that an operator reads about each.

use std::fs;

use super::*;

const MAIN: &str = "CommandPort: 8000\nProxyAddr: 127.0.0.1\nProxyPort: 80\n";

const HELLO: &str = "\
name: hello
server_name: hello.example
start_instance_port: 8086
instance_count: 3
executable_path: bin/hello
args: [\"-a\"]
env: {TOKEN: first-secret, MODE: fast}
";

/// The configuration of a main file and of services named `a`, `b` and so on, in one and the same
/// folder so that paths are alike.
fn config(folder: &tempfile::TempDir, main: &str, services: &[&str]) -> Config {
    let services_dir = folder.path().join("services");
    let _ = fs::remove_dir_all(&services_dir);
    fs::create_dir(&services_dir).unwrap();
    fs::write(folder.path().join("smoothserve.yaml"), main).unwrap();
    for (text, name) in services.iter().zip('a'..) {
        fs::write(services_dir.join(format!("{name}.yaml")), text).unwrap();
    }
    let config = super::super::load(&folder.path().join("smoothserve.yaml"));
    config.unwrap_or_else(|errors| panic!("{errors}"))
}

/// What a change of `hello`'s file comes to, `key: value` lines being set to another value.
fn edited(keys: &[&str]) -> (Option<ChangeKind>, Vec<String>) {
    let key = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let kept: Vec<&str> =
        HELLO.lines().filter(|line| keys.iter().all(|new| key(new) != key(line))).collect();
    let text = [kept, keys.to_vec()].concat().join("\n");
    planned(HELLO, &text)
}

fn planned(old: &str, new: &str) -> (Option<ChangeKind>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (running, next) = (config(&folder, MAIN, &[old]), config(&folder, MAIN, &[new]));
    let mut changes = changes(&running, &next);
    assert_eq!(changes.unchanged as usize + changes.services.len(), 1);
    let plan = changes.services.pop();
    let root = format!("{}/", folder.path().display());
    let (kind, what) = plan.map(|plan| (plan.kind, plan.what)).unzip();
    let what: Vec<String> = what.unwrap_or_default();
    (kind, what.into_iter().map(|line| line.replace(&root, "")).collect())
}

#[test]
fn each_key_has_its_line_and_its_weight() {
    use ChangeKind::{Live, Restart, Scale};
    for (key, kind, line) in [
        ("server_name: b.example/x", Live, "server_name hello.example -> b.example/x"),
        ("port: 8085", Live, "port 80 -> 8085"),
        ("default: false", Live, "default true -> false"),
        ("enabled: false", Live, "enabled true -> false"),
        ("auto_restart: true", Live, "auto_restart false -> true"),
        ("watch_files: [view]", Live, "watch_files none -> bin/view"),
        ("watch_ignore: [\"*.log\", b]", Live, "watch_ignore none -> *.log, b"),
        ("watch_gitignore: false", Live, "watch_gitignore true -> false"),
        ("ready: {http: /up}", Live, "ready {tcp: true} -> {http: /up, status: 200}"),
        ("ready: {log: \"^a\\\\d\"}", Live, "ready {tcp: true} -> {log: \"^a\\\\d\"}"),
        (
            "liveness: {tcp: true, timeout: 500ms}",
            Live,
            "liveness none -> {tcp: true, interval: 10s, timeout: 500ms, failures: 3}",
        ),
        ("delay_running_time: 1", Live, "delay_running_time 0s -> 1s"),
        ("delay_update_time: 500ms", Live, "delay_update_time 2s -> 500ms"),
        ("max_unavailable: 2", Live, "max_unavailable 1 -> 2"),
        ("stop_signal: INT", Live, "stop_signal TERM -> INT"),
        ("memory_limit: 512MiB", Live, "memory_limit none -> 512MiB"),
        ("drain_timeout: 2m", Live, "drain_timeout 60s -> 120s"),
        ("on_drain_timeout: wait", Live, "on_drain_timeout abort -> wait"),
        ("tunnel_grace: 1", Live, "tunnel_grace 15s -> 1s"),
        ("stop_timeout: 1", Live, "stop_timeout 10s -> 1s"),
        ("ready_timeout: 1", Live, "ready_timeout 30s -> 1s"),
        ("min_ready_time: 0", Live, "min_ready_time 1s -> 0s"),
        ("hold_timeout: 1", Live, "hold_timeout none -> 1s"),
        ("hold_max: 1", Live, "hold_max 1000 -> 1"),
        ("max_fails: 0", Live, "max_fails 5 -> 0"),
        ("fail_timeout: 500ms", Live, "fail_timeout 10s -> 500ms"),
        ("upstream_idle_timeout: 4", Live, "upstream_idle_timeout 1s -> 4s"),
        ("max_body_size: 1MiB", Live, "max_body_size none -> 1MiB"),
        ("body_timeout: 5", Live, "body_timeout 60s -> 5s"),
        ("write_timeout: 5", Live, "write_timeout 60s -> 5s"),
        ("connect_timeout: 5", Live, "connect_timeout 2500ms -> 5s"),
        ("response_timeout: 0", Live, "response_timeout 300s -> none"),
        ("upstream_body_timeout: 1m", Live, "upstream_body_timeout none -> 60s"),
        ("instance_count: 5", Scale, "instance_count 3 -> 5"),
        ("server_ip: 127.0.0.2", Restart, "server_ip 127.0.0.1 -> 127.0.0.2"),
        ("start_instance_port: 9000", Restart, "start_instance_port 8086 -> 9000"),
        ("upstream_protocol: h2c", Restart, "upstream_protocol http1 -> h2c"),
        ("args: [\"-b\", c]", Restart, "args changed: [\"-a\"] -> [\"-b\", \"c\"]"),
        ("env_file: ./e", Restart, "env_file none -> e"),
        ("working_dir: /srv", Restart, "working_dir bin -> /srv"),
        ("open_files: 1000", Restart, "open_files none -> 1000"),
        ("file_size: 1GB", Restart, "file_size none -> 1000000000"),
    ] {
        let (found, lines) = edited(&[key]);
        assert_eq!(found, Some(kind), "{key}: {lines:?}");
        assert_eq!(lines, [line], "{key}");
    }
}

#[test]
fn a_moved_executable_brings_its_folder_along() {
    let (kind, lines) = edited(&["executable_path: new/hello"]);
    assert_eq!(kind, Some(ChangeKind::Restart));
    let expected = ["executable_path bin/hello -> new/hello", "working_dir bin -> new"];
    assert_eq!(lines, expected);
}

#[test]
fn the_new_run_first_brings_a_port_along() {
    let (kind, lines) = edited(&["restart_order: start-first"]);
    assert_eq!(kind, Some(ChangeKind::Live));
    assert_eq!(lines, ["restart_order stop-first -> start-first", "surge_port none -> 8089"]);
}

#[test]
fn paths_in_place_of_ports_need_new_runs() {
    let on_paths = HELLO.replace("start_instance_port: 8086", "instance_socket: /run/{slot}.sock");
    let (kind, lines) = planned(HELLO, &on_paths);
    assert_eq!(kind, Some(ChangeKind::Restart));
    assert_eq!(lines, ["instance_socket none -> /run/{slot}.sock"]);
    let first = format!("{on_paths}restart_order: start-first\n");
    let (kind, lines) = planned(&on_paths, &first);
    assert_eq!(kind, Some(ChangeKind::Live));
    assert_eq!(lines, ["restart_order stop-first -> start-first"], "nobody cares for numbers");
}

#[test]
fn the_environment_is_told_by_its_names() {
    let (kind, lines) = edited(&["env: {NEW: third-secret, TOKEN: second-secret}"]);
    assert_eq!(kind, Some(ChangeKind::Restart));
    assert_eq!(lines, ["env.TOKEN changed", "env.MODE removed", "env.NEW added"]);
    let (kind, lines) = edited(&["env: {MODE: fast, TOKEN: first-secret}"]);
    assert_eq!((kind, lines), (None, vec![]), "its order has no effect");
}

#[test]
fn several_differences_weigh_what_the_heaviest_does() {
    let (kind, lines) = edited(&["instance_count: 1", "hold_max: 5"]);
    assert_eq!(kind, Some(ChangeKind::Scale));
    assert_eq!(lines, ["instance_count 3 -> 1", "hold_max 1000 -> 5"]);
    let (kind, lines) = edited(&["instance_count: 1", "hold_max: 5", "args: []"]);
    assert_eq!(kind, Some(ChangeKind::Restart));
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn an_account_is_told_with_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let running = config(&folder, MAIN, &[HELLO]);
    let www = |gid| super::super::RunAs { shown: "www".into(), uid: 33, gid, groups: vec![4, 27] };
    let with = |run_as| {
        let service = ServiceConfig { run_as, ..(*running.services[0]).clone() };
        Config { services: vec![Arc::new(service)], ..running.clone() }
    };
    let (first, second) = (with(Some(www(33))), with(Some(www(50))));
    let plan = &changes(&running, &first).services[0];
    assert_eq!(plan.kind, ChangeKind::Restart);
    assert_eq!(plan.what, ["user none -> www (uid 33, gid 33, 4, 27)"]);
    let plan = &changes(&first, &second).services[0];
    let expected = "user www (uid 33, gid 33, 4, 27) -> www (uid 33, gid 50, 4, 27)";
    assert_eq!(plan.what, [expected]);
}

#[test]
fn services_come_and_go_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let other = HELLO.replace("hello", "other").replace("8086", "9000");
    let running = config(&folder, MAIN, &[HELLO, &other]);
    let renamed = HELLO.replace("name: hello\n", "name: zero\nenabled: false\n");
    let single = other.replace("other", "single").replace("9000", "9100").replace(": 3", ": 1");
    let next = config(&folder, MAIN, &[&renamed, &other, &single]);
    let changes = changes(&running, &next);
    let seen: Vec<_> = changes
        .services
        .iter()
        .map(|plan| (plan.service.as_str(), plan.kind, plan.what.join("; ")))
        .collect();
    let added = "added, 3 instances on ports 8086 to 8088, not started as `enabled` is false";
    let expected = [
        ("hello", ChangeKind::Removed, "removed".to_owned()),
        ("single", ChangeKind::Added, "added, 1 instance on port 9100".to_owned()),
        ("zero", ChangeKind::Added, added.to_owned()),
    ];
    assert_eq!(seen, expected);
    assert_eq!((changes.unchanged, changes.daemon.len()), (1, 0));
}

#[test]
fn nothing_differs_from_itself() {
    let folder = tempfile::tempdir().unwrap();
    let running = config(&folder, MAIN, &[HELLO]);
    assert_eq!(changes(&running, &running), Changes { unchanged: 1, ..Changes::default() });
}

#[test]
fn the_daemon_has_lines_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let running = config(&folder, MAIN, &[HELLO]);
    let main = "CommandPort: 8001\nProxyAddr: 127.0.0.1\nProxyPort: 81\nStateDir: state\n\
                shutdown_timeout: 90\nshutdown_delay: 5\nready_path: /up\n\
                header_timeout: 5\nidle_timeout: 6\nmax_header_size: 8KiB\n\
                max_connections: 500\nmax_connections_per_client: 20\nhttp2: [81]\n\
                trusted_proxies: [10.0.0.0/8, \"::1\"]\nforwarded: true\nrequest_id: true\n\
                proxy_protocol: [81, 443]\nmetrics: localhost:9100\nlog: {file_path: a.log}\n\
                access_log: {file_path: b.log}\ninstance_log: false\n";
    let changes = changes(&running, &config(&folder, main, &[HELLO]));
    let root = folder.path().display();
    let later = "takes effect when the daemon starts again";
    let expected = [
        "CommandPort 8000 -> 8001".to_owned(),
        format!("StateDir {root} -> {root}/state, {later}"),
        "shutdown_timeout 60s -> 90s".to_owned(),
        "trusted_proxies none -> 10.0.0.0/8, ::1".to_owned(),
        "forwarded false -> true".to_owned(),
        "request_id false -> true".to_owned(),
        "proxy_protocol none -> 81, 443".to_owned(),
        "shutdown_delay 0s -> 5s".to_owned(),
        "ready_path none -> /up".to_owned(),
        "metrics none -> 127.0.0.1:9100".to_owned(),
        "header_timeout 30s -> 5s".to_owned(),
        "idle_timeout 30s -> 6s".to_owned(),
        "max_header_size 64KiB -> 8KiB".to_owned(),
        "max_connections none -> 500".to_owned(),
        "http2 none -> 81".to_owned(),
        "max_connections_per_client none -> 20".to_owned(),
        format!("log changed, {later}"),
        "access_log changed".to_owned(),
        "instance_log changed".to_owned(),
        "listens on 127.0.0.1:81".to_owned(),
        "no longer listens on 127.0.0.1:80".to_owned(),
    ];
    assert_eq!(changes.daemon, expected);
    assert_eq!(changes.services[0].what, ["port 80 -> 81"]);
}
