//! The date of an answer whose instance gave it none (RFC 9110 6.6.1).

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};
use httpdate::HttpDate;

/// The date as it was written last, and until when it is that.
struct Written {
    value: HeaderValue,
    until: SystemTime,
}

thread_local! {
    static WRITTEN: RefCell<Option<Written>> = const { RefCell::new(None) };
}

/// Adds the date if there is none.
pub(super) fn add(headers: &mut HeaderMap) {
    headers.entry(header::DATE).or_insert_with(|| with(HeaderValue::clone));
}

/// Shows the date of now.
pub(super) fn with<T>(show: impl FnOnce(&HeaderValue) -> T) -> T {
    let now = SystemTime::now();
    WRITTEN.with_borrow_mut(|written| match written {
        // A clock that was put back makes a new one as well.
        Some(written) if now < written.until && written.until <= now + SECOND => {
            show(&written.value)
        }
        _ => show(&written.insert(write(now)).value),
    })
}

const SECOND: Duration = Duration::from_secs(1);

fn write(now: SystemTime) -> Written {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let second = Duration::from_secs(since.as_secs());
    let mut text = String::with_capacity(32);
    // Into a string, it cannot fail.
    let _ = write!(text, "{}", HttpDate::from(SystemTime::UNIX_EPOCH + second));
    let value = HeaderValue::try_from(text).expect("a date is visible ASCII");
    Written { value, until: SystemTime::UNIX_EPOCH + second + SECOND }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gets_the_date_of_now_and_keeps_its_own() {
        let mut headers = HeaderMap::new();
        add(&mut headers);
        let date = httpdate::parse_http_date(headers["date"].to_str().unwrap()).unwrap();
        assert!(date.elapsed().unwrap() < Duration::from_secs(5));
        let own = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT");
        headers.insert(header::DATE, own.clone());
        add(&mut headers);
        assert_eq!(headers["date"], own);
    }

    #[test]
    fn a_date_is_valid_for_the_rest_of_its_second() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let written = write(now);
        assert_eq!(written.value, "Thu, 01 Jan 1970 00:00:01 GMT");
        assert_eq!(written.until, SystemTime::UNIX_EPOCH + Duration::from_secs(2));
    }
}
