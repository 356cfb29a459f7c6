//! Which regions of the target a thread's stack will need, by what it needed last time.
//!
//! 3.11 and later keep a thread's frames together in chunks of its data stack, so the
//! used part of each chunk is one region; generators' frames and the interpreter's own
//! entry frames lie elsewhere, one region each. Up to 3.10 every frame is an object, and
//! the chain of frames is mostly that of the last sample.

use super::chains::Chains;
use cpython::frames::{self, RawFrame, Walk};
use cpython::{Layout, threads::ThreadState};
use remote::Batch;

/// Two regions this near to each other are read as one.
pub const GAP: u64 = 1024;
/// Read this much more of a chunk than was used last time, for calls made since.
const AHEAD: u64 = 1024;
/// This much of the newest chunk is read first.
const TOP: u64 = 4096;
/// This many frame objects are read first.
const INNERMOST: usize = 8;
/// How many addresses that were missed lately are asked for again.
const RECENT: usize = 96;
/// The largest piece that is read ahead when following a long chain for the first time.
const MAX_PREFETCH: u64 = 4 << 20;
/// The same, downwards.
const MAX_BELOW: u64 = 256 << 10;

/// What is remembered of one thread between samples.
#[derive(Debug, Default)]
pub struct Predictor {
    /// The C frame (3.11, 3.12) that pointed to the current frame.
    cframe: u64,
    /// The newest chunk of the data stack: address and size.
    chunk: (u64, u64),
    /// The end of the used part of that chunk, at its highest of late.
    top: u64,
    /// How long the top has stood above what is used.
    slack: u32,
    /// The frames of the last walk, innermost first.
    last: Vec<u64>,
    /// Frames that had to be fetched extra, newest last.
    recent: Vec<u64>,
    /// Where frames are objects: the callers of innermost frames.
    chains: Chains,
    /// The distinct code objects of the last walk, and the recent ones before them.
    codes: Vec<u64>,
    /// How much was read ahead at the last miss of the current walk.
    prefetch: u64,
}

/// A walk of a thread's frames that has not met its end yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// All frames are there.
    Complete,
    /// More must be read first; it has been asked for.
    More,
    /// The thread is gone, or what is there is no stack.
    Broken,
}

/// The part of a thread state that is read: offset and length.
fn thread_span(layout: &Layout) -> (u32, usize) {
    let thread = &layout.thread;
    let fields = [
        Some(thread.interp),
        Some(thread.frame),
        Some(thread.thread_id),
        thread.native_thread_id,
        thread.serial,
        thread.chunk,
    ];
    let low = fields.iter().flatten().min().copied().unwrap_or(0);
    let high = fields.iter().flatten().max().copied().unwrap_or(0);
    (low, (high - low) as usize + layout.arch.word())
}

/// The part of a thread state that tells whose it is.
fn identity_span(layout: &Layout) -> (u32, usize) {
    let thread = &layout.thread;
    let fields = [Some(thread.thread_id), thread.native_thread_id, thread.serial];
    let low = fields.iter().flatten().min().copied().unwrap_or(0);
    let high = fields.iter().flatten().max().copied().unwrap_or(0);
    (low, (high - low) as usize + layout.arch.word())
}

/// What a copy of a thread state says.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// The innermost frame, or the C frame that points to it.
    frame: u64,
    chunk: u64,
}

impl Predictor {
    /// Asks `batch` for what changes fastest, to be read first and at once: the thread
    /// state, then the innermost frames.
    pub fn request_first(&self, layout: &Layout, state: &ThreadState, batch: &mut Batch) {
        let (low, length) = thread_span(layout);
        batch.push_first(state.address.wrapping_add(u64::from(low)), length);
        if let Some(offset) = layout.thread.cframe_current
            && self.cframe != 0
        {
            batch.push_first(self.cframe.wrapping_add(u64::from(offset)), layout.arch.word());
        }
        if let Some((start, end)) = self.chunk_top(layout) {
            batch.push_first(start, (end - start) as usize);
        }
    }

    /// Asks `batch` for what tells whose the thread state is once more, to be read after all else:
    /// if we are kept from the processor in between, another thread may have taken its place, with
    /// its frames where those of the one before were. To be called right before a read, after
    /// [`Batch::coalesce`].
    pub fn request_witness(layout: &Layout, state: &ThreadState, batch: &mut Batch) {
        let (low, length) = identity_span(layout);
        batch.push(state.address.wrapping_add(u64::from(low)), length);
    }

    /// Whether the thread state was the same one's after the last read as at first.
    pub fn is_witnessed(layout: &Layout, state: &ThreadState, batch: &Batch) -> bool {
        let (low, length) = thread_span(layout);
        let (from, inner) = identity_span(layout);
        let address = |offset: u32| state.address.wrapping_add(u64::from(offset));
        let first = batch.get(address(low), length);
        let last = batch.newest(address(from), inner);
        let (Some(first), Some(last)) = (first, last) else { return false };
        let thread = &layout.thread;
        let fields = [Some(thread.thread_id), thread.native_thread_id, thread.serial];
        fields.iter().flatten().all(|field| {
            let ptr = |bytes, start| layout.arch.ptr(bytes, (field - start) as usize);
            ptr(first, low) == ptr(last, from)
        })
    }

    /// Where frames are objects: asks `batch` for the frames that `innermost` had behind
    /// it last, and returns their code objects; none where that is there already.
    pub fn request_chain(&self, layout: &Layout, innermost: u64, batch: &mut Batch) -> &[u64] {
        let (low, high) = layout.frame.span;
        let length = (high - low) as usize;
        let first = innermost.wrapping_add(u64::from(low));
        if !layout.frame.heap || batch.get(first, length).is_some() {
            return &[];
        }
        let (frames, codes) = match self.chains.get(innermost) {
            Some(chain) => (&chain.frames, &chain.codes),
            None => (&self.last, &self.codes),
        };
        if frames.first() != Some(&innermost) {
            batch.push_first(first, length);
        }
        let nearest = frames.len().min(INNERMOST);
        for address in &frames[..nearest] {
            batch.push_first(address.wrapping_add(u64::from(low)), length);
        }
        for address in &frames[nearest..] {
            batch.push(address.wrapping_add(u64::from(low)), length);
        }
        codes
    }

    /// Asks `batch` for all else that the next walk will need.
    pub fn request(&self, layout: &Layout, batch: &mut Batch) {
        if let Some((start, _)) = self.chunk_top(layout) {
            let bottom = self.chunk_bottom(layout);
            if bottom < start {
                // Frames across the border are whole in this part.
                let end = start + u64::from(layout.frame.span.1);
                batch.push(bottom, (end - bottom) as usize);
            }
        }
        if layout.frame.heap {
            return;
        }
        let (low, high) = layout.frame.span;
        for address in self.last.iter().chain(&self.recent) {
            if !self.in_chunk(*address) {
                batch.push(address.wrapping_add(u64::from(low)), (high - low) as usize);
            }
        }
    }

    /// The part of the newest chunk that the innermost frames are in.
    fn chunk_top(&self, layout: &Layout) -> Option<(u64, u64)> {
        let (chunk, size) = self.chunk;
        if chunk == 0 || self.top <= chunk {
            return None;
        }
        let end = (self.top + AHEAD).min(chunk + size);
        let start = end.saturating_sub(TOP).max(self.chunk_bottom(layout));
        (start < end).then_some((start, end))
    }

    /// Behind the header of the newest chunk: previous, size, top.
    fn chunk_bottom(&self, layout: &Layout) -> u64 {
        self.chunk.0 + 3 * layout.arch.word() as u64
    }

    fn in_chunk(&self, address: u64) -> bool {
        address >= self.chunk.0 && address < self.top.min(self.chunk.0 + self.chunk.1)
    }

    /// Whether the thread state was copied.
    pub fn has_head(layout: &Layout, state: &ThreadState, batch: &Batch) -> bool {
        let (low, length) = thread_span(layout);
        batch.get(state.address.wrapping_add(u64::from(low)), length).is_some()
    }

    /// What the copied thread state says; `None` if it is no longer this thread's.
    pub fn head(layout: &Layout, state: &ThreadState, batch: &Batch) -> Option<Head> {
        let (low, length) = thread_span(layout);
        let bytes = batch.get(state.address.wrapping_add(u64::from(low)), length)?;
        let ptr = |offset: u32| layout.arch.ptr(bytes, (offset - low) as usize);
        let thread = &layout.thread;
        // A new one may be at the same place, with the pthread of the one before. Of newcomers
        // nothing is known yet.
        let fits =
            |offset: Option<u32>, known: u64| known == 0 || offset.and_then(ptr) == Some(known);
        let same = ptr(thread.interp)? == state.interpreter
            && fits(Some(thread.thread_id), state.pthread_id)
            && fits(thread.native_thread_id, state.native_id.unwrap_or(0))
            && fits(thread.serial, state.serial.unwrap_or(0));
        let chunk = thread.chunk.and_then(ptr).unwrap_or(0);
        same.then_some(Head { frame: ptr(thread.frame)?, chunk })
    }

    /// What tells the copied thread state at `address` from others at the same place: its native
    /// id and its serial number, where it has these.
    pub fn identity(layout: &Layout, address: u64, batch: &Batch) -> Option<[Option<u64>; 2]> {
        let (low, length) = thread_span(layout);
        let bytes = batch.get(address.wrapping_add(u64::from(low)), length)?;
        let ptr = |offset: u32| layout.arch.ptr(bytes, (offset - low) as usize);
        Some([layout.thread.native_thread_id, layout.thread.serial].map(|at| at.and_then(ptr)))
    }

    /// The address of the innermost frame, 0 if the thread runs no Python code; `None`
    /// if the C frame must be read first, for which `batch` is asked.
    pub fn current_frame(&mut self, layout: &Layout, head: Head, batch: &mut Batch) -> Option<u64> {
        let Some(offset) = layout.thread.cframe_current else { return Some(head.frame) };
        if head.frame == 0 {
            return Some(0);
        }
        self.cframe = head.frame;
        let at = head.frame.wrapping_add(u64::from(offset));
        let word = layout.arch.word();
        let current = batch.get(at, word).and_then(|bytes| layout.arch.ptr(bytes, 0));
        if current.is_none() {
            batch.push(at, word);
        }
        current
    }

    /// Begins a walk: forgets the last one.
    pub fn begin(&mut self) {
        self.last.clear();
        self.prefetch = 0;
    }

    /// Walks on from `next` through what `batch` holds; asks it for more where needed and
    /// then leaves in `next` where to go on.
    pub fn walk(
        &mut self,
        layout: &Layout,
        batch: &mut Batch,
        next: &mut u64,
        frames: &mut Vec<RawFrame>,
    ) -> Step {
        match frames::walk(layout, batch, *next, frames, &mut self.last) {
            Walk::Complete => Step::Complete,
            Walk::Broken => Step::Broken,
            Walk::Missing(address) => {
                // Asked for and not got: unreadable.
                if *next == address && self.prefetch != 0 {
                    return Step::Broken;
                }
                *next = address;
                self.fetch(layout, address, batch);
                Step::More
            }
        }
    }

    /// The addresses of all frames of the last walk, innermost first.
    pub fn visited(&self) -> &[u64] {
        &self.last
    }

    /// Asks for the frame at `address` with its whole page, and for ever more of what lies
    /// beside it: the frames of a deep recursion lie one after the other, the older ones
    /// higher where they are in chunks (which are mapped downwards), lower where they are
    /// objects.
    fn fetch(&mut self, layout: &Layout, address: u64, batch: &mut Batch) {
        let (low, high) = layout.frame.span;
        let first = address.wrapping_add(u64::from(low));
        let page = first & !4095;
        let end = page.saturating_add(4096).max(first.saturating_add(u64::from(high - low)));
        batch.push(page, (end - page) as usize);
        if self.prefetch >= 8192 {
            // Upwards a read ends at what is not mapped; downwards it would begin there,
            // and bring nothing.
            let (from, length) = if layout.frame.heap {
                let below = self.prefetch.min(MAX_BELOW).min(page);
                (page - below, below)
            } else {
                (end, self.prefetch)
            };
            if length > 0 {
                batch.push(from, length as usize);
            }
        }
        self.prefetch = (self.prefetch * 2).clamp(2048, MAX_PREFETCH);
        if !self.recent.contains(&address) {
            if self.recent.len() >= RECENT {
                self.recent.remove(0);
            }
            self.recent.push(address);
        }
    }

    /// After a walk: learns where the thread's frames are now. `chunk_size` reads the
    /// size of a chunk that was not the newest one before.
    pub fn learn(
        &mut self,
        layout: &Layout,
        head: Head,
        frames: &[RawFrame],
        chunk_size: impl FnOnce(u64) -> Option<u64>,
    ) {
        self.set_codes(frames);
        if layout.frame.heap {
            self.chains.learn(&self.last, frames);
        }
        if head.chunk == 0 {
            return;
        }
        if head.chunk != self.chunk.0 {
            // Chunks are 16 KiB and doubled until the frame fits (Python/pystate.c
            // push_chunk).
            let size = chunk_size(head.chunk).filter(|size| (64..1 << 30).contains(size));
            self.chunk = (head.chunk, size.unwrap_or(0));
            self.top = 0;
        }
        let end = self.chunk.0 + self.chunk.1;
        let inside = |address: &&u64| **address >= self.chunk.0 && **address < end;
        let highest = self.last.iter().filter(inside).max().copied().unwrap_or(0);
        let used = if highest == 0 { 0 } else { highest + u64::from(layout.frame.span.1) };
        self.slack = if used >= self.top { 0 } else { self.slack + 1 };
        if used >= self.top || self.slack > 256 {
            self.top = used;
            self.slack = 0;
        }
        let (start, top) = (self.chunk.0, self.top);
        self.recent.retain(|address| *address < start || *address >= top);
    }

    /// The code objects that the thread will most likely show.
    pub fn codes(&self, layout: &Layout) -> &[u64] {
        if layout.frame.heap { &[] } else { &self.codes }
    }

    /// Learns which code objects the thread runs.
    fn set_codes(&mut self, frames: &[RawFrame]) {
        let mut known = 0;
        for frame in frames {
            // Stacks are mostly those of the last sample, in the same order.
            if self.codes.get(known) == Some(&frame.code) {
                known += 1;
                continue;
            }
            if self.codes[..known].contains(&frame.code) {
                continue;
            }
            match self.codes[known..].iter().position(|code| *code == frame.code) {
                Some(at) => self.codes.swap(known, known + at),
                None => self.codes.insert(known, frame.code),
            }
            known += 1;
        }
        self.codes.truncate(known + RECENT);
    }

    /// Something that was asked for could not be read: what was missed lately may be
    /// gone.
    pub fn forget_recent(&mut self) {
        self.recent.clear();
    }
}
