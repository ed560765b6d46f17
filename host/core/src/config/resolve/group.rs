//! `[[group]]`, and the keys of a check that name other checks and groups.

use std::collections::{BTreeMap, BTreeSet};

use super::Resolver;
use super::check::one_line;
use super::timing::{MAX_INTERVAL, MIN_INTERVAL};
use crate::check::{CheckSpec, Origin, Start, Thresholds};
use crate::config::keys;
use crate::config::problem;
use crate::config::reader::Reader;
use crate::config::tree::{Place, Table, Text, Value};
use crate::group::{GroupSpec, MAX_DEPTH, MAX_MEMBERS, Member, Needs, UnknownMember};
use crate::id::CheckName;

const MAX_LABELS: usize = 16;

/// A key that names a check or a group, which must be there in the end.
pub(super) struct Named {
    pub(super) place: Place,
    /// Whose it is, for messages.
    pub(super) what: String,
    pub(super) key: &'static str,
    pub(super) name: String,
    /// Whether only a group will do.
    pub(super) only_group: bool,
    /// Whether it stands in a sidecar.
    pub(super) in_sidecar: bool,
}

impl Resolver<'_> {
    /// A list of names of checks or groups.
    pub(super) fn names(&mut self, reader: &mut Reader, key: &'static str) -> Vec<CheckName> {
        let texts = reader.texts(key, &mut self.problems);
        let what = reader.what().to_owned();
        texts.iter().filter_map(|text| self.name(&what, key, text, false)).collect()
    }

    fn name(
        &mut self,
        what: &str,
        key: &'static str,
        text: &Text,
        only_group: bool,
    ) -> Option<CheckName> {
        self.named.push(Named {
            place: text.place.clone(),
            what: what.to_owned(),
            key,
            name: text.value.clone(),
            only_group,
            in_sidecar: self.in_sidecar,
        });
        CheckName::new(&text.value).ok()
    }

    /// `labels`.
    pub(super) fn labels(&mut self, reader: &mut Reader) -> BTreeMap<String, String> {
        let place = reader.place_of("labels");
        let what = reader.what().to_owned();
        let mut labels = BTreeMap::new();
        for (name, text) in reader.text_table("labels", &mut self.problems) {
            match one_line(&name).and_then(|_| one_line(&text.value)) {
                Ok(value) => {
                    labels.insert(name, value);
                }
                Err(why) => self.problems.error(&text.place, format!("`labels` of {what}: {why}")),
            }
        }
        if labels.len() > MAX_LABELS {
            let found = labels.len();
            let message = format!("{what} has {found} labels (expected at most {MAX_LABELS})");
            self.problems.error(&place, message);
        }
        labels
    }

    /// When a check begins to run.
    pub(super) fn start(&mut self, reader: &mut Reader) -> Start {
        let after = self.names(reader, "start-after");
        let bounds = MIN_INTERVAL..=MAX_INTERVAL;
        let deadline = reader.duration("startup-deadline", bounds.clone(), &mut self.problems);
        let interval = reader.duration("startup-interval", bounds, &mut self.problems);
        let what = reader.what().to_owned();
        let with = reader.text("startup-with", &mut self.problems);
        let with = with.and_then(|text| self.name(&what, "startup-with", &text, true));
        let continuous = reader.boolean("continuous", &mut self.problems).unwrap_or(true);
        if interval.is_none() {
            let keys = [
                ("startup-with", with.is_some()),
                ("startup-deadline", deadline.is_some()),
                ("continuous", !continuous),
            ];
            for (key, given) in keys {
                if given {
                    let message = format!(
                        "{what} has `{key}` and no start-up phase (`startup-interval` gives it one)"
                    );
                    self.problems.error(&reader.place_of(key), message);
                }
            }
        }
        Start { after, interval, with, deadline, rests: !continuous }
    }

    pub(super) fn group(&mut self, table: Table) -> Option<GroupSpec> {
        let place = table.place.clone();
        let what = match table.entries.get("name").map(|entry| &entry.node.value) {
            Some(Value::String(name)) => format!("group `{}`", name.shown().escape_debug()),
            _ => "this group".to_owned(),
        };
        let mut reader = Reader::new(what.clone(), table, &[keys::GROUP]);
        if !reader.has("name") {
            reader.missing("name", &mut self.problems);
        }
        let name_place = reader.place_of("name");
        let name = reader.parsed("name", &mut self.problems, |text| {
            CheckName::new(&text.value).map_err(|error| error.to_string())
        });
        let title = self.title(&mut reader);
        let tags = reader.texts("tags", &mut self.problems).into_iter().map(|t| t.value).collect();
        let labels = self.labels(&mut reader);
        let members_place = reader.place_of("members");
        let mut members: Vec<Member> = Vec::new();
        let mut seen = BTreeSet::new();
        for name in self.names(&mut reader, "members") {
            if seen.insert(name.clone()) {
                members.push(Member { name, weight: 1 });
            } else {
                let message = format!("`members` of {what} names `{name}` twice");
                self.problems.error(&members_place, message);
            }
        }
        if members.len() > MAX_MEMBERS {
            let found = members.len();
            let message = format!("{what} has {found} members (expected at most {MAX_MEMBERS})");
            self.problems.error(&members_place, message);
        }
        self.weights(&mut reader, &mut members);
        let needs = self.needs(&mut reader);
        let unknown =
            reader.word("unknown", UnknownMember::WORDS, &mut self.problems).unwrap_or_default();
        let mut threshold = |key| {
            let number = reader.integer(key, 1..=100, &mut self.problems);
            number.and_then(|n| u32::try_from(n).ok()).unwrap_or(1)
        };
        let thresholds = Thresholds {
            failure: threshold("failure-threshold"),
            within: None,
            success: threshold("success-threshold"),
        };
        reader.finish(&[], &mut self.problems);
        let name = name?;
        self.claim("group", &name, &name_place).then_some(GroupSpec {
            name,
            title,
            tags,
            labels,
            members,
            needs,
            unknown,
            thresholds,
            place,
        })
    }

    fn weights(&mut self, reader: &mut Reader, members: &mut [Member]) {
        let what = reader.what().to_owned();
        let Some(mut table) = reader.table("weights", &mut self.problems) else { return };
        for member in members {
            let Some(entry) = table.entries.remove(member.name.as_str()) else { continue };
            let weight = match entry.node.value {
                Value::Integer(n) => u32::try_from(n).ok().filter(|n| *n <= 1000),
                _ => None,
            };
            match weight {
                Some(weight) => member.weight = weight,
                None => self.problems.error(
                    &entry.node.place,
                    format!(
                        "the weight of `{}` in {what} is not a whole number from 0 to 1000",
                        member.name
                    ),
                ),
            }
        }
        for (name, entry) in table.entries {
            let shown = name.escape_debug();
            let message = format!("`weights` of {what} names `{shown}`, which is no member");
            self.problems.error(&entry.key, message);
        }
    }

    fn needs(&mut self, reader: &mut Reader) -> Needs {
        let words = [("all", Needs::All), ("any", Needs::AtLeast(1))];
        let had_healthy = reader.has("healthy");
        let healthy = reader.word("healthy", &words, &mut self.problems);
        let place = reader.place_of("at-least");
        let what = reader.what().to_owned();
        let Some(entry) = reader.take("at-least") else { return healthy.unwrap_or_default() };
        if had_healthy {
            let message =
                format!("{what} has both `healthy` and `at-least` (expected one of them)");
            self.problems.error(&place, message);
        }
        let needs = match &entry.node.value {
            Value::Integer(n) => {
                let n = u32::try_from(*n).ok().filter(|n| (1..=100_000).contains(n));
                n.map(Needs::AtLeast)
            }
            Value::String(text) => {
                let share = text.value.strip_suffix('%').and_then(|n| n.trim().parse().ok());
                share.filter(|n| (1..=100).contains(n)).map(Needs::Percent)
            }
            _ => None,
        };
        needs.unwrap_or_else(|| {
            let message = format!("`at-least` of {what} is neither a number of members nor a share (expected for example 2 or \"60%\")");
            self.problems.error(&entry.node.place, message);
            Needs::All
        })
    }

    /// Whether everything is there that a key names. What is not counts as `unknown`, and refuses
    /// nothing: a plugin's file or a sidecar may bring it, or have taken it away.
    pub(super) fn find_named(&mut self, checks: &[CheckSpec], groups: &[GroupSpec]) {
        let groups_only: BTreeSet<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        let mut all = groups_only.clone();
        all.extend(checks.iter().map(|check| check.name.as_str()));
        for named in std::mem::take(&mut self.named) {
            let known = if named.only_group { &groups_only } else { &all };
            if known.contains(named.name.as_str()) {
                continue;
            }
            let noun = if named.only_group { "group" } else { "check or group" };
            // Likenesses cost something, and would not be shown.
            let like = match self.problems.is_full() {
                true => None,
                false => problem::did_you_mean(&named.name, known.iter().copied()),
            };
            let hint = match like {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("expected the name of a {noun}"),
            };
            let shown: String = named.name.chars().take(80).flat_map(char::escape_debug).collect();
            let message = format!(
                "`{}` of {} names `{shown}`, and there is no such {noun} ({hint})",
                named.key, named.what
            );
            // Groups stand in the configuration alone, and a name must be one.
            if named.only_group || CheckName::new(&named.name).is_err() {
                match named.in_sidecar {
                    true => self.problems.warning(&named.place, message),
                    false => self.problems.error(&named.place, message),
                }
            } else {
                let until = match named.key {
                    "exclude" => "",
                    "start-after" => "; until there is one, the check waits",
                    "depends-on" => "; until there is one, it is left out",
                    _ => "; until there is one, it counts as `unknown`",
                };
                let message = format!("{message}{until}");
                self.problems.warning(&named.place, message);
            }
        }
    }

    /// Groups that are in themselves, and groups that lie too deep.
    pub(super) fn circles(&mut self, groups: &[GroupSpec]) {
        let inside: BTreeMap<&str, &GroupSpec> =
            groups.iter().map(|group| (group.name.as_str(), group)).collect();
        let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
        for group in groups {
            let mut path = Vec::new();
            match depth(group, &inside, &mut depths, &mut path) {
                Ok(depth) if depth > MAX_DEPTH => {
                    let message = format!(
                        "group `{}` has groups within groups {depth} deep (expected at most {MAX_DEPTH})",
                        group.name
                    );
                    self.problems.error(&group.place, message);
                }
                Ok(_) => {}
                Err(()) => {
                    let message =
                        format!("group `{}` is within itself: {}", group.name, path.join(" > "));
                    self.problems.error(&group.place, message);
                    return;
                }
            }
        }
    }

    /// Checks that wait for themselves, so that they would never run, or that depend on themselves, so
    /// that nothing would be the cause. Such a circle of the configuration's own is an error; one that
    /// a sidecar closes holds back its check.
    pub(super) fn never_run(&mut self, checks: &mut [CheckSpec], groups: &[GroupSpec]) {
        type Edges = fn(&CheckSpec) -> &[CheckName];
        let kinds: [(&str, &str, Edges); 2] = [
            ("start-after", "waits", |check| &check.start.after),
            ("depends-on", "depends", |check| &check.depends_on),
        ];
        for (key, verb, edges) in kinds {
            let own = |check: &CheckSpec| check.origin == Origin::Configured;
            let preposition = if verb == "waits" { "for" } else { "on" };
            let why =
                format!("{verb} by `{key}` {preposition} itself, or {preposition} one that does");
            for name in in_circles(checks, groups, |check| own(check).then(|| edges(check))) {
                let Some(check) = checks.iter().find(|check| check.name == name) else { continue };
                let message = format!("check `{name}` {why}");
                self.problems.error(&check.place, message);
            }
            for name in in_circles(checks, groups, |check| Some(edges(check))) {
                let found = checks.binary_search_by(|check| check.name.cmp(&name));
                let Some(check) = found.ok().map(|index| &mut checks[index]) else { continue };
                if check.origin != Origin::Configured {
                    let message = format!("check `{name}` never runs: it {why}");
                    self.problems.warning(&check.place, message);
                    check.refused = Some(format!("it {why}"));
                }
            }
        }
    }
}

/// The checks that are in a circle, or lead to one, by name; `edges` says where a check leads to.
fn in_circles<'a>(
    checks: &'a [CheckSpec],
    groups: &'a [GroupSpec],
    edges: impl Fn(&'a CheckSpec) -> Option<&'a [CheckName]>,
) -> Vec<CheckName> {
    // Who waits for whom; what waits for nothing is taken away again and again.
    let mut waits: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let after = checks.iter().filter_map(|check| Some((check.name.as_str(), edges(check)?)));
    let known: BTreeSet<&str> = checks
        .iter()
        .map(|check| check.name.as_str())
        .chain(groups.iter().map(|group| group.name.as_str()))
        .collect();
    let mut add = |name, other| {
        if known.contains(other) {
            *waits.entry(name).or_default() += 1;
            wanted.entry(other).or_default().push(name);
        }
    };
    for (name, others) in after {
        others.iter().for_each(|other| add(name, other.as_str()));
    }
    for group in groups {
        let members = group.members.iter();
        members.for_each(|member| add(group.name.as_str(), member.name.as_str()));
    }
    let mut free: Vec<&str> =
        known.iter().copied().filter(|name| !waits.contains_key(name)).collect();
    while let Some(name) = free.pop() {
        for other in wanted.remove(name).unwrap_or_default() {
            if let Some(left) = waits.get_mut(other) {
                *left -= 1;
                if *left == 0 {
                    waits.remove(other);
                    free.push(other);
                }
            }
        }
    }
    let stuck = checks.iter().filter(|check| waits.contains_key(check.name.as_str()));
    stuck.map(|check| check.name.clone()).collect()
}

/// How deep groups lie in a group; an error where it is within itself, with the way there in `path`.
fn depth<'a>(
    group: &'a GroupSpec,
    groups: &BTreeMap<&'a str, &'a GroupSpec>,
    known: &mut BTreeMap<&'a str, usize>,
    path: &mut Vec<&'a str>,
) -> Result<usize, ()> {
    let name = group.name.as_str();
    if let Some(depth) = known.get(name) {
        return Ok(*depth);
    }
    let again = path.contains(&name);
    path.push(name);
    if again {
        return Err(());
    }
    let mut deepest = 0;
    for inner in group.members.iter().filter_map(|member| groups.get(member.name.as_str())) {
        deepest = deepest.max(depth(inner, groups, known, path)?);
        if path.len() > 10_000 {
            return Err(());
        }
    }
    path.pop();
    known.insert(name, deepest + 1);
    Ok(deepest + 1)
}
