//! Tries sockets and name resolution towards the target of its settings, and reports what it saw.
//!
//! A good host denies all of it, unless grants name the target.

use serde::Deserialize;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct Connect;

#[derive(Deserialize)]
struct Settings {
    /// `host:port`.
    target: String,
}

impl Plugin for Connect {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("connect", "1.0.0", "tries sockets").want("sockets", "`target`", "to try")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let target = settings.target.as_str();
        let udp = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"hello", target));
        Ok(Report::pass("tried")
            .detail("resolve", told(target.to_socket_addrs().map(Iterator::count)))
            .detail("tcp", told(TcpStream::connect(target)))
            .detail("listen", told(TcpListener::bind("127.0.0.1:0")))
            .detail("udp", told(udp)))
    }
}

fn told<T>(result: std::io::Result<T>) -> String {
    result.map_or_else(|error| format!("error: {error}"), |_| "worked".to_owned())
}

wellcheck_plugin::export!(Connect);
