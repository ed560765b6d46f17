//! `[[import]]`, and the jobs of the command line: files of other tools as one more file of ours.
//!
//! What the importer makes is read like any other file, and every value of it stands, for messages,
//! where its original stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Resolver;
use super::timing::{MAX_INTERVAL, MIN_INTERVAL};
use crate::config::keys;
use crate::config::problem::{Problem, Problems, Severity};
use crate::config::reader::Reader;
use crate::config::tree::{self, Lookup, Place, References, Table, Text, Value};
use crate::config::{SourceFile, Sources};
use crate::import::{Options, nosana, shown};

/// The files that the `[[import]]`s of a file name, each once.
pub(super) fn named(root: &Table) -> Vec<String> {
    let tables: Vec<&Table> = match root.entries.get("import").map(|entry| &entry.node.value) {
        Some(Value::Table(table)) => vec![table],
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|node| match &node.value {
                Value::Table(table) => Some(table),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let jobs = tables.into_iter().filter_map(|table| match table.entries.get("job")?.node.value {
        Value::String(ref text) => Some(text.value.clone()),
        _ => None,
    });
    jobs.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What a text of ours has no `${...}` for.
struct Nothing;

impl Lookup for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("an imported file reads no files".to_owned())
    }
}

impl Resolver<'_> {
    /// What is made of every import, to be read as a file.
    pub(super) fn imports(&mut self, tables: Vec<Table>, sources: &Sources) -> Vec<Reader> {
        let mut roots = Vec::new();
        for table in tables {
            roots.extend(self.import(table, sources));
        }
        let options = &sources.job_options;
        let mut known = BTreeSet::new();
        for file in &sources.jobs {
            if let Some((root, operations)) = self.translated(file, options) {
                known.extend(operations);
                roots.push(root);
            } else {
                // Its operations are not known; that is said of it already.
                known.extend(options.hosts.keys().cloned());
            }
        }
        for operation in options.hosts.keys().filter(|id| !known.contains(*id)) {
            let message = format!(
                "`{}` is no operation of a `--job` ({})",
                shown(operation),
                operations(&known)
            );
            self.problems.error(&Place::file("--host"), message);
        }
        roots
    }

    fn import(&mut self, table: Table, sources: &Sources) -> Option<Reader> {
        let mut reader = Reader::new("`[[import]]`", table, &[keys::IMPORT]);
        if !reader.has("job") {
            reader.missing("job", &mut self.problems);
        }
        let job = reader.text("job", &mut self.problems);
        let mut hosts: BTreeMap<String, Text> = BTreeMap::new();
        for (operation, text) in reader.text_table("hosts", &mut self.problems) {
            match nosana::host(&text.value) {
                Ok(_) => drop(hosts.insert(operation, text)),
                Err(why) => {
                    let message = format!("`hosts` of `[[import]]`: {why}");
                    self.problems.error(&text.place, message);
                }
            }
        }
        let standard = Options::default();
        let mut duration = |key, standard| {
            let range = MIN_INTERVAL..=MAX_INTERVAL;
            reader.duration(key, range, &mut self.problems).unwrap_or(standard)
        };
        let options = Options {
            startup_interval: duration("startup-interval", standard.startup_interval),
            interval: duration("interval", standard.interval),
            hosts: hosts.iter().map(|(id, text)| (id.clone(), text.value.clone())).collect(),
        };
        reader.finish(&[], &mut self.problems);
        let job = job?;
        let file = match sources.imported.get(&job.value) {
            Some(Ok(file)) => file,
            Some(Err(unreadable)) => {
                let message = format!("cannot read `{}`: {}", job.shown(), unreadable.why);
                self.problems.error(&job.place, message);
                return None;
            }
            // Whoever read the files has not seen this one: it was named while they were read.
            None => {
                let message = format!("`{}` has not been read yet", job.shown());
                self.problems.error(&job.place, message);
                return None;
            }
        };
        let (root, known) = self.translated(file, &options)?;
        let known: BTreeSet<String> = known.into_iter().collect();
        for (operation, text) in hosts.iter().filter(|(id, _)| !known.contains(*id)) {
            let message = format!(
                "`hosts` of `[[import]]` names `{}`, and the job has no such operation ({})",
                shown(operation),
                operations(&known)
            );
            self.problems.error(&text.place, message);
        }
        Some(root)
    }

    /// What is made of a job, and the ids of its operations.
    fn translated(
        &mut self,
        file: &SourceFile,
        options: &Options,
    ) -> Option<(Reader, Vec<String>)> {
        let translated = match nosana::translate(file, options) {
            Ok(translated) => translated,
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.add(problem));
                return None;
            }
        };
        for note in translated.notes {
            self.problems.warning(&note.place, note.message);
        }
        let name: Arc<str> = format!("{} (imported)", file.name).into();
        let made = SourceFile { name, text: translated.toml };
        let mut problems = Problems::default();
        let mut table =
            tree::parse(&made, &Nothing, References::All, &mut Vec::new(), &mut problems);
        self.problems.append(problems);
        for entry in table.entries.values_mut() {
            let Value::Array(list) = &mut entry.node.value else { continue };
            for node in list {
                let Value::Table(table) = &mut node.value else { continue };
                let Some(Value::String(name)) = table.entries.get("name").map(|e| &e.node.value)
                else {
                    continue;
                };
                if let Some(place) = translated.places.get(&name.value) {
                    stand_at(table, place);
                    node.place = place.clone();
                }
            }
        }
        let what = format!("`{}`", made.name);
        Some((Reader::new(what, table, &[keys::ROOT]), translated.operations))
    }

    fn add(&mut self, problem: Problem) {
        match problem.severity {
            Severity::Error => self.problems.error(&problem.place, problem.message),
            Severity::Warning => self.problems.warning(&problem.place, problem.message),
        }
    }
}

fn operations(known: &BTreeSet<String>) -> String {
    let list: Vec<String> = known.iter().take(20).map(|id| format!("`{}`", shown(id))).collect();
    if list.is_empty() {
        return "expected the id of an operation".to_owned();
    }
    format!("operations: {}", list.join(", "))
}

/// Gives everything in a table one place.
fn stand_at(table: &mut Table, place: &Place) {
    table.place = place.clone();
    for entry in table.entries.values_mut() {
        entry.key = place.clone();
        value_stands_at(&mut entry.node.value, place);
        entry.node.place = place.clone();
    }
}

fn value_stands_at(value: &mut Value, place: &Place) {
    match value {
        Value::String(text) => text.place = place.clone(),
        Value::Array(list) => {
            for node in list {
                value_stands_at(&mut node.value, place);
                node.place = place.clone();
            }
        }
        Value::Table(table) => stand_at(table, place),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}
