//! Processes in every state: traced, stopped, just started, dead, not Python.

mod support;

use rustix::process::Signal;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::dump::{TrueThread, compare};
use support::target::{state, thread_states};
use support::*;

fn truth(target: &Target) -> Vec<TrueThread> {
    serde_json::from_value(target.ready["threads"].clone()).unwrap()
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    until(what, || condition().then_some(()));
}

fn tracer(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap().trim().parse().unwrap()
}

/// Dumps a process that another program traces.
#[track_caller]
fn dump_traced(pid: i32) -> Dump {
    let run = run_py_spy(["dump", "--json", "-p", &pid.to_string()]).ok();
    assert!(
        run.stderr.contains("another tracer"),
        "does not say that it cannot pause: {:?}",
        run.stderr
    );
    serde_json::from_str(&run.stdout).unwrap()
}

/// gdb has it, and so it is stopped.
#[test]
fn under_gdb() {
    for interpreter in [newest(), interpreter(&["3.8.*-shared", "*"])] {
        let mut target = Target::start(interpreter, "simple.py", &[]);
        target.wait_asleep();
        let truth = truth(&target);
        let mut command = Command::new(tool("gdb"));
        command.args([
            "-q",
            "-nx",
            "-iex",
            "set debuginfod enabled off",
            "-iex",
            "set auto-solib-add off",
        ]);
        command.args(["-iex", "set confirm off", "-p", &target.pid().to_string()]);
        let mut gdb = Target::spawn("gdb", command);
        let pid = target.pid();
        wait_until("gdb holds it", || {
            tracer(pid) != 0 && thread_states(pid).iter().all(|(_, state)| *state == 't')
        });
        compare(&truth, &dump_traced(pid));
        assert!(thread_states(pid).iter().all(|(_, state)| *state == 't'), "gdb has it no longer");
        // Killed while it attaches, gdb would leave a stopped process behind.
        gdb.send("quit");
        gdb.wait();
        wait_until("it goes on", || tracer(pid) == 0);
        assert_true(&mut target, &[]);
    }
}

/// strace has it, and it runs.
#[test]
fn under_strace() {
    for interpreter in [newest(), interpreter(&["3.8.*-shared", "*"])] {
        let mut target = Target::start(interpreter, "simple.py", &[]);
        let pid = target.pid();
        let mut command = Command::new(tool("strace"));
        command.args(["-f", "-q", "-o", "/dev/null", "-p", &pid.to_string()]);
        let strace = Target::spawn("strace", command);
        wait_until("strace holds all threads", || {
            thread_states(pid).iter().all(|(tid, _)| tracer(*tid) == strace.child_pid())
        });
        target.wait_asleep();
        let truth = truth(&target);
        compare(&truth, &dump_traced(pid));
        assert_eq!(tracer(pid), strace.child_pid());
        target.send("strace lets it run");
        target.ready = target.wait_ready();
        drop(strace);
        wait_until("it goes on", || tracer(pid) == 0);
        assert_true(&mut target, &[]);
    }
}

/// A stopped process is dumped, and stays stopped.
#[test]
fn a_stopped_process_stays_stopped() {
    for_each(one_per_version(), |interpreter| {
        let mut target = Target::start(interpreter, "simple.py", &[]);
        target.wait_asleep();
        target.signal(Signal::STOP);
        let pid = target.pid();
        let stopped = || thread_states(pid).iter().all(|(_, state)| *state == 'T');
        wait_until("it is stopped", stopped);
        compare(&truth(&target), &dump_json(pid, &[]));
        assert!(stopped(), "{:?}", thread_states(pid));
        dump_text(pid, &["--nonblocking"]);
        assert!(stopped(), "{:?}", thread_states(pid));
        target.signal(Signal::CONT);
        assert_true(&mut target, &[]);
    });
}

/// A thread that computes, stopped: so must be paused to be read, were it not.
#[test]
fn a_busy_process_that_is_stopped_stays_stopped() {
    for_each(one_per_version(), |interpreter| {
        let target = Target::start(interpreter, "gil.py", &["burn"]);
        target.signal(Signal::STOP);
        let pid = target.pid();
        let stopped = || thread_states(pid).iter().all(|(_, state)| *state == 'T');
        wait_until("it is stopped", stopped);
        for _ in 0..3 {
            let dump = dump_json(pid, &[]);
            let burning = dump
                .iter()
                .filter(|thread| thread.frames.first().is_some_and(|frame| frame.name == "burn"));
            assert_eq!(burning.count(), 1, "{dump:?}");
            assert!(stopped(), "{:?}", thread_states(pid));
        }
        target.signal(Signal::CONT);
        wait_until("it goes on", || thread_states(pid).iter().any(|(_, state)| *state == 'R'));
    });
}

/// A dump at the very first moment waits until there is an interpreter.
#[test]
fn a_process_that_has_just_been_started() {
    let mut which: Vec<&Interpreter> = one_per_version();
    which.truncate(50);
    let rounds = 50usize.div_ceil(which.len());
    for_each(which, |interpreter| {
        for round in 0..rounds {
            let mut command = Command::new(&interpreter.path);
            command.arg(support::target::script_path("simple.py"));
            let mut target = Target::spawn(&interpreter.label, command);
            // Another moment in each round.
            std::thread::sleep(Duration::from_millis(3 * round as u64));
            let pid = target.child_pid();
            let text = dump_text(pid, &[]);
            assert!(
                text.starts_with(&format!("Process {pid}: ")) && text.contains("Python v"),
                "{text}"
            );
            target.ready = target.wait_ready();
            assert_true(&mut target, &[]);
        }
    });
}

/// Runs `dump` on what is no Python process: a clear error, status 1, nothing on stdout.
#[track_caller]
fn refused(pid: &str) -> String {
    let run = run_py_spy(["dump", "-p", pid]);
    assert_eq!(run.code(), Some(1), "{run:?}");
    assert!(run.stderr.starts_with("Error: ") && !run.stderr.contains("panicked"), "{run:?}");
    assert_eq!(run.stdout, "");
    let json = run_py_spy(["dump", "--json", "-p", pid]);
    assert_eq!((json.code(), json.stdout.as_str()), (Some(1), ""));
    run.stderr
}

#[test]
fn no_such_process() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    // Not to be had by any process.
    for pid in [&i32::MAX.to_string(), &child.id().to_string()] {
        assert!(refused(pid).contains(&format!("no process {pid}")));
    }
}

#[test]
fn a_zombie() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id() as i32;
    wait_until("it ended", || state(pid) == 'Z');
    let error = refused(&pid.to_string());
    assert!(error.contains("zombie") || error.contains("ended"), "{error}");
    child.wait().unwrap();
}

#[test]
fn a_kernel_thread() {
    // Children of kthreadd, if this machine shows it (containers do not).
    let kernel =
        std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd");
    if !kernel {
        eprintln!("no kernel threads are seen here (a container?): nothing to test");
        return;
    }
    let error = refused("2");
    assert!(error.contains("kernel"), "{error}");
}

/// Says what was tried.
#[test]
fn not_a_python_process() {
    let mut child = Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().unwrap();
    let error = refused(&child.id().to_string());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        error.contains("does not seem to be a Python program") && error.contains("What was tried"),
        "{error}"
    );
}

/// Each of several failures is told, in order, and names of the targets' choosing are escaped.
#[test]
fn several_processes_that_are_no_python() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sl\u{1b}[31meep");
    copy_program(&tool("sleep"), &program);
    let mut children: Vec<_> =
        (0..3).map(|_| Command::new(&program).arg("1000").spawn().unwrap()).collect();
    let pids: Vec<String> = children.iter().map(|child| child.id().to_string()).collect();
    let run = run_py_spy(
        ["dump".to_owned()]
            .into_iter()
            .chain(pids.iter().flat_map(|pid| ["-p".to_owned(), pid.clone()])),
    );
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!((run.code(), run.stdout.as_str()), (Some(1), ""), "{run:?}");
    let told = run.stderr.lines().filter(|line| line.starts_with("Error: "));
    let order: Vec<&str> =
        told.filter_map(|line| line.strip_prefix("Error: process ")?.split(' ').next()).collect();
    assert_eq!(order, pids, "{run:?}");
    assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
    assert_eq!(run.stderr.matches(r"/sl\x1b[31meep: ").count(), 3, "{run:?}");
}

/// It ends while we look: an error, never a panic.
#[test]
fn a_process_that_ends_meanwhile() {
    let interpreter = newest();
    for round in 0..30 {
        let mut child = Command::new(&interpreter.path).args(["-S", "-c", "pass"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(round));
        let pid = child.id();
        let dump = std::thread::spawn(move || run_py_spy(["dump", "-p", &pid.to_string()]));
        let _ = child.wait();
        let run = dump.join().unwrap();
        assert!(matches!(run.code(), Some(0 | 1)) && !run.stderr.contains("panicked"), "{run:?}");
        assert!(run.code() == Some(0) || run.stderr.starts_with("Error: "), "{run:?}");
    }
}

#[test]
fn bad_process_ids_are_usage_errors() {
    for pid in ["abc", "", "0", "-5", "1.5", "99999999999999999999", "0x"] {
        let run = run_py_spy(["dump", &format!("--pid={pid}")]);
        assert_eq!(run.code(), Some(2), "--pid={pid}: {run:?}");
        assert!(!run.stderr.contains("panicked") && !run.stderr.is_empty(), "{run:?}");
    }
}
