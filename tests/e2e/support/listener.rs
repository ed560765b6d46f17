//! Listeners that play a part of a server, or none at all.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::wait::LIMIT;

/// A listener that runs; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    stopped: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

/// Serves every connection in a thread of its own. What goes wrong with one is its client's.
pub(crate) fn listener(
    serve: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> Listener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    let stopped = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let (theirs, counted) = (Arc::clone(&stopped), Arc::clone(&count));
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if theirs.load(Ordering::SeqCst) {
                return;
            }
            let Ok(mut stream) = stream else { continue };
            counted.fetch_add(1, Ordering::SeqCst);
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || {
                let _ = stream.set_read_timeout(Some(LIMIT));
                let _ = stream.set_write_timeout(Some(LIMIT));
                let _ = serve(&mut stream);
            });
        }
    });
    Listener { address, stopped, count }
}

impl Listener {
    /// Connections so far.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads until the other side goes away.
fn drain(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Says this at once, and nothing more.
pub(crate) fn says(bytes: &'static [u8]) -> Listener {
    listener(move |stream| {
        stream.write_all(bytes)?;
        drain(stream)
    })
}

/// Accepts and says nothing.
pub(crate) fn silent() -> Listener {
    says(b"")
}

/// Closes without a word.
pub(crate) fn hangs_up() -> Listener {
    listener(|_stream| Ok(()))
}

/// Says `first`, and then `again` without end.
pub(crate) fn floods(first: &'static [u8], again: &'static [u8]) -> Listener {
    let chunk = again.repeat(1 + (64 * 1024) / again.len().max(1));
    listener(move |stream| {
        stream.write_all(first)?;
        loop {
            stream.write_all(&chunk)?;
        }
    })
}

/// Says whatever it hears.
pub(crate) fn echoes() -> Listener {
    listener(|stream| {
        let mut buffer = [0; 4096];
        loop {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..count])?;
        }
    })
}

/// Reads the head of a request, says this, and closes.
pub(crate) fn answers(bytes: Vec<u8>) -> Listener {
    listener(move |stream| {
        read_head(stream)?;
        stream.write_all(&bytes)
    })
}

/// Reads up to the end of a head.
pub(crate) fn read_head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    Ok(head)
}
