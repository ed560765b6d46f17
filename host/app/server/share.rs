//! `POST /api/v1/agent/share/http-healthcheck`, and `v2`: zrok's question about a share.
//!
//! The handler asks nobody itself: it hands the question over to [`Demand`](crate::demand::Demand).
//! A question about another environment is passed on to the instance that has it, once.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use wellcheck_core::config::{Config, Role};
use wellcheck_core::share::EnvironmentSpec;

use super::{Answer, App, Asked, Body, Problem, access};
use crate::demand::Undone;
use crate::share::{
    MEDIA_TYPE, Peer, Question, RELAYED, Verdict, longest, question, relay, verdict,
};

/// Largest question, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// What zrok says where an instance cannot be asked.
const UNREACHABLE: &str = "bad gateway; agent not reachable";

/// One question.
pub(super) fn healthcheck<'a>(
    app: &'a App,
    asked: &'a Asked<'a>,
    body: Body,
) -> BoxFuture<'a, Answer> {
    async move {
        match answer(app, asked, body).await {
            Ok(told) => Answer::new(200, MEDIA_TYPE, verdict(&told).into()),
            Err(answer) => answer,
        }
    }
    .boxed()
}

async fn answer(app: &App, asked: &Asked<'_>, body: Body) -> Result<Verdict, Answer> {
    let config = app.live.load_full();
    let name = admit(&config, asked.headers)?;
    media_type(asked.headers)?;
    let body = body.read(MAX_BODY).await?;
    let question = question(&body).map_err(|why| Problem::new(400, "question", why))?;
    let sharing = &config.sharing;
    let id = question.environment.as_str();
    let share = question.share.clone();
    let told = if id.is_empty() || sharing.environment.as_deref() == Some(id) {
        here(app, &config, question).await?
    } else if let Some(environment) = sharing.environment(id) {
        if asked.headers.contains_key(RELAYED) {
            tracing::info!(environment = %id, "not passed on: the question has been passed on before");
            return Err(unreachable());
        }
        there(app, &config, environment, asked.path, question).await?
    } else {
        let shown: String = id.chars().take(100).collect();
        let message = format!("there is no environment `{shown}` here");
        return Err(Problem::new(401, "unknown-environment", message).into());
    };
    let verdict = told.map_err(|mut error| {
        config.redactor.apply_to(&mut error);
        error
    });
    let title = sharing.share(&share).and_then(|share| share.title.as_deref());
    tracing::debug!(token = %name, ?share, title, ?verdict, "a share was asked about");
    Ok(verdict)
}

/// The name of the token that came in zrok's header, or in the one that all other routes take.
///
/// zrok knows one code for whoever may not ask, whatever the reason.
fn admit(config: &Config, headers: &HeaderMap) -> Result<String, Problem> {
    let mut bearer = HeaderMap::new();
    if let Some(token) = headers.get("x-token") {
        let value = [b"Bearer ", token.as_bytes()].concat();
        let value = HeaderValue::from_bytes(&value).expect("made of two values of headers");
        bearer.insert(AUTHORIZATION, value);
    } else if !headers.contains_key(AUTHORIZATION) && !config.tokens.is_empty() {
        return Err(Problem::new(401, "no-token", "expected `X-TOKEN: TOKEN`"));
    }
    let headers = if bearer.is_empty() { headers } else { &bearer };
    access::check(&config.tokens, headers, Role::Operate)
        .map_err(|problem| problem.with_status(401))
}

fn media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if [MEDIA_TYPE, "application/json"].iter().any(|known| known.eq_ignore_ascii_case(essence)) {
        return Ok(());
    }
    let shown: String = given.chars().take(100).collect();
    let message = format!("the body is `{shown}` (expected `{MEDIA_TYPE}` or `application/json`)");
    Err(Problem::new(415, "media-type", message))
}

async fn here(app: &App, config: &Arc<Config>, question: Question) -> Result<Verdict, Answer> {
    let (asker, config) = (app.asker.clone(), Arc::clone(config));
    let limit = question.timeout();
    let work = async move { asker.ask(&config.sharing, &question).await };
    app.demand.within(limit, work).await.map_err(undone)
}

async fn there(
    app: &App,
    config: &Arc<Config>,
    environment: &EnvironmentSpec,
    path: &str,
    question: Question,
) -> Result<Verdict, Answer> {
    let limit = longest(&question);
    let id = environment.id.clone();
    let (asker, environment) = (app.asker.clone(), environment.clone());
    let path = path.to_owned();
    let work = async move {
        let peer = Peer {
            base: environment.agent.as_str(),
            path: &path,
            token: Some(&environment.token),
            is_relayed: true,
        };
        relay(&asker, peer, &question).await
    };
    app.demand.within(limit, work).await.map_err(undone)?.map_err(|why| {
        // Whoever asks is told no more than zrok tells; who operates this may want to know.
        let why = config.redactor.apply(&why);
        tracing::info!(environment = %id, "the agent cannot be asked: {why}");
        unreachable()
    })
}

fn unreachable() -> Answer {
    Answer::text(502, UNREACHABLE)
}

fn undone(undone: Undone) -> Answer {
    let problem = match undone {
        Undone::Busy => {
            Problem::new(503, "busy", "too many questions are under way (ask again later)")
        }
        Undone::Late => Problem::new(500, "late", "the question was not answered in time"),
        Undone::Panicked => Problem::new(
            500,
            "internal",
            "the question could not be asked; this is a bug of wellcheck",
        ),
    };
    problem.into()
}
