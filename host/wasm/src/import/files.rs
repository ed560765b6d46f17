//! Files: nothing but the folders that a check's grants name.
//!
//! Whatever asks the file system does so on threads of its own, under the run's timeout: a check with
//! folders has a small runtime, and the runs are polled within it, so that wasmtime's file operations
//! land on its threads too. A folder that hangs (a network file system whose server is gone) keeps
//! such a thread until it answers. There are [`AT_ONCE`] of them per check, and no more: when they
//! hang, further runs end as `busy`.
//!
//! What is no file and no folder (a FIFO, a device, a socket) is not opened: opening a FIFO waits
//! for its other end.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiView as _};
use wellcheck_core::grant::DirGrant;
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::{Fault, FaultReason};

use crate::host::{HostState, RunShared, lock};
use crate::text;

/// File operations of one check that may be under way at once, over all of its runs.
const AT_ONCE: usize = 2;

/// Threads for files go when their check has not run for so long; those that something may still
/// hang on stay longer.
const IDLE: Duration = Duration::from_secs(60);
const IDLE_HUNG: Duration = Duration::from_hours(24);

/// The gates of all checks that have folders, by name.
#[derive(Default)]
pub(crate) struct Gates(Mutex<HashMap<CheckName, Gate>>);

impl Gates {
    /// The gate of a check.
    ///
    /// # Errors
    /// When there are no threads to be had.
    pub(crate) fn of(&self, check: &CheckName) -> Result<Gate, Fault> {
        let mut gates = lock(&self.0);
        if let Some(gate) = gates.get(check) {
            *lock(&gate.0.used) = Instant::now();
            return Ok(gate.clone());
        }
        let gate = Gate::new().map_err(|error| {
            Fault::new(FaultReason::Busy, format!("no threads for files: {error}"))
        })?;
        gates.insert(check.clone(), gate.clone());
        Ok(gate)
    }

    /// Drops the threads of checks that do not run any more.
    pub(crate) fn prune(&self) {
        let mut gates = lock(&self.0);
        gates.retain(|_, Gate(threads)| {
            let limit = if threads.hung.load(Ordering::Relaxed) { IDLE_HUNG } else { IDLE };
            Arc::strong_count(threads) > 1 || lock(&threads.used).elapsed() < limit
        });
    }
}

/// The threads for the files of one check. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Threads>);

struct Threads {
    permits: Arc<Semaphore>,
    used: Mutex<Instant>,
    /// A run was cut off within, and may have left an operation behind.
    hung: AtomicBool,
    /// Taken when the last handle is dropped. `None` for a run in a world of its own, whose files
    /// are ours.
    runtime: Option<Runtime>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        // In the background: a thread that hangs must not hang whoever drops this.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Gate {
    fn new() -> std::io::Result<Self> {
        // One thread for the timers and sockets of whatever is polled within.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(AT_ONCE)
            .thread_name("plugin-files")
            .on_thread_start(crate::engine::lower_priority)
            .enable_all()
            .build()?;
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let used = Mutex::new(Instant::now());
        let hung = AtomicBool::new(false);
        Ok(Self(Arc::new(Threads { permits, used, hung, runtime: Some(runtime) })))
    }

    /// A gate to files that do not hang, on the threads of whoever runs.
    pub(crate) fn here() -> Self {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let used = Mutex::new(Instant::now());
        Self(Arc::new(Threads { permits, used, hung: AtomicBool::new(false), runtime: None }))
    }

    /// Polls `work` so that what it sends to threads for blocking work goes to these threads.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _entered = self.0.runtime.as_ref().map(Runtime::enter);
            work.as_mut().poll(context)
        })
        .await
    }

    /// Remembers that a run was cut off.
    pub(crate) fn cut_off(&self) {
        self.0.hung.store(true, Ordering::Relaxed);
    }

    /// Does what may hang on one of the threads. `None`: too many hang already.
    async fn pass<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit: OwnedSemaphorePermit = Arc::clone(&self.0.permits).try_acquire_owned().ok()?;
        // The permit goes with the work, not with whoever waits for it.
        let work = move || {
            let _permit = permit;
            work()
        };
        let done = match &self.0.runtime {
            Some(runtime) => runtime.spawn_blocking(work),
            None => tokio::task::spawn_blocking(work),
        };
        done.await.ok()
    }
}

fn hanging() -> String {
    format!("{AT_ONCE} file operations of earlier runs still hang in a granted folder")
}

/// The granted folders of a run, opened, in the order of the grants.
pub(crate) struct Folders {
    opened: Vec<OwnedFd>,
    gate: Gate,
}

impl Folders {
    /// What later look-ups in them go through.
    pub(crate) fn into_gate(self) -> Gate {
        self.gate
    }
}

/// Opens the granted folders of a run.
///
/// # Errors
/// When one is not there, or does not answer.
pub(crate) async fn open(dirs: &[DirGrant], gate: Gate) -> Result<Folders, Fault> {
    let paths: Vec<_> = dirs.iter().map(|dir| dir.host.clone()).collect();
    let opened = gate.pass(move || paths.iter().map(|path| open_dir(path)).collect()).await;
    let opened: Vec<Result<OwnedFd, Errno>> =
        opened.ok_or_else(|| Fault::new(FaultReason::Busy, hanging()))?;
    let named = opened.into_iter().zip(dirs).map(|(opened, dir)| {
        opened.map_err(|error| {
            let why = format!(
                "the granted folder `{}` cannot be opened: {}",
                text::cleaned(&dir.host.to_string_lossy(), 256),
                std::io::Error::from(error)
            );
            Fault::new(FaultReason::BadSettings, why)
        })
    });
    Ok(Folders { opened: named.collect::<Result<_, _>>()?, gate })
}

fn open_dir(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, path, OFlags::PATH | flags, Mode::empty())?;
    // A path alone may be known without asking whoever serves it: a folder that hangs must hang
    // here, behind the gate, and not when the guest looks into it. What may not be read stays so.
    drop(openat(&folder, ".", OFlags::RDONLY | OFlags::NONBLOCK | flags, Mode::empty()));
    Ok(folder)
}

/// Offers opened folders to the guest.
pub(crate) fn offer(
    wasi: &mut WasiCtxBuilder,
    dirs: &[DirGrant],
    folders: &Folders,
    shared: &RunShared,
) {
    for (dir, folder) in dirs.iter().zip(&folders.opened) {
        let perms = if dir.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        // By the open folder, so that nothing is looked up again, which could hang.
        let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
        if let Err(error) = wasi.preopened_dir(path, &dir.guest, perms) {
            shared.flag(format!("the folder `{}` cannot be offered: {error:#}", dir.guest));
        }
    }
}

type OpenAt = (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags);
type Opened = (Result<Resource<Descriptor>, ErrorCode>,);

/// Puts a look at what is to be opened before `open-at`.
pub(crate) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance(TYPES)?.func_wrap_async(
        "[method]descriptor.open-at",
        |store: StoreContextMut<'_, HostState>, asked: OpenAt| Box::new(open_at(store, asked)),
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// As wasmtime's WASI calls it.
const TYPES: &str = "wasi:filesystem/types@0.2.12";

async fn open_at(
    mut store: StoreContextMut<'_, HostState>,
    (folder, follow, path, how, flags): OpenAt,
) -> wasmtime::Result<Opened> {
    let state = store.data_mut();
    if let Descriptor::Dir(dir) = state.ctx().table.get(&folder)? {
        let (dir, name) = (Arc::clone(&dir.dir), path.clone());
        let follows = follow.contains(PathFlags::SYMLINK_FOLLOW);
        let Some(gate) = &state.gate else { return Ok((Err(ErrorCode::NotPermitted),)) };
        let noted = state.shared.tape.is_some() && !how.contains(OpenFlags::TRUNCATE);
        // On the gate's threads, as everything that asks the file system.
        let dirs = Arc::clone(&state.grants);
        let look = move || {
            let kind = kind_of(&dir, &name, follows);
            let is_file = kind.is_none_or(|kind| kind == FileType::RegularFile);
            (kind, (noted && is_file).then(|| seen(&dir, &name, &dirs.dirs)))
        };
        let Some((kind, seen)) = gate.pass(look).await else {
            state.shared.flag(hanging());
            return Ok((Err(ErrorCode::Busy),));
        };
        if let (Some(tape), Some(seen)) = (&state.shared.tape, seen)
            && let Some(path) = seen.path
        {
            tape.file(path, seen.content, seen.is_whole);
        }
        if let Some(kind) = kind.filter(|kind| !is_opened(*kind)) {
            flag(&state.shared, &path, kind);
            return Ok((Err(ErrorCode::NotPermitted),));
        }
    }
    match state.filesystem().open_at(folder, follow, path, how, flags).await {
        Ok(opened) => Ok((Ok(opened),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

/// What is there, beneath the folder; `None` leaves the answer to whoever opens it.
fn kind_of(folder: &std::fs::File, path: &str, follows: bool) -> Option<FileType> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    flags.set(OFlags::NOFOLLOW, !follows);
    match openat2(folder, path, flags, Mode::empty(), ResolveFlags::BENEATH) {
        Ok(found) => Some(FileType::from_raw_mode(fstat(&found).ok()?.st_mode)),
        // Nobody could say what it is.
        Err(Errno::NOSYS | Errno::AGAIN) => Some(FileType::Unknown),
        Err(_) => None,
    }
}

/// A file as it is when it is opened, for the tape.
struct Seen {
    /// As the guest has it.
    path: Option<String>,
    /// `None` when it is not there, or may not be read.
    content: Option<Vec<u8>>,
    is_whole: bool,
}

/// Most bytes of one file that the tape gets.
const MOST_SEEN: u64 = 64 * 1024;

fn seen(folder: &std::fs::File, name: &str, dirs: &[DirGrant]) -> Seen {
    let of =
        |file: &std::fs::File| std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat2(folder, name, flags, Mode::empty(), ResolveFlags::BENEATH) {
        Ok(file) => {
            let file = std::fs::File::from(file);
            let path = of(&file).ok().and_then(|path| guest_path(dirs, &path));
            let mut content = Vec::new();
            let read = (&file).take(MOST_SEEN + 1).read_to_end(&mut content);
            let is_whole = read.is_ok() && content.len() as u64 <= MOST_SEEN;
            Seen { path, content: Some(content), is_whole }
        }
        Err(_) => {
            let path = of(folder).ok().and_then(|path| guest_path(dirs, &path.join(name)));
            Seen { path, content: None, is_whole: true }
        }
    }
}

/// Where the guest sees what is there on the host.
fn guest_path(dirs: &[DirGrant], host: &Path) -> Option<String> {
    dirs.iter().find_map(|dir| {
        let root = dir.host.canonicalize().ok()?;
        let below = host.strip_prefix(root).ok()?.to_str()?;
        Some(format!("{}/{below}", dir.guest.trim_end_matches('/')))
    })
}

fn is_opened(kind: FileType) -> bool {
    matches!(kind, FileType::RegularFile | FileType::Directory | FileType::Symlink)
}

fn flag(shared: &RunShared, path: &str, kind: FileType) {
    let what = match kind {
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "neither a file nor a folder",
    };
    shared.flag(format!("`{}` was not opened: it is {what}", text::cleaned(path, 200)));
}
