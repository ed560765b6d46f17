//! Where a probe may go: nowhere but where its module says.

use super::*;

#[test]
fn a_host_name_can_be_asked_for_at_an_address() {
    let mirror = target::http().mirror().start();
    let authority = Authority::new();
    let pair = authority.issue(&["shop.example.com"], (2020, 2180));
    let other = Nginx::start_tls(&authority.good(), "location / { return 200 $ssl_server_name; }");
    let locations = format!(
        "location / {{ return 200 \"$host $ssl_server_name\"; }} location = /away {{ return 302 {}; }}",
        other.https("/")
    );
    let nginx = Nginx::start_tls(&pair, &locations);
    let config = [
        module("m", "expect-body = \"host: shop.example.com\\r\\n\""),
        module("tls", "tls-ca = \"ca.pem\"\nexpect-body = \"shop.example.com shop.example.com\""),
        module("away", "tls-ca = \"ca.pem\"\nexpect-body = \"localhost\""),
        module("own", "headers = { host = \"own.example.com\" }"),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", authority.pem()).start();
    let named = |module: &str, target: &str, hostname: &str| {
        probe(&host, module, target, &format!("&hostname={hostname}"))
    };
    let answer = named("m", &mirror.url("/"), "shop.example.com");
    expect(&answer.body, &[("probe_success", 1.0)]);
    expect(&metrics(&host, "m", &mirror.url("/")), &[("probe_success", 0.0)]);

    let target = format!("https://{}/", nginx.address);
    let answer = named("tls", &target, "shop.example.com");
    expect(&answer.body, &[("probe_success", 1.0)]);
    // Another host is asked for its own name.
    let answer = named("away", &format!("{target}away"), "shop.example.com");
    expect(&answer.body, &[("probe_success", 1.0), ("probe_http_redirects", 1.0)]);
    expect(
        &metrics(&host, "tls", &target),
        &[("probe_outcome_info{status=\"fail\",reason=\"tls-wrong-name\"}", 1.0)],
    );

    assert_eq!(named("own", &mirror.url("/"), "own.example.com").code, 200);
    let answer = named("own", &mirror.url("/"), "other.example.com");
    assert_eq!(answer.code, 400);
    assert_eq!(
        answer.body,
        "Host header defined both in module configuration and with URL-parameter 'hostname' (other.example.com)\n"
    );
}

#[test]
fn nothing_but_what_the_module_allows_is_connected_to() {
    let canary = target::http().start();
    let port = canary.address.port();
    let config = format!(
        "[[module]]\nname = \"named\"\nkind = \"http\"\ntargets = [\"*.localhost\", \"shop.example.com\"]\n\
         [[module]]\nname = \"other-port\"\nkind = \"http\"\ntargets = [\"127.0.0.1:1\"]\n\
         [[module]]\nname = \"other-net\"\nkind = \"http\"\ntargets = [\"10.0.0.0/8\"]\n\
         [[module]]\nname = \"proxied\"\nkind = \"http\"\ntargets = [\"127.0.0.0/8\"]\nproxy = \"{}\"\n",
        canary.url("")
    );
    let host = host().config(&config).start();
    let refused = |module: &str, target: &str| {
        let answer = probe(&host, module, target, "");
        let start = format!("Module \"{module}\" does not probe this target: ");
        assert_eq!(answer.code, 403, "{module} {target}: {answer:?}");
        assert!(answer.body.starts_with(&start), "{}", answer.body);
        assert!(answer.body.contains("`targets`"), "{}", answer.body);
    };
    // By default, and in every spelling.
    for name in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "deep.localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "[::]",
    ] {
        refused("http_2xx", &format!("http://{name}:{port}/"));
        refused("http_2xx", &format!("{name}:{port}"));
    }
    for address in
        ["169.254.169.254", "10.0.0.1", "192.168.0.1", "[fd00::1]", "224.0.0.1", "[fe80::1]"]
    {
        refused("http_2xx", &format!("http://{address}/latest/meta-data/"));
    }
    // A name is not enough for what is not public, and debugging does not help.
    refused("named", &format!("http://x.localhost:{port}/"));
    refused("named", "http://other.example.com/");
    refused("other-port", &canary.url("/"));
    refused("other-net", &canary.url("/"));
    let answer = probe(&host, "named", &format!("http://x.localhost:{port}/"), "&debug=true");
    assert_eq!(answer.code, 403);
    // Who would resolve it elsewhere is not asked about names that are not listed.
    refused("proxied", "http://intranet.example/");
    assert_eq!(canary.count(), 0, "nothing was asked: {:?}", canary.requests());

    let through = metrics(&host, "proxied", "http://127.0.0.9:1/");
    expect(&through, &[("probe_success", 1.0)]);
    assert!(canary.requests()[0].starts_with("GET http://127.0.0.9:1/ "));
}

#[test]
fn a_redirect_to_what_is_not_allowed_is_not_followed() {
    let canary = target::http().start();
    let location = canary.url("/secret");
    let first = target::http().status(302).header("Location", &location).start();
    let config = format!(
        "[[module]]\nname = \"m\"\nkind = \"http\"\ntargets = [\"127.0.0.1:{}\"]\n",
        first.address.port()
    );
    let host = host().config(&config).start();
    let answer = metrics(&host, "m", &first.url("/"));
    expect(
        &answer,
        &[
            ("probe_success", 0.0),
            ("probe_http_redirects", 1.0),
            ("probe_outcome_info{status=\"unknown\",reason=\"denied\"}", 1.0),
        ],
    );
    assert_eq!((first.count(), canary.count()), (1, 0));
    let debug = probe(&host, "m", &first.url("/"), "&debug=true").body;
    assert!(debug.contains("no entry of `targets` is for"), "{debug}");
}
