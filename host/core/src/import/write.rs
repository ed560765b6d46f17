//! Our configuration as text: blocks of keys, in the order in which they are put.
//!
//! [`Text`] is a string as the configuration reads it, where `${NAME}` is a reference. What comes
//! from a file in which it is none goes through [`Text::literal`], so that no file can make the
//! configuration read what it did not name.

use std::fmt::Write as _;

/// Longest line of a list or table before it is spread over several.
const WIDTH: usize = 90;

/// A string of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Text(String);

impl Text {
    /// Exactly this text.
    pub(super) fn literal(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().replace("${", "$${"))
    }

    /// What `${name}` stands for when the configuration is read.
    pub(super) fn reference(name: &str) -> Self {
        Self(format!("${{{name}}}"))
    }

    /// Both, one after the other.
    pub(super) fn with(mut self, more: &Self) -> Self {
        self.0.push_str(&more.0);
        self
    }

    /// Whether part of it is a reference.
    pub(super) fn refers(&self) -> bool {
        self.0.replace("$${", "").contains("${")
    }

    /// As the configuration has it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Text(Text),
    Integer(i64),
    Boolean(bool),
    List(Vec<Item>),
    Table(Vec<(String, Item)>),
}

impl From<Text> for Item {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Item {
    fn from(text: &str) -> Self {
        Self::Text(Text::literal(text))
    }
}

impl From<i64> for Item {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Item {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl Item {
    /// A list, or its only member.
    pub(super) fn one_or_many(items: Vec<Self>) -> Self {
        match <[Self; 1]>::try_from(items) {
            Ok([only]) => only,
            Err(items) => Self::List(items),
        }
    }

    fn refers(&self) -> bool {
        match self {
            Self::Text(text) => text.refers(),
            Self::List(items) => items.iter().any(Self::refers),
            Self::Table(entries) => entries.iter().any(|(_, item)| item.refers()),
            Self::Integer(_) | Self::Boolean(_) => false,
        }
    }

    fn inline(&self) -> String {
        match self {
            Self::Text(text) => quoted(text.as_str()),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::inline).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Table(entries) => {
                let entry =
                    |(key, item): &(String, Self)| format!("{} = {}", bare(key), item.inline());
                let entries: Vec<String> = entries.iter().map(entry).collect();
                match entries.is_empty() {
                    true => "{}".to_owned(),
                    false => format!("{{ {} }}", entries.join(", ")),
                }
            }
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn bare(key: &str) -> String {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(fits) {
        return key.to_owned();
    }
    // Keys stand on one line. What JSON escapes TOML escapes alike, and one character more.
    serde_json::Value::from(key).to_string().replace('\u{7f}', "\\u007F")
}

/// A table such as `[[check]]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    header: &'static str,
    pairs: Vec<(&'static str, Item)>,
}

impl Block {
    pub(super) fn new(header: &'static str) -> Self {
        Self { header, pairs: Vec::new() }
    }

    /// Adds a key.
    pub(super) fn put(&mut self, key: &'static str, item: impl Into<Item>) {
        self.pairs.push((key, item.into()));
    }

    /// Whether it has any of these keys.
    pub(super) fn has_any(&self, keys: &[&str]) -> bool {
        self.pairs.iter().any(|(key, _)| keys.contains(key))
    }

    /// Whether part of any of its values is a reference.
    pub(super) fn refers(&self) -> bool {
        self.pairs.iter().any(|(_, item)| item.refers())
    }

    fn render(&self, out: &mut String) {
        let _ = writeln!(out, "\n{}", self.header);
        for (key, item) in &self.pairs {
            let inline = item.inline();
            let fits = key.len() + inline.len() <= WIDTH;
            match item {
                Item::List(items) if !fits => {
                    let _ = writeln!(out, "{key} = [");
                    for item in items {
                        let _ = writeln!(out, "  {},", item.inline());
                    }
                    out.push_str("]\n");
                }
                // An inline table must stand on one line.
                Item::Table(entries) if !fits => {
                    for (name, item) in entries {
                        let _ = writeln!(out, "{key}.{} = {}", bare(name), item.inline());
                    }
                }
                _ => {
                    let _ = writeln!(out, "{key} = {inline}");
                }
            }
        }
    }
}

/// The whole configuration; its first line names the file that it comes from.
pub(super) fn render(source: &str, blocks: &[Block]) -> String {
    // A line break in the name would end the comment.
    let source: String = source.chars().filter(|c| !c.is_control()).take(200).collect();
    let mut out = format!("# Made from `{source}` by `wellcheck import`.\n");
    for block in blocks {
        block.render(&mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let texts = [
            "plain",
            "",
            "it's \"so\"",
            "two\nlines\n",
            "'''\n\"\"\"",
            "tab\t nul\0 é \u{7f}",
            "\\d+\\.",
            "\r\n",
            "$ $$ $a",
        ];
        for text in texts {
            let mut block = Block::new("[[check]]");
            block.put("body", text);
            block.put("headers", Item::Table(vec![(text.to_owned(), text.into())]));
            let rendered = render("a\nb", &[block]);
            let read: toml::Table = toml::from_str(&rendered).expect(&rendered);
            let check = &read["check"][0];
            assert_eq!(check["body"].as_str(), Some(text), "{rendered}");
            assert_eq!(check["headers"][text].as_str(), Some(text), "{rendered}");
        }
    }

    #[test]
    fn literals_never_become_references() {
        assert_eq!(Text::literal("a ${B} $${C}").as_str(), "a $${B} $$${C}");
        assert!(!Text::literal("${B}").refers());
        assert!(Text::literal("a").with(&Text::reference("B")).refers());
    }

    #[test]
    fn long_lists_and_tables_are_spread() {
        let mut block = Block::new("[[group]]");
        let many: Vec<Item> = (0..30).map(|n| format!("member-{n}").as_str().into()).collect();
        block.put("members", Item::List(many));
        let entry = |n| (format!("Header {n}"), Item::from("x".repeat(40).as_str()));
        block.put("headers", Item::Table((0..3).map(entry).collect()));
        let rendered = render("x", &[block]);
        assert!(rendered.contains("\nmembers = [\n  \"member-0\",\n"), "{rendered}");
        assert!(rendered.contains("\nheaders.\"Header 2\" = \""), "{rendered}");
        let read: toml::Table = toml::from_str(&rendered).expect(&rendered);
        assert_eq!(read["group"][0]["members"].as_array().map(Vec::len), Some(30));
    }
}
