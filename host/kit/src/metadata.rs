//! What a component's custom sections say of it: names, versions, where it comes from, and what it
//! was made with. Nobody vouches for any of it: it is what whoever built the file wrote.

use std::collections::BTreeSet;

use serde::Serialize;
use wasmparser::{ComponentName, KnownCustom, Parser, Payload, ProducersSectionReader};

/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 1024;

/// Most entries of a list.
const MOST: usize = 32;

/// What the custom sections of a component say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where its source is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Which state of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Where to read more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// As SPDX expressions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<String>,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authors: Option<String>,
    /// The languages that it is written in, those of the modules within it too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// The tools that it went through, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
}

/// Reads the metadata of a component; what is not there or cannot be read is left out.
pub fn read(bytes: &[u8]) -> Metadata {
    let mut found = Metadata::default();
    let (mut languages, mut tools) = (BTreeSet::new(), BTreeSet::new());
    // A component holds modules and components, each with sections of its own.
    let mut depth = 0_usize;
    for section in Parser::new(0).parse_all(bytes) {
        match section {
            Err(_) => break,
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::CustomSection(section)) => match section.as_known() {
                KnownCustom::Producers(producers) => made(producers, &mut languages, &mut tools),
                KnownCustom::ComponentName(names) if depth == 0 => {
                    let name = names.into_iter().find_map(|name| match name {
                        Ok(ComponentName::Component { name, .. }) => Some(name),
                        _ => None,
                    });
                    found.name = name.and_then(text);
                }
                _ if depth == 0 => own(section.name(), section.data(), &mut found),
                _ => {}
            },
            Ok(_) => {}
        }
    }
    found.languages = languages.into_iter().collect();
    found.tools = tools.into_iter().collect();
    found
}

/// Takes in a section of the component itself that is a text and nothing else.
fn own(name: &str, data: &[u8], found: &mut Metadata) {
    let place = match name {
        "version" => &mut found.version,
        "description" => &mut found.description,
        "source" => &mut found.source,
        "revision" => &mut found.revision,
        "homepage" => &mut found.homepage,
        "licenses" => &mut found.licenses,
        "authors" => &mut found.authors,
        _ => return,
    };
    *place = std::str::from_utf8(data).ok().and_then(text);
}

/// Takes in what a component or a module within it was made with.
fn made(
    producers: ProducersSectionReader<'_>,
    languages: &mut BTreeSet<String>,
    tools: &mut BTreeSet<String>,
) {
    for field in producers.into_iter().flatten() {
        let place = match field.name {
            "language" => &mut *languages,
            "processed-by" | "sdk" => &mut *tools,
            _ => continue,
        };
        for value in field.values.into_iter().flatten().take(MOST) {
            if place.len() < MOST {
                place.extend(text(&format!("{} {}", value.name, value.version)));
            }
        }
    }
}

/// On one line, without control characters, and not too long.
fn text(found: &str) -> Option<String> {
    let clean: String = found
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .scan(0, |length, c| {
            *length += c.len_utf8();
            (*length <= MAX_TEXT).then_some(c)
        })
        .collect();
    Some(clean.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(custom: &str) -> Vec<u8> {
        wat::parse_str(format!("(component {custom})")).expect("a component")
    }

    #[test]
    fn texts_of_the_component_itself_are_read() {
        let bytes = component(
            r#"(@custom "version" "1.2.3") (@custom "source" "https://example.com/x")
               (core module (@custom "version" "9")) (@custom "description" "two\nlines")"#,
        );
        let found = read(&bytes);
        assert_eq!(found.version.as_deref(), Some("1.2.3"));
        assert_eq!(found.source.as_deref(), Some("https://example.com/x"));
        assert_eq!(found.description.as_deref(), Some("two lines"));
        assert_eq!(found.name, None);
    }

    #[test]
    fn languages_of_modules_within_count() {
        let bytes = component(
            r#"$queue (core module (@producers (language "Rust" "2024") (processed-by "rustc" "1.95")))"#,
        );
        let found = read(&bytes);
        assert_eq!(found.languages, ["Rust 2024"]);
        assert_eq!(found.tools, ["rustc 1.95"]);
        assert_eq!(found.name.as_deref(), Some("queue"));
    }

    #[test]
    fn what_is_no_component_says_nothing() {
        for bytes in [&b""[..], b"\0asm", b"nonsense", b"\0asm\x0d\0\x01\0\0\xff\xff"] {
            assert_eq!(read(bytes), Metadata::default());
        }
    }
}
