//! `wellcheck import kubernetes`: the probes of pods, and of whatever makes pods, become checks.
//!
//! Only probes are read, and the ports that they name: images, volumes and all the rest are about
//! running things. A startup probe becomes a check that rests once it has passed, and the others of
//! its container wait for it.

mod probe;

use super::context::{Context, shown};
use super::names::{Names, slug};
use super::write::{self, Block};
use super::yaml::{self, Mark, Node, Value};
use super::{Import, Imported, Options};
use crate::config::{Problem, SourceFile};

pub(super) struct Kubernetes;

impl Import for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn summary(&self) -> &'static str {
        "probes of pods, deployments and other manifests, as checks"
    }

    fn import(&self, file: &SourceFile, options: &Options) -> Result<Imported, Vec<Problem>> {
        import(&yaml::read(file)?, file, options)
    }
}

/// Where the specification of the pod is, by the word after `kind:`.
const WORKLOADS: &[(&str, &[&str])] = &[
    ("Pod", &["spec"]),
    ("PodTemplate", &["template", "spec"]),
    ("Deployment", &["spec", "template", "spec"]),
    ("StatefulSet", &["spec", "template", "spec"]),
    ("DaemonSet", &["spec", "template", "spec"]),
    ("ReplicaSet", &["spec", "template", "spec"]),
    ("ReplicationController", &["spec", "template", "spec"]),
    ("Job", &["spec", "template", "spec"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
];

/// What the import of one file has at hand.
struct Reading<'a, 'b> {
    context: Context<'a>,
    options: &'b Options,
    names: Names,
    blocks: Vec<Block>,
}

fn import(
    documents: &[Node],
    file: &SourceFile,
    options: &Options,
) -> Result<Imported, Vec<Problem>> {
    let mut reading = Reading {
        context: Context::new(file),
        options,
        names: Names::default(),
        blocks: Vec::new(),
    };
    if documents.is_empty() {
        reading.context.error(Mark::default(), "the file is empty (expected a manifest)");
    }
    for document in documents {
        reading.object(document, 0);
    }
    let toml = write::render(reading.context.base_name(), &reading.blocks);
    reading.context.done(toml)
}

impl Reading<'_, '_> {
    fn object(&mut self, object: &Node, depth: usize) {
        let kind = object.get("kind").and_then(Node::text);
        let Some(kind) = kind else {
            let message =
                "this is no manifest: it has no `kind` (expected for example `kind: Pod`)";
            self.context.error(object.mark, message);
            return;
        };
        if kind.ends_with("List")
            && depth == 0
            && let Some(Node { value: Value::List(items), .. }) = object.get("items")
        {
            for item in items {
                self.object(item, depth + 1);
            }
            return;
        }
        let name = object.get("metadata").and_then(|metadata| metadata.get("name"));
        let name = name.and_then(Node::text);
        let Some((_, path)) = WORKLOADS.iter().find(|(known, _)| *known == kind) else {
            let named = name.map(|name| format!(" `{}`", shown(name))).unwrap_or_default();
            let message = format!(
                "{}{named} is left out: it is nothing that is known to have probes",
                shown(kind)
            );
            self.context.note(object.mark, message);
            return;
        };
        let spec = path.iter().try_fold(object, |node, key| node.get(key));
        let Some(spec) = spec else {
            let message = format!("this {kind} has no `{}`", path.join("."));
            self.context.error(object.mark, message);
            return;
        };
        let generated =
            || object.get("metadata").and_then(|m| m.get("generateName")).and_then(Node::text);
        let workload = name.or_else(generated).unwrap_or(kind);
        self.pod(spec, workload);
    }

    fn pod(&mut self, spec: &Node, workload: &str) {
        let mut found = false;
        for (key, place) in [("initContainers", "init container"), ("containers", "container")] {
            let Some(node) = spec.get(key).filter(|node| !node.is_null()) else { continue };
            let Value::List(containers) = &node.value else {
                let message = format!("`{key}` is {} (expected a list)", node.kind());
                self.context.error(node.mark, message);
                continue;
            };
            for container in containers {
                found |= self.container(container, workload, place);
            }
        }
        if let Some(gates) = spec.get("readinessGates").filter(|node| !node.is_null()) {
            let message =
                "`readinessGates` are left out: conditions of the cluster are not asked for";
            self.context.note(gates.mark, message);
        }
        if !found {
            let message = format!("`{}` has no probes", shown(workload));
            self.context.note(spec.mark, message);
        }
    }

    /// Whether the container has probes.
    fn container(&mut self, container: &Node, workload: &str, place: &str) -> bool {
        let name = container.get("name").and_then(Node::text).unwrap_or_default();
        if container.pairs().is_none() {
            let message = format!("a {place} is {} (expected a map)", container.kind());
            self.context.error(container.mark, message);
            return false;
        }
        let what = format!("{place} `{}` of `{}`", shown(name), shown(workload));
        let keys = ["startupProbe", "livenessProbe", "readinessProbe"];
        let probes: Vec<(&str, &Node, Mark)> = keys
            .iter()
            .filter_map(|key| {
                let pair = container.pairs()?.iter().find(|pair| pair.key == *key)?;
                (!pair.node.is_null()).then_some((*key, &pair.node, pair.mark))
            })
            .collect();
        if probes.is_empty() {
            return false;
        }
        let both = format!("{workload}/{name}");
        let host = [both.as_str(), name, workload]
            .iter()
            .find_map(|key| self.options.hosts.get(*key))
            .cloned();
        if host.is_none() {
            let example = slug(workload);
            let message = format!(
                "probes of {what} go to the pod's own address, which is not known here: \
                 `127.0.0.1` stands in its place (`--host {example}=ADDRESS` names it)"
            );
            self.context.note(probes[0].2, message);
        }
        let mut base = slug(workload);
        if slug(name) != base && !name.is_empty() {
            base = format!("{base}-{name}");
        }
        let owner = probe::Owner {
            container,
            what,
            base,
            title: if name == workload { name.to_owned() } else { format!("{workload} {name}") },
            host: host.unwrap_or_else(|| "127.0.0.1".to_owned()),
        };
        let mut started = None;
        for (key, node, mark) in probes {
            let waits_for = started.clone();
            let made = probe::read(
                &owner,
                (key, node, mark),
                waits_for.as_deref(),
                &mut self.names,
                &mut self.context,
            );
            let Some((name, block)) = made else { continue };
            if key == "startupProbe" {
                started = Some(name);
            }
            self.blocks.push(block);
        }
        true
    }
}

#[cfg(test)]
mod tests;
