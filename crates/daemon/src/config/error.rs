//! What is wrong with a configuration, told to the operator who wrote it.
//!
//! Every [`Problem`] says what was found, where, what is allowed, and, where that is not the same,
//! what to do. Nobody acts on a single problem, so it is text and places rather than variants.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// Everything that is wrong with a configuration, in the order of its files; never empty.
///
/// Displays without colour.
#[derive(Clone, Debug)]
pub struct ConfigErrors(Vec<Problem>);

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    message: String,
    place: Place,
    help: Option<String>,
}

/// Whether a message may hold terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// With ANSI sequences.
    Always,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct Source {
    /// Absolute.
    pub(super) path: PathBuf,
    /// Without byte order mark, with `\n` at the end of lines.
    pub(super) text: String,
    /// The text that is meant is gone, although what it said still counts; `text` is empty.
    pub(super) is_former: bool,
}

/// A place in a file.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) source: Arc<Source>,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug)]
enum Place {
    /// A file as a whole, or a folder.
    File(PathBuf),
    /// Marked lines; the first is where the problem is, the others explain it.
    Lines(Vec<(Site, String)>),
}

impl ConfigErrors {
    /// None if there is no problem.
    pub(super) fn new(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// Every problem, in the order of the files.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }

    /// All problems as they are shown to the operator.
    pub fn render(&self, colour: Colour) -> String {
        let problems: Vec<_> = self.0.iter().map(|problem| problem.render(colour)).collect();
        problems.join("\n\n")
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::Never))
    }
}

impl std::error::Error for ConfigErrors {}

impl Problem {
    /// The file that has to be changed; the folder of services if that is missing.
    pub fn file(&self) -> &Path {
        match &self.place {
            Place::File(path) => path,
            Place::Lines(marks) => &marks[0].0.source.path,
        }
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How far into its file it is.
    pub(super) fn offset(&self) -> usize {
        match &self.place {
            Place::File(_) => 0,
            Place::Lines(marks) => marks[0].0.span.start,
        }
    }

    /// The files that have to do with it; the first is the one to be changed.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let (whole, marks) = match &self.place {
            Place::File(path) => (Some(path), &[][..]),
            Place::Lines(marks) => (None, &marks[..]),
        };
        let marked = marks.iter().map(|(site, _)| &site.source.path);
        whole.into_iter().chain(marked).map(PathBuf::as_path)
    }

    /// A problem of the marked text; `allowed` stands right below it.
    pub(super) fn at(site: &Site, message: impl AsRef<str>, allowed: impl AsRef<str>) -> Self {
        let marks = vec![(site.clone(), printable(allowed.as_ref()))];
        Self { message: printable(message.as_ref()), place: Place::Lines(marks), help: None }
    }

    /// A problem of a whole file.
    pub(super) fn of_file(path: &Path, message: impl AsRef<str>) -> Self {
        let place = Place::File(path.to_owned());
        Self { message: printable(message.as_ref()), place, help: None }
    }

    /// Marks another place that explains the problem.
    pub(super) fn see(mut self, site: &Site, label: impl AsRef<str>) -> Self {
        if let Place::Lines(marks) = &mut self.place {
            marks.push((site.clone(), printable(label.as_ref())));
        }
        self
    }

    /// The same, shown in `file` if that has to do with it.
    pub(super) fn shown_in(mut self, file: &Path) -> Self {
        if let Place::Lines(marks) = &mut self.place
            && let Some(index) = marks.iter().position(|(site, _)| site.source.path == file)
        {
            marks[..=index].rotate_right(1);
        }
        self
    }

    /// Says what to do.
    pub(super) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(printable(help.as_ref()));
        self
    }

    /// What files said that no longer say it.
    fn former(&self) -> Vec<String> {
        let Place::Lines(marks) = &self.place else { return Vec::new() };
        let former = marks.iter().filter(|(site, _)| site.source.is_former);
        let told = former.map(|(site, label)| {
            let file = printable(&site.source.path.to_string_lossy());
            format!("{file} counts as it was before: {label}")
        });
        told.collect()
    }

    fn render(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Never => Renderer::plain(),
            Colour::Always => Renderer::styled(),
        };
        let title = Level::ERROR.primary_title(&self.message);
        let group = match &self.place {
            Place::File(path) => title.element(Origin::path(printable(&path.to_string_lossy()))),
            Place::Lines(marks) => title.elements(snippets(marks)),
        };
        let former = self.former();
        let former = former.iter().map(|note| Level::NOTE.message(note));
        let help = self.help.iter().map(|help| Level::HELP.message(help));
        let group: Group<'_> = group.elements(former).elements(help);
        renderer.render(&[group])
    }
}

/// One snippet per file, in the order of the marks.
fn snippets(marks: &[(Site, String)]) -> Vec<Snippet<'_, annotate_snippets::Annotation<'_>>> {
    let mut files: Vec<&Arc<Source>> = Vec::new();
    for (site, _) in marks.iter().filter(|(site, _)| !site.source.is_former) {
        if !files.iter().any(|file| Arc::ptr_eq(file, &site.source)) {
            files.push(&site.source);
        }
    }
    let snippet = |file: &Arc<Source>| {
        let kinds = std::iter::once(AnnotationKind::Primary)
            .chain(std::iter::repeat(AnnotationKind::Context));
        let of_file =
            marks.iter().zip(kinds).filter(|((site, _), _)| Arc::ptr_eq(file, &site.source));
        let notes = of_file.map(|((site, label), kind)| kind.span(site.first_line()).label(label));
        Snippet::source(without_c1(&file.text))
            .path(printable(&file.path.to_string_lossy()))
            .annotations(notes)
    };
    files.into_iter().map(snippet).collect()
}

impl Site {
    /// A place in what `path` said before.
    pub(super) fn former(path: &Path) -> Self {
        let source = Source { path: path.to_owned(), text: String::new(), is_former: true };
        Self { source: Arc::new(source), span: 0..0 }
    }

    /// The marked bytes as far as the end of their line, so that a block of text is marked once.
    fn first_line(&self) -> Range<usize> {
        let marked = &self.source.text[self.span.clone()];
        self.span.start..self.span.start + marked.find('\n').unwrap_or(marked.len())
    }
}

/// The text of a file with the control characters U+0080 to U+009F made harmless.
///
/// The renderer replaces all others, but not these, which some terminals obey. The replacement has
/// as many bytes, so every place stays where it is.
fn without_c1(text: &str) -> String {
    text.replace(|c| ('\u{80}'..='\u{9f}').contains(&c), "·")
}

/// `text` in one line that does nothing to a terminal.
pub(super) fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_text_direction(c) {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Characters that make the rest of a line read differently from what it says.
fn is_text_direction(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
