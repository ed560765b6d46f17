//! Where a plugin may not go, by HTTP and by sockets (27 to 32, 35).

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use super::beside::{Beside, Setup, guest};
use crate::support::target::{self, Target};

/// A port on which nobody may knock.
struct Door {
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Door {
    fn new() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
        tcp.set_nonblocking(true).expect("a socket");
        udp.set_nonblocking(true).expect("a socket");
        Self { tcp, udp }
    }

    fn tcp(&self) -> u16 {
        self.tcp.local_addr().expect("it is bound").port()
    }

    fn udp(&self) -> u16 {
        self.udp.local_addr().expect("it is bound").port()
    }

    /// Nobody has connected, and no datagram has arrived.
    #[track_caller]
    fn is_untouched(&self) {
        let tcp = self.tcp.accept().map(|(_, from)| from);
        assert!(tcp.as_ref().is_err_and(|e| e.kind() == ErrorKind::WouldBlock), "{tcp:?}");
        let udp = self.udp.recv_from(&mut [0; 16]).map(|(_, from)| from);
        assert!(udp.as_ref().is_err_and(|e| e.kind() == ErrorKind::WouldBlock), "{udp:?}");
    }
}

/// A check for each of these settings, all of one guest and with the same grants: the first is
/// called `guest`, the others `guest-1` and so on.
fn each(plugin: &str, grants: &str, settings: &[String]) -> Setup {
    let more = settings.iter().enumerate().skip(1).map(|(number, settings)| {
        format!(
            "[[check]]\nname = \"guest-{number}\"\nplugin = \"{plugin}\"\ninterval = \"1s\"\ntimeout = \"1s\"\n\
             settings = {{ {settings} }}\n[check.grants]\n{grants}\n"
        )
    });
    guest(plugin).settings(&settings[0]).grants(grants).config(&more.collect::<String>())
}

/// What came of each of them, in their order.
fn outcomes(beside: &Beside, count: usize) -> Vec<serde_json::Value> {
    let name = |number| if number == 0 { "guest".to_owned() } else { format!("guest-{number}") };
    (0..count).map(|number| beside.host.until_run(&name(number))).collect()
}

/// Grants that name hosts and a network elsewhere, on the port where the danger is.
fn elsewhere(port: u16) -> String {
    format!(
        "http = [\"http://example.com:{port}\", \"http://*.example.com:{port}\", \"http://10.0.0.0/8:{port}\", \"https://127.0.0.1\"]"
    )
}

/// Asks for each of these hosts: each request is denied, and the message names the address that is
/// meant and what would allow it; or it is no URL, which the guest is told.
#[track_caller]
fn check_spellings(spellings: &[(&str, Option<&str>)]) {
    let door = Door::new();
    let port = door.tcp();
    let settings: Vec<String> = spellings
        .iter()
        .map(|(host, _)| format!("urls = [\"http://{host}:{port}/latest/meta-data\"]"))
        .collect();
    let beside = each("ssrf", &elsewhere(port), &settings).run();
    for ((host, meant), check) in spellings.iter().zip(outcomes(&beside, spellings.len())) {
        let message = check["message"].as_str().expect("a message");
        match meant {
            Some(meant) => {
                assert_eq!(check["reason"], "denied", "{host}: {check}");
                assert_eq!(check["state"], "unknown", "{host}: {check}");
                let says = format!(
                    "no grant for `http://{meant}:{port}` (this would allow it: `http = [\"http://{meant}:{port}\"]`)"
                );
                assert_eq!(message, says, "{host}");
                let used = check["grants"]["used"].clone();
                assert_eq!(used[0]["grant"], "http", "{host}: {used}");
                assert_eq!(used[0]["denied"], true, "{host}: {used}");
            }
            None => {
                assert_eq!(message, "reached 0", "{host}");
                assert!(check["outcome"]["details"].to_string().contains(":\"error: "), "{check}");
            }
        }
    }
    door.is_untouched();
}

#[test]
fn case_27_metadata_addresses_are_denied_in_every_spelling() {
    let metadata = Some("169.254.169.254");
    check_spellings(&[
        ("169.254.169.254", metadata),
        ("169.254.43518", metadata),
        ("2852039166", metadata),
        ("0xa9fea9fe", metadata),
        ("0251.0376.0251.0376", metadata),
        ("[::ffff:169.254.169.254]", metadata),
        ("[::ffff:a9fe:a9fe]", metadata),
        ("[64:ff9b::a9fe:a9fe]", metadata),
        ("[2002:a9fe:a9fe::]", metadata),
        ("[fd00:ec2::254]", Some("[fd00:ec2::254]")),
        ("[fe80::a9fe:a9fe]", Some("[fe80::a9fe:a9fe]")),
        ("METADATA.google.internal.", Some("metadata.google.internal")),
        ("metadata", Some("metadata")),
    ]);
}

#[test]
fn case_28_loopback_and_private_addresses_are_denied_in_every_spelling() {
    let loopback = Some("127.0.0.1");
    check_spellings(&[
        ("127.0.0.1", loopback),
        ("127.0.0.1.", loopback),
        ("127.1", loopback),
        ("2130706433", loopback),
        ("0x7f.1", loopback),
        ("0177.0.0.1", loopback),
        ("[::ffff:127.0.0.1]", loopback),
        ("[::127.0.0.1]", loopback),
        ("[64:ff9b::7f00:1]", loopback),
        ("[2002:7f00:1::]", loopback),
        ("localhost", Some("localhost")),
        ("LOCALHOST.", Some("localhost")),
        ("intranet.localhost", Some("intranet.localhost")),
        ("0.0.0.0", Some("0.0.0.0")),
        ("0", Some("0.0.0.0")),
        ("[::]", Some("[::]")),
        ("[::1]", Some("[::1]")),
        ("[0:0:0:0:0:0:0:1]", Some("[::1]")),
        ("192.168.0.1", Some("192.168.0.1")),
        ("172.16.0.1", Some("172.16.0.1")),
        ("100.64.0.1", Some("100.64.0.1")),
        ("[fe80::1]", Some("[fe80::1]")),
        ("224.0.0.1", Some("224.0.0.1")),
        ("255.255.255.255", Some("255.255.255.255")),
        ("example.com@127.0.0.1", None),
        ("%31%32%37.0.0.1", None),
        ("127\u{3002}0\u{3002}0\u{3002}1", None),
    ]);
}

#[test]
fn case_28_all_at_once_reach_nothing() {
    let door = Door::new();
    let port = door.tcp();
    let beside = guest("ssrf").settings(&format!("port = {port}")).grants(&elsewhere(port)).run();
    beside.faults("denied", "this would allow it: `http = [");
    let used = beside.used();
    assert!(used.len() >= 10, "{used:?}");
    // Of all that it asks for, this alone is granted; it is not there.
    let allowed: Vec<_> = used.iter().filter(|used| !used.ends_with(" (denied)")).collect();
    assert_eq!(allowed, [&format!("http: GET http://10.0.0.1:{port}")]);
    door.is_untouched();
}

#[test]
fn case_28_a_plugin_does_not_reach_its_own_host() {
    let host = guest("ssrf").settings("port = 1").start();
    let port = host.address.port();
    host.configure(&format!(
        "[[check]]\nname = \"own\"\nplugin = \"ssrf\"\ninterval = \"1s\"\n\
         settings = {{ urls = [\"http://127.0.0.1:{port}/api/v1/status\"] }}\n\
         [check.grants]\nhttp = [\"http://example.com:{port}\", \"http://*.example.com:{port}\"]\n"
    ));
    let check = host.until_run("own");
    assert_eq!(check["reason"], "denied", "{check}");
    let allow = format!("`http = [\"http://127.0.0.1:{port}\"]`");
    assert!(check["message"].as_str().is_some_and(|m| m.contains(&allow)), "{check}");
}

/// What a name resolves to is judged each time, and the very address that was judged is connected
/// to: `an_address_is_judged_after_its_name_was_resolved` of the sandbox has a name that leads
/// inside, and `a_name_that_leads_elsewhere_the_second_time_is_judged_again` of the connector one
/// that changes. Here are names that lead inside at once: those below `localhost`.
#[test]
fn case_29_a_granted_name_that_leads_inside_is_denied_each_time() {
    let door = Door::new();
    let port = door.tcp();
    let beside = guest("http-get")
        .settings(&format!("url = \"http://rebound.localhost:{port}/\", times = 3"))
        .grants(&format!("http = [\"http://*.localhost:{port}\"]"))
        .run();
    beside.faults("denied", "which is at the private address");
    // Whichever of its addresses came first.
    let allow = ["127.0.0.1", "[::1]"].map(|ip| format!("`http = [\"http://{ip}:{port}\"]`"));
    let message = beside.check["message"].as_str().unwrap_or_default();
    assert!(allow.iter().any(|allow| message.contains(allow)), "{message}");
    door.is_untouched();
}

#[test]
fn case_29_an_address_that_was_not_the_answer_is_denied() {
    let (door, other) = (Door::new(), Door::new());
    let (port, elsewhere) = (door.tcp(), other.tcp());
    // The name is granted and resolved; the socket then goes to an address of its own choice.
    for (target, granted) in [
        (format!("127.0.0.2:{port}"), format!("tcp://localhost:{port}")),
        (format!("127.0.0.1:{elsewhere}"), format!("tcp://localhost:{port}")),
        (format!("10.0.0.7:{port}"), format!("tcp://localhost:{port}")),
    ] {
        let settings =
            format!("op = \"tcp\", target = \"{target}\", resolve-first = \"localhost\"");
        let beside =
            guest("sockets").settings(&settings).grants(&format!("sockets = \"{granted}\"")).run();
        let says = format!(
            "no grant for `tcp://{target}` (this would allow it: `sockets = [\"tcp://{target}\"]`)"
        );
        beside.faults("denied", &says);
        assert!(beside.used().contains(&"dns: localhost".to_owned()), "{:?}", beside.used());
    }
    door.is_untouched();
    other.is_untouched();
}

#[test]
fn case_30_a_redirect_to_what_is_not_granted_is_denied() {
    let hidden = target::http().status(200).body("secret").start();
    let target = target::http().status(302).header("Location", &hidden.url("/admin")).start();
    let beside = guest("follow-redirects")
        .settings(&format!("url = \"{}\"", target.url("/")))
        .grants(&format!("http = \"{}\"", target.url("")))
        .run();
    let allow = format!("this would allow it: `http = [\"{}\"]`", hidden.url(""));
    beside.faults("denied", &allow);
    let asked = |target: &Target, denied: &str| format!("http: {}{denied}", target.url(""));
    let used = beside.used();
    assert!(used.contains(&asked(&target, "").replace("http: ", "http: GET ")), "{used:?}");
    assert!(used.contains(&asked(&hidden, " (denied)")), "{used:?}");
    assert!(target.count() > 0);
    assert_eq!(hidden.count(), 0);
}

#[test]
fn case_30_a_redirect_to_another_port_scheme_or_path_is_denied() {
    let door = Door::new();
    let port = door.tcp();
    for location in ["https://127.0.0.1:PORT/", "http://localhost:PORT/", "http://[::1]:PORT/"] {
        let location = location.replace("PORT", &port.to_string());
        let target = target::http().status(307).header("Location", &location).start();
        let beside = guest("follow-redirects")
            .settings(&format!("url = \"{}\"", target.url("/")))
            .grants(&format!("http = [\"{}\", \"http://*.localhost:{port}\"]", target.url("")))
            .run();
        beside.faults("denied", "no grant for");
    }
    door.is_untouched();
    let target = target::http().status(200).start();
    let location = target.url("/v10");
    target.becomes(target::http().status(301).header("Location", &location));
    let beside = guest("follow-redirects")
        .settings(&format!("url = \"{}\"", target.url("/v1/x")))
        .grants(&format!("http = \"{}\"", target.url("/v1")))
        .run();
    beside.faults("denied", "/v10");
    assert!(target.requests().iter().all(|request| request.starts_with("GET /v1/x HTTP/1.1\r\n")));
}

#[test]
fn case_30_a_granted_redirect_is_the_plugins_to_follow() {
    let end = target::http().status(200).body("there").start();
    let target = target::http().status(302).header("Location", &end.url("/next")).start();
    let beside = guest("follow-redirects")
        .settings(&format!("url = \"{}\"", target.url("/")))
        .grants(&format!("http = [\"{}\", \"{}\"]", target.url(""), end.url("")))
        .run();
    beside.passes();
    assert_eq!(beside.detail("body"), "there");
}

/// Every attempt of the guest `smuggle`.
const SMUGGLED: &[&str] = &[
    "value-with-crlf",
    "value-with-lf",
    "value-with-nul",
    "name-with-crlf",
    "name-with-space",
    "empty-name",
    "own-host",
    "two-lengths",
    "length-too-long",
    "length-too-short",
    "length-negative",
    "length-and-chunked",
    "hop-by-hop",
    "proxy",
    "pseudo",
    "path-with-crlf",
    "path-with-request",
    "path-with-space",
    "path-absolute",
    "method-with-request",
    "method-connect",
    "method-empty",
    "authority-with-crlf",
    "authority-with-path",
    "authority-with-user",
    "scheme-file",
];

/// What arrived is one request for this target, which says one thing.
#[track_caller]
fn check_plain(attempt: &str, target: &Target, request: &str) {
    let (head, body) = request.split_once("\r\n\r\n").expect("a whole head");
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let words: Vec<&str> = first.split(' ').collect();
    assert!(
        matches!(words[..], [_, path, "HTTP/1.1"] if path.starts_with('/')),
        "{attempt}: {first}"
    );
    assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{attempt}: {head:?}");
    let headers: Vec<(String, &str)> = lines
        .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{attempt}: {line}")))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    let all =
        |name: &str| headers.iter().filter(|(n, _)| n == name).map(|(_, v)| *v).collect::<Vec<_>>();
    assert_eq!(all("host"), [target.address.to_string()], "{attempt}: {head}");
    for never in ["x-injected", "proxy-authorization", "proxy-connection", "upgrade", "keep-alive"]
    {
        assert!(all(never).is_empty(), "{attempt}: {head}");
    }
    let (lengths, encodings) = (all("content-length"), all("transfer-encoding"));
    assert!(lengths.len() + encodings.len() <= 1, "{attempt}: {head}");
    if let [length] = lengths[..] {
        assert_eq!(length.parse().ok(), Some(body.len()), "{attempt}: {request}");
    }
    assert!(!body.contains("HTTP/"), "{attempt}: {request}");
}

#[test]
fn case_31_what_would_smuggle_a_header_or_a_request_does_not_arrive() {
    let targets: Vec<Target> =
        SMUGGLED.iter().map(|_| target::http().status(200).start()).collect();
    let grants: String = targets.iter().map(|target| format!("\"{}\", ", target.url(""))).collect();
    let settings: Vec<String> = (SMUGGLED.iter().zip(&targets))
        .map(|(attempt, target)| format!("url = \"{}\", only = \"{attempt}\"", target.url("/")))
        .collect();
    let beside = each("smuggle", &format!("http = [{grants}]"), &settings).run();
    let outcomes = outcomes(&beside, SMUGGLED.len());
    for ((attempt, target), check) in SMUGGLED.iter().zip(&targets).zip(outcomes) {
        // Nothing of what it tries leads to another server, so that nothing is denied; what cannot
        // be sent is refused to the guest, and it goes on.
        let told = check["outcome"]["details"][*attempt].as_str().unwrap_or_default();
        let denied = check["reason"] == "denied";
        let is_refused = told.starts_with("refused: ") || told.starts_with("no answer: ");
        assert!(denied || is_refused || told.starts_with("answered 200"), "{attempt}: {check}");
        for request in target.requests() {
            check_plain(attempt, target, &request);
        }
    }
}

#[test]
fn case_32_a_time_limit_of_nothing_ends_at_once_and_an_endless_one_with_the_run() {
    let target = target::http().silent().start();
    let grants = format!("http = \"{}\"", target.url(""));
    let url = format!("url = \"{}\"", target.url("/"));
    let beside = guest("zero-timeout").settings(&url).grants(&grants).run();
    beside.passes();
    let told = beside.check["message"].as_str().unwrap_or_default();
    assert!(told.starts_with("no answer: ") || told.starts_with("refused: "), "{told}");
    let took = beside.check["duration_ms"].as_f64().expect("a number");
    assert!(took < 500.0, "{took} ms");

    let beside =
        guest("zero-timeout").settings(&format!("{url}, huge = true")).grants(&grants).run();
    let took = beside.check["duration_ms"].as_f64().expect("a number");
    assert!(took <= 1300.0, "the check's timeout of 1s holds: {took} ms");
    beside.passes();
    let told = beside.check["message"].as_str().unwrap_or_default();
    assert!(told.starts_with("no answer: "), "{told}");
}

fn sockets(op: &str, target: &str) -> Setup {
    guest("sockets").settings(&format!("op = \"{op}\", target = \"{target}\""))
}

#[test]
fn case_35_sockets_and_names_are_denied_and_the_grant_is_named() {
    let door = Door::new();
    let tcp = format!("127.0.0.1:{}", door.tcp());
    let udp = format!("127.0.0.1:{}", door.udp());
    let none = "no grant for `";
    for (op, target, asked, allow) in [
        ("tcp", &tcp, "tcp socket", "this would allow it: `sockets = [\"tcp://host:port\"]`"),
        ("udp", &udp, "udp socket", "this would allow it: `sockets = [\"udp://host:port\"]`"),
        (
            "dns",
            &"db.internal:5432".to_owned(),
            "the addresses of db.internal",
            "this would allow it: `dns = [\"db.internal\"]`",
        ),
    ] {
        let beside = sockets(op, target).run();
        beside.faults("denied", &format!("{none}{asked}` ({allow})"));
        let grant = if op == "dns" { "dns" } else { "sockets" };
        assert_eq!(beside.used(), [format!("{grant}: {asked} (denied)")]);
    }
    // The guest that tries everything in turn.
    let beside = guest("connect").settings(&format!("target = \"{tcp}\"")).run();
    beside.faults("denied", none);
    door.is_untouched();
}

#[test]
fn case_35_nothing_listens_whatever_is_granted() {
    let grants = "sockets = [\"tcp://127.0.0.0/8:1\", \"tcp://0.0.0.0:1\", \"udp://127.0.0.1:1\"]";
    for address in ["127.0.0.1:0", "0.0.0.0:0", "127.0.0.1:1"] {
        let beside = sockets("listen", address).grants(grants).run();
        beside.faults("denied", "a check asks others, and is not asked");
    }
}

#[test]
fn case_35_a_grant_for_an_address_is_for_its_protocol_address_and_port_alone() {
    let door = Door::new();
    let (tcp, udp) = (door.tcp(), door.udp());
    let grants = format!(
        "sockets = [\"udp://127.0.0.1:{tcp}\", \"tcp://127.0.0.1:{udp}\", \"tcp://127.0.0.2:{tcp}\", \"tcp://example.com:{tcp}\", \"udp://10.0.0.0/8:{udp}\"]"
    );
    for (op, target) in [("tcp", format!("127.0.0.1:{tcp}")), ("udp", format!("127.0.0.1:{udp}"))] {
        let says = format!(
            "no grant for `{op}://{target}` (this would allow it: `sockets = [\"{op}://{target}\"]`)"
        );
        sockets(op, &target).grants(&grants).run().faults("denied", &says);
    }
    door.is_untouched();
}

#[test]
fn case_35_a_name_that_leads_inside_needs_a_grant_for_the_address_too() {
    let door = Door::new();
    let target = format!("db.localhost:{}", door.tcp());
    let by_name = format!("sockets = \"tcp://{target}\"");
    let beside = sockets("tcp", &target).grants(&by_name).run();
    beside.faults("denied", "which is the private address of db.localhost");
    assert!(beside.used().contains(&"dns: db.localhost".to_owned()), "{:?}", beside.used());
    door.is_untouched();
}

#[test]
fn case_35_what_is_granted_works_and_is_shown() {
    let target = target::http().status(200).body("hello").start();
    let address = target.address;
    let port = address.port();
    let ask = "send = \"GET / HTTP/1.0\\r\\n\\r\\n\"";
    for (host, grants) in [
        ("127.0.0.1", format!("sockets = \"tcp://127.0.0.1:{port}\"")),
        ("127.0.0.1", format!("sockets = \"tcp://127.0.0.0/8:{port}\"")),
        ("localhost", format!("sockets = \"tcp://localhost:{port}\"")),
        (
            "db.localhost",
            format!(
                "dns = \"db.localhost\"\nsockets = [\"tcp://127.0.0.0/8:{port}\", \"tcp://[::1]:{port}\"]"
            ),
        ),
    ] {
        let settings = format!("op = \"tcp\", target = \"{host}:{port}\", {ask}");
        let beside = guest("sockets").settings(&settings).grants(&grants).run();
        beside.passes();
        assert!(beside.detail("result").starts_with("answered: HTTP/1.1 200"), "{}", beside.check);
        let used = beside.used();
        assert!(used.contains(&format!("sockets: tcp://{address}")), "{used:?}");
        let resolved = used.contains(&format!("dns: {host}"));
        assert_eq!(resolved, host != "127.0.0.1", "{used:?}");
    }
    let beside = sockets("dns", "localhost:1").grants("dns = \"localhost\"").run();
    beside.passes();
    assert!(beside.detail("result").contains("127.0.0.1:1"), "{}", beside.check);
    assert_eq!(beside.used(), ["dns: localhost"]);
}

#[test]
fn case_35_a_granted_peer_answers_by_udp() {
    let peer = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
    peer.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    let address = peer.local_addr().expect("it is bound");
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 64];
        let (length, from) = peer.recv_from(&mut buffer).expect("a datagram");
        peer.send_to(&buffer[..length], from).expect("sent");
    });
    let settings = format!("op = \"udp\", target = \"{address}\", send = \"ping\"");
    let beside = guest("sockets")
        .settings(&settings)
        .grants(&format!("sockets = \"udp://{address}\""))
        .timing("interval = \"1m\"\ntimeout = \"5s\"")
        .start();
    let check = beside.until_run("guest");
    assert_eq!(check["outcome"]["details"]["result"], "answered: ping", "{check}");
    let used = &check["grants"]["used"][0];
    assert_eq!(used["value"], format!("udp://{address}"), "{check}");
    echo.join().expect("it echoed");
}

#[test]
fn case_35_connections_are_counted_and_bounded() {
    let target = target::http().status(200).start();
    let grants = format!("sockets = \"tcp://{}\"", target.address);
    let settings = format!("op = \"tcp\", target = \"{}\", times = 20", target.address);
    let beside = guest("sockets").settings(&settings).grants(&grants).run();
    beside.faults("limit", "(limit `connections`)");
    let few = guest("sockets").settings(&settings).grants(&grants).limits("connections = 3").run();
    few.faults("limit", "limit of 3 sockets reached (limit `connections`)");
    let more = guest("sockets").settings(&settings).grants(&grants).limits("connections = 20");
    let more = more.run();
    more.passes();
    assert_eq!(more.check["outcome"]["observations"][0]["value"], 20.0, "{}", more.check);
}
