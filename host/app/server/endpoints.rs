//! `[[endpoint]]`, and how a rendered body is sent: the built-in routes of `/health` are endpoints
//! with everything.
//!
//! A body is encoded once per snapshot, with its tag, and once more if somebody takes gzip. What
//! is left to do for a request is to compare and to count references.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH, VARY,
};
use hyper::Method;

use super::accept;
use super::negotiate::{self, Choice};
use super::{Answer, App, Asked, access};
use crate::published::{Coded, Rendered};

/// What an answer depends on besides the path, the query and `Accept-Encoding`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Depends {
    /// `Accept`.
    pub(super) accept: bool,
    /// `Authorization`.
    pub(super) token: bool,
}

impl Depends {
    fn vary(self) -> HeaderValue {
        HeaderValue::from_static(match (self.accept, self.token) {
            (true, true) => "accept, authorization, accept-encoding",
            (true, false) => "accept, accept-encoding",
            (false, true) => "authorization, accept-encoding",
            (false, false) => "accept-encoding",
        })
    }
}

/// Answers from the endpoint that this listener serves under this path, if there is one.
pub(super) fn answer(app: &App, asked: &Asked<'_>) -> Option<Answer> {
    let published = app.shared.load();
    let (index, spec) = published.endpoint(asked.path, &asked.site.name)?;
    if !matches!(*asked.method, Method::GET | Method::HEAD) {
        return Some(Answer::method_not_allowed(asked.path, "GET, HEAD"));
    }
    let token = spec.detail_with_token > spec.detail;
    let choice = match spec.format {
        Some(format) => Choice { format, media_type: None, by_accept: false },
        None => match negotiate::choose(asked) {
            Ok(choice) => choice,
            Err(refusal) => return Some(refusal.into()),
        },
    };
    // A wrong token is told what everybody is told: not even that it is wrong.
    let trusted = token
        && asked.headers.contains_key(AUTHORIZATION)
        && access::has_token(&app.live.load().tokens, asked.headers);
    let rendered = published.of_endpoint(index, choice.format, trusted);
    let depends = Depends { accept: choice.by_accept, token };
    Some(send(asked.headers, rendered, choice.media_type, depends))
}

/// Sends a body, or that it has not changed.
pub(super) fn send(
    headers: &HeaderMap,
    rendered: &Rendered,
    media_type: Option<HeaderValue>,
    depends: Depends,
) -> Answer {
    let gzip = if accept::takes_gzip(headers) { rendered.gzip() } else { None };
    let Coded { body, tag } = gzip.unwrap_or(&rendered.plain);
    let unchanged = tag.as_ref().is_some_and(|tag| is_known(headers, tag));
    let mut answer = if unchanged {
        Answer::bare(304, bytes::Bytes::new())
    } else {
        let media_type = media_type.unwrap_or_else(|| rendered.media_type.clone());
        let answer = Answer::bare(rendered.code, body.clone()).with(CONTENT_TYPE, media_type);
        match gzip {
            Some(_) => answer.with(CONTENT_ENCODING, HeaderValue::from_static("gzip")),
            None => answer,
        }
    };
    if let Some(tag) = tag {
        answer = answer.with(ETAG, tag.clone());
    }
    answer.with(CACHE_CONTROL, rendered.cache_control.clone()).with(VARY, depends.vary())
}

/// Whether `If-None-Match` names a tag, or any with `*`.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let mut lines = headers.get_all(IF_NONE_MATCH).iter();
    lines.any(|line| line.as_bytes().trim_ascii() == b"*" || lists(line.as_bytes(), tag.as_bytes()))
}

/// Whether a list has a tag by weak comparison: `W/` before it does not matter.
fn lists(mut list: &[u8], tag: &[u8]) -> bool {
    while let Some(start) = list.iter().position(|byte| *byte == b'"') {
        let rest = &list[start..];
        // Nothing within a tag is escaped.
        let Some(end) = rest.iter().skip(1).position(|byte| *byte == b'"') else { return false };
        let (found, after) = rest.split_at(end + 2);
        if found == tag {
            return true;
        }
        list = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tag_is_found_in_a_list_whether_weak_or_strong() {
        let tag = b"\"abc-0-200\"";
        for yes in [
            "\"abc-0-200\"",
            "W/\"abc-0-200\"",
            "\"x\", \"abc-0-200\"",
            "\"x\",W/\"y,z\" , W/\"abc-0-200\"",
            ",, \"\", \"abc-0-200\"",
        ] {
            assert!(lists(yes.as_bytes(), tag), "{yes}");
        }
        for no in
            ["", "abc-0-200", "\"abc-0-200", "\"abc-0-200-gzip\"", "\"x\", \"", "\", \"", "W/"]
        {
            assert!(!lists(no.as_bytes(), tag), "{no}");
        }
    }

    proptest! {
        #[test]
        fn no_list_is_too_strange(list in proptest::collection::vec(any::<u8>(), 0..100)) {
            lists(&list, b"\"abc\"");
        }
    }
}
