//! Guests in WebAssembly text: a component that exports `checker`, with holes for misbehaviour.
//!
//! Memory: the answer of `run` at 64, the description at 256, static data from 1024 on, the heap
//! of `realloc` from 32768 on.

use std::fmt::Write as _;

/// Where the answer of `run` lies: the discriminant of the result, then the report or the fault.
pub(crate) const ANSWER: u32 = 64;
const DESCRIPTION: u32 = 256;
const DATA: u32 = 1024;

/// A component in the making.
pub(crate) struct Guest {
    version: &'static str,
    run: String,
    describe: String,
    start: String,
    fields: String,
    memory: String,
    imports: String,
    lowered: String,
    core_imports: String,
    core_arguments: String,
    segments: Vec<(u32, Vec<u8>)>,
    next: u32,
}

/// A guest that answers `pass` and `fine`.
pub(crate) fn guest() -> Guest {
    let mut guest = Guest {
        version: "0.1.0",
        run: format!("i32.const {ANSWER}"),
        describe: format!("i32.const {DESCRIPTION}"),
        start: String::new(),
        fields: String::new(),
        memory: "1".to_owned(),
        imports: String::new(),
        lowered: String::new(),
        core_imports: String::new(),
        core_arguments: String::new(),
        segments: Vec::new(),
        next: DATA,
    };
    let mut description = Vec::new();
    for text in ["test", "1.2.3", "A guest of the tests."] {
        let (at, len) = guest.text(text.as_bytes());
        description.extend(words(&[at, len]));
    }
    description.extend(words(&[0; 7]));
    guest.segments.push((DESCRIPTION, description));
    guest.answer(0, b"fine", (0, 0))
}

fn words(list: &[u32]) -> Vec<u8> {
    list.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Guest {
    /// Puts bytes into static data; returns where and how many.
    pub(crate) fn text(&mut self, bytes: &[u8]) -> (u32, u32) {
        let at = self.next;
        self.segments.push((at, bytes.to_vec()));
        self.next = (at + bytes.len() as u32).next_multiple_of(8);
        (at, bytes.len() as u32)
    }

    /// A report with this discriminant as its status.
    pub(crate) fn answer(mut self, status: u32, message: &[u8], observations: (u32, u32)) -> Self {
        let (at, len) = self.text(message);
        let (list, count) = observations;
        let answer = words(&[0, status, at, len, list, count, 0, 0, 0, 0]);
        self.segments.push((ANSWER, answer));
        self
    }

    /// A report whose message is somewhere else altogether.
    pub(crate) fn message_at(mut self, at: u32, len: u32) -> Self {
        self.segments.push((ANSWER, words(&[0, 0, at, len, 0, 0, 0, 0, 0, 0])));
        self
    }

    /// A report with these observations, by name and value, without unit, labels or ranges.
    pub(crate) fn observations(mut self, list: &[(&str, f64)]) -> Self {
        let mut records = Vec::new();
        for (name, value) in list {
            let (at, len) = self.text(name.as_bytes());
            records.extend(words(&[at, len]));
            records.extend(value.to_le_bytes());
            records.extend([0; 48]);
        }
        let (at, _) = self.text(&records);
        self.answer(0, b"measured", (at, list.len() as u32))
    }

    /// The fault side of the result.
    pub(crate) fn fault(mut self, reason: u32, message: &[u8]) -> Self {
        let (at, len) = self.text(message);
        self.segments.push((ANSWER, words(&[1, reason, at, len])));
        self
    }

    pub(crate) fn schema(mut self, schema: &str) -> Self {
        let (at, len) = self.text(schema.as_bytes());
        self.segments.push((DESCRIPTION + 24, words(&[1, at, len])));
        self
    }

    /// The body of `run`, which leaves the address of an answer on the stack.
    pub(crate) fn run(mut self, body: &str) -> Self {
        self.run = body.to_owned();
        self
    }

    /// Something for `run` to do before it answers.
    pub(crate) fn before(self, body: &str) -> Self {
        let run = format!("{body} i32.const {ANSWER}");
        self.run(&run)
    }

    pub(crate) fn describe(mut self, body: &str) -> Self {
        self.describe = body.to_owned();
        self
    }

    /// The body of a start function.
    pub(crate) fn start(mut self, body: &str) -> Self {
        self.start = format!("(func $start {body}) (start $start)");
        self
    }

    /// Further fields of the core module.
    pub(crate) fn fields(mut self, fields: &str) -> Self {
        self.fields.push_str(fields);
        self
    }

    /// The limits of its memory, in pages.
    pub(crate) fn memory(mut self, limits: &str) -> Self {
        self.memory = limits.to_owned();
        self
    }

    pub(crate) fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// Imports of the component.
    pub(crate) fn import(mut self, imports: &str) -> Self {
        self.imports.push_str(imports);
        self
    }

    /// Makes a function of the component's imports callable as `$name`.
    pub(crate) fn lower(mut self, name: &str, func: &str, signature: &str) -> Self {
        write!(
            self.lowered,
            "(core func ${name} (canon lower (func {func}) (memory $memory) \
             (realloc $realloc)))"
        )
        .expect("writing to a string cannot fail");
        write!(self.core_imports, "(import \"host\" \"{name}\" (func ${name} {signature}))")
            .expect("writing to a string cannot fail");
        write!(self.core_arguments, "(export \"{name}\" (func ${name}))")
            .expect("writing to a string cannot fail");
        self
    }

    /// A handle's destructor, callable as `$name`.
    pub(crate) fn dropper(mut self, name: &str, ty: &str) -> Self {
        write!(self.lowered, "(core func ${name} (canon resource.drop {ty}))")
            .expect("writing to a string cannot fail");
        write!(self.core_imports, "(import \"host\" \"{name}\" (func ${name} (param i32)))")
            .expect("writing to a string cannot fail");
        write!(self.core_arguments, "(export \"{name}\" (func ${name}))")
            .expect("writing to a string cannot fail");
        self
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        wat::parse_str(self.wat()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn wat(&self) -> String {
        let Self { version, run, describe, start, fields, memory, .. } = self;
        let Self { imports, lowered, core_imports, core_arguments, .. } = self;
        let mut data = String::new();
        for (at, bytes) in &self.segments {
            let text: String = bytes.iter().map(|b| format!("\\{b:02x}")).collect();
            write!(data, "(data (i32.const {at}) \"{text}\")")
                .expect("writing to a string cannot fail");
        }
        format!(
            r#"(component
  {imports}
  (core module $memory
    (memory (export "memory") {memory})
    (global $next (mut i32) (i32.const 32768))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $shared (instantiate $memory))
  (alias core export $shared "memory" (core memory $memory))
  (alias core export $shared "realloc" (core func $realloc))
  {lowered}
  (core module $code
    (import "shared" "memory" (memory 1))
    {core_imports}
    {fields}
    {start}
    {data}
    (func (export "describe") (result i32) {describe})
    (func (export "run") (param $check i32) (param $check-len i32) (param $settings i32) (param $settings-len i32) (result i32)
      {run}))
  (core instance $host {core_arguments})
  (core instance $guest (instantiate $code
    (with "shared" (instance $shared))
    (with "host" (instance $host))))

  (type $status (enum "pass" "warn" "fail"))
  (type $reason (enum "bad-settings" "inconclusive" "internal"))
  (type $pairs (list (tuple string string)))
  (type $observation (record (field "name" string) (field "value" f64) (field "unit" (option string))
    (field "labels" $pairs) (field "warn" (option string)) (field "fail" (option string))))
  (type $part (record (field "name" string) (field "status" $status) (field "message" string)))
  (type $report (record (field "status" $status) (field "message" string)
    (field "observations" (list $observation)) (field "parts" (list $part)) (field "details" $pairs)))
  (type $fault (record (field "reason" $reason) (field "message" string)))
  (type $want (record (field "grant" string) (field "value" string) (field "why" string)))
  (type $description (record (field "name" string) (field "version" string) (field "summary" string)
    (field "settings-schema" (option string)) (field "wants" (list $want)) (field "details" $pairs)))
  (type $invocation (record (field "check" string) (field "settings" string)))
  (func $describe (result $description)
    (canon lift (core func $guest "describe") (memory $memory) (realloc $realloc)))
  (func $run (param "invocation" $invocation) (result (result $report (error $fault)))
    (canon lift (core func $guest "run") (memory $memory) (realloc $realloc)))
  (instance $checker
    (export "status" (type $status)) (export "reason" (type $reason))
    (export "observation" (type $observation)) (export "part" (type $part))
    (export "report" (type $report)) (export "fault" (type $fault))
    (export "want" (type $want)) (export "description" (type $description))
    (export "invocation" (type $invocation))
    (export "describe" (func $describe)) (export "run" (func $run)))
  (export "wellcheck:check/checker@{version}" (instance $checker)))"#
        )
    }
}

/// A component without anything of ours.
pub(crate) fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}
