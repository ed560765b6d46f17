//! The few messages of D-Bus that reading a property takes.
//!
//! A client library would bring an executor of its own, and proxies for every type there is, for what
//! are a greeting, a call with two texts, and an answer with one value. `systemctl show` is one more
//! process for each run, and a text to be taken apart.
//!
//! Whatever answers is not believed: lengths are bounded, and what does not fit is nonsense.

use std::io;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::digest::hex;

/// Longest header and longest body of a message, in bytes.
const MAX_HEADER: u32 = 16 * 1024;
const MAX_BODY: u32 = 64 * 1024;

/// Longest line of the greeting, in bytes.
const MAX_LINE: u64 = 1024;

/// Messages that are no answer, at most: signals that nobody asked for.
const MAX_OTHERS: usize = 64;

const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A value of one of the types that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    /// Of another type.
    Other,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection could not be had, or broke.
    Io(io::Error),
    /// It speaks no D-Bus.
    Nonsense(&'static str),
    /// It does not let us in.
    Refused,
    /// It answers with an error: its name, and what it says.
    Error(String, String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A connection to a bus, or to the private socket of systemd.
#[derive(Debug)]
pub(super) struct Bus {
    stream: BufReader<UnixStream>,
    serial: u32,
}

/// Something to be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) texts: &'a [&'a str],
}

const HELLO: Call<'static> = Call {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    texts: &[],
};

impl Bus {
    /// Connects, and says who we are.
    pub(super) async fn connect(socket: &Path) -> Result<Self, Failed> {
        let mut stream = BufReader::new(UnixStream::connect(socket).await?);
        let user = rustix::process::getuid().as_raw().to_string();
        let hex = hex(user.as_bytes());
        // In one go, as the library of systemd does it: if `BEGIN` came together with the first call,
        // the private socket of systemd would not look at that call before more comes.
        stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\nBEGIN\r\n").as_bytes()).await?;
        let mut line = Vec::new();
        (&mut stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if line.starts_with(b"REJECTED") || line.starts_with(b"ERROR") {
            return Err(Failed::Refused);
        }
        if !line.starts_with(b"OK") || !line.ends_with(b"\r\n") {
            return Err(Failed::Nonsense("its greeting is none"));
        }
        let mut bus = Self { stream, serial: 0 };
        // The private socket of systemd is no bus, and knows no such call.
        match bus.call(&HELLO).await {
            Ok(_) | Err(Failed::Error(..)) => Ok(bus),
            Err(failed) => Err(failed),
        }
    }

    /// Reads a property.
    pub(super) async fn get(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        property: &str,
    ) -> Result<Value, Failed> {
        let call = Call {
            destination,
            path,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            texts: &[interface, property],
        };
        let (is_big, signature, body) = self.call(&call).await?;
        if signature != "v" {
            return Err(Failed::Nonsense("its answer is no value"));
        }
        value(is_big, &body).ok_or(Failed::Nonsense("its value is none"))
    }

    /// Calls, and waits for the answer: its byte order, signature and body.
    async fn call(&mut self, call: &Call<'_>) -> Result<(bool, String, Vec<u8>), Failed> {
        self.serial += 1;
        self.stream.write_all(&encoded(call, self.serial)).await?;
        for _ in 0..MAX_OTHERS {
            let (is_big, kind, fields, body) = self.message().await?;
            if fields.reply_serial != Some(self.serial) {
                continue;
            }
            return match kind {
                RETURN => Ok((is_big, fields.signature, body)),
                ERROR => {
                    let mut cursor = Cursor { bytes: &body, at: 0, is_big };
                    let says = match fields.signature.starts_with('s') {
                        true => cursor.text().unwrap_or_default(),
                        false => String::new(),
                    };
                    Err(Failed::Error(fields.error_name, says))
                }
                _ => Err(Failed::Nonsense("it answers with something that is no answer")),
            };
        }
        Err(Failed::Nonsense("it says a lot that nobody asked for"))
    }

    async fn message(&mut self) -> Result<(bool, u8, Fields, Vec<u8>), Failed> {
        let mut start = [0; 16];
        self.stream.read_exact(&mut start).await?;
        let is_big = match start[0] {
            b'l' => false,
            b'B' => true,
            _ => return Err(Failed::Nonsense("a message has no byte order")),
        };
        let mut cursor = Cursor { bytes: &start, at: 4, is_big };
        let (body, _serial, fields) = (cursor.number(), cursor.number(), cursor.number());
        let (Some(body), Some(fields)) = (body, fields) else {
            return Err(Failed::Nonsense("a message has no length"));
        };
        if body > MAX_BODY || fields > MAX_HEADER {
            return Err(Failed::Nonsense("a message is too long"));
        }
        let mut header = vec![0; fields.next_multiple_of(8) as usize];
        self.stream.read_exact(&mut header).await?;
        header.truncate(fields as usize);
        let mut content = vec![0; body as usize];
        self.stream.read_exact(&mut content).await?;
        let fields = fields_of(is_big, &header).ok_or(Failed::Nonsense("a header is none"))?;
        Ok((is_big, start[1], fields, content))
    }
}

#[derive(Debug, Default, PartialEq)]
struct Fields {
    reply_serial: Option<u32>,
    error_name: String,
    signature: String,
}

/// Values one after the other; each begins at a multiple of its size.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    is_big: bool,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize, align: usize) -> Option<&'a [u8]> {
        let start = self.at.checked_next_multiple_of(align)?;
        let end = start.checked_add(count)?;
        let found = self.bytes.get(start..end)?;
        self.at = end;
        Some(found)
    }

    fn number(&mut self) -> Option<u32> {
        let bytes = self.take(4, 4)?.try_into().ok()?;
        Some(if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn long(&mut self) -> Option<u64> {
        let bytes = self.take(8, 8)?.try_into().ok()?;
        Some(if self.is_big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let text = self.take(length, 1)?;
        self.take(1, 1)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(self.take(1, 1)?[0]);
        let text = self.take(length, 1)?;
        self.take(1, 1)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

fn fields_of(is_big: bool, header: &[u8]) -> Option<Fields> {
    let mut cursor = Cursor { bytes: header, at: 0, is_big };
    let mut fields = Fields::default();
    while cursor.at < header.len() {
        let code = cursor.take(1, 8)?[0];
        match (cursor.signature()?.as_str(), code) {
            ("u", REPLY_SERIAL) => fields.reply_serial = Some(cursor.number()?),
            ("u", _) => drop(cursor.number()?),
            ("s", ERROR_NAME) => fields.error_name = cursor.text()?,
            ("s" | "o", _) => drop(cursor.text()?),
            ("g", SIGNATURE) => fields.signature = cursor.signature()?,
            ("g", _) => drop(cursor.signature()?),
            _ => return None,
        }
    }
    Some(fields)
}

/// A value that says its type.
fn value(is_big: bool, body: &[u8]) -> Option<Value> {
    let mut cursor = Cursor { bytes: body, at: 0, is_big };
    Some(match cursor.signature()?.as_str() {
        "s" | "o" => Value::Text(cursor.text()?),
        "u" => Value::Number(cursor.number()?.into()),
        "t" => Value::Number(cursor.long()?),
        _ => Value::Other,
    })
}

fn encoded(call: &Call<'_>, serial: u32) -> Vec<u8> {
    let mut body = Vec::new();
    for text in call.texts {
        put_text(&mut body, text);
    }
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("made of a few short texts");
    let mut header = Vec::new();
    for (code, kind, text) in [
        (PATH, b'o', call.path),
        (INTERFACE, b's', call.interface),
        (MEMBER, b's', call.member),
        (DESTINATION, b's', call.destination),
    ] {
        pad(&mut header, 8);
        header.extend([code, 1, kind, 0]);
        put_text(&mut header, text);
    }
    if !call.texts.is_empty() {
        pad(&mut header, 8);
        let count = u8::try_from(call.texts.len()).expect("a call has a few texts");
        header.extend([SIGNATURE, 1, b'g', 0, count]);
        header.extend(call.texts.iter().map(|_| b's'));
        header.push(0);
    }
    let mut message = vec![b'l', CALL, 0, 1];
    for number in [length(&body), serial, length(&header)] {
        message.extend(number.to_le_bytes());
    }
    message.extend(header);
    pad(&mut message, 8);
    message.extend(body);
    message
}

fn pad(bytes: &mut Vec<u8>, align: usize) {
    bytes.resize(bytes.len().next_multiple_of(align), 0);
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    bytes.extend(u32::try_from(text.len()).expect("texts of calls are short").to_le_bytes());
    bytes.extend(text.bytes());
    bytes.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_laid_out_as_the_specification_has_it() {
        let bytes = encoded(&HELLO, 7);
        assert_eq!(&bytes[..16], &[b'l', 1, 0, 1, 0, 0, 0, 0, 7, 0, 0, 0, 109, 0, 0, 0]);
        assert_eq!(bytes.len() % 8, 0);
        let header = &bytes[16..16 + 109];
        assert_eq!(fields_of(false, header), Some(Fields::default()));
        assert_eq!(&header[..8], &[1, 1, b'o', 0, 21, 0, 0, 0]);
        let call = Call { texts: &["a", "bc"], ..HELLO };
        let bytes = encoded(&call, 1);
        assert!(bytes.ends_with(&[1, 0, 0, 0, b'a', 0, 0, 0, 2, 0, 0, 0, b'b', b'c', 0]));
    }

    #[test]
    fn values_are_read_in_both_byte_orders() {
        let text = [1, b's', 0, 0, 2, 0, 0, 0, b'o', b'k', 0];
        assert_eq!(value(false, &text), Some(Value::Text("ok".to_owned())));
        let big = [1, b'u', 0, 0, 0, 0, 1, 2];
        assert_eq!(value(true, &big), Some(Value::Number(258)));
        assert_eq!(value(false, &[1, b'b', 0, 0, 1, 0, 0, 0]), Some(Value::Other));
    }

    #[test]
    fn nonsense_is_no_value_and_no_header() {
        for bytes in [&[][..], &[1], &[1, b's', 0], &[1, b's', 0, 0, 255, 255, 255, 255], &[9, 9]] {
            assert_eq!(value(false, bytes), None, "{bytes:?}");
        }
        for header in [&[1][..], &[1, 1, b'v', 0], &[1, 1, b's', 0, 255, 255, 255, 255], &[0; 3]] {
            assert_eq!(fields_of(false, header), None, "{header:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_message_breaks_it(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64), is_big: bool) {
            let _ = (value(is_big, &bytes), fields_of(is_big, &bytes));
        }
    }
}
