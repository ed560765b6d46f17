//! `wellcheck serve` in a folder of its own, on a free port.
//!
//! Started with what the builder wrote, asked over HTTP, stopped by SIGTERM when dropped. The log
//! is printed when the test fails.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::guests;
use super::http::{self, Answer};
use super::program::command_through;
use super::wait::{LIMIT, until, until_within};

/// What is there before the start.
pub(crate) struct Builder {
    dir: TempDir,
    config: bool,
    args: Vec<String>,
    env: Vec<(String, String)>,
    cache: Option<PathBuf>,
    through: Vec<String>,
}

/// An empty folder.
pub(crate) fn host() -> Builder {
    let dir = TempDir::with_prefix("wellcheck-e2e-").expect("a temporary folder");
    Builder {
        dir,
        config: false,
        args: Vec::new(),
        env: Vec::new(),
        cache: None,
        through: Vec::new(),
    }
}

impl Builder {
    /// Writes `wellcheck.toml`.
    pub(crate) fn config(mut self, text: &str) -> Self {
        self.config = true;
        self.file("wellcheck.toml", text)
    }

    /// Writes any file, its folders too.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        write(self.dir.path(), path, content);
        self
    }

    /// Puts a guest of the tests into the plugins folder.
    #[track_caller]
    pub(crate) fn guest(self, name: &str) -> Self {
        self.plugin(name, &guests::guest(name))
    }

    /// Puts an example into the plugins folder.
    #[track_caller]
    pub(crate) fn example(self, name: &str) -> Self {
        self.plugin(name, &guests::compiled_example(name))
    }

    /// Puts anything into the plugins folder, as `NAME.wasm`.
    pub(crate) fn plugin(self, name: &str, bytes: &[u8]) -> Self {
        self.file(&format!("plugins/{name}.wasm"), bytes)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Starts it by another program, which gets its command line.
    pub(crate) fn through(mut self, words: &[&str]) -> Self {
        self.through = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// A cache that no other test uses.
    pub(crate) fn own_cache(mut self) -> Self {
        self.cache = Some(self.dir.path().join("cache"));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    #[track_caller]
    pub(crate) fn start(self) -> Host {
        Host::start(self)
    }
}

/// Writes a file and the folders above it.
pub(crate) fn write(dir: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder");
    std::fs::write(path, content).expect("a file");
}

/// A server that runs.
pub(crate) struct Host {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The first line on standard output.
    pub(crate) first_line: String,
    /// What follows it.
    further_lines: Arc<Mutex<String>>,
    log: Arc<Mutex<String>>,
    builder: Builder,
    /// How long it took until the first line.
    pub(crate) started_in: Duration,
}

impl Host {
    #[track_caller]
    fn start(builder: Builder) -> Self {
        let began = Instant::now();
        let mut command = command_through(&builder.through);
        command.current_dir(builder.dir.path()).args(["serve", "--listen", "127.0.0.1:0"]);
        if let Some(cache) = &builder.cache {
            command.arg("--cache").arg(cache);
        }
        // A store of its own.
        command.env("XDG_STATE_HOME", builder.dir.path().join("state"));
        command.args(&builder.args).envs(builder.env.iter().map(|(n, v)| (n, v)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("it is piped");
        let lines = Arc::clone(&log);
        std::thread::spawn(move || collect(stderr, &lines));
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, first) = mpsc::channel();
        let further_lines = Arc::new(Mutex::new(String::new()));
        let rest = Arc::clone(&further_lines);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = String::new();
            // An end without a line is an empty line.
            let _ = reader.read_line(&mut line);
            let _ = sender.send(line);
            // Keeps the pipe open and empty until the end.
            collect(reader, &rest);
        });
        let line = first.recv_timeout(LIMIT).unwrap_or_default().trim_end().to_owned();
        let address = line.strip_prefix("listening on http://").and_then(|text| text.parse().ok());
        let Some(address) = address else {
            // It may be about to say why.
            let _ = child.kill();
            let _ = child.wait();
            panic!("it said `{line}` instead of where it listens:\n{}", locked(&log));
        };
        let started_in = began.elapsed();
        Self { child, address, first_line: line, further_lines, log, builder, started_in }
    }

    /// The folder with the configuration.
    pub(crate) fn dir(&self) -> &Path {
        self.builder.dir.path()
    }

    pub(crate) fn log(&self) -> String {
        locked(&self.log).clone()
    }

    /// Where a `[[listen]]` listens: what stands before its name, such as `http://127.0.0.1:1234`.
    #[track_caller]
    pub(crate) fn listener(&self, name: &str) -> String {
        until(&format!("a line of the listener `{name}`"), || {
            let text = locked(&self.further_lines).clone();
            let mut lines = text.lines();
            let found = lines.find_map(|line| {
                line.strip_prefix("listening on ")?.strip_suffix(&format!(" ({name})"))
            });
            found.map(str::to_owned).ok_or(text.clone())
        })
    }

    /// The address of a `[[listen]]`.
    #[track_caller]
    pub(crate) fn listener_address(&self, name: &str) -> SocketAddr {
        let line = self.listener(name);
        let (_, address) = line.split_once("://").expect("a scheme");
        address.parse().expect("an address")
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    // ── Files ──────────────────────────────────────────────────────────────────────────────────

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        write(self.dir(), path, content);
    }

    /// Replaces `wellcheck.toml`, whole.
    pub(crate) fn configure(&self, text: &str) {
        self.replace("wellcheck.toml", text);
    }

    /// Replaces a file by an atomic rename, as careful programs do.
    pub(crate) fn replace(&self, path: &str, content: impl AsRef<[u8]>) {
        self.write(".new", content);
        std::fs::rename(self.dir().join(".new"), self.dir().join(path)).expect("a rename");
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.dir().join(path)).expect("the file is there");
    }

    // ── Asking ─────────────────────────────────────────────────────────────────────────────────

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        http::request(self.address, method, path, headers, "")
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        self.get(path).json()
    }

    #[track_caller]
    pub(crate) fn health(&self) -> Value {
        self.json("/health")
    }

    /// `/api/v1/checks/NAME`; null where there is no such check.
    #[track_caller]
    pub(crate) fn check(&self, name: &str) -> Value {
        let answer = self.get(&format!("/api/v1/checks/{name}"));
        if answer.code == 404 { Value::Null } else { answer.json() }
    }

    /// The names of all checks, in their order.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<String> {
        let list = self.json("/api/v1/checks");
        let checks = list["checks"].as_array().expect("a list").iter();
        checks.map(|check| check["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// The notes of `/health`, joined.
    #[track_caller]
    pub(crate) fn notes(&self) -> String {
        let health = self.health();
        let notes = health["notes"].as_array().cloned().unwrap_or_default();
        notes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }

    // ── Waiting ────────────────────────────────────────────────────────────────────────────────

    /// Waits until a check is as `wanted`, and returns it.
    #[track_caller]
    pub(crate) fn until(&self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(&format!("check `{name}`: {what}"), || {
            let check = self.check(name);
            if wanted(&check) { Ok(check) } else { Err(check.to_string()) }
        })
    }

    /// Waits until a check has this state.
    #[track_caller]
    pub(crate) fn until_state(&self, name: &str, state: &str) -> Value {
        self.until(name, &format!("state `{state}`"), |check| check["state"] == state)
    }

    /// Waits until a check has run, and returns it.
    #[track_caller]
    pub(crate) fn until_run(&self, name: &str) -> Value {
        self.until(name, "a finished run", |check| check["outcome"].is_object())
    }

    /// Waits for another run than the last one, and returns the check.
    #[track_caller]
    pub(crate) fn next_run(&self, name: &str) -> Value {
        let before = self.until_run(name)["last_run"].clone();
        self.until(name, "one more run", |check| check["last_run"] != before)
    }

    /// Waits until this version of a plugin runs a check.
    #[track_caller]
    pub(crate) fn until_version(&self, name: &str, version: &str) -> Value {
        self.until(name, &format!("version {version} of its plugin"), |check| {
            check["plugin"]["version"] == version && check["outcome"].is_object()
        })
    }

    /// Waits until the notes of `/health` say this.
    #[track_caller]
    pub(crate) fn until_noted(&self, text: &str) -> String {
        until(&format!("a note `{text}`"), || {
            let notes = self.notes();
            if notes.contains(text) { Ok(notes) } else { Err(notes) }
        })
    }

    /// Waits until a path answers with this code.
    #[track_caller]
    pub(crate) fn until_code(&self, path: &str, code: u16) -> Answer {
        until(&format!("{code} from {path}"), || {
            let answer = self.get(path);
            if answer.code == code { Ok(answer) } else { Err(format!("{answer:?}")) }
        })
    }

    /// Waits until every plugin that was there at the start is decided.
    #[track_caller]
    pub(crate) fn until_ready(&self) {
        // The largest example takes this long to compile where the cache is empty.
        until_within(4 * LIMIT, "ready", || {
            let answer = self.get("/readyz?verbose");
            if answer.code == 200 { Ok(()) } else { Err(answer.body) }
        });
    }

    /// Waits until the log says this.
    #[track_caller]
    pub(crate) fn until_logged(&self, text: &str) -> String {
        until(&format!("`{text}` in the log"), || {
            let log = self.log();
            if log.contains(text) { Ok(log) } else { Err("the log below".to_owned()) }
        })
    }

    // ── Stopping ───────────────────────────────────────────────────────────────────────────────

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is ours");
    }

    /// Waits for the end that a signal brought about.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until("the process ends", || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Stops it and starts another one in the same folder.
    #[track_caller]
    pub(crate) fn restart(mut self) -> Self {
        self.signal(Signal::TERM);
        self.ended();
        let empty = host();
        let builder = std::mem::replace(&mut self.builder, empty);
        drop(self);
        Self::start(builder)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(self.pid(), Signal::TERM);
            let began = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < LIMIT {
                super::wait::pause(Duration::from_millis(5));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("── log of {} ──\n{}──", self.address, self.log());
        }
    }
}

fn collect(mut stderr: impl Read, log: &Mutex<String>) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = stderr.read(&mut buffer) {
        locked(log).push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

fn locked(log: &Mutex<String>) -> std::sync::MutexGuard<'_, String> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
