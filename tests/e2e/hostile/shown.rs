//! Whatever a guest says: what is shown of it is whole, and only text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::support::host::Host;
use crate::support::program::run_in;

/// Pages of the server that show a check called `guest`.
const PAGES: &[&str] = &[
    "/health",
    "/health?format=genesis",
    "/health?format=text",
    "/health/status",
    "/health/guest",
    "/health/guest?format=genesis",
    "/health/guest?format=text",
    "/api/v1/checks",
    "/api/v1/checks/guest",
    "/api/v1/status",
    "/readyz?verbose",
];

/// Every page, the log, and what `wellcheck run guest` prints: JSON that any parser reads, lines
/// that are the host's own, and no character that does anything but be seen.
#[track_caller]
pub(super) fn is_clean(host: &Host) {
    for page in PAGES {
        let answer = host.get(page);
        if answer.header("content-type").is_some_and(|kind| kind.contains("json")) {
            is_strict_json(page, &answer.body);
        } else {
            is_plain(page, &answer.body);
        }
    }
    let log = host.log();
    is_plain("the log", &log);
    for line in log.lines() {
        assert!(line.starts_with("20"), "a line of the log without its time: {line}");
    }
    let printed = run_in(host.dir(), &["run", "guest"]);
    is_plain("what `run` prints", &printed.out);
    is_plain("what `run` complains of", &printed.err);
    for line in printed.out.lines().skip(1) {
        assert!(line.starts_with("  "), "a line of `run` that is not indented: {line}");
    }
    is_strict_json("run --json", &run_in(host.dir(), &["run", "guest", "--json"]).out);
}

/// Lines of text.
#[track_caller]
fn is_plain(what: &str, text: &str) {
    for line in text.lines() {
        is_only_seen(what, line);
    }
}

/// One line, in which no key of an object stands twice and no text does more than be seen.
#[track_caller]
pub(super) fn is_strict_json(what: &str, body: &str) {
    is_only_seen(what, body.trim_end_matches('\n'));
    let mut texts = Vec::new();
    let mut json = serde_json::Deserializer::from_str(body);
    Texts(&mut texts)
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .unwrap_or_else(|error| panic!("{what}: {error} in {body}"));
    for text in texts {
        is_only_seen(what, &text);
    }
}

#[track_caller]
fn is_only_seen(what: &str, text: &str) {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if let Some(c) = text.chars().find(|c| acts(*c)) {
        panic!("{what}: {c:?} in {text:?}");
    }
}

/// Collects the texts of a JSON value, keys too; a key that stands twice is an error.
struct Texts<'a>(&'a mut Vec<String>);

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push(text.to_owned());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Texts(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys: Vec<String> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format!("the key `{key}` stands twice")));
            }
            map.next_value_seed(Texts(&mut *self.0))?;
            keys.push(key);
        }
        self.0.append(&mut keys);
        Ok(())
    }
}
