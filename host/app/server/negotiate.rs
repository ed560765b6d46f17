//! Which format a client gets: `?format=`, `Accept`.
//!
//! Of several types that a client takes equally well it gets the one that it named most exactly, then
//! the one that it named first, then the first of our table.

use std::cmp::Reverse;
use std::sync::LazyLock;

use http::header::{ACCEPT, HeaderValue, VARY};
use wellcheck_core::format::{FORMATS, Format, by_name};

use super::accept::{MediaType, Ranges, essence};
use super::{Answer, Asked};

const JSON: &str = "application/json";

/// What was chosen.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// The place of the format in [`FORMATS`].
    pub(super) format: usize,
    /// Instead of the format's own media type.
    pub(super) media_type: Option<HeaderValue>,
    /// Whether it depends on `Accept`.
    pub(super) by_accept: bool,
}

/// Why there is no format for a request: 406, with the list of formats.
#[derive(Debug)]
pub(super) enum Refusal {
    /// `?format=` names none.
    Unknown(String),
    /// `Accept` takes none.
    NotAcceptable,
}

/// Chooses a format for a request.
///
/// # Errors
/// Where there is none for it.
pub(super) fn choose(asked: &Asked<'_>) -> Result<Choice, Refusal> {
    if asked.query.is_some()
        && let Some(name) = asked.values("format").into_iter().next()
    {
        // `+` in a query is a space to those who decode it.
        return match by_name(&name.replace(' ', "+")) {
            Some((format, _)) => Ok(Choice { format, media_type: None, by_accept: false }),
            None => Err(Refusal::Unknown(name)),
        };
    }
    let unasked = Choice { format: 0, media_type: None, by_accept: true };
    let Some(first) = asked.headers.get(ACCEPT) else { return Ok(unasked) };
    // What most programs send that do not care.
    if first == "*/*" && asked.headers.get_all(ACCEPT).iter().nth(1).is_none() {
        return Ok(unasked);
    }
    match best(&TABLE, &Ranges::of(asked.headers)) {
        Verdict::Unasked => Ok(unasked),
        Verdict::Taken(kind) => {
            Ok(Choice { format: kind.format, media_type: kind.instead.clone(), by_accept: true })
        }
        Verdict::Nothing => Err(Refusal::NotAcceptable),
    }
}

// ── What can be served ──────────────────────────────────────────────────────────────────────────

/// A media type that a format is served by.
#[derive(Debug)]
struct Kind {
    format: usize,
    media_type: MediaType<'static>,
    /// Whether nobody else claims it: a format that only happens to be of this type comes after it.
    owned: bool,
    /// Sent in `Content-Type`, where it is not the format's own.
    instead: Option<HeaderValue>,
}

static TABLE: LazyLock<Vec<Kind>> = LazyLock::new(|| table(FORMATS));

fn table(formats: &[&dyn Format]) -> Vec<Kind> {
    let same = |a: &str, b: &str| essence(a).eq_ignore_ascii_case(essence(b));
    let claims = |format: &dyn Format, kind: &str| {
        format.accepts().iter().any(|accepted| same(accepted, kind))
    };
    let mut table = Vec::new();
    for (index, format) in formats.iter().enumerate() {
        let claimed = formats.iter().any(|other| claims(*other, format.media_type()));
        let owned = claims(*format, format.media_type()) || !claimed;
        table.push(Kind::new(index, format.media_type(), owned, None));
        let others = format.accepts().iter().filter(|kind| !same(kind, format.media_type()));
        let mut others: Vec<&'static str> = others.copied().collect();
        // Plain JSON is the default unless a format says that it is its own.
        if index == 0 && !formats.iter().any(|other| claims(*other, JSON)) {
            others.push(JSON);
        }
        table.extend(others.into_iter().map(|kind| {
            let instead = (kind == JSON).then(|| HeaderValue::from_static(JSON));
            Kind::new(index, kind, true, instead)
        }));
    }
    // Those that claim a type come before those that are merely of it.
    if table.iter().any(|kind| kind.instead.is_some()) {
        let json = |kind: &Kind| kind.media_type.is(JSON) && kind.instead.is_none();
        for kind in table.iter_mut().filter(|kind| json(kind)) {
            kind.owned = false;
        }
    }
    table
}

impl Kind {
    fn new(format: usize, text: &'static str, owned: bool, instead: Option<HeaderValue>) -> Self {
        Self { format, media_type: MediaType::read(text), owned, instead }
    }
}

// ── What is chosen ──────────────────────────────────────────────────────────────────────────────

enum Verdict<'t> {
    /// Nothing that can be understood.
    Unasked,
    Taken(&'t Kind),
    /// It takes none of them.
    Nothing,
}

fn best<'t>(table: &'t [Kind], ranges: &Ranges<'_>) -> Verdict<'t> {
    if ranges.is_empty() {
        return Verdict::Unasked;
    }
    let rated = table.iter().enumerate().filter_map(|(order, kind)| {
        let rated = ranges.rated(&kind.media_type)?;
        Some(((rated, kind.owned, Reverse(order)), kind))
    });
    match rated.max_by_key(|(rank, _)| *rank) {
        Some((_, kind)) => Verdict::Taken(kind),
        None => Verdict::Nothing,
    }
}

// ── What is said where nothing fits ─────────────────────────────────────────────────────────────

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let known: Vec<&str> = FORMATS.iter().map(|format| format.name()).collect();
        let known = known.join(", ");
        match refusal {
            Refusal::Unknown(name) => {
                let shown: String = name.chars().take(40).collect();
                let message = format!("unknown format `{shown}` (known formats: {known})");
                not_acceptable("unknown-format", &message)
            }
            Refusal::NotAcceptable => {
                let message = format!(
                    "no format has a media type that `Accept` takes (known formats: {known}; `?format=` chooses one too)"
                );
                let vary = HeaderValue::from_static("accept");
                not_acceptable("not-acceptable", &message).with(VARY, vary)
            }
        }
    }
}

fn not_acceptable(code: &str, message: &str) -> Answer {
    let formats = FORMATS.iter().map(|format| {
        let mut kinds = vec![format.media_type()];
        kinds.extend(format.accepts().iter().filter(|kind| **kind != essence(format.media_type())));
        serde_json::json!({ "format": format.name(), "media-types": kinds })
    });
    let formats: Vec<serde_json::Value> = formats.collect();
    let error = serde_json::json!({ "code": code, "message": message, "formats": formats });
    Answer::json(406, &serde_json::json!({ "error": error }))
}

#[cfg(test)]
mod tests;
