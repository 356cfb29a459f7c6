//! What a sample costs in system calls: a count, the same on every machine.

mod record_kit;
mod support;

use record_kit::cost::{Calls, per_sample};
use support::{Target, for_each, one_per_version};

#[test]
fn a_sample_takes_two_reads_and_six_calls_at_the_most() {
    for_each(one_per_version().into_iter().filter(|python| python.at_least(3, 6)), |python| {
        for depth in ["28", "195"] {
            let target = Target::start(python, "depth.py", &[depth]);
            let Calls { reads, all } = per_sample(target.pid(), &[]);
            eprintln!("{} at depth {depth}: {reads:.2} reads, {all:.2} calls", python.label);
            // A quarter more than two: recordings differ by chance in what they pause.
            assert!(reads <= 2.25, "depth {depth}: {reads:.2} reads of the target a sample");
            assert!(all <= 6.0, "depth {depth}: {all:.2} system calls a sample");
        }
    });
}
