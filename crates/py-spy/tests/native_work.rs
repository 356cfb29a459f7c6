//! `record --native`: what the interpreter does for itself has a name.

mod native_kit;
mod record_kit;
mod support;

use native_kit::*;
use record_kit::native::*;
use record_kit::*;
use support::*;

/// Of two threads that compute, one waits for the GIL. It is told without symbols too.
#[test]
fn waiting_for_the_gil_is_shown() {
    let mut all = with_symbols();
    all.extend(without_symbols().into_iter().step_by(4));
    let with_gil = all.into_iter().filter(|one| !one.free_threaded());
    for_each(with_gil, |interpreter| {
        let target = Target::start(interpreter, "native_work.py", &["gil"]);
        let found = until("samples of a thread that waits for the GIL", || {
            let args = ["--native", "-i", "-d", "0.6", "-r", "100"];
            let found = record_raw(target.pid(), &args);
            let waits =
                found.iter().filter(|(frames, _)| frames.iter().any(|f| parts(f).0 == "take_gil"));
            (waits.map(|(_, count)| count).sum::<u64>() >= 5).then_some(found)
        });
        for (frames, _) in found {
            let names: Vec<&str> = frames.iter().map(|frame| parts(frame).0).collect();
            let at = |name| names.iter().position(|one| *one == name);
            if let (Some(compute), Some(waits)) = (at("compute"), at("take_gil")) {
                assert_eq!(waits, compute + 1, "{names:?}");
            }
            assert!(names.iter().filter(|name| **name == "take_gil").count() <= 1, "{names:?}");
        }
    });
}

#[test]
fn garbage_collection_and_memory_management_are_named() {
    const GC: IsName = |name| name.starts_with("gc_collect") || name == "collect";
    const MEMORY: IsName = |name| {
        ["PyObject_", "_PyObject_", "PyMem_", "_PyMem_"].iter().any(|start| name.starts_with(start))
    };
    for_each(with_symbols(), |interpreter| {
        let target = Target::start(interpreter, "native_work.py", &["gc,memory"]);
        let memory = |found: &Merged| {
            found.count(|names| {
                let at = names.iter().position(|name| name == "by_memory");
                at.is_some_and(|at| names[at..].iter().any(|name| MEMORY(name)))
            })
        };
        // Some allocate fast.
        let found = until("a sample while memory is managed", || {
            let found = record_merged(&target, &["by_gc", "by_memory"]);
            (memory(&found) > 0).then_some(found)
        });
        found.assert_below(&["<module>", "repeat", "by_gc"], GC);
    });
}

/// The clock is read by code that the system puts into each process, with no file behind it. Its
/// name for that depends on the processor.
#[test]
fn the_systems_own_code_in_the_process_has_a_name() {
    for_each([one_per_version()[0], newest()], |interpreter| {
        let target = Target::start(interpreter, "native_work.py", &["clock"]);
        let is_vdso = |frame: &String| parts(frame).1 == "[vdso]";
        let found = until("a sample in the system's own code", || {
            let args = ["--native-all", "-d", "0.5", "-r", "200"];
            let found = record_raw(target.pid(), &args);
            found.iter().any(|(frames, _)| frames.iter().any(is_vdso)).then_some(found)
        });
        for (frames, _) in found.iter().filter(|(frames, _)| frames.iter().any(is_vdso)) {
            let names: Vec<&str> = frames.iter().map(|frame| parts(frame).0).collect();
            assert_in_order(&names, &["__libc_start_main", "<module>", "repeat", "by_clock"]);
            for frame in frames.iter().filter(|frame| is_vdso(frame)) {
                assert!(parts(frame).0.contains("gettime"), "{frames:?}");
            }
        }
    });
}
