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
mod judge;
mod native;
mod native_look;
mod newcomers;
mod predict;
mod recall;
mod roster;
mod strangers;
mod trie;

pub use codes::{CodeId, Codes};
pub use inspect::{Look, Scene, Seen};
pub use native_look::{Merged, Stranger};
pub use roster::{Entry, Roster};
pub use trie::{Call, NodeId};

use crate::error::Error;
use crate::target::Target;
use activity::Activity;
use capture::{Capture, Captured};
use cpython::CodeInfo;
use cpython::threads::ThreadState;
use judge::First;
use native::Natives;
use newcomers::Newcomer;
use recall::Recall;
use remote::os::{Pauser, clock, pause};
use remote::{Memory, ReadError};
use strangers::Strangers;
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
    /// The names of methods tell their class where code objects do not (before 3.11).
    pub class_names: bool,
    /// Native functions between the Python ones.
    pub native: Option<::native::Choice>,
    /// The longest wait for a thread to stop, in nanoseconds. One that does not get a
    /// processor does not stop, and does not change either.
    pub pause_bound_ns: u64,
    /// How long a thread that waits anyway may take to stop, while no other is held.
    pub alone_bound_ns: u64,
}

/// One thread's stack at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampled {
    /// Which of the threads: for [`Sampler::thread`].
    pub thread: usize,
    /// Its stack.
    pub stack: NodeId,
    /// It computes (or wants to).
    pub active: bool,
    /// It holds the GIL.
    pub gil: bool,
    /// 1, or the CPU time that it stands for in nanoseconds; 0 if it is not to be counted.
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
    /// Stacks whose native and Python frames did not fit together, or without the native
    /// ones.
    pub unmerged: u64,
    /// Of these, those of threads that could not be held, or not any longer.
    pub unheld: u64,
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
        self.unmerged += other.unmerged;
        self.unheld += other.unheld;
    }
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
    /// Waiting threads are shown, though they may count for nothing.
    watch: bool,
    codes: Codes,
    trie: Trie,
    activity: Activity,
    recall: Recall,
    capture: Capture,
    natives: Option<Natives>,
    strangers: Strangers,
    pauser: Pauser,
    /// Another tracer holds the process, or pausing is forbidden.
    cannot_pause: bool,
    started_ns: u64,
    /// The share of late of tries that succeeded, of 256.
    hope: u32,
    samples: Vec<Sampled>,
    wanted: Vec<usize>,
    unsure: Vec<(usize, First)>,
    newcomers: Vec<Newcomer>,
    states: Vec<ThreadState>,
    /// A thread that held the GIL has been sampled: at that instant no other did.
    gil_seen: bool,
    /// Threads have got names since that was last asked.
    renamed: bool,
}

impl Sampler {
    /// Prepares to sample `target`. Symbols are looked for in `library` first.
    pub fn new(
        target: Target,
        options: Options,
        library: &::native::Library,
    ) -> Result<Sampler, Error> {
        let mut sampler = Sampler {
            roster: Roster::default(),
            counters: Counters::default(),
            options,
            watch: false,
            codes: Codes::new(options.class_names),
            trie: Trie::new(),
            activity: Activity::default(),
            recall: Recall::default(),
            capture: Capture::default(),
            natives: options.native.and_then(|choice| Natives::new(&target, choice, library)),
            strangers: Strangers::default(),
            pauser: Pauser::new(),
            cannot_pause: options.policy == Policy::NonBlocking
                || target.process.tracer().is_some(),
            started_ns: clock::now_ns(),
            hope: 256,
            samples: Vec::new(),
            wanted: Vec::new(),
            unsure: Vec::new(),
            newcomers: Vec::new(),
            states: Vec::new(),
            gil_seen: false,
            renamed: false,
            target,
        };
        let pid = sampler.target.process.pid;
        sampler.roster.refresh(&sampler.target, false).map_err(|error| Error::read(pid, error))?;
        Ok(sampler)
    }

    /// The stacks of the last sample.
    pub fn samples(&self) -> &[Sampled] {
        &self.samples
    }

    /// A thread of the last sample.
    pub fn thread(&self, index: usize) -> &Entry {
        let python = self.roster.threads.len();
        match index.checked_sub(python).and_then(|at| self.strangers.get(at)) {
            Some(stranger) => stranger,
            None => &self.roster.threads[index],
        }
    }

    /// All threads that may be sampled.
    pub fn threads(&self) -> impl Iterator<Item = &Entry> {
        self.roster.threads.iter().chain(self.strangers.iter())
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

    /// Whether threads have got other names than they had, since the last call.
    pub fn take_renamed(&mut self) -> bool {
        std::mem::take(&mut self.renamed)
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
        pause::collect_late();
        self.recall.tick();
        self.choose(false);
        let result = if self.options.policy == Policy::Blocking && !self.cannot_pause {
            self.sample_blocking()
        } else {
            self.sample_chosen()
        };
        let result = result.and_then(|()| self.finish_natives());
        self.sample_strangers();
        // The stacks come first: threads may not live long.
        self.renamed |= self.roster.find_names(&self.target);
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
        let reads_waiting = self.reads_waiting();
        let process = &self.target.process;
        let threads = &mut self.roster.threads;
        let (pid, proc_dir) = (process.pid, process.proc_dir());
        self.activity.update(pid, proc_dir, threads, changed, reads_waiting);
        let held = |entry: &Entry| entry.tid.is_some_and(|tid| self.pauser.holds(tid));
        if self.options.policy == Policy::Blocking {
            threads.iter_mut().filter(|entry| held(entry)).for_each(|entry| entry.activity.held());
        }
        if self.options.cpu {
            for entry in threads.iter_mut().filter(|entry| entry.activity.is_hot()) {
                entry.activity.look_at_clock();
            }
        }
        for (thread, entry) in threads.iter().enumerate() {
            let activity = &entry.activity;
            let burst = self.options.cpu && activity.unweighed_ns() > MAX_UNWEIGHED_NS;
            let waits = reads_waiting && (!self.activity.tracks() || entry.must_read());
            if activity.is_running() || burst || waits {
                self.wanted.push(thread);
            }
        }
    }

    /// Copies what the wanted threads need, and takes note of threads that came, went or
    /// took the GIL since they were chosen.
    fn copy(&mut self) -> Result<(), ReadError> {
        let reads_waiting = self.reads_waiting();
        let mut ended = self.some_ended();
        let mut met = false;
        for _ in 0..3 {
            self.capture.begin(&self.target, &self.roster, &self.codes, &self.wanted);
            self.capture.read(&self.target, &self.roster, &mut self.codes)?;
            // A holder that is not in the list: it came, or was missed, while that was read.
            let unknown = |holder: &u64| self.roster.position(*holder).is_none();
            let stray = !met && self.capture.holders().iter().any(unknown);
            if ended || stray || self.capture.look().changed {
                if !std::mem::replace(&mut met, true) {
                    self.meet_newcomers()?;
                }
                if self.roster.refresh(&self.target, std::mem::take(&mut ended))? {
                    self.choose(true);
                    continue;
                }
            }
            let mut complete = true;
            for holder in self.capture.holders() {
                let found = self.roster.position(*holder);
                if let Some(thread) = found.filter(|thread| !self.wanted.contains(thread)) {
                    let entry = &mut self.roster.threads[thread];
                    entry.activity.has_gil();
                    ended |= entry.is_stale();
                    if entry.activity.is_running() || reads_waiting {
                        self.wanted.push(thread);
                        complete = false;
                    }
                }
            }
            complete &= !ended;
            if complete {
                break;
            }
        }
        Ok(())
    }

    fn sample_chosen(&mut self) -> Result<(), ReadError> {
        self.gil_seen = false;
        self.newcomers.clear();
        self.copy()?;
        self.accept_newcomers();
        if self.reads_waiting() {
            // Threads that have not run since they were read last.
            for thread in 0..self.roster.threads.len() {
                if let Some(stack) = self.roster.threads[thread].last
                    && !self.wanted.contains(&thread)
                    && !self.samples.iter().any(|sampled| sampled.thread == thread)
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
            if self.natives.is_some() {
                self.read_native(thread)?;
                continue;
            }
            let captured =
                self.capture.thread(&self.target, &mut self.roster, &mut self.codes, thread)?;
            match captured {
                Captured::Empty => {}
                Captured::Gone => self.gone(thread),
                Captured::Stack { .. } if self.is_held(thread) => self.settle(thread, true)?,
                Captured::Stack { frame } => match self.trie.known(self.capture.calls()) {
                    Some(stack) if self.capture.is_whole() => {
                        self.recall.learn(self.roster.threads[thread].life, frame, stack);
                        self.accept(thread, stack);
                    }
                    _ => {
                        let part = Some(self.trie.known_part(self.capture.calls()));
                        self.unsure.push((thread, First { frame, part }));
                    }
                },
                Captured::Torn { frame } | Captured::Bare { frame } => {
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

    /// Where a thread's state was, there is none, or another's.
    fn gone(&mut self, thread: usize) {
        self.roster.threads[thread].last = None;
        self.roster.distrust();
    }

    fn is_running(&self, thread: usize) -> bool {
        self.roster.threads[thread].activity.is_running()
    }

    fn is_held(&self, thread: usize) -> bool {
        self.roster.threads[thread].tid.is_some_and(|tid| self.pauser.holds(tid))
    }

    fn holds_gil(&self, thread: usize) -> bool {
        let address = self.roster.threads[thread].state.address;
        !self.gil_seen && self.capture.holders().contains(&address)
    }

    fn accept(&mut self, thread: usize, stack: NodeId) {
        let gil = self.holds_gil(thread);
        if self.options.gil_only && !gil {
            return;
        }
        if self.is_replaced(thread) {
            self.counters.dropped += 1;
            return self.gone(thread);
        }
        let active = self.is_running(thread);
        let weight = if self.options.cpu {
            self.roster.threads[thread].activity.weigh()
        } else {
            self.counts(active)
        };
        self.show(Sampled { thread, stack, active, gil, weight });
    }

    /// The weight of a sample by whether its thread is active.
    fn counts(&self, active: bool) -> u64 {
        u64::from(active || self.options.idle || !self.watch)
    }

    fn show(&mut self, sampled: Sampled) {
        if sampled.gil {
            // It may have changed hands since others were read: only one holder is shown.
            for i in 0..self.samples.len() {
                self.samples[i].gil &= self.holds_gil(self.samples[i].thread);
            }
            let gil_only = self.options.gil_only;
            self.samples.retain(|sampled| sampled.gil || !gil_only);
        }
        self.roster.threads[sampled.thread].last = Some(sampled.stack);
        self.samples.push(sampled);
    }

    /// Whether to show what waits as well, with no weight where the options do not ask for it.
    pub fn watch_waiting(&mut self, watch: bool) {
        if watch && !self.reads_waiting() {
            // Those that wait now were last read when they computed.
            self.roster.threads.iter_mut().for_each(|entry| entry.last = None);
            self.strangers.forget_stacks();
        }
        self.watch = watch;
    }

    fn reads_waiting(&self) -> bool {
        self.options.idle || self.watch
    }

    /// True while the process is there.
    pub fn is_alive(&self) -> bool {
        self.target.process.is_alive()
            && self.target.process.memory.ptr(self.target.runtime.interpreters_head).is_ok()
    }
}
