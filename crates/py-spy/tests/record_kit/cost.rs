//! What a recording costs in system calls: counted by strace, the same on every machine.

use super::samples;
use crate::support::{run, tool};
use std::collections::HashMap;
use std::process::Command;

/// System calls.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    /// Those that read the target.
    pub reads: f64,
    /// All of them.
    pub all: f64,
}

/// The samples of a recording, and what strace with these `options` saw of it.
#[track_caller]
fn record_under_strace(pid: i32, options: &[&str], args: &[&str]) -> (u64, String) {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let run = run(Command::new(tool("strace"))
        .arg("-f")
        .args(options)
        .arg("-o")
        .arg(&seen)
        .args([env!("CARGO_BIN_EXE_py-spy"), "record", "-p", &pid.to_string(), "-o"])
        .arg(folder.path().join("out.raw"))
        .args(args))
    .ok();
    (samples(&run.stderr), std::fs::read_to_string(&seen).unwrap())
}

/// The samples of a recording, and how often it made which system call.
#[track_caller]
pub fn record_traced(pid: i32, seconds: &str, args: &[&str]) -> (u64, HashMap<String, u64>) {
    let args = [&["-r", "500", "-d", seconds], args].concat();
    let (samples, table) = record_under_strace(pid, &["-c", "-U", "calls,name"], &args);
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let count = words.next()?.parse().ok()?;
        words.next().filter(|name| *name != "total").map(|name| (name.to_owned(), count))
    };
    (samples, table.lines().filter_map(line).collect())
}

/// The difference between a long and a short recording is what samples cost; what a
/// recording costs at its start and end is in both. Nothing, if that is too few samples to tell.
#[track_caller]
pub fn per_sample(pid: i32, args: &[&str]) -> Option<Calls> {
    let short = record_traced(pid, "0.3", args);
    let long = record_traced(pid, "1.5", args);
    let taken = long.0.saturating_sub(short.0) as f64;
    if taken <= 50.0 {
        return None;
    }
    let each = |count: &dyn Fn(&HashMap<String, u64>) -> u64| {
        (count(&long.1) as f64 - count(&short.1) as f64) / taken
    };
    // To read the clock is no system call, but where the machine's clock is an odd one.
    let counts = |name: &&String| !name.starts_with("clock_gettime");
    Some(Calls {
        reads: each(&|calls| calls.get("process_vm_readv").copied().unwrap_or(0)),
        all: each(&|calls| calls.keys().filter(counts).map(|name| calls[name]).sum()),
    })
}

/// The samples of a recording, and the threads that it paused, each as often as it did.
#[track_caller]
pub fn record_pauses(pid: i32, args: &[&str]) -> (u64, Vec<i64>) {
    let args = [&["-r", "200", "-d", "0.5"], args].concat();
    let (samples, log) = record_under_strace(pid, &["-qq", "-e", "trace=ptrace"], &args);
    let paused = |line: &str| {
        let (_, call) = line.split_once("ptrace(")?;
        let (request, rest) = call.split_once(", ")?;
        let tid = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        let tid = tid.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
        ["PTRACE_SEIZE", "PTRACE_INTERRUPT"].contains(&request).then_some(tid)
    };
    (samples, log.lines().filter_map(paused).collect())
}
