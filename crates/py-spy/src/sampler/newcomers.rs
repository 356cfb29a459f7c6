//! Threads at work that nobody knows yet: new ones, and those in the place of others.
//!
//! A thread may live for less time than it takes to find out who it is (its system id,
//! its name, whether it computes). Its thread state is often the memory of one that has
//! just ended, pthread id and all. So its stack is read first, and who it was found out
//! after; otherwise programs that start a thread for every little thing would show none
//! of them.

use super::capture::Captured;
use super::trie::NodeId;
use super::{Entry, Sampled, Sampler};
use cpython::threads::{self, ThreadState};
use remote::ReadError;

/// More than this many are not read ahead of the others in one sample.
const MAX: usize = 8;

/// The stack of a thread that was not known when it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newcomer {
    /// Of its thread state.
    address: u64,
    /// What tells it from others in the same place.
    identity: [Option<u64>; 2],
    stack: NodeId,
    /// It held the GIL.
    gil: bool,
}

impl Sampler {
    /// Whether a thread that computed when last asked has ended since.
    pub(super) fn some_ended(&self) -> bool {
        self.roster.threads.iter().any(|entry| entry.activity.has_ended())
    }

    /// Whether a thread ended while it was read and another is in its place, where thread states
    /// do not tell whose they are (before 3.7): what was read may be the other one's.
    pub(super) fn is_replaced(&mut self, thread: usize) -> bool {
        let layout = &self.target.runtime.layout;
        let tells = layout.thread.serial.is_some() || layout.thread.native_thread_id.is_some();
        // One that waits has not just ended.
        if tells || self.roster.threads.len() < 2 || !self.is_running(thread) {
            return false;
        }
        let entry = &mut self.roster.threads[thread];
        if !entry.activity.has_ended_since() {
            return false;
        }
        self.states.clear();
        for interpreter in &self.roster.interpreters {
            let memory = &self.target.process.memory;
            let whole =
                threads::thread_states(memory, layout, interpreter.address, &mut self.states);
            if !matches!(whole, Ok(true)) {
                return true;
            }
        }
        self.states.iter().any(|state| state.address == entry.state.address)
    }

    /// Reads the stacks of threads that hold a GIL, or of all threads where there is none,
    /// that are not known.
    pub(super) fn meet_newcomers(&mut self) -> Result<(), ReadError> {
        self.newcomers.clear();
        let mut found: Vec<(u64, bool)> =
            self.capture.holders().iter().map(|holder| (*holder, true)).collect();
        let layout = &self.target.runtime.layout;
        if layout.free_threaded {
            self.states.clear();
            for interpreter in &self.roster.interpreters {
                let memory = &self.target.process.memory;
                threads::thread_states(memory, layout, interpreter.address, &mut self.states)?;
            }
            found.extend(self.states.iter().map(|state| (state.address, false)));
        }
        for (address, gil) in found {
            if self.newcomers.len() >= MAX {
                break;
            }
            let known = self.roster.position(address);
            let thread = match known {
                Some(thread) if !self.roster.threads[thread].is_stale() => continue,
                Some(thread) => {
                    // What is known is of the one before.
                    self.roster.threads[thread] =
                        Entry::new(unknown(address, self.roster.threads[thread].state.interpreter));
                    self.roster.distrust();
                    thread
                }
                None => self.roster.add_unknown(address),
            };
            self.capture.begin(&self.target, &self.roster, &self.codes, &[thread]);
            self.capture.read(&self.target, &self.roster, &mut self.codes)?;
            let captured =
                self.capture.thread(&self.target, &mut self.roster, &mut self.codes, thread)?;
            if matches!(captured, Captured::Stack { .. })
                && self.capture.is_whole()
                && let Some(stack) = self.trie.known(self.capture.calls())
                && let Some(identity) = self.capture.identity(&self.target.runtime.layout, address)
            {
                self.newcomers.push(Newcomer { address, identity, stack, gil });
            }
        }
        Ok(())
    }

    /// Takes the stacks of newcomers, now that it is known who they are, or that they have
    /// ended already.
    pub(super) fn accept_newcomers(&mut self) {
        while let Some(Newcomer { address, identity, stack, gil }) = self.newcomers.pop() {
            let known = self.roster.position(address);
            if let Some(thread) = known {
                let ThreadState { native_id, serial, .. } = self.roster.threads[thread].state;
                let other = |was: Option<u64>, is: Option<u64>| {
                    was.zip(is).is_some_and(|(was, is)| was != 0 && is != 0 && was != is)
                };
                if other(identity[0], native_id) || other(identity[1], serial) {
                    // It has ended, and there is another one already.
                    self.counters.dropped += 1;
                    continue;
                }
            }
            let waits = known.is_some_and(|thread| {
                let activity = &self.roster.threads[thread].activity;
                activity.is_known() && !activity.is_running() && !activity.has_ended()
            });
            // A new thread without a GIL may wait as well as compute.
            if !gil && (waits || self.options.gil_only) {
                continue;
            }
            let thread = known.unwrap_or_else(|| self.roster.add_unknown(address));
            self.wanted.retain(|wanted| *wanted != thread);
            let entry = &mut self.roster.threads[thread];
            entry.last = Some(stack);
            let weight = if self.options.cpu { entry.activity.weigh() } else { 1 };
            self.gil_seen |= gil;
            self.samples.push(Sampled { thread, stack, active: true, gil, weight });
        }
    }
}

/// What can be said of a thread state at `address` before it has been read.
pub(super) fn unknown(address: u64, interpreter: u64) -> ThreadState {
    ThreadState { address, interpreter, pthread_id: 0, native_id: None, serial: None }
}
