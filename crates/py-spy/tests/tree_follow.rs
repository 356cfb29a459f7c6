//! `record --subprocesses`: all that a program starts is found, by whichever way it is
//! started, and each process is shown with its own stacks below those it comes from.

mod record_kit;
mod support;
mod tree_kit;

use record_kit::{Folder, Running, counted, folded, samples, total, until};
use std::process::Command;
use support::target::script_path;
use support::{Interpreter, for_each, one_per_version};
use tree_kit::{Stack, all_seen, assert_family, said, stacks, wait_line};

/// Of how many instants there must be samples of each process, of 100 and more. It takes a
/// moment until a process is found.
const INSTANTS: u64 = 50;

/// The ways of starting a process that a version has.
fn kinds(python: &Interpreter) -> Vec<&'static str> {
    let mut kinds = vec![
        "forked",
        "grandchild",
        "spawned",
        "shell_exec",
        "shell_child",
        "orphan",
        "daemon",
        "session_leader",
        "pool",
    ];
    if python.at_least(3, 4) {
        kinds.extend(["multi_fork", "multi_spawn", "multi_forkserver"]);
    }
    if python.at_least(3, 8) {
        kinds.push("posix_spawned");
    }
    kinds
}

/// Records a family to its end; what was said, what was seen, and what py-spy said of it.
#[track_caller]
fn family(python: &Interpreter, kinds: &[&str]) -> (String, Vec<Stack>, String) {
    let folder = Folder::new();
    let script = script_path("tree_family.py");
    let (program, script) = (python.path.to_str().unwrap(), script.to_str().unwrap());
    let out = folder.file("out.txt");
    let fixed = ["record", "-s", "-r", "400", "-F", "-o", &out, "--", program, script];
    let mut recording = Running::py_spy(&[&fixed, kinds].concat());
    recording.close_stdin();
    let done = recording.wait();
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(counted(&done.stderr, "errors"), Some(0), "{}", done.stderr);
    let found = folded(&folder.read("out.txt"));
    assert_eq!(total(&found), samples(&done.stderr));
    (done.stdout, stacks(&found), done.stderr)
}

#[test]
fn all_that_a_program_starts_is_found() {
    for_each(one_per_version(), |python| {
        let kinds = kinds(python);
        until("a recording that saw all of them", || {
            let (stdout, stacks, stderr) = family(python, &kinds);
            let mut said = said(&stdout);
            // One more for the root, and one for the second of the pool.
            assert_eq!(said.len(), kinds.len() + 2, "{stdout}");
            let root = said.iter().find(|one| one.role == "root").unwrap().pid;
            for one in said.iter_mut().filter(|one| one.pid != root) {
                let seen = stacks.iter().find(|stack| stack.pid() == one.pid);
                let Some(seen) = seen.map(Stack::ancestors) else { continue };
                assert_eq!(seen.first(), Some(&root), "{one:?}");
                // Where there is a process between it and the root that nobody tells of: one
                // that ends at once, and may have been seen or not, or a fork server.
                let between = match one.role.as_str() {
                    "orphan" | "daemon" | "session_leader" => 0..=1,
                    "multi_forkserver" => 1..=1,
                    "pooled" if python.at_least(3, 14) => 1..=1,
                    _ => continue,
                };
                assert!(between.contains(&(seen.len() - 1)), "{one:?}: {seen:?}");
                one.ancestors = seen;
            }
            assert_family(&said, &stacks);
            all_seen(&said, &stacks, INSTANTS, &stderr).then_some(())
        });
    });
}

/// What an attached program leaves behind belongs to it too: forks whose parent has ended,
/// in its group, in another session, or leading one.
#[test]
fn what_is_left_behind_is_found() {
    let kinds = ["orphan", "daemon", "session_leader", "spawned"];
    for_each(one_per_version(), |python| {
        until("a recording that saw all of them", || {
            let folder = Folder::new();
            let mut command = Command::new(&python.path);
            command.arg(script_path("tree_family.py")).args(kinds);
            let mut target = Running::start(command);
            let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
            let mut recording =
                Running::py_spy(&["record", "-s", "-r", "400", "-F", "-o", &out, "-p", &pid]);
            recording.wait_sampling();
            target.send("\n");
            wait_line(&mut target, "READY");
            target.send("\n");
            let done = recording.wait();
            assert_eq!(done.code(), Some(0), "{}", done.stderr);
            assert_eq!(counted(&done.stderr, "errors"), Some(0), "{}", done.stderr);
            let stacks = stacks(&folded(&folder.read("out.txt")));
            let mut said = said(&target.stdout());
            assert_eq!(said.len(), kinds.len() + 1, "{}", target.stdout());
            for one in said.iter_mut() {
                let seen = stacks.iter().find(|stack| stack.pid() == one.pid);
                let Some(seen) = seen.map(Stack::ancestors) else { continue };
                if one.role != "root" && one.role != "spawned" {
                    assert!(seen[0] == target.pid() && seen.len() <= 2, "{one:?}: {seen:?}");
                    one.ancestors = seen;
                }
            }
            assert_family(&said, &stacks);
            all_seen(&said, &stacks, INSTANTS, &done.stderr).then_some(())
        });
    });
}
