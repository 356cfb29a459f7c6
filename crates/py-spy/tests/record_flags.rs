//! The flags of `record` that decide what is sampled and how frames are shown.

mod record_kit;
mod support;

use record_kit::{
    Folder, counted, folded, modern, parts, record_raw, record_told, samples, total, until, with,
};
use std::collections::HashSet;
use support::target::state;
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
        let found = record_raw(target.pid(), &["-d", "1", "-r", "200", "-t", "-i"]);
        let expected = ["python", "outside", "sleeper", "MainThread"].map(root);
        let mut roots: HashSet<&str> = found.iter().map(|(frames, _)| frames[0].as_str()).collect();
        for root in &expected {
            assert!(roots.remove(root.as_str()), "no {root}: {roots:?}");
        }
        assert!(roots.is_empty(), "{roots:?}");
        // Each thread's stacks are its own.
        for (thread, function) in [
            ("python", "compute_in_python"),
            ("outside", "compute_outside"),
            ("sleeper", "sleep_for_ever"),
        ] {
            let root = root(thread);
            let stacks = || found.iter().filter(|(frames, _)| frames[0] == root);
            assert!(
                stacks().all(|(frames, _)| has(frames, function)
                    || has(frames, "started")
                    || has(frames, "run")),
                "{root}"
            );
            assert!(
                stacks().any(|(frames, _)| has(frames, function)),
                "{root} never in {function}"
            );
        }
        let without = record_raw(target.pid(), &["-d", "0.3", "-i"]);
        assert_eq!(with(&without, "thread ("), 0);
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
        // Without a GIL a thread spins on a lock before it waits.
        let tids = ["sleeper", "waiter", "MainThread"]
            .map(|name| target.ready["tids"][name].as_i64().unwrap() as i32);
        let mut asleep = 0;
        until("the others to sleep", || {
            asleep = if tids.iter().all(|tid| state(*tid) == 'S') { asleep + 1 } else { 0 };
            (asleep > 10).then_some(())
        });
        let found = record_raw(target.pid(), &["-d", "1", "-r", "500"]);
        let busy = with(&found, "compute_in_python (");
        assert!(busy > 50, "the busy thread: {busy} of {}", total(&found));
        for asleep in ["sleep_for_ever (", "wait_for_event ("] {
            assert_eq!(with(&found, asleep), 0, "{asleep} of {}: {found:?}", total(&found));
        }
        let (found, told) = record_told(target.pid(), &["-d", "0.5", "-r", "200", "-i"]);
        let [busy, asleep, waiting] =
            ["compute_in_python (", "sleep_for_ever (", "wait_for_event ("]
                .map(|name| with(&found, name));
        // Three threads wait: the main one waits for an event like the waiter. What was
        // dropped is the busy one's.
        let busy = busy + counted(&told, "dropped").unwrap_or(0);
        let same = |count: u64, expected: u64| count.abs_diff(expected) * 10 <= expected;
        assert!(
            asleep > 5 && same(busy, asleep) && same(waiting, 2 * asleep),
            "{busy} {asleep} {waiting}: {told}"
        );
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
            let all = record_raw(target.pid(), &["-d", "1", "-r", "200"]);
            let (inside, outside) =
                (with(&all, "compute_in_python ("), with(&all, "compute_outside ("));
            assert!(inside > 20 && outside > 20, "both compute: {inside} and {outside}");
            let pid = target.pid().to_string();
            let run = run_py_spy([
                "record", "-f", "raw", "-o", "-", "-p", &pid, "-g", "-d", "1", "-r", "200",
            ])
            .ok();
            let gil = folded(&run.stdout);
            let (inside, outside) =
                (with(&gil, "compute_in_python ("), with(&gil, "compute_outside ("));
            assert!(inside > 50 && outside * 5 < inside, "with the GIL: {inside} and {outside}");
            assert!(total(&gil) <= 200, "one at an instant: {}", run.stderr);
            // Idle ones too: still only the holder.
            let both = record_raw(target.pid(), &["-g", "-i", "-d", "0.5", "-r", "200"]);
            assert!(total(&both) <= 100 && with(&both, "sleep_for_ever (") == 0, "{both:?}");
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
        let found = record_raw(target.pid(), &[&["-d", "0.2"], args].concat());
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
        let pid = target.pid().to_string();
        let run = run_py_spy(
            ["record", "-f", "raw", "-o", "-", "-d", "1", "-r", "200", "-p", &pid]
                .iter()
                .chain(args),
        )
        .ok();
        let found = folded(&run.stdout);
        let three: u64 =
            ["sixty (", "thirty (", "ten ("].map(|name| with(&found, name)).iter().sum();
        assert!(
            three > 50 && three * 10 > total(&found) * 9,
            "{args:?}: {three} of {}: {found:?}",
            total(&found)
        );
        if args == ["--nonblocking"] {
            assert_eq!(counted(&run.stderr, "paused"), None, "{}", run.stderr);
        }
    }
}

/// A whole recursion is recorded, however deep.
#[test]
fn deep_recursion_is_whole() {
    let versions = one_per_version().into_iter().filter(|python| python.at_least(3, 11));
    for_each(versions, |python| {
        let target = Target::start(python, "record_deep.py", &["60000"]);
        let (found, told) = record_told(target.pid(), &["-d", "1.5", "-r", "50", "-F"]);
        assert!(total(&found) > 0, "{told}");
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
    let run =
        run_py_spy(["record", "-f", "raw", "-o", "-", "-p", &pid, "-r", "20000", "-d", "1"]).ok();
    let [taken, missed] = [samples(&run.stderr), counted(&run.stderr, "missed").unwrap_or(0)];
    let dropped = counted(&run.stderr, "dropped").unwrap_or(0);
    // Each of the 20,000 instants was used or is accounted for; an instant at which
    // nothing ran gives no sample.
    let accounted = taken + missed + dropped;
    assert!((19_000..=20_001).contains(&accounted), "{}", run.stderr);
    assert!(taken > 500, "{}", run.stderr);
    let run =
        run_py_spy(["record", "-f", "raw", "-o", "-", "-p", &pid, "-r", "20", "-d", "0.5"]).ok();
    assert!((1..=11).contains(&samples(&run.stderr)), "half a second: {}", run.stderr);
}
