//! The connection task: keeps a connection to the daemon for as long as the console runs.
//!
//! Between connections it waits 0.25, 0.5 and then 0.7 s, each give or take a fifth, so that consoles
//! do not come back all at once. No longer: the daemon is on this machine, a try costs next to nothing,
//! and whoever looks at the console of a daemon that is back wants to see it within a second. It
//! decides nothing else; what to ask is told to it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use smoothserve_protocol::id::RequestId;
use smoothserve_protocol::message::{Done, Refusal, Request};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::client::{Client, ClientError, Said, Target};
use crate::effect::{Order, Ticket};
use crate::msg::Report;

/// Waits between tries, in milliseconds; the last one for ever.
const WAITS: [u64; 3] = [250, 500, 700];

/// What a question was for.
enum Asked {
    Subscription,
    History,
    Logs(Ticket),
    Receipts(Ticket),
    Plan(Ticket),
    Command(Ticket),
}

/// Why the work ended.
enum End {
    /// The console is gone.
    Console,
    /// The connection is.
    Connection(ClientError),
}

/// Connects, reconnects, and carries messages, until the console drops its end of `orders`.
///
/// `reports` may be full: then the daemon is read no further, and sends less.
pub async fn run(target: Target, mut orders: mpsc::Receiver<Order>, reports: mpsc::Sender<Report>) {
    let mut failures = 0;
    loop {
        if reports.send(Report::Trying).await.is_err() {
            return;
        }
        let end = match connect(&target, &mut orders, &reports).await {
            Ok(client) => {
                failures = 0;
                talk(client, &mut orders, &reports).await
            }
            Err(end) => end,
        };
        let End::Connection(error) = end else { return };
        let retry_in = wait(failures);
        failures += 1;
        let down = Report::Down { why: error.to_string(), failures, retry_in };
        if reports.send(down).await.is_err() || !rest(retry_in, &mut orders, &reports).await {
            return;
        }
    }
}

async fn connect(
    target: &Target,
    orders: &mut mpsc::Receiver<Order>,
    reports: &mpsc::Sender<Report>,
) -> Result<Client, End> {
    let connecting = Client::connect(target);
    tokio::pin!(connecting);
    loop {
        tokio::select! {
            client = &mut connecting => return client.map_err(End::Connection),
            order = orders.recv() => match order {
                None => return Err(End::Console),
                Some(order) => decline(order, reports).await,
            },
        }
    }
}

async fn talk(
    mut client: Client,
    orders: &mut mpsc::Receiver<Order>,
    reports: &mpsc::Sender<Report>,
) -> End {
    let mut asked = HashMap::new();
    let end = exchange(&mut client, &mut asked, orders, reports).await;
    for asked in asked.into_values() {
        if let Asked::Command(ticket) = asked {
            // The console may be gone; then nobody waits for the answer.
            let _ = reports.send(Report::Unanswered { ticket }).await;
        }
    }
    end
}

async fn exchange(
    client: &mut Client,
    asked: &mut HashMap<RequestId, Asked>,
    orders: &mut mpsc::Receiver<Order>,
    reports: &mpsc::Sender<Report>,
) -> End {
    if reports.send(Report::Connected).await.is_err() {
        return End::Console;
    }
    loop {
        let report = tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return End::Console };
                if let Err(error) = carry_out(client, asked, order).await {
                    return End::Connection(error);
                }
                continue;
            }
            said = client.next() => match said {
                Err(error) => return End::Connection(error),
                Ok(Said::Push(push)) => Some(Report::Push(push)),
                Ok(Said::Answer(id, result)) => {
                    asked.remove(&id).and_then(|asked| answer(&asked, result))
                }
            },
        };
        if let Some(report) = report
            && reports.send(report).await.is_err()
        {
            return End::Console;
        }
    }
}

async fn carry_out(
    client: &mut Client,
    asked: &mut HashMap<RequestId, Asked>,
    order: Order,
) -> Result<(), ClientError> {
    let (what, request) = match order {
        Order::Subscribe { focus, events_after } => {
            (Asked::Subscription, Request::Subscribe { focus, events_after })
        }
        Order::History { limit } => (Asked::History, Request::Events { after: None, limit }),
        Order::Receipts { ticket, service, limit } => {
            (Asked::Receipts(ticket), Request::History { service, limit })
        }
        Order::Logs { ticket, service, lines, follow } => {
            let (slot, grep) = (None, None);
            (Asked::Logs(ticket), Request::Logs { service, slot, lines, grep, follow })
        }
        Order::Plan { ticket, service } => (Asked::Plan(ticket), Request::PlanRestart { service }),
        Order::Act { ticket, request } => (Asked::Command(ticket), request),
        Order::RetryNow => return Ok(()),
    };
    // Noted before it is known to be sent: a broken connection may have carried it.
    let ticket = if let Asked::Command(ticket) = what { Some(ticket) } else { None };
    match client.send(request).await {
        Ok(id) => {
            asked.insert(id, what);
            Ok(())
        }
        Err(error) => {
            if let Some(ticket) = ticket {
                asked.insert(RequestId(u64::MAX), Asked::Command(ticket));
            }
            Err(error)
        }
    }
}

fn answer(asked: &Asked, result: Result<Done, Refusal>) -> Option<Report> {
    match (asked, result) {
        (Asked::Command(ticket), result) => Some(Report::Answered { ticket: *ticket, result }),
        (Asked::History, Ok(Done::Events(batch))) => Some(Report::History(batch)),
        (Asked::Logs(ticket), Ok(Done::Logs(batch))) => {
            Some(Report::Logs { ticket: *ticket, result: Ok(batch) })
        }
        (Asked::Logs(ticket), Err(refusal)) => {
            Some(Report::Logs { ticket: *ticket, result: Err(refusal) })
        }
        (Asked::Receipts(ticket), Ok(Done::History(receipts))) => {
            Some(Report::Receipts { ticket: *ticket, result: Ok(receipts) })
        }
        (Asked::Receipts(ticket), Err(refusal)) => {
            Some(Report::Receipts { ticket: *ticket, result: Err(refusal) })
        }
        (Asked::Plan(ticket), Ok(Done::RestartPlan(plan))) => {
            Some(Report::Plan { ticket: *ticket, plan })
        }
        // The question can do without.
        (Asked::Plan(_), _) => None,
        // Pushes follow, or the daemon is on its way out and says so.
        (Asked::Subscription | Asked::History | Asked::Logs(_) | Asked::Receipts(_), _) => None,
    }
}

/// Waits for the next try. False: the console is gone.
async fn rest(
    wait: Duration,
    orders: &mut mpsc::Receiver<Order>,
    reports: &mpsc::Sender<Report>,
) -> bool {
    let until = Instant::now() + wait;
    loop {
        tokio::select! {
            () = sleep_until(until) => return true,
            order = orders.recv() => match order {
                None => return false,
                Some(Order::RetryNow) => return true,
                Some(order) => decline(order, reports).await,
            },
        }
    }
}

/// There is no connection to carry `order` out with.
async fn decline(order: Order, reports: &mpsc::Sender<Report>) {
    if let Order::Act { ticket, .. } = order {
        // The console may be gone; then nobody waits for the answer.
        let _ = reports.send(Report::Unanswered { ticket }).await;
    }
}

fn wait(failures: u32) -> Duration {
    let last = WAITS.len() - 1;
    let base = WAITS[usize::try_from(failures).unwrap_or(last).min(last)];
    // Its keys are new for each; they need not be secret here.
    let random = RandomState::new().hash_one(failures) % 256;
    Duration::from_millis(base * 4 / 5 + base * 2 / 5 * random / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_below_a_second() {
        for (failures, base) in [(0, 250), (1, 500), (2, 700), (1_000, 700)] {
            let wait = wait(failures).as_millis();
            assert!((base * 4 / 5..=base * 6 / 5).contains(&wait), "{failures}: {wait}");
        }
    }
}
