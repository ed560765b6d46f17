//! `wellcheck serve`: the main job.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args as ClapArgs;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use wellcheck_core::config::Server;
use wellcheck_core::endpoint::{ListenSpec, Protocol};
use wellcheck_core::units::count;
use wellcheck_wasm::{Code, Urgency};

use super::exit::{Ended, Exit, Failure, OrExit};
use super::setup::{self, Jobs, Logs, Where};
use crate::checks::plugin::Supplier;
use crate::clock::Clock;
use crate::demand::Demand;
use crate::fetches::Fetches;
use crate::keeper::{self, Keeper};
use crate::modules::Modules;
use crate::plugins::Plugins;
use crate::published::{Shared, SharedStandings};
use crate::records::Records;
use crate::scheduler::{self, Scheduler};
use crate::server::{self, App, Draining, Listener};
use crate::share::Asker;

/// File descriptors that runs leave for connections, files and the rest.
const RESERVED_FILES: u64 = 512;

/// How long the first picture may take before requests are answered without it.
const FIRST: Duration = Duration::from_secs(10);

/// How long the store gets to write what is pending when the server ends.
const FLUSH: Duration = Duration::from_secs(5);

/// Runs at once, at most, however many descriptors there are.
const MOST_RUNS: u64 = 20_000;

/// Run all checks again and again, and serve their health.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The first line on standard output is `listening on http://ADDRESS:PORT`; a line for \
each `[[listen]]` follows, and logs go to standard error.\nWithout a configuration file every plugin in the folder is a check, and only this \
machine can ask.\n\nSignals: SIGHUP reads the configuration again, SIGTERM and SIGINT end the server after open \
requests.\n\nExamples:\n  wellcheck serve\n  wellcheck serve --config /etc/wellcheck/wellcheck.toml --listen 0.0.0.0:8080\n  wellcheck serve --plugins ./plugins --listen 127.0.0.1:0\n  wellcheck serve --job job.json --host web=10.0.0.7"
)]
pub(super) struct Args {
    #[command(flatten)]
    places: Where,
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", env = "WELLCHECK_LISTEN")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    logs: Logs,
}

pub(super) fn run(args: Args) -> Ended {
    setup::logs(&args.logs);
    let places = args.jobs.join(args.places.places()?);
    let tools = args.places.tools(&places)?;
    make_folder(&places.plugins);
    let first = match keeper::read(&places, &tools) {
        Ok(first) => first,
        Err(problems) => {
            setup::complain_about(&problems);
            let error = anyhow::anyhow!(
                "the configuration cannot be used ({})",
                count(problems.len(), "problem")
            );
            return Err(Failure { error, exit: Exit::DATA });
        }
    };
    setup::complain_about(&first.problems);
    let server = first.registry.config.server.clone();
    let listen = args.listen.unwrap_or(server.listen);
    let config = &first.registry.config;
    let further = config.listeners.clone();
    let cache = setup::cache(args.places.cache, config, &places);
    let fetched = setup::fetched_dir(cache.clone());
    let sandbox = setup::sandbox_for(cache, &config.plugins, Code::Fast, Urgency::Behind)?;
    let load = config.plugins.load.clone();
    let store = setup::store(config, &places);
    let runtime = setup::runtime()?;
    runtime.block_on(async {
        let listeners = bind(listen, &server, &further).await?;
        let lines =
            lines(&listeners, &further).context("finding our own address").or_exit(Exit::BUG)?;
        let address =
            listeners[0].address().context("finding our own address").or_exit(Exit::BUG)?;

        let clock = Clock::start();
        let shared = Shared::new();
        let records = Records::default();
        let scheduler = Scheduler::start(clock, shared.clone(), records.clone(), most_runs());
        let standings = SharedStandings { shared: shared.clone(), clock };
        let supplier = Supplier { store: store.clone(), standings: Some(Arc::new(standings)) };
        let asker = Asker::new(&tools);
        let (plugins, finished) = Plugins::new(sandbox.clone(), load, supplier.clone());
        let (fetches, news) = Fetches::new(tools.client.clone(), tools.tls_system.clone(), fetched);
        let keeper =
            Keeper::new(places, tools.clone(), clock, first, plugins, fetches, scheduler.clone())
                .with_records(records.clone());
        let live = keeper.live();
        let passives = keeper.passives();
        let modules = Modules::new(tools, live.clone(), keeper.loaded(), supplier);
        let keeper = keeper.start(finished, news);
        reload_on_hangup(keeper.clone())?;

        let draining = Draining::default();
        let demand = Demand::default();
        // Nobody is told that all is well because nothing is known yet.
        if tokio::time::timeout(FIRST, shared.first()).await.is_err() {
            tracing::warn!("the first picture takes long; until it is there, nothing is known");
        }
        let store_at_end = store.clone();
        let scheduler = scheduler::Handle::new(scheduler);
        let app = App {
            shared,
            records,
            live,
            demand,
            asker,
            modules,
            clock,
            keeper,
            scheduler,
            passives,
            draining,
            sandbox,
            store,
        };
        let stop = ended_by_signal()?;
        setup::print(&lines)?;
        tracing::info!(
            "look at http://{address}/health?format=text, or at http://{address}/ for more"
        );
        server::serve(listeners, server.max_connections, app, stop, server.drain).await;
        store_at_end.flush(FLUSH).await;
        tracing::info!("stopped");
        Ok::<_, Failure>(())
    })?;
    // Runs and loads that are under way have nobody left to tell.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(Exit::DONE)
}

/// Binds all addresses, the one of `[server]` first.
async fn bind(
    main: SocketAddr,
    server: &Server,
    further: &[ListenSpec],
) -> Result<Vec<Listener>, Failure> {
    let mut listeners = Vec::new();
    let listener = Listener::main(main, server).await;
    listeners.push(
        listener
            .with_context(|| {
                format!("cannot listen on {main} (`--listen` or `[server] listen` chooses another address)")
            })
            .or_exit(Exit::UNAVAILABLE)?,
    );
    for spec in further {
        let listener = Listener::further(spec).await;
        listeners.push(
            listener
                .with_context(|| {
                    let (address, name) = (spec.address, &spec.name);
                    format!("cannot listen on {address} (the `address` of `[[listen]]` `{name}`)")
                })
                .or_exit(Exit::UNAVAILABLE)?,
        );
    }
    Ok(listeners)
}

/// What is printed: a line for each listener, the one of `[server]` first.
fn lines(listeners: &[Listener], further: &[ListenSpec]) -> std::io::Result<String> {
    let mut text = String::new();
    for (index, listener) in listeners.iter().enumerate() {
        let address = listener.address()?;
        let line = match index.checked_sub(1).and_then(|index| further.get(index)) {
            None => format!("listening on http://{address}\n"),
            Some(ListenSpec { name, protocol: Protocol::Http, .. }) => {
                format!("listening on http://{address} ({name})\n")
            }
            Some(ListenSpec { name, protocol: Protocol::Grpc, .. }) => {
                format!("listening on grpc://{address} ({name})\n")
            }
        };
        text.push_str(&line);
    }
    Ok(text)
}

/// A folder that is not there is made; if that cannot be, health says so.
fn make_folder(dir: &std::path::Path) {
    if dir.exists() {
        return;
    }
    match std::fs::create_dir_all(dir) {
        Ok(()) => tracing::info!("made the plugins folder `{}`", dir.display()),
        Err(error) => tracing::warn!("cannot make the plugins folder `{}`: {error}", dir.display()),
    }
}

/// Takes all the file descriptors that this process may have. Returns how many runs fit.
fn most_runs() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let files = files.unwrap_or(u64::MAX);
    // A run of a built-in kind has two at once at most: the one for names and the one for the target.
    // Plugins have more where they are granted folders or sockets, and are fewer at once.
    let runs = (files.saturating_sub(RESERVED_FILES) / 2).clamp(16, MOST_RUNS);
    usize::try_from(runs).unwrap_or(usize::MAX)
}

fn reload_on_hangup(keeper: keeper::Handle) -> Result<(), Failure> {
    let mut hangups =
        signal(SignalKind::hangup()).context("watching for SIGHUP").or_exit(Exit::BUG)?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!("SIGHUP: reading the configuration again");
            if keeper.reload().await.is_none() {
                return;
            }
        }
    });
    Ok(())
}

/// Ends with the first SIGTERM or SIGINT. A second one ends the process at once.
fn ended_by_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate =
        signal(SignalKind::terminate()).context("watching for SIGTERM").or_exit(Exit::BUG)?;
    let mut interrupt =
        signal(SignalKind::interrupt()).context("watching for SIGINT").or_exit(Exit::BUG)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: open requests are finished first");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "asked for twice: whoever asks does not want to wait"
            )]
            std::process::exit(130);
        });
    })
}
