//! The kind `amqp`: logs in to a broker by AMQP 0-9-1 (RabbitMQ), opens a virtual host, and may look
//! at a queue.
//!
//! [`frame`] reads and writes what the protocol is made of. The queue is declared passively, which
//! makes and changes nothing; no message is taken or sent.

mod frame;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::FailReason;
use wellcheck_net::Stream;

use self::frame::{Fields, Writer, call, garbage, read, write};
use super::database::settings::{Dialect, Security, read_tls, read_url};
use super::database::{DatabaseCheck, Link, Protocol, SERVER_FACTS, Server, Trouble, Wire, said};
use super::{Checker, Kind, Tools, socket, tls};

const KEYS: &[Key] = &[
    key(
        "url",
        "",
        "url = \"amqps://app:${RABBITMQ_PASSWORD}@mq.internal:5671/orders\"",
        "Where, as whom and which virtual host: `amqp://user:password@host:5672/vhost`, or `amqps://` over TLS (port 5671). Without a user it is `guest`, without a path the virtual host `/`.",
    ),
    key("queue", "none", "queue = \"orders\"", "A queue that must exist."),
];

const FACTS: &[FactKey] = &[
    fact("messages", Shape::Integer, "How many messages of the queue are ready to be delivered."),
    fact("consumers", Shape::Integer, "How many consumers the queue has."),
];

const DIALECT: Dialect = Dialect {
    schemes: &["amqp", "amqps"],
    port: 5672,
    example: "amqp://user:password@host:5672/vhost",
    parameters: &[],
    needs_user: false,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Amqp;

impl Kind for Amqp {
    fn name(&self) -> &'static str {
        "amqp"
    }

    fn summary(&self) -> &'static str {
        "logs in to RabbitMQ and opens a virtual host; may look at a queue"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, tls::KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS, SERVER_FACTS, socket::FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "orders-queue"
kind = "amqp"
url = "amqp://app:secret@mq.internal:5672/shop"
queue = "orders"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let address = read_url(reader, &DIALECT, problems);
        let wanted = address.as_ref().map(|address| address.scheme == "amqps");
        let security = read_tls(reader, tools, wanted, "`amqps://`", problems);
        let queue = reader.parsed("queue", problems, |text| match text.value.len() {
            1..=255 => Ok(text.value.clone()),
            length => {
                Err(format!("it has {length} bytes (expected the name of a queue, 1 to 255)"))
            }
        });
        let mut address = address?;
        if address.scheme == "amqps" {
            address = address.or_port(5671);
        }
        if address.server.database.len() > 255 {
            let text = "its path is longer than the name of a virtual host can be (255 bytes)";
            problems.error(&address.place, format!("`url` of {}: {text}", reader.what()));
            return None;
        }
        let server = address.server.secured(security?);
        Some(Arc::new(DatabaseCheck {
            client: tools.client.clone(),
            server,
            protocol: Talk { queue },
        }))
    }
}

struct Talk {
    queue: Option<String>,
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
            let version = link.login(login(&mut wire, server)).await?;
            if let Some(version) = &version {
                link.version(version.as_bytes());
            }
            let vhost = vhost(server);
            let message = match &self.queue {
                None => format!("opened the virtual host `{vhost}`"),
                Some(queue) => {
                    let (messages, consumers) = link.query(look(&mut wire, queue)).await?;
                    link.put("messages", i64::from(messages));
                    link.put("consumers", i64::from(consumers));
                    format!("the queue `{queue}` has {messages} messages ready and {consumers} consumers")
                }
            };
            // The answer need not be heard: the connection is closed next.
            let mut close = Writer::method(call::CLOSE);
            close.short(200).text("").short(0).short(0);
            let _ = write(&mut wire, 0, &close).await;
            Ok(message)
        }
        .boxed()
    }
}

fn vhost(server: &Server) -> &str {
    if server.database.is_empty() { "/" } else { &server.database }
}

/// Up to where the virtual host is open; the version that the broker says.
async fn login(wire: &mut Wire<'_>, server: &Server) -> Result<Option<String>, Trouble> {
    wire.write(b"AMQP\0\0\x09\x01").await?;
    let start = read(wire, 0, call::START).await?;
    let mut fields = Fields::new(&start);
    let known = (|| {
        fields.bytes(2)?;
        let properties = fields.long_text()?;
        let mechanisms = fields.long_text()?;
        Some((properties.to_vec(), mechanisms.to_vec()))
    })();
    let Some((properties, mechanisms)) = known else { return Err(garbage(wire)) };
    if !mechanisms.split(|b| *b == b' ').any(|name| name == b"PLAIN") {
        let text = format!("it has no login by password (PLAIN), but {}", said(&mechanisms));
        return Err(Trouble::login(text));
    }
    let (user, password) = match (&*server.user, &server.password) {
        ("", None) => ("guest", "guest"),
        (user, password) => (user, password.as_deref().unwrap_or_default()),
    };
    let mut answer = Writer::method(call::START_OK);
    // Otherwise the broker answers a wrong password by hanging up.
    answer.table(&|table| table.flags("capabilities", &["authentication_failure_close"]));
    answer.text("PLAIN").long_text(format!("\0{user}\0{password}").as_bytes()).text("en_US");
    write(wire, 0, &answer).await?;
    let refused = |trouble| match trouble {
        Trouble::Answer(_, text) => Trouble::Answer(FailReason::Login, text),
        other => other,
    };
    let tune = read(wire, 0, call::TUNE).await.map_err(refused)?;
    // What the broker bounds is kept; heartbeats are not wanted within a run.
    let Some(bounds) = Fields::new(&tune).bytes(6) else { return Err(garbage(wire)) };
    let mut answer = Writer::method(call::TUNE_OK);
    answer.raw(bounds).short(0);
    write(wire, 0, &answer).await?;
    let mut open = Writer::method(call::OPEN);
    open.text(vhost(server)).text("").byte(0);
    write(wire, 0, &open).await?;
    read(wire, 0, call::OPEN_OK).await?;
    Ok(Fields::new(&properties).entry("version").map(said))
}

/// Messages and consumers of a queue.
async fn look(wire: &mut Wire<'_>, queue: &str) -> Result<(u32, u32), Trouble> {
    let mut open = Writer::method(call::CHANNEL_OPEN);
    open.text("");
    write(wire, 1, &open).await?;
    read(wire, 1, call::CHANNEL_OPEN_OK).await?;
    let mut declare = Writer::method(call::DECLARE);
    // Passive, and with no arguments.
    declare.short(0).text(queue).byte(1).table(&|_| {});
    write(wire, 1, &declare).await?;
    let answer = read(wire, 1, call::DECLARE_OK).await?;
    let mut fields = Fields::new(&answer);
    let counts = (|| {
        fields.text()?;
        Some((fields.long()?, fields.long()?))
    })();
    counts.ok_or_else(|| garbage(wire))
}
