//! A picture that is held still: as it was, with what must be known all the same in front of it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Width, header, hints, tiny, width_of};
use crate::model::{Frozen, Model};
use crate::widgets::Canvas;

/// Draws the picture, the keys that work now, and whether the daemon is still there.
pub fn draw(model: &Model, frozen: &Frozen, area: Rect, buffer: &mut Buffer) {
    for position in area.intersection(frozen.picture.area).positions() {
        buffer[position] = frozen.picture[position].clone();
    }
    let mut canvas = Canvas::new(buffer, model.look);
    let width = width_of(area);
    if width == Width::Line {
        return;
    }
    if !model.is_live() {
        canvas.clear(Rect { height: 1, ..area });
        match width {
            Width::Line | Width::Narrow => tiny::header(model, &mut canvas, area),
            Width::Normal | Width::Wide => header::identity(model, &mut canvas.pen(area, 0)),
        }
    }
    let below = if model.toast.is_some() && width != Width::Narrow { 2 } else { 1 };
    let y = area.bottom().saturating_sub(below);
    canvas.clear(Rect { y, height: below, ..area });
    hints::draw(model, &mut canvas, area, width);
}
