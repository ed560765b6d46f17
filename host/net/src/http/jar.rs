//! Cookies, which somebody else keeps.

use http::{HeaderMap, HeaderValue};
use url::Url;

/// Keeps the cookies of one run, from request to request.
pub trait Jar: Send + Sync {
    /// The text of `Cookie` in a request to `url`.
    fn cookies(&self, url: &Url) -> Option<HeaderValue>;

    /// Looks at the headers of an answer from `url`.
    fn keep(&self, url: &Url, headers: &HeaderMap);
}

/// Cookies of a jar behind those that a request has anyway, and in place of those of their names.
pub(super) fn joined(own: Option<&HeaderValue>, kept: &HeaderValue) -> HeaderValue {
    let name = |pair: &[u8]| -> Vec<u8> {
        pair.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii().to_vec()
    };
    let pairs = |value: &HeaderValue| -> Vec<Vec<u8>> {
        let pairs = value.as_bytes().split(|b| *b == b';').map(|pair| pair.trim_ascii().to_vec());
        pairs.filter(|pair| !pair.is_empty()).collect()
    };
    let kept = pairs(kept);
    let newer: Vec<Vec<u8>> = kept.iter().map(|pair| name(pair)).collect();
    let mut all = own.map(pairs).unwrap_or_default();
    all.retain(|pair| !newer.contains(&name(pair)));
    all.extend(kept);
    let mut joined = HeaderValue::from_bytes(&all.join(&b"; "[..]))
        .expect("the pieces are of values, and so is what joins them");
    joined.set_sensitive(true);
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_sets_is_in_place_of_what_it_was_sent() {
        let value = HeaderValue::from_static;
        for (own, kept, expected) in [
            (None, "a=1", "a=1"),
            (Some("b=2; c=3"), "a=1", "b=2; c=3; a=1"),
            (Some("a=0;b=2"), "a=1; d=4", "b=2; a=1; d=4"),
        ] {
            let joined = joined(own.map(value).as_ref(), &value(kept));
            assert_eq!(joined, expected);
            assert!(joined.is_sensitive());
        }
    }
}
