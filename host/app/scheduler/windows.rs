//! Maintenance windows and pauses: when they open and end.

use std::sync::Arc;
use std::time::Duration;

use wellcheck_core::maintenance::{Open, Window};
use wellcheck_core::snapshot::{Aside, WindowState};
use wellcheck_core::time::{Monotonic, Now, WallTime};

use super::orders::{Maintain, Refusal};
use super::{Scheduler, Urgency};

/// Most windows that are opened by request.
const MOST: usize = 1000;

/// The wall clock may be set: it is looked at this often while something is to open or to end.
const LOOK: Duration = Duration::from_secs(10);

/// All windows, and when to look again.
#[derive(Default)]
pub(super) struct Windows {
    configured: Vec<Window>,
    /// Opened by request, each with its number.
    opened: Vec<(u64, Window)>,
    /// What readers see of them.
    pub(super) states: Arc<[WindowState]>,
    /// When something opens or ends.
    pub(super) next: Option<Monotonic>,
}

impl Windows {
    /// Takes over what the configuration has.
    pub(super) fn apply(&mut self, windows: Vec<Window>) {
        self.configured = windows;
    }

    fn all(&self) -> impl Iterator<Item = (Option<u64>, &Window)> {
        let configured = self.configured.iter().map(|window| (None, window));
        configured.chain(self.opened.iter().map(|(number, window)| (Some(*number), window)))
    }
}

impl Scheduler {
    pub(super) fn maintain(&mut self, maintain: Maintain) -> Result<(), Refusal> {
        let opened = &mut self.windows.opened;
        match maintain {
            Maintain::Open(..) if opened.len() >= MOST => return Err(Refusal::TooMany),
            Maintain::Open(window, number) => opened.push((number, window)),
            Maintain::Close(number) => {
                let before = opened.len();
                opened.retain(|(other, _)| *other != number);
                if opened.len() == before {
                    return Err(Refusal::Unknown);
                }
            }
        }
        self.look_at_windows();
        Ok(())
    }

    /// Sees which windows are open and which pauses have ended, and what is aside by that.
    pub(super) fn look_at_windows(&mut self) {
        let now = self.clock.now();
        // One that was opened by request and has ended is gone.
        self.windows.opened.retain(|(_, window)| window.when.next_change(now.wall).is_some());
        let states: Arc<[WindowState]> =
            self.windows.all().map(|(number, window)| shown(number, window, now.wall)).collect();
        let windows: Vec<Window> = self.windows.all().map(|(_, window)| window.clone()).collect();
        let open = Open::of(windows.iter(), now.wall);
        let changed = *self.windows.states != *states;
        self.windows.states = states;
        let mut next = self.windows.all().filter_map(|(_, w)| w.when.next_change(now.wall)).min();
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let ends = slot.paused.as_ref().and_then(|aside| aside.until);
            if ends.is_some_and(|ends| ends <= now.wall) {
                slot.paused = None;
                self.resumed(index, now);
            } else {
                next = next.into_iter().chain(ends).min();
            }
            if open.is_empty() && self.slots[index].window.is_none() {
                continue;
            }
            let window = self.window_of(index, &open);
            let slot = &mut self.slots[index];
            if slot.window != window {
                slot.window = window;
                slot.show(now);
                self.seen_anew(index, now);
            }
        }
        self.windows.next = next.map(|next| {
            let wait = u64::try_from(next.0.saturating_sub(now.wall.0)).unwrap_or(0);
            now.monotonic.after(Duration::from_millis(wait).min(LOOK))
        });
        if changed {
            self.publish.mark(Urgency::Transition);
        }
    }

    /// Of the open windows that are for a check, what the one that ends last says.
    fn window_of(&self, index: usize, open: &Open<'_>) -> Option<Aside> {
        let spec = &self.slots[index].spec;
        let around = self.groups.around(spec.name.as_str());
        let (window, until) = open.around(&spec.name, &spec.tags, &around)?;
        Some(Aside { paused: false, title: window.title.clone(), until: Some(until) })
    }

    /// What is seen of a check changed without a run.
    pub(super) fn seen_anew(&mut self, index: usize, now: Now) {
        self.publish.mark(Urgency::Transition);
        self.changed(index, now);
    }
}

fn shown(number: Option<u64>, window: &Window, now: WallTime) -> WindowState {
    WindowState {
        number,
        title: window.title.clone(),
        names: window.names.clone(),
        tags: window.tags.clone(),
        open_until: window.when.until(now),
        next_change: window.when.next_change(now),
    }
}
