//! Uses sockets directly; `op` in its settings says how: `tcp`, `udp`, `dns`, or `listen`, towards
//! `target` (`host:port`), `times` times, and lets go of none. `resolve-first` names what to
//! resolve before, and `send` what to send, after which it waits for the answer.
//! It tells in `details` what came of it.
//!
//! A good host allows what the grants `sockets` and `dns` name; all else is a fault with the
//! reason `denied`, and listening always is.

use serde::Deserialize;
use std::io::{Read, Result as Io, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Op {
    Tcp,
    Udp,
    Dns,
    Listen,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Settings {
    op: Op,
    target: String,
    #[serde(default = "once")]
    times: u32,
    resolve_first: Option<String>,
    send: Option<String>,
}

fn once() -> u32 {
    1
}

struct Sockets;

impl Plugin for Sockets {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("sockets", "1.0.0", "uses sockets").want("sockets", "`target`", "to try")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let mut report = Report::pass("tried");
        if let Some(name) = &settings.resolve_first {
            report = report.detail("resolve-first", told(resolve(&format!("{name}:0"))));
        }
        let mut worked = 0_u32;
        for _ in 0..settings.times {
            let result = once_more(&settings);
            worked += u32::from(result.is_ok());
            report.details.retain(|(name, _)| name != "result");
            report = report.detail("result", told(result));
        }
        Ok(report.observe(("worked", f64::from(worked))))
    }
}

wellcheck_plugin::export!(Sockets);

fn once_more(settings: &Settings) -> Io<String> {
    let target = settings.target.as_str();
    let mut answer = vec![0; 512];
    let read = match (settings.op, &settings.send) {
        (Op::Dns, _) => return resolve(target),
        (Op::Listen, _) => {
            std::mem::forget(TcpListener::bind(target)?);
            return Ok("listening".to_owned());
        }
        (Op::Tcp, None) => {
            std::mem::forget(TcpStream::connect(target)?);
            return Ok("connected".to_owned());
        }
        (Op::Tcp, Some(text)) => {
            let mut stream = TcpStream::connect(target)?;
            stream.write_all(text.as_bytes())?;
            stream.read(&mut answer)?
        }
        (Op::Udp, text) => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.send_to(text.as_deref().unwrap_or("hello").as_bytes(), target)?;
            if text.is_none() {
                std::mem::forget(socket);
                return Ok("sent".to_owned());
            }
            socket.recv(&mut answer)?
        }
    };
    Ok(format!("answered: {}", String::from_utf8_lossy(&answer[..read])))
}

fn resolve(target: &str) -> Io<String> {
    let found: Vec<SocketAddr> = target.to_socket_addrs()?.collect();
    Ok(format!("resolved: {found:?}"))
}

fn told(result: Io<String>) -> String {
    result.unwrap_or_else(|error| format!("error: {error}"))
}
