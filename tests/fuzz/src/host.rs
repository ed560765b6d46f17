//! One sandbox for all inputs of a body, and what must hold after each load and each run.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use wellcheck_core::grant::Grants;
use wellcheck_core::id::{CheckName, PluginName};
use wellcheck_core::limits::{HostLimits, KIB, LoadLimits, MIB, RunLimits};
use wellcheck_core::outcome::{Observation, Outcome};
use wellcheck_core::redact::Redactor;
use wellcheck_core::status::Status;
use wellcheck_wasm::{
    Invocation, LoadError, Plugin, PluginRun, Sandbox, SandboxOptions, Standing, Standings,
    Supplies,
};

use crate::shown;

/// Longest that a run may take.
const TIMEOUT: Duration = Duration::from_millis(300);
/// How much later it may be over. Much, since the machine may be busy with other tests.
const SLACK: Duration = Duration::from_secs(10);
/// Longest that a load may take. Code that is compiled in this process has no limit of its own.
const LOAD: Duration = Duration::from_secs(60);

/// Panics of threads that are not ours to fail.
static PANICS: AtomicUsize = AtomicUsize::new(0);
static HOOK: Once = Once::new();

/// Secrets of the host: a run may have the first. Neither may show anywhere.
pub(crate) const CANARIES: [&str; 2] = ["canary-of-the-check", "canary-of-nobody"];

/// What a run may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nothing at all.
    Nothing,
    /// State, a secret, another check, a variable: what does not leave this process.
    Inside,
}

/// A sandbox with tight limits.
pub(crate) struct Host {
    sandbox: Sandbox,
    runtime: Runtime,
    limits: Arc<RunLimits>,
    /// What [`Reach::Inside`] grants.
    inside: Arc<Grants>,
    supplies: Supplies,
}

/// One other check.
struct Other;

impl Standings for Other {
    fn latest(&self, check: &str) -> Option<Standing> {
        (check == "db").then(|| Standing {
            state: Status::Fail,
            reason: Some("refused".to_owned()),
            message: "connection refused".to_owned(),
            age: Some(Duration::from_millis(1500)),
            observations: vec![Observation::new("latency", 0.25, "s")],
        })
    }
}

fn inside() -> Grants {
    let mut grants = Grants::default();
    for (grant, value) in [("state", "2KiB"), ("secrets", "db"), ("checks", "db*"), ("env", "TZ")] {
        grants.add(grant, value).expect("it is a grant");
    }
    grants
}

/// What every run may use.
fn limits() -> RunLimits {
    RunLimits {
        memory: 8 * MIB,
        table_elements: 1000,
        cpu: Duration::from_millis(20),
        host_call_bytes: 256 * KIB,
        handles: 32,
        random_bytes: KIB as u64,
        requests: 2,
        concurrent_requests: 1,
        log_bytes: 4 * KIB,
        message_bytes: 256,
        observations: 8,
        ..RunLimits::default()
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        // A panic in a run becomes a fault, and one in a load becomes an error; here both count.
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if thread::current().name().is_none_or(|name| name == "plugin") {
                    PANICS.fetch_add(1, Ordering::SeqCst);
                }
                before(info);
            }));
        });
        let sandbox = Sandbox::new(SandboxOptions {
            workers: 1,
            host: HostLimits {
                slots: 2,
                max_memory: 16 * MIB,
                max_table_elements: 2000,
                ..HostLimits::default()
            },
            describe: limits(),
            load: LoadLimits { schema_bytes: 8 * KIB, ..LoadLimits::default() },
            ..SandboxOptions::default()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        Self {
            sandbox: sandbox.expect("this machine runs WebAssembly"),
            runtime: runtime.expect("a thread is there already"),
            limits: Arc::new(limits()),
            inside: Arc::new(inside()),
            supplies: Supplies {
                env: Arc::new([("TZ".to_owned(), "UTC".to_owned())]),
                secrets: Arc::new(BTreeMap::from([
                    ("db".to_owned(), CANARIES[0].to_owned()),
                    ("other".to_owned(), CANARIES[1].to_owned()),
                ])),
                state: Arc::new(BTreeMap::from([("seen".to_owned(), b"yesterday"[..].into())])),
                checks: Some(Arc::new(Other)),
            },
        }
    }

    /// One user at a time: whether everything is given back can be seen only then.
    pub(crate) fn lock(host: &Mutex<Self>) -> MutexGuard<'_, Self> {
        host.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Loads a file, and judges what comes of it.
    pub(crate) fn load(&self, bytes: Vec<u8>) -> Result<Plugin, LoadError> {
        let name = PluginName::new("guest").expect("it is a name");
        let loaded = self.within(LOAD, self.sandbox.load(name, bytes));
        match &loaded {
            Ok(plugin) => shown::plugin(plugin),
            Err(error) => shown::load_error(error),
        }
        loaded
    }

    /// Runs it once, and judges what comes of it.
    pub(crate) fn run(&self, plugin: &Plugin, settings: &str, reach: Reach) -> PluginRun {
        let (grants, supplies) = match reach {
            Reach::Nothing => (Arc::default(), self.supplies.clone()),
            Reach::Inside => (Arc::clone(&self.inside), self.supplies.clone()),
        };
        let invocation = Invocation {
            check: CheckName::new("a-check").expect("it is a name"),
            settings: settings.into(),
            grants: Arc::clone(&grants),
            limits: Arc::clone(&self.limits),
            timeout: TIMEOUT,
            failures_in_a_row: 3,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            redact: Redactor::new(CANARIES),
            supplies,
            tape: None,
        };
        let done = self.within(TIMEOUT + SLACK, plugin.run(invocation));
        shown::run(&done, &self.limits);
        assert!(done.run.duration <= TIMEOUT + SLACK, "{:?}", done.run.duration);
        assert!(done.used.memory_peak <= self.limits.memory, "{:?}", done.used);
        assert!(done.used.requests <= self.limits.requests, "{:?}", done.used);
        if let Some(state) = &done.state {
            let bytes: usize = state.iter().map(|(key, value)| key.len() + value.len()).sum();
            assert!(matches!(done.run.outcome, Outcome::Answered(_)), "a fault changed the state");
            assert!(bytes as u64 <= grants.state, "{bytes} bytes of state");
            assert!(state.keys().all(|key| !key.is_empty() && key.len() <= 256), "{state:?}");
        }
        done
    }

    /// Waits for it, and looks at what it left behind.
    fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = self.runtime.block_on(async { tokio::time::timeout(limit, work).await });
        let done = done.unwrap_or_else(|_| panic!("still not over after {:?}", began.elapsed()));
        let slots = self.sandbox.slots();
        assert_eq!(slots.taken, 0, "a place is still taken");
        assert!(slots.pooled.is_none_or(|pooled| pooled == [0; 4]), "still in use: {slots:?}");
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a thread of the host panicked");
        done
    }
}
