//! The facts of the kind `http`, as conditions see them.

use crate::support::certificates::Authority;
use crate::support::checks::{check, expect_failure, expect_pass};
use crate::support::host::host;
use crate::support::nginx::Nginx;

#[test]
fn conditions_see_what_the_kind_found() {
    let authority = Authority::new();
    let nginx = Nginx::start_tls(
        &authority.good(),
        "location / { add_header Set-Cookie 'session=s1; Path=/'; add_header X-Two a; add_header X-Two b; return 200 '{\"state\": \"ok\", \"queue\": [1, 2]}'; }
        location = /moved { return 302 /; }
        location = /gone { return 410 gone; }",
    );
    let facts = [
        "status != 200",
        "!body.contains('queue')",
        "body.size != 32B",
        "json.state != 'ok' || json.queue[1] != 2",
        "header.x-two != 'a, b'",
        "cookie.session != 's1'",
        "redirects != 1",
        "!url.endsWith('/')",
        "http-version != '2'",
        "!peer.startsWith('127.0.0.1:')",
        "resolve > 5s || connect > 5s || tls > 5s || first-byte > 5s || transfer > 5s",
        "tls.version != '1.3'",
        "certificate.days-left < 14",
        "!certificate.issuer.contains('wellcheck test root')",
        "certificate.subject == ''",
    ];
    let list: Vec<String> = facts.iter().map(|fact| format!("\"{fact}\"")).collect();
    let ca = "tls-ca = \"ca.pem\"\n";
    let config = [
        check("http", "all", &nginx.https("/moved"), &format!("{ca}fail = [{}]", list.join(", "))),
        check("http", "code", &nginx.https("/gone"), &format!("{ca}fail = \"status >= 500\"")),
        check(
            "http",
            "both",
            &nginx.https("/gone"),
            &format!("{ca}fail = \"status >= 500\"\nexpect-status = 200"),
        ),
        check("http", "other", &nginx.https("/gone"), &format!("{ca}fail = \"redirects > 5\"")),
        check(
            "http",
            "json",
            &nginx.https("/gone"),
            &format!("{ca}fail = \"status == 200 || json.state != 'ok'\""),
        ),
        check(
            "http",
            "each",
            &nginx.https("/"),
            &format!(
                "{ca}each-address = true\naddress-family = \"ipv4\"\nfail = \"json.queue[0] == 1\""
            ),
        ),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", authority.pem()).start();
    expect_pass(&host, "all", "answered 200");
    expect_pass(&host, "code", "answered 410 Gone");
    expect_failure(&host, "both", "unexpected-status", "answered 410 Gone (expected 200)");
    expect_failure(&host, "other", "unexpected-status", "answered 410 Gone (expected 200-299)");
    expect_failure(&host, "json", "unexpected-value", "json");
    expect_failure(&host, "each", "unexpected-value", "json.queue[0] is 1");
}
