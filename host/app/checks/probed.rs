//! What a probe on demand comes to: the run, the metrics of its protocol, and what happened.
//!
//! The names of the metrics are those of blackbox_exporter, so that a dashboard made for it shows
//! ours; the texts are our own. What every probe has is added by the handler.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use wellcheck_core::exposition::{Family, Kind};
use wellcheck_core::outcome::{FailReason, FaultReason, Observation, Outcome, Run};
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::Facts;
use wellcheck_net::{Certificate, Trace};

use super::tls::fingerprint;

/// See the module.
#[derive(Debug)]
pub(crate) struct Probed {
    /// What the run returned.
    pub(crate) run: Run,
    /// The metrics of its protocol.
    pub(crate) families: Vec<Family>,
    /// What happened, in its order.
    pub(crate) log: Vec<Line>,
    /// Whether the target itself may not be probed, and nothing was asked.
    pub(crate) refused: bool,
}

impl Probed {
    /// What can be said of any run: its observations and what a guest printed.
    pub(crate) fn of(run: Run, facts: &Facts) -> Self {
        let mut probed = Self::bare(run, facts);
        if facts.plugin.is_none() {
            probed.families.extend(lookup(Duration::ZERO, None));
        }
        probed
    }

    fn bare(run: Run, facts: &Facts) -> Self {
        let mut probed = Self { run, families: Vec::new(), log: Vec::new(), refused: false };
        let denied = |run: &Run| matches!(&run.outcome, Outcome::Faulted(f) if f.reason == FaultReason::Denied);
        // A plugin is denied by its grants, whatever the target.
        probed.refused = facts.plugin.is_none() && denied(&probed.run);
        if let Outcome::Answered(report) = &probed.run.outcome {
            probed.families.push(observations(&report.observations));
        }
        probed.log.extend(probed.run.log.lines.iter().map(|line| Line::new("info", line)));
        probed.log.extend(probed.run.log.flags.iter().map(|line| Line::new("warn", line)));
        probed
    }

    /// Likewise, of a run over a connection of its own.
    pub(crate) fn over(trace: &Trace, run: Run, facts: &Facts) -> Self {
        let mut probed = Self::bare(run, facts);
        let address = trace.tried.or(trace.peer);
        probed.families.extend(lookup(trace.phases.resolve, address));
        probed.families.extend(tls(
            trace.certificate.as_ref(),
            trace.tls_version,
            trace.tls_cipher,
        ));
        let mut log = Vec::new();
        log.extend(address.map(|address| {
            let took = format!("{:.6}", trace.phases.resolve.as_secs_f64());
            Line::new("debug", "resolved the target").with("ip", address.ip()).with("seconds", took)
        }));
        log.extend(trace.peer.map(|peer| Line::new("debug", "connected").with("address", peer)));
        log.extend(handshake(trace.certificate.as_ref(), trace.tls_version, trace.tls_cipher));
        probed.log.splice(0..0, log);
        probed
    }

    /// Takes known secrets out of every text.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        if redactor.is_empty() {
            return;
        }
        self.run.redact(redactor);
        for family in &mut self.families {
            family.rewrite(|text| redactor.apply_to(text));
        }
        for line in &mut self.log {
            redactor.apply_to(&mut line.message);
            line.facts.iter_mut().for_each(|(_, text)| redactor.apply_to(text));
        }
    }
}

/// One line of what happened, written as `key=value` pairs.
#[derive(Debug)]
pub(crate) struct Line {
    level: &'static str,
    message: String,
    facts: Vec<(&'static str, String)>,
}

impl Line {
    /// A line of some level: `debug`, `info`, `warn` or `error`.
    pub(crate) fn new(level: &'static str, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), facts: Vec::new() }
    }

    /// One more fact.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.facts.push((name, value.to_string()));
        self
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level={} msg={}", self.level, Quoted(&self.message))?;
        for (name, value) in &self.facts {
            write!(f, " {name}={}", Quoted(value))?;
        }
        Ok(())
    }
}

/// A value of a line, quoted where it could be taken for something else.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain =
            |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '"' | '=' | '\\');
        if !self.0.is_empty() && self.0.chars().all(plain) {
            return f.write_str(self.0);
        }
        write!(f, "{:?}", self.0)
    }
}

/// What the name of the target led to.
pub(crate) fn lookup(took: Duration, address: Option<SocketAddr>) -> [Family; 3] {
    let ip = address.map(|address| address.ip().to_canonical());
    let protocol = match ip {
        None => 0.0,
        Some(IpAddr::V4(_)) => 4.0,
        Some(IpAddr::V6(_)) => 6.0,
    };
    [
        Family::gauge(
            "probe_dns_lookup_time_seconds",
            "How long it took to resolve the name of the target.",
            took.as_secs_f64(),
        ),
        Family::gauge(
            "probe_ip_addr_hash",
            "A number made of the address that was probed, which changes when the address does; 0 without one.",
            ip.map_or(0.0, |ip| f64::from(hash(ip))),
        ),
        Family::gauge(
            "probe_ip_protocol",
            "The version of IP that was used, 4 or 6; 0 where it did not come so far.",
            protocol,
        ),
    ]
}

/// FNV-1a over the bytes of the address.
fn hash(ip: IpAddr) -> u32 {
    let fold = |bytes: &[u8]| {
        bytes.iter().fold(0x811c_9dc5, |hash: u32, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        })
    };
    match ip {
        IpAddr::V4(ip) => fold(&ip.octets()),
        IpAddr::V6(ip) => fold(&ip.octets()),
    }
}

/// What a TLS handshake showed; nothing without one.
pub(crate) fn tls(
    certificate: Option<&Certificate>,
    version: Option<&str>,
    cipher: Option<&str>,
) -> Vec<Family> {
    let mut families = Vec::new();
    if let Some(certificate) = certificate {
        let seconds = |time: std::time::SystemTime| {
            time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
        };
        let names = certificate.distinguished();
        let dns: Vec<&str> = (certificate.names.iter().map(String::as_str))
            .filter(|name| name.parse::<IpAddr>().is_err())
            .collect();
        let fingerprint = fingerprint(certificate);
        families.push(Family::gauge(
            "probe_ssl_earliest_cert_expiry",
            "When the first of the certificates expires that the server sent, as Unix time.",
            seconds(certificate.chain_not_after),
        ));
        families.push(Family::gauge(
            "probe_ssl_last_chain_expiry_timestamp_seconds",
            "When the chain of the server's certificate expires, from issuer to issuer as far as they were sent, as Unix time.",
            seconds(certificate.path_not_after),
        ));
        families.push(Family::info(
            "probe_ssl_last_chain_info",
            "What the server's certificate says of itself.",
            &[
                ("fingerprint_sha256", &fingerprint),
                ("issuer", &names.issuer),
                ("serialnumber", &names.serial),
                ("subject", &names.subject),
                ("subjectalternative", &dns.join(",")),
            ],
        ));
    }
    if let Some(cipher) = cipher {
        families.push(Family::info(
            "probe_tls_cipher_info",
            "The cipher suite that was agreed on.",
            &[("cipher", cipher)],
        ));
    }
    if let Some(version) = version {
        families.push(Family::info(
            "probe_tls_version_info",
            "The version of TLS that was agreed on.",
            &[("version", &format!("TLS {version}"))],
        ));
    }
    families
}

/// What the log says of a TLS handshake; nothing without one.
pub(crate) fn handshake(
    certificate: Option<&Certificate>,
    version: Option<&str>,
    cipher: Option<&str>,
) -> Option<Line> {
    let certificate = certificate?;
    let line = Line::new("debug", "shook hands over TLS")
        .with("version", version.unwrap_or("none"))
        .with("cipher", cipher.unwrap_or("none"))
        .with("subject", &certificate.subject)
        .with("issuer", &certificate.issuer);
    Some(line)
}

/// Whether what the target says is what the run failed for, by the name that dashboards know.
pub(crate) fn failed_due_to_regex(run: &Run) -> Family {
    let failed = matches!(&run.outcome, Outcome::Answered(report)
        if report.reason == Some(FailReason::UnexpectedBody));
    Family::gauge(
        "probe_failed_due_to_regex",
        "Whether the probe failed because of what the answer is expected to hold.",
        f64::from(u8::from(failed)),
    )
}

/// The observations of a run, each with its name, its unit and its own labels.
fn observations(list: &[Observation]) -> Family {
    let mut family = Family::new(
        "probe_observation",
        Kind::Gauge,
        "A number that the run reported, by its name and its unit.",
    );
    for observation in list {
        let unit = observation.unit.as_deref().unwrap_or_default();
        let labels = [("name", &*observation.name), ("unit", unit)];
        family.push(&labels, observation.labels.clone(), observation.value);
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_number_that_other_programs_give_them() {
        // FNV-1a, 32 bits, over 127.0.0.1 and over ::1.
        assert_eq!(hash(IpAddr::from([127, 0, 0, 1])), 0xdaaf_40ed);
        let (v4, v6) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([0u8; 16]));
        assert_ne!(hash(v4), hash(v6));
    }

    #[test]
    fn lines_can_be_taken_apart_again() {
        let line = Line::new("info", "what \"happened\"\n").with("a", "b").with("c", "d=e");
        assert_eq!(line.to_string(), r#"level=info msg="what \"happened\"\n" a=b c="d=e""#);
        assert_eq!(Line::new("warn", "").to_string(), r#"level=warn msg="""#);
    }
}
