//! The kind `mqtt`: logs in to an MQTT broker (3.1.1), and may send a message to itself.
//!
//! The packets that this needs are a few bytes each; a client library would bring an event loop,
//! sessions and reconnects.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_net::Stream;

use super::database::settings::{Dialect, Security, read_tls, read_url};
use super::database::{DatabaseCheck, Link, Protocol, Server, Trouble, Wire};
use super::{Checker, Kind, Tools, socket, tls};
use crate::digest::random_word;

const KEYS: &[Key] = &[
    key(
        "url",
        "",
        "url = \"mqtts://app:${MQTT_PASSWORD}@broker.internal:8883\"",
        "Where and as whom: `mqtt://user:password@host:1883`, or `mqtts://` over TLS (port 8883). User and password may be left out.",
    ),
    key(
        "client-id",
        "`wellcheck-` and random digits",
        "client-id = \"probe-1\"",
        "What to be called. A broker ends other connections of that name.",
    ),
    key(
        "topic",
        "none",
        "topic = \"health/wellcheck\"",
        "A topic on which a message is published that must come back. Without one the broker is asked for a sign of life (PINGREQ).",
    ),
    key(
        "qos",
        "0",
        "qos = 1",
        "How surely the message is carried: 0 (once at most) or 1 (once at least).",
    ),
];

const FACTS: &[FactKey] = &[fact(
    "code",
    Shape::Integer,
    "The code of the broker's answer to the login (CONNACK); 0 is consent.",
)];

const DIALECT: Dialect = Dialect {
    schemes: &["mqtt", "mqtts"],
    port: 1883,
    example: "mqtt://user:password@host:1883",
    parameters: &[],
    needs_user: false,
};

/// Largest packet that is read.
const MAX_PACKET: usize = 256 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Mqtt;

impl Kind for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn summary(&self) -> &'static str {
        "logs in to an MQTT broker; may send a message to itself"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, tls::KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS, socket::FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "broker"
kind = "mqtt"
url = "mqtt://app:secret@broker.internal:1883"
topic = "health/wellcheck"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let address = read_url(reader, &DIALECT, problems);
        let wanted = address.as_ref().map(|address| address.scheme == "mqtts");
        let security = read_tls(reader, tools, wanted, "`mqtts://`", problems);
        let client_id = reader.parsed("client-id", problems, |text| {
            text_fits(&text.value, 128, "").then(|| text.value.clone()).ok_or_else(|| {
                let shown = text.shown().escape_debug();
                format!("`{shown}` is no name of a client (expected 1 to 128 bytes of text)")
            })
        });
        let topic = reader.parsed("topic", problems, |text| {
            text_fits(&text.value, 1024, "+#").then(|| text.value.clone()).ok_or_else(|| {
                let shown = text.shown().escape_debug();
                format!("`{shown}` is no topic without wildcards (expected for example `health/wellcheck`)")
            })
        });
        let had_qos = reader.has("qos");
        let qos = reader.integer("qos", 0..=1, problems).unwrap_or(0);
        if had_qos && topic.is_none() {
            let text = format!("`qos` of {} has no effect without `topic`", reader.what());
            problems.warning(&reader.place_of("qos"), text);
        }
        let mut address = address?;
        if address.scheme == "mqtts" {
            address = address.or_port(8883);
        }
        let mut wrong = |text: &str| {
            problems.error(&address.place, format!("`url` of {}: {text}", reader.what()));
        };
        if !address.server.database.is_empty() {
            wrong("it has a path, and there is none (a topic is given as `topic`)");
            return None;
        }
        let lengths =
            [&*address.server.user, address.server.password.as_deref().unwrap_or_default()];
        if lengths.iter().any(|text| text.len() > usize::from(u16::MAX)) {
            wrong("its user or password is longer than the protocol allows");
            return None;
        }
        if address.server.user.is_empty() && address.server.password.is_some() {
            wrong("it has a password and no user, which the protocol does not allow");
            return None;
        }
        let server = address.server.secured(security?);
        let protocol = Talk { client_id, topic, qos: u8::try_from(qos).expect("0 or 1") };
        Some(Arc::new(DatabaseCheck { client: tools.client.clone(), server, protocol }))
    }
}

fn text_fits(text: &str, most: usize, without: &str) -> bool {
    (1..=most).contains(&text.len())
        && !text.contains(|c: char| c.is_control() || without.contains(c))
}

struct Talk {
    client_id: Option<String>,
    topic: Option<String>,
    qos: u8,
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
            let token = random_word::<8>().expect("the system has random numbers");
            let code = link.login(self.login(&mut wire, server, &token)).await?;
            link.put("code", i64::from(code));
            match code {
                0 => {}
                4 => return Err(Trouble::login("bad user or password (code 4)")),
                5 => return Err(Trouble::login("not authorized (code 5)")),
                1 => return Err(Trouble::query("it does not speak version 3.1.1 (code 1)")),
                2 => return Err(Trouble::query("it does not accept the `client-id` (code 2)")),
                3 => return Err(Trouble::query("it is not available (code 3)")),
                other => return Err(Trouble::query(format!("code {other}, which nobody knows"))),
            }
            let message = link.query(self.ask(&mut wire, &token)).await?;
            // It need not be heard: the connection is closed next.
            let _ = wire.write(&packet(DISCONNECT, &[])).await;
            Ok(message)
        }
        .boxed()
    }
}

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const PINGREQ: u8 = 0xc0;
const PINGRESP: u8 = 0xd0;
const DISCONNECT: u8 = 0xe0;

fn garbage(wire: &Wire<'_>) -> Trouble {
    Trouble::protocol(format!("`{}` does not speak MQTT", wire.name()))
}

/// A packet: its kind, its length in groups of seven bits, its body.
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut left = body.len();
    loop {
        let group = u8::try_from(left % 128).expect("less than 128");
        left /= 128;
        bytes.push(if left > 0 { group | 128 } else { group });
        if left == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// A text with its length before; the caller has bounded it.
fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("the keys bound every text");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

async fn read(wire: &mut Wire<'_>) -> Result<(u8, Vec<u8>), Trouble> {
    let [kind] = wire.array().await?;
    let mut length = 0_usize;
    for group in 0..4 {
        let [byte] = wire.array().await?;
        length |= usize::from(byte & 127) << (7 * group);
        if byte < 128 {
            if length > MAX_PACKET {
                break;
            }
            return Ok((kind, wire.bytes(length).await?));
        }
    }
    Err(garbage(wire))
}

impl Talk {
    async fn login(
        &self,
        wire: &mut Wire<'_>,
        server: &Server,
        token: &str,
    ) -> Result<u8, Trouble> {
        let mut flags = 2; // A clean session.
        let mut credentials = Vec::new();
        if !server.user.is_empty() {
            flags |= 128;
            credentials.extend(text(&server.user));
        }
        if let Some(password) = &server.password {
            flags |= 64;
            credentials.extend(text(password));
        }
        let own = format!("wellcheck-{token}");
        let client = self.client_id.as_deref().unwrap_or(&own);
        // No keep-alive: the connection lasts as long as the run.
        let body = [&text("MQTT")[..], &[4, flags, 0, 0], &text(client), &credentials].concat();
        wire.write(&packet(CONNECT, &body)).await?;
        // Whatever the other side is: what is behind is waited for only if it can come.
        if wire.array().await? != [CONNACK, 2] {
            return Err(garbage(wire));
        }
        let [_session, code] = wire.array().await?;
        Ok(code)
    }

    async fn ask(&self, wire: &mut Wire<'_>, token: &str) -> Result<String, Trouble> {
        let Some(topic) = &self.topic else {
            wire.write(&packet(PINGREQ, &[])).await?;
            return match read(wire).await? {
                (PINGRESP, _) => Ok("answered PINGREQ".to_owned()),
                _ => Err(garbage(wire)),
            };
        };
        let body = [&[0, 1][..], &text(topic), &[self.qos]].concat();
        wire.write(&packet(SUBSCRIBE, &body)).await?;
        // What is retained there may come before the consent.
        loop {
            match read(wire).await? {
                (SUBACK, body) if body.len() == 3 && body[2] <= 2 => break,
                (SUBACK, body) if body.len() == 3 => {
                    return Err(Trouble::query(format!("it refuses to subscribe to `{topic}`")));
                }
                (kind, body) if kind & 0xf0 == PUBLISH => self.confirm(wire, kind, &body).await?,
                _ => return Err(garbage(wire)),
            }
        }
        let mut body = text(topic);
        if self.qos > 0 {
            body.extend([0, 2]);
        }
        body.extend(token.as_bytes());
        wire.write(&packet(PUBLISH | self.qos << 1, &body)).await?;
        loop {
            match read(wire).await? {
                (kind, body) if kind & 0xf0 == PUBLISH => {
                    self.confirm(wire, kind, &body).await?;
                    // Others may publish there as well.
                    if body.ends_with(token.as_bytes()) {
                        return Ok(format!("a message to `{topic}` came back"));
                    }
                }
                (PUBACK, _) => {}
                _ => return Err(garbage(wire)),
            }
        }
    }

    /// A message that is carried at least once wants to be confirmed.
    async fn confirm(&self, wire: &mut Wire<'_>, kind: u8, body: &[u8]) -> Result<(), Trouble> {
        if kind & 6 == 0 {
            return Ok(());
        }
        let length =
            body.first_chunk().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
        let Some(number) = body.get(2 + length..4 + length) else { return Err(garbage(wire)) };
        let answer = packet(PUBACK, number);
        wire.write(&answer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_groups_of_seven_bits() {
        assert_eq!(packet(PINGREQ, &[]), [0xc0, 0]);
        assert_eq!(packet(PUBLISH, &[7; 127])[..2], [0x30, 127]);
        assert_eq!(packet(PUBLISH, &[7; 128])[..3], [0x30, 128, 1]);
        assert_eq!(packet(PUBLISH, &[7; 321])[..3], [0x30, 193, 2]);
    }
}
