//! What drains wait for: each request and tunnel still inside, the oldest first.

use ratatui::layout::Rect;
use smoothserve_protocol::snapshot::{Blocker, InstanceView, ServiceDetail};

use super::instances::name_width;
use crate::fmt::so_far;
use crate::style::Role;
use crate::widgets::rows::columns;
use crate::widgets::rule::rule;
use crate::widgets::{Canvas, Pen};
use crate::words::{self, escape, instance_name};

/// One row of the panel.
enum Row<'a> {
    Waits(&'a InstanceView, &'a Blocker),
    /// So many that are not known by name.
    More(&'a InstanceView, u32),
}

/// How many rows the panel would take; 0: nothing is waited for.
pub fn rows(detail: &ServiceDetail) -> u16 {
    match list(detail).len() {
        0 => 0,
        rows => u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(1),
    }
}

/// Draws the panel, and says how many rows that took.
pub fn draw(detail: &ServiceDetail, canvas: &mut Canvas<'_>, area: Rect) -> u16 {
    let rows = list(detail);
    rule(&mut canvas.pen(area, 0), "waits for", "oldest first");
    let mut used = 1;
    for (line, row) in (1..area.height).zip(&rows) {
        draw_row(detail, row, &mut canvas.pen(area, line));
        used = line + 1;
    }
    used
}

/// What is waited for longest, in a line.
pub fn oldest(detail: &ServiceDetail) -> Option<String> {
    let first = list(detail).into_iter().find_map(|row| match row {
        Row::Waits(_, blocker) => Some(blocker),
        Row::More(..) => None,
    })?;
    let age = so_far(first.age_ms);
    Some(format!("waits {age} for {} {}", escape(&first.method), escape(&first.path)))
}

fn list(detail: &ServiceDetail) -> Vec<Row<'_>> {
    let mut known = Vec::new();
    let mut more = Vec::new();
    for instance in &detail.instances {
        let Some(drain) = &instance.drain else { continue };
        known.extend(drain.blockers.iter().map(|one| (instance, one)));
        let named = u32::try_from(drain.blockers.len()).unwrap_or(u32::MAX);
        let rest = instance.in_flight.saturating_add(instance.tunnels).saturating_sub(named);
        if rest > 0 && named > 0 {
            more.push(Row::More(instance, rest));
        }
    }
    known.sort_by_key(|(_, one)| std::cmp::Reverse(one.age_ms));
    known.into_iter().map(|(instance, one)| Row::Waits(instance, one)).chain(more).collect()
}

fn draw_row(detail: &ServiceDetail, row: &Row<'_>, pen: &mut Pen<'_>) {
    let width = name_width(detail, pen.width() / 4);
    match row {
        Row::Waits(instance, blocker) => {
            let name = instance_name(&detail.row, instance.slot);
            pen.to(2).right(6, &so_far(blocker.age_ms), Role::Plain).skip(2);
            pen.name(width, &name, Role::Plain).skip(2);
            let kind = if blocker.tunnel { "tunnel " } else { "" };
            let request = format!("{kind}{} {}", escape(&blocker.method), escape(&blocker.path));
            let client = format!("from {}", words::escape(&blocker.client));
            // Who it is stays in sight, however long the path is.
            let room = pen.room().saturating_sub(columns(&client) + 3);
            let width = columns(&request).min(room.max(12));
            pen.left(width, &request, Role::Plain).skip(2).say(&client, Role::Quiet);
        }
        Row::More(instance, more) => {
            let name = instance_name(&detail.row, instance.slot);
            pen.to(10).name(width, &name, Role::Quiet).skip(2);
            pen.say(&format!("and {more} more"), Role::Quiet);
        }
    }
}
