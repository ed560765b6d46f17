//! The kind `tcp` against a real nginx, and against listeners that say this and that.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::support::certificates::Authority;
use crate::support::host::{Host, host};
use crate::support::nginx::Nginx;

fn check(name: &str, target: SocketAddr, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"tcp\"\ntarget = \"{target}\"\ninterval = \"1s\"\ntimeout = \"700ms\"\n{keys}\n"
    )
}

/// Listens, and does the same with every connection, each on a thread of its own.
fn listener(serve: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// What the first run came to: state, reason and a part of the message.
#[track_caller]
fn expect(host: &Host, name: &str, state: &str, reason: &str, says: &str) {
    let found = host.until_run(name);
    assert_eq!(found["state"], state, "{found}");
    assert_eq!(found["reason"].as_str().unwrap_or(""), reason, "{found}");
    assert!(found["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {found}");
}

#[test]
fn a_port_that_answers_passes_and_one_that_refuses_fails() {
    let nginx = Nginx::start("location / { return 200 fine; }");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let get = "send = \"GET / HTTP/1.0\\r\\n\\r\\n\"\n";
    let config = [
        check("open", nginx.address, ""),
        check("says", nginx.address, &format!("{get}expect = \"200 OK\"")),
        check("lacks", nginx.address, &format!("{get}expect = \"404\"")),
        check("refused", free, ""),
        check("nobody", free, "").replace(&free.to_string(), "nobody.invalid:80"),
    ]
    .concat();
    let host = host().config(&config).start();
    expect(&host, "open", "pass", "", "connected");
    expect(&host, "says", "pass", "", "answered `HTTP/1.1 200 OK\\r\\n");
    expect(&host, "lacks", "fail", "unexpected-body", "does not contain `404`: `HTTP/1.1 200 OK");
    expect(&host, "refused", "fail", "refused", &free.to_string());
    expect(&host, "nobody", "fail", "resolve", "nobody.invalid");
    let open = host.check("open");
    assert_eq!(open["target"], nginx.address.to_string());
    assert_eq!(open["outcome"]["details"]["peer"], nginx.address.to_string());
    let observations = open["outcome"]["observations"].as_array().expect("observations");
    assert!(observations.iter().any(|o| o["name"] == "connect"), "{open}");
    assert_eq!(host.get("/health/open?format=genesis").json()[0]["PORT"], nginx.address.port());
}

#[test]
fn what_a_listener_says_is_waited_for_and_bounded() {
    let banner = listener(|mut stream| {
        for piece in ["220 mail.exa", "mple.com ES", "MTP\r\n"] {
            let _ = stream.write_all(piece.as_bytes());
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = stream.read(&mut [0; 8]);
    });
    let silent = listener(|mut stream| drop(stream.read(&mut [0; 8])));
    let rude = listener(|stream| drop(stream));
    let flood = listener(|mut stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    let config = [
        check("banner", banner, "expect = \"example.com ESMTP\""),
        check("other-banner", banner, "expect = \"554\""),
        check("silent", silent, "expect = \"220\""),
        check("rude", rude, "expect = \"220\""),
        check("flood", flood, "expect = \"220\""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect(&host, "banner", "pass", "", "answered `220 mail.example.com ESMTP");
    expect(&host, "other-banner", "fail", "unexpected-body", "all that came in time does not");
    expect(&host, "silent", "fail", "timeout", "timed out after 700ms while waiting for an answer");
    expect(&host, "rude", "fail", "closed", "closed the connection");
    expect(&host, "flood", "fail", "unexpected-body", "the first 64 KiB does not contain `220`");
}

#[test]
fn tls_is_spoken_and_judged_as_everywhere() {
    let authority = Authority::new();
    let nginx = Nginx::start_tls(&authority.good(), "location / { return 200 fine; }");
    let config = [
        check("trusted", nginx.address, "tls = true\ntls-ca = \"ca.pem\""),
        check("untrusted", nginx.address, "tls = true"),
        check("anyone", nginx.address, "tls = true\ntls-verify = false"),
    ]
    .concat();
    let host = host().file("ca.pem", &authority.pem()).config(&config).start();
    expect(&host, "trusted", "pass", "", "connected");
    expect(&host, "untrusted", "fail", "tls-untrusted", "");
    expect(&host, "anyone", "pass", "", "connected");
    assert_eq!(host.check("trusted")["outcome"]["details"]["tls-version"], "1.3");
}
