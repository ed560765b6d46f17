//! Compiling in a process of its own, with this very program as that process.
//!
//! Also what a compiler's process may be made to do by hostile input: take too long, too much CPU,
//! too much memory, or be no compiler at all.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wellcheck_core::id::PluginName;
use wellcheck_core::limits::HostLimits;
use wellcheck_wasm::{
    Compiler, LoadError, Plugin, Sandbox, SandboxOptions, Urgency, compile_child,
};

#[path = "it/guest.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use the rest of it")]
mod guest;

use guest::guest;

const COMPILE: &str = "compile-for-a-test";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == COMPILE) {
        return compile_child(args);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        compiled_code_of_a_child_runs_here().await;
        what_does_not_compile_is_the_plugins_fault().await;
        cpu_is_limited().await;
        wall_time_is_limited().await;
        memory_is_limited().await;
        a_program_that_is_no_compiler_is_said_to_be_one().await;
        the_child_inherits_nothing().await;
    });
    ExitCode::SUCCESS
}

fn this() -> Compiler {
    let program = std::env::current_exe().expect("a path");
    Compiler::Child { program, args: vec![COMPILE.into()], urgency: Urgency::Behind }
}

fn program(name: &str, args: &[&str]) -> Compiler {
    Compiler::Child {
        program: name.into(),
        args: args.iter().map(OsString::from).collect(),
        urgency: Urgency::Behind,
    }
}

fn options(compiler: Compiler) -> SandboxOptions {
    SandboxOptions {
        compiler,
        host: HostLimits { slots: 2, ..HostLimits::default() },
        workers: 1,
        ..SandboxOptions::default()
    }
}

async fn load(options: SandboxOptions, bytes: Vec<u8>) -> Result<Plugin, LoadError> {
    let sandbox = Sandbox::new(options).expect("a sandbox");
    sandbox.load(PluginName::new("guest").expect("a name"), bytes).await
}

async fn problem(options: SandboxOptions, bytes: Vec<u8>) -> String {
    load(options, bytes).await.expect_err("it cannot be compiled").message()
}

/// Many functions of some length: seconds of compiling.
fn bomb() -> Vec<u8> {
    let mut body = String::new();
    for n in 0..400 {
        write!(body, "(local.set 0 (i64.add (i64.mul (local.get 0) (i64.const {n})) (i64.rotl (local.get 0) (local.get 1))))")
            .expect("writing to a string cannot fail");
    }
    let mut fields = String::new();
    for _ in 0..3000 {
        write!(fields, "(func (param i64 i64) (result i64) {body} (local.get 0))")
            .expect("writing to a string cannot fail");
    }
    guest().fields(&fields).build()
}

async fn compiled_code_of_a_child_runs_here() {
    let plugin = load(options(this()), guest().build()).await.expect("a plugin");
    assert_eq!(plugin.description().name, "test");
}

async fn what_does_not_compile_is_the_plugins_fault() {
    let bytes = guest().run("i64.const 1").build();
    let problem = problem(options(this()), bytes).await;
    assert!(problem.starts_with("compile: ") && problem.contains("type mismatch"), "{problem}");
}

async fn cpu_is_limited() {
    let mut options = options(this());
    options.load.compile_cpu = Duration::from_secs(1);
    let problem = problem(options, bomb()).await;
    assert_eq!(problem, "compile: compiling it takes more than 1s of CPU time");
}

async fn wall_time_is_limited() {
    let mut options = options(this());
    options.load.compile_wall = Duration::from_millis(300);
    let bomb = bomb();
    let began = Instant::now();
    let problem = problem(options, bomb).await;
    assert_eq!(problem, "compile: compiling it takes longer than 300ms");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

async fn memory_is_limited() {
    let mut options = options(this());
    options.load.compile_memory = 96 << 20;
    let problem = problem(options, bomb()).await;
    assert_eq!(problem, "compile: compiling it takes more than 96 MiB of memory");
}

async fn a_program_that_is_no_compiler_is_said_to_be_one() {
    let none = problem(options(program("/nonexistent/compiler", &[])), guest().build()).await;
    assert!(none.starts_with("compile: the compiler's process failed: "), "{none}");
    let fails =
        problem(options(program("/bin/sh", &["-c", "echo no >&2; exit 3", "sh"])), guest().build())
            .await;
    assert!(fails.contains("exit status: 3: no"), "{fails}");
    let lies = problem(options(program("/bin/sh", &["-c", "cat", "sh"])), guest().build()).await;
    assert!(lies.starts_with("compile: the compiled code cannot be used: "), "{lies}");
}

async fn the_child_inherits_nothing() {
    let script = "env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^RAYON_ -e ^MALLOC_ >&2; exit 3";
    let all = problem(options(program("/bin/sh", &["-c", script, "sh"])), guest().build()).await;
    assert_eq!(all, "compile: the compiler's process failed: exit status: 3");
}
