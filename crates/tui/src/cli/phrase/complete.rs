//! Words that would go on with a line: verbs, options, and the names that are known.

use clap::{Arg, Command};
use smoothserve_protocol::id::{OperationId, ServiceName};

use super::command;
use crate::model::palette::{Choice, Choices};

/// The names that a word may stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Services, and how many instances each has.
    pub(crate) services: Vec<(ServiceName, usize)>,
    /// Operations that run.
    pub(crate) operations: Vec<OperationId>,
}

/// What fits at the end of `line`, which is what stands before the cursor.
pub(crate) fn complete(line: &str, known: &Known) -> Choices {
    let from = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let (before, word) = line.split_at(from);
    let before: Vec<&str> = before.split_whitespace().collect();
    let before = before.strip_prefix(&["smoothtool"]).unwrap_or(&before);
    let command = command();
    let all = match before.split_first() {
        None => verbs(&command),
        Some((verb, given)) => match command.find_subcommand(verb) {
            Some(verb) => of_verb(verb, given, word, known),
            None => Vec::new(),
        },
    };
    let words = all.into_iter().filter(|choice| choice.word.starts_with(word)).collect();
    Choices { from, words, chosen: None }
}

fn verbs(command: &Command) -> Vec<Choice> {
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    verbs.map(|verb| choice(verb.get_name(), about(verb.get_about()))).collect()
}

fn of_verb(verb: &Command, given: &[&str], word: &str, known: &Known) -> Vec<Choice> {
    let value_of = given.last().and_then(|last| option(verb, last));
    if let Some(arg) = value_of.filter(|arg| arg.get_action().takes_values()) {
        return values(arg, word, &[], known);
    }
    if word.starts_with('-') {
        return options(verb, given);
    }
    // Most verbs take their names one after the other, and none has two kinds of them.
    let positional = verb.get_positionals().next();
    positional.map(|arg| values(arg, word, given, known)).unwrap_or_default()
}

fn option<'a>(verb: &'a Command, word: &str) -> Option<&'a Arg> {
    let named = |arg: &&Arg| {
        let long = word.strip_prefix("--").is_some_and(|word| arg.get_long() == Some(word));
        let short = arg
            .get_short()
            .is_some_and(|short| word.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4])));
        long || short
    };
    verb.get_arguments().find(named)
}

fn options(verb: &Command, given: &[&str]) -> Vec<Choice> {
    let usable = verb.get_arguments().filter(|arg| !arg.is_hide_set());
    let named = usable.filter_map(|arg| Some((format!("--{}", arg.get_long()?), arg)));
    let new = named.filter(|(word, _)| !given.contains(&word.as_str()));
    new.map(|(word, arg)| choice(&word, about(arg.get_help()))).collect()
}

/// What `arg` may be, if that is known; not what was `given` before.
fn values(arg: &Arg, word: &str, given: &[&str], known: &Known) -> Vec<Choice> {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return possible.iter().map(|one| choice(one.get_name(), about(one.get_help()))).collect();
    }
    let services = known.services.iter();
    let services = services.filter(|(name, _)| !given.contains(&name.as_str()));
    let operations = known.operations.iter().map(|id| choice(&id.to_string(), String::new()));
    let kind = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    match kind {
        Some("NAME") => services.map(|(name, _)| choice(name.as_str(), String::new())).collect(),
        Some("OPERATION") => operations.collect(),
        Some("NAME|OPERATION") => services
            .map(|(name, _)| choice(name.as_str(), String::new()))
            .chain(operations)
            .collect(),
        Some("NAME[/INSTANCE]") => services.flat_map(|one| printers(one, word)).collect(),
        Some(_) | None => Vec::new(),
    }
}

/// A service; once it is spelled out, its instances.
fn printers((name, instances): &(ServiceName, usize), word: &str) -> Vec<Choice> {
    let mut all = vec![choice(name.as_str(), String::new())];
    if word.starts_with(name.as_str()) {
        all.extend((1..=*instances).map(|one| choice(&format!("{name}/{one}"), String::new())));
    }
    all
}

fn choice(word: &str, what: String) -> Choice {
    Choice { word: word.to_owned(), what }
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| text.to_string().replace('\n', " ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitting(line: &str) -> String {
        let service = |name: &str, instances| (ServiceName::new(name).unwrap(), instances);
        let services = vec![service("api", 2), service("api-admin", 1), service("www", 6)];
        let known = Known { services, operations: vec![OperationId(17)] };
        let words: Vec<_> = complete(line, &known).words.into_iter().map(|one| one.word).collect();
        words.join(" ")
    }

    #[test]
    fn what_fits_is_what_could_come_next() {
        for (line, words) in [
            ("re", "restart resume reload"),
            ("restart a", "api api-admin"),
            ("restart api ", "api-admin www"),
            ("smoothtool restart w", "www"),
            ("pause o", "op-17"),
            ("pause api --operation ", "op-17"),
            ("restart api --", "--all --drain-timeout --on-drain-timeout --plan"),
            ("restart api --drain-timeout ", ""),
            ("restart api --on-drain-timeout ", "abort wait cut"),
            ("logs w", "www"),
            ("logs api", "api api/1 api/2 api-admin"),
            ("logs api/", "api/1 api/2"),
            ("logs api -", "--follow --grep"),
            ("drain api --e", "--extend"),
            ("why www --", ""),
            ("theme ", "auto dark light"),
            ("tu", ""),
            ("reboot x", ""),
        ] {
            assert_eq!(fitting(line), words, "{line}");
        }
        let all = fitting("");
        assert!(all.contains("quit") && all.contains("stats") && !all.contains("demo"), "{all}");
    }
}
