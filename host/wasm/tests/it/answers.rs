//! What a guest says, and what becomes of it.

use wellcheck_core::outcome::{Answer, FailReason, FaultReason, Outcome};
use wellcheck_core::redact::Redactor;

use crate::guest::guest;
use crate::support::{assert_fault, invocation, report, run, run_with};

#[tokio::test]
async fn a_report_comes_through() {
    let done = run(&guest()).await;
    let report = report(&done);
    assert_eq!((report.status, report.message.as_str()), (Answer::Pass, "fine"));
    assert_eq!(report.reason, None);
    assert!(done.used.memory_peak >= 65536);
    assert!(done.used.cpu.as_nanos() > 0 && done.used.cpu < done.run.duration * 2);
}

#[tokio::test]
async fn a_fail_of_a_plugin_has_that_reason() {
    let done = run(&guest().answer(2, b"down", (0, 0))).await;
    assert_eq!(report(&done).status, Answer::Fail);
    assert_eq!(report(&done).reason, Some(FailReason::Plugin));
}

#[tokio::test]
async fn a_fault_of_a_plugin_keeps_its_reason() {
    for (number, reason) in
        [(0, FaultReason::BadSettings), (1, FaultReason::Inconclusive), (2, FaultReason::Internal)]
    {
        let done = run(&guest().fault(number, b"no\nidea")).await;
        assert_fault(&done, reason, "no\\nidea");
        assert!(!wellcheck_wasm::rejects_load(&done.run.outcome));
    }
}

#[tokio::test]
async fn numbers_that_are_none_are_left_out_and_flagged() {
    let list = [("good", 1.5), ("nan", f64::NAN), ("inf", f64::NEG_INFINITY), ("a b", 1.0)];
    let done = run(&guest().observations(&list)).await;
    let names: Vec<_> = report(&done).observations.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["good"]);
    assert_eq!(done.run.log.flags.len(), 3, "{:?}", done.run.log.flags);
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_a_bad_answer() {
    let done = run(&guest().answer(0, b"\xff\xfe", (0, 0))).await;
    assert!(wellcheck_wasm::rejects_load(&done.run.outcome));
    assert_fault(&done, FaultReason::BadAnswer, "invalid utf-8 sequence of 1 bytes from index 0");
}

#[tokio::test]
async fn a_status_that_does_not_exist_is_a_bad_answer() {
    let done = run(&guest().answer(77, b"x", (0, 0))).await;
    assert_fault(&done, FaultReason::BadAnswer, "unexpected discriminant: 77");
}

#[tokio::test]
async fn a_pointer_out_of_bounds_is_a_bad_answer() {
    let done = run(&guest().message_at(60_000, 60_000)).await;
    let message = "string pointer/length out of bounds of memory";
    assert_fault(&done, FaultReason::BadAnswer, message);
    let done = run(&guest().run("i32.const 0x7ffffff0")).await;
    assert_fault(&done, FaultReason::BadAnswer, "pointer out of bounds of memory");
}

#[tokio::test]
async fn traps_are_faults_that_say_what_happened() {
    let cases = [
        ("unreachable", "reached `unreachable`"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "integer divide by zero"),
        ("(i32.load (i32.const -4))", "out of bounds memory access"),
    ];
    for (body, message) in cases {
        let done = run(&guest().run(body)).await;
        let found = match &done.run.outcome {
            Outcome::Faulted(fault) => fault,
            Outcome::Answered(report) => panic!("{report:?}"),
        };
        assert_eq!(found.reason, FaultReason::Trap);
        assert!(found.message.contains(message), "{}", found.message);
        assert!(!found.message.contains("backtrace"), "{}", found.message);
    }
}

#[tokio::test]
async fn exit_is_not_success() {
    let guest = guest()
        .import(
            r#"(import "wasi:cli/exit@0.2.0" (instance $exit
            (export "exit" (func (param "status" (result))))))"#,
        )
        .lower("exit", "$exit \"exit\"", "(param i32)")
        .run("(call $exit (i32.const 0)) unreachable");
    assert_fault(&run(&guest).await, FaultReason::Trap, "called exit with code 0");
}

#[tokio::test]
async fn known_secrets_do_not_come_back() {
    let mut with_secret = invocation();
    with_secret.redact = Redactor::new(["hunter2"]);
    let done = run_with(&guest().answer(2, b"401 for hunter2", (0, 0)), with_secret).await;
    assert_eq!(report(&done).message, "401 for [redacted]");
}

#[tokio::test]
async fn the_guest_sees_its_check_and_settings() {
    // The answer's message is the settings.
    let guest = guest().run(
        "(i32.store (i32.const 72) (local.get $settings))
         (i32.store (i32.const 76) (local.get $settings-len))
         i32.const 64",
    );
    let mut invocation = invocation();
    invocation.settings = r#"{"url":"http://example.com"}"#.into();
    let done = run_with(&guest, invocation).await;
    assert_eq!(report(&done).message, r#"{"url":"http://example.com"}"#);
}

#[tokio::test]
async fn facts_of_the_run_are_functions() {
    let guest = guest()
        .import(
            r#"(import "wellcheck:check/context@0.1.0" (instance $context
            (export "remaining-ms" (func (result u64)))
            (export "failures-in-a-row" (func (result u32)))
            (export "traceparent" (func (result (option string))))))"#,
        )
        .lower("remaining", "$context \"remaining-ms\"", "(result i64)")
        .lower("failures", "$context \"failures-in-a-row\"", "(result i32)")
        .lower("trace", "$context \"traceparent\"", "(param i32)")
        // Unreachable unless the facts are those below; the message is the trace.
        .run(
            "(if (i64.gt_u (call $remaining) (i64.const 10000)) (then unreachable))
             (if (i64.lt_u (call $remaining) (i64.const 5000)) (then unreachable))
             (if (i32.ne (call $failures) (i32.const 7)) (then unreachable))
             (call $trace (i32.const 512))
             (i32.store (i32.const 72) (i32.load (i32.const 516)))
             (i32.store (i32.const 76) (i32.load (i32.const 520)))
             i32.const 64",
        );
    let mut invocation = invocation();
    invocation.failures_in_a_row = 7;
    invocation.traceparent = Some("00-trace".to_owned());
    assert_eq!(report(&run_with(&guest, invocation).await).message, "00-trace");
}
