//! The sandbox from the outside, with guests that are written by hand in WebAssembly text.

mod guest;
mod support;

mod answers;
mod cache;
mod http;
mod limits;
mod loading;
mod world;
