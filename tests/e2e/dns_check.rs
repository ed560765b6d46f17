//! The kind `dns` against a real BIND, over every transport, and against servers that are none.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{Name, RData, Record};

use crate::support::bind::bind;
use crate::support::checks::{expect_failure, expect_pass, observation};
use crate::support::datagrams::{Datagrams, datagrams, nobody, served};
use crate::support::host::host;
use crate::support::http::request;
use crate::support::listener::{Listener, listener, silent};

fn at(name: &str, server: &str, query: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"dns\"\nserver = \"{server}\"\nquery-name = \"{query}\"\n\
         interval = \"10s\"\ntimeout = \"10s\"\n{keys}\n"
    )
}

fn hasty(name: &str, server: &str, keys: &str) -> String {
    at(name, server, "www.shop.test", keys).replace("timeout = \"10s\"", "timeout = \"500ms\"")
}

#[test]
fn records_of_every_type_are_compared_as_text() {
    let server = format!("127.0.0.1:{}", bind().port);
    let one = |name: &str, query: &str, kind: &str, answers: &str| {
        at(
            name,
            &server,
            query,
            &format!(
                "query-type = \"{kind}\"\nexpect-answers = {answers}\nmatch-answers = \"only\""
            ),
        )
    };
    let config = [
        one("a", "www.shop.test", "A", "['192.0.2.2', '192.0.2.1']"),
        one("aaaa", "WWW.shop.test.", "aaaa", "'2001:DB8::1'"),
        one("mx", "shop.test", "MX", "'10 mail.shop.test'"),
        one("ns", "shop.test", "NS", "'ns1.shop.test.'"),
        one("txt", "shop.test", "TXT", r#"['v=spf1 -all', '"two" "parts; \"quoted\""']"#),
        one("caa", "shop.test", "CAA", "'0 issue \"ca.example.net\"'"),
        one("srv", "_imap._tcp.shop.test", "SRV", "'0 1 993 mail.shop.test.'"),
        one(
            "soa",
            "shop.test",
            "SOA",
            "'ns1.shop.test. hostmaster.shop.test. 2026010105 3600 600 86400 60'",
        ),
        one("number", "shop.test", "TYPE65280", r"'\# 4 C0000201'"),
        one("reverse", "192.0.2.1", "PTR", "'www.shop.test'"),
        one("alias", "alias.shop.test", "A", "['192.0.2.1', '192.0.2.2']"),
    ]
    .concat();
    let host = host().config(&config).start();
    for name in host.names() {
        expect_pass(&host, &name, "answered NOERROR with ");
    }
    let a = host.check("a");
    assert_eq!(a["target"], server);
    assert_eq!(a["outcome"]["details"]["peer"], server, "{a}");
    assert_eq!(a["outcome"]["details"]["transport"], "udp", "{a}");
    assert!(observation(&a, "query").is_some_and(|s| s > 0.0 && s < 10.0), "{a}");
}

#[test]
fn every_transport_gets_the_answer() {
    let bind = bind();
    let (port, tls, https) = (bind.port, bind.tls_port, bind.https_port);
    let on = |port: u16| format!("127.0.0.1:{port}");
    let ca = "tls-ca = \"ca.pem\"";
    let config = [
        at("tcp", &on(port), "www.shop.test", "transport = \"tcp\""),
        at("tls", &on(tls), "www.shop.test", &format!("transport = \"tls\"\n{ca}")),
        at("https", &on(https), "www.shop.test", &format!("transport = \"https\"\n{ca}")),
        at(
            "url",
            &format!("https://localhost:{https}/dns-query"),
            "www.shop.test",
            &format!("transport = \"https\"\n{ca}"),
        ),
        at("cut", &on(port), "many.shop.test", "minimum-answers = 100"),
        at(
            "stays-cut",
            &on(port),
            "many.shop.test",
            "tcp-fallback = false\nexpect-flags = \"tc\"\nminimum-answers = 0",
        ),
        at(
            "not-cut",
            &on(port),
            "many.shop.test",
            "tcp-fallback = false\nrefuse-flags = \"tc\"\nminimum-answers = 0",
        ),
        at("untrusted", &on(tls), "www.shop.test", "transport = \"tls\""),
        at(
            "named",
            &on(tls),
            "www.shop.test",
            &format!("transport = \"tls\"\ntls-server-name = \"dns.example.com\"\n{ca}"),
        ),
        at(
            "path",
            &format!("https://localhost:{https}/other"),
            "www.shop.test",
            &format!("transport = \"https\"\n{ca}"),
        ),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", &bind.ca).start();
    for (name, transport) in [
        ("tcp", "tcp"),
        ("tls", "tls"),
        ("https", "https"),
        ("url", "https"),
        ("cut", "tcp"),
        ("stays-cut", "udp"),
    ] {
        let found = expect_pass(&host, name, "answered NOERROR with ");
        assert_eq!(found["outcome"]["details"]["transport"], transport, "{found}");
    }
    expect_pass(&host, "cut", "with 100 answers: 198.51.100.");
    assert_eq!(host.check("tls")["outcome"]["details"]["tls-version"], "1.3");
    expect_failure(&host, "not-cut", "unexpected-value", "the flag `tc` is set (expected not set)");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_failure(&host, "named", "tls-wrong-name", "");
    expect_failure(&host, "path", "protocol", "answers 404 Not Found to a question");
}

#[test]
fn what_is_not_as_expected_is_said() {
    let server = format!("127.0.0.1:{}", bind().port);
    let www = |name: &str, keys: &str| at(name, &server, "www.shop.test", keys);
    let config = [
        at("absent", &server, "absent.shop.test", ""),
        at("absent-is-fine", &server, "absent.shop.test", "expect-code = \"NXDOMAIN\"\nexpect-matches = { authority = \"SOA\" }\nminimum-serial = 2026010105"),
        at("refused", &server, "example.com", ""),
        at("no-data", &server, "mail.shop.test", "query-type = \"AAAA\""),
        at("no-data-is-fine", &server, "mail.shop.test", "query-type = \"AAAA\"\nminimum-answers = 0"),
        www("missing", "expect-answers = ['192.0.2.1', '192.0.2.9']"),
        www("any", "expect-answers = ['192.0.2.1', '192.0.2.9']\nmatch-answers = \"any\""),
        www("further", "expect-answers = '192.0.2.1'\nmatch-answers = \"only\""),
        www("recursion", "expect-flags = \"ra\""),
        www("authority", "expect-flags = [\"aa\", \"rd\"]"),
        www("matches", r"expect-matches = '^www\.shop\.test\.\t60\tIN\tA\t192\.0\.2\.1$'"),
        www("no-match", r"expect-matches = '10\.0\.0\.1'"),
        www("not-all", r"expect-all-match = '2\.1$'"),
        www("refuses", r"refuse-matches = '2\.1$'"),
        www("refuses-all", r"refuse-all-match = 'IN\tA'"),
        at("serial", &server, "shop.test", "query-type = \"SOA\"\nminimum-serial = 2026010106"),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_failure(&host, "absent", "unexpected-status", "answered NXDOMAIN (expected NOERROR)");
    expect_pass(&host, "absent-is-fine", "answered NXDOMAIN with no answer");
    expect_failure(&host, "refused", "unexpected-status", "answered REFUSED");
    expect_failure(&host, "no-data", "unexpected-value", "with no answer (expected at least 1)");
    expect_pass(&host, "no-data-is-fine", "answered NOERROR with no answer");
    expect_failure(&host, "missing", "unexpected-value", "without `192.0.2.9`");
    expect_pass(&host, "any", "with 2 answers");
    expect_failure(&host, "further", "unexpected-value", "of which `192.0.2.2` is not expected");
    expect_failure(&host, "recursion", "unexpected-value", "the flag `ra` is not set");
    expect_pass(&host, "authority", "");
    expect_pass(&host, "matches", "");
    expect_failure(&host, "no-match", "unexpected-value", "no record that matches `10");
    expect_failure(&host, "not-all", "unexpected-value", "which does not match `2");
    expect_failure(&host, "refuses", "unexpected-value", "which matches `2");
    expect_failure(&host, "refuses-all", "unexpected-value", "only records that match");
    expect_failure(
        &host,
        "serial",
        "unexpected-value",
        "the serial is 2026010105 (expected at least 2026010106)",
    );
}

#[test]
fn several_servers_are_asked_in_turn_or_each() {
    let good = format!("127.0.0.1:{}", bind().port);
    let dead = nobody().to_string();
    let deaf = datagrams(|_| Vec::new());
    let list = |name: &str, servers: &[&str], keys: &str| {
        let servers: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
        at(name, "X", "www.shop.test", keys)
            .replace("server = \"X\"", &format!("server = [{}]", servers.join(", ")))
            .replace("timeout = \"10s\"", "timeout = \"2s\"")
    };
    let silent = deaf.address.to_string();
    let config = [
        list("turn", &[&dead, &silent, &good], ""),
        list("each", &[&good, &dead], "each-server = true"),
        list("both", &[&good, &good], "each-server = true"),
        list("none", &[&dead, &silent], ""),
    ]
    .concat();
    let host = host().config(&config).start();
    let turn = expect_pass(&host, "turn", "with 2 answers");
    assert_eq!(turn["outcome"]["details"]["peer"], good, "{turn}");
    let each = expect_failure(&host, "each", "refused", "1 of 2 servers are as expected; ");
    let parts = each["outcome"]["parts"].as_array().expect("parts");
    let statuses: Vec<_> =
        parts.iter().map(|p| (p["name"].as_str(), p["status"].as_str())).collect();
    assert_eq!(statuses, [(Some(&*good), Some("pass")), (Some(&*dead), Some("fail"))], "{each}");
    expect_pass(&host, "both", "2 of 2 servers: answered NOERROR");
    expect_failure(&host, "none", "timeout", "waiting for an answer");
}

#[test]
fn conditions_judge_answers() {
    let server = format!("127.0.0.1:{}", bind().port);
    let all = [
        "answers.count != 2",
        "!('192.0.2.1' in answers)",
        "code != 'NOERROR'",
        "!authoritative",
        "truncated",
        "authenticated",
        "recursion-available",
        "ttl > 60s",
        "transport != 'udp'",
        "'x' in authority",
        "'x' in additional",
        "!agree",
    ];
    let config = [
        at("all", &server, "www.shop.test", &format!("fail = {all:?}")),
        at("few", &server, "www.shop.test", "warn = \"answers.count < 3\""),
        at("serial", &server, "shop.test", "query-type = \"SOA\"\nfail = \"serial < 2026010106\""),
        at("absent", &server, "absent.shop.test", "fail = \"code != 'NXDOMAIN'\""),
        at(
            "empty",
            &server,
            "mail.shop.test",
            "query-type = \"AAAA\"\nfail = \"answers.count > 0\"",
        ),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "all", "with 2 answers");
    let few = host.until_run("few");
    assert_eq!(few["state"], "warn", "{few}");
    expect_failure(&host, "serial", "unexpected-value", "serial is 2026010105");
    expect_pass(&host, "absent", "answered NXDOMAIN");
    expect_pass(&host, "empty", "answered NOERROR with no answer");
}

/// The answer to a question, changed by `change`.
fn answering(change: impl Fn(&mut Message) + Send + 'static) -> Datagrams {
    datagrams(move |bytes| answer(bytes, &change).into_iter().collect())
}

fn answer(bytes: &[u8], change: &impl Fn(&mut Message)) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(bytes).ok()?;
    message.metadata.message_type = MessageType::Response;
    message.edns = None;
    change(&mut message);
    Some(message.to_vec().expect("it can be written"))
}

fn address(last: u8) -> Record {
    let name = Name::from_ascii("www.shop.test.").expect("a name");
    Record::from_rdata(name, 30, RData::A(A::new(192, 0, 2, last)))
}

fn alias(from: &str, to: &str) -> Record {
    let name = |text| Name::from_ascii(text).expect("a name");
    Record::from_rdata(name(from), 30, RData::CNAME(CNAME(name(to))))
}

/// Says this to whatever it hears over TCP, with its length before.
fn over_tcp(answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Listener {
    listener(move |stream| {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut question)?;
        let bytes = answer(&question);
        let length = u16::try_from(bytes.len()).expect("it fits").to_be_bytes();
        stream.write_all(&length)?;
        stream.write_all(&bytes)?;
        let _ = stream.read(&mut [0; 1])?;
        Ok(())
    })
}

#[test]
fn name_servers_that_misbehave_fail_in_time() {
    let wrong_number = answering(|message| message.metadata.id ^= 1);
    let wrong_name =
        answering(|m| m.queries[0].name = Name::from_ascii("evil.test.").expect("a name"));
    let garbage =
        datagrams(|bytes| vec![[&bytes[..2], &[0xff; 60]].concat(), vec![0xff; 3], Vec::new()]);
    let echo = datagrams(|bytes| vec![bytes.to_vec()]);
    let deaf = datagrams(|_| Vec::new());
    // Lies before the truth, as somebody who guesses would tell them.
    let contested = datagrams(|bytes| {
        let lie = answer(bytes, &|m| {
            m.metadata.id ^= 1;
            m.answers = vec![address(66)];
        });
        let truth = answer(bytes, &|m| m.answers = vec![address(1)]);
        vec![
            lie.clone().expect("readable"),
            b"x".to_vec(),
            lie.expect("readable"),
            truth.expect("readable"),
        ]
    });
    let circle = answering(|m| {
        m.answers = vec![alias("www.shop.test.", "a.test."), alias("a.test.", "www.shop.test.")]
    });
    let many = answering(|m| m.answers = (0..1000).map(|n| address((n % 250) as u8)).collect());
    let verified = answering(|m| {
        m.metadata.authentic_data = true;
        m.answers = vec![address(1)];
    });
    // Cut over UDP, and then over TCP at the same port as well.
    let cut_tcp =
        over_tcp(|bytes| answer(bytes, &|m| m.metadata.truncation = true).expect("readable"));
    let socket = UdpSocket::bind(cut_tcp.address).expect("the port of both");
    let cut = served(socket, |bytes| {
        answer(bytes, &|m| m.metadata.truncation = true).into_iter().collect()
    });
    let only_udp = answering(|m| m.metadata.truncation = true);
    let tcp_garbage = over_tcp(|_| vec![0xff; 4000]);
    let tcp_flood = listener(|stream| {
        loop {
            stream.write_all(&[0xff; 65_537])?
        }
    });
    let tcp_silent = silent();
    let on = |target: &Datagrams| target.address.to_string();
    let tcp = "transport = \"tcp\"";
    let config = [
        hasty("wrong-number", &on(&wrong_number), ""),
        hasty("wrong-name", &on(&wrong_name), ""),
        hasty("garbage", &on(&garbage), ""),
        hasty("echo", &on(&echo), ""),
        hasty("deaf", &on(&deaf), ""),
        hasty("contested", &on(&contested), "expect-answers = \"192.0.2.1\""),
        hasty("circle", &on(&circle), ""),
        hasty("many", &on(&many), "minimum-answers = 1000"),
        hasty("verified", &on(&verified), "dnssec = true\nexpect-flags = \"ad\""),
        hasty("cut", &on(&cut), ""),
        hasty("only-udp", &on(&only_udp), ""),
        hasty("refused", &nobody().to_string(), ""),
        hasty("unresolved", "name.invalid", ""),
        hasty("tcp-garbage", &tcp_garbage.address.to_string(), tcp),
        hasty("tcp-flood", &tcp_flood.address.to_string(), tcp),
        hasty("tcp-silent", &tcp_silent.address.to_string(), tcp),
        hasty("tls-silent", &tcp_silent.address.to_string(), "transport = \"tls\""),
        hasty("https-silent", &tcp_silent.address.to_string(), "transport = \"https\""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_failure(&host, "wrong-number", "timeout", "its number is another question's");
    expect_failure(&host, "wrong-name", "timeout", "it is for another question");
    expect_failure(&host, "garbage", "timeout", "something else came");
    expect_failure(&host, "echo", "timeout", "it is not an answer");
    expect_failure(&host, "deaf", "timeout", "while waiting for an answer of");
    expect_pass(&host, "contested", "with 1 answer: 192.0.2.1");
    expect_failure(
        &host,
        "circle",
        "unexpected-value",
        "no answer of the type, but `www.shop.test. 30 IN CNAME a.test.`",
    );
    expect_pass(&host, "many", "with 1000 answers: 192.0.2.0, ");
    expect_pass(&host, "verified", "");
    expect_failure(&host, "cut", "protocol", "cuts its answer where there is room for it");
    expect_failure(&host, "only-udp", "refused", "");
    expect_failure(&host, "refused", "refused", "nobody listens there");
    expect_failure(&host, "unresolved", "resolve", "name.invalid");
    expect_failure(&host, "tcp-garbage", "timeout", "waiting for an answer");
    expect_failure(&host, "tcp-flood", "too-large", "more than 1 MiB");
    expect_failure(&host, "tcp-silent", "timeout", "waiting for an answer");
    expect_failure(&host, "tls-silent", "timeout", "shaking hands (TLS)");
    expect_failure(&host, "https-silent", "timeout", "shaking hands (TLS)");
    for name in host.names() {
        let took = Duration::from_secs_f64(
            host.check(&name)["duration_ms"].as_f64().expect("a number") / 1e3,
        );
        assert!(took < Duration::from_millis(900), "{name} took {took:?}");
    }
}

#[test]
fn a_probe_asks_the_server_it_names_and_no_other() {
    let server = format!("127.0.0.1:{}", bind().port);
    let config = format!(
        "[[module]]\nname = \"zone\"\nkind = \"dns\"\nquery-name = \"shop.test\"\nquery-type = \"SOA\"\n\
         targets = [\"127.0.0.1:{}\"]\n",
        bind().port
    );
    let host = host().config(&config).start();
    let probe = |target: &str| {
        request(host.address, "GET", &format!("/probe?module=zone&target={target}"), &[], "")
            .expect("an answer")
    };
    let asked = probe(&server);
    for line in [
        "probe_success 1",
        "probe_dns_serial 2.026010105e+09",
        "probe_dns_answer_rrs 1",
        "probe_dns_query_succeeded 1",
    ] {
        assert!(
            asked.body.contains(line)
                || asked.body.contains(&line.replace("2.026010105e+09", "2026010105")),
            "`{line}`: {}",
            asked.body
        );
    }
    let other = probe(&nobody().to_string());
    assert_ne!(other.code, 200, "{}", other.body);
}
