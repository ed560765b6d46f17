//! What a run may use, and what happens when it wants more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wellcheck_core::limits::{KIB, MIB, RunLimits};
use wellcheck_core::outcome::FaultReason;

use crate::guest::{Guest, guest};
use crate::support::{
    assert_fault, fault, invocation, load, load_problem, report, run, run_with, sandbox,
};

const SPIN: &str = "(loop (br 0)) unreachable";
const AT_LOAD: &str = "CPU budget of 250ms used up (limit `describe-cpu`)";
const OVER_BUDGET: &str = "CPU budget of 250ms used up (limit `cpu`)";

/// Sleeps this long by WASI's clock: `(call $sleep (i64.const NANOSECONDS))`.
pub(crate) fn sleeper(guest: Guest) -> Guest {
    guest
        .import(
            r#"(import "wasi:io/poll@0.2.0" (instance $poll
                 (export "pollable" (type $pollable (sub resource)))
                 (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
               (alias export $poll "pollable" (type $pollable))
               (import "wasi:clocks/monotonic-clock@0.2.9" (instance $clock
                 (alias outer 1 $pollable (type $outer))
                 (export "pollable" (type $pollable (eq $outer)))
                 (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))"#,
        )
        .lower("subscribe", "$clock \"subscribe-duration\"", "(param i64) (result i32)")
        .lower("block", "$poll \"[method]pollable.block\"", "(param i32)")
        .fields("(func $sleep (param i64) (call $block (call $subscribe (local.get 0))))")
}

/// Prints: `(call $print (call $stdout) ADDRESS LENGTH)`, answers to 512.
fn printer(guest: Guest) -> Guest {
    let stdio = |name: &str| {
        format!(
            r#"(import "wasi:cli/{name}@0.2.3" (instance ${name}
                 (alias outer 1 $output-stream (type $outer))
                 (export "output-stream" (type $output-stream (eq $outer)))
                 (export "get-{name}" (func (result (own $output-stream))))))"#
        )
    };
    guest
        .import(
            r#"(import "wasi:io/error@0.2.0" (instance $error
                 (export "error" (type (sub resource)))))
               (alias export $error "error" (type $error))
               (import "wasi:io/streams@0.2.0" (instance $streams
                 (export "output-stream" (type $output-stream (sub resource)))
                 (alias outer 1 $error (type $outer))
                 (export "error" (type $error (eq $outer)))
                 (type $variant (variant (case "last-operation-failed" (own $error)) (case "closed")))
                 (export "stream-error" (type $stream-error (eq $variant)))
                 (export "[method]output-stream.blocking-write-and-flush"
                   (func (param "self" (borrow $output-stream)) (param "contents" (list u8))
                     (result (result (error $stream-error)))))))
               (alias export $streams "output-stream" (type $output-stream))"#,
        )
        .import(&stdio("stdout"))
        .import(&stdio("stderr"))
        .lower("stdout", "$stdout \"get-stdout\"", "(result i32)")
        .lower("stderr", "$stderr \"get-stderr\"", "(result i32)")
        .lower(
            "write",
            "$streams \"[method]output-stream.blocking-write-and-flush\"",
            "(param i32 i32 i32 i32)",
        )
        .fields(
            "(func $print (param i32 i32 i32)
               (call $write (local.get 0) (local.get 1) (local.get 2) (i32.const 512)))",
        )
}

#[tokio::test]
async fn an_endless_loop_ends_at_the_cpu_budget() {
    let done = run(&guest().run(SPIN)).await;
    assert_fault(&done, FaultReason::Timeout, OVER_BUDGET);
    assert!(done.used.cpu >= Duration::from_millis(250));
    assert!(done.used.cpu < Duration::from_millis(400), "{:?}", done.used);
}

#[tokio::test]
async fn the_budget_covers_start_functions() {
    // The first instance is made for `describe`.
    let done = load_problem(&sandbox(), guest().start("(loop (br 0))").build()).await;
    assert_eq!(done, format!("describe: `describe` ended in a fault (timeout): {AT_LOAD}"));
}

#[tokio::test]
async fn an_endless_describe_is_a_load_problem() {
    let done = load_problem(&sandbox(), guest().describe(SPIN).build()).await;
    assert_eq!(done, format!("describe: `describe` ended in a fault (timeout): {AT_LOAD}"));
}

#[tokio::test]
async fn a_budget_of_its_own_is_kept() {
    let mut short = invocation();
    short.limits = Arc::new(RunLimits { cpu: Duration::from_millis(40), ..RunLimits::default() });
    let done = run_with(&guest().run(SPIN), short).await;
    assert_fault(&done, FaultReason::Timeout, "CPU budget of 40ms used up (limit `cpu`)");
}

#[tokio::test]
async fn many_that_loop_delay_no_timer_of_the_caller() {
    let sandbox = sandbox();
    let plugin = load(&sandbox, &guest().run(SPIN)).await;
    let runs: Vec<_> = (0..16)
        .map(|_| {
            let plugin = plugin.clone();
            tokio::spawn(async move { plugin.run(invocation()).await })
        })
        .collect();
    let mut worst = Duration::ZERO;
    for _ in 0..50 {
        let began = Instant::now();
        tokio::time::sleep(Duration::from_millis(5)).await;
        worst = worst.max(began.elapsed());
    }
    for run in runs {
        assert_fault(&run.await.expect("no panic"), FaultReason::Timeout, OVER_BUDGET);
    }
    assert!(worst < Duration::from_millis(200), "{worst:?}");
    assert_eq!(sandbox.slots().taken, 0);
}

#[tokio::test]
async fn waiting_costs_no_cpu() {
    // 600 ms of waiting against 250 ms of budget.
    let done = run(&sleeper(guest()).before("(call $sleep (i64.const 600000000))")).await;
    assert_eq!(report(&done).message, "fine");
    assert!(done.run.duration >= Duration::from_millis(600));
    assert!(done.used.cpu < Duration::from_millis(50), "{:?}", done.used);
}

#[tokio::test]
async fn waiting_beside_a_loop_costs_no_cpu() {
    let sandbox = wellcheck_wasm::Sandbox::new(wellcheck_wasm::SandboxOptions {
        workers: 1,
        ..crate::support::options()
    });
    let sandbox = sandbox.expect("a sandbox");
    let waits = sleeper(guest()).before("(call $sleep (i64.const 400000000))");
    let waits = load(&sandbox, &waits).await;
    let spins = load(&sandbox, &guest().run(SPIN)).await;
    let spinning = tokio::spawn(async move { spins.run(invocation()).await });
    let done = waits.run(invocation()).await;
    assert_eq!(report(&done).message, "fine");
    assert!(done.used.cpu < Duration::from_millis(100), "{:?}", done.used);
    assert_fault(&spinning.await.expect("no panic"), FaultReason::Timeout, OVER_BUDGET);
}

#[tokio::test]
async fn a_long_sleep_ends_at_the_wall_time() {
    let mut short = invocation();
    short.timeout = Duration::from_millis(200);
    let guest = sleeper(guest()).before("(call $sleep (i64.const 31536000000000000))");
    let done = run_with(&guest, short).await;
    assert_eq!(fault(&done).reason, FaultReason::Timeout);
    assert!(fault(&done).message.starts_with("wall time of "), "{}", fault(&done).message);
    assert!(done.run.duration < Duration::from_millis(1000), "{:?}", done.run.duration);
}

#[tokio::test]
async fn dropping_a_run_ends_it() {
    let sandbox = sandbox();
    let guest = sleeper(guest()).before("(call $sleep (i64.const 5000000000))");
    let plugin = load(&sandbox, &guest).await;
    let waited = tokio::time::timeout(Duration::from_millis(50), plugin.run(invocation())).await;
    assert!(waited.is_err());
    let began = Instant::now();
    while sandbox.slots().taken > 0 {
        assert!(began.elapsed() < Duration::from_secs(2), "it goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_full_house_is_a_limit_and_not_a_hang() {
    let options = crate::support::with_slots(1);
    let sandbox = wellcheck_wasm::Sandbox::new(options).expect("a sandbox");
    let guest = sleeper(guest()).before("(call $sleep (i64.const 500000000))");
    let plugin = load(&sandbox, &guest).await;
    let first = plugin.clone();
    let first = tokio::spawn(async move { first.run(invocation()).await });
    while sandbox.slots().taken == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut short = invocation();
    short.timeout = Duration::from_millis(50);
    let second = plugin.run(short).await;
    assert_fault(
        &second,
        FaultReason::Busy,
        "all 1 places for runs of plugins are taken (limit `slots`)",
    );
    assert_eq!(report(&first.await.expect("no panic")).message, "fine");
}

#[tokio::test]
async fn memory_that_is_refused_is_the_guests_to_handle() {
    let guest = guest().before("(drop (memory.grow (i32.const 2000)))");
    assert_eq!(report(&run(&guest).await).message, "fine");
}

#[tokio::test]
async fn a_memory_bomb_meets_its_limit() {
    let guest = guest().run(
        "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
    );
    let done = run(&guest).await;
    assert_fault(&done, FaultReason::Limit, "memory limit of 64 MiB reached (limit `memory`)");
    assert!(done.used.memory_peak > 63 * MIB && done.used.memory_peak <= 64 * MIB);
}

#[tokio::test]
async fn a_declared_memory_above_the_limit_of_the_run_is_a_limit() {
    let mut small = invocation();
    small.limits = Arc::new(RunLimits { memory: MIB, ..RunLimits::default() });
    let done = run_with(&guest().memory("32"), small).await;
    assert_fault(&done, FaultReason::Limit, "memory limit of 1 MiB reached (limit `memory`)");
}

#[tokio::test]
async fn a_table_bomb_meets_its_limit() {
    let guest = guest().fields("(table $t 1 funcref)").run(
        "(loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1)))) unreachable",
    );
    assert_fault(
        &run(&guest).await,
        FaultReason::Limit,
        "limit of 20000 table elements reached (limit `table-elements`)",
    );
}

#[tokio::test]
async fn deep_recursion_is_a_trap() {
    let guest =
        guest().fields("(func $deeper (call $deeper) (call $deeper))").before("(call $deeper)");
    assert_fault(&run(&guest).await, FaultReason::Trap, "call stack exhausted (limit `stack`)");
}

#[tokio::test]
async fn a_giant_message_is_a_limit() {
    let mut done = Vec::new();
    for len in [2 * MIB as u32, 40 * MIB as u32] {
        done.push(run(&guest().memory("900").message_at(0, len)).await);
    }
    for done in done {
        let message =
            "limit of 1 MiB for one call between plugin and host reached (limit `host-call-bytes`)";
        assert_fault(&done, FaultReason::Limit, message);
    }
}

#[tokio::test]
async fn observations_that_share_one_long_text_are_counted_each() {
    let mut guest = guest().memory("40");
    let name = "x".repeat(64 * KIB);
    let (at, len) = guest.text(name.as_bytes());
    let mut records = Vec::new();
    for _ in 0..200 {
        records.extend([at, len].into_iter().flat_map(u32::to_le_bytes));
        records.extend([0; 56]);
    }
    let (list, _) = guest.text(&records);
    let done = run(&guest.answer(0, b"many", (list, 200))).await;
    assert_eq!(fault(&done).reason, FaultReason::Limit);
}

#[tokio::test]
async fn a_leak_of_handles_meets_its_limit() {
    let guest = sleeper(guest())
        .run("(loop $more (drop (call $subscribe (i64.const 1000000000))) (br $more)) unreachable");
    assert_fault(
        &run(&guest).await,
        FaultReason::Limit,
        "limit of 256 open handles reached (limit `handles`)",
    );
}

#[tokio::test]
async fn random_bytes_are_bounded() {
    let guest = guest()
        .import(
            r#"(import "wasi:random/random@0.2.0" (instance $random
            (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))"#,
        )
        .lower("random", "$random \"get-random-bytes\"", "(param i64 i32)")
        .before("(call $random (i64.const 0x10000000000) (i32.const 512))");
    let message = "limit of 64 KiB of random numbers at once reached (limit `random-bytes`)";
    assert_fault(&run(&guest).await, FaultReason::Limit, message);
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_changes_nothing() {
    let mut guest = printer(guest());
    let line = format!("{}\n", "x".repeat(99));
    let (at, len) = guest.text(line.as_bytes());
    let guest = guest.fields("(global $left (mut i32) (i32.const 1000))").before(&format!(
        "(loop $more
               (call $print (call $stdout) (i32.const {at}) (i32.const {len}))
               (global.set $left (i32.sub (global.get $left) (i32.const 1)))
               (br_if $more (global.get $left)))"
    ));
    let mut many = invocation();
    many.limits = Arc::new(RunLimits { handles: 2000, ..RunLimits::default() });
    let done = run_with(&guest, many).await;
    assert_eq!(report(&done).message, "fine");
    let lines = &done.run.log.lines;
    assert_eq!(lines.len(), 657);
    assert_eq!(
        lines[656],
        format!("… {} bytes left out (limits `log-bytes`, `log-lines`)", 100_000 - 65_536)
    );
}

#[tokio::test]
async fn a_panic_is_told_in_its_own_words() {
    let mut guest = printer(guest());
    let words = b"\nthread '<unnamed>' (1) panicked at src/lib.rs:4:5:\nboom \x1b[31m\nnote: run with `RUST_BACKTRACE=1`\n";
    let (at, len) = guest.text(words);
    let guest = guest.run(&format!(
        "(call $print (call $stderr) (i32.const {at}) (i32.const {len})) unreachable"
    ));
    let done = run(&guest).await;
    let message = "panicked at src/lib.rs:4:5: boom \\u{1b}[31m";
    assert_fault(&done, FaultReason::Trap, message);
    assert_eq!(done.run.log.lines.len(), 4, "{:?}", done.run.log.lines);
}

#[tokio::test]
async fn nothing_of_a_run_is_left_for_the_next() {
    let sandbox = sandbox();
    let guest = guest().run(
        "(if (i32.load (i32.const 8000)) (then unreachable))
         (i32.store (i32.const 8000) (i32.const 1))
         i32.const 64",
    );
    let plugin = load(&sandbox, &guest).await;
    for _ in 0..20 {
        assert_eq!(report(&plugin.run(invocation()).await).message, "fine");
    }
}
