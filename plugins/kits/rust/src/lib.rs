//! A health check for wellcheck, written in Rust.
//!
//! A plugin is a `cdylib` for wasm32-wasip2 that implements [`Plugin`] and names the type in
//! [`export!`]. This crate turns settings into the plugin's own type and answers the host; what
//! the host grants, measures and limits is its own business and needs no code here. A component
//! imports only what its code calls: who does not name [`http`], [`state`], [`checks`] or [`secrets`]
//! does not ask for them.
//!
//! ```no_run
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use wellcheck_plugin::{Context, Description, Plugin, Report, Stop, http};
//!
//! struct Depth;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Settings {
//!     /// Answers with a number.
//!     url: String,
//! }
//!
//! impl Plugin for Depth {
//!     type Settings = Settings;
//!
//!     fn describe() -> Description {
//!         Description::new("depth", "1.0.0", "asks how many jobs wait").settings::<Settings>()
//!     }
//!
//!     fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
//!         let depth: f64 = http::get(settings.url)?.json()?;
//!         Ok(Report::pass(format!("{depth} jobs wait")).observe(("depth", depth)))
//!     }
//! }
//!
//! wellcheck_plugin::export!(Depth);
//! # fn main() {}
//! ```

pub mod checks;
pub mod http;
mod range;
mod report;
pub mod secrets;
pub mod state;
mod stop;

pub use bindings::exports::wellcheck::check::checker::{Description, Want};
pub use bindings::wellcheck::check::outcome::{Fault, Observation, Part, Reason, Report, Status};
pub use range::{Range, judge};
pub use stop::Stop;

use bindings::wellcheck::check::context;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// What the contract's WIT becomes in Rust. For [`export!`] and for imports that have no wrapper.
#[expect(missing_docs, reason = "generated; the WIT carries the documentation")]
pub mod bindings {
    #[cfg(not(feature = "wasi-http"))]
    wit_bindgen::generate!({
        path: "../wit",
        world: "full-plugin",
        pub_export_macro: true,
        default_bindings_module: "wellcheck_plugin::bindings",
    });
    #[cfg(feature = "wasi-http")]
    wit_bindgen::generate!({
        path: "../wit",
        world: "full-http-plugin",
        pub_export_macro: true,
        default_bindings_module: "wellcheck_plugin::bindings",
        generate_all,
    });
}

/// A check that runs inside wellcheck. Every run gets a fresh instance: nothing survives it.
pub trait Plugin {
    /// The check's settings. What does not deserialize becomes a `bad-settings` fault that says
    /// where; take `serde_json::Value` for any object.
    type Settings: DeserializeOwned;

    /// What the plugin says of itself. Called when the file is loaded, without any grant.
    fn describe() -> Description;

    /// Looks at the target once. A target that is down, slow or wrong is a [`Report::fail`]; a
    /// [`Fault`] says that the plugin could not find out.
    ///
    /// # Errors
    ///
    /// To end early: with a `fail`, as an [`http::Error`] does by itself, or when the run says
    /// nothing about the target, with a [`Fault`].
    fn run(settings: Self::Settings, context: &Context) -> Result<Report, Stop>;
}

/// The run that is under way.
pub struct Context {
    check: String,
}

impl Context {
    /// The check's name in the configuration.
    pub fn check(&self) -> &str {
        &self.check
    }

    /// Wall time that is left until the host ends the run.
    pub fn remaining(&self) -> Duration {
        Duration::from_millis(context::remaining_ms())
    }

    /// How many runs in a row before this one did not pass.
    pub fn failures_in_a_row(&self) -> u32 {
        context::failures_in_a_row()
    }

    /// A W3C `traceparent` to send along with requests, where the host traces. [`http`]
    /// sends it by itself.
    pub fn traceparent(&self) -> Option<String> {
        context::traceparent()
    }
}

/// What [`export!`] calls: settings as text in, the plugin's own answer out.
#[doc(hidden)]
pub fn run<P: Plugin>(check: String, settings: &str) -> Result<Report, Fault> {
    let settings =
        serde_json::from_str(settings).map_err(|e| Fault::bad_settings(e.to_string()))?;
    match P::run(settings, &Context { check }) {
        Ok(report) => Ok(report),
        Err(Stop::Fail(message)) => Ok(Report::fail(message)),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

/// Makes a type that implements [`Plugin`] the plugin of this component. Once per crate.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            use $crate::bindings::exports::wellcheck::check::checker;

            struct Exported;

            impl checker::Guest for Exported {
                fn describe() -> checker::Description {
                    <$plugin as $crate::Plugin>::describe()
                }

                fn run(invocation: checker::Invocation) -> Result<$crate::Report, $crate::Fault> {
                    $crate::run::<$plugin>(invocation.check, &invocation.settings)
                }
            }

    $crate::bindings::export!(Exported with_types_in $crate::bindings);
        };
    };
}
