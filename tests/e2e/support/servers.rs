//! Real servers, one of each sort for all tests of a run.
//!
//! Each is started when a test first wants it, on free ports and in a temporary folder, and lives
//! as long as the tests' process: a shell holds the other end of a pipe, and when that closes, by
//! whatever end, it stops the server and removes the folder.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use super::wait::{LIMIT, until, until_within};

/// Waits for the end of its input in the background, and for the server in the foreground.
const KEEPER: &str = r#"
trap '' INT
exec 3<&0
"$@" </dev/null 3<&- >"$LOG" 2>&1 &
server=$!
{ cat <&3 >/dev/null; kill -s "$STOP" $server; } &
cat=$!
wait $server
kill $cat 2>/dev/null
rm -rf "$DIR"
"#;

/// A server under the eyes of a shell.
pub(crate) struct Server {
    /// Never dropped before the process ends: its input is the pipe.
    keeper: Child,
    pub(crate) dir: PathBuf,
}

/// Finds a program that Debian keeps in one of these folders, or in the path.
#[track_caller]
pub(crate) fn program(names: &[&str], dirs: &[&str], package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> =
        dirs.iter().map(PathBuf::from).chain(std::env::split_paths(&path)).collect();
    let found = names.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("there is no {}: run `tests/run`, or `apt-get install {package}`", names[0])
    })
}

/// A folder of its own that the server's user may enter.
pub(crate) fn folder(name: &str) -> PathBuf {
    let dir = tempfile::Builder::new().prefix(&format!("wellcheck-{name}-")).tempdir();
    dir.expect("a temporary folder").keep()
}

/// An address that was free a moment ago, and was given to no other test of this process.
pub(crate) fn free_address() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        if GIVEN.lock().expect("nothing panics while it holds it").insert(address.port()) {
            return address;
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    free_address().port()
}

/// So many of them, one after the other.
#[track_caller]
pub(crate) fn free_ports(count: u16) -> Vec<u16> {
    until("adjacent free ports", || {
        let bind = |port: u16| TcpListener::bind(("127.0.0.1", port)).ok();
        let first = bind(0).ok_or("no port")?;
        let port = first.local_addr().expect("it is bound").port();
        let ports: Vec<u16> = (0..count).map_while(|n| port.checked_add(n)).collect();
        let others: Vec<_> = ports.iter().skip(1).map_while(|port| bind(*port)).collect();
        if others.len() + 1 == usize::from(count) { Ok(ports) } else { Err(port.to_string()) }
    })
}

pub(crate) fn is_root() -> bool {
    // Nothing but root owns its own process as number 0.
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The program itself, or for root as a user without rights, since some servers refuse root.
pub(crate) fn as_somebody(program: &Path, user: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
    command.arg(program);
    command
}

/// Runs something to its end.
#[track_caller]
pub(crate) fn finish(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it can be started");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Server {
    /// Starts `command` in `dir`; `stop` is the signal that ends it, `port` where it listens.
    #[track_caller]
    pub(crate) fn start(command: &Command, dir: &Path, stop: &str, port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self::start_until(command, dir, stop, || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        })
    }

    /// Likewise, where listening is not the sign that it is ready.
    #[track_caller]
    pub(crate) fn start_until(
        command: &Command,
        dir: &Path,
        stop: &str,
        mut is_ready: impl FnMut() -> bool,
    ) -> Self {
        let log = dir.join("server.log");
        let mut shell = Command::new("sh");
        shell.args(["-c", KEEPER, "sh"]).arg(command.get_program()).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.env("LOG", &log).env("STOP", stop).env("DIR", dir).current_dir(dir);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keeper = shell.spawn().expect("there is a shell");
        // Servers of databases take their time on a machine that builds something beside.
        until_within(4 * LIMIT, "the server is ready", || {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(matches!(keeper.try_wait(), Ok(None)), "the server has ended: {log}");
            if is_ready() { Ok(()) } else { Err(log) }
        });
        Self { keeper, dir: dir.to_owned() }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "server {} in {}", self.keeper.id(), self.dir.display())
    }
}
