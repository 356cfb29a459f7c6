//! Which thread holds the GIL, which threads compute, and which wait.

mod support;

use std::time::Instant;
use support::*;

fn computing(dump: &[Thread]) -> Vec<&Thread> {
    dump.iter().filter(|thread| thread.thread_name.as_deref() == Some("computes")).collect()
}

/// Whether a thread's innermost function is this one: it may have none when it is seen between two.
fn runs(thread: &Thread, function: &str) -> bool {
    thread.frames.first().is_some_and(|frame| frame.name == function)
}

/// Dumps until `what` holds `times` times in a row; fails if that takes too long.
#[track_caller]
fn eventually(target: &Target, times: usize, what: impl Fn(&[Thread]) -> bool) {
    let mut row = 0;
    let mut last = Vec::new();
    let start = Instant::now();
    while start.elapsed() < GUARD {
        last = dump_json(target.pid(), &[]);
        row = if what(&last) { row + 1 } else { 0 };
        if row == times {
            return;
        }
    }
    let brief = |t: &Thread| {
        format!("\n{:?} active {} gil {} {}", t.thread_name, t.active, t.owns_gil, t.stack())
    };
    panic!("{}: {}", target.label, last.iter().map(brief).collect::<String>());
}

/// One thread in Python code, four that wait.
#[test]
fn a_busy_thread_is_active_and_holds_the_gil() {
    for_each(one_per_version(), |interpreter| {
        let target = Target::start(interpreter, "gil.py", &["burn"]);
        eventually(&target, 10, |dump| {
            assert_eq!(dump.len(), 5);
            assert!(dump.iter().filter(|thread| thread.owns_gil).count() <= 1, "two hold the GIL");
            let [busy] = computing(dump)[..] else { panic!("{dump:?}") };
            busy.active
                && busy.owns_gil != interpreter.free_threaded()
                && runs(busy, "burn")
                && dump.iter().filter(|thread| thread.active || thread.owns_gil).count() == 1
        });
        let status = if interpreter.free_threaded() {
            "(active): \"computes\""
        } else {
            "(active+gil): \"computes\""
        };
        // It lets go of the GIL for a moment now and then.
        let text = until(status, || {
            Some(dump_text(target.pid(), &[])).filter(|text| text.contains(status))
        });
        assert_eq!(text.matches(status).count(), 1, "{text}");
        assert_eq!(text.matches("(idle): \"waits\"").count(), 3, "{text}");
    });
}

/// Two threads that want the GIL all the time: never both have it, and each has its turn. (How
/// often none has, between two, is for those to say who hand out processors.)
#[test]
fn two_busy_threads_share_the_gil() {
    for_each(one_per_version(), |interpreter| {
        let target = Target::start(interpreter, "gil.py", &["two"]);
        let mut held = [0; 2];
        let mut active = [0; 2];
        let mut both = 0;
        let mut times = 0;
        // Without a GIL both are active at once; with one each has it, and computes, in turn.
        let seen = |held: [u32; 2], active: [u32; 2], both: u32| match interpreter.free_threaded() {
            true => both > 0,
            false => held.iter().chain(&active).all(|times| *times > 0),
        };
        let start = Instant::now();
        while times < 40 || (!seen(held, active, both) && start.elapsed() < GUARD) {
            times += 1;
            let dump = dump_json(target.pid(), &[]);
            let busy = computing(&dump);
            assert_eq!(busy.len(), 2);
            assert!(dump.iter().filter(|thread| thread.owns_gil).count() <= 1, "two hold the GIL");
            for (i, thread) in busy.iter().enumerate() {
                held[i] += u32::from(thread.owns_gil);
                active[i] += u32::from(thread.active);
            }
            both += u32::from(busy.iter().all(|thread| thread.active));
        }
        assert!(seen(held, active, both), "{held:?} {active:?} {both} of {times}");
        if interpreter.free_threaded() {
            assert_eq!(held, [0, 0]);
        }
    });
}

/// C code that has let go of the GIL.
#[test]
fn a_thread_computing_without_the_gil_is_active() {
    for_each(one_per_version(), |interpreter| {
        let target = Target::start(interpreter, "gil.py", &["compress"]);
        eventually(&target, 5, |dump| {
            let [busy] = computing(dump)[..] else { panic!("{dump:?}") };
            let others = dump.iter().filter(|thread| thread.active || thread.owns_gil).count();
            busy.active && !busy.owns_gil && others == 1 && runs(busy, "compress")
        });
    });
}

/// C code that keeps the GIL.
#[test]
fn a_thread_computing_in_c_with_the_gil_holds_it() {
    for host in hosts() {
        let target = start_host(&host, "gil.py", &["spin"]);
        eventually(&target, 10, |dump| {
            let holders: Vec<&Thread> = dump.iter().filter(|thread| thread.owns_gil).collect();
            holders.len() == 1 && holders[0].active && runs(holders[0], "spin")
        });
    }
}

/// When all wait, none has the GIL and none is active.
#[test]
fn waiting_threads_are_idle() {
    for_each(one_per_version(), |interpreter| {
        let target = Target::start(interpreter, "gil.py", &["none"]);
        target.wait_asleep();
        for _ in 0..10 {
            let dump = dump_json(target.pid(), &[]);
            assert_eq!(dump.len(), 4);
            assert!(dump.iter().all(|thread| !thread.active && !thread.owns_gil), "{dump:?}");
        }
    });
}
