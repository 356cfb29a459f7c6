//! Where `record` writes to, and what it says meanwhile.

mod record_kit;
mod support;

use record_kit::{Folder, folded, modern, samples, total};
use std::process::Command;
use support::{Target, py_spy, run, run_py_spy};

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
        let run = run_py_spy(args);
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
    let run =
        run_py_spy(["record", "-o", &good, "-o", "/nonexistent/x", "-d", "1", "--", "/bin/true"]);
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
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "(\"$0\" record -d 0.3 -o - -p $1; echo status $? >&2) | true",
        env!("CARGO_BIN_EXE_py-spy"),
        &pid,
    ]);
    let run = support::run(&mut command);
    assert!(
        !run.stderr.contains("panicked") && !run.stderr.contains("status 101"),
        "{}",
        run.stderr
    );
}
