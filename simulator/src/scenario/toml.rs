//! TOML to a tree and back.

use std::fmt::Write;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Mistake;
use super::tree::{Key, Node, Value};

/// The tree of `text`; a mistake of spelling names `file` and line.
pub(super) fn parse(file: &str, text: &str) -> Result<Node, Mistake> {
    let lines = Lines::new(text);
    let table = DeTable::parse(text).map_err(|error| Mistake {
        file: file.to_owned(),
        line: lines.of(error.span().map_or(0, |span| span.start)),
        key: String::new(),
        what: error.message().replace('\n', "; "),
    })?;
    Ok(Node::new(1, entries(table.get_ref(), &lines)))
}

/// Where each line begins.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect())
    }

    fn of(&self, byte: usize) -> usize {
        self.0.partition_point(|begin| *begin <= byte)
    }
}

fn entries(table: &DeTable<'_>, lines: &Lines) -> Value {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entries = entries.into_iter().map(|(key, value)| {
        let line = lines.of(key.span().start);
        let mut node = node(value, lines);
        // A table under its own header spans the header; of the others the key is on the line.
        node.line = node.line.max(line);
        (Key::new(line, key.get_ref()), node)
    });
    Value::Table(entries.collect())
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines) -> Node {
    let line = lines.of(value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Whole(number),
            // No number of ours is so large: it will be told so by its range.
            Err(_) => Value::Number(number.as_str().parse().unwrap_or(f64::INFINITY)),
        },
        DeValue::Float(number) => Value::Number(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(item, lines)).collect()),
        DeValue::Table(table) => entries(table, lines),
    };
    Node::new(line, value)
}

/// The tree as TOML, tables under headers of their own.
pub(super) fn print(node: &Node) -> String {
    let mut text = String::new();
    if let Value::Table(entries) = &node.value {
        print_table(&mut text, "", entries);
    }
    text
}

fn print_table(text: &mut String, path: &str, entries: &[(Key, Node)]) {
    for (key, node) in entries.iter().filter(|(_, node)| !has_header(node)) {
        let _ = writeln!(text, "{} = {}", printed_key(&key.name), inline(node));
    }
    for (key, node) in entries.iter().filter(|(_, node)| has_header(node)) {
        let key = printed_key(&key.name);
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        match &node.value {
            Value::Table(inner) => {
                if inner.iter().any(|(_, node)| !has_header(node)) {
                    let _ = writeln!(text, "\n[{path}]");
                }
                print_table(text, &path, inner);
            }
            Value::List(items) => {
                for item in items {
                    let _ = writeln!(text, "\n[[{path}]]");
                    if let Value::Table(inner) = &item.value {
                        print_table(text, &path, inner);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Tables and lists of tables have headers, but for the small ones.
fn has_header(node: &Node) -> bool {
    match &node.value {
        Value::Table(entries) => {
            entries.iter().any(|(_, node)| matches!(node.value, Value::Table(_) | Value::List(_)))
        }
        Value::List(items) => {
            !items.is_empty() && items.iter().all(|item| matches!(item.value, Value::Table(_)))
        }
        _ => false,
    }
}

fn inline(node: &Node) -> String {
    match &node.value {
        Value::Nothing => "\"\"".to_owned(),
        Value::Flag(flag) => flag.to_string(),
        Value::Whole(number) => number.to_string(),
        Value::Number(number) => toml::Value::Float(*number).to_string(),
        Value::Text(text) => toml::Value::String(text.clone()).to_string(),
        Value::Date(date) => date.clone(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Table(entries) => {
            let parts: Vec<String> = entries
                .iter()
                .map(|(key, node)| format!("{} = {}", printed_key(&key.name), inline(node)))
                .collect();
            format!("{{ {} }}", parts.join(", "))
        }
    }
}

fn printed_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        toml::Value::String(key.to_owned()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(node: &Node, found: &mut Vec<(String, usize)>) {
        match &node.value {
            Value::Table(entries) => {
                for (key, node) in entries {
                    found.push((key.name.clone(), key.line));
                    lines_of(node, found);
                }
            }
            Value::List(items) => items.iter().for_each(|item| lines_of(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_key_knows_its_line() {
        let text = "a = 1\n\n[[p]]\nid = \"x\"\nw = { g = 1,\n  h = 2 }\n[[p]]\nid = \"y\"\n\
                    [d.b]\ntype = 1\n[[d.b.at]]\nid = \"r\"\n";
        let mut found = Vec::new();
        lines_of(&parse("f", text).unwrap(), &mut found);
        let found: Vec<(&str, usize)> = found.iter().map(|(key, n)| (key.as_str(), *n)).collect();
        assert_eq!(
            found,
            [
                ("a", 1),
                ("p", 3),
                ("id", 4),
                ("w", 5),
                ("g", 5),
                ("h", 6),
                ("id", 8),
                ("d", 9),
                ("b", 9),
                ("type", 10),
                ("at", 11),
                ("id", 12),
            ]
        );
    }

    #[test]
    fn what_is_printed_reads_as_it_was() {
        fn without_lines(node: &mut Node) {
            node.line = 0;
            match &mut node.value {
                Value::Table(entries) => {
                    entries.iter_mut().for_each(|(key, node)| {
                        key.line = 0;
                        without_lines(node);
                    });
                }
                Value::List(items) => items.iter_mut().for_each(without_lines),
                _ => {}
            }
        }
        let text = "a = 1.0\nb = \"quote \\\" and\\nline\"\nc = [1, 2.5]\n\"odd key\" = true\n\
                    [[p]]\nid = \"x\"\nw = { g = 1, h = [1, 2] }\n[[p]]\nid = \"y\"\n\
                    [d.\"o b\"]\ntype = 1\n[[d.\"o b\".at]]\nid = \"r\"\n";
        let mut before = parse("f", text).unwrap();
        let printed = print(&before);
        let mut after = parse("f", &printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
        without_lines(&mut before);
        without_lines(&mut after);
        assert_eq!(before, after, "{printed}");
    }
}
