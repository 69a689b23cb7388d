//! What clap has to say about a line, in one line.

use clap::error::ErrorKind;

use super::Phrase;

/// The help that was asked for; else what is wrong, and what is near.
pub(super) fn of(error: &clap::Error) -> Result<Phrase, String> {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp => Ok(Phrase::Say(text)),
        ErrorKind::DisplayVersion => Err(text.trim().to_owned()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err("a command is expected, such as restart NAME".to_owned())
        }
        _ => Err(in_one_line(&text)),
    }
}

/// Of `error: what`, lines that belong to it, a tip or two, and the usage, all but the usage.
fn in_one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let mut told = String::new();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with("For more")) {
        let line = line.strip_prefix("error: ").unwrap_or(line);
        match line.strip_prefix("tip: ") {
            Some(tip) => told = format!("{told}; {tip}"),
            None if told.is_empty() => line.clone_into(&mut told),
            None => told = format!("{told} {line}"),
        }
    }
    told
}
