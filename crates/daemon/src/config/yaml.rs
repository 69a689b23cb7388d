//! YAML text to a tree whose nodes know where they stand.
//!
//! The only file that names the YAML library. It reads any document within tight bounds; what keys
//! and types are allowed is not its business. A scalar stays text: the key it belongs to decides
//! whether `8085` is a port or a name, so `version: 1.10` keeps its zero.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{Error, Options, Spanned};

/// A value and the bytes it takes in the text.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Range<usize>,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Empty,
    /// Text, a number, `true` or `false`: as written, without quotes.
    Scalar(String),
    List(Vec<Node>),
    /// Pairs in the order of the text; a key may come twice.
    Map(Vec<(Node, Node)>),
}

/// Why a text is no YAML that we read.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) message: String,
    /// Where, in bytes of the text.
    pub(super) at: usize,
    pub(super) help: &'static str,
}

/// Reads `text`, which has neither a byte order mark nor carriage returns.
pub(super) fn parse(text: &str) -> Result<Node, Flaw> {
    if text.trim().is_empty() {
        return Ok(Node { value: Value::Empty, span: 0..0 });
    }
    match serde_yaml::from_str_with_options::<Spanned<Tree>>(text, options()) {
        Ok(tree) => Ok(tree.value.into_node(text, &tree.referenced, &tree.defined)),
        Err(error) => Err(flaw(text, &error)),
    }
}

/// Far more than any configuration needs, far less than hurts.
fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_events: 50_000,
            max_nodes: 20_000,
            max_depth: 16,
            // One is read; the second gets a message of its own.
            max_documents: 2,
            max_anchors: 100,
            max_aliases: 100,
            max_total_scalar_bytes: 1024 * 1024,
        },
        alias_limits: alias_limits(),
        // Reported by us, with both places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn alias_limits() -> serde_yaml::options::AliasLimits {
    let mut limits = serde_yaml::options::AliasLimits::default();
    limits.max_total_replayed_events = 5_000;
    limits.max_replay_stack_depth = 8;
    limits
}

fn flaw(text: &str, error: &Error) -> Flaw {
    let error = error.without_snippet();
    let at = error.location().map_or(0, |location| byte_offset(text, location));
    if let Some(at) = tab_before(text, at) {
        return Flaw {
            message: "a tab indents this line".into(),
            at,
            help: "YAML allows only spaces at the beginning of a line",
        };
    }
    let (message, help) = match behind_alias(error) {
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            "the file is larger than any configuration".to_owned(),
            "it has too many entries, levels or references (`&name`, `*name`)",
        ),
        Error::MultipleDocuments { .. } => (
            "the file holds more than one document".to_owned(),
            "remove the line `---`, or write one file per service",
        ),
        Error::MergeKeyNotAllowed { .. } => {
            ("a merge key (`<<`) is used".to_owned(), "write the keys out")
        }
        Error::UnknownAnchor { .. } => (
            "a reference (`*name`) has no anchor (`&name`)".to_owned(),
            "put a text that begins with `*` in quotes: `\"*.example.com\"`",
        ),
        other => (
            format!("the file is not YAML: {}", first_line(other)),
            "look for a missing quote or bracket, a wrong indent, or `: ` in a text without quotes",
        ),
    };
    Flaw { message, at, help }
}

/// An error in a text that a reference repeats, without the reference.
fn behind_alias(error: &Error) -> &Error {
    match error {
        Error::AliasError { error, .. } => error.without_snippet(),
        error => error,
    }
}

/// The library's own words, without the place that it appends.
fn first_line(error: &Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let end = line.rfind(" at line ").or_else(|| line.rfind(" (line ")).unwrap_or(line.len());
    line[..end].trim_end_matches([':', ',', ' ']).to_owned()
}

/// The tab that indents the line of `at` or the one before, where the scanner noticed it.
fn tab_before(text: &str, at: usize) -> Option<usize> {
    let line = line_start(text, at);
    let previous = line_start(text, line.saturating_sub(1));
    [line, previous].into_iter().find_map(|start| {
        let indent = text[start..].find(|c| c != ' ' && c != '\t')?;
        text[start..start + indent].find('\t').map(|tab| start + tab)
    })
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Scanner errors carry a line and a column in characters, and no bytes.
fn byte_offset(text: &str, location: serde_yaml::Location) -> usize {
    if let Some(offset) = location.span().byte_offset() {
        return to_boundary(text, offset);
    }
    let line = usize::try_from(location.line().saturating_sub(1)).unwrap_or(0);
    let column = usize::try_from(location.column().saturating_sub(1)).unwrap_or(0);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text[start..].lines().next().unwrap_or_default();
    start + rest.char_indices().nth(column).map_or(rest.len(), |(index, _)| index)
}

fn span(text: &str, location: &serde_yaml::Location) -> Range<usize> {
    let start = byte_offset(text, *location);
    let length = location.span().byte_len().unwrap_or(0);
    start..to_boundary(text, start as u64 + length).max(start)
}

fn to_boundary(text: &str, offset: u64) -> usize {
    text.floor_char_boundary(usize::try_from(offset).unwrap_or(usize::MAX).min(text.len()))
}

/// What serde sees, before the text of the plain scalars is put back.
enum Tree {
    Empty,
    /// Read as a number or a boolean; its text is in the file.
    Plain,
    Text(String),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<Tree>, Spanned<Tree>)>),
}

impl Tree {
    fn into_node(
        self,
        text: &str,
        referenced: &serde_yaml::Location,
        defined: &serde_yaml::Location,
    ) -> Node {
        let node =
            |tree: Spanned<Self>| tree.value.into_node(text, &tree.referenced, &tree.defined);
        let value = match self {
            Self::Empty => Value::Empty,
            Self::Plain => Value::Scalar(text[span(text, defined)].trim().to_owned()),
            Self::Text(text) => Value::Scalar(text),
            Self::List(items) => Value::List(items.into_iter().map(node).collect()),
            Self::Map(pairs) => {
                Value::Map(pairs.into_iter().map(|(key, value)| (node(key), node(value))).collect())
            }
        };
        Node { value, span: span(text, referenced) }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Empty)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Empty)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Tree::Map(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_text_and_every_node_its_place() {
        let text = "version: 1.10\nport:  8085 # ours\nnames: [a, \"b c\"]\nflag: true\n";
        let Value::Map(pairs) = parse(text).unwrap().value else { panic!("a map") };
        let at = |node: &Node| text[node.span.clone()].to_owned();
        let seen: Vec<_> = pairs.iter().map(|(key, value)| (at(key), at(value))).collect();
        assert_eq!(seen[0], ("version".into(), "1.10".into()));
        assert_eq!(seen[1], ("port".into(), "8085".into()));
        assert_eq!(seen[3], ("flag".into(), "true".into()));
        let Value::List(names) = &pairs[2].1.value else { panic!("a list") };
        assert_eq!(at(&names[1]), "\"b c\"");
        assert!(matches!(&names[1].value, Value::Scalar(name) if name == "b c"));
        assert!(matches!(&pairs[0].1.value, Value::Scalar(version) if version == "1.10"));
    }

    #[test]
    fn an_alias_has_the_value_of_its_anchor_and_a_place_of_its_own() {
        let text = "a: &port 8085\nb: *port\n";
        let Value::Map(pairs) = parse(text).unwrap().value else { panic!("a map") };
        assert!(matches!(&pairs[1].1.value, Value::Scalar(port) if port == "8085"));
        assert_eq!(&text[pairs[1].1.span.clone()], "*port");
    }

    #[test]
    fn arbitrary_text_never_panics() {
        for text in ["", "\u{0}", "a: [", "\"", "é: é: é", "- \t- x", "? [a]\n: b", "a: |\n  é\n b"]
        {
            let _ = parse(text);
        }
    }
}
