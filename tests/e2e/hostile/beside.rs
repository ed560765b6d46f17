//! A hostile guest under a check of its own, beside steady checks that must not notice.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::host::{Builder, Host, host};
use crate::support::wait::until;

/// Slower than this, somebody who asks has noticed.
const ANSWERED: Duration = Duration::from_secs(2);

/// How long a guest may run without the steady check having run meanwhile.
const UNNOTICED: Duration = Duration::from_millis(600);

/// A check called `guest`, before the start.
pub(super) struct Setup {
    builder: Builder,
    plugin: String,
    settings: String,
    grants: String,
    limits: String,
    timing: String,
    rest: String,
}

/// A check that runs this guest.
#[track_caller]
pub(super) fn guest(plugin: &str) -> Setup {
    let builder = host().guest("minimal");
    let builder = if plugin == "minimal" { builder } else { builder.guest(plugin) };
    Setup {
        builder,
        plugin: plugin.to_owned(),
        settings: String::new(),
        grants: String::new(),
        limits: String::new(),
        timing: "interval = \"1s\"\ntimeout = \"1s\"\n".to_owned(),
        rest: String::new(),
    }
}

impl Setup {
    /// The inside of `settings = { ... }`.
    pub(super) fn settings(mut self, settings: &str) -> Self {
        self.settings = settings.to_owned();
        self
    }

    /// Lines of `[check.grants]`.
    pub(super) fn grants(mut self, grants: &str) -> Self {
        self.grants = grants.to_owned();
        self
    }

    /// Lines of `[check.limits]`.
    pub(super) fn limits(mut self, limits: &str) -> Self {
        self.limits = limits.to_owned();
        self
    }

    /// Lines such as `interval = "1s"`, in place of one second for both interval and timeout.
    pub(super) fn timing(mut self, timing: &str) -> Self {
        self.timing = format!("{timing}\n");
        self
    }

    /// Further tables of the configuration.
    pub(super) fn config(mut self, rest: &str) -> Self {
        self.rest = rest.to_owned();
        self
    }

    /// Anything else that is there before the start.
    pub(super) fn with(mut self, change: impl FnOnce(Builder) -> Builder) -> Self {
        self.builder = change(self.builder);
        self
    }

    /// Starts the server; nothing is looked at yet.
    #[track_caller]
    pub(super) fn start(self) -> Host {
        let Self { builder, plugin, settings, grants, limits, timing, rest } = self;
        let config = format!(
            "[[check]]\nname = \"guest\"\nplugin = \"{plugin}\"\n{timing}settings = {{ {settings} }}\n\
             [check.grants]\n{grants}\n[check.limits]\n{limits}\n\
             [[check]]\nname = \"steady\"\nplugin = \"minimal\"\ninterval = \"250ms\"\n{rest}"
        );
        builder.config(&config).start()
    }

    /// Runs the guest, and sees that nothing else notices: until its first outcome is there, the
    /// endpoint answers at once and the steady check goes on; afterwards nothing of it is left.
    #[track_caller]
    pub(super) fn run(self) -> Beside {
        let host = self.start();
        let began = Instant::now();
        let mut steady = Steady::default();
        let check =
            until("the guest has run, and the endpoint answers at once all the while", || {
                let asked = Instant::now();
                let check = host.check("guest");
                let health = host.get("/health");
                assert!(asked.elapsed() < ANSWERED, "the endpoint took {:?}", asked.elapsed());
                assert!([200, 503].contains(&health.code), "{health:?}");
                steady.look(&host);
                if check["outcome"].is_object() { Ok(check) } else { Err(check.to_string()) }
            });
        let took = began.elapsed();
        assert!(took < UNNOTICED || steady.runs > 0, "another check stood still for {took:?}");
        let beside = Beside { host, check };
        beside.leaves_nothing();
        beside
    }

    /// A guest that cannot be loaded: its check is held and says why, the others go on.
    #[expect(clippy::wrong_self_convention, reason = "what it sees, like all that it asserts")]
    #[track_caller]
    pub(super) fn is_refused(self, says: &str) -> Host {
        let host = self.start();
        let check = host.until("guest", "held", |check| check["reason"] == "load");
        assert_eq!(check["state"], "unknown");
        assert!(check["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {check}");
        assert!(host.notes().contains(says), "{}", host.notes());
        assert_eq!(host.next_run("steady")["state"], "pass");
        host.until_ready();
        idle(&host);
        host
    }
}

/// Counts the runs of the steady check.
#[derive(Default)]
struct Steady {
    last: Value,
    runs: u32,
}

impl Steady {
    fn look(&mut self, host: &Host) {
        let check = host.check("steady");
        if check["outcome"].is_object() {
            assert_eq!(check["state"], "pass", "{check}");
            if check["last_run"] != self.last {
                self.last = check["last_run"].clone();
                self.runs += 1;
            }
        }
    }
}

/// A guest that has run.
pub(super) struct Beside {
    pub(super) host: Host,
    /// The check `guest` after its first run.
    pub(super) check: Value,
}

impl Beside {
    /// It is a fault with this reason, and the message says this; health shows both.
    #[track_caller]
    pub(super) fn faults(&self, reason: &str, says: &str) {
        let check = &self.check;
        assert_eq!(check["state"], "unknown", "{check}");
        assert_eq!(check["outcome"]["fault"], true, "{check}");
        assert_eq!(check["reason"], reason, "{check}");
        assert!(check["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {check}");
        let health = self.host.health();
        let output = health["checks"]["guest"][0]["output"].as_str().unwrap_or_default();
        assert!(output.starts_with(&format!("unknown: {reason}: ")), "{output}");
        assert_eq!(self.host.get("/health").code, 503, "a configured check counts");
    }

    /// It passes.
    #[track_caller]
    pub(super) fn passes(&self) {
        assert_eq!(self.check["state"], "pass", "{}", self.check);
    }

    /// It passes, and the host left something out and says so.
    #[track_caller]
    pub(super) fn passes_with_a_flag(&self, says: &str) {
        self.passes();
        let flags = &self.check["outcome"]["flags"];
        assert!(flags.to_string().contains(says), "`{says}`: {flags}");
    }

    /// A text among the details of its report; empty where there is none.
    pub(super) fn detail(&self, name: &str) -> &str {
        self.check["outcome"]["details"][name].as_str().unwrap_or_default()
    }

    /// What it asked for, as `grant: value` or `grant: value (denied)`.
    pub(super) fn used(&self) -> Vec<String> {
        let used = self.check["grants"]["used"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let one = |used: &Value| {
            let denied = if used["denied"] == true { " (denied)" } else { "" };
            format!("{}: {}{denied}", text(&used["grant"]), text(&used["value"]))
        };
        used.iter().map(one).collect()
    }

    /// Places, instances and file descriptors are as they were, and the others go on.
    #[track_caller]
    fn leaves_nothing(&self) {
        for _ in 0..2 {
            assert_eq!(self.host.next_run("steady")["state"], "pass", "another check notices");
        }
        idle(&self.host);
        let files = files(&self.host);
        self.host.next_run("guest");
        idle(&self.host);
        // A name look-up or a new connection of ours may be open at either moment.
        until("no file is left open by a run", || {
            let now = self::files(&self.host);
            if now <= files + 4 { Ok(()) } else { Err(format!("{files} before, {now} now")) }
        });
    }
}

/// Waits for a moment at which no place for runs is taken, and nothing of any instance is left.
#[track_caller]
pub(super) fn idle(host: &Host) {
    until("no run is under way, and no instance, memory, table or stack in use", || {
        let runs = host.json("/api/v1/status")["runs"].clone();
        let pooled = runs["pooled"].as_object().into_iter().flatten();
        let is_idle = runs["taken"] == 0 && pooled.into_iter().all(|(_, n)| *n == 0);
        if is_idle { Ok(()) } else { Err(runs.to_string()) }
    });
}

/// The file descriptors of the server's process.
pub(super) fn files(host: &Host) -> usize {
    let dir = format!("/proc/{}/fd", host.pid().as_raw_nonzero());
    std::fs::read_dir(dir).expect("the process runs").count()
}
