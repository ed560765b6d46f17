//! A look at the disk: every call here may hang for as long as a mount does.
//!
//! Nothing but files is opened: a pipe would wait for a writer, and some devices do something when
//! they are opened.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use rustix::fs::{OFlags, StatVfs, statvfs};

/// Most entries of a folder that are looked at.
const MOST: u64 = 100_000;

/// Longest file with names of users, in bytes.
const MAX_NAMES: u64 = 1024 * 1024;

/// What is wanted.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) path: PathBuf,
    /// What the names of files in the folder look like, where it is about these.
    pub(super) pattern: Option<String>,
    /// How much of the content is read, in bytes.
    pub(super) limit: u64,
    /// Whether to read it.
    pub(super) content: bool,
    /// Whether to find out to whom it belongs.
    pub(super) names: bool,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) exists: bool,
    pub(super) kind: &'static str,
    /// Seconds since the last change; below zero where that lies in the future.
    pub(super) age: Option<f64>,
    /// Of a folder: likewise, of its oldest file.
    pub(super) oldest: Option<f64>,
    pub(super) size: u64,
    pub(super) files: Option<u64>,
    pub(super) mode: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
    pub(super) content: Option<Vec<u8>>,
    /// Whether there is more of it.
    pub(super) is_cut: bool,
    pub(super) room: Option<Room>,
}

/// The room on a file system, for those who are not root.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) free: u64,
    pub(super) percent: Option<f64>,
    pub(super) inodes_percent: Option<f64>,
}

/// Why there is nothing to tell.
#[derive(Debug)]
pub(super) enum Failed {
    /// We may not look.
    Denied(String),
    /// The file system does not do what it should.
    Broken(String),
    /// There is so much of it that the time was over.
    Late,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied => Self::Denied(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// Looks once.
pub(super) fn look(question: &Question, until: Instant) -> Result<Seen, Failed> {
    let path = &question.path;
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Seen::default());
        }
        Err(error) => return Err(error.into()),
    };
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.room = Some(room(&statvfs(path).map_err(io::Error::from)?));
    seen.mode = Some(format!("{:04o}", metadata.mode() & 0o7777));
    if question.names {
        seen.owner = Some(named("/etc/passwd", metadata.uid()));
        seen.group = Some(named("/etc/group", metadata.gid()));
    }
    if metadata.is_dir() {
        seen.kind = if question.pattern.is_some() { "pattern" } else { "folder" };
        folder(path, question.pattern.as_deref(), until, &mut seen)?;
    } else if question.pattern.is_some() {
        // What should be the folder of the files is none.
        return Ok(Seen::default());
    } else {
        seen.kind = if metadata.is_file() { "file" } else { "other" };
        seen.size = metadata.len();
        seen.age = age(&metadata);
        if question.content && metadata.is_file() {
            read(question, &mut seen)?;
        }
    }
    Ok(seen)
}

fn age(metadata: &Metadata) -> Option<f64> {
    let changed: SystemTime = metadata.modified().ok()?;
    Some(match changed.elapsed() {
        Ok(age) => age.as_secs_f64(),
        Err(ahead) => -ahead.duration().as_secs_f64(),
    })
}

fn folder(
    path: &Path,
    pattern: Option<&str>,
    until: Instant,
    seen: &mut Seen,
) -> Result<(), Failed> {
    let mut files = 0;
    for (index, entry) in std::fs::read_dir(path)?.enumerate() {
        if index as u64 >= MOST {
            break;
        }
        if Instant::now() > until {
            return Err(Failed::Late);
        }
        let entry = entry?;
        if pattern.is_some_and(|pattern| !fits(pattern, &entry.file_name().to_string_lossy())) {
            continue;
        }
        // One that goes away meanwhile is not there.
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        if !metadata.is_file() {
            continue;
        }
        files += 1;
        seen.size = seen.size.saturating_add(metadata.len());
        if let Some(age) = age(&metadata) {
            seen.age = Some(seen.age.map_or(age, |newest| newest.min(age)));
            seen.oldest = Some(seen.oldest.map_or(age, |oldest| oldest.max(age)));
        }
    }
    seen.files = Some(files);
    seen.exists = pattern.is_none() || files > 0;
    Ok(())
}

/// Whether a name is like a pattern: `*` is any text, `?` any letter.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stands, and how far it reaches at present.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, reached)) = star else { return false };
                star = Some((at, reached + 1));
                p = at + 1;
                n = reached + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn read(question: &Question, seen: &mut Seen) -> Result<(), Failed> {
    // It may have become a pipe since it was looked at; this does not wait for its other end.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(&question.path)?;
    if !file.metadata()?.is_file() {
        return Ok(());
    }
    let mut content = Vec::new();
    file.take(question.limit + 1).read_to_end(&mut content)?;
    seen.is_cut = content.len() as u64 > question.limit;
    content.truncate(usize::try_from(question.limit).unwrap_or(usize::MAX));
    seen.content = Some(content);
    Ok(())
}

fn room(found: &StatVfs) -> Room {
    let percent = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64 * 100.0);
    // As df does: what is kept for root is no part of the whole.
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    Room {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        percent: percent(found.f_bavail, used.saturating_add(found.f_bavail)),
        inodes_percent: percent(found.f_favail.min(found.f_files), found.f_files),
    }
}

/// The name of a number in a file such as `/etc/passwd`, or the number.
fn named(file: &str, number: u32) -> String {
    let shown = number.to_string();
    let mut text = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MAX_NAMES).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == shown).then(|| name.to_owned())
    };
    read.ok().and_then(|_| text.lines().find_map(name)).unwrap_or(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_know_any_text_and_any_letter() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "a"),
            ("*.txt", "a.txt"),
            ("a?c", "abc"),
            ("a*b*c", "axxbyyc"),
            ("*a*", "bab"),
            ("**", "x"),
            ("?é", "éé"),
            ("a*", "a"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.txt", "a.text"), ("a?c", "ac"), ("a*b", "axc"), ("", "a"), ("?", ""), ("a", "ab")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        // No pattern takes long.
        assert!(!fits(&"*a".repeat(100), &"a".repeat(99)));
    }

    #[test]
    fn numbers_have_names_where_the_system_has_them() {
        assert_eq!(named("/etc/passwd", 0), "root");
        assert_eq!(named("/etc/passwd", 3_999_999_999), "3999999999");
        assert_eq!(named("/nowhere", 7), "7");
    }
}
