//! Shared by the tests of process trees: what each process said of itself, and what was
//! seen of it.
#![allow(dead_code)] // each test file uses a part

use crate::record_kit::{Folded, Running, counted, parts, until};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

/// So many samples of a process there must be, whatever was missed.
const SURE: u64 = 5;

/// A process that said what it is: `I <role> <pid> <ancestors>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub role: String,
    pub pid: i32,
    /// The first one first.
    pub ancestors: Vec<i32>,
}

/// What the processes of tree_family.py said on stdout.
pub fn said(stdout: &str) -> Vec<Said> {
    let line = |line: &str| {
        let mut words = line.strip_prefix("I ")?.split(' ').filter(|word| !word.is_empty());
        let role = words.next()?.to_owned();
        let mut pids = words.map(|word| word.parse().unwrap_or_else(|_| panic!("{line:?}")));
        let pid = pids.next()?;
        Some(Said { role, pid, ancestors: pids.collect() })
    };
    stdout.lines().filter_map(line).collect()
}

/// A stack: the processes at its root, ancestors first, each with its command line, and
/// the names of the functions.
#[derive(Clone)]
pub struct Stack {
    pub processes: Vec<(i32, String)>,
    pub functions: Vec<String>,
    pub count: u64,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pids: Vec<i32> = self.processes.iter().map(|(pid, _)| *pid).collect();
        write!(f, "{pids:?} {} {}", self.functions.join(";"), self.count)
    }
}

impl Stack {
    /// The process that the stack is of.
    pub fn pid(&self) -> i32 {
        self.processes.last().unwrap_or_else(|| panic!("no process: {self:?}")).0
    }

    pub fn ancestors(&self) -> Vec<i32> {
        let (_, ancestors) = self.processes.split_last().unwrap();
        ancestors.iter().map(|(pid, _)| *pid).collect()
    }

    pub fn has(&self, function: &str) -> bool {
        self.functions.iter().any(|name| name.ends_with(function))
    }
}

/// Takes the process frames off folded stacks: `process PID:"cmdline"`.
#[track_caller]
pub fn stacks(folded: &Folded) -> Vec<Stack> {
    let stack = |(frames, count): &(Vec<String>, u64)| {
        let mut processes = Vec::new();
        let mut functions = Vec::new();
        for frame in frames {
            match frame.strip_prefix("process ") {
                Some(rest) => {
                    assert!(functions.is_empty(), "a process within a stack: {frames:?}");
                    let (pid, command) = rest.split_once(':').unwrap_or_else(|| panic!("{frame}"));
                    let command = command.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                    let command = command.unwrap_or_else(|| panic!("{frame}")).to_owned();
                    processes.push((pid.parse().unwrap_or_else(|_| panic!("{frame}")), command));
                }
                None if frame.starts_with("thread (") => {}
                None => functions.push(parts(frame).0.to_owned()),
            }
        }
        Stack { processes, functions, count: *count }
    };
    folded.iter().map(stack).collect()
}

/// The samples of each process.
pub fn by_process(stacks: &[Stack]) -> BTreeMap<i32, u64> {
    let mut found = BTreeMap::new();
    for stack in stacks {
        *found.entry(stack.pid()).or_default() += stack.count;
    }
    found
}

/// The stacks of a process in the function of its role.
fn own<'a>(one: &Said, stacks: &'a [Stack]) -> impl Iterator<Item = &'a Stack> {
    let (pid, function) = (one.pid, format!("work_{}", one.role));
    stacks.iter().filter(move |stack| stack.pid() == pid && stack.has(&function))
}

/// Whether every process that said what it is has been seen in the function of its role, as
/// often as it had `instants` there or had those missed. It is said which were not: on a
/// busy machine a process may also have ended before it was found.
pub fn all_seen(said: &[Said], stacks: &[Stack], instants: u64, stderr: &str) -> bool {
    let missed = counted(stderr, "missed").unwrap_or(0);
    let counts = said.iter().map(|one| (one, own(one, stacks).map(|stack| stack.count).sum()));
    let few: Vec<(&Said, u64)> =
        counts.filter(|(_, count)| *count < SURE || count + missed < instants).collect();
    if !few.is_empty() {
        eprintln!("seen too seldom, with {missed} instants missed: {few:?}");
    }
    few.is_empty()
}

/// Every process that said what it is has been seen below its ancestors only, and in no
/// process is there a function that belongs to another one.
#[track_caller]
pub fn assert_family(said: &[Said], stacks: &[Stack]) {
    let mut wrong = Vec::new();
    for one in said {
        let other = own(one, stacks).find(|stack| stack.ancestors() != one.ancestors);
        if let Some(stack) = other {
            wrong.push(format!("{one:?}: below {:?}", stack.ancestors()));
        }
    }
    for stack in stacks {
        // The innermost of such functions: a fork has its parent's outer frames.
        let innermost = stack.functions.iter().rev().find_map(|name| name.strip_prefix("work_"));
        if let Some(role) = innermost
            && !said.iter().any(|one| one.role == role && one.pid == stack.pid())
        {
            wrong.push(format!("work_{role} in process {}: {stack:?}", stack.pid()));
        }
        let commands = &stack.processes;
        if commands.iter().any(|(_, command)| command.is_empty()) {
            wrong.push(format!("a process without a name: {commands:?}"));
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}\nsaid: {said:?}", wrong.join("\n"));
}

/// What a recording that goes on has written, when told to write it now.
#[track_caller]
pub fn snapshot(recording: &Running, path: &str) -> String {
    // The file is replaced: another inode.
    let inode = || std::fs::metadata(path).ok().map(|data| data.ino());
    let before = inode();
    recording.signal(Signal::USR1);
    until("a snapshot", || inode().filter(|_| inode() != before));
    std::fs::read_to_string(path).unwrap()
}

/// Waits until a program has written a line that begins with `text` to stdout.
#[track_caller]
pub fn wait_line(running: &mut Running, text: &str) {
    until(&format!("{text:?} on stdout"), || {
        running.stdout().lines().any(|line| line.starts_with(text)).then_some(())
    });
}
