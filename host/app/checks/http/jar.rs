//! The cookies of one run.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cookie_store::CookieStore;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use url::Url;
use wellcheck_net::http::Jar;

/// Most cookies that are kept; further ones are not.
const MOST: usize = 64;

/// Longest `Set-Cookie` that is looked at, in bytes.
const LONGEST: usize = 4096;

/// See the module.
#[derive(Default)]
pub(in crate::checks) struct Cookies(Mutex<CookieStore>);

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookies(..)")
    }
}

impl Cookies {
    fn store(&self) -> MutexGuard<'_, CookieStore> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Name and value of each cookie for `url`.
    pub(in crate::checks) fn list(&self, url: &Url) -> Vec<(String, String)> {
        let store = self.store();
        let mut list: Vec<(String, String)> = store
            .get_request_values(url)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        list.sort();
        list
    }
}

impl Jar for Cookies {
    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        let pairs: Vec<String> =
            self.list(url).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() {
            return None;
        }
        HeaderValue::from_str(&pairs.join("; ")).ok()
    }

    fn keep(&self, url: &Url, headers: &HeaderMap) {
        let mut store = self.store();
        for value in headers.get_all(SET_COOKIE) {
            let text = value.to_str().ok().filter(|text| text.len() <= LONGEST);
            let Some(text) = text else { continue };
            if is_for_too_many(text) {
                continue;
            }
            // One that cannot be used is the target's to lose.
            let _ = store.parse(text, url);
            if store.iter_any().count() > MOST {
                drop_last(&mut store, text, url);
            }
        }
    }
}

/// Whether a cookie is for everything below a name like `com`. There is no list of the others.
fn is_for_too_many(text: &str) -> bool {
    text.split(';').skip(1).any(|attribute| {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let domain = value.trim().trim_matches('.');
        name.trim().eq_ignore_ascii_case("domain")
            && !domain.is_empty()
            && !domain.contains('.')
            && !domain.eq_ignore_ascii_case("localhost")
    })
}

/// Takes out what was just put in.
fn drop_last(store: &mut CookieStore, text: &str, url: &Url) {
    let Ok(cookie) = cookie_store::Cookie::parse(text, url) else { return };
    let domain = cookie.domain.as_cow().unwrap_or_default().into_owned();
    let (path, name) = (cookie.path.to_string(), cookie.name().to_owned());
    store.remove(&domain, &path, &name);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(jar: &Cookies, url: &str, texts: &[&str]) {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(SET_COOKIE, HeaderValue::from_str(text).expect("a header"));
        }
        jar.keep(&Url::parse(url).expect("a URL"), &headers);
    }

    #[track_caller]
    fn check(jar: &Cookies, url: &str, expected: Option<&str>) {
        let found = jar.cookies(&Url::parse(url).expect("a URL"));
        assert_eq!(found.as_ref().map(|v| v.to_str().expect("text")), expected, "{url}");
    }

    #[test]
    fn cookies_go_back_to_where_they_came_from() {
        let jar = Cookies::default();
        keep(
            &jar,
            "https://shop.example.com/login",
            &["a=1; Secure; HttpOnly", "b=2; Path=/cart", "c=3; Domain=example.com; Path=/"],
        );
        keep(&jar, "https://shop.example.com/", &["all=1; Domain=com", "bad", "\u{1f36a}=x"]);
        check(&jar, "https://shop.example.com/", Some("a=1; c=3"));
        check(&jar, "https://shop.example.com/cart", Some("a=1; b=2; c=3"));
        check(&jar, "http://shop.example.com/", Some("c=3"));
        check(&jar, "https://other.example.com/", Some("c=3"));
        check(&jar, "https://example.org/", None);
        keep(&jar, "https://shop.example.com/logout", &["a=; Max-Age=0; Path=/"]);
        check(&jar, "https://shop.example.com/", Some("c=3"));
    }

    #[test]
    fn a_jar_takes_so_many_and_no_more() {
        let jar = Cookies::default();
        for n in 0..1000 {
            keep(&jar, "http://a.example.com/", &[&format!("c{n}={n}")]);
        }
        keep(&jar, "http://a.example.com/", &[&format!("long={}", "x".repeat(LONGEST))]);
        let list = jar.list(&Url::parse("http://a.example.com/").expect("a URL"));
        assert_eq!(list.len(), MOST);
    }
}
