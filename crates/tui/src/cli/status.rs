//! `smoothtool status`.

use std::time::Duration;

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::Refusal;
use smoothserve_protocol::snapshot::{ServiceState, Snapshot};
use tokio::time::sleep;

use super::args::Status;
use super::exit::Exit;
use super::out::human::{self, Width};
use super::out::{Out, json, plain};
use super::problem::Problem;
use super::session::{Link, Session};
use super::values::Selection;

/// How often `--watch` looks again.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn run(session: &mut Session, args: &Status) -> Result<Exit, Problem> {
    let selection = Selection::new(&args.names, false);
    let mut link = session.connect().await?;
    if args.watch {
        return watch(session, &mut link, args, &selection).await;
    }
    let snapshot = select(link.status().await?, &selection)?;
    let text = render(&session.out, args, &snapshot);
    if !text.is_empty() {
        session.out.answer(&text)?;
    }
    let named = matches!(selection, Selection::Named(_));
    let fine = snapshot.services.iter().all(|service| serves(service.row.state, named));
    Ok(if args.check && !fine { Exit::NotSo } else { Exit::Done })
}

fn render(out: &Out, args: &Status, snapshot: &Snapshot) -> String {
    if args.json {
        json::status(snapshot)
    } else if args.plain {
        plain::status(snapshot)
    } else {
        let width = if args.wide { Width::Wide } else { Width::Usual };
        human::status(snapshot, width, out.glyphs)
    }
}

/// Only the services asked for.
fn select(mut snapshot: Snapshot, selection: &Selection) -> Result<Snapshot, Problem> {
    let Selection::Named(names) = selection else { return Ok(snapshot) };
    let known: Vec<ServiceName> =
        snapshot.services.iter().map(|service| service.row.name.clone()).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        let refusal = Refusal::UnknownService { name: name.clone(), known };
        return Err(Problem::refused(Some(name), &refusal));
    }
    snapshot.services.retain(|service| names.contains(&service.row.name));
    Ok(snapshot)
}

/// Whether a service does what is wanted of it. One that was stopped on purpose is not missing,
/// unless it was asked for by name.
fn serves(state: ServiceState, named: bool) -> bool {
    match state {
        ServiceState::Ready | ServiceState::Restarting => true,
        ServiceState::Stopped => !named,
        ServiceState::Failed
        | ServiceState::Degraded
        | ServiceState::Starting
        | ServiceState::Stopping => false,
    }
}

async fn watch(
    session: &mut Session,
    link: &mut Link,
    args: &Status,
    selection: &Selection,
) -> Result<Exit, Problem> {
    // Programs get an object each second; people and pipes one text a change, which on a terminal
    // stands where the last one stood.
    let always = args.json || args.plain;
    let mut shown = None;
    loop {
        let snapshot = select(link.status().await?, selection)?;
        let revision = snapshot.revision;
        if always || session.out.terminals.stdout || shown != Some(revision) {
            let text = render(&session.out, args, &snapshot);
            if session.out.terminals.stdout && !always {
                session.out.clear_screen();
            }
            session.out.answer(&text)?;
            shown = Some(revision);
        }
        tokio::select! {
            () = &mut session.interrupt => return Ok(Exit::Interrupted),
            () = sleep(AGAIN) => {}
        }
    }
}
