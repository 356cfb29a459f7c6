//! What `py-spy dump` says.

use super::Target;
use super::process::{Run, run_py_spy};
use serde::Deserialize;
use serde_json::Value;

/// A thread in `dump --json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Thread {
    pub pid: i32,
    pub thread_id: u64,
    pub thread_name: Option<String>,
    pub os_thread_id: Option<i32>,
    pub active: bool,
    pub owns_gil: bool,
    pub collects_garbage: bool,
    pub waits_for: Value,
    pub deadlock: Value,
    /// Innermost first.
    pub frames: Vec<Frame>,
}

/// A frame in `dump --json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Frame {
    pub name: String,
    pub filename: String,
    pub module: Option<String>,
    pub short_filename: Option<String>,
    pub line: i64,
    pub column: Option<i64>,
    pub end_line: Option<i64>,
    pub end_column: Option<i64>,
    /// With `--locals` only.
    pub locals: Option<Vec<Local>>,
}

/// A variable in `dump --locals --json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Local {
    pub name: String,
    pub addr: u64,
    pub arg: bool,
    pub repr: String,
    pub kind: String,
    pub storage: String,
    /// Structured.
    pub value: Value,
}

/// All of it.
pub type Dump = Vec<Thread>;

impl Thread {
    /// The frames' names, outermost first, with `;` between.
    pub fn stack(&self) -> String {
        let names: Vec<&str> = self.frames.iter().rev().map(|frame| frame.name.as_str()).collect();
        names.join(";")
    }
}

/// Runs `py-spy dump --json` on a process; fails if that fails.
#[track_caller]
pub fn dump_json(pid: i32, extra: &[&str]) -> Dump {
    match try_dump_json(pid, extra) {
        Ok(dump) => dump,
        Err(run) => panic!(
            "dump -p {pid} {extra:?}: {}\nstdout: {}\nstderr: {}",
            run.status, run.stdout, run.stderr
        ),
    }
}

/// Runs `py-spy dump --json` on a process.
#[track_caller]
pub fn try_dump_json(pid: i32, extra: &[&str]) -> Result<Dump, Run> {
    let pid = pid.to_string();
    let run = run_py_spy(["dump", "--json", "-p", &pid].iter().chain(extra));
    if !run.status.success() {
        return Err(run);
    }
    match serde_json::from_str(&run.stdout) {
        Ok(dump) => Ok(dump),
        Err(error) => panic!("dump --json is not what it should be: {error}\n{}", run.stdout),
    }
}

/// Runs `py-spy dump` on a process and returns the text; fails if that fails.
#[track_caller]
pub fn dump_text(pid: i32, extra: &[&str]) -> String {
    let pid = pid.to_string();
    run_py_spy(["dump", "-p", &pid].iter().chain(extra)).ok().stdout
}

/// What a target of `truth.py` says about its threads, as it is in the READY line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TrueThread {
    pub thread_id: u64,
    pub thread_name: Option<String>,
    pub os_thread_id: i32,
    /// Innermost first.
    pub frames: Vec<TrueFrame>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TrueFrame {
    pub name: String,
    pub filename: String,
    pub line: Option<i64>,
    /// -1 where it cannot be said; so the next two.
    pub column: Option<i64>,
    pub end_line: Option<i64>,
    pub end_column: Option<i64>,
}

impl TrueFrame {
    fn is(&self, seen: &Frame) -> bool {
        let span = (seen.column, seen.end_line, seen.end_column);
        self.name == seen.name
            && self.filename == seen.filename
            && self.line.unwrap_or(0) == seen.line
            && match self.column {
                Some(-1) => true,
                // Without columns CPython calls the line itself the end line.
                None => span == (None, None, None),
                Some(_) => (self.column, self.end_line, self.end_column) == span,
            }
    }
}

/// Dumps a target of `truth.py` and compares with what it says about itself before and
/// after. Returns the dump.
#[track_caller]
pub fn assert_true(target: &mut Target, extra: &[&str]) -> Dump {
    let said = |ready: &Value| -> Vec<TrueThread> {
        serde_json::from_value(ready["threads"].clone()).unwrap()
    };
    for _ in 0..10 {
        let truth = said(&target.ready);
        target.wait_asleep();
        let dump = dump_json(target.pid(), extra);
        target.send("again");
        target.ready = target.wait_ready();
        // A thread may have been on its last few instructions to where it stands.
        if said(&target.ready) == truth {
            compare(&truth, &dump);
            return dump;
        }
    }
    panic!("{}: does not stand still", target.label);
}

/// Fails unless the dump has exactly these threads, all of them idle.
#[track_caller]
pub fn compare(truth: &[TrueThread], dump: &[Thread]) {
    let ids = |threads: Vec<u64>| {
        threads.iter().map(|id| format!("{id:x}")).collect::<Vec<_>>().join(" ")
    };
    let seen = ids(dump.iter().map(|thread| thread.thread_id).collect());
    assert_eq!(
        seen,
        ids(truth.iter().map(|thread| thread.thread_id).collect()),
        "other threads (or another order)"
    );
    let mut wrong = Vec::new();
    for (expected, thread) in truth.iter().zip(dump) {
        let name = expected.thread_name.as_deref().unwrap_or("(unnamed)");
        if thread.thread_name != expected.thread_name {
            wrong.push(format!("{name:?}: named {:?}", thread.thread_name));
        }
        if thread.os_thread_id != Some(expected.os_thread_id) {
            wrong.push(format!(
                "{name}: id {:?}, not {}",
                thread.os_thread_id, expected.os_thread_id
            ));
        }
        if thread.active || thread.owns_gil {
            wrong.push(format!("{name}: active {}, owns_gil {}", thread.active, thread.owns_gil));
        }
        if thread.frames.len() != expected.frames.len() {
            wrong.push(format!(
                "{name}: {} frames, not {}",
                thread.frames.len(),
                expected.frames.len()
            ));
        }
        let mut pairs = expected.frames.iter().zip(&thread.frames).enumerate();
        let differ = pairs.by_ref().filter(|(_, (expected, seen))| !expected.is(seen));
        let differ: Vec<_> =
            differ.map(|(at, pair)| format!("{name}: frame {at}: {pair:?}")).collect();
        if let Some(first) = differ.first() {
            wrong.push(format!("{first} ({} frames differ)", differ.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
