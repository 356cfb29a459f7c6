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
}

const UNSEEN: State = State { running: false, stack: StackId::ROOT, weight: 1, seen: 0 };

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
        *state = State { running: true, stack, weight, seen: self.ticks };
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
            let state = &mut self.states[thread.index()];
            if state.seen == self.ticks {
                at += 1;
                continue;
            }
            state.running = false;
            self.running.swap_remove(at);
            self.write_tick();
            self.write_change(thread, 0);
        }
    }

    /// The bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }

    /// The reading end.
    pub(crate) fn events(&self) -> Timeline<'_> {
        Timeline {
            chunks: &self.chunks,
            at: 0,
            states: vec![UNSEEN; self.states.len()],
            time_us: 0,
        }
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
            let byte = (number as u8 & 0x7f) | u8::from(more) << 7;
            match self.chunks.last_mut() {
                Some(chunk) if chunk.len() < CHUNK => chunk.push(byte),
                _ => {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    chunk.push(byte);
                    self.chunks.push(chunk);
                }
            }
            if !more {
                return;
            }
            number >>= 7;
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

/// Reads a recording's timeline from its start: see [`Event`].
///
/// Ticks at which every thread was idle, as at the tick before, are left out. A thread may have
/// more than one event in a tick if it was sampled more than once; the last one counts.
#[derive(Clone, Debug)]
pub struct Timeline<'a> {
    chunks: &'a [Vec<u8>],
    at: usize,
    states: Vec<State>,
    time_us: u64,
}

impl Timeline<'_> {
    fn read(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let chunk = self.chunks.first()?;
            let byte = *chunk.get(self.at)?;
            self.at += 1;
            if self.at == CHUNK {
                self.at = 0;
                self.chunks = &self.chunks[1..];
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(number)
    }
}

impl Iterator for Timeline<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let number = self.read()?;
        if number & 1 == 0 {
            self.time_us += number >> 1;
            return Some(Event::Tick { time_us: self.time_us });
        }
        let thread = ThreadIx((number >> 3) as u32);
        let change = number >> 1 & 3;
        if change == 0 {
            return Some(Event::Idle { thread });
        }
        let mut state = *self.states.get(thread.index())?;
        if change & STACK != 0 {
            state.stack = StackId(self.read()? as u32);
        }
        if change & WEIGHT != 0 {
            state.weight = self.read()?;
        }
        self.states[thread.index()] = state;
        Some(Event::Run { thread, stack: state.stack, weight: state.weight })
    }
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
