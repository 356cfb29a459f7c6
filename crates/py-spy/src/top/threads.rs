//! The threads: who they are and what they do.

use super::model::Shown;
use crate::fleet::Fleet;
use profile::{StackId, ThreadIx};
use remote::os::{RunState, Thread};
use std::cmp::Ordering;
use std::path::PathBuf;

/// A thread as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadRow {
    /// Which one.
    pub thread: ThreadIx,
    /// Its process.
    pub pid: i32,
    /// The system's id of it.
    pub tid: u64,
    /// Its name in Python.
    pub name: Option<String>,
    /// How much of the last window it computed.
    pub active: f64,
    /// How much of the last window it held the GIL.
    pub gil: f64,
    /// What it does or waits for at this moment.
    pub state: String,
    /// Its last stack.
    pub stack: StackId,
}

/// The threads that the last window has seen, the busiest first.
pub fn list(fleet: &Fleet, shown: &Shown) -> Vec<ThreadRow> {
    let window = &shown.window;
    let mut rows: Vec<ThreadRow> = window
        .threads
        .iter()
        .map(|(thread, seen)| {
            let about = fleet.recording.thread(*thread);
            let pid = fleet.recording.process(about.process).pid;
            ThreadRow {
                thread: *thread,
                pid,
                tid: about.tid,
                name: about.name.clone(),
                active: window.share(seen.active),
                gil: window.share(seen.gil),
                state: state(pid, about.tid),
                stack: seen.stack,
            }
        })
        .collect();
    rows.sort_by(|one, other| {
        let busier = other.active.partial_cmp(&one.active).unwrap_or(Ordering::Equal);
        busier.then((one.pid, one.tid).cmp(&(other.pid, other.tid)))
    });
    rows
}

/// What the system says of a thread.
fn state(pid: i32, tid: u64) -> String {
    let found = i32::try_from(tid).ok().map(|tid| {
        let proc_dir = PathBuf::from(format!("/proc/{pid}"));
        Thread::new(&proc_dir, tid).state()
    });
    let text = match found {
        None => "",
        Some(None | Some(RunState::Dead)) => "ended",
        Some(Some(RunState::Running)) => "runs",
        Some(Some(RunState::Sleeping)) => "waits",
        Some(Some(RunState::Disk)) => "waits for a disk",
        Some(Some(RunState::Stopped)) => "stopped",
        Some(Some(RunState::Traced)) => "held by a tracer",
    };
    text.to_owned()
}
