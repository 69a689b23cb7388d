//! A configuration that cannot be used: the daemon renders it in many lines.

use super::escape;

/// The first problem in one line, with its place: `/srv/shop.yaml:3:5: unknown key`.
///
/// The daemon renders a problem as `error: what`, then ` --> file:line:column`, then what is around
/// it; several problems follow one another. Anything else is shown by its first line.
pub fn problem_line(rendered: &str) -> String {
    const BEGINNING: &str = "error: ";
    let mut lines = rendered.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let what = escape(first.strip_prefix(BEGINNING).unwrap_or(first));
    let place = lines.next().and_then(|line| line.strip_prefix("--> "));
    let line = match place {
        Some(place) => format!("{}: {what}", escape(place)),
        None => what.into_owned(),
    };
    match lines.filter(|line| line.starts_with(BEGINNING)).count() {
        0 => line,
        more => format!("{line} (and {more} more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_with_its_place() {
        let one = "error: unknown key `prot`\n --> /srv/shop.yaml:3:5\n  |\n3 | prot: 80\n  | ^^^^";
        assert_eq!(problem_line(one), "/srv/shop.yaml:3:5: unknown key `prot`");
        let three = format!("{one}\n\n{one}\n\nerror: no such folder");
        assert_eq!(problem_line(&three), "/srv/shop.yaml:3:5: unknown key `prot` (and 2 more)");
        assert_eq!(problem_line("no such\u{1b} folder\n"), r"no such\x1b folder");
        assert_eq!(problem_line(""), "");
    }
}
