//! The flags of `record` that decide what is sampled and how frames are shown.

mod record_kit;
mod support;

use record_kit::{
    Folded, Folder, counted, modern, parts, record_raw, record_until, samples, total, until, with,
};
use serde_json::Value;
use std::collections::HashSet;
use support::{Target, for_each, one_per_version, run_py_spy};

/// The first line of each function of a target, read from its source.
fn first_lines(script: &str) -> Vec<(String, u32)> {
    let text = std::fs::read_to_string(support::target::script_path(script)).unwrap();
    let lines = text.lines().zip(1..);
    let defined = |(line, number): (&str, u32)| {
        let name = line.strip_prefix("def ")?.split('(').next()?;
        Some((name.to_owned(), number))
    };
    lines.filter_map(defined).collect()
}

/// -F shows each function once, by its first line; else each line is a frame of its own;
/// --nolineno shows none.
#[test]
fn lines_are_shown_as_asked() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "record_split.py", &[]);
        let defined = first_lines("record_split.py");
        let named = ["sixty", "thirty", "ten", "work"];
        // Records until each function has been seen in as many lines as it should.
        let lines = |args: &[&str], expected: [usize; 4]| -> Vec<HashSet<u32>> {
            let mut seen = vec![HashSet::new(); named.len()];
            until("lines of each function", || {
                let found = record_raw(target.pid(), &[&["-d", "0.5", "-r", "300"], args].concat());
                let frames = || found.iter().flat_map(|(frames, _)| frames);
                for (name, _, line) in frames().map(|frame| parts(frame)) {
                    if let Some(at) = named.iter().position(|wanted| *wanted == name) {
                        seen[at].insert(line);
                    }
                }
                let enough = |(seen, least): (&HashSet<u32>, &usize)| seen.len() >= *least;
                seen.iter().zip(&expected).all(enough).then(|| seen.clone())
            })
        };
        // Nearly all the time is in the loop of `work`, which has two lines.
        let by_line = lines(&[], [1, 1, 1, 2]);
        let by_function = lines(&["-F"], [1; 4]);
        assert_eq!(lines(&["--function"], [1; 4]), by_function);
        let without = lines(&["--nolineno"], [1; 4]);
        for (at, name) in named.iter().enumerate() {
            let first = defined.iter().find(|(defined, _)| defined == name).unwrap().1;
            let inside = |line: &u32| (first..first + 8).contains(line);
            assert!(by_line[at].iter().all(inside), "{name}: {by_line:?}");
            assert_eq!(by_function[at], HashSet::from([first]), "{name}");
            assert_eq!(without[at], HashSet::from([0]), "{name}");
        }
    });
}

#[test]
fn lines_cannot_be_shown_in_two_ways() {
    let run = run_py_spy(["record", "-p", "1", "-F", "--nolineno"]);
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("--nolineno") && run.stderr.contains("cannot be used with"),
        "{}",
        run.stderr
    );
}

/// -t puts a frame for the thread at the root, with the ids that the threads know
/// themselves by; without it there is none.
#[test]
fn threads_are_root_frames() {
    let versions = one_per_version().into_iter().filter(|python| python.at_least(3, 8));
    for_each(versions, |python| {
        let target = Target::start(python, "record_threads.py", &["python", "outside", "sleeper"]);
        let tid = |name: &str| target.ready["tids"][name].as_i64().unwrap();
        let root = |name: &str| format!("thread ({}): {name}", tid(name));
        let own = [
            ("python", "compute_in_python"),
            ("outside", "compute_outside"),
            ("sleeper", "sleep_for_ever"),
            ("MainThread", "wait_for_event"),
        ];
        let own = own.map(|(thread, function)| (root(thread), function));
        record_until(target.pid(), &["-d", "1", "-r", "200", "-t", "-i"], |found, _| {
            for (frames, _) in found {
                assert!(own.iter().any(|(root, _)| frames[0] == *root), "{frames:?}");
                // Each thread's stacks are its own.
                for (root, function) in &own {
                    assert!(frames[0] == *root || !has(frames, function), "{frames:?}");
                }
            }
            own.iter().all(|(root, function)| {
                found.iter().any(|(frames, _)| frames[0] == *root && has(frames, function))
            })
        });
        record_until(target.pid(), &["-d", "0.3", "-i"], |found, _| {
            assert_eq!(with(found, "thread ("), 0);
            total(found) > 0
        });
    });
}

fn has(frames: &[String], function: &str) -> bool {
    // Qualified names say more: Thread.run.
    frames.iter().any(|frame| parts_or_thread(frame).rsplit('.').next() == Some(function))
}

fn parts_or_thread(frame: &str) -> &str {
    if frame.starts_with("thread (") { frame } else { parts(frame).0 }
}

/// Threads that sleep or wait are never sampled unless -i asks for them, however often
/// one looks and however busy their neighbours are.
#[test]
fn waiting_threads_are_only_sampled_when_asked_for() {
    for_each(one_per_version().into_iter().filter(|python| python.at_least(3, 8)), |python| {
        let target = Target::start(python, "record_threads.py", &["python", "sleeper", "waiter"]);
        // Who waits for the GIL sleeps too, but not for long.
        target.wait_asleep_but("python");
        record_until(target.pid(), &["-d", "1", "-r", "500"], |found, _| {
            for asleep in ["sleep_for_ever (", "wait_for_event ("] {
                assert_eq!(with(found, asleep), 0, "{asleep} of {}: {found:?}", total(found));
            }
            with(found, "compute_in_python (") > 50
        });
        let mut dropped = 0;
        record_until(target.pid(), &["-d", "0.5", "-r", "200", "-i"], |found, told| {
            let [busy, asleep, waiting] =
                ["compute_in_python (", "sleep_for_ever (", "wait_for_event ("]
                    .map(|name| with(found, name));
            // Three threads wait: the main one waits for an event like the waiter. What was
            // dropped is the busy one's.
            dropped += counted(told, "dropped").unwrap_or(0);
            let busy = busy + dropped;
            let same = |count: u64, expected: u64| count.abs_diff(expected) * 10 <= expected;
            assert!(
                same(busy, asleep) && same(waiting, 2 * asleep),
                "{busy} {asleep} {waiting}: {told}"
            );
            asleep > 30
        });
    });
}

/// -g takes only what holds the GIL: of two busy threads the one that computes in Python,
/// and never more than one thread at an instant.
#[test]
fn only_the_holder_of_the_gil_when_asked() {
    for_each(
        one_per_version()
            .into_iter()
            .filter(|python| python.at_least(3, 8) && !python.free_threaded()),
        |python| {
            let target =
                Target::start(python, "record_threads.py", &["python", "outside", "sleeper"]);
            let both = |found: &Folded| {
                (with(found, "compute_in_python ("), with(found, "compute_outside ("))
            };
            record_until(target.pid(), &["-d", "1", "-r", "200"], |all, _| {
                let (inside, outside) = both(all);
                inside > 20 && outside > 20
            });
            // One at an instant: those at which nobody looked have none.
            let assert_one = |told: &str, instants: u64| {
                let missed = counted(told, "missed").unwrap_or(0);
                assert!(samples(told) + missed <= instants, "{told}");
            };
            // Who gives the GIL away may lose the processor just before.
            record_until(target.pid(), &["-g", "-d", "1", "-r", "200"], |found, told| {
                assert_one(told, 200);
                let (inside, outside) = both(found);
                inside > 50 && outside * 5 < inside
            });
            // Idle ones too: still only the holder.
            record_until(target.pid(), &["-g", "-i", "-d", "0.5", "-r", "200"], |found, told| {
                assert_one(told, 100);
                assert_eq!(with(found, "sleep_for_ever ("), 0, "{found:?}");
                total(found) > 0
            });
        },
    );
}

/// Short file names are the path without the folders above the package; full ones are
/// what the code object says.
#[test]
fn file_names_are_short_unless_asked() {
    let folder = Folder::new();
    let package = folder.path().join("site/pkg/sub");
    std::fs::create_dir_all(&package).unwrap();
    for init in ["site/pkg/__init__.py", "site/pkg/sub/__init__.py"] {
        std::fs::write(folder.path().join(init), "").unwrap();
    }
    let module = package.join("mod.py");
    std::fs::write(
        &module,
        "def burn():\n    print('READY', flush=True)\n    while True:\n        pass\n",
    )
    .unwrap();
    let main = folder.path().join("site/main.py");
    std::fs::write(&main, "import pkg.sub.mod\npkg.sub.mod.burn()\n").unwrap();
    let [main, module] = [main, module].map(|path| path.to_str().unwrap().to_owned());
    let target = Target::start(modern(), &main, &[]);
    let files = |args: &[&str]| -> HashSet<(String, String)> {
        let args = [&["-d", "0.2"], args].concat();
        let found = record_until(target.pid(), &args, |found, _| total(found) > 0);
        let frames = found.iter().flat_map(|(frames, _)| frames).map(|frame| parts(frame));
        frames.map(|(name, file, _)| (name.to_owned(), file.to_owned())).collect()
    };
    let expected = |main: &str, module: &str| {
        HashSet::from([
            ("<module>".to_owned(), main.to_owned()),
            ("burn".to_owned(), module.to_owned()),
        ])
    };
    assert_eq!(files(&[]), expected("main.py", "pkg/sub/mod.py"));
    assert_eq!(files(&["--full-filenames"]), expected(&main, &module));
}

/// However samples are made safe, they are of the same program.
#[test]
fn pausing_is_a_choice() {
    let target = Target::start(modern(), "record_split.py", &[]);
    for args in [&[][..], &["--nonblocking"], &["--blocking"]] {
        let all = [&["-d", "1", "-r", "200"], args].concat();
        record_until(target.pid(), &all, |found, told| {
            let own = ["<module>", "sixty", "thirty", "ten", "work"];
            for frame in found.iter().flat_map(|(frames, _)| frames) {
                assert!(own.contains(&parts(frame).0), "{args:?}: {frame}");
            }
            if args == ["--nonblocking"] {
                assert_eq!(counted(told, "paused"), None, "{told}");
            }
            let three: u64 =
                ["sixty (", "thirty (", "ten ("].map(|name| with(found, name)).iter().sum();
            three > 50 && three * 10 > total(found) * 9
        });
    }
}

/// A whole recursion is recorded, however deep.
#[test]
fn deep_recursion_is_whole() {
    let versions = one_per_version().into_iter().filter(|python| python.at_least(3, 11));
    for_each(versions, |python| {
        let target = Target::start(python, "record_deep.py", &["60000"]);
        let args = ["-d", "1.5", "-r", "50", "-F"];
        let found = record_until(target.pid(), &args, |found, _| total(found) > 0);
        for (frames, _) in &found {
            let recursing = frames.iter().filter(|frame| frame.starts_with("recurse (")).count();
            assert_eq!((frames.len(), recursing), (60002, 60000));
            let ends = [&frames[0], &frames[60001]].map(|frame| parts(frame).0);
            assert_eq!(ends, ["<module>", "bottom"]);
        }
    });
}

/// -d is wall time whatever the rate: what was too late is left out and counted.
#[test]
fn the_duration_holds_at_any_rate() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let pid = target.pid().to_string();
    for (rate, duration, instants) in [("20000", "1", 20_000), ("20", "0.5", 10)] {
        until("some samples", || {
            let args = ["record", "-f", "speedscope", "-o", "-", "-p", &pid, "-r", rate];
            let run = run_py_spy(args.into_iter().chain(["-d", duration])).ok();
            let file: Value = serde_json::from_str(&run.stdout).unwrap();
            let count = |what: &str| file["py-spy"]["quality"][what].as_u64().unwrap();
            // Each instant was used or is accounted for, and each that was used gave a sample
            // of the one thread, which always runs, or one that could not be trusted.
            assert_eq!(count("ticks") + count("missed"), instants, "{}", run.stderr);
            assert_eq!(count("samples") + count("dropped"), count("ticks"), "{}", run.stderr);
            assert_eq!(count("samples"), samples(&run.stderr), "{}", run.stderr);
            (count("samples") * 40 > instants).then_some(())
        });
    }
}
