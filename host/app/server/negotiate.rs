//! Which format a client gets, and whether it takes gzip: `?format=`, `Accept`, `Accept-Encoding`.
//!
//! As RFC 9110 has it: of the media ranges that fit a type the most specific one decides, `q=0`
//! excludes, and what is malformed is as if it were not there. Of several types that a client takes
//! equally well it gets the one that it named most exactly, then the one that it named first, then
//! the first of our table. Only so many ranges are looked at, whatever a client sends.

use std::cmp::Reverse;
use std::sync::LazyLock;

use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, VARY};
use wellcheck_core::format::{FORMATS, Format, by_name};

use super::{Answer, Asked};

/// Most media ranges and content codings that are looked at; further ones are ignored.
const MAX_RANGES: usize = 64;

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
    match best(&TABLE, lines(asked.headers, &ACCEPT)) {
        Verdict::Unasked => Ok(unasked),
        Verdict::Taken(kind) => {
            Ok(Choice { format: kind.format, media_type: kind.instead.clone(), by_accept: true })
        }
        Verdict::Nothing => Err(Refusal::NotAcceptable),
    }
}

/// Whether a client takes a body in gzip at least as well as it is.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    if !headers.contains_key(ACCEPT_ENCODING) {
        return false;
    }
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for part in parts_of(lines(headers, &ACCEPT_ENCODING)) {
        let mut words = Parts::of(part, b';').map(str::trim);
        let coding = words.next().unwrap_or_default();
        let Some(quality) = quality_of(words) else { continue };
        let slot = match coding {
            "*" => &mut any,
            coding if coding.eq_ignore_ascii_case("identity") => &mut identity,
            coding if ["gzip", "x-gzip"].iter().any(|gzip| coding.eq_ignore_ascii_case(gzip)) => {
                &mut gzip
            }
            _ => continue,
        };
        *slot = Some(quality);
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// The lines of a header that are text.
fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// The parts between commas that are not empty, as many as are looked at.
fn parts_of<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let parts = lines.flat_map(|line| Parts::of(line, b',')).map(str::trim);
    parts.filter(|part| !part.is_empty()).take(MAX_RANGES)
}

// ── What can be served ──────────────────────────────────────────────────────────────────────────

/// A media type that a format is served by.
#[derive(Debug)]
struct Kind {
    format: usize,
    kind: String,
    subtype: String,
    /// Such as `version=0.0.4`.
    parameters: Vec<(String, String)>,
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
        let mut others: Vec<&str> = others.copied().collect();
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
    let json_is_taken = |kind: &Kind| kind.kind == "application" && kind.subtype == "json";
    if table.iter().any(|kind| kind.instead.is_some()) {
        for kind in table.iter_mut().filter(|kind| json_is_taken(kind) && kind.instead.is_none()) {
            kind.owned = false;
        }
    }
    table
}

fn essence(kind: &str) -> &str {
    kind.split(';').next().unwrap_or_default().trim()
}

impl Kind {
    fn new(format: usize, text: &str, owned: bool, instead: Option<HeaderValue>) -> Self {
        let mut parts = Parts::of(text, b';').map(str::trim);
        let (kind, subtype) = parts.next().and_then(|t| t.split_once('/')).unwrap_or_default();
        let parameters = parts.filter_map(parameter);
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            format,
            kind: kind.to_owned(),
            subtype: subtype.to_owned(),
            parameters: parameters.collect(),
            owned,
            instead,
        }
    }
}

// ── What is asked for ───────────────────────────────────────────────────────────────────────────

/// One media range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// As written, from the first `;` on.
    parameters: &'a str,
    /// Thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (name, parameters) = text.split_at(text.find(';').unwrap_or(text.len()));
        let (kind, subtype) = name.trim().split_once('/')?;
        let fits = |word: &str| word == "*" || (!word.is_empty() && word.bytes().all(is_token));
        if !fits(kind) || !fits(subtype) || (kind == "*" && subtype != "*") {
            return None;
        }
        let quality = quality_of(Parts::of(parameters, b';').map(str::trim))?;
        Some(Self { kind, subtype, parameters, quality })
    }

    /// How exactly it names a type; nothing if it does not.
    fn fits(&self, kind: &Kind) -> Option<usize> {
        if self.kind == "*" {
            return Some(0);
        }
        if !self.kind.eq_ignore_ascii_case(&kind.kind) {
            return None;
        }
        if self.subtype == "*" {
            return Some(1);
        }
        if !self.subtype.eq_ignore_ascii_case(&kind.subtype) {
            return None;
        }
        let mut exactness = 2;
        let given = Parts::of(self.parameters, b';').filter_map(|part| parameter(part.trim()));
        for (name, value) in given.take_while(|(name, _)| !name.eq_ignore_ascii_case("q")) {
            // A parameter that the type does not have says nothing about it.
            let own = kind.parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            match own {
                Some((_, own)) if own.eq_ignore_ascii_case(value) => exactness += 1,
                Some(_) => return None,
                None => {}
            }
        }
        Some(exactness)
    }
}

enum Verdict<'t> {
    /// Nothing that can be understood.
    Unasked,
    Taken(&'t Kind),
    /// It takes none of them.
    Nothing,
}

fn best<'t, 'a>(table: &'t [Kind], lines: impl Iterator<Item = &'a str>) -> Verdict<'t> {
    let ranges: Vec<Range<'a>> = parts_of(lines).filter_map(Range::read).collect();
    if ranges.is_empty() {
        return Verdict::Unasked;
    }
    let rated = table.iter().enumerate().filter_map(|(order, kind)| {
        let fitting = ranges.iter().enumerate().filter_map(|(position, range)| {
            Some((range.fits(kind)?, range.quality, Reverse(position)))
        });
        let (exactness, quality, position) = fitting.max()?;
        let rank = (quality, exactness, position, kind.owned, Reverse(order));
        (quality > 0).then_some((rank, kind))
    });
    match rated.max_by_key(|(rank, _)| *rank) {
        Some((_, kind)) => Verdict::Taken(kind),
        None => Verdict::Nothing,
    }
}

/// The weight among parameters, in thousandths; nothing if it is none.
fn quality_of<'a>(mut parameters: impl Iterator<Item = &'a str>) -> Option<u16> {
    let weight = parameters.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then_some(value.trim())
    });
    weight.map_or(Some(1000), thousandths)
}

/// `0`, `0.5`, `1.000`: at most three digits behind the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > 3 || !rest.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let rest: u16 = if rest.is_empty() { 0 } else { format!("{rest:0<3}").parse().ok()? };
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(1000),
        _ => None,
    }
}

/// A name and its value, without quotes.
fn parameter(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    Some((name.trim(), value.trim().trim_matches('"')))
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// The parts of a text between separators that stand in no quoted string.
struct Parts<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Parts<'a> {
    const fn of(text: &'a str, separator: u8) -> Self {
        Self { rest: Some(text), separator }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.take()?;
        let (mut quoted, mut escaped) = (false, false);
        for (index, byte) in text.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                // A separator is ASCII, so that it stands between characters.
                _ if byte == self.separator && !quoted => {
                    self.rest = Some(&text[index + 1..]);
                    return Some(&text[..index]);
                }
                _ => {}
            }
        }
        Some(text)
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
