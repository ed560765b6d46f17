//! The kind `dns`: asks name servers, over UDP, TCP, TLS or HTTPS, and judges the answer.
//!
//! It asks by itself and never through the resolver that the other kinds use, for that has a cache
//! and a mind of its own. [`settings`] reads the keys, [`ask`] sends the question and picks the
//! answer, [`answer`] puts it into words, [`judge`] says whether it is as expected.

mod answer;
mod ask;
mod judge;
mod settings;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::Key;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::exposition::Family;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::{Answer, Fault, FaultReason, Outcome, Part, Report, Run};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::http::Client;
use wellcheck_net::{Failure, Trace};

use self::answer::Seen;
use self::ask::{Question, Server};
use self::judge::Expect;
use super::http::explain;
use super::probed::Probed;
use super::socket::learnt;
use super::{Checker, Kind, RunContext, Tools, tls};

const FACTS: &[FactKey] = &[
    fact(
        "answers",
        Shape::Texts,
        "The answers of the type that is asked for, without name and time to live: `[\"192.0.2.1\"]`. Without an answer the list is empty.",
    ),
    fact("answers.count", Shape::Integer, "How many of them there are."),
    fact("code", Shape::Text, "The code of the answer: `NOERROR`, `NXDOMAIN`, `SERVFAIL`, ..."),
    fact(
        "serial",
        Shape::Integer,
        "The serial of an SOA record among the answers or the authorities; with `each-server` the lowest.",
    ),
    fact(
        "ttl",
        Shape::Duration,
        "The lowest time to live of the answers; with `each-server` of all of them.",
    ),
    fact("authoritative", Shape::Boolean, "Whether the server speaks for the zone (AA)."),
    fact("truncated", Shape::Boolean, "Whether the answer is cut (TC)."),
    fact(
        "authenticated",
        Shape::Boolean,
        "Whether the server has verified the answer by DNSSEC (AD).",
    ),
    fact("recursion-available", Shape::Boolean, "Whether the server asks others (RA)."),
    fact("authority", Shape::Texts, "The records of the section `authority`, whole."),
    fact("additional", Shape::Texts, "The records of the section `additional`, whole."),
    fact("transport", Shape::Text, "How the answer came: `udp`, `tcp`, `tls` or `https`."),
    fact("agree", Shape::Boolean, "With `each-server`: whether all servers gave the same answers."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Dns;

impl Kind for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn summary(&self) -> &'static str {
        "asks name servers; judges code, flags and records"
    }

    fn target_key(&self) -> &'static str {
        "server"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[settings::KEYS, tls::KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "mail-exchanger"
kind = "dns"
server = "ns1.example.com"
query-name = "example.com"
query-type = "MX"
expect-answers = "10 mail.example.com."
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let settings = settings::read(reader, tools, problems)?;
        Some(Arc::new(DnsCheck { client: tools.client.clone(), settings }))
    }
}

/// What is asked, whom, and what is expected.
struct Settings {
    /// Empty for the system's.
    servers: Vec<Server>,
    each: bool,
    question: Question,
    expect: Expect,
    facts: Facts,
}

struct DnsCheck {
    client: Client,
    settings: Settings,
}

/// What came of asking one server.
struct Asked {
    name: String,
    trace: Trace,
    result: Result<Seen, Failure>,
}

impl Checker for DnsCheck {
    fn facts(&self) -> Facts {
        self.settings.facts.clone()
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move { self.attempt(context).await.0 }.boxed()
    }

    fn probe<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Probed> {
        async move {
            let (run, asked) = self.attempt(context).await;
            let Some(first) = asked.first() else {
                return Probed::of(run, &self.settings.facts);
            };
            let mut probed = Probed::over(&first.trace, run, &self.settings.facts);
            probed.families.extend(families(first));
            probed
        }
        .boxed()
    }
}

impl DnsCheck {
    async fn attempt(&self, context: &RunContext) -> (Run, Vec<Asked>) {
        let started = Instant::now();
        let asked = self.ask(context.deadline).await;
        let outcome = self.outcome(&asked, context);
        (Run::new(outcome, started.elapsed()), asked)
    }

    /// Asks each server, or one after the other until one answers, each in its share of the time.
    async fn ask(&self, deadline: Instant) -> Vec<Asked> {
        let Settings { servers, each, question, .. } = &self.settings;
        let systems: Vec<Server>;
        let servers = if servers.is_empty() {
            let known = self.client.resolver().name_servers();
            systems = known.iter().map(|address| question.server(*address)).collect();
            &systems
        } else {
            servers
        };
        let one = async |server: &Server, deadline: Instant| {
            let mut trace = Trace::new(deadline);
            let result = question.ask(&self.client, server, &mut trace).await;
            Asked { name: server.name.clone(), trace, result }
        };
        if *each {
            return join_all(servers.iter().map(|server| one(server, deadline))).await;
        }
        let mut last = None;
        for (at, server) in servers.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let after = u32::try_from(servers.len() - at).expect("the keys allow few servers");
            let asked = one(server, Instant::now() + left / after).await;
            let answered = asked.result.is_ok();
            last = Some(asked);
            if answered {
                break;
            }
        }
        last.into_iter().collect()
    }

    fn outcome(&self, asked: &[Asked], context: &RunContext) -> Outcome {
        let Some(first) = asked.first() else {
            let message = "the system names no name server (give one as `server`)";
            return Outcome::Faulted(Fault::new(FaultReason::BadSettings, message));
        };
        let mut reports = Vec::with_capacity(asked.len());
        for one in asked {
            let mut report = match &one.result {
                Ok(seen) => self.settings.expect.judge(seen),
                Err(failure) => match explain(failure) {
                    Outcome::Answered(report) => report,
                    fault @ Outcome::Faulted(_) => return fault,
                },
            };
            learnt(&one.trace, ["query", "transfer"], &mut report);
            reports.push(report);
        }
        let worst = |(_, a): &(usize, &Report), (_, b): &(usize, &Report)| {
            // The first of those that are equally bad.
            b.status.cmp(&a.status)
        };
        let chosen = reports.iter().enumerate().min_by(worst).map_or(0, |(at, _)| at);
        let parts: Vec<Part> = asked
            .iter()
            .zip(&reports)
            .map(|(one, report)| Part {
                name: one.name.clone(),
                status: report.status,
                message: report.message.clone(),
            })
            .collect();
        let mut report = reports.swap_remove(chosen);
        if self.settings.each {
            let good = parts.iter().filter(|part| part.status == Answer::Pass).count();
            report.message = match report.status {
                Answer::Pass => format!("{good} of {} servers: {}", parts.len(), report.message),
                _ => format!(
                    "{good} of {} servers are as expected; `{}`: {}",
                    parts.len(),
                    parts[chosen].name,
                    report.message
                ),
            };
            report.parts = parts;
        }
        let shown = asked[chosen].result.as_ref().ok();
        let shown = shown.or_else(|| asked.iter().find_map(|one| one.result.as_ref().ok()));
        if let Some(seen) = shown {
            report.details.push(("code".to_owned(), seen.code.clone()));
            report.details.push(("transport".to_owned(), seen.transport.to_owned()));
        }
        if !context.asked.is_empty() {
            let all: Vec<&Seen> = asked.iter().filter_map(|one| one.result.as_ref().ok()).collect();
            answer::tell(shown, &all, asked.len(), &mut report.found);
        }
        debug_assert!(!first.name.is_empty());
        Outcome::Answered(report)
    }
}

/// The metrics of blackbox_exporter's prober of that name.
fn families(asked: &Asked) -> Vec<Family> {
    use wellcheck_core::exposition::Kind;

    let phases = &asked.trace.phases;
    let durations = Family::new(
        "probe_dns_duration_seconds",
        Kind::Gauge,
        "How long each phase of the query took.",
    )
    .with(&[("phase", "resolve")], phases.resolve.as_secs_f64())
    .with(&[("phase", "connect")], (phases.connect + phases.tls).as_secs_f64())
    .with(&[("phase", "request")], (phases.wait + phases.transfer).as_secs_f64());
    let seen = asked.result.as_ref().ok();
    #[expect(clippy::cast_precision_loss, reason = "an answer has a few thousand records at most")]
    let count = |of: fn(&Seen) -> usize| seen.map_or(0.0, |seen| of(seen) as f64);
    let mut families = vec![
        durations,
        Family::gauge(
            "probe_dns_additional_rrs",
            "How many records the section `additional` has.",
            count(|seen| seen.additional.len()),
        ),
        Family::gauge(
            "probe_dns_answer_rrs",
            "How many records the section `answer` has.",
            count(|seen| seen.records.len()),
        ),
        Family::gauge(
            "probe_dns_authority_rrs",
            "How many records the section `authority` has.",
            count(|seen| seen.authority.len()),
        ),
        Family::gauge(
            "probe_dns_query_succeeded",
            "Whether a name server has answered.",
            f64::from(u8::from(seen.is_some())),
        ),
    ];
    families.extend(seen.and_then(|seen| seen.serial).map(|serial| {
        Family::gauge("probe_dns_serial", "The serial of the zone.", f64::from(serial))
    }));
    families
}
