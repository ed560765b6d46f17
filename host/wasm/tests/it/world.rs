//! Runs in a world of their own, and records from which such a world is made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wellcheck_core::outcome::{FaultReason, Outcome};
use wellcheck_core::record::{Answer, Blob, Chunk, Failed, Record, Reply};
use wellcheck_core::redact::Redactor;
use wellcheck_wasm::{Invocation, PluginRun, Replay, Sandbox, Script, Scripted, Tape, World};

use crate::guest::Guest;
use crate::http::fetcher;
use crate::support::{fault, granted, invocation, load, options, report};

const URL: &str = "https://api.example.com/";

fn answer(status: u16, pieces: &[(f64, &str)]) -> Answer {
    let body = pieces.iter().map(|(after, text)| Chunk { after: *after, data: Blob::from(*text) });
    Answer { after: 0.0, status, headers: Vec::new(), body: body.collect(), broken: None }
}

fn world(script: &Script) -> World {
    World { now: Duration::from_secs(1_000), random: [7; 32], transport: Arc::new(script.clone()) }
}

fn asking(tape: Option<Arc<Tape>>) -> Invocation {
    let grants = granted(&["https://api.example.com"]);
    Invocation { grants, timeout: Duration::from_secs(30), tape, ..invocation() }
}

async fn run(guest: &Guest, reply: Reply, invocation: Invocation) -> (PluginRun, Script) {
    let sandbox = Sandbox::new(options()).expect("a sandbox");
    let plugin = load(&sandbox, guest).await;
    let script = Script::new(vec![Scripted::new(URL, reply)]);
    let done = plugin.run_in(world(&script), invocation).await;
    (done, script)
}

fn code(run: &PluginRun) -> f64 {
    report(run).observations[0].value
}

#[tokio::test]
async fn requests_are_answered_by_the_script_and_waiting_takes_no_time() {
    let guest = fetcher(1, "api.example.com", "");
    let reply = Reply::Answer(Answer { after: 5_000.0, ..answer(418, &[(9_000.0, "late")]) });
    let began = Instant::now();
    let (done, script) = run(&guest, reply, asking(None)).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(code(&done), 418.0);
    assert!(done.run.duration >= Duration::from_secs(14), "{:?}", done.run.duration);
    let asked = script.asked();
    assert_eq!((asked[0].url.as_str(), asked[0].by), (URL, Some(0)));
}

#[tokio::test]
async fn silence_and_failures_are_what_a_real_target_would_do() {
    let guest = fetcher(1, "api.example.com", "");
    let (done, _) = run(&guest, Reply::Silence, asking(None)).await;
    assert_eq!(code(&done), 1033.0, "a timeout");
    assert!(done.run.duration < Duration::from_secs(30), "{:?}", done.run.duration);
    let refused = Failed { after: 0.0, kind: "refused".to_owned(), message: "no".to_owned() };
    let (done, _) = run(&guest, Reply::Failure(refused.clone()), asking(None)).await;
    assert_eq!(code(&done), 1006.0, "refused");
    let reply = Reply::Answer(Answer { broken: Some(refused), ..answer(200, &[(0.0, "half")]) });
    let (done, _) = run(&guest, reply, asking(None)).await;
    assert_eq!(code(&done), 2000.0, "a body that breaks off");
}

#[tokio::test]
async fn what_the_script_does_not_have_is_unreachable_and_said() {
    let sandbox = Sandbox::new(options()).expect("a sandbox");
    let plugin = load(&sandbox, &fetcher(1, "api.example.com", "")).await;
    let script = Script::new(Vec::new());
    let done = plugin.run_in(world(&script), asking(None)).await;
    assert_eq!(code(&done), 1003.0);
    assert_eq!(script.asked()[0].by, None);
}

#[tokio::test]
async fn grants_hold_in_every_world() {
    let guest = fetcher(1, "elsewhere.example.com", "");
    let (done, script) = run(&guest, answer_all(), asking(None)).await;
    assert_eq!(fault(&done).reason, FaultReason::Denied);
    assert!(script.asked().is_empty());
}

fn answer_all() -> Reply {
    Reply::Answer(answer(200, &[]))
}

#[tokio::test]
async fn a_record_is_the_world_again() {
    let sandbox = Sandbox::new(options()).expect("a sandbox");
    let plugin = load(&sandbox, &fetcher(1, "api.example.com", "")).await;
    let script = Script::new(vec![Scripted::new(
        URL,
        Reply::Answer(Answer {
            headers: vec![
                ("set-cookie".to_owned(), "session=abc; Path=/".to_owned()),
                ("server".to_owned(), "nginx".to_owned()),
            ],
            ..answer(503, &[(20.0, "the password is hun"), (1.0, "ter42 indeed")])
        }),
    )]);
    let tape = Tape::new(1 << 20);
    let asked = Invocation {
        redact: Redactor::new(["hunter42"]),
        settings: r#"{"password": "hunter42"}"#.into(),
        ..asking(Some(Arc::clone(&tape)))
    };
    let done = plugin.run_in(world(&script), asked.clone()).await;
    let record = tape.record(&plugin, &asked, &done.run);
    let text = serde_json::to_string(&record).expect("JSON");
    assert!(!text.contains("hunter42") && !text.contains("abc; Path"), "{text}");
    assert!(text.contains("session=[redacted]") && text.contains("nginx"), "{text}");
    assert_eq!(record.began, 1_000_000);
    assert_eq!(record.grants["http"], ["https://api.example.com"]);

    let again: Record = serde_json::from_str(&text).expect("a record");
    assert_eq!(again, record);
    let replay = Replay::new(&again, (*asked.grants).clone()).expect("a world");
    let (second, requests) = replay.run(&plugin).await;
    assert_eq!(second.run.outcome, done.run.outcome);
    assert_eq!(requests.len(), 1);
    let Outcome::Answered(_) = second.run.outcome else { panic!("{second:?}") };
}

#[tokio::test]
async fn a_tape_has_bounds_and_says_what_it_left_out() {
    let sandbox = Sandbox::new(options()).expect("a sandbox");
    let plugin = load(&sandbox, &fetcher(1, "api.example.com", "")).await;
    let long = "x".repeat(5000);
    let script = Script::new(vec![Scripted::new(URL, Reply::Answer(answer(200, &[(0.0, &long)])))]);
    let tape = Tape::new(1000);
    let asked = asking(Some(Arc::clone(&tape)));
    let done = plugin.run_in(world(&script), asked.clone()).await;
    assert_eq!(code(&done), 200.0);
    let record = tape.record(&plugin, &asked, &done.run);
    assert_eq!(record.gaps, [format!("the bodies of `GET {URL}` were cut")]);
    let Reply::Answer(kept) = &record.http[0].reply else { panic!("{record:?}") };
    let size = kept.body[0].data.0.len();
    assert!((900..1000).contains(&size), "the heads take their part: {size}");
}

#[tokio::test]
async fn what_a_tape_says_of_itself_holds_no_secret() {
    let sandbox = Sandbox::new(options()).expect("a sandbox");
    let plugin = load(&sandbox, &fetcher(1, "api.example.com", "")).await;
    let long = "x".repeat(5000);
    let script = Script::new(vec![Scripted::new(URL, Reply::Answer(answer(200, &[(0.0, &long)])))]);
    for (most, expected) in [
        (1000, "the bodies of `GET https://[redacted].com/` were cut"),
        (10, "the request `GET https://[redacted].com/` is too large to be kept"),
    ] {
        let tape = Tape::new(most);
        let redact = Redactor::new(["api.example"]);
        let asked = Invocation { redact, ..asking(Some(Arc::clone(&tape))) };
        let done = plugin.run_in(world(&script), asked.clone()).await;
        let record = tape.record(&plugin, &asked, &done.run);
        assert_eq!(record.gaps, [expected]);
    }
}

#[tokio::test]
async fn a_body_in_many_pieces_is_kept_in_a_few() {
    let sandbox = Sandbox::new(options()).expect("a sandbox");
    let plugin = load(&sandbox, &fetcher(1, "api.example.com", "")).await;
    let pieces = [(1.0, "x"); 500];
    let script = Script::new(vec![Scripted::new(URL, Reply::Answer(answer(200, &pieces)))]);
    let tape = Tape::new(10_000);
    let asked = asking(Some(Arc::clone(&tape)));
    let done = plugin.run_in(world(&script), asked.clone()).await;
    let record = tape.record(&plugin, &asked, &done.run);
    let Reply::Answer(kept) = &record.http[0].reply else { panic!("{record:?}") };
    assert!(kept.body.len() < 100, "{}", kept.body.len());
    let (size, after) = kept
        .body
        .iter()
        .fold((0, 0.0), |(size, after), piece| (size + piece.data.0.len(), after + piece.after));
    assert_eq!(size, 500);
    assert!((490.0..2_000.0).contains(&after), "{after}");
}

#[tokio::test]
async fn a_real_run_can_be_recorded_too() {
    let sandbox = Sandbox::new(options()).expect("a sandbox");
    let plugin = load(&sandbox, &fetcher(1, "api.example.com", "")).await;
    let tape = Tape::new(1000);
    let asked = asking(Some(Arc::clone(&tape)));
    let done = plugin.run(asked.clone()).await;
    let record = tape.record(&plugin, &asked, &done.run);
    assert!(matches!(record.http[0].reply, Reply::Failure(_)), "{record:?}");
    assert!(record.began > 1_700_000_000_000, "{record:?}");
    assert_ne!(record.random, "0".repeat(64));
}
