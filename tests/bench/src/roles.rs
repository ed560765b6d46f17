//! Helper processes: this program, started again with a role, so that what they use is not counted
//! as the measured process's.
//!
//! Each says on its first line where it listens, and ends when its standard input does.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::Response;
use http::header::{CONTENT_LENGTH, DATE, HeaderName, HeaderValue};
use http_body_util::Full;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::runtime::Builder;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::bare;
use crate::process::Process;

/// The first argument of a process that has a role.
pub(crate) const WORD: &str = "role";

/// Addresses of a target. Closed connections keep their port for a while; with one address, tens of
/// thousands of them would make the kernel look long for a free one.
const ADDRESSES: u8 = 16;

/// The path that tells how often the others were asked for.
const COUNT: &str = "/count";

// ── Within the helper ───────────────────────────────────────────────────────────────────────────

/// Plays a role until standard input ends.
pub(crate) fn play(mut args: impl Iterator<Item = String>) -> Result<()> {
    let role = args.next().context("no role")?;
    let args: Vec<String> = args.collect();
    // The target leaves the other core to what is measured; the others are like the program.
    let mut builder = match role.as_str() {
        "target" => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().context("starting a runtime")?;
    let ended = runtime.block_on(async {
        let work = async {
            match (role.as_str(), args.as_slice()) {
                ("target", []) => target().await,
                ("fixed", [path, headers @ ..]) => fixed(Path::new(path), headers).await,
                ("client", [count, interval, addresses @ ..]) => {
                    client(count, interval, addresses).await
                }
                _ => bail!("unknown role `{role}` with {} arguments", args.len()),
            }
        };
        tokio::select! {
            ended = work => ended,
            () = closed() => Ok(()),
        }
    });
    // A read of standard input may be under way, and cannot be called off.
    runtime.shutdown_background();
    ended
}

async fn closed() {
    let mut rest = Vec::new();
    // An error ends it as well.
    let _ = tokio::io::stdin().read_to_end(&mut rest).await;
}

/// What checks look at: answers at once, and counts.
async fn target() -> Result<()> {
    let count = Arc::new(AtomicU64::new(0));
    let answer = move |path: &str| {
        if path == COUNT {
            return Response::new(count.load(Ordering::Relaxed).to_string().into());
        }
        count.fetch_add(1, Ordering::Relaxed);
        Response::new(Full::new(Bytes::from_static(b"{\"status\":\"pass\"}")))
    };
    let binds = (1..=ADDRESSES)
        .map(|last| TcpListener::bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0))));
    let listeners = try_join_all(binds).await.context("listening")?;
    let mut names = Vec::new();
    for listener in &listeners {
        names.push(listener.local_addr().context("finding our own address")?.to_string());
    }
    println!("{}", names.join(" "));
    let servers = listeners.into_iter().map(|listener| bare::serve(listener, answer.clone()));
    try_join_all(servers).await.map(|_| ())
}

/// A bare server whose every answer is the same. Headers come as `NAME: VALUE`.
async fn fixed(path: &Path, headers: &[String]) -> Result<()> {
    let body = Bytes::from(std::fs::read(path).context("reading the body")?);
    let header = |text: &String| {
        let (name, value) = text.split_once(": ").context("no header")?;
        Ok((HeaderName::try_from(name)?, HeaderValue::try_from(value)?))
    };
    let headers: Vec<(HeaderName, HeaderValue)> =
        headers.iter().map(header).collect::<Result<_>>()?;
    let answer = move |_: &str| {
        let mut response = Response::new(Full::new(body.clone()));
        for (name, value) in &headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response
    };
    let listener =
        TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.context("listening")?;
    println!("{}", listener.local_addr().context("finding our own address")?);
    bare::serve(listener, answer).await
}

/// Bare clients, each of which asks once per interval on a new connection.
async fn client(count: &str, interval: &str, addresses: &[String]) -> Result<()> {
    let count: u32 = count.parse().context("a number of clients")?;
    let interval = Duration::from_millis(interval.parse().context("milliseconds")?);
    let addresses: Vec<SocketAddr> = addresses
        .iter()
        .map(|address| address.parse().with_context(|| format!("no address: `{address}`")))
        .collect::<Result<_>>()?;
    let now = Instant::now();
    for (index, address) in (0..count).zip(addresses.iter().copied().cycle()) {
        let mut ticks = interval_at(now + interval / count * index, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        tokio::spawn(async move {
            loop {
                ticks.tick().await;
                if let Err(error) = bare::get(address, "/health").await {
                    eprintln!("bench: a bare client: {error:#}");
                }
            }
        });
    }
    println!("started");
    std::future::pending().await
}

// ── Within the benchmark ────────────────────────────────────────────────────────────────────────

async fn start<'a>(role: &str, args: impl IntoIterator<Item = &'a str>) -> Result<Process> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut command = Command::new(program);
    command.arg(WORD).arg(role).args(args);
    Process::start(&mut command).await.with_context(|| format!("starting the helper `{role}`"))
}

/// The role `target`, seen from outside.
pub(crate) struct Target {
    _process: Process,
    addresses: Vec<SocketAddr>,
}

impl Target {
    /// Starts one.
    pub(crate) async fn start() -> Result<Self> {
        let process = start("target", []).await?;
        let parse = |word: &str| word.parse().with_context(|| format!("no address: `{word}`"));
        let addresses = process.first_line.split(' ').map(parse).collect::<Result<_>>()?;
        Ok(Self { _process: process, addresses })
    }

    /// One of its addresses; numbers that follow each other are spread over all of them.
    pub(crate) fn address(&self, index: usize) -> SocketAddr {
        self.addresses[index % self.addresses.len()]
    }

    /// How many requests came so far.
    pub(crate) async fn count(&self) -> Result<usize> {
        let answer = bare::get(self.addresses[0], COUNT).await?;
        std::str::from_utf8(answer.body())
            .ok()
            .and_then(|text| text.parse().ok())
            .context("the target does not tell its count")
    }

    /// Waits until so many requests came.
    pub(crate) async fn until_count(&self, wanted: usize) -> Result<()> {
        while self.count().await? < wanted {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// The role `fixed`, seen from outside.
pub(crate) struct Fixed {
    process: Process,
    pub(crate) address: SocketAddr,
}

impl Fixed {
    /// Starts a server that answers as `answer` does.
    pub(crate) async fn start(answer: &Response<Bytes>) -> Result<Self> {
        let file = tempfile::NamedTempFile::new().context("making a file")?;
        std::fs::write(file.path(), answer.body()).context("writing the body")?;
        let path = file.path().to_str().context("the path of a file is no text")?;
        let mut args = vec![path.to_owned()];
        for (name, value) in answer.headers() {
            // The server sets these by itself.
            if ![CONTENT_LENGTH, DATE].contains(name) {
                args.push(format!("{name}: {}", value.to_str().context("a header")?));
            }
        }
        let process = start("fixed", args.iter().map(String::as_str)).await?;
        let address = process.first_line.parse().context("no address")?;
        Ok(Self { process, address })
    }

    /// Its number.
    pub(crate) const fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Starts the role `client`.
pub(crate) async fn clients(count: usize, interval: Duration, target: &Target) -> Result<Process> {
    let mut args = vec![count.to_string(), interval.as_millis().to_string()];
    args.extend(target.addresses.iter().map(ToString::to_string));
    start("client", args.iter().map(String::as_str)).await
}
