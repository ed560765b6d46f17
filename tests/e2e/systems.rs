//! The examples on the documentation pages of other systems, run as they stand there over the whole
//! program: Genesis, clearskies, Nosana, and of zrok what `share.rs` leaves out. And what only shows
//! when everything meets in one configuration.

mod clearskies;
mod genesis;
mod nosana;
mod together;
mod untold;
mod zrok;
