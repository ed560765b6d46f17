//! A look at a file before anything is compiled: is it a component, what does it import and
//! export, how much memory does it declare?
//!
//! Reads section heads only, so that a hostile file costs no more than its length. Whether the
//! code in it is valid is for the compiler to say.

use std::fmt;

use wasmparser::{Encoding, Parser, Payload};

use crate::abi::{CHECKER, LINES, Line};
use crate::text;

/// Bytes of one page of linear memory.
const PAGE: u64 = 64 * 1024;
/// Longest name that is repeated in a message.
const MAX_SHOWN: usize = 200;
/// Most names of imports that are kept.
const MAX_NAMES: usize = 200;

/// Interfaces of WASI 0.2 and its HTTP that are linked, whatever the patch version.
const WASI: &[(&str, &[&str])] = &[
    (
        "wasi:cli/",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks/", &["monotonic-clock", "wall-clock"]),
    ("wasi:filesystem/", &["preopens", "types"]),
    ("wasi:http/", &["outgoing-handler", "types"]),
    ("wasi:io/", &["error", "poll", "streams"]),
    ("wasi:random/", &["insecure", "insecure-seed", "random"]),
    (
        "wasi:sockets/",
        &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// Interfaces of our own that are linked.
const OWN: &[&str] = &[
    "wellcheck:check/checks",
    "wellcheck:check/context",
    "wellcheck:check/http",
    "wellcheck:check/outcome",
    "wellcheck:check/secrets",
    "wellcheck:check/state",
];

/// The names of all interfaces that a plugin may import, without versions.
pub fn offered() -> impl Iterator<Item = String> {
    let wasi = WASI.iter().flat_map(|(package, interfaces)| {
        interfaces.iter().map(move |interface| format!("{package}{interface}"))
    });
    wasi.chain(OWN.iter().map(|name| (*name).to_owned()))
}

/// An interface that a plugin imports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// For example `wasi:http/outgoing-handler`.
    pub name: String,
    /// For example `0.2.12`; empty where there is none.
    pub version: String,
}

impl Import {
    fn parse(text: &str) -> Self {
        let (name, version) = text.split_once('@').unwrap_or((text, ""));
        Self { name: name.to_owned(), version: version.to_owned() }
    }

    /// What it is about, in a word or two: `HTTP`, `files`, `sockets`, `environment`, ... `None`
    /// for what every plugin may use.
    pub fn summary(&self) -> Option<&'static str> {
        let (package, interface) = self.name.split_once('/')?;
        match (package, interface) {
            ("wasi:http", _) | ("wellcheck:check", "http") => Some("HTTP"),
            ("wasi:filesystem", _) => Some("files"),
            ("wasi:sockets", _) => Some("sockets"),
            ("wasi:cli", "environment") => Some("environment"),
            ("wasi:cli", "stdin") => Some("standard input"),
            ("wasi:cli", "stdout" | "stderr") => Some("log"),
            ("wasi:clocks", _) => Some("clocks"),
            ("wasi:random", _) => Some("random numbers"),
            ("wellcheck:check", "context") => Some("run context"),
            ("wellcheck:check", "checks") => Some("other checks"),
            ("wellcheck:check", "secrets") => Some("secrets"),
            ("wellcheck:check", "state") => Some("state"),
            _ => None,
        }
    }

    fn is_offered(&self) -> bool {
        if OWN.contains(&self.name.as_str()) {
            return Line::of(&self.version).is_some();
        }
        let offered = WASI.iter().any(|(package, interfaces)| {
            self.name.strip_prefix(package).is_some_and(|name| interfaces.contains(&name))
        });
        offered && self.version.strip_prefix("0.2.").is_some_and(is_patch)
    }
}

fn is_patch(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.version.is_empty() {
            write!(f, "@{}", self.version)?;
        }
        Ok(())
    }
}

/// Why a file is no plugin of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPlugin {
    /// Something else altogether.
    #[error("the file is not WebAssembly (it begins with {0})")]
    NotWasm(String),
    /// Zero bytes.
    #[error("the file is empty")]
    Empty,
    /// It ends too early: it is still being written, or was cut.
    #[error("the file is incomplete: it ends after {0} bytes, in the middle of a section")]
    Truncated(usize),
    /// A module, as compilers make them before they are made a component.
    #[error(
        "the file is a core module, not a component (build for `wasm32-wasip2`, or convert it with `wasm-tools component new`)"
    )]
    CoreModule,
    /// The structure of the file is broken.
    #[error("the file is broken at byte {at}: {why}")]
    Broken {
        /// Offset into the file.
        at: usize,
        /// What is wrong there.
        why: String,
    },
    /// It wants more memory than any run gets.
    #[error("it declares a memory of {declared} MiB (at most {limit} MiB: limit `max-memory`)")]
    Memory {
        /// What it begins with, in MiB.
        declared: u64,
        /// What a run may have, in MiB.
        limit: u64,
    },
    /// It wants a larger table than any run gets.
    #[error(
        "it declares a table of {declared} elements (at most {limit}: limit `max-table-elements`)"
    )]
    Table {
        /// What it begins with.
        declared: u64,
        /// What a run may have.
        limit: u64,
    },
    /// Not a plugin, or one for another host.
    #[error(
        "it exports no `{CHECKER}` of a line that this host speaks ({}); found {found}",
        lines()
    )]
    NoChecker {
        /// What it exports instead.
        found: String,
    },
    /// It needs something that this host does not have.
    #[error("it imports {imports}, which this host does not offer")]
    Import {
        /// Each with its version.
        imports: String,
    },
}

fn lines() -> String {
    LINES.iter().map(|line| line.as_str()).collect::<Vec<_>>().join(", ")
}

/// What a component says of itself without being run.
#[derive(Debug)]
pub(crate) struct Inspected {
    pub(crate) line: Line,
    pub(crate) imports: Vec<Import>,
}

/// Upper limits for what is declared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declared {
    pub(crate) memory: usize,
    pub(crate) table_elements: usize,
}

pub(crate) fn inspect(bytes: &[u8], limits: Declared) -> Result<Inspected, NotAPlugin> {
    if bytes.is_empty() {
        return Err(NotAPlugin::Empty);
    }
    if !bytes.starts_with(b"\0asm") {
        // A file that is being written may have only the first of these bytes.
        if b"\0asm".starts_with(bytes) {
            return Err(NotAPlugin::Truncated(bytes.len()));
        }
        let first = &bytes[..bytes.len().min(8)];
        return Err(NotAPlugin::NotWasm(format!("`{}`", first.escape_ascii())));
    }

    let broken = |error: wasmparser::BinaryReaderError| {
        // The reader says so where a section is longer than what is left of the file.
        if error.message().contains("unexpected end") {
            return NotAPlugin::Truncated(bytes.len());
        }
        let why = text::cleaned(error.message(), MAX_SHOWN);
        NotAPlugin::Broken { at: error.offset(), why }
    };
    let mut depth = 0_usize;
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::Version { encoding, .. } => {
                if depth == 0 && encoding == Encoding::Module {
                    return Err(NotAPlugin::CoreModule);
                }
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import.map_err(broken)?.name.name);
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export.map_err(broken)?.name.name);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let initial = memory.map_err(broken)?.initial.saturating_mul(PAGE);
                    if initial > limits.memory as u64 {
                        let declared = initial >> 20;
                        return Err(NotAPlugin::Memory {
                            declared,
                            limit: limits.memory as u64 >> 20,
                        });
                    }
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let declared = table.map_err(broken)?.ty.initial;
                    let limit = limits.table_elements as u64;
                    if declared > limit {
                        return Err(NotAPlugin::Table { declared, limit });
                    }
                }
            }
            _ => {}
        }
    }

    // Imports of types and functions at the root have no `:` in their names; linking judges them.
    let mut imports: Vec<Import> = imports
        .into_iter()
        .filter(|name| name.contains(':'))
        .take(MAX_NAMES)
        .map(Import::parse)
        .collect();
    imports.sort();
    let line = checker(&exports)?;
    let missing: Vec<_> = imports.iter().filter(|import| !import.is_offered()).map(shown).collect();
    if !missing.is_empty() {
        return Err(NotAPlugin::Import { imports: listed(missing) });
    }
    Ok(Inspected { line, imports })
}

fn checker(exports: &[&str]) -> Result<Line, NotAPlugin> {
    let exported: Vec<Import> = exports.iter().map(|name| Import::parse(name)).collect();
    let checkers = || exported.iter().filter(|export| export.name == CHECKER);
    if let Some(line) =
        LINES.iter().copied().find(|line| checkers().any(|c| Line::of(&c.version) == Some(*line)))
    {
        return Ok(line);
    }
    // What is nearest to a checker says most.
    let found: Vec<String> = match checkers().next() {
        Some(_) => checkers().map(shown).collect(),
        None => exported.iter().map(shown).collect(),
    };
    let found = if found.is_empty() { "no export at all".to_owned() } else { listed(found) };
    Err(NotAPlugin::NoChecker { found })
}

fn shown(import: &Import) -> String {
    format!("`{}`", text::cleaned(&import.to_string(), MAX_SHOWN))
}

fn listed(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(8);
    names.truncate(8);
    let list = names.join(", ");
    if more > 0 { format!("{list} and {more} more") } else { list }
}
