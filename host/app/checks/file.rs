//! The kind `file`: whether a file or folder is there, how old and large it is, what stands in it,
//! and how much room its file system has.
//!
//! | file | what |
//! | --- | --- |
//! | `file/look.rs` | what is on disk: the calls that may hang |
//!
//! A call to a mount that does not answer cannot be broken off, so each look has a thread of its own
//! that is left behind when its time is over. A check leaves two behind at most, and then fails
//! without a further one.

mod look;

use std::path::{Component, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use regex::bytes::Regex;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{Asked, FactKey, Shape, fact};
use wellcheck_core::outcome::{
    Answer, FailReason, Fault, FaultReason, Observation, Outcome, Report, Run,
};
use wellcheck_core::snapshot::Facts;
use wellcheck_core::units::{show_duration, show_size};

use self::look::{Failed, Question, Seen};
use super::http::contains;
use super::pattern::pattern;
use super::{Checker, Kind, RunContext, Tools};

const READ: u64 = 64 * 1024;
const MAX_READ: u64 = 16 * 1024 * 1024;

/// Looks of one check at once, at most.
const AT_ONCE: usize = 2;

/// Looks of all checks at once, at most.
const MOST: usize = 256;

static PLACES: Semaphore = Semaphore::const_new(MOST);

const KEYS: &[Key] = &[
    key(
        "path",
        "",
        "path = \"/var/backups/db.dump\"",
        "A file or a folder, relative to the configuration file; `*` and `?` in its last part stand for any text and any letter. Links are followed. What is neither a file nor a folder is not opened.",
    ),
    key(
        "exists",
        "true, unless a condition is about `exists`",
        "exists = false",
        "Whether it must be there: else the check fails with `absent`, or with `unexpected-value` where it must not. A pattern is there when at least one file is.",
    ),
    key(
        "expect",
        "anything",
        "expect = \"ready\"",
        "Texts that the file must contain, each of them, or the check fails with `unexpected-body`.",
    ),
    key(
        "expect-matches",
        "anything",
        "expect-matches = '(?m)^state: ok$'",
        "Regular expressions that the file must match, each of them, anywhere in it.",
    ),
    key(
        "read-limit",
        "\"64KiB\"",
        "read-limit = \"1MiB\"",
        "How much of the file is read, 0B to 16MiB; what lies behind is not looked at.",
    ),
];

const FACTS: &[FactKey] = &[
    fact("exists", Shape::Boolean, "Whether it is there."),
    fact("type", Shape::Text, "`file`, `folder` or `other`; of a pattern `pattern`."),
    fact(
        "age",
        Shape::Duration,
        "Since it was last changed; of a folder or pattern, since its newest file was.",
    ),
    fact(
        "oldest",
        Shape::Duration,
        "Of a folder or pattern: since its oldest file was last changed.",
    ),
    fact("size", Shape::Size, "Its length; of a folder or pattern, that of all its files."),
    fact(
        "files",
        Shape::Integer,
        "Of a folder or pattern: how many files are in it, not those in folders below; 100000 at most.",
    ),
    fact("mode", Shape::Text, "Its permissions in octal, such as `0644`."),
    fact(
        "owner",
        Shape::Text,
        "The name of the user it belongs to, or the number of one without a name.",
    ),
    fact("group", Shape::Text, "Likewise, of the group."),
    fact("content", Shape::Text, "What stands in it, up to `read-limit`."),
    fact("json", Shape::Json, "Likewise, where it is JSON."),
    fact("free", Shape::Size, "Room on its file system for those who are not root."),
    fact("free-percent", Shape::Number, "Likewise, of what they could have."),
    fact(
        "inodes-free-percent",
        Shape::Number,
        "Files that its file system has room for, where it has a limit.",
    ),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct File;

impl Kind for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn summary(&self) -> &'static str {
        "looks at a file, a folder, or the room on a file system"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "backup-file"
kind = "file"
path = "/var/backups/db.dump"
"#
    }

    fn probes(&self) -> bool {
        false
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        if !reader.has("path") {
            reader.missing("path", problems);
        }
        let path = reader.parsed("path", problems, |text| {
            let fits = !text.value.is_empty() && !text.value.contains('\0');
            fits.then(|| text.value.clone()).ok_or_else(|| "expected a path".to_owned())
        });
        let exists = reader.boolean("exists", problems);
        let exists = exists.or_else(|| (!reader.asked().has("exists")).then_some(true));
        let texts = reader.texts("expect", problems);
        let patterns = regexes(reader, problems);
        let limit = reader.size("read-limit", 0..=MAX_READ, problems).unwrap_or(READ);
        let shown = path?;
        let (path, pattern) = split(tools.base.join(&shown));
        Some(Arc::new(FileCheck {
            shown,
            exists,
            texts: texts.into_iter().map(|text| text.value.into_bytes()).collect(),
            patterns,
            question: Question { path, pattern, limit, content: false, names: false },
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }))
    }
}

fn regexes(reader: &mut Reader, problems: &mut Problems) -> Vec<Regex> {
    let texts = reader.texts("expect-matches", problems);
    let what = format!("`expect-matches` of {}", reader.what());
    texts.iter().filter_map(|text| pattern(text, &what, problems)).collect()
}

/// The folder and the pattern, where the last part is one.
fn split(path: PathBuf) -> (PathBuf, Option<String>) {
    let last = match path.components().next_back() {
        Some(Component::Normal(last)) => last.to_string_lossy().into_owned(),
        _ => return (path, None),
    };
    match (last.contains(['*', '?']), path.parent()) {
        (true, Some(parent)) => (parent.to_owned(), Some(last)),
        _ => (path, None),
    }
}

struct FileCheck {
    /// The path as configured.
    shown: String,
    /// Whether it must be there, where that matters.
    exists: Option<bool>,
    texts: Vec<Vec<u8>>,
    patterns: Vec<Regex>,
    question: Question,
    places: Arc<Semaphore>,
}

impl Checker for FileCheck {
    fn facts(&self) -> Facts {
        Facts { target: Some(self.shown.clone()), port: 0, plugin: None }
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move {
            let began = Instant::now();
            let asked = &context.asked;
            let content = asked.has("content")
                || asked.has("json")
                || !(self.texts.is_empty() && self.patterns.is_empty());
            let names = asked.has("owner") || asked.has("group");
            let until = context.deadline.into_std();
            let question = Question { content, names, ..self.question.clone() };
            let look = move || look::look(&question, until);
            let outcome = match self.within(context.deadline, look).await {
                Ok(Ok(seen)) => self.judge(&seen, context),
                Ok(Err(failed)) => self.failed(failed),
                Err(outcome) => outcome,
            };
            Run::new(outcome, began.elapsed())
        }
        .boxed()
    }
}

fn faulted(reason: FaultReason, message: impl Into<String>) -> Outcome {
    Outcome::Faulted(Fault::new(reason, message))
}

impl FileCheck {
    /// Does something that may hang, on a thread of its own.
    async fn within<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Outcome> {
        let fail = |message: String| Outcome::Answered(Report::fail(FailReason::Timeout, message));
        let Ok(own) = Arc::clone(&self.places).try_acquire_owned() else {
            let message =
                format!("`{}` does not answer: {AT_ONCE} looks at it hang still", self.shown);
            return Err(fail(message));
        };
        let Ok(place) = PLACES.try_acquire() else {
            return Err(faulted(FaultReason::Busy, format!("{MOST} looks at files hang")));
        };
        let (reply, answer) = oneshot::channel();
        let thread = std::thread::Builder::new().name("wellcheck-file".to_owned());
        let started = thread.spawn(move || {
            // Whoever asked may have given up.
            let _ = reply.send(work());
            drop((own, place));
        });
        if let Err(error) = started {
            return Err(faulted(FaultReason::Busy, format!("no thread to look with: {error}")));
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(seen)) => Ok(seen),
            Ok(Err(_gone)) => Err(faulted(FaultReason::Internal, "the look at the file broke")),
            Err(_elapsed) => Err(fail(format!("`{}` did not answer in time", self.shown))),
        }
    }

    fn failed(&self, failed: Failed) -> Outcome {
        let shown = &self.shown;
        match failed {
            Failed::Denied(what) => faulted(
                FaultReason::Inconclusive,
                format!("the user of this process may not look at `{shown}`: {what}"),
            ),
            Failed::Broken(what) => {
                let message = format!("cannot look at `{shown}`: {what}");
                Outcome::Answered(Report::fail(FailReason::Unreachable, message))
            }
            Failed::Late => {
                let message = format!("`{shown}` could not be looked at in time");
                Outcome::Answered(Report::fail(FailReason::Timeout, message))
            }
        }
    }

    fn judge(&self, seen: &Seen, context: &RunContext) -> Outcome {
        let shown = &self.shown;
        let (reason, message) = match (seen.exists, self.exists) {
            (false, Some(true)) => (Some(FailReason::Absent), format!("there is no `{shown}`")),
            (true, Some(false)) => {
                (Some(FailReason::UnexpectedValue), format!("there is a `{shown}`"))
            }
            (false, _) => (None, format!("there is no `{shown}`")),
            (true, _) => match self.unexpected(seen) {
                Some(why) => (Some(FailReason::UnexpectedBody), why),
                None => (None, summary(seen)),
            },
        };
        let mut report = match reason {
            Some(reason) => Report::fail(reason, message),
            None => Report::new(Answer::Pass, message),
        };
        observe(seen, &context.asked, &mut report);
        find(seen, context, &mut report);
        Outcome::Answered(report)
    }

    /// What is wrong with the content.
    fn unexpected(&self, seen: &Seen) -> Option<String> {
        let shown = &self.shown;
        if self.texts.is_empty() && self.patterns.is_empty() {
            return None;
        }
        let Some(content) = &seen.content else {
            return Some(format!("`{shown}` is no file that could be read"));
        };
        let of = match seen.is_cut {
            true => format!("the first {} of `{shown}`", show_size(content.len() as u64)),
            false => format!("`{shown}`"),
        };
        if let Some(text) = self.texts.iter().find(|text| !contains(content, text)) {
            let text = super::socket::shown(text);
            return Some(format!("{of} does not contain `{text}`"));
        }
        let pattern = self.patterns.iter().find(|pattern| !pattern.is_match(content))?;
        Some(format!("{of} does not match `{}`", super::socket::shown(pattern.as_str().as_bytes())))
    }
}

/// One line for people.
fn summary(seen: &Seen) -> String {
    let old = seen.age.map_or(String::new(), |seconds| {
        let newest = if seen.files.is_some() { "the newest " } else { "" };
        let seconds = Duration::try_from_secs_f64(seconds.max(0.0).round()).unwrap_or_default();
        format!(", {newest}{} old", show_duration(seconds))
    });
    let size = show_size(seen.size);
    match seen.files {
        Some(1) => format!("1 file of {size}{old}"),
        Some(files) => format!("{files} files of {size}{old}"),
        None if seen.kind == "file" => format!("{size}{old}"),
        None => format!("there{old}"),
    }
}

/// Numbers, which conditions may ask for by the same names.
fn observe(seen: &Seen, asked: &Asked, report: &mut Report) {
    let mut observe = |name, value: Option<f64>, unit| {
        report.observations.extend(value.map(|value| Observation::new(name, value, unit)));
        if asked.has(name)
            && let Some(value) = value
        {
            match unit {
                // Bytes and numbers of files are whole.
                "B" | "" => report.found.put(name, value as i64),
                _ => report.found.put(name, value),
            }
        }
    };
    observe("age", seen.age, "s");
    observe("oldest", seen.oldest, "s");
    observe("size", (seen.exists && seen.kind != "other").then_some(seen.size as f64), "B");
    observe("files", seen.files.map(|files| files as f64), "");
    observe("free", seen.room.as_ref().map(|room| room.free as f64), "B");
    observe("free-percent", seen.room.as_ref().and_then(|room| room.percent), "%");
    observe("inodes-free-percent", seen.room.as_ref().and_then(|room| room.inodes_percent), "%");
}

/// Everything else that conditions ask for.
fn find(seen: &Seen, context: &RunContext, report: &mut Report) {
    let asked = &context.asked;
    if asked.is_empty() {
        return;
    }
    report.found.put("exists", seen.exists);
    if !seen.exists {
        return;
    }
    report.found.put("type", seen.kind);
    let texts = [("mode", &seen.mode), ("owner", &seen.owner), ("group", &seen.group)];
    for (name, text) in texts {
        if let Some(text) = text {
            report.found.put(name, text.clone());
        }
    }
    let Some(content) = &seen.content else { return };
    if asked.has("content") {
        report.found.put("content", String::from_utf8_lossy(content).into_owned());
    }
    if asked.has("json")
        && !seen.is_cut
        && let Ok(json) = serde_json::from_slice(content)
    {
        report.found.put("json", wellcheck_core::fact::Value::Json(Arc::new(json)));
    }
}

#[cfg(test)]
mod tests {
    use wellcheck_core::fact::Value;
    use wellcheck_core::id::CheckName;

    use super::*;

    fn check(path: PathBuf) -> FileCheck {
        let (path, pattern) = split(path);
        FileCheck {
            shown: "it".to_owned(),
            exists: Some(true),
            texts: Vec::new(),
            patterns: Vec::new(),
            question: Question { path, pattern, limit: READ, content: false, names: false },
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    fn context(asked: &[&str]) -> RunContext {
        RunContext {
            check: CheckName::new("a").unwrap(),
            deadline: Instant::now() + Duration::from_secs(10),
            failures_in_a_row: 0,
            asked: Arc::new(Asked::new(asked.iter().map(|name| (*name).to_owned()))),
        }
    }

    #[test]
    fn patterns_are_the_last_part() {
        let read = |text: &str| split(PathBuf::from(text));
        assert_eq!(read("/a/b"), ("/a/b".into(), None));
        assert_eq!(read("/a/*.txt"), ("/a".into(), Some("*.txt".to_owned())));
        assert_eq!(read("/a*/b"), ("/a*/b".into(), None));
        assert_eq!(read("/"), ("/".into(), None));
        assert_eq!(read("/a/.."), ("/a/..".into(), None));
    }

    #[tokio::test]
    async fn facts_are_found_out_where_somebody_asks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        std::fs::write(&path, r#"{"state": "ok"}"#).unwrap();
        let check = check(path);
        let run = check.run(&context(&[])).await;
        let Outcome::Answered(report) = run.outcome else { panic!("{run:?}") };
        assert_eq!(report.found.iter().count(), 0);
        let run = check.run(&context(&["json.state", "owner", "content"])).await;
        let Outcome::Answered(report) = run.outcome else { panic!("{run:?}") };
        let found = |name| report.found.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
        assert_eq!(found("exists"), Some(Value::Boolean(true)));
        assert_eq!(found("content"), Some(Value::Text(r#"{"state": "ok"}"#.to_owned())));
        assert!(matches!(found("json"), Some(Value::Json(json)) if json["state"] == "ok"));
        assert!(matches!(found("owner"), Some(Value::Text(text)) if !text.is_empty()));
        assert!(matches!(found("mode"), Some(Value::Text(text)) if text.len() == 4));
    }

    #[tokio::test]
    async fn a_mount_that_hangs_holds_two_threads_and_nobody_else() {
        let check = check(PathBuf::from("/"));
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = Arc::new(std::sync::Mutex::new(blocked));
        let hang = || {
            let blocked = Arc::clone(&blocked);
            // Ends with the channel, as a mount may come back.
            move || {
                let _ = blocked.lock().unwrap().recv();
            }
        };
        let soon = || Instant::now() + Duration::from_millis(50);
        let says = |outcome: Result<(), Outcome>| outcome.unwrap_err().message().to_owned();
        assert_eq!(says(check.within(soon(), hang()).await), "`it` did not answer in time");
        assert_eq!(says(check.within(soon(), hang()).await), "`it` did not answer in time");
        let began = Instant::now();
        let third = says(check.within(soon() + Duration::from_secs(10), hang()).await);
        assert_eq!(third, "`it` does not answer: 2 looks at it hang still");
        assert!(began.elapsed() < Duration::from_secs(5));
        drop(release);
        // Once it has come back, it is looked at as before.
        let places = Arc::clone(&check.places);
        let both = places.acquire_many(2);
        drop(tokio::time::timeout(Duration::from_secs(10), both).await.expect("both end").unwrap());
        assert!(check.within(soon() + Duration::from_secs(10), || ()).await.is_ok());
    }
}
