//! What must never happen: a connection to another address than the target of the share.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use serde_json::json;

use super::{HEALTHY, ask, error, of, own, question, share};
use crate::configuration::tokens;
use crate::support::host::host;
use crate::support::target;

/// Something that must never get a connection.
struct Canary(TcpListener);

impl Canary {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        listener.set_nonblocking(true).expect("a socket of ours");
        Self(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("it is bound")
    }

    #[track_caller]
    fn check(&self, after: &str) {
        match self.0.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("after {after:?}: {other:?}"),
        }
    }
}

#[test]
fn no_endpoint_leads_to_another_address() {
    let canary = Canary::new();
    let address = canary.address();
    let port = address.port().to_string();
    let (start, last) = port.split_at(port.len() - 1);
    let target = target::http().status(200).start();
    let config = [
        tokens(),
        own("MxMbUXSANU"),
        of(&target),
        // With a digit more, or a port, this is the canary's own address.
        share("digit", &format!("http://127.0.0.1:{start}")),
        share("portless", "http://127.0.0.1"),
    ];
    let host = host().config(&config.concat()).start();
    let refused = "failed to create request: parse ";
    let attempts = [
        ("8rvjpmeeyvwc", format!("@{address}/")),
        ("8rvjpmeeyvwc", format!(":x@{address}/")),
        ("8rvjpmeeyvwc", format!("@127.0.0.1:{port}")),
        ("8rvjpmeeyvwc", format!(":{port}")),
        ("8rvjpmeeyvwc", format!(":{port}/")),
        ("8rvjpmeeyvwc", format!("\\@{address}/")),
        ("8rvjpmeeyvwc", format!("\r\nHost: {address}\r\n\r\n")),
        ("8rvjpmeeyvwc", format!("/\r\nGET http://{address}/ HTTP/1.1")),
        ("8rvjpmeeyvwc", format!("\t@{address}/")),
        ("8rvjpmeeyvwc", format!("%40{address}/")),
        ("8rvjpmeeyvwc", format!(".@{address}/?")),
        ("8rvjpmeeyvwc", format!("\u{ff20}{address}/")),
        ("digit", last.to_owned()),
        ("digit", format!("{last}/")),
        ("digit", format!("{last}?")),
        ("digit", format!("@{address}")),
        ("portless", format!(":{port}")),
        ("portless", format!(":{port}/")),
        ("portless", format!("@{address}/")),
        ("portless", format!(".nip.invalid:{port}/")),
    ];
    for (share, endpoint) in &attempts {
        let why = error(&host, &question(share, endpoint, 200));
        assert!(why.starts_with(refused), "{endpoint:?}: {why}");
        canary.check(endpoint);
    }
    assert_eq!(target.count(), 0, "{:?}", target.requests());
    // These stay where they are, whatever they look like.
    for (endpoint, line) in [
        (format!("//{address}/"), format!("GET //{address}/ HTTP/1.1")),
        (format!("/@{address}/"), format!("GET /@{address}/ HTTP/1.1")),
        (format!("/../../{address}"), format!("GET /../../{address} HTTP/1.1")),
        (format!("/\\{address}"), format!("GET /%5C{address} HTTP/1.1")),
        (format!("?@{address}/"), format!("GET /?@{address}/ HTTP/1.1")),
        (format!("#@{address}/"), "GET / HTTP/1.1".to_owned()),
        (format!("/?u=http://{address}/"), format!("GET /?u=http://{address}/ HTTP/1.1")),
    ] {
        assert_eq!(
            ask(&host, &question("8rvjpmeeyvwc", &endpoint, 200)).body,
            HEALTHY,
            "{endpoint}"
        );
        let request = target.requests().pop().expect("a request");
        assert_eq!(request.lines().next(), Some(&*line));
        let named = request.lines().find(|line| line.to_lowercase().starts_with("host:"));
        let expected = format!("host: {}", target.address);
        assert_eq!(named.map(str::to_lowercase), Some(expected));
        canary.check(&endpoint);
    }
}

#[test]
fn no_redirect_leads_to_another_address() {
    let canary = Canary::new();
    let address = canary.address();
    let target = target::http().status(200).start();
    let own_url = format!("http://{}", target.address);
    let host = host().config(&(tokens() + &own("MxMbUXSANU") + &of(&target))).start();
    let asked = question("8rvjpmeeyvwc", "/start", 200);
    for location in [
        format!("http://{address}/"),
        format!("//{address}/"),
        format!("http:\\\\{address}/"),
        format!("http://{}@{address}/", target.address),
        format!("https://{}/", target.address),
        format!("http://127.0.0.1:{}/", address.port()),
    ] {
        target.becomes(target::http().status(302).header("Location", &location));
        let shown = location.replace('\\', "\\\\");
        assert_eq!(
            error(&host, &asked),
            format!(
                "failed to execute request: Get \"{shown}\": the redirect leads away from the target of the share"
            )
        );
        canary.check(&location);
    }
    target.becomes(target::http().status(302).header("Location", "gopher://x/"));
    assert_eq!(
        error(&host, &asked),
        "failed to execute request: Get \"gopher://x/\": unsupported protocol scheme \"gopher\""
    );
    target.becomes(target::http().status(302).header("Location", "http://[::1"));
    let why = error(&host, &asked);
    let parse =
        format!("Get \"{own_url}/start\": failed to parse Location header \"http://[::1\": ");
    assert!(why.contains(&parse), "{why}");
}

#[test]
fn redirects_within_the_target_are_followed_as_go_does_it() {
    let target = target::http().status(303).header("Location", "next?x").status(204).start();
    let host = host().config(&(tokens() + &own("MxMbUXSANU") + &of(&target))).start();
    let mut asked = question("8rvjpmeeyvwc", "/a/b", 204);
    asked["httpVerb"] = json!("POST");
    assert_eq!(ask(&host, &asked).body, HEALTHY);
    let lines: Vec<String> = target
        .requests()
        .iter()
        .map(|request| request.lines().next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(lines, ["POST /a/b HTTP/1.1", "GET /a/next?x HTTP/1.1"]);

    let whole = format!("http://me:secret@{}/whole", target.address);
    target.becomes(target::http().status(307).header("Location", &whole).status(204));
    assert_eq!(ask(&host, &asked).body, HEALTHY);
    let last = target.requests().pop().expect("a request");
    assert!(last.starts_with("POST /whole HTTP/1.1"), "{last}");
    assert!(!last.to_lowercase().contains("authorization"), "{last}");

    // Neither is a redirect.
    target.becomes(target::http().status(302).status(304).header("Location", "/x"));
    for code in [302, 304] {
        assert_eq!(ask(&host, &question("8rvjpmeeyvwc", "/", code)).body, HEALTHY, "{code}");
    }
    let before = target.count();
    target.becomes(target::http().endless_redirects());
    let last = before + 10;
    assert_eq!(
        error(&host, &question("8rvjpmeeyvwc", "/", 200)),
        format!("failed to execute request: Get \"/next-{last}\": stopped after 10 redirects")
    );
    assert_eq!(target.count(), last);
}

#[test]
fn a_long_redirect_is_a_long_error_and_no_longer() {
    let long = format!("http://127.0.0.2/{}", "x".repeat(30_000));
    let target = target::http().status(302).header("Location", &long).start();
    let host = host().config(&(tokens() + &own("MxMbUXSANU") + &of(&target))).start();
    let why = error(&host, &question("8rvjpmeeyvwc", "/", 200));
    assert!((4000..4200).contains(&why.len()), "{}", why.len());
}
