//! The word that was probably meant.

/// The nearest of `known` to `word`, if it is near enough to be a slip: at most a third of its
/// letters are different, and at least one may be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|known| (distance(known, word), known));
    let (edits, known) = distances.min_by_key(|(edits, _)| *edits)?;
    (edits <= (known.chars().count() / 3).max(1) && edits < known.chars().count()).then_some(known)
}

/// Edits between two words: a letter more, less or another, or two neighbours swapped (Damerau
/// 1964, as optimal string alignment), of the first 64 letters.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut above = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let substituted = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = substituted.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(above[j - 2] + 1);
            }
        }
        above = std::mem::replace(&mut last, row);
    }
    last[b.len()]
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
            assert_eq!(nearest(slip, known), Some(meant), "{slip}");
        }
        assert_eq!(nearest("temperature", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
