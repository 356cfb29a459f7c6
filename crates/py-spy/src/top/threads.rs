//! The threads: who they are, what they do, and what they wait for.

use super::model::{Shown, ThreadKey};
use crate::dump::snapshot::glance;
use crate::fleet::{Fleet, Member, thread_id};
use profile::StackId;
use remote::os::{RunState, Thread, clock};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;

/// Finding out what threads wait for may take one part in so many of the time.
const PART: u64 = 20;

/// A thread as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadRow {
    /// Which one.
    pub key: ThreadKey,
    /// Its process.
    pub pid: i32,
    /// Its name in Python.
    pub name: Option<String>,
    /// How much of the last window it computed.
    pub active: f64,
    /// How much of the last window it held the GIL.
    pub gil: f64,
    /// What it does at this moment.
    pub state: &'static str,
    /// What it waits for.
    pub waits_for: Option<String>,
    /// Its last stack.
    pub stack: StackId,
}

/// Lists threads and looks what they wait for, not more often than it may.
#[derive(Debug, Default)]
pub struct Watch {
    waits: FxHashMap<ThreadKey, String>,
    /// Not before this, on the clock of [`clock::now_ns`].
    next_ns: u64,
}

impl Watch {
    /// The threads that there are now and that were seen in the last window, the busiest first.
    pub fn list(&mut self, fleet: &mut Fleet, shown: &Shown) -> Vec<ThreadRow> {
        let began = clock::now_ns();
        if began >= self.next_ns {
            self.waits.clear();
            fleet.members_mut().iter_mut().for_each(|member| self.look(member));
            let now = clock::now_ns();
            self.next_ns = now + (now - began) * PART;
        }
        let window = &shown.window;
        let mut rows = Vec::new();
        for member in fleet.members() {
            for entry in member.sampler.threads() {
                let key = (member.process, thread_id(entry));
                let Some(seen) = window.threads.get(&key) else { continue };
                let (state, may_wait) = state(member, entry.tid);
                rows.push(ThreadRow {
                    key,
                    pid: member.pid(),
                    name: entry.name.clone(),
                    active: window.share(seen.active),
                    gil: window.share(seen.gil),
                    state,
                    waits_for: self.waits.get(&key).filter(|_| may_wait).cloned(),
                    stack: seen.stack,
                });
            }
        }
        rows.sort_by(|one, other| {
            let busier = other.active.partial_cmp(&one.active).unwrap_or(Ordering::Equal);
            busier.then((one.pid, one.key.1).cmp(&(other.pid, other.key.1)))
        });
        rows
    }

    /// What the threads of a process wait for.
    fn look(&mut self, member: &mut Member) {
        let process = member.process;
        let Ok((views, deadlocks)) = glance(&mut member.sampler) else { return };
        for (index, view) in views.into_iter().enumerate() {
            let Some(wait) = view.waits_for else { continue };
            let locked = deadlocks.iter().any(|deadlock| deadlock.circle.contains(&index));
            let text = if locked { format!("deadlock: {}", wait.text) } else { wait.text };
            let tid = view.tid.and_then(|tid| u64::try_from(tid).ok());
            self.waits.insert((process, tid.unwrap_or(view.pthread_id)), text);
        }
    }
}

/// What the system says of a thread, and whether it may be waiting.
fn state(member: &Member, tid: Option<i32>) -> (&'static str, bool) {
    let proc_dir = member.sampler.target.process.proc_dir();
    match tid.map(|tid| Thread::new(proc_dir, tid).state()) {
        None => ("", true),
        Some(None | Some(RunState::Dead)) => ("ended", false),
        Some(Some(RunState::Running)) => ("runs", false),
        Some(Some(RunState::Sleeping)) => ("waits", true),
        Some(Some(RunState::Disk)) => ("waits for a disk", true),
        Some(Some(RunState::Stopped)) => ("stopped", true),
        Some(Some(RunState::Traced)) => ("held by a tracer", true),
    }
}
