//! Runs of plugins: the sandbox beside bare calls of wasmtime, in this process.
//!
//! The guest `echo` is an ordinary one in Rust: it parses its settings, asks for facts of the run
//! and answers a report. Every run has a fresh instance on both sides.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use wellcheck_core::grant::{Grants, HttpGrant};
use wellcheck_core::id::{CheckName, PluginName};
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::{Answer, Outcome};
use wellcheck_core::redact::Redactor;
use wellcheck_net::http::Client;
use wellcheck_net::{Resolver, Tls};
use wellcheck_wasm::{Invocation, NetTransport, Plugin, Sandbox, SandboxOptions, Supplies};

use crate::Bench;
use crate::bare_wasm::Bare;
use crate::measure::{Pair, each, in_turns, own_cpu, spread};
use crate::roles::Target;
use crate::table::{self, Line, Unit};

const ROUNDS: usize = 7;
const RUNS: usize = 4_000;
const HTTP_RUNS: usize = 1_500;
const AT_ONCE: usize = 8;

const ECHO: &str = "echo";
const CHECK: &str = "bench";
const SETTINGS: &str = r#"{"message":"all is well","status":"pass"}"#;

/// Row `plugin-run`: a few at a time on our threads; bare on the caller's.
pub(crate) async fn together(bench: &Bench) -> Result<Vec<Line>> {
    let rounds = compare(bench, AT_ONCE).await?;
    let what = format!("one run, fresh instance, {AT_ONCE} at once");
    let goal = Some(table::Target::Ratio(1.5));
    Ok(vec![Line::new("plugin-run", what, Unit::CpuMicroseconds, rounds, goal)])
}

/// Row `plugin-run-alone`: one after the other; each of ours wakes a thread and is waited for.
pub(crate) async fn alone(bench: &Bench) -> Result<Vec<Line>> {
    let rounds = compare(bench, 1).await?;
    let what = "one run after the other";
    Ok(vec![Line::new("plugin-run-alone", what, Unit::CpuMicroseconds, rounds, None)])
}

async fn compare(bench: &Bench, at_once: usize) -> Result<Pair> {
    let bare = Bare::new(&guest(bench, ECHO)?).map_err(bare_error)?;
    let baseline = async || {
        let before = own_cpu();
        for _ in 0..RUNS {
            bare.run(CHECK, SETTINGS).await.map_err(bare_error)?;
        }
        Ok(each(own_cpu() - before, RUNS))
    };
    let plugin = load(&sandbox()?, guest(bench, ECHO)?).await?;
    let invocation = invocation(SETTINGS, Grants::default())?;
    let ours = async || {
        let before = own_cpu();
        runs(&plugin, &invocation, at_once, RUNS).await?;
        Ok(each(own_cpu() - before, RUNS))
    };
    in_turns(ROUNDS, ours, baseline).await
}

/// Row `plugin-run-http`: with one request inside.
pub(crate) async fn http(bench: &Bench) -> Result<Vec<Line>> {
    let target = Target::start().await?;
    let address = target.address(0);
    let plugin = load(&sandbox()?, guest(bench, "http-get")?).await?;
    let grant = HttpGrant::parse(&format!("http://{address}"));
    let grant = grant.map_err(|problem| anyhow::anyhow!("the grant: {problem}"))?;
    let settings = format!(r#"{{"url":"http://{address}/health"}}"#);
    let invocation = invocation(&settings, Grants { http: vec![grant], ..Grants::default() })?;
    let mut rounds = Vec::new();
    runs(&plugin, &invocation, AT_ONCE, HTTP_RUNS).await?;
    for _ in 0..ROUNDS {
        let before = own_cpu();
        runs(&plugin, &invocation, AT_ONCE, HTTP_RUNS).await?;
        rounds.push(each(own_cpu() - before, HTTP_RUNS));
    }
    let what = format!("one run with an HTTP request, {AT_ONCE} at once");
    let goal = Some(table::Target::Orientation(127.0));
    let rounds = Pair::alone(rounds);
    Ok(vec![Line::new("plugin-run-http", what, Unit::CpuMicroseconds, rounds, goal)])
}

async fn runs(
    plugin: &Plugin,
    invocation: &Invocation,
    at_once: usize,
    count: usize,
) -> Result<()> {
    let one = |_| async {
        let outcome = plugin.run(invocation.clone()).await.run.outcome;
        match outcome {
            Outcome::Answered(report) if report.status == Answer::Pass => Ok(()),
            other => bail!("the guest does not pass: {other:?}"),
        }
    };
    spread(at_once, count, one).await
}

/// wasmtime's errors are none of the standard library's.
fn bare_error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into()).context("bare wasmtime")
}

fn guest(bench: &Bench, name: &str) -> Result<Vec<u8>> {
    let path = bench.guests.join(format!("{name}.wasm"));
    std::fs::read(&path).with_context(|| {
        format!("cannot read `{}` (`plugins/build --guests` makes it)", path.display())
    })
}

fn sandbox() -> Result<Sandbox> {
    let transport = NetTransport::new(Client::new(Resolver::from_system()), Tls::default());
    let options = SandboxOptions { transport: Arc::new(transport), ..SandboxOptions::default() };
    Sandbox::new(options).context("starting the sandbox")
}

async fn load(sandbox: &Sandbox, bytes: Vec<u8>) -> Result<Plugin> {
    let name = PluginName::new("guest").context("a name")?;
    sandbox.load(name, bytes).await.context("loading the guest")
}

fn invocation(settings: &str, grants: Grants) -> Result<Invocation> {
    Ok(Invocation {
        check: CheckName::new(CHECK).context("a name")?,
        settings: settings.into(),
        grants: Arc::new(grants),
        limits: Arc::new(RunLimits::default()),
        timeout: Duration::from_secs(10),
        failures_in_a_row: 0,
        traceparent: None,
        redact: Redactor::default(),
        supplies: Supplies::default(),
        tape: None,
    })
}
