//! What a request gets when something is broken: one function for each fault.

use super::Scripted;
use super::faults::{Bad, Got};
use crate::record::{Answer, Blob, Chunk, Failed, Reply};

const ERROR_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Error</title></head>\n\
<body><h1>Something went wrong</h1><p>Please try again later.</p></body></html>\n";
const NOT_FOUND: &str = "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n\
<body><h1>Not Found</h1></body></html>\n";
const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Log in</title></head>\n\
<body><form method=\"post\"><input name=\"user\"><input name=\"password\"></form></body></html>\n";
/// Pieces of a slow body.
const PIECES: usize = 10;

fn bad(reply: Reply) -> Bad {
    Bad { reply, also: None }
}

fn failure(kind: &str) -> Option<Bad> {
    let failed = Failed { after: 0.0, kind: kind.to_owned(), message: String::new() };
    Some(bad(Reply::Failure(failed)))
}

pub(super) fn refused(_: &Got<'_>) -> Option<Bad> {
    failure("refused")
}

pub(super) fn no_name(_: &Got<'_>) -> Option<Bad> {
    failure("resolve")
}

pub(super) fn silence(_: &Got<'_>) -> Option<Bad> {
    Some(bad(Reply::Silence))
}

pub(super) fn expired(got: &Got<'_>) -> Option<Bad> {
    if got.url.starts_with("https://") { failure("tls-expired") } else { None }
}

/// The answer that it got, if it got one.
fn answer<'a>(got: &Got<'a>) -> Option<&'a Answer> {
    match got.reply {
        Reply::Answer(answer) => Some(answer),
        Reply::Failure(_) | Reply::Silence => None,
    }
}

/// Its body, if it has one.
fn body(answer: &Answer) -> Option<Vec<u8>> {
    let body: Vec<u8> = answer.body.iter().flat_map(|chunk| &chunk.data.0).copied().collect();
    (!body.is_empty()).then_some(body)
}

/// The same answer with another body. What was said about the old one goes with it.
fn with_body(answer: &Answer, kind: Option<&str>, body: &[u8]) -> Bad {
    let about = |name: &str| {
        ["content-length", "content-encoding", "content-md5", "etag", "digest"].contains(&name)
            || kind.is_some() && name == "content-type"
    };
    let kept = answer.headers.iter().filter(|(name, _)| !about(&name.to_ascii_lowercase()));
    let kind = kind.map(|kind| ("content-type".to_owned(), kind.to_owned()));
    let chunk = Chunk { after: 0.0, data: Blob(body.to_vec()) };
    bad(Reply::Answer(Answer {
        headers: kept.cloned().chain(kind).collect(),
        body: Some(chunk).filter(|chunk| !chunk.data.is_empty()).into_iter().collect(),
        broken: None,
        ..answer.clone()
    }))
}

pub(super) fn status_500(got: &Got<'_>) -> Option<Bad> {
    Some(bad(Reply::Answer(Answer { status: 500, ..answer(got)?.clone() })))
}

pub(super) fn status_404(got: &Got<'_>) -> Option<Bad> {
    let answer = Answer { status: 404, ..answer(got)?.clone() };
    Some(with_body(&answer, Some("text/html"), NOT_FOUND.as_bytes()))
}

/// Whoever follows it finds a page with a form.
pub(super) fn login(got: &Got<'_>) -> Option<Bad> {
    let (scheme, rest) = got.url.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    let page = Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        body: vec![Chunk { after: 0.0, data: LOGIN_PAGE.into() }],
        ..Answer::default()
    };
    let redirect = Answer {
        status: 302,
        headers: vec![("location".to_owned(), "/wellcheck-login-page".to_owned())],
        ..Answer { after: answer(got)?.after, ..Answer::default() }
    };
    let url = format!("{scheme}://{authority}/wellcheck-login-page");
    let also = Scripted::new(url, Reply::Answer(page));
    Some(Bad { reply: Reply::Answer(redirect), also: Some(also) })
}

pub(super) fn html(got: &Got<'_>) -> Option<Bad> {
    let answer = answer(got)?;
    body(answer)?;
    Some(with_body(answer, Some("text/html"), ERROR_PAGE.as_bytes()))
}

pub(super) fn empty_body(got: &Got<'_>) -> Option<Bad> {
    Some(with_body(answer(got)?, None, b""))
}

pub(super) fn short_body(got: &Got<'_>) -> Option<Bad> {
    let answer = answer(got)?;
    Some(with_body(answer, None, half(&body(answer)?)?))
}

/// The first half, if that is something, and not in the middle of a character.
fn half(body: &[u8]) -> Option<&[u8]> {
    let mut end = body.len() / 2;
    while end > 0 && body[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    (end > 0).then(|| &body[..end])
}

pub(super) fn cut_body(got: &Got<'_>) -> Option<Bad> {
    let answer = answer(got)?;
    let body = body(answer)?;
    let half = Chunk { after: 0.0, data: Blob(body[..body.len() / 2].to_vec()) };
    let broken = Failed { after: 0.0, kind: "closed".to_owned(), message: String::new() };
    Some(bad(Reply::Answer(Answer { body: vec![half], broken: Some(broken), ..answer.clone() })))
}

/// It would be there after twice the timeout.
pub(super) fn slow_body(got: &Got<'_>) -> Option<Bad> {
    let answer = answer(got)?;
    let body = body(answer)?;
    let size = body.len().div_ceil(PIECES);
    let pieces = body.chunks(size);
    #[expect(clippy::cast_precision_loss, reason = "there are ten at most")]
    let after = got.timeout.as_secs_f64() * 2e3 / pieces.len() as f64;
    let body = pieces.map(|piece| Chunk { after, data: Blob(piece.to_vec()) }).collect();
    Some(bad(Reply::Answer(Answer { body, ..answer.clone() })))
}

/// The answer and what it says, if that is JSON.
fn json<'a>(got: &Got<'a>) -> Option<(&'a Answer, serde_json::Value)> {
    let answer = answer(got)?;
    Some((answer, serde_json::from_slice(&body(answer)?).ok()?))
}

fn json_as(got: &Got<'_>, wrong: &serde_json::Value) -> Option<Bad> {
    let (answer, value) = json(got)?;
    (value != *wrong).then(|| with_body(answer, None, wrong.to_string().as_bytes()))
}

pub(super) fn json_object(got: &Got<'_>) -> Option<Bad> {
    json_as(got, &serde_json::json!({}))
}

pub(super) fn json_array(got: &Got<'_>) -> Option<Bad> {
    json_as(got, &serde_json::json!([]))
}

pub(super) fn json_null(got: &Got<'_>) -> Option<Bad> {
    json_as(got, &serde_json::Value::Null)
}

pub(super) fn json_texts(got: &Got<'_>) -> Option<Bad> {
    let (answer, mut value) = json(got)?;
    texts(&mut value).then(|| with_body(answer, None, value.to_string().as_bytes()))
}

/// Makes every number a text; whether there was one.
fn texts(value: &mut serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::Number(number) => {
            *value = Value::String(number.to_string());
            true
        }
        Value::Array(list) => list.iter_mut().fold(false, |any, value| texts(value) | any),
        Value::Object(map) => map.values_mut().fold(false, |any, value| texts(value) | any),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answered(text: &str) -> Reply {
        let headers = vec![("content-length".to_owned(), text.len().to_string())];
        let body = Some(Chunk { after: 0.0, data: text.into() }).filter(|c| !c.data.is_empty());
        Reply::Answer(Answer {
            status: 200,
            headers,
            body: body.into_iter().collect(),
            ..Answer::default()
        })
    }

    fn body_of(function: fn(&Got<'_>) -> Option<Bad>, text: &str) -> Option<String> {
        let reply = answered(text);
        let got = Got { url: "https://a.test/b", reply: &reply, timeout: Duration::from_secs(1) };
        match function(&got)?.reply {
            Reply::Answer(answer) => {
                Some(String::from_utf8(body(&answer).unwrap_or_default()).unwrap())
            }
            other => Some(format!("{other:?}")),
        }
    }

    #[test]
    fn bodies_are_broken_where_there_is_something_to_break() {
        for (function, text, expected) in [
            (short_body as fn(&Got<'_>) -> Option<Bad>, "abcd", Some("ab")),
            (short_body, "aü", Some("a")),
            (short_body, "7", None),
            (cut_body, "abcd", Some("ab")),
            (empty_body, "abcd", Some("")),
            (html, "", None),
            (json_object, "[1]", Some("{}")),
            (json_object, " {} ", None),
            (json_null, "no JSON", None),
            (json_texts, r#"{"a":[1,{"b":-2.5}]}"#, Some(r#"{"a":["1",{"b":"-2.5"}]}"#)),
            (json_texts, r#"{"a":"b"}"#, None),
            (slow_body, "abcdefghijkl", Some("abcdefghijkl")),
        ] {
            assert_eq!(body_of(function, text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_slow_body_takes_longer_than_the_run_may() {
        for text in ["a", "abcdefghijklm"] {
            let reply = answered(text);
            let timeout = Duration::from_secs(3);
            let got = Got { url: "http://a.test/", reply: &reply, timeout };
            let Some(Bad { reply: Reply::Answer(answer), .. }) = slow_body(&got) else { panic!() };
            let took: f64 = answer.body.iter().map(|chunk| chunk.after).sum();
            assert!(took >= 5_900.0, "{text}: {took}");
        }
    }

    #[test]
    fn what_was_said_about_the_old_body_is_not_said_about_the_new_one() {
        let reply = answered("abcd");
        let got = Got { url: "http://a.test/", reply: &reply, timeout: Duration::from_secs(1) };
        let Some(Bad { reply: Reply::Answer(answer), .. }) = html(&got) else { panic!() };
        assert_eq!(answer.headers, [("content-type".to_owned(), "text/html".to_owned())]);
    }

    #[test]
    fn a_login_page_is_there_for_who_follows() {
        let reply = answered("abcd");
        let got = Got { url: "http://a.test:81?q", reply: &reply, timeout: Duration::from_secs(1) };
        let page = login(&got).and_then(|bad| bad.also).expect("a page");
        assert_eq!(page.url, "http://a.test:81/wellcheck-login-page");
        assert!(expired(&got).is_none());
    }
}
