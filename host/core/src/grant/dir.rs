//! Folders: which folder of the host a guest sees, under which path, and whether it may write.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{GrantError, GrantKind};

/// A folder that a guest sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirGrant {
    /// Where the guest sees it: absolute, without `.`, `..` and empty segments.
    pub guest: String,
    /// Where it is: absolute, without `..`.
    pub host: PathBuf,
    /// Whether the guest may write there; otherwise it only reads.
    pub write: bool,
}

/// What stands at the end of a shown folder that may be written.
const WRITE: &str = " (write)";

/// Control characters, and what reorders or hides the text around it: a path with one of these is
/// not what it looks like.
fn is_unshown(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

impl DirGrant {
    /// A folder under a path of the guest's own.
    ///
    /// # Errors
    /// When one of the paths is not absolute, or not plain.
    pub fn new(host: &str, guest: &str, write: bool) -> Result<Self, GrantError> {
        let error = |found, why| GrantError::new(GrantKind::Dirs, found, why);
        let odd = |text: &str| text.chars().any(is_unshown);
        if !host.starts_with('/') {
            return Err(error(host, "the host's path is not absolute"));
        }
        if host.split('/').any(|segment| segment == "..") || odd(host) {
            return Err(error(host, "the host's path has `..` or control characters in it"));
        }
        let plain = |segment: &str| !segment.is_empty() && segment != "." && segment != "..";
        let rest =
            guest.strip_prefix('/').ok_or(error(guest, "the guest's path is not absolute"))?;
        if odd(guest) || !(rest.is_empty() || rest.split('/').all(plain)) {
            let why = "the guest's path has `.`, `..`, `//`, a slash at its end or control characters in it";
            return Err(error(guest, why));
        }
        // One spelling: without `.`, doubled slashes and a slash at the end.
        let host = Path::new(host).components().collect();
        Ok(Self { guest: guest.to_owned(), host, write })
    }

    /// Reads a path, which is the same for the guest, and which ` (write)` may follow.
    ///
    /// # Errors
    /// When it is not an absolute, plain path.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let (path, write) = match text.strip_suffix(WRITE) {
            Some(path) => (path, true),
            None => (text, false),
        };
        Self::new(path, path, write)
    }

    /// Whether this is the same folder of the host, and what may be done there is no less. A folder
    /// below is another one: a link on the way could lead elsewhere.
    pub fn includes(&self, other: &Self) -> bool {
        self.host == other.host && (self.write || !other.write)
    }

    /// Whether a guest that wants `other.guest` finds it here.
    pub(super) fn offers(&self, other: &Self) -> bool {
        let guest = self.guest.trim_end_matches('/');
        let within = other
            .guest
            .strip_prefix(guest)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        within && (self.write || !other.write)
    }
}

impl fmt::Display for DirGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host.display())?;
        if self.host != Path::new(&self.guest) {
            write!(f, " as {}", self.guest)?;
        }
        f.write_str(if self.write { WRITE } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(host: &str, guest: &str, write: bool) -> DirGrant {
        DirGrant::new(host, guest, write).expect("a folder")
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        for (host, guest) in [
            ("srv", "/a"),
            ("./srv", "/a"),
            ("", "/a"),
            ("/srv/../etc", "/a"),
            ("/srv/..", "/a"),
            ("/srv\n", "/a"),
            ("/srv", "a"),
            ("/srv", ""),
            ("/srv", "/a/"),
            ("/srv", "//a"),
            ("/srv", "/a/../b"),
            ("/srv", "/./a"),
            ("/srv", "/a\0"),
        ] {
            assert!(DirGrant::new(host, guest, false).is_err(), "{host} {guest}");
        }
        assert_eq!(dir("/srv/./a//b/", "/a", false).host, Path::new("/srv/a/b"));
        assert_eq!(dir("/", "/", true).to_string(), "/ (write)");
    }

    #[test]
    fn folders_print_as_people_read_them() {
        assert_eq!(DirGrant::parse("/a").expect("a folder").to_string(), "/a");
        assert_eq!(DirGrant::parse("/a (write)").expect("a folder").to_string(), "/a (write)");
        assert_eq!(dir("/srv/a", "/a", true).to_string(), "/srv/a as /a (write)");
    }

    #[test]
    fn a_folder_includes_itself_and_no_other() {
        let (read, write) = (dir("/srv", "/a", false), dir("/srv", "/b", true));
        assert!(write.includes(&read) && !read.includes(&write) && read.includes(&read));
        assert!(!read.includes(&dir("/srv/a", "/a", false)));
        assert!(!read.includes(&dir("/srvx", "/a", false)));
    }

    #[test]
    fn a_guest_finds_what_is_at_or_below_its_path() {
        let granted = dir("/srv", "/a", false);
        let want = |text| DirGrant::parse(text).expect("a folder");
        assert!(granted.offers(&want("/a")) && granted.offers(&want("/a/b")));
        assert!(!granted.offers(&want("/ab")) && !granted.offers(&want("/")));
        assert!(!granted.offers(&want("/a (write)")));
        assert!(dir("/srv", "/", true).offers(&want("/a (write)")));
    }
}
