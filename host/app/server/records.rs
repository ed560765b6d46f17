//! `GET /api/v1/checks/{name}/records` and `/api/v1/checks/{name}/records/{number}`: the last runs
//! of a check that failed. What targets answered stands in them, which may be confidential: they are
//! told to those who have a token of the role `operate`, and to nobody without one.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::config::Role;

use super::{Answer, App, Asked, Body, Problem, access};

/// Lists the records of a check, newest first.
pub(super) fn list<'a>(app: &'a App, asked: &'a Asked<'a>, _: Body) -> BoxFuture<'a, Answer> {
    let list = || {
        admit(app, asked)?;
        let list = app.records.list(asked.name);
        Ok(Answer::json(200, &serde_json::json!({ "check": asked.name, "records": list })))
    };
    std::future::ready(list().unwrap_or_else(|problem: Problem| problem.into())).boxed()
}

/// One record.
pub(super) fn one<'a>(app: &'a App, asked: &'a Asked<'a>, _: Body) -> BoxFuture<'a, Answer> {
    let one = || {
        admit(app, asked)?;
        let number = asked.path.rsplit('/').next().and_then(|text| text.parse().ok());
        match number.and_then(|number| app.records.get(asked.name, number)) {
            Some(json) => Ok(Answer::json_bytes(200, json)),
            None => {
                let message = "there is no such record (any more; `GET /api/v1/checks/NAME/records` lists them)";
                Err(Problem::new(404, "unknown-record", message))
            }
        }
    };
    std::future::ready(one().unwrap_or_else(|problem: Problem| problem.into())).boxed()
}

fn admit(app: &App, asked: &Asked<'_>) -> Result<(), Problem> {
    let tokens = &app.live.load().tokens;
    if tokens.is_empty() {
        let message = "no token is configured, so that records are told to nobody (`wellcheck token` makes a `[[token]]`)";
        return Err(Problem::new(403, "no-token-configured", message));
    }
    let by = access::check(tokens, asked.headers, Role::Operate)?;
    if app.shared.load().snapshot.check(asked.name).is_none() {
        return Err(Problem::unknown_check(asked.name));
    }
    tracing::info!(token = %by, check = asked.name, "records");
    Ok(())
}
