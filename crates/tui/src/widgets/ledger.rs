//! The ledger: `accepted = done + in flight + lost`, the answer to "is anything being lost?".

use ratatui::layout::Rect;
use smoothserve_protocol::snapshot::Ledger;

use super::rows::columns;
use super::{Canvas, Pen};
use crate::fmt::count;
use crate::style::Role;

/// A ledger, and the stretch of time it is of.
pub struct Account<'a> {
    /// The stretch in words, and in fewer for where there is less room.
    pub of: [&'static str; 2],
    /// What came of the requests.
    pub ledger: &'a Ledger,
}

/// How much room the ledger takes: wide, tight, or in two rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Wide,
    Tight,
    Two,
}

/// Draws `account` into row `row` of `area`, and the next one where it is too long for one. `is_off`
/// says that it did not add up for long enough to be worth a word. Returns how many rows it took.
pub fn ledger(
    canvas: &mut Canvas<'_>,
    area: Rect,
    row: u16,
    account: &Account<'_>,
    is_off: bool,
) -> u16 {
    let ledger = account.ledger;
    let lost = ledger.all_lost();
    let (rest, rest_role) = match ledger.unaccounted() {
        off if is_off && off != 0 => (format!("unaccounted {off}"), Role::Bad),
        _ => (format!("held {}", count(ledger.held)), Role::Plain),
    };
    let (layout, of) = layout(account, columns(&rest), area.width);
    let (margin, gap, before_rest) = match layout {
        Layout::Wide => (3, "  ", 6),
        Layout::Tight => (3, " ", 3),
        Layout::Two => (1, " ", 2),
    };
    let mut pen = canvas.pen(area, row);
    pen.to(margin);
    pen.say(of, Role::Quiet);
    figure(&mut pen, "accepted ", ledger.accepted, Role::Plain);
    sign(&mut pen, gap, "=");
    figure(&mut pen, "done ", ledger.done(), Role::Plain);
    if layout == Layout::Two {
        pen = canvas.pen(area, row + 1);
    }
    sign(&mut pen, gap, "+");
    figure(&mut pen, "in flight ", ledger.in_flight, Role::Plain);
    sign(&mut pen, gap, "+");
    figure(&mut pen, "lost ", lost, if lost == 0 { Role::Ok } else { Role::Bad });
    pen.skip(before_rest).say(&rest, rest_role);
    if layout == Layout::Two { 2 } else { 1 }
}

/// The widest layout that fits with the stretch named, in as many words as fit.
fn layout(account: &Account<'_>, rest: u16, width: u16) -> (Layout, &'static str) {
    let Account { of: [whole, brief], ledger } = account;
    let digits = |figures: &[u64]| figures.iter().map(|one| columns(&count(*one))).sum::<u16>();
    let first = digits(&[ledger.accepted, ledger.done()]);
    // The words, the signs and a blank on either side of these, the margin, and what comes last.
    let tight = first + digits(&[ledger.in_flight, ledger.all_lost()]) + 29 + 9 + 3 + 3 + rest;
    let of_two = [whole, brief, &""].into_iter().find(|of| first + 18 + columns(of) <= width);
    if tight + columns(whole) + 6 + 3 <= width {
        (Layout::Wide, whole)
    } else if tight + columns(whole) <= width {
        (Layout::Tight, whole)
    } else if tight + columns(brief) <= width {
        (Layout::Tight, brief)
    } else {
        (Layout::Two, of_two.unwrap_or(&""))
    }
}

fn figure(pen: &mut Pen<'_>, name: &str, value: u64, role: Role) {
    pen.say(name, Role::Quiet).say(&count(value), role);
}

fn sign(pen: &mut Pen<'_>, gap: &str, sign: &str) {
    pen.say(gap, Role::Plain).say(sign, Role::Quiet).say(gap, Role::Plain);
}
