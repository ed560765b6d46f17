//! What is done with each input of the fuzzers: plain functions over bytes, which panic if
//! something does not hold.
//!
//! They are driven twice: by `tests/seeded.rs`, with the same random inputs every time, and by the
//! programs in `guided`, where libFuzzer makes the inputs. `README.md` says what each asserts.
//!
//! An input whose bytes do not say enough is used as far as it goes; no input is an error.

mod answers;
mod grants;
mod host;
mod image;
mod load;
mod seeds;
mod shown;

use std::fmt;

pub use answers::answers;
pub use grants::grants;
pub use load::load_and_run;

/// How an input ended, for counting; says nothing about right or wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ended(String);

impl Ended {
    fn new(how: impl fmt::Display) -> Self {
        Self(how.to_string())
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One body, by the name of its corpus and of its program.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Names a folder of `corpus` and a program of `guided`.
    pub name: &'static str,
    /// Does it with one input.
    pub body: fn(&[u8]) -> Ended,
    /// Longest input that is of use, in bytes.
    pub max_len: usize,
}

/// Every body.
pub const TARGETS: &[Target] = &[
    Target { name: "load_and_run", body: load_and_run, max_len: 16 * 1024 },
    Target { name: "answers", body: answers, max_len: 8 * 1024 },
    Target { name: "grants", body: grants, max_len: 1024 },
];
