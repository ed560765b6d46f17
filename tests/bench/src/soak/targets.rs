//! What the checks of the soak look at, on the loopback: a target that notes who came when, one
//! that misbehaves, and a door on which nobody may knock.
//!
//! Each lives on a thread of its own until this program ends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bare;

/// Addresses of the good target. A closed connection keeps its port for a minute, and the more
/// there are of them at one address, the longer a search for a free port takes.
const ADDRESSES: u8 = 8;

/// The path of a check, before its number.
const PATH: &str = "/good/";

/// What a body without end is made of.
static CHUNK: [u8; 16 * 1024] = [b'y'; 16 * 1024];

/// Longest head of a request that is read.
const MAX_HEAD: usize = 64 * 1024;

/// Starts a thread with a runtime, and what runs in it.
pub(super) fn thread<F>(name: &str, work: impl FnOnce() -> F + Send + 'static) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime")?;
    let shown = name.to_owned();
    let body = move || {
        if let Err(error) = runtime.block_on(async { work().await }) {
            // The rows tell what it led to.
            eprintln!("bench: soak: {shown}: {error:#}");
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).context("starting a thread")?;
    Ok(())
}

fn listen(address: Ipv4Addr) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((address, 0)).with_context(|| format!("binding {address}"))?;
    listener.set_nonblocking(true).context("setting an option of a socket")?;
    let address = listener.local_addr().context("finding our own address")?;
    Ok((listener, address))
}

/// A target that answers at once, and notes when which check asked.
pub(super) struct Good {
    addresses: Vec<SocketAddr>,
    arrivals: Arc<Mutex<Vec<(usize, Instant)>>>,
}

impl Good {
    /// Starts one.
    pub(super) fn start() -> Result<Self> {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for last in 1..=ADDRESSES {
            let (listener, address) = listen(Ipv4Addr::new(127, 0, 0, last))?;
            listeners.push(listener);
            addresses.push(address);
        }
        let arrivals: Arc<Mutex<Vec<(usize, Instant)>>> = Arc::default();
        let noted = Arc::clone(&arrivals);
        let answer = move |path: &str| {
            let now = Instant::now();
            let number = path.strip_prefix(PATH).and_then(|number| number.parse().ok());
            if let Some(number) = number {
                noted.lock().unwrap_or_else(PoisonError::into_inner).push((number, now));
            }
            Response::new(Full::new(Bytes::from_static(b"{\"status\":\"pass\",\"depth\":5}")))
        };
        thread("good-target", move || async move {
            let servers = listeners.into_iter().map(|listener| {
                let answer = answer.clone();
                async move {
                    let listener = tokio::net::TcpListener::from_std(listener);
                    bare::serve(listener.context("listening")?, answer).await
                }
            });
            try_join_all(servers).await.map(|_| ())
        })?;
        Ok(Self { addresses, arrivals })
    }

    /// Where the check with this number asks.
    pub(super) fn address(&self, check: usize) -> SocketAddr {
        self.addresses[check % self.addresses.len()]
    }

    /// And for what.
    pub(super) fn url(&self, check: usize) -> String {
        format!("http://{}{PATH}{check}", self.address(check))
    }

    /// Every request so far: the number of the check, and when.
    pub(super) fn arrivals(&self) -> Vec<(usize, Instant)> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What hostile checks are told to look at.
pub(super) struct Bad {
    /// An HTTP server that misbehaves as the path says.
    pub(super) http: SocketAddr,
    /// Takes datagrams, and never answers.
    pub(super) udp: UdpSocket,
    /// No grant covers this port.
    door: TcpListener,
}

impl Bad {
    /// Starts all of it.
    pub(super) fn start() -> Result<Self> {
        let (listener, http) = listen(Ipv4Addr::LOCALHOST)?;
        let (door, _) = listen(Ipv4Addr::LOCALHOST)?;
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a socket")?;
        let away = door.local_addr().context("finding our own address")?;
        thread("bad-target", move || async move {
            let listener = tokio::net::TcpListener::from_std(listener).context("listening")?;
            loop {
                let (stream, _) = listener.accept().await.context("accepting a connection")?;
                // The other side may go away at any time.
                tokio::spawn(async move { drop(misbehave(stream, http, away).await) });
            }
        })?;
        Ok(Self { http, udp, door })
    }

    /// The port that no grant covers.
    pub(super) fn door(&self) -> Result<u16> {
        Ok(self.door.local_addr().context("finding our own address")?.port())
    }

    /// Whether somebody has connected there.
    pub(super) fn is_reached(&self) -> bool {
        self.door.accept().is_ok()
    }
}

/// One request, and what the path says.
async fn misbehave(
    mut stream: TcpStream,
    here: SocketAddr,
    away: SocketAddr,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > MAX_HEAD {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    match text.split(' ').nth(1).unwrap_or_default() {
        "/silent" => {
            let mut rest = vec![0; 16 * 1024];
            while stream.read(&mut rest).await? > 0 {}
        }
        "/endless" => {
            stream.write_all(endless).await?;
            loop {
                stream.write_all(&CHUNK).await?;
            }
        }
        "/trickle" => {
            stream.write_all(endless).await?;
            loop {
                stream.write_all(b"z").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        "/away" => redirect(&mut stream, &format!("http://{away}/")).await?,
        "/again" => redirect(&mut stream, &format!("http://{here}/again")).await?,
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer(&mut stream, "200 OK", "", "slow").await?;
        }
        _ => answer(&mut stream, "200 OK", "", &text).await?,
    }
    Ok(())
}

async fn redirect(stream: &mut TcpStream, to: &str) -> std::io::Result<()> {
    answer(stream, "302 Found", &format!("Location: {to}\r\n"), "").await
}

async fn answer(
    stream: &mut TcpStream,
    status: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n");
    stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).await?;
    stream.shutdown().await
}
