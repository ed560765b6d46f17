//! The kind `ntp`: asks a time server, by SNTP (RFC 5905), how far this machine's clock is off.
//!
//! The request tells nothing of our time: where its time of sending belongs stands a random
//! number, which the answer has to repeat, so that nobody who cannot see the request can answer it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{Asked, FactKey, Shape, fact};
use wellcheck_core::outcome::{Answer, FailReason, Observation, Report};
use wellcheck_core::units::show_duration;
use wellcheck_net::{Datagrams, Failure, FailureKind, Phase, Trace};

use super::datagram::{DatagramCheck, Goal, Talk};
use super::socket::{FAMILY_KEY, shown};
use super::{Checker, Kind, Tools};

const KEYS: &[Key] = &[
    key(
        "target",
        "",
        "target = \"ntp.internal\"",
        "Which time server to ask: a name or an address, with a port if it is not 123.",
    ),
    key(
        "max-offset",
        "any",
        "max-offset = \"100ms\"",
        "How far the clocks may differ, 1ms to 1d, or the check fails with `unexpected-value`. For a warning, use a condition on `offset.absolute`.",
    ),
    FAMILY_KEY,
];

const FACTS: &[FactKey] = &[
    fact(
        "offset",
        Shape::Duration,
        "How far the server's clock is before ours; negative where ours is before.",
    ),
    fact("offset.absolute", Shape::Duration, "How far the clocks differ."),
    fact(
        "round-trip",
        Shape::Duration,
        "How long question and answer were under way; the offset is right within half of it.",
    ),
    fact(
        "stratum",
        Shape::Integer,
        "How many servers are between this one and a clock: 1 has one itself, 16 has lost it.",
    ),
    fact(
        "leap",
        Shape::Text,
        "What happens at the end of the month: `none`, `insert` or `delete` a second; `unsynchronized` where the server does not know the time.",
    ),
    fact("root-delay", Shape::Duration, "How long the way to the clock is."),
    fact("root-dispersion", Shape::Duration, "How far off the server may be, by its own account."),
    fact(
        "reference",
        Shape::Text,
        "What the server follows: the name of a clock, or an address; in kiss-o'-death its code.",
    ),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Ntp;

impl Kind for Ntp {
    fn name(&self) -> &'static str {
        "ntp"
    }

    fn summary(&self) -> &'static str {
        "asks a time server; judges the offset of the clocks"
    }

    fn target_key(&self) -> &'static str {
        "target"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "clock"
kind = "ntp"
target = "ntp.internal"
max-offset = "500ms"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let goal = Goal::read(reader, Some(123), problems);
        let bounds = Duration::from_millis(1)..=Duration::from_secs(86_400);
        let most = reader.duration("max-offset", bounds, problems);
        Some(Arc::new(DatagramCheck::new(tools, goal?, Clock { most })))
    }
}

struct Clock {
    most: Option<Duration>,
}

impl Talk for Clock {
    fn talk<'a>(
        &'a self,
        socket: &'a Datagrams,
        name: &'a str,
        trace: &'a mut Trace,
        asked: &'a Asked,
    ) -> BoxFuture<'a, Result<Report, Failure>> {
        async move {
            let mut nonce = [0; 8];
            aws_lc_rs::rand::fill(&mut nonce).expect("the system has random numbers");
            let mut request = [0; LENGTH];
            // No leap second, version 4, a client.
            request[0] = 4 << 3 | 3;
            request[40..].copy_from_slice(&nonce);
            let mut other = None;
            let work = async {
                #[expect(clippy::disallowed_methods, reason = "the wall clock is what is measured")]
                let wall = SystemTime::now();
                let sent = Instant::now();
                socket.send(&request).await?;
                // Extensions and signatures may follow; they are not looked at.
                let mut buffer = [0; 1024];
                loop {
                    let count = socket.hear(&mut buffer).await?;
                    match Said::read(&buffer[..count], nonce) {
                        Ok(said) => return Ok((said, timestamp(wall), sent.elapsed())),
                        Err(why) => other = Some(why),
                    }
                }
            };
            let doing = || format!("waiting for an answer of `{name}`");
            let (said, sent, took) =
                trace.stage(Phase::Wait, doing, work).await.map_err(|failure| match other {
                    Some(why) if failure.kind == FailureKind::Timeout => {
                        failure.with_note(format_args!("something else came: {why}"))
                    }
                    _ => failure,
                })?;
            let mut report = self.judge(&said, sent, took);
            if !asked.is_empty() {
                said.tell(sent, took, &mut report);
            }
            Ok(report)
        }
        .boxed()
    }
}

impl Clock {
    fn judge(&self, said: &Said, sent: u64, took: Duration) -> Report {
        // A server that has never known the time says stratum 0 as well, but no code with it.
        if said.stratum == 0 && said.reference != [0; 4] {
            let message = format!(
                "answered with kiss-o'-death `{}`: {}",
                said.reference(),
                match &said.reference {
                    b"RATE" => "it is asked too often",
                    b"DENY" | b"RSTR" => "it does not serve this machine",
                    b"INIT" | b"STEP" => "it does not know the time yet",
                    _ => "it does not tell the time",
                }
            );
            return Report::fail(FailReason::Query, message);
        }
        if said.leap() == UNSYNCHRONIZED || !(1..16).contains(&said.stratum) {
            let message = format!(
                "answered that it is not synchronized (stratum {}, leap {})",
                said.stratum,
                said.leap()
            );
            return Report::fail(FailReason::Query, message);
        }
        if said.sent == 0 || said.heard == 0 {
            let message = "answered without a time";
            return Report::fail(FailReason::Protocol, message);
        }
        let (offset, round) = said.offset(sent, took);
        let ms = offset * 1e3;
        let text = format!("the clocks differ by {ms:+.3} ms (stratum {})", said.stratum);
        let mut report = match self.most {
            Some(most) if offset.abs() > most.as_secs_f64() => Report::fail(
                FailReason::UnexpectedValue,
                format!("{text} (expected at most {})", show_duration(most)),
            ),
            _ => Report::new(Answer::Pass, text),
        };
        report.observations = vec![
            Observation::new("offset", offset, "s"),
            Observation::new("round-trip", round, "s"),
            Observation::new("stratum", f64::from(said.stratum), ""),
            Observation::new("root-dispersion", said.root_dispersion, "s"),
        ];
        report
    }
}

/// The length of a message, without what may follow.
const LENGTH: usize = 48;

const UNSYNCHRONIZED: &str = "unsynchronized";

/// What a server answered.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    leap: u8,
    stratum: u8,
    /// In seconds, like the next.
    root_delay: f64,
    root_dispersion: f64,
    reference: [u8; 4],
    /// When it heard the request, and when it sent the answer, by its clock: seconds since 1900 in
    /// 32 bits, and their fractions in as many.
    heard: u64,
    sent: u64,
}

impl Said {
    /// Reads the answer to the request of this number; else says why it is none.
    fn read(bytes: &[u8], nonce: [u8; 8]) -> Result<Self, &'static str> {
        let bytes: &[u8; LENGTH] = bytes.first_chunk().ok_or("it is too short")?;
        let four = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let short = |at| f64::from(u32::from_be_bytes(four(at))) / 65_536.0;
        let long = |at| {
            u64::from(u32::from_be_bytes(four(at))) << 32
                | u64::from(u32::from_be_bytes(four(at + 4)))
        };
        if bytes[0] & 7 != 4 {
            return Err("it is not of a server");
        }
        if !(1..=4).contains(&(bytes[0] >> 3 & 7)) {
            return Err("it is of another version");
        }
        if bytes[24..32] != nonce {
            return Err("it is for another request");
        }
        Ok(Self {
            leap: bytes[0] >> 6,
            stratum: bytes[1],
            root_delay: short(4),
            root_dispersion: short(8),
            reference: four(12),
            heard: long(32),
            sent: long(40),
        })
    }

    fn leap(&self) -> &'static str {
        match self.leap {
            0 => "none",
            1 => "insert",
            2 => "delete",
            _ => UNSYNCHRONIZED,
        }
    }

    /// The code of a clock, or the address of a server.
    fn reference(&self) -> String {
        match self.stratum {
            0 | 1 => {
                let end = self.reference.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                shown(&self.reference[..end])
            }
            _ => std::net::Ipv4Addr::from(self.reference).to_string(),
        }
    }

    /// How far its clock is before ours, and how long the two messages were under way, in seconds.
    /// Ours said `sent` at the start, and `took` passed until the answer came.
    fn offset(&self, sent: u64, took: Duration) -> (f64, f64) {
        let there = difference(self.heard, sent);
        let took = took.as_secs_f64();
        let inside = difference(self.sent, self.heard);
        let round = (took - inside).max(0.0);
        (there - (took - inside) / 2.0, round)
    }

    fn tell(&self, sent: u64, took: Duration, report: &mut Report) {
        let found = &mut report.found;
        if self.stratum > 0 && self.sent != 0 && self.heard != 0 {
            let (offset, round) = self.offset(sent, took);
            found.put("offset", offset);
            found.put("offset.absolute", offset.abs());
            found.put("round-trip", round);
        }
        found.put("stratum", i64::from(self.stratum));
        found.put("leap", self.leap());
        found.put("root-delay", self.root_delay);
        found.put("root-dispersion", self.root_dispersion);
        found.put("reference", self.reference());
    }
}

/// From `b` to `a`, in seconds. Their seconds begin anew in 2036, so that the shorter way counts.
fn difference(a: u64, b: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "what is lost is below a nanosecond")]
    #[expect(clippy::cast_possible_wrap, reason = "a difference may be negative")]
    let parts = a.wrapping_sub(b) as i64 as f64;
    parts / 4_294_967_296.0
}

/// Seconds from 1900 to 1970.
const SINCE_1900: u64 = 2_208_988_800;

fn timestamp(time: SystemTime) -> u64 {
    let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = (time.as_secs() + SINCE_1900) & 0xffff_ffff;
    (seconds << 32) | ((u64::from(time.subsec_nanos()) << 32) / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1 << 32;

    fn said(heard: u64, sent: u64) -> Said {
        Said {
            leap: 0,
            stratum: 2,
            root_delay: 0.0,
            root_dispersion: 0.0,
            reference: [10, 0, 0, 1],
            heard,
            sent,
        }
    }

    #[test]
    fn offsets_are_right_if_both_ways_take_as_long() {
        let close =
            |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).abs() < 1e-6 && (a.1 - b.1).abs() < 1e-6;
        // Two seconds there, one inside, two back; its clock is 100 s before ours.
        let answer = said(102 * SECOND, 103 * SECOND);
        assert!(close(answer.offset(0, Duration::from_secs(5)), (100.0, 4.0)));
        // Behind ours, and over the end of an era.
        let answer = said(u64::MAX - 9 * SECOND, u64::MAX - 9 * SECOND);
        assert!(close(answer.offset(0, Duration::ZERO), (-9.0, 0.0)));
        assert_eq!(
            timestamp(UNIX_EPOCH + Duration::from_millis(500)),
            (SINCE_1900 << 32) | (SECOND / 2)
        );
    }

    #[test]
    fn only_the_answer_to_the_request_is_read() {
        let nonce = [7; 8];
        let mut bytes = [0; LENGTH];
        bytes[0] = 4 << 3 | 4;
        bytes[24..32].copy_from_slice(&nonce);
        assert!(Said::read(&bytes, nonce).is_ok());
        assert!(Said::read(&bytes, [8; 8]).is_err());
        assert!(Said::read(&bytes[..47], nonce).is_err());
        bytes[0] = 4 << 3 | 3;
        assert!(Said::read(&bytes, nonce).is_err(), "a client");
    }
}
