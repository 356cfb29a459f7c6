//! `--native`: Cython's functions by the names, files and lines of their `.pyx` file.

mod native_kit;
mod record_kit;
mod support;

use native_kit::*;
use record_kit::native::*;
use std::path::PathBuf;
use support::*;

/// The interpreters that `scripts/setup-tests` has compiled `kitcy` for, with its folder. For
/// some it was made in C, for others in C++, where all names are mangled.
fn with_module() -> Vec<&'static Interpreter> {
    let all = interpreters().iter();
    let found: Vec<_> = all.filter(|one| folder(one).join("kitcy.so").exists()).collect();
    for one in with_headers() {
        let made = found.iter().any(|other| same_version(other, one));
        assert!(made, "no kitcy for {}: run scripts/setup-tests", one.label);
    }
    found
}

fn folder(interpreter: &Interpreter) -> PathBuf {
    cache().join("cython").join(&interpreter.label)
}

fn start(interpreter: &Interpreter, what: &str) -> Target {
    let folder = folder(interpreter);
    Target::start(interpreter, "native_cython.py", &[folder.to_str().unwrap(), what])
}

/// Cython's functions in the order in which they call each other, and what stands in the
/// line that each is in.
const FUNCTIONS: [(&str, &str); 11] = [
    ("call", "callable()"),
    ("nested", "within()"),
    ("nested.within", "callable()"),
    ("numbers", "yield callable()"),
    ("by_c", "c_call(callable)"),
    ("c_call", "[callable()]"),
    ("Model.run", "self.step()"),
    ("Model.step", "self.callable(), 1"),
    ("Model.both", "self.callable(), 2"),
    ("Plain.method", "callable(), 3"),
    ("call", "callable()"),
];

#[test]
fn cython_functions_have_their_own_names_files_and_lines() {
    let source = project().join("tests/native/kitcy.pyx");
    let source = std::fs::read_to_string(source).unwrap();
    let lines: Vec<&str> = source.lines().collect();
    for_each(with_module(), |interpreter| {
        let target = start(interpreter, "stand");
        let dump = native_dump(&target, &[]);
        let [thread] = &dump[..] else { panic!("{dump:?}") };
        let expected = [
            "<module>",
            "stand",
            "call",
            "to_nested",
            "nested",
            "nested.within",
            "to_numbers",
            "numbers",
            "to_c",
            "by_c",
            "c_call",
            "to_run",
            "Model.run",
            "Model.step",
            "to_both",
            "Model.both",
            "to_method",
            "Plain.method",
            "to_callback",
            "call",
            "<lambda>",
            "<lambda>",
            "call",
            "inner",
            "wait",
        ];
        assert_in_order(&names(thread), &expected);
        let mut cython =
            thread.frames.iter().rev().filter(|frame| frame.filename.ends_with(".pyx"));
        for (name, text) in FUNCTIONS {
            let frame = cython.next().unwrap_or_else(|| panic!("no {name}: {thread:?}"));
            let line = lines.get(frame.line as usize - 1).unwrap_or(&"");
            assert!(frame.name == name && line.contains(text), "not {name}: {frame:?}: {line}");
            assert!(frame.filename.ends_with("kitcy.pyx"), "{frame:?}");
        }
        let plain = dump_json(target.pid(), &[]);
        // Cython's functions count as native here: only what Python runs is in both.
        assert_eq!(python(thread), plain[0].frames.iter().collect::<Vec<_>>());
        let text = dump_text(target.pid(), &["--native"]);
        assert!(text.contains("Model.step (kitcy.pyx:") && !text.contains("Note:"), "{text}");
        assert!(!text.contains("__pyx") && !text.contains("__Pyx"), "{text}");
    });
}

#[test]
fn cython_code_that_computes_is_named() {
    let all = with_module();
    let merged = std::sync::Mutex::new(Vec::new());
    for_each([all[0], all[all.len() - 1]], |interpreter| {
        let target = start(interpreter, "spin");
        let found = record_merged(&target, &["spin"]);
        // A Python function and a Cython function of the same name.
        found.assert_below(&["<module>", "spin", "spin"], |name| name == "hot");
        merged.lock().unwrap().push(found);
    });
    assert_merged(&merged.into_inner().unwrap());
}
