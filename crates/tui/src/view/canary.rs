//! The canary glance: how the old and the new generation do, side by side, while both serve.

use ratatui::layout::Rect;
use smoothserve_protocol::snapshot::{Canary, GenerationView, ServiceDetail};

use crate::canary::{Verdict, judge};
use crate::fmt::{latency, or_dash, rate, share};
use crate::style::Role;
use crate::widgets::rows::columns;
use crate::widgets::{Canvas, Pen};

/// Blank columns between the two.
const GAP: u16 = 3;

/// What is said of one generation, a part after the other.
type Parts = [(String, Role); 5];

/// Draws them into one row or two.
pub fn draw(detail: &ServiceDetail, canvas: &mut Canvas<'_>, area: Rect, margin: u16) {
    let Some(canary) = detail.operation.as_ref().and_then(|operation| operation.canary) else {
        return;
    };
    let verdict = judge(&canary);
    let (old, new) = sides(&canary, verdict);
    let word = worse(verdict);
    let rows = rows(detail, area.width, margin);
    let mut pen = canvas.pen(area, 0);
    pen.to(margin);
    say(&old, &mut pen);
    if rows == 2 {
        pen = canvas.pen(area, 1);
        pen.to(margin);
    } else {
        pen.skip(GAP);
    }
    say(&new, &mut pen);
    if let Some(word) = word.filter(|word| columns(word) + GAP <= pen.room()) {
        pen.skip(GAP).say(word, Role::Bad);
    }
}

/// How many rows of `columns` they take: none unless both serve.
pub fn rows(detail: &ServiceDetail, columns: u16, margin: u16) -> u16 {
    let canary = detail.operation.as_ref().and_then(|operation| operation.canary);
    let Some(canary) = canary else { return 0 };
    let (old, new) = sides(&canary, judge(&canary));
    if margin + width(&old) + GAP + width(&new) <= columns { 1 } else { 2 }
}

fn sides(Canary { old, new }: &Canary, verdict: Verdict) -> (Parts, Parts) {
    (parts(old, Verdict::default()), parts(new, verdict))
}

fn parts(view: &GenerationView, verdict: Verdict) -> Parts {
    // What is worse is told without colour too.
    let figure = |is_worse, text: String| match is_worse {
        true => (format!("!{text}"), Role::Bad),
        false => (text, Role::Plain),
    };
    [
        (view.generation.to_string(), Role::Strong),
        (format!("{} ready", view.ready), Role::Plain),
        (format!("{}/s", rate(view.milli_rps)), Role::Plain),
        figure(verdict.slower, format!("p99 {}", or_dash(view.p99_us, latency))),
        figure(verdict.failing, format!("err {}%", share(view.errors_ppm()))),
    ]
}

const fn worse(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict { slower: false, failing: false } => None,
        Verdict { slower: true, failing: false } => Some("slower"),
        Verdict { slower: false, failing: true } => Some("fails more"),
        Verdict { slower: true, failing: true } => Some("slower, fails more"),
    }
}

fn width(parts: &Parts) -> u16 {
    let texts: u16 = parts.iter().map(|(text, _)| columns(text)).sum();
    texts + 4
}

/// Writes the parts; where there is no room for all, how busy it is goes first.
fn say(parts: &Parts, pen: &mut Pen<'_>) {
    let is_tight = width(parts) > pen.room();
    let kept = parts.iter().enumerate().filter(|(place, _)| !is_tight || *place != 2);
    for (place, (text, role)) in kept {
        pen.skip(u16::from(place > 0)).say(text, *role);
    }
}
