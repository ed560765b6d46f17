//! A reader of both dialects that is stricter than those of others, which the tests hold the text
//! against.

use std::collections::{BTreeMap, BTreeSet};

use super::Dialect;

/// Name, labels, value.
pub(crate) type Sample = (String, BTreeMap<String, String>, f64);

/// Reads an exposition, or says what is wrong with it.
pub(crate) fn read(text: &str, dialect: Dialect) -> Result<Vec<Sample>, String> {
    let open = dialect == Dialect::OpenMetrics;
    let body = match (open, text.strip_suffix("# EOF\n")) {
        (true, None) => return Err("no end".to_owned()),
        (true, Some(body)) => body,
        (false, _) => text,
    };
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    if body.chars().any(|c| c.is_control() && c != '\n') {
        return Err("a control character".to_owned());
    }
    let mut samples = Vec::new();
    let (mut series, mut families) = (BTreeSet::new(), BTreeSet::new());
    let (mut family, mut kind) = (String::new(), String::new());
    for line in body.lines() {
        let problem = |what: &str| Err(format!("{what}: {line}"));
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (word, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let value = words.next().unwrap_or("");
            match word {
                "HELP" if !families.insert(name.to_owned()) => {
                    return problem("a second family");
                }
                "HELP" => family = name.to_owned(),
                "TYPE" if name == family => kind = value.to_owned(),
                "UNIT" if open && name.ends_with(&format!("_{value}")) && name == family => {}
                _ => return problem("no line of a head"),
            }
            continue;
        }
        let Some((sample, rest)) = read_sample(line) else { return problem("no sample") };
        if !rest.is_empty() {
            return problem("something follows");
        }
        let suffix = match (open, kind.as_str()) {
            (true, "counter") => "_total",
            (true, "info") => "_info",
            _ => "",
        };
        if sample.0 != format!("{family}{suffix}") {
            return problem("no sample of its family");
        }
        if kind == "counter" && !(sample.0.ends_with("_total") && sample.2 >= 0.0) {
            return problem("no counter");
        }
        if !series.insert((sample.0.clone(), sample.1.clone())) {
            return problem("a second sample of a series");
        }
        samples.push(sample);
    }
    Ok(samples)
}

fn read_name(text: &str) -> Option<(&str, &str)> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, rest))
}

fn read_sample(line: &str) -> Option<(Sample, &str)> {
    let (name, mut rest) = read_name(line)?;
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = read_name(rest)?;
            let mut value = String::new();
            let mut chars = after.strip_prefix("=\"")?.chars();
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => value.push(match chars.next()? {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        _ => return None,
                    }),
                    c => value.push(c),
                }
            }
            if value.is_empty() || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            rest = chars.as_str();
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let number = rest.strip_prefix(' ')?;
    let end = number.find(' ').unwrap_or(number.len());
    let (number, rest) = number.split_at(end);
    Some(((name.to_owned(), labels, number.parse().ok()?), rest))
}
