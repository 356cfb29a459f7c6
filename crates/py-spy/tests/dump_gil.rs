//! Which thread holds the GIL, which threads compute, and which wait.

mod support;

use support::*;

fn computing(dump: &[Thread]) -> Vec<&Thread> {
    dump.iter().filter(|thread| thread.thread_name.as_deref() == Some("computes")).collect()
}

/// Dumps until `what` holds `times` times in a row; fails if that takes too long.
#[track_caller]
fn eventually(target: &Target, times: usize, what: impl Fn(&[Thread]) -> bool) {
    let mut row = 0;
    let mut last = Vec::new();
    for _ in 0..100 {
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
                && busy.frames[0].name == "burn"
                && dump.iter().filter(|thread| thread.active || thread.owns_gil).count() == 1
        });
        let status = if interpreter.free_threaded() {
            "(active): \"computes\""
        } else {
            "(active+gil): \"computes\""
        };
        // It lets go of the GIL for a moment now and then.
        let mut texts = (0..100).map(|_| dump_text(target.pid(), &[]));
        let text = texts.find(|text| text.contains(status)).expect(status);
        assert_eq!(text.matches(status).count(), 1, "{text}");
        assert_eq!(text.matches("(idle): \"waits\"").count(), 3, "{text}");
    });
}

/// Two threads that want the GIL all the time: never both have it, mostly one has (the
/// less often, the longer they wait for a processor when it is handed over), and each has
/// its turn.
#[test]
fn two_busy_threads_share_the_gil() {
    for_each(one_per_version(), |interpreter| {
        let target = Target::start(interpreter, "gil.py", &["two"]);
        let mut held = [0; 2];
        let mut active = 0;
        let times = 40;
        for _ in 0..times {
            let dump = dump_json(target.pid(), &[]);
            let busy = computing(&dump);
            assert_eq!(busy.len(), 2);
            assert!(dump.iter().filter(|thread| thread.owns_gil).count() <= 1, "two hold the GIL");
            for (held, thread) in held.iter_mut().zip(&busy) {
                *held += usize::from(thread.owns_gil);
            }
            active += busy.iter().filter(|thread| thread.active).count();
        }
        if interpreter.free_threaded() {
            assert_eq!(held, [0, 0]);
            assert!(active > times * 3 / 2, "both run: {active} of {times}");
        } else {
            assert!(
                held[0] + held[1] > times / 4 && held[0] > 0 && held[1] > 0,
                "{held:?} of {times}"
            );
            assert!(active > times * 3 / 4, "{active} of {times}");
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
            busy.active && !busy.owns_gil && others == 1 && busy.frames[0].name == "compress"
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
            holders.len() == 1 && holders[0].active && holders[0].frames[0].name == "spin"
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
