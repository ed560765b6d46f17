//! Operators and functions in conditions: what they go with, and what they come to.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};
use regex::RegexBuilder;

use super::Mistake;
use super::compile::{Compiler, Path, call, numbered};
use super::path::json_path;
use super::token::shorten;
use super::types::Type;
use super::value::{self, Pattern};

/// Largest compiled pattern, in bytes.
const MAX_PATTERN: usize = 64 * 1024;

impl Compiler<'_> {
    pub(super) fn call(&mut self, tree: &mut IdedExpr) -> Result<Type, Mistake> {
        let place = self.place(tree);
        let Expr::Call(own) = &mut tree.expr else { return Ok(Type::Any) };
        if own.target.is_some() {
            return self.method(tree);
        }
        // What loops do with what they collect is CEL's own.
        let collects =
            |arg: &IdedExpr| matches!(&arg.expr, Expr::Ident(name) if name.starts_with('@'));
        if own.func_name == operators::ADD && own.args.first().is_some_and(collects) {
            let kind = self.check(&mut own.args[0])?;
            self.check(&mut own.args[1])?;
            return Ok(kind);
        }
        let kinds: Vec<Type> =
            own.args.iter_mut().map(|arg| self.check(arg)).collect::<Result<_, _>>()?;
        let wrong = |why: String| Err(Mistake::new(place, why));
        let name = own.func_name.as_str();
        let want = |index: usize, kind: &Type, what: &str| -> Result<(), Mistake> {
            if kinds[index].is(kind) {
                return Ok(());
            }
            let why = format!("{} stands where {what} is expected", kinds[index].described());
            Err(self.mistake(&own.args[index], why))
        };
        Ok(match (name, &*kinds) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [_, _]) => {
                want(0, &Type::Boolean, "true or false")?;
                want(1, &Type::Boolean, "true or false")?;
                Type::Boolean
            }
            (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, [_]) => {
                want(0, &Type::Boolean, "true or false")?;
                Type::Boolean
            }
            (operators::CONDITIONAL, [_, yes, no]) => {
                want(0, &Type::Boolean, "true or false")?;
                match (yes.compares(no), yes) {
                    (true, Type::Any) => no.clone(),
                    (true, _) => yes.clone(),
                    (false, _) => Type::Any,
                }
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                if !left.compares(right) {
                    return wrong(left.against(right));
                }
                // Only what comes from outside knows how to compare itself with a list.
                if matches!(own.args[0].expr, Expr::List(_)) {
                    own.args.swap(0, 1);
                }
                Type::Boolean
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                if !left.compares(right) {
                    return wrong(left.against(right));
                }
                if let Some(kind) = [left, right].into_iter().find(|kind| !kind.is_ordered()) {
                    return wrong(format!("{} is neither more nor less", kind.described()));
                }
                Type::Boolean
            }
            (operators::IN, [item, list]) => match list {
                Type::List(of) if item.compares(of) => Type::Boolean,
                Type::List(of) => return wrong(item.against(of)),
                Type::Any => Type::Boolean,
                Type::Text => {
                    let why = "`in` looks into a list (a text has `.contains(\"…\")`)".to_owned();
                    return wrong(why);
                }
                other => return wrong(format!("{} is no list to look into", other.described())),
            },
            (operators::INDEX, [of, index]) => match of {
                Type::Any => Type::Any,
                Type::List(item) if index.is(&Type::Number) => (**item).clone(),
                Type::List(_) => return wrong("a list has numbers from 0".to_owned()),
                other => return wrong(format!("{} is no list", other.described())),
            },
            (operators::NEGATE, [kind]) => {
                if !kind.is_number() {
                    return wrong(format!("{} has no minus", kind.described()));
                }
                let kind = kind.clone();
                number(&mut own.args[0]);
                kind
            }
            (
                sign @ (operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO),
                [left, right],
            ) => {
                let Some(kind) = left.reckoned(sign, right) else {
                    let shown = sign.trim_matches('_');
                    return wrong(format!(
                        "`{shown}` does not go with {} and {}",
                        left.described(),
                        right.described()
                    ));
                };
                if sign == operators::MODULO {
                    own.func_name = value::REST.to_owned();
                } else {
                    own.args.iter_mut().for_each(number);
                }
                kind
            }
            ("size", [of]) if of.has_size() => Type::Number,
            ("int" | "double", [of]) if of.is_number() || of.is(&Type::Text) => Type::Number,
            ("string", [of]) if of.is_number() || of.is(&Type::Text) => Type::Text,
            (name, _) => {
                let given: Vec<&str> = kinds.iter().map(Type::described).collect();
                let name = name.trim_matches('_').to_owned();
                let why = format!("`{name}` does not go with {}", given.join(" and "));
                return wrong(why);
            }
        })
    }

    fn method(&mut self, tree: &mut IdedExpr) -> Result<Type, Mistake> {
        let place = self.place(tree);
        let id = tree.id;
        let Expr::Call(own) = &mut tree.expr else { return Ok(Type::Any) };
        let Some(target) = &mut own.target else { return Ok(Type::Any) };
        let of = self.check(target)?;
        let kinds: Vec<Type> =
            own.args.iter_mut().map(|arg| self.check(arg)).collect::<Result<_, _>>()?;
        let written = match own.args.first().map(|arg| &arg.expr) {
            Some(Expr::Literal(LiteralValue::String(text))) => Some(text.inner().to_owned()),
            _ => None,
        };
        let arg_place = own.args.first().map_or(place, |arg| self.place(arg));
        let wrong = |why: String| Err(Mistake::new(place, why));
        Ok(match (own.func_name.as_str(), &*kinds) {
            ("size", []) if of.has_size() => Type::Number,
            ("lower", []) if of.is(&Type::Text) => {
                *tree = call(value::LOWER, vec![std::mem::take(&mut **target)], id);
                Type::Text
            }
            ("contains" | "startsWith" | "endsWith", [text])
                if of.is(&Type::Text) && text.is(&Type::Text) =>
            {
                Type::Boolean
            }
            ("contains", [item]) if matches!(of, Type::Any) && item.is(&Type::Any) => Type::Boolean,
            ("contains", [item]) => match &of {
                Type::List(own) if item.compares(own) => Type::Boolean,
                Type::List(own) => return wrong(item.against(own)),
                Type::Any => Type::Boolean,
                _ => return wrong(item.against(&of)),
            },
            ("matches", [_]) if of.is(&Type::Text) => {
                let Some(text) = written else {
                    let why = "a pattern is a text that stands there".to_owned();
                    return Err(Mistake::new(arg_place, why));
                };
                let pattern = RegexBuilder::new(&text)
                    .size_limit(MAX_PATTERN)
                    .dfa_size_limit(4 * MAX_PATTERN)
                    .nest_limit(50)
                    .build();
                let pattern = pattern.map_err(|error| {
                    let last = error.to_string();
                    let last =
                        last.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    let why = format!("`{}` is no pattern: {}", shorten(&text), shorten(last));
                    Mistake::new(arg_place, why)
                })?;
                let name = format!("r_{}", self.tables.patterns.len());
                self.tables.patterns.push(Pattern(pattern));
                let pattern = IdedExpr { id, expr: Expr::Ident(name) };
                *tree = call(value::MATCHES, vec![std::mem::take(&mut **target), pattern], id);
                Type::Boolean
            }
            ("path", [_]) => {
                let fact = match &target.expr {
                    Expr::Ident(name) if of.is(&Type::Any) => numbered(name, "f_"),
                    _ => None,
                };
                let (Some(fact), Some(text)) = (fact, written) else {
                    let why = "`path` goes with a fact of JSON and a JSONPath that stands there (for example `json.path(\"$.items[?@.state=='bad']\")`)";
                    return wrong(why.to_owned());
                };
                let path = json_path(&text).map_err(|why| Mistake::new(arg_place, why))?;
                let name = &self.tables.facts[fact].name;
                self.looks.pop_if(|look| look.label == *name);
                *tree =
                    IdedExpr { id, expr: Expr::Ident(format!("p_{}", self.tables.paths.len())) };
                self.tables.paths.push(Path { fact, path, text });
                Type::List(Box::new(Type::Any))
            }
            (name, _) => {
                let why = format!("`{name}` does not go with {}", of.described());
                return wrong(why);
            }
        })
    }
}

/// Makes a number of whatever number it is.
fn number(tree: &mut IdedExpr) {
    #[expect(clippy::cast_precision_loss, reason = "arithmetic is that of f64")]
    match &tree.expr {
        Expr::Literal(LiteralValue::Double(_)) => {}
        Expr::Literal(LiteralValue::Int(whole)) => {
            tree.expr = Expr::Literal(LiteralValue::Double((*whole.inner() as f64).into()));
        }
        _ => {
            let id = tree.id;
            *tree = call(value::NUMBER, vec![std::mem::take(tree)], id);
        }
    }
}
