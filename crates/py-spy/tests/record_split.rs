//! `record` tells how a program's time is split.

mod record_kit;
mod support;

use record_kit::{Folded, counted, record_told, split_truth, until, with};
use std::time::Instant;
use support::{Target, for_each, one_per_version};

/// Shares may be off by this much.
const POINTS: f64 = 0.03;

/// How long a process with one thread has had a processor, in nanoseconds.
fn used(pid: i32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// What it tries to do.
const NOMINAL: [(&str, f64); 3] = [("sixty", 0.6), ("thirty", 0.3), ("ten", 0.1)];
const SECONDS: f64 = 2.5;

/// A recording, and what happened meanwhile, in nanoseconds.
struct Recorded {
    found: Folded,
    /// What the program had of a processor.
    used: f64,
    /// The rest: it waited for one, or the processor itself was taken away.
    waited: f64,
    /// How much longer than the recording all of it took.
    around: f64,
    /// The share of the instants at which we had no processor.
    missed: f64,
}

/// Records for a while.
fn record(pid: i32, more: &[&str]) -> Recorded {
    let (began, before) = (Instant::now(), used(pid));
    let seconds = SECONDS.to_string();
    let (found, told) = record_told(pid, &[&["-d", &seconds, "-r", "1000"], more].concat());
    let (used, took) = (used(pid) - before, began.elapsed().as_secs_f64());
    let missed = counted(&told, "missed").unwrap_or(0) as f64 / (SECONDS * 1000.0);
    let waited = (took * 1e9 - used).max(0.0);
    Recorded { found, used, waited, around: (took - SECONDS).max(0.0) * 1e9, missed }
}

/// A program that spends about 60, 30 and 10 % in three functions and measures by its CPU
/// clock what it really was. Samples that are weighed by CPU time show that, and all of it; the
/// plain ones also show where it waited for a processor, which may be anywhere.
#[test]
fn a_known_split_is_found_on_every_version() {
    for_each(one_per_version(), |python| {
        let mut target = Target::start(python, "record_split.py", &[]);
        let mut by_cpu: Folded = Vec::new();
        let (mut missed, mut rounds) = (0.0, 0.0);
        // A single recording on a busy machine has few turns of each: as many as it takes.
        for _ in 0..6 {
            // All of it, unless we did not get a processor at the start or the end.
            by_cpu.extend(until("a recording of all CPU time", || {
                let Recorded { found, used, around, missed: hole, .. } =
                    record(target.pid(), &["--cpu"]);
                let sum = record_kit::total(&found) as f64;
                assert!(sum <= used * 1.02, "{sum} of {used} ns");
                missed += hole;
                (sum >= (used - around) * 0.98).then_some(found)
            }));
            rounds += 1.0;
            if NOMINAL
                .iter()
                .all(|(name, nominal)| (share(&by_cpu, name) - nominal).abs() < POINTS - 0.005)
            {
                break;
            }
        }
        let plain = record(target.pid(), &[]);
        let truth = split_truth(&mut target);
        // All that was used while we had no processor is one sample's.
        let cpu_bound = POINTS + missed / rounds;
        let bound = POINTS + plain.waited / (plain.used + plain.waited);
        for (found, bound) in [(by_cpu, cpu_bound), (plain.found, bound)] {
            for (name, truth) in &truth {
                let (share, label) = (share(&found, name), &python.label);
                println!("{label}: {name}: truth {truth:.3}, found {share:.3}, bound {bound:.3}");
                assert!(
                    (share - truth).abs() <= bound,
                    "{name}: truth {truth:.3}, found {share:.3}, bound {bound:.3}"
                );
            }
        }
    });
}

/// The share of one of the three functions in all that is theirs, which is nearly all.
#[track_caller]
fn share(found: &Folded, name: &str) -> f64 {
    let of = |name: &str| with(found, &format!("{name} (")) as f64;
    let sum: f64 = NOMINAL.iter().map(|(name, _)| of(name)).sum();
    let all = record_kit::total(found) as f64;
    assert!(sum >= 300.0, "only {sum}");
    assert!(sum >= 0.97 * all, "elsewhere: {sum} of {all}: {:?}", found.iter().take(10));
    of(name) / sum
}
