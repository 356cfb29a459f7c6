//! `dump --subprocesses`: the whole tree below the processes that were asked for, in text and
//! JSON; and who is found by a name.

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use support::target::{script_path, wait_asleep};
use support::{Interpreter, Run, Target, for_each, one_per_version, run_py_spy, until};

/// What a process of tree_still.py says of itself.
struct Said {
    role: String,
    pid: i32,
    ancestors: Vec<i32>,
}

/// Starts a family and waits until all of it stands still.
#[track_caller]
fn start(python: &Interpreter, script: &str, kinds: &[&str]) -> (Target, Vec<Said>) {
    let target = Target::start(python, script, kinds);
    let number = |value: &Value| value.as_i64().unwrap() as i32;
    let one = |one: &Value| Said {
        role: one[0].as_str().unwrap().to_owned(),
        pid: number(&one[1]),
        ancestors: one[2].as_array().unwrap().iter().map(number).collect(),
    };
    let said: Vec<Said> = target.ready["family"].as_array().unwrap().iter().map(one).collect();
    for pid in said.iter().map(|one| one.pid) {
        wait_asleep(pid);
    }
    (target, said)
}

#[track_caller]
fn dump(args: &[&str]) -> Run {
    let run = run_py_spy(["dump"].iter().chain(args));
    assert_eq!((run.code(), run.stderr.as_str()), (Some(0), ""), "{args:?}: {}", run.stdout);
    run
}

/// The threads of each process, and the processes in their order.
#[track_caller]
fn processes(run: &Run) -> (Vec<i32>, BTreeMap<i32, Vec<Value>>) {
    let threads: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let mut order = Vec::new();
    let mut found: BTreeMap<i32, Vec<Value>> = BTreeMap::new();
    for thread in threads {
        let pid = thread["pid"].as_i64().unwrap() as i32;
        if !found.contains_key(&pid) {
            order.push(pid);
        }
        found.entry(pid).or_default().push(thread);
    }
    (order, found)
}

/// What a process comes from by `process_info`, the first one first.
fn ancestors(info: &Value) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = &info["parent"];
    while !next.is_null() {
        assert!(!next["command_line"].as_str().unwrap().is_empty(), "{info}");
        found.push(next["pid"].as_i64().unwrap() as i32);
        next = &next["parent"];
    }
    found.reverse();
    found
}

#[test]
fn the_whole_tree_is_shown() {
    for_each(one_per_version(), |python| {
        let kinds = ["forked", "spawned", "below", "other", "orphan"];
        let (target, said) = start(python, "tree_still.py", &kinds);
        let pid = target.pid().to_string();
        let (order, found) = processes(&dump(&["-s", "--json", "-p", &pid]));
        // All of the family, and nothing that is no Python.
        let expected: BTreeSet<i32> = said.iter().map(|one| one.pid).collect();
        assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), expected);
        for one in &said {
            let [thread] = &found[&one.pid][..] else { panic!("{}: {:?}", one.role, found) };
            let names: Vec<&str> = thread["frames"]
                .as_array()
                .unwrap()
                .iter()
                .map(|frame| frame["name"].as_str().unwrap())
                .collect();
            let function = format!("stand_{}", one.role);
            assert_eq!(names[..2], ["wait", function.as_str()], "{}", one.role);
            let info = &thread["process_info"];
            assert_eq!(info["pid"], one.pid);
            assert!(info["command_line"].as_str().unwrap().contains("tree_still.py"), "{info}");
            assert_eq!(ancestors(info), one.ancestors, "{}", one.role);
            // Each after what it comes from.
            let place = |pid: i32| order.iter().position(|own| *own == pid);
            assert!(one.ancestors.iter().all(|parent| place(*parent) < place(one.pid)));
        }

        // The same as text.
        let text = dump(&["-s", "-p", &pid]).stdout;
        let mut lines = text.lines().peekable();
        let mut shown = Vec::new();
        while let Some(line) = lines.next() {
            let Some(rest) = line.strip_prefix("Process ") else { continue };
            let pid: i32 = rest.split_once(':').unwrap().0.parse().unwrap();
            shown.push(pid);
            let one = said.iter().find(|one| one.pid == pid).unwrap();
            assert!(lines.next().unwrap().starts_with("Python v"));
            let parent = lines.peek().unwrap().split_once(" Process ");
            let before = if one.role == "orphan" {
                Some("Its parent has ended, it comes from")
            } else {
                one.ancestors.last().map(|_| "Parent")
            };
            assert_eq!(parent.map(|(before, _)| before), before, "{text}");
            if let (Some((_, rest)), Some(expected)) = (parent, one.ancestors.last()) {
                let (pid, command) = rest.split_once(": ").unwrap();
                assert_eq!(pid, expected.to_string());
                let shell = one.role == "below";
                assert!(command.starts_with(if shell { "sh -c " } else { "/" }), "{command}");
            }
        }
        assert_eq!(shown, order);
        // Who started whom stands above all, also those that are no Python.
        let (tree, _) = text.strip_prefix("Processes:\n").unwrap().split_once("\n\n").unwrap();
        let depths: BTreeMap<i32, usize> = tree
            .lines()
            .map(|line| {
                let depth = line.len() - line.trim_start().len();
                (line.trim_start().split_once(':').unwrap().0.parse().unwrap(), depth / 4)
            })
            .collect();
        for one in &said {
            assert_eq!(depths[&one.pid], one.ancestors.len() + 1, "{tree}");
        }
        let strangers = depths.keys().filter(|pid| !expected.contains(pid)).count();
        assert_eq!(tree.matches(" (no Python)").count(), strangers, "{tree}");
        assert_eq!(tree.lines().count(), expected.len() + strangers, "{tree}");

        // Alone, it is as ever.
        assert!(dump(&["-p", &pid]).stdout.starts_with("Process "));
        let (order, found) = processes(&dump(&["--json", "-p", &pid]));
        assert_eq!(order, [target.pid()]);
        assert!(found[&target.pid()][0]["process_info"].is_null());
    });
}

/// What is asked for need not be a Python itself; what is shown twice is not.
#[test]
fn any_process_may_be_asked_for() {
    let python = support::newest();
    let (target, said) = start(python, "tree_still.py", &["forked", "below", "other"]);
    let find = |role: &str| said.iter().find(|one| one.role == role).unwrap();
    let below = find("below");
    let shell = below.ancestors.last().unwrap().to_string();
    let (order, found) = processes(&dump(&["-s", "--json", "-p", &shell]));
    assert_eq!(order, [below.pid]);
    let info = &found[&below.pid][0]["process_info"];
    assert_eq!(ancestors(info), [*below.ancestors.last().unwrap()]);

    let [forked, grandchild] = ["forked", "grandchild"].map(|role| find(role).pid);
    let (root, child) = (target.pid().to_string(), forked.to_string());
    let (order, found) = processes(&dump(&["-s", "--json", "-p", &child, "-p", &root]));
    // Of siblings the order is that of their start, in hundredths of a second, and then of
    // their ids, which may begin anew.
    let of_all = |pids: &[i32]| pids.iter().copied().collect::<BTreeSet<i32>>();
    assert_eq!(of_all(&order), of_all(&[target.pid(), forked, grandchild, below.pid]));
    assert_eq!((order.len(), order[0]), (4, target.pid()), "{order:?}");
    let place = |pid: i32| order.iter().position(|own| *own == pid);
    assert!(place(forked) < place(grandchild), "{order:?}");
    assert_eq!(ancestors(&found[&grandchild][0]["process_info"]), [target.pid(), forked]);

    // No Python at all, and no process.
    let other = target.ready["others"].as_array().unwrap().last().unwrap().to_string();
    let run = run_py_spy(["dump", "-s", "-p", &other]);
    assert_eq!((run.code(), run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
    assert!(run.stderr.contains("does not seem to be a Python program"), "{}", run.stderr);
    let run = run_py_spy(["dump", "-s", "-p", "2147483647", "-p", &child]);
    assert_eq!(run.code(), Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("there is no process 2147483647"), "{}", run.stderr);
    assert!(run.stdout.contains("stand_grandchild"), "{}", run.stdout);
}

/// Processes come and go all the time: what has gone meanwhile is left out.
#[test]
fn what_ends_meanwhile_is_left_out() {
    let versions = one_per_version();
    for_each([versions[0], support::newest()], |python| {
        let target = Target::start(python, "tree_churn.py", &[]);
        let pid = target.pid().to_string();
        let (mut others, mut rounds) = (0, 0);
        // Most of the time there is one; a dump may come to its end after each of them.
        until("a dump with one that lives for some milliseconds", || {
            let run = run_py_spy(["dump", "-s", "--json", "-p", &pid]);
            assert_eq!(run.code(), Some(0), "{}", run.stderr);
            assert!(!run.stderr.contains("Error"), "{}", run.stderr);
            let (order, _) = processes(&run);
            assert_eq!(order.first(), Some(&target.pid()), "{}", run.stderr);
            others += order.len() - 1;
            rounds += 1;
            (rounds >= 12 && others > 0).then_some(())
        });
        println!("{}: {others} that live for some milliseconds, in {rounds}", python.label);
    });
}

/// A family is one program: its first process is meant by the name.
#[test]
fn a_family_is_found_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("still_{}", std::process::id());
    let script = folder.path().join(format!("{name}.py"));
    std::fs::copy(script_path("tree_still.py"), &script).unwrap();
    let (target, said) = start(support::newest(), script.to_str().unwrap(), &["forked", "spawned"]);
    let (order, _) = processes(&dump(&["--json", "--name", &name]));
    assert_eq!(order, [target.pid()]);
    let (order, _) = processes(&dump(&["-s", "--json", "--name", &name]));
    assert_eq!((order.len(), order[0]), (said.len(), target.pid()));
    let run = run_py_spy(["dump", "--name", "there_is_no_such_program"]);
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
    let run = run_py_spy(["dump", "--name", &name, "-p", "1"]);
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
}
