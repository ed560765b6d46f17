//! Names that the configuration accepts, made of whatever other tools accept.

use std::collections::{BTreeMap, BTreeSet};

use super::write::{Block, Text};
use crate::id::{MAX_NAME, RESERVED};

/// Longest title, in bytes.
const MAX_TITLE: usize = 200;

/// The names that have been given.
#[derive(Debug, Default)]
pub(super) struct Names {
    given: BTreeSet<String>,
    /// The next number to try for a name, so that thousands of equal ones cost no more than others.
    next: BTreeMap<String, usize>,
}

impl Names {
    /// A name like `wanted` that nothing has yet.
    pub(super) fn give(&mut self, wanted: &str) -> String {
        let mut base = slug(wanted);
        if base.is_empty() {
            base.push_str("check");
        }
        if RESERVED.contains(&base.as_str()) {
            base.push_str("-check");
        }
        if self.given.insert(base.clone()) {
            return base;
        }
        let next = self.next.entry(base.clone()).or_insert(2);
        loop {
            let tail = format!("-{next}");
            *next += 1;
            let head = &base[..base.len().min(MAX_NAME - tail.len())];
            let name = format!("{}{tail}", head.trim_end_matches('-'));
            if self.given.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// Lower-case letters, digits and single hyphens.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().take(MAX_NAME * 2) {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(MAX_NAME);
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// Puts the title, where the name does not say it all.
pub(super) fn put_title(block: &mut Block, name: &str, title: &str) {
    let mut title: String = title.chars().filter(|c| !c.is_control()).collect();
    while title.len() > MAX_TITLE {
        title.pop();
    }
    if title != name && !title.is_empty() {
        block.put("title", Text::literal(title));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CheckName;

    #[test]
    fn names_are_valid_and_given_once() {
        let mut names = Names::default();
        let long = "x".repeat(80);
        let cases = [
            ("Shop (EU)", "shop-eu"),
            ("shop_eu", "shop-eu-2"),
            ("--", "check"),
            ("", "check-2"),
            ("ready", "ready-check"),
            ("日本", "check-3"),
            (&long, &long[..63]),
            (&long, &format!("{}-2", &long[..61])),
        ];
        for (wanted, expected) in cases {
            let name = names.give(wanted);
            assert_eq!(name, expected, "{wanted}");
            CheckName::new(&name).expect(&name);
        }
        for _ in 0..20_000 {
            CheckName::new(&names.give("same")).expect("valid");
        }
    }
}
