//! The target stays well: whatever happens to us, and nothing is written into it.

mod support;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::target::thread_states;
use support::*;

fn counts(target: &mut Target) -> Vec<i64> {
    target.send("how far?");
    target.ready = target.wait_ready();
    assert_eq!(
        target.ready["wrong"].as_array().map(Vec::len),
        Some(0),
        "{}: {}",
        target.label,
        target.ready
    );
    target.ready["counts"].as_array().unwrap().iter().map(|count| count.as_i64().unwrap()).collect()
}

/// Killed 200 times at random moments, of `dump` and of `record`: the target is never
/// left stopped, and computes what it should.
#[test]
fn killed_at_any_moment() {
    let seed = SmallRng::from_os_rng().random();
    eprintln!("seed {seed}");
    let which = [interpreter(&["3.8.*-shared", "*"]), newest()];
    for_each(which, |interpreter| {
        let mut random = SmallRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.raw");
        let mut target = Target::start(interpreter, "counter.py", &[]);
        let pid = target.pid();
        let mut before = counts(&mut target);
        for round in 0..100 {
            let id = pid.to_string();
            let mut command = match round % 4 {
                0 => py_spy(["dump", "-p", &id]),
                1 => py_spy([
                    "record",
                    "--blocking",
                    "-r",
                    "1000",
                    "-d",
                    "10",
                    "-f",
                    "raw",
                    "-p",
                    &id,
                ]),
                _ => py_spy(["record", "-r", "1000", "-d", "10", "-f", "raw", "-p", &id]),
            };
            if round % 4 != 0 {
                command.arg("-o").arg(&output);
            }
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(random.random_range(0..60_000)));
            child.kill().unwrap();
            child.wait().unwrap();
            let stopped =
                thread_states(pid).into_iter().filter(|(_, state)| matches!(state, 'T' | 't'));
            assert_eq!(
                stopped.collect::<Vec<_>>(),
                [],
                "{} in round {round}, seed {seed}",
                target.label
            );
            if round % 20 == 19 {
                // Both threads go on.
                let deadline = Instant::now() + Duration::from_secs(30);
                loop {
                    let now = counts(&mut target);
                    if now.iter().zip(&before).all(|(now, before)| now > before) {
                        before = now;
                        break;
                    }
                    assert!(Instant::now() < deadline, "{}: stands still at {now:?}", target.label);
                }
            }
        }
    });
}

/// What strace saw of a run of ours.
fn traced(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = Command::new(tool("strace"));
    command.args(["-f", "-qq", "-o"]).arg(&log).args([
        "-e",
        "trace=ptrace,process_vm_readv,process_vm_writev,openat,open,kill,tgkill,pidfd_send_signal",
    ]);
    run(command.arg(env!("CARGO_BIN_EXE_py-spy")).args(args)).ok();
    std::fs::read_to_string(log).unwrap()
}

/// By the system calls that we make: reads, and pauses that end with our process, and
/// nothing else.
#[test]
fn nothing_is_written() {
    let target = Target::start(newest(), "counter.py", &[]);
    let pid = target.pid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.raw");
    let output = output.to_str().unwrap();
    let runs = [
        traced(&["dump", "-p", &pid]),
        traced(&["dump", "--nonblocking", "-p", &pid]),
        traced(&["record", "-d", "1", "-r", "200", "-f", "raw", "-o", output, "-p", &pid]),
        traced(&[
            "record",
            "--blocking",
            "-d",
            "1",
            "-r",
            "200",
            "-f",
            "raw",
            "-o",
            output,
            "-p",
            &pid,
        ]),
    ];
    for (at, log) in runs.iter().enumerate() {
        let mut reads = 0;
        let mut pauses = 0;
        for line in log.lines() {
            let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
            if call.starts_with("process_vm_readv(") {
                reads += 1;
            } else if let Some(arguments) = call.strip_prefix("ptrace(") {
                pauses += 1;
                let request = arguments.split([',', ')', ' ']).next().unwrap();
                let harmless = [
                    "PTRACE_SEIZE",
                    "PTRACE_INTERRUPT",
                    "PTRACE_DETACH",
                    "PTRACE_GETSIGINFO",
                    "PTRACE_LISTEN",
                ];
                assert!(harmless.contains(&request), "{line}");
            } else if call.starts_with("open") {
                let foreign = call.contains("/mem\"") || call.contains(&format!("/proc/{pid}/"));
                assert!(!foreign || call.contains("O_RDONLY"), "{line}");
            } else if !call.starts_with("<...")
                && !call.starts_with("---")
                && !call.starts_with("+++")
            {
                panic!("run {at}: {line}");
            }
        }
        assert!(reads > 0, "run {at} read nothing?\n{log}");
        assert!(at != 1 || pauses == 0, "--nonblocking paused\n{log}");
        assert!(at != 3 || pauses > 100, "--blocking paused {pauses} times");
    }
}
