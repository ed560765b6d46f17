//! BIND with a zone of the tests, over UDP, TCP, TLS and HTTPS.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::OnceLock;

use super::certificates::Authority;
use super::servers::{Server, folder, free_port, program};
use super::wait::until;

/// A running name server.
#[derive(Debug)]
pub(crate) struct NameServer {
    _server: Server,
    /// Over UDP and TCP.
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    pub(crate) https_port: u16,
    /// The root of its certificate.
    pub(crate) ca: String,
}

const ZONE: &str = r#"$TTL 300
@ IN SOA ns1 hostmaster 2026010105 3600 600 86400 60
@ IN NS ns1
@ IN MX 10 mail
@ IN TXT "v=spf1 -all"
@ IN TXT "two" "parts; \"quoted\""
@ IN CAA 0 issue "ca.example.net"
@ IN TYPE65280 \# 4 C0000201
ns1 IN A 127.0.0.1
mail IN A 192.0.2.25
www 60 IN A 192.0.2.1
www 60 IN A 192.0.2.2
www IN AAAA 2001:db8::1
alias IN CNAME www
_imap._tcp IN SRV 0 1 993 mail
"#;

/// It speaks for `shop.test`, asks nobody else, and has 100 addresses for `many.shop.test`.
pub(crate) fn bind() -> &'static NameServer {
    static SERVER: OnceLock<NameServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let named = program(&["named"], &["/usr/sbin"], "bind9");
        let dir = folder("bind");
        let authority = Authority::new();
        let pair = authority.good();
        let mut zone = ZONE.to_owned();
        for last in 0..100 {
            writeln!(zone, "many IN A 198.51.100.{last}").expect("a string takes it");
        }
        let (port, tls_port, https_port) = (free_port(), free_port(), free_port());
        let path = dir.display();
        let config = format!(
            "options {{ directory \"{path}\"; pid-file none; session-keyfile \"{path}/session.key\";\n\
             listen-on port {port} {{ 127.0.0.1; }};\n\
             listen-on port {tls_port} tls own {{ 127.0.0.1; }};\n\
             listen-on port {https_port} tls own http own {{ 127.0.0.1; }};\n\
             listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; }};\n\
             tls own {{ cert-file \"{path}/cert.pem\"; key-file \"{path}/key.pem\"; }};\n\
             http own {{ endpoints {{ \"/dns-query\"; }}; }};\n\
             controls {{ }};\n\
             zone \"shop.test\" {{ type primary; file \"shop.zone\"; }};\n\
             zone \"2.0.192.in-addr.arpa\" {{ type primary; file \"reverse.zone\"; }};\n"
        );
        let reverse = "$TTL 300\n@ IN SOA ns1.shop.test. hostmaster.shop.test. 1 3600 600 86400 60\n\
                       @ IN NS ns1.shop.test.\n1 IN PTR www.shop.test.\n";
        for (name, text) in [
            ("named.conf", &*config),
            ("shop.zone", &zone),
            ("reverse.zone", reverse),
            ("cert.pem", &pair.certificate),
            ("key.pem", &pair.key),
        ] {
            std::fs::write(dir.join(name), text).expect("a file");
        }
        let mut command = Command::new(named);
        command.args(["-g", "-n", "1", "-c"]).arg(dir.join("named.conf"));
        let server = Server::start(&command, &dir, "TERM", port);
        // It answers before it knows its zones.
        until("BIND has read its zones", || match std::fs::read_to_string(dir.join("server.log")) {
            Ok(log) if log.contains("all zones loaded") => Ok(()),
            log => Err(format!("{log:?}")),
        });
        NameServer { _server: server, port, tls_port, https_port, ca: authority.pem() }
    })
}
