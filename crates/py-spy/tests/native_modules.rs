//! `dump --native` and `record --native`: the C functions of well-known modules stand between the Python
//! functions that call them and those that they call.

mod native_kit;
mod record_kit;
mod support;

use native_kit::*;
use record_kit::native::*;
use std::process::Command;
use support::*;

/// A stack without --native and with it. Fails unless the Python frames are the same, and
/// the stack is whole.
#[track_caller]
fn check(target: &Target, expected: &[&str]) -> Dump {
    let dump = native_dump(target, &[]);
    let plain = dump_json(target.pid(), &[]);
    let [thread] = &dump[..] else { panic!("{dump:?}") };
    assert_eq!(python(thread), plain[0].frames.iter().collect::<Vec<_>>());
    assert_in_order(&names(thread), expected);
    let text = dump_text(target.pid(), &["--native"]);
    assert!(!text.contains("Note:"), "{text}");
    dump
}

/// On interpreters without symbols the C functions that are in the interpreter itself have
/// no names and are not shown; all else is the same there.
#[test]
fn json_re_and_zlib_stand_between_their_callers_and_what_they_call() {
    for_each(interpreters(), |interpreter| {
        let [scan, compress] = match interpreter.at_least(3, 0) {
            true => ["scan_once_unicode", "zlib_compress"],
            false => ["scan_once_str", "PyZlib_compress"],
        };
        // Which others there are depends on what the compiler has inlined.
        let expected: [(&str, bool); 17] = [
            ("<module>", false),
            ("by_all", false),
            ("dumps", false),
            ("encode", false),
            ("encoder_call", true),
            ("encoder_listencode_obj", true),
            ("on_default", false),
            ("loads", false),
            ("raw_decode", false),
            ("scanner_call", true),
            (scan, true),
            ("on_object", false),
            ("sub", false),
            ("pattern_subx", true),
            ("on_match", false),
            (compress, true),
            ("on_number", false),
        ];
        let symbols = !interpreter.is("stripped");
        let expected: Vec<&str> =
            expected.iter().filter(|(_, c)| symbols || !c).map(|(name, _)| *name).collect();
        let target = Target::start(interpreter, "native_modules.py", &["all"]);
        check(&target, &expected);
    });
}

/// The compiler may have put a part of it into a function of another name.
#[test]
fn functools_reduce_stands_between_its_caller_and_what_it_calls() {
    for_each(with_symbols(), |interpreter| {
        let target = Target::start(interpreter, "native.py", &["reduce", ""]);
        let dump = check(&target, &["outer", "by_reduce", "inner", "wait"]);
        let names = names(&dump[0]);
        let at = |name: &str| names.iter().position(|one| *one == name).expect("a frame");
        let between = &names[at("by_reduce") + 1..at("inner")];
        let only = between.iter().all(|name| name.contains("functools_reduce"));
        assert!(!between.is_empty() && only, "{names:?}");
    });
}

/// NumPy's Python, on the interpreter that has NumPy.
fn numpy(script: &str, args: &[&str]) -> Target {
    let mut command = Command::new(need("targets/bin/python"));
    command.arg(targets_dir().join(script)).args(args).env("OPENBLAS_NUM_THREADS", "1");
    Target::start_command("numpy", command)
}

/// Its libraries are stripped, but for the names that the set-up's release has left in.
#[test]
fn numpys_functions_stand_between_python_functions() {
    let mut target = numpy("native_modules.py", &["sort,svd"]);
    let sorted = [
        "by_sort",
        "sort",
        "array_sort",
        "PyArray_Sort",
        "OBJECT_compare",
        "__lt__",
        "inner",
        "wait",
    ];
    check(&target, &sorted);
    target.send("");
    target.wait_ready();
    let told = ["by_svd", "svd", "ufunc_generic_fastcall", "_check_ufunc_fperr", "inner", "wait"];
    check(&target, &told);
}

/// Where it computes: LAPACK's functions below NumPy's.
#[test]
fn numpys_time_is_in_the_functions_that_its_python_functions_call() {
    let library = library(&["-g"]);
    let target = numpy("native_busy.py", &[library.to_str().unwrap(), "svd,sort"]);
    let found = record_merged(&target, &["by_svd", "by_sort"]);
    found.assert_below(&["<module>", "repeat", "by_svd", "svd"], |name| name.contains("gesdd"));
    found.assert_below(&["<module>", "repeat", "by_sort", "sort"], |name| {
        name.contains("quicksort")
    });
    assert_merged(&[found]);
}
