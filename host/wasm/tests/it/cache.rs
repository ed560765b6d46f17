//! Compiled code on disk: believed only if we wrote it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wellcheck_wasm::{LoadTimings, Sandbox, SandboxOptions};

use crate::guest::guest;
use crate::support::{invocation, load, options, report};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    fn sandbox(&self) -> Sandbox {
        let options = SandboxOptions { cache_dir: Some(self.cache()), ..options() };
        Sandbox::new(options).expect("a sandbox")
    }

    /// Loads the same guest in a new sandbox, and sees that it runs.
    async fn load(&self) -> LoadTimings {
        let sandbox = self.sandbox();
        assert_eq!(sandbox.notes(), [""; 0]);
        let plugin = load(&sandbox, &guest()).await;
        assert_eq!(report(&plugin.run(invocation()).await).message, "fine");
        plugin.timings().clone()
    }

    fn entry(&self) -> PathBuf {
        let mut entries = entries(&self.cache());
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.remove(0)
    }

    /// The cache is not used, for this reason.
    fn unused(&self, why: &str) {
        let notes = self.sandbox().notes().join("; ");
        assert!(notes.contains(why), "{notes:?} does not say {why:?}");
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(dir).expect("a folder");
    let paths = list.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "code")).collect()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

#[tokio::test]
async fn the_second_load_compiles_nothing() {
    let folder = Folder::new();
    let first = folder.load().await;
    assert!(!first.from_cache && first.compile.as_nanos() > 0);
    let second = folder.load().await;
    assert!(second.from_cache && second.compile.is_zero());
    assert_eq!(second.notes, [""; 0]);
}

#[tokio::test]
async fn only_the_owner_may_look() {
    let folder = Folder::new();
    folder.load().await;
    let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
    assert_eq!(mode(&folder.cache()), 0o700);
    assert_eq!(mode(&folder.cache().join("key")), 0o600);
    assert_eq!(mode(&folder.entry()), 0o600);
    assert_eq!(
        fs::read_dir(folder.cache()).expect("a folder").count(),
        2,
        "something is left over"
    );
}

#[tokio::test]
async fn what_was_changed_is_compiled_anew() {
    let folder = Folder::new();
    folder.load().await;
    let entry = folder.entry();
    let good = fs::read(&entry).expect("an entry");
    let mut last = good.clone();
    *last.last_mut().expect("not empty") ^= 1;
    let mut first = good.clone();
    first[0] ^= 1;
    let mut longer = good.clone();
    longer.push(0);
    let cases: [(Vec<u8>, &str); 6] = [
        (last, "is not what was written"),
        (first, "is not what was written"),
        (longer, "is not what was written"),
        (good[..good.len() / 2].to_vec(), "is not what was written"),
        (good[..31].to_vec(), "is too short"),
        (Vec::new(), "is too short"),
    ];
    for (bytes, why) in cases {
        fs::write(&entry, bytes).expect("our own file");
        let timings = folder.load().await;
        assert!(!timings.from_cache);
        assert!(timings.notes.iter().any(|note| note.contains(why)), "{:?}", timings.notes);
        // And the entry is whole again.
        assert!(folder.load().await.from_cache);
    }
}

#[tokio::test]
async fn an_entry_of_another_component_or_installation_is_not_believed() {
    let (here, there) = (Folder::new(), Folder::new());
    here.load().await;
    there.load().await;
    fs::copy(there.entry(), here.entry()).expect("our own files");
    let timings = here.load().await;
    assert!(!timings.from_cache, "code with another key was taken");

    // The same key, under another name.
    let sandbox = here.sandbox();
    let other = guest().answer(1, b"other", (0, 0));
    let mine = here.entry();
    load(&sandbox, &other).await;
    let others = entries(&here.cache()).into_iter().find(|path| *path != mine);
    fs::copy(&mine, others.expect("a second entry")).expect("our own files");
    let plugin = load(&here.sandbox(), &other).await;
    assert!(!plugin.timings().from_cache, "code of another component was taken");
    assert_eq!(report(&plugin.run(invocation()).await).message, "other");
}

#[tokio::test]
async fn an_entry_that_others_may_write_is_not_believed() {
    let folder = Folder::new();
    folder.load().await;
    set_mode(&folder.entry(), 0o666);
    let timings = folder.load().await;
    assert!(!timings.from_cache);
    assert!(timings.notes[0].contains("others may use it"), "{:?}", timings.notes);
}

#[tokio::test]
async fn an_entry_that_is_a_link_or_a_fifo_is_not_followed() {
    let folder = Folder::new();
    folder.load().await;
    let entry = folder.entry();
    let elsewhere = folder.0.path().join("elsewhere");
    fs::rename(&entry, &elsewhere).expect("our own file");
    symlink(&elsewhere, &entry).expect("a link");
    assert!(!folder.load().await.from_cache);
    // A link is replaced, not written through.
    assert!(folder.entry().symlink_metadata().expect("an entry").is_file());

    fs::remove_file(&entry).expect("our own file");
    let cwd = rustix::fs::CWD;
    rustix::fs::mkfifoat(cwd, &entry, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .expect("a fifo");
    assert!(!folder.load().await.from_cache);
}

#[tokio::test]
async fn a_folder_that_others_may_use_is_not_used() {
    let folder = Folder::new();
    folder.load().await;
    set_mode(&folder.cache(), 0o755);
    folder.unused("others may use it (its mode is 755");
    let sandbox = folder.sandbox();
    let plugin = load(&sandbox, &guest()).await;
    assert!(!plugin.timings().from_cache);
}

#[tokio::test]
async fn a_folder_that_is_none_is_not_used() {
    let folder = Folder::new();
    fs::write(folder.cache(), "a file").expect("a file");
    folder.unused("cannot make the cache");
    fs::remove_file(folder.cache()).expect("our own file");
    let elsewhere = folder.0.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    set_mode(&elsewhere, 0o700);
    symlink(&elsewhere, folder.cache()).expect("a link");
    folder.unused("it is not a directory");
}

#[tokio::test]
async fn a_key_that_others_may_read_is_not_used() {
    let folder = Folder::new();
    folder.load().await;
    let key = folder.cache().join("key");
    set_mode(&key, 0o644);
    folder.unused("its key others may use it");
    set_mode(&key, 0o600);
    fs::write(&key, "short").expect("our own file");
    folder.unused("its key has 5 bytes (expected 32)");
    fs::remove_file(&key).expect("our own file");
    assert!(!folder.load().await.from_cache, "code with a lost key was taken");
}
