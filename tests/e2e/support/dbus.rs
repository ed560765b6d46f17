//! A fake of systemd on D-Bus, as far as reading properties of units goes: the greeting, `Hello`, the
//! signal that follows it, and `Get`, with the errors that systemd and its bus have.
//!
//! Where systemd itself runs it is the first process of the machine, which a test cannot have.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A socket of which somebody answers.
pub(crate) struct Bus {
    dir: TempDir,
}

/// A unit as systemd shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit {
    /// Its name in a path of the bus.
    pub(crate) path: &'static str,
    pub(crate) active: &'static str,
    pub(crate) sub: &'static str,
    pub(crate) load: &'static str,
    pub(crate) result: &'static str,
    pub(crate) restarts: u32,
}

impl Bus {
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("bus")
    }

    /// Every connection is handed to `serve`.
    pub(crate) fn start(
        serve: impl Fn(UnixStream) -> std::io::Result<()> + Clone + Send + 'static,
    ) -> Self {
        let dir = TempDir::with_prefix("wellcheck-bus-").expect("a temporary folder");
        let listener = UnixListener::bind(dir.path().join("bus")).expect("a socket");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { dir }
    }

    /// A bus with systemd on it, which has these units.
    pub(crate) fn systemd(units: &'static [Unit]) -> Self {
        Self::start(move |stream| serve(stream, units))
    }
}

/// Reads a line of the greeting.
pub(crate) fn line(stream: &mut UnixStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Lets in whoever says that they are who they are.
pub(crate) fn greet(stream: &mut UnixStream) -> std::io::Result<()> {
    let auth = line(stream)?;
    let uid: String = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self")?)
        .to_string()
        .bytes()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if auth != format!("\0AUTH EXTERNAL {uid}\r\n") {
        stream.write_all(b"REJECTED EXTERNAL\r\n")?;
        return Err(std::io::Error::other(auth));
    }
    stream.write_all(b"OK 1234deadbeef\r\n")?;
    assert_eq!(line(stream)?, "BEGIN\r\n");
    Ok(())
}

fn serve(mut stream: UnixStream, units: &[Unit]) -> std::io::Result<()> {
    greet(&mut stream)?;
    loop {
        let call = Call::read(&mut stream)?;
        match call.member.as_str() {
            "Hello" => {
                stream.write_all(&message(
                    2,
                    &[(5, Field::Number(call.serial)), (8, Field::Signature("s"))],
                    &text(":1.7"),
                ))?;
                let signal = [
                    (1, Field::Path("/org/freedesktop/DBus")),
                    (3, Field::Text("NameAcquired")),
                    (8, Field::Signature("s")),
                ];
                stream.write_all(&message(4, &signal, &text(":1.7")))?;
            }
            "Get" => {
                assert_eq!(call.interface, "org.freedesktop.DBus.Properties");
                assert_eq!(call.destination, "org.freedesktop.systemd1");
                let answer = get(&call, units);
                let (kind, signature, error) = match &answer {
                    Ok(_) => (2, "v", None),
                    Err((name, _)) => (3, "s", Some(*name)),
                };
                let mut fields =
                    vec![(5, Field::Number(call.serial)), (8, Field::Signature(signature))];
                fields.extend(error.map(|name| (4, Field::Text(name))));
                let body = answer.unwrap_or_else(|(_, says)| text(&says));
                stream.write_all(&message(kind, &fields, &body))?;
            }
            other => panic!("a call of `{other}`"),
        }
    }
}

fn get(call: &Call, units: &[Unit]) -> Result<Vec<u8>, (&'static str, String)> {
    let name = call.path.strip_prefix("/org/freedesktop/systemd1/unit/").expect("a unit");
    let [interface, property] = call.texts.as_slice() else { panic!("{:?}", call.texts) };
    if name.starts_with("secret") {
        return Err(("org.freedesktop.DBus.Error.AccessDenied", "Permission denied".to_owned()));
    }
    let absent = Unit {
        path: "",
        active: "inactive",
        sub: "dead",
        load: "not-found",
        result: "",
        restarts: 0,
    };
    let unit = units.iter().find(|unit| unit.path == name).unwrap_or(&absent);
    let variant = |signature: &str, mut value: Vec<u8>| {
        let mut body = vec![1, signature.as_bytes()[0], 0, 0];
        body.append(&mut value);
        body
    };
    match (interface.as_str(), property.as_str()) {
        ("org.freedesktop.systemd1.Unit", "ActiveState") => Ok(variant("s", text(unit.active))),
        ("org.freedesktop.systemd1.Unit", "SubState") => Ok(variant("s", text(unit.sub))),
        ("org.freedesktop.systemd1.Unit", "LoadState") => Ok(variant("s", text(unit.load))),
        ("org.freedesktop.systemd1.Service" | "org.freedesktop.systemd1.Timer", "Result") => {
            Ok(variant("s", text(unit.result)))
        }
        ("org.freedesktop.systemd1.Service", "NRestarts") => {
            Ok(variant("u", unit.restarts.to_le_bytes().to_vec()))
        }
        _ => Err((
            "org.freedesktop.DBus.Error.UnknownProperty",
            format!("Unknown interface {interface} or property {property}."),
        )),
    }
}

#[derive(Debug, Default)]
struct Call {
    serial: u32,
    path: String,
    interface: String,
    member: String,
    destination: String,
    texts: Vec<String>,
}

impl Call {
    fn read(stream: &mut UnixStream) -> std::io::Result<Self> {
        let mut start = [0; 16];
        stream.read_exact(&mut start)?;
        assert_eq!(&start[..4], &[b'l', 1, 0, 1]);
        let number =
            |at: usize| u32::from_le_bytes(start[at..at + 4].try_into().expect("four bytes"));
        let mut call = Self { serial: number(8), ..Self::default() };
        let mut header = vec![0; (number(12) as usize).next_multiple_of(8)];
        stream.read_exact(&mut header)?;
        let mut body = vec![0; number(4) as usize];
        stream.read_exact(&mut body)?;
        let (mut at, end) = (0, number(12) as usize);
        let mut count = 0;
        while at < end {
            at = at.next_multiple_of(8);
            let (code, kind) = (header[at], header[at + 2]);
            assert_eq!((header[at + 1], header[at + 3]), (1, 0));
            at += 4;
            if kind == b'g' {
                count = header[at] as usize;
                assert_eq!(&header[at + 1..at + 1 + count], "s".repeat(count).as_bytes());
                at += count + 2;
                continue;
            }
            let found = taken(&header, &mut at);
            match code {
                1 => call.path = found,
                2 => call.interface = found,
                3 => call.member = found,
                6 => call.destination = found,
                other => panic!("a field {other}"),
            }
        }
        let mut at = 0;
        call.texts = (0..count).map(|_| taken(&body, &mut at)).collect();
        assert_eq!(at, body.len());
        Ok(call)
    }
}

fn taken(bytes: &[u8], at: &mut usize) -> String {
    *at = at.next_multiple_of(4);
    let length = u32::from_le_bytes(bytes[*at..*at + 4].try_into().expect("four bytes")) as usize;
    let text = String::from_utf8(bytes[*at + 4..*at + 4 + length].to_vec()).expect("text");
    *at += 4 + length + 1;
    text
}

enum Field {
    Path(&'static str),
    Text(&'static str),
    Signature(&'static str),
    Number(u32),
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u32).to_le_bytes().to_vec();
    bytes.extend(text.bytes());
    bytes.push(0);
    bytes
}

fn message(kind: u8, fields: &[(u8, Field)], body: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    for (code, field) in fields {
        header.resize(Vec::len(&header).next_multiple_of(8), 0);
        let (sign, value) = match field {
            Field::Path(path) => (b'o', text(path)),
            Field::Text(name) => (b's', text(name)),
            Field::Number(number) => (b'u', number.to_le_bytes().to_vec()),
            Field::Signature(signature) => {
                let mut value = vec![signature.len() as u8];
                value.extend(signature.bytes());
                value.push(0);
                (b'g', value)
            }
        };
        header.extend([*code, 1, sign, 0]);
        header.extend(value);
    }
    let mut message = vec![b'l', kind, 1, 1];
    for number in [body.len() as u32, 99, header.len() as u32] {
        message.extend(number.to_le_bytes());
    }
    message.extend(header);
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend(body);
    message
}

/// The real bus, without systemd on it.
pub(crate) struct Daemon {
    child: std::process::Child,
    dir: TempDir,
}

impl Daemon {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let program = super::servers::program(&["dbus-daemon"], &[], "dbus-daemon");
        let dir = TempDir::with_prefix("wellcheck-dbus-").expect("a temporary folder");
        let socket = dir.path().join("bus");
        let config = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            socket.display()
        );
        std::fs::write(dir.path().join("bus.conf"), config).expect("a file");
        let child = std::process::Command::new(program)
            .arg("--nofork")
            .arg(format!("--config-file={}", dir.path().join("bus.conf").display()))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it can be started");
        super::wait::until("the bus listens", || {
            UnixStream::connect(&socket).map(drop).map_err(|error| error.to_string())
        });
        Self { child, dir }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("bus")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path as a key of the configuration has it.
pub(crate) fn key(socket: &Path) -> String {
    format!("socket = \"{}\"", socket.display())
}
