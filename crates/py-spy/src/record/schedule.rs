//! When to sample: one instant in each interval, anywhere in it.
//!
//! Instants at equal distances would favour or miss parts of a program that does
//! something at the same rhythm. A random instant in each interval does not, and reaches
//! the asked rate exactly.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A sample may be this late, or it is not taken. At high rates this is many intervals,
/// so that one slow sample does not cost the following ones.
const PATIENCE_NS: u64 = 2_000_000;

/// The plan of a recording.
#[derive(Debug)]
pub struct Schedule {
    start_ns: u64,
    interval_ns: f64,
    /// The next interval to sample in.
    slot: u64,
    random: SmallRng,
}

/// One planned sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// When, on the clock of [`remote::os::clock::now_ns`].
    pub at_ns: u64,
    /// How many intervals before it have passed without a sample.
    pub missed: u64,
}

impl Schedule {
    /// From `start_ns` on, `rate` samples a second.
    pub fn new(start_ns: u64, rate: f64) -> Schedule {
        Schedule { start_ns, interval_ns: 1e9 / rate, slot: 0, random: SmallRng::from_os_rng() }
    }

    /// When it began.
    pub fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// The next sample. Intervals that were over before `now_ns` by more than a little
    /// are not caught up with: they are counted.
    pub fn next(&mut self, now_ns: u64) -> Tick {
        let patient = now_ns.saturating_sub(self.start_ns + PATIENCE_NS);
        let current = (patient as f64 / self.interval_ns) as u64;
        let missed = current.saturating_sub(self.slot);
        self.slot += missed;
        let from = self.slot as f64 + self.random.random::<f64>();
        self.slot += 1;
        Tick { at_ns: self.start_ns + (from * self.interval_ns) as u64, missed }
    }

    /// How many intervals are over at the end of the recording, at `end_ns`, that had no sample
    /// and have not been counted. `open` says that the last tick was not taken.
    pub fn unused(&self, end_ns: u64, open: bool) -> u64 {
        // Of a whole number of intervals none is to be lost to the last digit.
        let over = (end_ns.saturating_sub(self.start_ns) as f64 / self.interval_ns + 1e-6) as u64;
        over.saturating_sub(self.slot.saturating_sub(u64::from(open)))
    }

    /// Whether a sample planned for `at_ns` and taken at `now_ns` is more than an
    /// interval late.
    pub fn is_late(&self, now_ns: u64, at_ns: u64) -> bool {
        now_ns.saturating_sub(at_ns) as f64 > self.interval_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interval_has_one_sample_and_lost_ones_are_counted() {
        let mut schedule = Schedule::new(1_000, 1e6);
        let mut now = 1_000;
        let mut offsets = Vec::new();
        for slot in 0..1000 {
            let tick = schedule.next(now);
            assert_eq!(tick.missed, 0);
            let offset = tick.at_ns - 1_000 - slot * 1_000;
            assert!(offset < 1_000, "slot {slot}: {offset}");
            offsets.push(offset);
            now = tick.at_ns;
        }
        assert!(offsets.iter().any(|o| *o < 100) && offsets.iter().any(|o| *o > 900));
        let over = 1_000 + 1_005_500;
        let tick = schedule.next(over);
        assert_eq!((tick.missed, tick.at_ns < over), (0, true));
        let tick = schedule.next(over + PATIENCE_NS);
        assert_eq!(tick.missed, 4);
        assert!(tick.at_ns >= 1_000 + 1_005_000 && tick.at_ns < 1_000 + 1_006_000);
        assert!(schedule.is_late(3_000, 1_000) && !schedule.is_late(1_900, 1_000));
    }

    #[test]
    fn what_was_not_taken_at_the_end_is_counted() {
        let mut schedule = Schedule::new(1_000, 3.0);
        let second = 1_000 + 1_000_000_000;
        assert_eq!(schedule.unused(second, false), 3);
        let tick = schedule.next(1_000);
        assert_eq!((schedule.unused(second, false), schedule.unused(second, true)), (2, 3));
        assert_eq!(schedule.unused(tick.at_ns, false), 0);
        for _ in 0..2 {
            schedule.next(1_000);
        }
        assert_eq!((schedule.unused(second, false), schedule.unused(second, true)), (0, 1));
        schedule.next(1_000);
        assert_eq!((schedule.unused(second, false), schedule.unused(second, true)), (0, 0));
    }
}
