//! Another world for a run than the real one, and a tape of what a run saw of its world.
//!
//! In a [`World`] requests go to a script, random numbers come from a seed, and time passes only
//! while the run waits, and then at once: a run that waits for ten seconds takes no time, and two
//! runs of the same plugin in the same world do the same. Files are those of the folders that its
//! grants name; sockets do not exist.
//!
//! A [`Tape`] goes along with any run, and makes a `Record` of it, from which a world can be made.

mod clock;
mod random;
mod replay;
mod script;
mod tape;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use clock::{Clock, Ticks};
pub(crate) use random::Random;
pub use replay::{Fixed, Replay, ReplayError, from_record, lay_out};
pub use script::{Asked, Script};
pub use tape::{Tape, Touched};
pub(crate) use tape::{Taped, seed};

use crate::transport::Transport;

/// What takes the place of the real world.
#[derive(Clone)]
pub struct World {
    /// What the wall clock says when the run begins, since the epoch.
    pub now: Duration,
    /// What random numbers are made of.
    pub random: [u8; 32],
    /// Where requests go.
    pub transport: Arc<dyn Transport>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now).finish_non_exhaustive()
    }
}
