//! The demo without the console: one rolling restart under traffic, and two counts that must agree.

use std::time::Duration;

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Request};
use smoothserve_protocol::snapshot::Ledger;
use tokio::time::{Instant, sleep};

use super::load::Load;
use super::verdict::{Counts, client_line};
use crate::cli::{Command, Exit, Link, Problem, Session, follow, human, unexpected};

/// The daemon's figures may be a sample old.
const SETTLE: Duration = Duration::from_secs(3);
/// How often to look.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn run(
    session: &mut Session,
    link: &mut Link,
    load: &mut Load,
    around: Duration,
) -> Result<Exit, Problem> {
    let service = demo_service()?;
    sleep(around / 2).await;
    let request = Request::Restart {
        service: service.clone(),
        drain_timeout_ms: None,
        on_drain_timeout: None,
        expected: None,
        join: false,
        wait: true,
    };
    let command = Command { verb: "restart", service, request, timeout: None, json: false };
    let receipt = match follow(session, link, command).await? {
        Done::Restarted(receipt) => receipt,
        other => return Err(unexpected(&other)),
    };
    sleep(around / 2).await;
    let tally = load.finish().await;
    let daemon = settled(link, tally.sent).await?;
    let counts = Counts { client: tally, daemon };

    session.out.answer(&human::receipt(&receipt))?;
    for line in human::receipt_steps(&receipt) {
        session.out.answer(&line)?;
    }
    session.out.answer(&client_line(&counts.client))?;
    session.out.answer(&counts.daemon_line())?;
    Ok(if counts.agree() && receipt.ledger.all_lost() == 0 { Exit::Done } else { Exit::Failed })
}

/// The daemon's own count, once it has seen the last answer out.
async fn settled(link: &mut Link, sent: u64) -> Result<Ledger, Problem> {
    let until = Instant::now() + SETTLE;
    loop {
        let snapshot = link.status().await?;
        let ledger = snapshot.services.first().map(|service| service.ledger).unwrap_or_default();
        let complete = ledger.accepted >= sent && ledger.in_flight == 0;
        if complete || Instant::now() > until {
            return Ok(ledger);
        }
        sleep(LOOK).await;
    }
}

fn demo_service() -> Result<ServiceName, Problem> {
    ServiceName::new("demo").map_err(|error| Problem::new(Exit::Failed, error.to_string()))
}
