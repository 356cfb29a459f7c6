//! `record --subprocesses` and processes that do not live long: they are seen where their life
//! allows, and nothing of them is left.

mod record_kit;
mod support;
mod tree_kit;

use record_kit::{Folder, Running, counted, folded, modern, until};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::process::Command;
use support::target::script_path;
use support::{for_each, one_per_version};
use tree_kit::{Stack, snapshot, stacks};

/// What a process has: open files, threads, and children that it has not collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Belongings {
    files: usize,
    threads: usize,
    zombies: usize,
}

impl Belongings {
    fn of(pid: i32) -> Belongings {
        let count = |folder: &str| {
            std::fs::read_dir(format!("/proc/{pid}/{folder}")).unwrap().flatten().count()
        };
        let is_zombie = |stat: &str| {
            let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
            rest.starts_with(&format!("Z {pid} "))
        };
        let stats = std::fs::read_dir("/proc").unwrap().flatten();
        let stats = stats.filter_map(|entry| std::fs::read(entry.path().join("stat")).ok());
        Belongings {
            files: count("fd"),
            threads: count("task"),
            zombies: stats.filter(|stat| is_zombie(&String::from_utf8_lossy(stat))).count(),
        }
    }
}

/// How often the target, whose output is collected by `running`, has said DONE.
fn done(running: &Running) -> usize {
    running.stdout().lines().filter(|line| *line == "DONE").count()
}

/// 200 in a row leave nothing: neither files nor threads nor children of ours.
#[test]
fn two_hundred_children_leave_nothing() {
    let python = modern();
    let script = script_path("tree_short.py");
    let (program, script) = (python.path.to_str().unwrap(), script.to_str().unwrap());
    for kind in ["child", "orphan"] {
        let folder = Folder::new();
        let out = folder.file("out.txt");
        let args = ["record", "-s", "-r", "200", "-F", "-o", &out, "--", program, script];
        let mut recording = Running::py_spy(&args);
        until("READY", || recording.stdout().contains("READY").then_some(()));
        recording.wait_sampling();
        // The first ones may have something made that stays: what the program needs anyway.
        recording.send(&format!("{kind} 20 5\n"));
        until("the first ones", || (done(&recording) == 1).then_some(()));
        // What has ended is let go of within a moment.
        let settled = |recording: &Running, most: Option<Belongings>| {
            until("nothing to be left", || {
                let now = Belongings::of(recording.pid());
                let most = most.unwrap_or(now);
                let few = now.files <= most.files && now.threads <= most.threads;
                (few && now.zombies == 0).then_some(now)
            })
        };
        let before = settled(&recording, None);
        recording.send(&format!("{kind} 200 5\n"));
        until("all of them", || (done(&recording) == 2).then_some(()));
        // They were seen, or they would not have had a chance to leave anything.
        let mut batches = 2;
        until("some of them to be seen", || {
            let found = stacks(&folded(&snapshot(&recording, &out)));
            if found.iter().any(|stack| stack.has("work_short")) {
                return Some(());
            }
            batches += 1;
            recording.send(&format!("{kind} 200 5\n"));
            until("all of them", || (done(&recording) == batches).then_some(()));
            None
        });
        let after = settled(&recording, Some(before));
        println!("{kind}: {before:?} {after:?}");
        recording.close_stdin();
        let done = recording.wait();
        assert_eq!(done.code(), Some(0), "{}", done.stderr);
        assert_eq!(counted(&done.stderr, "errors"), Some(0), "{}", done.stderr);
    }
}

/// Most of those that compute for 20 milliseconds are seen.
#[test]
fn children_of_twenty_milliseconds_are_seen() {
    const COUNT: usize = 40;
    for_each(one_per_version(), |python| {
        let folder = Folder::new();
        let mut command = Command::new(&python.path);
        command.arg(script_path("tree_short.py"));
        let mut target = Running::start(command);
        until("READY", || target.stdout().contains("READY").then_some(()));
        let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
        let mut recording =
            Running::py_spy(&["record", "-s", "-r", "500", "-F", "-o", &out, "-p", &pid]);
        recording.wait_sampling();
        // On a busy machine many come and go while py-spy has no processor: then there are more.
        let mut batches = 0;
        until("a third of them to be seen", || {
            batches += 1;
            target.send(&format!("child {COUNT} 20\n"));
            until("DONE", || (done(&target) == batches).then_some(()));
            let found = stacks(&folded(&snapshot(&recording, &out)));
            (seen(&found).len() * 3 >= batches * COUNT).then_some(())
        });
        recording.signal(Signal::INT);
        let ended = recording.wait();
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        assert_eq!(counted(&ended.stderr, "errors"), Some(0), "{}", ended.stderr);
        let stdout = target.stdout();
        let said = stdout.lines().filter_map(|line| line.strip_prefix("CHILD "));
        let said: BTreeSet<i32> = said.map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(said.len(), batches * COUNT);
        let seen = seen(&stacks(&folded(&folder.read("out.txt"))));
        println!("{}: {} of {} seen", python.label, seen.len(), said.len());
        assert!(seen.is_subset(&said), "{seen:?} {said:?}");
    });
}

/// The processes that were seen at work.
fn seen(stacks: &[Stack]) -> BTreeSet<i32> {
    stacks.iter().filter(|stack| stack.has("work_short")).map(Stack::pid).collect()
}
