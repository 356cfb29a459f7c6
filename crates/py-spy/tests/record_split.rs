//! `record` tells how a program's time is split.

mod record_kit;
mod support;

use record_kit::{Folded, record_raw, split_truth, with};
use support::{Target, for_each, one_per_version};

/// Shares may be off by this much.
const POINTS: f64 = 0.03;

/// A program that spends about 60, 30 and 10 % in three functions and measures by its CPU
/// clock what it really was.
#[test]
fn a_known_split_is_found_on_every_version() {
    for_each(one_per_version(), |python| {
        let mut target = Target::start(python, "record_split.py", &[]);
        let found = record_raw(target.pid(), &["-d", "3", "-r", "1000"]);
        let counts: Vec<(String, f64, u64)> = split_truth(&mut target)
            .into_iter()
            .map(|(name, truth)| (name.clone(), truth, with(&found, &format!("{name} ("))))
            .collect();
        let sum: u64 = counts.iter().map(|(_, _, count)| count).sum();
        assert!(sum >= 300, "only {sum} samples");
        assert!(
            sum as f64 >= 0.97 * record_kit::total(&found) as f64,
            "elsewhere: {:?}",
            elsewhere(&found)
        );
        for (name, truth, count) in counts {
            let share = count as f64 / sum as f64;
            println!("{}: {name}: truth {truth:.3}, found {share:.3} of {sum}", python.label);
            assert!(
                (share - truth).abs() <= POINTS,
                "{name}: truth {truth:.3}, found {share:.3} of {sum} samples"
            );
        }
    });
}

fn elsewhere(found: &Folded) -> Vec<&(Vec<String>, u64)> {
    let three =
        |frame: &String| ["sixty", "thirty", "ten"].iter().any(|name| frame.starts_with(name));
    found.iter().filter(|(frames, _)| !frames.iter().any(three)).take(10).collect()
}
