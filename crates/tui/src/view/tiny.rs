//! Frames that are too narrow for columns: names, pips, in flight, and one note; or a single line.

use ratatui::layout::Rect;
use smoothserve_protocol::snapshot::{ServiceRow, ServiceState};

use super::{header, overview};
use crate::fmt::{count, rate};
use crate::model::Model;
use crate::model::list::Column;
use crate::style::Role;
use crate::widgets::pips::pips;
use crate::widgets::rule::rule;
use crate::widgets::{Canvas, Pen};
use crate::words::service_state;

/// Everything in one line: `21/23 lost 0 api 2/4`.
pub fn line(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let mut pen = canvas.pen(area, 0);
    let Some(daemon) = &model.world.daemon else {
        let (_, text, role) = header::state(model);
        pen.say(&text, role);
        return;
    };
    let (lost, role) = header::lost_figure(model);
    pen.say(&format!("{}/{} ", daemon.ready, daemon.wanted), Role::Plain);
    pen.say(&format!("lost {lost}"), role);
    for row in model.world.rows() {
        let Some(operation) = &row.operation else { continue };
        pen.say(&format!(" {} {}/{}", row.name, operation.done, operation.of), Role::Moving);
    }
}

/// The two lines on top.
pub fn header(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let place = header::place(model);
    let host = place.split(':').next().unwrap_or_default();
    let (mark, text, role) = header::state(model);
    let clock = model.clock.text(model.clock.unix_ms());
    let mut pen = canvas.pen(area, 0);
    pen.to(1).say(host, Role::Strong).skip(2).say(mark, role).skip(1).say(&text, role);
    pen.ending(1, &clock, Role::Quiet);

    let (lost, role) = header::lost_figure(model);
    let mut pen = canvas.pen(area, 1);
    pen.to(1);
    if let Some(daemon) = &model.world.daemon {
        let traffic = &daemon.traffic;
        pen.say(&format!("{}/{}   ", daemon.ready, daemon.wanted), Role::Plain);
        pen.say(&format!("{}/s   ", rate(traffic.milli_rps)), Role::Plain);
        pen.say(&format!("{} in flight   ", count(traffic.in_flight)), Role::Plain);
    }
    pen.say(&format!("lost {lost}"), role);
}

/// The list of services.
pub fn overview(model: &Model, canvas: &mut Canvas<'_>, body: Rect) {
    let list = &model.list;
    let plain = list.filter().is_empty() && list.marks() == 0 && list.column() == Column::State;
    let heading = if plain { String::new() } else { overview::counts(model) };
    let note = match list.filter().text().trim() {
        _ if plain => String::new(),
        "" => list.order(),
        text => format!("/ {text}"),
    };
    rule(&mut canvas.pen(body, 0), &heading, &note);
    if let Some(text) = overview::absence(model) {
        canvas.pen(body, 1).to(1).say(text, Role::Quiet);
    }
    for (line, service) in shown(model, body) {
        row(model, service, &mut canvas.pen(body, line));
    }
}

/// The services on the screen, each with its row.
pub fn services(model: &Model, body: Rect) -> impl Iterator<Item = (u16, &ServiceRow)> {
    shown(model, body).map(move |(line, service)| (body.y + line, service))
}

fn shown(model: &Model, body: Rect) -> impl Iterator<Item = (u16, &ServiceRow)> {
    (1..body.height).zip(overview::visible(model, body.height.saturating_sub(1)))
}

fn row(model: &Model, row: &ServiceRow, pen: &mut Pen<'_>) {
    let selected = model.selection.name() == Some(&row.name);
    let (mark, role) =
        if selected { (model.look.glyphs.cursor, Role::Strong) } else { (" ", Role::Plain) };
    pen.say(mark, role).left(12, row.name.as_str(), role);
    let marked = model.list.is_marked(&row.name);
    pen.left(1, if marked { overview::MARK } else { "" }, Role::Strong);
    pips(pen, &row.pips, 7);
    let off = row.state == ServiceState::Stopped && row.traffic.in_flight == 0;
    let in_flight = if off { "-".to_owned() } else { count(row.traffic.in_flight) };
    pen.right(5, &in_flight, Role::Plain).skip(2);
    let (note, role) = note(row);
    pen.say(&note, role);
}

fn note(row: &ServiceRow) -> (String, Role) {
    if let Some(operation) = &row.operation {
        return (format!("{} of {}", operation.done, operation.of), Role::Moving);
    }
    let role = Role::of_service(row.state);
    match row.state {
        // The pips say so.
        ServiceState::Ready | ServiceState::Stopped => (String::new(), role),
        _ => (service_state(row.state).to_owned(), role),
    }
}
