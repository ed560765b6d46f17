//! `wellcheck import gatus`: endpoints become checks, their groups `[[group]]`s.

mod alerts;
mod client;
mod conditions;
mod endpoint;
pub(super) mod expression;
mod external;
mod text;
mod windows;

use std::collections::BTreeMap;

use super::context::{Context, Fields, shown};
use super::names::{Names, put_title};
use super::write::{self, Block, Item};
use super::yaml::{self, Mark, Node};
use super::{Import, Imported, Options};
use crate::config::{Problem, SourceFile};
use crate::group::MAX_MEMBERS;

pub(super) struct Gatus;

impl Import for Gatus {
    fn name(&self) -> &'static str {
        "gatus"
    }

    fn summary(&self) -> &'static str {
        "endpoints of Gatus, as checks and groups"
    }

    fn import(&self, file: &SourceFile, _: &Options) -> Result<Imported, Vec<Problem>> {
        import(&yaml::read(file)?, file)
    }
}

/// What is about Gatus itself rather than about what it looks at.
const LEFT_OUT: &[(&str, &str)] = &[
    (
        "suites",
        "write each as a check of the kind `steps`: `store` becomes `capture`, and `[CONTEXT].x` `{{x}}`",
    ),
    ("metrics", "metrics need no key"),
    ("storage", "nothing has to be said about where checks keep what they keep (`[store]`)"),
    ("announcements", "there are no announcements"),
    ("security", "who may change something is said by `[[token]]`"),
    ("concurrency", "checks do not wait for each other"),
    ("disable-monitoring-lock", "checks do not wait for each other"),
    ("skip-invalid-config-update", "a configuration with problems never replaces one that runs"),
    ("web", "where to listen is said by `[server] listen`"),
    ("ui", "there is nothing to set about pages"),
    ("remote", "other instances are not asked"),
    ("tunneling", "there are no tunnels"),
];

fn import(documents: &[Node], file: &SourceFile) -> Result<Imported, Vec<Problem>> {
    let mut context = Context::new(file);
    let mut blocks = Vec::new();
    match documents {
        [] => context.error(Mark::default(), "the file is empty (expected `endpoints`)"),
        [root, others @ ..] => {
            if let Some(other) = others.first() {
                context.error(other.mark, "a second document begins here (expected one)");
            }
            if let Some(root) = Fields::of(root, "the file", &mut context) {
                blocks = whole(root, &mut context);
            }
        }
    }
    let toml = write::render(context.base_name(), &blocks);
    context.done(toml)
}

fn whole(mut root: Fields<'_>, context: &mut Context<'_>) -> Vec<Block> {
    let alerting = root.take("alerting").is_some();
    let defaults = alerts::defaults(&mut root, context);
    let endpoints = root.list("endpoints", context);
    let externals = root.list("external-endpoints", context);
    let window = root.take("maintenance").map(|pair| &pair.node);
    let mut names = Names::default();
    let lists = [endpoints, externals].map(|list| list.map_or(&[][..], |(list, _)| list));
    let mut groups = Groups::new(lists.into_iter().flatten(), &mut names);
    let uplink = external::uplink(&mut root, &mut names, context);
    if endpoints.is_none() && externals.is_none() {
        // Gatus reads whole folders, of which one file may hold everything but endpoints.
        let known = LEFT_OUT.iter().any(|(key, _)| root.take(key).is_some());
        match known || alerting || window.is_some() || uplink.is_some() {
            true => context.note(Mark::default(), "there are no `endpoints` in this file"),
            false => context.error(
                Mark::default(),
                "there are no `endpoints` (expected the configuration of Gatus)",
            ),
        }
    }
    root.leave_out(LEFT_OUT, context);
    root.finish(context);
    let [endpoints, externals] = lists;
    let asked = endpoints.iter().enumerate().map(|(index, node)| (index, node, false));
    let pushed = externals.iter().enumerate().map(|(index, node)| (index, node, true));
    let mut blocks = Vec::new();
    let mut windows = Vec::new();
    for (index, node, external) in asked.chain(pushed) {
        let check = match external {
            true => external::read(node, index, &defaults, &mut names, context),
            false => endpoint::read(node, index, &defaults, &mut names, context),
        };
        let Some(mut check) = check else { continue };
        // A check that is off does not exist for groups.
        if check.enabled {
            groups.add(node, &check.name, context);
        }
        if let Some((uplink, _)) = uplink.as_ref().filter(|_| !external) {
            external::depend(&mut check.block, uplink);
        }
        blocks.push(check.block);
        windows.append(&mut check.windows);
    }
    blocks.extend(uplink.map(|(_, block)| block));
    blocks.extend(groups.blocks());
    blocks.extend(window.and_then(|node| windows::read(node, "`maintenance`", None, context)));
    blocks.append(&mut windows);
    blocks
}

/// The groups, in the order in which the file first names them.
struct Groups {
    list: Vec<Group>,
    by_title: BTreeMap<String, usize>,
}

struct Group {
    name: String,
    title: String,
    members: Vec<Item>,
}

impl Groups {
    /// Groups get their names before checks do, since there are fewer of them.
    fn new<'a>(endpoints: impl Iterator<Item = &'a Node>, names: &mut Names) -> Self {
        let mut groups = Self { list: Vec::new(), by_title: BTreeMap::new() };
        for title in endpoints.filter_map(title) {
            if !groups.by_title.contains_key(title) {
                groups.by_title.insert(title.to_owned(), groups.list.len());
                let (name, title) = (names.give(title), title.to_owned());
                groups.list.push(Group { name, title, members: Vec::new() });
            }
        }
        groups
    }

    fn add(&mut self, endpoint: &Node, check: &str, context: &mut Context<'_>) {
        let index = title(endpoint).and_then(|title| self.by_title.get(title));
        let Some(group) = index.and_then(|index| self.list.get_mut(*index)) else { return };
        if group.members.len() < MAX_MEMBERS {
            group.members.push(check.into());
        } else {
            let (name, title) = (&group.name, shown(&group.title));
            let message = format!(
                "`{check}` is no member of group `{name}` (`{title}`): a group has at most \
                 {MAX_MEMBERS}"
            );
            context.note(endpoint.mark, message);
        }
    }

    fn blocks(self) -> impl Iterator<Item = Block> {
        let with_members = self.list.into_iter().filter(|group| !group.members.is_empty());
        with_members.map(|group| {
            let mut block = Block::new("[[group]]");
            block.put("name", group.name.as_str());
            put_title(&mut block, &group.name, &group.title);
            block.put("members", Item::List(group.members));
            block
        })
    }
}

fn title(endpoint: &Node) -> Option<&str> {
    endpoint.get("group")?.text().filter(|title| !title.is_empty())
}

/// What an endpoint is called in messages.
fn what(node: &Node, index: usize) -> String {
    match node.get("name").and_then(Node::text) {
        Some(name) => format!("endpoint `{}`", shown(name)),
        None => format!("endpoint {}", index + 1),
    }
}

#[cfg(test)]
mod tests;
