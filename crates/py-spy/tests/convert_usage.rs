//! What `convert` says when it cannot.

mod record_kit;
mod support;

use record_kit::{Folder, folded, modern, samples, total};
use support::{Target, run_py_spy};

/// A folder with a recording in it, `run.pyspy`, and how many samples it has.
fn recorded() -> (Folder, u64) {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let (folder, pid) = (Folder::new(), target.pid().to_string());
    let out = folder.file("run.pyspy");
    let run = run_py_spy(["record", "-d", "0.5", "-p", &pid, "-o", &out]).ok();
    (folder, samples(&run.stderr))
}

/// Fails with this text, and leaves nothing behind.
#[track_caller]
fn fails(folder: &Folder, args: &[&str], status: i32, text: &str) {
    let before = folder.names();
    let run = run_py_spy([&["convert"], args].concat());
    assert_eq!(run.code(), Some(status), "{args:?}: {}", run.stderr);
    assert!(run.stderr.contains(text), "{args:?}: {}", run.stderr);
    assert_eq!((run.stdout.as_str(), folder.names()), ("", before), "{args:?}");
}

#[test]
fn what_cannot_be_read_is_told() {
    let (folder, _) = recorded();
    let (good, out) = (folder.file("run.pyspy"), folder.file("out.txt"));
    let bytes = std::fs::read(&good).unwrap();
    let other = folder.file("other");
    let mut newer = bytes.clone();
    newer[8] = 77;
    let cases: [(&[u8], &str); 5] = [
        (b"", "this is not a recording made by py-spy"),
        (b"main (app.py:3) 7\n", "this is not a recording made by py-spy"),
        (b"\x89PNG\r\n\x1a\n............", "this is not a recording made by py-spy"),
        (&bytes[..7], "this is not a recording made by py-spy"),
        (&newer, "made by a newer py-spy (version 77 of the format"),
    ];
    for (contents, text) in cases {
        std::fs::write(&other, contents).unwrap();
        fails(&folder, &[&other, "-o", &out], 1, &format!("Error: cannot read {other}: "));
        fails(&folder, &[&other, "-o", &out], 1, text);
    }
    fails(&folder, &[&folder.file("missing"), "-o", &out], 1, "No such file");
    fails(&folder, &[folder.path().to_str().unwrap(), "-o", &out], 1, "Is a directory");
    fails(&folder, &[&good, "-o", "/nonexistent/x.svg"], 1, "cannot write /nonexistent/x.svg");
    // One of several: none is written.
    fails(&folder, &[&good, "-o", &out, "-o", "/nonexistent/x.svg"], 1, "cannot write");
}

#[test]
fn wrong_usage_is_told() {
    let (folder, _) = recorded();
    let (good, out) = (folder.file("run.pyspy"), folder.file("out.txt"));
    fails(&folder, &[&good], 2, "--output <FILE>");
    fails(&folder, &["-o", &out], 2, "<RECORDING>");
    fails(&folder, &[&good, "-o", &out, "-f", "pdf"], 2, "unknown format \"pdf\"");
    fails(&folder, &[&good, "-o", &out, "-F", "--nolineno"], 2, "cannot be used with");
}

/// Over the recording itself, which is read before.
#[test]
fn a_recording_can_be_replaced() {
    let (folder, samples) = recorded();
    let path = folder.file("run.pyspy");
    run_py_spy(["convert", &path, "-o", &path]).ok();
    run_py_spy(["convert", &path, "-o", &path, "-f", "RAW"]).ok();
    assert_eq!(total(&folded(&folder.read("run.pyspy"))), samples);
    assert_eq!(folder.names(), ["run.pyspy"]);
}
