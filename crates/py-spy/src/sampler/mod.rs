//! Takes samples: copies first, interprets after, and believes only what was witnessed.
//!
//! ```text
//!  predict   which regions each wanted thread needs, by its last sample
//!  copy      all of them in one read
//!  interpret walk the copies; go back to the target for what the prediction missed
//!  judge     a witnessed path is accepted; an unknown one is tried again a few times,
//!            then read with its thread paused, and so witnessed
//! ```

mod activity;
mod capture;
mod chains;
mod codes;
mod inspect;
mod predict;
mod recall;
mod roster;
mod trie;

pub use codes::CodeId;
pub use inspect::{Look, Scene, Seen};
pub use roster::{Entry, Roster};
pub use trie::{Call, NodeId};

use crate::error::Error;
use crate::target::Target;
use activity::Activity;
use capture::{Capture, Captured};
use codes::Codes;
use cpython::CodeInfo;
use recall::Recall;
use remote::os::{Pauser, clock};
use remote::{Memory, ReadError};
use trie::Trie;

/// A thread that computes in short bursts, between samples, is sampled where it waits
/// once it has used this much CPU time.
const MAX_UNWEIGHED_NS: u64 = 20_000_000;

/// When threads are paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// A thread whose stack is unknown, for as long as it takes to read it.
    Witness,
    /// Never.
    NonBlocking,
    /// All threads, for each sample.
    Blocking,
}

/// What to sample.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// When to pause.
    pub policy: Policy,
    /// Threads that wait as well.
    pub idle: bool,
    /// Only threads that hold a GIL.
    pub gil_only: bool,
    /// Weigh samples by the CPU time that their thread used since its last one.
    pub cpu: bool,
    /// The longest wait for a thread to stop, in nanoseconds. One that does not get a
    /// processor does not stop, and does not change either.
    pub pause_bound_ns: u64,
}

/// One thread's stack at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampled {
    /// Index into [`Roster::threads`].
    pub thread: usize,
    /// Its stack.
    pub stack: NodeId,
    /// It computes (or wants to).
    pub active: bool,
    /// It holds the GIL.
    pub gil: bool,
    /// 1, or the CPU time that it stands for in nanoseconds.
    pub weight: u64,
}

/// How the samples so far came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Stacks that could not be trusted and were left out.
    pub dropped: u64,
    /// Stacks that needed more than one try.
    pub retried: u64,
    /// Of these, how many showed a torn copy.
    pub torn: u64,
    /// Of these, how many were told from their innermost frame alone.
    pub repaired: u64,
    /// Stacks that were read with their thread paused.
    pub paused: u64,
    /// How long threads were paused, in nanoseconds.
    pub paused_ns: u64,
    /// Pauses that were refused or came too late.
    pub pause_failed: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Counters) {
        self.dropped += other.dropped;
        self.retried += other.retried;
        self.torn += other.torn;
        self.repaired += other.repaired;
        self.paused += other.paused;
        self.paused_ns += other.paused_ns;
        self.pause_failed += other.pause_failed;
    }
}

/// Tries without a pause before one with.
const TRIES: u32 = 8;
/// Where tries hardly ever succeed, only every so often is more than one made.
const RETRY_EVERY: u64 = 16;
/// Threads may be paused for this much of the time, and a little at once at the start.
const PAUSE_SHARE: u64 = 10;
const PAUSE_START_NS: u64 = 250_000_000;

/// A running thread that may not be paused is believed when it shows the same stack this
/// many times more.
const SURE: u32 = 3;

/// Deeper stacks are not compared with others.
const MAX_COMPARED: usize = 1000;

/// What is certain of a first try that is not believed.
#[derive(Debug, Clone, Copy)]
struct First {
    /// The address of the innermost frame.
    frame: u64,
    /// The outer part of the stack; `None` where the copy was no stack at all.
    part: Option<NodeId>,
}

/// What was read of a thread that stands still.
enum Still {
    /// A stack, and the address of its innermost frame.
    Stack { frame: u64, stack: NodeId },
    /// It runs no Python code, or has ended.
    Nothing,
    /// Nothing that could be trusted.
    Unclear,
}

/// Samples one process.
pub struct Sampler {
    /// What is sampled.
    pub target: Target,
    /// Its threads.
    pub roster: Roster,
    /// How the samples came about.
    pub counters: Counters,
    options: Options,
    codes: Codes,
    trie: Trie,
    activity: Activity,
    recall: Recall,
    capture: Capture,
    pauser: Pauser,
    /// Another tracer holds the process, or pausing is forbidden.
    cannot_pause: bool,
    started_ns: u64,
    /// The share of late of tries that succeeded, of 256.
    hope: u32,
    samples: Vec<Sampled>,
    wanted: Vec<usize>,
    unsure: Vec<(usize, First)>,
}

impl Sampler {
    /// Prepares to sample `target`.
    pub fn new(target: Target, options: Options) -> Result<Sampler, Error> {
        let mut sampler = Sampler {
            roster: Roster::default(),
            counters: Counters::default(),
            options,
            codes: Codes::default(),
            trie: Trie::new(),
            activity: Activity::default(),
            recall: Recall::default(),
            capture: Capture::default(),
            pauser: Pauser::new(),
            cannot_pause: options.policy == Policy::NonBlocking
                || target.process.tracer().is_some(),
            started_ns: clock::now_ns(),
            hope: 256,
            samples: Vec::new(),
            wanted: Vec::new(),
            unsure: Vec::new(),
            target,
        };
        let pid = sampler.target.process.pid;
        sampler.roster.refresh(&sampler.target).map_err(|error| Error::read(pid, error))?;
        Ok(sampler)
    }

    /// The stacks of the last sample.
    pub fn samples(&self) -> &[Sampled] {
        &self.samples
    }

    /// The steps of a stack, innermost first, without the interpreter's own.
    pub fn steps(&self, stack: NodeId) -> impl Iterator<Item = Call> + '_ {
        self.trie.steps(stack).filter(|call| !self.is_shim(*call))
    }

    /// Whether a step is the interpreter's own, and not to be shown.
    pub fn is_shim(&self, call: Call) -> bool {
        self.codes.info(call.code).is_some_and(CodeInfo::is_shim)
    }

    /// The parent of a stack and the step from there; `None` for the empty one.
    pub fn step(&self, stack: NodeId) -> Option<(NodeId, Call)> {
        self.trie.step(stack)
    }

    /// What a step's code object is.
    pub fn code(&self, id: CodeId) -> Option<&CodeInfo> {
        self.codes.info(id)
    }

    /// What it was asked to sample.
    pub fn options(&self) -> Options {
        self.options
    }

    /// True where threads could not be paused even if that were wanted.
    pub fn cannot_pause(&self) -> bool {
        self.cannot_pause && self.options.policy != Policy::NonBlocking
    }

    /// Takes one sample of all threads that the options ask for. An error means that
    /// there will be no more.
    pub fn sample(&mut self) -> Result<&[Sampled], ReadError> {
        self.samples.clear();
        self.pauser.collect_late();
        self.recall.tick();
        self.choose(false);
        let result = if self.options.policy == Policy::Blocking && !self.cannot_pause {
            self.sample_blocking()
        } else {
            self.sample_chosen()
        };
        // The stacks come first: threads may not live long.
        self.roster.find_names(&self.target);
        result?;
        Ok(&self.samples)
    }

    /// Pauses all threads that compute while it reads. Those that wait stand still, and
    /// would be woken by a pause.
    fn sample_blocking(&mut self) -> Result<(), ReadError> {
        let running = |entry: &Entry| entry.tid.filter(|_| entry.activity.is_running());
        let tids: Vec<i32> = self.roster.threads.iter().filter_map(running).collect();
        let held = self.pauser.pause_all(&tids, self.options.pause_bound_ns);
        self.counters.paused += held as u64;
        self.counters.pause_failed += (tids.len() - held) as u64;
        let began = clock::now_ns();
        let result = self.sample_chosen();
        self.pauser.resume();
        self.counters.paused_ns += clock::now_ns() - began;
        result
    }

    /// Which threads to read: those that compute, or all. `changed` says that the roster
    /// has.
    fn choose(&mut self, changed: bool) {
        self.wanted.clear();
        let process = &self.target.process;
        let threads = &mut self.roster.threads;
        self.activity.update(process.pid, process.proc_dir(), threads, changed);
        if self.options.cpu {
            for entry in threads.iter_mut().filter(|entry| entry.activity.is_hot()) {
                entry.activity.look_at_clock();
            }
        }
        for (thread, entry) in threads.iter().enumerate() {
            let activity = &entry.activity;
            let burst = self.options.cpu && activity.unweighed_ns() > MAX_UNWEIGHED_NS;
            let waits = self.options.idle && (!self.activity.tracks() || entry.must_read());
            if activity.is_running() || burst || waits {
                self.wanted.push(thread);
            }
        }
    }

    /// Copies what the wanted threads need, and takes note of threads that came, went or
    /// took the GIL since they were chosen.
    fn copy(&mut self) -> Result<(), ReadError> {
        for _ in 0..3 {
            self.capture.begin(&self.target, &self.roster, &self.codes, &self.wanted);
            self.capture.read(&self.target, &self.roster, &mut self.codes)?;
            if self.capture.look().changed && self.roster.refresh(&self.target)? {
                self.choose(true);
                continue;
            }
            let mut complete = true;
            for holder in self.capture.holders() {
                let is_holder = |entry: &Entry| entry.state.address == *holder;
                let found = self.roster.threads.iter().position(is_holder);
                if let Some(thread) = found.filter(|thread| !self.wanted.contains(thread)) {
                    let entry = &mut self.roster.threads[thread];
                    entry.activity.warm();
                    if entry.activity.is_running() || self.options.idle {
                        self.wanted.push(thread);
                        complete = false;
                    }
                }
            }
            if complete {
                break;
            }
        }
        Ok(())
    }

    fn sample_chosen(&mut self) -> Result<(), ReadError> {
        self.copy()?;
        if self.options.idle {
            // Threads that have not run since they were read last.
            for thread in 0..self.roster.threads.len() {
                if let Some(stack) = self.roster.threads[thread].last
                    && !self.wanted.contains(&thread)
                {
                    self.accept(thread, stack);
                }
            }
        }
        self.unsure.clear();
        for i in 0..self.wanted.len() {
            let thread = self.wanted[i];
            if self.options.gil_only && !self.holds_gil(thread) {
                continue;
            }
            let captured =
                self.capture.thread(&self.target, &mut self.roster, &mut self.codes, thread)?;
            match captured {
                Captured::Empty => {}
                Captured::Gone => self.roster.threads[thread].last = None,
                Captured::Stack { .. } if self.is_held(thread) => self.settle(thread, true)?,
                Captured::Stack { frame } => match self.trie.known(self.capture.calls()) {
                    Some(stack) if self.capture.is_whole() => {
                        self.recall.learn(frame, stack);
                        self.accept(thread, stack);
                    }
                    _ => {
                        let part = Some(self.trie.known_part(self.capture.calls()));
                        self.unsure.push((thread, First { frame, part }));
                    }
                },
                Captured::Torn { frame } => {
                    self.counters.torn += 1;
                    self.unsure.push((thread, First { frame, part: None }));
                }
            }
        }
        for i in 0..self.unsure.len() {
            let (thread, first) = self.unsure[i];
            self.make_sure(thread, first)?;
        }
        Ok(())
    }

    /// How often to try without a pause: not in vain. Frames that are objects change
    /// address with every function, so that the same one hardly comes back.
    fn tries(&self) -> u32 {
        if self.hope > 48 || self.counters.retried.is_multiple_of(RETRY_EVERY) { TRIES } else { 1 }
    }

    fn is_running(&self, thread: usize) -> bool {
        self.roster.threads[thread].activity.is_running()
    }

    fn is_held(&self, thread: usize) -> bool {
        self.roster.threads[thread].tid.is_some_and(|tid| self.pauser.holds(tid))
    }

    fn holds_gil(&self, thread: usize) -> bool {
        let address = self.roster.threads[thread].state.address;
        self.capture.holders().contains(&address)
    }

    fn accept(&mut self, thread: usize, stack: NodeId) {
        let gil = self.holds_gil(thread);
        if self.options.gil_only && !gil {
            return;
        }
        if gil {
            // It may have changed hands since others were read: only one holder is shown.
            for i in 0..self.samples.len() {
                self.samples[i].gil &= self.holds_gil(self.samples[i].thread);
            }
        }
        self.roster.threads[thread].last = Some(stack);
        let active = self.is_running(thread);
        let weight =
            if self.options.cpu { self.roster.threads[thread].activity.weigh() } else { 1 };
        self.samples.push(Sampled { thread, stack, active, gil, weight });
    }

    /// A stack that is not known, or a torn copy: more tries, then a pause.
    fn make_sure(&mut self, thread: usize, first: First) -> Result<(), ReadError> {
        self.counters.retried += 1;
        if !self.is_running(thread) {
            // It waits, or its process is stopped, and so is its stack: no need to interrupt
            // it. One that holds the GIL all the same must show it more often.
            return self.settle(thread, false);
        }
        for _ in 0..self.tries() {
            self.capture.again(&self.target, &self.roster, thread, first.frame)?;
            let captured =
                self.capture.thread(&self.target, &mut self.roster, &mut self.codes, thread)?;
            // Only what shows the same innermost frame as the first try: otherwise
            // states that change fast would lose samples to states that last.
            if let Captured::Stack { frame: now } = captured
                && now == first.frame
                && self.capture.is_whole()
                && let Some(stack) = self.trie.known(self.capture.calls())
            {
                self.hope += (256 - self.hope) / 16;
                self.accept(thread, stack);
                return Ok(());
            }
        }
        self.hope -= self.hope / 16;
        self.look_or_recall(thread, first)
    }

    /// A thread of which no more than `first` could be read: stop it and look, unless what is seen with that frame is known well.
    fn look_or_recall(&mut self, thread: usize, first: First) -> Result<(), ReadError> {
        if !self.recall.must_look(first.frame)
            && let Some(stack) = self.recall(first)
        {
            self.counters.repaired += 1;
            self.accept(thread, stack);
            return Ok(());
        }
        let tid = self.roster.threads[thread].tid.filter(|_| !self.cannot_pause);
        let Some(tid) = tid else {
            let found = self.read_still(thread, false)?;
            self.conclude(thread, first, found);
            return Ok(());
        };
        let now = clock::now_ns();
        if self.counters.paused_ns > PAUSE_START_NS + (now - self.started_ns) / PAUSE_SHARE {
            self.conclude(thread, first, Still::Unclear);
            return Ok(());
        }
        let paused = self.pauser.pause(tid, self.options.pause_bound_ns);
        let stopped = clock::now_ns();
        let found = match paused {
            Ok(()) => self.read_still(thread, true),
            Err(_) => {
                self.counters.pause_failed += 1;
                Ok(Still::Unclear)
            }
        };
        self.pauser.resume();
        if paused.is_ok() {
            self.counters.paused += 1;
            self.counters.paused_ns += clock::now_ns() - stopped;
        }
        self.conclude(thread, first, found?);
        Ok(())
    }

    /// A stack seen of late that has all in common with the first try that is certain.
    fn recall(&mut self, first: First) -> Option<NodeId> {
        let part = first.part?;
        let trie = &self.trie;
        self.recall.recall(first.frame, |stack| trie.contains(stack, part, MAX_COMPARED))
    }

    /// The sample of a thread of which `first` was seen when its time came, and that was `found` in a certain state a little later.
    fn conclude(&mut self, thread: usize, first: First, found: Still) {
        let (stack, same) = match found {
            Still::Nothing => (None, false),
            Still::Unclear => (None, true),
            Still::Stack { frame: now, stack } => {
                self.recall.learn(now, stack);
                (Some(stack), now == first.frame)
            }
        };
        let recalled = if same && stack.is_some() { None } else { self.recall(first) };
        match (recalled, stack) {
            (Some(recalled), _) => {
                self.counters.repaired += 1;
                self.accept(thread, recalled);
            }
            (None, Some(stack)) => self.accept(thread, stack),
            (None, None) if same => self.counters.dropped += 1,
            (None, None) => {}
        }
    }

    /// Reads a thread that stands still, or should, and takes what it shows.
    fn settle(&mut self, thread: usize, held: bool) -> Result<(), ReadError> {
        match self.read_still(thread, held)? {
            Still::Stack { stack, .. } => self.accept(thread, stack),
            Still::Nothing => {}
            Still::Unclear => self.counters.dropped += 1,
        }
        Ok(())
    }

    /// Whether the outermost frame of what was captured is a generator's.
    fn ends_in_generator(&self) -> bool {
        let outermost = self.capture.calls().last();
        let code = outermost.and_then(|call| self.codes.info(call.code));
        code.is_some_and(|code| code.is_generator)
    }

    /// Reads a thread that stands still, or should. `held` says that we hold it;
    /// otherwise it must show the same again, and once more if it may be running.
    fn read_still(&mut self, thread: usize, held: bool) -> Result<Still, ReadError> {
        let enough = match (held, self.is_running(thread) || self.holds_gil(thread)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => SURE,
        };
        let mut before: Option<Vec<cpython::frames::RawFrame>> = None;
        let mut same = 0;
        for _ in 0..enough + 4 {
            self.capture.begin(&self.target, &self.roster, &self.codes, &[thread]);
            self.capture.read(&self.target, &self.roster, &mut self.codes)?;
            let captured =
                self.capture.thread(&self.target, &mut self.roster, &mut self.codes, thread)?;
            let frame = match captured {
                Captured::Empty | Captured::Gone => return Ok(Still::Nothing),
                // A generator whose caller is not there has just been left.
                Captured::Stack { .. } if !held && self.ends_in_generator() => {
                    before = None;
                    same = 0;
                    continue;
                }
                Captured::Torn { .. } if held => break,
                Captured::Torn { .. } => {
                    before = None;
                    same = 0;
                    continue;
                }
                Captured::Stack { frame } => frame,
            };
            if !self.capture.is_whole() {
                // Code objects that were never seen: the frames hold them alive.
                self.capture.load_codes(&self.target, &mut self.codes);
            }
            same = if before.as_deref() == Some(self.capture.frames()) { same + 1 } else { 0 };
            if same >= enough && self.capture.is_whole() {
                let stack = self.trie.witness(self.capture.calls());
                return Ok(Still::Stack { frame, stack });
            }
            before = Some(self.capture.frames().to_vec());
        }
        Ok(Still::Unclear)
    }

    /// True while the process is there.
    pub fn is_alive(&self) -> bool {
        self.target.process.is_alive()
            && self.target.process.memory.ptr(self.target.runtime.interpreters_head).is_ok()
    }
}
