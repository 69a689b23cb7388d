//! Load with its own exact counts: many keep-alive clients that check every answer to the last byte.
//!
//! A request whose first byte was written and that got no whole answer is lost; there is no other
//! excuse. A keep-alive connection that its server closed before anything was written is no loss:
//! the client opens another, as a browser would.

mod client;
mod order;
mod plan;
mod report;
mod sender;
mod web_socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::load::client::Client;
pub use crate::load::plan::{LoadPlan, Mix};
pub use crate::load::report::{LoadReport, Post};
use crate::load::sender::Shared;
use crate::wait;

/// Above every limit of a single request, so that a report is always given.
const LONGEST_STOP: Duration = Duration::from_secs(60);

/// Clients at work, until they are stopped.
#[derive(Debug)]
pub struct Load {
    clients: JoinSet<LoadReport>,
    stop: watch::Sender<bool>,
    progress: Arc<Progress>,
}

/// What can be known before the end.
#[derive(Debug, Default)]
pub struct Progress {
    ok: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
    answering: AtomicU64,
    conversing: AtomicU64,
}

impl Progress {
    /// Requests answered in full so far.
    pub fn ok(&self) -> u64 {
        self.ok.load(Ordering::Relaxed)
    }

    /// Requests and tunnels lost so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Connections refused so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Answers right now that have begun and not ended.
    pub fn answering(&self) -> u64 {
        self.answering.load(Ordering::Relaxed)
    }

    /// WebSockets open right now.
    pub fn conversing(&self) -> u64 {
        self.conversing.load(Ordering::Relaxed)
    }
}

impl Load {
    /// Sends clients against `addr`.
    pub fn start(addr: SocketAddr, plan: LoadPlan) -> Self {
        let (stop, stopped) = watch::channel(false);
        let progress = Arc::new(Progress::default());
        let plan = Arc::new(plan);
        let mut clients = JoinSet::new();
        let mut shared = None;
        for number in 0..plan.clients {
            if number.checked_rem(plan.sharing) == Some(0) {
                shared = Some(Shared::default());
            }
            let (plan, progress) = (plan.clone(), progress.clone());
            let client = Client::new(addr, number, shared.clone(), plan, progress, stopped.clone());
            clients.spawn(client.run());
        }
        Self { clients, stop, progress }
    }

    /// What is known so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Waits until `more` requests have been answered in full, counted from now.
    pub async fn answered(&self, more: u64) {
        let goal = self.progress.ok() + more;
        self.until(&format!("{more} more requests are answered"), |progress| progress.ok() >= goal)
            .await;
    }

    /// Waits until the clients have seen what they should.
    ///
    /// # Panics
    /// After [`wait::LIMIT`], naming `what` was waited for.
    pub async fn until(&self, what: &str, condition: impl Fn(&Progress) -> bool) {
        wait::until(what, async || condition(&self.progress).then_some(())).await;
    }

    /// Lets every client end what it is doing, and adds up what they saw.
    ///
    /// # Panics
    /// When a client panics, or does not end although everything it does is limited.
    pub async fn stop(mut self) -> LoadReport {
        self.stop.send_replace(true);
        let mut total = LoadReport::default();
        let all = async {
            while let Some(report) = self.clients.join_next().await {
                total.add(report.expect("no client panics"));
            }
        };
        timeout(LONGEST_STOP, all).await.expect("everything a client does is limited");
        total
    }
}
