//! What plugins cost: compile, load from the cache, run. For people; nothing depends on it.
//!
//! `cargo run --release -p wellcheck-wasm --example measure -- plugins/*.wasm`

#![expect(clippy::print_stdout, reason = "it is a program for people")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wellcheck_core::grant::Grants;
use wellcheck_core::id::{CheckName, PluginName};
use wellcheck_core::limits::RunLimits;
use wellcheck_core::redact::Redactor;
use wellcheck_wasm::{Compiler, Invocation, Sandbox, SandboxOptions, compile_child};

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn main() -> std::process::ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|a| a == "compile") {
        return compile_child(args);
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure());
    std::process::ExitCode::SUCCESS
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = || SandboxOptions {
        cache_dir: Some(folder.path().join("cache")),
        compiler: Compiler::Child {
            program: std::env::current_exe().expect("a path"),
            args: vec!["compile".into()],
        },
        ..SandboxOptions::default()
    };
    let began = Instant::now();
    let first = Sandbox::new(options()).expect("a sandbox");
    println!("sandbox: {:?}, {}", began.elapsed(), first.allocator());
    let second = Sandbox::new(options()).expect("a sandbox");
    for path in std::env::args().skip(1) {
        let bytes: Arc<[u8]> = std::fs::read(&path).expect("a file").into();
        let name = || PluginName::new("x").expect("a name");
        let plugin = match first.load(name(), Arc::clone(&bytes)).await {
            Ok(plugin) => plugin,
            Err(error) => {
                println!("{path}: {}", error.message());
                continue;
            }
        };
        let fresh = plugin.timings().clone();
        drop(plugin);
        let mut cached = Vec::new();
        for _ in 0..5 {
            let plugin = second.load(name(), Arc::clone(&bytes)).await.expect("a plugin");
            assert!(plugin.timings().from_cache);
            cached.push((plugin.timings().total(), plugin.timings().clone()));
        }
        cached.sort_by_key(|(total, _)| *total);
        let plugin = second.load(name(), Arc::clone(&bytes)).await.expect("a plugin");
        let invocation = Invocation {
            check: CheckName::new("x").expect("a name"),
            settings: "{}".into(),
            grants: Arc::new(Grants::default()),
            limits: Arc::new(RunLimits::default()),
            timeout: Duration::from_secs(10),
            failures_in_a_row: 0,
            traceparent: None,
            redact: Redactor::default(),
        };
        let done = plugin.run(invocation.clone()).await;
        let outcome = format!("{:?} {}", done.run.outcome.reason(), done.run.outcome.message());
        let mut runs = 0_u32;
        let (began, before) = (Instant::now(), cpu());
        let mut metered = Duration::ZERO;
        while began.elapsed() < Duration::from_secs(2) {
            metered += plugin.run(invocation.clone()).await.used.cpu;
            runs += 1;
        }
        let (wall, all) = (began.elapsed(), cpu() - before);
        println!(
            "{path} ({} KB)\n  compile {:?} (validate {:?}), cached load {:?}: {:?}\n  run: wall {:?}, CPU metered {:?}, CPU of the process {:?}, memory {} KiB: {outcome}",
            bytes.len() / 1024,
            fresh.compile,
            fresh.validate,
            cached[2].0,
            cached[2].1,
            wall / runs,
            metered / runs,
            all / runs,
            done.used.memory_peak / 1024,
        );
    }
}
