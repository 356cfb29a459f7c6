//! Threads that run no Python, sampled where all native functions are asked for: pools of
//! numeric libraries, event loops of C code.

use super::native::Pending;
use super::trie::NodeId;
use super::{Entry, MAX_UNWEIGHED_NS, Sampled, Sampler};
use crate::sampler::activity::ThreadActivity;
use cpython::threads::ThreadState;
use remote::os::threads::Standing;
use remote::os::{self, clock};
use std::path::Path;

/// How often to look for new ones. A Python thread that has just been started is not taken for
/// one: only what was there the time before is sampled.
const LIST_NS: u64 = 50_000_000;

/// One of them.
#[derive(Debug)]
struct Known {
    entry: Entry,
    /// Where it waited when its stack was read last: it has not gone on if it is there still.
    stood: Option<Standing>,
}

/// Who they are.
#[derive(Debug, Default)]
pub struct Strangers {
    known: Vec<Known>,
    tids: Vec<i32>,
    before: Vec<i32>,
    listed_ns: u64,
}

impl Strangers {
    /// The one with this number.
    pub fn get(&self, index: usize) -> Option<&Entry> {
        self.known.get(index).map(|known| &known.entry)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.known.iter().map(|known| &known.entry)
    }

    /// Has all stacks read anew.
    pub fn forget_stacks(&mut self) {
        self.known.iter_mut().for_each(|known| known.entry.last = None);
    }

    /// Looks again which there are, beside the Python threads `python`.
    fn list(&mut self, proc_dir: &Path, python: &[Entry]) {
        let is_python = |tid: i32| python.iter().any(|entry| entry.tid == Some(tid));
        let now = clock::now_ns();
        if now >= self.listed_ns + LIST_NS {
            self.listed_ns = now;
            std::mem::swap(&mut self.tids, &mut self.before);
            if os::threads::list(proc_dir, &mut self.tids).is_err() {
                self.tids.clear();
            }
            let (tids, before) = (&self.tids, &self.before);
            let there = |tid: i32| tids.binary_search(&tid).is_ok();
            self.known.retain(|known| known.entry.tid.is_some_and(there));
            for tid in tids.iter().filter(|tid| before.binary_search(tid).is_ok()) {
                if !self.known.iter().any(|known| known.entry.tid == Some(*tid)) {
                    self.known.push(Known { entry: entry(proc_dir, *tid), stood: None });
                }
            }
        }
        self.known.retain(|known| !known.entry.tid.is_some_and(is_python));
    }
}

fn entry(proc_dir: &Path, tid: i32) -> Entry {
    let nowhere =
        ThreadState { address: 0, interpreter: 0, pthread_id: 0, native_id: None, serial: None };
    let mut entry = Entry::new(nowhere);
    entry.tid = Some(tid);
    entry.name = os::Thread::new(proc_dir, tid).os_name();
    entry.activity = ThreadActivity::new(proc_dir, tid);
    entry
}

impl Sampler {
    /// Adds the stacks of threads that run no Python to the sample.
    pub(super) fn sample_strangers(&mut self) {
        let wanted = self.natives.as_ref().is_some_and(|natives| natives.choice.all);
        if !wanted || self.options.gil_only {
            return;
        }
        self.strangers.list(self.target.process.proc_dir(), &self.roster.threads);
        let reads_waiting = self.reads_waiting();
        for index in 0..self.strangers.known.len() {
            let activity = &mut self.strangers.known[index].entry.activity;
            activity.ask();
            if self.options.cpu {
                activity.look_at_clock();
            }
            let active = activity.is_running();
            let burst = self.options.cpu && activity.unweighed_ns() > MAX_UNWEIGHED_NS;
            if active || ((burst || reads_waiting) && !activity.has_ended()) {
                self.sample_stranger(index, active);
            }
        }
    }

    fn sample_stranger(&mut self, index: usize, active: bool) {
        let entry = &mut self.strangers.known[index].entry;
        let (tid, last) = (entry.tid.unwrap_or(0), entry.last);
        let stands = if active { None } else { entry.activity.standing() };
        let stood = std::mem::replace(&mut self.strangers.known[index].stood, stands);
        let stack = match (stands, last) {
            (Some(_), Some(last)) if stands == stood => Some(last),
            _ => self.read_stranger(tid, stands),
        };
        self.strangers.known[index].entry.last = stack;
        let Some(stack) = stack else { return };
        let weight = if self.options.cpu {
            self.strangers.known[index].entry.activity.weigh()
        } else {
            self.counts(active)
        };
        let thread = self.roster.threads.len() + index;
        self.samples.push(Sampled { thread, stack, active, gil: false, weight });
    }

    /// The stack of the thread `tid`, which is held for it unless it `stands`.
    fn read_stranger(&mut self, tid: i32, stands: Option<Standing>) -> Option<NodeId> {
        let pending: Pending = match stands {
            Some(_) => {
                let pending = self.copy_native(tid, stands);
                if self.standing(tid) != stands {
                    return None;
                }
                pending
            }
            None => {
                let Some(stopped) = self.hold_one(tid) else {
                    self.counters.dropped += 1;
                    return None;
                };
                let pending = self.copy_native(tid, None);
                self.let_go(tid, stopped);
                pending
            }
        };
        let whole = self.merge_stranger(&pending);
        self.counters.unmerged += u64::from(!whole);
        self.merged(&pending)
    }
}
