//! What the kinds that talk over a connection find out, by the facts that are asked for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use wellcheck_core::config::Problems;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::{Entry, Node, Place, Table, Text, Value};
use wellcheck_core::fact::{self, Asked};
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::Outcome;

use super::{KINDS, RunContext, Tools};

/// A talk: what is said, each time after what is waited for.
type Talk = &'static [(&'static str, &'static str)];

async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, talk: Talk) {
    for (wanted, said) in talk {
        let mut heard = Vec::new();
        while !super::http::contains(&heard, wanted.as_bytes()) {
            match stream.read_buf(&mut heard).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let _ = stream.write_all(said.as_bytes()).await;
    }
    // Until the other side goes away.
    let _ = stream.read(&mut [0; 64]).await;
}

async fn server(tls: Option<Arc<ServerConfig>>, talk: Talk) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match tls.clone() {
                None => play(stream, talk).await,
                Some(config) => match TlsAcceptor::from(config).accept(stream).await {
                    Ok(stream) => play(stream, talk).await,
                    Err(_refused) => {}
                },
            }
        }
    });
    address
}

fn node(value: &serde_json::Value) -> Node {
    let place = Place::file("wellcheck.toml");
    let value = match value {
        serde_json::Value::Bool(value) => Value::Boolean(*value),
        serde_json::Value::Number(number) => Value::Integer(number.as_i64().expect("whole")),
        serde_json::Value::Array(list) => Value::Array(list.iter().map(node).collect()),
        serde_json::Value::Object(_) => Value::Table(table(value)),
        other => {
            let value = other.as_str().expect("nothing else is needed").to_owned();
            Value::String(Text { value, written: None, place: place.clone() })
        }
    };
    Node { value, place }
}

fn table(value: &serde_json::Value) -> Table {
    let place = Place::file("wellcheck.toml");
    let entry = |value| Entry { key: place.clone(), node: node(value) };
    let entries = value.as_object().expect("an object").iter();
    Table {
        entries: entries.map(|(name, value)| (name.clone(), entry(value))).collect(),
        place: place.clone(),
    }
}

/// Runs a check once; its message, and the facts that it found.
async fn found(
    kind: &str,
    settings: serde_json::Value,
    asked: &[&str],
) -> (String, BTreeMap<String, fact::Value>) {
    let kind = KINDS.iter().find(|known| known.name() == kind).expect("a kind");
    for name in asked {
        let listed = kind.facts().iter().any(|facts| {
            let is = |known: &str| match known.strip_suffix('*') {
                Some(family) => name.starts_with(family),
                None => known == *name,
            };
            facts.iter().any(|fact| is(fact.name))
        });
        assert!(listed, "`{}` does not say that it finds out `{name}`", kind.name());
    }
    let asked = Asked::new(asked.iter().map(|name| (*name).to_owned()));
    let tools = Tools::new(Path::new(".")).expect("tools");
    let mut problems = Problems::default();
    let mut reader = Reader::new("check `x`", table(&settings), kind.keys()).asking(asked.clone());
    let checker = kind.parse(&mut reader, &tools, &mut problems);
    reader.finish(&[], &mut problems);
    let problems = problems.sorted();
    assert!(problems.is_empty(), "{problems:?}");
    let context = RunContext {
        check: CheckName::new("x").expect("a name"),
        deadline: Instant::now() + Duration::from_secs(20),
        failures_in_a_row: 0,
        asked: Arc::new(asked),
    };
    match checker.expect("a checker").run(&context).await.outcome {
        Outcome::Answered(report) => {
            let found = report.found.iter().map(|(name, value)| (name.to_owned(), value.clone()));
            (report.message, found.collect())
        }
        Outcome::Faulted(fault) => panic!("{fault:?}"),
    }
}

fn text(text: &str) -> Option<fact::Value> {
    Some(text.into())
}

#[tokio::test]
async fn a_script_finds_out_what_it_captures() {
    let mail: Talk = &[("", "220 mail.test ESMTP\r\n"), ("EHLO mail.test\r\n", "250 hello\r\n")];
    let target = server(None, mail).await.to_string();
    let script = json!([
        { "expect": "^220 (?<host>\\S+) (\\w+)" },
        { "send": "EHLO {{host}}\r\n" },
        { "expect": "^250" },
    ]);
    let asked = ["answer", "capture.host", "capture.2", "peer"];
    let (_, facts) = found("tcp", json!({ "target": target, "script": script }), &asked).await;
    assert_eq!(facts.get("answer").cloned(), text("250 hello"));
    assert_eq!(facts.get("capture.host").cloned(), text("mail.test"));
    // Groups by number are those of the last pattern that has them.
    assert_eq!(facts.get("capture.2").cloned(), text("ESMTP"));
    assert_eq!(facts.get("peer").cloned(), text(&target));
    let captures = facts.keys().filter(|name| name.starts_with("capture.")).count();
    assert_eq!(captures, 2, "{facts:?}");
    let settings = json!({ "target": target, "expect": "mail.test" });
    let (_, facts) = found("tcp", settings, &["answer"]).await;
    assert_eq!(facts.get("answer").cloned(), text("220 mail.test ESMTP\r\n"));
}

#[tokio::test]
async fn what_was_said_is_known_also_where_it_is_wrong() {
    let target = server(None, &[("", "554 no\r\n")]).await.to_string();
    let script = json!([{ "expect": "^220", "reject": "^5" }]);
    let (message, facts) =
        found("tcp", json!({ "target": target, "script": script }), &["answer"]).await;
    assert!(message.starts_with("step 1: `554 no` matches `^5`"), "{message}");
    assert_eq!(facts.get("answer").cloned(), text("554 no"));
}

#[tokio::test]
async fn greetings_and_capabilities_are_facts() {
    let mail: Talk =
        &[("", "220 mail.test ready\r\n"), ("EHLO", "250-a\r\n250-SIZE 10\r\n250 X\r\n")];
    let target = server(None, mail).await.to_string();
    let asked = ["banner", "capabilities"];
    let (_, facts) = found("smtp", json!({ "target": target }), &asked).await;
    assert_eq!(facts.get("banner").cloned(), text("mail.test ready"));
    let able = vec!["SIZE 10".to_owned(), "X".to_owned()];
    assert_eq!(facts.get("capabilities").cloned(), Some(able.into()));

    let boxes: Talk =
        &[("", "* OK hello\r\n"), ("CAPABILITY", "* CAPABILITY IMAP4rev1 IDLE\r\na1 OK\r\n")];
    let target = server(None, boxes).await.to_string();
    let (_, facts) = found("imap", json!({ "target": target }), &asked).await;
    assert_eq!(facts.get("banner").cloned(), text("hello"));
    let able = vec!["IMAP4rev1".to_owned(), "IDLE".to_owned()];
    assert_eq!(facts.get("capabilities").cloned(), Some(able.into()));

    let target = server(None, &[("", "SSH-2.0-OpenSSH_9.2 Debian\r\n")]).await.to_string();
    let asked = ["banner", "protocol", "software"];
    let (_, facts) = found("ssh", json!({ "target": target }), &asked).await;
    assert_eq!(facts.get("banner").cloned(), text("SSH-2.0-OpenSSH_9.2 Debian"));
    assert_eq!(facts.get("protocol").cloned(), text("2.0"));
    assert_eq!(facts.get("software").cloned(), text("OpenSSH_9.2"));
}

#[tokio::test]
async fn the_answer_to_an_upgrade_is_a_fact_also_where_it_is_none() {
    let refuses: Talk =
        &[("\r\n\r\n", "HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 0\r\n\r\n")];
    let target = server(None, refuses).await;
    let settings = json!({ "url": format!("ws://{target}/") });
    let (_, facts) = found("websocket", settings, &["status", "header.x-why"]).await;
    assert_eq!(facts.get("status").cloned(), Some(403_i64.into()));
    assert_eq!(facts.get("header.x-why").cloned(), text("no"));
}

#[tokio::test]
async fn a_certificate_is_known_whether_or_not_it_is_trusted() {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
    params.serial_number = Some(vec![0x0a, 0xb0].into());
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2150, 1, 1);
    let certificate = params.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("usable");
    let target = server(Some(Arc::new(config)), &[]).await.to_string();
    let asked = [
        "tls.version",
        "tls.cipher",
        "certificate.days-left",
        "certificate.subject",
        "certificate.names",
        "certificate.serial",
        "certificate.fingerprint",
        "certificate.not-after",
        "certificate.self-signed",
        "chain.length",
        "chain.complete",
    ];
    let unverified = json!({ "target": target, "tls-verify": false });
    let (message, facts) = found("tls", unverified, &asked).await;
    assert!(message.starts_with("TLS 1.3, and "), "{message}");
    for name in asked {
        assert!(facts.contains_key(name), "`{name}`: {facts:?}");
    }
    assert_eq!(facts.get("tls.version").cloned(), text("1.3"));
    assert_eq!(facts["certificate.names"], vec!["a.example".to_owned()].into());
    assert_eq!(facts.get("certificate.serial").cloned(), text("0ab0"));
    assert_eq!(facts.get("certificate.not-after").cloned(), text("2150-01-01T00:00:00.000Z"));
    assert_eq!(facts["certificate.self-signed"], true.into());
    assert_eq!((&facts["chain.length"], &facts["chain.complete"]), (&1_i64.into(), &true.into()));
    let fact::Value::Text(fingerprint) = &facts["certificate.fingerprint"] else { panic!() };
    assert_eq!(fingerprint.len(), 64);
    // By name and by trust it is wrong, and known nevertheless.
    let (message, facts) = found("tls", json!({ "target": target }), &asked).await;
    assert!(message.contains("self-signed") || message.contains("is for"), "{message}");
    assert!(facts.contains_key("certificate.days-left") && !facts.contains_key("tls.version"));
}
