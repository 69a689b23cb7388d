//! The list of services; on a tall frame, the selected one below it; the newest events.

use ratatui::layout::Rect;
use smoothserve_protocol::snapshot::{ServiceRow, ServiceState};

use super::{Width, events, service};
use crate::fmt::{age, count, latency, or_dash, rate, share};
use crate::model::Model;
use crate::model::list::Column;
use crate::model::series::Figure;
use crate::style::Role;
use crate::widgets::pips::pips;
use crate::widgets::rows::{columns as text_columns, window};
use crate::widgets::rule::rule;
use crate::widgets::spark::spark;
use crate::widgets::{Canvas, Pen};
use crate::words::{ready, service_state};

/// Rows of the pane that shows the selected service.
const PEEK: u16 = 13;
/// Fewer rows than this have no room for events.
const EVENTS_FROM: u16 = 14;

/// In front of a marked service; the same in every set of glyphs.
pub const MARK: &str = "*";

/// The widths of the columns.
struct Columns {
    name: u16,
    state: u16,
    pips: u16,
    rate: u16,
    latency: u16,
    errors: u16,
    /// The median, the last minute and the age of the state too.
    all: bool,
}

impl Columns {
    /// All of them, with what is in front.
    const fn total(&self) -> u16 {
        let Self { name, state, pips, rate, latency, errors, all } = self;
        let more = if *all { 1 + *latency + 22 } else { 0 };
        3 + *name + *state + *pips + 2 + 5 + 6 + *rate + *latency + *errors + more
    }
}

const NORMAL: Columns =
    Columns { name: 17, state: 12, pips: 9, rate: 7, latency: 7, errors: 6, all: false };
const WIDE: Columns =
    Columns { name: 20, state: 13, pips: 14, rate: 8, latency: 8, errors: 7, all: true };

/// How many services a frame has room for.
pub fn rows(body: Rect, width: Width) -> u16 {
    match width {
        Width::Line => 0,
        Width::Narrow => body.height.saturating_sub(1),
        Width::Normal | Width::Wide => parts(body)[0].height.saturating_sub(2),
    }
}

/// The list, the selected service, the events.
fn parts(body: Rect) -> [Rect; 3] {
    let tall = body.height + 4 >= super::TALL;
    let strip = match body.height {
        0..EVENTS_FROM => 0,
        _ if tall => 11,
        _ => 4,
    };
    let peek = if tall { PEEK } else { 0 };
    let list = Rect { height: body.height.saturating_sub(strip + peek), ..body };
    let below = Rect { y: list.bottom(), height: peek, ..body };
    let last = Rect { y: below.bottom(), height: strip, ..body };
    [list, below, last]
}

/// The services on the screen, each with its row.
pub fn services(model: &Model, body: Rect) -> impl Iterator<Item = (u16, &ServiceRow)> {
    let [list, ..] = parts(body);
    shown(model, list).map(move |(line, service)| (list.y + line, service))
}

/// The columns for all services in a frame: the names have what the others leave.
fn columns(model: &Model, width: Width, frame: u16) -> Columns {
    let mut columns = if width == Width::Wide { WIDE } else { NORMAL };
    let longest = model.world.rows().iter().map(|row| text_columns(row.name.as_str())).max();
    let spare = frame.saturating_sub(columns.total() + 1);
    let wanted = longest.map_or(0, |longest| longest + 1).saturating_sub(columns.name);
    columns.name += wanted.min(spare);
    columns
}

/// Draws the screen.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>, body: Rect, width: Width) {
    let [list, below, last] = parts(body);
    draw_list(model, canvas, list, &columns(model, width, list.width));
    if let (1.., Some(name)) = (below.height, model.selection.name()) {
        service::peek(model, name, canvas, below, width);
    }
    events::strip(model, canvas, last);
}

fn draw_list(model: &Model, canvas: &mut Canvas<'_>, area: Rect, columns: &Columns) {
    rule(&mut canvas.pen(area, 0), &format!("services {}", counts(model)), &order(model));
    head(&mut canvas.pen(area, 1), columns, model.list.column());
    if let Some(text) = absence(model) {
        canvas.pen(area, 2).to(3).say(text, Role::Quiet);
    }
    for (line, service) in shown(model, area) {
        row(model, service, &mut canvas.pen(area, line), columns);
    }
}

/// The services that are shown in `area`, each with the row it is in.
fn shown(model: &Model, area: Rect) -> impl Iterator<Item = (u16, &ServiceRow)> {
    (2..area.height).zip(visible(model, area.height.saturating_sub(2)))
}

/// How many services are shown, and how many are marked: `3 of 8   2 marked`.
pub fn counts(model: &Model) -> String {
    let (shown, all) = (model.list.shown().len(), model.world.rows().len());
    let shown =
        if model.list.filter().is_empty() { all.to_string() } else { format!("{shown} of {all}") };
    match (model.list.marks(), model.list.marked().count()) {
        (0, _) => shown,
        (marks, seen) if marks == seen => format!("{shown}   {marks} marked"),
        (marks, seen) => format!("{shown}   {seen} of {marks} marked"),
    }
}

/// The order, and what is let pass: `sort rps   / api`.
fn order(model: &Model) -> String {
    let order = model.list.order();
    match model.list.filter().text().trim() {
        "" => order,
        text => format!("{order}   / {text}"),
    }
}

/// Why there are no rows; none: there are some.
pub fn absence(model: &Model) -> Option<&'static str> {
    match &model.world.daemon {
        _ if !model.list.shown().is_empty() => None,
        None => Some("nothing heard from the daemon yet"),
        Some(_) if model.world.rows().is_empty() => Some("no service is configured"),
        Some(_) => Some("no service matches"),
    }
}

/// The services in sight when there is room for so many, the selected one among them.
pub fn visible(model: &Model, room: u16) -> impl Iterator<Item = &ServiceRow> {
    let (shown, room) = (model.list.shown(), usize::from(room));
    let first = window(shown.len(), room, model.selection.row());
    shown.iter().skip(first).take(room).filter_map(|name| model.world.row(name))
}

fn head(pen: &mut Pen<'_>, columns: &Columns, sorted: Column) {
    let quiet = Role::Quiet;
    pen.to(3).left(columns.name, "SERVICE", quiet).left(columns.state, "STATE", quiet);
    pen.left(columns.pips + 2, "INSTANCES", quiet).right(5, "READY", quiet);
    pen.right(if columns.all { 7 } else { 6 }, "INFLT", quiet).right(columns.rate, "RPS", quiet);
    if columns.all {
        pen.right(columns.latency, "P50", quiet);
    }
    let last = if sorted == Column::Lost { "LOST" } else { "ERR%" };
    pen.right(columns.latency, "P99", quiet).right(columns.errors, last, quiet);
    if columns.all {
        pen.skip(2).left(12, "LAST 60s", quiet).right(8, "SINCE", quiet);
    }
}

fn row(model: &Model, row: &ServiceRow, pen: &mut Pen<'_>, columns: &Columns) {
    let selected = model.selection.name() == Some(&row.name);
    let name = row.name.as_str();
    if model.list.is_marked(&row.name) {
        pen.say(MARK, Role::Strong);
    }
    if selected {
        pen.to(1).say(model.look.glyphs.cursor, Role::Strong);
    }
    if row.stale_config {
        // What runs is not what its file says.
        pen.to(2).say("!", Role::Bad);
    }
    pen.to(3).left(columns.name - 1, name, if selected { Role::Strong } else { Role::Plain });
    pen.skip(1).left(columns.state, service_state(row.state), Role::of_service(row.state));
    pips(pen, &row.pips, columns.pips);
    let (ready, of) = (ready(row), row.pips.len());
    pen.skip(2).right(5, &format!("{ready}/{of}"), readiness(row));
    figures(model, row, pen, columns);
    if columns.all {
        let minute = model.series.last_minute(&row.name, Figure::Rate);
        pen.skip(2);
        spark(pen, &minute, 12);
        pen.right(8, &age(row.since_ms), Role::Quiet);
    }
}

/// How bad it is that no more instances are ready: a service of which none is, and of which nobody
/// is about to change that, answers nothing.
pub fn readiness(row: &ServiceRow) -> Role {
    match (ready(row), row.state) {
        (_, ServiceState::Stopped) => Role::Plain,
        (0, ServiceState::Degraded | ServiceState::Failed) => Role::Bad,
        (ready, _) if ready < row.pips.len() => Role::Moving,
        _ => Role::Plain,
    }
}

fn figures(model: &Model, row: &ServiceRow, pen: &mut Pen<'_>, columns: &Columns) {
    let traffic = &row.traffic;
    // A stopped service may still owe requests; then they are shown.
    let off = row.state == ServiceState::Stopped && traffic.in_flight == 0;
    let shown = |text: String| if off { "-".to_owned() } else { text };
    pen.right(if columns.all { 7 } else { 6 }, &shown(count(traffic.in_flight)), Role::Plain);
    pen.right(columns.rate, &shown(rate(traffic.milli_rps)), Role::Plain);
    if columns.all {
        pen.right(columns.latency, &shown(or_dash(traffic.p50_us, latency)), Role::Plain);
    }
    pen.right(columns.latency, &shown(or_dash(traffic.p99_us, latency)), Role::Plain);
    if model.list.column() == Column::Lost {
        // What the rows are ordered by is on the screen.
        let role = if traffic.lost > 0 { Role::Bad } else { Role::Quiet };
        pen.right(columns.errors, &count(traffic.lost), role);
        return;
    }
    let role = Role::of_errors(traffic.errors_ppm);
    pen.right(columns.errors, &shown(share(traffic.errors_ppm)), role);
}
