//! What else may go wrong around `record`: terminals that close, odd places to write to, signals in
//! quick succession. What was recorded is written.

mod record_kit;
mod support;

use record_kit::{Folder, KillOnDrop, Running, folded, modern, record_until, total, until, with};
use rustix::process::Signal;
use std::fs::File;
use std::process::{Command, Stdio};
use support::target::state;
use support::{Target, for_each, one_per_version, py_spy, run};

fn burning() -> Target {
    Target::start(modern(), "record_life.py", &["burn"])
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_py-spy")]);
    command
}

/// Nobody can read what is said.
#[test]
fn without_a_place_for_messages() {
    let target = burning();
    let folder = Folder::new();
    let (one, other) = (folder.file("one.txt"), folder.file("other.svg"));
    let pid = target.pid().to_string();
    let args = ["record", "-d", "0.3", "-p", &pid, "-o", &one, "-o", &other];
    until("samples", || {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let status = py_spy(args).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(0));
        assert!(folder.read("other.svg").len() > 1000);
        (total(&folded(&folder.read("one.txt"))) > 0).then_some(())
    });
    let status = py_spy(["record", "-p", "1", "-f", "nonsense"]).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(2));
}

/// A terminal window that is closed takes nothing with it: neither to write to any more, nor
/// somebody to read it.
#[test]
fn a_terminal_that_closes() {
    let target = burning();
    let folder = Folder::new();
    let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
    let terminal = Running::on_terminal(&["record", "-p", &pid, "-o", &out]);
    until("the recording", || terminal.stdout().contains("Control-C").then_some(()));
    terminal.signal(Signal::KILL);
    // There may not have been time for a sample.
    until("the file", || (folder.names() == ["out.txt"]).then_some(()));
}

/// What stands for an open file is written to; what a link leads to is replaced, not the link.
#[test]
fn places_that_are_no_plain_names() {
    let target = burning();
    let folder = Folder::new();
    let pid = target.pid().to_string();
    for (name, out) in [("one", "/dev/stdout"), ("two", "/dev/fd/1"), ("three", "/proc/self/fd/1")]
    {
        until("samples", || {
            std::fs::write(folder.path().join(name), "before\n").unwrap();
            let log = File::options().append(true).open(folder.path().join(name)).unwrap();
            let args = ["record", "-d", "0.2", "-p", &pid, "-f", "raw", "-o", out];
            assert!(py_spy(args).stdout(log).stderr(Stdio::null()).status().unwrap().success());
            let text = folder.read(name);
            let found = folded(text.strip_prefix("before\n").unwrap());
            (total(&found) > 0).then_some(())
        });
    }
    std::fs::create_dir(folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere/real.txt", folder.path().join("link.txt")).unwrap();
    // The first time nothing is there yet.
    for _ in 0..2 {
        let out = folder.file("link.txt");
        until("samples", || {
            let args = ["record", "-d", "0.2", "-p", &pid, "-f", "raw", "-o", &out];
            run(&mut py_spy(args)).ok();
            let link = folder.path().join("link.txt");
            assert!(link.symlink_metadata().unwrap().is_symlink());
            (total(&folded(&folder.read("elsewhere/real.txt"))) > 0).then_some(())
        });
        let left = std::fs::read_dir(folder.path().join("elsewhere")).unwrap();
        assert_eq!(left.count(), 1);
    }
}

/// Service managers send SIGHUP right behind SIGTERM.
#[test]
fn two_signals_are_one_request() {
    let target = burning();
    let folder = Folder::new();
    let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
    let mut recording = Running::py_spy(&["record", "-p", &pid, "-o", &out]);
    recording.wait_sampling();
    // It gets both at once when it goes on.
    recording.signal(Signal::STOP);
    until("a stop", || (state(recording.pid()) == 'T').then_some(()));
    recording.signal(Signal::TERM);
    recording.signal(Signal::HUP);
    recording.signal(Signal::CONT);
    let done = recording.wait();
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(folder.names(), ["out.txt"]);
}

/// Under `nohup` the end of a terminal session ends neither us nor what we start.
#[test]
fn nohup_holds() {
    let folder = Folder::new();
    let (out, saved) = (folder.file("out.txt"), folder.file("out.pyspy"));
    let program = r#"import os, signal
print("IGNORED", signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, os.getpid(), flush=True)
while True:
    pass"#;
    let mut command = Command::new("nohup");
    command.args([env!("CARGO_BIN_EXE_py-spy"), "record", "-o", &out, "-o", &saved, "--"]);
    command.arg(&modern().path).args(["-c", program]);
    let mut recording = Running::start(command);
    let pid = until("the program", || {
        let said = recording.stdout();
        said.strip_prefix("IGNORED True ").and_then(|pid| pid.trim().parse::<i32>().ok())
    });
    let _program = KillOnDrop(pid);
    recording.wait_sampling();
    recording.signal(Signal::HUP);
    // Each second's samples are written: the end of a recording would be once or twice.
    for _ in 0..4 {
        let size = || std::fs::metadata(&saved).map_or(0, |meta| meta.len());
        let before = size();
        until("more samples", || (size() > before).then_some(()));
    }
    assert!(recording.is_running() && !recording.stderr().contains("because of a signal"));
    recording.signal(Signal::TERM);
    let done = recording.wait();
    assert!(done.stderr.contains("because of a signal"), "{}", done.stderr);
    assert!(total(&folded(&folder.read("out.txt"))) > 0);
    // It has been left to itself.
    assert!(!['Z', 'X'].contains(&state(pid)));
}

/// Files that may not grow are an error that is told, not our death.
#[test]
fn files_that_may_not_grow() {
    let target = burning();
    let folder = Folder::new();
    let script = format!(
        r#"cd "{}"; ulimit -f 1; exec "$1" record -d 0.2 -p {} -o out.svg"#,
        folder.path().display(),
        target.pid()
    );
    let done = run(&mut sh(&script));
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    assert!(
        done.stderr.contains("out.svg") && done.stderr.contains("File too large"),
        "{}",
        done.stderr
    );
    assert_eq!(folder.names(), [""; 0]);
}

/// Some viewers show the ids of threads: the process is meant.
#[test]
fn the_id_of_a_thread() {
    let target = Target::start(modern(), "record_threads.py", &["python"]);
    let (pid, tid) = (target.pid(), target.ready["tids"]["python"].as_i64().unwrap());
    for args in [&["record", "-d", "0.3", "-f", "raw", "-o", "-"][..], &["dump"]] {
        let both = ["-p".to_owned(), tid.to_string(), "-p".to_owned(), pid.to_string()];
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).chain(both).collect();
        until("what the thread does", || {
            let done = run(&mut py_spy(&args)).ok();
            let said = format!("{tid} is a thread of process {pid}, which is looked at");
            assert!(done.stderr.contains(&said), "{}", done.stderr);
            assert!(done.stdout.matches(&format!("Process {pid}")).count() < 2, "{}", done.stdout);
            assert!(!done.stdout.contains(&format!("rocess {tid}")), "{}", done.stdout);
            done.stdout.contains("compute_in_python").then_some(())
        });
    }
}

/// A program that is no Python, or not for long enough, leaves no profile, and that is said.
#[test]
fn nothing_to_record() {
    let folder = Folder::new();
    let done =
        run(py_spy(["record", "-o", &folder.file("out.svg"), "--", "true"])
            .current_dir(folder.path()));
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert!(
        done.stderr.contains("Nothing was recorded") && done.stderr.contains("-s"),
        "{}",
        done.stderr
    );
    assert_eq!(folder.names(), [""; 0]);
}

/// Threads one after the other in the same place, with the same id now and then, each with a name
/// and a function of its own.
#[test]
fn threads_keep_what_is_theirs() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "record_turns.py", &[]);
        record_until(target.pid(), &["-d", "1", "-r", "500", "-t"], |found, _| {
            let mut seen = 0;
            for (frames, count) in found {
                for name in ["even", "odd"] {
                    if frames.iter().any(|frame| frame.starts_with(&format!("job_{name} ("))) {
                        // It runs a moment before it has a name.
                        assert!(
                            frames[0].ends_with(&format!(": {name}")) || frames[0].ends_with(')'),
                            "{frames:?}"
                        );
                        seen += count;
                    }
                }
            }
            seen > 50 && with(found, "job_even (") > 0 && with(found, "job_odd (") > 0
        });
    });
}
