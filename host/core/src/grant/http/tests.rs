//! What grants for HTTP requests allow, and what they do not.

use super::*;

const PUBLIC: &str = "93.184.215.14";

fn grants(list: &[&str]) -> Grants {
    let http = list.iter().map(|g| HttpGrant::parse(g).expect("a grant")).collect();
    Grants { http, ..Grants::default() }
}

#[track_caller]
fn check(list: &[&str], scheme: &str, host: &str, port: u16, ip: &str) -> Result<(), String> {
    let permit = grants(list)
        .http("GET", scheme, host, Some(port), "/")
        .map_err(|d| format!("request: {d}"))?;
    permit.connect(ip.parse().expect("an address")).map_err(|d| format!("address: {d}"))
}

/// Whether `METHOD /path` to `https://a.example` is allowed, or the denial.
fn ask(list: &[&str], method: &str, path: &str) -> Result<(), String> {
    let permit = grants(list).http(method, "https", "a.example", None, path);
    permit.map(|_| ()).map_err(|denial| denial.to_string())
}

#[test]
fn nothing_is_granted_by_default() {
    let denial = check(&[], "https", "api.example.com", 443, PUBLIC).expect_err("no");
    assert_eq!(
        denial,
        "request: no grant for `https://api.example.com:443` \
         (this would allow it: `http = [\"https://api.example.com\"]`)"
    );
}

#[test]
fn scheme_host_and_port_all_count() {
    let list = &["https://api.example.com"];
    assert!(check(list, "https", "api.example.com", 443, PUBLIC).is_ok());
    assert!(check(list, "https", "API.Example.com.", 443, PUBLIC).is_ok());
    assert!(check(list, "http", "api.example.com", 443, PUBLIC).is_err());
    assert!(check(list, "https", "api.example.com", 8443, PUBLIC).is_err());
    assert!(check(list, "https", "example.com", 443, PUBLIC).is_err());
    assert!(check(list, "https", "xapi.example.com", 443, PUBLIC).is_err());
}

#[test]
fn wildcards_cover_names_below_only() {
    let list = &["https://*.example.com"];
    assert!(check(list, "https", "a.b.example.com", 443, PUBLIC).is_ok());
    assert!(check(list, "https", "example.com", 443, PUBLIC).is_err());
    assert!(check(list, "https", "badexample.com", 443, PUBLIC).is_err());
    assert!(check(list, "https", "a..example.com", 443, PUBLIC).is_err());
}

#[test]
fn a_name_that_resolves_to_a_private_address_is_refused_unless_that_is_granted() {
    let named = &["http://intra.example.com:8080"];
    for ip in [
        "10.0.0.7",
        "127.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "::1",
        "fd00:ec2::254",
        "::ffff:10.0.0.7",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
    ] {
        let denial = check(named, "http", "intra.example.com", 8080, ip).expect_err(ip);
        assert!(denial.starts_with("address: "), "{denial}");
    }
    let with_net = &["http://intra.example.com:8080", "http://10.0.0.0/8:8080"];
    assert!(check(with_net, "http", "intra.example.com", 8080, "10.0.0.7").is_ok());
    assert!(check(with_net, "http", "intra.example.com", 8080, "::ffff:10.0.0.7").is_ok());
    assert!(check(with_net, "http", "intra.example.com", 8080, "192.168.0.1").is_err());
}

#[test]
fn a_network_covers_an_address_for_the_methods_and_paths_of_its_grant_alone() {
    let list = &["http://intra.example", "GET http://10.0.0.0/8:80/status"];
    let connect = |method, path| {
        let permit = grants(list).http(method, "http", "intra.example", None, path);
        permit.expect("by name").connect("10.0.0.7".parse().expect("an address"))
    };
    assert!(connect("GET", "/status").is_ok());
    assert!(connect("POST", "/status").is_err());
    assert!(connect("GET", "/admin").is_err());
}

#[test]
fn every_spelling_of_an_address_is_the_same_address() {
    let list = &["http://127.0.0.1:80"];
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ] {
        assert!(grants(&[]).http("GET", "http", host, Some(80), "/").is_err(), "{host}");
        assert!(check(list, "http", host, 80, "127.0.0.1").is_ok(), "{host}");
    }
    for text in
        ["http://127.1", "http://0x7f.1", "http://2130706433", "http://a.1", "http://0177.0.0.1"]
    {
        assert!(HttpGrant::parse(text).is_err(), "{text}");
    }
}

#[test]
fn localhost_names_the_loopback() {
    let list = &["http://localhost:9000"];
    assert!(check(list, "http", "localhost", 9000, "127.0.0.1").is_ok());
    assert!(check(list, "http", "LOCALHOST.", 9000, "::1").is_ok());
    assert!(check(list, "http", "localhost", 9000, "10.0.0.1").is_err());
    assert!(check(list, "http", "127.0.0.1", 9000, "127.0.0.1").is_err());
    // Another name's grant does not make it one.
    let both = &["http://localhost:9000", "http://intra.example:9000"];
    assert!(check(both, "http", "intra.example", 9000, "127.0.0.1").is_err());
}

#[test]
fn methods_are_compared_as_they_are_sent() {
    let list = &["GET,HEAD https://a.example"];
    assert!(ask(list, "GET", "/").is_ok() && ask(list, "HEAD", "/x").is_ok());
    for method in ["POST", "get", "Get", "GET ", "GETX", ""] {
        assert!(ask(list, method, "/").is_err(), "{method}");
    }
    assert_eq!(
        ask(list, "POST", "/x?token=canary").expect_err("no"),
        "no grant for `POST https://a.example:443/x` \
         (this would allow it: `http = [\"POST https://a.example\"]`)"
    );
    for method in ["GET", "PATCH", "get", "BREW"] {
        assert!(ask(&["https://a.example"], method, "/").is_ok(), "{method}");
    }
}

#[test]
fn a_path_is_a_prefix_that_no_spelling_leaves() {
    let list = &["https://a.example/v1"];
    for path in ["/v1", "/v1/x", "/v1?a=/../b", "/v1/x#y"] {
        assert!(ask(list, "GET", path).is_ok(), "{path}");
    }
    for path in ["", "/", "/v10", "/V1", "/v1/../x", "/v1/%2e%2e/x", "/v1/..;/x", "//v1", "/v1//x"]
    {
        assert!(ask(list, "GET", path).is_err(), "{path}");
    }
    assert_eq!(
        ask(list, "GET", "/v2/x").expect_err("no"),
        "no grant for `GET https://a.example:443/v2/x` \
         (this would allow it: `http = [\"https://a.example/v2/x\"]`)"
    );
    assert_eq!(
        ask(list, "GET", "/v1/../x").expect_err("no"),
        "no grant for `GET https://a.example:443/v1/../x, whose path servers read in different ways` \
         (this would allow it: `http = [\"https://a.example\"]`)"
    );
    // Without a path in the grant, what a path means is the target's business.
    assert!(ask(&["https://a.example"], "GET", "/v1/../x").is_ok());
}

#[test]
fn what_nothing_allows_says_why() {
    let deny = |scheme, host, port| {
        let denial = grants(&[]).http("GET", scheme, host, port, "/").expect_err("no");
        assert_eq!(denial.allow, None);
        denial.to_string()
    };
    assert_eq!(
        deny("ftp", "a.example", None),
        "no grant for `ftp://a.example` (no grant allows this: only http and https are offered)"
    );
    assert!(deny("http", "a\n\u{1b}b", None).contains("`http://a\\n\\u{1b}b`"));
    assert!(deny("http", "a.example", Some(0)).contains("there is no port 0"));
    assert!(deny("http", "u@a.example", None).contains("this is no host"));
}

#[test]
fn what_is_attached_comes_from_the_grant_that_allows_the_request() {
    let attach = |value: &str| Attach {
        headers: vec![("authorization".to_owned(), value.to_owned())],
        identity: None,
    };
    let grant = |text, value| HttpGrant::parse(text).expect("a grant").attaching(attach(value));
    let grants = Grants {
        http: vec![
            HttpGrant::parse("https://a.example").expect("a grant"),
            grant("GET https://a.example/v1", "one"),
            grant("https://*.example", "two"),
            grant("https://10.0.0.0/8", "three"),
        ],
        ..Grants::default()
    };
    let added = |method, host, path| {
        let permit = grants.http(method, "https", host, None, path).expect("allowed");
        permit.attach().map(|attach| attach.headers[0].1.clone())
    };
    assert_eq!(added("GET", "a.example", "/v1").as_deref(), Some("one"));
    assert_eq!(added("POST", "a.example", "/v1").as_deref(), Some("two"));
    assert_eq!(added("GET", "a.example", "/v1/../x").as_deref(), Some("two"));
    assert_eq!(added("GET", "10.0.0.7", "/").as_deref(), Some("three"));
    let plain = self::grants(&["https://a.example"]);
    let permit = plain.http("GET", "https", "a.example", None, "/").expect("allowed");
    assert_eq!(permit.attach(), None);
}

#[test]
fn a_grant_includes_narrower_ones() {
    let parse = |text: &str| HttpGrant::parse(text).expect("a grant");
    let includes = |a: &str, b: &str| parse(a).includes(&parse(b));
    assert!(includes("https://*.example.com", "https://api.example.com"));
    assert!(includes("https://*.example.com", "https://*.api.example.com"));
    assert!(includes("https://*.example.com", "https://*.example.com"));
    assert!(!includes("https://*.example.com", "https://example.com"));
    assert!(!includes("https://api.example.com", "https://*.example.com"));
    assert!(includes("http://10.0.0.0/8", "http://10.1.0.0/16"));
    assert!(!includes("http://10.1.0.0/16", "http://10.0.0.0/8"));
    assert!(!includes("http://10.0.0.0/8", "http://10.0.0.1:8080"));
    assert!(includes("https://a.org", "GET https://a.org/v1"));
    assert!(includes("GET,HEAD https://a.org", "HEAD https://a.org"));
    assert!(!includes("GET https://a.org", "https://a.org"));
    assert!(!includes("GET https://a.org", "GET,POST https://a.org"));
    assert!(includes("https://a.org/v1", "https://a.org/v1/x"));
    assert!(!includes("https://a.org/v1", "https://a.org/v10"));
    assert!(!includes("https://a.org/v1", "https://a.org"));
    let with = |value: &str| {
        parse("https://a.org")
            .attaching(Attach { headers: vec![("a".into(), value.into())], identity: None })
    };
    assert!(with("1").includes(&parse("https://a.org")) && with("1").includes(&with("1")));
    assert!(!with("1").includes(&with("2")) && !parse("https://a.org").includes(&with("1")));
}

#[test]
fn what_is_no_grant_says_why() {
    for text in [
        "api.example.com",
        "ftp://api.example.com",
        "HTTPS://api.example.com",
        "https://api.example.com/path?query",
        "https://api.example.com/../path",
        "https://api.example.com/a b",
        "https://user@api.example.com",
        "https://user:password@api.example.com",
        "https://api.example.com:99999",
        "https://api.example.com:0",
        "https://api.example.com:",
        "https://api.example.com:+443",
        "https://",
        "https:///path",
        "https://[::1",
        "https://[::1]x",
        "https://[127.0.0.1]",
        "https://[a.example]",
        "https://10.0.0.0/33",
        "https://10.0.0.0/8/path",
        "https://10.0.0.7/path",
        "https://*",
        "https://a b",
        "https://a,b.example",
        "get https://a.example",
        "GET, HEAD https://a.example",
        "GET, https://a.example",
        "CONNECT https://a.example",
        "GET",
    ] {
        assert!(HttpGrant::parse(text).is_err(), "{text}");
    }
}

#[test]
fn grants_print_as_they_are_written() {
    for text in [
        "https://api.example.com",
        "https://*.example.com:8443",
        "http://10.0.0.0/8:8080",
        "http://10.0.0.7",
        "http://[::1]:8080",
        "http://[fd00::]/8:8080",
        "GET,HEAD https://*.example.com:8443/v1",
        "http://10.0.0.7:80/status",
        "http://10.0.0.0/8:80/8",
        "https://a.example/8",
    ] {
        assert_eq!(HttpGrant::parse(text).expect("a grant").to_string(), text);
    }
    for (text, shown) in [
        ("https://api.example.com:443/", "https://api.example.com"),
        ("http://10.0.0.7/", "http://10.0.0.7"),
        ("http://[::ffff:10.0.0.7]", "http://10.0.0.7"),
        ("http://fd00::/8", "http://[fd00::]/8"),
        ("GET,GET https://A.Example.", "GET https://a.example"),
    ] {
        assert_eq!(HttpGrant::parse(text).expect("a grant").to_string(), shown);
    }
}

#[test]
fn a_password_in_a_grant_is_not_quoted() {
    for text in
        ["https://user:canary@a.example", "https://canary@b@a.example/", "tcp://x:canary@a:1"]
    {
        let http = HttpGrant::parse(text).expect_err("it has a user").quoting(text).to_string();
        assert!(!http.contains("canary") && http.contains("[redacted]@a"), "{http}");
    }
}
