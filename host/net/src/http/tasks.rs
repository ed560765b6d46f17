//! Where HTTP/2 puts the parts of a connection that want to run beside it.
//!
//! A connection of `hyper` asks an executor to run its frames and the pumping of request bodies.
//! Ours keeps them beside the connection and lets the [driver](super::Driver) poll them, so that
//! dropping the driver drops all of it and nothing outlives a run.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The executor: remembers what it is given.
#[derive(Clone, Default)]
pub(super) struct Spawner(Arc<Mutex<Vec<Task>>>);

/// The tasks, and those that were added since the last poll.
#[derive(Default)]
pub(super) struct Tasks {
    added: Spawner,
    running: FuturesUnordered<Task>,
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, task: F) {
        self.queue().push(Box::pin(task));
    }
}

impl Spawner {
    fn queue(&self) -> std::sync::MutexGuard<'_, Vec<Task>> {
        self.0.lock().expect("nothing panics while it holds the queue")
    }
}

impl Tasks {
    pub(super) fn spawner(&self) -> Spawner {
        self.added.clone()
    }

    /// Polls until every task waits for something; whether there is none left.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let added = std::mem::take(&mut *self.added.queue());
            let is_settled = added.is_empty();
            self.running.extend(added);
            while let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx) {}
            if is_settled && self.added.queue().is_empty() {
                return self.running.is_empty();
            }
        }
    }
}
