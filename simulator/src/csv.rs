//! One column of numbers out of a CSV file, or the line at which it is not one.

/// Bytes of a file that is read whole into memory: a day of ECG at 1000 Hz takes 600 MB.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 30;

/// The numbers of one column, from top to bottom. `file` is how errors call the text; `wanted` is
/// a name in the header or a number counted from 1, and may be absent when there is one column
/// only. A first line whose field is not a number is a header.
pub(crate) fn column(file: &str, text: &str, wanted: Option<&str>) -> Result<Vec<f64>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.lines().next().unwrap_or_default();
    let separator = [',', ';', '\t'].into_iter().find(|&c| first.contains(c)).unwrap_or(',');
    let names: Vec<&str> = first.split(separator).map(unquoted).collect();
    let index = index_of(file, &names, wanted)?;
    let name = match number(names[index]) {
        Some(_) => format!("column {}", index + 1),
        None => format!("column {} ({:?})", index + 1, names[index]),
    };
    let begin = usize::from(number(names[index]).is_none() && !looks_absent(names[index]));

    let mut values = Vec::new();
    let mut blank_line = None;
    for (line_index, line) in text.lines().enumerate().skip(begin) {
        let line_number = line_index + 1;
        if line.trim().is_empty() {
            blank_line = blank_line.or(Some(line_number));
            continue;
        }
        if let Some(blank) = blank_line {
            return Err(format!("{file}:{blank}: the line is empty, and there is more behind it"));
        }
        let Some(field) = line.split(separator).nth(index).map(unquoted) else {
            return Err(format!("{file}:{line_number}: {name} is missing on this line"));
        };
        match number(field) {
            Some(value) => values.push(value),
            None if field.is_empty() => {
                return Err(format!("{file}:{line_number}: {name} is empty"));
            }
            None => {
                return Err(format!(
                    "{file}:{line_number}: {name} is {field:?}, not a finite number"
                ));
            }
        }
    }
    if values.is_empty() {
        return Err(format!("{file}: {name} has no values"));
    }
    Ok(values)
}

fn index_of(file: &str, names: &[&str], wanted: Option<&str>) -> Result<usize, String> {
    let choices = || names.join(", ");
    match wanted {
        None if names.len() == 1 => Ok(0),
        None => Err(format!(
            "{file}: there are {} columns; choose one with --column, by name or by number from 1: {}",
            names.len(),
            choices()
        )),
        Some(wanted) => {
            let by_number =
                || wanted.parse::<usize>().ok().filter(|n| (1..=names.len()).contains(n));
            let named = |name: &&str| *name == wanted && number(name).is_none();
            (names.iter().position(named))
                .or_else(|| by_number().map(|n| n - 1))
                .ok_or_else(|| format!("{file}: no column {wanted:?}; there are: {}", choices()))
        }
    }
}

/// NaN, infinities and nothing are no samples.
fn number(field: &str) -> Option<f64> {
    field.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// A bad value on the first line, rather than a name for the column.
fn looks_absent(field: &str) -> bool {
    field.is_empty() || field.parse::<f64>().is_ok()
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_with_and_without_a_header() {
        assert_eq!(column("f", "ecg_mv\n-0.245\n1e-3\n", None), Ok(vec![-0.245, 0.001]));
        assert_eq!(column("f", "1\n2\n\n\n", None), Ok(vec![1.0, 2.0]));
        assert_eq!(column("f", "t,v\r\n0,1\r\n1, 2\r\n", Some("v")), Ok(vec![1.0, 2.0]));
        assert_eq!(column("f", "t;\"v\"\n0;\"1\"\n", Some("v")), Ok(vec![1.0]));
        assert_eq!(column("f", "5\t6\n7\t8", Some("2")), Ok(vec![6.0, 8.0]));
        assert_eq!(column("f", "\u{feff}v\n3", None), Ok(vec![3.0]));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, wanted, said) in [
            ("v\n1\nNaN\n", None, "f:3: column 1 (\"v\") is \"NaN\", not a finite number"),
            ("v\n1\ninf\n", None, "f:3:"),
            ("a,b\n1,\n", Some("b"), "f:2: column 2 (\"b\") is empty"),
            ("a,b\n1\n", Some("b"), "f:2: column 2 (\"b\") is missing on this line"),
            ("1\n2\nx\n", None, "f:3: column 1 is \"x\""),
            ("NaN\n2\n", None, "f:1:"),
            ("1\n\n2\n", None, "f:2: the line is empty"),
            (
                "a,b\n1,2\n",
                None,
                "f: there are 2 columns; choose one with --column, by name or by number from 1: a, b",
            ),
            ("a,b\n1,2\n", Some("c"), "f: no column \"c\"; there are: a, b"),
            ("a,b\n1,2\n", Some("3"), "f: no column \"3\""),
            ("v\n", None, "f: column 1 (\"v\") has no values"),
            ("", None, "f:"),
        ] {
            let error = column("f", text, wanted).unwrap_err();
            assert!(error.starts_with(said), "{text:?} gave {error:?}");
        }
    }
}
