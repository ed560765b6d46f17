//! A fake MongoDB: one member of a set that speaks OP_MSG, keeps a user, and lies when asked to.
//!
//! Written from the protocol's description and with a BSON of its own, so that it does not share the
//! mistakes of what it tests. It accepts SCRAM-SHA-256 by the steps that a server takes: it knows no
//! password, only what is stored of one.

use std::io::{Read, Write};
use std::net::TcpStream;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::listener::{Listener, listener};

/// A value of BSON, as far as these commands need it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bson {
    Double(f64),
    Text(String),
    Document(Vec<(String, Bson)>),
    Binary(Vec<u8>),
    Boolean(bool),
    Int(i32),
}

type Fields = Vec<(String, Bson)>;

fn fields(list: &[(&str, Bson)]) -> Fields {
    list.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn encode(document: &Fields) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in document {
        let (kind, bytes) = match value {
            Bson::Double(number) => (1, number.to_le_bytes().to_vec()),
            Bson::Text(text) => {
                let length = i32::try_from(text.len() + 1).expect("short");
                (2, [&length.to_le_bytes(), text.as_bytes(), b"\0"].concat())
            }
            Bson::Document(inner) => (3, encode(inner)),
            Bson::Binary(data) => {
                let length = i32::try_from(data.len()).expect("short");
                (5, [&length.to_le_bytes(), &b"\0"[..], data].concat())
            }
            Bson::Boolean(value) => (8, vec![u8::from(*value)]),
            Bson::Int(number) => (16, number.to_le_bytes().to_vec()),
        };
        body.push(kind);
        body.extend(name.as_bytes());
        body.push(0);
        body.extend(bytes);
    }
    let length = i32::try_from(body.len() + 5).expect("short");
    [&length.to_le_bytes(), &body[..], b"\0"].concat()
}

/// Takes a document apart; panics on anything that a real server would refuse.
fn decode(bytes: &[u8]) -> Fields {
    let number = |at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(usize::try_from(number(0)), Ok(bytes.len()), "a document's length");
    assert_eq!(bytes.last(), Some(&0), "a document's end");
    let mut at = 4;
    let mut list = Fields::new();
    while bytes[at] != 0 {
        let kind = bytes[at];
        let end = at + 1 + bytes[at + 1..].iter().position(|b| *b == 0).expect("a name's end");
        let name = String::from_utf8(bytes[at + 1..end].to_vec()).expect("a name");
        at = end + 1;
        let size = |at| usize::try_from(number(at)).expect("a length");
        let (value, length) = match kind {
            2 => {
                let length = size(at);
                assert_eq!(bytes[at + 3 + length], 0, "a text's end");
                let text =
                    String::from_utf8(bytes[at + 4..at + 3 + length].to_vec()).expect("a text");
                (Bson::Text(text), 4 + length)
            }
            3 => (Bson::Document(decode(&bytes[at..at + size(at)])), size(at)),
            5 => (Bson::Binary(bytes[at + 5..at + 5 + size(at)].to_vec()), 5 + size(at)),
            8 => (Bson::Boolean(bytes[at] != 0), 1),
            16 => (Bson::Int(number(at)), 4),
            other => panic!("an element of type {other}"),
        };
        list.push((name, value));
        at += length;
    }
    list
}

/// What the fake is and does.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// What `hello` says besides `ok`.
    pub(crate) hello: Vec<(&'static str, Bson)>,
    /// Who may log in, and where that user is known; without one, anybody may do anything.
    pub(crate) user: Option<(&'static str, &'static str, &'static str)>,
    /// How often the password's hash is hashed.
    pub(crate) rounds: u32,
    /// Whether its last proof is wrong.
    pub(crate) lies: bool,
    /// Whether it wants one more, empty message, as old servers do.
    pub(crate) long_login: bool,
}

impl Member {
    /// A primary that lets anybody in.
    pub(crate) fn primary() -> Self {
        let hello = vec![
            ("topologyVersion", Bson::Document(fields(&[("counter", Bson::Int(6))]))),
            ("isWritablePrimary", Bson::Boolean(true)),
            ("secondary", Bson::Boolean(false)),
            ("setName", Bson::Text("rs0".to_owned())),
            ("maxWireVersion", Bson::Int(21)),
            ("readOnly", Bson::Boolean(false)),
        ];
        Self { hello, user: None, rounds: 15_000, lies: false, long_login: false }
    }

    pub(crate) fn says(mut self, name: &'static str, value: Bson) -> Self {
        self.hello.retain(|(known, _)| *known != name);
        self.hello.push((name, value));
        self
    }

    /// Only this user may log in, who is known in that database.
    pub(crate) fn user(
        mut self,
        user: &'static str,
        password: &'static str,
        source: &'static str,
    ) -> Self {
        self.user = Some((user, password, source));
        self
    }

    pub(crate) fn start(self) -> Listener {
        listener(move |stream| Session::new(&self).serve(stream))
    }
}

/// One client.
struct Session<'a> {
    member: &'a Member,
    is_in: bool,
    /// The client's first message without its head, and ours.
    messages: Option<(String, String)>,
    /// The last proof, once the client's was right.
    proof: Option<Vec<u8>>,
}

fn error(code: i32, name: &str, text: &str) -> Fields {
    fields(&[
        ("ok", Bson::Double(0.0)),
        ("errmsg", Bson::Text(text.to_owned())),
        ("code", Bson::Int(code)),
        ("codeName", Bson::Text(name.to_owned())),
    ])
}

fn failed() -> Fields {
    error(18, "AuthenticationFailed", "Authentication failed.")
}

impl<'a> Session<'a> {
    fn new(member: &'a Member) -> Self {
        Self { member, is_in: member.user.is_none(), messages: None, proof: None }
    }

    fn serve(&mut self, stream: &mut TcpStream) -> std::io::Result<()> {
        loop {
            let mut head = [0; 16];
            stream.read_exact(&mut head)?;
            let number =
                |at: usize| i32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
            assert_eq!(number(12), 2013, "OP_MSG");
            let mut body = vec![0; usize::try_from(number(0)).expect("a length") - 16];
            stream.read_exact(&mut body)?;
            assert_eq!(&body[..5], [0; 5], "no flags, and one document");
            let answer = encode(&self.answer(&decode(&body[5..])));
            let length = i32::try_from(answer.len() + 21).expect("short");
            let mut bytes = Vec::new();
            for part in [length, 4711, number(4), 2013, 0] {
                bytes.extend(part.to_le_bytes());
            }
            bytes.push(0);
            bytes.extend(answer);
            stream.write_all(&bytes)?;
        }
    }

    fn answer(&mut self, command: &Fields) -> Fields {
        let get =
            |name: &str| command.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let (name, _) = &command[0];
        let Some(Bson::Text(database)) = get("$db") else { panic!("a command without `$db`") };
        let ok = |list: &[(&str, Bson)]| {
            let mut all = fields(list);
            all.push(("ok".to_owned(), Bson::Double(1.0)));
            all
        };
        match name.as_str() {
            "hello" => ok(&self.member.hello),
            "saslStart" | "saslContinue" => {
                let Some(Bson::Binary(payload)) = get("payload") else { panic!("no payload") };
                let text = String::from_utf8(payload.clone()).expect("a text");
                let answer = if name == "saslStart" {
                    assert_eq!(get("mechanism"), Some(&Bson::Text("SCRAM-SHA-256".to_owned())));
                    let source = self.member.user.map(|(_, _, source)| source);
                    if source != Some(database.as_str()) { None } else { self.start(&text) }
                } else {
                    assert_eq!(get("conversationId"), Some(&Bson::Int(7)));
                    self.go_on(&text)
                };
                let Some((payload, done)) = answer else { return failed() };
                self.is_in |= done;
                ok(&[
                    ("conversationId", Bson::Int(7)),
                    ("done", Bson::Boolean(done)),
                    ("payload", Bson::Binary(payload.into_bytes())),
                ])
            }
            _ if !self.is_in => error(13, "Unauthorized", "Command requires authentication"),
            "ping" => ok(&[]),
            "buildInfo" => ok(&[("version", Bson::Text("7.0.14".to_owned()))]),
            other => error(59, "CommandNotFound", &format!("no such command: '{other}'")),
        }
    }

    fn start(&mut self, text: &str) -> Option<(String, bool)> {
        let first = text.strip_prefix("n,,")?;
        let (user, nonce) = first.strip_prefix("n=")?.split_once(",r=")?;
        if Some(user) != self.member.user.map(|(user, _, _)| user) {
            return None;
        }
        let salt = STANDARD.encode(b"sixteen bytes...");
        let challenge = format!("r={nonce}server,s={salt},i={}", self.member.rounds);
        self.messages = Some((first.to_owned(), challenge.clone()));
        Some((challenge, false))
    }

    fn go_on(&mut self, text: &str) -> Option<(String, bool)> {
        if self.proof.is_some() {
            return text.is_empty().then(|| (String::new(), true));
        }
        let (_, password, _) = self.member.user?;
        let (first, challenge) = self.messages.take()?;
        let (without, proof) = text.rsplit_once(",p=")?;
        assert!(without.starts_with("c=biws,r="), "{without}");
        let hmac =
            |key: &[u8], text: &[u8]| sign(&Key::new(HMAC_SHA256, key), text).as_ref().to_vec();
        let mut salted = [0; 32];
        let rounds = std::num::NonZeroU32::new(self.member.rounds)?;
        let algorithm = aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256;
        aws_lc_rs::pbkdf2::derive(
            algorithm,
            rounds,
            b"sixteen bytes...",
            password.as_bytes(),
            &mut salted,
        );
        let stored = digest(&SHA256, &hmac(&salted, b"Client Key"));
        let all = format!("{first},{challenge},{without}");
        let mask = hmac(stored.as_ref(), all.as_bytes());
        let proof = STANDARD.decode(proof).ok()?;
        let key: Vec<u8> = proof.iter().zip(&mask).map(|(a, b)| a ^ b).collect();
        if digest(&SHA256, &key).as_ref() != stored.as_ref() {
            return None;
        }
        let mut signature = hmac(&hmac(&salted, b"Server Key"), all.as_bytes());
        if self.member.lies {
            signature[0] ^= 1;
        }
        self.proof = Some(signature.clone());
        Some((format!("v={}", STANDARD.encode(signature)), !self.member.long_login))
    }
}
