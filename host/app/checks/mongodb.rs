//! The kind `mongodb`: logs in to MongoDB, asks it what it is (`hello`) and whether it is there
//! (`ping`).
//!
//! Four commands over OP_MSG are spoken here, with as much BSON as they take ([`bson`]): the
//! official client is 250 crates, watches whole clusters in the background and hides the one server
//! that a check is about.

mod bson;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::FailReason;
use wellcheck_net::Stream;

use super::database::scram::Scram;
use super::database::settings::{Address, Dialect, Security, read_tls, read_url};
use super::database::{
    DatabaseCheck, Link, Protocol, SERVER_FACTS, Server, Trouble, Wire, json, said,
};
use super::{Checker, Kind, Tools, socket, tls};
use bson::{Answer, Document};

const KEYS: &[Key] = &[key(
    "url",
    "",
    "url = \"mongodb://app:${MONGO_PASSWORD}@db.internal:27017/shop?tls=true\"",
    "Which server and as whom: `mongodb://user:password@host:27017/database`; user and password may be left out. It logs in by SCRAM-SHA-256, at `authSource` or else the database or else `admin`. `tls=true` speaks TLS, `replicaSet` must be the name of the server's set.",
)];

const FACTS: &[FactKey] = &[
    fact("ok", Shape::Boolean, "Whether it answers ping."),
    fact(
        "role",
        Shape::Text,
        "What it is: `standalone`, `primary`, `secondary`, or `router` of a sharded cluster.",
    ),
    fact("json", Shape::Json, "What it answers to `hello`: `json.setName`, `json.hosts`."),
];

const DIALECT: Dialect = Dialect {
    schemes: &["mongodb"],
    port: 27017,
    example: "mongodb://user:password@host:27017/database",
    // The second line means nothing to a single connection that only reads.
    parameters: &[
        "authSource",
        "authMechanism",
        "tls",
        "ssl",
        "replicaSet",
        "appName",
        "directConnection",
        "retryReads",
        "retryWrites",
        "readPreference",
        "w",
    ],
    needs_user: false,
};

/// Largest message that is read.
const MAX_MESSAGE: usize = 256 * 1024;

/// The only kind of message since MongoDB 3.6.
const OP_MSG: i32 = 2013;

/// See the module.
#[derive(Debug)]
pub(crate) struct Mongodb;

impl Kind for Mongodb {
    fn name(&self) -> &'static str {
        "mongodb"
    }

    fn summary(&self) -> &'static str {
        "logs in to MongoDB; passes on a primary or a secondary that answers"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, tls::KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS, SERVER_FACTS, socket::FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "documents"
kind = "mongodb"
url = "mongodb://app:secret@db.internal:27017/?authSource=admin&replicaSet=rs0"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let address = read_url(reader, &DIALECT, problems);
        let talk = address.as_ref().map(Talk::read);
        let wanted = talk.as_ref().and_then(|talk| talk.as_ref().ok()).map(|(_, tls)| *tls);
        let security = read_tls(reader, tools, wanted, "`tls=true` in `url`", problems);
        let address = address?;
        let talk = match talk? {
            Ok((talk, _)) => talk,
            Err(why) => {
                problems.error(&address.place, format!("`url` of {}: {why}", reader.what()));
                return None;
            }
        };
        let server = address.server.secured(security?);
        Some(Arc::new(DatabaseCheck { client: tools.client.clone(), server, protocol: talk }))
    }
}

struct Talk {
    /// Where the user is known.
    source: String,
    replica_set: Option<String>,
}

impl Talk {
    /// What the URL says besides the server, and whether TLS is wanted.
    fn read(address: &Address) -> Result<(Self, bool), String> {
        let server = &address.server;
        if server.password.is_none() && !server.user.is_empty() {
            return Err("it names a user and no password".to_owned());
        }
        if server.user.is_empty() && server.password.is_some() {
            return Err("it has a password and names no user".to_owned());
        }
        if address.parameter("authMechanism").is_some_and(|way| way != "SCRAM-SHA-256") {
            return Err("its `authMechanism` is not supported (expected SCRAM-SHA-256)".to_owned());
        }
        let mut tls = false;
        for name in ["tls", "ssl"] {
            match address.parameter(name) {
                None | Some("false") => {}
                Some("true") => tls = true,
                Some(_) => return Err(format!("its `{name}` is neither true nor false")),
            }
        }
        let database = Some(server.database.as_str()).filter(|database| !database.is_empty());
        let source = address.parameter("authSource").or(database).unwrap_or("admin");
        let replica_set = address.parameter("replicaSet").map(str::to_owned);
        if source.contains('\0') {
            return Err("its `authSource` holds a NUL".to_owned());
        }
        Ok((Self { source: source.to_owned(), replica_set }, tls))
    }
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
            let mut session = Session { wire: Wire::new(stream, &server.name), request: 0 };
            let (role, hello) = link.login(self.login(&mut session, server)).await?;
            if !link.asked().is_empty() {
                link.put("role", role);
            }
            if link.asked().has("json") {
                link.put("json", json(Answer(&hello).to_json()));
            }
            let version = link.query(ping(&mut session)).await?;
            if !link.asked().is_empty() {
                link.put("ok", true);
            }
            let Some(version) = version else {
                return Ok(format!("answered ping (MongoDB, {role})"));
            };
            link.version(version.as_bytes());
            Ok(format!("answered ping (MongoDB {version}, {role})"))
        }
        .boxed()
    }
}

impl Talk {
    /// Asks what the server is before it logs in, as every client does.
    async fn login(
        &self,
        session: &mut Session<'_>,
        server: &Server,
    ) -> Result<(&'static str, Vec<u8>), Trouble> {
        let hello = session.ask(Document::command("hello", "admin")).await?;
        let role = self.role(&accepted(&hello)?)?;
        if let Some(password) = &server.password {
            self.authenticate(session, &server.user, password).await?;
        }
        Ok((role, hello))
    }

    fn role(&self, hello: &Answer<'_>) -> Result<&'static str, Trouble> {
        let wrong = |message| Err(Trouble::Answer(FailReason::UnexpectedValue, message));
        let set = hello.text("setName").map(said);
        if let Some(wanted) = &self.replica_set
            && set.as_deref() != Some(wanted)
        {
            let found =
                set.map_or("no replica set".to_owned(), |set| format!("the replica set `{set}`"));
            return wrong(format!("it is a member of {found} (expected `{wanted}`)"));
        }
        match (hello.boolean("isWritablePrimary"), hello.boolean("secondary"), hello.text("msg")) {
            (Some(true), _, Some(b"isdbgrid")) => Ok("router"),
            (Some(true), _, _) if set.is_some() => Ok("primary"),
            (Some(true), _, _) => Ok("standalone"),
            (_, Some(true), _) => Ok("secondary"),
            _ => wrong("it is neither a primary nor a secondary".to_owned()),
        }
    }

    async fn authenticate(
        &self,
        session: &mut Session<'_>,
        user: &str,
        password: &str,
    ) -> Result<(), Trouble> {
        let garbage = |why: &str| Trouble::login(format!("the server sent {why}"));
        let scram = Scram::new(user, password);
        let start = Document::command("saslStart", &self.source)
            .text("mechanism", "SCRAM-SHA-256")
            .binary("payload", scram.message().as_bytes())
            .document("options", Document::default().boolean("skipEmptyExchange", true));
        let answer = session.ask(start).await?;
        let answer = accepted(&answer)?;
        let conversation = answer.integer("conversationId").unwrap_or(1);
        let challenge = answer.binary("payload").ok_or_else(|| garbage("no challenge"))?;
        // The server chooses how much work that is.
        let challenge = challenge.to_vec();
        let proof = tokio::task::spawn_blocking(move || scram.prove(&challenge)).await;
        let proof = proof.map_err(|_lost| garbage("a challenge that made the login panic"))?;
        let proof = proof.map_err(garbage)?;
        let mut next = proof.message.as_bytes();
        let mut confirmed = false;
        // Servers that do not know `skipEmptyExchange` want one more, empty message.
        for _ in 0..2 {
            let go_on = Document::command("saslContinue", &self.source)
                .integer("conversationId", conversation)
                .binary("payload", next);
            let answer = session.ask(go_on).await?;
            let answer = accepted(&answer)?;
            confirmed |= answer.binary("payload").is_some_and(|text| proof.is_confirmed_by(text));
            if !confirmed {
                return Err(garbage("no proof that it knows the password itself"));
            }
            if answer.boolean("done") == Some(true) {
                return Ok(());
            }
            next = b"";
        }
        Err(garbage("no end of the login"))
    }
}

/// The version, for those who may know it.
async fn ping(session: &mut Session<'_>) -> Result<Option<String>, Trouble> {
    accepted(&session.ask(Document::command("ping", "admin")).await?)?;
    let Ok(info) = session.ask(Document::command("buildInfo", "admin")).await else {
        return Ok(None);
    };
    Ok(accepted(&info).ok().and_then(|info| info.text("version").map(said)))
}

/// An answer that is no error.
fn accepted(answer: &[u8]) -> Result<Answer<'_>, Trouble> {
    let answer = Answer(answer);
    if answer.is_ok() {
        return Ok(answer);
    }
    let code = answer.integer("code").unwrap_or(0);
    let name = answer.text("codeName").map(said).unwrap_or_default();
    let text = answer.text("errmsg").map_or("no text".to_owned(), said);
    let text = format!("{text} ({})", if name.is_empty() { code.to_string() } else { name });
    // UserNotFound, Unauthorized, AuthenticationFailed, MechanismUnavailable.
    Err(if matches!(code, 11 | 13 | 18 | 334) {
        Trouble::login(text)
    } else {
        Trouble::query(text)
    })
}

/// A connection, and the number of the last request.
struct Session<'a> {
    wire: Wire<'a>,
    request: i32,
}

impl Session<'_> {
    /// Sends a command and returns the document of its answer.
    async fn ask(&mut self, command: Document) -> Result<Vec<u8>, Trouble> {
        self.request += 1;
        self.wire.write(&message(self.request, &command.finish())).await?;
        let head: [u8; 16] = self.wire.array().await?;
        let number = |at: usize| {
            i32::from_le_bytes(head[at..at + 4].try_into().expect("four of sixteen bytes"))
        };
        let name = self.wire.name();
        let garbage =
            || Trouble::protocol(format!("`{name}` does not speak the protocol of MongoDB"));
        let length = usize::try_from(number(0)).ok().and_then(|length| length.checked_sub(16));
        let good = number(8) == self.request && number(12) == OP_MSG;
        let length = length.filter(|length| good && *length <= MAX_MESSAGE).ok_or_else(garbage)?;
        let body = self.wire.bytes(length).await?;
        let document = document(&body).ok_or_else(garbage)?;
        Ok(document.to_vec())
    }
}

/// A message of one document.
fn message(request: i32, document: &[u8]) -> Vec<u8> {
    let length = i32::try_from(document.len() + 21).expect("commands are short");
    let mut bytes = Vec::with_capacity(document.len() + 21);
    for number in [length, request, 0, OP_MSG, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.push(0);
    bytes.extend(document);
    bytes
}

/// The document of a message whose head has been taken off.
fn document(body: &[u8]) -> Option<&[u8]> {
    let (flags, rest) = body.split_first_chunk()?;
    // A checksum at the end, and "more to come", which was not asked for.
    const CHECKSUM: u32 = 1;
    const KNOWN: u32 = CHECKSUM | 1 << 16;
    let flags = u32::from_le_bytes(*flags);
    if flags & !KNOWN & 0xffff != 0 {
        return None;
    }
    let checksum = if flags & CHECKSUM == 0 { 0 } else { 4 };
    let (kind, document) = rest[..rest.len().checked_sub(checksum)?].split_first()?;
    (*kind == 0 && bson::is_document(document)).then_some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_holds_one_document_and_nothing_else() {
        let hello = Document::command("hello", "admin").finish();
        let whole = message(7, &hello);
        assert_eq!(whole.len(), 21 + hello.len());
        let body = &whole[16..];
        assert_eq!(document(body), Some(&hello[..]));
        for end in 0..body.len() {
            assert_eq!(document(&body[..end]), None, "{end}");
        }
        assert_eq!(document(&[body, b"x"].concat()), None, "something behind it");
        let mut summed = [body, b"sum!"].concat();
        summed[0] = 1;
        assert_eq!(document(&summed), Some(&hello[..]));
        let mut more = body.to_vec();
        more[0] = 2;
        assert_eq!(document(&more), None);
    }
}
