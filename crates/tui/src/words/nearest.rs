//! Did you mean?

/// The candidate that `word` most likely stands for; none if nothing is near.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (word.chars().count() / 2).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many characters must be inserted, deleted or replaced (Levenshtein), without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.to_lowercase().chars().collect();
    let mut row: Vec<_> = (0..=b.len()).collect();
    for (i, a) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let known = ["shop", "shop-admin", "billing"];
        for (word, meant) in [
            ("shpo", Some("shop")),
            ("shob", Some("shop")),
            ("Shop", Some("shop")),
            ("biling", Some("billing")),
            ("shopadmin", Some("shop-admin")),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
