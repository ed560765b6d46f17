//! `/health` and what lies below it.

use wellcheck_core::format::{FORMATS, Format, Selection, by_name};

use super::{Answer, App, Asked, Problem};

/// The aggregate.
pub(super) fn all(app: &App, asked: &Asked<'_>) -> Answer {
    match format(asked) {
        Ok((index, format)) => aggregate(app, index, format),
        Err(problem) => problem.into(),
    }
}

/// The aggregate as Genesis has it.
pub(super) fn genesis(app: &App, _asked: &Asked<'_>) -> Answer {
    let (index, format) = by_name("genesis").expect("in the table of formats");
    aggregate(app, index, format)
}

fn aggregate(app: &App, index: usize, format: &'static dyn Format) -> Answer {
    let published = app.shared.load();
    let rendered = published.aggregate(index);
    Answer::new(rendered.code, format.media_type(), rendered.body.clone())
}

/// One check.
pub(super) fn one(app: &App, asked: &Asked<'_>) -> Answer {
    let published = app.shared.load();
    let Some(item) = published.snapshot.item(asked.name) else {
        return Answer::unknown_check(asked.name);
    };
    match format(asked) {
        Ok((_, format)) => {
            let selection = Selection::item(&published.snapshot, item);
            let body = format.render(&selection);
            Answer::new(format.code(&selection), format.media_type(), body.into())
        }
        Err(problem) => problem.into(),
    }
}

fn format(asked: &Asked<'_>) -> Result<(usize, &'static dyn Format), Problem> {
    let values = asked.query.map(|_| asked.values("format")).unwrap_or_default();
    let Some(name) = values.first() else { return Ok((0, FORMATS[0])) };
    // `+` in a query is a space to those who decode it.
    by_name(&name.replace(' ', "+")).ok_or_else(|| {
        let known: Vec<&str> = FORMATS.iter().map(|format| format.name()).collect();
        let shown: String = name.chars().take(40).collect();
        let message = format!("unknown format `{shown}` (known formats: {})", known.join(", "));
        Problem::new(406, "unknown-format", message)
    })
}
