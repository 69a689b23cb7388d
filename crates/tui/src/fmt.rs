//! Figures as text, the same in the console and on the command line: rates, times, counts.
//!
//! Pure functions. Knows neither columns nor colours: whoever prints pads and paints.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Requests a second in at most 5 characters: `0`, `9.3`, `412`, `1.24k`, `18.4k`, `240k`.
///
/// `milli_rps` is requests per 1 000 seconds, as on the wire.
pub fn rate(milli_rps: u64) -> String {
    match milli_rps {
        0 => "0".to_owned(),
        1..9_950 => tenths(milli_rps, 1_000),
        9_950..999_500 => rounded(milli_rps, 1_000).to_string(),
        _ => three_figures(
            milli_rps / 1_000,
            &[("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)],
        ),
    }
}

/// A time to the last byte in at most 6 characters: `0.8ms`, `84ms`, `1.84s`, `12.3s`, `240s`.
pub fn latency(micros: u64) -> String {
    match micros {
        0..9_950 => tenths(micros, 1_000) + "ms",
        9_950..999_500 => format!("{}ms", rounded(micros, 1_000)),
        _ => three_figures(micros, &[("s", 1_000_000), ("ks", 1_000_000_000)]),
    }
}

/// An exact integer, with a space between thousands: `18 402`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// How long, in whole units and at most 6 characters: `9s`, `3m04`, `2h15`, `12d04`, `1200d`.
pub fn duration(millis: u64) -> String {
    match millis {
        0..MINUTE => format!("{}s", millis / SECOND),
        MINUTE..HOUR => format!("{}m{:02}", millis / MINUTE, millis % MINUTE / SECOND),
        HOUR..DAY => format!("{}h{:02}", millis / HOUR, millis % HOUR / MINUTE),
        _ if millis < 1_000 * DAY => format!("{}d{:02}", millis / DAY, millis % DAY / HOUR),
        _ => format!("{}d", millis / DAY),
    }
}

/// How long something took, the finer the shorter: `84ms`, `6.1s`, `41s`, `3m04`.
pub fn took(millis: u64) -> String {
    match millis {
        0..SECOND => format!("{millis}ms"),
        SECOND..9_950 => tenths(millis, SECOND) + "s",
        9_950..MINUTE => format!("{}s", rounded(millis, SECOND).min(59)),
        _ => duration(millis),
    }
}

/// How long something takes so far, in figures that do not jump about: `0.7s`, `2.4s`, `41s`.
pub fn so_far(millis: u64) -> String {
    if millis < SECOND { tenths(millis, SECOND) + "s" } else { took(millis) }
}

/// How long ago: `now` within the first second, then as [`duration`].
pub fn age(millis: u64) -> String {
    if millis < SECOND { "now".to_owned() } else { duration(millis) }
}

/// A share in per cent, without the sign and in at most 4 characters: `0.00`, `0.31`, `12.3`,
/// `100`. Only an exact zero reads `0.00`.
pub fn share(per_million: u32) -> String {
    match per_million {
        0 => "0.00".to_owned(),
        1..99_950 => {
            let hundredths = ((per_million + 50) / 100).max(1);
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
        }
        99_950..999_500 => tenths(u64::from(per_million), 10_000),
        _ => "100".to_owned(),
    }
}

/// A size in three figures: `512B`, `19.7MiB`, `1.50GiB`.
pub fn bytes(n: u64) -> String {
    const KIB: u64 = 1 << 10;
    match n {
        0..1_000 => format!("{n}B"),
        _ => {
            let units = [("KiB", KIB), ("MiB", KIB << 10), ("GiB", KIB << 20), ("TiB", KIB << 30)];
            three_figures(n, &units)
        }
    }
}

/// A number with its noun: `1 instance`, `3 instances`.
pub fn plural(number: impl Into<u64>, noun: &str) -> String {
    let number = number.into();
    let end = if number == 1 { "" } else { "s" };
    format!("{} {noun}{end}", count(number))
}

/// What is known as `show` has it, and `-` for what is not.
pub fn or_dash<T>(known: Option<T>, show: impl FnOnce(T) -> String) -> String {
    known.map_or_else(|| "-".to_owned(), show)
}

/// The wall clock in `zone`, to the second: `14:02:07`.
///
/// `unix_ms` is milliseconds since 1970-01-01 UTC; one that no calendar has reads `-`.
pub fn clock(unix_ms: u64, zone: &TimeZone) -> String {
    moment(unix_ms, zone, "%H:%M:%S")
}

/// The same to the millisecond: `14:02:07.123`.
pub fn clock_and_millis(unix_ms: u64, zone: &TimeZone) -> String {
    moment(unix_ms, zone, "%H:%M:%S%.3f")
}

/// The same with its day: `2026-01-02 14:02:07`.
pub fn day_and_clock(unix_ms: u64, zone: &TimeZone) -> String {
    moment(unix_ms, zone, "%Y-%m-%d %H:%M:%S")
}

fn moment(unix_ms: u64, zone: &TimeZone, form: &str) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    or_dash(time, |time| time.to_zoned(zone.clone()).strftime(form).to_string())
}

/// As much of the beginning of `text` as fits into so many columns.
pub fn fit(text: &str, columns: usize) -> &str {
    let mut width = 0;
    let beyond = text.char_indices().find(|(_, c)| {
        width += c.width().unwrap_or(0);
        width > columns
    });
    beyond.map_or(text, |(end, _)| &text[..end])
}

/// `name` in so many columns. What does not fit goes before its number, which tells instances apart,
/// and leaves `mark`.
pub fn fit_name<'a>(name: &'a str, columns: usize, mark: &str) -> Cow<'a, str> {
    if name.width() <= columns {
        return Cow::Borrowed(name);
    }
    let (before, number) = name.split_at(name.len() - number(name).len());
    let (before, number) = match columns.checked_sub(number.len() + mark.width()) {
        Some(1..) => (before, number),
        // The number alone would not tell whose it is.
        Some(0) | None => (name, ""),
    };
    let kept = fit(before, columns.saturating_sub(number.len() + mark.width()));
    Cow::Owned(format!("{kept}{mark}{number}"))
}

/// The number that an instance has in its name: `-3`; nothing: it has none.
fn number(name: &str) -> &str {
    let before = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match before.strip_suffix('-') {
        Some(start) if before.len() < name.len() => &name[start.len()..],
        Some(_) | None => "",
    }
}

/// `text` in so many columns, as far as that can be had by shortening the `name` that is in it: the
/// rest of the text says what the name does not.
pub fn fit_around<'a>(text: &'a str, name: &str, columns: usize, mark: &str) -> Cow<'a, str> {
    let excess = text.width().saturating_sub(columns);
    let least = name.width().min(LEAST_NAME.into());
    match text.split_once(name) {
        Some((before, after)) if excess > 0 && !name.is_empty() => {
            let name = fit_name(name, (name.width().saturating_sub(excess)).max(least), mark);
            Cow::Owned(format!("{before}{name}{after}"))
        }
        Some(_) | None => Cow::Borrowed(text),
    }
}

/// With fewer columns, a name would say nothing.
pub const LEAST_NAME: u16 = 10;

/// `text` in as many pieces as it takes when each has so many columns; at least one.
pub fn pieces(text: &str, columns: usize) -> Vec<&str> {
    let mut rest = text;
    let mut pieces = Vec::new();
    loop {
        // A character that is wider than a row has to go somewhere.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let (piece, after) = rest.split_at(fit(rest, columns).len().max(first));
        pieces.push(piece);
        if after.is_empty() {
            return pieces;
        }
        rest = after;
    }
}

/// `text` in lines of at most so many columns, broken between words where there are any. All but the
/// first begin `indent` columns further right than the first. What [`together`] made is not broken.
pub fn wrapped(text: &str, columns: usize, indent: usize) -> Vec<String> {
    let before = text.chars().take_while(|c| *c == ' ').count() + indent;
    // Where nothing has room, words have none to be moved to.
    let before = " ".repeat(if before * 2 < columns { before } else { 0 });
    let options = textwrap::Options::new(columns.max(1))
        .subsequent_indent(&before)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    let lines = textwrap::wrap(text, options);
    lines.into_iter().map(|line| line.replace(NO_BREAK, " ")).collect()
}

/// A space at which [`wrapped`] breaks no line.
const NO_BREAK: char = '\u{a0}';

/// `text` as one word for [`wrapped`].
pub fn together(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// `n / unit` to one decimal, half rounded up.
fn tenths(n: u64, unit: u64) -> String {
    let tenths = (n * 10 + unit / 2) / unit;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// `n / unit`, half rounded up.
const fn rounded(n: u64, unit: u64) -> u64 {
    n.saturating_add(unit / 2) / unit
}

/// Three figures in the unit that fits best, the last one if none does.
fn three_figures(n: u64, units: &[(&str, u64)]) -> String {
    for (i, &(name, unit)) in units.iter().enumerate() {
        // What this unit would show as 1000 belongs to the next.
        let limit = unit.saturating_mul(1_000) - unit / 2;
        if n >= limit && i + 1 < units.len() {
            continue;
        }
        return if n < unit * 10 - unit / 200 {
            let hundredths = rounded(n, unit / 100);
            format!("{}.{:02}{name}", hundredths / 100, hundredths % 100)
        } else if n < unit * 100 - unit / 20 {
            format!("{}{name}", tenths(n, unit))
        } else {
            format!("{}{name}", rounded(n, unit))
        };
    }
    n.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Copy + std::fmt::Debug>(show: fn(T) -> String, cases: &[(T, &str)]) {
        for &(value, expected) in cases {
            assert_eq!(show(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_rate_has_three_figures() {
        check(
            rate,
            &[
                (0, "0"),
                (1, "0.0"),
                (50, "0.1"),
                (9_300, "9.3"),
                (9_949, "9.9"),
                (9_950, "10"),
                (37_000, "37"),
                (412_400, "412"),
                (999_499, "999"),
                (999_500, "1.00k"),
                (1_244_000, "1.24k"),
                (9_994_000, "9.99k"),
                (9_995_000, "10.0k"),
                (18_400_000, "18.4k"),
                (99_949_000, "99.9k"),
                (99_950_000, "100k"),
                (240_000_000, "240k"),
                (999_499_000, "999k"),
                (999_500_000, "1.00M"),
                (1_500_000_000_000, "1.50G"),
            ],
        );
    }

    #[test]
    fn a_latency_has_three_figures_and_a_unit() {
        check(
            latency,
            &[
                (0, "0.0ms"),
                (800, "0.8ms"),
                (9_300, "9.3ms"),
                (9_950, "10ms"),
                (84_200, "84ms"),
                (999_499, "999ms"),
                (999_500, "1.00s"),
                (1_840_000, "1.84s"),
                (12_340_000, "12.3s"),
                (240_000_000, "240s"),
                (1_200_000_000, "1.20ks"),
            ],
        );
    }

    #[test]
    fn a_count_is_exact() {
        check(
            count,
            &[
                (0, "0"),
                (999, "999"),
                (1_000, "1 000"),
                (18_402, "18 402"),
                (1_234_567, "1 234 567"),
                (u64::MAX, "18 446 744 073 709 551 615"),
            ],
        );
    }

    #[test]
    fn a_duration_has_two_units_at_most() {
        check(
            duration,
            &[
                (0, "0s"),
                (999, "0s"),
                (9_000, "9s"),
                (59_999, "59s"),
                (60_000, "1m00"),
                (184_000, "3m04"),
                (3_599_999, "59m59"),
                (8_100_000, "2h15"),
                (86_400_000, "1d00"),
                (1_051_200_000, "12d04"),
                (1_200 * DAY, "1200d"),
            ],
        );
        check(
            took,
            &[
                (0, "0ms"),
                (84, "84ms"),
                (999, "999ms"),
                (1_000, "1.0s"),
                (6_100, "6.1s"),
                (9_949, "9.9s"),
                (9_950, "10s"),
                (41_400, "41s"),
                (59_999, "59s"),
                (184_000, "3m04"),
            ],
        );
        check(
            so_far,
            &[(0, "0.0s"), (747, "0.7s"), (999, "1.0s"), (1_000, "1.0s"), (41_400, "41s")],
        );
        check(age, &[(0, "now"), (999, "now"), (1_000, "1s"), (235_000, "3m55")]);
    }

    #[test]
    fn a_size_has_three_figures_and_a_unit() {
        check(
            bytes,
            &[
                (0, "0B"),
                (999, "999B"),
                (1_000, "1.00KiB"),
                (49_600_000, "47.3MiB"),
                (536_870_912, "512MiB"),
                (1_073_741_824, "1.00GiB"),
                (1 << 50, "1024TiB"),
            ],
        );
    }

    #[test]
    fn only_no_errors_at_all_read_as_none() {
        check(
            share,
            &[
                (0, "0.00"),
                (1, "0.01"),
                (149, "0.01"),
                (3_100, "0.31"),
                (99_949, "9.99"),
                (99_999, "10.0"),
                (123_400, "12.3"),
                (999_499, "99.9"),
                (999_999, "100"),
                (1_000_000, "100"),
            ],
        );
    }

    #[test]
    fn the_clock_is_the_one_of_the_zone() {
        let noon = 1_767_358_927_000;
        assert_eq!(clock(noon, &TimeZone::UTC), "13:02:07");
        assert_eq!(clock_and_millis(noon + 40, &TimeZone::UTC), "13:02:07.040");
        assert_eq!(day_and_clock(noon, &TimeZone::UTC), "2026-01-02 13:02:07");
        let east = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(clock(noon, &east), "14:02:07");
        assert_eq!(clock(u64::MAX, &TimeZone::UTC), "-");
    }

    #[test]
    fn text_is_cut_by_columns_not_by_bytes() {
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("a商店", 4), "a商");
    }

    #[test]
    fn a_name_is_cut_before_its_number() {
        let cut = |columns| fit_name("talk-with-many-12", columns, "›").into_owned();
        assert_eq!(cut(17), "talk-with-many-12");
        assert_eq!(cut(16), "talk-with-ma›-12");
        assert_eq!(cut(5), "t›-12");
        assert_eq!(cut(4), "tal›");
        assert_eq!(fit_name("talk-with-many", 6, "›"), "talk-›");
        assert_eq!(fit_name("talk-with-", 6, "›"), "talk-›");
        assert_eq!(fit_name("12345678", 6, "›"), "12345›");
        assert_eq!(fit_name("商店商店商店-1", 8, ">"), "商店>-1");
    }

    #[test]
    fn of_a_text_the_name_gives_way() {
        let name = "talk-with-many-words";
        let text = format!("End {name}, g1 to g2?");
        let around = |columns| fit_around(&text, name, columns, "›").into_owned();
        assert_eq!(around(36), text);
        assert_eq!(around(30), "End talk-with-many›, g1 to g2?");
        assert_eq!(around(9), "End talk-with›, g1 to g2?", "not all of it");
        assert_eq!(fit_around("no name is in this", name, 9, "›"), "no name is in this");
        assert_eq!(fit_around("nor in this", "", 9, "›"), "nor in this");
    }

    #[test]
    fn lines_are_broken_between_words() {
        let text = format!("+ drained in 6.1s   stopped in {}", together("400 ms"));
        assert_eq!(wrapped(&text, 80, 2), [text.replace(NO_BREAK, " ")]);
        assert_eq!(
            wrapped(&text, 26, 2),
            ["+ drained in 6.1s  ", "  stopped in 400 ms"].map(str::trim_end)
        );
        assert_eq!(wrapped("  a 商店商店 c", 7, 0), ["  a", "  商店", "  商店", "  c"]);
        assert_eq!(wrapped("/a/very/long/path", 6, 4), ["/a/ver", "y/long", "/path"]);
        assert_eq!(wrapped("", 6, 4), [""]);
        assert_eq!(wrapped("ab", 0, 4), ["a", "b"]);
    }

    #[test]
    fn no_figure_is_wider_than_its_column() {
        let mut n: u64 = 1;
        while n < 1 << 50 {
            for value in [n - 1, n, n + 1] {
                assert!(rate(value.min(999_000_000_000)).len() <= 5, "{value}");
                assert!(latency(value.min(999_000_000)).len() <= 6, "{value}");
                assert!(duration(value).len() <= 6 || value > 99_999 * DAY, "{value}");
            }
            n = n * 10 / 7 + 1;
        }
        for ppm in 0..=1_000_000 {
            assert!(share(ppm).len() <= 4, "{ppm}: {}", share(ppm));
        }
    }
}
