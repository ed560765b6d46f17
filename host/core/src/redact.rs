//! Secrets, and how they are kept out of everything that is shown.
//!
//! A value that the configuration takes from the environment or a file is a secret. Configuration
//! texts are shown as they are written; what comes back from targets and guests goes through a
//! [`Redactor`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Values shorter than this are not looked for in texts: they would black out half of every line.
pub const MIN_REDACTED: usize = 4;

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// What stands where a text was cut.
const CUT: char = '…';

/// Most of these that are looked at in one text, and most of a secret before one of them, in bytes.
const MOST_CUTS: usize = 128;
const MAX_BEGIN: usize = 1024;

/// Replaces known secrets in texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another goes whole.
    values: Arc<[Arc<str>]>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} values)", self.values.len())
    }
}

/// Whether a line of a longer secret is one itself: long enough, and not the frame of a PEM text.
fn is_telling(line: &str) -> bool {
    line.trim().len() >= 2 * MIN_REDACTED && !line.starts_with("-----")
}

/// How much of the beginning of a value stands at the end of a text, in bytes, if that is enough to
/// look for.
fn ends_with_begin(text: &str, value: &str) -> Option<usize> {
    let longest = value.len().min(text.len()).min(MAX_BEGIN);
    (MIN_REDACTED..=longest)
        .rev()
        .filter(|length| value.is_char_boundary(*length))
        .find(|length| text.ends_with(&value[..*length]))
}

impl Redactor {
    /// A redactor for these values, and for what they look like in a JSON string and in a URL.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut list: Vec<Arc<str>> = Vec::new();
        // Logs are lines: a secret of several, such as a key, is looked for in pieces too.
        let lines = |value: &'a str| {
            let several =
                value.contains('\n').then(|| value.lines().filter(|line| is_telling(line)));
            std::iter::once(value).chain(several.into_iter().flatten())
        };
        let values = values.into_iter().flat_map(lines);
        for value in values.filter(|value| value.len() >= MIN_REDACTED) {
            let json = serde_json::Value::from(value).to_string();
            list.push(value.into());
            list.push(json[1..json.len() - 1].into());
            // As our own messages quote what they show.
            list.push(value.escape_debug().to_string().into());
            list.push(
                url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().into(),
            );
            // In a path a space is `%20`, and fewer characters are encoded.
            if let Ok(mut url) = url::Url::parse("x:/") {
                url.set_path(value);
                list.push(url.path().trim_start_matches('/').into());
                url.set_query(Some(value));
                list.extend(url.query().map(Into::into));
            }
        }
        Self::of(list)
    }

    fn of(mut list: Vec<Arc<str>>) -> Self {
        list.retain(|value| value.len() >= MIN_REDACTED);
        list.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        list.dedup();
        Self { values: list.into() }
    }

    /// A redactor for these values besides.
    #[must_use]
    pub fn and<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(self.values.iter().chain(Self::new(values).values.iter()).cloned().collect())
    }

    /// `text` without any of the known values.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for value in self.values.iter() {
            if text.contains(&**value) {
                text = Cow::Owned(text.replace(&**value, REDACTED));
            }
        }
        match self.without_beginnings(&text) {
            Some(text) => Cow::Owned(text),
            None => text,
        }
    }

    /// The text without beginnings of known values before a mark of something left out: what is long
    /// is cut before it comes here, and that may be in the middle of a secret.
    fn without_beginnings(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut done = 0;
        for (at, _) in text.match_indices(CUT).take(MOST_CUTS) {
            let before = &text[done..at];
            let longest =
                self.values.iter().filter_map(|value| ends_with_begin(before, value)).max();
            if let Some(length) = longest {
                out.push_str(&before[..before.len() - length]);
                out.push_str(REDACTED);
                done = at;
            }
        }
        (done > 0).then(|| out + &text[done..])
    }

    /// Redacts in place.
    pub fn apply_to(&self, text: &mut String) {
        if let Cow::Owned(redacted) = self.apply(text) {
            *text = redacted;
        }
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_are_replaced_longest_first() {
        let redactor = Redactor::new(["hunter2", "hunter2-and-more", "a\"b\"c", "x"]);
        assert_eq!(redactor.apply("x hunter2-and-more, hunter2"), "x [redacted], [redacted]");
        assert_eq!(redactor.apply(r#"{"k":"a\"b\"c"}"#), r#"{"k":"[redacted]"}"#);
        let more = redactor.and(["hunter3"]);
        assert_eq!(more.apply("hunter2 hunter3"), "[redacted] [redacted]");
        let redactor = Redactor::new(["p w&d/ä"]);
        for text in ["p+w%26d%2F%C3%A4", "p%20w&d/%C3%A4"] {
            assert_eq!(redactor.apply(text), "[redacted]", "{text}");
        }
    }

    #[test]
    fn a_secret_of_several_lines_is_found_in_pieces() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nabc\n-----END PRIVATE KEY-----\n";
        let redactor = Redactor::new([key]);
        assert_eq!(redactor.apply("1: MIIEvQIBADAN"), "1: [redacted]");
        assert_eq!(
            redactor.apply(key.trim_end()),
            key.trim_end().replace("MIIEvQIBADAN", REDACTED)
        );
        assert_eq!(
            redactor.apply("-----BEGIN PRIVATE KEY-----, abc"),
            "-----BEGIN PRIVATE KEY-----, abc"
        );
        assert_eq!(redactor.apply(key), REDACTED);
    }

    #[test]
    fn a_redactor_does_not_tell_what_it_looks_for() {
        assert!(!format!("{:?}", Redactor::new(["hunter2"])).contains("hunter2"));
    }

    #[test]
    fn a_secret_is_found_where_it_is_cut_and_where_it_is_quoted() {
        let redactor = Redactor::new(["hunter-two's", "hunter-one"]);
        for (text, expected) in [
            ("body is \"a hunter-tw…\"", "body is \"a [redacted]…\""),
            ("hunt… and hunter-o… and h…", "[redacted]… and [redacted]… and h…"),
            ("body is \"hunter-two\\'s\"", "body is \"[redacted]\""),
            ("nothing… at all", "nothing… at all"),
        ] {
            assert_eq!(redactor.apply(text), expected);
        }
    }
}
