//! What is seen from outside while the soak goes on: how fast the endpoint answers, what it says of
//! each check, and what the process takes.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::targets::thread;
use crate::bare;
use crate::measure::{children_cpu, median, resident};

/// Time from question to question, of each of the two clients.
const ASKED: Duration = Duration::from_millis(50);

/// How long the timer sleeps.
const TIMER: Duration = Duration::from_millis(10);

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time from look to look at what the checks do.
const POLLED: Duration = Duration::from_millis(100);

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

// ── How fast the endpoint answers ───────────────────────────────────────────────────────────────

/// What took how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An answer on a connection that is kept.
    Kept,
    /// An answer on a new connection.
    Fresh,
    /// A thread of ours that wanted to wake up, beyond the time that it wanted to sleep: what the
    /// machine does to everybody.
    Timer,
}

/// One question to the endpoint, or to the timer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) kind: Kind,
    /// How long it took; nothing where no answer came.
    pub(super) took: Option<Duration>,
}

/// Two clients that ask for the health of everything, and a timer, until this program ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Clients(Arc<Mutex<Vec<Asked>>>);

impl Clients {
    /// Starts all three.
    pub(super) fn start(address: SocketAddr) -> Result<Self> {
        let clients = Self::default();
        let theirs = clients.clone();
        thread("clients", move || async move {
            tokio::join!(theirs.ask(address, Kind::Kept), theirs.ask(address, Kind::Fresh));
            Ok(())
        })?;
        let theirs = clients.clone();
        thread("timer", move || async move {
            loop {
                let at = Instant::now();
                sleep(TIMER).await;
                let took = Some(at.elapsed().saturating_sub(TIMER));
                theirs.lock().push(Asked { at, kind: Kind::Timer, took });
            }
        })?;
        Ok(clients)
    }

    async fn ask(&self, address: SocketAddr, kind: Kind) {
        let mut ticks = interval(ASKED);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut kept = None;
        let mut free = Instant::now();
        loop {
            let due = ticks.tick().await.into_std();
            // Somebody whose turn came while the one before had no answer has waited since.
            let at = if free > due { due } else { Instant::now() };
            let answered = timeout(PATIENCE, health(address, kept.take())).await;
            free = Instant::now();
            let mut took = None;
            if let Ok(Ok(sender)) = answered {
                took = Some(free - at);
                kept = (kind == Kind::Kept).then_some(sender);
            }
            self.lock().push(Asked { at, kind, took });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every question so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.lock().clone()
    }
}

/// Asks on the connection that was kept, or a new one.
async fn health(address: SocketAddr, kept: Option<bare::Sender>) -> Result<bare::Sender> {
    let mut sender = match kept {
        Some(sender) => sender,
        None => bare::connect(address).await?,
    };
    let answer = bare::ask(&mut sender, address, "/health").await?;
    ensure!([200, 503].contains(&answer.status().as_u16()), "it answered {}", answer.status());
    ensure!(answer.body().len() > 100, "it answered with nothing");
    Ok(sender)
}

// ── What it says of each check ──────────────────────────────────────────────────────────────────

/// A check as `/api/v1/checks` shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) message: String,
    last_run: Option<String>,
    pub(super) backoff: Option<serde::de::IgnoredAny>,
}

/// A run that has ended, seen at a look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) seen: Instant,
    /// From the end of the run before; nothing where that was not seen.
    pub(super) gap: Option<Duration>,
}

/// A good check that did not pass.
#[derive(Debug, Clone)]
pub(super) struct Unwell {
    pub(super) seen: Instant,
    pub(super) check: String,
    pub(super) says: String,
}

/// Everything that was seen at the looks.
#[derive(Debug, Default)]
pub(super) struct Polls {
    /// When each look was answered.
    pub(super) at: Vec<Instant>,
    pub(super) good: BTreeMap<String, Vec<Ended>>,
    pub(super) hostile: BTreeMap<String, Vec<Ended>>,
    pub(super) unwell: Vec<Unwell>,
    last: BTreeMap<String, i64>,
    /// What the checks were at the last look.
    pub(super) checks: Vec<Check>,
}

impl Polls {
    /// Looks for a while, and takes samples of the process.
    pub(super) async fn watch(
        &mut self,
        server: SocketAddr,
        peak: &mut Peak,
        mut until: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<()> {
        let mut ticks = interval(POLLED);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sender = bare::connect(server).await?;
        // Nobody knows how many runs there were since the last look of another time.
        self.last.retain(|name, _| !is_good(name));
        loop {
            ticks.tick().await;
            let answer = timeout(PATIENCE, bare::ask(&mut sender, server, "/api/v1/checks")).await;
            let answer = answer.context("`/api/v1/checks` does not answer")??;
            self.take(answer.body())?;
            peak.sample()?;
            if until().await? {
                return Ok(());
            }
        }
    }

    fn take(&mut self, body: &[u8]) -> Result<()> {
        #[derive(Deserialize)]
        struct List {
            checks: Vec<Check>,
        }
        let seen = Instant::now();
        let list: List = serde_json::from_slice(body).context("reading `/api/v1/checks`")?;
        for check in &list.checks {
            let is_good = is_good(&check.name);
            if is_good && check.state != "pass" {
                let says = format!("{}: {}", check.state, check.message);
                self.unwell.push(Unwell { seen, check: check.name.clone(), says });
            }
            let Some(at) = check.last_run.as_deref().and_then(of_day) else { continue };
            let before = self.last.insert(check.name.clone(), at);
            if before == Some(at) {
                continue;
            }
            let gap = before.map(|before| (at - before).rem_euclid(DAY).unsigned_abs());
            let runs = if is_good { &mut self.good } else { &mut self.hostile };
            runs.entry(check.name.clone())
                .or_default()
                .push(Ended { seen, gap: gap.map(Duration::from_millis) });
        }
        self.at.push(seen);
        self.checks = list.checks;
        Ok(())
    }
}

fn is_good(name: &str) -> bool {
    name.starts_with("good-")
}

/// Milliseconds of the day, of `2026-01-31T12:34:56.789Z`.
fn of_day(time: &str) -> Option<i64> {
    let mut parts = time.split_once('T')?.1.trim_end_matches('Z').split([':', '.']);
    let mut next = || parts.next()?.parse::<i64>().ok();
    let (hours, minutes, seconds, millis) = (next()?, next()?, next()?, next()?);
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

// ── What the process takes ──────────────────────────────────────────────────────────────────────

/// What a process holds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Held {
    /// Resident memory in bytes.
    pub(super) memory: f64,
    pub(super) descriptors: f64,
    pub(super) threads: f64,
}

impl Held {
    fn now(pid: u32) -> Result<Self> {
        let count = |what: &str| {
            let dir = format!("/proc/{pid}/{what}");
            let entries = fs::read_dir(&dir).with_context(|| format!("reading `{dir}`"))?.count();
            anyhow::Ok(f64::from(u32::try_from(entries).unwrap_or(u32::MAX)))
        };
        Ok(Self { memory: resident(pid)?, descriptors: count("fd")?, threads: count("task")? })
    }

    /// The middle of two seconds: connections come and go.
    pub(super) async fn settled(pid: u32) -> Result<Self> {
        let mut samples = Vec::new();
        for _ in 0..40 {
            samples.push(Self::now(pid)?);
            sleep(Duration::from_millis(50)).await;
        }
        let middle = |part: fn(&Self) -> f64| {
            median(&samples.iter().map(part).collect::<Vec<_>>()).unwrap_or(f64::NAN)
        };
        Ok(Self {
            memory: middle(|held| held.memory),
            descriptors: middle(|held| held.descriptors),
            threads: middle(|held| held.threads),
        })
    }
}

/// How many descriptors of each kind a process has, and threads of each name: where to look for
/// what is left over.
pub(super) fn kinds(pid: u32) -> Result<String> {
    let list = |what: &str, kind: fn(&Path) -> std::io::Result<String>| {
        let dir = format!("/proc/{pid}/{what}");
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for entry in fs::read_dir(&dir).with_context(|| format!("reading `{dir}`"))?.flatten() {
            // It may be gone since.
            if let Ok(kind) = kind(&entry.path()) {
                *counts.entry(kind).or_default() += 1;
            }
        }
        let counts = counts.iter().map(|(kind, count)| format!("{count} {kind}"));
        anyhow::Ok(counts.collect::<Vec<_>>().join(", "))
    };
    let descriptors = list("fd", |path| {
        let target = fs::read_link(path)?.to_string_lossy().into_owned();
        // `socket:[123]`: the number is another each time.
        Ok(target.split_once(":[").map(|(kind, _)| kind.to_owned()).unwrap_or(target))
    })?;
    let threads =
        list("task", |path| Ok(fs::read_to_string(path.join("comm"))?.trim_end().to_owned()))?;
    Ok(format!("descriptors: {descriptors}; threads: {threads}"))
}

/// The most that a process held at any sample.
#[derive(Debug)]
pub(super) struct Peak {
    pid: u32,
    pub(super) held: Held,
}

impl Peak {
    pub(super) fn new(pid: u32) -> Self {
        Self { pid, held: Held::default() }
    }

    fn sample(&mut self) -> Result<()> {
        let now = Held::now(self.pid)?;
        self.held.memory = self.held.memory.max(now.memory);
        self.held.descriptors = self.held.descriptors.max(now.descriptors);
        self.held.threads = self.held.threads.max(now.threads);
        Ok(())
    }
}

/// CPU time of a process so far, ended threads too, and of the children that it has waited for; in
/// steps of 10 ms.
pub(super) fn cpu(pid: u32) -> Result<(Duration, Duration)> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading `{path}`"))?;
    // utime and stime are the 12th and 13th behind the name.
    let behind = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks: u64 = behind.split_whitespace().skip(11).take(2).flat_map(str::parse::<u64>).sum();
    let own = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
    Ok((own, children_cpu(pid)?))
}
