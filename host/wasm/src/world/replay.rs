//! From a record back to the world that it was made in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wellcheck_core::grant::Grants;
use wellcheck_core::id::CheckName;
use wellcheck_core::limits::{RUN_LIMITS, RunLimits};
use wellcheck_core::record::{self, Record};
use wellcheck_core::redact::Redactor;
use wellcheck_core::status::Status;
use wellcheck_core::suite::Scripted;

use super::{Asked, Script, Tape, World};
use crate::plugin::Plugin;
use crate::run::{Invocation, PluginRun, Supplies};
use crate::text::cleaned;
use crate::{Standing, Standings};

/// What a secret is when a record is run again: nobody kept the real one.
const SECRET: &str = "wellcheck-replayed-secret";

/// Longest timeout of a run, in milliseconds: a day, as in the configuration.
const MAX_TIMEOUT: u64 = 24 * 60 * 60 * 1000;

/// Why a record cannot be run again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is of another form.
    #[error("the record is of the form `{0}`, and this program reads `{expected}`", expected = record::FORMAT)]
    Form(String),
    /// Something in it is not what it should be.
    #[error("the record's `{what}` cannot be used: {why}")]
    Broken {
        /// The key.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// The world of a record, ready for a run.
#[derive(Debug)]
pub struct Replay {
    world: World,
    script: Script,
    invocation: Invocation,
}

impl Replay {
    /// Makes the world of a record. `grants` are those of the record, with the folders that the
    /// caller filled with its files in place of the ones there.
    ///
    /// # Errors
    /// When the record is of another form, or something in it cannot be used.
    pub fn new(record: &Record, grants: Grants) -> Result<Self, ReplayError> {
        if record.format != record::FORMAT {
            return Err(ReplayError::Form(record.format.clone()));
        }
        let broken = |what, why: String| ReplayError::Broken { what, why };
        let check =
            CheckName::new(&record.check).map_err(|error| broken("check", error.to_string()))?;
        let random = record::unhex(&record.random)
            .ok_or_else(|| broken("random", "expected 64 hexadecimal digits".to_owned()))?;
        if let Some(path) = record.files.keys().find(|path| !is_plain(path)) {
            let why = format!(
                "found the path `{}`, expected an absolute one without `.` and `..`",
                cleaned(path, 200)
            );
            return Err(broken("files", why));
        }
        let mut limits = RunLimits::default();
        for (name, value) in &record.limits {
            let row = RUN_LIMITS.iter().find(|row| row.name == name).ok_or_else(|| {
                broken("limits", format!("there is no limit `{}`", cleaned(name, 200)))
            })?;
            (row.set)(&mut limits, (*value).clamp(row.smallest, row.largest));
        }
        let list = record.http.iter().map(|exchange| Scripted {
            method: Some(exchange.method.clone()),
            url: exchange.url.clone(),
            is_exact: true,
            times: Some(1),
            reply: exchange.reply.clone(),
        });
        let script = Script::new(list.collect());
        let now = Duration::from_millis(u64::try_from(record.began).unwrap_or(0));
        let world = World { now, random, transport: Arc::new(script.clone()) };
        let mut standings = BTreeMap::new();
        for (name, standing) in &record.checks {
            if let Some(standing) = standing {
                let standing = from_record(standing).map_err(|why| broken("checks", why))?;
                standings.insert(name.clone(), standing);
            }
        }
        let secrets = record.secrets.iter().map(|name| (name.clone(), SECRET.to_owned()));
        let state = record.state.iter();
        let supplies = Supplies {
            env: record.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            secrets: Arc::new(secrets.collect()),
            state: Arc::new(
                state.map(|(key, value)| (key.clone(), Bytes::from(value.0.clone()))).collect(),
            ),
            checks: Some(Arc::new(Fixed(standings))),
        };
        let invocation = Invocation {
            check,
            settings: record.settings.to_string().into(),
            grants: Arc::new(grants),
            limits: Arc::new(limits),
            timeout: Duration::from_millis(record.timeout.clamp(1, MAX_TIMEOUT)),
            failures_in_a_row: record.failures_in_a_row,
            traceparent: None,
            redact: Redactor::default(),
            supplies,
            tape: None,
        };
        Ok(Self { world, script, invocation })
    }

    /// With these limits in place of the usual ones.
    #[must_use]
    pub fn with_limits(mut self, limits: RunLimits) -> Self {
        self.invocation.limits = Arc::new(limits);
        self
    }

    /// With a tape, for what this run in turn asks for.
    #[must_use]
    pub fn taped(mut self, tape: Arc<Tape>) -> Self {
        self.invocation.tape = Some(tape);
        self
    }

    /// What the run is given.
    pub fn invocation(&self) -> &Invocation {
        &self.invocation
    }

    /// Runs a plugin in this world, once.
    pub async fn run(self, plugin: &Plugin) -> (PluginRun, Vec<Asked>) {
        let Self { world, script, invocation } = self;
        let run = plugin.run_in(world, invocation).await;
        (run, script.asked())
    }
}

/// Checks that are as somebody said.
#[derive(Debug)]
pub struct Fixed(pub BTreeMap<String, Standing>);

impl Standings for Fixed {
    fn latest(&self, check: &str) -> Option<Standing> {
        self.0.get(check).cloned()
    }
}

/// How a check was, of a record or a test.
///
/// # Errors
/// When its state is none.
pub fn from_record(standing: &record::Standing) -> Result<Standing, String> {
    let known = [Status::Pass, Status::Warn, Status::Fail, Status::Unknown];
    let state = known.into_iter().find(|status| status.as_str() == standing.state);
    Ok(Standing {
        state: state.ok_or_else(|| {
            format!(
                "found the state `{}`, expected `pass`, `warn`, `fail` or `unknown`",
                standing.state
            )
        })?,
        reason: standing.reason.clone(),
        message: standing.message.clone(),
        age: standing.age.map(|age| Duration::from_secs_f64(age.clamp(0.0, 1e12) / 1e3)),
        observations: standing.observations.iter().cloned().map(Into::into).collect(),
    })
}

/// Absolute, and without anything that leads upwards.
fn is_plain(path: &str) -> bool {
    let plain = |segment: &str| !segment.is_empty() && segment != "." && segment != "..";
    // A folder ends with a slash.
    let rest = path.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    rest.is_some_and(|rest| rest.split('/').all(plain)) && !path.contains('\0')
}

/// A folder that holds the files of a record, for the grant that names it there: the caller gives
/// each granted folder a place of its own.
///
/// # Errors
/// When a file cannot be written.
pub fn lay_out(
    files: &BTreeMap<String, Option<record::Blob>>,
    guest: &str,
    host: &Path,
) -> std::io::Result<()> {
    let prefix = format!("{}/", guest.trim_end_matches('/'));
    for (path, content) in files {
        let (Some(below), Some(content)) = (path.strip_prefix(&prefix), content) else { continue };
        // What a guest opened lies below; a path that says otherwise is not a record's.
        if Path::new(below).components().any(|c| !matches!(c, std::path::Component::Normal(_))) {
            continue;
        }
        let target = host.join(below);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(target, &content.0)?;
    }
    Ok(())
}
