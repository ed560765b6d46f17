//! Guests that misbehave: each costs only its own check, which says why.
//!
//! Each guest has a test of its name, and a steady check beside it must go on running, and the
//! endpoint answering, while the guest does its worst.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::guests::{fixtures, root};
use crate::support::host::{Host, host};
use crate::support::wait::until;

/// Slower than this, somebody who asks has noticed.
const ANSWERED: Duration = Duration::from_secs(2);

/// A guest under a check of its own, beside a steady one.
struct Beside {
    host: Host,
    check: Value,
}

/// Runs a guest, and sees that nothing else notices.
#[track_caller]
fn beside(guest: &str, settings: &str) -> Beside {
    let config = format!(
        "[[check]]\nname = \"guest\"\nplugin = \"{guest}\"\ninterval = \"3s\"\ntimeout = \"3s\"\nsettings = {{ {settings} }}\n\
         [[check]]\nname = \"steady\"\nplugin = \"minimal\"\ninterval = \"200ms\"\n"
    );
    let host = host().config(&config).guest("minimal").guest(guest).start();
    let check = until("the guest has run, and the endpoint answers at once all the while", || {
        let asked = Instant::now();
        let check = host.check("guest");
        assert!(asked.elapsed() < ANSWERED, "the endpoint took {:?}", asked.elapsed());
        if check["outcome"].is_object() { Ok(check) } else { Err(check.to_string()) }
    });
    for _ in 0..2 {
        assert_eq!(host.next_run("steady")["state"], "pass", "another check notices");
    }
    Beside { host, check }
}

impl Beside {
    /// It is a fault with this reason, and the message says this.
    #[track_caller]
    fn faults(&self, reason: &str, says: &str) {
        let check = &self.check;
        assert_eq!(check["state"], "unknown", "{check}");
        assert_eq!(check["outcome"]["fault"], true, "{check}");
        self.says(reason, says);
        let health = self.host.health();
        let output = health["checks"]["guest"][0]["output"].as_str().unwrap_or_default();
        assert!(output.starts_with(&format!("unknown: {reason}: ")), "{output}");
        assert_eq!(self.host.get("/health").code, 503, "a configured check counts");
    }

    #[track_caller]
    fn says(&self, reason: &str, says: &str) {
        let check = &self.check;
        assert_eq!(check["reason"], reason, "{check}");
        assert!(check["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {check}");
    }

    /// It passes, and the host left something out and says so.
    #[track_caller]
    fn passes_with_a_flag(&self, says: &str) {
        assert_eq!(self.check["state"], "pass", "{}", self.check);
        let flags = &self.check["outcome"]["flags"];
        assert!(flags.to_string().contains(says), "`{says}`: {flags}");
    }

    fn details(&self) -> &Value {
        &self.check["outcome"]["details"]
    }
}

/// A guest that cannot be loaded: its check is held and says why.
#[track_caller]
fn refused(guest: &str, says: &str) {
    let config = format!(
        "[[check]]\nname = \"guest\"\nplugin = \"{guest}\"\n\
         [[check]]\nname = \"steady\"\nplugin = \"minimal\"\ninterval = \"100ms\"\n"
    );
    let host = host().config(&config).guest("minimal").guest(guest).start();
    let check = host.until("guest", "held", |check| check["reason"] == "load");
    assert_eq!(check["state"], "unknown");
    assert!(check["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {check}");
    assert!(host.notes().contains(says), "{}", host.notes());
    assert_eq!(host.next_run("steady")["state"], "pass");
    host.until_ready();
}

#[test]
fn bad_pointer() {
    beside("bad-pointer", "").faults("bad-answer", "out of bounds");
}

#[test]
fn bad_status() {
    beside("bad-status", "").faults("bad-answer", "discriminant");
}

#[test]
fn bad_utf8() {
    beside("bad-utf8", "").faults("bad-answer", "utf-8");
}

#[test]
fn big_result() {
    beside("big-result", "").faults("limit", "limit of 1 MiB for one call");
}

#[test]
fn big_result_within_the_limits_is_cut() {
    let guest = beside("big-result", "bytes = 100000");
    guest.passes_with_a_flag("message");
    assert!(guest.check["message"].as_str().is_some_and(|m| m.len() <= 1024 + 8));
}

#[test]
fn connect() {
    let target = crate::support::target::http().status(200).start();
    let address = target.address.to_string();
    let by_name = format!("localhost:{}", target.address.port());
    // An address needs no resolving.
    for (target, denied) in [(&address, &["tcp", "listen", "udp"][..]), (&by_name, &["resolve"])] {
        let guest = beside("connect", &format!("target = \"{target}\""));
        assert_eq!(guest.check["state"], "pass", "{}", guest.check);
        for name in denied {
            let told = guest.details()[name].as_str().unwrap_or_default();
            assert!(told.starts_with("error: "), "{name}: {told}");
        }
    }
    assert_eq!(target.count(), 0);
}

#[test]
fn core_module() {
    refused("core-module", "the file is a core module, not a component");
}

#[test]
fn deep_recursion() {
    beside("deep-recursion", "").faults("trap", "call stack exhausted");
}

#[test]
fn eat_memory() {
    beside("eat-memory", "").faults("limit", "memory limit of 64 MiB reached");
}

#[test]
fn echo() {
    let guest = beside("echo", "status = \"warn\", message = \"half full\"");
    assert_eq!(guest.check["state"], "warn");
    assert_eq!(guest.check["message"], "half full");
    assert_eq!(guest.details()["check"], "guest");
    assert_eq!(guest.host.get("/health").code, 200, "a warning is healthy");
}

#[test]
fn echo_of_a_fault_of_its_own() {
    for reason in ["bad-settings", "inconclusive", "internal"] {
        let settings = format!("fault = \"{reason}\", message = \"cannot say\"");
        beside("echo", &settings).faults(reason, "cannot say");
    }
}

#[test]
fn env_and_files() {
    let guest = beside("env-and-files", "read = \"/etc/hostname\", write = \"/tmp/by-a-guest\"");
    assert_eq!(guest.check["state"], "pass", "{}", guest.check);
    assert_eq!(guest.details()["env"], "[]");
    assert_eq!(guest.details()["preopens"], "[]");
    for name in ["passwd", "parent", "read", "write"] {
        let told = guest.details()[name].as_str().unwrap_or_default();
        assert!(told.starts_with("error: "), "{name}: {told}");
    }
}

#[test]
fn exit() {
    beside("exit", "").faults("trap", "called exit with code 0");
}

#[test]
fn http_get() {
    let target = crate::support::target::http().status(200).start();
    let guest = beside("http-get", &format!("url = \"{}\"", target.url("/")));
    guest.faults("denied", "no grant for");
    assert_eq!(target.count(), 0);
}

#[test]
fn huge_memory() {
    refused("huge-memory", "it declares a memory of 2048 MiB");
}

#[test]
fn later_minor() {
    let guest = beside("later-minor", "");
    assert_eq!(guest.check["state"], "pass", "{}", guest.check);
}

#[test]
fn leak_between_runs() {
    let guest = beside("leak-between-runs", "");
    assert_eq!(guest.check["message"], "run 1 of this instance");
    assert_eq!(guest.host.next_run("guest")["message"], "run 1 of this instance");
}

#[test]
fn many_observations() {
    beside("many-observations", "").faults("limit", "limit of 1 MiB for one call");
}

#[test]
fn many_observations_within_the_limits_are_cut() {
    let guest = beside("many-observations", "count = 200");
    guest.passes_with_a_flag("observations");
    assert_eq!(guest.check["outcome"]["observations"].as_array().map(Vec::len), Some(64));
}

#[test]
fn minimal() {
    let guest = beside("minimal", "");
    assert_eq!(guest.check["state"], "pass", "{}", guest.check);
}

#[test]
fn not_finite() {
    let guest = beside("not-finite", "");
    guest.passes_with_a_flag("nan");
    guest.passes_with_a_flag("negative-infinite");
    let observations = guest.check["outcome"]["observations"].as_array().expect("a list").clone();
    assert_eq!(observations.len(), 1, "{observations:?}");
    assert_eq!(observations[0]["name"], "one");
}

#[test]
fn other_line() {
    refused("other-line", "0.2");
    refused("other-line", "0.1");
}

#[test]
fn print() {
    let guest = beside("print", "text = \"\\u001B[31mred\\nsecond\\n\", stdout = 500000");
    assert_eq!(guest.check["state"], "pass", "{}", guest.check);
    let log = guest.check["outcome"]["log"].as_array().expect("a log").clone();
    let bytes: usize = log.iter().filter_map(Value::as_str).map(str::len).sum();
    assert!(bytes <= 80 * 1024, "{bytes} bytes are kept");
    let text = guest.check["outcome"].to_string();
    assert!(text.contains("second"), "{}", &text[..text.len().min(500)]);
    assert!(
        !text.contains("\\u001b") && !text.contains('\u{1b}'),
        "{}",
        &text[..text.len().min(500)]
    );
}

#[test]
fn same_text_again() {
    beside("same-text-again", "").faults("limit", "limit of 1 MiB for one call");
}

#[test]
fn sleep() {
    let guest = beside("sleep", "ms = 100000");
    guest.faults("timeout", "wall time of");
}

#[test]
fn spin() {
    beside("spin", "").faults("timeout", "CPU budget of 250ms used up");
}

#[test]
fn spin_at_start() {
    refused("spin-at-start", "CPU budget");
}

#[test]
fn spin_in_describe() {
    refused("spin-in-describe", "`describe` ended in a fault (timeout): CPU budget");
}

#[test]
fn trap() {
    beside("trap", "").faults("trap", "the guest panics on purpose");
}

#[test]
fn wrong_world() {
    refused("wrong-world", "exports no `wellcheck:check/checker`");
}

#[test]
fn many_that_spin_do_not_delay_the_endpoint() {
    let spinning: String = (0..6)
        .map(|n| {
            format!("[[check]]\nname = \"spin-{n}\"\nplugin = \"spin\"\ninterval = \"300ms\"\n")
        })
        .collect();
    let config = format!(
        "{spinning}[[check]]\nname = \"steady\"\nplugin = \"minimal\"\ninterval = \"200ms\"\n"
    );
    let host = host().config(&config).guest("minimal").guest("spin").start();
    host.until_state("steady", "pass");
    host.until_run("spin-5");
    let mut worst = Duration::ZERO;
    for _ in 0..100 {
        let asked = Instant::now();
        host.get("/health");
        worst = worst.max(asked.elapsed());
    }
    eprintln!("with six plugins that spin, the slowest of 100 answers took {worst:?}");
    assert!(worst < ANSWERED, "{worst:?}");
    assert_eq!(host.next_run("steady")["state"], "pass");
}

#[test]
fn every_guest_has_a_test_of_its_name() {
    let source = include_str!("limits.rs");
    for folder in ["src/bin", "core", "wat"] {
        let dir = root().join("tests/guests").join(folder);
        for file in std::fs::read_dir(&dir).expect("the guests").flatten() {
            let name = file.path().file_stem().expect("a name").to_string_lossy().into_owned();
            let test = format!("#[test]\nfn {}() {{", name.replace('-', "_"));
            assert!(source.contains(&test), "the guest `{name}` has no test here");
            let built = fixtures().join(format!("{name}.wasm"));
            assert!(built.exists(), "`{name}` is not built; run `plugins/build --guests`");
        }
    }
}
