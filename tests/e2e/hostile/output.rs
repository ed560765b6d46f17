//! Cases 19 and 20: what a run prints.

use serde_json::Value;

use super::beside::guest;
use super::compute::PATIENT;
use super::shown;
use super::table::{self, Expect, row};
use crate::support::host::Host;

/// The last line of a log that was cut.
const CUT: &str = " bytes left out (limits `log-bytes`, `log-lines`)";

fn log(check: &Value) -> Vec<&str> {
    let lines = check["outcome"]["log"].as_array().map_or(&[][..], Vec::as_slice);
    lines.iter().map(|line| line.as_str().expect("a text")).collect()
}

/// It was cut within its limits, and says so on its last line.
#[track_caller]
fn is_cut(check: &Value, lines: usize, bytes: usize) {
    let log = log(check);
    let (said, kept) = log.split_last().expect("a log");
    assert!(said.starts_with("… ") && said.ends_with(CUT), "{said}");
    assert!(kept.len() <= lines, "{} lines", kept.len());
    let size: usize = kept.iter().map(|line| line.len() + 1).sum();
    assert!(size <= bytes, "{size} bytes");
}

#[test]
fn case_19_a_flood_of_lines_is_cut_and_costs_the_cpu_budget() {
    let guest = guest("flood-logs").timing(PATIENT).run();
    guest.faults("timeout", "CPU budget of 250ms used up (limit `cpu`)");
    is_cut(&guest.check, 1000, 64 << 10);
    assert!(guest.host.log().len() < 64 << 10, "the log of the host is not flooded");
}

#[test]
fn case_19_a_flood_of_bytes_is_cut_and_nothing_blocks() {
    let guest = guest("print").settings("stdout = 500_000, stderr = 500_000").run();
    guest.passes();
    assert_eq!((guest.detail("stdout"), guest.detail("stderr")), ("written", "written"));
    is_cut(&guest.check, 1000, 64 << 10);
    let kept: usize = log(&guest.check).iter().map(|line| line.len() + 1).sum();
    assert!(kept > 60 << 10, "{kept} bytes: what is within the limit is kept");
}

#[test]
fn case_19_lines_end_at_their_limit_whichever_comes_first() {
    let guest = guest("flood-logs").settings("lines = 800").run();
    guest.passes();
    assert_eq!(guest.detail("refused"), "0");
    is_cut(&guest.check, 1000, 64 << 10);
    assert_eq!(log(&guest.check).len(), 1001);
}

#[test]
fn case_19_lowered_limits_of_the_log_hold() {
    let host = table::all(
        "",
        &[
            row("print", "stdout = 6400", Expect::Log(CUT)).limit("log-bytes = \"1KiB\""),
            row("print", "stdout = 6400", Expect::Log(CUT)).limit("log-lines = 5"),
            row("print", "stdout = 640", Expect::Log("… 640 bytes left out"))
                .limit("log-bytes = \"0B\""),
            row("print", "stdout = 640", Expect::Log("… 640 bytes left out"))
                .limit("log-lines = 0"),
            row("print", "stdout = 640", Expect::Log("xxx")).limit("log-bytes = \"640B\""),
            row("print", "stdout = 640", Expect::Log("xxx")).limit("log-lines = 10"),
            row("print", "stdout = 70_000", Expect::Log("xxx"))
                .limit("log-bytes = \"128KiB\"\nlog-lines = 2000"),
            row("flood-logs", "lines = 20, bytes = 3", Expect::Log(CUT)).limit("log-lines = 7"),
        ],
    );
    is_cut(&host.check("row-0"), 17, 1024);
    is_cut(&host.check("row-1"), 5, 1024);
    assert_eq!(log(&host.check("row-4")).len(), 10);
    assert_eq!(log(&host.check("row-7")).len(), 8, "both outputs together");
}

#[test]
fn case_19_a_line_that_never_ends_is_cut() {
    let text = "y".repeat(10_000);
    let guest = guest("print").settings(&format!("text = \"{text}\"")).run();
    guest.passes();
    let log = log(&guest.check);
    assert_eq!(log.len(), 2, "one for each output");
    assert!(
        log.iter().all(|line| line.len() <= 2048 + "…".len() && line.ends_with('…')),
        "{log:?}"
    );
}

#[test]
fn case_20_what_would_deceive_a_reader_is_escaped() {
    let guest = guest("inject-logs").run();
    guest.passes();
    shown::is_clean(&guest.host);
    let log = log(&guest.check);
    for line in [
        "\\u{1b}[2J\\u{1b}[31mcleared and red",
        "hidden\\rshown instead",
        "\\u{9b}31mred by one character",
        "\\u{202e}desrever",
    ] {
        assert!(log.contains(&line), "`{line}`: {log:?}");
    }
    let message = guest.check["message"].as_str().expect("a text");
    assert!(message.contains("harmless\\r\\nlevel=error"), "{message}");
    let part = &guest.check["outcome"]["parts"][1];
    assert_eq!(part["message"], "harmless\\r\\nlevel=error msg=\"forged line\"");
    // What a guest prints is shown with its check, and nowhere else.
    assert!(
        !guest
            .host
            .log()
            .lines()
            .any(|line| line.contains("title of the window") && !line.contains("check=guest"))
    );
}

#[test]
fn case_20_a_log_of_json_stays_one_record_a_line() {
    let guest = guest("inject-logs").with(|builder| builder.arg("--log-format=json")).run();
    guest.passes();
    let log: String = guest.host.log();
    let ours: Vec<&str> = log.lines().filter(|line| line.contains("forged")).collect();
    assert!(!ours.is_empty(), "the first outcome is logged: {log}");
    for line in log.lines() {
        shown::is_strict_json("the log", line);
        let record: Value = serde_json::from_str(line).expect("a record");
        assert!(record["timestamp"].is_string() && record["level"].is_string(), "{line}");
        if ours.contains(&line) {
            assert_eq!(record["fields"]["check"], "guest", "{line}");
        }
    }
}

#[test]
fn case_20_what_a_guest_says_last_before_a_trap_is_escaped_too() {
    let guest = guest("print").settings("text = \"\\u001B[31mred\\nsecond\\n\"").run();
    guest.passes();
    assert_eq!(log(&guest.check), ["\\u{1b}[31mred", "second", "\\u{1b}[31mred", "second"]);
    is_quiet(&guest.host);
    shown::is_clean(&guest.host);
}

/// Nothing that a guest prints is in the log of the host.
#[track_caller]
fn is_quiet(host: &Host) {
    assert!(!host.log().contains("second"), "{}", host.log());
}
