//! Components to begin with: a plugin with a hole, and core modules that fit into it.

use std::sync::LazyLock;

use wasm_encoder::{Component, RawSection};

/// The plugin, in WebAssembly text with places for names.
const PLUGIN: &str = include_str!("plugin.wat");

/// Core modules that answer in their own ways.
const CODES: [&str; 8] = [
    include_str!("../seeds/answers.wat"),
    include_str!("../seeds/faults.wat"),
    include_str!("../seeds/prints.wat"),
    include_str!("../seeds/asks.wat"),
    include_str!("../seeds/requests.wat"),
    include_str!("../seeds/computes.wat"),
    include_str!("../seeds/keeps.wat"),
    include_str!("../seeds/connects.wat"),
];

/// Section identifiers of the binary format of components.
const CORE_MODULE: u8 = 1;
const NESTED_COMPONENT: u8 = 4;

/// A component whose core modules can be replaced.
pub(crate) struct Template {
    sections: Vec<(u8, Vec<u8>)>,
    /// Where the empty module is.
    hole: usize,
    /// Where the module with the memory is.
    shared: usize,
}

/// The core module in the hole answers `describe` and `run`.
pub(crate) static PLAIN: LazyLock<Template> =
    LazyLock::new(|| Template::new("$shared", "$code", ""));
/// Likewise, but for a random one: what `run` returns is made a good address every other time.
pub(crate) static WRAPPED: LazyLock<Template> = LazyLock::new(|| {
    let wrap = "(core instance $wrap (instantiate $wrapper (with \"code\" (instance $code))))";
    Template::new("$shared", "$wrap", wrap)
});
/// The core module in the hole answers both.
pub(crate) static WHOLE: LazyLock<Template> = LazyLock::new(|| Template::new("$code", "$code", ""));

/// [`CODES`] as binaries.
pub(crate) static SEEDS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| CODES.iter().map(|code| module(code)).collect());
/// What a random module imports and exports.
pub(crate) static SHAPE: LazyLock<Vec<u8>> =
    LazyLock::new(|| module(include_str!("../seeds/shape.wat")));

/// A core module from its text.
pub(crate) fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

impl Template {
    fn new(describe: &str, run: &str, wrap: &str) -> Self {
        let text =
            PLUGIN.replace("{describe}", describe).replace("{run}", run).replace("{wrap}", wrap);
        let sections = sections(&module(&text));
        let modules = || (0..sections.len()).filter(|at| sections[*at].0 == CORE_MODULE);
        // The empty one has nothing but its name.
        let hole = modules().min_by_key(|at| sections[*at].1.len()).expect("there are modules");
        let shared = modules().next().expect("there are modules");
        Self { sections, hole, shared }
    }

    /// The plugin with this core module.
    pub(crate) fn with(&self, code: &[u8]) -> Vec<u8> {
        self.build(|at, _| (at == self.hole).then_some(code), None)
    }

    /// The plugin with this core module, and another one that holds the memory.
    pub(crate) fn with_shared(&self, shared: &[u8], code: &[u8]) -> Vec<u8> {
        let replace = |at, _: &[u8]| match at {
            at if at == self.hole => Some(code),
            at if at == self.shared => Some(shared),
            _ => None,
        };
        self.build(replace, None)
    }

    /// The plugin with this core module, and a whole component inside of it that it has no use for.
    pub(crate) fn with_nested(&self, code: &[u8], component: &[u8]) -> Vec<u8> {
        self.build(|at, _| (at == self.hole).then_some(code), Some(component))
    }

    /// The module with the memory.
    pub(crate) fn shared(&self) -> &[u8] {
        &self.sections[self.shared].1
    }

    fn build<'a>(
        &self,
        replace: impl Fn(usize, &[u8]) -> Option<&'a [u8]>,
        nested: Option<&[u8]>,
    ) -> Vec<u8> {
        let mut component = Component::new();
        for (at, (id, bytes)) in self.sections.iter().enumerate() {
            let data = replace(at, bytes).unwrap_or(bytes);
            component.section(&RawSection { id: *id, data });
        }
        if let Some(data) = nested {
            component.section(&RawSection { id: NESTED_COMPONENT, data });
        }
        component.finish()
    }
}

/// The sections of a component, each with its identifier.
fn sections(component: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut sections = Vec::new();
    let mut rest = &component[8..];
    while let [id, after @ ..] = rest {
        let (len, bytes) = leb128(after);
        let (section, next) = bytes.split_at(len);
        sections.push((*id, section.to_vec()));
        rest = next;
    }
    sections
}

/// An unsigned number as WebAssembly writes it, and what follows it.
fn leb128(bytes: &[u8]) -> (usize, &[u8]) {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return (number, &bytes[at + 1..]);
        }
    }
    panic!("a number has no end");
}
