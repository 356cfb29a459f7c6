//! `dump --native`: functions and methods of a module made with PyO3, by their Rust names.

mod native_kit;
mod support;

use native_kit::*;
use std::path::{Path, PathBuf};
use support::*;

/// The module that `scripts/setup-tests` builds once; and the text that it was made from.
fn module() -> (PathBuf, String) {
    let folder = need("pyo3/pyo3_kit.abi3.so").canonicalize().unwrap().parent().unwrap().to_owned();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let source = read(&targets_dir().join("pyo3_kit/src/lib.rs"));
    let same = read(&folder.join("src/lib.rs")) == source;
    assert!(same, "made from another source: run scripts/setup-tests pyo3");
    (folder, source)
}

/// All that can load the module. It is built for the limited API of 3.7, the lowest that PyO3
/// 0.28 knows: so not 2.7 and 3.6. Those without a GIL have no limited API before 3.15.
fn loading() -> Vec<&'static Interpreter> {
    let all = one_per_version().into_iter();
    all.filter(|one| one.at_least(3, 7) && !one.free_threaded()).collect()
}

/// Functions in the order in which they call each other, and what stands in the line that
/// each of Rust is in.
const EXPECTED: [(&str, &str); 10] = [
    ("outer", ""),
    ("by_pyo3", ""),
    ("pyo3_kit::call", "black_box(pass(callable))"),
    ("pyo3_kit::pass", "callable.call0()"),
    ("lambda", ""),
    ("pyo3_kit::Caller::run", "black_box(inlined("),
    ("pyo3_kit::Caller::run::{closure}", "black_box(pass(callable))"),
    ("pyo3_kit::pass", "callable.call0()"),
    ("inner", ""),
    ("wait", ""),
];

/// The same in the older and the newer way of mangling, which depends on the compiler:
/// `kit::Caller::run::{{closure}}` and `<kit::Caller>::run::{closure#0}`. Of a Python function the
/// last part, as all have it.
fn simple(frame: &Frame) -> String {
    let name = match frame.module {
        Some(_) => frame.name.as_str(),
        None => frame.name.rsplit('.').next().unwrap_or(""),
    };
    let name = name.replace("{{", "{").replace("}}", "}").replace("#0", "");
    name.replace(['<', '>'], "")
}

#[test]
fn rust_stands_between_its_callers_and_what_it_calls() {
    let (folder, source) = module();
    let lines: Vec<&str> = source.lines().collect();
    for_each(loading(), |interpreter| {
        let target = Target::start(interpreter, "native.py", &["pyo3", folder.to_str().unwrap()]);
        let dump = native_dump(&target, &[]);
        let [thread] = &dump[..] else { panic!("{dump:?}") };
        let mut frames = thread.frames.iter().rev();
        for (name, part) in EXPECTED {
            let frame = frames.find(|frame| simple(frame) == name);
            let frame = frame.unwrap_or_else(|| panic!("no {name} where it should be: {thread:?}"));
            assert_eq!(frame.module.is_some(), !part.is_empty(), "{frame:?}");
            if let Some(module) = &frame.module {
                let line = lines.get(frame.line as usize - 1).unwrap_or(&"");
                assert!(line.contains(part), "{frame:?}: {line}");
                assert_eq!(Path::new(&frame.filename), folder.join("src/lib.rs"));
                assert_eq!(Path::new(module), folder.join("pyo3_kit.abi3.so"));
            }
        }
        let plain = dump_json(target.pid(), &[]);
        assert_eq!(python(thread), plain[0].frames.iter().collect::<Vec<_>>());
        let text = dump_text(target.pid(), &["--native"]);
        assert!(text.contains("pass (lib.rs:") && !text.contains("Note:"), "{text}");
    });
}
