//! Applications that close their connections early and without a word, and nothing else goes
//! wrong: which requests get no answer, and which are executed more than once.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::app::{self, Closing};
use crate::load::{self, get, post};
use crate::proxy::Proxy;

/// How they close, in words and in fact.
pub(crate) const EARLY: [(&str, Closing); 2] = [
    ("after 50 ms without a request", Closing { idle: Some(IDLE), requests: None }),
    ("after 7 requests", Closing { idle: None, requests: Some(7) }),
];
const IDLE: Duration = Duration::from_millis(50);

const CLIENTS: u32 = 32;
/// Of a POST.
const BODY: usize = 100;
/// Steps between no pause and twice the idle time.
const PAUSES: u32 = 100;

/// What became of all requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    pub(crate) asked: u64,
    pub(crate) lost_gets: u64,
    pub(crate) lost_posts: u64,
    pub(crate) executed_twice: u64,
}

/// Asks for `lasting`.
///
/// # Errors
/// When the application does not tell what it executed.
pub(crate) async fn run(proxy: &Proxy, lasting: Duration) -> anyhow::Result<Fate> {
    let end = Instant::now() + lasting;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn_local(client(proxy.addr(), proxy.site.host(), number, end));
    }
    let mut fate = Fate::default();
    while let Some(part) = clients.join_next().await {
        let part = part?;
        fate.asked += part.asked;
        fate.lost_gets += part.lost_gets;
        fate.lost_posts += part.lost_posts;
    }
    let (executed, twice) = executed(proxy.app_addr()).await?;
    // One that was executed and whose answer was lost counts in both.
    anyhow::ensure!(executed + fate.lost_gets + fate.lost_posts >= fate.asked, "miscounted");
    Ok(Fate { executed_twice: twice, ..fate })
}

/// GETs and POSTs in turns. One client in four never pauses; the pauses of the others go through
/// all times around the application's own.
async fn client(addr: SocketAddr, host: String, number: u32, end: Instant) -> Fate {
    let mut fate = Fate::default();
    let mut kept = None;
    let mut pause = number * 7;
    while Instant::now() < end {
        let target = format!("{}{number}-{}", app::EXECUTE, fate.asked);
        let is_post = fate.asked % 2 == 1;
        let request = if is_post { post(&target, &host, BODY) } else { get(&target, &host) };
        let mut wire = match kept.take() {
            Some(wire) => wire,
            // Nothing was asked yet.
            None => match load::connect(addr).await {
                Ok(wire) => wire,
                Err(_) => continue,
            },
        };
        fate.asked += 1;
        match load::ask(&mut wire, &request).await {
            Ok(()) => kept = Some(wire),
            Err(_) if is_post => fate.lost_posts += 1,
            Err(_) => fate.lost_gets += 1,
        }
        if !number.is_multiple_of(4) {
            pause = (pause + 37) % PAUSES;
            sleep(IDLE * 2 * pause / PAUSES).await;
        }
    }
    fate
}

/// Ids that the application has executed, and those of them it executed more than once.
async fn executed(addr: SocketAddr) -> anyhow::Result<(u64, u64)> {
    let mut wire = load::connect(addr).await?;
    wire.send(&get(app::EXECUTED, "app")).await?;
    let head = wire.head().await?.context("no answer")?;
    let text = wire.text(&head).await?;
    let (executed, twice) = text.split_once(' ').context("no counts")?;
    Ok((executed.parse()?, twice.parse()?))
}
