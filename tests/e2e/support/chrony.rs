//! chrony, which serves this machine's time and sets nothing.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::servers::{Server, folder, program};

/// A running time server.
#[derive(Debug)]
pub(crate) struct TimeServer {
    _server: Server,
    pub(crate) port: u16,
}

/// A port that was free a moment ago, of UDP.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
    socket.local_addr().expect("it is bound").port()
}

/// It claims to be of stratum 5.
pub(crate) fn chrony() -> &'static TimeServer {
    static SERVER: OnceLock<TimeServer> = OnceLock::new();
    SERVER.get_or_init(|| start("local stratum 5"))
}

/// It follows nobody, and says so.
pub(crate) fn lost() -> &'static TimeServer {
    static SERVER: OnceLock<TimeServer> = OnceLock::new();
    SERVER.get_or_init(|| start(""))
}

fn start(more: &str) -> TimeServer {
    let chronyd = program(&["chronyd"], &["/usr/sbin"], "chrony");
    let dir = folder("chrony");
    let port = free_port();
    let config = format!(
        "port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.0/8\ncmdport 0\npidfile {0}/pid\n\
         bindcmdaddress /\n{more}\n",
        dir.display()
    );
    std::fs::write(dir.join("chrony.conf"), config).expect("a file");
    let mut command = Command::new(chronyd);
    // Sets no clock, needs no rights, stays in the foreground.
    command.args(["-x", "-U", "-d", "-f"]).arg(dir.join("chrony.conf"));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let server = Server::start_until(&command, &dir, "TERM", || {
        let mut request = [0; 48];
        request[0] = 4 << 3 | 3;
        // Whoever is not there yet refuses.
        let sent = socket.send_to(&request, ("127.0.0.1", port));
        sent.is_ok() && socket.recv(&mut [0; 48]).is_ok()
    });
    TimeServer { _server: server, port }
}
