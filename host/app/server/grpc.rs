//! `grpc.health.v1`: the health of everything, of a check, or of a group, by name.
//!
//! Calls are answered from the snapshot, as all others are. Whoever watches is woken once per
//! snapshot, compares one status, and is sent something only when that has changed. No more watch at
//! once than [`MOST_WATCHERS`]; further ones are refused.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use wellcheck_core::status;

use crate::published::{Published, Shared};

/// Who may watch at once, over all connections.
const MOST_WATCHERS: usize = 1024;

/// Longest message of a client, in bytes; names are far shorter.
const MAX_MESSAGE: usize = 4 * 1024;

/// Longest until a call has arrived.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The places for those who watch; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Watchers(Arc<Semaphore>);

impl Default for Watchers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_WATCHERS)))
    }
}

/// What is going on on one connection; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    watching: AtomicUsize,
}

impl Calls {
    /// How many there were so far.
    pub(super) fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Whether nothing has begun since there were so many, and nobody watches.
    pub(super) fn idle_since(&self, begun: u64) -> bool {
        self.begun() == begun && self.0.watching.load(Ordering::Relaxed) == 0
    }

    fn watch(&self) -> Watching {
        self.0.watching.fetch_add(1, Ordering::Relaxed);
        Watching(self.clone())
    }
}

/// Counts as long as it lives.
struct Watching(Calls);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.0.watching.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What answers on one connection; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Service {
    server: HealthServer<Snapshots>,
    calls: Calls,
}

impl Service {
    /// For a connection of its own, which ends when `stopped` changes.
    pub(super) fn new(
        shared: Shared,
        watchers: Watchers,
        calls: Calls,
        stopped: watch::Receiver<()>,
    ) -> Self {
        let snapshots = Snapshots { shared, watchers, calls: calls.clone(), stopped };
        let server = HealthServer::new(snapshots).max_decoding_message_size(MAX_MESSAGE);
        Self { server, calls }
    }

    /// Answers one call.
    pub(super) async fn answer(
        mut self,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<Body>, Infallible> {
        self.calls.0.begun.fetch_add(1, Ordering::Relaxed);
        match tokio::time::timeout(CALL_TIMEOUT, self.server.call(request)).await {
            Ok(answered) => answered,
            Err(_elapsed) => {
                let message = format!("the call did not come within {CALL_TIMEOUT:?}");
                Ok(Status::deadline_exceeded(message).into_http())
            }
        }
    }
}

#[derive(Debug)]
struct Snapshots {
    shared: Shared,
    watchers: Watchers,
    calls: Calls,
    stopped: watch::Receiver<()>,
}

#[tonic::async_trait]
impl Health for Snapshots {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        match serving(&self.shared.load(), service) {
            Some(status) => Ok(Response::new(HealthCheckResponse { status: status.into() })),
            None => {
                let shown: String = service.chars().take(100).collect();
                Err(Status::not_found(format!("there is no check or group `{shown}`")))
            }
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let Ok(place) = Arc::clone(&self.watchers.0).try_acquire_owned() else {
            let message = format!("{MOST_WATCHERS} watch already, and more may not");
            return Err(Status::resource_exhausted(message));
        };
        let watcher = Watcher {
            shared: self.shared.clone(),
            changes: self.shared.changes(),
            stopped: self.stopped.clone(),
            service: request.into_inner().service,
            last: None,
            _place: place,
            _watching: self.calls.watch(),
        };
        let statuses = stream::unfold(Some(watcher), |watcher| async {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(status) => {
                    let response = HealthCheckResponse { status: status.into() };
                    Some((Ok(response), Some(watcher)))
                }
                Err(why) => Some((Err(why), None)),
            }
        });
        Ok(Response::new(Box::pin(statuses)))
    }
}

/// Somebody who watches.
struct Watcher {
    shared: Shared,
    changes: watch::Receiver<()>,
    stopped: watch::Receiver<()>,
    service: String,
    last: Option<ServingStatus>,
    _place: OwnedSemaphorePermit,
    _watching: Watching,
}

impl Watcher {
    /// The status once it is another one than the last; an error when there will be no further one.
    async fn next(&mut self) -> Result<ServingStatus, Status> {
        loop {
            // Before the look, so that what is published after it is looked at too.
            self.changes.mark_unchanged();
            let found = serving(&self.shared.load(), &self.service);
            let found = found.unwrap_or(ServingStatus::ServiceUnknown);
            if self.last.replace(found) != Some(found) {
                return Ok(found);
            }
            tokio::select! {
                _ = self.stopped.changed() => {
                    return Err(Status::unavailable("the server is about to stop"));
                }
                changed = self.changes.changed() => if changed.is_err() {
                    return Err(Status::unavailable("there is nothing more to watch"));
                }
            }
        }
    }
}

/// The status of a service: of everything where it has no name; nothing if there is none of that
/// name.
fn serving(published: &Published, service: &str) -> Option<ServingStatus> {
    let state = match service {
        "" => published.status(),
        name => published.snapshot.item(name)?.state(),
    };
    Some(match state {
        status::Status::Pass | status::Status::Warn => ServingStatus::Serving,
        status::Status::Fail => ServingStatus::NotServing,
        status::Status::Unknown => ServingStatus::Unknown,
    })
}
