//! Clients that mean harm, and instances that do it. Each at its own cost: whoever behaves well is
//! served meanwhile, memory is bounded, everything is counted, and nothing stays behind.

use std::net::SocketAddr;
use std::time::Duration;

use smoothserve_protocol::snapshot::{Ledger, Snapshot};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::process::resident_memory;
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::wait::{self, LIMIT};
use smoothserve_tests::{http, look};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::agree::ended_without_loss;

/// How much memory the harm may cost, all of it together.
const COST: u64 = 48 * 1024 * 1024;

/// A daemon with a service for those who behave well, and their load.
struct Town {
    daemon: TestDaemon,
    load: Load,
    memory: u64,
}

impl Town {
    async fn start(setup: Setup) -> Self {
        let daemon = setup.service(Service::new("shop")).start_ready().await.expect("a daemon");
        let plan = LoadPlan { clients: 8, ..LoadPlan::short_requests() };
        let load = Load::start(daemon.listen("shop"), plan);
        // What it takes for its work, it has taken then.
        load.answered(300).await;
        let memory = memory_of(&daemon);
        Self { daemon, load, memory }
    }

    /// More memory than before the harm began.
    fn growth(&self) -> u64 {
        memory_of(&self.daemon).saturating_sub(self.memory)
    }

    /// The ledger of a service that nobody is inside any more.
    async fn ledger(&self, service: &str) -> Ledger {
        let is_empty = |snapshot: &Snapshot| {
            let service = look::service(snapshot, service);
            let inside = |view: &smoothserve_protocol::snapshot::InstanceView| view.in_flight;
            service.ledger.in_flight == 0 && service.instances.iter().map(inside).sum::<u32>() == 0
        };
        let snapshot = self.daemon.until("nobody is inside", is_empty).await;
        let ledger = look::service(&snapshot, service).ledger;
        assert_eq!(ledger.unaccounted(), 0, "{ledger:#?}");
        ledger
    }

    /// Others have been served all the time, and are still.
    async fn end(self) {
        assert!(self.growth() < COST, "{} bytes more than before", self.growth());
        self.load.answered(100).await;
        ended_without_loss(self.load, &self.daemon, "shop").await;
    }
}

fn memory_of(daemon: &TestDaemon) -> u64 {
    resident_memory(daemon.pid()).expect("the daemon runs")
}

/// Everything that comes, to the end or to a reset.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // What came before a reset counts.
    let _ = timeout(LIMIT, stream.read_to_end(&mut all)).await.expect("an end in time");
    String::from_utf8_lossy(&all).into_owned()
}

async fn send(addr: SocketAddr, text: &str) -> TcpStream {
    send_on(TcpStream::connect(addr).await.expect("a connection"), text).await
}

/// From where the kernel takes little of an answer, so that it is soon as much as it takes.
async fn send_narrowly(addr: SocketAddr, text: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a small buffer");
    send_on(socket.connect(addr).await.expect("a connection"), text).await
}

async fn send_on(mut stream: TcpStream, text: &str) -> TcpStream {
    stream.write_all(text.as_bytes()).await.expect("a few bytes are taken");
    stream
}

async fn all<T: 'static>(mut tasks: JoinSet<T>) -> Vec<T> {
    let mut done = Vec::new();
    while let Some(task) = tasks.join_next().await {
        done.push(task.expect("a task that does not panic"));
    }
    done
}

// ---- clients ------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_that_say_nothing_are_closed() {
    let town = Town::start(Setup::default().key("header_timeout", "2")).await;
    let addr = town.daemon.listen("shop");
    let mut silent = JoinSet::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        silent.spawn(async move { read_all(&mut stream).await });
    }
    assert!(all(silent).await.iter().all(String::is_empty));
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_slow_heads_are_cut_in_their_time() {
    let town = Town::start(Setup::default().key("header_timeout", "2")).await;
    let addr = town.daemon.listen("shop");
    let mut slow = JoinSet::new();
    for _ in 0..200 {
        slow.spawn(async move {
            let began = Instant::now();
            let mut stream = send(addr, "GET / HTTP/1.1\r\nhost: a\r\nx: ").await;
            let (mut reading, mut writing) = stream.split();
            let mut answer = String::new();
            // A byte now and then, as long as they are taken.
            let trickle = async {
                while writing.write_all(b"y").await.is_ok() {
                    sleep(Duration::from_millis(100)).await;
                }
            };
            let read = tokio::select! {
                read = timeout(LIMIT, reading.read_to_string(&mut answer)) => read.expect("in time"),
                () = trickle => reading.read_to_string(&mut answer).await,
            };
            // A byte that was on the way resets the connection after its answer.
            drop(read);
            (answer, began.elapsed())
        });
    }
    for (answer, took) in all(slow).await {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
        assert!(took >= Duration::from_secs(2), "{took:?}");
    }
    let snapshot = town.daemon.snapshot().await;
    assert_eq!(snapshot.daemon.rejected, 200);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_do_not_end_are_refused() {
    let town = Town::start(Setup::default()).await;
    let addr = town.daemon.listen("shop");
    let mut bombs = JoinSet::new();
    for number in 0..60 {
        bombs.spawn(async move {
            let mut stream = send(addr, "GET / HTTP/1.1\r\nhost: a\r\n").await;
            let piece = match number % 3 {
                0 => "a: b\r\n".repeat(10_000),
                1 => format!("x: {}\r\n", "y".repeat(20_000)),
                _ => "z".repeat(60_000),
            };
            // It is closed on before it is through with that.
            for _ in 0..1000 {
                if stream.write_all(piece.as_bytes()).await.is_err() {
                    break;
                }
            }
            read_all(&mut stream).await
        });
    }
    for answer in all(bombs).await {
        // Sixty megabytes are more than anybody listens to: a reset may come before the answer.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert_eq!(town.daemon.snapshot().await.daemon.rejected, 60);
    town.end().await;
}

/// What two readers could read in two ways, what is no HTTP at all, and what is for nobody here.
const REFUSED: [&str; 24] = [
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: u@a\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a:65536\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: %61\r\n\r\n",
    "CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
    "TRACE / HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcd",
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +4\r\n\r\nabcd",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\n x: folded\r\n\r\n",
    "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n",
    "GET / HTTP/1.1\nhost: a\n\n",
    "GET / http/1.1\r\nhost: a\r\n\r\n",
    "GET / HTTP/2.0\r\nhost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\nexpect: wonders\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n",
    "\u{1b}[2J\r\n\r\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_should_send_is_refused_each_time_and_leaves_nothing() {
    const TIMES: usize = 100;
    let town = Town::start(Setup::of(Service::new("inn"))).await;
    let addr = town.daemon.listen("inn");
    for _ in 0..TIMES {
        let mut clients = JoinSet::new();
        for text in REFUSED {
            clients.spawn(async move { (text, read_all(&mut send(addr, text).await).await) });
        }
        for (text, answer) in all(clients).await {
            assert!(
                answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"),
                "{text:?}: {answer:?}"
            );
            assert!(answer.contains("\r\nconnection: close\r\n"), "{text:?}: {answer:?}");
        }
    }
    let snapshot = town.daemon.snapshot().await;
    assert_eq!(snapshot.daemon.rejected, (TIMES * REFUSED.len()) as u64);
    let ledger = town.ledger("inn").await;
    assert_eq!((ledger.accepted, ledger.lost), (0, 0), "{ledger:#?}");
    assert!(!town.daemon.log().contains("panicked"), "{}", town.daemon.log());
    town.end().await;
}

/// Begins something, and resets the connection in the middle of it.
async fn abort(addr: SocketAddr, number: usize) {
    let text = match number % 6 {
        0 => "GET / HTTP/1.1\r\nhos",
        1 => "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nhalf",
        2 => "POST /upload HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nha",
        3 => "GET /slow?ms=200 HTTP/1.1\r\nhost: a\r\n\r\n",
        4 => "GET /stream?ms=300 HTTP/1.1\r\nhost: a\r\n\r\n",
        _ => "GET /big?bytes=100000000 HTTP/1.1\r\nhost: a\r\n\r\n",
    };
    let mut stream = send(addr, text).await;
    if number % 6 >= 4 {
        let mut some = [0; 100];
        stream.read_exact(&mut some).await.expect("an answer begins");
    }
    stream.set_zero_linger().expect("a socket that is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_that_abort_leave_nothing_behind() {
    let town = Town::start(Setup::of(Service::new("inn"))).await;
    let addr = town.daemon.listen("inn");
    for hundred in 0..10 {
        let mut clients = JoinSet::new();
        for number in 0..100 {
            clients.spawn(abort(addr, hundred * 100 + number));
        }
        all(clients).await;
    }
    let ledger = town.ledger("inn").await;
    assert_eq!((ledger.lost, ledger.cut, ledger.refused), (0, 0, 0), "{ledger:#?}");
    // Some of those who did not wait for their answer had it on the way.
    assert!(ledger.client_aborted >= 300, "{ledger:#?}");
    assert_eq!(http::get(addr, "/").await.unwrap().status, 200);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_a_large_answer_costs_little_and_is_cut() {
    const READERS: u64 = 40;
    // What the daemon itself takes more or less, from one moment to the next.
    const OWN: u64 = 8 * 1024 * 1024;
    let town = Town::start(Setup::of(Service::new("inn").key("write_timeout", "4"))).await;
    let addr = town.daemon.listen("inn");
    // And those who behave well, before anybody else is there.
    let mut load = 0;
    for _ in 0..10 {
        town.load.answered(100).await;
        load = load.max(town.growth());
    }
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let ask = "GET /big?bytes=1000000000 HTTP/1.1\r\nhost: a\r\n\r\n";
        let mut stream = send_narrowly(addr, ask).await;
        let mut some = [0; 1000];
        stream.read_exact(&mut some).await.unwrap();
        readers.push(stream);
    }
    let mut most = 0;
    let are_cut = async || {
        most = most.max(town.growth());
        let snapshot = town.daemon.snapshot().await;
        (look::service(&snapshot, "inn").ledger.client_aborted == READERS).then_some(())
    };
    wait::until("they are cut", are_cut).await;
    let allowed = OWN + load + READERS * 256 * 1024;
    assert!(most <= allowed, "{most} bytes for {READERS} readers, and {allowed} allowed");
    assert_eq!(town.ledger("inn").await.lost, 0);
    town.end().await;
}

/// Asks for as much on many streams at once, and takes nothing.
async fn take_nothing(
    addr: SocketAddr,
    path: &str,
    streams: u64,
) -> anyhow::Result<Vec<h2::RecvStream>> {
    let stream = TcpStream::connect(addr).await?;
    let mut builder = h2::client::Builder::new();
    let (asking, connection) =
        builder.initial_window_size(0).handshake::<_, bytes::Bytes>(stream).await?;
    // It ends with the daemon.
    tokio::spawn(connection);
    let mut bodies = Vec::new();
    for _ in 0..streams {
        let request = ::http::Request::get(format!("http://a{path}")).body(())?;
        let (answer, _) = asking.clone().ready().await?.send_request(request, true)?;
        bodies.push(answer.await?.into_body());
    }
    Ok(bodies)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_take_nothing_of_small_answers_cost_little() {
    const CONNECTIONS: u64 = 5;
    const STREAMS: u64 = 100;
    // Each was read into a buffer of 128 KiB: 64 MB, if it stayed there.
    let inn = Service::new("inn").key("write_timeout", "4");
    let town = Town::start(Setup::of(inn)).await;
    let addr = town.daemon.listen("inn");
    town.daemon.folder.set_main("http2", &format!("[{}]", addr.port())).unwrap();
    town.daemon.reload().await;
    for length in [100, 10_000] {
        let path = format!("/big?bytes={length}");
        let mut bodies = Vec::new();
        for _ in 0..CONNECTIONS {
            bodies.extend(take_nothing(addr, &path, STREAMS).await.unwrap());
        }
        let mut most = 0;
        for _ in 0..5 {
            town.load.answered(50).await;
            most = most.max(town.growth());
        }
        assert!(most <= COST / 2, "{most} bytes for answers of {length}");
        for mut body in bodies {
            let cut = body.data().await.expect("something is missing");
            assert!(cut.is_err_and(|error| error.is_reset()));
        }
    }
    assert_eq!(town.ledger("inn").await.lost, 0);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_beyond_the_limit_of_descriptors_are_told_and_the_operator_gets_in() {
    let folder = Setup::of(Service::new("shop")).write().unwrap();
    let daemon = TestDaemon::start_with_descriptors(folder, 256).await.unwrap();
    let addr = daemon.listen("shop");
    let mut clients = Vec::new();
    for _ in 0..400 {
        clients.push(send(addr, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await);
    }
    let (mut served, mut told) = (0, 0);
    for stream in &mut clients {
        let mut status = [0; 12];
        timeout(LIMIT, stream.read_exact(&mut status)).await.expect("an answer in time").unwrap();
        match &status {
            b"HTTP/1.1 200" => served += 1,
            b"HTTP/1.1 503" => told += 1,
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }
    assert!(served >= 50 && told >= 200, "{served} served, {told} told");
    let snapshot = daemon.snapshot().await;
    assert_eq!(snapshot.daemon.rejected, told);
    let status = daemon.tool(&["status"]).await.unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    drop(clients);
    let answered = async || http::get(addr, "/").await.ok().filter(|answer| answer.status == 200);
    wait::until("there is room again", answered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_limits_are_in_force_after_a_reload() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let addr = daemon.listen("shop");
    let _first = send(addr, "GET / HTTP/1.1\r\nhost: a\r\n").await;
    daemon.folder.set_main("max_connections_per_client", "1").unwrap();
    daemon.folder.set_main("header_timeout", "500ms").unwrap();
    daemon.folder.set("shop", "max_body_size", "10").unwrap();
    let report = daemon.reload().await;
    let said = ["header_timeout 30s -> 500ms", "max_connections_per_client none -> 1"];
    assert_eq!(report.daemon, said, "{report:?}");
    assert_eq!(report.services[0].what, ["max_body_size none -> 10"], "{report:?}");
    let mut slow = send(addr, "GET / HTTP/1.1\r\nho").await;
    let mut third = send(addr, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = read_all(&mut third).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    let answer = read_all(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    drop(slow);
    let refused = async || {
        let text = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n";
        let mut large = send(addr, text).await;
        read_all(&mut large).await.starts_with("HTTP/1.1 413 ").then_some(())
    };
    wait::until("the slow one has gone, and a large one is refused", refused).await;
}

// ---- instances ----------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_stops_reading_costs_little_and_its_requests_are_lost_in_time() {
    let bad = Service::new("inn").instances(1).option("broken=deaf").key("response_timeout", "3");
    let town = Town::start(Setup::of(bad)).await;
    let addr = town.daemon.listen("inn");
    let mut uploads = JoinSet::new();
    for _ in 0..20 {
        uploads.spawn(async move {
            let head = "PUT /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000000\r\n\r\n";
            let mut stream = send(addr, head).await;
            let piece = vec![b'x'; 64 * 1024];
            // Until nobody takes any more.
            while let Ok(written) = timeout(LIMIT, stream.write_all(&piece)).await {
                if written.is_err() {
                    break;
                }
            }
            read_all(&mut stream).await
        });
    }
    let asked = http::get(addr, "/").await.unwrap();
    assert_eq!(asked.status, 504, "{}", asked.text());
    assert!(town.growth() < COST, "{} bytes more for 20 uploads", town.growth());
    for answer in all(uploads).await {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 504 "), "{answer}");
    }
    let ledger = town.ledger("inn").await;
    assert_eq!((ledger.lost, ledger.client_aborted), (21, 0), "{ledger:#?}");
    let log = town.daemon.log();
    assert!(log.contains("inn: request lost: ") && log.contains("gave no answer in time"), "{log}");
    assert!(log.contains("(instance at 127.0.0.1:"), "{log}");
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_sends_garbage_is_answered_for_by_a_502() {
    let bad = Service::new("inn").instances(1).option("broken=garbage");
    let town = Town::start(Setup::of(bad)).await;
    for _ in 0..20 {
        let answer = http::get(town.daemon.listen("inn"), "/").await.unwrap();
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert!(answer.text().starts_with("502 "), "{}", answer.text());
    }
    assert_eq!(town.ledger("inn").await.lost, 20);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_resets_in_the_middle_of_an_answer_is_seen_to() {
    let bad = Service::new("inn").instances(1).option("broken=reset");
    let town = Town::start(Setup::of(bad)).await;
    for _ in 0..20 {
        let ask = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
        let mut stream = send(town.daemon.listen("inn"), ask).await;
        let answer = read_all(&mut stream).await;
        // What came before the reset may be lost with it, but nothing looks whole that is not.
        let is_whole = answer.starts_with("HTTP/1.1 502 ") && answer.ends_with('\n');
        let is_cut = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("half");
        assert!(answer.is_empty() || is_whole || is_cut, "{answer:?}");
    }
    let ledger = town.ledger("inn").await;
    assert_eq!((ledger.lost, ledger.completed), (20, 0), "{ledger:#?}");
    town.end().await;
}
