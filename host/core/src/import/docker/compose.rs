//! Compose files: `healthcheck` of services, and who waits for whom to be healthy.
//!
//! Only these two keys of a service are read; images, networks and the rest are about running it.

use std::collections::BTreeMap;

use super::{Healthcheck, Owner, list, render};
use crate::config::{Problem, SourceFile};
use crate::import::command::Command;
use crate::import::context::{Context, Fields, shown};
use crate::import::names::Names;
use crate::import::write::Block;
use crate::import::yaml::{Mark, Node, Pair, Value};
use crate::import::{Imported, Options, timing};

/// A service whose health check became a check.
struct Made {
    service: String,
    name: String,
    block: Block,
    /// The services that must be healthy before it starts.
    after: Vec<(String, Mark)>,
}

pub(super) fn import(
    documents: &[Node],
    file: &SourceFile,
    options: &Options,
) -> Result<Imported, Vec<Problem>> {
    let mut context = Context::new(file);
    let mut made = Vec::new();
    match documents {
        [] => context.error(Mark::default(), "the file is empty (expected `services`)"),
        [root, others @ ..] => {
            if let Some(other) = others.first() {
                context.error(other.mark, "a second document begins here (expected one)");
            }
            made = whole(root, options, &mut context);
        }
    }
    let blocks = connect(made, &mut context);
    let toml = render(&blocks, &context);
    context.done(toml)
}

fn whole(root: &Node, options: &Options, context: &mut Context<'_>) -> Vec<Made> {
    let Some(services) = root.get("services").filter(|node| !node.is_null()) else {
        let message = "there are no `services` (expected a compose file, or a Dockerfile whose \
                       name says so)";
        context.error(root.mark, message);
        return Vec::new();
    };
    let include = root.pairs().unwrap_or_default().iter().find(|pair| pair.key == "include");
    if let Some(pair) = include.filter(|pair| !pair.node.is_null()) {
        let message = "`include` is left out: import the files that it names one by one";
        context.note(pair.mark, message);
    }
    let Some(services) = Fields::of(services, "`services`", context) else { return Vec::new() };
    let mut names = Names::default();
    let services = services.all().iter();
    services.filter_map(|pair| service(pair, options, &mut names, context)).collect()
}

fn service(
    pair: &Pair,
    options: &Options,
    names: &mut Names,
    context: &mut Context<'_>,
) -> Option<Made> {
    let service = shown(&pair.key);
    let node = &pair.node;
    if node.is_null() {
        return None;
    }
    let Some(pairs) = node.pairs() else {
        let message = format!("service `{service}` is {} (expected a map)", node.kind());
        context.error(node.mark, message);
        return None;
    };
    let there = |key: &str| pairs.iter().find(|pair| pair.key == key && !pair.node.is_null());
    if let Some(extends) = there("extends") {
        let message = format!(
            "`extends` of service `{service}` is left out: a health check that it brings must be \
             imported from where it stands"
        );
        context.note(extends.mark, message);
    }
    let after = there("depends_on").map(|pair| depends_on(pair, &service, context));
    let check = there("healthcheck");
    let made = check.and_then(|check| healthcheck(check, pair, options, names, context));
    let Some((name, block)) = made else {
        for (other, mark) in after.unwrap_or_default() {
            let message = format!(
                "that service `{service}` waits for `{}` is left out: it has no check here",
                shown(&other)
            );
            context.note(mark, message);
        }
        return None;
    };
    Some(Made { service: pair.key.clone(), name, block, after: after.unwrap_or_default() })
}

fn healthcheck(
    check: &Pair,
    service: &Pair,
    options: &Options,
    names: &mut Names,
    context: &mut Context<'_>,
) -> Option<(String, Block)> {
    let what = format!("the health check of service `{}`", shown(&service.key));
    let mut fields = Fields::of(&check.node, &*what, context)?;
    let off = fields.boolean("disable", context);
    let mut duration = |key| duration(&mut fields, key, context);
    let settings = Healthcheck {
        interval: duration("interval"),
        timeout: duration("timeout"),
        start_period: duration("start_period"),
        start_interval: duration("start_interval"),
        retries: None,
    };
    let retries = number(&mut fields, context);
    let settings = Healthcheck { retries, ..settings };
    let test = fields.take("test").map(|pair| (&pair.node, pair.mark));
    fields.finish(context);
    if let Some((true, mark)) = off {
        context.note(mark, format!("{what} is switched off, so that there is nothing to look at"));
        return None;
    }
    let Some((test, mark)) = test else {
        let message = format!(
            "{what} is left out: it has no `test`, so that the one of the image counts, which is \
             not known here"
        );
        context.note(check.mark, message);
        return None;
    };
    let command = command(test, mark, &what, context)?;
    let host = options.hosts.get(&service.key).cloned();
    let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
    let owner = Owner { wanted: &service.key, what: &what, host, mark };
    settings.check(&command, &owner, names, context)
}

/// `test`: a line, or a list that begins with `CMD`, `CMD-SHELL` or `NONE`.
fn command(test: &Node, mark: Mark, what: &str, context: &mut Context<'_>) -> Option<Command> {
    if let Some(line) = test.text() {
        return Some(Command::Line(interpolated(line, mark, what, context)?));
    }
    let Value::List(nodes) = &test.value else {
        let kind = test.kind();
        context.error(mark, format!("`test` of {what} is {kind} (expected a text or a list)"));
        return None;
    };
    let mut words = Vec::new();
    for node in nodes {
        let Some(text) = node.text() else {
            let kind = node.kind();
            context.error(node.mark, format!("`test` of {what} holds {kind} (expected texts)"));
            return None;
        };
        words.push(interpolated(text, node.mark, what, context)?);
    }
    match words.split_first() {
        Some((first, _)) if first == "NONE" => {
            context
                .note(mark, format!("{what} is switched off, so that there is nothing to look at"));
            None
        }
        Some((first, rest)) if first == "CMD" => Some(Command::Words(rest.to_vec())),
        Some((first, [line])) if first == "CMD-SHELL" => Some(Command::Line(line.clone())),
        _ => {
            let message =
                format!("`test` of {what} does not begin with `CMD`, `CMD-SHELL` or `NONE`");
            context.error(mark, message);
            None
        }
    }
}

/// `${NAME:-default}` and the like become their defaults; `$$` is a `$` for the shell.
fn interpolated(text: &str, mark: Mark, what: &str, context: &mut Context<'_>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (name, default) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((content, after)) => {
                rest = after;
                match content.split_once(":-").or_else(|| content.split_once('-')) {
                    Some((name, default)) => (name, Some(default)),
                    None => (content, None),
                }
            }
            None => {
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let (name, after) = rest.split_at(rest.find(|c| !fits(c)).unwrap_or(rest.len()));
                rest = after;
                (name, None)
            }
        };
        let name = shown(name);
        let Some(default) = default else {
            let message = format!(
                "{what} is left out: it depends on the variable `{name}` (write its value)"
            );
            context.note(mark, message);
            return None;
        };
        let message = format!("the variable `{name}` of {what} is taken for its default");
        context.note(mark, message);
        out.push_str(default);
    }
    out.push_str(rest);
    Some(out)
}

/// A duration, unless it is a variable.
fn duration(
    fields: &mut Fields<'_>,
    key: &str,
    context: &mut Context<'_>,
) -> Option<(std::time::Duration, Mark)> {
    if is_variable(fields, key, context) {
        return None;
    }
    timing::take(fields, key, context)
}

fn number(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<(i64, Mark)> {
    if is_variable(fields, "retries", context) {
        return None;
    }
    fields.integer("retries", context)
}

fn is_variable(fields: &mut Fields<'_>, key: &str, context: &mut Context<'_>) -> bool {
    let pair = fields.take(key);
    let Some((pair, text)) = pair.and_then(|pair| Some((pair, pair.node.text()?))) else {
        return false;
    };
    if !text.contains('$') {
        return false;
    }
    let (what, text) = (fields.what(), shown(text));
    let message = format!("`{key}` of {what} is left out: it is the variable `{text}` (write it)");
    context.note(pair.mark, message);
    true
}

/// The services that must be healthy; the others need only have been started.
fn depends_on(pair: &Pair, service: &str, context: &mut Context<'_>) -> Vec<(String, Mark)> {
    let mut after = Vec::new();
    match &pair.node.value {
        // The short form waits for nothing but the start.
        Value::List(_) => {
            let message = format!(
                "`depends_on` of service `{service}` is left out: it waits for other services to be \
                 started, not to be healthy"
            );
            context.note(pair.mark, message);
        }
        Value::Map(services) => {
            for other in services {
                let condition = other.node.get("condition").and_then(Node::text);
                if condition == Some("service_healthy") {
                    after.push((other.key.clone(), other.mark));
                    continue;
                }
                let message = format!(
                    "that service `{service}` waits for `{}` is left out: nothing is known here of \
                     `{}`",
                    shown(&other.key),
                    shown(condition.unwrap_or("service_started"))
                );
                context.note(other.mark, message);
            }
        }
        _ => {
            let kind = pair.node.kind();
            let message =
                format!("`depends_on` of service `{service}` is {kind} (expected a list)");
            context.error(pair.mark, message);
        }
    }
    after
}

/// Writes who waits for whom, as far as both have checks.
fn connect(made: Vec<Made>, context: &mut Context<'_>) -> Vec<Block> {
    let names: BTreeMap<String, String> =
        made.iter().map(|made| (made.service.clone(), made.name.clone())).collect();
    if let Some(mark) = circle(&made) {
        context.error(mark, "services wait for each other in a circle");
        return Vec::new();
    }
    let mut blocks = Vec::new();
    for Made { service, mut block, after, .. } in made {
        let mut depends = Vec::new();
        for (other, mark) in after {
            match names.get(&other) {
                Some(name) => depends.push(name.clone()),
                None => {
                    let message = format!(
                        "that service `{}` waits for `{}` is left out: that one has no check here",
                        shown(&service),
                        shown(&other)
                    );
                    context.note(mark, message);
                }
            }
        }
        if !depends.is_empty() {
            block.put("start-after", list(depends));
        }
        blocks.push(block);
    }
    blocks
}

/// A place in a circle of services that wait for each other.
fn circle(made: &[Made]) -> Option<Mark> {
    let index: BTreeMap<&str, usize> =
        made.iter().enumerate().map(|(index, made)| (made.service.as_str(), index)).collect();
    // Whoever waits for nobody is taken away until nobody is left; those of a circle stay.
    let mut waiting: Vec<usize> = vec![0; made.len()];
    let mut waited_for: Vec<Vec<usize>> = vec![Vec::new(); made.len()];
    for (own, service) in made.iter().enumerate() {
        for other in service.after.iter().filter_map(|(other, _)| index.get(other.as_str())) {
            waiting[own] += 1;
            waited_for[*other].push(own);
        }
    }
    let mut free: Vec<usize> = (0..made.len()).filter(|own| waiting[*own] == 0).collect();
    while let Some(other) = free.pop() {
        for own in &waited_for[other] {
            waiting[*own] -= 1;
            if waiting[*own] == 0 {
                free.push(*own);
            }
        }
    }
    let stuck = waiting.iter().position(|count| *count > 0)?;
    made[stuck].after.first().map(|(_, mark)| *mark)
}
