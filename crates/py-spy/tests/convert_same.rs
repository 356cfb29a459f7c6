//! What `convert` makes of a saved recording is what `record` itself would have written.

mod record_kit;
mod support;

use record_kit::{Folder, Running, folded, modern, samples, total, until, with};
use std::process::Stdio;
use support::{Interpreter, Target, for_each, one_per_version, py_spy, run_py_spy};

/// The formats, by the endings of the files' names.
const ENDINGS: [&str; 4] = ["txt", "svg", "speedscope.json", "trace.json"];

fn bytes(folder: &Folder, name: &str) -> Vec<u8> {
    std::fs::read(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Records in all formats at once, and again from the saved recording: with `look` both times,
/// and `more` for the recording.
#[track_caller]
fn check_same(pid: i32, look: &[&str], more: &[&str]) {
    let (folder, pid) = (Folder::new(), pid.to_string());
    let outputs = |stem: &str| -> Vec<String> {
        let file = |ending| ["-o".to_owned(), folder.file(&format!("{stem}.{ending}"))];
        ENDINGS.into_iter().flat_map(file).collect()
    };
    let saved = folder.file("run.pyspy");
    let fixed = ["record", "-p", &pid, "-d", "0.7", "-r", "200", "-o", &saved];
    let fixed = [&fixed, look, more].concat();
    let recorded = until("samples", || {
        let args = fixed.iter().map(ToString::to_string).chain(outputs("direct"));
        let recorded = run_py_spy(args).ok();
        (!folder.read("direct.txt").is_empty()).then_some(recorded)
    });
    let fixed = [&["convert", &saved], look].concat();
    let converted =
        run_py_spy(fixed.iter().map(ToString::to_string).chain(outputs("converted"))).ok();
    assert!(!converted.stderr.contains("not complete"), "{}", converted.stderr);
    assert_eq!(converted.stdout, "");
    assert_eq!(folder.names().len(), 2 * ENDINGS.len() + 1, "{:?}", folder.names());
    for ending in ENDINGS {
        let direct = bytes(&folder, &format!("direct.{ending}"));
        let converted = bytes(&folder, &format!("converted.{ending}"));
        assert!(!direct.is_empty() && direct == converted, "{ending}, {look:?}, {more:?}");
    }
    let stacks = folded(&folder.read("converted.txt"));
    if !more.contains(&"--cpu") {
        assert_eq!(total(&stacks), samples(&recorded.stderr), "{}", recorded.stderr);
    }
}

#[test]
fn on_every_version() {
    let test = |python: &Interpreter| {
        let target = Target::start(python, "record_life.py", &["burn"]);
        check_same(target.pid(), &[], &[]);
    };
    for_each(one_per_version(), test);
}

/// Threads and processes, weights, and every way to look at them.
#[test]
fn however_it_is_looked_at() {
    let kinds = ["python", "outside", "stepper", "waiter"];
    let threads = Target::start(modern(), "record_threads.py", &kinds);
    check_same(threads.pid(), &["-t"], &["-i"]);
    check_same(threads.pid(), &["-t", "-F"], &["--cpu"]);
    check_same(threads.pid(), &["--nolineno", "--full-filenames"], &["--gil"]);
    let forks = Target::start(modern(), "record_life.py", &["fork"]);
    check_same(forks.pid(), &["--subprocesses", "-t"], &[]);
}

/// The flags of `convert` decide, not those of `record`: everything was kept.
#[test]
fn nothing_is_lost_by_how_it_was_recorded() {
    let kinds = ["python", "stepper"];
    let target = Target::start(modern(), "record_threads.py", &kinds);
    let (folder, pid) = (Folder::new(), target.pid().to_string());
    let (saved, direct) = (folder.file("run.pyspy"), folder.file("direct.txt"));
    let args = ["-d", "0.7", "-r", "200", "-F", "-p", &pid, "-o", &saved, "-o", &direct];
    let raw = |look: &[&str]| {
        let args = [&["convert", &saved, "-f", "raw", "-o", "-"], look].concat();
        run_py_spy(args).ok().stdout
    };
    let script = support::target::script_path("record_threads.py");
    let full = format!("compute_in_python ({}:", script.to_str().unwrap());
    until("the thread and what it does", || {
        run_py_spy([&["record"], &args[..]].concat()).ok();
        assert_eq!(raw(&["-F"]), folder.read("direct.txt"));
        let threads = folded(&raw(&["-t", "--full-filenames"]));
        assert_eq!(total(&threads), total(&folded(&raw(&[]))));
        assert_eq!(with(&threads, "thread ("), total(&threads));
        let named = threads.iter().any(|(frames, _)| frames[0].ends_with(": python"));
        (named && with(&threads, &full) > 0).then_some(())
    });
}

/// The first samples are from before threads have names, and are in the file by then.
#[test]
fn names_that_come_late_are_for_all_samples() {
    let folder = Folder::new();
    let (saved, direct) = (folder.file("run.pyspy"), folder.file("direct.txt"));
    let program = "import os, select, sys
def spin(name):
    print(name, flush=True)
    while not select.select([0], [], [], 0)[0]:
        for _ in range(10000):
            pass
    os.read(0, 1)
assert 'threading' not in sys.modules
spin('first')
import threading
thread = threading.Thread(target=spin, args=('second',), name='late')
thread.start()
thread.join()
";
    let python = modern().path.to_str().unwrap();
    let args = ["record", "-t", "-r", "500", "-o", &saved, "-o", &direct, "--", python, "-c"];
    let mut recording = Running::py_spy(&[&args[..], &[program]].concat());
    for name in ["first\n", "second\n"] {
        until(name, || {
            assert!(recording.is_running(), "{}", recording.stderr());
            recording.stdout().ends_with(name).then_some(())
        });
        // The head of the file, or what is from before; then a second's samples.
        for _ in 0..2 {
            let size = || std::fs::metadata(&saved).map_or(0, |meta| meta.len());
            let before = size();
            until("more samples", || (size() > before).then_some(()));
        }
        // Its stdin is the program's.
        recording.send("x");
    }
    recording.wait().ok();
    let converted = run_py_spy(["convert", "-t", "-f", "raw", &saved, "-o", "-"]).ok().stdout;
    assert_eq!(converted, folder.read("direct.txt"));
    let stacks = folded(&converted);
    for name in [": MainThread", ": late"] {
        assert!(stacks.iter().any(|(frames, _)| frames[0].ends_with(name)), "{name}: {stacks:?}");
    }
    for (frames, _) in &stacks {
        assert!(frames[0].starts_with("thread (") && frames[0].contains("): "), "{frames:?}");
    }
}

/// Through pipes, in and out, while it is recorded; and into its own format.
#[test]
fn through_pipes() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let (folder, pid) = (Folder::new(), target.pid().to_string());
    let direct = folder.file("direct.txt");
    let args = ["record", "-d", "0.5", "-p", &pid, "-f", "pyspy", "-o", "-"];
    let copy = folder.file("copy.pyspy");
    until("samples", || {
        let mut record = py_spy(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let args = ["convert", "-", "-o", &direct, "-o", &copy];
        let convert = py_spy(args).stdin(record.stdout.take().unwrap()).output().unwrap();
        assert!(record.wait().unwrap().success());
        let told = String::from_utf8(convert.stderr).unwrap();
        assert!(convert.status.success() && !told.contains("not complete"), "{told}");
        let copied = run_py_spy(["convert", &copy, "-f", "raw", "-o", "-"]).ok();
        assert_eq!(copied.stdout, folder.read("direct.txt"));
        (with(&folded(&copied.stdout), "compute_in_parent (") > 0).then_some(())
    });
}
