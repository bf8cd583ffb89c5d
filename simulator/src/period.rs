//! A time as people write it: `20s`, `500ms`, `2m`, `1h`, `1.5`.

/// Seconds per unit; `ms` is asked for before `s`.
const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Seconds; without a unit it is one of them. The caller says what is too long. `None` when it is
/// no number.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = UNITS
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((text, 1.0));
    number.trim().parse::<f64>().ok().map(|number| number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_told_from_the_others() {
        let told = [("250ms", 0.25), ("20s", 20.0), ("2 m", 120.0), ("1.5h", 5400.0), ("3", 3.0)];
        for (text, wanted) in told {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
        for text in ["", "s", "ms", "soon", "1d", "1m30s"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
