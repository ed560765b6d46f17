//! Ends connections whose other side has stopped to read.
//!
//! Who asks for a long answer and does not read it would otherwise hold the whole body, and a place,
//! for as long as the connection lives: hyper has time limits for reading alone.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A stream of which no write waits for longer than a limit. The system tells of progress when about
/// a third of its own buffer is free again.
#[derive(Debug)]
pub(super) struct Unstalled<S> {
    stream: S,
    limit: Duration,
    /// Made when a write has to wait for the first time.
    timer: Option<Pin<Box<Sleep>>>,
    waits: bool,
}

impl<S> Unstalled<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, timer: None, waits: false }
    }

    /// Passes on what came of a write; an error when it waits for too long.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = false;
            return written;
        }
        let deadline = Instant::now() + self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if !self.waits {
            self.waits = true;
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(context));
        let message = format!("the other side has read nothing for {:?}", self.limit);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::poll;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_write_that_nobody_reads_ends_with_an_error() {
        let (near, _far) = duplex(4);
        let mut near = Unstalled::new(near, Duration::from_millis(10));
        let error = near.write_all(b"more than fits").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "the other side has read nothing for 10ms");
    }

    #[tokio::test]
    async fn whoever_reads_gets_everything_and_the_time_begins_anew() {
        const HOUR: Duration = Duration::from_secs(3600);
        let (near, mut far) = duplex(4);
        let mut near = Unstalled::new(near, HOUR);
        near.write_all(b"full").await.expect("room");
        assert!(!near.waits && near.timer.is_none(), "nothing has waited yet");
        assert!(poll!(std::pin::pin!(near.write(b"more"))).is_pending());
        let first = near.timer.as_ref().expect("a timer").deadline();
        assert!(poll!(std::pin::pin!(near.write(b"more"))).is_pending());
        assert_eq!(near.timer.as_ref().expect("a timer").deadline(), first, "it is still one wait");
        let mut read = [0; 4];
        far.read_exact(&mut read).await.expect("what was written");
        assert_eq!(near.write(b"more").await.expect("room again"), 4);
        assert!(!near.waits);
        assert!(poll!(std::pin::pin!(near.write(b"last"))).is_pending());
        assert!(near.timer.as_ref().expect("a timer").deadline() > first, "another wait");
    }
}
