//! Cases 1 to 9: loops, memory, tables, the stack; and what the host does about faults that go on.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::beside::{guest, idle};
use super::table::{self, Expect, row};
use crate::support::guests;
use crate::support::host::{Host, host};
use crate::support::wait::until;

/// For guests that need much CPU: a busy machine takes its time to give it to them.
pub(super) const PATIENT: &str = "interval = \"3s\"\ntimeout = \"3s\"";

#[test]
fn case_01_a_loop_ends_at_the_cpu_budget() {
    let guest = guest("spin").timing(PATIENT).run();
    guest.faults("timeout", "CPU budget of 250ms used up (limit `cpu`)");
    let took = guest.check["duration_ms"].as_f64().expect("a number");
    assert!((250.0..3000.0).contains(&took), "{took} ms");
    let health = guest.host.health();
    assert_eq!(health["checks"]["guest"][0]["reason"], "timeout", "{health}");
}

#[test]
fn case_01_it_ends_whatever_it_loops_over() {
    let budget = "CPU budget of 50ms used up (limit `cpu`)";
    let rows = [
        ("flood-calls", "call = \"context\""),
        ("flood-calls", "call = \"clock\""),
        ("flood-calls", "call = \"random\""),
        ("fill-memory", ""),
    ];
    let rows: Vec<_> = (rows.into_iter())
        .map(|(plugin, settings)| {
            row(plugin, settings, Expect::Fault("timeout", budget)).limit("cpu = \"50ms\"")
        })
        .collect();
    table::all("", &rows);
}

#[test]
fn case_02_a_loop_in_the_start_section_ends_at_the_cpu_budget() {
    guest("spin-at-start").is_refused("CPU budget of 250ms used up (limit `describe-cpu`)");
}

#[test]
fn case_03_a_loop_in_describe_makes_the_plugin_broken() {
    let host = guest("spin-in-describe")
        .is_refused("`describe` ended in a fault (timeout): CPU budget of 250ms used up");
    let plugins = host.json("/api/v1/status")["plugins"].clone();
    let broken = plugins.as_array().expect("a list").iter().find(|p| p["newest"] == "broken");
    assert_eq!(broken.map(|plugin| &plugin["name"]), Some(&"spin-in-describe".into()));
}

#[test]
fn case_03_waiting_in_describe_ends_at_its_limit_of_time() {
    guest("hang-in-describe")
        .config("[plugins.limits]\ndescribe-time = \"300ms\"")
        .is_refused("wall time of 300ms used up (limit `describe-time`)");
}

/// How many loop at once.
const MANY: usize = 16;

#[test]
fn case_04_many_that_loop_at_once_delay_nobody() {
    let spin = guests::guest("spin");
    let mut builder = host().guest("minimal");
    let mut config = "[defaults.limits]\ncpu = \"150ms\"\n\
        [[check]]\nname = \"steady\"\nplugin = \"minimal\"\ninterval = \"100ms\"\n"
        .to_owned();
    for n in 0..MANY {
        builder = builder.plugin(&format!("spin-{n}"), &spin);
        let check = format!("[[check]]\nname = \"spin-{n}\"\nplugin = \"spin-{n}\"\n");
        config.extend([check.as_str(), "interval = \"20s\"\ntimeout = \"20s\"\n"]);
    }
    let host = builder.config(&config).start();
    host.until_run("steady");
    let (mut took, mut most) = (Vec::new(), 0);
    let mut steady = (host.check("steady")["last_run"].clone(), 0);
    until("all of them have run", || {
        let asked = Instant::now();
        host.get("/health");
        took.push(asked.elapsed());
        let status = host.json("/api/v1/status");
        most = most.max(status["runs"]["taken"].as_u64().unwrap_or(0));
        let now = host.check("steady");
        assert_eq!(now["state"], "pass", "{now}");
        if now["last_run"] != steady.0 {
            steady = (now["last_run"].clone(), steady.1 + 1);
        }
        let pending = (0..MANY).find(|n| host.check(&format!("spin-{n}"))["outcome"].is_null());
        pending.map_or(Ok(()), |n| Err(format!("spin-{n} has not")))
    });
    for n in 0..MANY {
        let check = host.check(&format!("spin-{n}"));
        assert_eq!(check["reason"], "timeout", "each gets its share in time: {check}");
        assert_eq!(check["message"], "CPU budget of 150ms used up (limit `cpu`)");
    }
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    eprintln!(
        "with up to {most} that loop, of {} answers half took at most {median:?}, the slowest {worst:?}; \
         the steady check ran {} times",
        took.len(),
        steady.1
    );
    assert!(most > 2, "{most} ran at once");
    assert!(median < Duration::from_millis(100), "{median:?}");
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    assert!(steady.1 >= 2, "the steady check ran {} times", steady.1);
    idle(&host);
}

/// A line of `/proc/PID/status`, in MiB.
fn mib(host: &Host, name: &str) -> f64 {
    let path = format!("/proc/{}/status", host.pid().as_raw_nonzero());
    let text = std::fs::read_to_string(path).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.unwrap_or_else(|| panic!("no `{name}` in: {text}")) / 1024.0
}

/// What a run took is given back after it, and the next runs need no more than it.
#[track_caller]
pub(super) fn gives_its_memory_back(host: &Host) {
    for _ in 0..2 {
        host.next_run("guest");
    }
    let resident = until("the memory is given back between two runs", || {
        let (now, peak) = (mib(host, "VmRSS"), mib(host, "VmHWM"));
        if peak - now > 32.0 { Ok(now) } else { Err(format!("{now} MiB, at most {peak} MiB")) }
    });
    let peak = mib(host, "VmHWM");
    eprintln!("{resident:.1} MiB at rest, at most {peak:.1} MiB");
    assert!(peak - resident < 64.0 + 48.0, "{resident} MiB at rest, at most {peak} MiB");
}

#[test]
fn case_05_memory_ends_at_its_limit_and_comes_back() {
    // It grows page by page until there is none, and writes to all of it.
    let grown = guest("grow-memory").timing(PATIENT).limits("cpu = \"2s\"").run();
    grown.passes_with_a_flag("memory limit of 64 MiB reached (limit `memory`)");
    gives_its_memory_back(&grown.host);
}

#[test]
fn case_05_a_guest_without_memory_says_why() {
    let eaten = guest("eat-memory").timing(PATIENT).limits("cpu = \"2s\"").run();
    eaten.faults("limit", "memory limit of 64 MiB reached (limit `memory`)");
    gives_its_memory_back(&eaten.host);
}

#[test]
fn case_06_too_much_declared_memory_is_refused() {
    let host = guest("huge-memory")
        .is_refused("it declares a memory of 2048 MiB (at most 256 MiB: limit `max-memory`)");
    assert!(mib(&host, "VmHWM") < 512.0, "{} MiB", mib(&host, "VmHWM"));
}

#[test]
fn case_07_many_memories_tables_and_instances_are_refused() {
    table::all(
        "",
        &[
            row("many-memories", "", Expect::Refused("101 Wasm linear memories")),
            row("many-tables", "", Expect::Refused("20 tables")),
            row(
                "many-instances",
                "",
                Expect::Refused(
                    "which exceeds the configured maximum of 200 in the pooling allocator (limit `instances`)",
                ),
            ),
        ],
    );
}

#[test]
fn case_07_few_memories_are_summed_up() {
    table::all(
        "",
        &[
            row("split-memory", "", Expect::Fault("limit", "memory limit of 64 MiB reached"))
                .limit("memory = \"64MiB\""),
            row("split-memory", "", Expect::Pass).limit("memory = \"80MiB\""),
        ],
    );
}

#[test]
fn case_08_a_table_ends_at_its_limit() {
    let grown = guest("grow-table").run();
    grown.passes_with_a_flag("limit of 20000 table elements reached (limit `table-elements`)");
}

#[test]
fn case_09_deep_recursion_is_a_trap() {
    let guest = guest("deep-recursion").run();
    guest.faults("trap", "call stack exhausted (limit `stack`)");
    let message = guest.check["message"].as_str().expect("a text");
    assert!(message.len() < 200, "{message}");
}

#[test]
fn lowered_limits_hold_and_name_their_keys() {
    let fault = |says| Expect::Fault("limit", says);
    table::all(
        "",
        &[
            row("eat-memory", "", fault("memory limit of 4 MiB reached (limit `memory`)"))
                .limit("memory = \"4MiB\""),
            row(
                "grow-table",
                "",
                Expect::Flag("limit of 100 table elements reached (limit `table-elements`)"),
            )
            .limit("table-elements = 100"),
            row("spin", "", Expect::Fault("timeout", "CPU budget of 20ms used up (limit `cpu`)"))
                .limit("cpu = \"20ms\""),
            row("leak-pollables", "", fault("limit of 20 open handles reached (limit `handles`)"))
                .limit("handles = 20"),
            row(
                "big-result",
                "bytes = 100_000",
                fault("limit of 64 KiB for one call between plugin and host reached (limit `host-call-bytes`)"),
            )
            .limit("host-call-bytes = \"64KiB\""),
            row(
                "random-bytes",
                "bytes = 5000",
                fault("limit of 4 KiB of random numbers at once reached (limit `random-bytes`)"),
            )
            .limit("random-bytes = \"4KiB\""),
            row("random-bytes", "bytes = 5000", Expect::Pass),
        ],
    );
}

#[test]
fn a_limit_of_all_checks_holds_where_the_check_says_nothing_else() {
    let cut = |says| Expect::Fault("timeout", says);
    table::all(
        "[defaults.limits]\ncpu = \"30ms\"\n",
        &[
            row("spin", "", cut("CPU budget of 30ms used up (limit `cpu`)")),
            row("spin", "", cut("CPU budget of 60ms used up (limit `cpu`)"))
                .limit("cpu = \"60ms\""),
        ],
    );
}

/// Milliseconds since midnight of `...T22:13:20.120Z`.
fn of_day(time: &Value) -> Option<i64> {
    let (_, time) = time.as_str()?.trim_end_matches('Z').split_once('T')?;
    let (clock, ms) = time.split_once('.')?;
    let seconds = clock.split(':').try_fold(0, |sum, n| Some(sum * 60 + n.parse::<i64>().ok()?));
    Some(seconds? * 1000 + ms.parse::<i64>().ok()?)
}

/// From one time to a later one within a day.
fn between(from: &Value, to: &Value) -> Option<i64> {
    Some((of_day(to)? - of_day(from)?).rem_euclid(86_400_000))
}

#[test]
fn a_check_that_faults_again_and_again_runs_less_often_until_its_plugin_is_replaced() {
    let host = host()
        .config("[[check]]\nname = \"guest\"\nplugin = \"trap\"\ninterval = \"200ms\"\n")
        .guest("trap")
        .start();
    let mut seen: Vec<(u64, Value)> = Vec::new();
    let last = until("seven faults in a row", || {
        let check = host.check("guest");
        let Some(faults) = check["backoff"]["faults"].as_u64() else {
            return Err(check.to_string());
        };
        if seen.last().is_none_or(|(last, _)| *last < faults) {
            seen.push((faults, check.clone()));
        }
        if faults >= 7 { Ok(check) } else { Err(check.to_string()) }
    });
    assert!(seen[0].0 >= 5, "not before the fifth fault: {}", seen[0].1);
    for (faults, check) in &seen {
        let pause = between(&check["last_run"], &check["backoff"]["until"]).expect("two times");
        assert_eq!(pause, 200 << (faults - 4), "{check}");
        assert_eq!(check["state"], "unknown", "{check}");
    }
    for pair in seen.windows(2) {
        let (before, after) = (&pair[0].1, &pair[1].1);
        let gap = between(&before["last_run"], &after["last_run"]).expect("two times");
        let pause = between(&before["last_run"], &before["backoff"]["until"]).expect("two times");
        assert!(gap >= pause, "after {pause} ms, not {gap} ms: {after}");
    }
    let text = host.get("/health?format=text").body;
    assert!(text.contains("backing off until ") && text.contains("faults"), "{text}");
    let list = host.json("/api/v1/checks");
    assert_eq!(list["checks"][0]["backoff"], last["backoff"], "{list}");

    // The pause is over as soon as there is something else to run.
    host.replace("plugins/trap.wasm", guests::guest("minimal"));
    let good = host.until_state("guest", "pass");
    assert!(good["backoff"].is_null(), "{good}");
    let text = host.get("/health?format=text").body;
    assert!(!text.contains("backing off"), "{text}");
    let next = host.next_run("guest");
    assert_eq!(next["state"], "pass", "{next}");
}

#[test]
fn an_answer_ends_a_row_of_faults() {
    // Faults that the plugin itself reports are answers of its own kind: no reason to back off.
    let settings = "fault = \"inconclusive\", message = \"cannot say\"";
    let host = guest("echo").settings(settings).timing("interval = \"200ms\"").start();
    for _ in 0..6 {
        let check = host.next_run("guest");
        assert_eq!(check["reason"], "inconclusive", "{check}");
        assert!(check["backoff"].is_null(), "{check}");
    }
}
