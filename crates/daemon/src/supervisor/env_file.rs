//! A service's `env_file`: read afresh at each launch, so that a restart takes up what it says.

use std::io;

use crate::config::ServiceConfig;

/// Reads `KEY=value` lines; `#` begins a comment, `export` and quotes around a value are dropped.
pub(super) fn read(config: &ServiceConfig) -> io::Result<Vec<(String, String)>> {
    let Some(path) = &config.env_file else { return Ok(Vec::new()) };
    let named =
        |error: io::Error| io::Error::other(format!("env_file {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(named)?;
    parse(&text).map_err(|(line, found)| {
        let text = format!("line {line}: {found:?} is not KEY=value");
        named(io::Error::new(io::ErrorKind::InvalidData, text))
    })
}

fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, String)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            let pair = line.strip_prefix("export ").unwrap_or(line);
            let wrong = || (number, line.to_owned());
            let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
            let key = key.trim();
            if key.is_empty() || key.contains(char::is_whitespace) || value.contains('\0') {
                return Err(wrong());
            }
            Ok((key.to_owned(), unquote(value.trim()).to_owned()))
        })
        .collect()
}

fn unquote(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_are_read_as_people_write_them() {
        let text = "# comment\n\nA=1\nexport B = \"two words\"\nC='x=y'\n";
        let pairs = parse(text).unwrap();
        let expected = [("A", "1"), ("B", "two words"), ("C", "x=y")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(parse("A=1\nnonsense"), Err((2, "nonsense".to_owned())));
    }
}
