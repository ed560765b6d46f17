//! A blocking HTTP/1.1 client of a few lines: shows answers as they are on the wire.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::wait::LIMIT;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in an answer {}: {}", self.code, self.body))
    }

    /// Takes the next answer off what a connection sent; `head_only` for answers to `HEAD`.
    pub(crate) fn take(bytes: &mut &[u8], head_only: bool) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let code = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Self { code, headers, body: String::new() };
        let rest = &bytes[end + 4..];
        let length = answer.header("content-length").and_then(|n| n.parse().ok());
        let length = if head_only { 0 } else { length.unwrap_or(rest.len()).min(rest.len()) };
        answer.body = String::from_utf8_lossy(&rest[..length]).into_owned();
        *bytes = &rest[length..];
        Some(answer)
    }
}

/// A connection, with the global limit on every read.
pub(crate) fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Everything that comes until the other side closes; a reset is an end too.
pub(crate) fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came before a reset stays in `bytes`.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

/// Sends bytes as they are, and reads until the other side closes.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = connect(address)?;
    // A server may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    Ok(read_all(&mut stream))
}

/// One request on a connection of its own.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let mut lines = vec![
        format!("{method} {path} HTTP/1.1"),
        format!("Host: {address}"),
        "Connection: close".to_owned(),
    ];
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if !body.is_empty() {
        lines.push(format!("Content-Length: {}", body.len()));
    }
    let text = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
    let bytes = raw(address, text.as_bytes())?;
    Answer::take(&mut &bytes[..], method == "HEAD")
        .ok_or_else(|| std::io::Error::other(format!("no answer in {} bytes", bytes.len())))
}
