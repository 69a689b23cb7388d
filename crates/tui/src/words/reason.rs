//! Why the system could not.

use std::io;

/// What the system said, in the lower case of our own messages and without its number.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_has_no_number() {
        for (code, text) in
            [(111, "connection refused"), (2, "no such file"), (28, "no space left on device")]
        {
            assert_eq!(reason(&io::Error::from_raw_os_error(code)), text);
        }
    }
}
