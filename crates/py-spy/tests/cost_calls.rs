//! What a sample costs in system calls: a count, the same on every machine.

mod record_kit;
mod support;

use record_kit::samples;
use std::process::Command;
use support::{Interpreter, Target, for_each, one_per_version, tool};

/// Samples and system calls of a recording: those that read the target, and all.
fn record_traced(pid: i32, seconds: &str) -> (u64, u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("calls");
    let output = folder.path().join("out.raw");
    let run = support::run(
        Command::new(tool("strace"))
            .args(["-f", "-c", "-U", "calls,name", "-o"])
            .arg(&table)
            .arg(env!("CARGO_BIN_EXE_py-spy"))
            .args(["record", "-r", "500", "-d", seconds, "-o"])
            .arg(&output)
            .args(["-p", &pid.to_string()]),
    )
    .ok();
    let mut reads = 0;
    let mut all = 0;
    for line in std::fs::read_to_string(&table).unwrap().lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(count), Some(name)) = (words.next(), words.next()) else { continue };
        let Ok(count) = count.parse::<u64>() else { continue };
        match name {
            "total" => {}
            "process_vm_readv" => {
                reads += count;
                all += count;
            }
            _ => all += count,
        }
    }
    (samples(&run.stderr), reads, all)
}

/// The difference between a long and a short recording is what samples cost; what a
/// recording costs at its start and end is in both.
fn per_sample(interpreter: &Interpreter, depth: &str) -> (f64, f64) {
    let target = Target::start(interpreter, "depth.py", &[depth]);
    let short = record_traced(target.pid(), "0.3");
    let long = record_traced(target.pid(), "1.5");
    let taken = long.0.saturating_sub(short.0) as f64;
    assert!(taken > 50.0, "only {taken} samples more in the longer recording");
    let each = |long: u64, short: u64| (long as f64 - short as f64) / taken;
    (each(long.1, short.1), each(long.2, short.2))
}

#[test]
fn a_sample_takes_two_reads_and_six_calls_at_the_most() {
    for_each(one_per_version().into_iter().filter(|python| python.at_least(3, 6)), |python| {
        for depth in ["28", "195"] {
            let (reads, all) = per_sample(python, depth);
            eprintln!("{} at depth {depth}: {reads:.2} reads, {all:.2} calls", python.label);
            // A quarter more than two: recordings differ by chance in what they pause.
            assert!(reads <= 2.25, "depth {depth}: {reads:.2} reads of the target a sample");
            assert!(all <= 6.0, "depth {depth}: {all:.2} system calls a sample");
        }
    });
}
