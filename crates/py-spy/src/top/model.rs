//! What has been seen, in numbers: the last window, and the whole run.
//!
//! A sample costs a table look-up and a count. Everything else happens once a window, for each
//! distinct stack seen in it, or when the view asks for it.

use super::history::History;
use super::table::{Grouping, Table};
use crate::fleet::Observed;
use profile::{ProcessIx, Quality, Recording, StackId, WeightUnit};
use rustc_hash::FxHashMap;
use std::fmt;

/// A stack of a process: what samples are counted by.
pub type Place = (ProcessIx, StackId);

/// A thread: its process and its id.
pub type ThreadKey = (ProcessIx, u64);

/// What was seen of one thread in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadWindow {
    /// Samples in which it computed.
    pub active: u64,
    /// Samples in which it held the GIL.
    pub gil: u64,
    /// Its last stack.
    pub stack: StackId,
}

/// The samples between two refreshes.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// Sampling instants.
    pub ticks: u64,
    /// Threads that computed, summed over the instants.
    pub active: u64,
    /// Threads that held a GIL, summed over the instants.
    pub gil: u64,
    /// How long it was, in nanoseconds.
    pub elapsed_ns: u64,
    /// CPU time that the processes used in it, in nanoseconds.
    pub cpu_ns: u64,
    /// Weights in the recording's unit.
    weights: FxHashMap<Place, u64>,
    /// What was seen of each thread, by its id.
    pub threads: FxHashMap<ThreadKey, ThreadWindow>,
}

impl Window {
    /// `sum`, counted at the window's instants, for each instant.
    pub fn share(&self, sum: u64) -> f64 {
        if self.ticks == 0 { 0.0 } else { sum as f64 / self.ticks as f64 }
    }

    /// How much of the time a GIL was held: 1 for all of it, more for several processes.
    pub fn gil_share(&self) -> f64 {
        self.share(self.gil)
    }

    /// How many threads computed, on average.
    pub fn active_share(&self) -> f64 {
        self.share(self.active)
    }

    /// How many processors were used, on average.
    pub fn cpu_share(&self) -> f64 {
        if self.elapsed_ns == 0 { 0.0 } else { self.cpu_ns as f64 / self.elapsed_ns as f64 }
    }

    /// The time by place, in nanoseconds.
    fn times(&self, unit: WeightUnit) -> Vec<(Place, u64)> {
        let time_ns = |weight: u64| match unit {
            WeightUnit::Nanoseconds => weight,
            // An instant stands for its part of the time, so that those that were missed are
            // made up for.
            WeightUnit::Samples => {
                let ns = u128::from(weight) * u128::from(self.elapsed_ns);
                u64::try_from(ns / u128::from(self.ticks.max(1))).unwrap_or(u64::MAX)
            }
        };
        self.weights.iter().map(|(place, weight)| (*place, time_ns(*weight))).collect()
    }
}

/// What has not been sampled as it should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    missed: u64,
    dropped: u64,
    errors: u64,
}

impl Losses {
    fn of(quality: &Quality) -> Losses {
        Losses { missed: quality.missed, dropped: quality.dropped, errors: quality.errors }
    }

    fn since(self, before: Losses) -> Losses {
        Losses {
            missed: self.missed - before.missed,
            dropped: self.dropped - before.dropped,
            errors: self.errors - before.errors,
        }
    }
}

impl fmt::Display for Losses {
    /// To be read behind a number of samples; nothing if nothing was lost.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [(self.missed, "missed"), (self.dropped, "dropped"), (self.errors, "errors")];
        let mut some = counts.into_iter().filter(|(count, _)| *count > 0);
        some.try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

/// All that a view is drawn from.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// The last window.
    pub window: Window,
    /// Time in it by place, in nanoseconds.
    window_times: Vec<(Place, u64)>,
    /// Time by place since the start or the last reset, in nanoseconds.
    pub times: FxHashMap<Place, u64>,
    /// How long that is, in nanoseconds.
    pub elapsed_ns: u64,
    /// Sampling instants in it.
    pub ticks: u64,
    /// What has been lost in it.
    pub lost: Losses,
    /// GIL and CPU use over time.
    pub history: History,
    /// The rows.
    pub table: Table,
}

impl Shown {
    fn close(&mut self, recording: &Recording, window: Window, unit: WeightUnit) {
        self.window_times = window.times(unit);
        for (place, time) in &self.window_times {
            let sum = self.times.entry(*place).or_insert(0);
            *sum = sum.saturating_add(*time);
        }
        self.table.begin_window();
        self.table.add(recording, self.window_times.iter().copied(), true, true);
        self.elapsed_ns += window.elapsed_ns;
        self.ticks += window.ticks;
        self.history.push(window.gil_share(), window.cpu_share());
        self.window = window;
    }

    fn regroup(&mut self, recording: &Recording, grouping: Grouping) {
        self.table = Table::new(grouping);
        self.table.add(recording, self.times.iter().map(|(place, ns)| (*place, *ns)), false, true);
        self.table.add(recording, self.window_times.iter().copied(), true, false);
    }
}

/// Statistics of a running program.
#[derive(Debug, Default)]
pub struct Model {
    unit: WeightUnit,
    /// The window that is being filled.
    open: Window,
    live: Shown,
    /// What had been lost before the numbers began.
    lost_before: Losses,
    /// What the view shows while it is paused.
    frozen: Option<Box<Shown>>,
}

impl Model {
    /// Nothing seen yet. Weights will be in `unit`.
    pub fn new(unit: WeightUnit, grouping: Grouping) -> Model {
        let live = Shown { table: Table::new(grouping), ..Shown::default() };
        Model { unit, live, ..Model::default() }
    }

    /// Takes note of one sampling instant. A thread without weight is not counted, but in the
    /// sums over all threads.
    pub fn observe(&mut self, observed: &[Observed]) {
        let open = &mut self.open;
        open.ticks += 1;
        for seen in observed {
            open.active += u64::from(seen.active);
            open.gil += u64::from(seen.gil);
            let thread = open.threads.entry((seen.process, seen.tid)).or_default();
            thread.active += u64::from(seen.active);
            thread.gil += u64::from(seen.gil);
            thread.stack = seen.stack;
            if seen.weight > 0 {
                let sum = open.weights.entry((seen.process, seen.stack)).or_insert(0);
                *sum = sum.saturating_add(seen.weight);
            }
        }
    }

    /// Closes the window, `elapsed_ns` after the one before; the processes used `cpu_ns` in it.
    /// A window without an instant goes on instead, and nothing is new: false.
    pub fn close_window(&mut self, recording: &Recording, elapsed_ns: u64, cpu_ns: u64) -> bool {
        self.open.elapsed_ns += elapsed_ns;
        self.open.cpu_ns += cpu_ns;
        if self.open.ticks == 0 {
            return false;
        }
        self.live.close(recording, std::mem::take(&mut self.open), self.unit);
        self.live.lost = Losses::of(&recording.quality).since(self.lost_before);
        true
    }

    /// Forgets all numbers.
    pub fn reset(&mut self, recording: &Recording) {
        let table = Table::new(self.live.table.grouping());
        self.open = Window::default();
        self.lost_before = Losses::of(&recording.quality);
        self.live = Shown { table, ..Shown::default() };
        self.frozen = self.frozen.take().map(|_| Box::new(self.live.clone()));
    }

    /// Holds what is shown, or shows the present again. Counting goes on in any case.
    pub fn pause(&mut self, pause: bool) {
        self.frozen = pause.then(|| match self.frozen.take() {
            Some(frozen) => frozen,
            None => Box::new(self.live.clone()),
        });
    }

    /// Whether what is shown is held.
    pub fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// What is to be shown.
    pub fn shown(&self) -> &Shown {
        self.frozen.as_deref().unwrap_or(&self.live)
    }

    /// Makes rows of another kind, also of what has been seen so far.
    pub fn regroup(&mut self, recording: &Recording, grouping: Grouping) {
        self.live.regroup(recording, grouping);
        if let Some(frozen) = &mut self.frozen {
            frozen.regroup(recording, grouping);
        }
    }
}
