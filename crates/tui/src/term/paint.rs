//! Paints the model: what differs from the frame before, in one write, and nothing if nothing does.

use std::io::{self, Write};

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::out::Out;
use crate::model::Model;
use crate::runtime::View;

/// Resets the style and clears the screen.
const CLEAR: &[u8] = b"\x1b[0m\x1b[2J";

/// The terminal shows nothing of what follows before its end.
const BEGIN: &[u8] = b"\x1b[?2026h";
/// The end.
const END: &[u8] = b"\x1b[?2026l";

/// Keeps what is on the screen.
pub struct Painter<W: Write> {
    view: View,
    backend: CrosstermBackend<Out<W>>,
    shown: Buffer,
    next: Buffer,
    /// What is on the screen is not what we think.
    stale: bool,
    /// The terminal takes marks around a frame.
    synchronized: bool,
    /// What has to be sent before the next frame.
    ahead: Vec<u8>,
    /// How often the view was drawn.
    draws: u64,
}

impl<W: Write> Painter<W> {
    /// Paints what `view` draws to `to`, whose content is unknown.
    pub fn new(view: View, to: W) -> Self {
        let empty = Buffer::empty(Rect::ZERO);
        Self {
            view,
            backend: CrosstermBackend::new(Out::new(to)),
            shown: empty.clone(),
            next: empty,
            stale: true,
            synchronized: false,
            ahead: Vec::new(),
            draws: 0,
        }
    }

    /// Marks the beginning and the end of each frame from now on.
    pub const fn synchronize(&mut self) {
        self.synchronized = true;
    }

    /// Sends `bytes` in the same write as the next frame, before it.
    pub fn send_ahead(&mut self, bytes: &[u8]) {
        self.ahead.extend_from_slice(bytes);
    }

    /// The next frame is painted whole.
    pub const fn forget(&mut self) {
        self.stale = true;
    }

    /// What is on the screen, or on its way there.
    pub const fn shown(&self) -> &Buffer {
        &self.shown
    }

    /// How often the view was drawn.
    pub const fn draws(&self) -> u64 {
        self.draws
    }

    /// Paints `model`, and says whether there was anything to send.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn paint(&mut self, model: &Model) -> io::Result<bool> {
        let (width, height) = model.size;
        let area = Rect::new(0, 0, width, height);
        self.next.resize(area);
        self.next.reset();
        (self.view)(model, area, &mut self.next);
        self.draws += 1;
        let anew = self.stale || self.shown.area != area;
        if anew {
            self.stale = false;
            self.shown = Buffer::empty(area);
        }
        let collected = self.collect(anew)?;
        std::mem::swap(&mut self.shown, &mut self.next);
        io::Write::flush(&mut self.backend)?;
        Ok(collected)
    }

    /// Collects what has to be sent, and says whether there is anything.
    fn collect(&mut self, anew: bool) -> io::Result<bool> {
        let ahead = std::mem::take(&mut self.ahead);
        self.backend.write_all(&ahead)?;
        let changes = self.shown.diff(&self.next);
        if !anew && changes.is_empty() {
            return Ok(!ahead.is_empty());
        }
        let (begin, end) = if self.synchronized { (BEGIN, END) } else { (&[][..], &[][..]) };
        self.backend.write_all(begin)?;
        if anew {
            self.backend.write_all(CLEAR)?;
        }
        if !changes.is_empty() {
            self.backend.draw(changes.into_iter())?;
        }
        self.backend.write_all(end)?;
        Ok(true)
    }
}
