//! `dump --native`: functions of C++ and Rust by the names that their authors gave them.

mod native_kit;
mod support;

use native_kit::*;
use std::path::Path;
use support::*;

/// Fails unless the named functions are there in this order, and each line of which there
/// is something expected has it.
#[track_caller]
fn check(target: &Target, source: &Path, expected: &[(&str, &str)]) {
    let text = std::fs::read_to_string(source).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let dump = native_dump(target, &[]);
    let [thread] = &dump[..] else { panic!("{dump:?}") };
    let mut frames = thread.frames.iter().rev();
    for (name, part) in expected {
        let frame = frames.find(|frame| frame.name == *name);
        let frame = frame.unwrap_or_else(|| panic!("no {name} where it should be: {thread:?}"));
        if !part.is_empty() {
            let line = lines.get(frame.line as usize - 1).unwrap_or(&"");
            assert!(line.contains(part), "{frame:?}: {line}");
            assert!(Path::new(&frame.filename).ends_with(source.file_name().unwrap()), "{frame:?}");
        }
    }
    let text = dump_text(target.pid(), &["--native"]);
    assert!(!text.contains("Note:"), "{text}");
}

const CALLS: [(&str, &str); 4] = [
    ("kit::(anonymous namespace)::Hidden::call", "Caller::call(depth + 1)"),
    ("kit::Caller::call", "PyObject_CallObject"),
    ("inner", ""),
    ("wait", ""),
];

#[test]
fn cpp_names_are_demangled_and_inlined_functions_are_there() {
    let library = cpp_library(&["-g"]);
    let source = source("kit.cpp");
    for_each(one_per_version(), |interpreter| {
        let args = ["cpp", library.to_str().unwrap()];
        let mut target = Target::start(interpreter, "native.py", &args);
        let start =
            [("by_cpp", ""), ("by_function", ""), ("kit_cpp", "run(kit::Hidden(callable))")];
        let inside = [
            ("operator()", "kit::pass(caller)"),
            ("kit::pass", "fail(caller)"),
            ("kit::fail<kit::Caller>", "caller + 1"),
            ("kit::operator+", "inlined(box)"),
            ("kit::inlined", "box.open(1)"),
            ("kit::Box<kit::Caller const*, 3>::open", "value->call(depth + N)"),
        ];
        check(&target, &source, &[&start, &inside[..], &CALLS].concat());
        target.send("");
        target.wait_ready();
        // In what an exception that passes destroys. Compilers give that part of pass() no line.
        let passing = [
            ("operator()", "kit::pass(caller)"),
            ("kit::pass", ""),
            ("kit::Guard::~Guard", "caller.call(0)"),
        ];
        check(&target, &source, &[&start, &passing[..], &CALLS].concat());
    });
}

/// What other libraries may use keeps its name.
#[test]
fn cpp_names_are_demangled_without_debug_information() {
    let library = cpp_library(&["-s"]);
    for_each([one_per_version()[0], newest()], |interpreter| {
        let args = ["cpp", library.to_str().unwrap()];
        let target = Target::start(interpreter, "native.py", &args);
        let expected = [
            "by_function",
            "kit_cpp",
            "kit::pass",
            "kit::fail<kit::Caller>",
            "kit::operator+",
            "kit::Box<kit::Caller const*, 3>::open",
            "kit::Caller::call",
            "inner",
        ];
        check(&target, &source("kit.cpp"), &expected.map(|name| (name, "")));
    });
}

#[test]
fn rust_names_are_demangled() {
    let source = source("kit.rs");
    // The newer way of mangling keeps what generic functions are made for.
    let made_for = "kit::inner::apply::<kit::kit_rust::{closure#0}, *mut core::ffi::c_void>";
    let newer = [made_for, "kit::kit_rust::{closure#0}"];
    let older = ["kit::inner::apply", "kit::kit_rust::{{closure}}"];
    // What the compiler does by itself depends on its version.
    let library = rust_library("");
    let own = std::fs::read(&library).unwrap();
    let own = match own.windows(11).any(|part| part == b"_ZN3kit5inn") {
        true => older,
        false => newer,
    };
    let libraries = [(library, own), (rust_library("v0"), newer)];
    for_each([one_per_version()[0], newest()], |interpreter| {
        for (library, [apply, closure]) in &libraries {
            let args = ["rust", library.to_str().unwrap()];
            let target = Target::start(interpreter, "native.py", &args);
            let expected = [
                ("by_function", ""),
                ("kit_rust", "caller.call(depth + 1)"),
                (apply, "function(3)"),
                (closure, "caller.call(depth + 1)"),
                ("<kit::Caller<*mut core::ffi::c_void> as kit::Call>::call", "PyObject_CallObject"),
                ("inner", ""),
                ("wait", ""),
            ];
            check(&target, &source, &expected);
        }
    });
}
