//! The kind `websocket` against servers that keep to the protocol, and some that do not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

use crate::support::host::{Host, host};
use crate::support::target;

fn check(name: &str, url: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"websocket\"\nurl = \"{url}\"\ninterval = \"1s\"\ntimeout = \"700ms\"\n{keys}\n"
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

/// A server that says `talk` once it has upgraded the connection.
fn server(talk: fn(&mut WebSocket<TcpStream>)) -> impl Fn(TcpStream) {
    move |stream| {
        if let Ok(mut socket) = accept(stream) {
            talk(&mut socket);
            // Until the other side goes away.
            while socket.read().is_ok() {}
        }
    }
}

#[track_caller]
fn expect(host: &Host, name: &str, state: &str, reason: &str, says: &str) {
    let found = host.until_run(name);
    assert_eq!(found["state"], state, "{found}");
    assert_eq!(found["reason"].as_str().unwrap_or(""), reason, "{found}");
    assert!(found["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {found}");
}

#[test]
fn a_text_that_comes_is_compared_with_what_is_expected() {
    let greets = listener(|stream| {
        server(|socket| {
            let _ = socket.send(Message::text("welcome"));
            let _ = socket.send(Message::binary(&b"ready to serve"[..]));
        })(stream);
    });
    let echoes = listener(|stream| {
        let Ok(mut socket) = accept(stream) else { return };
        while let Ok(message) = socket.read() {
            if message.is_text() && socket.send(message).is_err() {
                return;
            }
        }
    });
    let closes = listener(|stream| {
        server(|socket| drop(socket.close(None)))(stream);
    });
    let ws = |address| format!("ws://{address}/feed");
    let config = [
        check("upgrade", &ws(greets), ""),
        check("first", &ws(greets), "expect = \"welcome\""),
        check("second", &ws(greets), "expect = \"ready\""),
        check("never", &ws(greets), "expect = \"bye\""),
        check("echo", &ws(echoes), "send = \"ping 7\"\nexpect = \"ping 7\""),
        check("quiet", &ws(echoes), "expect = \"anything\""),
        check("closes", &ws(closes), "expect = \"anything\""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect(&host, "upgrade", "pass", "", "upgraded the connection");
    expect(&host, "first", "pass", "", "answered `welcome`");
    expect(&host, "second", "pass", "", "answered `ready to serve`");
    expect(
        &host,
        "never",
        "fail",
        "unexpected-body",
        "time was up, and no message contains `bye`; the last one was `ready to serve`",
    );
    expect(&host, "echo", "pass", "", "answered `ping 7`");
    expect(&host, "quiet", "fail", "timeout", "timed out after 700ms while waiting for a message");
    expect(
        &host,
        "closes",
        "fail",
        "unexpected-body",
        "the connection was closed before a message came",
    );
    assert_eq!(host.check("first")["target"], ws(greets));
}

#[test]
fn servers_that_do_not_upgrade_fail_with_a_reason() {
    let plain = target::http().status(404).start();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let garbage = listener(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"\x16\x03\x01 220 this is another protocol\r\n\r\n");
    });
    let silent = listener(|mut stream| while stream.read(&mut [0; 64]).is_ok_and(|n| n > 0) {});
    let lies = listener(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
    });
    let ws = |address: SocketAddr| format!("ws://{address}/");
    let config = [
        check("plain", &plain.url("/").replace("http", "ws"), ""),
        check("refused", &ws(free), ""),
        check("garbage", &ws(garbage), ""),
        check("silent", &ws(silent), ""),
        check("lies", &ws(lies), ""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect(&host, "plain", "fail", "unexpected-status", "answered 404 Not Found (expected 101");
    expect(&host, "refused", "fail", "refused", &free.to_string());
    expect(&host, "garbage", "fail", "protocol", "does not keep to the protocol");
    expect(&host, "silent", "fail", "timeout", "timed out after 700ms while waiting for");
    expect(&host, "lies", "fail", "protocol", "does not keep to the protocol");
    assert!(plain.requests()[0].contains("GET / HTTP/1.1"), "{:?}", plain.requests());
}
