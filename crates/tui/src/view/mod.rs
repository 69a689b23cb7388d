//! What is known, drawn: a pure function of the model. Never changes anything.

pub mod canary;
pub mod confirm;
pub mod consequences;
pub mod events;
pub mod frozen;
pub mod header;
pub mod help;
pub mod hints;
pub mod history;
pub mod instances;
pub mod logs;
pub mod overview;
pub mod page;
pub mod palette;
pub mod service;
pub mod steps;
pub mod tiny;
pub mod waits;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::snapshot::ServiceRow;

use crate::model::{Front, Model, Screen};
use crate::widgets::Canvas;

/// How much fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One line of text at most.
    Line,
    /// Names, pips and in flight.
    Narrow,
    /// The usual columns.
    Normal,
    /// All columns.
    Wide,
}

/// Frames of so many rows have room for a second pane.
const TALL: u16 = 36;

/// Frames of so many columns have the usual ones.
pub const NORMAL_FROM: u16 = 72;

/// The size class of a frame.
pub const fn width_of(area: Rect) -> Width {
    match (area.width, area.height) {
        (0..20, _) | (_, 0..5) => Width::Line,
        (20..NORMAL_FROM, _) => Width::Narrow,
        (NORMAL_FROM..110, _) => Width::Normal,
        (110.., _) => Width::Wide,
    }
}

/// Whether the overview shows the selected service below the list.
pub const fn has_peek(area: Rect) -> bool {
    area.height >= TALL && !matches!(width_of(area), Width::Line | Width::Narrow)
}

/// Whether the detail of a service is on the screen.
pub const fn shows_detail(model: &Model) -> bool {
    match (&model.front, &model.screen) {
        (Some(Front::Question(_)), _) | (None | Some(Front::Palette(_)), Screen::Service(_)) => {
            true
        }
        (Some(Front::Filter { .. }), Screen::Overview) => has_peek(area(model)),
        (Some(Front::Help { .. } | Front::Find(_) | Front::Filter { .. } | Front::Page(_)), _)
        | (None | Some(Front::Palette(_)), Screen::Events | Screen::Logs(_) | Screen::History(_)) => {
            false
        }
        (None | Some(Front::Palette(_)), Screen::Overview) => has_peek(area(model)),
    }
}

/// The services that can be clicked on, each with its row of the frame.
pub fn services_on_screen(model: &Model) -> Vec<(u16, ServiceName)> {
    if model.front.is_some() || model.screen != Screen::Overview {
        return Vec::new();
    }
    let area = area(model);
    let body = body(model, area);
    let named = |(row, service): (u16, &ServiceRow)| (row, service.name.clone());
    match width_of(area) {
        Width::Line => Vec::new(),
        Width::Narrow => tiny::services(model, body).map(named).collect(),
        Width::Normal | Width::Wide => overview::services(model, body).map(named).collect(),
    }
}

/// Whether a frame says what a command would be about: the row of the cursor, or the service that
/// fills the screen.
pub fn shows_target(model: &Model) -> bool {
    let area = area(model);
    match (width_of(area), &model.screen) {
        (Width::Line, _) => false,
        (width, Screen::Overview) => overview::rows(body(model, area), width) > 0,
        (_, Screen::Service(_)) => true,
        (_, Screen::Events | Screen::Logs(_) | Screen::History(_)) => false,
    }
}

/// Whether a frame has room for a question.
pub const fn shows_question(model: &Model) -> bool {
    !matches!(width_of(area(model)), Width::Line)
}

const fn area(model: &Model) -> Rect {
    let (width, height) = model.size;
    Rect::new(0, 0, width, height)
}

/// Draws `model` into `area` of `buffer`, which is blank.
pub fn view(model: &Model, area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(buffer.area);
    if let Some(frozen) = &model.frozen {
        frozen::draw(model, frozen, area, buffer);
        return;
    }
    let mut canvas = Canvas::new(buffer, model.look);
    let width = width_of(area);
    if width == Width::Line {
        tiny::line(model, &mut canvas, area);
        return;
    }
    let body = frame(model, &mut canvas, area, width);
    screen(model, &mut canvas, body, width);
    match &model.front {
        Some(Front::Question(question)) => confirm::draw(model, question, &mut canvas, area),
        Some(Front::Palette(palette)) => palette::draw(palette, &mut canvas, area, width),
        Some(Front::Help { .. } | Front::Find(_) | Front::Filter { .. } | Front::Page(_))
        | None => {}
    }
}

/// Draws what every screen has, and says where the screen itself goes.
fn frame(model: &Model, canvas: &mut Canvas<'_>, area: Rect, width: Width) -> Rect {
    if width == Width::Narrow {
        tiny::header(model, canvas, area);
    } else {
        header::draw(model, canvas, area, width);
    }
    header::draw_problem(model, &mut canvas.pen(area, 2));
    hints::draw(model, canvas, area, width);
    body(model, area)
}

/// Where the screen itself goes.
pub fn body(model: &Model, area: Rect) -> Rect {
    // The row above the hints belongs to toasts; a narrow frame has none to spare.
    let below = if width_of(area) == Width::Narrow { 1 } else { 2 };
    let above = if header::problem(model).is_some() { 3 } else { 2 };
    Rect { y: area.y + above, height: area.height.saturating_sub(above + below), ..area }
}

/// Draws the screen, faded when it shows what was and may no longer be.
fn screen(model: &Model, canvas: &mut Canvas<'_>, body: Rect, width: Width) {
    if let Some(Front::Help(help)) = &model.front {
        help::draw(model, help, canvas, body);
        return;
    }
    if let Some(Front::Page(page)) = &model.front {
        page::draw(page, canvas, body);
        return;
    }
    let mut faded = canvas.faded();
    let canvas = if model.is_live() { &mut faded.with(model.look) } else { &mut faded };
    match &model.screen {
        Screen::Overview if width == Width::Narrow => tiny::overview(model, canvas, body),
        Screen::Overview => overview::draw(model, canvas, body, width),
        Screen::Service(name) => service::draw(model, name, canvas, body, width),
        Screen::Events => events::draw(model, canvas, body, width),
        Screen::History(service) => {
            history::draw(model, service.as_ref(), canvas, body, width);
        }
        Screen::Logs(name) => logs::draw(model, name, canvas, body, width),
    }
    if !model.is_live() {
        let row = age_row(model, body, width);
        header::age(model, &mut canvas.with(model.look).pen(row, 0));
    }
}

/// Where the age of the data is shown: in the row of the toasts, or above it, so that it stays clear
/// what the screen is about. A narrow frame has no such row.
fn age_row(model: &Model, body: Rect, width: Width) -> Rect {
    let y = match width {
        Width::Line | Width::Narrow => body.y,
        Width::Normal | Width::Wide if hints::has_line(model, width) => {
            body.bottom().saturating_sub(1)
        }
        Width::Normal | Width::Wide => body.bottom(),
    };
    Rect { y, height: 1, ..body }
}
