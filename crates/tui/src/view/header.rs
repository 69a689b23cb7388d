//! The two lines on top: which daemon, how fresh, and the figures that never move. While its
//! configuration cannot be used, a third one.

use ratatui::layout::Rect;

use super::Width;
use crate::fmt::{count, duration, latency, or_dash, rate, share};
use crate::model::Model;
use crate::model::conn::Freshness;
use crate::style::Role;
use crate::widgets::rows::columns;
use crate::widgets::{Canvas, Pen};
use crate::words::problem_line;

/// Draws both lines.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>, area: Rect, width: Width) {
    identity(model, &mut canvas.pen(area, 0));
    let gap = if width == Width::Wide { 6 } else { 3 };
    if model.is_live() {
        figures(model, &mut canvas.pen(area, 1), gap);
    } else {
        figures(model, &mut canvas.faded().pen(area, 1), gap);
    }
    lost(model, &mut canvas.pen(area, 1));
}

/// Draws the first line.
pub fn identity(model: &Model, pen: &mut Pen<'_>) {
    pen.to(1).say("smoothtool", Role::Strong).skip(2).say(&place(model), Role::Plain).skip(2);
    let (mark, text, role) = state(model);
    pen.say(mark, role).say(" ", Role::Plain).say(&text, role);
    let clock = model.clock.text(model.clock.unix_ms());
    let right = match &model.world.daemon {
        Some(daemon) => {
            let up = duration(daemon.uptime_ms);
            format!("  up {up}  v{}  {clock}", daemon.version.trim_start_matches('v'))
        }
        None => clock,
    };
    let slowed = model.slowed.map(|fps| format!("  {fps} fps  {}", right.trim_start()));
    match slowed.filter(|text| columns(text) + 2 < pen.room()) {
        Some(text) => pen.ending(1, &text, Role::Quiet),
        None => pen.ending(1, &right, Role::Quiet),
    };
}

/// What is wrong with the daemon's configuration as it is on disk.
pub fn problem(model: &Model) -> Option<&str> {
    model.world.daemon.as_ref()?.config_problem.as_deref()
}

/// Draws it in one line below the others, if there is something wrong.
pub fn draw_problem(model: &Model, pen: &mut Pen<'_>) {
    if let Some(problem) = problem(model) {
        pen.to(1).say("! config: ", Role::Bad).say(&problem_line(problem), Role::Plain);
    }
}

/// The daemon's machine and port.
pub fn place(model: &Model) -> String {
    let port = model.addr.rsplit_once(':').map(|(_, port)| port);
    match (&model.world.daemon, port) {
        (Some(daemon), Some(port)) if !daemon.host.is_empty() => format!("{}:{port}", daemon.host),
        _ => model.addr.clone(),
    }
}

/// How fresh what is shown is, in a mark and a word or two.
pub fn state(model: &Model) -> (&'static str, String, Role) {
    let glyphs = model.look.glyphs;
    match model.freshness() {
        Freshness::Connecting => (glyphs.starting, "connecting".to_owned(), Role::New),
        Freshness::Live if model.world.daemon.as_ref().is_some_and(|d| d.stopping) => {
            (glyphs.stopping, "stopping".to_owned(), Role::Moving)
        }
        Freshness::Live => (glyphs.ready, "live".to_owned(), Role::Plain),
        Freshness::Silent { age } => {
            (glyphs.backoff, format!("no data {}", duration(age)), Role::Moving)
        }
        Freshness::Down { announced: Some((ago, _)), .. } => {
            (glyphs.backoff, format!("announced its end {} ago", duration(ago)), Role::Moving)
        }
        Freshness::Down { age: Some(age), .. } => {
            (glyphs.failed, format!("disconnected {}", duration(age)), Role::Bad)
        }
        Freshness::Down { age: None, .. } => (glyphs.failed, "not connected".to_owned(), Role::Bad),
    }
}

fn figures(model: &Model, pen: &mut Pen<'_>, gap: u16) {
    let daemon = model.world.daemon.as_ref();
    let ready = or_dash(daemon, |d| format!("{}/{}", d.ready, d.wanted));
    let traffic = daemon.map(|daemon| daemon.traffic);
    let rps = or_dash(traffic, |t| rate(t.milli_rps));
    let in_flight = or_dash(traffic, |t| count(t.in_flight));
    let p99 = or_dash(traffic.and_then(|t| t.p99_us), latency);
    let errors = or_dash(traffic, |t| share(t.errors_ppm) + "%");
    let missing = daemon.is_some_and(|d| d.ready < d.wanted);
    let role = if missing { Role::Moving } else { Role::Plain };
    let width = u16::try_from(ready.len()).unwrap_or(5).max(5);
    pen.to(1).say("ready ", Role::Quiet).left(width, &ready, role).skip(gap);
    for (name, width, value) in
        [("rps ", 5, rps), ("in flight ", 4, in_flight), ("p99 ", 6, p99), ("err ", 5, errors)]
    {
        pen.say(name, Role::Quiet).right(width, &value, Role::Plain).skip(gap);
    }
}

/// The figure that matters most: unknown while what is shown is old, red until it is noted.
fn lost(model: &Model, pen: &mut Pen<'_>) {
    let (text, role) = lost_figure(model);
    pen.ending(1, &format!("lost {text}"), role);
}

/// Requests lost since the daemon started, and how to show that.
pub fn lost_figure(model: &Model) -> (String, Role) {
    let lost = model.world.lost();
    if !model.is_live() {
        ("?".to_owned(), Role::Moving)
    } else if lost > model.lost_noted {
        (count(lost), Role::Bad)
    } else {
        (count(lost), Role::Ok)
    }
}

/// How old what is shown is, why, and when the next try comes.
pub fn age(model: &Model, pen: &mut Pen<'_>) {
    let width = pen.room();
    let (gap, is_brief) = (if width >= 110 { 8 } else { 3 }, width < super::NORMAL_FROM);
    pen.say(&" ".repeat(usize::from(width)), Role::Plain).to(1);
    let from = model.connection.last_heard().map(|heard| {
        let age = model.clock.now.since(heard);
        let then = model.clock.text(model.clock.unix_ms().saturating_sub(age));
        let old = format!("{} old", duration(age));
        if is_brief { old } else { format!("data from {then}, {old}") }
    });
    pen.say(from.as_deref().unwrap_or("no data yet"), Role::Plain).skip(gap);
    let Freshness::Down { retry_in, failures, why, announced, .. } = model.freshness() else {
        return;
    };
    let number = failures.saturating_add(1);
    let in_time = retry_in.map(|millis| duration(millis.div_ceil(1_000) * 1_000));
    let next = match in_time {
        Some(time) if is_brief => format!("try {number} in {time}"),
        Some(time) => format!("next try in {time}, number {number}"),
        None if is_brief => format!("try {number} now"),
        None => format!("trying now, number {number}"),
    };
    pen.say(&next, Role::Plain).skip(gap);
    let why = announced.map_or(why, |(_, reason)| reason);
    pen.say(&why, Role::Moving);
}
