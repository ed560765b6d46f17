//! The kind `websocket` against servers that keep to the protocol, and some that do not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

use crate::support::checks::{expect_failure, expect_pass, timed};
use crate::support::host::host;
use crate::support::listener::{Listener, listener, silent};
use crate::support::servers::free_address;
use crate::support::target;

fn check(name: &str, url: &str, keys: &str) -> String {
    timed("websocket", name, url, "700ms", keys)
}

/// A server that says `talk` once it has upgraded a connection.
fn server(talk: fn(&mut WebSocket<&mut TcpStream>)) -> Listener {
    listener(move |stream| {
        if let Ok(mut socket) = accept(stream) {
            talk(&mut socket);
            // Until the other side goes away.
            while socket.read().is_ok() {}
        }
        Ok(())
    })
}

#[test]
fn a_text_that_comes_is_compared_with_what_is_expected() {
    let greets = server(|socket| {
        let _ = socket.send(Message::text("welcome"));
        let _ = socket.send(Message::binary(&b"ready to serve"[..]));
    });
    let echoes = server(|socket| {
        while let Ok(message) = socket.read() {
            if message.is_text() && socket.send(message).is_err() {
                return;
            }
        }
    });
    let closes = server(|socket| drop(socket.close(None)));
    let ws = |server: &Listener| format!("ws://{}/feed", server.address);
    let config = [
        check("upgrade", &ws(&greets), ""),
        check("first", &ws(&greets), "expect = \"welcome\""),
        check("second", &ws(&greets), "expect = \"ready\""),
        check("never", &ws(&greets), "expect = \"bye\""),
        check("echo", &ws(&echoes), "send = \"ping 7\"\nexpect = \"ping 7\""),
        check("quiet", &ws(&echoes), "expect = \"anything\""),
        check("closes", &ws(&closes), "expect = \"anything\""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "upgrade", "upgraded the connection");
    expect_pass(&host, "first", "answered `welcome`");
    expect_pass(&host, "second", "answered `ready to serve`");
    expect_failure(
        &host,
        "never",
        "unexpected-body",
        "time was up, and no message contains `bye`; the last one was `ready to serve`",
    );
    expect_pass(&host, "echo", "answered `ping 7`");
    expect_failure(&host, "quiet", "timeout", "timed out after 700ms while waiting for a message");
    expect_failure(
        &host,
        "closes",
        "unexpected-body",
        "the connection was closed before a message came",
    );
    assert_eq!(host.check("first")["target"], ws(&greets));
}

#[test]
fn servers_that_do_not_upgrade_fail_with_a_reason() {
    let plain = target::http().status(404).start();
    let free = free_address();
    let garbage = listener(|stream| {
        let _ = stream.read(&mut [0; 1024])?;
        stream.write_all(b"\x16\x03\x01 220 this is another protocol\r\n\r\n")
    });
    let silent = silent();
    let lies = listener(|stream| {
        let _ = stream.read(&mut [0; 1024])?;
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n";
        stream.write_all(head.as_bytes())
    });
    let ws = |address: SocketAddr| format!("ws://{address}/");
    let config = [
        check("plain", &plain.url("/").replace("http", "ws"), ""),
        check("refused", &ws(free), ""),
        check("garbage", &ws(garbage.address), ""),
        check("silent", &ws(silent.address), ""),
        check("lies", &ws(lies.address), ""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_failure(&host, "plain", "unexpected-status", "answered 404 Not Found (expected 101");
    expect_failure(&host, "refused", "refused", &free.to_string());
    expect_failure(&host, "garbage", "protocol", "does not keep to the protocol");
    expect_failure(&host, "silent", "timeout", "timed out after 700ms while waiting for");
    expect_failure(&host, "lies", "protocol", "does not keep to the protocol");
    assert!(plain.requests()[0].contains("GET / HTTP/1.1"), "{:?}", plain.requests());
}

/// A server that takes a subprotocol, greets with a token, and wants it back.
fn strict() -> Listener {
    #[expect(clippy::result_large_err, reason = "tungstenite's own signature")]
    fn choose(
        _request: &tokio_tungstenite::tungstenite::handshake::server::Request,
        mut response: tokio_tungstenite::tungstenite::handshake::server::Response,
    ) -> Result<
        tokio_tungstenite::tungstenite::handshake::server::Response,
        tokio_tungstenite::tungstenite::handshake::server::ErrorResponse,
    > {
        let value = "chat".parse().expect("a header");
        response.headers_mut().insert("sec-websocket-protocol", value);
        Ok(response)
    }
    listener(|stream| {
        if let Ok(mut socket) = tokio_tungstenite::tungstenite::accept_hdr(stream, choose) {
            let _ = socket.send(Message::text("{\"token\": \"t7\"}"));
            while let Ok(message) = socket.read() {
                let answer = match message.to_text() {
                    Ok("use t7") => "welcome",
                    _ => "error: who are you",
                };
                if message.is_text() && socket.send(Message::text(answer)).is_err() {
                    break;
                }
            }
        }
        Ok(())
    })
}

#[test]
fn subprotocols_and_scripts_are_spoken() {
    let strict = strict();
    let other = server(|_| {});
    let url = format!("ws://{}/feed", strict.address);
    let token = "{ expect = '\"token\": \"(?<token>\\w+)\"' }";
    let chat = "subprotocols = [\"soap\", \"chat\"]\n";
    let on = |name: &str, steps: &str| check(name, &url, &format!("{chat}script = [{steps}]"));
    let config = [
        on(
            "whole",
            &format!("{token}, {{ send = 'use {{{{token}}}}' }}, {{ expect = '^welcome$' }}"),
        ),
        on(
            "rejected",
            &format!(
                "{token}, {{ send = 'use t8' }}, {{ expect = '^welcome$', reject = '^error' }}"
            ),
        ),
        on("never", "{ expect = '^bye$' }"),
        check("none-taken", &format!("ws://{}/", other.address), "subprotocols = \"chat\""),
    ];
    let host = host().config(&config.concat()).start();
    let whole = expect_pass(&host, "whole", "answered `welcome`");
    assert_eq!(whole["outcome"]["details"]["subprotocol"], "chat", "{whole}");
    expect_failure(
        &host,
        "rejected",
        "unexpected-body",
        "step 3: `error: who are you` matches `^error`",
    );
    expect_failure(
        &host,
        "never",
        "unexpected-body",
        "step 1: time was up, and no message matches `^bye$`",
    );
    expect_failure(&host, "none-taken", "protocol", "does not keep to the protocol: ");
}
