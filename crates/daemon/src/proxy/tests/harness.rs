//! A proxy with one service, instances that do what a test says, and clients that write bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use smoothserve_protocol::id::{Generation, RunId, ServiceName, Slot};
use smoothserve_protocol::snapshot::Ledger;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

use crate::config::{
    ClientLimits, InstanceAddr, Limits, Readiness, RequestLimits, ServiceConfig, StopSignal,
    UpstreamProtocol,
};
use crate::proxy::{
    Choice, Endpoint, Epoch, Fitness, Launched, Proxy, RouteTable, ServiceProxy, WhenNone,
};

/// Every wait of a test ends by then, one way or the other.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy in front of one service.
pub(super) struct House {
    pub(super) proxy: Arc<Proxy>,
    pub(super) service: Arc<ServiceProxy>,
    pub(super) addr: SocketAddr,
    /// What rang, in order.
    pub(super) rings: Arc<Mutex<Vec<(RunId, Epoch)>>>,
    /// Who was left out, or no longer is, in order.
    pub(super) told: Arc<Mutex<Vec<(RunId, Fitness)>>>,
    next_run: AtomicU64,
}

/// An instance: each connection is handled by the test's own function.
pub(super) struct Backend {
    pub(super) addr: SocketAddr,
    pub(super) connections: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

/// One side of a connection, read by lines and bytes.
pub(super) struct Peer(BufStream<Box<dyn Connection>>);

/// A socket, or what is inside TLS.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<C: AsyncRead + AsyncWrite + Send + Unpin> Connection for C {}

/// A message as it was on the wire.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

pub(crate) fn config(name: &str) -> ServiceConfig {
    ServiceConfig {
        source: "/etc/smoothserve/services/test.yaml".into(),
        name: ServiceName::new(name).unwrap(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        routes: Vec::new(),
        is_default: true,
        edge: None,
        instance_ip: [127, 0, 0, 1].into(),
        first_port: 1,
        sockets: None,
        instances: 1.try_into().unwrap(),
        executable: "/bin/true".into(),
        args: Vec::new(),
        env: Vec::new(),
        env_file: None,
        working_dir: "/".into(),
        enabled: true,
        auto_restart: false,
        watch: Vec::new(),
        ready: Readiness::Tcp,
        upstream_protocol: UpstreamProtocol::Http1,
        delay_running_time: Duration::ZERO,
        delay_update_time: Duration::ZERO,
        stop_signal: StopSignal::Term,
        watch_ignore: Vec::new(),
        watch_gitignore: true,
        restart_order: smoothserve_protocol::plan::RestartOrder::StopFirst,
        surge_port: 0,
        max_unavailable: std::num::NonZeroU16::MIN,
        liveness: None,
        run_as: None,
        resources: crate::config::Resources::default(),
        requests: RequestLimits::default(),
        limits: Limits::default(),
    }
}

impl House {
    /// An empty one, whose service is expected any moment.
    pub(super) async fn new() -> Self {
        Self::with(config("test")).await
    }

    pub(super) async fn with(config: ServiceConfig) -> Self {
        Self::for_clients(config, 1000).await
    }

    /// One with places for so many clients.
    pub(super) async fn for_clients(config: ServiceConfig, places: usize) -> Self {
        Self::limited(config, places, &ClientLimits::default()).await
    }

    /// One whose clients may do so much.
    pub(super) async fn limited(
        config: ServiceConfig,
        places: usize,
        limits: &ClientLimits,
    ) -> Self {
        let config = Arc::new(config);
        let service = ServiceProxy::new(Arc::clone(&config));
        let listen = config.listen;
        let proxy = Proxy::new(RouteTable::new([(config, Arc::clone(&service))]), places, limits);
        let listener = TcpListener::bind(listen).await.unwrap();
        let addr = listener.local_addr().unwrap();
        proxy.serve(listen, listener);
        let house = Self {
            proxy,
            service,
            addr,
            rings: Arc::default(),
            told: Arc::default(),
            next_run: AtomicU64::new(1),
        };
        house.offer(&[]);
        house
    }

    pub(super) fn endpoint(&self, addr: SocketAddr) -> Arc<Endpoint> {
        self.endpoint_of(Slot(0), addr)
    }

    /// A run of this slot.
    pub(super) fn endpoint_of(&self, slot: Slot, addr: SocketAddr) -> Arc<Endpoint> {
        let run = RunId(self.next_run.fetch_add(1, Ordering::SeqCst));
        let rings = Arc::clone(&self.rings);
        let ring = move |run, epoch| rings.lock().unwrap().push((run, epoch));
        let told = Arc::clone(&self.told);
        let tell = move |fitness| told.lock().unwrap().push((run, fitness));
        let launch = Launched { run, slot, generation: Generation(1) };
        let protocol = self.service.config().upstream_protocol;
        Endpoint::new(launch, InstanceAddr::Port(addr), protocol, &Limits::default(), ring, tell)
    }

    pub(super) fn offer(&self, endpoints: &[&Arc<Endpoint>]) {
        let endpoints = endpoints.iter().map(|endpoint| Arc::clone(endpoint)).collect();
        self.service.offer(Choice { endpoints, when_none: WhenNone::Hold(PATIENCE) });
    }

    /// One run of `backend`, offered alone.
    pub(super) fn serve(&self, backend: &Backend) -> Arc<Endpoint> {
        let endpoint = self.endpoint(backend.addr);
        self.offer(&[&endpoint]);
        endpoint
    }

    pub(super) async fn client(&self) -> Peer {
        Peer::new(TcpStream::connect(self.addr).await.unwrap())
    }

    /// Sends `request` on a connection of its own and reads all that comes.
    pub(super) async fn ask(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.write(request).await;
        client.read_all().await
    }

    /// Waits until nothing is in flight, and gives the ledger of then, which adds up.
    pub(super) async fn settled(&self) -> Ledger {
        until(|| self.service.ledger().in_flight == 0).await;
        let ledger = self.service.ledger();
        assert_eq!(ledger.unaccounted(), 0, "{ledger:?}");
        ledger
    }
}

/// Waits for a condition.
pub(super) async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the condition never came true");
}

impl Backend {
    /// Handles each connection, numbered from 0, with `script`.
    pub(super) async fn new<F>(script: impl Fn(u64, Peer) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            // Its connections die with it.
            let mut serving = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.spawn(script(count.fetch_add(1, Ordering::SeqCst), Peer::new(stream)));
            }
        });
        Self { addr, connections, task }
    }

    /// Answers every request with `answer`, on as many connections as come.
    pub(super) async fn answering(answer: &'static str) -> Self {
        Self::new(move |_, mut peer| async move {
            while peer.read_message().await.is_some() {
                peer.write(answer).await;
            }
        })
        .await
    }

    /// Answers every request with what it was, byte for byte but for the body's framing.
    pub(super) async fn echoing() -> Self {
        Self::new(|_, mut peer| async move {
            while let Some(request) = peer.read_message().await {
                let body = [request.head.as_bytes(), &request.body].concat();
                peer.write(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()))
                    .await;
                peer.write(str::from_utf8(&body).unwrap()).await;
            }
        })
        .await
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub(super) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::on(stream)
    }

    pub(super) fn on(connection: impl Connection + 'static) -> Self {
        Self(BufStream::new(Box::new(connection)))
    }

    /// A peer that is gone is not an error here: tests look at the other side.
    pub(super) async fn write(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes()).await;
        let _ = self.0.flush().await;
    }

    pub(super) async fn end_sending(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Everything until the end, or until a reset.
    pub(super) async fn read_all(&mut self) -> String {
        String::from_utf8_lossy(&self.read_all_bytes().await).into_owned()
    }

    /// The same, for what is no text.
    pub(super) async fn read_all_bytes(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let reading = self.0.read_to_end(&mut all);
        let _ = tokio::time::timeout(PATIENCE, reading).await.expect("no end came");
        all
    }

    pub(super) async fn read_exactly(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        let reading = self.0.read_exact(&mut bytes);
        tokio::time::timeout(PATIENCE, reading).await.expect("too little came").unwrap();
        String::from_utf8(bytes).unwrap()
    }

    pub(super) async fn read_head(&mut self) -> Option<String> {
        let mut head = String::new();
        let reading = async {
            while !head.ends_with("\r\n\r\n") {
                if self.0.read_line(&mut head).await.unwrap_or(0) == 0 {
                    return false;
                }
            }
            true
        };
        let complete = tokio::time::timeout(PATIENCE, reading).await.expect("no head came");
        complete.then_some(head)
    }

    /// A request or an answer with its body; none at the end. Chunks are read as they are, frame
    /// and all, to the last.
    pub(super) async fn read_message(&mut self) -> Option<Message> {
        let head = self.read_head().await?;
        let body = if head.contains("transfer-encoding: chunked") {
            let mut body = Vec::new();
            while !body.ends_with(b"\r\n\r\n") {
                if self.0.read_until(b'\n', &mut body).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
            body
        } else {
            let length =
                header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
            self.read_exactly(length).await.into_bytes()
        };
        Some(Message { head, body })
    }
}

/// The value of a header in a head as it was on the wire.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
