//! Native stacks: of each wanted thread its registers, its Python frames and a copy of its
//! native stack are read in one go, while it is held; all else comes after it was let go.
//!
//! ```text
//!  held       registers, then Python frames and the stack in one read
//!  let go     unwind the copy, look names up, merge (crate `native`)
//! ```
//!
//! A thread that waits is not interrupted: the system tells its stack pointer and where it
//! is. Most of what waits can be unwound from that; where the frame pointer is needed as
//! well, the thread is held for a moment, unless it waits in a call that would fail of it.

use super::capture::{Capture, Captured};
use super::codes::CodeId;
use super::judge::Still;
use super::trie::{Call, NodeId};
use super::{Roster, Sampler};
use crate::target::Target;
use cpython::runs::{self, Run};
use native::{
    Choice, Function, FunctionId, Level, Library, Registers, Setting, Space, StackCopy, Step, Stop,
    Walk,
};
use remote::core::Machine;
use remote::os::clock;
use remote::{Memory, ReadError};
use rustc_hash::FxHashMap;
use std::path::PathBuf;

/// What is copied of a stack at the most: a recursion that is deeper is cut.
const MAX_STACK: u64 = 1 << 20;
/// What is copied of a stack of which nothing is known yet.
const NEW_STACK: u64 = 64 << 10;
/// How much of the time threads may be held: one part in this many, and a little more at
/// the start.
const HOLD_SHARE: u64 = 3;
const HOLD_START_NS: u64 = 500_000_000;
/// How long to wait for a thread to stop. One that has no processor stops before it runs any
/// further, so that what it shows then is what it showed when it was asked.
const STOP_NS: u64 = 100_000_000;
/// How often to look for modules that have gone: those that come are noticed at once.
const UPDATE_NS: u64 = 2_000_000_000;
/// How soon to look again for code that was not found.
const UPDATE_SOON_NS: u64 = 50_000_000;

/// What natives of this process are known, and what a sample has brought.
pub struct Natives {
    space: Space,
    pub(super) choice: Choice,
    /// Memory that stacks may be in.
    writable: Vec<(u64, u64)>,
    /// Where each thread's stack ends, once that was seen.
    ends: FxHashMap<i32, u64>,
    updated_ns: u64,
    /// A stack lay where none was known.
    outdated: bool,
    pending: Vec<Pending>,
    spare: Vec<Pending>,
    walk: Walk,
    levels: Vec<Level>,
    pub(super) steps: Vec<Step>,
}

/// What was read of a thread that stood still.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    pub(super) thread: usize,
    pub(super) tid: i32,
    pub(super) registers: Option<Registers>,
    pub(super) start: u64,
    pub(super) stack: Vec<u8>,
    /// More of the stack may be needed.
    pub(super) guessed: bool,
    pub(super) calls: Vec<Call>,
    pub(super) runs: Vec<Run>,
    /// Who held the GIL.
    pub(super) holders: Vec<u64>,
}

/// A part of a stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    pub start: u64,
    pub length: usize,
    /// There may be more of it.
    pub guessed: bool,
}

/// How a thread's registers came to be known.
enum Hold {
    /// It is held with others, and goes on with them.
    Shared,
    /// It is held for this alone, since then.
    Own(u64),
    /// It waits.
    Waits,
}

/// The processor of the targets of this system.
pub const MACHINE: Machine =
    if cfg!(target_arch = "aarch64") { Machine::Aarch64 } else { Machine::X86_64 };

impl Natives {
    /// For `target`; `None` where its code cannot be read on this machine (32-bit programs).
    pub fn new(target: &Target, choice: Choice, library: &Library) -> Option<Natives> {
        if target.process.memory.arch() != remote::Arch::LE64 {
            return None;
        }
        let process = &target.process;
        let root = process.root();
        let name = remote::os::threads::inner_id(process.proc_dir()).unwrap_or(process.pid);
        let setting = Setting {
            machine: MACHINE,
            interpreter: target.runtime.module.clone(),
            perf_map: Some(root.join(format!("tmp/perf-{name}.map"))),
            roots: vec![root, PathBuf::from("/")],
            library: library.clone(),
        };
        let mut natives = Natives {
            space: Space::new(setting),
            choice,
            writable: Vec::new(),
            ends: FxHashMap::default(),
            updated_ns: 0,
            outdated: false,
            pending: Vec::new(),
            spare: Vec::new(),
            walk: Walk::default(),
            levels: Vec::new(),
            steps: Vec::new(),
        };
        natives.update(target);
        Some(natives)
    }

    /// Takes note of what is mapped.
    fn update(&mut self, target: &Target) {
        self.updated_ns = clock::now_ns();
        let process = &target.process;
        let (Ok(mappings), Ok(modules)) = (process.mappings(), process.modules()) else { return };
        self.writable.clear();
        for mapping in mappings.iter().filter(|mapping| mapping.write && mapping.read) {
            match self.writable.last_mut() {
                Some(last) if last.1 == mapping.start => last.1 = mapping.end,
                _ => self.writable.push((mapping.start, mapping.end)),
            }
        }
        self.space.update(&mappings, &modules);
    }

    fn update_after(&mut self, target: &Target, wait_ns: u64) -> bool {
        let due = clock::now_ns() > self.updated_ns + wait_ns;
        if due {
            self.update(target);
        }
        due
    }

    /// What to copy of the stack of thread `tid` from `sp` on.
    pub(super) fn region(&mut self, tid: i32, sp: u64) -> Region {
        let start = sp & !7;
        let next = self.writable.partition_point(|(from, _)| *from <= start);
        let around = next.checked_sub(1).and_then(|at| self.writable.get(at));
        let mapped = around.map(|(_, end)| *end).filter(|end| start < *end);
        // Of a stack that grows, the end stays where it is.
        let seen = self.ends.get(&tid).copied().filter(|end| start < *end);
        self.outdated |= mapped.is_none() && seen.is_none();
        let end = match (mapped, seen) {
            (Some(mapped), Some(seen)) => mapped.min(seen),
            (Some(end), None) | (None, Some(end)) => end,
            // A stack that is new: some of it, and it will be known next time.
            (None, None) => start.saturating_add(NEW_STACK),
        };
        let length = (end - start).min(MAX_STACK) as usize;
        Region { start, length, guessed: mapped != Some(end) }
    }

    fn take(&mut self, thread: usize, tid: i32, registers: Registers) -> Pending {
        let mut pending = self.spare.pop().unwrap_or_default();
        (pending.thread, pending.tid, pending.registers) = (thread, tid, Some(registers));
        pending.stack.clear();
        pending.calls.clear();
        pending.runs.clear();
        pending.holders.clear();
        pending
    }

    /// What a function is.
    pub fn function(&self, id: FunctionId) -> Option<&Function> {
        self.space.function(id)
    }

    /// Unwinds and merges; the result is in `steps`. Says whether all of it fits together,
    /// and why the native stack ended.
    pub(super) fn merge(&mut self, target: &Target, pending: &Pending) -> (bool, Option<Stop>) {
        let Some(registers) = pending.registers else { return (false, None) };
        let memory = &target.process.memory;
        let stack = StackCopy { start: pending.start, bytes: &pending.stack };
        self.space.walk(memory, &registers, &stack, &mut self.walk);
        if let Some(Stop::NoCode(at)) = self.walk.stop
            && !self.space.is_code(at)
            && self.update_after(target, UPDATE_SOON_NS)
        {
            self.space.walk(memory, &registers, &stack, &mut self.walk);
        }
        let wait_ns = if std::mem::take(&mut self.outdated) { UPDATE_SOON_NS } else { UPDATE_NS };
        self.update_after(target, wait_ns);
        if self.walk.stop == Some(Stop::Outermost)
            && let Some(outermost) = self.walk.frames.last()
        {
            // What is above belongs to no frame; a little more may be asked for.
            let end = self.walk.end.unwrap_or(outermost.sp).max(outermost.sp) + 512;
            self.ends.insert(pending.tid, end);
        }
        if matches!(self.walk.stop, Some(Stop::Unreadable(_))) {
            self.ends.remove(&pending.tid);
        }
        self.levels.clear();
        self.levels.extend(pending.runs.iter().map(|run| Level {
            marker: run.marker,
            frame: run.frame,
            count: run.count,
        }));
        let (levels, steps) = (&self.levels, &mut self.steps);
        let outcome =
            native::merge(&mut self.space, memory, &stack, &self.walk, levels, self.choice, steps);
        if !outcome.whole {
            log::debug!(
                "thread {}: {} native frames, {} runs, {:?} at {:#x?}",
                pending.tid,
                self.walk.frames.len(),
                self.levels.len(),
                self.walk.stop,
                self.walk.frames.last().map(|last| last.pc)
            );
        }
        (outcome.whole, self.walk.stop)
    }
}

impl Pending {
    /// Keeps which of the thread's Python frames are run together, by what `capture` shows
    /// and by the native stack.
    pub(super) fn keep(&mut self, target: &Target, roster: &Roster, capture: &Capture) {
        let Some(entry) = roster.threads.get(self.thread) else { return };
        let layout = &target.runtime.layout;
        let cframe = layout.thread.cframe.and_then(|offset| {
            capture.pointer(layout, entry.state.address.wrapping_add(u64::from(offset)))
        });
        let (start, bytes) = (self.start, &self.stack);
        let read = |address: u64| {
            let at = usize::try_from(address.checked_sub(start)?).ok()?;
            bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
        };
        let stack =
            runs::Stack { frames: capture.frames(), visited: entry.predictor.visited(), cframe };
        runs::find(layout, stack, &read, &mut self.runs);
    }
}

impl Sampler {
    /// What native function a step stands for, if it does not stand for Python code.
    pub fn native(&self, id: CodeId) -> Option<&Function> {
        self.function(FunctionId(id.native()?))
    }

    /// A native function of a merged stack.
    pub fn function(&self, id: FunctionId) -> Option<&Function> {
        self.natives.as_ref()?.function(id)
    }

    /// Reads one thread for a merged stack. Where that is not possible, its Python frames
    /// alone are sampled.
    pub(super) fn read_native(&mut self, thread: usize) -> Result<(), ReadError> {
        let Some(entry) = self.roster.threads.get(thread) else { return Ok(()) };
        let Some(tid) = entry.tid else { return self.without_natives(thread) };
        if self.is_held(thread) {
            let registers = self.held_registers(tid);
            let clear = self.read_held(thread, tid, registers, Hold::Shared)?;
            self.counters.dropped += u64::from(!clear);
            return Ok(());
        }
        if !self.is_running(thread) {
            if self.read_waiting(thread, tid)? {
                return Ok(());
            }
            // It went on, and may wait again already.
            if !self.may_interrupt(thread) {
                return match self.read_waiting(thread, tid)? {
                    true => Ok(()),
                    false => self.without_natives(thread),
                };
            }
        }
        self.hold_and_read(thread, tid)
    }

    fn hold_and_read(&mut self, thread: usize, tid: i32) -> Result<(), ReadError> {
        let Some(stopped) = self.hold_one(tid) else {
            self.counters.unheld += 1;
            return self.without_natives(thread);
        };
        let registers = self.held_registers(tid);
        let result = self.read_held(thread, tid, registers, Hold::Own(stopped));
        self.let_go(tid, stopped);
        self.counters.dropped += u64::from(!result?);
        Ok(())
    }

    /// Holds a thread if there is time for it, and returns since when.
    pub(super) fn hold_one(&mut self, tid: i32) -> Option<u64> {
        let spent = clock::now_ns() - self.started_ns;
        let affordable = self.counters.paused_ns <= HOLD_START_NS + spent / HOLD_SHARE;
        if self.cannot_pause || !affordable {
            return None;
        }
        if self.pauser.pause(tid, self.options.pause_bound_ns.max(STOP_NS)).is_err() {
            self.counters.pause_failed += 1;
            return None;
        }
        self.counters.paused += 1;
        Some(clock::now_ns())
    }

    /// Lets go of a thread that was held since `stopped`, unless that was done already.
    pub(super) fn let_go(&mut self, tid: i32, stopped: u64) {
        if self.pauser.holds(tid) {
            self.pauser.resume_one(tid);
            let held_ns = clock::now_ns() - stopped;
            log::trace!("thread {tid}: held for {} us", held_ns / 1000);
            self.counters.paused_ns += held_ns;
        }
    }

    fn held_registers(&self, tid: i32) -> Option<Registers> {
        Registers::from_kernel(MACHINE, &self.pauser.registers(tid)?)
    }

    /// Reads a thread that waits without interrupting it. False if it went on meanwhile.
    fn read_waiting(&mut self, thread: usize, tid: i32) -> Result<bool, ReadError> {
        let Some(before) = self.roster.threads[thread].activity.standing() else {
            return Ok(false);
        };
        let registers = Registers::bare(MACHINE, before.pc, before.sp);
        let clear = self.read_held(thread, tid, Some(registers), Hold::Waits)?;
        if self.roster.threads[thread].activity.standing() == Some(before) {
            self.counters.dropped += u64::from(!clear);
            return Ok(true);
        }
        if let Some(natives) = &mut self.natives
            && natives.pending.last().is_some_and(|pending| pending.thread == thread)
        {
            natives.spare.extend(natives.pending.pop());
        }
        Ok(false)
    }

    /// Reads a thread that stands still; what it shows is kept for later. False if that was
    /// unclear.
    fn read_held(
        &mut self,
        thread: usize,
        tid: i32,
        registers: Option<Registers>,
        hold: Hold,
    ) -> Result<bool, ReadError> {
        let (Some(registers), Some(natives)) = (registers, &mut self.natives) else {
            return self.without_natives(thread).map(|()| true);
        };
        let region = natives.region(tid, registers.sp());
        self.capture.begin(&self.target, &self.roster, &self.codes, &[thread]);
        self.capture.request(region.start, region.length);
        self.capture.read(&self.target, &self.roster, &mut self.codes)?;
        let captured =
            self.capture.thread(&self.target, &mut self.roster, &mut self.codes, thread)?;
        match captured {
            Captured::Stack { .. } => {}
            Captured::Empty | Captured::Bare { .. } if natives.choice.all => {}
            Captured::Empty | Captured::Bare { .. } => {
                self.roster.threads[thread].last = None;
                return Ok(true);
            }
            Captured::Gone => {
                self.gone(thread);
                return Ok(true);
            }
            // Caught between two instructions that belong together.
            Captured::Torn { .. } => {
                self.counters.torn += 1;
                return Ok(false);
            }
        }
        if !self.capture.is_whole() {
            self.capture.load_codes(&self.target, &mut self.codes);
        }
        if let Hold::Own(stopped) = hold {
            self.let_go(tid, stopped);
        }
        let Some(natives) = &mut self.natives else { return Ok(true) };
        if !self.capture.is_whole() {
            return Ok(false);
        }
        let mut pending = natives.take(thread, tid, registers);
        (pending.start, pending.guessed) = (region.start, region.guessed);
        pending.stack.extend_from_slice(self.capture.copied(region.start));
        pending.holders.extend_from_slice(self.capture.holders());
        pending.calls.extend_from_slice(self.capture.calls());
        pending.keep(&self.target, &self.roster, &self.capture);
        natives.pending.push(pending);
        Ok(true)
    }

    /// Samples the Python frames of a thread alone.
    fn without_natives(&mut self, thread: usize) -> Result<(), ReadError> {
        self.counters.unmerged += 1;
        let held = self.is_held(thread);
        match self.read_still(thread, held)? {
            Still::Stack { stack, .. } => self.accept(thread, stack),
            Still::Nothing => {}
            Still::Unclear => self.counters.dropped += 1,
        }
        Ok(())
    }

    /// Makes stacks of what was read, now that every thread was let go.
    pub(super) fn finish_natives(&mut self) -> Result<(), ReadError> {
        let Some(natives) = &mut self.natives else { return Ok(()) };
        let mut all = std::mem::take(&mut natives.pending);
        for pending in all.drain(..) {
            let (thread, tid) = (pending.thread, pending.tid);
            let (whole, stop) = match &mut self.natives {
                Some(natives) => natives.merge(&self.target, &pending),
                None => (false, None),
            };
            let more = match stop {
                Some(Stop::Register(_)) => true,
                Some(Stop::Unreadable(_)) => pending.guessed,
                _ => false,
            };
            let again = !whole && more && !self.cannot_pause && self.may_interrupt(thread);
            if again {
                self.hold_and_read(thread, tid)?;
                self.retire(pending);
                if let Some(newer) = self.natives.as_mut().and_then(|n| n.pending.pop()) {
                    self.finish_one(newer);
                }
                continue;
            }
            self.counters.unmerged += u64::from(!whole);
            self.accept_merged(&pending);
            self.retire(pending);
        }
        if let Some(natives) = &mut self.natives {
            natives.pending = all;
        }
        Ok(())
    }

    fn finish_one(&mut self, pending: Pending) {
        let whole = match &mut self.natives {
            Some(natives) => natives.merge(&self.target, &pending).0,
            None => false,
        };
        self.counters.unmerged += u64::from(!whole);
        self.accept_merged(&pending);
        self.retire(pending);
    }

    fn retire(&mut self, pending: Pending) {
        if let Some(natives) = &mut self.natives {
            natives.spare.push(pending);
        }
    }

    /// The merged stack in `steps`; `None` if there is nothing in it.
    pub(super) fn merged(&mut self, pending: &Pending) -> Option<NodeId> {
        let calls: Vec<Call> = self
            .natives
            .as_ref()?
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Python(frame) => pending.calls.get(*frame).copied(),
                Step::Native(function) => Some(Call::native(*function)),
            })
            .collect();
        (!calls.is_empty()).then(|| self.trie.witness(&calls))
    }

    /// Takes the merged stack in `steps`.
    fn accept_merged(&mut self, pending: &Pending) {
        if let Some(stack) = self.merged(pending) {
            self.capture.set_holders(&pending.holders);
            self.accept(pending.thread, stack);
        }
    }
}
