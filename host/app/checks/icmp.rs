//! The kind `icmp`: pings an address, once or several times, and counts what comes back.
//!
//! A lost packet among several is a fact for conditions; when all are lost, the target does not
//! answer. [`packet`] writes requests and tells our answers from everything else.

mod packet;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::exposition::{self, Family};
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::{Answer, FailReason, Observation, Outcome, Report, Run};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::http::Client;
use wellcheck_net::{Dial, Failure, FailureKind, Guard, Phase, Pings, Trace};

use self::packet::{Echo, MAX_SIZE};
use super::http::explain;
use super::place::host;
use super::probed::Probed;
use super::socket::{FAMILY_KEY, family, learnt};
use super::{Checker, Kind, RunContext, Tools};

/// How long after the last answer, or the last packet, is waited at least for those that lack.
const PATIENCE: Duration = Duration::from_secs(1);

const KEYS: &[Key] = &[
    key("target", "", "target = \"gw.internal\"", "Whom to ping: a name or an address."),
    key("packets", "1", "packets = 5", "How many packets to send, 1 to 20."),
    key(
        "spacing",
        "\"200ms\"",
        "spacing = \"1s\"",
        "The time from one packet to the next, 10ms to 10s.",
    ),
    key("size", "\"56B\"", "size = \"1400B\"", "How much each packet carries, 16B to 65000B."),
    key(
        "ttl",
        "the system\'s, mostly 64",
        "ttl = 5",
        "The most routers that a packet passes, 1 to 255.",
    ),
    key(
        "dont-fragment",
        "false",
        "dont-fragment = true",
        "Whether nobody under way may divide a packet.",
    ),
    FAMILY_KEY,
];

const FACTS: &[FactKey] = &[
    fact("loss", Shape::Number, "How many of the packets were not answered, in percent."),
    fact(
        "jitter",
        Shape::Duration,
        "How much the time of an answer differs from that of the one before, on average; 0 with fewer than two answers.",
    ),
    fact("round-trip", Shape::Duration, "How long answers took, on average; absent without any."),
    fact("round-trip.min", Shape::Duration, "How long the fastest took."),
    fact("round-trip.max", Shape::Duration, "How long the slowest took."),
    fact(
        "ttl",
        Shape::Integer,
        "How many more routers the last answer could have passed; known over IPv4 where the system gives a raw socket.",
    ),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Icmp;

impl Kind for Icmp {
    fn name(&self) -> &'static str {
        "icmp"
    }

    fn summary(&self) -> &'static str {
        "pings an address; counts loss, time and jitter"
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
name = "gateway"
kind = "icmp"
target = "gw.internal"
packets = 5
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        if !reader.has("target") {
            reader.missing("target", problems);
        }
        let mut shown = String::new();
        let host = reader.parsed("target", problems, |text| {
            text.shown().clone_into(&mut shown);
            host(&text.value).ok_or_else(|| {
                let shown = text.shown().escape_debug();
                format!("`{shown}` is no name or address (expected for example `gw.internal`; ports mean nothing to ICMP)")
            })
        });
        let packets = reader.integer("packets", 1..=20, problems).unwrap_or(1);
        let bounds = Duration::from_millis(10)..=Duration::from_secs(10);
        let spacing = reader.duration("spacing", bounds, problems);
        let size = reader.size("size", 16..=MAX_SIZE as u64, problems).unwrap_or(56);
        let hops = reader.integer("ttl", 1..=255, problems);
        let whole = reader.boolean("dont-fragment", problems).unwrap_or(false);
        let family = family(reader, problems);
        let facts = Facts { target: Some(shown), port: 0, plugin: None };
        Some(Arc::new(IcmpCheck {
            client: tools.client.clone(),
            host: host?,
            family,
            packets: u16::try_from(packets).expect("checked to be at most 20"),
            spacing: spacing.unwrap_or(Duration::from_millis(200)),
            size: usize::try_from(size).expect("checked to be at most 65000"),
            hops: hops.map(|hops| u8::try_from(hops).expect("checked to be at most 255")),
            whole,
            facts,
        }))
    }
}

struct IcmpCheck {
    client: Client,
    host: String,
    family: wellcheck_net::Family,
    packets: u16,
    spacing: Duration,
    size: usize,
    hops: Option<u8>,
    whole: bool,
    facts: Facts,
}

/// What came back.
#[derive(Debug, Default)]
struct Heard {
    /// In the order of the requests; those that lack are not there.
    times: Vec<Duration>,
    ttl: Option<u8>,
}

impl Heard {
    fn mean(&self) -> Option<Duration> {
        let count = u32::try_from(self.times.len()).ok().filter(|count| *count > 0)?;
        Some(self.times.iter().sum::<Duration>() / count)
    }

    /// As RFC 3550 has it, without its smoothing.
    fn jitter(&self) -> Duration {
        let gaps = self.times.windows(2).map(|two| two[0].abs_diff(two[1]));
        let count = u32::try_from(self.times.len().saturating_sub(1)).unwrap_or(0).max(1);
        gaps.sum::<Duration>() / count
    }
}

impl Checker for IcmpCheck {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move { self.attempt(context).await.0 }.boxed()
    }

    fn probe<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Probed> {
        async move {
            let (run, trace, heard) = self.attempt(context).await;
            let mut probed = Probed::over(&trace, run, &self.facts);
            probed.families.extend(families(&trace, &heard));
            probed
        }
        .boxed()
    }
}

impl IcmpCheck {
    async fn attempt(&self, context: &RunContext) -> (Run, Trace, Heard) {
        let started = Instant::now();
        let mut trace = Trace::new(context.deadline);
        let mut heard = Heard::default();
        let result = self.ping(&mut trace, &mut heard).await;
        let mut outcome = match result {
            Ok(()) => Outcome::Answered(self.judge(&heard)),
            Err(failure) => explain(&failure),
        };
        if let Outcome::Answered(report) = &mut outcome {
            learnt(&trace, ["answers", "transfer"], report);
            report.observations.retain(|observation| observation.name != "answers");
            self.tell(&heard, context, report);
        }
        (Run::new(outcome, started.elapsed()), trace, heard)
    }

    async fn ping(&self, trace: &mut Trace, heard: &mut Heard) -> Result<(), Failure> {
        let dial =
            Dial { host: &self.host, port: 0, family: self.family, guard: &Guard::allow_all() };
        let mut failure = None;
        for peer in self.client.connector().addresses(&dial, trace).await? {
            match Pings::open(peer, self.hops, self.whole) {
                Ok(socket) => {
                    trace.peer = Some(peer);
                    trace.tried = Some(peer);
                    return self.exchange(&socket, peer, trace, heard).await;
                }
                // Without a way to one address there may be one to the next.
                Err(why) => failure = failure.or(Some(why)),
            }
        }
        Err(failure.expect("there is at least one address, and each one failed"))
    }

    /// Sends the packets in their time, and hears what comes until the last is answered or the
    /// time is up.
    async fn exchange(
        &self,
        socket: &Pings,
        peer: SocketAddr,
        trace: &mut Trace,
        heard: &mut Heard,
    ) -> Result<(), Failure> {
        let echo = Echo::new(peer, socket.is_raw(), self.size);
        let mut sent: Vec<Instant> = Vec::with_capacity(self.packets.into());
        let mut times: Vec<Option<Duration>> = vec![None; self.packets.into()];
        let mut refusal: Option<Failure> = None;
        let mut buffer = vec![0; 65_535];
        let started = Instant::now();
        // Leaves something of the deadline, so that what was heard is told.
        let left = trace.deadline().saturating_duration_since(started);
        let last = trace.deadline() - left / 20;
        let work = async {
            while times.iter().any(Option::is_none) {
                let next = started + self.spacing * u32::try_from(sent.len()).unwrap_or(u32::MAX);
                let all_sent = sent.len() == times.len();
                if !all_sent && Instant::now() >= next {
                    let number = u16::try_from(sent.len()).expect("at most 20 are sent");
                    sent.push(Instant::now());
                    if let Err(why) = socket.send(&echo.request(number)).await {
                        if why.kind == FailureKind::Local {
                            return Err(why);
                        }
                        refusal = Some(why);
                    }
                    continue;
                }
                let patience = sent.last().map_or(last, |sent| *sent + patience(&times));
                let until = if all_sent { last.min(patience) } else { next.min(last) };
                tokio::select! {
                    came = socket.hear(&mut buffer) => match came {
                        Ok(count) => {
                            let Some((number, ttl)) = echo.answer(&buffer[..count]) else { continue };
                            let slot = usize::from(number);
                            if let (Some(sent), Some(time @ None)) = (sent.get(slot), times.get_mut(slot)) {
                                *time = Some(sent.elapsed());
                                heard.ttl = ttl.or(heard.ttl);
                            }
                        }
                        Err(why) if why.kind == FailureKind::Local => return Err(why),
                        Err(why) => refusal = Some(why),
                    },
                    () = sleep_until(until) => {
                        if all_sent || until >= last {
                            break;
                        }
                    }
                }
            }
            Ok(())
        };
        let doing = || format!("waiting for the answers of `{}`", peer.ip());
        let ended = trace.stage(Phase::Wait, doing, work).await;
        heard.times = times.into_iter().flatten().collect();
        ended?;
        match refusal {
            Some(refusal) if heard.times.is_empty() => Err(refusal),
            _ => Ok(()),
        }
    }

    fn judge(&self, heard: &Heard) -> Report {
        let (count, all) = (heard.times.len(), self.packets);
        let Some(mean) = heard.mean() else {
            let packets = if all == 1 { "the packet".to_owned() } else { format!("{all} packets") };
            let message = format!("no answer to {packets}");
            return Report::fail(FailReason::Timeout, message);
        };
        let mean = mean.as_secs_f64() * 1e3;
        Report::new(
            Answer::Pass,
            match all {
                1 => format!("answered in {mean:.2} ms"),
                _ => format!("answered {count} of {all} packets, in {mean:.2} ms on average"),
            },
        )
    }

    fn tell(&self, heard: &Heard, context: &RunContext, report: &mut Report) {
        #[expect(clippy::cast_precision_loss, reason = "there are 20 packets at most")]
        let loss = 100.0 * (1.0 - heard.times.len() as f64 / f64::from(self.packets));
        let jitter = heard.jitter();
        let asked = !context.asked.is_empty();
        report.observations.push(Observation::new("loss", loss, "%"));
        if asked {
            report.found.put("loss", loss);
            report.found.put("jitter", jitter);
        }
        let Some(mean) = heard.mean() else { return };
        report.observations.push(Observation::seconds("round-trip", mean));
        report.observations.push(Observation::seconds("jitter", jitter));
        if asked {
            report.found.put("round-trip", mean);
            for (name, time) in [
                ("round-trip.min", heard.times.iter().min()),
                ("round-trip.max", heard.times.iter().max()),
            ] {
                report.found.put(name, *time.expect("there is a mean of them"));
            }
            if let Some(ttl) = heard.ttl {
                report.found.put("ttl", i64::from(ttl));
            }
        }
    }
}

/// How long after the last packet one waits: longer than any answer took so far, as `ping` does.
fn patience(times: &[Option<Duration>]) -> Duration {
    let slowest = times.iter().flatten().max();
    match slowest {
        // Nothing came yet: whatever the deadline leaves.
        None => Duration::from_secs(3600),
        Some(slowest) => (*slowest * 2).max(PATIENCE),
    }
}

/// The metrics of blackbox_exporter's prober of that name.
fn families(trace: &Trace, heard: &Heard) -> Vec<Family> {
    let durations = Family::new(
        "probe_icmp_duration_seconds",
        exposition::Kind::Gauge,
        "How long each phase of the ping took; `rtt` is that of the answers, on average.",
    )
    .with(&[("phase", "resolve")], trace.phases.resolve.as_secs_f64())
    .with(&[("phase", "setup")], trace.phases.connect.as_secs_f64())
    .with(&[("phase", "rtt")], heard.mean().unwrap_or_default().as_secs_f64());
    let mut families = vec![durations];
    families.extend(heard.ttl.map(|ttl| {
        Family::gauge(
            "probe_icmp_reply_hop_limit",
            "How many more routers the answer could have passed.",
            f64::from(ttl),
        )
    }));
    families
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_how_much_times_change() {
        let heard = |times: &[u64]| Heard {
            times: times.iter().map(|time| Duration::from_millis(*time)).collect(),
            ttl: None,
        };
        assert_eq!(heard(&[10, 20, 10]).jitter(), Duration::from_millis(10));
        assert_eq!(heard(&[10]).jitter(), Duration::ZERO);
        assert_eq!(heard(&[]).jitter(), Duration::ZERO);
        assert_eq!(heard(&[]).mean(), None);
        assert_eq!(heard(&[10, 30]).mean(), Some(Duration::from_millis(20)));
    }
}
