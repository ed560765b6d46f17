//! The keys of the kind `dns`.

use std::net::IpAddr;

use hickory_proto::rr::{DNSClass, Name, RecordType};
use url::Url;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::problem::known;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::{Node, Text, Value};
use wellcheck_core::snapshot::Facts;

use super::super::pattern::pattern;
use super::super::place::host_and_port;
use super::super::socket::{FAMILY_KEY, family};
use super::super::{Tools, tls};
use super::Settings;
use super::answer::{CODES, type_named};
use super::ask::{Question, Server, Transport};
use super::judge::{Expect, FLAGS, Flag, Rule, Section, Wanted, plain};

/// Most servers of a check.
const MAX_SERVERS: usize = 16;

/// Most expressions, answers and the like in one key.
const MAX_LIST: usize = 100;

/// See the module.
pub(super) const KEYS: &[Key] = &[
    key(
        "query-name",
        "",
        "query-name = \"shop.example.com\"",
        "The name to ask for. With the type `PTR` it may be an address.",
    ),
    key(
        "query-type",
        "\"A\"",
        "query-type = \"MX\"",
        "The type to ask for: any by its name, or by its number as `TYPE65`. Transfers of zones are not made.",
    ),
    key(
        "query-class",
        "\"IN\"",
        "query-class = \"CH\"",
        "The class to ask for: `IN`, `CH`, `HS` or `ANY`.",
    ),
    key(
        "server",
        "the system's",
        "server = [\"ns1.example.com\", \"192.0.2.53:5353\"]",
        "Whom to ask: name or address, with a port if it is not the usual one; over HTTPS a URL, or a name for `https://NAME/dns-query`. Of several (16 at most) the first that answers counts.",
    ),
    key(
        "each-server",
        "false",
        "each-server = true",
        "Whether every server is asked, and each must answer as expected.",
    ),
    key(
        "transport",
        "\"udp\"",
        "transport = \"tls\"",
        "How to ask: `udp`, `tcp`, `tls` (DoT) or `https` (DoH).",
    ),
    key(
        "tcp-fallback",
        "true",
        "tcp-fallback = false",
        "Whether to ask again over TCP where an answer over UDP is cut.",
    ),
    key(
        "attempts",
        "2",
        "attempts = 1",
        "How often the question is sent over UDP at most, 1 to 5, each time after an equal share of the timeout.",
    ),
    key(
        "recursion",
        "true",
        "recursion = false",
        "Whether the server shall ask others for the answer (RD).",
    ),
    key(
        "dnssec",
        "false",
        "dnssec = true",
        "Whether to ask for signatures and for the server's verdict on them (DO, AD).",
    ),
    FAMILY_KEY,
    key(
        "expect-code",
        "\"NOERROR\", unless a condition mentions `code`",
        "expect-code = [\"NOERROR\", \"NXDOMAIN\"]",
        "Codes that pass, or `RCODE11` and the like; any other fails with `unexpected-status`.",
    ),
    key(
        "minimum-answers",
        "1; 0 where a condition mentions `answers`, or without `recursion`",
        "minimum-answers = 2",
        "How many answers of the type a NOERROR must have, 0 to 1000, or the check fails with `unexpected-value`.",
    ),
    key(
        "expect-answers",
        "anything",
        "expect-answers = [\"192.0.2.1\", \"192.0.2.2\"]",
        "Answers that must be there, written as in a zone file (`10 mail.example.com.`), but without name and time to live.",
    ),
    key(
        "match-answers",
        "\"all\"",
        "match-answers = \"only\"",
        "Which of `expect-answers` must be there: `all`, `any` (one of them), or `only` (all of them and no other).",
    ),
    key(
        "expect-matches",
        "anything",
        "expect-matches = { answer = '\\tA\\t192\\.0\\.2\\.' }",
        "Regular expressions, each of which some record matches: of the answer, or in a table of `answer`, `authority` and `additional`. Records are lines of a zone file: name, time to live, class, type and data, with tabs between.",
    ),
    key(
        "expect-all-match",
        "anything",
        "expect-all-match = '\\tA\\t192\\.0\\.2\\.'",
        "Likewise, each of which every record of the section matches.",
    ),
    key(
        "refuse-matches",
        "nothing",
        "refuse-matches = '\\tCNAME\\t'",
        "Likewise, none of which any record of the section may match.",
    ),
    key(
        "refuse-all-match",
        "nothing",
        "refuse-all-match = '\\tA\\t10\\.'",
        "Likewise, none of which all records of the section may match.",
    ),
    key(
        "expect-flags",
        "any",
        "expect-flags = [\"aa\", \"ad\"]",
        "Flags that the answer must have: `aa`, `ad`, `cd`, `ra`, `rd`, `tc`.",
    ),
    key("refuse-flags", "none", "refuse-flags = \"tc\"", "Flags that the answer must not have."),
    key(
        "minimum-serial",
        "any",
        "minimum-serial = 2026010100",
        "The lowest serial that an SOA record may have.",
    ),
];

/// Reads all of them.
pub(super) fn read(
    reader: &mut Reader,
    tools: &Tools,
    problems: &mut Problems,
) -> Option<Settings> {
    let kind = reader.parsed("query-type", problems, |text| {
        type_named(&text.value).ok_or_else(|| {
            let shown = text.shown().escape_debug();
            format!("`{shown}` is no type of records that can be asked for (expected for example `MX` or `TYPE65`)")
        })
    });
    let kind = kind.unwrap_or(RecordType::A);
    let classes =
        [("IN", DNSClass::IN), ("CH", DNSClass::CH), ("HS", DNSClass::HS), ("ANY", DNSClass::ANY)];
    let class = reader.word("query-class", &classes, problems).unwrap_or(DNSClass::IN);
    if !reader.has("query-name") {
        reader.missing("query-name", problems);
    }
    let name = reader.parsed("query-name", problems, |text| name(text, kind));
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Https];
    let words = transports.map(|transport| (transport.as_str(), transport));
    let transport = reader.word("transport", &words, problems).unwrap_or(Transport::Udp);
    let (servers, shown) = servers(reader, transport, problems);
    let each = reader.boolean("each-server", problems).unwrap_or(false);
    let fallback = reader.boolean("tcp-fallback", problems).unwrap_or(true);
    let attempts = reader.integer("attempts", 1..=5, problems).unwrap_or(2);
    let recursion = reader.boolean("recursion", problems).unwrap_or(true);
    let dnssec = reader.boolean("dnssec", problems).unwrap_or(false);
    let family = family(reader, problems);
    if !matches!(transport, Transport::Tls | Transport::Https)
        && let Some(first) = tls::KEYS.iter().map(|key| key.name).find(|key| reader.has(key))
    {
        let what = reader.what();
        let text = format!("`{first}` of {what} has no effect without `transport = \"tls\"`");
        problems.warning(&reader.place_of(first), text);
    }
    let tls = tls::read(reader, tools, problems);
    let expect = expect(reader, recursion, problems);
    let servers = servers?;
    let question = Question {
        name: name?,
        kind,
        class,
        recursion,
        dnssec,
        transport,
        fallback,
        attempts: u32::try_from(attempts).expect("checked to be at most 5"),
        family,
        tls: tls?,
    };
    let port = servers.first().map_or(transport.port(), |server| server.port);
    let target = shown.unwrap_or_else(|| "the system's name servers".to_owned());
    let facts = Facts { target: Some(target), port, plugin: None };
    Some(Settings { servers, each, question, expect, facts })
}

/// A name, with the dot at its end that it may lack; an address as its name for PTR.
fn name(text: &Text, kind: RecordType) -> Result<Name, String> {
    if kind == RecordType::PTR
        && let Ok(address) = text.value.parse::<IpAddr>()
    {
        return Ok(Name::from(address));
    }
    let shown = text.shown().escape_debug();
    if text.value.is_empty() {
        return Err("it is empty (expected a name; the root is `.`)".to_owned());
    }
    let mut name = Name::from_utf8(&text.value).map_err(|_invalid| {
        format!("`{shown}` is no name (expected for example `shop.example.com`)")
    })?;
    name.set_fqdn(true);
    Ok(name)
}

fn servers(
    reader: &mut Reader,
    transport: Transport,
    problems: &mut Problems,
) -> (Option<Vec<Server>>, Option<String>) {
    let what = reader.what().to_owned();
    let place = reader.place_of("server");
    let had = reader.has("server");
    if !had && matches!(transport, Transport::Tls | Transport::Https) {
        reader.missing("server", problems);
        return (None, None);
    }
    let texts = reader.texts("server", problems);
    if had && (texts.is_empty() || texts.len() > MAX_SERVERS) {
        let count = texts.len();
        problems.error(
            &place,
            format!("`server` of {what} names {count} servers (expected 1 to {MAX_SERVERS})"),
        );
        return (None, None);
    }
    let shown: Vec<String> = texts.iter().map(|text| text.shown().to_owned()).collect();
    let mut servers = Vec::new();
    let mut good = true;
    for text in &texts {
        match server(text, transport) {
            Ok(server) => servers.push(server),
            Err(why) => {
                problems.error(&text.place, format!("`server` of {what}: {why}"));
                good = false;
            }
        }
    }
    (good.then_some(servers), had.then(|| shown.join(", ")))
}

fn server(text: &Text, transport: Transport) -> Result<Server, String> {
    let shown = text.shown().escape_debug();
    if transport == Transport::Https {
        let url = match text.value.contains("://") {
            true => Url::parse(&text.value).ok(),
            false => host_and_port(&text.value, Some(443)).and_then(|(host, port)| {
                Url::parse(&format!("https://{host}:{port}/dns-query")).ok()
            }),
        };
        let plain = |url: &Url| url.username().is_empty() && url.password().is_none();
        let url = url.filter(|url| url.scheme() == "https" && plain(url)).ok_or_else(|| {
            "it is no URL of a name server (expected for example `https://dns.example.com/dns-query`)".to_owned()
        })?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port().unwrap_or(443);
        return Ok(Server { name: format!("{host}:{port}"), host, port, url: Some(url) });
    }
    let (host, port) = host_and_port(&text.value, Some(transport.port())).ok_or_else(|| {
        format!(
            "`{shown}` is no name server (expected for example `ns1.example.com` or `[::1]:5353`)"
        )
    })?;
    Ok(Server { name: format!("{host}:{port}"), host, port, url: None })
}

fn expect(reader: &mut Reader, recursion: bool, problems: &mut Problems) -> Expect {
    let asked = reader.asked().clone();
    let mut codes = listed(reader, "expect-code", problems, |text| {
        let name = text.to_ascii_uppercase();
        let known = CODES.iter().any(|(_, code)| *code == name);
        let number = name.strip_prefix("RCODE").and_then(|number| number.parse::<u16>().ok());
        match number {
            Some(number) if number < 4096 => Ok(CODES
                .iter()
                .find(|(code, _)| *code == number)
                .map_or(name, |(_, code)| (*code).to_owned())),
            _ if known => Ok(name),
            _ => Err(known_names("codes", text, CODES.iter().map(|(_, name)| *name))),
        }
    });
    if codes.is_empty() && !asked.has("code") {
        codes.push("NOERROR".to_owned());
    }
    let mut flags = Vec::new();
    for (key, wanted) in [("expect-flags", true), ("refuse-flags", false)] {
        let named = listed(reader, key, problems, |text| {
            let flag = FLAGS.iter().find(|flag| flag.name.eq_ignore_ascii_case(text));
            flag.copied().ok_or_else(|| known_names("flags", text, FLAGS.iter().map(|f| f.name)))
        });
        flags.extend(named.into_iter().map(|flag: Flag| (flag, wanted)));
    }
    let least = reader.integer("minimum-answers", 0..=1000, problems);
    let usual = i64::from(recursion && !asked.has("answers"));
    let answers = listed(reader, "expect-answers", problems, |text| Ok(plain(text)));
    let words = [("all", Wanted::All), ("any", Wanted::Any), ("only", Wanted::Only)];
    let has_words = reader.has("match-answers");
    let wanted = reader.word("match-answers", &words, problems).unwrap_or_default();
    if has_words && answers.is_empty() {
        let what = reader.what();
        let text = format!("`match-answers` of {what} has no effect without `expect-answers`");
        problems.warning(&reader.place_of("match-answers"), text);
    }
    let mut rules = Vec::new();
    for (key, rule) in [
        ("expect-matches", Rule::Some),
        ("expect-all-match", Rule::Each),
        ("refuse-matches", Rule::None),
        ("refuse-all-match", Rule::NotEach),
    ] {
        for (section, text) in sections(reader, key, problems) {
            let what = format!("`{key}` of {}", reader.what());
            rules.extend(pattern(&text, &what, problems).map(|regex| (rule, section, regex)));
        }
    }
    let least_serial = reader.integer("minimum-serial", 0..=i64::from(u32::MAX), problems);
    Expect {
        codes,
        flags,
        least: usize::try_from(least.unwrap_or(usual)).expect("checked to be at most 1000"),
        answers,
        wanted,
        rules,
        least_serial: least_serial.map(|s| u32::try_from(s).expect("checked to be a u32")),
    }
}

fn known_names(
    what: &str,
    text: &str,
    names: impl Iterator<Item = &'static str> + Clone,
) -> String {
    format!("unknown `{}` {}", text.escape_debug(), known(what, text, names))
}

/// One text or several, each of which `parse` understands.
fn listed<T>(
    reader: &mut Reader,
    key: &str,
    problems: &mut Problems,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let what = reader.what().to_owned();
    let place = reader.place_of(key);
    let mut list = Vec::new();
    let texts = reader.texts(key, problems);
    if texts.len() > MAX_LIST {
        problems.error(
            &place,
            format!("`{key}` of {what} has {} entries (expected at most {MAX_LIST})", texts.len()),
        );
        return list;
    }
    for text in texts {
        match parse(&text.value) {
            Ok(value) => list.push(value),
            Err(why) => problems.error(&text.place, format!("`{key}` of {what}: {why}")),
        }
    }
    list
}

/// Regular expressions of the section `answer`, or a table of them by section.
fn sections(reader: &mut Reader, key: &str, problems: &mut Problems) -> Vec<(Section, Text)> {
    let what = reader.what().to_owned();
    let Some(nodes) = reader.list(key) else { return Vec::new() };
    let mut found = Vec::new();
    let mut wrong = |node: &Node| {
        problems.error(
            &node.place,
            format!(
                "`{key}` of {what} holds {} (expected regular expressions, or a table of them by `answer`, `authority` and `additional`)",
                node.value.kind()
            ),
        );
    };
    for node in nodes.into_iter().take(MAX_LIST) {
        let table = match node.value {
            Value::String(text) => {
                found.push((Section::Answer, text));
                continue;
            }
            Value::Table(table) => table,
            _ => {
                wrong(&node);
                continue;
            }
        };
        for (name, entry) in table.entries {
            let all = [Section::Answer, Section::Authority, Section::Additional];
            let section = all.into_iter().find(|section| section.as_str() == name);
            let list = match entry.node.value {
                Value::Array(list) => list,
                _ => vec![entry.node],
            };
            for node in list.into_iter().take(MAX_LIST) {
                match (section, node.value) {
                    (Some(section), Value::String(text)) => found.push((section, text)),
                    (_, value) => wrong(&Node { value, place: node.place }),
                }
            }
        }
    }
    found
}
