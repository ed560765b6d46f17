//! The process around a plugin, and what is left between runs (33, 34, 40, 42, 45, 46, 50).

use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use tempfile::TempDir;

use super::beside::{Beside, Setup, guest, idle};
use crate::support::guests::guest_path;
use crate::support::host::Host;
use crate::support::program::run;

/// What no plugin may see.
const CANARY: &str = "canary-5d1e";

/// `env-and-files` in a server whose environment has secrets.
fn looks_around(settings: &str) -> Setup {
    let env = guest("env-and-files").settings(settings);
    env.with(|host| host.env("CANARY", CANARY).env("TZ", "Europe/Berlin"))
}

/// Nothing that the run shows has the canary, or a line of `/etc/passwd`.
#[track_caller]
fn shows_nothing(beside: &Beside) {
    let shown = beside.check.to_string();
    assert!(!shown.contains(CANARY) && !shown.contains("root:"), "{shown}");
    let log = beside.host.log();
    assert!(!log.contains(CANARY), "{log}");
}

#[test]
fn case_33_there_is_no_environment_no_argument_and_no_folder() {
    let beside = looks_around("").run();
    beside.passes();
    for nothing in ["env", "args", "preopens"] {
        assert_eq!(beside.detail(nothing), "[]", "{nothing}");
    }
    assert_eq!(beside.detail("cwd"), "/");
    assert_eq!(beside.used(), Vec::<String>::new());
    shows_nothing(&beside);
}

#[test]
fn case_33_a_variable_is_there_if_it_is_granted_and_set() {
    let beside = looks_around("").grants("env = [\"TZ\", \"NOT_SET_ANYWHERE\"]").run();
    beside.passes();
    assert_eq!(beside.detail("env"), "[(\"TZ\", \"Europe/Berlin\")]");
    assert_eq!(beside.used(), ["env: TZ (offered)"]);
    shows_nothing(&beside);
}

#[test]
fn case_33_the_program_gives_no_more_by_itself() {
    let guest = guest_path("env-and-files").to_string_lossy().into_owned();
    let ended = run(&["run", &guest, "--json"]).expect(0).json();
    for nothing in ["env", "args", "preopens"] {
        assert_eq!(ended["details"][nothing], "[]", "{nothing}: {ended}");
    }
}

#[test]
fn case_34_there_are_no_files() {
    let dir = TempDir::new().expect("a temporary folder");
    let target = dir.path().join("by-a-guest");
    let settings = format!("read = \"/etc/hostname\", write = \"{}\"", target.display());
    let beside = looks_around(&settings).run();
    beside.passes();
    for name in ["passwd", "parent", "read", "write"] {
        let told = beside.detail(name);
        assert!(told.starts_with("error: "), "{name}: {told}");
    }
    assert!(!target.exists());
    shows_nothing(&beside);
    let none = guest("escape").settings("write = true").run();
    none.passes();
    assert_eq!(none.check["message"], "0 folders");
}

/// A folder to grant, in another one with what lies outside.
fn folder() -> (TempDir, std::path::PathBuf) {
    let outside = TempDir::new().expect("a temporary folder");
    let inside = outside.path().join("inside");
    std::fs::create_dir(&inside).expect("a folder");
    std::fs::write(outside.path().join("secret"), CANARY).expect("a file");
    std::fs::write(inside.join("file"), "for the plugin").expect("a file");
    (outside, inside)
}

fn grant(inside: &Path, more: &str) -> String {
    format!("dirs = {{ host = \"{}\", guest = \"/data\"{more} }}", inside.display())
}

#[test]
fn case_34_a_granted_folder_is_read_and_not_written() {
    let (_outside, inside) = folder();
    let settings = "read = \"/data/file\", write = \"/data/new\"";
    let beside = looks_around(settings).grants(&grant(&inside, "")).run();
    beside.passes();
    assert_eq!(beside.detail("preopens"), "[\"/data\"]");
    assert_eq!(beside.detail("read"), "for the plugin");
    assert!(beside.detail("write").starts_with("error: "), "{}", beside.check);
    assert!(beside.detail("passwd").starts_with("error: "), "{}", beside.check);
    assert!(!inside.join("new").exists());
    assert_eq!(beside.used(), ["dirs: /data (offered)"]);
    shows_nothing(&beside);
}

#[test]
fn case_34_a_folder_that_may_be_written_is() {
    let (_outside, inside) = folder();
    let settings = "read = \"/data/file\", write = \"/data/new\"";
    let beside = looks_around(settings).grants(&grant(&inside, ", write = true")).run();
    beside.passes();
    assert_eq!(beside.detail("write"), "written");
    assert_eq!(std::fs::read_to_string(inside.join("new")).ok().as_deref(), Some("written"));
    shows_nothing(&beside);
}

#[test]
fn case_34_a_granted_folder_that_is_not_there_is_named() {
    let (_outside, inside) = folder();
    let missing = inside.join("missing");
    let says = format!("the granted folder `{}` cannot be opened: ", missing.display());
    looks_around("").grants(&grant(&missing, "")).run().faults("bad-settings", &says);
    let file = inside.join("file");
    looks_around("").grants(&grant(&file, "")).run().faults("bad-settings", "Not a directory");
}

#[test]
fn case_34_no_path_and_no_link_leads_out_of_a_folder() {
    use std::os::unix::fs::symlink;

    let (outside, inside) = folder();
    symlink(outside.path().join("secret"), inside.join("absolute")).expect("a link");
    symlink("../secret", inside.join("relative")).expect("a link");
    symlink("..", inside.join("up")).expect("a link");
    symlink("/proc/self/environ", inside.join("proc")).expect("a link");
    symlink("file", inside.join("fine")).expect("a link");
    let out = ["absolute", "relative", "up/secret", "proc", "../inside/file", "up/inside/file"];
    let out: Vec<String> = out.iter().map(|path| format!("\"{path}\"")).collect();
    let settings = format!("paths = [{}, \"file\", \"fine\"]", out.join(", "));
    for write in [false, true] {
        let settings = format!("{settings}, write = {write}");
        let beside = guest("escape")
            .settings(&settings)
            .grants(&grant(&inside, if write { ", write = true" } else { "" }))
            .with(|host| host.env("CANARY", CANARY))
            .run();
        beside.passes();
        shows_nothing(&beside);
        for fine in ["/data file", "/data fine"] {
            assert_eq!(beside.detail(fine), "read: for the plugin");
        }
        let details = beside.check["outcome"]["details"].as_object().expect("details").clone();
        // Within the folder it may do as it likes where it may write.
        let may = ["/data file", "/data fine", "/data create", "/data symlink up"];
        for (what, told) in &details {
            let refused = told.as_str().is_some_and(|told| told.starts_with("error: "));
            assert!(refused || may.contains(&what.as_str()), "{what}: {told}");
        }
        assert_eq!(details.contains_key("/data create"), write);
        assert!(!outside.path().join("escaped").exists());
        assert!(!outside.path().join("escaped-dir").exists());
    }
}

#[test]
fn case_40_every_trap_is_a_fault_that_says_what_happened() {
    for (plugin, says) in [
        ("trap", "the guest panics on purpose"),
        ("divide-by-zero", "integer divide by zero"),
        ("out-of-bounds", "out of bounds memory access"),
        ("bad-call", "indirect call type mismatch"),
    ] {
        let beside = guest(plugin).run();
        beside.faults("trap", says);
        let next = beside.host.next_run("guest");
        assert_eq!(next["reason"], "trap", "{next}");
    }
}

#[test]
fn case_40_exit_is_no_success() {
    guest("exit").run().faults("trap", "called exit with code 0");
}

#[test]
fn case_42_calling_back_while_called_is_a_trap() {
    guest("reenter").run().faults("trap", "cannot leave component instance");
}

#[test]
fn case_45_random_bytes_are_bounded() {
    let says = "limit of 64 KiB of random numbers at once reached (limit `random-bytes`)";
    guest("random-bytes").run().faults("limit", says);
    guest("random-bytes").settings("bytes = 65537").run().faults("limit", says);
    let fits = guest("random-bytes").settings("bytes = 65536").run();
    fits.passes();
    assert_eq!(fits.check["message"], "got 65536 bytes");
    let less = guest("random-bytes").settings("bytes = 65536").limits("random-bytes = \"1KiB\"");
    less.run().faults("limit", "limit of 1 KiB of random numbers at once reached");
}

#[test]
fn case_46_no_instance_lives_on() {
    let beside = guest("leak-between-runs").run();
    beside.passes();
    assert_eq!(beside.check["message"], "run 1 of this instance");
    for _ in 0..3 {
        assert_eq!(beside.host.next_run("guest")["message"], "run 1 of this instance");
    }
}

#[test]
fn case_46_state_needs_a_grant() {
    let beside = guest("remember").run();
    beside.faults("denied", "no grant for `state` (this would allow it: `state = \"64KiB\"`)");
    assert_eq!(beside.used(), ["state: state (denied)"]);
}

#[test]
fn case_46_other_checks_are_seen_only_where_they_are_granted() {
    let asks = |names: &str, grant: &str| {
        guest("ask-checks").settings(&format!("names = [{names}]")).grants(grant)
    };
    // Whether there is such a check is not told either.
    for name in ["steady", "guest", "not-there"] {
        let beside = asks(&format!("\"{name}\""), "checks = \"other-*\"").run();
        let says =
            format!("no grant for `check {name}` (this would allow it: `checks = [\"{name}\"]`)");
        beside.faults("denied", &says);
        assert_eq!(beside.used(), [format!("checks: check {name} (denied)")]);
    }
    let host = asks("\"steady\", \"st-nothing\"", "checks = \"st*\"").start();
    let told = host.until("guest", "an answer about the steady check", |check| {
        let told = check["outcome"]["details"]["steady"].as_str().unwrap_or_default();
        told == "pass, reason none, ran before, 0 observations: passes"
    });
    let missing = told["outcome"]["details"]["st-nothing"].as_str().unwrap_or_default();
    assert!(missing.starts_with("error: "), "{told}");
    assert_eq!(told["state"], "pass", "{told}");
}

/// Which run a check of `remember` says that it is in.
fn count(check: &serde_json::Value) -> u64 {
    let message = check["message"].as_str().expect("a message");
    let number = message.rsplit("run ").next().and_then(|rest| rest.parse().ok());
    number.unwrap_or_else(|| panic!("{check}"))
}

#[test]
fn case_46_state_is_kept_for_its_check_alone_and_over_a_restart() {
    let other = "[[check]]\nname = \"other\"\nplugin = \"remember\"\ninterval = \"1s\"\ntimeout = \"1s\"\n\
                 settings = { get = [\"note\"] }\n[check.grants]\nstate = \"4KiB\"\n";
    let beside = guest("remember")
        .settings("set = { note = \"of the guest\" }, get = [\"note\"]")
        .grants("state = \"4KiB\"")
        .timing("interval = \"200ms\"")
        .config(other)
        .run();
    beside.passes();
    assert_eq!(beside.detail("note"), "of the guest");
    let used = beside.used();
    assert_eq!(used, ["state: read", "state: write"]);
    let host = beside.host;
    let seen = host.until("guest", "a fifth run", |check| count(check) >= 5);
    let theirs = host.next_run("other");
    assert_eq!(theirs["outcome"]["details"]["note"], "nothing", "{theirs}");
    assert!(count(&theirs) <= count(&host.check("guest")), "{theirs}");

    let host = host.restart();
    let after = host.until_run("guest");
    assert!(count(&after) > count(&seen), "{seen}\n{after}");
    let theirs = host.until_run("other");
    assert!(count(&theirs) > 1, "{theirs}");
    assert_eq!(theirs["outcome"]["details"]["note"], "nothing", "{theirs}");
    idle(&host);
}

/// The configuration of one check of `remember` that ends so.
fn remembering(then: &str) -> String {
    format!(
        "[[check]]\nname = \"guest\"\nplugin = \"remember\"\ninterval = \"200ms\"\nsettings = {{ then = \"{then}\" }}\n\
         [check.grants]\nstate = \"4KiB\"\n"
    )
}

/// Runs twice with that end, then once with a pass: which run does that say it is?
#[track_caller]
fn after_ending_by(then: &str) -> u64 {
    let host: Host = guest("remember").start();
    host.configure(&remembering(then));
    let is = |check: &serde_json::Value| {
        check["grants"]["granted"][0]["grant"] == "state" && check["outcome"].is_object()
    };
    host.until("guest", "a run with state", is);
    host.next_run("guest");
    // One run, so that it is the first after them which is seen.
    host.configure(&remembering("pass").replace("200ms", "1h"));
    count(&host.until_state("guest", "pass"))
}

#[test]
fn case_46_state_is_kept_when_a_run_ends_with_a_report() {
    for then in ["pass", "fail"] {
        assert!(after_ending_by(then) >= 2, "{then}");
    }
}

#[test]
fn case_46_state_of_a_run_that_ends_in_a_fault_or_is_denied_is_forgotten() {
    for then in ["fault", "trap", "exit", "spin", "denied"] {
        assert_eq!(after_ending_by(then), 1, "{then}");
    }
}

#[test]
fn case_46_state_has_a_quota() {
    let flag = "limit of 1 KiB (grant `state`) for the state of this check reached";
    let abuse = |op: &str| guest("abuse-state").settings(op).grants("state = \"1KiB\"");
    for op in ["op = \"value\"", "op = \"value\", bytes = 1024", "op = \"grow\", bytes = 4096"] {
        let beside = abuse(op).run();
        beside.passes_with_a_flag(flag);
        assert!(!beside.check.to_string().contains("worked"), "{op}: {}", beside.check);
    }
    let grown = abuse("op = \"grow\", bytes = 4096").run();
    assert_eq!((grown.detail("refused"), grown.detail("left")), ("1024", "512"));
    let keys = abuse("op = \"keys\"").run();
    keys.passes_with_a_flag(flag);
    let kept: u32 = keys.detail("kept").parse().expect("a number");
    assert!((100..=1024).contains(&kept), "{kept} keys of two bytes and more in 1 KiB");
    for (op, what) in [("op = \"huge-key\", bytes = 257", "set"), ("op = \"empty-key\"", "get")] {
        let beside = abuse(op).run();
        beside.passes();
        assert!(beside.detail(what).starts_with("error: "), "{op}: {}", beside.check);
    }
    abuse("op = \"huge-key\"").run().passes();
    // As long as it takes to use the budget on a busy machine.
    let patient = "interval = \"10s\"\ntimeout = \"10s\"";
    abuse("op = \"churn\"").timing(patient).run().faults("timeout", "CPU budget of 250ms used up");
}

fn threads(host: &Host) -> usize {
    let dir = format!("/proc/{}/task", host.pid().as_raw_nonzero());
    std::fs::read_dir(dir).expect("the process runs").count()
}

#[test]
fn case_50_what_is_no_file_in_a_granted_folder_is_not_opened() {
    let (_outside, inside) = folder();
    let make = |name: &str, kind: FileType, device: (u32, u32)| {
        let device = makedev(device.0, device.1);
        mknodat(CWD, inside.join(name), kind, Mode::from_raw_mode(0o666), device)
    };
    make("fifo", FileType::Fifo, (0, 0)).expect("a FIFO");
    let _socket = UnixListener::bind(inside.join("socket")).expect("a socket");
    std::os::unix::fs::symlink("fifo", inside.join("link")).expect("a link");
    let mut odd = vec![("fifo", "a FIFO"), ("socket", "a socket"), ("link", "a FIFO")];
    // Only root may make one.
    if make("zero", FileType::CharacterDevice, (1, 5)).is_ok() {
        odd.push(("zero", "a device"));
    }
    for (name, what) in odd {
        let settings = format!("read = \"/data/{name}\", write = \"/data/{name}\"");
        let beside = looks_around(&settings).grants(&grant(&inside, ", write = true")).run();
        beside.passes_with_a_flag(&format!("`{name}` was not opened: it is {what}"));
        for told in [beside.detail("read"), beside.detail("write")] {
            assert!(told.starts_with("error: "), "{name}: {told}");
        }
        let took = beside.check["duration_ms"].as_f64().expect("a number");
        assert!(took < 900.0, "{name}: {took} ms");
        shows_nothing(&beside);
    }
}

#[test]
fn case_50_no_thread_is_left_waiting() {
    let (_outside, inside) = folder();
    let fifo = inside.join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a FIFO");
    let beside = looks_around("read = \"/data/fifo\"")
        .grants(&grant(&inside, ""))
        .timing("interval = \"100ms\"")
        .run();
    let before = threads(&beside.host);
    for _ in 0..20 {
        beside.host.next_run("guest");
    }
    let after = threads(&beside.host);
    assert!(after <= before + 4, "{before} threads, then {after}");
    assert_eq!(beside.host.check("guest")["state"], "pass");
}

#[test]
fn case_50_a_fifo_in_place_of_a_granted_folder_costs_the_run() {
    let (_outside, inside) = folder();
    let fifo = inside.join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a FIFO");
    looks_around("").grants(&grant(&fifo, "")).run().faults("bad-settings", "Not a directory");
}
