//! From CEL's tree to a condition that is ready to be asked: what it may do is checked, and what can
//! be done once is done once.
//!
//! - Types, as far as the shapes of facts tell: a number is not compared with text, a duration not
//!   with a bare number, and in the end there is `true` or `false`.
//! - Patterns and JSONPath are compiled. Numbers in arithmetic are of one sort.
//! - `has(json.a.b)` is false also where there is no `a`.
//! - Loops do not stand within loops, and the tree is not deep.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators,
};
use serde_json_path::JsonPath;

use super::Mistake;
use super::token::shorten;
use super::translate::{Constant, Mentioned, Translated, translate};
use super::types::Type;
use super::value::{self, Pattern};
use crate::fact::FactKey;

/// Deepest tree.
const MAX_DEPTH: usize = 40;

/// What conditions have in common: the facts that they mention, and what was compiled for them.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) facts: Vec<Mentioned>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) paths: Vec<Path>,
}

/// A JSONPath over a fact.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) fact: usize,
    pub(super) path: JsonPath,
    /// As written.
    pub(super) text: String,
}

/// A condition, ready to be asked.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) tree: IdedExpr,
    /// The values that it looks at, for messages: as written, and how to get them.
    pub(super) looks: Vec<Look>,
    /// The size of what it does for each item of a list.
    pub(super) each: i64,
}

/// A value that a condition looks at.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) label: String,
    pub(super) tree: IdedExpr,
    pub(super) kind: Type,
}

/// Compiles one condition.
pub(super) fn compile(
    text: &str,
    facts: &[FactKey],
    tables: &mut Tables,
) -> Result<Compiled, Mistake> {
    let translated = translate(text, facts, &mut tables.facts)?;
    let parser = value::env()
        .parser()
        .enable_optional_syntax(false)
        .enable_ident_escape_syntax(true)
        .error_recovery_limit(1);
    let parsed = parser.parse_with_source_info(&translated.cel).map_err(|errors| {
        let first = errors.errors.first();
        let column = first.map_or(0, |error| usize::try_from(error.pos.1 - 1).unwrap_or(0));
        let end = translated.cel.trim_end().len();
        let at = if column >= end { text.len() } else { translated.place(column) };
        let found: String = text[at..].split_whitespace().next().unwrap_or_default().to_owned();
        let near = if found.is_empty() {
            "it ends too early".to_owned()
        } else {
            format!("`{}` does not fit there", shorten(&found))
        };
        Mistake::new(at, format!("{near} (expected for example `status >= 500 || latency > 2s`)"))
    });
    let (mut tree, source) = parsed?;
    let mut depth = Depth { most: 0 };
    depth.of(&tree, 1);
    if depth.most > MAX_DEPTH {
        return Err(Mistake::new(0, format!("it is nested more than {MAX_DEPTH} deep")));
    }
    let mut compiler = Compiler {
        translated: &translated,
        source: &source,
        tables,
        names: Vec::new(),
        looks: Vec::new(),
        each: 1,
    };
    let kind = compiler.check(&mut tree)?;
    if !kind.is(&Type::Boolean) {
        let why = format!("it is {} (expected a comparison, true or false)", kind.described());
        return Err(compiler.mistake(&tree, why));
    }
    let Compiler { looks, each, .. } = compiler;
    Ok(Compiled { tree, looks, each })
}

struct Depth {
    most: usize,
}

impl Depth {
    fn of(&mut self, tree: &IdedExpr, depth: usize) {
        self.most = self.most.max(depth);
        for child in children(&tree.expr) {
            self.of(child, depth + 1);
        }
    }
}

fn children(expr: &Expr) -> Vec<&IdedExpr> {
    match expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Comprehension(c) => {
            vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result]
        }
        _ => Vec::new(),
    }
}

fn nodes(tree: &IdedExpr) -> usize {
    1 + children(&tree.expr).into_iter().map(nodes).sum::<usize>()
}

pub(super) fn numbered(name: &str, begin: &str) -> Option<usize> {
    name.strip_prefix(begin)?.parse().ok()
}

pub(super) fn call(name: &str, args: Vec<IdedExpr>, id: u64) -> IdedExpr {
    IdedExpr { id, expr: Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }) }
}

/// Compiles one condition.
pub(super) struct Compiler<'a> {
    translated: &'a Translated,
    source: &'a SourceInfo,
    pub(super) tables: &'a mut Tables,
    /// What loops introduce.
    names: Vec<(String, Type)>,
    pub(super) looks: Vec<Look>,
    each: i64,
}

impl Compiler<'_> {
    pub(super) fn mistake(&self, tree: &IdedExpr, why: impl Into<String>) -> Mistake {
        Mistake::new(self.place(tree), why)
    }

    /// Where something begins: of an operator, its first operand.
    pub(super) fn place(&self, tree: &IdedExpr) -> usize {
        self.begin(tree).map_or(0, |at| self.translated.place(at))
    }

    /// Where it begins in the CEL.
    fn begin(&self, tree: &IdedExpr) -> Option<usize> {
        let own = self.source.offset_for(tree.id).map(|(start, _)| start as usize);
        let below = children(&tree.expr).into_iter().filter_map(|child| self.begin(child));
        own.into_iter().chain(below).min()
    }

    /// Remembers a value that is looked at, in place of what it is a part of.
    fn look(&mut self, tree: &IdedExpr, kind: &Type) {
        let Some(label) = self.label(tree) else { return };
        for child in children(&tree.expr) {
            if let Some(part) = self.label(child)
                && self.looks.last().is_some_and(|look| look.label == part)
            {
                self.looks.pop();
            }
        }
        if self.looks.iter().all(|look| look.label != label) {
            self.looks.push(Look { label, tree: tree.clone(), kind: kind.clone() });
        }
    }

    /// What a path that begins with a fact is called.
    fn label(&self, tree: &IdedExpr) -> Option<String> {
        match &tree.expr {
            Expr::Ident(name) => match (numbered(name, "f_"), numbered(name, "p_")) {
                (Some(fact), _) => Some(self.tables.facts[fact].name.clone()),
                (_, Some(path)) => {
                    let path = &self.tables.paths[path];
                    let fact = &self.tables.facts[path.fact].name;
                    Some(format!("{fact}.path(\"{}\")", path.text))
                }
                _ => None,
            },
            Expr::Select(select) if !select.test => {
                Some(format!("{}.{}", self.label(&select.operand)?, select.field))
            }
            Expr::Call(call) => match (call.func_name.as_str(), &call.target, &*call.args) {
                (operators::INDEX, None, [of, index]) => {
                    let of = self.label(of)?;
                    match &index.expr {
                        Expr::Literal(LiteralValue::Int(index)) => {
                            Some(format!("{of}[{}]", index.inner()))
                        }
                        Expr::Literal(LiteralValue::String(name)) => {
                            Some(format!("{of}[\"{}\"]", name.inner()))
                        }
                        _ => None,
                    }
                }
                ("size", Some(of), []) => Some(format!("{}.size()", self.label(of)?)),
                ("size", None, [of]) => Some(format!("size({})", self.label(of)?)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The type of a tree, which is made ready on the way.
    pub(super) fn check(&mut self, tree: &mut IdedExpr) -> Result<Type, Mistake> {
        let id = tree.id;
        let kind = match &mut tree.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Type::Boolean,
                LiteralValue::Int(_) | LiteralValue::Double(_) => Type::Number,
                LiteralValue::String(_) => Type::Text,
                LiteralValue::Null => Type::Null,
                LiteralValue::Bytes(_) | LiteralValue::UInt(_) => {
                    return Err(self.mistake(tree, "this sort of value is not known here"));
                }
            },
            Expr::Ident(name) => {
                if let Some(fact) = numbered(name, "f_") {
                    Type::of(&self.tables.facts[fact])
                } else if let Some(fact) = numbered(name, "h_") {
                    let value = IdedExpr { id, expr: Expr::Ident(format!("f_{fact}")) };
                    self.look(&value, &Type::of(&self.tables.facts[fact]));
                    return Ok(Type::Boolean);
                } else if let Some(constant) = numbered(name, "c_") {
                    let (literal, kind) = match self.translated.constants[constant] {
                        Constant::Seconds(s) => (LiteralValue::Double(s.into()), Type::Duration),
                        Constant::Bytes(bytes) => (LiteralValue::Int(bytes.into()), Type::Size),
                    };
                    tree.expr = Expr::Literal(literal);
                    kind
                } else {
                    let known = self.names.iter().rev().find(|(own, _)| own == name);
                    match known {
                        Some((_, kind)) => kind.clone(),
                        None => return Err(self.mistake(tree, "this name is not known here")),
                    }
                }
            }
            Expr::Select(select) => {
                let of = self.check(&mut select.operand)?;
                if !of.is(&Type::Any) {
                    let why = format!("{} has no members", of.described());
                    return Err(self.mistake(tree, why));
                }
                if select.test {
                    self.present(tree);
                    return Ok(Type::Boolean);
                }
                Type::Any
            }
            Expr::List(list) => {
                let mut kind = Type::Any;
                for (index, element) in list.elements.iter_mut().enumerate() {
                    let own = self.check(element)?;
                    if index > 0 && !own.compares(&kind) {
                        let why =
                            format!("a list holds {} beside {}", own.described(), kind.described());
                        return Err(self.mistake(tree, why));
                    }
                    kind = own;
                }
                Type::List(Box::new(kind))
            }
            Expr::Comprehension(_) => self.each(tree)?,
            Expr::Call(_) => self.call(tree)?,
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                return Err(self.mistake(tree, "this is not understood"));
            }
        };
        tree.id = id;
        self.look(tree, &kind);
        Ok(kind)
    }

    /// `has(json.a.b)`: also false where there is no JSON, no `a`, or nothing below it. CEL has a
    /// function for its loops that takes errors for true, which this is the opposite of.
    fn present(&mut self, tree: &mut IdedExpr) {
        let id = tree.id;
        let mut value = tree.clone();
        if let Expr::Select(select) = &mut value.expr {
            select.test = false;
        }
        self.look(&value, &Type::Any);
        let not = call(operators::LOGICAL_NOT, vec![std::mem::take(tree)], id);
        let not = call(operators::NOT_STRICTLY_FALSE, vec![not], id);
        *tree = call(operators::LOGICAL_NOT, vec![not], id);
    }

    /// A loop over a list.
    fn each(&mut self, tree: &mut IdedExpr) -> Result<Type, Mistake> {
        if !self.names.is_empty() {
            let why = "a loop stands within a loop (a JSONPath may find what both look for)";
            return Err(self.mistake(tree, why));
        }
        let place = self.place(tree);
        let Expr::Comprehension(own) = &mut tree.expr else { return Ok(Type::Any) };
        let ComprehensionExpr { iter_range, iter_var, accu_var, accu_init, .. } = &mut **own;
        let of = self.check(iter_range)?;
        let item = match of {
            Type::List(item) => *item,
            Type::Any => Type::Any,
            other => {
                let why = format!("{} is no list to go through", other.described());
                return Err(Mistake::new(place, why));
            }
        };
        // An empty list collects what comes; anything else is what it begins with.
        let result = match &accu_init.expr {
            Expr::List(_) => Type::List(Box::new(Type::Any)),
            _ => self.check(accu_init)?,
        };
        let looks = std::mem::take(&mut self.looks);
        self.names.extend([(iter_var.clone(), item), (accu_var.clone(), result)]);
        let each = nodes(&own.loop_step) + 1;
        let inner = [&mut own.loop_cond, &mut own.loop_step, &mut own.result];
        let checked = inner.into_iter().try_fold(Type::Any, |_, part| self.check(part));
        self.names.clear();
        let inner = std::mem::replace(&mut self.looks, looks);
        for look in inner {
            if self.looks.iter().all(|other| other.label != look.label) {
                self.looks.push(look);
            }
        }
        self.each = self.each.max(i64::try_from(each).unwrap_or(i64::MAX));
        checked
    }
}
