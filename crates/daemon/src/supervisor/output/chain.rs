//! Reading back what was written: the files of one slot, the newest first, compressed or not.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::GzDecoder;
use smoothserve_protocol::id::{ServiceName, Slot};

use super::line::{self, LONGEST, Line, Stamp};
use super::shelf::{self, Shelves};
use crate::config::Pattern;
use crate::rotation;

/// Files of a slot that are looked into.
const FILES: usize = 64;
/// How much of the end of a file is read first; more, if that does not hold enough.
const END: u64 = 256 * 1024;
/// More than a line of ours can have.
const LINE: u64 = LONGEST as u64 + 128;

/// Which lines are asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub slot: Slot,
    /// Only what was printed before this.
    pub before: Stamp,
    /// Only what matches.
    pub pattern: Option<Pattern>,
    /// How many at most, the newest,
    pub lines: usize,
    /// and how much at most, in bytes with what a line takes beside them.
    pub cost: usize,
}

/// The newest lines there are.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Oldest first.
    pub lines: VecDeque<Line>,
    cost: usize,
    /// Lines that would have been among them, and were too large together.
    pub cut: u64,
}

/// The newest lines of a slot. Reads no more than `budget` bytes, which it counts down.
///
/// Best effort: a file that cannot be read holds nothing.
pub(super) fn read_back(
    folder: &Path,
    service: &ServiceName,
    shelves: &Shelves,
    wanted: &Wanted,
    budget: &mut u64,
) -> Found {
    let mut found = Found::default();
    for (file, is_compressed) in open(&shelf::path(folder, service, wanted.slot), shelves) {
        if found.lines.len() >= wanted.lines || found.cut > 0 || *budget == 0 {
            break;
        }
        let rest = Wanted {
            lines: wanted.lines - found.lines.len(),
            cost: wanted.cost - found.cost,
            ..wanted.clone()
        };
        let older = if is_compressed {
            unpacked(file, &rest, budget)
        } else {
            end_of(file, &rest, budget).unwrap_or_default()
        };
        found.cut += older.cut;
        found.cost += older.cost;
        older.lines.into_iter().rev().for_each(|line| found.lines.push_front(line));
    }
    found
}

/// The files of one slot, the newest first; none of them is renamed meanwhile.
fn open(path: &Path, shelves: &Shelves) -> Vec<(File, bool)> {
    let _in_place = shelves.hold();
    let backups = rotation::backups(path).into_iter().map(|(_, path)| path);
    let paths = std::iter::once(path.to_owned()).chain(backups).take(FILES);
    let open = |path: &Path| Some((File::open(path).ok()?, rotation::is_compressed(path)));
    paths.filter_map(|path| open(&path)).collect()
}

/// A compressed file can only be read from its beginning.
fn unpacked(file: File, wanted: &Wanted, budget: &mut u64) -> Found {
    let mut reader = BufReader::new(GzDecoder::new(file).take(*budget));
    let found = scan(&mut reader, wanted);
    *budget = reader.into_inner().limit();
    // Cut short, it would be its oldest lines that were found.
    if *budget == 0 { Found::default() } else { found }
}

/// Reads more and more of the end of a file, until that is enough.
fn end_of(mut file: File, wanted: &Wanted, budget: &mut u64) -> std::io::Result<Found> {
    let length = file.metadata()?.len();
    let mut end = END;
    loop {
        let end_read = end.min(length).min(*budget);
        *budget -= end_read;
        file.seek(SeekFrom::Start(length - end_read))?;
        let mut reader = BufReader::new((&file).take(end_read));
        if end_read < length {
            // Somewhere in a line.
            reader.skip_until(b'\n')?;
        }
        let found = scan(&mut reader, wanted);
        if found.lines.len() >= wanted.lines || end_read < end || end_read == length {
            return Ok(found);
        }
        end *= 8;
    }
}

/// The newest of the lines in `reader`.
fn scan(reader: &mut impl BufRead, wanted: &Wanted) -> Found {
    let (mut found, mut line) = (Found::default(), Vec::new());
    // What is damaged ends here.
    while let Ok(1..) = reader.by_ref().take(LINE).read_until(b'\n', &mut line) {
        // The writer is in the middle of one that does not end.
        if let Some(whole) = line.strip_suffix(b"\n") {
            found.extend(read(whole, wanted), wanted);
        }
        line.clear();
    }
    found
}

fn read(line: &[u8], wanted: &Wanted) -> Option<Line> {
    let (_, text) = line::parts(line)?;
    wanted.pattern.as_ref().is_none_or(|pattern| pattern.matches(text)).then_some(())?;
    Line::from_file(wanted.slot, line).filter(|line| line.stamp < wanted.before)
}

impl Found {
    fn extend(&mut self, newer: Option<Line>, wanted: &Wanted) {
        let Some(newer) = newer else { return };
        self.cost += newer.cost();
        self.lines.push_back(newer);
        let too_many = self.lines.len() > wanted.lines;
        if too_many {
            self.drop_oldest();
        }
        while self.cost > wanted.cost {
            self.drop_oldest();
            self.cut += 1;
        }
    }

    fn drop_oldest(&mut self) {
        self.cost -= self.lines.pop_front().map_or(0, |oldest| oldest.cost());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::line::sample;
    use super::*;

    fn shop() -> ServiceName {
        ServiceName::new("shop").unwrap()
    }

    fn lines(stamps: std::ops::Range<u64>, text: &str) -> Vec<u8> {
        stamps.flat_map(|stamp| sample(stamp, 0, &format!("{text}{stamp}")).to_file()).collect()
    }

    /// `shop-1.log` and two older ones, the oldest compressed: stamps 0 to 299.
    fn written(folder: &Path, text: &str) {
        fs::write(folder.join("shop-1.log"), lines(200..300, text)).unwrap();
        fs::write(folder.join("shop-1.log.1"), lines(100..200, text)).unwrap();
        let file = File::create(folder.join("shop-1.log.2.gz")).unwrap();
        let mut encoder = GzEncoder::new(file, Compression::default());
        encoder.write_all(&lines(0..100, text)).unwrap();
        encoder.finish().unwrap();
    }

    fn wanted(lines: usize) -> Wanted {
        let (before, cost) = (Stamp(u64::MAX), usize::MAX);
        Wanted { slot: Slot(0), before, pattern: None, lines, cost }
    }

    fn stamps(folder: &Path, wanted: &Wanted) -> Vec<u64> {
        let mut budget = u64::MAX;
        let found = read_back(folder, &shop(), &Shelves::default(), wanted, &mut budget);
        found.lines.iter().map(|line| line.stamp.0).collect()
    }

    #[test]
    fn the_newest_lines_are_found_through_all_files() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        written(folder, "x");
        assert_eq!(stamps(folder, &wanted(3)), [297, 298, 299]);
        assert_eq!(stamps(folder, &wanted(250)), (50..300).collect::<Vec<_>>());
        assert_eq!(stamps(folder, &wanted(1000)), (0..300).collect::<Vec<_>>());
        let before = Wanted { before: Stamp(150), ..wanted(100) };
        assert_eq!(stamps(folder, &before), (50..150).collect::<Vec<_>>());
        let pattern = Some(Pattern::new("^x.*77$").unwrap());
        assert_eq!(stamps(folder, &Wanted { pattern, ..wanted(2) }), [177, 277]);
    }

    #[test]
    fn long_files_are_read_from_their_end_until_it_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        written(folder, &"y".repeat(10_000));
        assert_eq!(stamps(folder, &wanted(60)), (240..300).collect::<Vec<_>>());
        let mut budget = u64::MAX;
        read_back(folder, &shop(), &Shelves::default(), &wanted(3), &mut budget);
        assert_eq!(u64::MAX - budget, END);
    }

    #[test]
    fn what_is_too_large_together_is_cut_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), &"z".repeat(1000));
        let wanted = Wanted { cost: 120_000, ..wanted(300) };
        let (mut budget, shelves) = (u64::MAX, Shelves::default());
        let found = read_back(folder.path(), &shop(), &shelves, &wanted, &mut budget);
        assert!(found.cut > 0 && found.cost <= 120_000, "{found:?}");
        assert_eq!(found.lines.back().unwrap().stamp, Stamp(299));
    }

    #[test]
    fn damage_costs_what_is_damaged_and_work_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        written(folder, "x");
        let mut newest = fs::read(folder.join("shop-1.log")).unwrap();
        newest.splice(0..10, *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
        newest.extend_from_slice(b"2026-11-22T10:11:12Z g1 out | half");
        fs::write(folder.join("shop-1.log"), newest).unwrap();
        fs::write(folder.join("shop-1.log.2.gz"), "no gzip").unwrap();
        assert_eq!(stamps(folder, &wanted(1000)).len(), 199);
        let mut budget = 1000;
        let found = read_back(folder, &shop(), &Shelves::default(), &wanted(1000), &mut budget);
        assert_eq!(budget, 0);
        assert!(!found.lines.is_empty() && found.lines.len() < 50);
    }
}
