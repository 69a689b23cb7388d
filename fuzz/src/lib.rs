//! What the targets share: how an input comes in portions.

/// Bytes at the beginning of an input that say where the rest is cut.
const CUTS: usize = 8;

/// The input without its beginning, and the portions in which that says it comes; none: there is too
/// little of it.
pub fn in_portions(data: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    let (cuts, input) = data.split_at_checked(CUTS)?;
    let mut places: Vec<usize> =
        cuts.iter().map(|&cut| usize::from(cut) * (input.len() + 1) / 256).collect();
    places.sort_unstable();
    let (mut portions, mut from) = (Vec::new(), 0);
    for place in places.into_iter().chain([input.len()]) {
        portions.push(&input[from..place]);
        from = place;
    }
    Some((input, portions))
}
