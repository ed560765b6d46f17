//! A name server of our own, for names that no other knows; over UDP and TCP on one port.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How a name server answers for every name.
#[derive(Debug, Clone)]
pub(crate) enum Zone {
    /// With these addresses.
    Addresses(Vec<Ipv4Addr>),
    /// That there is no such name.
    Nothing,
    /// That the name is another one, which is the first again.
    Circle,
    /// Not at all.
    Silence,
}

/// A name server that runs; it stops when dropped.
pub(crate) struct Names {
    pub(crate) address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

/// Largest answer over UDP; more is asked for over TCP.
const MAX_UDP: usize = 512;

impl Names {
    pub(crate) fn start(zone: Zone) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
            let address = udp.local_addr().expect("it is bound");
            if let Ok(tcp) = TcpListener::bind(address) {
                break (udp, tcp);
            }
        };
        Self::run(zone, udp, tcp)
    }

    /// At an address of its own, port 53 of which needs rights; `None` where they are missing.
    pub(crate) fn start_at(zone: Zone, ip: Ipv4Addr) -> Option<Self> {
        let udp = UdpSocket::bind((ip, 53)).ok()?;
        let tcp = TcpListener::bind((ip, 53)).ok()?;
        Some(Self::run(zone, udp, tcp))
    }

    fn run(zone: Zone, udp: UdpSocket, tcp: TcpListener) -> Self {
        let address = udp.local_addr().expect("it is bound");
        let stopped = Arc::new(AtomicBool::new(false));
        udp.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
        let (theirs, own) = (Arc::clone(&stopped), zone.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !theirs.load(Ordering::SeqCst) {
                let Ok((count, from)) = udp.recv_from(&mut buffer) else { continue };
                if let Some(mut reply) = own.answer(&buffer[..count]) {
                    if reply.len() > MAX_UDP {
                        // Cut: ask again over TCP.
                        reply[2] |= 0x02;
                        reply[6..8].fill(0);
                        reply.truncate(count.min(question_end(&reply)));
                    }
                    let _ = udp.send_to(&reply, from);
                }
            }
        });
        let theirs = Arc::clone(&stopped);
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                if theirs.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let _ = zone.serve(stream);
                }
            }
        });
        Self { address, stopped }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn question_end(message: &[u8]) -> usize {
    let mut at = 12;
    while message[at] != 0 {
        at += 1 + usize::from(message[at]);
    }
    at + 5
}

impl Zone {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut message)?;
            let Some(reply) = self.answer(&message) else { continue };
            let length = u16::try_from(reply.len()).expect("it fits");
            stream.write_all(&[&length.to_be_bytes()[..], &reply].concat())?;
        }
    }

    fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let end = question_end(message);
        let question = &message[12..end];
        let wants_ipv4 = question[question.len() - 4..] == [0, 1, 0, 1];
        let (code, records): (u8, Vec<Vec<u8>>) = match self {
            Self::Silence => return None,
            Self::Nothing => (3, Vec::new()),
            // The name at byte 12 is itself.
            Self::Circle => {
                (0, vec![[&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 0, 0, 2][..], &[0xc0, 12]].concat()])
            }
            Self::Addresses(_) if !wants_ipv4 => (0, Vec::new()),
            Self::Addresses(list) => {
                let head = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4];
                (0, list.iter().map(|ip| [&head[..], &ip.octets()].concat()).collect())
            }
        };
        let count = u16::try_from(records.len()).expect("it fits");
        let mut reply = message[..2].to_vec();
        reply.extend([0x81, 0x80 | code, 0, 1]);
        reply.extend(count.to_be_bytes());
        reply.extend([0, 0, 0, 0]);
        reply.extend(question);
        reply.extend(records.concat());
        Some(reply)
    }
}
