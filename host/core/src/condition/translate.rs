//! From tokens to CEL's own text: facts, constants and names get names that CEL understands, and
//! where each came from is kept, so that a mistake is shown where it stands.
//!
//! A fact becomes `f_N`, whether it is there `h_N`, a duration or size `c_N`, a name that a
//! condition introduces (`items.all(i, …)`) `v_NAME`; members of JSON stay members.

use super::Mistake;
use super::token::{Kind, Token, shorten, split};
use crate::config::problem::{did_you_mean, known};
use crate::fact::{FactKey, Shape};

/// What may be called on a value.
const METHODS: &[&str] =
    &["contains", "startsWith", "endsWith", "matches", "size", "path", "lower"];

/// Those that introduce a name.
const MACROS: &[&str] = &["all", "exists", "exists_one", "map", "filter"];

/// What may be called by itself.
const FUNCTIONS: &[&str] = &["has", "size", "int", "double", "string"];

/// The words of CEL that no name may be.
const WORDS: &[&str] = &["true", "false", "null", "in"];

/// A fact that conditions mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mentioned {
    /// Its whole name: `header.x-request-id`.
    pub(super) name: String,
    pub(super) shape: Shape,
}

/// A number with a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Constant {
    Seconds(f64),
    Bytes(i64),
}

/// A condition in CEL.
#[derive(Debug, Default)]
pub(super) struct Translated {
    pub(super) cel: String,
    pub(super) constants: Vec<Constant>,
    /// Where each token begins: in the CEL, and in the condition.
    places: Vec<(usize, usize)>,
}

impl Translated {
    /// Where in the condition something stands, by its place in the CEL.
    pub(super) fn place(&self, at: usize) -> usize {
        let index = self.places.partition_point(|(cel, _)| *cel <= at);
        index.checked_sub(1).map_or(0, |index| self.places[index].1)
    }

    fn put(&mut self, text: &str, from: &Token) {
        self.places.push((self.cel.len(), from.start));
        self.cel.push_str(text);
        self.cel.push(' ');
    }
}

/// Translates one condition. The facts that it mentions are added to `mentioned`.
pub(super) fn translate(
    text: &str,
    facts: &[FactKey],
    mentioned: &mut Vec<Mentioned>,
) -> Result<Translated, Mistake> {
    let tokens = split(text)?;
    let mut translator =
        Translator { tokens: &tokens, facts, mentioned, out: Translated::default() };
    translator.all()?;
    Ok(translator.out)
}

struct Translator<'a> {
    tokens: &'a [Token],
    facts: &'a [FactKey],
    mentioned: &'a mut Vec<Mentioned>,
    out: Translated,
}

impl<'a> Translator<'a> {
    fn is(&self, index: usize, sign: &str) -> bool {
        self.tokens.get(index).is_some_and(|token| token.is(sign))
    }

    fn name(&self, index: usize) -> Option<&'a str> {
        self.tokens.get(index).and_then(Token::name)
    }

    fn all(&mut self) -> Result<(), Mistake> {
        // For each open parenthesis, the name that holds within it.
        let mut open: Vec<Option<String>> = Vec::new();
        let mut introduced = None;
        let mut index = 0;
        while let Some(token) = self.tokens.get(index) {
            match &token.kind {
                Kind::Sign(sign) => {
                    match *sign {
                        "(" | "[" => open.push(introduced.take()),
                        ")" | "]" => {
                            open.pop();
                        }
                        _ => {}
                    }
                    self.out.put(sign, token);
                }
                Kind::Number(number) => self.out.put(number, token),
                Kind::Duration(seconds) => self.constant(Constant::Seconds(*seconds), token),
                Kind::Size(bytes) => self.constant(Constant::Bytes(*bytes), token),
                Kind::Text(text) => self.out.put(&literal(text), token),
                Kind::Name(name) if index > 0 && self.is(index - 1, ".") => {
                    if self.is(index + 1, "(") {
                        introduced = self.method(index, name, &open)?;
                    } else if name.contains('-') || WORDS.contains(&name.as_str()) {
                        self.out.put(&format!("`{name}`"), token);
                    } else {
                        self.out.put(name, token);
                    }
                }
                Kind::Name(name) if WORDS.contains(&name.as_str()) => self.out.put(name, token),
                Kind::Name(name) if self.is(index + 1, "(") => {
                    self.function(index, name)?;
                    if name == "has"
                        && let Some((fact, next)) = self.fact(index + 2)
                        && self.is(next, ")")
                    {
                        self.out.put(&format!("h_{fact}"), token);
                        index = next;
                    } else {
                        self.out.put(name, token);
                    }
                }
                Kind::Name(name) if open.iter().flatten().any(|own| own == name) => {
                    self.out.put(&format!("v_{name}"), token);
                }
                Kind::Name(_) => {
                    let Some((fact, next)) = self.fact(index) else {
                        return Err(self.unknown(index));
                    };
                    let mentioned = &self.mentioned[fact];
                    if mentioned.shape != Shape::Json
                        && self.is(next, ".")
                        && !self.is(next + 2, "(")
                        && let Some(member) = self.name(next + 1)
                    {
                        let why = format!(
                            "`{}` has no `{}` (it is {})",
                            mentioned.name,
                            shorten(member),
                            described(mentioned.shape)
                        );
                        return Err(Mistake::new(self.tokens[next + 1].start, why));
                    }
                    self.out.put(&format!("f_{fact}"), token);
                    index = next - 1;
                }
            }
            index += 1;
        }
        Ok(())
    }

    fn constant(&mut self, constant: Constant, token: &Token) {
        let index = self.out.constants.len();
        self.out.constants.push(constant);
        self.out.put(&format!("c_{index}"), token);
    }

    fn function(&self, index: usize, name: &str) -> Result<(), Mistake> {
        if FUNCTIONS.contains(&name) {
            return Ok(());
        }
        let known = known("functions", name, FUNCTIONS.iter().copied());
        let why = format!("unknown function `{}` {known}", shorten(name));
        Err(Mistake::new(self.tokens[index].start, why))
    }

    /// A call on a value; returns the name that it introduces.
    fn method(
        &mut self,
        index: usize,
        name: &str,
        open: &[Option<String>],
    ) -> Result<Option<String>, Mistake> {
        let token = &self.tokens[index];
        self.out.put(name, token);
        if METHODS.contains(&name) {
            return Ok(None);
        }
        if !MACROS.contains(&name) {
            let all = METHODS.iter().chain(MACROS).copied();
            let why = format!("unknown function `{}` {}", shorten(name), known("ones", name, all));
            return Err(Mistake::new(token.start, why));
        }
        let (Some(own), true) = (self.name(index + 2), self.is(index + 3, ",")) else {
            let why = format!(
                "`{name}` wants a name and what holds of it (for example `.{name}(i, i.state == \"ok\")`)"
            );
            return Err(Mistake::new(token.start, why));
        };
        let taken = WORDS.contains(&own)
            || open.iter().flatten().any(|other| other == own)
            || self.facts.iter().any(|fact| fact.name.split('.').next() == Some(own));
        if own.contains('-') || taken {
            let why = format!(
                "`{}` cannot be the name here (expected one of letters, digits and `_` that no fact has)",
                shorten(own)
            );
            return Err(Mistake::new(self.tokens[index + 2].start, why));
        }
        Ok(Some(own.to_owned()))
    }

    /// The fact that begins with this token, by its number, and the token behind it.
    fn fact(&mut self, index: usize) -> Option<(usize, usize)> {
        let mut words = vec![self.name(index)?];
        let mut next = index + 1;
        while self.is(next, ".") && !self.is(next + 2, "(") {
            let Some(word) = self.name(next + 1) else { break };
            words.push(word);
            next += 2;
        }
        for count in (1..=words.len()).rev() {
            let name = words[..count].join(".");
            let next = index + 2 * count - 1;
            let exact = self.facts.iter().find(|fact| fact.name == name);
            if let Some(fact) = exact.filter(|fact| !fact.name.ends_with(".*")) {
                return Some((self.mention(name, fact.shape), next));
            }
            let family = |begin: &str| {
                let of = |fact: &&FactKey| fact.name.strip_suffix(".*") == Some(begin);
                self.facts.iter().find(of).map(|fact| fact.shape)
            };
            // `detail["server version"]`
            if let Some(Kind::Text(text)) = self.tokens.get(next + 1).map(|token| &token.kind)
                && self.is(next, "[")
                && self.is(next + 2, "]")
                && let Some(shape) = family(&name)
            {
                return Some((self.mention(format!("{name}.{text}"), shape), next + 3));
            }
            if let Some((begin, _)) = name.rsplit_once('.')
                && let Some(shape) = family(begin)
            {
                return Some((self.mention(name, shape), next));
            }
        }
        None
    }

    fn mention(&mut self, name: String, shape: Shape) -> usize {
        let place = self.mentioned.iter().position(|other| other.name == name);
        place.unwrap_or_else(|| {
            self.mentioned.push(Mentioned { name, shape });
            self.mentioned.len() - 1
        })
    }

    fn unknown(&self, index: usize) -> Mistake {
        let mut words = vec![self.name(index).unwrap_or_default()];
        let mut next = index + 1;
        while self.is(next, ".") && !self.is(next + 2, "(") {
            let Some(word) = self.name(next + 1) else { break };
            words.push(word);
            next += 2;
        }
        let name = words.join(".");
        let names = || self.facts.iter().map(|fact| fact.name);
        let at = self.tokens[index].start;
        let list = names().collect::<Vec<_>>().join(", ");
        let hint = match name.as_str() {
            "and" => "write `&&`".to_owned(),
            "or" => "write `||`".to_owned(),
            "not" => "write `!`".to_owned(),
            _ => match did_you_mean(&name, names()) {
                Some(word) => format!("known facts: {list}; did you mean `{word}`?"),
                None if name.contains('-') => {
                    format!("known facts: {list}; spaces go around a minus")
                }
                None => format!("known facts: {list}"),
            },
        };
        Mistake::new(at, format!("unknown fact `{}` ({hint})", shorten(&name)))
    }
}

/// For messages: `a whole number`.
pub(super) fn described(shape: Shape) -> &'static str {
    match shape {
        Shape::Boolean => "true or false",
        Shape::Integer => "a whole number",
        Shape::Number => "a number",
        Shape::Duration => "a duration",
        Shape::Size => "a size",
        Shape::Text => "text",
        Shape::Texts => "a list of texts",
        Shape::Json => "JSON",
    }
}

/// A text as CEL writes it, in ASCII alone.
fn literal(text: &str) -> String {
    use std::fmt::Write as _;
    let mut shown = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            ' '..='~' => shown.push(c),
            _ => {
                let _ = write!(shown, "\\U{:08x}", u32::from(c));
            }
        }
    }
    shown.push('"');
    shown
}
