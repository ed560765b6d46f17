//! Components that nobody wrote: loaded, and run once if they load.

use std::sync::{LazyLock, Mutex};

use arbitrary::{Result, Unstructured};
use wasm_mutate::WasmMutate;
use wasm_smith::{Component, Config, Module};
use wellcheck_core::outcome::Outcome;

use crate::Ended;
use crate::host::{Host, Reach};
use crate::seeds::{PLAIN, SEEDS, SHAPE, WHOLE, WRAPPED};

static HOST: LazyLock<Mutex<Host>> = LazyLock::new(|| Mutex::new(Host::new()));

/// How much work the search for one mutation may be.
const MUTATION: u64 = 500;
/// What is larger than this takes long and shows nothing new, in bytes.
const MUTATED: usize = 256 << 10;
/// How many calls and rounds of loops a random module has.
const ROUNDS: u32 = 2000;

/// Makes a component of the input, loads it, and runs it once if that works.
///
/// The first byte says how: as it is, a plugin with some bytes changed, one that `wasm-mutate`
/// changed in a module, one around a random module of `wasm-smith`, one around a random component.
/// Its highest bit says whether the run is granted anything.
///
/// # Panics
/// When something does not hold that `README.md` lists.
pub fn load_and_run(data: &[u8]) -> Ended {
    let Some(component) = component(data) else { return Ended::new("no component") };
    let reach = if data[0] < 128 { Reach::Nothing } else { Reach::Inside };
    let host = Host::lock(&HOST);
    match host.load(component) {
        Err(error) => Ended::new(format_args!("refused: {}", error.step())),
        Ok(plugin) => match host.run(&plugin, "{\"depth\":3}", reach).run.outcome {
            Outcome::Answered(_) => Ended::new("answered"),
            Outcome::Faulted(fault) => Ended::new(format_args!("fault: {}", fault.reason)),
        },
    }
}

/// `None` where the tools that make it give up.
fn component(data: &[u8]) -> Option<Vec<u8>> {
    let (how, rest) = data.split_first()?;
    let mut u = Unstructured::new(rest);
    match how % 6 {
        0 => Some(rest.to_vec()),
        1 => edited(&mut u).ok(),
        2 => {
            let code = u.choose(&SEEDS).ok()?;
            Some(WHOLE.with(&mutated(code, &mut u)?))
        }
        3 => {
            let shared = mutated(PLAIN.shared(), &mut u)?;
            let code = u.choose(&SEEDS).ok()?;
            Some(PLAIN.with_shared(&shared, code))
        }
        4 => Some(WRAPPED.with(&random_module(&mut u).ok()?)),
        _ => {
            let component = Component::new(config(&mut u, Shape::Any).ok()?, &mut u).ok()?;
            Some(PLAIN.with_nested(&SEEDS[0], &component.to_bytes()))
        }
    }
}

/// A whole plugin with up to three bytes changed, put in, or taken out.
fn edited(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut bytes = WHOLE.with(u.choose(&SEEDS)?);
    for _ in 0..u.int_in_range(0..=3)? {
        let at = u.choose_index(bytes.len())?;
        match u.int_in_range(0..=31)? {
            0 => bytes.insert(at, u.arbitrary()?),
            1 => drop(bytes.remove(at)),
            2 => bytes.truncate(at.max(1)),
            3..=11 => bytes[at] = u.arbitrary()?,
            _ => bytes[at] ^= 1 << u.int_in_range(0..=7)?,
        }
    }
    Ok(bytes)
}

/// A valid module, changed a few times into other valid ones; half of them do what it does.
fn mutated(module: &[u8], u: &mut Unstructured<'_>) -> Option<Vec<u8>> {
    let mut module = module.to_vec();
    let preserve = u.arbitrary().ok()?;
    for _ in 0..u.int_in_range(1..=6).ok()? {
        let mut mutate = WasmMutate::default();
        mutate.seed(u.arbitrary().ok()?).fuel(MUTATION).preserve_semantics(preserve);
        let changed = match mutate.run(&module) {
            Ok(mut changes) => changes.next().and_then(Result::ok),
            Err(_nothing_to_change) => None,
        };
        module = changed.filter(|changed| changed.len() <= MUTATED).unwrap_or(module);
    }
    Some(module)
}

/// What a random module has to do with its surroundings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// It fits into the plugin.
    Code,
    /// It stands alone.
    Any,
}

fn random_module(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let endless = u.ratio(1, 8)?;
    let mut module = Module::new(config(u, Shape::Code)?, u)?;
    if !endless && module.ensure_termination(ROUNDS).is_err() {
        return Err(arbitrary::Error::IncorrectFormat);
    }
    Ok(module.to_bytes())
}

/// Mostly what the host accepts: a feature that is switched off makes for a short load.
fn config(u: &mut Unstructured<'_>, shape: Shape) -> Result<Config> {
    let mut off = || u.ratio(1, 32);
    let (tail_calls, relaxed, wide, memory64) = (off()?, off()?, off()?, off()?);
    let (gc, exceptions, threads, pages) = (off()?, off()?, off()?, off()?);
    Ok(Config {
        // This host has no references but to functions.
        reference_types_enabled: u.ratio(1, 16)?,
        module_shape: (shape == Shape::Code).then(|| SHAPE.clone()),
        allow_start_export: u.ratio(1, 4)?,
        disallow_traps: u.ratio(1, 2)?,
        max_instructions: 300,
        max_funcs: 12,
        max_memories: u.int_in_range(1..=2)?,
        max_memory32_bytes: u.int_in_range(64 << 10..=4 << 20)?,
        max_table_elements: u.int_in_range(1..=700)?,
        max_tables: 3,
        max_data_segments: 8,
        max_element_segments: 8,
        max_components: 4,
        max_modules: 4,
        max_instances: 4,
        max_nesting_depth: 4,
        tail_call_enabled: tail_calls,
        relaxed_simd_enabled: relaxed,
        wide_arithmetic_enabled: wide,
        memory64_enabled: memory64,
        gc_enabled: gc,
        exceptions_enabled: exceptions,
        threads_enabled: threads,
        custom_page_sizes_enabled: pages,
        ..Config::default()
    })
}
