//! Text in which what was looked for stands out.

use super::Pen;
use super::rows::columns;
use crate::model::find::occurrence;
use crate::style::Role;

/// Writes `text`, cut where the row ends, with every occurrence of `needle` in it reversed.
pub fn say(pen: &mut Pen<'_>, text: &str, needle: &str, role: Role) {
    let mut rest = text;
    while let Some((from, to)) = occurrence(rest, needle) {
        // What is cut has no room for more.
        if pen.room() <= columns(&rest[..to]) {
            break;
        }
        pen.say(&rest[..from], role).say(&rest[from..to], Role::Button);
        rest = &rest[to..];
    }
    pen.say(rest, role);
}
