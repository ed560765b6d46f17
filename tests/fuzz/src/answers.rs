//! Answers that nobody wrote: the input is what lies in the guest's memory.

use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Value};
use wellcheck_core::outcome::Outcome;
use wellcheck_wasm::Plugin;

use crate::Ended;
use crate::host::{Host, Reach};
use crate::image::Image;
use crate::seeds::{PLAIN, WHOLE, module};
use crate::shown;

static HOST: LazyLock<Mutex<Host>> = LazyLock::new(|| Mutex::new(Host::new()));

/// A guest that answers with what its settings spell: it is compiled once for all inputs.
static DECODER: LazyLock<Plugin> = LazyLock::new(|| {
    let component = PLAIN.with(&module(include_str!("../seeds/decoder.wat")));
    let loaded = Host::lock(&HOST).load(component);
    loaded.unwrap_or_else(|error| panic!("{}", error.message()))
});

/// Longest image of a memory: the guest's heap begins after it.
const IMAGE: usize = 60 * 1024;
/// Longest that looking at settings may take; much, since the machine may be busy.
const SETTINGS: Duration = Duration::from_secs(5);

/// Lets a guest answer with the input.
///
/// The first byte says how: as it is, a well-formed report or fault, one with some bytes changed,
/// or a description with a schema of the settings, whose guest has to be loaded for it.
///
/// # Panics
/// When something does not hold that `README.md` lists.
pub fn answers(data: &[u8]) -> Ended {
    let Some((how, rest)) = data.split_first() else { return Ended::new("no answer") };
    let mut u = Unstructured::new(rest);
    let image = match how % 8 {
        0 | 1 => Ok(rest.to_vec()),
        2..=4 => Image::answer(&mut u).map(Image::into_bytes),
        5 | 6 => Image::answer(&mut u).and_then(|mut image| {
            image.damage(&mut u)?;
            Ok(image.into_bytes())
        }),
        _ => return described(&mut u).unwrap_or(Ended::new("no description")),
    };
    let Ok(image) = image else { return Ended::new("no answer") };
    let image = &image[..image.len().min(IMAGE)];
    let mut settings = String::with_capacity(image.len() * 2);
    for byte in image {
        settings.extend([byte >> 4, byte & 15].map(|half| char::from(b'a' + half)));
    }
    let decoder = &*DECODER;
    match Host::lock(&HOST).run(decoder, &settings, Reach::Nothing).run.outcome {
        Outcome::Answered(report) => Ended::new(format_args!("answered {:?}", report.status)),
        Outcome::Faulted(fault) => Ended::new(format_args!("fault: {}", fault.reason)),
    }
}

/// A guest that describes itself with the input, then answers with it.
fn described(u: &mut Unstructured<'_>) -> Result<Ended> {
    let damaged = u.ratio(1, 4)?;
    let schema = match u.ratio(3, 4)? {
        true => Some(json(u, 0)?.to_string()),
        false => None,
    };
    let settings = json(u, 0)?;
    let mut image = Image::description(schema.as_deref(), u)?;
    if damaged {
        image.damage(u)?;
    }
    let image = image.into_bytes();
    let mut text = String::new();
    for byte in &image[..image.len().min(IMAGE)] {
        write!(text, "\\{byte:02x}").expect("writing to a string cannot fail");
    }
    let code = module(&format!(
        "(module (import \"shared\" \"memory\" (memory 4)) (data (i32.const 0) \"{text}\")
           (func (export \"describe\") (result i32) i32.const 0)
           (func (export \"run\") (param i32 i32 i32 i32) (result i32) i32.const 0))"
    ));
    let host = Host::lock(&HOST);
    Ok(match host.load(WHOLE.with(&code)) {
        Err(error) => Ended::new(format_args!("refused: {}", error.step())),
        Ok(plugin) => {
            let began = Instant::now();
            let found = plugin.check_settings(&settings);
            assert!(began.elapsed() < SETTINGS, "settings took {:?}", began.elapsed());
            if let Err(problems) = &found {
                shown::problems(problems);
            }
            host.run(&plugin, "{}", Reach::Nothing);
            Ended::new(if found.is_ok() { "settings fit" } else { "settings do not fit" })
        }
    })
}

/// Names that mean something in a schema, and names that do not.
const KEYS: [&str; 24] = [
    "type",
    "properties",
    "items",
    "$ref",
    "$defs",
    "definitions",
    "anyOf",
    "allOf",
    "not",
    "if",
    "then",
    "enum",
    "const",
    "pattern",
    "patternProperties",
    "additionalProperties",
    "required",
    "minimum",
    "format",
    "$id",
    "$schema",
    "$dynamicRef",
    "unevaluatedProperties",
    "a",
];
const TEXTS: [&str; 20] = [
    "object",
    "string",
    "integer",
    "array",
    "#",
    "#/$defs/a",
    "#/properties/a",
    "#a",
    "a",
    "http://example.com/a.json",
    "file:///etc/passwd",
    "^(a+)+$",
    "(",
    "[a-z]{1,900}",
    "\\d*\\w*$",
    "https://json-schema.org/draft/2020-12/schema",
    "http://json-schema.org/draft-07/schema#",
    "date-time",
    "\u{1b}[31m\n",
    "\u{202e}b",
];

/// Something that may be a schema, or settings.
fn json(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let most = if depth < 5 { 9 } else { 4 };
    Ok(match u.int_in_range(0..=most)? {
        0 => Value::Bool(u.arbitrary()?),
        1 => Value::from(*u.choose(&[0_i64, -1, 5, i64::MAX])?),
        2 => Value::from(u.arbitrary::<f64>()?),
        3 | 4 => Value::from(*u.choose(&TEXTS)?),
        5 => {
            let count = u.int_in_range(0..=4)?;
            (0..count).map(|_| json(u, depth + 1)).collect::<Result<Vec<_>>>()?.into()
        }
        _ => {
            let mut object = Map::new();
            for _ in 0..u.int_in_range(0..=5)? {
                let key = *u.choose(&KEYS)?;
                // What is well-formed gets further.
                let value = match (key, u.ratio(3, 4)?) {
                    ("$ref" | "$dynamicRef" | "pattern" | "type" | "$schema", true) => {
                        Value::from(*u.choose(&TEXTS)?)
                    }
                    ("required" | "enum", true) => Value::from(vec![*u.choose(&TEXTS)?]),
                    ("anyOf" | "allOf", true) => Value::from(vec![json(u, depth + 1)?]),
                    ("properties" | "$defs" | "definitions" | "patternProperties", true) => {
                        let name = *u.choose(&TEXTS)?;
                        Value::from(Map::from_iter([(name.to_owned(), json(u, depth + 1)?)]))
                    }
                    _ => json(u, depth + 1)?,
                };
                object.insert(key.to_owned(), value);
            }
            Value::Object(object)
        }
    })
}
