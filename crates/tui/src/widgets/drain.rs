//! Bars: how much is in flight, how far a drain or an operation is.

use super::Pen;
use crate::style::Role;

/// Draws a bar of `width` cells, `part` of `whole` filled. Something is never drawn as nothing.
pub fn bar(pen: &mut Pen<'_>, width: u16, part: u64, whole: u64, role: Role) {
    let glyphs = pen.look().glyphs;
    let cells = u64::from(width);
    let filled = match (part, whole) {
        (0, _) | (_, 0) => 0,
        // Wide figures: a count of requests times a width does not overflow.
        _ => ((part.min(whole).saturating_mul(cells) + whole / 2) / whole).max(1),
    };
    let filled = u16::try_from(filled).unwrap_or(width).min(width);
    pen.left(filled, &glyphs.full.repeat(usize::from(filled)), role);
    let rest = width - filled;
    pen.left(rest, &glyphs.empty.repeat(usize::from(rest)), Role::Quiet);
}

/// A round figure of at least `highest`, for bars that are compared with each other: 10, 20, 50, …
pub fn scale(highest: u64) -> u64 {
    let mut unit: u64 = 10;
    loop {
        for factor in [1, 2, 5] {
            let scale = unit.saturating_mul(factor);
            if scale >= highest {
                return scale;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_round_and_never_too_small() {
        for (highest, expected) in
            [(0, 10), (10, 10), (13, 20), (21, 50), (51, 100), (1_300, 2_000)]
        {
            assert_eq!(scale(highest), expected, "{highest}");
        }
        assert_eq!(scale(u64::MAX), u64::MAX);
    }
}
