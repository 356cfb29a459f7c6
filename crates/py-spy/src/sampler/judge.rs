//! Whether a copy of a running thread's stack is to be believed, and what is done if not.

use super::Sampler;
use super::capture::Captured;
use super::trie::NodeId;
use cpython::frames::RawFrame;
use cpython::runs;
use remote::ReadError;
use remote::os::clock;

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
pub(super) struct First {
    /// The address of the innermost frame.
    pub frame: u64,
    /// The outer part of the stack; `None` where the copy was no stack at all.
    pub part: Option<NodeId>,
}

/// What was read of a thread that stands still.
pub(super) enum Still {
    /// A stack, and the address of its innermost frame.
    Stack { frame: u64, stack: NodeId },
    /// It runs no Python code, or has ended.
    Nothing,
    /// Nothing that could be trusted.
    Unclear,
}

impl Sampler {
    /// How often to try without a pause: not in vain. Frames that are objects change
    /// address with every function, so that the same one hardly comes back.
    fn tries(&self) -> u32 {
        if self.hope > 48 || self.counters.retried.is_multiple_of(RETRY_EVERY) { TRIES } else { 1 }
    }

    /// A stack that is not known, or a torn copy: more tries, then a pause.
    pub(super) fn make_sure(&mut self, thread: usize, first: First) -> Result<(), ReadError> {
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
        if !self.recall.must_look(self.roster.threads[thread].life, first.frame)
            && let Some(stack) = self.recall(thread, first)
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
                // It did not get a processor to stop on: then it does not change either.
                self.counters.pause_failed += 1;
                self.read_still(thread, false)
            }
        };
        self.pauser.resume_one(tid);
        if paused.is_ok() {
            self.counters.paused += 1;
            self.counters.paused_ns += clock::now_ns() - stopped;
        }
        self.conclude(thread, first, found?);
        Ok(())
    }

    /// A stack seen of late of this thread that has all in common with the first try that is certain.
    fn recall(&mut self, thread: usize, first: First) -> Option<NodeId> {
        let part = first.part?;
        let (trie, life) = (&self.trie, self.roster.threads[thread].life);
        self.recall.recall(life, first.frame, |stack| trie.contains(stack, part, MAX_COMPARED))
    }

    /// The sample of a thread of which `first` was seen when its time came, and that was `found` in a certain state a little later.
    fn conclude(&mut self, thread: usize, first: First, found: Still) {
        let (stack, same) = match found {
            Still::Nothing => (None, false),
            Still::Unclear => (None, true),
            Still::Stack { frame: now, stack } => {
                self.recall.learn(self.roster.threads[thread].life, now, stack);
                (Some(stack), now == first.frame)
            }
        };
        let recalled = if same && stack.is_some() { None } else { self.recall(thread, first) };
        match (recalled, stack) {
            (Some(recalled), _) => {
                self.counters.repaired += 1;
                self.accept(thread, recalled);
            }
            (None, Some(stack)) => self.accept(thread, stack),
            // What was there when its time came was missed.
            (None, None) if same || first.part.is_some() => self.counters.dropped += 1,
            (None, None) => {}
        }
    }

    /// Reads a thread that stands still, or should, and takes what it shows.
    pub(super) fn settle(&mut self, thread: usize, held: bool) -> Result<(), ReadError> {
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

    /// Whether what was captured is what the thread runs, and not what was left of an
    /// earlier call where it enters another.
    fn is_entered(&self, thread: usize) -> bool {
        let (process, entry) = (&self.target.process, &self.roster.threads[thread]);
        let layout = &self.target.runtime.layout;
        runs::is_entered(&process.memory, layout, entry.state.address, entry.predictor.visited())
    }

    /// Reads a thread that stands still, or should. `held` says that we hold it;
    /// otherwise it must show the same again, and once more if it may be running.
    pub(super) fn read_still(&mut self, thread: usize, held: bool) -> Result<Still, ReadError> {
        let enough = match (held, self.is_running(thread) || self.holds_gil(thread)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => SURE,
        };
        let mut before: Option<Vec<RawFrame>> = None;
        let mut same = 0;
        for _ in 0..enough + 4 {
            self.capture.begin(&self.target, &self.roster, &self.codes, &[thread]);
            self.capture.read(&self.target, &self.roster, &mut self.codes)?;
            let captured =
                self.capture.thread(&self.target, &mut self.roster, &mut self.codes, thread)?;
            let frame = match captured {
                Captured::Empty => return Ok(Still::Nothing),
                Captured::Gone => {
                    self.gone(thread);
                    return Ok(Still::Nothing);
                }
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
                Captured::Bare { .. } if held => return Ok(Still::Nothing),
                Captured::Stack { frame } | Captured::Bare { frame } => frame,
            };
            if !self.capture.is_whole() {
                // Code objects that were never seen: the frames hold them alive.
                self.capture.load_codes(&self.target, &mut self.codes);
            }
            same = if before.as_deref() == Some(self.capture.frames()) { same + 1 } else { 0 };
            if same >= enough && self.capture.frames().is_empty() {
                return Ok(Still::Nothing);
            }
            if same >= enough && self.capture.is_whole() {
                if !self.is_entered(thread) {
                    break;
                }
                let stack = self.trie.witness(self.capture.calls());
                return Ok(Still::Stack { frame, stack });
            }
            before = Some(self.capture.frames().to_vec());
        }
        Ok(Still::Unclear)
    }
}
