//! `record --native`: where the time goes in C code.

mod native_kit;
mod record_kit;
mod support;

use native_kit::*;
use record_kit::native::*;
use record_kit::*;
use std::sync::Mutex;
use support::*;

const KINDS: [&str; 4] = ["by_spin", "by_zlib", "by_json", "by_re"];

/// On each interpreter of `all` what is in it, or in all libraries, is named; and nearly all
/// samples are merged.
fn check(all: Vec<&'static Interpreter>, kinds: &[(&[&str], IsName)]) {
    let library = library(&["-g"]);
    let merged = Mutex::new(Vec::new());
    for_each(all, |interpreter| {
        let target = Target::start(interpreter, "native_busy.py", &[library.to_str().unwrap()]);
        let found = record_merged(&target, &KINDS);
        for (order, wanted) in kinds {
            let whole = [&["<module>", "repeat"], *order].concat();
            found.assert_below(&whole, *wanted);
        }
        merged.lock().unwrap().push(found);
    });
    assert_merged(&merged.into_inner().unwrap());
}

const OF_LIBRARIES: [(&[&str], IsName); 2] = [
    (&["by_spin", "kit_spin"], |name| name == "kit_hot"),
    (&["by_zlib"], |name| name.contains("deflate") || name.contains("compress")),
];

#[test]
fn busy_c_code_is_named_below_the_function_that_calls_it() {
    let own: [(&[&str], IsName); 2] = [
        (&["by_json"], |name| name.starts_with("encoder_")),
        (&["by_re"], |name| name.contains("sre_") || name.contains("pattern_")),
    ];
    check(with_symbols(), &[OF_LIBRARIES, own].concat());
}

/// The libraries' functions are; the interpreter's own have no names.
#[test]
fn busy_c_code_is_named_on_interpreters_without_symbols() {
    check(without_symbols(), &OF_LIBRARIES);
}

/// Threads that wait are shown with what they wait in, and are not disturbed.
#[test]
fn waiting_threads_show_their_native_stack() {
    let library = library(&["-g"]);
    for_each([newest()], |interpreter| {
        let target = Target::start(interpreter, "native.py", &["call", library.to_str().unwrap()]);
        target.wait_asleep();
        // A thread that is held to be looked at may get no processor to stop on.
        let found = until("samples that are all merged", || {
            let args = ["--native", "-i", "-d", "0.5", "-r", "50"];
            let (found, told) = record_told(target.pid(), &args);
            let merged = counted(&told, "unmerged").unwrap_or(0) == 0;
            (merged && !found.is_empty()).then_some(found)
        });
        let [(frames, _)] = &found[..] else { panic!("{found:?}") };
        let names: Vec<&str> = frames.iter().map(|frame| parts(frame).0).collect();
        assert_in_order(&names, &["outer", "by_call", "kit_call", "kit_inner", "inner", "wait"]);
    });
}

/// Threads without Python are there with --native-all, and are nothing that -i or --thread
/// would not know.
#[test]
fn threads_without_python_are_shown_with_all_functions() {
    let library = library(&["-g"]);
    for_each([one_per_version()[0], newest()], |interpreter| {
        let args = [library.to_str().unwrap()];
        let target = Target::start(interpreter, "native_strangers.py", &args);
        let tid = |name: &str| target.ready[name].as_u64().unwrap();
        let record = |more: &[&str]| {
            let args = ["-t", "-d", "0.7", "-r", "100", "-F"];
            record_raw(target.pid(), &[&args, more].concat())
        };
        let of = |found: &Folded, tid: u64| -> u64 {
            let root = format!("thread ({tid})");
            let stacks = found.iter().filter(|(frames, _)| frames[0].starts_with(&root));
            stacks.map(|(_, count)| count).sum()
        };
        let (busy, waiting) = (tid("busy"), tid("waiting"));
        let seen = |args: &[&str], wanted: &[u64]| {
            until("samples of each thread", || {
                let found = record(args);
                wanted.iter().all(|tid| of(&found, *tid) > 0).then_some(found)
            })
        };
        let computing = seen(&["--native-all"], &[busy]);
        assert_eq!(of(&computing, busy), with(&computing, "kit_hot"), "{computing:?}");
        assert_eq!(of(&computing, waiting), 0, "{computing:?}");
        let all = seen(&["--native-all", "-i"], &[busy, waiting]);
        assert_eq!(of(&all, busy), with(&all, "kit_hot"), "{all:?}");
        assert!(with(&all, "sleep") >= of(&all, waiting), "{all:?}");
        let thread = waiting.to_string();
        let chosen = seen(&["--native-all", "-i", "--thread", &thread], &[waiting]);
        assert_eq!(of(&chosen, waiting), total(&chosen), "{chosen:?}");
        for args in [&["--native", "-i"][..], &["--native-all", "-i", "-g"]] {
            let without = record(args);
            assert_eq!(of(&without, busy) + of(&without, waiting), 0, "{without:?}");
        }
    });
}
