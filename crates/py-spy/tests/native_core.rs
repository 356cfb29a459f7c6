//! `dump --core --native`: the native stacks of what is no more.

mod core_kit;
mod native_kit;
mod support;

use core_kit::{abort, dump, dump_json, gcore, start};
use native_kit::{assert_in_order, library, names};
use support::*;

const EXPECTED: [&str; 8] =
    ["outer", "by_call", "kit_call", "kit_aligned", "kit_middle", "kit_inner", "inner", "wait"];

#[test]
fn the_thread_that_crashed_comes_first_with_its_native_functions() {
    let library = library(&["-g"]);
    let library = library.to_str().unwrap();
    for_each(one_per_version(), |interpreter| {
        let (target, folder) = start(interpreter, "native.py", &["call", library]);
        target.wait_asleep();
        let core = abort(target, folder);
        let seen = dump_json(&core.path, &["--native"]);
        assert_in_order(&names(&seen[0]), &EXPECTED);
        let python: Vec<_> =
            seen[0].frames.iter().filter(|frame| frame.module.is_none()).cloned().collect();
        assert_eq!(python, dump_json(&core.path, &[])[0].frames);
        let text = dump(&core.path, &["--native"]).stdout;
        assert!(text.contains("kit_inner (kit.c:") && !text.contains("Note: not all"), "{text}");
    });
}

/// Of a process that lives on.
#[test]
fn gdbs_core_files_show_the_same() {
    let library = library(&["-g"]);
    for_each([newest()], |interpreter| {
        let way = ["callback", library.to_str().unwrap()];
        let (target, folder) = start(interpreter, "native.py", &way);
        target.wait_asleep();
        let core = gcore(&target, folder);
        let seen = dump_json(&core.path, &["--native-all"]);
        let expected =
            ["main", "outer", "by_callback", "kit_apply", "kit_apply_inner", "inner", "wait"];
        // Without symbols there is no main.
        let from = usize::from(interpreter.is("stripped"));
        assert_in_order(&names(&seen[0]), &expected[from..]);
    });
}
