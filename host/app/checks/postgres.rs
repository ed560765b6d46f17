//! The kind `postgres`: logs in to PostgreSQL and asks it something.
//!
//! The protocol is tokio-postgres's, over a connection of ours: names, TCP and TLS are our own, so
//! that phases and failures read as everywhere. It logs in by SCRAM (bound to the TLS connection
//! where there is one), MD5 or in the clear, whichever the server asks for.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::{Ready, ready};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{
    Client, Config, Connection, Error, SimpleColumn, SimpleQueryMessage, SimpleQueryRow,
};
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::FactKey;
use wellcheck_net::{Failure, FailureKind, Stream, Tls};

use super::database::settings::{Dialect, Security, TLS_KEYS, Words, read_security, read_url};
use super::database::{
    Bounded, DatabaseCheck, First, Link, Protocol, QUERY_FACTS, QUERY_KEYS, Question, SERVER_FACTS,
    Server, Table, Trouble, said,
};
use super::{Checker, Kind, Tools, socket, starttls, tls};

const KEYS: &[Key] = &[key(
    "url",
    "",
    "url = \"postgres://app:${DB_PASSWORD}@db.internal/shop?sslmode=verify-full\"",
    "Where, as whom and which database: `postgres://user:password@host:5432/database`. `sslmode` is `disable`, `prefer` (the default: TLS if offered), `require`, or `verify-full`, which alone judges the certificate unless a TLS key stands beside it.",
)];

const DIALECT: Dialect = Dialect {
    schemes: &["postgres", "postgresql"],
    port: 5432,
    example: "postgres://user:password@host:5432/database",
    parameters: &["sslmode", "application_name"],
    needs_user: true,
};

const WORDS: Words = Words {
    parameter: "sslmode",
    never: "disable",
    if_offered: "prefer",
    always: "require",
    verified: "verify-full",
};

/// How long the server may take to hear that we leave.
const GOODBYE: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Debug)]
pub(crate) struct Postgres;

impl Kind for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn summary(&self) -> &'static str {
        "logs in to PostgreSQL and runs a query"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, QUERY_KEYS, TLS_KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[QUERY_FACTS, SERVER_FACTS, socket::FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "orders-db"
kind = "postgres"
url = "postgres://app:secret@db.internal:5432/orders?sslmode=require"
query = "SELECT count(*) FROM jobs WHERE stuck"
expect = "0"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let address = read_url(reader, &DIALECT, problems);
        let security = read_security(reader, tools, address.as_ref(), &WORDS, problems);
        let question = Question::read(reader, problems);
        let address = address?;
        let application = address.parameter("application_name").unwrap_or("wellcheck").to_owned();
        let server = address.server.secured(security?);
        let protocol = Talk { question: question?, application };
        Some(Arc::new(DatabaseCheck { client: tools.client.clone(), server, protocol }))
    }
}

struct Talk {
    question: Question,
    /// As the server's list of sessions shows us.
    application: String,
}

impl Protocol for Talk {
    fn talk<'a>(&'a self, link: &'a mut Link<'_>) -> BoxFuture<'a, Result<String, Trouble>> {
        async move {
            let server = link.server();
            let tcp = link.connect().await?;
            let stream = match &server.security {
                Security::Plain => Stream::Plain(tcp),
                Security::IfOffered(tls) => secure(link, tcp, tls, false).await?,
                Security::Always(tls) => secure(link, tcp, tls, true).await?,
            };
            let config = self.config(server);
            let login = async {
                // The library does the work of SCRAM on this thread, and refuses more than 100,000 rounds.
                let login = config.connect_raw(Bounded::new(stream), AsItIs).await;
                login.map_err(|error| explain(&error, &server.name))
            };
            let (client, connection) = link.login(login.boxed()).await?;
            let version = connection.parameter("server_version").unwrap_or("?").to_owned();
            link.version(version.as_bytes());
            let table = link.query(self.ask(client, connection, &server.name)).await?;
            link.returned(&table);
            // Distributions add their own version behind a space.
            let version = version.split(' ').next().unwrap_or_default();
            self.question.judge(&table.first, &format!("PostgreSQL {}", said(version.as_bytes())))
        }
        .boxed()
    }
}

/// Asks for TLS, and begins it if the server agrees.
async fn secure(
    link: &mut Link<'_>,
    mut tcp: TcpStream,
    tls: &Tls,
    must: bool,
) -> Result<Stream, Trouble> {
    let name = &link.server().name;
    let asked = async {
        // Read without a buffer, so that nothing that follows in the clear is taken for TLS.
        let answer = async {
            tcp.write_all(&starttls::POSTGRES).await?;
            tcp.read_u8().await
        };
        answer.await.map_err(|error| Trouble::io(&error, name))
    };
    match link.negotiate(asked).await? {
        b'S' => link.secure(tcp, tls).await,
        b'N' if must => {
            let message = format!("`{name}` does not offer TLS, which `url` requires");
            Err(Failure::new(FailureKind::TlsProtocol, message).into())
        }
        b'N' => Ok(Stream::Plain(tcp)),
        _ => Err(Trouble::protocol(format!("`{name}` does not speak PostgreSQL"))),
    }
}

impl Talk {
    fn config(&self, server: &Server) -> Config {
        let mut config = Config::new();
        config.user(&server.user).application_name(&self.application);
        if let Some(password) = &server.password {
            config.password(password);
        }
        if !server.database.is_empty() {
            config.dbname(&server.database);
        }
        // TLS has begun or will not: what is left of it is to bind the login to it.
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        config
    }

    /// Sends the query and drives the connection, which does nothing by itself.
    async fn ask(
        &self,
        client: Client,
        connection: Connection<Bounded, Bounded>,
        name: &str,
    ) -> Result<Table, Trouble> {
        let mut connection = pin!(connection);
        let mut work = pin!(table(client, &self.question.text));
        let answer = tokio::select! {
            biased;
            answer = &mut work => {
                if answer.is_ok() {
                    // So that its log does not speak of a connection that was lost.
                    let _ = timeout(GOODBYE, connection).await;
                }
                answer
            }
            // It ends before the work does if it breaks, perhaps with the whole answer read.
            end = &mut connection => match (work.now_or_never(), end) {
                (Some(answer), _) => answer,
                (None, Err(reason)) => Err(reason),
                (None, Ok(())) => {
                    return Err(Trouble::io(&io::ErrorKind::UnexpectedEof.into(), name));
                }
            },
        };
        answer.map_err(|error| explain(&error, name))
    }
}

/// Reads the whole answer, for errors may come after rows. Of several statements, the first that
/// returns rows counts.
async fn table(client: Client, query: &str) -> Result<Table, Error> {
    let mut messages = pin!(client.simple_query_raw(query).await?);
    let mut table = Table::default();
    let mut done = false;
    while let Some(message) = messages.try_next().await? {
        match message {
            SimpleQueryMessage::Row(row) if !done => table.add(|| columns(&row)),
            SimpleQueryMessage::CommandComplete(_) => done = table.rows > 0,
            _ => {}
        }
    }
    Ok(table)
}

fn columns(row: &SimpleQueryRow) -> Vec<(String, First)> {
    let column = |(index, column): (usize, &SimpleColumn)| {
        let value = row.try_get(index).ok().flatten();
        let value = value.map_or(First::Null, |text| First::Value(text.as_bytes().to_vec()));
        (column.name().to_owned(), value)
    };
    row.columns().iter().enumerate().map(column).collect()
}

fn explain(error: &Error, name: &str) -> Trouble {
    if let Some(answer) = error.as_db_error() {
        let code = said(answer.code().code().as_bytes());
        let text = format!("{} ({code})", said(answer.message().as_bytes()));
        // Class 28 is "invalid authorization": user, password, or where from.
        return if code.starts_with("28") { Trouble::login(text) } else { Trouble::query(text) };
    }
    let source = error.source();
    // The crate keeps the kind of its errors to itself, but for this text.
    let text = error.to_string();
    if error.is_closed() {
        return Trouble::io(&io::ErrorKind::UnexpectedEof.into(), name);
    }
    if text.starts_with("authentication error") || text.starts_with("invalid configuration") {
        let source = source.map(ToString::to_string).unwrap_or_default();
        return Trouble::login(match source.as_str() {
            "password missing" => "it wants a password, and `url` has none".to_owned(),
            other => said(other.as_bytes()),
        });
    }
    match source.and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(io)
            if !matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) =>
        {
            Trouble::io(io, name)
        }
        _ => Trouble::protocol(format!(
            "`{name}` does not speak PostgreSQL as expected: {}",
            said(text.as_bytes())
        )),
    }
}

/// Hands on a connection that has TLS already, or does without.
struct AsItIs;

impl TlsConnect<Bounded> for AsItIs {
    type Stream = Bounded;
    type Error = Infallible;
    type Future = Ready<Result<Bounded, Infallible>>;

    fn connect(self, stream: Bounded) -> Self::Future {
        ready(Ok(stream))
    }
}

impl TlsStream for Bounded {
    fn channel_binding(&self) -> ChannelBinding {
        match self.stream().server_end_point() {
            Some(value) => ChannelBinding::tls_server_end_point(value),
            None => ChannelBinding::none(),
        }
    }
}
