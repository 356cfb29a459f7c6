//! What `py-spy dump` says.

use super::process::{Run, run_py_spy};
use serde::Deserialize;

/// A thread in `dump --json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Thread {
    pub pid: i32,
    pub thread_id: u64,
    pub thread_name: Option<String>,
    pub os_thread_id: Option<i32>,
    pub active: bool,
    pub owns_gil: bool,
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
