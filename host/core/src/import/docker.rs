//! `wellcheck import docker`: `HEALTHCHECK` of Dockerfiles and `healthcheck` of compose files.
//!
//! Health checks of containers are commands that run within them. Those that only ask a URL become
//! checks that ask it from outside; of others it is said what they run.

mod compose;
mod dockerfile;

use std::time::Duration;

use super::command::{self, Command};
use super::context::Context;
use super::http::Request;
use super::names::{Names, put_title};
use super::timing::{self, Timing};
use super::write::{self, Block, Item};
use super::yaml::{self, Mark};
use super::{Import, Imported, Options};
use crate::config::{Problem, SourceFile};

pub(super) struct Docker;

impl Import for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn summary(&self) -> &'static str {
        "HEALTHCHECK of a Dockerfile, or healthcheck of a compose file, as checks"
    }

    fn import(&self, file: &SourceFile, options: &Options) -> Result<Imported, Vec<Problem>> {
        if is_dockerfile(file) {
            return dockerfile::import(file, options);
        }
        compose::import(&yaml::read(file)?, file, options)
    }
}

/// By the name, or else by how the text begins.
fn is_dockerfile(file: &SourceFile) -> bool {
    let base = super::context::base_name(&file.name).to_ascii_lowercase();
    if base.contains("dockerfile") || base.contains("containerfile") {
        return true;
    }
    if base.ends_with(".yaml") || base.ends_with(".yml") {
        return false;
    }
    let instructions = file.text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = instructions.into_iter().find(|line| !line.starts_with('#')).unwrap_or_default();
    let word = first.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    matches!(word.as_str(), "FROM" | "ARG")
}

/// What a health check says, from either kind of file.
#[derive(Debug, Clone, Default)]
struct Healthcheck {
    interval: Option<(Duration, Mark)>,
    timeout: Option<(Duration, Mark)>,
    start_period: Option<(Duration, Mark)>,
    start_interval: Option<(Duration, Mark)>,
    retries: Option<(i64, Mark)>,
}

/// Docker's own values.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: i64 = 3;

/// Whose health check it is.
struct Owner<'a> {
    /// What the check is to be called.
    wanted: &'a str,
    /// For messages.
    what: &'a str,
    host: String,
    mark: Mark,
}

impl Healthcheck {
    /// The name of the check and what it is told, unless its command is no question to a URL.
    fn check(
        &self,
        command: &Command,
        owner: &Owner<'_>,
        names: &mut Names,
        context: &mut Context<'_>,
    ) -> Option<(String, Block)> {
        let (mark, what) = (owner.mark, owner.what);
        let (request, within) = match command::read(command, &owner.host, mark, what, context) {
            Ok(read) => read,
            Err(why) => {
                context.note(mark, format!("{what} is left out: {why}"));
                return None;
            }
        };
        let name = names.give(owner.wanted);
        let mut block = Block::new("[[check]]");
        block.put("name", name.as_str());
        put_title(&mut block, &name, owner.wanted);
        block.put("kind", "http");
        Request::put(request, &mut block);
        self.timing(within, owner).put(&mut block, what, context);
        self.start(&mut block, what, context);
        Some((name, block))
    }

    fn timing(&self, within: Option<Duration>, owner: &Owner<'_>) -> Timing {
        // Nothing is what Docker takes for its own values.
        let given = |value: Option<(Duration, Mark)>| value.filter(|(d, _)| *d > Duration::ZERO);
        let (interval, interval_mark) = given(self.interval).unwrap_or((INTERVAL, owner.mark));
        let standard = (TIMEOUT.min(interval), owner.mark);
        let (timeout, timeout_mark) = given(self.timeout).unwrap_or(standard);
        let retries = self.retries.filter(|(retries, _)| *retries != 0);
        let (failures, failures_mark) = retries.unwrap_or((RETRIES, owner.mark));
        Timing {
            interval,
            interval_mark,
            timeout: within.map_or(timeout, |within| within.min(timeout)),
            timeout_mark,
            failures,
            failures_mark,
            successes: 1,
            successes_mark: owner.mark,
        }
    }

    /// The start-up phase.
    fn start(&self, block: &mut Block, what: &str, context: &mut Context<'_>) {
        let period = self.start_period.filter(|(period, _)| *period > Duration::ZERO);
        let interval = self.start_interval.filter(|(interval, _)| *interval > Duration::ZERO);
        let Some((period, mark)) = period else {
            if let Some((_, mark)) = interval {
                let message = format!("the start interval of {what} is left out: no start period");
                context.note(mark, message);
            }
            return;
        };
        let interval = interval.map_or(START_INTERVAL, |(interval, _)| interval);
        let least = Duration::from_millis(50);
        block.put(
            "startup-interval",
            timing::show(interval.clamp(least, timing::MAX_INTERVAL)).as_str(),
        );
        context.note(
            mark,
            format!(
                "the start period of {what} ends when it is healthy for the first time, not after \
                 {}; failures count from the first one",
                timing::show(period)
            ),
        );
    }
}

/// The text of it all.
fn render(blocks: &[Block], context: &Context<'_>) -> String {
    write::render(context.base_name(), blocks)
}

/// A list of names.
fn list(names: Vec<String>) -> Item {
    Item::List(names.iter().map(|name| Item::from(name.as_str())).collect())
}

#[cfg(test)]
mod tests;
