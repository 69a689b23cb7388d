//! A page of metrics, read as strictly as `promtool check metrics` does.

use std::collections::{BTreeMap, BTreeSet};

/// Samples by name and labels.
#[derive(Debug, Default)]
pub struct Page {
    samples: BTreeMap<Series, f64>,
}

/// The name of a sample and its labels, in the order of their names.
pub type Series = (String, BTreeMap<String, String>);

/// The family whose samples are being read.
#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: String,
}

impl Page {
    /// Reads a page.
    ///
    /// # Panics
    /// Where it is not what the text format 0.0.4 and the conventions of names ask for.
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let (mut page, mut seen, mut family) =
            (Self::default(), BTreeSet::new(), Family::default());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = Family::begin(help, lines.next().unwrap_or_default());
                assert!(seen.insert(family.name.clone()), "{} comes twice", family.name);
            } else {
                let (series, value) = sample(line);
                family.check(&series, value);
                assert!(page.samples.insert(series, value).is_none(), "given twice: {line}");
            }
        }
        page.check_histograms();
        page
    }

    /// The value of the sample with exactly these labels.
    ///
    /// # Panics
    /// When there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let found = self.samples.get(&(name.to_owned(), wanted));
        *found.unwrap_or_else(|| panic!("no {name} with {labels:?} in {self:#?}"))
    }

    /// The sum of all samples of that name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| of.get(*name).is_some_and(|found| found == value))
        };
        let samples = self.samples.iter().filter(|((found, of), _)| found == name && has(of));
        samples.map(|(_, value)| value).sum()
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Counts grow with their bounds, and the last one is the number of all.
    fn check_histograms(&self) {
        let mut all: BTreeMap<Series, Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), count) in &self.samples {
            let Some(name) = name.strip_suffix("_bucket") else { continue };
            let mut labels = labels.clone();
            let bound = labels.remove("le").expect("a bucket has a bound");
            // `+Inf` is a number, too.
            let bound = bound.parse().expect("a bound is a number");
            all.entry((name.to_owned(), labels)).or_default().push((bound, *count));
        }
        for (series, buckets) in &mut all {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{series:?}: {buckets:?}");
            let (name, labels) = series;
            let count = self.samples.get(&(format!("{name}_count"), labels.clone()));
            let last = buckets.last().filter(|(bound, _)| bound.is_infinite());
            assert_eq!(last.map(|(_, count)| count), count, "{series:?}");
            assert!(self.samples.contains_key(&(format!("{name}_sum"), labels.clone())));
        }
    }
}

impl Family {
    fn begin(help: &str, kind: &str) -> Self {
        let (name, help) = help.split_once(' ').expect("a help text");
        assert!(!help.is_empty() && !help.contains(['\\', '\n']), "{name}: {help}");
        let kind = kind.strip_prefix("# TYPE ").and_then(|kind| kind.strip_prefix(name));
        let kind = kind.and_then(|kind| kind.strip_prefix(' ')).expect("the type follows the help");
        assert!(["counter", "gauge", "histogram"].contains(&kind), "{name}: {kind}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        let reserved = ["_count", "_sum", "_bucket", "_info"];
        let is_reserved = reserved.iter().any(|end| name.ends_with(end));
        assert!(!is_reserved || name.ends_with("_build_info"), "{name}");
        Self { name: name.to_owned(), kind: kind.to_owned() }
    }

    fn check(&self, (name, _): &Series, value: f64) {
        let rest = name.strip_prefix(&self.name);
        let allowed: &[&str] =
            if self.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        let is_ours = rest.is_some_and(|rest| allowed.contains(&rest));
        assert!(is_ours, "{name} stands among the samples of {}", self.name);
        assert!(self.kind == "gauge" || value >= 0.0, "{name} is {value}");
    }
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> (Series, f64) {
    let is_word = |word: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(is_letter)
    };
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no sample: {line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_word(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            let (value, after) = quoted(after);
            assert!(is_word(label) && labels.insert(label.to_owned(), value).is_none(), "{line}");
            if let Some(next) = after.strip_prefix(',') {
                rest = next;
            } else {
                rest = after.strip_prefix('}').unwrap_or_else(|| panic!("{line}"));
                break;
            }
        }
    }
    let value = rest.strip_prefix(' ').and_then(|value| value.parse().ok());
    ((name.to_owned(), labels), value.unwrap_or_else(|| panic!("no number: {line}")))
}

/// What stands before the closing quote, and what after it.
fn quoted(text: &str) -> (String, &str) {
    let (mut value, mut letters) = (String::new(), text.chars());
    loop {
        match letters.next().expect("a closing quote") {
            '"' => return (value, letters.as_str()),
            '\\' => value.push(match letters.next() {
                Some('n') => '\n',
                Some(other @ ('\\' | '"')) => other,
                other => panic!("escaped: {other:?}"),
            }),
            other => value.push(other),
        }
    }
}
