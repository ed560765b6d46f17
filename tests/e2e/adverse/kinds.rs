//! A check of each kind that opens connections, for one target and the same time.

use std::fmt::Write as _;

/// What a check of a kind needs, with `TARGET` for host and port.
type Kind = (&'static str, &'static str);

/// Every kind over TCP that can be pointed at a host and a port, and waits for an answer.
pub(super) const OVER_TCP: &[Kind] = &[
    ("http", "url = \"http://TARGET/\""),
    ("tcp", "target = \"TARGET\"\nexpect = \"never said\""),
    ("tls", "target = \"TARGET\""),
    ("grpc", "target = \"TARGET\""),
    ("websocket", "url = \"ws://TARGET/\""),
    ("postgres", "url = \"postgres://probe:nothing@TARGET/shop\""),
    ("mysql", "url = \"mysql://probe:nothing@TARGET/shop\""),
    ("redis", "url = \"redis://TARGET/0\""),
    ("mongodb", "url = \"mongodb://TARGET/\""),
    ("smtp", "target = \"TARGET\""),
    ("imap", "target = \"TARGET\""),
    ("ssh", "target = \"TARGET\"\nexpect = \"never said\""),
    ("steps", "url = \"http://TARGET\"\nstep = [{ url = \"/\" }]"),
    ("amqp", "url = \"amqp://TARGET/\""),
    ("mqtt", "url = \"mqtt://TARGET\""),
    ("nats", "url = \"nats://TARGET\""),
];

/// Every kind that asks over UDP or ICMP.
pub(super) const OVER_UDP: &[Kind] = &[
    ("dns", "server = \"TARGET\"\nquery-name = \"shop.test\""),
    ("ntp", "target = \"TARGET\""),
    ("udp", "target = \"TARGET\"\nsend = \"x\"\nexpect = \"y\""),
];

/// Every kind that can speak TLS from the first byte.
pub(super) const OVER_TLS: &[Kind] = &[
    ("http", "url = \"https://TARGET/\""),
    ("tcp", "target = \"TARGET\"\ntls = true"),
    ("tls", "target = \"TARGET\""),
    ("grpc", "target = \"TARGET\"\ntls = true"),
    ("websocket", "url = \"wss://TARGET/\""),
    ("redis", "url = \"rediss://TARGET/0\""),
    ("mongodb", "url = \"mongodb://TARGET/?tls=true\""),
    ("smtp", "target = \"TARGET\"\ntls = true"),
    ("imap", "target = \"TARGET\"\ntls = true"),
    ("steps", "url = \"https://TARGET\"\nstep = [{ url = \"/\" }]"),
    ("amqp", "url = \"amqps://TARGET/\""),
    ("mqtt", "url = \"mqtts://TARGET\""),
];

/// A `[[check]]` of each of these kinds, called `KIND-NAME`.
pub(super) fn checks(kinds: &[Kind], name: &str, target: &str, keys: &str) -> String {
    let mut config = String::new();
    for (kind, own) in kinds {
        let own = own.replace("TARGET", target);
        // The keys of a check come before the tables of its steps, of which there are none here.
        write!(config, "[[check]]\nname = \"{kind}-{name}\"\nkind = \"{kind}\"\n{own}\n{keys}\n")
            .expect("a string takes it");
    }
    config
}
