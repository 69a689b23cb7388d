//! Where words go: answers to stdout, all else to stderr. The only module that writes to either.

pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod plain;
pub(crate) mod text;

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};

use super::args::Color;
use super::exit::Exit;
use super::problem::Problem;
use crate::fmt::fit;
use crate::style::Glyphs;
use crate::term::caps::{self, GlyphChoice};
use crate::words::reason;

/// The three streams of the process, as far as a verb needs them.
pub(crate) struct Out {
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    /// The same stdout, for bytes that are not ours to change.
    lossless: Box<dyn Write + Send>,
    /// Which of them are terminals.
    pub(crate) terminals: Terminals,
    /// What stderr and stdout can show.
    pub(crate) glyphs: &'static Glyphs,
    /// Say nothing on stderr but errors.
    quiet: bool,
    /// Errors are JSON objects.
    json: bool,
    /// A drawn line stands on stderr, without an end.
    open_line: bool,
}

/// Which streams are terminals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terminals {
    /// Somebody can answer a question.
    pub(crate) stdin: bool,
    /// A table can be drawn again in its place.
    pub(crate) stdout: bool,
    /// A progress line can be drawn again in its place.
    pub(crate) stderr: bool,
}

impl Out {
    /// The streams of this process.
    pub(crate) fn of_this_process(color: Color, quiet: bool, json: bool) -> Self {
        // One that cannot move its cursor is no better than a file, except for answers.
        let moves = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let terminals = Terminals {
            stdin: io::stdin().is_terminal(),
            stdout: moves && io::stdout().is_terminal(),
            stderr: moves && io::stderr().is_terminal(),
        };
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let (for_stdout, for_stderr) = (choice(color, &stdout), choice(color, &stderr));
        Self {
            stdout: Box::new(AutoStream::new(stdout, for_stdout)),
            stderr: Box::new(AutoStream::new(stderr, for_stderr)),
            lossless: Box::new(io::stdout()),
            terminals,
            glyphs: caps::look(GlyphChoice::Auto, |name| std::env::var(name).ok()).glyphs,
            quiet,
            json,
            open_line: false,
        }
    }

    /// Streams of a test: no terminals, Unicode.
    #[cfg(test)]
    pub(crate) fn captured(
        stdout: impl Write + Send + Clone + 'static,
        stderr: impl Write + Send + 'static,
        json: bool,
    ) -> Self {
        Self {
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(stderr),
            lossless: Box::new(stdout),
            terminals: Terminals::default(),
            glyphs: &crate::style::glyphs::UNICODE,
            quiet: false,
            json,
            open_line: false,
        }
    }

    /// The answer, or a piece of it: to stdout, with a line end.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) fn answer(&mut self, text: &str) -> Result<(), Problem> {
        self.end_line();
        let text = text.strip_suffix('\n').unwrap_or(text);
        let written = writeln!(self.stdout, "{text}").and_then(|()| self.stdout.flush());
        written.map_err(|error| unwritten(&error))
    }

    /// Bytes of others, to stdout: nothing is added, and nothing is taken away.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.end_line();
        let written = self.lossless.write_all(bytes).and_then(|()| self.lossless.flush());
        written.map_err(|error| unwritten(&error))
    }

    /// The answer for programs, when they asked for it.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) fn object(
        &mut self,
        wanted: bool,
        object: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        if wanted { self.answer(&object()) } else { Ok(()) }
    }

    /// Something to know: to stderr, unless quiet. With JSON too, since stderr is for people
    /// unless there is an error.
    pub(crate) fn note(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        self.end_line();
        self.complain(text);
    }

    /// What went wrong: to stderr, in words or as JSON.
    pub(crate) fn error(&mut self, problem: &Problem) {
        if problem.explained.what.is_empty() {
            return;
        }
        self.end_line();
        let text = if self.json { json::problem(problem) } else { human::problem(problem) };
        self.complain(&text);
    }

    /// Draws a line on stderr that the next one replaces. Only for terminals.
    pub(crate) fn draw_line(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        let line = fit(text, columns());
        control(io::stderr(), &format!("\r{line}\x1b[K"));
        self.open_line = true;
    }

    /// Empties the screen. Only for terminals.
    pub(crate) fn clear_screen(&mut self) {
        control(io::stdout(), "\x1b[H\x1b[J");
    }

    /// Asks on the terminal; anything but a yes is a no.
    pub(crate) fn confirm(&mut self, question: &str) -> bool {
        self.end_line();
        let _ = write!(self.stderr, "{question} [y/N] ").and_then(|()| self.stderr.flush());
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer).is_err() {
            return false;
        }
        matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }

    fn complain(&mut self, text: &str) {
        // Nobody can be told that stderr is gone.
        let _ = writeln!(self.stderr, "{text}").and_then(|()| self.stderr.flush());
    }

    /// Takes a drawn line away again.
    pub(crate) fn end_line(&mut self) {
        if std::mem::take(&mut self.open_line) {
            control(io::stderr(), "\r\x1b[K");
        }
    }
}

fn unwritten(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Problem::reader_gone(),
        _ => Problem::new(Exit::Failed, format!("could not write: {}", reason(error))),
    }
}

/// Moves the cursor, which has to work without colour too: past the stream that strips colour.
fn control(mut stream: impl Write, sequence: &str) {
    // Nobody can be told that the terminal is gone.
    let _ = stream.write_all(sequence.as_bytes()).and_then(|()| stream.flush());
}

/// The width of the terminal on stderr, less the last column, in which some terminals wrap.
fn columns() -> usize {
    const USUAL: usize = 80;
    let size = rustix::termios::tcgetwinsize(io::stderr());
    let columns = size.map(|size| usize::from(size.ws_col)).ok().filter(|columns| *columns > 0);
    columns.unwrap_or(USUAL) - 1
}

/// Flags and the tool's own variable were read by clap; the rest of the order is anstream's.
fn choice(color: Color, stream: &impl anstream::stream::RawStream) -> ColorChoice {
    match color {
        Color::Auto => AutoStream::choice(stream),
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
}
