//! Names of checks and groups, made from the ids of operations.
//!
//! An id is any text, a name is a small alphabet. The id is reduced to it; where two operations
//! would share a name, or an id is long, a few digits of its hash keep them apart. The first
//! operation of the file keeps the plain name, so that adding one at the end renames nobody.

use std::collections::BTreeSet;

use crate::id::MAX_NAME;

/// Room behind an operation's part: `-65535-1000`.
const TAIL: usize = 11;

/// Digits of a hash, and the `-` before them.
const HASH: usize = 7;

/// What an operation's names begin with. `rest` are the tails of all its names, such as `8080` and
/// `8080-1`; none of the names is in `taken`, and all of them are afterwards.
pub(super) fn claim(id: &str, rest: &[String], taken: &mut BTreeSet<String>) -> String {
    let plain = reduced(id);
    let room = MAX_NAME - TAIL;
    let mut candidates =
        (plain.len() <= room).then(|| plain.clone()).into_iter().chain((0_u32..).map(|salt| {
            let mut start = plain.clone();
            start.truncate(room - HASH);
            format!("{}-{:06x}", start.trim_end_matches('-'), hash(id, salt) & 0xff_ffff)
        }));
    let free = |start: &String| rest.iter().all(|rest| !taken.contains(&format!("{start}-{rest}")));
    let start = candidates.find(free).expect("there are more hashes than names");
    taken.extend(rest.iter().map(|rest| format!("{start}-{rest}")));
    start
}

/// Lower case, and one `-` for whatever is outside of the alphabet.
fn reduced(id: &str) -> String {
    let mut out = String::new();
    for character in id.chars() {
        let character = character.to_ascii_lowercase();
        if character.is_ascii_lowercase() || character.is_ascii_digit() {
            out.push(character);
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    match out.trim_matches('-') {
        "" => "op".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

/// FNV-1a; stays the same from build to build.
fn hash(id: &str, salt: u32) -> u64 {
    salt.to_le_bytes().iter().chain(id.as_bytes()).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CheckName;

    fn all(ids: &[(&str, &[&str])]) -> Vec<String> {
        let mut taken = BTreeSet::new();
        let own = |rest: &[&str]| rest.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>();
        ids.iter().map(|(id, rest)| claim(id, &own(rest), &mut taken)).collect()
    }

    #[test]
    fn ids_become_names_and_stay_apart() {
        assert_eq!(all(&[("local-check", &["80"])]), ["local-check"]);
        assert_eq!(all(&[("Open WebUI__2", &["80"])]), ["open-webui-2"]);
        assert_eq!(all(&[("日本", &["80"])]), ["op"]);
        let both = all(&[("web", &["80"]), ("Web", &["80"]), ("WEB", &["81"])]);
        assert_eq!((both[0].as_str(), both[2].as_str()), ("web", "web"));
        assert!(both[1].starts_with("web-") && both[1].len() == 10, "{both:?}");
        // `a` with its first check on port 80, and `a-80` with port 1.
        let crossed = all(&[("a", &["80", "80-1"]), ("a-80", &["1"])]);
        assert_ne!(crossed[1], "a-80");
    }

    #[test]
    fn names_of_long_ids_fit_and_differ() {
        let (one, two) = ("x".repeat(100), "x".repeat(101));
        let names = all(&[(&one, &["65535-1000"]), (&two, &["65535-1000"])]);
        assert_ne!(names[0], names[1]);
        for name in names {
            assert!(CheckName::new(&format!("{name}-65535-1000")).is_ok(), "{name}");
        }
    }
}
