//! The kind `redis`: logs in to Redis, or what speaks like it, and says PING.
//!
//! The few commands and replies that this needs are spoken here: a client library would bring its
//! own connections, reconnects and a reader without limits for what are five lines of text.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{FactKey, Shape, Value, fact};
use wellcheck_net::Stream;

use super::database::settings::{Dialect, Security, read_tls, read_url};
use super::database::{
    DatabaseCheck, Link, Protocol, SERVER_FACTS, Server, Trouble, Wire, json, said, typed,
};
use super::{Checker, Kind, Tools, socket, tls};

const KEYS: &[Key] = &[key(
    "url",
    "",
    "url = \"rediss://app:${REDIS_PASSWORD}@cache.internal:6379/0\"",
    "Where, as whom and which database: `redis://user:password@host:6379/0`, or `rediss://` over TLS. User, password and database may be left out.",
)];

const DIALECT: Dialect = Dialect {
    schemes: &["redis", "rediss"],
    port: 6379,
    example: "redis://user:password@host:6379/0",
    parameters: &[],
    needs_user: false,
};

const FACTS: &[FactKey] = &[
    fact("answer", Shape::Text, "What it answers to PING: `PONG`."),
    fact(
        "info.*",
        Shape::Json,
        "A line of what INFO answers, by its name: `info.connected_clients`; a number where it reads as one. Not there for a user who may not ask.",
    ),
];

/// Longest line of a reply.
const MAX_LINE: u64 = 4096;

/// Longest text that INFO may answer with.
const MAX_BULK: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Redis;

impl Kind for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn summary(&self) -> &'static str {
        "logs in to Redis and says PING"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, tls::KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS, SERVER_FACTS, socket::FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "cache"
kind = "redis"
url = "redis://:secret@cache.internal:6379/0"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let address = read_url(reader, &DIALECT, problems);
        let wanted = address.as_ref().map(|address| address.scheme == "rediss");
        let security = read_tls(reader, tools, wanted, "`rediss://`", problems);
        let address = address?;
        let server = address.server.secured(security?);
        let mut wrong = |text: &str| {
            problems.error(&address.place, format!("`url` of {}: {text}", reader.what()));
            None
        };
        let database: u32 = match server.database.as_str() {
            "" => 0,
            text => match text.parse() {
                Ok(number) => number,
                Err(_) => {
                    return wrong("its path is no database's number (expected for example `/0`)");
                }
            },
        };
        if server.password.is_none() && !server.user.is_empty() {
            return wrong("it names a user and no password");
        }
        let protocol = Talk { database };
        Some(Arc::new(DatabaseCheck { client: tools.client.clone(), server, protocol }))
    }
}

struct Talk {
    database: u32,
}

impl Protocol for Talk {
    fn talk<'a>(&'a self, link: &'a mut Link<'_>) -> BoxFuture<'a, Result<String, Trouble>> {
        async move {
            let server = link.server();
            let tcp = link.connect().await?;
            let stream = match &server.security {
                Security::Always(tls) => link.secure(tcp, tls).await?,
                Security::Plain | Security::IfOffered(_) => Stream::Plain(tcp),
            };
            let mut wire = Wire::new(stream, &server.name);
            link.login(self.login(&mut wire, server)).await?;
            let wants_all = link.asked().has("info");
            let info = link.query(ping(&mut wire, wants_all)).await?;
            if !link.asked().is_empty() {
                link.put("answer", "PONG");
            }
            if wants_all {
                for (name, value) in info.iter().flat_map(|info| lines(info)) {
                    link.put(&format!("info.{name}"), value);
                }
            }
            let product = info.as_deref().and_then(product);
            let Some((product, version)) = product else { return Ok("answered PONG".to_owned()) };
            link.version(version.as_bytes());
            Ok(format!("answered PONG ({product} {version})"))
        }
        .boxed()
    }
}

impl Talk {
    async fn login(&self, wire: &mut Wire<'_>, server: &Server) -> Result<(), Trouble> {
        if let Some(password) = &server.password {
            let words = ["AUTH", &server.user, password];
            let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
            match ask(wire, &words).await? {
                Reply::Error(text) if is_about_itself(&text) => return Err(Trouble::query(text)),
                Reply::Error(text) => return Err(Trouble::login(text)),
                _ => {}
            }
        }
        if self.database > 0 {
            let number = self.database.to_string();
            expect(ask(wire, &["SELECT", &number]).await?)?;
        }
        Ok(())
    }
}

/// Says PING, and asks what answers; who may not ask that is answered all the same.
async fn ping(wire: &mut Wire<'_>, wants_all: bool) -> Result<Option<Vec<u8>>, Trouble> {
    match expect(ask(wire, &["PING"]).await?)? {
        Reply::Simple(text) if text == "PONG" => {}
        _ => {
            return Err(Trouble::protocol(format!(
                "`{}` answers PING with something else",
                wire.name()
            )));
        }
    }
    let info: &[&str] = if wants_all { &["INFO"] } else { &["INFO", "server"] };
    Ok(match ask(wire, info).await {
        Ok(Reply::Bulk(info)) => Some(info),
        Ok(_) | Err(_) => None,
    })
}

/// Errors of the server's state, which it may give to any command.
fn is_about_itself(text: &str) -> bool {
    ["LOADING", "MASTERDOWN", "BUSY", "ERR max number of clients"]
        .iter()
        .any(|start| text.starts_with(start))
}

fn expect(reply: Reply) -> Result<Reply, Trouble> {
    match reply {
        Reply::Error(text) if text.starts_with("NOAUTH") => Err(Trouble::login(text)),
        // What it says to strangers when it has no password.
        Reply::Error(text) if text.starts_with("DENIED") => Err(Trouble::login(text)),
        Reply::Error(text) => Err(Trouble::query(text)),
        reply => Ok(reply),
    }
}

/// A reply of the kinds that these commands have.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Simple(String),
    Error(String),
    Bulk(Vec<u8>),
}

async fn ask(wire: &mut Wire<'_>, words: &[&str]) -> Result<Reply, Trouble> {
    wire.write(&command(words)).await?;
    let garbage =
        |name: &str| Trouble::protocol(format!("`{name}` does not speak the protocol of Redis"));
    let Some(line) = wire.line(MAX_LINE).await? else { return Err(garbage(wire.name())) };
    match line.split_first() {
        Some((b'+', text)) => Ok(Reply::Simple(said(text))),
        Some((b'-', text)) => Ok(Reply::Error(said(text))),
        Some((b'$', length)) => {
            let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
            let Some(length) = length.filter(|length| *length <= MAX_BULK) else {
                return Err(garbage(wire.name()));
            };
            let mut text = wire.bytes(length + 2).await?;
            text.truncate(length);
            Ok(Reply::Bulk(text))
        }
        _ => Err(garbage(wire.name())),
    }
}

/// A command as an array of strings.
fn command(words: &[&str]) -> Vec<u8> {
    let count = words.len();
    let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{count}\r\n{words}").into_bytes()
}

/// What INFO answers, line by line.
fn lines(info: &[u8]) -> Vec<(String, Value)> {
    let info = String::from_utf8_lossy(info);
    let pairs = info.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), json(typed(value)))).collect()
}

/// Name and version in what INFO answers.
fn product(info: &[u8]) -> Option<(&'static str, String)> {
    let info = String::from_utf8_lossy(info);
    // Those that came after Redis name its version too, for the clients' sake.
    let known = [
        ("valkey_version:", "Valkey"),
        ("dragonfly_version:", "Dragonfly"),
        ("redis_version:", "Redis"),
    ];
    known.into_iter().find_map(|(key, name)| {
        let version = info.lines().find_map(|line| line.strip_prefix(key))?;
        Some((name, said(version.trim_start_matches("df-v").as_bytes())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_carry_any_text() {
        let bytes = command(&["AUTH", "", "a\r\n$1"]);
        assert_eq!(bytes, b"*3\r\n$4\r\nAUTH\r\n$0\r\n\r\n$5\r\na\r\n$1\r\n");
    }

    #[test]
    fn products_are_told_apart() {
        let redis = b"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n";
        assert_eq!(product(redis), Some(("Redis", "7.0.15".to_owned())));
        let valkey = b"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0\r\n";
        assert_eq!(product(valkey), Some(("Valkey", "8.1.0".to_owned())));
        assert_eq!(product(b"\xff\xfe"), None);
    }
}
