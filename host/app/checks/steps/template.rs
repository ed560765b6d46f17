//! Texts with places for captured values: `{{token}}`.
//!
//! A place is two braces around a name of letters, digits, `-` and `_`; any other braces are text,
//! and `${...}` is replaced before anything is looked at here. A value is encoded for where it goes,
//! so that it stays one word there: it adds no header, no parameter and no path, and it is never a
//! part of the host that is asked.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;
use url::form_urlencoded::byte_serialize;

/// Captured values by name.
pub(super) type Values = BTreeMap<String, String>;

/// What is encoded in a URL: all but what never has a meaning there (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(String),
}

/// How a value is written into a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As a part of a JSON string.
    Json,
    /// As a value of a form.
    Url,
    /// As it is.
    Plain,
}

impl Template {
    /// Takes `text` apart.
    pub(super) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            let behind = &rest[at + 2..];
            let name =
                behind.find("}}").map(|end| &behind[..end]).filter(|name| is_name(name.trim()));
            let Some(name) = name else {
                // Of three braces, the last two may begin a place.
                plain.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
                continue;
            };
            plain.push_str(&rest[..at]);
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Value(name.trim().to_owned()));
            rest = &behind[name.len() + 2..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Self(pieces)
    }

    /// The names of its places.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Value(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Whether there is no place in it.
    pub(super) fn is_plain(&self) -> bool {
        self.names().next().is_none()
    }

    /// The same, behind some text.
    pub(super) fn behind(mut self, text: &str) -> Self {
        self.0.insert(0, Piece::Text(text.to_owned()));
        self
    }

    /// What stands before the first place.
    pub(super) fn beginning(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// The text with something in each place, to see whether it is well formed.
    pub(super) fn stand_in(&self) -> String {
        self.fill(|_| "0".to_owned())
    }

    fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => value(name),
        };
        self.0.iter().map(piece).collect()
    }

    /// A URL of the same origin and as many segments as `like`, which was made with stand-ins.
    pub(super) fn url(&self, values: &Values, like: &Url) -> Result<Url, String> {
        if let Some(name) = self.names().find(|name| matches!(get(values, name), "." | "..")) {
            return Err(format!("the value of `{name}` would change the path of the URL"));
        }
        let text = self.fill(|name| utf8_percent_encode(get(values, name), ENCODED).to_string());
        let url = Url::parse(&text).map_err(|error| format!("its URL is none: {error}"))?;
        let segments = |url: &Url| url.path_segments().map_or(0, Iterator::count);
        let who = |url: &Url| (url.username().to_owned(), url.password().map(str::to_owned));
        if url.origin() != like.origin() || who(&url) != who(like) {
            return Err("a captured value would change the host of its URL".to_owned());
        }
        if segments(&url) != segments(like) {
            return Err("a captured value would change the path of the URL".to_owned());
        }
        Ok(url)
    }

    /// The value of a header, which is not shown.
    pub(super) fn header(&self, values: &Values) -> Result<HeaderValue, String> {
        let text = self.fill(|name| get(values, name).to_owned());
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            let names: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
            format!("a header cannot hold the value of {}", names.join(" or "))
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A body.
    pub(super) fn body(&self, values: &Values, form: Form) -> String {
        self.fill(|name| {
            let value = get(values, name);
            match form {
                Form::Plain => value.to_owned(),
                Form::Url => byte_serialize(value.as_bytes()).collect(),
                Form::Json => {
                    let quoted = serde_json::Value::from(value).to_string();
                    quoted[1..quoted.len() - 1].to_owned()
                }
            }
        })
    }
}

impl Form {
    /// How values go into a body: by the type that its headers name, else by how it begins.
    pub(super) fn of(headers: &HeaderMap, body: &Template) -> Self {
        let named = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match named.map(str::to_ascii_lowercase) {
            Some(name) if name.contains("json") => Self::Json,
            Some(name) if name.contains("x-www-form-urlencoded") => Self::Url,
            Some(_) => Self::Plain,
            None if body.beginning().trim_start().starts_with(['{', '[']) => Self::Json,
            None => Self::Plain,
        }
    }
}

/// That of a name whose step comes before, which the configuration was checked for.
fn get<'a>(values: &'a Values, name: &str) -> &'a str {
    values.get(name).map_or("", String::as_str)
}

/// Whether a captured value can be called like this.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(value: &str) -> Values {
        Values::from([("x".to_owned(), value.to_owned())])
    }

    #[test]
    fn only_braces_around_a_name_are_a_place() {
        for (text, names) in [
            ("{{x}}", vec!["x"]),
            ("a{{ x }}b{{y-z}}", vec!["x", "y-z"]),
            ("{\"a\":{\"b\":{{x}}}}", vec!["x"]),
            ("{{{x}}}", vec!["x"]),
            ("{{}}{{ }}{{a b}}{{a{{x", vec![]),
            ("{{\u{e9}}} }} {x}", vec![]),
        ] {
            let template = Template::parse(text);
            assert_eq!(template.names().collect::<Vec<_>>(), names, "{text}");
            let shown = template.fill(|name| format!("{{{{{name}}}}}"));
            assert_eq!(shown, text.replace("{{ x }}", "{{x}}"));
        }
    }

    #[test]
    fn a_value_stays_where_it_is_put() {
        let template = Template::parse("https://a.example/items/{{x}}/edit?q={{x}}#{{x}}");
        let like = Url::parse(&template.stand_in()).expect("a URL");
        let of = |value: &str| template.url(&values(value), &like).map(String::from);
        assert_eq!(of("7").as_deref(), Ok("https://a.example/items/7/edit?q=7#7"));
        let encoded = "https://a.example/items/%2F%3Fa%26b%3D%23%40%20%C3%A4/edit?q=%2F%3Fa%26b%3D%23%40%20%C3%A4#%2F%3Fa%26b%3D%23%40%20%C3%A4";
        assert_eq!(of("/?a&b=#@ ä").as_deref(), Ok(encoded));
        for bad in [".", ".."] {
            of(bad).expect_err("it would change the path");
        }
        let template = Template::parse("https://a.example/b/.{{x}}");
        let like = Url::parse(&template.stand_in()).expect("a URL");
        template.url(&values("."), &like).expect_err("it would change the path");
        let template = Template::parse("Bearer {{x}}");
        assert_eq!(template.header(&values("abc")).expect("a header"), "Bearer abc");
        template.header(&values("a\r\nX: y")).expect_err("a header of its own");
    }

    #[test]
    fn a_body_says_how_values_are_written() {
        let of = |body: &str, kind: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(
                kind.map(|kind| (http::header::CONTENT_TYPE, HeaderValue::from_static(kind))),
            );
            let template = Template::parse(body);
            template.body(&values("a\"b&c"), Form::of(&headers, &template))
        };
        assert_eq!(of(r#"{"t": "{{x}}"}"#, None), r#"{"t": "a\"b&c"}"#);
        assert_eq!(of(r#"t="{{x}}""#, Some("application/problem+json")), r#"t="a\"b&c""#);
        assert_eq!(of("t={{x}}", Some("application/x-www-form-urlencoded")), "t=a%22b%26c");
        assert_eq!(of("{t={{x}}", Some("text/plain")), "{t=a\"b&c");
        assert_eq!(of("t={{x}}", None), "t=a\"b&c");
    }

    #[test]
    fn no_value_leaves_the_origin() {
        for start in
            ["http://a.example/{{x}}", "http://a.example?{{x}}", "http://u@a.example/x{{x}}"]
        {
            let template = Template::parse(start);
            let like = Url::parse(&template.stand_in()).expect("a URL");
            for value in ["@b.example/", "//b.example", "\\\\b", ":80", "\t\n", "%2e%2e", "", "\0"]
            {
                if let Ok(url) = template.url(&values(value), &like) {
                    assert_eq!(url.origin(), like.origin(), "{start} {value:?}");
                }
            }
        }
    }
}
