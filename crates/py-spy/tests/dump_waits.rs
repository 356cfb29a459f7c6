//! What each thread waits for, who has it, and who waits for each other.

mod support;

use serde_json::Value;
use support::{Interpreter, Target, Thread, dump_json, dump_text, for_each, one_per_version};

/// What is wrong with the threads of a dump, by what the target expects of them.
fn wrong(target: &Target, dump: &[Thread]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, expected) in target.ready["expected"].as_object().unwrap() {
        let Some(thread) = dump.iter().find(|one| one.thread_name.as_deref() == Some(name)) else {
            wrong.push(format!("{name} is not there"));
            continue;
        };
        let wait = &thread.waits_for;
        let text = wait["text"].as_str().unwrap_or("");
        let same_text = expected["text"].as_str().is_none_or(|expected| expected == text);
        let owner = &wait["owner"]["thread_name"];
        if wait["kind"] != expected["kind"] || !same_text || *owner != expected["owner"] {
            wrong
                .push(format!("{name}:\n  is  {expected}\n  got {wait}\n  at  {}", thread.stack()));
        }
    }
    wrong
}

/// The names of the threads whose ids are in a list.
fn names(target: &Target, ids: &Value) -> Vec<String> {
    let tids = target.ready["tids"].as_object().unwrap();
    let name = |id: &Value| tids.iter().find(|(_, tid)| *tid == id).map(|(name, _)| name.clone());
    ids.as_array().unwrap().iter().map(|id| name(id).unwrap_or_else(|| id.to_string())).collect()
}

/// Starts `dump_waits.py` and compares what is told of its threads with what they expect.
#[track_caller]
fn check(python: &Interpreter, kind: &str) -> (Target, Vec<Thread>) {
    check_script(python, "dump_waits.py", kind)
}

/// The same of another script.
#[track_caller]
fn check_script(python: &Interpreter, script: &str, kind: &str) -> (Target, Vec<Thread>) {
    let target = Target::start(python, script, &[kind]);
    target.wait_asleep();
    let dump = dump_json(target.pid(), &[]);
    let wrong = wrong(&target, &dump);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let text = dump_text(target.pid(), &[]);
    let deadlock = &target.ready["deadlock"];
    let of = |name: &str| dump.iter().find(|one| one.thread_name.as_deref() == Some(name)).unwrap();
    let mut locked = 0;
    for (list, member) in [("circle", true), ("behind", false)] {
        for name in deadlock[list].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap();
            let own = &of(name).deadlock;
            assert_eq!(own["member"], member, "{name}: {own}");
            let mut circle = names(&target, &own["threads"]);
            let mut expected: Vec<&str> =
                deadlock["circle"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            circle.sort();
            expected.sort();
            assert_eq!(circle, expected, "{name}");
            locked += 1;
        }
    }
    let others = dump.iter().filter(|thread| !thread.deadlock.is_null()).count();
    assert_eq!(others, locked, "{text}");
    assert_eq!(text.matches("Deadlock").count(), usize::from(locked > 0), "{text}");
    for expected in target.ready["expected"].as_object().unwrap().values() {
        if let Some(wait) = expected["text"].as_str() {
            assert!(text.contains(&format!("    waits for: {wait}")), "{wait} is not in {text}");
        }
    }
    (target, dump)
}

#[test]
fn two_threads_in_a_deadlock() {
    for_each(one_per_version(), |python| {
        let (target, _) = check(python, "rlocks2");
        let text = dump_text(target.pid(), &[]);
        let told = |name: &str| format!("thread {} \"{name}\"", target.ready["tids"][name]);
        let (one, two) = (told("one"), told("two"));
        let end = text.split("Deadlock of 2 threads:\n").nth(1).unwrap_or_else(|| panic!("{text}"));
        let lines: Vec<&str> = end.lines().collect();
        let wait = |line: &str, who: &str, whose: &str| {
            line.starts_with(&format!("    {who} waits for RLock at 0x"))
                && line.ends_with(&format!(", held by {whose}"))
        };
        assert_eq!(lines.len(), 2, "{text}");
        assert!(wait(lines[0], &one, &two) && wait(lines[1], &two, &one), "{text}");
    });
}

#[test]
fn three_threads_in_a_deadlock() {
    for_each(one_per_version(), |python| {
        check(python, "rlocks3");
    });
}

#[test]
fn plain_locks_that_were_taken_by_with() {
    for_each(one_per_version(), |python| {
        check(python, "locks");
    });
}

#[test]
fn who_joins_a_thread_in_a_deadlock_is_behind_it() {
    for_each(one_per_version(), |python| {
        let (target, _) = check(python, "joined");
        let text = dump_text(target.pid(), &[]);
        let tid = |name: &str| format!("thread {} \"{name}\"", target.ready["tids"][name]);
        let line = format!("  and behind them: {}, {}\n", tid("joins"), tid("joins too"));
        assert!(text.contains(&line), "{text}");
    });
}

#[test]
fn a_thread_that_waits_for_itself() {
    for_each(one_per_version(), |python| {
        let (target, _) = check(python, "itself");
        let text = dump_text(target.pid(), &[]);
        assert!(text.contains("Deadlock: a thread waits for itself:\n"), "{text}");
    });
}

#[test]
fn locks_that_are_released_inside_of_a_with_statement() {
    for_each(one_per_version(), |python| {
        check_script(python, "dump_locks.py", "released");
    });
}

#[test]
fn who_gives_up_in_the_end_is_in_no_deadlock() {
    for_each(one_per_version().into_iter().filter(|one| one.at_least(3, 3)), |python| {
        check_script(python, "dump_locks.py", "patient");
    });
}

#[test]
fn locks_and_semaphores_of_processes() {
    for_each(one_per_version(), |python| {
        check_script(python, "dump_locks.py", "shared");
    });
}

#[test]
fn threads_that_take_turns_are_in_no_deadlock() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "dump_locks.py", &["contended"]);
        for args in [&[][..], &["--nonblocking"]] {
            let mut contended = 0;
            let start = std::time::Instant::now();
            let mut times = 0;
            while times < 15 || (contended == 0 && start.elapsed() < support::GUARD) {
                let text = dump_text(target.pid(), args);
                assert!(text.contains(" of 1\"") && !text.contains("Deadlock"), "{text}");
                contended += usize::from(text.contains("Lock at 0x"));
                times += 1;
            }
            assert!(contended > 0, "nobody waits for a lock");
        }
    });
}

#[test]
fn what_the_standard_library_makes_of_locks() {
    for_each(one_per_version(), |python| {
        check(python, "library");
    });
}

#[test]
fn two_imports_of_one_module() {
    // In 2.x one lock is for all imports, and nothing tells who has it.
    for_each(one_per_version().into_iter().filter(|one| one.at_least(3, 3)), |python| {
        check(python, "imports");
    });
}

#[test]
fn system_calls_and_their_descriptors() {
    for_each(one_per_version(), |python| {
        let (_, dump) = check(python, "system");
        let of =
            |name: &str| dump.iter().find(|one| one.thread_name.as_deref() == Some(name)).unwrap();
        let sleep = of("sleep").waits_for["text"].as_str().unwrap().to_owned();
        assert!(sleep.starts_with("a sleep "), "{sleep}");
        if python.at_least(3, 11) {
            assert!(sleep.contains("2 h 46 min left (clock_nanosleep)"), "{sleep}");
        }
        let recv = &of("recv").waits_for;
        assert_eq!(recv["system_call"], "recvfrom");
        assert_eq!(recv["descriptors"][0]["kind"], "socket");
        let peers = of("full pipe").waits_for["descriptors"][0]["peers"].clone();
        assert!(peers.as_array().unwrap().contains(&of("recv").pid.into()), "{peers}");
    });
}

/// Dumps until nothing is wrong; fails if that never happens.
#[track_caller]
fn eventually(target: &Target) -> Vec<Thread> {
    let start = std::time::Instant::now();
    loop {
        let dump = dump_json(target.pid(), &[]);
        let last = wrong(target, &dump);
        if last.is_empty() {
            return dump;
        }
        assert!(start.elapsed() < support::GUARD, "{}", last.join("\n"));
    }
}

#[test]
fn a_convoy_of_threads_that_want_the_gil() {
    for_each(one_per_version().into_iter().filter(|one| !one.free_threaded()), |python| {
        let target = Target::start(python, "dump_waits.py", &["gil"]);
        // They wake up all the time to ask for it.
        let dump = eventually(&target);
        let holder: Vec<&Thread> = dump.iter().filter(|thread| thread.owns_gil).collect();
        assert_eq!(holder.len(), 1);
        assert_eq!(holder[0].thread_name.as_deref(), Some("keeps"));
        assert!(dump.iter().all(|thread| thread.deadlock.is_null()));
    });
}

#[test]
fn a_thread_without_frames_that_computes_waits_for_nothing() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "dump_waits.py", &["frameless"]);
        // It begins when the target has said that it is ready.
        let find = || {
            let dump = dump_json(target.pid(), &[]);
            dump.into_iter().find(|thread| thread.frames.is_empty() && thread.active)
        };
        let thread = support::until("a thread that computes", find);
        assert!(thread.waits_for.is_null(), "{thread:?}");
    });
}

#[test]
fn a_garbage_collection_in_progress() {
    // Before 3.7 only a symbol tells where the flag is, which stripped builds have not.
    for_each(
        one_per_version().into_iter().filter(|one| one.is("symbols") || one.at_least(3, 7)),
        |python| {
            let target = Target::start(python, "dump_waits.py", &["collect"]);
            target.wait_asleep();
            let dump = dump_json(target.pid(), &[]);
            assert!(dump.len() == 1 && dump[0].collects_garbage, "{dump:?}");
            let text = dump_text(target.pid(), &[]);
            assert!(text.contains("\nA garbage collection is in progress.\n"), "{text}");
            assert!(text.contains("\n    collects garbage\n"), "{text}");
        },
    );
}

#[test]
fn who_has_the_gil_need_not_be_who_collects_garbage() {
    for_each(
        one_per_version().into_iter().filter(|one| one.at_least(3, 7) && !one.free_threaded()),
        |python| {
            let target = Target::start(python, "dump_waits.py", &["collect_beside"]);
            // It is at work until it has let go of the GIL to read.
            let tids = &target.ready["tids"];
            target.wait_reading(i32::try_from(tids["collects"].as_i64().unwrap()).unwrap());
            let text = dump_text(target.pid(), &[]);
            assert!(text.contains("\nA garbage collection is in progress.\n"), "{text}");
            assert!(text.contains("\"spins\""), "{text}");
            assert!(!text.contains("collects garbage"), "{text}");
        },
    );
}

#[test]
fn the_end_of_the_program_waits_for_its_threads() {
    for_each(one_per_version(), |python| {
        check(python, "shutdown");
    });
}

#[test]
fn a_stopped_process_waits_to_be_continued() {
    let target = Target::start(support::newest(), "dump_waits.py", &["rlocks2"]);
    target.wait_asleep();
    target.signal(rustix::process::Signal::STOP);
    while support::target::thread_states(target.pid()).iter().any(|(_, state)| *state != 'T') {
        std::thread::yield_now();
    }
    for thread in dump_json(target.pid(), &[]) {
        assert_eq!(thread.waits_for["kind"], "stopped", "{thread:?}");
    }
    target.signal(rustix::process::Signal::CONT);
}
