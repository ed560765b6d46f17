//! Files: nothing but the folders that a check's grants name.
//!
//! Whatever asks the file system does so on a thread of its own, under the run's timeout. A folder
//! that hangs (a network file system whose server is gone) keeps such a thread until it answers; so
//! only a few of them may be under way per check, and further runs fail at once.
//!
//! What is no file and no folder (a FIFO, a device, a socket) is not opened: opening a FIFO waits
//! for its other end.

use std::collections::HashMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;
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

/// The gates of all checks that have folders, by name.
#[derive(Default)]
pub(crate) struct Gates(Mutex<HashMap<CheckName, Arc<Semaphore>>>);

impl Gates {
    /// The gate of a check.
    pub(crate) fn of(&self, check: &CheckName) -> Gate {
        let mut gates = lock(&self.0);
        // One that nobody else holds has nothing under way.
        if gates.len() >= 1024 {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        let gate = gates.entry(check.clone()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
        Gate(Arc::clone(gate))
    }
}

/// Lets a few file operations through at once.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// Does what may hang on a thread of its own. `None`: too many hang already.
    async fn pass<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = self.enter()?;
        // The permit goes with the work, not with whoever waits for it.
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
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
        opened.ok_or_else(|| Fault::new(FaultReason::Limit, hanging()))?;
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
    openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Offers opened folders to the guest.
pub(crate) fn offer(wasi: &mut WasiCtxBuilder, dirs: &[DirGrant], folders: &Folders) {
    for (dir, folder) in dirs.iter().zip(&folders.opened) {
        let perms = if dir.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        // By the open folder, so that nothing is looked up again, which could hang.
        let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
        if let Err(error) = wasi.preopened_dir(path, &dir.guest, perms) {
            tracing::warn!("the folder `{}` cannot be offered: {error:#}", dir.host.display());
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
        let Some(kind) = gate.pass(move || kind_of(&dir, &name, follows)).await else {
            state.shared.refuse(hanging());
            return Ok((Err(ErrorCode::Busy),));
        };
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
    let found = openat2(folder, path, flags, Mode::empty(), ResolveFlags::BENEATH).ok()?;
    Some(FileType::from_raw_mode(fstat(&found).ok()?.st_mode))
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
