//! The last minute of a figure in one row: braille, two samples a cell, from zero.

use super::Pen;
use crate::model::series::LENGTH;
use crate::style::Role;

/// Dots of the left half of a cell for the levels 0 to 4, from below.
const LEFT: [u32; 5] = [0x00, 0x40, 0x44, 0x46, 0x47];
/// Dots of the right half.
const RIGHT: [u32; 5] = [0x00, 0x80, 0xa0, 0xb0, 0xb8];
/// Levels 0 to 4 without braille.
const ASCII: [char; 5] = ['.', ':', '-', '=', '#'];

/// Draws `samples`, oldest first, so that the newest is at the right of `width` cells.
pub fn spark(pen: &mut Pen<'_>, samples: &[u64], width: u16) {
    let halves = levels(samples, usize::from(width) * 2);
    let ascii = pen.look().glyphs.ascii_only;
    let text: String = halves
        .chunks_exact(2)
        .map(|pair| match (pair[0], pair[1]) {
            (left, right) if ascii => ASCII[left.max(right)],
            (0, 0) => ' ',
            (left, right) => char::from_u32(0x2800 + LEFT[left] + RIGHT[right]).unwrap_or(' '),
        })
        .collect();
    pen.left(width, &text, Role::Plain);
}

/// `samples` as `count` levels from 0 to 4; where several samples share a level, the highest counts.
fn levels(samples: &[u64], count: usize) -> Vec<usize> {
    let highest = samples.iter().copied().max().unwrap_or(0).max(1);
    let missing = LENGTH.saturating_sub(samples.len());
    (0..count)
        .map(|i| {
            let from = (i * LENGTH / count).saturating_sub(missing);
            let until = ((i + 1) * LENGTH / count).saturating_sub(missing);
            let value = samples.get(from..until).into_iter().flatten().copied().max().unwrap_or(0);
            let level = u128::from(value) * 4;
            usize::try_from(level.div_ceil(u128::from(highest))).unwrap_or(4).min(4)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_sample_is_at_the_right_and_zero_is_nothing() {
        assert_eq!(levels(&[0, 1, 4], LENGTH)[LENGTH - 4..], [0, 0, 1, 4]);
        assert_eq!(levels(&[], 4), [0; 4]);
        assert_eq!(levels(&[7; LENGTH], 24), [4; 24]);
    }
}
