//! Targets over UDP that play a part of a server, or none at all.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A socket that somebody answers at; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Datagrams {
    pub(crate) address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

/// Answers each datagram with those that `answer` makes of it.
pub(crate) fn datagrams(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Datagrams {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
    served(socket, answer)
}

/// Likewise, at a socket that is there.
pub(crate) fn served(
    socket: UdpSocket,
    answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
) -> Datagrams {
    let address = socket.local_addr().expect("it is bound");
    let stopped = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&stopped);
    std::thread::spawn(move || {
        let mut buffer = [0; 65_535];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            if theirs.load(Ordering::SeqCst) {
                return;
            }
            for bytes in answer(&buffer[..count]) {
                // Whoever has gone away refuses what comes later.
                let _ = socket.send_to(&bytes, from);
            }
        }
    });
    Datagrams { address, stopped }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            // Wakes the thread that waits.
            let _ = socket.send_to(b"", self.address);
        }
    }
}

/// An address that nobody listens at.
pub(crate) fn nobody() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
    socket.local_addr().expect("it is bound")
}
