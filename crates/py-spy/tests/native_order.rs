//! `dump --native`: native functions stand between the Python functions that call them and
//! those that they call, on every version.

mod native_kit;
mod support;

use native_kit::*;
use support::*;

/// Runs `native.py` in several ways and looks at each: the expected names are there in this
/// order. Of the last way the Python frames are those of a dump without --native.
#[track_caller]
fn check(interpreter: &Interpreter, path: &str, extra: &[&str], ways: &[(&str, &[&str])]) {
    let names_of_ways: Vec<&str> = ways.iter().map(|(way, _)| *way).collect();
    let mut target = Target::start(interpreter, "native.py", &[&names_of_ways.join(","), path]);
    for (i, (way, expected)) in ways.iter().enumerate() {
        if i > 0 {
            target.send("");
            target.wait_ready();
        }
        let dump = native_dump(&target, extra);
        let thread = in_inner(&dump);
        assert_in_order(&names(thread), expected);
        if i == ways.len() - 1 {
            let plain = dump_json(target.pid(), &[]);
            assert_eq!(
                python(thread),
                in_inner(&plain).frames.iter().collect::<Vec<_>>(),
                "{way}: other Python frames than without --native"
            );
        }
    }
}

#[track_caller]
fn in_inner(dump: &Dump) -> &Thread {
    let inner = |thread: &&Thread| thread.frames.iter().any(|frame| frame.name.ends_with("inner"));
    dump.iter().find(inner).unwrap_or_else(|| panic!("no thread in inner(): {dump:?}"))
}

const C: [&str; 4] = ["kit_call", "kit_aligned", "kit_middle", "kit_inner"];

#[test]
fn c_functions_stand_between_their_callers_and_what_they_call() {
    let library = library(&["-g"]);
    let library = library.to_str().unwrap();
    let nested =
        ["outer", "by_nested", C[0], C[3], "<lambda>", "<lambda>", C[0], C[3], "inner", "wait"];
    let ways: [(&str, &[&str]); 8] = [
        ("call", &["outer", "by_call", C[0], C[1], C[2], C[3], "inner", "wait"]),
        ("callback", &["outer", "by_callback", "kit_apply", "kit_apply_inner", "inner", "wait"]),
        ("bare", &["outer", "by_bare", "kit_bare", "inner", "wait"]),
        ("nested", &nested),
        ("thread", &["by_call", C[0], C[3], "inner", "wait"]),
        ("generator", &["outer", "by_generator", "numbers", "inner", "wait"]),
        ("sorted", &["outer", "by_sorted", "inner", "wait"]),
        ("reduce", &["outer", "by_reduce", "inner", "wait"]),
    ];
    for_each(one_per_version(), |interpreter| check(interpreter, library, &[], &ways));
}

#[test]
fn every_python_frame_stays_whatever_is_between() {
    let library = library(&["-g"]);
    let library = library.to_str().unwrap();
    let expected: &[&str] = &["outer", "inner", "wait"];
    let ways = ["sub", "recursion", "deep"].map(|way| (way, expected));
    for_each(one_per_version(), |interpreter| {
        check(interpreter, library, &[], &ways);
    });
}

#[test]
fn an_extension_module_shows_its_functions_and_lines() {
    for_each(with_headers(), |interpreter| {
        let folder = module(interpreter);
        let target = Target::start(interpreter, "native.py", &["module", folder.to_str().unwrap()]);
        let dump = native_dump(&target, &[]);
        let [thread] = &dump[..] else { panic!("{dump:?}") };
        let expected = ["by_module", "kit_method", C[0], C[1], C[2], C[3], "inner", "wait"];
        assert_in_order(&names(thread), &expected);
        let inner = thread.frames.iter().find(|frame| frame.name == "kit_inner").unwrap();
        let source = std::fs::read_to_string(&inner.filename).expect("the source file");
        let line = source.lines().nth(inner.line as usize - 1).unwrap_or_default();
        assert!(line.contains("PyObject_CallObject"), "{line}");
        assert!(inner.module.as_deref().unwrap_or_default().ends_with("/kit.so"), "{inner:?}");
        let text = dump_text(target.pid(), &["--native"]);
        assert!(text.contains("kit_inner (kit.c:") && !text.contains("Note:"), "{text}");
    });
}

/// One old interpreter, and the newest one.
fn two() -> [&'static Interpreter; 2] {
    [one_per_version()[0], newest()]
}

#[test]
fn code_without_frame_pointers_symbols_or_unwind_information_is_walked() {
    let called: &[&str] = &["outer", "by_call", C[0], C[1], C[2], C[3], "inner", "wait"];
    let applied: &[&str] =
        &["outer", "by_callback", "kit_apply", "kit_apply_inner", "inner", "wait"];
    let kinds: [(&[&str], &str, &[&str]); 4] = [
        (&["-fomit-frame-pointer"], "call", called),
        (&["-fno-omit-frame-pointer"], "call", called),
        // What is exported has its name in stripped libraries too.
        (&["-s"], "call", called),
        (&["-O0", "-fno-asynchronous-unwind-tables"], "callback", applied),
    ];
    for_each(two(), |interpreter| {
        for (flags, way, expected) in kinds {
            let library = library(flags);
            check(interpreter, library.to_str().unwrap(), &[], &[(way, expected)]);
        }
    });
}

#[test]
fn a_stack_that_leads_nowhere_ends_and_nothing_else_is_lost() {
    let library = library(&["-g"]);
    let library = library.to_str().unwrap();
    for_each(one_per_version(), |interpreter| {
        let target = Target::start(interpreter, "native.py", &["lost", library]);
        let dump = native_dump(&target, &[]);
        let plain = dump_json(target.pid(), &[]);
        let thread = in_inner(&dump);
        assert_eq!(python(thread), in_inner(&plain).frames.iter().collect::<Vec<_>>());
        assert_in_order(&names(thread), &["outer", "by_lost", "inner", "wait"]);
        let text = dump_text(target.pid(), &["--native"]);
        assert!(text.contains("Note: not all native functions of a thread are shown"), "{text}");
    });
}
