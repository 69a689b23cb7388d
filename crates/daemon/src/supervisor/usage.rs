//! What runs use of processor and memory, read from /proc.
//!
//! One walk through all processes serves all groups together, so a thousand instances cost a
//! thousand small files and no more. What is made of the figures is not known here.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use smoothserve_protocol::id::RunId;

/// Seconds between two readings while nobody looks.
const REST: u32 = 5;
/// Longer than any line of a stat file.
const LONGEST: usize = 1024;

/// When to read, and what the readings mean.
#[derive(Debug, Default)]
pub(super) struct Usage {
    seconds: u32,
    under_way: bool,
    meters: HashMap<RunId, Meter>,
}

/// What a reading is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// One of those at even distances, on which decisions rest.
    Steady,
    /// One more, because somebody looks.
    Look,
}

/// What each group used at one moment.
#[derive(Debug)]
pub(super) struct Reading {
    at: Instant,
    purpose: Purpose,
    used: Vec<(RunId, Used)>,
}

/// What the members of a group use together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Used {
    /// Processor time since they began, in clock ticks.
    ticks: u64,
    /// Resident memory, in pages.
    pages: u64,
}

/// What a run uses, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    /// In thousandths of one core, since the reading before; none at the first.
    pub cpu_permille: Option<u32>,
    /// Since its processes began.
    pub cpu: Duration,
    pub rss_bytes: u64,
}

impl Usage {
    /// Whether it is time to read; to be called once a second. Not while a reading is under way.
    pub(super) fn due(&mut self, watched: bool) -> Option<Purpose> {
        self.seconds = (self.seconds + 1) % REST;
        let purpose = match self.seconds {
            0 => Purpose::Steady,
            _ if watched => Purpose::Look,
            _ => return None,
        };
        (!std::mem::replace(&mut self.under_way, true)).then_some(purpose)
    }

    /// Takes the reading that was due.
    pub(super) fn take(&mut self, reading: Reading) -> (Purpose, Vec<(RunId, Figures)>) {
        self.under_way = false;
        let Reading { at, purpose, used } = reading;
        let mut before = std::mem::take(&mut self.meters);
        let page = procfs::page_size();
        let figures = used.into_iter().map(|(run, used)| {
            let mut meter = before.remove(&run).unwrap_or_default();
            let per_second = procfs::ticks_per_second();
            let cpu_permille = meter.permille(at, used.ticks, per_second);
            let cpu = Duration::from_millis(used.ticks * 1000 / per_second.max(1));
            self.meters.insert(run, meter);
            (run, Figures { cpu_permille, cpu, rss_bytes: used.pages * page })
        });
        (purpose, figures.collect())
    }
}

/// Makes a rate of a count of ticks.
#[derive(Clone, Copy, Debug, Default)]
struct Meter(Option<(Instant, u64)>);

impl Meter {
    /// Thousandths of one core since the last call.
    fn permille(&mut self, now: Instant, ticks: u64, ticks_per_second: u64) -> Option<u32> {
        let (then, before) = self.0.replace((now, ticks))?;
        let millis = now.saturating_duration_since(then).max(Duration::from_millis(1)).as_millis();
        // A child that leaves the group takes its time with it.
        let used = u128::from(ticks.saturating_sub(before));
        let permille = used * 1_000_000 / (u128::from(ticks_per_second.max(1)) * millis);
        Some(u32::try_from(permille).unwrap_or(u32::MAX))
    }
}

/// Reads what the groups of these leaders use. Walks through /proc, so call it off the async
/// threads.
pub(super) fn read(groups: &HashMap<i32, RunId>, purpose: Purpose) -> Reading {
    let mut used: HashMap<RunId, Used> = HashMap::with_capacity(groups.len());
    for stat in stats() {
        if let Some(run) = groups.get(&stat.group) {
            let sum = used.entry(*run).or_default();
            sum.ticks += stat.used.ticks;
            sum.pages += stat.used.pages;
        }
    }
    Reading { at: Instant::now(), purpose, used: used.into_iter().collect() }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    group: i32,
    used: Used,
}

/// Of every process. One that vanishes while it is looked at uses nothing.
fn stats() -> impl Iterator<Item = Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter(|entry| {
        entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit)
    });
    let mut buffer = [0; LONGEST];
    processes.filter_map(move |entry| {
        // The system writes it in one piece.
        let length = File::open(entry.path().join("stat")).ok()?.read(&mut buffer).ok()?;
        parse(buffer.get(..length)?)
    })
}

/// Reads `pid (command) state ppid pgrp …` (proc_pid_stat(5)), where the command may hold anything.
///
/// The time of children that have ended counts from the moment their parent has waited for them;
/// until then it is their own, so that nothing is counted twice and nothing gets lost.
fn parse(stat: &[u8]) -> Option<Stat> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    // The first of them is the third of the line.
    let mut fields = rest.split_ascii_whitespace();
    let group = fields.nth(5 - 3)?.parse().ok()?;
    let mut times = fields.by_ref().skip(14 - 6).take(4);
    let ticks = times.try_fold(0, |sum, time| Some(sum + time.parse::<u64>().ok()?))?;
    let pages = fields.nth(24 - 18)?.parse().ok()?;
    Some(Stat { group, used: Used { ticks, pages } })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    const RUN: RunId = RunId(7);

    #[test]
    fn a_rate_is_of_the_time_between_two_looks() {
        let began = Instant::now();
        let after = |millis| began + Duration::from_millis(millis);
        let mut meter = Meter::default();
        assert_eq!(meter.permille(began, 500, 100), None);
        assert_eq!(meter.permille(after(5_000), 525, 100), Some(50));
        assert_eq!(meter.permille(after(6_000), 725, 100), Some(2_000));
        // A member has gone, the clock has not moved, the system has no clock: no panic.
        assert_eq!(meter.permille(after(7_000), 10, 100), Some(0));
        assert_eq!(meter.permille(after(7_000), 11, 0), Some(1_000_000));
    }

    #[test]
    fn readings_are_steady_and_more_while_somebody_looks() {
        let reading = |purpose| Reading { at: Instant::now(), purpose, used: Vec::new() };
        let mut usage = Usage::default();
        let mut due = |watched| {
            let purpose = usage.due(watched);
            purpose.inspect(|purpose| drop(usage.take(reading(*purpose))))
        };
        let steady = Some(Purpose::Steady);
        let unseen: Vec<_> = (0..10).map(|_| due(false)).collect();
        assert_eq!(unseen, [[None, None, None, None, steady]; 2].concat());
        let look = Some(Purpose::Look);
        let seen: Vec<_> = (0..5).map(|_| due(true)).collect();
        assert_eq!(seen, [look, look, look, look, steady]);
    }

    #[test]
    fn a_slow_reading_is_waited_for() {
        let mut usage = Usage::default();
        assert_eq!(usage.due(true), Some(Purpose::Look));
        assert_eq!(usage.due(true), None);
    }

    #[test]
    fn a_command_may_hold_what_it_likes() {
        let stat = b"12 (a) R 1 2) 99 (b) S 1 34 34 0 -1 4194304 90 0 0 0 \
                     1 20 300 4000 20 0 1 0 5263 6000000 123 18446744073709551615 1 1\n";
        let used = Used { ticks: 4321, pages: 123 };
        assert_eq!(parse(stat), Some(Stat { group: 34, used }));
        for length in 0..90 {
            assert_eq!(parse(&stat[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_group_is_measured_with_all_its_members() {
        // A leader that does nothing, and a child of it that works and remembers.
        let script = "dd if=/dev/zero of=/dev/null bs=32M & echo; wait";
        let mut leader = Command::new("/bin/sh")
            .args(["-c", script])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        BufReader::new(leader.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let groups = HashMap::from([(leader.id() as i32, RUN), (i32::MAX, RunId(8))]);
        let mut usage = Usage::default();
        let enough = (0..).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            let (_, figures) = usage.take(read(&groups, Purpose::Look));
            let [(RUN, figures)] = figures[..] else { panic!("{figures:?}") };
            figures.rss_bytes >= 32 << 20 && figures.cpu_permille.is_some_and(|cpu| cpu > 0)
        });
        assert!(enough);
        super::super::group::signal(
            rustix::process::Pid::from_child(&leader),
            rustix::process::Signal::KILL,
        );
        leader.wait().unwrap();
    }
}
