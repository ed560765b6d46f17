//! TLS: each way a certificate can be wrong has its word, and its facts are reported anyway.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::Version;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wellcheck_net::http::{Exchange, HttpVersion};
use wellcheck_net::{FailureKind, Identity, Tls, TlsOptions, Trust};

use crate::support::{
    After, Authority, Fake, Leaf, Pair, fetch, fetch_shortly, get, self_signed, server, trusting,
};
use crate::{check_body, check_failure};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

async fn ask(certificate: Pair, host: &str, tls: Tls) -> Exchange {
    let target = Fake::tls(server(certificate, &["http/1.1"]), OK).await;
    let mut request = get(target.https(host, "/"));
    request.tls = tls;
    fetch(&request).await
}

fn anyone() -> Tls {
    trusting(Trust::Anyone)
}

#[tokio::test]
async fn a_good_certificate_is_accepted_and_described() {
    let root = Authority::new();
    let exchange = ask(root.issue(&Leaf::default()), "localhost", root.trusted()).await;
    check_body(&exchange, 200, "hello");
    assert!(exchange.phases.tls > Duration::ZERO);
    assert_eq!(exchange.tls_version, Some("1.3"));
    let facts = exchange.certificate.expect("a certificate");
    assert_eq!(facts.names, ["localhost", "127.0.0.1"]);
    assert_eq!(facts.chain_length, 2);
    assert!(facts.issuer.contains("wellcheck test root"), "{}", facts.issuer);
    assert!(facts.chain_not_after < facts.not_after);
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    assert!(facts.chain_days_left(now) > 50_000.0);
}

#[tokio::test]
async fn every_defect_has_its_word_and_the_facts_are_reported_anyway() {
    let root = Authority::new();
    let good = || root.issue(&Leaf::default());
    let expired = root.issue(&Leaf { years: (2015, 2020), ..Leaf::default() });
    let early = root.issue(&Leaf { years: (2150, 2160), ..Leaf::default() });
    let named = root.issue(&Leaf { names: &["a.example", "*.b.example"], ..Leaf::default() });
    let own = self_signed(&Leaf::default());
    for (certificate, tls, kind, says) in [
        (expired, root.trusted(), FailureKind::TlsExpired, " days ago"),
        (early, root.trusted(), FailureKind::TlsNotYetValid, "is not valid before "),
        (
            named,
            root.trusted(),
            FailureKind::TlsWrongName,
            "is for `a.example`, `*.b.example`, expected `localhost`",
        ),
        (own, root.trusted(), FailureKind::TlsUntrusted, "is self-signed"),
        (good(), Authority::new().trusted(), FailureKind::TlsUntrusted, ""),
        (good(), Tls::default(), FailureKind::TlsUntrusted, ""),
    ] {
        let exchange = ask(certificate, "localhost", tls).await;
        check_failure(&exchange, kind, says);
        assert!(exchange.certificate.is_some(), "{kind}");
        assert!(exchange.peer.is_some() && exchange.status.is_none());
    }
}

#[tokio::test]
async fn without_verification_everything_is_accepted_and_described() {
    let root = Authority::new();
    let expired = Leaf { years: (2015, 2020), names: &["other.example"] };
    for certificate in [root.issue(&expired), self_signed(&expired)] {
        let exchange = ask(certificate, "127.0.0.1", anyone()).await;
        check_body(&exchange, 200, "hello");
        let facts = exchange.certificate.expect("a certificate");
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert!(facts.days_left(now) < -2_000.0);
        assert_eq!(facts.names, ["other.example"]);
    }
}

#[tokio::test]
async fn addresses_are_verified_like_names() {
    let root = Authority::new();
    let exchange = ask(root.issue(&Leaf::default()), "127.0.0.1", root.trusted()).await;
    check_body(&exchange, 200, "hello");
    let named = root.issue(&Leaf { names: &["localhost"], ..Leaf::default() });
    let exchange = ask(named, "127.0.0.1", root.trusted()).await;
    check_failure(&exchange, FailureKind::TlsWrongName, "is for `localhost`, expected `127.0.0.1`");
}

#[tokio::test]
async fn another_name_can_be_asked_for() {
    let root = Authority::new();
    let options = TlsOptions {
        trust: Trust::Pem(root.pem().into_bytes()),
        server_name: Some("a.example".to_owned()),
        ..TlsOptions::default()
    };
    let named = root.issue(&Leaf { names: &["a.example"], ..Leaf::default() });
    let tls = Tls::new(options).expect("usable");
    check_body(&ask(named, "127.0.0.1", tls).await, 200, "hello");
}

#[tokio::test]
async fn application_protocols_decide_the_version() {
    let root = Authority::new();
    let h2 = Fake::http2(Some(server(root.issue(&Leaf::default()), &["h2", "http/1.1"]))).await;
    let h1 = Fake::tls(server(root.issue(&Leaf::default()), &["http/1.1"]), OK).await;
    let neither = Fake::tls(server(root.issue(&Leaf::default()), &[]), OK).await;
    for (target, version, expected) in [
        (&h2, HttpVersion::Auto, Ok(Version::HTTP_2)),
        (&h2, HttpVersion::Http2, Ok(Version::HTTP_2)),
        (&h1, HttpVersion::Auto, Ok(Version::HTTP_11)),
        (&h1, HttpVersion::Http1, Ok(Version::HTTP_11)),
        (&h1, HttpVersion::Http2, Err(FailureKind::TlsProtocol)),
        (&neither, HttpVersion::Auto, Ok(Version::HTTP_11)),
        (&neither, HttpVersion::Http2, Err(FailureKind::Protocol)),
    ] {
        let mut request = get(target.https("localhost", "/"));
        request.tls = root.trusted();
        request.version = version;
        let result = fetch(&request).await.result;
        let got = result.map(|answer| answer.version).map_err(|failure| failure.kind);
        assert_eq!(got, expected, "{version:?}");
    }
}

#[tokio::test]
async fn each_handshake_is_a_full_one() {
    let root = Authority::new();
    let target = Fake::tls(server(root.issue(&Leaf::default()), &["http/1.1"]), OK).await;
    let mut request = get(target.https("localhost", "/"));
    request.tls = root.trusted();
    for _ in 0..3 {
        assert!(fetch(&request).await.certificate.is_some());
    }
}

#[tokio::test]
async fn older_servers_speak_tls_1_2() {
    let root = Authority::new();
    let (chain, key) = root.issue(&Leaf::default());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("supported")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a matching pair");
    let target = Fake::tls(Arc::new(config), OK).await;
    let mut request = get(target.https("localhost", "/"));
    request.tls = root.trusted();
    let exchange = fetch(&request).await;
    check_body(&exchange, 200, "hello");
    assert_eq!(exchange.tls_version, Some("1.2"));
}

#[tokio::test]
async fn what_is_not_tls_says_so() {
    // An alert `protocol_version`, as servers of TLS 1.0 send it.
    let old = b"\x15\x03\x01\x00\x02\x02\x46".to_vec();
    for (answer, kind, says) in [
        (OK.to_vec(), FailureKind::TlsProtocol, "does not speak TLS"),
        (old, FailureKind::TlsVersion, "speaks neither TLS 1.2 nor TLS 1.3"),
        (Vec::new(), FailureKind::Closed, "during the TLS handshake"),
    ] {
        let target = Fake::start("127.0.0.1:0", move |mut stream, _| {
            let answer = answer.clone();
            async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(&answer).await;
            }
        })
        .await;
        check_failure(&fetch(&get(target.https("localhost", "/"))).await, kind, says);
    }
}

#[tokio::test]
async fn a_huge_chain_is_refused() {
    let (chain, key) = self_signed(&Leaf::default());
    let huge = (vec![chain[0].clone(); 300], key);
    let exchange = ask(huge, "localhost", anyone()).await;
    check_failure(&exchange, FailureKind::TlsProtocol, "certificate chain of more than 64 KiB");
    assert_eq!(exchange.certificate, None);
}

#[tokio::test]
async fn a_stalled_handshake_ends_at_the_deadline() {
    let target = Fake::scripted("", After::StaySilent).await;
    let exchange = fetch_shortly(&get(target.https("localhost", "/"))).await;
    let says = "timed out after 150ms while shaking hands (TLS) with `localhost`";
    check_failure(&exchange, FailureKind::Timeout, says);
    assert!(exchange.phases.tls > Duration::from_millis(50));
}

#[tokio::test]
async fn servers_may_ask_who_we_are() {
    let root = Authority::new();
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let (chain, key) = root.issue(&Leaf::default());
        let mut known = RootCertStore::empty();
        known.add(root.der()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(known), provider.clone())
                .build()
                .expect("a verifier");
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("supported")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .expect("a matching pair");
        let target = Fake::tls(Arc::new(config), OK).await;
        let mut request = get(target.https("localhost", "/"));
        request.tls = root.trusted();
        let exchange = fetch(&request).await;
        check_failure(&exchange, FailureKind::TlsClientCertificate, "wants a client certificate");

        let (chain, key) = root.issue_pem(&Leaf { names: &["client"], ..Leaf::default() });
        request.tls = Tls::new(TlsOptions {
            trust: Trust::Pem(root.pem().into_bytes()),
            identity: Some(Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("PEM")),
            ..TlsOptions::default()
        })
        .expect("usable");
        check_body(&fetch(&request).await, 200, "hello");
    }
}

#[test]
fn unusable_settings_say_what_is_missing() {
    let pem = |text: &str| {
        Tls::new(TlsOptions {
            trust: Trust::Pem(text.as_bytes().to_vec()),
            ..TlsOptions::default()
        })
    };
    let error = pem("").expect_err("empty").to_string();
    assert!(error.contains("no certificate found"), "{error}");
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let error = pem(broken).expect_err("broken").to_string();
    assert!(error.contains("broken PEM"), "{error}");
    let (mine, _) = Authority::new().issue_pem(&Leaf::default());
    let error = Identity::from_pem(mine.as_bytes(), mine.as_bytes()).expect_err("no key");
    assert!(error.to_string().contains("no usable private key"), "{error}");
    let (_, other) = Authority::new().issue_pem(&Leaf::default());
    let identity = Identity::from_pem(mine.as_bytes(), other.as_bytes()).expect("both are PEM");
    let options = TlsOptions { identity: Some(identity), ..TlsOptions::default() };
    let error = Tls::new(options).expect_err("not a pair").to_string();
    assert!(error.contains("client certificate cannot be used"), "{error}");
    let options = TlsOptions { server_name: Some("a b".to_owned()), ..TlsOptions::default() };
    let error = Tls::new(options).expect_err("a blank").to_string();
    assert!(error.contains("`a b` is not a valid server name"), "{error}");
}
