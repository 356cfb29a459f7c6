//! Native stacks for a look at all threads (`dump`), which stand still meanwhile. What is
//! copied is unwound and named when they go on.

use super::Sampler;
use super::judge::Still;
use super::native::{MACHINE, Pending};
use cpython::frames::RawFrame;
use native::{FunctionId, Registers, Step, Stop};
use remote::Memory;
use remote::os;
use remote::os::threads::{Standing, is_fragile};

/// A step of a merged stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// The Python frame of this number, counted from the innermost.
    Python(usize),
    /// A native function.
    Native(FunctionId),
}

/// What was copied of one thread.
#[derive(Debug, Clone)]
pub struct Copied {
    pending: Pending,
    frames: Vec<RawFrame>,
}

/// A thread that runs no Python.
#[derive(Debug, Clone)]
pub struct Stranger {
    /// The system's id.
    pub tid: i32,
    /// The system's name for it.
    pub name: Option<String>,
    /// It computes.
    pub active: bool,
    /// Its native functions, innermost first.
    pub functions: Vec<FunctionId>,
}

fn fails_if_held(standing: Standing) -> bool {
    standing.call.is_some_and(is_fragile)
}

impl Sampler {
    /// Whether native functions are shown: they may be asked for and still not be readable.
    pub fn shows_natives(&self) -> bool {
        self.natives.is_some()
    }

    /// Copies the native stack of a thread that stands still, and whose Python frames have
    /// just been read; `None` where natives are not wanted.
    pub(super) fn look_native(&mut self, thread: usize) -> Option<Copied> {
        self.natives.as_ref()?;
        let entry = self.roster.threads.get_mut(thread)?;
        let tid = entry.tid.unwrap_or(0);
        // What is held is in no system call, as far as that file tells.
        let standing = if self.pauser.holds(tid) { None } else { entry.activity.standing() };
        let mut pending = self.copy_native(tid, standing);
        pending.thread = thread;
        pending.calls.extend_from_slice(self.capture.calls());
        pending.keep(&self.target, &self.roster, &self.capture);
        Some(Copied { pending, frames: self.capture.frames().to_vec() })
    }

    /// The registers and the native stack of a thread that is held, or waits there.
    pub(super) fn copy_native(&mut self, tid: i32, standing: Option<Standing>) -> Pending {
        let mut pending = Pending { tid, ..Pending::default() };
        pending.registers = match self.pauser.registers(tid) {
            Some(words) => Registers::from_kernel(MACHINE, &words),
            None => standing.map(|standing| Registers::bare(MACHINE, standing.pc, standing.sp)),
        };
        let (Some(registers), Some(natives)) = (pending.registers, &mut self.natives) else {
            return pending;
        };
        let region = natives.region(tid, registers.sp());
        pending.start = region.start;
        pending.stack.resize(region.length, 0);
        let memory = &self.target.process.memory;
        let got = memory.read_some(region.start, &mut pending.stack).unwrap_or(0);
        pending.stack.truncate(got);
        pending
    }

    /// The merged stack of what was copied, with Python frames counted as they are shown.
    /// The thread is held once more if its registers are needed.
    pub(super) fn merge_copied(&mut self, copied: Copied) -> Vec<Merged> {
        let Copied { pending, frames } = copied;
        let Some(natives) = &mut self.natives else { return Vec::new() };
        let (mut whole, stop) = natives.merge(&self.target, &pending);
        if !whole
            && matches!(stop, Some(Stop::Register(_)))
            && !self.cannot_pause
            && self.may_interrupt(pending.thread)
            && self.pauser.pause(pending.tid, self.options.alone_bound_ns).is_ok()
        {
            let found = self.read_still(pending.thread, true);
            let same = matches!(found, Ok(Still::Stack { .. })) && self.capture.frames() == frames;
            let newer = if same { self.look_native(pending.thread) } else { None };
            self.pauser.resume();
            if let (Some(newer), Some(natives)) = (newer, &mut self.natives) {
                whole = natives.merge(&self.target, &newer.pending).0;
            }
        }
        self.counters.unmerged += u64::from(!whole);
        // The interpreter's own Python frames are not shown.
        let mut shown = 0;
        let numbers: Vec<Option<usize>> = pending
            .calls
            .iter()
            .map(|call| {
                let number = (!self.is_shim(*call)).then_some(shown);
                shown += usize::from(number.is_some());
                number
            })
            .collect();
        let Some(natives) = &self.natives else { return Vec::new() };
        let steps = natives.steps.iter().filter_map(|step| match step {
            Step::Python(frame) => numbers.get(*frame).copied().flatten().map(Merged::Python),
            Step::Native(function) => Some(Merged::Native(*function)),
        });
        steps.collect()
    }

    /// Copies the stacks of all threads that run no Python, where those are wanted.
    pub(super) fn look_at_strangers(&mut self) -> Vec<(Pending, bool)> {
        if !self.natives.as_ref().is_some_and(|natives| natives.choice.all) {
            return Vec::new();
        }
        let known = |tid: &i32| self.roster.threads.iter().any(|entry| entry.tid == Some(*tid));
        let tids: Vec<i32> = self.roster.tids().iter().copied().filter(|tid| !known(tid)).collect();
        let mut copied = Vec::new();
        for tid in tids {
            let held = self.pauser.holds(tid);
            let standing = if held { None } else { self.standing(tid) };
            copied.push((self.copy_native(tid, standing), standing.is_none()));
        }
        copied
    }

    /// Whether the system call that a thread waits in is begun again after an interruption.
    pub(super) fn may_interrupt(&mut self, thread: usize) -> bool {
        let entry = self.roster.threads.get_mut(thread);
        !entry.and_then(|entry| entry.activity.standing()).is_some_and(fails_if_held)
    }

    pub(super) fn standing(&self, tid: i32) -> Option<Standing> {
        os::Thread::new(self.target.process.proc_dir(), tid).standing()
    }

    /// Unwinds what was copied of a thread that runs no Python; the thread is held once more
    /// if its registers are needed. Says whether all of its functions are there.
    pub(super) fn merge_stranger(&mut self, pending: &Pending) -> bool {
        let tid = pending.tid;
        let Some(natives) = &mut self.natives else { return false };
        let (whole, stop) = natives.merge(&self.target, pending);
        if whole
            || !matches!(stop, Some(Stop::Register(_)))
            || self.cannot_pause
            || self.standing(tid).is_some_and(fails_if_held)
        {
            return whole;
        }
        let Some(stopped) = self.hold_one(tid) else { return whole };
        let newer = self.copy_native(tid, None);
        self.let_go(tid, stopped);
        self.natives.as_mut().is_some_and(|natives| natives.merge(&self.target, &newer).0)
    }

    /// What was copied of a thread that runs no Python.
    pub(super) fn stranger(&mut self, (pending, active): (Pending, bool)) -> Option<Stranger> {
        let tid = pending.tid;
        self.merge_stranger(&pending);
        let native = |step: &Step| match step {
            Step::Native(function) => Some(*function),
            Step::Python(_) => None,
        };
        let functions = self.natives.as_ref()?.steps.iter().filter_map(native).collect();
        let name = os::Thread::new(self.target.process.proc_dir(), tid).os_name();
        Some(Stranger { tid, name, active, functions })
    }
}
