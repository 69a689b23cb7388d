//! Numbers with a unit: times and sizes.

use std::time::Duration;

use super::scalar::Hint;

/// Whole seconds, or a number with `ms`, `s`, `m` or `h`.
pub(super) fn duration(text: &str) -> Result<Duration, Hint> {
    let (amount, unit) = split(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(Hint(None)),
    };
    amount.checked_mul(milliseconds).map(Duration::from_millis).ok_or(Hint(None))
}

/// Whole seconds, or a number with `h`, `d` or `y`, a year being 365 days.
pub(super) fn age(text: &str) -> Result<Duration, Hint> {
    let (amount, unit) = split(text)?;
    let seconds = match unit {
        "" | "s" => 1,
        "h" => 3_600,
        "d" => 86_400,
        "y" => 365 * 86_400,
        _ => return Err(Hint(None)),
    };
    amount.checked_mul(seconds).map(Duration::from_secs).ok_or(Hint(None))
}

/// Bytes, or a number with a unit; `kB` is a thousand bytes, `KiB` is 1024.
pub(super) fn size(text: &str) -> Result<u64, Hint> {
    let (amount, unit) = split(text)?;
    let bytes = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "k" | "m" | "g" => {
            let unit = unit.to_ascii_uppercase();
            return Err(format!("write `{amount}{unit}iB`, which counts by 1024").into());
        }
        _ => return Err(Hint(None)),
    };
    amount.checked_mul(bytes).ok_or(Hint(None))
}

/// `time` as it may be written.
pub(super) fn shown_duration(time: &Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{}s", time.as_secs())
    } else {
        format!("{}ms", time.as_millis())
    }
}

/// `bytes` as they may be written.
pub(super) fn shown_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = |(unit, _): &(u64, &str)| bytes > 0 && bytes.is_multiple_of(*unit);
    match units.into_iter().find(fits) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

fn split(text: &str) -> Result<(u64, &str), Hint> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (amount, unit) = text.split_at(digits);
    Ok((amount.parse().map_err(|_| Hint(None))?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_seconds_unless_it_says_otherwise() {
        for (text, milliseconds) in [
            ("0", 0),
            ("5", 5_000),
            ("500ms", 500),
            ("2s", 2_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for text in
            ["", "-1", "1.5", "5 minutes", "ms", "1d", "99999999999999999999", "9999999999999999h"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_bytes_unless_it_says_otherwise() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("10 B", 10),
            ("512MB", 512_000_000),
            ("512 mb", 512_000_000),
            ("64kB", 64_000),
            ("64KiB", 64 << 10),
            ("1GiB", 1 << 30),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "-1", "1.5GiB", "MiB", "1 TiBi", "99999999999999999999", "99999999999GiB"]
        {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(size("512m").unwrap_err().0.unwrap(), "write `512MiB`, which counts by 1024");
    }

    #[test]
    fn what_is_shown_may_be_written() {
        for milliseconds in [0, 1, 500, 1_000, 2_500, 90_000, 86_400_000] {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(duration(&shown_duration(&time)).unwrap(), time);
        }
        for bytes in [0, 1, 1_000, 1 << 10, 1_500 << 10, 512 << 20, 3 << 30, u64::MAX] {
            assert_eq!(size(&shown_size(bytes)).unwrap(), bytes);
        }
        assert_eq!(
            (shown_size(512 << 20).as_str(), shown_size(1_000).as_str()),
            ("512MiB", "1000")
        );
    }
}
