//! The soak: all hostile guests at once beside 200 good checks, in the real program.
//!
//! First the good checks are alone; then the hostile plugins are put into the folder of the running
//! server and their checks into its configuration; then all of it goes on for two minutes; then
//! they are taken away again. The good ones must not notice, and the server must be afterwards as
//! it was before. Nothing of it leaves the loopback.

mod hostile;
mod report;
mod targets;
mod watch;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use self::hostile::Places;
use self::report::{Figures, Hostile, Part, Span};
use self::targets::{Bad, Good};
use self::watch::{Clients, Held, Peak, Polls};
use crate::Bench;
use crate::bare;
use crate::process::Process;

/// How long all of it goes on, in seconds, unless told otherwise.
pub(crate) const SECONDS: u64 = 120;

/// How long the good checks are alone at first.
const ALONE: Duration = Duration::from_secs(20);

/// So often all hostile checks begin anew while it goes on: those that fault again and again run
/// less and less often.
const ROUND: Duration = Duration::from_secs(30);

/// How long the good checks are alone again before the last look at the process: the threads for files
/// of a check that is gone stay for a minute, and are looked at twice a minute.
const QUIET: Duration = Duration::from_secs(100);

/// Longest until the good plugins are compiled and all good checks have run.
const READY: Duration = Duration::from_mins(2);

/// Longest until every hostile plugin is loaded or refused: some are made to take long.
const LOADED: Duration = Duration::from_mins(6);

/// Longest until a change of files has taken effect.
const CHANGED: Duration = Duration::from_mins(1);

/// Good checks: of the kind `http`, then of the plugin `json-number`, then of `minimal`.
const GOOD: usize = 200;
const HTTP: usize = 100;
/// So many of them ask a target.
const SEEN: usize = 150;
const GOOD_PLUGINS: usize = 2;

/// From run to run of every check; `HEAD` says so too.
const INTERVAL: Duration = Duration::from_secs(1);

/// One outcome is enough to change a state: none is overlooked.
const HEAD: &str = "[defaults]\ninterval = \"1s\"\ntimeout = \"1s\"\nfailure-threshold = 1\n\
                    [store]\npath = \"store.db\"\n";

/// A shorter soak is for trying, and does not wait long for the bombs that are made to take long to
/// compile.
const WHOLE: Duration = Duration::from_mins(1);
const HURRY: &str = "[plugins.limits]\ncompile-time = \"20s\"\n";

/// What the log of the server says of a panic. A line of the log begins with its time; what a guest
/// said of its own panic stands in such a line.
const PANICS: [&str; 2] = ["the host panic", "a run panicked"];

/// Soaks, prints the figures, and fails if something is wrong with them.
pub(crate) async fn run(bench: &Bench, seconds: u64, json: bool) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("watching for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("watching for SIGTERM")?;
    let figures = tokio::select! {
        figures = soak(bench, Duration::from_secs(seconds)) => figures?,
        // What was started and made goes with what holds it.
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    };
    if json {
        let text = serde_json::to_string_pretty(&figures).context("writing JSON")?;
        println!("{text}");
    } else {
        print!("{}", figures.text());
    }
    ensure!(figures.wrong.is_empty(), "the soak found something wrong: {}", figures.wrong[0]);
    Ok(())
}

async fn soak(bench: &Bench, duration: Duration) -> Result<Figures> {
    hostile::complete(&bench.guests)?;
    let (good, bad) = (Good::start()?, Bad::start()?);
    let head = HEAD.to_owned() + if duration < WHOLE { HURRY } else { "" };
    let good_checks = head + &good_checks(&good);
    let server = Server::start(bench, &good_checks).await?;
    let (pid, address) = (server.process.pid(), server.address);
    say("waiting until the good checks run");
    server.until(READY, GOOD, GOOD_PLUGINS).await?;
    until_pass(address).await?;

    let clients = Clients::start(address)?;
    let (mut polls, mut peak) = (Polls::default(), Peak::new(pid));
    let alone_for = ALONE.min(duration);
    say(&format!("the good checks alone for {alone_for:?}"));
    let alone = span(pid, polls.watch(address, &mut peak, passed(alone_for))).await?;
    let before = Held::settled(pid).await?;
    say(&format!("before: {}", watch::kinds(pid)?));

    say(&format!("adding {} hostile checks, and waiting until all are loaded", hostile::CHECKS));
    let all = GOOD_PLUGINS + hostile::plugins().len();
    let began = Instant::now();
    let with_hostile = |round| anyhow::Ok(good_checks.clone() + &server.hostile(&bad, round)?);
    server.configure(&with_hostile(0)?)?;
    for plugin in hostile::plugins() {
        copy(&bench.guests, plugin, &server.plugins)?;
    }
    let is_loaded = async || {
        ensure!(began.elapsed() < LOADED, "not every plugin is loaded within {LOADED:?}");
        server.is_settled(GOOD + hostile::CHECKS, all).await
    };
    let loading = span(pid, polls.watch(address, &mut peak, is_loaded)).await?;

    say(&format!("all together for {duration:?}"));
    let (began, mut round) = (Instant::now(), 0);
    let is_over = async || {
        if began.elapsed() >= ROUND * round && began.elapsed() < duration {
            round += 1;
            server.configure(&with_hostile(round)?)?;
        }
        Ok(began.elapsed() >= duration)
    };
    let soak = span(pid, polls.watch(address, &mut peak, is_over)).await?;
    let is_whole = server.is_settled(GOOD + hostile::CHECKS, all).await?;
    ensure!(is_whole, "not every check and plugin was there to the end");
    let hostile = Hostile::of(&polls);
    let mut wrong = idle(&polls);
    wrong.extend(bad.is_reached().then(|| "a port that no grant covers was reached".to_owned()));

    say("taking the hostile checks away");
    for plugin in hostile::plugins() {
        let path = server.plugins.join(format!("{plugin}.wasm"));
        fs::remove_file(path).context("removing a plugin")?;
    }
    server.configure(&good_checks)?;
    server.until(CHANGED, GOOD, GOOD_PLUGINS).await?;
    sleep(QUIET).await;
    let after = Held::settled(pid).await?;
    say(&format!("after: {}", watch::kinds(pid)?));

    for one in polls.unwell.iter().take(5) {
        say(&format!("good check `{}` was {}", one.check, one.says));
    }
    wrong.extend(server.panics()?);
    server.process.stop().await?;
    let (asked, arrivals) = (clients.asked(), good.arrivals());
    let part = |span| Part::of(span, &asked, &arrivals, &polls);
    let (alone, loading, soak) = (part(&alone), part(&loading), part(&soak));
    let peak = peak.held;
    let mut figures = Figures { alone, loading, soak, before, peak, after, hostile, wrong };
    figures.judge();
    Ok(figures)
}

fn say(what: &str) {
    eprintln!("bench: soak: {what}");
}

/// Whether so much time has passed since the first question.
fn passed(duration: Duration) -> impl AsyncFnMut() -> Result<bool> {
    let began = Instant::now();
    async move || Ok(began.elapsed() >= duration)
}

/// When something began and ended, and what CPU the server took meanwhile.
async fn span(pid: u32, work: impl Future<Output = Result<()>>) -> Result<Span> {
    let (from, before) = (Instant::now(), watch::cpu(pid)?);
    work.await?;
    let (to, after) = (Instant::now(), watch::cpu(pid)?);
    Ok(Span { from, to, cpu: (after.0 - before.0, after.1 - before.1) })
}

/// Hostile checks that did nothing at all, and those whose settings are wrong: rows to mend.
fn idle(polls: &Polls) -> Vec<String> {
    let mut wrong = Vec::new();
    for check in polls.checks.iter().filter(|check| check.name.starts_with("hostile-")) {
        let has_run = polls.hostile.contains_key(&check.name);
        let reason = check.reason.as_deref().unwrap_or_default();
        let says = format!("`{}` is {} ({})", check.name, check.state, check.message);
        if reason == "bad-settings" {
            wrong.push(format!("{says}; its row in soak/hostile.rs needs other settings"));
        } else if !has_run && reason != "load" {
            wrong.push(format!("{says}, and has never run"));
        }
    }
    wrong
}

// ── The configuration ───────────────────────────────────────────────────────────────────────────

/// The name of a good check.
fn name(number: usize) -> String {
    format!("good-{number}")
}

fn good_checks(good: &Good) -> String {
    let mut text = String::new();
    for number in 0..GOOD {
        let (name, url, address) = (name(number), good.url(number), good.address(number));
        let what = if number < HTTP {
            format!("kind = \"http\"\nurl = \"{url}\"\n")
        } else if number < SEEN {
            format!(
                "plugin = \"json-number\"\nsettings = {{ url = \"{url}\", pointer = \"/depth\", fail = 10 }}\n\
                 grants = {{ http = \"http://{address}\" }}\n"
            )
        } else {
            "plugin = \"minimal\"\n".to_owned()
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n[[check]]\nname = \"{name}\"\n{what}");
    }
    text
}

/// Waits until every good check has run and passes.
async fn until_pass(address: std::net::SocketAddr) -> Result<()> {
    let began = Instant::now();
    loop {
        let answer = bare::get(address, "/health").await?;
        if answer.status() == 200 {
            return Ok(());
        }
        ensure!(began.elapsed() < READY, "the good checks do not pass within {READY:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

// ── The server ──────────────────────────────────────────────────────────────────────────────────

/// A server whose files change.
struct Server {
    process: Process,
    address: std::net::SocketAddr,
    plugins: PathBuf,
    log: PathBuf,
    folder: TempDir,
}

/// What of `/api/v1/status` matters here.
#[derive(Deserialize)]
struct Status {
    checks: usize,
    configuration: Configuration,
    plugins: Vec<Plugin>,
}

#[derive(Deserialize)]
struct Configuration {
    applied: bool,
    problems: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Plugin {
    newest: String,
}

impl Server {
    async fn start(bench: &Bench, config: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("wellcheck-soak-").context("making a folder")?;
        let (plugins, log) = (folder.path().join("plugins"), folder.path().join("log"));
        fs::create_dir(&plugins).context("making a folder")?;
        // What is written there is for guests that may.
        let granted = folder.path().join("granted");
        fs::create_dir(&granted).context("making a folder")?;
        mknodat(CWD, granted.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0)
            .context("making a FIFO")?;
        for (to, link) in [("..", "up"), ("/proc/self/environ", "proc")] {
            std::os::unix::fs::symlink(to, granted.join(link)).context("making a link")?;
        }
        copy(&bench.plugins, "json-number", &plugins)?;
        copy(&bench.guests, "minimal", &plugins)?;
        fs::write(folder.path().join("wellcheck.toml"), config).context("writing a file")?;

        let mut command = Command::new(&bench.host);
        command.current_dir(folder.path()).args(["serve", "--listen", "127.0.0.1:0"]);
        command.args(["--log", "info", "--config", "wellcheck.toml", "--plugins", "plugins"]);
        // An empty cache: compiling is part of what is survived.
        command.args(["--cache", "cache"]);
        command.stderr(Stdio::from(fs::File::create(&log).context("making the log")?));
        let process = Process::start(&mut command).await.with_context(|| {
            format!("its log says: {}", fs::read_to_string(&log).unwrap_or_default())
        })?;
        let address = process
            .first_line
            .strip_prefix("listening on http://")
            .and_then(|address| address.parse().ok())
            .with_context(|| format!("no address in `{}`", process.first_line))?;
        Ok(Self { process, address, plugins, log, folder })
    }

    /// Replaces the configuration, whole.
    fn configure(&self, text: &str) -> Result<()> {
        let new = self.folder.path().join("new");
        fs::write(&new, text).context("writing a file")?;
        fs::rename(&new, self.folder.path().join("wellcheck.toml")).context("renaming a file")
    }

    /// The configuration of every hostile check.
    fn hostile(&self, bad: &Bad, round: u32) -> Result<String> {
        let dir = self.folder.path().join("granted");
        let udp = bad.udp.local_addr().context("finding our own address")?.to_string();
        let places = Places { http: bad.http.to_string(), udp, door: bad.door()?, dir: &dir };
        Ok(hostile::checks(&places, round))
    }

    /// Whether there are so many checks and plugins, and every plugin is loaded or refused.
    async fn is_settled(&self, checks: usize, plugins: usize) -> Result<bool> {
        let answer = timeout(CHANGED, bare::get(self.address, "/api/v1/status")).await;
        let answer = answer.context("`/api/v1/status` does not answer")??;
        let status: Status =
            serde_json::from_slice(answer.body()).context("reading `/api/v1/status`")?;
        let Configuration { applied, problems } = &status.configuration;
        ensure!(
            *applied || problems.is_empty(),
            "the configuration of the soak is refused: {problems:?}"
        );
        let loading = status.plugins.iter().any(|plugin| plugin.newest == "loading");
        let all = status.checks == checks && status.plugins.len() == plugins;
        Ok(*applied && all && !loading)
    }

    async fn until(&self, limit: Duration, checks: usize, plugins: usize) -> Result<()> {
        let began = Instant::now();
        while !self.is_settled(checks, plugins).await? {
            ensure!(
                began.elapsed() < limit,
                "no {checks} checks and {plugins} plugins within {limit:?}"
            );
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// What the log says of panics of the server itself.
    fn panics(&self) -> Result<Vec<String>> {
        let log = fs::read(&self.log).context("reading the log")?;
        let log = String::from_utf8_lossy(&log);
        let count = |level: &str| log.lines().filter(|line| line.contains(level)).count();
        let (errors, warnings) = (count(" ERROR "), count(" WARN "));
        let lines = log.lines().count();
        say(&format!("the log has {lines} lines, {errors} errors and {warnings} warnings"));
        let is_panic = |line: &&str| {
            let own = !line.starts_with("20") && line.contains("panicked at");
            own || PANICS.iter().any(|text| line.contains(text))
        };
        let found = log.lines().filter(is_panic);
        Ok(found.map(|line| format!("the server panicked: {line}")).collect())
    }
}

fn copy(from: &Path, name: &str, to: &Path) -> Result<()> {
    let file = format!("{name}.wasm");
    fs::copy(from.join(&file), to.join(&file))
        .with_context(|| format!("copying `{}`", from.join(&file).display()))?;
    Ok(())
}
