//! What the whole set of grants answers.

use super::*;

/// Grants from keys and values.
fn grants(list: &[(&str, &str)]) -> Grants {
    let mut grants = Grants::default();
    for (grant, value) in list {
        grants.add(grant, value).expect("a grant");
    }
    grants
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

#[track_caller]
fn check_denied<T: fmt::Debug>(answer: Result<T, Denial>, says: &str) {
    assert_eq!(answer.expect_err("not granted").to_string(), says);
}

#[test]
fn by_default_everything_is_denied_by_the_grant_that_would_allow_it() {
    let none = Grants::default();
    assert!(none.is_empty() && none.list().is_empty());
    check_denied(
        none.resolve("DB.internal."),
        "no grant for `the addresses of db.internal` (this would allow it: `dns = [\"db.internal\"]`)",
    );
    check_denied(
        none.socket(Protocol::Tcp, address("10.0.0.7:5432"), &[]),
        "no grant for `tcp://10.0.0.7:5432` (this would allow it: `sockets = [\"tcp://10.0.0.7:5432\"]`)",
    );
    check_denied(
        none.secret("db-password"),
        "no grant for `secret db-password` (this would allow it: `secrets = [\"db-password\"]`)",
    );
    check_denied(
        none.check("db"),
        "no grant for `check db` (this would allow it: `checks = [\"db\"]`)",
    );
    check_denied(none.state(), "no grant for `state` (this would allow it: `state = \"64KiB\"`)");
    assert!(!none.may_use(Protocol::Tcp) && !none.may_use(Protocol::Udp));
    assert_eq!(
        Grants::no_sockets(Protocol::Udp).to_string(),
        "no grant for `udp socket` (this would allow it: `sockets = [\"udp://host:port\"]`)"
    );
    assert_eq!(
        Grants::listening(address("[::]:80")).to_string(),
        "no grant for `listening at [::]:80` (no grant allows this: a check asks others, and is not asked)"
    );
}

#[test]
fn what_a_denial_suggests_is_a_line_that_allows_it() {
    let none = Grants::default();
    let suggested = |denial: Denial| {
        let line: toml::Table = denial.allow.expect("a suggestion").parse().expect("TOML");
        let mut grants = Grants::default();
        for (grant, value) in &line {
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            for value in values {
                grants.add(grant, value.as_str().expect("a text")).expect("a grant");
            }
        }
        grants
    };
    for (host, port) in [("a.example", None), ("[::1]", Some(8080)), ("127.1", Some(80))] {
        let ask = |grants: &Grants| grants.http("GET", "http", host, port, "/x").err();
        assert_eq!(ask(&suggested(ask(&none).expect("denied"))), None, "{host}");
    }
    for address in ["10.0.0.7:1", "[fd00::1]:2", "[::ffff:10.0.0.7]:3"].map(address) {
        let ask = |grants: &Grants| grants.socket(Protocol::Udp, address, &[]).err();
        assert_eq!(ask(&suggested(ask(&none).expect("denied"))), None, "{address}");
    }
    let ask = |grants: &Grants| grants.resolve("a.example").err();
    assert_eq!(ask(&suggested(ask(&none).expect("denied"))), None);
    let ask = |grants: &Grants| grants.secret("a").err();
    assert_eq!(ask(&suggested(ask(&none).expect("denied"))), None);
    let ask = |grants: &Grants| grants.check("a").err();
    assert_eq!(ask(&suggested(ask(&none).expect("denied"))), None);
    assert_eq!(suggested(none.state().expect_err("denied")).state(), Ok(64 * 1024));
}

#[test]
fn a_denial_never_ends_its_own_quotes_or_lines() {
    let none = Grants::default();
    let odd = "a`b\n\u{1b}[31m\u{202e}\u{2028}\"]".to_owned() + &"x".repeat(10_000);
    let denials = [
        none.secret(&odd).expect_err("no"),
        none.check(&odd).expect_err("no"),
        none.resolve(&odd).expect_err("no"),
        none.http("GET", "http", &odd, None, "/").expect_err("no"),
        none.http("GET", &odd, "a", None, "/").expect_err("no"),
        grants(&[("http", "GET http://a")]).http(&odd, "http", "a", None, &odd).expect_err("no"),
        grants(&[("http", "http://a/v1")]).http("GET", "http", "a", None, &odd).expect_err("no"),
    ];
    for denial in denials {
        let text = denial.to_string();
        assert!(text.is_ascii() && !text.contains(char::is_control), "{text}");
        assert!(text.len() < 2000 && !denial.asked.contains('`'), "{text}");
        if let Some(allow) = denial.allow {
            assert!(allow.parse::<toml::Table>().is_ok(), "{allow}");
        }
    }
}

#[test]
fn names_are_resolved_by_dns_and_by_sockets() {
    let grants = grants(&[("dns", "*.example.com"), ("sockets", "tcp://db.internal:5432")]);
    assert_eq!(grants.resolve("A.Example.com.").as_deref(), Ok("a.example.com"));
    assert_eq!(grants.resolve("DB.INTERNAL").as_deref(), Ok("db.internal"));
    for name in ["example.com", "xdb.internal", "", "a b", "a.example.com%00", "localhost"] {
        assert!(grants.resolve(name).is_err(), "{name}");
    }
}

#[test]
fn an_address_is_its_own_name_where_a_socket_may_lead_there() {
    let grants = grants(&[("dns", "*.example.com"), ("sockets", "tcp://10.0.0.0/8:5432")]);
    assert_eq!(grants.resolve("10.0.0.7").as_deref(), Ok("10.0.0.7"));
    assert_eq!(grants.resolve("::ffff:10.0.0.7").as_deref(), Ok("10.0.0.7"));
    check_denied(
        grants.resolve("127.0.0.1"),
        "no grant for `the addresses of 127.0.0.1` (this would allow it: `sockets = [\"tcp://127.0.0.1:port\"]`)",
    );
}

#[test]
fn a_private_address_of_a_granted_name_is_denied_by_name() {
    let grants = grants(&[("sockets", "tcp://db.internal:5432")]);
    let names = [("db.internal".to_owned(), "10.0.0.7".parse().expect("an address"))];
    check_denied(
        grants.socket(Protocol::Tcp, address("10.0.0.7:5432"), &names),
        "no grant for `tcp://10.0.0.7:5432, which is the private address of db.internal` (this would allow it: `sockets = [\"tcp://10.0.0.7:5432\"]`)",
    );
    assert!(grants.may_use(Protocol::Tcp) && !grants.may_use(Protocol::Udp));
    check_denied(
        grants.socket(Protocol::Tcp, address("10.0.0.7:0"), &names),
        "no grant for `tcp://10.0.0.7:0` (no grant allows this: there is no port 0)",
    );
}

#[test]
fn secrets_and_checks_are_read_by_name() {
    let grants = grants(&[("secrets", "a"), ("checks", "cache-*"), ("state", "1KiB")]);
    assert!(grants.secret("a").is_ok() && grants.secret("b").is_err());
    assert!(grants.check("cache-1").is_ok() && grants.check("db").is_err());
    assert!(grants.check("cache-\n").is_err(), "no name matches no pattern");
    assert_eq!(grants.state(), Ok(1024));
}

#[test]
fn wants_are_covered_in_the_notation_of_their_grant() {
    let mut granted = grants(&[
        ("http", "GET,HEAD https://*.example.com/v1"),
        ("sockets", "tcp://10.0.0.0/8:5432"),
        ("dns", "*.example.com"),
        ("env", "TZ"),
        ("secrets", "a"),
        ("checks", "cache-*"),
        ("state", "64KiB"),
    ]);
    granted.dirs.push(DirGrant::new("/srv/data", "/data", false).expect("a folder"));
    for (grant, value, expected) in [
        ("http", "GET https://a.example.com/v1/x", true),
        ("http", "https://a.example.com/v1", false),
        ("http", "GET https://a.example.com", false),
        ("sockets", "tcp://10.0.0.7:5432", true),
        ("sockets", "udp://10.0.0.7:5432", false),
        ("dns", "a.example.com", true),
        ("dns", "example.com", false),
        ("dirs", "/data", true),
        ("dirs", "/data/sub", true),
        ("dirs", "/data (write)", false),
        ("dirs", "/srv/data", false),
        ("env", "TZ", true),
        ("env", "HOME", false),
        ("secrets", "a", true),
        ("secrets", "b", false),
        ("checks", "cache-1", true),
        ("checks", "*", false),
        ("state", "64KiB", true),
        ("state", "65KiB", false),
        ("state", "0B", true),
    ] {
        assert_eq!(granted.covers(grant, value), Ok(expected), "{grant} {value}");
    }
    for (grant, value) in
        [("htpp", "x"), ("http", "x"), ("state", "64"), ("state", "17MiB"), ("dirs", "data")]
    {
        let error = granted.covers(grant, value).expect_err("cannot be read");
        assert!(error.contains("is no grant"), "{error}");
    }
    assert!(granted.covers("htpp", "x").expect_err("unknown").contains("did you mean `http`?"));
}

#[test]
fn what_is_beyond_is_named() {
    let allowed = grants(&[("http", "https://*.example.com"), ("state", "1KiB")]);
    let own = grants(&[
        ("http", "https://a.example.com"),
        ("http", "https://a.example.org"),
        ("env", "TZ"),
        ("state", "2KiB"),
    ]);
    let beyond = own.beyond(&allowed);
    let beyond: Vec<String> = beyond.iter().map(|(kind, text)| format!("{kind} {text}")).collect();
    assert_eq!(beyond, ["http https://a.example.org", "env TZ", "state 2 KiB"]);
}

#[test]
fn a_list_shows_what_is_added_by_name_only() {
    let identity = ClientIdentity { certificate: "canary".into(), key: "canary".into() };
    let headers = vec![("authorization".to_owned(), "canary".to_owned())];
    let grant = HttpGrant::parse("https://a.example").expect("a grant");
    let grants = Grants {
        http: vec![grant.attaching(Attach { headers, identity: Some(identity) })],
        ..Grants::default()
    };
    assert_eq!(
        grants.list(),
        [(
            GrantKind::Http,
            "https://a.example (adds: authorization, client certificate)".to_owned()
        )]
    );
    let permit = grants.http("GET", "https", "a.example", None, "/").expect("granted");
    assert!(!format!("{grants:?} {permit:?}").contains("canary"));
}

#[test]
fn kinds_are_called_as_in_the_configuration() {
    use crate::config::keys;

    let words: Vec<&str> = GrantKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words, keys::GRANTS.iter().map(|key| key.name).collect::<Vec<_>>());
    for kind in GrantKind::ALL {
        assert_eq!(GrantKind::parse(kind.as_str()), Some(kind));
    }
    assert_eq!(GrantKind::parse("HTTP"), None);
}

#[test]
fn a_use_is_made_from_a_denial() {
    let denial = Grants::default().secret("a").expect_err("denied");
    let used = Use::from(&denial);
    assert_eq!((used.kind, &*used.value, used.denied), (GrantKind::Secrets, "secret a", true));
    assert!(Use::allowed(GrantKind::Http, "a") < Use::allowed(GrantKind::Sockets, "a"));
}
