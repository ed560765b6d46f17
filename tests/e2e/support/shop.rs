//! A small shop with a login: what a run of several requests talks to.
//!
//! `POST /login` with `{"user": "probe", "password": "pa\"ss"}` answers with a token that holds
//! characters of all sorts, a cookie, and a number in a header; `GET /items/NUMBER?q=TOKEN` wants
//! the cookie and the token, `POST /orders` wants the token in its body as well.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::listener::{Listener, listener, read_head};

/// What the shop gives out.
pub(crate) const TOKEN: &str = "t/o?k&e=n \\\"%41";

/// The same, where it stands in a URL.
const ENCODED: &str = "t%2Fo%3Fk%26e%3Dn%20%5C%22%2541";

pub(crate) struct Shop {
    pub(crate) listener: Listener,
    /// First lines of the requests, in their order.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    pub(crate) fn start() -> Self {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let own = Arc::clone(&seen);
        let listener = listener(move |stream| {
            let (head, body) = read_request(stream)?;
            let line = head.lines().next().unwrap_or_default().to_owned();
            own.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
            stream.write_all(answer(&line, &head, &body).as_bytes())
        });
        Self { listener, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listener.address)
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read_request(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let head = String::from_utf8_lossy(&read_head(stream)?).into_owned();
    let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn answer(line: &str, head: &str, body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let bearer = format!("Bearer {TOKEN}");
    let is_known = header(head, "authorization") == Some(&bearer)
        && header(head, "cookie") == Some("session=s1");
    let found = format!("GET /items/42?q={ENCODED} HTTP/1.1");
    match line {
        "POST /login HTTP/1.1" if json["user"] == "probe" && json["password"] == "pa\"ss" => {
            let text = serde_json::json!({
                "auth": { "token": TOKEN, "expires": 3600, "roles": ["a", "b"] }, "none": null,
            });
            let headers = "Set-Cookie: session=s1; Path=/; HttpOnly\r\nLocation: /users/42/home\r\nX-Bad: a\u{e9}\r\n";
            reply("200 OK", headers, &text.to_string())
        }
        "POST /login HTTP/1.1" => reply("401 Unauthorized", "", "who are you?"),
        "GET /dots HTTP/1.1" => reply("200 OK", "X-Dots: ..\r\n", "a\r\nX-Evil: yes"),
        line if line == found && is_known => reply("200 OK", "", r#"{"item": 42}"#),
        "POST /orders HTTP/1.1" if is_known && json["token"] == TOKEN && json["n"] == 3600 => {
            reply("201 Created", "", "ordered")
        }
        "GET /slow HTTP/1.1" => reply("200 OK", "", ""),
        _ => reply("403 Forbidden", "", "not for you"),
    }
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}
