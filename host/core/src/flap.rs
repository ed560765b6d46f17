//! Flapping: a check whose outcomes go to and fro more often than they stay.
//!
//! Of the last 21 outcomes each differs from the one before or does not. A check flaps once
//! [`BEGIN`] of these 20 steps are changes between healthy and not, and until there are fewer than
//! [`END`].

/// Steps that are looked at.
const STEPS: u32 = 20;

/// Changes at which it begins.
pub const BEGIN: u32 = 8;

/// It has ended with fewer changes than this.
pub const END: u32 = 4;

/// What is remembered of a check's outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flapping {
    last: Option<bool>,
    /// A bit for each step, 1 for a change; the newest is the lowest.
    steps: u32,
    flaps: bool,
}

impl Flapping {
    /// Takes one outcome. Returns whether it now flaps.
    pub fn observe(&mut self, healthy: bool) -> bool {
        if let Some(last) = self.last.replace(healthy) {
            self.steps = (self.steps << 1 | u32::from(last != healthy)) & ((1 << STEPS) - 1);
        }
        let changes = self.steps.count_ones();
        self.flaps = if self.flaps { changes >= END } else { changes >= BEGIN };
        self.flaps
    }

    /// Whether it flaps.
    pub fn flaps(&self) -> bool {
        self.flaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_many_changes_and_ends_when_few_are_left() {
        let mut flapping = Flapping::default();
        let begun = (0..40).position(|n| flapping.observe(n % 2 == 0)).expect("it begins");
        assert_eq!(begun, BEGIN as usize, "the first outcome is no change");
        let ended = (0..40).position(|_| !flapping.observe(true)).expect("it ends");
        assert!(ended > 10, "{ended}");
        assert!(!flapping.flaps());
    }

    #[test]
    fn one_failure_now_and_then_is_no_flapping() {
        let mut flapping = Flapping::default();
        assert!((0..200).all(|n| !flapping.observe(n % 10 != 0)));
    }
}
