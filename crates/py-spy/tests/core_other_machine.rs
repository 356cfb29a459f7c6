//! A core file of another machine, none of whose binaries are here.

mod core_kit;
mod support;

use core_kit::{dump, dump_json};
use support::*;

/// A CPython 3.9.13 of conda, whose thread `child_thread` read from address 0 in C code that
/// `dump_sum` called. There is no second opinion on it, as nothing else here reads it without
/// the binaries: expected is what was found when this was written, which makes sense.
#[test]
fn stacks_and_values_need_no_binaries() {
    let core = py_spy_testdata::get_coredump_path("python_3_9_threads");
    let seen = dump_json(&core, &["-l"]);
    let frames = |thread: &Thread| -> Vec<(String, i64)> {
        thread.frames.iter().map(|frame| (frame.name.clone(), frame.line)).collect()
    };
    let expected = [
        ("dump_sum", 16),
        ("<lambda>", 20),
        ("run", 917),
        ("_bootstrap_inner", 980),
        ("_bootstrap", 937),
    ];
    assert_eq!(frames(&seen[0]), expected.map(|(name, line)| (name.to_owned(), line)));
    assert_eq!(frames(&seen[1]), [("<module>".to_owned(), 24)]);
    let ids = seen.iter().map(|thread| (thread.os_thread_id, thread.thread_name.as_deref()));
    let named = [(Some(70744), Some("child_thread")), (Some(70743), Some("MainThread"))];
    assert_eq!(ids.collect::<Vec<_>>(), named);
    let locals = seen[0].frames[0].locals.as_ref().expect("-l asks for them");
    let text: Vec<String> = locals.iter().map(|l| format!("{} = {}", l.name, l.repr)).collect();
    assert_eq!(text, ["numbers = [1, 2]", "num_numbers = 2", "array_type = <unreadable>"]);

    let text = dump(&core, &["--native"]).stdout;
    for expected in [
        "Python v3.9.13 (/home/ben/miniconda3/envs/raft/bin/python3.9)",
        "SIGSEGV at address 0x0 (nothing is mapped there) in thread 70744",
        "not here (--executable, --lib-path, --sysroot): ",
        "Thread 70744 (active, crashed): \"child_thread\"",
    ] {
        assert!(text.contains(expected), "no {expected:?}: {text}");
    }
    assert_eq!(text.matches("    dump_sum (dump.py:16)").count(), 1, "{text}");
}
