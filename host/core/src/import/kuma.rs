//! `wellcheck import kuma`: the monitors of Uptime Kuma become checks, its groups `[[group]]`s.
//!
//! What is read is the backup of version 1 (`monitorList`), or the list of monitors as the clients
//! of version 2's API write it: its monitors have the same keys. A monitor there has the keys of all
//! types at once, so that those of other types are passed over, and so is what says nothing:
//! `null`, `false`, 0 and what is empty.

mod monitor;
mod request;
mod service;

use std::collections::BTreeMap;

use super::context::{Context, Fields, shown};
use super::json;
use super::names::{Names, put_title};
use super::write::{self, Block, Item};
use super::yaml::{Mark, Node, Pair, Value};
use super::{Import, Imported, Options};
use crate::config::{Problem, Problems, SourceFile};
use crate::group::{MAX_DEPTH, MAX_MEMBERS};

pub(super) struct Kuma;

impl Import for Kuma {
    fn name(&self) -> &'static str {
        "kuma"
    }

    fn summary(&self) -> &'static str {
        "monitors of Uptime Kuma, out of a backup or a list of monitors, as checks and groups"
    }

    fn import(&self, file: &SourceFile, _: &Options) -> Result<Imported, Vec<Problem>> {
        let mut problems = Problems::default();
        match json::parse(file, &mut problems) {
            Some(root) => import(&[tree(&root)], file),
            None => Err(problems.sorted()),
        }
    }
}

/// What a backup holds besides monitors.
const LEFT_OUT: &[(&str, &str)] = &[
    ("notificationList", "nobody is told of changes yet"),
    ("dockerHostList", "the daemon is named by the `socket` of each check"),
    ("statusPageList", "there is nothing to set about pages"),
    ("maintenanceList", "windows are written by hand, as `[[maintenance]]`"),
    ("tagList", "tags stand at their monitors"),
];

/// The same tree as others read it; JSON's words stand without quotes there.
fn tree(node: &json::Node) -> Node {
    let mark = |place: &crate::config::tree::Place| Mark { line: place.line, column: place.column };
    let plain = |text: &str| Value::Scalar { text: text.to_owned(), plain: true };
    let value = match &node.value {
        json::Value::Null => plain("null"),
        json::Value::Boolean(value) => plain(if *value { "true" } else { "false" }),
        json::Value::Number(text) => plain(text),
        json::Value::String(text) => Value::Scalar { text: text.clone(), plain: false },
        json::Value::Array(items) => Value::List(items.iter().map(tree).collect()),
        json::Value::Object(members) => {
            let pair = |member: &json::Member| Pair {
                key: member.name.clone(),
                mark: mark(&member.place),
                node: tree(&member.node),
            };
            Value::Map(members.iter().map(pair).collect())
        }
    };
    Node { value, mark: mark(&node.place) }
}

fn import(documents: &[Node], file: &SourceFile) -> Result<Imported, Vec<Problem>> {
    let mut context = Context::new(file);
    let mut blocks = Vec::new();
    if let Some(root) = documents.first() {
        let (monitors, proxies) = match &root.value {
            Value::List(list) => (list.iter().collect(), Vec::new()),
            _ => whole(root, &mut context),
        };
        blocks = all(&monitors, &proxies, &mut context);
    }
    let toml = write::render(context.base_name(), &blocks);
    context.done(toml)
}

/// The monitors and proxies of a backup.
fn whole<'a>(root: &'a Node, context: &mut Context<'_>) -> (Vec<&'a Node>, Vec<&'a Node>) {
    let Some(mut fields) = Fields::of(root, "the file", context) else { return Default::default() };
    let monitors = fields.take("monitorList").or_else(|| fields.take("monitors"));
    let list = |pair: &'a Pair| match &pair.node.value {
        Value::List(list) => list.iter().collect(),
        // By their numbers, as they travel over the API.
        Value::Map(pairs) => pairs.iter().map(|pair| &pair.node).collect(),
        _ => Vec::new(),
    };
    if monitors.is_none() {
        context.error(
            Mark::default(),
            "there is no `monitorList` (expected a backup of Uptime Kuma, or a list of monitors)",
        );
    }
    let proxies = fields.take("proxyList").map(list).unwrap_or_default();
    // Which version wrote it makes no difference.
    fields.take("version");
    fields.leave_out(LEFT_OUT, context);
    fields.finish(context);
    (monitors.map(list).unwrap_or_default(), proxies)
}

/// A group, while its members are being found.
struct Group<'a> {
    node: &'a Node,
    name: String,
    title: String,
    parent: Option<&'a str>,
    members: Vec<Item>,
}

fn all(monitors: &[&Node], proxies: &[&Node], context: &mut Context<'_>) -> Vec<Block> {
    let mut names = Names::default();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    for node in monitors.iter().filter(|node| text(node, "type") == Some("group")) {
        let Some((title, id)) = text(node, "name").zip(text(node, "id")) else { continue };
        by_id.insert(id, groups.len());
        let (name, title) = (names.give(title), title.to_owned());
        let parent = text(node, "parent");
        groups.push(Group { node, name, title, parent, members: Vec::new() });
    }
    let mut blocks = Vec::new();
    for (index, node) in monitors.iter().enumerate() {
        let Some(check) = monitor::read(node, index, proxies, &mut names, context) else {
            continue;
        };
        let group = text(node, "parent").and_then(|id| by_id.get(id));
        // A check that is off does not exist for groups.
        if let Some(group) = group.filter(|_| check.enabled) {
            join(&mut groups[*group], &check.name, node.mark, context);
        }
        blocks.push(check.block);
    }
    nest(&mut groups, &by_id, context);
    for group in groups {
        if group.members.is_empty() {
            let title = shown(&group.title);
            let message = format!("group `{title}` is left out: nothing is in it");
            context.note(group.node.mark, message);
            continue;
        }
        let mut block = Block::new("[[group]]");
        block.put("name", group.name.as_str());
        put_title(&mut block, &group.name, &group.title);
        block.put("members", Item::List(group.members));
        blocks.push(block);
    }
    blocks
}

/// Groups within groups: the innermost first, so that one with nothing in it is no member.
fn nest(groups: &mut [Group<'_>], by_id: &BTreeMap<&str, usize>, context: &mut Context<'_>) {
    let depth = |group: &Group<'_>| {
        let mut parent = group.parent;
        let mut depth = 0;
        while let Some(index) = parent.and_then(|id| by_id.get(id)) {
            depth += 1;
            if depth > MAX_DEPTH {
                break;
            }
            parent = groups[*index].parent;
        }
        depth
    };
    let mut order: Vec<(usize, usize)> =
        groups.iter().enumerate().map(|(index, group)| (depth(group), index)).collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    for (depth, index) in order {
        let Some(parent) = groups[index].parent.and_then(|id| by_id.get(id)).copied() else {
            continue;
        };
        if depth >= MAX_DEPTH {
            let title = shown(&groups[index].title);
            let message = format!(
                "group `{title}` is in no other group: it is deeper than {MAX_DEPTH}, or in itself"
            );
            context.note(groups[index].node.mark, message);
        } else if !groups[index].members.is_empty() {
            let (name, mark) = (groups[index].name.clone(), groups[index].node.mark);
            join(&mut groups[parent], &name, mark, context);
        }
    }
}

fn join(group: &mut Group<'_>, member: &str, mark: Mark, context: &mut Context<'_>) {
    if group.members.len() < MAX_MEMBERS {
        group.members.push(member.into());
    } else {
        let (name, title) = (&group.name, shown(&group.title));
        let message = format!(
            "`{member}` is no member of group `{name}` (`{title}`): a group has at most {MAX_MEMBERS}"
        );
        context.note(mark, message);
    }
}

/// A text, or a number as a text.
fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key)?.text().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
