//! The kind `mysql`: logs in to MySQL or MariaDB and asks it something.
//!
//! The protocol is spoken here ([`packet`], [`login`]): the clients there are open their own
//! connections, with a TLS of their own, and bring a hundred crates for pools and types that a check
//! has no use for. A handshake, one query and its first value are what is needed.

mod login;
mod packet;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::FactKey;
use wellcheck_net::{Failure, FailureKind, Stream};

use super::database::settings::{Dialect, Security, TLS_KEYS, Words, read_security, read_url};
use super::database::{
    DatabaseCheck, First, Link, Protocol, QUERY_FACTS, QUERY_KEYS, Question, SERVER_FACTS, Table,
    Trouble, Wire, said,
};
use super::{Checker, Kind, Tools, socket, tls};
use packet::{Fields, Packets};

const KEYS: &[Key] = &[key(
    "url",
    "",
    "url = \"mysql://app:${DB_PASSWORD}@db.internal/shop?ssl-mode=verify_identity\"",
    "Where, as whom and which database: `mysql://user:password@host:3306/database`, for MariaDB too. `ssl-mode` is `disabled`, `preferred` (the default: TLS if offered), `required`, or `verify_identity`, which alone judges the certificate unless a TLS key stands beside it.",
)];

const DIALECT: Dialect = Dialect {
    schemes: &["mysql", "mariadb"],
    port: 3306,
    example: "mysql://user:password@host:3306/database",
    parameters: &["ssl-mode"],
    needs_user: true,
};

const WORDS: Words = Words {
    parameter: "ssl-mode",
    never: "disabled",
    if_offered: "preferred",
    always: "required",
    verified: "verify_identity",
};

/// Most columns that an answer may have; the server's own limit is 4096.
const MAX_COLUMNS: u64 = 4096;

/// See the module.
#[derive(Debug)]
pub(crate) struct Mysql;

impl Kind for Mysql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn summary(&self) -> &'static str {
        "logs in to MySQL or MariaDB and runs a query"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, QUERY_KEYS, TLS_KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[QUERY_FACTS, SERVER_FACTS, socket::FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "shop-db"
kind = "mysql"
url = "mysql://app:secret@db.internal:3306/shop"
query = "SELECT @@read_only"
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
        let server = address?.server.secured(security?);
        let protocol = Talk { question: question? };
        Some(Arc::new(DatabaseCheck { client: tools.client.clone(), server, protocol }))
    }
}

struct Talk {
    question: Question,
}

impl Protocol for Talk {
    fn talk<'a>(&'a self, link: &'a mut Link<'_>) -> BoxFuture<'a, Result<String, Trouble>> {
        async move {
            let server = link.server();
            let tcp = link.connect().await?;
            let mut packets = Packets::new(Wire::new(Stream::Plain(tcp), &server.name));
            let greeting = link.login(login::greeting(&mut packets)).await?;
            link.version(greeting.version.as_bytes());
            let tls = match &server.security {
                Security::Plain => None,
                Security::IfOffered(tls) => Some(tls).filter(|_| greeting.offers_tls()),
                Security::Always(tls) if greeting.offers_tls() => Some(tls),
                Security::Always(_) => {
                    let message =
                        format!("`{}` does not offer TLS, which `url` requires", server.name);
                    return Err(Failure::new(FailureKind::TlsProtocol, message).into());
                }
            };
            if let Some(tls) = tls {
                let request = greeting.tls_request(server);
                link.negotiate(packets.write(&request)).await?;
                let (wire, sequence) = packets.into_parts();
                let stream = link.secure(wire.into_plain()?, tls).await?;
                packets = Packets::resumed(Wire::new(stream, &server.name), sequence);
            }
            let is_tls = tls.is_some();
            link.login(login::authenticate(&mut packets, &greeting, server, is_tls)).await?;
            let table = link.query(ask(&mut packets, &self.question.text)).await?;
            link.returned(&table);
            self.question.judge(&table.first, &product(&greeting.version))
        }
        .boxed()
    }
}

/// `MariaDB 10.11.14`, of `5.5.5-10.11.14-MariaDB-0+deb12u2`.
fn product(version: &str) -> String {
    let is_mariadb = version.contains("MariaDB");
    // What MariaDB says first is for replicas that know no version above 5.
    let version = version.strip_prefix("5.5.5-").filter(|_| is_mariadb).unwrap_or(version);
    let number = version.split('-').next().unwrap_or_default();
    let name = if is_mariadb { "MariaDB" } else { "MySQL" };
    format!("{name} {}", said(number.as_bytes()))
}

/// Runs a query, reads the whole answer, says goodbye.
async fn ask(packets: &mut Packets<'_>, query: &str) -> Result<Table, Trouble> {
    packets.restart();
    packets.write(&[b"\x03", query.as_bytes()].concat()).await?;
    let head = packets.read().await?;
    let columns = match head.first() {
        Some(0xff) => return Err(Trouble::query(packet::error(&head).1)),
        // Done, and there is nothing to return.
        Some(0x00) => 0,
        // It asks for a file of ours, and gets none.
        Some(0xfb) => return Err(packets.garbage("it asks for a local file")),
        _ => {
            let mut fields = Fields(&head);
            let count =
                fields.number().filter(|count| fields.0.is_empty() && *count <= MAX_COLUMNS);
            count.ok_or_else(|| packets.garbage("an answer with no number of columns"))?
        }
    };
    let table = if columns == 0 { Table::default() } else { rows(packets, columns).await? };
    // Otherwise its log and counters speak of a connection that was lost.
    packets.restart();
    let _ = packets.write(b"\x01").await;
    Ok(table)
}

/// Reads past the columns' descriptions, then all rows, for an error may come after some.
async fn rows(packets: &mut Packets<'_>, columns: u64) -> Result<Table, Trouble> {
    let mut names = Vec::new();
    for _ in 0..columns {
        names.push(column(&packets.read().await?));
    }
    if !packet::is_end(&packets.read().await?) {
        return Err(packets.garbage("an answer whose columns do not end"));
    }
    let mut table = Table::default();
    loop {
        let row = packets.read().await?;
        if packet::is_end(&row) {
            return Ok(table);
        }
        if row.first() == Some(&0xff) {
            return Err(Trouble::query(packet::error(&row).1));
        }
        if table.rows > 0 {
            table.rows += 1;
            continue;
        }
        let values = values(&row, names.len()).ok_or_else(|| packets.garbage("a broken row"))?;
        table.add(|| std::mem::take(&mut names).into_iter().zip(values).collect());
    }
}

/// The name of a column in its description: behind catalog, schema, and both names of the table.
fn column(description: &[u8]) -> String {
    let mut fields = Fields(description);
    let name = (0..5).try_fold(&b""[..], |_, _| fields.text());
    String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
}

/// The values of a row.
fn values(row: &[u8], columns: usize) -> Option<Vec<First>> {
    let mut fields = Fields(row);
    let mut values = Vec::new();
    for _ in 0..columns {
        if let Some(rest) = fields.0.strip_prefix(&[0xfb]) {
            fields.0 = rest;
            values.push(First::Null);
        } else {
            values.push(First::Value(fields.text()?.to_vec()));
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_products_are_named() {
        assert_eq!(product("5.5.5-10.11.14-MariaDB-0+deb12u2"), "MariaDB 10.11.14");
        assert_eq!(product("11.8.3-MariaDB"), "MariaDB 11.8.3");
        assert_eq!(product("8.4.6"), "MySQL 8.4.6");
        assert_eq!(product("8.0.36-28.1"), "MySQL 8.0.36");
        assert_eq!(product(""), "MySQL ");
    }
}
