//! Which thread ran what when, in a few bytes a sample.
//!
//! The timeline is a sequence of variable-length numbers (seven bits a byte, lowest first), in
//! which only what changes is written:
//!
//! | number | followed by | meaning |
//! | --- | --- | --- |
//! | `delta << 1` | | a tick, `delta` microseconds after the last tick that was written |
//! | `(thread << 2 \| 0) << 1 \| 1` | | from this tick on, the thread is idle |
//! | `(thread << 2 \| 1) << 1 \| 1` | stack | it runs another stack |
//! | `(thread << 2 \| 2) << 1 \| 1` | weight | its sample has another weight |
//! | `(thread << 2 \| 3) << 1 \| 1` | stack, weight | both |
//!
//! A tick at which no thread ran, and none stopped running, is not written at all.

use crate::{StackId, ThreadIx};

/// Bytes are kept in pieces of this size: growing one long piece would copy it, and take up to
/// three times its size while it is copied.
const CHUNK: usize = 64 * 1024;

/// The latest time there is, such that it can be told in nanoseconds.
const MAX_TIME_US: u64 = u64::MAX / 1000;

const STACK: u64 = 1;
const WEIGHT: u64 = 2;

/// What the timeline says of a thread at some tick. A thread that has not run yet is idle with
/// weight 1.
#[derive(Clone, Copy, Debug)]
struct State {
    running: bool,
    stack: StackId,
    weight: u64,
    /// The tick (counted from 1) in which the thread was last seen running.
    seen: u64,
    /// Where it stands among the running threads.
    place: usize,
}

const UNSEEN: State = State { running: false, stack: StackId::ROOT, weight: 1, seen: 0, place: 0 };

/// The writing end.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    chunks: Vec<Vec<u8>>,
    states: Vec<State>,
    /// The threads that are running, as of the open tick.
    running: Vec<ThreadIx>,
    /// The time of the last tick that was written, and of the open one, in microseconds.
    written_us: u64,
    tick_us: u64,
    /// How many ticks were begun.
    ticks: u64,
    /// Whether the open tick is written already.
    written: bool,
    /// How many bytes were forgotten: those before the first chunk.
    forgotten: u64,
    /// Where the last whole tick ends, counted with the bytes that were forgotten.
    whole: u64,
}

impl Builder {
    /// Makes room for one more thread, so that `run` never has to.
    pub(crate) fn add_thread(&mut self) {
        self.states.push(UNSEEN);
        self.running.reserve(self.states.len() - self.running.len());
    }

    /// Opens a tick. Time that runs backwards is taken to stand still.
    pub(crate) fn begin_tick(&mut self, time_ns: u64) {
        self.end_tick();
        self.tick_us = self.tick_us.max(time_ns / 1000);
        self.ticks += 1;
        self.written = false;
    }

    /// The thread runs `stack` in the open tick.
    pub(crate) fn run(&mut self, thread: ThreadIx, stack: StackId, weight: u64) {
        self.write_tick();
        let state = &mut self.states[thread.index()];
        let started = !state.running;
        let mut change = 0;
        if started || state.stack != stack {
            change |= STACK;
        }
        if state.weight != weight {
            change |= WEIGHT;
        }
        let place = if started { self.running.len() } else { state.place };
        *state = State { running: true, stack, weight, seen: self.ticks, place };
        if started {
            self.running.push(thread);
        }
        if change != 0 {
            self.write_change(thread, change);
            if change & STACK != 0 {
                self.write(u64::from(stack.0));
            }
            if change & WEIGHT != 0 {
                self.write(weight);
            }
        }
    }

    /// Closes the open tick, if any: the threads not seen in it are idle.
    pub(crate) fn end_tick(&mut self) {
        let mut at = 0;
        while let Some(&thread) = self.running.get(at) {
            if self.states[thread.index()].seen == self.ticks {
                at += 1;
            } else {
                self.idle(thread);
            }
        }
        self.whole = self.end();
    }

    /// The thread, which was running, is idle from the open tick on.
    fn idle(&mut self, thread: ThreadIx) {
        let state = &mut self.states[thread.index()];
        state.running = false;
        let place = state.place;
        self.running.swap_remove(place);
        if let Some(moved) = self.running.get(place) {
            self.states[moved.index()].place = place;
        }
        self.write_tick();
        self.write_change(thread, 0);
    }

    /// Adds an event of another timeline, which must be one that can follow. Ticks end with the
    /// next one or with [`Builder::end_replay`].
    pub(crate) fn replay(&mut self, event: Event) {
        match event {
            Event::Tick { time_us } => {
                self.tick_us = self.tick_us.max(time_us);
                self.ticks += 1;
                self.written = false;
                self.whole = self.end();
                self.write_tick();
            }
            Event::Run { thread, stack, weight } => self.run(thread, stack, weight),
            Event::Idle { thread } if self.states[thread.index()].running => self.idle(thread),
            Event::Idle { .. } => {}
        }
    }

    /// Ends the last tick that was replayed.
    pub(crate) fn end_replay(&mut self) {
        for thread in &self.running {
            self.states[thread.index()].seen = self.ticks;
        }
        self.end_tick();
    }

    /// The bytes that are kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }

    /// How many bytes were forgotten.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Where the last whole tick ends.
    pub(crate) fn whole(&self) -> u64 {
        self.whole
    }

    /// The bytes of whole ticks from `start` on, which must not be forgotten, in pieces.
    pub(crate) fn pieces(&self, start: u64) -> impl Iterator<Item = &[u8]> {
        let mut chunk_start = self.forgotten;
        self.chunks.iter().filter_map(move |chunk| {
            let offset = |at: u64| at.saturating_sub(chunk_start).min(chunk.len() as u64) as usize;
            let piece = chunk.get(offset(start)..offset(self.whole))?;
            chunk_start += chunk.len() as u64;
            Some(piece).filter(|piece| !piece.is_empty())
        })
    }

    /// Forgets all whole ticks. What is left can no longer be read as [`Builder::events`].
    pub(crate) fn forget(&mut self) {
        let open: Vec<u8> = {
            let skipped = self.whole.saturating_sub(self.forgotten) as usize;
            self.chunks.iter().flatten().skip(skipped).copied().collect()
        };
        self.forgotten = self.whole;
        self.chunks.truncate(1);
        if let Some(chunk) = self.chunks.first_mut() {
            chunk.clear();
        }
        for byte in open {
            self.write_byte(byte);
        }
    }

    /// The reading end.
    pub(crate) fn events(&self) -> Timeline<'_> {
        Timeline { chunks: &self.chunks, at: 0, decoder: Decoder::new(self.states.len()) }
    }

    /// Where the next byte will stand.
    fn end(&self) -> u64 {
        let full = self.chunks.len().saturating_sub(1) as u64 * CHUNK as u64;
        self.forgotten + full + self.chunks.last().map_or(0, |chunk| chunk.len() as u64)
    }

    fn write_tick(&mut self) {
        if !self.written {
            self.written = true;
            self.write((self.tick_us - self.written_us) << 1);
            self.written_us = self.tick_us;
        }
    }

    fn write_change(&mut self, thread: ThreadIx, change: u64) {
        self.write((u64::from(thread.0) << 2 | change) << 1 | 1);
    }

    fn write(&mut self, mut number: u64) {
        loop {
            let more = number > 0x7f;
            self.write_byte((number as u8 & 0x7f) | u8::from(more) << 7);
            if !more {
                return;
            }
            number >>= 7;
        }
    }

    fn write_byte(&mut self, byte: u8) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(byte),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(byte);
                self.chunks.push(chunk);
            }
        }
    }
}

/// What happened, in the order of time. Changes belong to the tick before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A sampling instant.
    Tick {
        /// Microseconds since recording began.
        time_us: u64,
    },
    /// From this tick on, until its next event, the thread was seen running this at every tick.
    Run {
        /// The thread.
        thread: ThreadIx,
        /// Its stack.
        stack: StackId,
        /// The weight of each of these samples, in the recording's unit.
        weight: u64,
    },
    /// From this tick on the thread was idle, until its next event.
    Idle {
        /// The thread.
        thread: ThreadIx,
    },
}

/// Turns the numbers of a timeline into events.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    /// Of each thread that is known: its stack and its weight.
    threads: Vec<(StackId, u64)>,
    time_us: u64,
}

impl Decoder {
    pub(crate) fn new(threads: usize) -> Decoder {
        Decoder { threads: vec![(StackId::ROOT, 1); threads], time_us: 0 }
    }

    /// There is one more thread.
    pub(crate) fn add_thread(&mut self) {
        self.threads.push((StackId::ROOT, 1));
    }

    /// The next event; `None` where `read` has no number for it, or it makes no sense: a thread
    /// that is not known, a time past all bounds.
    pub(crate) fn next(&mut self, mut read: impl FnMut() -> Option<u64>) -> Option<Event> {
        let number = read()?;
        if number & 1 == 0 {
            let time_us = self.time_us.checked_add(number >> 1);
            self.time_us = time_us.filter(|&time_us| time_us <= MAX_TIME_US)?;
            return Some(Event::Tick { time_us: self.time_us });
        }
        let thread = ThreadIx(u32::try_from(number >> 3).ok()?);
        let (mut stack, mut weight) = *self.threads.get(thread.index())?;
        let change = number >> 1 & 3;
        if change == 0 {
            return Some(Event::Idle { thread });
        }
        if change & STACK != 0 {
            stack = StackId(u32::try_from(read()?).ok()?);
        }
        if change & WEIGHT != 0 {
            weight = read()?;
        }
        self.threads[thread.index()] = (stack, weight);
        Some(Event::Run { thread, stack, weight })
    }
}

/// Reads a recording's timeline from its start: see [`Event`].
///
/// Ticks at which every thread was idle, as at the tick before, are left out. A thread may have
/// more than one event in a tick if it was sampled more than once; the last one counts.
#[derive(Clone, Debug)]
pub struct Timeline<'a> {
    chunks: &'a [Vec<u8>],
    at: usize,
    decoder: Decoder,
}

impl Iterator for Timeline<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let Timeline { chunks, at, decoder } = self;
        let mut byte = || {
            let byte = *chunks.first()?.get(*at)?;
            *at += 1;
            if *at == CHUNK {
                *at = 0;
                *chunks = &chunks[1..];
            }
            Some(byte)
        };
        decoder.next(|| read_number(&mut byte))
    }
}

/// Reads a number of up to 64 bits; `None` where it does not end.
pub(crate) fn read_number(mut byte: impl FnMut() -> Option<u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn idle_ticks_cost_nothing() {
        let mut builder = Builder::default();
        builder.add_thread();
        builder.begin_tick(0);
        builder.run(ThreadIx(0), StackId(1), 1);
        for tick in 1..100_000 {
            builder.begin_tick(tick * 10_000_000);
        }
        builder.end_tick();
        assert!(builder.bytes() < 8, "{} bytes", builder.bytes());
    }

    #[test]
    fn what_is_written_is_read() {
        let mut random = Random::new(1);
        let mut builder = Builder::default();
        (0..40).for_each(|_| builder.add_thread());
        // (time, what each thread ran), the ticks at which nothing runs left out.
        let mut expected = Vec::new();
        let mut time_ns = 0;
        for _ in 0..50_000 {
            time_ns += random.below(20_000_000);
            builder.begin_tick(time_ns);
            let mut ran = vec![None; 40];
            let busy = random.below(5);
            for _ in 0..busy {
                let thread = random.below(40) as usize;
                if ran[thread].is_none() {
                    let (stack, weight) = (StackId(random.below(300) as u32), random.below(200));
                    builder.run(ThreadIx(thread as u32), stack, weight);
                    ran[thread] = Some((stack, weight));
                }
            }
            if ran.iter().any(Option::is_some) {
                expected.push((time_ns / 1000, ran));
            }
        }
        builder.end_tick();
        assert!(builder.chunks.len() > 3, "chunk borders are crossed");

        let mut found = Vec::new();
        let mut now = vec![None; 40];
        let mut time = None;
        for event in builder.events() {
            match event {
                Event::Tick { time_us } => {
                    found.extend(time.map(|time| (time, now.clone())));
                    time = Some(time_us);
                }
                Event::Run { thread, stack, weight } => now[thread.index()] = Some((stack, weight)),
                Event::Idle { thread } => now[thread.index()] = None,
            }
        }
        found.extend(time.map(|time| (time, now.clone())));
        found.retain(|(_, ran)| ran.iter().any(Option::is_some));
        assert_eq!(found.len(), expected.len());
        assert!(found == expected);
    }
}
