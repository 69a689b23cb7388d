//! The spellings of earlier days: `-start X`, `-stop X`, `-restart X`, `-force`, `-config F`.

use std::ffi::{OsStr, OsString};

/// Arguments in today's spelling.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Modern {
    /// The arguments, without the program's name.
    pub(crate) arguments: Vec<OsString>,
    /// They were spelled otherwise, and the operator should know.
    pub(crate) respelled: bool,
}

/// Reads `arguments` (without the program's name) and respells what is old.
pub(crate) fn modernize(arguments: Vec<OsString>) -> Modern {
    let has_verb = arguments.iter().any(|argument| verb(&split(argument).0).is_some());
    let has_config = arguments.iter().any(|argument| split(argument).0 == "-config");
    if !has_verb && !has_config {
        return Modern { arguments, respelled: false };
    }
    let (mut front, mut back) = (Vec::new(), Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let (flag, value) = split(&argument);
        match flag.as_str() {
            "-config" | "--config" => {
                front.push("--config".into());
                front.extend(value.or_else(|| arguments.next()));
            }
            "-force" if has_verb => back.extend(["--force".into(), "--yes".into()]),
            _ => match verb(&flag) {
                Some(verb) => {
                    front.push(verb.into());
                    front.extend(value);
                }
                None => back.push(argument),
            },
        }
    }
    // The verb stands before the names, whatever the order was.
    front.extend(back);
    Modern { arguments: front, respelled: true }
}

/// The verb that an old flag stands for.
fn verb(flag: &str) -> Option<&'static str> {
    match flag {
        "-start" | "--start" => Some("start"),
        "-stop" | "--stop" => Some("stop"),
        "-restart" | "--restart" => Some("restart"),
        _ => None,
    }
}

/// `-flag=value` in its two parts.
fn split(argument: &OsStr) -> (String, Option<OsString>) {
    match argument.to_str().and_then(|text| text.split_once('=')) {
        Some((flag, value)) => (flag.to_owned(), Some(value.into())),
        None => (argument.to_string_lossy().into_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_spellings_become_new_ones() {
        for (old, new) in [
            ("-start", "start"),
            ("--start", "start"),
            ("-start shop", "start shop"),
            ("-start=shop", "start shop"),
            ("-stop all", "stop all"),
            ("-stop shop -force", "stop shop --force --yes"),
            ("-restart shop -config /a.yaml", "restart --config /a.yaml shop"),
            ("-config=/a.yaml --restart shop", "--config /a.yaml restart shop"),
            ("-config /a.yaml status", "--config /a.yaml status"),
        ] {
            let arguments = old.split(' ').map(OsString::from).collect();
            let modern = modernize(arguments);
            assert_eq!(modern.arguments.join(OsStr::new(" ")), new, "{old}");
            assert!(modern.respelled, "{old}");
        }
    }

    #[test]
    fn new_spellings_are_left_alone() {
        for line in ["restart shop", "--config /a.yaml status --json", "demo-app -port=80", ""] {
            let arguments: Vec<_> = line.split(' ').map(OsString::from).collect();
            let same = Modern { arguments: arguments.clone(), respelled: false };
            assert_eq!(modernize(arguments), same);
        }
    }
}
