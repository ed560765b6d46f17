//! How the kind `http` gets to its target: resolvers, addresses, sockets.

use std::net::Ipv4Addr;

use crate::support::certificates::Authority;
use crate::support::checks::{check, expect_failure, expect_pass, observation, timed};
use crate::support::host::host;
use crate::support::names::{Names, Zone};
use crate::support::nginx::Nginx;
use crate::support::target;

fn loopback(last: impl IntoIterator<Item = u8>) -> Zone {
    Zone::Addresses(last.into_iter().map(|n| Ipv4Addr::new(127, 0, 0, n)).collect())
}

/// A key for that resolver.
fn resolver(names: &Names) -> String {
    format!("resolver = \"{}\"\n", names.address)
}

#[test]
fn each_address_of_a_name_is_asked_and_the_worst_decides() {
    let nginx = Nginx::start(
        "listen 127.0.0.2:{PORT}; listen 127.0.0.3:{PORT};
        location / { return 200 $server_addr; }
        location /some { if ($server_addr = 127.0.0.3) { return 503; } return 200 fine; }",
    );
    let url = |path: &str| format!("http://shop.test:{}{path}", nginx.address.port());
    let three = Names::start(loopback([1, 2, 3]));
    let four = Names::start(loopback([1, 2, 3, 4]));
    let one = Names::start(loopback([2]));
    let each = |names: &Names| resolver(names) + "each-address = true\n";
    let config = [
        check("http", "all", &url("/"), &each(&three)),
        check("http", "some", &url("/some"), &each(&three)),
        check("http", "dead", &url("/"), &each(&four)),
        check("http", "single", &url("/"), &each(&one)),
        check("http", "first", &url("/"), &(resolver(&one) + "expect-body = \"127.0.0.2\"")),
    ]
    .concat();
    let host = host().config(&config).start();
    let all = expect_pass(&host, "all", "answered 200 OK (each of 3 addresses)");
    let names: Vec<&str> = all["outcome"]["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .filter_map(|part| part["name"].as_str())
        .collect();
    assert_eq!(names, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    assert_eq!(observation(&all, "addresses"), Some(3.0));
    let says = "1 of 3 addresses are not as expected; `127.0.0.3`: answered 503";
    let some = expect_failure(&host, "some", "unexpected-status", says);
    let parts = &some["outcome"]["parts"];
    assert_eq!((&parts[0]["status"], &parts[2]["status"]), (&"pass".into(), &"fail".into()));
    assert_eq!(observation(&some, "addresses-not-passing"), Some(1.0));
    expect_failure(&host, "dead", "refused", "`127.0.0.4`");
    expect_pass(&host, "single", "`127.0.0.2`, its one address: answered 200 OK");
    expect_pass(&host, "first", "answered 200 OK");
    assert!(observation(&all, "resolve").is_some_and(|seconds| seconds > 0.0), "{all}");
}

#[test]
fn a_resolver_that_fails_is_a_fail_within_the_timeout() {
    let target = target::http().status(200).start();
    let url = format!("http://shop.test:{}/", target.address.port());
    let nothing = Names::start(Zone::Nothing);
    let circle = Names::start(Zone::Circle);
    let silence = Names::start(Zone::Silence);
    let crowd = Names::start(Zone::Addresses(
        (0..1000_u16).map(|n| Ipv4Addr::from([127, 1, (n >> 8) as u8, n as u8])).collect(),
    ));
    let brief = |name: &str, names: &Names, keys: &str| {
        timed("http", name, &url, "900ms", &(resolver(names) + keys))
    };
    let config = [
        brief("nothing", &nothing, ""),
        brief("circle", &circle, ""),
        brief("silence", &silence, ""),
        brief("silence-each", &silence, "each-address = true"),
        check("http", "crowd", &url, &(resolver(&crowd) + "each-address = true")),
        check("http", "beside", &target.url("/"), ""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "beside", "answered 200");
    expect_failure(&host, "nothing", "resolve", "`shop.test` does not exist in DNS");
    expect_failure(&host, "circle", "resolve", "shop.test");
    for name in ["silence", "silence-each"] {
        let found = host.until_run(name);
        assert_eq!(found["state"], "fail", "{found}");
        let reason = found["reason"].as_str().unwrap_or_default();
        assert!(["timeout", "resolve"].contains(&reason), "{found}");
        assert!(found["duration_ms"].as_f64().is_some_and(|ms| ms < 1500.0), "{found}");
    }
    let crowd = expect_failure(&host, "crowd", "refused", "16 of 16 addresses");
    assert_eq!(crowd["outcome"]["parts"].as_array().map(Vec::len), Some(16));
}

#[test]
fn a_connection_goes_where_it_is_told_and_the_url_stays() {
    let authority = Authority::new();
    let pair = authority.issue(&["shop.example.com"], (2020, 2180));
    let nginx = Nginx::start_tls(&pair, "location / { return 200 \"$host $ssl_server_name\"; }");
    let plain = Nginx::start("location / { return 200 $http_host; }");
    let to = |address: std::net::SocketAddr| format!("connect-to = \"{address}\"\n");
    let ca = "tls-ca = \"ca.pem\"\n";
    let config = [
        check(
            "http",
            "pinned",
            "https://shop.example.com/",
            &(to(nginx.address) + ca + "expect-body = \"shop.example.com shop.example.com\""),
        ),
        check("http", "other-name", "https://other.example.com/", &(to(nginx.address) + ca)),
        check(
            "http",
            "own-host",
            &plain.url("/"),
            "headers = { Host = \"a.example.com\" }\nexpect-body-matches = \"^a.example.com$\"",
        ),
        check(
            "http",
            "pinned-plain",
            "http://b.example.com:81/",
            &(to(plain.address) + "expect-body-matches = \"^b.example.com:81$\""),
        ),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", authority.pem()).start();
    let pinned = expect_pass(&host, "pinned", "answered 200");
    assert_eq!(pinned["outcome"]["details"]["peer"], nginx.address.to_string());
    expect_failure(&host, "other-name", "tls-wrong-name", "expected `other.example.com`");
    expect_pass(&host, "own-host", "answered 200");
    expect_pass(&host, "pinned-plain", "answered 200");
}

#[test]
fn a_unix_socket_is_asked_and_never_left() {
    let builder = host();
    let path = builder.path().join("app.sock");
    let _nginx = Nginx::start(&format!(
        "listen unix:{}; location / {{ return 200 \"$http_host$uri\"; }}
        location = /within {{ return 302 http://app/there; }}
        location = /away {{ return 302 http://127.0.0.1:{{PORT}}/; }}",
        path.display()
    ));
    let socket = "unix-socket = \"app.sock\"\n";
    let config = [
        check("http", "socket", "http://app/x", &format!("{socket}expect-body = \"app/x\"")),
        check(
            "http",
            "within",
            "http://app/within",
            &format!("{socket}expect-body = \"app/there\""),
        ),
        check("http", "away", "http://app/away", socket),
        check("http", "absent", "http://app/", "unix-socket = \"none.sock\""),
        check("http", "two", "http://app/", &format!("{socket}http-version = \"1.1\"")),
    ]
    .concat();
    let host = builder.config(&config).start();
    expect_pass(&host, "socket", "answered 200");
    expect_pass(&host, "within", "answered 200");
    expect_pass(&host, "two", "answered 200");
    expect_failure(&host, "away", "redirect", "leads away from the socket");
    expect_failure(&host, "absent", "unreachable", "there is no socket");
}
