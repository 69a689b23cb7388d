//! One mark an instance: state and progress of a service in a few cells.

use smoothserve_protocol::snapshot::Pip;

use super::Pen;
use crate::style::Role;
use crate::style::glyphs::{DRAWN, counted};

/// Draws `pips` into a column of `width`: `▮▮▾▪`, or `12▮ 1▾ 3▪` when there are too many.
pub fn pips(pen: &mut Pen<'_>, pips: &[Pip], width: u16) {
    let glyphs = pen.look().glyphs;
    let room = pen.room();
    if pips.len() <= DRAWN && pips.len() <= usize::from(width) {
        for &pip in pips {
            let (mark, role) = glyphs.pip(pip);
            pen.say(mark, role);
        }
    } else {
        for (i, (count, pip)) in counted(pips).into_iter().enumerate() {
            let used = room.saturating_sub(pen.room());
            let text = count.to_string();
            let needed = u16::try_from(text.len()).unwrap_or(u16::MAX).saturating_add(2);
            if used.saturating_add(needed) > width.saturating_add(1) {
                break;
            }
            let (mark, role) = glyphs.pip(pip);
            pen.skip(u16::from(i > 0)).say(&text, Role::Plain).say(mark, role);
        }
    }
    let used = room.saturating_sub(pen.room());
    pen.skip(width.saturating_sub(used));
}

/// How many columns all of them take.
pub fn width(pips: &[Pip]) -> u16 {
    let columns = if pips.len() <= DRAWN {
        pips.len()
    } else {
        // A count, a mark, and a blank before the next.
        let parts = counted(pips).into_iter().map(|(count, _)| count.to_string().len() + 2);
        parts.sum::<usize>().saturating_sub(1)
    };
    u16::try_from(columns).unwrap_or(u16::MAX)
}
