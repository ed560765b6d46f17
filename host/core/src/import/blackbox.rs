//! `wellcheck import blackbox`: the modules of blackbox_exporter become `[[module]]`s of `/probe`.
//!
//! Modules keep their names, so that what Prometheus is told stays as it is. Those whose prober has
//! no kind here are left out as a whole.

mod dns;
mod fails;
mod http;
mod icmp;
mod pattern;
mod talk;

use std::time::Duration;

use super::context::{Context, Fields, shown};
use super::write::{self, Block, Item, Text};
use super::yaml::{self, Mark, Node, Pair};
use super::{Import, Imported, Options, timing};
use crate::config::{Problem, SourceFile};

pub(super) struct Blackbox;

impl Import for Blackbox {
    fn name(&self) -> &'static str {
        "blackbox"
    }

    fn summary(&self) -> &'static str {
        "modules of blackbox_exporter, as `[[module]]`s of `/probe`"
    }

    fn import(&self, file: &SourceFile, _: &Options) -> Result<Imported, Vec<Problem>> {
        import(&yaml::read(file)?, file)
    }
}

/// What the probers without a kind do, and what stands in for them.
const OTHER_PROBERS: &[(&str, &str)] = &[(
    "unix",
    "no kind talks to a Unix socket but `http` (`unix-socket`) and `docker`; the kind `exec` can",
)];

/// A target that nobody has: the file does not say which ones a module is for.
const NOBODY: &str = "target.invalid";

/// What tells a target something, so that a module must name the targets that it is for.
const ASKING: &[&str] = &[
    "headers",
    "metadata",
    "body",
    "body-file",
    "send",
    "script",
    "proxy",
    "basic",
    "oauth2",
    "tls-client-certificate",
];

const PROBERS: &[&str] = &["http", "tcp", "websocket", "dns", "icmp", "grpc", "unix"];

fn import(documents: &[Node], file: &SourceFile) -> Result<Imported, Vec<Problem>> {
    let mut context = Context::new(file);
    let mut blocks = Vec::new();
    match documents {
        [] => context.error(Mark::default(), "the file is empty (expected `modules`)"),
        [root, others @ ..] => {
            if let Some(other) = others.first() {
                context.error(other.mark, "a second document begins here (expected one)");
            }
            if let Some(mut root) = Fields::of(root, "the file", &mut context) {
                match root.fields("modules", &mut context) {
                    Some((modules, _)) => {
                        blocks = modules
                            .all()
                            .iter()
                            .filter_map(|pair| module(pair, &mut context))
                            .collect();
                    }
                    None => context.error(
                        Mark::default(),
                        "there are no `modules` (expected blackbox_exporter's configuration)",
                    ),
                }
                root.finish(&mut context);
            }
        }
    }
    let toml = write::render(context.base_name(), &blocks);
    context.done(toml)
}

fn module(pair: &Pair, context: &mut Context<'_>) -> Option<Block> {
    let what = format!("module `{}`", shown(&pair.key));
    let mut fields = Fields::of(&pair.node, &*what, context)?;
    let Some((prober, mark)) = fields.text("prober", context) else {
        context.error(pair.mark, format!("{what} has no `prober`"));
        return None;
    };
    if !PROBERS.contains(&prober) {
        let list = PROBERS.join(", ");
        let found = shown(prober);
        context.error(mark, format!("{what} has the prober `{found}` (expected one of {list})"));
        return None;
    }
    if let Some((_, why)) = OTHER_PROBERS.iter().find(|(name, _)| *name == prober) {
        context.note(pair.mark, format!("{what} with prober `{prober}` is left out: {why}"));
        return None;
    }
    let mut block = Block::new("[[module]]");
    block.put("name", Text::literal(&pair.key));
    block.put("kind", prober);
    if let Some((timeout, mark)) = timing::take(&mut fields, "timeout", context)
        && timeout > Duration::ZERO
    {
        if timeout > Duration::from_mins(2) {
            let message = format!("the timeout of {what} is longer than Prometheus waits");
            context.note(mark, message);
        }
        block.put("timeout", timing::show(timeout).as_str());
    }
    for other in PROBERS.iter().filter(|name| **name != prober) {
        if let Some(pair) = fields.take(other) {
            let message = format!("`{other}` of {what} is left out: its prober is `{prober}`");
            context.note(pair.mark, message);
        }
    }
    let own = fields.take(prober).map(|pair| &pair.node);
    let empty = Node { value: yaml::Value::Map(Vec::new()), mark: pair.mark };
    let settings = Fields::of(own.unwrap_or(&empty), &*what, context);
    fields.finish(context);
    let request = match prober {
        "http" => http::request(settings?, context),
        "tcp" => talk::tcp(settings?, context),
        "grpc" => talk::grpc(settings?, context),
        "dns" => dns::request(settings?, context),
        "icmp" => icmp::request(settings?, context),
        _ => talk::websocket(settings?, context),
    };
    request.put(&mut block);
    if block.has_any(ASKING) || block.refers() {
        block.put("targets", Item::List(vec![NOBODY.into()]));
        let message = format!(
            "{what} sends what is nobody else's business, so that it asks no target that is not listed: put yours in the place of `{NOBODY}`"
        );
        context.note(pair.mark, message);
    }
    context.note_once(
        pair.mark,
        "`/probe` asks only what a module allows: write `targets` for what is to be reached at \
         private addresses",
    );
    Some(block)
}

#[cfg(test)]
mod tests;
