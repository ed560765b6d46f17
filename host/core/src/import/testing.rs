//! What the tests of all imports share.

use super::yaml::{self, Node, Value};
use super::{Import, Imported, Options};
use crate::config::tree::{Lookup, Table, Text};
use crate::config::{Kinds, Problem, Problems, SourceFile, Sources, load};
use crate::fact::{Asked, FactKey, Shape, fact};
use crate::id::CheckName;

/// A file of this name.
pub(super) fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), text: text.to_owned() }
}

/// What an import makes of a text; its configuration is sound.
#[track_caller]
pub(super) fn made(import: &dyn Import, name: &str, text: &str) -> Imported {
    let options =
        Options { hosts: [("api".to_owned(), "10.0.0.7".to_owned())].into(), ..Options::default() };
    match import.import(&file(name, text), &options) {
        Ok(imported) => {
            check_sound(&imported.toml);
            let told = imported.notes.iter().find(|note| note.message.contains("canary"));
            assert!(told.is_none(), "{told:?}");
            imported
        }
        Err(problems) => panic!("{}", lines(&problems)),
    }
}

/// The configuration, and all notes below it.
pub(super) fn show(imported: &Imported) -> String {
    let note = |note: &super::Note| format!("{}: {}\n", note.place, note.message);
    let notes: String = imported.notes.iter().map(note).collect();
    format!("{}\n-----\n{notes}", imported.toml)
}

/// What is wrong with a text.
#[track_caller]
pub(super) fn refused(import: &dyn Import, name: &str, text: &str) -> String {
    match import.import(&file(name, text), &Options::default()) {
        Ok(imported) => panic!("it is taken:\n{}", show(&imported)),
        Err(problems) => lines(&problems),
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// Every variable and file is there.
struct Anything;

impl Lookup for Anything {
    fn env(&self, _: &str) -> Option<String> {
        Some("value".to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Ok("content".to_owned())
    }
}

/// Every kind is known.
struct AnyKind;

impl Kinds for AnyKind {
    /// Those that imports write conditions over.
    fn facts(&self, kind: &str) -> &'static [&'static [FactKey]] {
        const HTTP: &[FactKey] = &[
            fact("status", Shape::Integer, ""),
            fact("body", Shape::Text, ""),
            fact("json", Shape::Json, ""),
            fact("certificate.days-left", Shape::Number, ""),
            fact("header.*", Shape::Text, ""),
        ];
        const DNS: &[FactKey] = &[fact("code", Shape::Text, ""), fact("answers", Shape::Texts, "")];
        const TALK: &[FactKey] = &[
            fact("certificate.days-left", Shape::Number, ""),
            fact("serving", Shape::Text, ""),
            fact("body", Shape::Text, ""),
            fact("answer", Shape::Text, ""),
        ];
        const NTP: &[FactKey] =
            &[fact("stratum", Shape::Integer, ""), fact("root-dispersion", Shape::Duration, "")];
        const SQL: &[FactKey] = &[fact("value", Shape::Json, "")];
        match kind {
            "http" => &[HTTP],
            "dns" => &[DNS],
            "tcp" | "websocket" | "grpc" | "udp" => &[TALK],
            "ntp" => &[NTP],
            "mysql" | "postgres" => &[SQL],
            _ => &[],
        }
    }

    fn read(
        &mut self,
        _: &str,
        _: Option<&CheckName>,
        _: &Text,
        _: &Table,
        _: &Asked,
        _: &mut Problems,
    ) {
    }
}

/// The configuration is read without a problem.
#[track_caller]
pub(super) fn check_sound(toml: &str) {
    let main = Some(file("wellcheck.toml", toml));
    let sources = Sources { main, ..Sources::default() };
    let (_, problems) = load(&sources, &Anything, &mut AnyKind);
    // Modules may be unknown to this build; then their text is at least valid.
    let unknown = |problem: &&Problem| !problem.message.starts_with("unknown key `module`");
    let problems: Vec<Problem> = problems.iter().filter(unknown).cloned().collect();
    assert!(problems.is_empty(), "{}\n{toml}", lines(&problems));
}

/// Takes every key out of a file, one after the other: without it, the result must be another, or
/// else a note must have said that the key, or something around it, is left out.
#[track_caller]
pub(super) fn check_no_key_is_lost(
    file: &SourceFile,
    concerns: impl Fn(&[String]) -> bool,
    import: impl Fn(&[Node]) -> Result<Imported, Vec<Problem>>,
) {
    let documents = yaml::read(file).expect("sound");
    let whole = import(&documents).expect("sound");
    let mut paths = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        collect(document, &mut vec![index], &mut Vec::new(), &mut paths);
    }
    assert!(paths.len() > 20, "the file is not what it was");
    let mut lost = Vec::new();
    for (steps, keys) in paths.iter().filter(|(_, keys)| concerns(keys)) {
        let mut without = documents.clone();
        let document = &mut without[steps[0]];
        remove(document, &steps[1..]);
        let same = import(&without).is_ok_and(|other| other == whole);
        if same && !left_out(&documents[steps[0]], &steps[1..], &whole) {
            lost.push(keys.join("."));
        }
    }
    assert!(lost.is_empty(), "lost in silence: {lost:#?}");
}

/// All keys, as steps from the documents down, and by name.
fn collect(
    node: &Node,
    steps: &mut Vec<usize>,
    keys: &mut Vec<String>,
    paths: &mut Vec<(Vec<usize>, Vec<String>)>,
) {
    match &node.value {
        Value::Map(pairs) => {
            for (index, pair) in pairs.iter().enumerate() {
                steps.push(index);
                keys.push(pair.key.clone());
                paths.push((steps.clone(), keys.clone()));
                collect(&pair.node, steps, keys, paths);
                keys.pop();
                steps.pop();
            }
        }
        Value::List(list) => {
            for (index, node) in list.iter().enumerate() {
                steps.push(index);
                keys.push(index.to_string());
                collect(node, steps, keys, paths);
                keys.pop();
                steps.pop();
            }
        }
        Value::Scalar { .. } | Value::Binary(_) => {}
    }
}

fn remove(node: &mut Node, steps: &[usize]) {
    match (&mut node.value, steps) {
        (Value::Map(pairs), [last]) => {
            pairs.remove(*last);
        }
        (Value::Map(pairs), [step, rest @ ..]) => remove(&mut pairs[*step].node, rest),
        (Value::List(list), [step, rest @ ..]) => remove(&mut list[*step], rest),
        _ => panic!("no such key"),
    }
}

/// Whether a note stands at the key, or at something around it, and says that it is left out.
fn left_out(node: &Node, steps: &[usize], whole: &Imported) -> bool {
    let noted = |mark: yaml::Mark, key: &str| {
        whole.notes.iter().any(|note| {
            (note.place.line, note.place.column) == (mark.line, mark.column)
                && note.message.contains("left out")
                && note.message.contains(key)
        })
    };
    match (&node.value, steps) {
        (Value::Map(pairs), [step, rest @ ..]) => {
            let pair = &pairs[*step];
            noted(pair.mark, &format!("`{}`", pair.key)) || left_out(&pair.node, rest, whole)
        }
        (Value::List(list), [step, rest @ ..]) => {
            noted(list[*step].mark, "") || left_out(&list[*step], rest, whole)
        }
        _ => false,
    }
}
