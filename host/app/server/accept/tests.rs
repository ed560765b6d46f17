//! Headers of those who know what they want, of those who do not, and of those who mean harm.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(ACCEPT, HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

#[test]
fn openmetrics_is_for_those_who_name_it_and_like_it_better() {
    // As Prometheus asks.
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for open in [
        &[prometheus][..],
        &["application/openmetrics-text"],
        &["application/openmetrics-text, */*"],
        &["text/plain;q=0.3", "Application/OpenMetrics-Text; Version=\"1.0.0\"; q=0.4"],
    ] {
        assert_eq!(dialect(&headers(open)), Dialect::OpenMetrics, "{open:?}");
    }
    for text in [
        &[][..],
        &[""],
        &["*/*"],
        &["application/*"],
        &["text/html, application/xhtml+xml, */*;q=0.8"],
        &["application/openmetrics-text;q=0"],
        &["application/openmetrics-text;q=nonsense"],
        &["application/openmetrics-text;q=NaN"],
        &["application/openmetrics-text;version=0.0.1"],
        &["application/openmetrics-text; version=2.0.0"],
        &["application/openmetrics-text, text/plain"],
        &["application/openmetrics-text;q=0.1, text/plain;q=0.2"],
        &["application/openmetrics-text;q=0.1, */*"],
        &["text/plain;version=0.0.4;q=0.3", "*/*;q=0.2"],
    ] {
        assert_eq!(dialect(&headers(text)), Dialect::Prometheus, "{text:?}");
    }
}

#[test]
fn gzip_is_taken_by_those_who_say_so() {
    let takes = |value: &str| {
        let value = HeaderValue::from_str(value).expect("a header");
        takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, value)]))
    };
    for yes in ["gzip", "GZIP", "x-gzip", "br, gzip;q=0.5", "*", "deflate, *;q=0.1", "gzip;q=0.001"]
    {
        assert!(takes(yes), "{yes}");
    }
    for no in ["", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "identity, gzip;q=0.5", "gzip;q=x"] {
        assert!(!takes(no), "{no}");
    }
    assert!(!takes_gzip(&HeaderMap::new()));
}

proptest! {
    #[test]
    fn no_header_is_too_strange(bytes in proptest::collection::vec(32_u8..=255, 0..200)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            dialect(&HeaderMap::from_iter([(ACCEPT, value.clone())]));
            takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, value)]));
        }
    }
}
