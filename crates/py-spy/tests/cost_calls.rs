//! What a sample costs in system calls: a count, the same on every machine.

mod record_kit;
mod support;

use record_kit::cost::{Calls, per_sample, record_pauses};
use support::{Target, for_each, one_per_version, until};

#[test]
fn a_sample_takes_two_reads_and_six_calls_at_the_most() {
    for_each(one_per_version().into_iter().filter(|python| python.at_least(3, 6)), |python| {
        for depth in ["28", "195"] {
            let target = Target::start(python, "depth.py", &[depth]);
            // Before 3.11 a quarter more than two: frames are anywhere in memory, and recordings
            // differ by chance in what they pause. Where the target has to wait for a processor
            // a pause takes more calls, so that the best of some counts is what a sample takes.
            // Where the shorter recording was the one that waited there seem to be too few: no
            // sample takes less than a read and another call.
            let most = if python.at_least(3, 11) { 2.0 } else { 2.25 };
            let mut counts = (0..8).filter_map(|_| per_sample(target.pid(), &[]));
            let few = counts.find(|Calls { reads, all }| {
                eprintln!("{} at depth {depth}: {reads:.2} reads, {all:.2} calls", python.label);
                (0.9..=most).contains(reads) && (2.0..=6.0).contains(all)
            });
            assert!(few.is_some(), "depth {depth}: more reads or system calls a sample");
        }
    });
}

/// Threads that sleep or wait are none of our business: nothing of theirs is interrupted, whether
/// they are recorded or not.
#[test]
fn idle_threads_are_never_interrupted() {
    for_each(one_per_version().into_iter().filter(|python| python.at_least(3, 8)), |python| {
        let target = Target::start(python, "record_threads.py", &["python", "sleeper", "waiter"]);
        target.wait_asleep_but("python");
        let busy = target.ready["tids"]["python"].as_i64().unwrap();
        for args in [&["--blocking"][..], &[], &["-i"]] {
            until("samples", || {
                let (samples, paused) = record_pauses(target.pid(), args);
                assert!(paused.iter().all(|tid| *tid == busy), "{args:?}: {busy}, {paused:?}");
                // That the busy one was shows that pauses are seen here.
                (samples > 0 && (args != ["--blocking"] || !paused.is_empty())).then_some(())
            });
        }
    });
}
