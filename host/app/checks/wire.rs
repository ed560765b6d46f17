//! Bytes to and from a server that is not trusted, for protocols that are spoken by hand.
//!
//! However much it sends, no more than [`MAX_ANSWER`] is taken in; whatever it says is escaped and
//! cut before a message repeats it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf,
};
use tokio::net::TcpStream;
use wellcheck_core::outcome::FailReason;
use wellcheck_net::{Failure, FailureKind, Stream};

/// Most bytes that a server may say within one run.
pub(in crate::checks) const MAX_ANSWER: usize = 1024 * 1024;

/// Longest text of a server that a message repeats, in bytes.
const MAX_SAID: usize = 240;

/// Why a run does not pass.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::checks) enum Trouble {
    /// The connection failed, or what came over it was not the protocol.
    Failure(Failure),
    /// The server answered, and not as it should.
    Answer(FailReason, String),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Trouble {
    /// What was read is not what the protocol allows there.
    pub(in crate::checks) fn protocol(message: impl Into<String>) -> Self {
        Self::Failure(Failure::new(FailureKind::Protocol, message))
    }

    /// The connection to the server called `name` broke.
    pub(in crate::checks) fn io(error: &io::Error, name: &str) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<TooMuch>()) {
            let message = format!("`{name}` sent more than {} MiB", MAX_ANSWER >> 20);
            return Self::Failure(Failure::new(FailureKind::TooLarge, message));
        }
        Self::Failure(Failure::from_io(error, name))
    }
}

/// A server's words in one line, escaped and cut.
pub(in crate::checks) fn said(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_SAID * 2)]);
    brief(text.trim_end(), MAX_SAID)
}

/// A text in one line, escaped and cut after so many bytes.
pub(super) fn brief(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if shown.len() >= most {
            shown.push('…');
            break;
        }
        if is_plain(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    shown
}

/// Whether a character shows as itself; quotes stand in many messages and are harmless.
fn is_plain(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().eq([c])
}

/// The error of a connection that said too much.
#[derive(Debug)]
struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more than the limit")
    }
}

impl std::error::Error for TooMuch {}

/// A connection that ends with an error once [`MAX_ANSWER`] is exceeded.
#[derive(Debug)]
pub(in crate::checks) struct Bounded {
    stream: Stream,
    left: usize,
}

impl Bounded {
    pub(in crate::checks) fn new(stream: Stream) -> Self {
        Self { stream, left: MAX_ANSWER }
    }

    pub(in crate::checks) fn stream(&self) -> &Stream {
        &self.stream
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        match self.left.checked_sub(buffer.filled().len() - before) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other(TooMuch))),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A connection for protocols that are spoken by hand.
pub(in crate::checks) struct Wire<'a> {
    stream: BufReader<Bounded>,
    name: &'a str,
}

impl<'a> Wire<'a> {
    /// `name` is the server's, for messages.
    pub(in crate::checks) fn new(stream: Stream, name: &'a str) -> Self {
        Self { stream: BufReader::new(Bounded::new(stream)), name }
    }

    /// The server's name, for messages.
    pub(in crate::checks) fn name(&self) -> &'a str {
        self.name
    }

    /// The connection below, to be secured. What the server said too early would be taken for
    /// something said under TLS, so there must be none.
    pub(in crate::checks) fn into_plain(self) -> Result<TcpStream, Trouble> {
        let early = !self.stream.buffer().is_empty();
        match self.stream.into_inner().stream {
            Stream::Plain(stream) if !early => Ok(stream),
            _ => Err(Trouble::protocol(format!("`{}` said something before TLS began", self.name))),
        }
    }

    /// Sends all of it.
    pub(in crate::checks) async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| Trouble::io(&error, self.name))
    }

    /// Exactly so many bytes.
    pub(in crate::checks) async fn array<const N: usize>(&mut self) -> Result<[u8; N], Trouble> {
        let mut bytes = [0; N];
        let read = self.stream.read_exact(&mut bytes).await;
        read.map(|_| bytes).map_err(|error| Trouble::io(&error, self.name))
    }

    /// Likewise, a number that the caller has bounded.
    pub(in crate::checks) async fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Trouble> {
        let mut bytes = vec![0; count];
        let read = self.stream.read_exact(&mut bytes).await;
        read.map(|_| bytes).map_err(|error| Trouble::io(&error, self.name))
    }

    /// The next line without its end, or what came last without one; `None` once there is no more.
    /// A line of more than `most` bytes comes in pieces of so many.
    pub(in crate::checks) async fn piece(&mut self, most: u64) -> Result<Option<Vec<u8>>, Trouble> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(most).read_until(b'\n', &mut line).await;
        read.map_err(|error| Trouble::io(&error, self.name))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop_if(|last| *last == b'\n').is_some() {
            line.pop_if(|last| *last == b'\r');
        }
        Ok(Some(line))
    }

    /// What comes up to and without this byte; `None` if that is more than `most` bytes.
    pub(in crate::checks) async fn until(
        &mut self,
        end: u8,
        most: u64,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let mut bytes = Vec::new();
        let read = (&mut self.stream).take(most).read_until(end, &mut bytes).await;
        read.map_err(|error| Trouble::io(&error, self.name))?;
        if bytes.pop_if(|last| *last == end).is_some() {
            return Ok(Some(bytes));
        }
        if bytes.len() as u64 == most {
            return Ok(None);
        }
        Err(Trouble::io(&io::ErrorKind::UnexpectedEof.into(), self.name))
    }

    /// A line of at most `most` bytes, without the `\r\n` or `\n` at its end; `None` if it is
    /// longer.
    pub(in crate::checks) async fn line(&mut self, most: u64) -> Result<Option<Vec<u8>>, Trouble> {
        let line = self.until(b'\n', most).await?;
        Ok(line.map(|mut line| {
            line.pop_if(|last| *last == b'\r');
            line
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_escaped_and_cut() {
        assert_eq!(
            said(b"no \"pg_hba.conf\" entry for 'app'\r\n"),
            "no \"pg_hba.conf\" entry for 'app'"
        );
        assert_eq!(said(b"a\r\nb\x1b[0m"), "a\\r\\nb\\u{1b}[0m");
        assert_eq!(said("fl\u{202e}ip".as_bytes()), "fl\\u{202e}ip");
        assert_eq!(said(&[b'a', 0xff]), "a\u{fffd}");
        assert!(said(&vec![b'x'; 1 << 20]).len() < 300);
    }
}
