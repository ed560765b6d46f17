//! A start with the example plugins in the folder and their compiled code in the cache.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Instant, sleep};

use crate::Bench;
use crate::bare;
use crate::measure::{Pair, Threads, children_cpu};
use crate::serve::Serve;
use crate::table::{Line, Unit};

const ROUNDS: usize = 5;

/// Longest until all plugins are ready, when all have to be compiled.
const READY: Duration = Duration::from_secs(150);

/// Pause between two questions whether the server is ready: each of them costs it some CPU.
const PAUSE: Duration = Duration::from_millis(5);

struct Started {
    first_line: Duration,
    ready: Duration,
    cpu: Duration,
}

/// See the module.
pub(crate) async fn run(bench: &Bench) -> Result<Vec<Line>> {
    let plugins = plugins(&bench.plugins)?;
    let cache = bench.work.join("compiled");
    // Fills the cache unless an earlier run has.
    start(bench, &plugins, &cache).await?;
    let mut warm = Vec::new();
    for _ in 0..ROUNDS {
        warm.push(start(bench, &plugins, &cache).await?);
    }
    let mut cold = Vec::new();
    if bench.cold {
        let cache = tempfile::tempdir().context("making a folder")?;
        cold.push(start(bench, &plugins, &cache.path().join("compiled")).await?);
    }
    let pair = |part: fn(&Started) -> Duration| {
        let all = |list: &[Started]| list.iter().map(|s| part(s).as_secs_f64() * 1e3).collect();
        Pair { ours: all(&warm), baseline: all(&cold) }
    };
    let line = |part: &str, what: String, unit, of| {
        Line::new(&format!("start-warm/{part}"), what, unit, pair(of), None)
    };
    let ready = format!("until /readyz, {} plugins", plugins.len());
    Ok(vec![
        line("first-line", "until the first line".to_owned(), Unit::WallMilliseconds, |s| {
            s.first_line
        }),
        line("ready", ready.clone(), Unit::WallMilliseconds, |s| s.ready),
        line("cpu", ready, Unit::CpuMilliseconds, |s| s.cpu),
    ])
}

fn plugins(folder: &Path) -> Result<Vec<PathBuf>> {
    let shown = folder.display();
    let mut found = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("reading the folder `{shown}`"))? {
        let path = entry.with_context(|| format!("reading the folder `{shown}`"))?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            found.push(path);
        }
    }
    ensure!(!found.is_empty(), "no plugins in `{shown}` (`plugins/build` makes them)");
    Ok(found)
}

async fn start(bench: &Bench, plugins: &[PathBuf], cache: &Path) -> Result<Started> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let inside = folder.path().join("plugins");
    std::fs::create_dir(&inside).context("making a folder")?;
    for plugin in plugins {
        let name = plugin.file_name().context("a plugin has a name")?;
        std::fs::copy(plugin, inside.join(name)).context("copying a plugin")?;
    }
    let server = Serve::start_in(bench, folder, None, &inside, cache).await?;
    let mut sender = bare::connect(server.address).await?;
    let until = Instant::now() + READY;
    while bare::ask(&mut sender, server.address, "/readyz").await?.status() != 200 {
        ensure!(Instant::now() < until, "not ready within {READY:?}");
        sleep(PAUSE).await;
    }
    let ready = server.process.started.elapsed();
    let cpu = Threads::of(server.pid())?.total() + children_cpu(server.pid())?;
    let first_line = server.process.until_first_line;
    server.stop().await?;
    Ok(Started { first_line, ready, cpu })
}
