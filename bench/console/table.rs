//! The answer: a line for each figure, with its bar and whether it is kept.

use std::time::Duration;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    row: u8,
    is_kept: bool,
    text: String,
}

/// A row of the table of bars: its number and what is measured.
pub(crate) type Row = (u8, &'static str);

impl Table {
    /// A figure with a bar.
    pub(crate) fn line(&mut self, (row, what): Row, figure: &str, bar: &str, is_kept: bool) {
        let verdict = if is_kept { "ok" } else { "MISSED" };
        let text = format!("{row:>3}  {verdict:<6}  {what:<44} {figure:>24}  {bar}");
        self.lines.push(Line { row, is_kept, text });
    }

    /// A figure that stands beside one with a bar.
    pub(crate) fn note(&mut self, (row, what): Row, figure: &str) {
        let text = format!("{row:>3}  {:<6}  {what:<44} {figure:>24}", "");
        self.lines.push(Line { row, is_kept: true, text });
    }

    /// A time that has a bar.
    pub(crate) fn time(&mut self, row: Row, took: Duration, bar: Duration) {
        self.line(row, &millis(took), &format!("<= {}", millis(bar)), took <= bar);
    }

    /// Takes in what was found elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.lines.extend(other.lines);
    }

    /// Prints it all, by row, and says whether every bar is kept.
    pub(crate) fn print(mut self) -> bool {
        self.lines.sort_by_key(|line| line.row);
        tell(&format!("{:>3}  {:<6}  {:<44} {:>24}  bar", "row", "", "measure", "figure"));
        for line in &self.lines {
            tell(&line.text);
        }
        let missed = self.lines.iter().filter(|line| !line.is_kept).count();
        tell(&format!("{missed} missed"));
        missed == 0
    }
}

/// `1.4 ms`.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// `1.4 kB/s`.
pub(crate) fn rate(bytes: u64, time: Duration) -> String {
    format!("{:.2} kB/s", per_second(bytes, time) / 1e3)
}

pub(crate) fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Times in order, to read percentiles from.
#[derive(Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// The time that this share of them does not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let at = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    pub(crate) fn longest(&self) -> Duration {
        self.percentile(100)
    }
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn tell(line: &str) {
    println!("{line}");
}
