//! The figures as a page of Markdown, with the bar that each has to keep.

use std::fmt::Write;

use crate::closing::Fate;
use crate::idle::Memory;
use crate::proxy::Kind;
use crate::restart::{self, Tail};
use crate::rounds::Turns;
use crate::statistics::Spread;

/// With 1,000 services, of what it is with one.
const ROUTES_BAR: f64 = 1.05;
/// Bytes of an idle connection, whatever nginx's takes.
const IDLE_BAR: f64 = 8e3;
/// While a restart runs, of what it is at rest.
const TAIL_BAR: f64 = 1.5;

/// The page, and which bars are missed.
#[derive(Debug, Default)]
pub(crate) struct Report {
    text: String,
    missed: Vec<String>,
    /// The columns of every table, by proxy.
    proxies: Vec<Kind>,
}

/// All turns of one shape, in the order of the columns.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The most that the processor time may be of the best peer's.
    pub(crate) bar: Option<f64>,
    pub(crate) all: Vec<Turns>,
}

impl Report {
    /// Begins with what ran where.
    pub(crate) fn new(proxies: Vec<Kind>, preamble: &str) -> Self {
        let text = format!("# smoothserve beside other proxies\n\n{preamble}");
        Self { text, proxies, missed: Vec::new() }
    }

    /// Processor time of an answer, and what clients see.
    pub(crate) fn shapes(&mut self, rows: &[Row]) {
        self.title("Processor time of an answer, in microseconds");
        self.costs(rows);
        self.title("What clients see, and memory");
        self.sights(rows);
    }

    /// The same inside TLS.
    pub(crate) fn secure(&mut self, rows: &[Row]) {
        self.title("Inside TLS 1.3: processor time of an answer, in microseconds");
        self.costs(rows);
        self.title("Inside TLS 1.3: what clients see, and memory");
        self.sights(rows);
    }

    fn costs(&mut self, rows: &[Row]) {
        let names: Vec<_> = self.names().collect();
        let mut head = vec!["load"];
        head.extend(&names);
        head.extend(["ratio to the best peer", "bar"]);
        self.head(&head);
        for Row { name, bar, all } in rows {
            let ratio = ratio(all);
            let bar = bar.map(|bar| (bar, ratio.median <= bar));
            let mut cells = vec![(*name).to_owned()];
            cells.extend(all.iter().map(|turns| format!("{:.1}", turns.cost().median)));
            cells.push(format!("**{ratio}**"));
            cells.push(bar.map_or_else(String::new, |(bar, _)| format!("{bar:.2}")));
            self.row(&cells);
            if let Some((bar, false)) = bar {
                self.miss(&format!("{}: {ratio} of the best peer, bar {bar:.2}", name));
            }
        }
    }

    fn sights(&mut self, rows: &[Row]) {
        self.head(&["load", "proxy", "answers/s", "p50", "p99", "p99.9", "resident memory"]);
        for Row { name, all, .. } in rows {
            for (kind, turns) in self.proxies.clone().into_iter().zip(all) {
                let mut cells = vec![(*name).to_owned(), kind.name().to_owned()];
                cells.push(format!("{:.0}", turns.per_second()));
                cells.extend(turns.times().map(milliseconds));
                cells.push(megabytes(turns.memory()));
                self.row(&cells);
            }
        }
    }

    /// What names in the routing table cost; `many` and `one` have the order of `kinds`.
    pub(crate) fn routes(&mut self, services: u16, figures: &[(Kind, Turns, Turns)]) {
        self.title("Names in the routing table: processor time of an answer, in microseconds");
        let many = format!("{services} services");
        self.head(&["proxy", "1 service", &many, "ratio", "bar"]);
        for (kind, few, many) in figures {
            let ratio = many.ratio([few]);
            let is_ours = *kind == Kind::Smoothserve;
            let bar = if is_ours { format!("{ROUTES_BAR:.2}") } else { String::new() };
            let costs = [few, many].map(|turns| turns.cost().to_string());
            let [few, many] = costs;
            self.row(&[kind.name().to_owned(), few, many, format!("**{ratio}**"), bar]);
            if is_ours && ratio.median > ROUTES_BAR {
                self.miss(&format!("{services} services: {ratio} of one, bar {ROUTES_BAR:.2}"));
            }
        }
    }

    /// Memory of idle connections, in the order of the columns.
    pub(crate) fn idle(&mut self, all: &[Memory]) {
        let Some((ours, others)) = all.split_first() else { return };
        self.title(&format!("{} idle keep-alive connections", ours.connections));
        self.head(&[
            "proxy",
            "when",
            "resident without",
            "with",
            "bytes each",
            "ratio to the best peer",
            "bar",
        ]);
        let of = |kind| self.proxies.iter().position(|other| *other == kind).map(|at| all[at]);
        let bar = of(Kind::Nginx).map_or(IDLE_BAR, |nginx| nginx.at_rest().min(IDLE_BAR));
        let best = others.iter().map(Memory::at_rest).fold(f64::INFINITY, f64::min);
        let ours = ours.at_rest();
        for (kind, memory) in self.proxies.clone().into_iter().zip(all) {
            let verdict = if kind == Kind::Smoothserve {
                [format!("**{:.2}**", ours / best), format!("{bar:.0} bytes")]
            } else {
                Default::default()
            };
            self.memory(kind, "right after an answer", memory, memory.answered, Default::default());
            self.memory(kind, "at rest", memory, memory.rested, verdict);
        }
        if ours > bar {
            self.miss(&format!("idle connection at rest: {ours:.0} bytes, bar {bar:.0}"));
        }
    }

    fn memory(&mut self, kind: Kind, when: &str, memory: &Memory, with: u64, verdict: [String; 2]) {
        let mut cells = vec![kind.name().to_owned(), when.to_owned()];
        cells.extend([memory.without, with].map(megabytes));
        cells.push(format!("**{:.0}**", memory.each(with)));
        cells.extend(verdict);
        self.row(&cells);
    }

    /// The tail during a rolling restart.
    pub(crate) fn restart(&mut self, tail: &Tail) {
        self.title("A rolling restart under load");
        let _ = writeln!(
            self.text,
            "{} instances, {} requests a second on {} keep-alive connections, {} answers in all, none \
             lost. 99.9 % of them within:\n",
            restart::INSTANCES,
            restart::RATE,
            restart::CONNECTIONS,
            tail.answers,
        );
        self.head(&["at rest", "while all instances are replaced", "ratio", "bar"]);
        let [at_rest, restarting] = [tail.at_rest, tail.restarting].map(milliseconds);
        let ratio = format!("**{}**", tail.ratio);
        self.row(&[at_rest, restarting, ratio, format!("{TAIL_BAR:.2}")]);
        if tail.ratio.median > TAIL_BAR {
            self.miss(&format!(
                "p99.9 while restarting: {} of rest, bar {TAIL_BAR:.2}",
                tail.ratio
            ));
        }
    }

    /// Requests to applications that close their connections early, in the order of the columns.
    pub(crate) fn closing(&mut self, rows: &[(&str, Vec<Fate>)]) {
        self.title("Applications that close connections early and unannounced");
        self.head(&[
            "closes",
            "proxy",
            "requests",
            "GETs lost",
            "POSTs lost",
            "executed twice",
            "bar",
        ]);
        for (when, fates) in rows {
            for (kind, fate) in self.proxies.clone().into_iter().zip(fates) {
                self.fate(when, kind, fate);
            }
        }
    }

    fn fate(&mut self, when: &str, kind: Kind, fate: &Fate) {
        let Fate { asked, lost_gets, lost_posts, executed_twice } = *fate;
        let figures = [asked, lost_gets, lost_posts, executed_twice];
        let mut cells = vec![when.to_owned(), kind.name().to_owned()];
        cells.extend(figures.map(|figure| figure.to_string()));
        let is_ours = kind == Kind::Smoothserve;
        cells.push(if is_ours { String::from("0") } else { String::new() });
        self.row(&cells);
        if is_ours && lost_gets + lost_posts + executed_twice > 0 {
            self.miss(&format!(
                "closes {when}: {lost_gets} GETs and {lost_posts} POSTs lost, {executed_twice} \
                 executed twice, of {asked}; bar 0"
            ));
        }
    }

    /// The whole page.
    pub(crate) fn finish(mut self) -> String {
        self.title("Bars");
        if self.missed.is_empty() {
            self.text.push_str("All are kept.\n");
        }
        for missed in std::mem::take(&mut self.missed) {
            let _ = writeln!(self.text, "* missed: {missed}");
        }
        self.text
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.proxies.iter().map(|kind| kind.name())
    }

    fn title(&mut self, title: &str) {
        let _ = writeln!(self.text, "\n## {title}\n");
    }

    fn head(&mut self, cells: &[&str]) {
        let _ = writeln!(self.text, "| {} |\n|{}", cells.join(" | "), "---|".repeat(cells.len()));
    }

    fn row(&mut self, cells: &[String]) {
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }

    fn miss(&mut self, what: &str) {
        self.missed.push(what.to_owned());
    }
}

/// Of the first, which is smoothserve, to the best of the others.
fn ratio(all: &[Turns]) -> Spread {
    let (ours, others) = all.split_first().expect("smoothserve is always there");
    ours.ratio(others)
}

fn milliseconds(microseconds: f64) -> String {
    format!("{:.2} ms", microseconds / 1e3)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
