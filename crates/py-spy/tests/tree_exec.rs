//! `record --subprocesses` and what becomes another program: children between `vfork` and
//! `exec`, targets that execute one program after the other, programs that are no Python.

mod record_kit;
mod support;
mod tree_kit;

use record_kit::{Folder, Running, counted, folded, modern, samples, total};
use std::process::Command;
use support::target::script_path;
use support::{for_each, one_per_version, py_spy};
use tree_kit::{Stack, by_process, said, stacks, wait_line};

/// A child that still runs in its parent's memory is not shown as doing what its parent
/// does; and it was seen, several times.
#[test]
fn a_child_in_its_parents_memory_is_not_shown() {
    for_each(one_per_version(), |python| {
        let folder = Folder::new();
        let mut command = Command::new(&python.path);
        command.arg(script_path("tree_vfork.py")).arg("12");
        let mut target = Running::start(command);
        let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
        let args = ["record", "-s", "-i", "-r", "400", "-F", "-o", &out, "-p", &pid];
        let mut command = py_spy(args);
        command.env("RUST_LOG", "py_spy::fleet=debug");
        let mut recording = Running::start(command);
        recording.wait_sampling();
        target.send("\n");
        let done = recording.wait();
        assert_eq!(done.code(), Some(0), "{}", done.stderr);
        assert!(target.stdout().contains("DONE"), "{}", target.stderr());
        let seen = done.stderr.matches("in the memory of its parent").count();
        println!("{}: seen {seen} times in their parent's memory", python.label);
        // Up to 3.9 subprocess used fork, and before 3.8 there was no posix_spawn.
        assert_eq!(seen > 3, python.at_least(3, 8), "{}", done.stderr);
        let stacks = stacks(&folded(&folder.read("out.txt")));
        let found = by_process(&stacks);
        assert!(found[&target.pid()] > 10, "{found:?}");
        // With fork a child has stacks of its own, and they say so.
        let other = stacks.iter().filter(|stack| stack.pid() != target.pid());
        let vfork = |stack: &&Stack| python.at_least(3, 10) || !stack.has("start_programs");
        for stack in other.filter(vfork) {
            panic!("a child as its parent: {stack:?}");
        }
    });
}
