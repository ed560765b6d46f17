//! What a client takes: `Accept` and `Accept-Encoding`, for everything that answers in several ways.
//!
//! As RFC 9110 has it: of the media ranges that fit a type the most specific one decides, `q=0`
//! excludes, and what is malformed is as if it were not there. Only so many ranges are looked at,
//! whatever a client sends.

use std::cmp::Reverse;

use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};
use wellcheck_core::exposition::Dialect;

/// How exactly a range without parameters names a type; less is a `*`.
const NAMED: usize = 2;

/// Most media ranges and content codings that are looked at; further ones are ignored.
pub(super) const MAX_RANGES: usize = 64;

/// The dialect of metrics that a client gets: OpenMetrics if it names it, in a version that we have,
/// and likes it better than plain text. Whoever takes anything gets plain text.
pub(super) fn dialect(headers: &HeaderMap) -> Dialect {
    let ranges = Ranges::of(headers);
    let liking = |dialect: Dialect| ranges.liking(&MediaType::read(dialect.media_type()));
    let (open, text) = (liking(Dialect::OpenMetrics), liking(Dialect::Prometheus));
    match open.exactness >= NAMED && open > text {
        true => Dialect::OpenMetrics,
        false => Dialect::Prometheus,
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

/// A media type without its parameters.
pub(super) fn essence(kind: &str) -> &str {
    kind.split(';').next().unwrap_or_default().trim()
}

/// A media type that something can be served by.
#[derive(Debug)]
pub(super) struct MediaType<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// Such as `version=0.0.4`.
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> MediaType<'a> {
    /// Of one of our own, such as `text/plain; charset=utf-8`.
    pub(super) fn read(text: &'a str) -> Self {
        let (kind, subtype) = essence(text).split_once('/').unwrap_or_default();
        let parameters = Parts::of(text, b';').skip(1).filter_map(|part| parameter(part.trim()));
        Self { kind, subtype, parameters: parameters.collect() }
    }

    /// Whether it is this one, whatever the parameters.
    pub(super) fn is(&self, essence: &str) -> bool {
        essence.split_once('/') == Some((self.kind, self.subtype))
    }
}

/// How much a client likes a media type; by default, not at all. The greater is liked better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Liking {
    /// Thousandths; never 0, save by default.
    quality: u16,
    /// How exactly it was named, since `*/*` besides is no wish.
    exactness: usize,
}

/// What a client takes.
#[derive(Debug)]
pub(super) struct Ranges<'a>(Vec<Range<'a>>);

impl<'a> Ranges<'a> {
    /// From all lines of `Accept`.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        Self::read(lines(headers, &ACCEPT))
    }

    /// From the lines of a header.
    pub(super) fn read(lines: impl Iterator<Item = &'a str>) -> Self {
        Self(parts_of(lines).filter_map(Range::read).collect())
    }

    /// Whether it says nothing that can be understood.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How much a media type is liked.
    pub(super) fn liking(&self, media_type: &MediaType<'_>) -> Liking {
        self.rated(media_type).map(|(liking, _)| liking).unwrap_or_default()
    }

    /// How much a media type is liked, and then how early it was named; nothing if it is not taken.
    pub(super) fn rated(&self, media_type: &MediaType<'_>) -> Option<(Liking, Reverse<usize>)> {
        let fitting = self.0.iter().enumerate().filter_map(|(position, range)| {
            Some((range.fits(media_type)?, range.quality, Reverse(position)))
        });
        let (exactness, quality, position) = fitting.max()?;
        (quality > 0).then_some((Liking { quality, exactness }, position))
    }
}

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
    fn fits(&self, media_type: &MediaType<'_>) -> Option<usize> {
        if self.kind == "*" {
            return Some(0);
        }
        if !self.kind.eq_ignore_ascii_case(media_type.kind) {
            return None;
        }
        if self.subtype == "*" {
            return Some(1);
        }
        if !self.subtype.eq_ignore_ascii_case(media_type.subtype) {
            return None;
        }
        let mut exactness = NAMED;
        let given = Parts::of(self.parameters, b';').filter_map(|part| parameter(part.trim()));
        for (name, value) in given.take_while(|(name, _)| !name.eq_ignore_ascii_case("q")) {
            // A parameter that the type does not have says nothing about it.
            let own = media_type.parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            match own {
                Some((_, own)) if own.eq_ignore_ascii_case(value) => exactness += 1,
                Some(_) => return None,
                None => {}
            }
        }
        Some(exactness)
    }
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

#[cfg(test)]
mod tests;
