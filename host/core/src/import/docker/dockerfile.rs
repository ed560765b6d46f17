//! Dockerfiles: the last `HEALTHCHECK` of the last stage, or of the stages that it is made from.

use std::collections::BTreeMap;

use super::{Healthcheck, Owner, render};
use crate::config::{MAX_FILE, Problem, SourceFile};
use crate::import::command::{Command, MAX_COMMAND};
use crate::import::context::{Context, shown};
use crate::import::names::Names;
use crate::import::yaml::Mark;
use crate::import::{Imported, Options, timing};

/// Longest instruction, in bytes.
const MAX_INSTRUCTION: usize = 256 * 1024;

/// Most stages, and most variables of one.
const MAX_STAGES: usize = 200;
const MAX_VARIABLES: usize = 500;

/// Longest value of a variable that is kept, in bytes.
const MAX_VALUE: usize = 256;

/// An instruction with its continuation lines.
struct Instruction {
    word: String,
    rest: String,
    mark: Mark,
}

/// What a stage says so far.
#[derive(Debug, Clone, Default)]
struct Stage {
    name: Option<String>,
    check: Option<(Mark, Found)>,
    variables: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
enum Found {
    /// `NONE`.
    None,
    Check {
        settings: Healthcheck,
        command: Command,
    },
}

pub(super) fn import(file: &SourceFile, options: &Options) -> Result<Imported, Vec<Problem>> {
    let mut context = Context::new(file);
    let mut blocks = Vec::new();
    if file.text.len() > MAX_FILE {
        let limit = MAX_FILE / (1024 * 1024);
        context.error(Mark::default(), format!("the file has more than {limit} MiB"));
        return context.done(String::new());
    }
    let stage = last_stage(&file.text, &mut context);
    let wanted = name(context.base_name(), stage.as_ref());
    match stage.map(|stage| (stage.check, stage.variables)) {
        None => {
            let message = "there is no `FROM` (expected a Dockerfile, or a compose file that ends \
                           in `.yaml` or `.yml`)";
            context.error(Mark::default(), message);
        }
        Some((None, _)) => context.note(
            Mark::default(),
            "there is no `HEALTHCHECK` (the image that it is made from may have one)",
        ),
        Some((Some((mark, Found::None)), _)) => {
            context.note(
                mark,
                "the health check is switched off, so that there is nothing to look at",
            );
        }
        Some((Some((mark, Found::Check { settings, command })), variables)) => {
            let command = substitute(command, &variables, mark, &mut context);
            let host = options.hosts.get(&wanted).cloned();
            let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
            let owner = Owner { wanted: &wanted, what: "the `HEALTHCHECK`", host, mark };
            let made = settings.check(&command, &owner, &mut Names::default(), &mut context);
            blocks.extend(made.map(|(_, block)| block));
        }
    }
    let toml = render(&blocks, &context);
    context.done(toml)
}

/// `web` of `Dockerfile.web` and `web.Dockerfile`, else the name of the stage, else `container`.
fn name(base: &str, stage: Option<&Stage>) -> String {
    let lower = base.to_ascii_lowercase();
    let rest = ["dockerfile", "containerfile"]
        .iter()
        .find_map(|word| {
            let before = lower.strip_suffix(word).map(|rest| rest.trim_end_matches('.'));
            let after = lower.strip_prefix(word).map(|rest| rest.trim_start_matches(['.', '-']));
            before.or(after)
        })
        .filter(|rest| !rest.is_empty());
    let stage = stage.and_then(|stage| stage.name.as_deref());
    rest.or(stage).unwrap_or("container").to_owned()
}

/// Goes through all instructions, and notes health checks that do not count.
fn last_stage(text: &str, context: &mut Context<'_>) -> Option<Stage> {
    let mut stages: BTreeMap<String, Stage> = BTreeMap::new();
    let mut current: Option<Stage> = None;
    let mut checks = Vec::new();
    for instruction in instructions(text, context) {
        let Instruction { word, rest, mark } = instruction;
        match word.as_str() {
            "FROM" => {
                if let Some(stage) = current.take()
                    && let Some(name) = stage.name.clone()
                {
                    stages.insert(name, stage);
                }
                if stages.len() > MAX_STAGES {
                    context.error(mark, format!("there are more than {MAX_STAGES} stages"));
                    return None;
                }
                current = Some(from(&rest, &stages));
            }
            "ENV" | "ARG" => {
                if let Some(stage) = &mut current {
                    variables(&rest, &mut stage.variables);
                }
            }
            "ONBUILD" if rest.to_ascii_uppercase().starts_with("HEALTHCHECK") => {
                let message =
                    "`ONBUILD HEALTHCHECK` is left out: it is for images made from this one";
                context.note(mark, message);
            }
            "HEALTHCHECK" => {
                let Some(stage) = &mut current else {
                    context.error(mark, "a `HEALTHCHECK` stands before the first `FROM`");
                    continue;
                };
                if let Some(found) = healthcheck(&rest, mark, context) {
                    checks.push(mark);
                    stage.check = Some((mark, found));
                }
            }
            _ => {}
        }
    }
    let counts = current.as_ref().and_then(|stage| Some(stage.check.as_ref()?.0));
    for mark in checks.into_iter().filter(|mark| Some(*mark) != counts) {
        let message = "this `HEALTHCHECK` is left out: the last one of the last stage counts";
        context.note(mark, message);
    }
    current
}

/// A new stage, with what it has from the one that it is made from.
fn from(rest: &str, stages: &BTreeMap<String, Stage>) -> Stage {
    let words: Vec<&str> =
        rest.split_whitespace().filter(|word| !word.starts_with("--")).take(4).collect();
    let base = words.first().copied().unwrap_or_default().to_ascii_lowercase();
    let mut stage = stages.get(&base).cloned().unwrap_or_default();
    stage.name = match words.as_slice() {
        [_, word, name] if word.eq_ignore_ascii_case("as") => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    stage
}

fn healthcheck(rest: &str, mark: Mark, context: &mut Context<'_>) -> Option<Found> {
    let mut settings = Healthcheck::default();
    let mut rest = rest.trim();
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        rest = after.trim_start();
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let duration = timing::parse(value).map(|duration| (duration, mark));
        let slot = match name {
            "interval" => &mut settings.interval,
            "timeout" => &mut settings.timeout,
            "start-period" => &mut settings.start_period,
            "start-interval" => &mut settings.start_interval,
            "retries" => {
                settings.retries = value.parse().ok().map(|retries| (retries, mark));
                if settings.retries.is_none() {
                    let found = shown(value);
                    context.error(mark, format!("`--retries` is `{found}` (expected a number)"));
                }
                continue;
            }
            other => {
                let other = shown(other);
                let message = format!("the option `--{other}` of `HEALTHCHECK` is not known");
                context.error(mark, message);
                continue;
            }
        };
        *slot = duration;
        if duration.is_none() {
            let found = shown(value);
            let message =
                format!("`--{name}` is `{found}` (expected a duration with a unit, such as `30s`)");
            context.error(mark, message);
        }
    }
    let (word, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match word.to_ascii_uppercase().as_str() {
        "NONE" => Some(Found::None),
        "CMD" => {
            let command = command.trim();
            let words = command.starts_with('[').then(|| serde_json::from_str(command).ok());
            let command = match words.flatten() {
                Some(words) => Command::Words(words),
                None => Command::Line(command.to_owned()),
            };
            Some(Found::Check { settings, command })
        }
        _ => {
            let other = shown(word);
            let message =
                format!("`HEALTHCHECK` goes on with `{other}` (expected `CMD` or `NONE`)");
            context.error(mark, message);
            None
        }
    }
}

/// Splits a file into instructions: comments, continuation lines, here-documents.
fn instructions(text: &str, context: &mut Context<'_>) -> Vec<Instruction> {
    let escape = escape(text);
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut open: Option<Instruction> = None;
    let mut here: Vec<String> = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if let Some(end) = here.first() {
            if line.trim_start_matches('\t') == end {
                here.remove(0);
            }
            continue;
        }
        let trimmed = line.trim();
        if trimmed.starts_with('#') || (trimmed.is_empty() && open.is_some()) {
            continue;
        }
        let (content, goes_on) = match trimmed.strip_suffix(escape) {
            Some(content) => (content, true),
            None => (trimmed, false),
        };
        let instruction = match &mut open {
            Some(instruction) => {
                if instruction.rest.len() + content.len() > MAX_INSTRUCTION {
                    let message = format!("an instruction has more than {MAX_INSTRUCTION} bytes");
                    context.error(instruction.mark, message);
                    return instructions;
                }
                instruction.rest.push(' ');
                instruction.rest.push_str(content);
                open.take()
            }
            None if content.is_empty() => None,
            None => {
                let (word, rest) = content.split_once(char::is_whitespace).unwrap_or((content, ""));
                let indent = line.chars().take_while(|c| c.is_whitespace()).count();
                let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                let mark = Mark { line: number(index + 1), column: number(indent + 1) };
                let word = word.chars().take(20).collect::<String>().to_ascii_uppercase();
                let rest = if rest.len() > MAX_INSTRUCTION { "" } else { rest };
                Some(Instruction { word, rest: rest.to_owned(), mark })
            }
        };
        let Some(instruction) = instruction else { continue };
        if goes_on {
            open = Some(instruction);
            continue;
        }
        if matches!(instruction.word.as_str(), "RUN" | "COPY" | "ADD") {
            here = here_documents(&instruction.rest);
        }
        instructions.push(instruction);
    }
    instructions.extend(open);
    instructions
}

/// The character that continues a line, which a first comment may set.
fn escape(text: &str) -> char {
    for line in text.lines().take(20) {
        let Some(comment) = line.trim().strip_prefix('#') else { break };
        let directive = comment.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        match directive {
            Some((name, "`")) if name.eq_ignore_ascii_case("escape") => return '`',
            Some(_) => {}
            None => break,
        }
    }
    '\\'
}

/// The words that end the here-documents that an instruction begins.
fn here_documents(rest: &str) -> Vec<String> {
    let mut ends = Vec::new();
    for piece in rest.split("<<").skip(1).take(16) {
        let piece = piece.strip_prefix('-').unwrap_or(piece);
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let bare = piece.trim_start_matches(['"', '\'']);
        let word: String = bare.chars().take_while(|c| fits(*c)).collect();
        if !word.is_empty() && word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            ends.push(word);
        }
    }
    ends
}

/// `ENV A=1 B="2"`, `ENV A 1`, `ARG A=1`.
fn variables(rest: &str, variables: &mut BTreeMap<String, String>) {
    let mut set = |name: &str, value: &str| {
        let value = value.trim_matches(['"', '\'']);
        let fits = name.len() <= MAX_VALUE && value.len() <= MAX_VALUE;
        if fits && variables.len() < MAX_VARIABLES {
            variables.insert(name.to_owned(), value.to_owned());
        }
    };
    let first = rest.split_whitespace().next().unwrap_or_default();
    if first.contains('=') {
        for (name, value) in rest.split_whitespace().filter_map(|pair| pair.split_once('=')) {
            set(name, value);
        }
    } else if let Some((name, value)) = rest.trim().split_once(char::is_whitespace) {
        set(name, value.trim());
    }
}

/// Puts the values that the file itself gives its variables, as the shell would.
fn substitute(
    command: Command,
    variables: &BTreeMap<String, String>,
    mark: Mark,
    context: &mut Context<'_>,
) -> Command {
    let Command::Line(line) = command else { return command };
    if line.len() > MAX_COMMAND {
        return Command::Line(line);
    }
    let mut out = String::new();
    let mut used = Vec::new();
    let mut rest = line.as_str();
    let mut quoted = false;
    while let Some(start) = rest.find('$') {
        let before = &rest[..start];
        // What stands between single quotation marks stays as it is.
        quoted ^= before.matches('\'').count() % 2 == 1;
        out.push_str(before);
        rest = &rest[start..];
        let found = if quoted { None } else { reference(rest) };
        let value = found.and_then(|(name, default, length)| {
            let value = variables.get(name).map(String::as_str).or(default)?;
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._/:%@=~".contains(&b);
            value.bytes().all(fits).then_some((name, value, length))
        });
        if let Some((name, value, length)) = value {
            out.push_str(value);
            used.push(name);
            rest = &rest[length..];
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    used.sort_unstable();
    used.dedup();
    for name in used.into_iter().take(20) {
        let message = format!(
            "the variable `{}` has the value that this file gives it; a container may have another",
            shown(name)
        );
        context.note(mark, message);
    }
    Command::Line(out)
}

/// The name, the default and the length of `$NAME`, `${NAME}` or `${NAME:-default}`.
fn reference(text: &str) -> Option<(&str, Option<&str>, usize)> {
    let rest = text.strip_prefix('$')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = |name: &str| !name.is_empty() && name.chars().all(fits);
    if let Some(inner) = rest.strip_prefix('{') {
        let end = inner.find('}')?;
        let content = &inner[..end];
        let (name, default) = match content.split_once(":-").or_else(|| content.split_once('-')) {
            Some((name, default)) => (name, Some(default)),
            None => (content, None),
        };
        return is_name(name).then_some((name, default, end + 3));
    }
    let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
    is_name(&rest[..end]).then_some((&rest[..end], None, end + 1))
}
