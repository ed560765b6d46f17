//! What a guest prints: kept line by line up to a limit, then counted.
//!
//! The streams never trap, never block and never fail, so that printing cannot change what a
//! guest answers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wellcheck_core::limits::KIB;
use wellcheck_core::redact::Redactor;

use crate::host::RunShared;
use crate::text;

/// Longest line that is shown.
const MAX_LINE: usize = 2 * KIB;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// The lines of a run, as they came.
#[derive(Default)]
pub(crate) struct LogBuffer {
    limit: usize,
    max_lines: usize,
    kept: usize,
    left_out: u64,
    lines: Vec<(Stream, Vec<u8>)>,
    /// The unfinished lines of both streams.
    open: [Vec<u8>; 2],
}

impl LogBuffer {
    /// Keeps at most that many bytes and lines.
    pub(crate) fn new(limit: usize, max_lines: usize) -> Self {
        Self { limit, max_lines, ..Self::default() }
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let room = match self.lines.len() < self.max_lines {
            true => self.limit.saturating_sub(self.kept),
            false => 0,
        };
        let (mut kept, mut dropped) = bytes.split_at(bytes.len().min(room));
        while let Some(end) = kept.iter().position(|b| *b == b'\n') {
            let (line, rest) = kept.split_at(end);
            self.kept += end + 1;
            kept = &rest[1..];
            let mut whole = std::mem::take(&mut self.open[stream as usize]);
            whole.extend_from_slice(line);
            self.lines.push((stream, whole));
            if self.lines.len() >= self.max_lines {
                self.left_out += kept.len() as u64;
                kept = &[];
            }
        }
        self.kept += kept.len();
        self.open[stream as usize].extend_from_slice(kept);
        // The end of a line that is cut is no loss; a whole line is, also an empty one.
        let open = &mut self.open[stream as usize];
        if dropped == b"\n" && !open.is_empty() {
            self.lines.push((stream, std::mem::take(open)));
            dropped = &[];
        }
        self.left_out += dropped.len() as u64;
    }

    fn close(&mut self) {
        for stream in [Stream::Out, Stream::Err] {
            let line = std::mem::take(&mut self.open[stream as usize]);
            if !line.is_empty() {
                self.lines.push((stream, line));
            }
        }
    }

    /// What is to be said of output that was left out.
    pub(crate) fn flag(&self) -> Option<String> {
        let left_out = self.left_out;
        (left_out > 0).then(|| {
            format!("{left_out} bytes of output left out (limits `log-bytes`, `log-lines`)")
        })
    }

    /// The lines as they are shown, with a last one that says what is missing.
    pub(crate) fn finish(&mut self, redact: &Redactor) -> Vec<String> {
        self.close();
        let mut lines: Vec<String> =
            self.lines.iter().map(|(_, line)| shown(line, redact)).collect();
        if self.left_out > 0 {
            lines.push(format!(
                "… {} bytes left out (limits `log-bytes`, `log-lines`)",
                self.left_out
            ));
        }
        lines
    }

    /// What the guest said last on stderr: an exception, a panic's message, or the last line.
    pub(crate) fn last_words(&mut self, redact: &Redactor) -> Option<String> {
        self.close();
        let said: Vec<&[u8]> = (self.lines.iter())
            .filter(|(stream, line)| *stream == Stream::Err && !line.trim_ascii().is_empty())
            .map(|(_, line)| line.trim_ascii_end())
            .filter(|line| !line.starts_with(b"note: "))
            .collect();
        // Python's interpreter panics over an exception, which says more.
        if let Some(at) = said.iter().rposition(|line| line.starts_with(TRACEBACK)) {
            let exception = said[at + 1..].iter().find(|line| !line.starts_with(b" "));
            return exception.map(|line| shown(line, redact));
        }
        // Rust prints the place of a panic and its message on lines of their own.
        if let Some(at) = said.iter().rposition(|line| is_panic(line)) {
            let place = &said[at][find(said[at], PANIC).unwrap_or(0)..];
            let words = [&[place], &said[at + 1..]].concat().join(&b' ');
            return Some(shown(&words, redact));
        }
        said.last().map(|line| shown(line.trim_ascii(), redact))
    }
}

const TRACEBACK: &[u8] = b"Traceback (most recent call last)";
const PANIC: &[u8] = b"panicked at ";

fn is_panic(line: &[u8]) -> bool {
    line.starts_with(b"thread '") && find(line, PANIC).is_some()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn shown(line: &[u8], redact: &Redactor) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut line = String::from_utf8_lossy(line).into_owned();
    redact.apply_to(&mut line);
    text::clean(&mut line, MAX_LINE);
    line
}

/// Stdout or stderr of a guest.
#[derive(Clone)]
pub(crate) struct Output {
    stream: Stream,
    shared: Arc<RunShared>,
}

impl Output {
    pub(crate) fn new(stream: Stream, shared: Arc<RunShared>) -> Self {
        Self { stream, shared }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.shared.log().write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * KIB)
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.shared.log().write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_LINES: usize = 1000;

    fn finish(log: &mut LogBuffer) -> Vec<String> {
        log.finish(&Redactor::default())
    }

    #[test]
    fn lines_are_put_together_per_stream() {
        let mut log = LogBuffer::new(1000, MAX_LINES);
        log.write(Stream::Out, b"a");
        log.write(Stream::Err, b"x\ny");
        log.write(Stream::Out, b"b\n\xff\x1b[0m\r\n");
        assert_eq!(finish(&mut log), ["x", "ab", "\u{fffd}\\u{1b}[0m", "y"]);
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut log = LogBuffer::new(10, MAX_LINES);
        for _ in 0..100 {
            log.write(Stream::Out, b"0123456789");
        }
        assert_eq!(
            finish(&mut log),
            ["0123456789", "… 990 bytes left out (limits `log-bytes`, `log-lines`)"]
        );
        let mut lines = LogBuffer::new(100_000, MAX_LINES);
        lines.write(Stream::Out, &[b'\n'; 5000]);
        lines.write(Stream::Out, &[b'\n'; 5000]);
        let lines = finish(&mut lines);
        assert_eq!(lines.len(), MAX_LINES + 1);
        assert_eq!(lines[MAX_LINES], "… 9000 bytes left out (limits `log-bytes`, `log-lines`)");

        let mut apart = LogBuffer::new(4, MAX_LINES);
        for bytes in [b"whole", b"\n".as_slice(), b"\n", b"\n"] {
            apart.write(Stream::Out, bytes);
        }
        assert_eq!(
            finish(&mut apart),
            ["whol", "… 3 bytes left out (limits `log-bytes`, `log-lines`)"]
        );
    }

    #[test]
    fn secrets_are_redacted_before_the_cut() {
        let mut log = LogBuffer::new(10_000, MAX_LINES);
        log.write(Stream::Out, format!("{}hunter2\n", "x".repeat(MAX_LINE - 3)).as_bytes());
        let lines = log.finish(&Redactor::new(["hunter2"]));
        assert!(!lines[0].contains("hun"), "{}", lines[0]);
    }

    #[test]
    fn the_last_words_of_a_panic_are_its_message() {
        let mut log = LogBuffer::new(1000, MAX_LINES);
        log.write(Stream::Out, b"hello\n");
        log.write(
            Stream::Err,
            b"\nthread 'main' (1) panicked at src/lib.rs:4:5:\nboom\nnote: run with `RUST_BACKTRACE=1`\n",
        );
        let words = log.last_words(&Redactor::default());
        assert_eq!(words.as_deref(), Some("panicked at src/lib.rs:4:5: boom"));

        let mut log = LogBuffer::new(1000, MAX_LINES);
        log.write(
            Stream::Err,
            b"Traceback (most recent call last):\n  File x\nKeyError: 'a'\n\nthread '<unnamed>' (1) panicked at src/lib.rs:1:2:\nPython threw\n",
        );
        assert_eq!(log.last_words(&Redactor::default()).as_deref(), Some("KeyError: 'a'"));

        let mut log = LogBuffer::new(1000, MAX_LINES);
        log.write(
            Stream::Err,
            b"thread '<unnamed>' (1) panicked at src/lib.rs:1:2:\nFailed: Value(\n\"boom\",\n)\n",
        );
        let words = log.last_words(&Redactor::default());
        assert_eq!(
            words.as_deref(),
            Some("panicked at src/lib.rs:1:2: Failed: Value( \"boom\", )")
        );

        let mut log = LogBuffer::new(1000, MAX_LINES);
        log.write(Stream::Err, b"one\n  two");
        assert_eq!(log.last_words(&Redactor::default()).as_deref(), Some("two"));
        assert_eq!(LogBuffer::new(10, MAX_LINES).last_words(&Redactor::default()), None);
    }
}
