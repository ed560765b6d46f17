//! A program under our eyes: started in a group of its own, fed, listened to, and ended with all
//! that it started when it is done, when its time is over, or when nobody wants to know any more.
//!
//! The program's number stands for its group until it is reaped, so that it is reaped last: its end
//! is seen by a descriptor of the process, the group is killed, and only then it is waited for.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest};
use tokio::process::{Child, ChildStdin};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::launch::Limits;

/// What is kept of the standard output, in bytes.
pub(super) const MAX_OUT: usize = 64 * 1024;

/// What is kept of the standard error, in bytes.
pub(super) const MAX_ERR: usize = 16 * 1024;

/// A program that writes more than that is not listened to any longer.
pub(super) const ENDLESS: u64 = 16 * 1024 * 1024;

/// Programs at once, at most: each has three pipes and two descriptors of its process.
const MOST: usize = 128;

/// Between the signal that asks a program to end and the one that ends it, at most.
const ASKED: Duration = Duration::from_millis(200);

/// How long to wait for the rest of the output of a program that has ended, where something that left
/// its group still holds it.
const DRAIN: Duration = Duration::from_millis(100);

/// Everything that programs find in their environment, besides what a check gives them.
const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C")];

/// A program as configured.
#[derive(Debug)]
pub(super) struct Program {
    /// An absolute path, and its arguments.
    pub(super) command: Vec<OsString>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) directory: PathBuf,
    pub(super) stdin: Option<Vec<u8>>,
    pub(super) limits: Limits,
}

/// What a program wrote, up to a limit.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) kept: Vec<u8>,
    limit: usize,
    pub(super) total: u64,
}

/// How it came to its end.
#[derive(Debug)]
pub(super) enum End {
    /// By itself, or by a signal that was not ours.
    Ended(ExitStatus),
    /// Its time was over, and it ended when it was asked to.
    Asked,
    /// Its time was over, and it had to be killed.
    Killed,
}

/// Why there was no run.
#[derive(Debug)]
pub(super) enum Unstarted {
    /// There was no room for it: as many run as may, or the system has no more of something.
    Crowded(String),
    /// It could not be started.
    Broken(String),
}

/// A run of a program.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) end: End,
    pub(super) out: Heard,
    pub(super) err: Heard,
}

static PLACES: Semaphore = Semaphore::const_new(MOST);

/// Runs a program until its end, or until `deadline`. If this is dropped, the program is killed.
pub(super) async fn run(program: &Program, deadline: Instant) -> Result<Done, Unstarted> {
    let crowded = || Unstarted::Crowded(format!("as many programs run as may ({MOST})"));
    let place = timeout_at(deadline, PLACES.acquire()).await.map_err(|_elapsed| crowded())?;
    let _place = place.map_err(|_closed| crowded())?;
    let asks = deadline - ASKED.min(deadline.saturating_duration_since(Instant::now()) / 5);
    let mut running = spawn(command(program)).await?;
    let broken = |error: io::Error| Unstarted::Broken(error.to_string());
    let ended = running.ended().map_err(broken)?;
    let (stdin, stdout, stderr) =
        (running.child.stdin.take(), running.child.stdout.take(), running.child.stderr.take());
    let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
        return Err(Unstarted::Broken("it has no pipes".to_owned()));
    };
    let (mut out, mut err) = (Heard::new(MAX_OUT), Heard::new(MAX_ERR));
    let over = {
        let talk = async {
            tokio::join!(
                feed(stdin, program.stdin.as_deref()),
                out.listen(stdout),
                err.listen(stderr)
            )
        };
        let mut talk = pin!(talk);
        let mut ends = pin!(ended.ready(Interest::READABLE));
        let (mut talks, mut over) = (true, None);
        loop {
            tokio::select! {
                _ = &mut ends => break,
                _ = &mut talk, if talks => talks = false,
                () = sleep_until(asks), if over.is_none() => {
                    over = Some(End::Asked);
                    running.signal(Signal::TERM);
                }
                () = sleep_until(deadline) => {
                    over = Some(End::Killed);
                    break;
                }
            }
        }
        // It, or what it started and left behind, which lets go of the pipes by that.
        running.signal(Signal::KILL);
        if talks {
            let _rest = timeout(DRAIN, talk).await;
        }
        over
    };
    let status = wait(&mut running.child).await;
    running.is_reaped = status.is_some();
    let end = match (over, status) {
        // Whoever sleeps where no signal reaches it is left to the system.
        (Some(over), _) => over,
        (None, Some(status)) => End::Ended(status),
        (None, None) => return Err(Unstarted::Broken("its end cannot be found out".to_owned())),
    };
    Ok(Done { end, out, err })
}

/// The end of a process that has ended already, or is about to.
async fn wait(child: &mut Child) -> Option<ExitStatus> {
    timeout(DRAIN, child.wait()).await.ok()?.ok()
}

async fn feed(stdin: Option<ChildStdin>, text: Option<&[u8]>) {
    if let (Some(mut stdin), Some(text)) = (stdin, text) {
        // Whoever does not want to hear it closes its end.
        let _fed = stdin.write_all(text).await;
    }
}

impl Heard {
    fn new(limit: usize) -> Self {
        Self { kept: Vec::new(), limit, total: 0 }
    }

    /// Reads until the end, and keeps the beginning.
    async fn listen(&mut self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let room = self.limit - self.kept.len();
            self.kept.extend_from_slice(&buffer[..count.min(room)]);
            self.total += count as u64;
            if self.total > ENDLESS {
                // Closes the pipe.
                return;
            }
        }
    }

    /// Whether something was left out.
    pub(super) fn is_cut(&self) -> bool {
        self.total > self.kept.len() as u64
    }
}

/// A process and its group, which are killed when this is dropped before they have ended.
struct Running {
    child: Child,
    pid: Pid,
    is_reaped: bool,
}

impl Running {
    /// Becomes readable when the process has ended.
    #[expect(
        deprecated,
        reason = "its successor is unsafe; a descriptor that is owned keeps the promise"
    )]
    fn ended(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let descriptor = pidfd_open(self.pid, PidfdFlags::NONBLOCK)?;
        AsyncFd::with_interest(descriptor, Interest::READABLE)
    }

    fn signal(&self, signal: Signal) {
        if !self.is_reaped {
            // Nobody is left in the group where this fails.
            let _sent = kill_process_group(self.pid, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The runtime reaps it later.
        self.signal(Signal::KILL);
    }
}

/// Ourselves, about to become the program.
fn command(program: &Program) -> std::process::Command {
    let own = Path::new("/proc/self/exe");
    // By this name it is the file that runs, even if another one has its path now.
    let own =
        if own.exists() { own.to_owned() } else { std::env::current_exe().unwrap_or_default() };
    let mut command = std::process::Command::new(own);
    command.args(program.limits.args()).args(&program.command);
    command.env_clear().envs(ENVIRONMENT);
    command.envs(program.environment.iter().map(|(name, value)| (name, value)));
    command.current_dir(&program.directory).process_group(0);
    let stdin = if program.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Something to be started.
struct Order {
    command: std::process::Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Running>>,
}

/// Starts processes, all from one thread: they are to end when we do, and the system takes the end of
/// the thread that started them for that.
async fn spawn(command: std::process::Command) -> Result<Running, Unstarted> {
    static SPAWNER: OnceLock<Option<SyncSender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, orders) = sync_channel(MOST);
        let thread = std::thread::Builder::new().name("wellcheck-exec".to_owned());
        thread.spawn(move || serve(&orders)).is_ok().then_some(sender)
    });
    let crowded = |why: &str| Unstarted::Crowded(why.to_owned());
    let spawner = spawner.as_ref().ok_or_else(|| crowded("there is no thread to start it"))?;
    let (reply, started) = oneshot::channel();
    let order = Order { command, runtime: Handle::current(), reply };
    spawner.try_send(order).map_err(|_full| crowded("too many are about to be started"))?;
    let started = started.await.map_err(|_gone| crowded("nobody starts it"))?;
    started.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory => Unstarted::Broken(error.to_string()),
        // No more processes, files or memory.
        _ => Unstarted::Crowded(error.to_string()),
    })
}

fn serve(orders: &Receiver<Order>) {
    for Order { command, runtime, reply } in orders {
        let _entered = runtime.enter();
        let started = tokio::process::Command::from(command).spawn().and_then(|child| {
            let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
            let pid = pid.ok_or_else(|| io::Error::other("it has no number"))?;
            Ok(Running { child, pid, is_reaped: false })
        });
        // Where nobody waits for it any more, it is dropped, and with that killed.
        let _ = reply.send(started);
    }
}
