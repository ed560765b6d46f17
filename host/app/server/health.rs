//! `/health` and what lies below it: endpoints with everything, in every format.

use wellcheck_core::format::by_name;

use super::endpoints::{Depends, send};
use super::{Answer, App, Asked, negotiate};

/// The aggregate.
pub(super) fn all(app: &App, asked: &Asked<'_>) -> Answer {
    match negotiate::choose(asked) {
        Ok(choice) => {
            let published = app.shared.load();
            let rendered = published.aggregate(choice.format);
            let depends = Depends { accept: choice.by_accept, token: false };
            send(asked.headers, rendered, choice.media_type, depends)
        }
        Err(refusal) => refusal.into(),
    }
}

/// The aggregate as Genesis has it.
pub(super) fn genesis(app: &App, asked: &Asked<'_>) -> Answer {
    let (index, _) = by_name("genesis").expect("in the table of formats");
    let published = app.shared.load();
    send(asked.headers, published.aggregate(index), None, Depends::default())
}

/// One check or group.
pub(super) fn one(app: &App, asked: &Asked<'_>) -> Answer {
    let published = app.shared.load();
    let Some(item) = published.snapshot.item(asked.name) else {
        return Answer::unknown_item(asked.name);
    };
    match negotiate::choose(asked) {
        Ok(choice) => {
            let rendered = published.item(item, choice.format);
            let depends = Depends { accept: choice.by_accept, token: false };
            send(asked.headers, &rendered, choice.media_type, depends)
        }
        Err(refusal) => refusal.into(),
    }
}
