//! The interpreters and threads of the target, and how they are told apart.

use super::activity::ThreadActivity;
use super::newcomers;
use super::predict::Predictor;
use super::trie::NodeId;
use crate::target::Target;
use cpython::Objects;
use cpython::threads::{self, ThreadState};
use remote::os;
use remote::pthread::PthreadIds;
use remote::{Batch, Memory, ReadError};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

/// A list of threads that changes while it is read is read this often, and then again with the
/// next sample.
const MAX_READS: usize = 3;
/// More threads than this whose ids are not known are not waited for at a time.
const MAX_UNSET: usize = 64;

/// The lives so far.
static LIVES: AtomicU64 = AtomicU64::new(0);

/// One Python thread.
#[derive(Debug)]
pub struct Entry {
    /// Its thread state.
    pub state: ThreadState,
    /// A number that no other thread has, also none that was or will be in the same place.
    pub life: u64,
    /// The system's id of it, in our pid namespace; `None` if that cannot be found out.
    pub tid: Option<i32>,
    /// Its name in `threading`.
    pub name: Option<String>,
    pub(super) activity: ThreadActivity,
    pub(super) predictor: Predictor,
    /// Its ids are those of no other thread: it has been started, and has set them itself.
    pub(super) settled: bool,
    /// The last stack that was accepted, for threads that did not run since.
    pub(super) last: Option<NodeId>,
}

impl Entry {
    pub(super) fn new(state: ThreadState) -> Entry {
        Entry {
            state,
            life: LIVES.fetch_add(1, Ordering::Relaxed),
            tid: None,
            name: None,
            activity: ThreadActivity::default(),
            predictor: Predictor::default(),
            settled: false,
            last: None,
        }
    }

    /// It may be another thread than it was, or has not told its ids yet.
    pub(super) fn is_stale(&self) -> bool {
        !self.settled || self.activity.has_ended()
    }

    /// Its stack may be another than that which was read last.
    pub(super) fn must_read(&self) -> bool {
        self.last.is_none() || self.activity.is_hot()
    }
}

/// One interpreter.
#[derive(Debug, Clone, Copy)]
pub struct InterpreterEntry {
    /// Its address.
    pub address: u64,
    /// The address of its GIL (3.12 and later).
    gil: Option<u64>,
    /// Its first thread state when the roster was made.
    threads_head: u64,
}

/// Who there is.
#[derive(Debug, Default)]
pub struct Roster {
    /// All interpreters, newest first.
    pub interpreters: Vec<InterpreterEntry>,
    /// All threads, oldest first within an interpreter, the main interpreter's first.
    pub threads: Vec<Entry>,
    head: u64,
    tids: Vec<i32>,
    inner: Option<HashMap<i32, i32>>,
    pthread_ids: PthreadIds,
    states: Vec<ThreadState>,
    names: Lookups,
    upheaval: bool,
    /// The process is in another pid namespace; `None` before this was looked at.
    in_namespace: Option<bool>,
}

impl Roster {
    /// Reads interpreters and threads anew, keeping what is known of those that are
    /// still there. True if any came or went, or if some are known to have `ended`: another
    /// thread may be in the same place.
    pub fn refresh(&mut self, target: &Target, ended: bool) -> Result<bool, ReadError> {
        let mut whole = false;
        for _ in 0..MAX_READS {
            whole = self.read_states(target)?;
            if whole {
                break;
            }
        }
        if !whole {
            self.distrust();
        }
        let same = self.states.len() == self.threads.len()
            && self.states.iter().zip(&self.threads).all(|(state, entry)| *state == entry.state);
        if same && !ended {
            return Ok(false);
        }
        let old = std::mem::take(&mut self.threads).into_iter();
        let mut old: HashMap<u64, Entry> = old.map(|entry| (entry.state.address, entry)).collect();
        let before = old.len();
        let states = std::mem::take(&mut self.states);
        let mut stay = 0;
        for state in &states {
            let known = old.remove(&state.address).filter(|entry| entry.state == *state);
            stay += usize::from(known.is_some());
            self.threads.push(known.unwrap_or_else(|| Entry::new(*state)));
        }
        self.upheaval |= before > 0 && stay == 0;
        self.states = states;
        self.find_ids(target);
        self.names = Lookups::new();
        Ok(true)
    }

    /// Reads the interpreters and their thread states. False if some may be missing.
    fn read_states(&mut self, target: &Target) -> Result<bool, ReadError> {
        let memory = &target.process.memory;
        let layout = &target.runtime.layout;
        let mut addresses = Vec::new();
        let head = target.runtime.interpreters_head;
        let mut whole = threads::interpreters(memory, layout, head, &mut addresses)?;
        self.head = addresses.first().copied().unwrap_or(0);
        self.interpreters.clear();
        self.states.clear();
        for address in addresses {
            let at = |offset: u32| memory.ptr(address.wrapping_add(u64::from(offset)));
            let gil =
                layout.interpreter.gil.and_then(|offset| at(offset).ok()).filter(|at| *at != 0);
            let threads_head = at(layout.interpreter.threads_head).unwrap_or(0);
            self.interpreters.push(InterpreterEntry { address, gil, threads_head });
            whole &= threads::thread_states(memory, layout, address, &mut self.states)?;
        }
        self.states.reverse();
        Ok(whole)
    }

    /// The thread whose state is at `address`.
    pub fn position(&self, address: u64) -> Option<usize> {
        self.threads.iter().position(|entry| entry.state.address == address)
    }

    /// Adds a thread of which only the address of its state is known, until the roster is
    /// read next, which is soon.
    pub(super) fn add_unknown(&mut self, address: u64) -> usize {
        let interpreter = self.interpreters.first().map_or(0, |first| first.address);
        self.threads.push(Entry::new(newcomers::unknown(address, interpreter)));
        // No interpreter is there: the next look sees a change.
        self.head = 0;
        self.threads.len() - 1
    }

    /// Has all be read anew with the next sample, whatever that says: a thread is another one
    /// than it was, though its state is where it was.
    pub fn distrust(&mut self) {
        self.head = 0;
    }

    /// Whether at some time since the last call no thread was left of those before: the
    /// process may have become another program, with its interpreter at the same place.
    pub fn take_upheaval(&mut self) -> bool {
        std::mem::take(&mut self.upheaval)
    }

    /// Finds the system's ids of threads that have none yet.
    fn find_ids(&mut self, target: &Target) {
        let process = &target.process;
        if process.thread_ids(&mut self.tids).is_err() {
            self.distrust();
            return;
        }
        let in_namespace =
            *self.in_namespace.get_or_insert_with(|| os::threads::in_namespace(process.proc_dir()));
        if in_namespace {
            self.inner = Some(os::threads::inner_ids(process.proc_dir(), &self.tids));
        }
        let inner: Vec<i32> = match &self.inner {
            Some(map) => map.keys().copied().collect(),
            None => self.tids.clone(),
        };
        // 3.11 does not renew the native ids of a forked child, so they too are checked,
        // and a process without threads has but one id. Not for all states of one that was
        // forked just now: those of the threads that its parent has are still there.
        let outer = |inner_id: i32| match &self.inner {
            Some(map) => map.get(&inner_id).copied(),
            None => Some(inner_id),
        };
        let pthreads: Vec<u64> = self.threads.iter().map(|entry| entry.state.pthread_id).collect();
        self.pthread_ids.learn(&process.memory, &pthreads, &inner);
        let alone = inner.len() == 1 && pthreads.windows(2).all(|pair| pair[0] == pair[1]);
        // Up to 3.10 a thread state is made by the thread that starts the new one, and has
        // its ids until that runs (Modules/_threadmodule.c, t_bootstrap); later it has none.
        let mut pthreads_seen = HashSet::new();
        for entry in &mut self.threads {
            let own = entry.state.pthread_id;
            entry.settled = own != 0 && pthreads_seen.insert((entry.state.interpreter, own));
            let by_descriptor =
                || self.pthread_ids.tid(&process.memory, entry.state.pthread_id, &inner);
            let native = entry.state.native_id.and_then(|id| i32::try_from(id).ok());
            let native = native.filter(|id| inner.contains(id));
            let only = || alone.then(|| inner[0]);
            let tid = native.or_else(by_descriptor).or_else(only).and_then(outer);
            let tid = tid.filter(|_| entry.settled);
            if tid != entry.tid {
                // Another thread than it was.
                (entry.tid, entry.name, entry.last) = (tid, None, None);
                entry.life = LIVES.fetch_add(1, Ordering::Relaxed);
                entry.predictor = Predictor::default();
                entry.activity = match tid {
                    Some(tid) => ThreadActivity::new(process.proc_dir(), tid),
                    None => ThreadActivity::default(),
                };
            }
        }
    }

    /// Looks up the names of all threads, each in its own interpreter, if there are threads
    /// that this was not done for yet. True if any got another name than it had.
    ///
    /// A thread runs a moment before it has a name (Lib/threading.py, `_bootstrap_inner`), and
    /// one that `threading` does not know never gets one: these are asked for again, ever less
    /// often.
    pub fn find_names(&mut self, target: &Target) -> bool {
        if !self.names.is_due() {
            return false;
        }
        let (mut changed, mut wanting) = (false, false);
        let objects = Objects { memory: &target.process.memory, layout: &target.runtime.layout };
        for interpreter in &self.interpreters {
            let names = threads::names(objects, interpreter.address);
            for entry in &mut self.threads {
                // One that is not settled may still have the ids of the thread that started it.
                if entry.state.interpreter != interpreter.address || !entry.settled {
                    continue;
                }
                let name = names.get(&entry.state.pthread_id);
                if name.is_some() && name != entry.name.as_ref() {
                    // If it has ended since it was met, this is the name of another with its ids.
                    if !entry.activity.has_ended_by_now() {
                        entry.name = name.cloned();
                        changed = true;
                    }
                }
                // Where nothing has a name, `threading` is not used.
                wanting |= entry.name.is_none() && !names.is_empty();
            }
        }
        self.names.again(wanting);
        changed
    }

    /// All system thread ids when the roster was last read.
    pub fn tids(&self) -> &[i32] {
        &self.tids
    }

    /// Asks `batch` for what [`Roster::look`] needs.
    pub fn request(&self, target: &Target, batch: &mut Batch) {
        let layout = &target.runtime.layout;
        let word = layout.arch.word();
        batch.push(target.runtime.interpreters_head, word);
        if let Some(current) = target.runtime.tstate_current {
            batch.push(current, word);
        }
        for interpreter in &self.interpreters {
            let at = |offset: u32| interpreter.address.wrapping_add(u64::from(offset));
            batch.push(at(layout.interpreter.threads_head), word);
            if let Some(offset) = layout.interpreter.code_generation {
                batch.push(at(offset), 8);
            }
            if let (None, Some(offset)) = (interpreter.gil, layout.interpreter.gil) {
                // It is made after the interpreter is in the list.
                batch.push(at(offset), word);
            }
            if let (Some(gil), Some((holder, locked))) = (interpreter.gil, layout.gil) {
                batch.push(gil.wrapping_add(u64::from(holder)), word);
                batch.push(gil.wrapping_add(u64::from(locked)), 4);
            }
        }
        for (_, at) in self.unset_ids(target) {
            batch.push(at, word);
        }
    }

    /// The threads of which the system's id is not known, and where theirs are. Most have not
    /// set these yet; the list of threads does not change when they do, and without a GIL
    /// nothing else tells.
    fn unset_ids(&self, target: &Target) -> impl Iterator<Item = (&Entry, u64)> {
        let offset = u64::from(target.runtime.layout.thread.thread_id);
        // The newest first: what has been so for long will remain so.
        let unset = self.threads.iter().rev().filter(|entry| entry.tid.is_none());
        unset.take(MAX_UNSET).map(move |entry| (entry, entry.state.address.wrapping_add(offset)))
    }

    /// What a batch says about all threads together.
    pub fn look(&self, target: &Target, batch: &Batch, holders: &mut Vec<u64>) -> Look {
        let layout = &target.runtime.layout;
        let arch = layout.arch;
        let word = arch.word();
        let ptr = |at: u64| batch.get(at, word).and_then(|bytes| arch.ptr(bytes, 0));
        let mut look = Look {
            changed: ptr(target.runtime.interpreters_head).is_some_and(|head| head != self.head),
            generation: None,
        };
        holders.clear();
        if let Some(holder) = target.runtime.tstate_current.and_then(ptr) {
            holders.push(holder);
        }
        for interpreter in &self.interpreters {
            let at = |offset: u32| interpreter.address.wrapping_add(u64::from(offset));
            look.changed |=
                ptr(at(layout.interpreter.threads_head)) != Some(interpreter.threads_head);
            if let (None, Some(offset)) = (interpreter.gil, layout.interpreter.gil) {
                look.changed |= ptr(at(offset)).is_some_and(|gil| gil != 0);
            }
            if let Some(offset) = layout.interpreter.code_generation {
                let generation = batch.get(at(offset), 8).and_then(|bytes| arch.uint(bytes, 0, 8));
                // A sum of counters that only grow stands still only if all of them do.
                look.generation =
                    generation.map(|now| now.wrapping_add(look.generation.unwrap_or(0)));
            }
            let read = |at: u64, size| arch.uint(batch.get(at, size)?, 0, size);
            holders.extend(interpreter.gil.and_then(|gil| threads::gil_holder(layout, gil, read)));
        }
        look.changed |= self
            .unset_ids(target)
            .any(|(entry, at)| ptr(at).is_some_and(|id| id != entry.state.pthread_id));
        holders.retain(|holder| *holder != 0);
        look
    }
}

/// When to look names up again.
#[derive(Debug, Default)]
struct Lookups {
    /// Samples until the next time; 0 for never.
    left: u32,
    /// How many there were between the last two times.
    step: u32,
}

impl Lookups {
    /// With the next sample, and then as long as it takes.
    fn new() -> Lookups {
        Lookups { left: 1, step: 1 }
    }

    fn is_due(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0 && self.step > 0
    }

    /// They have been looked up, and are `wanting` still, or not.
    fn again(&mut self, wanting: bool) {
        const MOST: u32 = 1 << 10;
        self.step = if wanting && self.step < MOST { self.step * 2 } else { 0 };
        self.left = self.step;
    }
}

/// What a batch says about all threads together.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Threads or interpreters have come or gone.
    pub changed: bool,
    /// The interpreters' count of dead code objects, where they keep one.
    pub generation: Option<u64>,
}
