//! smoothserve beside nginx, HAProxy and Caddy on this machine, in the same run:
//! `bash bench/versus.sh`, which sees to it that they are there. Prints a page of Markdown, which
//! stands in `RESULTS.md`; what it does meanwhile goes to standard error.
//!
//! Reading order: `config` (what the proxies are told), `proxy` (how they run), `load` and `app`
//! (what is before and behind them), then one module for each thing that is measured.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::task::LocalSet;

use app::Closing;
use certificate::Certificate;
use config::Site;
use proxy::{Kind, Proxy};
use report::{Report, Row};

mod app;
mod certificate;
mod closing;
mod config;
mod cores;
mod idle;
mod load;
mod machine;
mod proxy;
mod report;
mod restart;
mod rounds;
mod secure;
mod statistics;
mod wire;

/// Names in the routing table, where there are many.
const SERVICES: u16 = 1000;

/// How much of everything.
#[derive(Clone, Copy)]
struct Effort {
    name: &'static str,
    rounds: u32,
    turn: Duration,
    restarts: u32,
    closing: Duration,
}

const QUICK: Effort = Effort {
    name: "bash bench/versus.sh --quick",
    rounds: 3,
    turn: Duration::from_millis(800),
    restarts: 2,
    closing: Duration::from_secs(3),
};

const FULL: Effort = Effort {
    name: "bash bench/versus.sh",
    rounds: 7,
    turn: Duration::from_secs(2),
    restarts: 5,
    closing: Duration::from_secs(20),
};

const SITE: Site = Site {
    listen: 0,
    app: 0,
    instances: 1,
    services: 1,
    clients: 1024,
    closing: NEVER,
    certificate: None,
};
const NEVER: Closing = Closing { idle: None, requests: None };

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Shapes,
    Secure,
    Routes,
    Idle,
    Restart,
    Closing,
}

impl Part {
    const ALL: [(&'static str, Self); 6] = [
        ("shapes", Self::Shapes),
        ("secure", Self::Secure),
        ("routes", Self::Routes),
        ("idle", Self::Idle),
        ("restart", Self::Restart),
        ("closing", Self::Closing),
    ];

    fn named(word: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == word);
        let names = Self::ALL.map(|(name, _)| name).join(", ");
        Ok(found.with_context(|| format!("{word}: known are --quick, {names}"))?.1)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == app::VERB) {
        return app::run().await;
    }
    let effort = if words.iter().any(|word| word == "--quick") { QUICK } else { FULL };
    words.retain(|word| word != "--quick");
    let mut parts = words.iter().map(|word| Part::named(word)).collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() {
        parts.extend(Part::ALL.map(|(_, part)| part));
    }
    LocalSet::new().run_until(compare(effort, &parts)).await
}

async fn compare(effort: Effort, parts: &[Part]) -> anyhow::Result<()> {
    let kinds = Kind::present();
    ensure!(kinds.starts_with(&[Kind::Smoothserve]), "smoothserve is not there");
    ensure!(kinds.len() > 1, "there is nothing to compare it with");
    let mut report = Report::new(kinds.clone(), &machine::preamble(&effort, &kinds)?);
    cores::stay_on(cores::LOAD)
        .context("one core for the proxy and one for its load are needed")?;
    for part in parts {
        match part {
            Part::Shapes => report.shapes(&shapes(&kinds, effort).await?),
            Part::Secure => report.secure(&secure(&kinds, effort).await?),
            Part::Routes => report.routes(SERVICES, &routes(&kinds, effort).await?),
            Part::Idle => report.idle(&idle(&kinds).await?),
            Part::Restart => report.restart(&restart(effort).await?),
            Part::Closing => report.closing(&closing(&kinds, effort).await?),
        }
    }
    print(&report.finish());
    Ok(())
}

async fn shapes(kinds: &[Kind], effort: Effort) -> anyhow::Result<Vec<Row>> {
    let proxies = start(kinds, &SITE).await?;
    let proxies: Vec<&Proxy> = proxies.iter().collect();
    let mut rows = Vec::new();
    for shape in rounds::SHAPES {
        progress(shape.name);
        let all = rounds::run(&shape, &proxies, effort.rounds, effort.turn).await?;
        rows.push(Row { name: shape.name, bar: shape.bar, all });
    }
    Ok(rows)
}

async fn secure(kinds: &[Kind], effort: Effort) -> anyhow::Result<Vec<Row>> {
    let certificate = Rc::new(Certificate::issue(&SITE.host())?);
    let proxies = start(kinds, &Site { certificate: Some(certificate), ..SITE }).await?;
    let proxies: Vec<&Proxy> = proxies.iter().collect();
    let mut rows = Vec::new();
    for shape in secure::shapes() {
        progress(shape.name);
        rows.push(secure::run(shape, &proxies, effort.rounds, effort.turn).await?);
    }
    Ok(rows)
}

/// Each with one service, and with many.
async fn routes(
    kinds: &[Kind],
    effort: Effort,
) -> anyhow::Result<Vec<(Kind, rounds::Turns, rounds::Turns)>> {
    progress("names in the routing table");
    let few = start(kinds, &SITE).await?;
    let many = start(kinds, &Site { services: SERVICES, ..SITE }).await?;
    let proxies: Vec<&Proxy> = few.iter().chain(&many).collect();
    let mut few = rounds::run(&rounds::SMALL, &proxies, effort.rounds, effort.turn).await?;
    let many = few.split_off(kinds.len());
    let both = kinds.iter().zip(few).zip(many);
    Ok(both.map(|((kind, few), many)| (*kind, few, many)).collect())
}

async fn idle(kinds: &[Kind]) -> anyhow::Result<Vec<idle::Memory>> {
    let mut all = Vec::new();
    let connections = idle::connections();
    for kind in kinds {
        progress(&format!("idle connections to {}", kind.name()));
        // Readiness and a few more are clients as well.
        let site = Site { clients: connections + 16, ..SITE };
        let proxy = Proxy::start(*kind, &site).await?;
        all.push(idle::run(&proxy, connections).await?);
    }
    Ok(all)
}

async fn restart(effort: Effort) -> anyhow::Result<restart::Tail> {
    progress("rolling restarts");
    let site = Site { instances: restart::INSTANCES, ..SITE };
    let proxy = Proxy::start(Kind::Smoothserve, &site).await?;
    restart::run(&proxy, effort.restarts).await
}

/// One row for each way to close, in the order of the columns.
async fn closing(
    kinds: &[Kind],
    effort: Effort,
) -> anyhow::Result<Vec<(&'static str, Vec<closing::Fate>)>> {
    let mut rows = Vec::new();
    for (when, closing) in closing::EARLY {
        progress(&format!("an application that closes {when}"));
        let mut fates = Vec::new();
        for kind in kinds {
            let proxy = Proxy::start(*kind, &Site { closing, ..SITE }).await?;
            fates.push(closing::run(&proxy, effort.closing).await?);
        }
        rows.push((when, fates));
    }
    Ok(rows)
}

async fn start(kinds: &[Kind], site: &Site) -> anyhow::Result<Vec<Proxy>> {
    let mut proxies = Vec::new();
    for kind in kinds {
        proxies.push(Proxy::start(*kind, site).await?);
    }
    Ok(proxies)
}

fn progress(what: &str) {
    eprintln!("{what}");
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn print(page: &str) {
    print!("{page}");
}
