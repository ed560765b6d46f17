//! Every body of the fuzzers with the inputs that are kept, and with random ones that are the same
//! each time.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::{Duration, Instant};

use wellcheck_fuzz::{TARGETS, Target};

/// Longest that the random inputs of one body are tried, however slow the machine.
const BUDGET: Duration = Duration::from_secs(20);

/// Steele, Lea and Flood's SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        let len = (self.next() as usize) % max + 1;
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("there is a body of that name")
}

/// Does it, and shows the input if it fails.
fn drive(target: &Target, input: &[u8], what: &str, ended: &mut BTreeMap<String, usize>) {
    match panic::catch_unwind(AssertUnwindSafe(|| (target.body)(input))) {
        Ok(how) => *ended.entry(how.to_string()).or_default() += 1,
        Err(cause) => {
            let said = cause.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| cause.downcast_ref::<&str>().copied());
            let name = target.name;
            let artifacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
            std::fs::create_dir_all(&artifacts).expect("a folder for it");
            let kept = artifacts.join(format!("{name}-seeded"));
            std::fs::write(&kept, input).expect("room for it");
            panic!("`{name}` failed with {what}, now {}: {}", kept.display(), said.unwrap_or("?"));
        }
    }
}

/// The inputs of `corpus`, then up to `most` random ones. Each end of `expected` must have come up.
fn seeded(name: &str, most: usize, expected: &[&str]) {
    let target = target(name);
    let mut ended = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = std::fs::read_dir(&folder).expect("readable");
    let mut kept: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    kept.sort();
    assert!(!kept.is_empty(), "nothing is kept in {}", folder.display());
    for path in kept {
        let input = std::fs::read(&path).expect("readable");
        drive(target, &input, &path.display().to_string(), &mut ended);
    }

    let mut random = Random(0x77_65_6c_6c);
    let began = Instant::now();
    for at in 0..most {
        if began.elapsed() > BUDGET {
            break;
        }
        let input = random.bytes(target.max_len);
        drive(target, &input, &format!("random input {at}"), &mut ended);
    }
    // Without these, most of the body was never reached.
    for how in expected {
        assert!(ended.contains_key(*how), "no input ended in `{how}`: {ended:#?}");
    }
}

#[test]
fn components_are_loaded_and_run() {
    let ends =
        ["answered", "fault: trap", "fault: denied", "refused: validate", "refused: compile"];
    seeded("load_and_run", 600, &ends);
}

#[test]
fn the_plugins_to_begin_with_end_as_they_should() {
    // How a component is made, and with which grants; then the number of the seed.
    const NOTHING: u8 = 1;
    const INSIDE: u8 = 133;
    for (how, seed, expected) in [
        (NOTHING, 0, "answered"),
        (NOTHING, 1, "fault: inconclusive"),
        (NOTHING, 2, "answered"),
        (NOTHING, 3, "answered"),
        (NOTHING, 4, "fault: denied"),
        (NOTHING, 5, "answered"),
        (NOTHING, 6, "fault: denied"),
        (INSIDE, 6, "answered"),
        (INSIDE, 7, "fault: denied"),
    ] {
        let ended = (target("load_and_run").body)(&[how, seed, 0]);
        assert_eq!(ended.to_string(), expected, "seed {seed}");
    }
}

#[test]
fn answers_are_judged() {
    let ends = [
        "answered Pass",
        "answered Fail",
        "fault: bad-answer",
        "fault: internal",
        "refused: schema",
        "settings fit",
        "settings do not fit",
    ];
    seeded("answers", 3000, &ends);
}

#[test]
fn grants_are_matched() {
    seeded("grants", 5000, &[]);
}

#[test]
fn every_body_has_inputs_and_a_program() {
    for Target { name, .. } in TARGETS {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(here.join("corpus").join(name).is_dir(), "there is no `corpus/{name}`");
        let program = here.join("guided/fuzz_targets").join(format!("{name}.rs"));
        let text = std::fs::read_to_string(program).expect("a program of that name");
        assert!(text.contains(&format!("wellcheck_fuzz::{name}")), "{text}");
    }
}
