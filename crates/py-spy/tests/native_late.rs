//! `record --native`: modules that are loaded, and unloaded, while the recording runs.

mod native_kit;
mod record_kit;
mod support;

use native_kit::*;
use record_kit::*;
use rustix::process::Signal;
use std::path::Path;
use support::*;

/// Waits until the recording, which writes what it has seen once a second, has seen a
/// function.
#[track_caller]
fn wait_seen(file: &Path, name: &str) {
    until(&format!("a sample in {name}"), || {
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes.windows(name.len()).any(|part| part == name.as_bytes()).then_some(())
    });
}

/// Both libraries are the same but for the names, so that the second one fits where the first
/// one was.
#[test]
fn a_library_that_is_loaded_later_is_shown_and_so_is_one_that_takes_its_place() {
    let first = library(&["-g"]);
    let second = library(&["-g", "-Dkit_spin=kit_turn", "-Dkit_hot=kit_new"]);
    let args = [first.to_str().unwrap(), "kit_spin", second.to_str().unwrap(), "kit_turn"];
    for_each([one_per_version()[0], newest()], |interpreter| {
        let mut target = Target::start(interpreter, "native_late.py", &args);
        let folder = Folder::new();
        let out = folder.file("out.pyspy");
        let pid = target.pid().to_string();
        let args = ["record", "--native", "-r", "100", "-p", &pid, "-o", &out];
        let mut recording = Running::py_spy(&args);
        // It has looked at what is mapped: there are samples.
        wait_seen(Path::new(&out), "before");
        let mut loaded = Vec::new();
        for function in ["kit_hot", "kit_new"] {
            target.send("");
            loaded.push(target.read_line());
            assert!(loaded[loaded.len() - 1].starts_with("LOADED "), "{loaded:?}");
            wait_seen(Path::new(&out), function);
        }
        // Else the second half of this test is about nothing.
        assert_eq!(loaded[0], loaded[1], "the second library is at another place");
        recording.signal(Signal::INT);
        let done = recording.wait().ok();
        let raw = run_py_spy(["convert", &out, "-f", "raw", "-o", "-"]).ok();
        let found = folded(&raw.stdout);
        assert_eq!(total(&found), samples(&done.stderr), "{}", done.stderr);
        for (frames, _) in &found {
            let names: Vec<&str> = frames.iter().map(|frame| parts(frame).0).collect();
            for order in [["after", "kit_spin", "kit_hot"], ["after", "kit_turn", "kit_new"]] {
                if names.contains(&order[2]) {
                    assert_in_order(&names, &order);
                }
            }
        }
    });
}
