//! How servers are asked for TLS in the middle of a talk, each protocol in its own words.
//!
//! Whatever the server says too early, and what would thus be taken for something said under TLS, is
//! an error (`Wire::into_plain`).

use tokio::net::TcpStream;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::outcome::FailReason;
use wellcheck_net::{Failure, FailureKind, Stream};

use super::socket::Session;
use super::wire::{Trouble, Wire, said};
use super::{imap, smtp};

/// `SSLRequest` of PostgreSQL: its length, and a version that none has.
pub(super) const POSTGRES: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Longest line of a server, in bytes.
pub(super) const MAX_LINE: u64 = 8 * 1024;

/// Most of XML that comes before the word that is waited for, in pieces up to a `>`.
const MAX_TAGS: usize = 100;

/// LDAP's request: message 1, an extended operation, StartTLS by its number.
const LDAP: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// A protocol that knows how to begin with TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Smtp,
    Imap,
    Pop3,
    Ldap,
    Postgres,
    Ftp,
    Xmpp,
}

/// The words for them.
pub(super) const DIALECTS: &[(&str, Dialect)] = &[
    ("smtp", Dialect::Smtp),
    ("imap", Dialect::Imap),
    ("pop3", Dialect::Pop3),
    ("ldap", Dialect::Ldap),
    ("postgres", Dialect::Postgres),
    ("ftp", Dialect::Ftp),
    ("xmpp", Dialect::Xmpp),
];

/// The key for it.
pub(super) const KEY: Key = key(
    "starttls",
    "TLS from the first byte, if at all",
    "starttls = \"smtp\"",
    "Ask for TLS in the words of this protocol, and begin with it then: `smtp`, `imap`, `pop3`, `ldap`, `postgres`, `ftp` or `xmpp`.",
);

/// Asks over a connection that nothing was said over yet; returns it, ready for the handshake.
pub(super) async fn ask(
    dialect: Dialect,
    tcp: TcpStream,
    session: &mut Session<'_>,
) -> Result<TcpStream, Trouble> {
    let (name, host) = (session.goal().name.as_str(), session.goal().host.as_str());
    let mut wire = Wire::new(Stream::Plain(tcp), name);
    let asked = async {
        match dialect {
            Dialect::Smtp => {
                smtp::greeting(&mut wire).await?;
                smtp::hello(&mut wire, smtp::HELLO).await?;
                smtp::starttls(&mut wire).await?;
            }
            Dialect::Imap => {
                imap::greeting(&mut wire).await?;
                imap::starttls(&mut wire).await?;
            }
            Dialect::Pop3 => {
                one_line(&mut wire, "+OK").await?;
                wire.write(b"STLS\r\n").await?;
                one_line(&mut wire, "+OK").await?;
            }
            Dialect::Ftp => {
                smtp::expect(&mut wire, "220", "a greeting").await?;
                wire.write(b"AUTH TLS\r\n").await?;
                smtp::expect(&mut wire, "234", "`AUTH TLS`").await?;
            }
            Dialect::Postgres => {
                if !postgres(&mut wire).await? {
                    return Err(refused(name, "N"));
                }
            }
            Dialect::Ldap => ldap(&mut wire).await?,
            Dialect::Xmpp => xmpp(&mut wire, host).await?,
        }
        wire.into_plain()
    };
    session.negotiate(asked).await
}

/// The server does not want to.
pub(super) fn refused(name: &str, answer: &str) -> Trouble {
    let message = format!("`{name}` does not begin with TLS: it answered `{answer}`");
    Trouble::Failure(Failure::new(FailureKind::TlsProtocol, message))
}

/// A line that must begin like this.
async fn one_line(wire: &mut Wire<'_>, begin: &str) -> Result<(), Trouble> {
    let line = line(wire).await?;
    match line.starts_with(begin.as_bytes()) {
        true => Ok(()),
        false => Err(refused(wire.name(), &said(&line))),
    }
}

/// The next line, which must not be endless.
pub(super) async fn line(wire: &mut Wire<'_>) -> Result<Vec<u8>, Trouble> {
    let name = wire.name();
    wire.line(MAX_LINE).await?.ok_or_else(|| {
        let limit = MAX_LINE / 1024;
        Trouble::protocol(format!("`{name}` sent a line of more than {limit} KiB"))
    })
}

/// Whether PostgreSQL agrees to TLS.
pub(super) async fn postgres(wire: &mut Wire<'_>) -> Result<bool, Trouble> {
    wire.write(&POSTGRES).await?;
    match wire.array().await? {
        [b'S'] => Ok(true),
        [b'N'] => Ok(false),
        _ => Err(Trouble::protocol(format!("`{}` does not speak PostgreSQL", wire.name()))),
    }
}

/// Asks, and reads as much of the answer as says whether it is well.
async fn ldap(wire: &mut Wire<'_>) -> Result<(), Trouble> {
    wire.write(LDAP).await?;
    let name = wire.name();
    let strange = || Trouble::protocol(format!("`{name}` does not speak LDAP"));
    let [tag, length] = wire.array().await?;
    if tag != 0x30 {
        return Err(strange());
    }
    let length = match length {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(wire.array::<1>().await?[0]),
        0x82 => usize::from(u16::from_be_bytes(wire.array().await?)),
        // A length of three bytes and more; some servers pad it, none needs it.
        0x84 => usize::try_from(u32::from_be_bytes(wire.array().await?)).unwrap_or(usize::MAX),
        _ => return Err(strange()),
    };
    if length > 64 * 1024 {
        return Err(strange());
    }
    let body = wire.bytes(length).await?;
    let rest = body.strip_prefix(b"\x02\x01\x01").ok_or_else(strange)?;
    // An extended response, its length, and an enumeration of one byte: the result.
    let [0x78, rest @ ..] = rest else { return Err(strange()) };
    let skip = match rest.first() {
        Some(0..=0x7f) => 1,
        Some(long @ 0x81..=0x84) => usize::from(*long - 0x7f),
        _ => return Err(strange()),
    };
    match rest.get(skip..) {
        Some([0x0a, 0x01, 0, ..]) => Ok(()),
        Some([0x0a, 0x01, code, ..]) => {
            let message = format!("`{name}` does not begin with TLS: LDAP result {code}");
            Err(Trouble::Failure(Failure::new(FailureKind::TlsProtocol, message)))
        }
        _ => Err(strange()),
    }
}

async fn xmpp(wire: &mut Wire<'_>, host: &str) -> Result<(), Trouble> {
    let open = format!(
        "<?xml version='1.0'?><stream:stream to='{host}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
    );
    wire.write(open.as_bytes()).await?;
    tag(wire, "<starttls", "</stream:features").await?;
    // The rest of what it offers.
    tag(wire, "</stream:features", "</stream:stream").await?;
    wire.write(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await?;
    tag(wire, "<proceed", "<failure").await
}

/// Reads tag by tag up to one that begins like `wanted`, unless the one that says no comes first.
async fn tag(wire: &mut Wire<'_>, wanted: &str, no: &str) -> Result<(), Trouble> {
    let name = wire.name();
    for _ in 0..MAX_TAGS {
        let text = wire.until(b'>', MAX_LINE).await?;
        let Some(text) = text else { break };
        let text = String::from_utf8_lossy(&text);
        let text = text.rsplit_once('<').map_or("", |(_, tag)| tag);
        let begins = |tag: &str| text.starts_with(tag.trim_start_matches('<'));
        if begins(wanted) {
            return Ok(());
        }
        if begins(no) || begins("stream:error") {
            return Err(refused(name, &said(format!("<{text}>").as_bytes())));
        }
    }
    Err(Trouble::protocol(format!("`{name}` does not speak XMPP")))
}

/// A server that says no in words of its own, for the dialects that answer by number.
pub(super) fn answered(name: &str, what: &str, line: &[u8]) -> Trouble {
    let message = format!("`{name}` answered {what} with `{}`", said(line));
    Trouble::Answer(FailReason::Query, message)
}
