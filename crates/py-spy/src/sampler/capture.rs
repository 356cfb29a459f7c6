//! A copy of what a sample needs, and what it says about each thread.

use super::codes::{Codes, Resolved};
use super::predict::{GAP, Predictor, Step};
use super::roster::{Look, Roster};
use super::trie::Call;
use crate::target::Target;
use cpython::frames::RawFrame;
use cpython::{Layout, Objects};
use remote::{Batch, Memory, ReadError};

/// Reads that one walk may take beyond the first. A stack of a million frames that is
/// seen for the first time takes some dozens, because each reads further ahead.
const MAX_ROUNDS: usize = 20_000;
/// A thread state and the frame that follows it are not longer than this.
const MAX_STATE: u64 = 4096;

/// The buffers of one sample, reused for the next.
#[derive(Debug, Default)]
pub struct Capture {
    batch: Batch,
    frames: Vec<RawFrame>,
    calls: Vec<Call>,
    /// Frames whose code object is not known.
    unknown: usize,
    holders: Vec<u64>,
    look: Option<Look>,
}

/// What a copy shows of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Captured {
    /// A stack whose innermost frame is at `frame`.
    Stack {
        /// Its address.
        frame: u64,
    },
    /// It changed while it was read.
    Torn {
        /// The address of the innermost frame that was seen, 0 if none.
        frame: u64,
    },
    /// It runs no Python code.
    Empty,
    /// Frames of the interpreter's own and no other: it may be about to leave its outermost
    /// function, or it changed while it was read.
    Bare {
        /// The address of the innermost one.
        frame: u64,
    },
    /// It has ended.
    Gone,
}

impl Capture {
    /// Asks for all that the `threads` need by their last samples.
    pub fn begin(&mut self, target: &Target, roster: &Roster, codes: &Codes, threads: &[usize]) {
        let layout = &target.runtime.layout;
        self.batch.clear();
        let entries = || threads.iter().filter_map(|thread| roster.threads.get(*thread));
        for entry in entries() {
            entry.predictor.request_first(layout, &entry.state, &mut self.batch);
        }
        roster.request(target, &mut self.batch);
        for entry in entries() {
            entry.predictor.request(layout, &mut self.batch);
            for code in entry.predictor.codes(layout) {
                codes.request(layout, *code, &mut self.batch);
            }
        }
        self.batch.coalesce(GAP);
        for entry in entries() {
            Predictor::request_witness(layout, &entry.state, &mut self.batch);
        }
    }

    /// Asks for one more region, after [`Capture::begin`].
    pub fn request(&mut self, address: u64, length: usize) {
        self.batch.push(address, length);
    }

    /// What was read of the region that begins at `address`.
    pub fn copied(&self, address: u64) -> &[u8] {
        self.batch.region(address)
    }

    /// What tells the thread state at `address`, which was read, from others in the same place.
    pub fn identity(&self, layout: &Layout, address: u64) -> Option<[Option<u64>; 2]> {
        Predictor::identity(layout, address, &self.batch)
    }

    /// A pointer at `address`, if it was read.
    pub fn pointer(&self, layout: &Layout, address: u64) -> Option<u64> {
        let arch = layout.arch;
        self.batch.get(address, arch.word()).and_then(|bytes| arch.ptr(bytes, 0))
    }

    /// Reads all of it.
    pub fn read(
        &mut self,
        target: &Target,
        roster: &Roster,
        codes: &mut Codes,
    ) -> Result<(), ReadError> {
        target.process.memory.read_batch(&mut self.batch)?;
        let look = roster.look(target, &self.batch, &mut self.holders);
        codes.new_batch(look.generation);
        self.look = Some(look);
        Ok(())
    }

    /// Copies one thread's frames again, soon after: its code objects are those that
    /// they were, and its innermost frame was `frame`.
    pub fn again(
        &mut self,
        target: &Target,
        roster: &Roster,
        thread: usize,
        frame: u64,
    ) -> Result<(), ReadError> {
        let layout = &target.runtime.layout;
        self.batch.clear();
        if let Some(entry) = roster.threads.get(thread) {
            entry.predictor.request_first(layout, &entry.state, &mut self.batch);
            entry.predictor.request_chain(layout, frame, &mut self.batch);
            entry.predictor.request(layout, &mut self.batch);
            self.batch.coalesce(GAP);
            Predictor::request_witness(layout, &entry.state, &mut self.batch);
        }
        target.process.memory.read_batch(&mut self.batch)
    }

    /// What the copy says about all threads together.
    pub fn look(&self) -> Look {
        self.look.unwrap_or(Look { changed: false, generation: None })
    }

    /// The thread states that held a GIL.
    pub fn holders(&self) -> &[u64] {
        &self.holders
    }

    /// Goes back to what an earlier copy said about the GIL.
    pub fn set_holders(&mut self, holders: &[u64]) {
        self.holders.clear();
        self.holders.extend_from_slice(holders);
    }

    /// The frames of the last thread asked for, innermost first.
    pub fn frames(&self) -> &[RawFrame] {
        &self.frames
    }

    /// The same as calls, if [`Capture::is_whole`].
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Whether the code objects of all frames are known.
    pub fn is_whole(&self) -> bool {
        self.unknown == 0 && self.calls.len() == self.frames.len()
    }

    /// Interprets the copy of one thread, reading on where it is not complete.
    pub fn thread(
        &mut self,
        target: &Target,
        roster: &mut Roster,
        codes: &mut Codes,
        thread: usize,
    ) -> Result<Captured, ReadError> {
        let layout = &target.runtime.layout;
        let memory = &target.process.memory;
        self.frames.clear();
        self.calls.clear();
        self.unknown = 0;
        let Some(entry) = roster.threads.get_mut(thread) else { return Ok(Captured::Gone) };
        let state = entry.state;
        // Reads what was asked for, joined where regions are `gap` bytes apart.
        let read = |batch: &mut Batch, gap: u64| {
            batch.coalesce(gap);
            Predictor::request_witness(layout, &state, batch);
            memory.read_batch(batch)
        };
        if !Predictor::has_head(layout, &state, &self.batch) {
            // It was not known yet when the others were copied.
            entry.predictor.request_first(layout, &state, &mut self.batch);
            read(&mut self.batch, GAP)?;
        }
        let Some(head) = Predictor::head(layout, &entry.state, &self.batch) else {
            return Ok(Captured::Gone);
        };
        let mut frame = entry.predictor.current_frame(layout, head, &mut self.batch);
        if frame.is_none() {
            read(&mut self.batch, GAP)?;
            frame = entry.predictor.current_frame(layout, head, &mut self.batch);
        }
        let Some(first) = frame else { return Ok(Captured::Torn { frame: 0 }) };
        if first == 0 {
            return Ok(Captured::Empty);
        }
        let chain = entry.predictor.request_chain(layout, first, &mut self.batch);
        for code in chain {
            codes.request(layout, *code, &mut self.batch);
        }
        if self.batch.pending() {
            read(&mut self.batch, GAP)?;
        }
        entry.predictor.begin();
        let mut next = first;
        let mut rounds = 0;
        loop {
            match entry.predictor.walk(layout, &mut self.batch, &mut next, &mut self.frames) {
                Step::Complete => break,
                Step::More if rounds < MAX_ROUNDS => {}
                _ => {
                    entry.predictor.forget_recent();
                    return Ok(Captured::Torn { frame: first });
                }
            }
            rounds += 1;
            read(&mut self.batch, 0)?;
        }
        if !Predictor::is_witnessed(layout, &state, &self.batch) {
            return Ok(Captured::Gone);
        }
        let word = layout.arch.word() as u64;
        let size_of = |chunk: u64| memory.ptr(chunk.wrapping_add(word)).ok();
        entry.predictor.learn(layout, head, &self.frames, size_of);
        if self.frames.is_empty() {
            // 3.15 has the outermost frame in the thread state (`_PyThreadStateImpl.base_frame`,
            // Include/internal/pycore_tstate.h), others on the native stack, where it is soon
            // overwritten.
            let own = first.wrapping_sub(entry.state.address) < MAX_STATE;
            return Ok(if own { Captured::Empty } else { Captured::Bare { frame: first } });
        }
        if self.resolve(target, codes) == Resolved::Unread {
            for i in 0..self.frames.len() {
                codes.request(layout, self.frames[i].code, &mut self.batch);
            }
            self.batch.coalesce(GAP);
            memory.read_batch(&mut self.batch)?;
            if self.resolve(target, codes) == Resolved::Unread {
                return Ok(Captured::Torn { frame: first });
            }
        }
        if self.calls.len() + self.unknown < self.frames.len() {
            return Ok(Captured::Torn { frame: first });
        }
        Ok(Captured::Stack { frame: first })
    }

    /// Turns frames into calls. Unread where something must be read first; the calls of
    /// torn frames are left out.
    fn resolve(&mut self, target: &Target, codes: &mut Codes) -> Resolved {
        let layout = &target.runtime.layout;
        self.calls.clear();
        self.unknown = 0;
        let mut worst = Resolved::New;
        for frame in &self.frames {
            match codes.resolve(&target.process.memory, layout, frame, &self.batch) {
                Resolved::Call(call) => self.calls.push(call),
                Resolved::New => self.unknown += 1,
                Resolved::Torn => {}
                Resolved::Unread => worst = Resolved::Unread,
            }
        }
        worst
    }

    /// Reads the code objects that are not known. The thread must stand still.
    pub fn load_codes(&mut self, target: &Target, codes: &mut Codes) {
        let layout = &target.runtime.layout;
        let objects = Objects { memory: &target.process.memory, layout };
        for i in 0..self.frames.len() {
            let frame = self.frames[i];
            let known = codes.resolve(objects.memory, layout, &frame, &self.batch);
            if known == Resolved::New {
                codes.load(objects, &frame);
            }
        }
        self.resolve(target, codes);
    }
}
