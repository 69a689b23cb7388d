//! The text format of Prometheus, version 0.0.4: families of samples, one line each.
//!
//! It knows how a line is written and nothing of what is measured.

use std::fmt::{Display, Write};

/// A page under construction.
#[derive(Default)]
pub(super) struct Exposition {
    text: String,
}

/// What a family of samples is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, as long as the daemon lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bounds, with their sum.
    Histogram,
}

/// All samples of one name; they stand together.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// Names with values.
pub(super) type Labels<'a> = [(&'static str, &'a str)];

impl Exposition {
    /// Begins a family. Each name once.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        push(&mut self.text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { text: &mut self.text, name }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub(super) fn add(&mut self, labels: &Labels<'_>, value: impl Display) {
        self.line("", labels, None, value);
    }

    /// Adds a histogram: for each upper bound how many were not above it, how many there are, and
    /// their sum.
    pub(super) fn histogram(
        &mut self,
        labels: &Labels<'_>,
        buckets: &[(f64, u64)],
        count: u64,
        sum: f64,
    ) {
        for (bound, below) in buckets {
            self.line("_bucket", labels, Some(&bound.to_string()), below);
        }
        self.line("_bucket", labels, Some("+Inf"), count);
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &Labels<'_>,
        bound: Option<&str>,
        value: impl Display,
    ) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let labels = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (name, value) in labels {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(self.text, value);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        push(self.text, format_args!(" {value}\n"));
    }
}

fn escape(text: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_the_format_says() {
        let mut page = Exposition::default();
        page.family("up", Kind::Gauge, "Whether it is up.").add(&[], 1);
        let mut family = page.family("took_seconds", Kind::Histogram, "How long it took.");
        family.histogram(&[("service", "a\\\"\n")], &[(0.5, 1), (1.0, 3)], 4, 7.25);
        let expected = "\
# HELP up Whether it is up.
# TYPE up gauge
up 1
# HELP took_seconds How long it took.
# TYPE took_seconds histogram
took_seconds_bucket{service=\"a\\\\\\\"\\n\",le=\"0.5\"} 1
took_seconds_bucket{service=\"a\\\\\\\"\\n\",le=\"1\"} 3
took_seconds_bucket{service=\"a\\\\\\\"\\n\",le=\"+Inf\"} 4
took_seconds_sum{service=\"a\\\\\\\"\\n\"} 7.25
took_seconds_count{service=\"a\\\\\\\"\\n\"} 4
";
        assert_eq!(page.into_text(), expected);
    }
}
