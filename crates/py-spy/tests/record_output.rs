//! Where `record` writes to, and what it says meanwhile.

mod record_kit;
mod support;

use record_kit::{Folder, folded, modern, samples, total};
use std::process::{Command, Stdio};
use support::{Run, Target, py_spy, run, run_py_spy, tool};

/// Without a terminal there are only whole lines.
#[test]
fn without_a_terminal_there_is_no_progress() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let pid = target.pid().to_string();
    let run = run_py_spy(["record", "-d", "1", "-o", "/dev/null", "-p", &pid]).ok();
    assert_eq!(run.stdout, "");
    assert!(
        !run.stderr.contains(['\r', '\u{1b}']) && !run.stderr.contains("a second,"),
        "{:?}",
        run.stderr
    );
    let qualities = run.stderr.lines().filter(|line| line.contains(" samples, ")).count();
    assert_eq!(qualities, 1, "{}", run.stderr);
}

/// Runs our binary, and fails if it starts a program: one that is looked for right after may
/// not have got a processor yet.
#[track_caller]
fn run_watched(args: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = Command::new(tool("strace"));
    command.args(["-f", "-qq", "-e", "trace=execve,execveat", "-o"]).arg(&log);
    let done = run(command.arg(env!("CARGO_BIN_EXE_py-spy")).args(args));
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(log.matches("execve").count(), 1, "{args:?} starts a program: {log}");
    done
}

/// What cannot be done is said before anything is started.
#[test]
fn bad_outputs_are_noticed_before_the_start() {
    let folder = Folder::new();
    let mark = folder.file("started");
    for out in ["/nonexistent/folder/out.svg", "/proc/out.svg", "/"] {
        let args = [
            "record",
            "-o",
            out,
            "-d",
            "1",
            "--",
            "/bin/sh",
            "-c",
            &format!("touch {mark}; sleep 1"),
        ];
        let run = run_watched(&args);
        assert_eq!(run.code(), Some(1), "-o {out:?}: {}", run.stderr);
        assert!(
            run.stderr.starts_with("Error: ") && run.stderr.contains(out),
            "-o {out:?}: {}",
            run.stderr
        );
    }
    assert_eq!(folder.names(), [""; 0], "the program was started");
    // One bad output of several.
    let good = folder.file("good.svg");
    let args = ["record", "-o", &good, "-o", "/nonexistent/x", "-d", "1", "--", "/bin/true"];
    let run = run_watched(&args);
    assert_eq!((run.code(), folder.names()), (Some(1), vec![]), "{}", run.stderr);
}

/// Without -o the file is in the current folder, named for what was recorded.
#[test]
fn the_default_file_is_here() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let pid = target.pid().to_string();
    let python = modern().path.clone();
    let script = support::target::script_path("record_child.py");
    let program = python.file_name().unwrap().to_str().unwrap();
    let child = ["--", python.to_str().unwrap(), script.to_str().unwrap(), "0.2", "exit", "0"];
    let cases: [(&[&str], &str, &str); 3] = [
        (&["-d", "0.2", "-p", &pid], &pid, "svg"),
        (&["-d", "0.2", "-f", "speedscope", "-p", &pid], &pid, "json"),
        (&child, program, "svg"),
    ];
    for (args, name, ending) in cases {
        let folder = Folder::new();
        let mut command = py_spy([&["record"], args].concat());
        command.current_dir(folder.path());
        let run = run(&mut command).ok();
        let names = folder.names();
        assert_eq!(names.len(), 1, "{names:?}: {}", run.stderr);
        let rest = names[0]
            .strip_prefix(&format!("{name}-"))
            .and_then(|rest| rest.strip_suffix(&format!(".{ending}")));
        let time = rest.unwrap_or_else(|| panic!("{names:?}"));
        let digits = time.chars().filter(char::is_ascii_digit).count();
        assert!(time.starts_with("20") && digits == 14, "a time: {time}");
        assert!(run.stderr.contains(&names[0]), "{}", run.stderr);
        assert!(folder.read(&names[0]).len() > 100);
    }
}

/// Several outputs in one run, one of them stdout, where nothing else is.
#[test]
fn stdout_is_only_for_results() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let folder = Folder::new();
    let (pid, out) = (target.pid().to_string(), folder.file("two.svg"));
    let run = run_py_spy(["record", "-d", "0.3", "-f", "raw", "-o", "-", "-p", &pid]).ok();
    assert_eq!(total(&folded(&run.stdout)), samples(&run.stderr));
    let run = run_py_spy(["record", "-d", "0.3", "-o", "-", "-o", &out, "-p", &pid]).ok();
    assert!(
        run.stdout.starts_with("<?xml") && run.stdout.trim_end().ends_with("</svg>"),
        "{}",
        run.stdout
    );
    assert_eq!(folder.read("two.svg"), run.stdout);
    // A reader that goes away is an error, not a panic.
    let mut recording = py_spy(["record", "-d", "0.3", "-o", "-", "-p", &pid])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(recording.stdout.take());
    let done = recording.wait_with_output().unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(told.contains("cannot write -") && !told.contains("panicked"), "{told}");
}
