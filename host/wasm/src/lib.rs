//! The sandbox: loads plugins, which are WebAssembly components, and runs them within limits.
//!
//! The one crate that names wasmtime; nothing of it shows in the public interface. What it promises
//! to its callers:
//!
//! - **A run always ends and always answers.** [`Plugin::run`] returns a report or a fault within
//!   the invocation's timeout; a trap, a limit, a denial or a defect of ours is a fault.
//! - **Nothing survives a run.** Each gets a fresh instance, which is dropped with everything that
//!   it opened.
//! - **A plugin reaches what its grants name**, decided by `wellcheck_core::grant` and nowhere
//!   else. All of WASI 0.2 and `wasi:http` is linked, so that components of every toolchain load;
//!   files, sockets, names, environment and arguments are empty or refused at the call.
//! - **A denial wins.** What a guest reports after it was denied something does not count.
//! - **Plugins have threads of their own**, so that one that spins delays no timer of the caller.
//!
//! In reading order: [`Sandbox`] is made once and loads; [`Plugin`] is what was loaded;
//! [`Invocation`] goes in and [`PluginRun`] comes out; [`Transport`] is how requests leave, and a
//! [`World`] what takes the place of the real one.

mod engine;
mod sandbox;

mod cache;
mod compile;
mod description;
mod inspect;
mod load;
mod plugin;
mod schema;

mod abi;
mod host;
mod import;
mod limits;
mod run;

mod fault;
mod log;
mod range;
mod report;
mod text;
mod transport;
mod world;

pub use compile::{Compiler, Urgency, compile_child};
pub use description::{Description, Want};
pub use engine::{Allocator, Code};
pub use fault::rejects_load;
pub use import::checks::{Standing, Standings};
pub use inspect::{Import, offered};
pub use load::{LoadError, LoadProblem, LoadStep, LoadTimings};
pub use plugin::Plugin;
pub use report::clean;
pub use run::{Invocation, PluginRun, Supplies, Usage};
pub use sandbox::{Sandbox, SandboxOptions, SlotUse, StartError};
pub use text::{clean as clean_text, cleaned};
pub use transport::{
    Body, HttpRequest, HttpResponse, NetTransport, NoTransport, Resolving, Transport,
};
pub use wellcheck_core::suite::Scripted;
pub use world::{
    Asked, Fixed, Replay, ReplayError, Script, Tape, Touched, World, from_record as standing_of,
    lay_out,
};
