//! What a recording costs in memory, counted by the allocator.
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use profile::{
    Ending, FormatKind, FrameKey, Keep, Meta, Process, Recording, StackId, StreamWriter, Style,
    Thread, ThreadIx, WeightUnit, restore,
};

struct Counting;

/// What this thread has allocated; each test has its own thread. It may well free what another
/// one has allocated, so the balance has a sign.
#[derive(Clone, Copy)]
struct Counted {
    allocations: usize,
    bytes: isize,
    peak: isize,
}

thread_local! {
    static COUNTED: Cell<Counted> =
        const { Cell::new(Counted { allocations: 0, bytes: 0, peak: 0 }) };
}

fn counted() -> Counted {
    COUNTED.get()
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNTED.try_with(|cell| {
            let Counted { allocations, bytes, peak } = cell.get();
            let (allocations, bytes) = (allocations + 1, bytes + layout.size() as isize);
            cell.set(Counted { allocations, bytes, peak: peak.max(bytes) });
        });
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let _ = COUNTED.try_with(|cell| {
            let counted = cell.get();
            cell.set(Counted { bytes: counted.bytes - layout.size() as isize, ..counted });
        });
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const STACKS: usize = 5000;
const DEPTH: usize = 20;

/// A reproducible source of numbers below `limit`.
fn random(state: &mut u64, limit: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize % limit
}

/// A recording with 5,000 stacks of 20 frames, four of them shared by many.
fn recording(keep: Keep, unit: WeightUnit) -> (Recording, Vec<ThreadIx>, Vec<StackId>) {
    let meta = Meta { command: "app".to_string(), rate: 100.0, unit, ..Meta::default() };
    let mut recording = Recording::new(meta, keep);
    let cmdline = "app".to_string();
    let process = recording.add_process(Process { pid: 1, parent: None, cmdline });
    let threads =
        (0..4).map(|tid| recording.add_thread(Thread { process, tid, name: None })).collect();
    let mut state = 1;
    let stacks = (0..STACKS)
        .map(|stack| {
            (0..DEPTH).fold(StackId::ROOT, |parent, depth| {
                let function = if depth < 16 { depth } else { random(&mut state, 1000) };
                let function = if depth == DEPTH - 1 { 1000 + stack % 1000 } else { function };
                let name = recording.intern_string(&format!("function_{function}"));
                let file = recording.intern_string("/srv/app/module.py");
                let short_file = recording.intern_string("module.py");
                let line = function as u32 + 1;
                let frame = FrameKey { name, file, short_file, line, ..FrameKey::default() };
                let frame = recording.intern_frame(frame);
                recording.intern_stack(parent, frame)
            })
        })
        .collect();
    (recording, threads, stacks)
}

/// Ticks at 100 Hz, every thread with some stack.
fn sample(
    recording: &mut Recording,
    threads: &[ThreadIx],
    stacks: &[StackId],
    ticks: std::ops::Range<u64>,
    mut weight: impl FnMut() -> u64,
) {
    let mut state = ticks.start + 1;
    for tick in ticks {
        recording.begin_tick(tick * 10_000_000);
        for &thread in threads {
            recording.sample(thread, stacks[random(&mut state, stacks.len())], weight());
        }
    }
}

#[test]
fn a_long_recording_grows_with_its_stacks_only() {
    let before = counted().bytes;
    let (mut recording, threads, stacks) = recording(Keep::default(), WeightUnit::Samples);
    // Every stack in the one thread there is, once.
    for &stack in &stacks {
        recording.begin_tick(0);
        recording.sample(threads[0], stack, 1);
    }
    let (allocations, bytes) = (counted().allocations, counted().bytes);
    sample(&mut recording, &threads, &stacks, 0..1_000_000, || 1);
    assert_eq!(counted().allocations, allocations, "4 million samples allocate nothing");
    assert_eq!(counted().bytes, bytes);
    assert_eq!(recording.quality.samples, 4_000_000 + STACKS as u64);

    let used = counted().bytes - before;
    let per_stack = used / STACKS as isize;
    println!("{used} bytes, {per_stack} a stack of {DEPTH} frames");
    assert!(used < 2 << 20, "{used} bytes for {STACKS} stacks");

    let mut lines = 0;
    let folded = recording.aggregate(&Style::default());
    let result: Result<(), ()> = folded.try_for_each(|_, _| {
        lines += 1;
        Ok(())
    });
    assert_eq!((result, folded.total()), (Ok(()), recording.quality.samples));
    assert!(lines > STACKS * 9 / 10);
}

#[test]
fn a_timeline_is_compact() {
    for (unit, bound) in [(WeightUnit::Samples, 5.0), (WeightUnit::Nanoseconds, 10.0)] {
        let (mut recording, threads, stacks) = recording(Keep::ALL, unit);
        let mut state = 9;
        let mut weight = || match unit {
            WeightUnit::Samples => 1,
            WeightUnit::Nanoseconds => random(&mut state, 10_000_000) as u64,
        };
        for &thread in &threads {
            for &stack in &stacks {
                recording.begin_tick(0);
                recording.sample(thread, stack, 1);
            }
        }
        let (allocations, bytes) = (counted().allocations, counted().bytes);
        let timeline = recording.timeline_bytes();
        sample(&mut recording, &threads, &stacks, 0..250_000, &mut weight);
        let grown = counted().bytes - bytes;
        let per_sample = grown as f64 / 1e6;
        println!("{unit:?}: {per_sample:.2} bytes a sample, all stacks changing");
        assert!(per_sample < bound, "{per_sample}");
        // One piece of 64 KiB at a time, and now and then the list of pieces.
        let pieces = (recording.timeline_bytes() - timeline) as usize / (64 << 10);
        let allocations = counted().allocations - allocations;
        assert!(allocations <= pieces + 10, "{allocations} for {pieces} pieces");
    }
}

#[test]
fn a_steady_thread_costs_only_its_ticks_and_an_idle_one_nothing() {
    let (mut recording, threads, stacks) = recording(Keep::ALL, WeightUnit::Samples);
    sample(&mut recording, &threads, &stacks[..1], 0..100_000, || 1);
    let bytes = recording.timeline_bytes();
    println!("{:.2} bytes a tick of four steady threads", bytes as f64 / 1e5);
    assert!(bytes < 310_000, "{bytes}");
    for tick in 100_000..10_000_000 {
        recording.begin_tick(tick * 10_000_000);
    }
    recording.finish(10_000_000 * 10_000_000);
    assert!(recording.timeline_bytes() < bytes + 10);
}

#[test]
fn writers_stream() {
    let (mut recording, threads, stacks) = recording(Keep::ALL, WeightUnit::Samples);
    sample(&mut recording, &threads, &stacks, 0..100_000, || 1);
    recording.finish(0);
    for (kind, bound) in [(FormatKind::Chrometrace, 16 << 20), (FormatKind::Speedscope, 24 << 20)] {
        let before = counted().bytes;
        COUNTED.set(Counted { peak: before, ..counted() });
        let mut out = Count(0);
        kind.format().write(&recording, &Style::default(), &mut out).unwrap();
        let peak = counted().peak - before;
        println!("{kind}: {} bytes written, at most {peak} in memory", out.0);
        assert!(out.0 > 10 << 20);
        assert!(peak < bound, "{kind}: {peak}");
    }
}

/// What is streamed out is not remembered, however long it goes on.
#[test]
fn a_stream_takes_no_memory() {
    let (mut recording, threads, stacks) = recording(Keep::ALL, WeightUnit::Samples);
    let mut stream = StreamWriter::new();
    let mut out = Vec::new();
    let mut written = 0;
    // Once a second at 100 Hz.
    let mut seconds = |recording: &mut Recording, range: std::ops::Range<u64>| {
        for second in range {
            sample(recording, &threads, &stacks, second * 100..(second + 1) * 100, || 1);
            out.clear();
            stream.update(recording, &mut out).unwrap();
            recording.forget_samples();
            written += out.len();
        }
    };
    seconds(&mut recording, 0..10);
    let (allocations, bytes) = (counted().allocations, counted().bytes);
    seconds(&mut recording, 10..10_000);
    let grown = counted().bytes - bytes;
    let allocations = (counted().allocations - allocations) as f64 / 9_990.0;
    let per_sample = written as f64 / recording.quality.samples as f64;
    println!(
        "{grown} bytes, {allocations:.1} allocations a second, {per_sample:.2} bytes a sample in the file"
    );
    assert_eq!(recording.quality.samples, 4_000_000);
    assert!(grown < 64 << 10, "{grown} bytes");
    assert!(per_sample < 5.0, "{per_sample}");
}

/// Only what will be written of it is remembered.
#[test]
fn restoring_takes_what_the_stacks_take() {
    let (mut made, threads, stacks) = recording(Keep::ALL, WeightUnit::Samples);
    sample(&mut made, &threads, &stacks, 0..500_000, || 1);
    made.finish(0);
    let mut file = Vec::new();
    StreamWriter::new().finish(&made, &mut file).unwrap();
    for (keep, bound) in [(Keep::default(), 4 << 20), (Keep::ALL, file.len() as isize + (6 << 20))]
    {
        let before = counted().bytes;
        COUNTED.set(Counted { peak: before, ..counted() });
        let restored = restore(&mut &file[..], keep).unwrap();
        let peak = counted().peak - before;
        println!("{peak} bytes for a file of {}", file.len());
        assert_eq!(restored.ending, Ending::Complete);
        assert_eq!(restored.recording.quality.samples, 2_000_000);
        assert!(peak < bound, "{peak} bytes");
    }
}

/// What a hostile file says about itself is not believed: memory is taken for what is there.
#[test]
fn restoring_takes_memory_in_proportion_to_the_file() {
    let head = b"\x89PYSPY\r\n\x01\0\0\0".as_slice();
    let chunk = |kind: u8, payload: &[u8]| {
        let mut bytes = vec![kind];
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(payload);
        let checksum = crc32fast::hash(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    };
    let huge = [head, &[b'S', 0xff, 0xff, 0xff, 0xff, 1, 2, 3]].concat();
    // As many and as small entries as possible.
    let one_frame = chunk(b'F', &[7, 0, 0, 0, 0, 0, 0, 0]);
    let deep = chunk(b'K', &[1, 0].repeat(1 << 20));
    let stacks = [head, &one_frame, &deep].concat();
    let one_process = chunk(b'P', &[3, 1, 0, 0]);
    let threads = chunk(b'T', &[3, 0, 1, 0].repeat(1 << 19));
    let threads = [head, &one_process, &threads].concat();
    let one_thread = chunk(b'T', &[3, 0, 1, 0]);
    // One tick, then the thread stops and runs and stops.
    let events = [vec![0], [1, 3, 0].repeat(1 << 19)].concat();
    let events = [head, &one_process, &one_thread, &chunk(b'L', &events)].concat();
    for (what, bytes) in
        [("length", huge), ("stacks", stacks), ("threads", threads), ("events", events)]
    {
        let before = counted().bytes;
        COUNTED.set(Counted { peak: before, ..counted() });
        let restored = restore(&mut &bytes[..], Keep::ALL).unwrap();
        let peak = counted().peak - before;
        println!("{what}: at most {peak} bytes for {}", bytes.len());
        assert_eq!(restored.ending, Ending::Cut, "{what}");
        assert!(peak < (64 << 10) + 100 * bytes.len() as isize, "{what}: {peak}");
    }
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
