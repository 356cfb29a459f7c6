//! One look at all threads together, for `dump`: what they run, and what can be read of
//! them while nothing moves.
//!
//! All threads that compute are held, those of extensions too, and the others wait. So
//! stacks, values and locks are of one instant, which the CPU time of the process proves:
//! if it has grown, a thread woke up meanwhile, and the look is taken again.

use super::capture::Captured;
use super::codes::{CodeId, Codes};
use super::judge::Still;
use super::native::Pending;
use super::native_look::{Copied, Merged, Stranger};
use super::roster::{Entry, Roster};
use super::trie::Call;
use super::{Sampled, Sampler};
use crate::target::Target;
use cpython::CodeInfo;
use cpython::frames::RawFrame;
use remote::ReadError;
use remote::os::{self, clock, pause};

/// A look that was disturbed is taken again, this often in all.
const ATTEMPTS: usize = 5;
/// Threads that began to compute while others were being stopped are stopped as well.
const ROUNDS: usize = 4;

/// One thread, as it stood.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What a sample says of it.
    pub sample: Sampled,
    /// Its frames, innermost first, without the interpreter's own.
    pub frames: Vec<RawFrame>,
    /// The same as calls.
    pub calls: Vec<Call>,
    /// It could be held, or waited and showed the same stack again.
    pub held: bool,
    /// With its native functions, innermost first; `None` where they were not asked for.
    pub merged: Option<Vec<Merged>>,
    copied: Option<Copied>,
}

/// All threads while they stand still.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Their process.
    pub target: &'a Target,
    /// Who they are.
    pub roster: &'a Roster,
    /// What they run: those that run Python, oldest first.
    pub seen: &'a [Seen],
    /// Whether each of them computes, those that run no Python too, in the roster's order.
    pub active: &'a [bool],
    /// The CPU time that each had used before it was read, in nanoseconds.
    pub cpu: &'a [Option<u64>],
    /// When, on [`clock::now_ns`], the process should go on.
    pub deadline_ns: u64,
    codes: &'a Codes,
}

impl<'a> Scene<'a> {
    /// What a step's code object is.
    pub fn code(&self, id: CodeId) -> Option<&'a CodeInfo> {
        self.codes.info(id)
    }
}

/// What came of a look.
#[derive(Debug)]
pub struct Look<T> {
    /// What was made of the scene.
    pub found: T,
    /// The threads that run Python, oldest first.
    pub seen: Vec<Seen>,
    /// Whether each of the roster's threads computes.
    pub active: Vec<bool>,
    /// Threads that run no Python, where they were asked for.
    pub strangers: Vec<Stranger>,
    copied: Vec<(Pending, bool)>,
    /// Threads that kept changing while they were read, and are not among them.
    pub unclear: u64,
    /// Nothing moved, from the first read to the last.
    pub still: bool,
}

impl Sampler {
    /// Takes one sample of all threads, waiting ones too, and calls `look` with it before
    /// they go on: within `bound_ns` if any is held, which it must keep itself. Where pausing is not
    /// wanted or not possible, nothing is held; the result says whether anything moved.
    pub fn inspect<T>(
        &mut self,
        bound_ns: u64,
        mut look: impl FnMut(Scene) -> T,
    ) -> Result<Look<T>, ReadError> {
        let mut tries = 0;
        loop {
            tries += 1;
            pause::collect_late();
            let result = self.look_once(bound_ns, true, &mut look);
            self.pauser.resume();
            let mut result = result?;
            log::debug!(
                "look {tries}: still {}, {} threads unclear, {} paused",
                result.still,
                result.unclear,
                self.counters.paused
            );
            if tries == ATTEMPTS || (result.still && result.unclear == 0) {
                for one in &mut result.seen {
                    if let Some(copied) = one.copied.take() {
                        one.merged = Some(self.merge_copied(copied));
                    }
                }
                for copied in std::mem::take(&mut result.copied) {
                    result.strangers.extend(self.stranger(copied));
                }
                return Ok(result);
            }
        }
    }

    /// Takes one sample like [`Sampler::inspect`], but holds nothing: threads that compute are
    /// shown if their stack is one that is known, and nothing is of one instant.
    pub fn glance<T>(&mut self, mut look: impl FnMut(Scene) -> T) -> Result<Look<T>, ReadError> {
        self.look_once(u64::MAX, false, &mut look)
    }

    fn look_once<T>(
        &mut self,
        bound_ns: u64,
        hold: bool,
        look: &mut impl FnMut(Scene) -> T,
    ) -> Result<Look<T>, ReadError> {
        self.samples.clear();
        self.gil_seen = false;
        self.roster.refresh(&self.target, false)?;
        self.choose(true);
        let proc_dir = self.target.process.proc_dir();
        let cpu = |entry: &Entry| os::Thread::new(proc_dir, entry.tid?).cpu_ns();
        let cpu: Vec<_> = self.roster.threads.iter().map(cpu).collect();
        let complete = hold && self.hold();
        // Where all wait anyway, nobody waits for us.
        let bound_ns = if self.pauser.holds_any() { bound_ns } else { u64::MAX };
        let deadline_ns = clock::now_ns().saturating_add(bound_ns);
        let pid = self.target.process.pid;
        let before = clock::process_cpu(pid);
        // Who holds the GIL, and whether threads came or went meanwhile.
        self.capture.begin(&self.target, &self.roster, &self.codes, &[]);
        self.capture.read(&self.target, &self.roster, &mut self.codes)?;
        let mut still = complete && !self.capture.look().changed;
        let mut seen = Vec::new();
        let mut unclear = 0;
        for thread in 0..self.roster.threads.len() {
            let held = self.is_held(thread);
            let found = match hold || !self.is_running(thread) {
                true => self.read_still(thread, held)?,
                false => self.read_known(thread)?,
            };
            let stack = match found {
                Still::Stack { stack, .. } => stack,
                Still::Nothing => continue,
                Still::Unclear => {
                    unclear += 1;
                    continue;
                }
            };
            let (active, gil) = (self.is_running(thread), self.holds_gil(thread));
            let sample = Sampled { thread, stack, active, gil, weight: 0 };
            let last = self.roster.threads[thread].last;
            self.show(sample);
            if self.natives.is_some() {
                // These are the Python frames alone.
                self.roster.threads[thread].last = last;
            }
            let copied = if hold { self.look_native(thread) } else { None };
            let (frames, calls) = (Vec::new(), Vec::new());
            let mut one = Seen { sample, frames, calls, held, merged: None, copied };
            for (frame, call) in self.capture.frames().iter().zip(self.capture.calls()) {
                if !self.is_shim(*call) {
                    one.frames.push(*frame);
                    one.calls.push(*call);
                }
            }
            one.sample.active |= held;
            one.held |= !one.sample.active;
            seen.push(one);
        }
        let copied = if hold { self.look_at_strangers() } else { Vec::new() };
        // The GIL may have changed hands where nothing is held: only one holder is shown.
        for one in &mut seen {
            let now = self.samples.iter().find(|sample| sample.thread == one.sample.thread);
            one.sample.gil = now.is_some_and(|sample| sample.gil);
        }
        self.renamed |= self.roster.find_names(&self.target);
        let mut active: Vec<bool> = (0..self.roster.threads.len())
            .map(|thread| self.is_running(thread) || self.is_held(thread))
            .collect();
        for one in &seen {
            if let Some(active) = active.get_mut(one.sample.thread) {
                *active = one.sample.active;
            }
        }
        let scene = Scene {
            target: &self.target,
            roster: &self.roster,
            seen: &seen,
            active: &active,
            cpu: &cpu,
            deadline_ns,
            codes: &self.codes,
        };
        let found = look(scene);
        // What runs now may not have been accounted for yet.
        still &= before.is_some() && before == clock::process_cpu(pid);
        still = hold && still && self.running().is_empty();
        Ok(Look { found, seen, active, strangers: Vec::new(), copied, unclear, still })
    }

    /// Reads a thread that may be running, and believes only what has been seen before.
    fn read_known(&mut self, thread: usize) -> Result<Still, ReadError> {
        for _ in 0..ATTEMPTS {
            self.capture.begin(&self.target, &self.roster, &self.codes, &[thread]);
            self.capture.read(&self.target, &self.roster, &mut self.codes)?;
            let captured =
                self.capture.thread(&self.target, &mut self.roster, &mut self.codes, thread)?;
            match captured {
                Captured::Empty | Captured::Gone => return Ok(Still::Nothing),
                Captured::Stack { frame } if self.capture.is_whole() => {
                    if let Some(stack) = self.trie.known(self.capture.calls()) {
                        return Ok(Still::Stack { frame, stack });
                    }
                }
                _ => {}
            }
        }
        Ok(Still::Unclear)
    }

    /// All threads that compute and are not held, as of the last time they were asked.
    fn known_running(&self) -> Vec<i32> {
        let running = |entry: &&Entry| entry.activity.is_running();
        let tids = self.roster.threads.iter().filter(running).filter_map(|entry| entry.tid);
        let mut found: Vec<i32> = tids.collect();
        let proc_dir = self.target.process.proc_dir();
        for tid in self.roster.tids() {
            let of_python = self.roster.threads.iter().any(|entry| entry.tid == Some(*tid));
            if !of_python && os::Thread::new(proc_dir, *tid).is_running() == Some(true) {
                found.push(*tid);
            }
        }
        found.retain(|tid| !self.pauser.holds(*tid));
        found
    }

    /// All threads that compute now and are not held.
    fn running(&mut self) -> Vec<i32> {
        for entry in &mut self.roster.threads {
            // What is held does not run, yet is active.
            if !entry.tid.is_some_and(|tid| self.pauser.holds(tid)) {
                entry.activity.warm();
            }
        }
        self.known_running()
    }

    /// Holds every thread of the process that computes. False if some still do.
    fn hold(&mut self) -> bool {
        let mut running = self.known_running();
        for _ in 0..ROUNDS {
            if running.is_empty() || self.cannot_pause {
                break;
            }
            let held = self.pauser.pause_all(&running, self.options.pause_bound_ns);
            self.counters.paused += held as u64;
            self.counters.pause_failed += (running.len() - held) as u64;
            // Those that took over, or woke up.
            running = self.running();
        }
        running.is_empty()
    }
}
