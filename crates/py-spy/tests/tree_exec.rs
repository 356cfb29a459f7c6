//! `record --subprocesses` and what becomes another program: children between `vfork` and
//! `exec`, targets that execute one program after the other, programs that are no Python.

mod record_kit;
mod support;
mod tree_kit;

use record_kit::{Folded, Folder, Running, counted, folded, modern, samples, total, until, with};
use std::collections::BTreeSet;
use std::process::Command;
use support::target::script_path;
use support::{Interpreter, for_each, one_per_version, py_spy, tool};
use tree_kit::{all_seen, assert_family, by_process, said, snapshot, stacks};

/// Of how many instants there must be samples of each process or program, of 120 and more. It
/// takes a moment until it is found.
const INSTANTS: u64 = 40;

/// A child that still runs in its parent's memory is not shown as doing what its parent
/// does; and it was seen, several times.
#[test]
fn a_child_in_its_parents_memory_is_not_shown() {
    for_each(one_per_version(), |python| {
        let folder = Folder::new();
        let mut command = Command::new(&python.path);
        command.arg(script_path("tree_vfork.py")).arg("12");
        let done = |target: &Running| target.stdout().matches("DONE").count();
        let mut target = Running::start(command);
        let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
        let args = ["record", "-s", "-i", "-r", "400", "-F", "-o", &out, "-p", &pid];
        let mut command = py_spy(args);
        command.env("RUST_LOG", "py_spy::fleet=debug");
        let mut recording = Running::start(command);
        recording.wait_sampling();
        let seen = |stderr: &str| stderr.matches("in the memory of its parent").count();
        // Such children may come and go while py-spy has no processor. Up to 3.9 subprocess
        // used fork, and before 3.8 there was no posix_spawn.
        let mut batches = 0;
        until("enough of them to be seen", || {
            batches += 1;
            target.send("\n");
            until("a batch", || (done(&target) == batches).then_some(()));
            let so_far = folded(&snapshot(&recording, &out));
            let enough = seen(&recording.stderr()) > 3 || !python.at_least(3, 8);
            (enough && with(&so_far, "start_programs (") > 10).then_some(())
        });
        target.close_stdin();
        let done = recording.wait();
        assert_eq!(done.code(), Some(0), "{}", done.stderr);
        let seen = seen(&done.stderr);
        println!("{}: seen {seen} times in their parent's memory", python.label);
        assert_eq!(seen > 3, python.at_least(3, 8), "{}", done.stderr);
        let stacks = stacks(&folded(&folder.read("out.txt")));
        let found = by_process(&stacks);
        assert!(found[&target.pid()] > 10, "{found:?}");
        // Such a child has no stack at all. A forked one has that of the fork at first.
        let mut other = stacks.iter().filter(|stack| stack.pid() != target.pid());
        let as_parent = other.find(|stack| python.at_least(3, 10) || !stack.has("start_programs"));
        assert!(as_parent.is_none(), "{as_parent:?}");
    });
}

/// A script's arguments on an interpreter: as one that becomes other programs by `steps`.
fn stepping(python: &Interpreter, steps: &str) -> [String; 3] {
    let script = script_path("tree_exec.py").to_str().unwrap().to_owned();
    [python.path.to_str().unwrap().to_owned(), script, steps.to_owned()]
}

/// The same as text for a shell.
fn in_shell(python: &Interpreter, steps: &str) -> String {
    stepping(python, steps).map(|word| format!("'{word}'")).join(" ")
}

/// Records a program to its end, with its own status; what was said on stdout, seen, and
/// said on stderr.
#[track_caller]
fn record(args: &[&str], program: &[&str], status: i32) -> (String, Folded, String) {
    let folder = Folder::new();
    let out = folder.file("out.txt");
    let fixed = ["record", "-r", "400", "-F", "-o", &out];
    let mut recording = Running::py_spy(&[&fixed, args, &["--"], program].concat());
    let done = recording.wait();
    assert_eq!(done.code(), Some(status), "{}", done.stderr);
    assert_eq!(counted(&done.stderr, "errors"), Some(0), "{}", done.stderr);
    let found = folded(&folder.read("out.txt"));
    assert_eq!(total(&found), samples(&done.stderr));
    (done.stdout, found, done.stderr)
}

/// A process that becomes another program is followed: the same Python (which may come to
/// lie at the same addresses), a shell, and a Python again. Each program is one of its own.
#[test]
fn a_process_is_followed_through_its_programs() {
    for_each(one_per_version(), |python| {
        let steps = "work:a,python,work:b,sh,work:c,slow,work:d";
        let program = stepping(python, steps);
        let program: Vec<&str> = program.iter().map(String::as_str).collect();
        until("a recording that saw all of them", || {
            let (stdout, found, stderr) = record(&["-s"], &program, 0);
            let said = said(&stdout);
            assert_eq!(said.len(), 4, "{stdout}");
            for one in &said {
                assert_eq!(one.pid, said[0].pid);
            }
            let stacks = stacks(&found);
            assert_family(&said, &stacks);
            for (role, rest) in [("b", "work:b,sh"), ("c", "work:c,slow"), ("d", "work:d")] {
                let mut own = stacks.iter().filter(|stack| stack.has(&format!("work_{role}")));
                let wrong = own.find(|stack| !stack.processes[0].1.contains(rest));
                assert!(wrong.is_none(), "{role}: {wrong:?} {}", wrong.unwrap().processes[0].1);
            }
            all_seen(&said, &stacks, INSTANTS, &stderr).then_some(())
        });
        // Alone too, as long as it is not something else for seconds.
        until("a recording that saw it in all of them", || {
            let (_, found, _) = record(&[], &program, 0);
            let seen = ["a", "b", "c", "d"].map(|role| with(&found, &format!("work_{role} (")));
            let all = seen.iter().all(|count| *count > 0);
            if !all {
                eprintln!("{}: alone: {seen:?} samples", python.label);
            }
            all.then_some(())
        });
    });
}

/// What is no Python at first, or never: only with its children there is something to see.
#[test]
fn a_shell_may_start_it() {
    let python = modern();
    let [first, second] = ["work:first", "work:second"].map(|steps| in_shell(python, steps));
    let script = format!("sleep 0.3; {first}; {second}; exit 5");
    until("a recording that saw both", || {
        let (stdout, found, stderr) = record(&["-s"], &["bash", "-c", &script], 5);
        let (mut said, stacks) = (said(&stdout), stacks(&found));
        assert_eq!(said.len(), 2);
        let shell = stacks.first()?.processes[0].clone();
        assert_eq!(shell.1, format!("bash -c {script}"));
        for one in &mut said {
            one.ancestors = vec![shell.0];
        }
        assert_family(&said, &stacks);
        all_seen(&said, &stacks, INSTANTS, &stderr).then_some(())
    });
    let (_, found, stderr) = record(&["-s"], &["sh", "-c", "sleep 0.1; exit 4"], 4);
    assert!(found.is_empty() && stderr.contains("No Python program was seen"), "{stderr}");
}

/// The recording lasts as long as any Python of the family, and then the program's own
/// status is ours.
#[test]
fn the_last_one_ends_it() {
    let python = modern();
    let script = format!("{} & exit 3", in_shell(python, "wait,work:left,work:over"));
    until("a recording that saw all of it", || {
        let (stdout, found, stderr) = record(&["-s"], &["bash", "-c", &script], 3);
        let said = said(&stdout);
        assert_eq!(said.len(), 2, "{stdout}");
        all_seen(&said, &stacks(&found), INSTANTS, &stderr).then_some(())
    });
}

/// A target that is no Python any more, and is not followed, ends the recording, which
/// says why.
#[test]
fn another_program_for_good_ends_it() {
    let program = stepping(modern(), "work:first,cat");
    let program: Vec<&str> = program.iter().map(String::as_str).collect();
    until("a recording that saw it before", || {
        // What it becomes ends with its stdin, which is closed when the recording is over.
        let (_, found, stderr) = record(&[], &program, 0);
        assert!(stderr.contains("no Python program any more"), "{stderr}");
        (with(&found, "work_first (") > 5).then_some(())
    });
}

/// A process that gets the id of one that has ended is another one.
#[test]
fn an_id_may_be_given_again() {
    // Any of them may come and go while py-spy has no processor.
    until("a recording that saw all three", || {
        let mut seen = reused();
        seen.sort();
        (seen == ["work_first", "work_second", "work_third"]).then_some(())
    });
}

/// Records processes that have the same id; the function of each that was seen.
#[track_caller]
fn reused() -> Vec<String> {
    let python = modern();
    let folder = Folder::new();
    let out = folder.file("out.json");
    let script = script_path("tree_reuse.py");
    let mut command = Command::new(tool("unshare"));
    command.args(["--pid", "--fork", "--mount-proc", env!("CARGO_BIN_EXE_py-spy")]);
    command.args(["record", "-s", "-r", "400", "-F", "-o", &out, "--"]);
    command.arg(&python.path).arg(script);
    let mut recording = Running::start(command);
    let done = recording.wait();
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(counted(&done.stderr, "errors"), Some(0), "{}", done.stderr);
    let said = said(&done.stdout);
    let [first, second, third] = &said[..] else { panic!("{said:?}") };
    assert_eq!((first.pid, first.pid), (second.pid, third.pid), "{}", done.stdout);
    // Three processes, each with its own functions.
    let file: serde_json::Value = serde_json::from_str(&folder.read("out.json")).unwrap();
    let frames = file["shared"]["frames"].as_array().unwrap();
    let mut seen = Vec::new();
    for profile in file["profiles"].as_array().unwrap() {
        let stacks = profile["samples"].as_array().unwrap().iter();
        let names = stacks.flat_map(|stack| stack.as_array().unwrap().iter()).map(|frame| {
            frames[frame.as_u64().unwrap() as usize]["name"].as_str().unwrap().to_owned()
        });
        let work: BTreeSet<String> = names.filter(|name| name.starts_with("work_")).collect();
        if !work.is_empty() {
            assert_eq!(work.len(), 1, "{}: {work:?}", profile["name"]);
            let name = profile["name"].as_str().unwrap();
            assert!(name.contains(&format!("Process {} ", first.pid)), "{name}");
            seen.extend(work);
        }
    }
    seen
}
