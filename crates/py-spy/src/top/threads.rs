//! The threads: who they are and what they do.

use super::model::Shown;
use crate::fleet::{Fleet, Member};
use profile::{StackId, ThreadIx};
use remote::os::{RunState, Thread};
use std::cmp::Ordering;

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

/// The threads that there are now and that have been seen with a stack, the busiest first.
pub fn list(fleet: &Fleet, shown: &Shown) -> Vec<ThreadRow> {
    let window = &shown.window;
    let mut rows = Vec::new();
    for member in fleet.members() {
        for entry in &member.sampler.roster.threads {
            let Some(thread) = member.known_thread(entry) else { continue };
            let seen = window.threads.get(&thread).copied().unwrap_or_default();
            rows.push(ThreadRow {
                thread,
                pid: member.pid(),
                tid: fleet.recording.thread(thread).tid,
                name: entry.name.clone(),
                active: window.share(seen.active),
                gil: window.share(seen.gil),
                state: state(member, entry.tid),
                stack: seen.stack,
            });
        }
    }
    rows.sort_by(|one, other| {
        let busier = other.active.partial_cmp(&one.active).unwrap_or(Ordering::Equal);
        busier.then((one.pid, one.tid).cmp(&(other.pid, other.tid)))
    });
    rows
}

/// What the system says of a thread.
fn state(member: &Member, tid: Option<i32>) -> String {
    let proc_dir = member.sampler.target.process.proc_dir();
    let text = match tid.map(|tid| Thread::new(proc_dir, tid).state()) {
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
