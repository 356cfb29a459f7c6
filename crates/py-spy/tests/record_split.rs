//! `record` tells how a program's time is split.

mod record_kit;
mod support;

use record_kit::{Folded, record_raw, split_truth, until, with};
use std::time::Instant;
use support::{Target, for_each, one_per_version};

/// Shares may be off by this much.
const POINTS: f64 = 0.03;

/// How long a process with one thread has had and has waited for a processor, in nanoseconds.
fn used_and_waited(pid: i32) -> [f64; 2] {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    let mut numbers = text.split(' ').map(|number| number.parse().unwrap());
    [numbers.next().unwrap(), numbers.next().unwrap()]
}

/// What it tries to do.
const NOMINAL: [(&str, f64); 3] = [("sixty", 0.6), ("thirty", 0.3), ("ten", 0.1)];
const SECONDS: f64 = 2.5;

/// Records for a while; returns too what the program had and waited for meanwhile (ns), and
/// how much longer than the recording that took.
fn record(pid: i32, more: &[&str]) -> (Folded, [f64; 2], f64) {
    let (began, before) = (Instant::now(), used_and_waited(pid));
    let seconds = SECONDS.to_string();
    let found = record_raw(pid, &[&["-d", &seconds, "-r", "1000"], more].concat());
    let after = used_and_waited(pid);
    let around = began.elapsed().as_secs_f64() - SECONDS;
    (found, [0, 1].map(|i| after[i] - before[i]), around.max(0.0) * 1e9)
}

/// A program that spends about 60, 30 and 10 % in three functions and measures by its CPU
/// clock what it really was. Samples that are weighed by CPU time show that, and all of it; the
/// plain ones also show where it waited for a processor, which may be anywhere.
#[test]
fn a_known_split_is_found_on_every_version() {
    for_each(one_per_version(), |python| {
        let mut target = Target::start(python, "record_split.py", &[]);
        let mut by_cpu: Folded = Vec::new();
        // A single recording on a busy machine has few turns of each: as many as it takes.
        for _ in 0..6 {
            // All of it, unless we did not get a processor at the start or the end.
            by_cpu.extend(until("a recording of all CPU time", || {
                let (by_cpu, [used, _], around) = record(target.pid(), &["--cpu"]);
                let sum = record_kit::total(&by_cpu) as f64;
                assert!(sum <= used * 1.02, "{sum} of {used} ns");
                (sum >= (used - around) * 0.98).then_some(by_cpu)
            }));
            if NOMINAL
                .iter()
                .all(|(name, nominal)| (share(&by_cpu, name) - nominal).abs() < POINTS - 0.005)
            {
                break;
            }
        }
        let (plain, [used, waited], _) = record(target.pid(), &[]);
        let truth = split_truth(&mut target);
        for (found, bound) in [(by_cpu, POINTS), (plain, POINTS + waited / (used + waited))] {
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
