//! How a plan is carried out: one exchange, or one with each address of the name.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use http::header::AUTHORIZATION;
use tokio::time::Instant;
use wellcheck_core::fact::Asked;
use wellcheck_core::outcome::{Answer, Observation, Outcome, Part};
use wellcheck_net::http::{Exchange, Request, To};
use wellcheck_net::{Dial, Failure, FailureKind, Guard, Trace};

use super::jar::Cookies;
use super::settings::Plan;
use super::{explain, found};

/// What an exchange is to be judged with, besides the plan.
pub(in crate::checks) struct Circumstances<'a> {
    pub(in crate::checks) deadline: Instant,
    pub(in crate::checks) asked: &'a Asked,
}

impl Plan {
    /// Does what is configured, once.
    pub(super) async fn run(&self, around: &Circumstances<'_>) -> (Exchange, Outcome) {
        if self.each {
            return self.each_address(around).await;
        }
        let jar = Arc::new(Cookies::default());
        Box::pin(self.ask(self.request.clone(), &jar, Duration::ZERO, around)).await
    }

    /// Sends `request`, which is the plan's own or one made of it, and judges the answer.
    /// `resolving` was spent on the name already.
    pub(in crate::checks) async fn ask(
        &self,
        mut request: Request,
        jar: &Arc<Cookies>,
        resolving: Duration,
        around: &Circumstances<'_>,
    ) -> (Exchange, Outcome) {
        request.jar = Some(Arc::clone(jar) as _);
        let exchange = match self.exchange(request, around.deadline).await {
            Ok(exchange) => exchange,
            Err(refusal) => return *refusal,
        };
        let mut exchange = exchange;
        exchange.phases.resolve += resolving;
        exchange.first.resolve += resolving;
        exchange.total += resolving;
        let outcome = self.judge(&exchange, jar, around.asked);
        (exchange, outcome)
    }

    /// An exchange; with a token, if there is to be one. What comes of not getting one is the error.
    async fn exchange(
        &self,
        mut request: Request,
        deadline: Instant,
    ) -> Result<Exchange, Box<(Exchange, Outcome)>> {
        let Some(tokens) = &self.tokens else {
            return Ok(self.client.fetch(&request, deadline).await);
        };
        let mut refused = None;
        loop {
            let (token, is_new) = match tokens.token(refused, deadline).await {
                Ok(token) => token,
                Err(outcome) => {
                    let failure = Failure::new(FailureKind::Request, outcome.message());
                    let trace = Trace::new(deadline);
                    let exchange = Exchange::unsent(&request.url, trace, failure);
                    return Err(Box::new((exchange, outcome)));
                }
            };
            request.headers.insert(AUTHORIZATION, token.header);
            let exchange = self.client.fetch(&request, deadline).await;
            // One that was kept may have been taken back; one that is new is no better the next time.
            if is_new || refused.is_some() || exchange.status != Some(StatusCode::UNAUTHORIZED) {
                return Ok(exchange);
            }
            refused = Some(token.number);
        }
    }

    fn judge(&self, exchange: &Exchange, jar: &Cookies, asked: &Asked) -> Outcome {
        let mut report = match &exchange.result {
            Err(failure) => match explain(failure) {
                Outcome::Answered(report) => report,
                fault @ Outcome::Faulted(_) => return fault,
            },
            Ok(answer) => self.expect.judge(exchange, answer),
        };
        found::tell(exchange, &mut report);
        found::put(exchange, jar, asked, &mut report.found);
        Outcome::Answered(report)
    }

    /// Asks every address of the name at once. The worst decides, and what is known of it is told.
    async fn each_address(&self, around: &Circumstances<'_>) -> (Exchange, Outcome) {
        let url = &self.request.url;
        let mut trace = Trace::new(around.deadline);
        let guard = Guard::allow_all();
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let dial = Dial { host, port, family: self.request.family, guard: &guard };
        let addresses = match self.client.connector().addresses(&dial, &mut trace).await {
            Ok(addresses) => addresses,
            Err(failure) => {
                let outcome = explain(&failure);
                return (Exchange::unsent(url, trace, failure), outcome);
            }
        };
        let resolving = trace.phases.resolve;
        let looks = addresses.iter().map(|address| {
            let request = Request { to: Some(To::Address(address.ip())), ..self.request.clone() };
            async move {
                let jar = Arc::new(Cookies::default());
                Box::pin(self.ask(request, &jar, resolving, around)).await
            }
        });
        let looked = join_all(looks).await;
        let parts: Vec<Part> = addresses
            .iter()
            .zip(&looked)
            .map(|(address, (_, outcome))| Part {
                name: address.ip().to_string(),
                status: match outcome {
                    Outcome::Answered(report) => report.status,
                    Outcome::Faulted(_) => Answer::Fail,
                },
                message: outcome.message().to_owned(),
            })
            .collect();
        worst(parts, looked)
    }
}

/// The outcome of all from the outcomes of each, of which there is at least one.
fn worst(parts: Vec<Part>, looked: Vec<(Exchange, Outcome)>) -> (Exchange, Outcome) {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Answered(report) if report.status == Answer::Fail => 3,
        Outcome::Faulted(_) => 2,
        Outcome::Answered(report) if report.status == Answer::Warn => 1,
        Outcome::Answered(_) => 0,
    };
    let all = parts.len();
    let bad = parts.iter().filter(|part| part.status != Answer::Pass).count();
    // Of several that are as bad, the first.
    let (at, (exchange, mut outcome)) = looked
        .into_iter()
        .enumerate()
        .max_by_key(|(at, (_, outcome))| (rank(outcome), usize::MAX - at))
        .expect("a name leads to an address at least");
    let name = &parts[at].name;
    let told = |message: &str| match (bad, all) {
        (_, 1) => format!("`{name}`, its one address: {message}"),
        (0, _) => format!("{message} (each of {all} addresses)"),
        _ => format!("{bad} of {all} addresses are not as expected; `{name}`: {message}"),
    };
    match &mut outcome {
        Outcome::Faulted(fault) => fault.message = told(&fault.message),
        Outcome::Answered(report) => {
            report.message = told(&report.message);
            #[expect(clippy::cast_precision_loss, reason = "there are 16 at most")]
            report.observations.extend([
                Observation::new("addresses", all as f64, ""),
                Observation::new("addresses-not-passing", bad as f64, ""),
            ]);
            report.parts = parts;
        }
    }
    (exchange, outcome)
}
