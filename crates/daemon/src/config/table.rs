//! A map of the file from which keys are taken one by one; what is left over is unknown.
//!
//! Taking a key notes what is wrong with its value and goes on, so that one look at a file finds
//! every mistake in it. Derived deserializers stop at the first.

use std::ops::Range;
use std::sync::Arc;

use super::error::{Problem, Site, Source, printable};
use super::scalar::{self, Hint, Kind};
use super::yaml::{Node, Value};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Spot<T> {
    pub(super) value: T,
    pub(super) site: Site,
}

/// A key that holds keys of its own, or is switched on or off.
#[derive(Debug)]
pub(super) enum Switch<T> {
    Flag(bool),
    Table(T),
}

/// Whether `commandport` is `CommandPort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    Exact,
    AnyCase,
}

/// One map of a file.
pub(super) struct Table {
    source: Arc<Source>,
    letters: Letters,
    /// What stands before a key in a message: `log.`, or nothing.
    prefix: String,
    /// Where a missing key is missed.
    site: Site,
    entries: Vec<Entry>,
    /// Every key that was asked for.
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

struct Entry {
    key: Spot<String>,
    value: Node,
}

impl Table {
    /// The whole of a file.
    pub(super) fn of_file(
        source: &Arc<Source>,
        root: Node,
        letters: Letters,
    ) -> Result<Self, Problem> {
        match root.value {
            Value::Map(pairs) => Ok(Self::new(source, letters, String::new(), &root.span, pairs)),
            Value::Empty => Err(Problem::of_file(&source.path, "the file is empty")
                .help("write its keys, or remove it")),
            Value::List(_) | Value::Scalar(_) => {
                let site = Site { source: source.clone(), span: root.span };
                let found = describe(&root.value);
                Err(Problem::at(
                    &site,
                    format!("the file is {found}"),
                    "allowed: lines such as `key: value`",
                ))
            }
        }
    }

    fn new(
        source: &Arc<Source>,
        letters: Letters,
        prefix: String,
        span: &Range<usize>,
        pairs: Vec<(Node, Node)>,
    ) -> Self {
        // A map begins where its first key does.
        let first = pairs.first().map_or(span.clone(), |(key, _)| key.span.clone());
        let site = Site { source: source.clone(), span: first };
        let source = source.clone();
        let mut table = Self {
            source,
            letters,
            prefix,
            site,
            entries: vec![],
            known: vec![],
            problems: vec![],
        };
        for (key, value) in pairs {
            table.add(key, value);
        }
        table
    }

    /// Adds a pair, unless its key is there already.
    fn add(&mut self, key: Node, value: Node) {
        let site = self.site_of(&key.span);
        let Value::Scalar(name) = key.value else {
            let message = format!("a key is {}", describe(&key.value));
            self.problems.push(Problem::at(&site, message, "allowed: a word"));
            return;
        };
        if let Some(first) = self.entries.iter().find(|entry| self.is_same(&entry.key.value, &name))
        {
            let problem =
                Problem::at(&site, format!("`{}{name}` is given twice", self.prefix), "again here")
                    .see(&first.key.site, "first given here")
                    .help("remove one of the two");
            self.problems.push(problem);
            return;
        }
        self.entries.push(Entry { key: Spot { value: name, site }, value });
    }

    /// The value of `key`; none if it is absent, empty or wrong.
    pub(super) fn take<T>(&mut self, key: &'static str, kind: &Kind<T>) -> Option<Spot<T>> {
        let entry = self.entry(key)?;
        self.scalar(key, &entry.value, kind)
    }

    /// Whether `key` is there, whatever its value.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| self.is_same(&entry.key.value, key))
    }

    /// The value of `key`, whose absence is a problem.
    pub(super) fn require<T>(&mut self, key: &'static str, kind: &Kind<T>) -> Option<Spot<T>> {
        let Some(entry) = self.entry(key) else {
            let problem = Problem::at(
                &self.site,
                format!("`{}{key}` is missing", self.prefix),
                format!("needed beside this key: `{key}`, {}", kind.allowed),
            );
            self.problems.push(problem);
            return None;
        };
        self.scalar(key, &entry.value, kind)
    }

    /// The values of a list.
    pub(super) fn take_list<T>(
        &mut self,
        key: &'static str,
        kind: &Kind<T>,
    ) -> Option<Vec<Spot<T>>> {
        let entry = self.entry(key)?;
        let Value::List(items) = entry.value.value else {
            self.refuse(key, &entry.value, "a list such as `[first, second]`", Hint(None));
            return None;
        };
        Some(items.iter().filter_map(|item| self.scalar(key, item, kind)).collect())
    }

    /// The pairs of a map whose keys are the operator's own.
    pub(super) fn take_pairs<T>(
        &mut self,
        key: &'static str,
        kind: &Kind<T>,
    ) -> Option<Vec<(Spot<String>, Spot<T>)>> {
        let mut inner = self.table(key)?;
        let entries = std::mem::take(&mut inner.entries);
        let pairs = entries.into_iter().filter_map(|entry| {
            let value = inner.scalar(&entry.key.value, &entry.value, kind)?;
            Some((entry.key, value))
        });
        let pairs = pairs.collect();
        self.problems.append(&mut inner.problems);
        Some(pairs)
    }

    /// What `read` makes of each map below `key`; their own keys are of `kind`.
    pub(super) fn take_tables<K, T>(
        &mut self,
        key: &'static str,
        kind: &Kind<K>,
        read: impl Fn(&mut Self) -> T,
    ) -> Option<Vec<(Spot<K>, T)>> {
        let mut outer = self.table(key)?;
        let mut tables = Vec::new();
        for Entry { key: Spot { value: name, site }, value } in std::mem::take(&mut outer.entries) {
            match (kind.parse)(&name) {
                Ok(value_of_name) => {
                    if let Some(mut inner) = outer.inner(&name, &site.span, value) {
                        tables.push((Spot { value: value_of_name, site }, read(&mut inner)));
                        outer.problems.extend(inner.finish());
                    }
                }
                Err(_) => outer.problems.push(Problem::at(
                    &site,
                    format!("a key of `{}{key}` is `{name}`", self.prefix),
                    format!("allowed: {}", kind.allowed),
                )),
            }
        }
        self.problems.append(&mut outer.problems);
        Some(tables)
    }

    /// What `read` makes of each map in the list under `key`, which is to hold one at least.
    pub(super) fn require_tables<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Self) -> T,
    ) -> Vec<T> {
        const ALLOWED: &str = "a list of lines such as `- key: value`";
        let Some(entry) = self.entry(key) else {
            let message = format!("`{}{key}` is missing", self.prefix);
            let needed = format!("needed beside this key: `{key}`, {ALLOWED}");
            self.problems.push(Problem::at(&self.site, message, needed));
            return Vec::new();
        };
        let span = entry.key.site.span;
        let items = match entry.value.value {
            Value::List(items) if !items.is_empty() => items,
            _ => {
                self.refuse(key, &entry.value, ALLOWED, Hint(None));
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for item in items {
            if let Some(mut inner) = self.inner(key, &span, item) {
                tables.push(read(&mut inner));
                self.problems.extend(inner.finish());
            }
        }
        tables
    }

    /// What `read` makes of the map under `key`.
    pub(super) fn take_table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<Spot<T>> {
        let mut inner = self.table(key)?;
        let site = inner.site.clone();
        let value = read(&mut inner);
        self.problems.extend(inner.finish());
        Some(Spot { value, site })
    }

    /// What `read` makes of the map under `key`, which may be `true` or `false` as well.
    pub(super) fn take_switch<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<Switch<T>> {
        let entry = self.entry(key)?;
        if !matches!(entry.value.value, Value::Map(_)) {
            let flag = self.scalar(key, &entry.value, &scalar::SWITCH)?;
            return Some(Switch::Flag(flag.value));
        }
        let mut inner = self.inner(key, &entry.key.site.span, entry.value)?;
        let value = read(&mut inner);
        self.problems.extend(inner.finish());
        Some(Switch::Table(value))
    }

    /// Notes a problem that no kind of value knows of.
    pub(super) fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Whether there is nothing left to take.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether something taken so far was wrong.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Where a key of this table is missed.
    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// All that is wrong, with the keys that nobody asked for, in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for entry in std::mem::take(&mut self.entries) {
            let problem = self.unknown(&entry.key);
            self.problems.push(problem);
        }
        self.problems.sort_by_key(Problem::offset);
        self.problems
    }

    fn entry(&mut self, key: &'static str) -> Option<Entry> {
        self.known.push(key);
        let index = self.entries.iter().position(|entry| self.is_same(&entry.key.value, key))?;
        let entry = self.entries.remove(index);
        (!matches!(entry.value.value, Value::Empty)).then_some(entry)
    }

    fn table(&mut self, key: &'static str) -> Option<Self> {
        let entry = self.entry(key)?;
        self.inner(key, &entry.key.site.span, entry.value)
    }

    /// The map under `key`, which is at `span`; anything else is a problem.
    fn inner(&mut self, key: &str, span: &Range<usize>, node: Node) -> Option<Self> {
        let Value::Map(pairs) = node.value else {
            self.refuse(key, &node, "indented lines such as `key: value`", Hint(None));
            return None;
        };
        let span = if pairs.is_empty() { span } else { &node.span };
        let prefix = format!("{}{key}.", self.prefix);
        Some(Self::new(&self.source, self.letters, prefix, span, pairs))
    }

    fn scalar<T>(&mut self, key: &str, node: &Node, kind: &Kind<T>) -> Option<Spot<T>> {
        let parsed = match &node.value {
            Value::Scalar(text) => (kind.parse)(text),
            Value::Empty => Err(Hint(Some("write `\"\"` for an empty text".into()))),
            Value::List(_) | Value::Map(_) => Err(Hint(None)),
        };
        match parsed {
            Ok(value) => Some(Spot { value, site: self.site_of(&node.span) }),
            Err(hint) => {
                self.refuse(key, node, kind.allowed, hint);
                None
            }
        }
    }

    fn refuse(&mut self, key: &str, node: &Node, allowed: &str, hint: Hint) {
        let site = self.site_of(&node.span);
        let found = describe(&node.value);
        let problem = Problem::at(
            &site,
            format!("`{}{key}` is {found}", self.prefix),
            format!("allowed: {allowed}"),
        );
        self.problems.push(match hint.0 {
            Some(hint) => problem.help(hint),
            None => problem,
        });
    }

    fn unknown(&self, key: &Spot<String>) -> Problem {
        let message = format!("unknown key `{}{}`", self.prefix, key.value);
        match nearest(&key.value, &self.known) {
            Some(near) => Problem::at(&key.site, message, format!("did you mean `{near}`?")),
            None => Problem::at(&key.site, message, "there is no such key here")
                .help(format!("allowed here: {}", self.known.join(", "))),
        }
    }

    fn site_of(&self, span: &Range<usize>) -> Site {
        Site { source: self.source.clone(), span: span.clone() }
    }

    fn is_same(&self, one: &str, other: &str) -> bool {
        match self.letters {
            Letters::Exact => one == other,
            Letters::AnyCase => one.eq_ignore_ascii_case(other),
        }
    }
}

/// What was found, in the words of an operator.
fn describe(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Empty => "empty".into(),
        Value::List(_) => "a list".into(),
        Value::Map(_) => "a group of keys".into(),
        Value::Scalar(text) if text.is_empty() => "an empty text".into(),
        Value::Scalar(text) if text.chars().count() > LONGEST => {
            let begin: String = text.chars().take(LONGEST).collect();
            format!("`{}…`", printable(&begin))
        }
        Value::Scalar(text) => format!("`{}`", printable(text)),
    }
}

/// The word that `text` most likely was meant to be.
fn nearest<'a>(text: &str, words: &[&'a str]) -> Option<&'a str> {
    let folded = fold(text);
    let near = words.iter().map(|word| (distance(&folded, &fold(word)), *word)).min()?;
    (near.0 <= (folded.len() / 3).min(3)).then_some(near.1)
}

/// `instanceCount`, `instance-count` and `instance_count` are one word to people.
fn fold(word: &str) -> Vec<char> {
    word.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).take(64).collect()
}

/// How many letters to insert, remove, change or swap with their neighbour.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut rows = vec![(0..=other.len()).collect::<Vec<_>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let changed = usize::from(one[i - 1] != other[j - 1]);
            let mut least =
                (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            let is_swap =
                i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
            if is_swap {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_nonsense_finds_none() {
        let words = ["port", "instance_count", "server_name", "env"];
        for (text, word) in [
            ("prot", Some("port")),
            ("Port", Some("port")),
            ("instanceCount", Some("instance_count")),
            ("instance_cuont", Some("instance_count")),
            ("servername", Some("server_name")),
            ("user", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(text, &words), word, "{text}");
        }
    }
}
