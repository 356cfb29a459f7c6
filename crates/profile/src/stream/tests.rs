//! What is written is read; what is cut is read up to the cut; nothing does any harm.

use std::io::Cursor;

use super::*;
use crate::testing::{Random, Sample};
use crate::{
    Event, FormatKind, FrameKey, FrameKind, Keep, Process, Recording, StackId, Style, Thread,
    WeightUnit,
};

/// A recording in which all things happen that can happen: several processes and threads, renamed
/// ones, pauses, weights. `each` is called after each tick.
fn eventful(ticks: u64, mut each: impl FnMut(u64, &mut Recording)) -> Recording {
    let Sample { mut recording, process, thread } = Sample::new(Keep::ALL);
    recording.meta_mut().unit = WeightUnit::Nanoseconds;
    let mut random = Random::new(7);
    let mut processes = vec![process];
    let mut threads = vec![thread];
    let mut stacks = vec![StackId::ROOT];
    let kinds = [FrameKind::Python, FrameKind::Cython, FrameKind::Native, FrameKind::Marker];
    let mut time = 0;
    for tick in 0..ticks {
        if tick % 50 == 20 {
            let parent = Some(processes[random.below(processes.len() as u64) as usize]);
            let cmdline = format!("child {tick} \"é\"");
            let pid = 100 + tick as i32;
            processes.push(recording.add_process(Process { pid, parent, cmdline }));
        }
        if tick % 10 == 5 {
            let process = processes[random.below(processes.len() as u64) as usize];
            let name = (tick % 20 == 5).then(|| format!("worker {tick}"));
            threads.push(recording.add_thread(Thread { process, tid: u64::MAX - tick, name }));
        }
        if tick % 17 == 3 {
            let thread = threads[random.below(threads.len() as u64) as usize];
            recording.rename_thread(thread, Some(format!("now {tick}")));
        }
        if tick % 19 == 7 {
            let process = processes[random.below(processes.len() as u64) as usize];
            recording.rename_process(process, format!("title {tick}"));
        }
        if tick == 40 {
            recording.meta_mut().python_version = "3.14.1".to_string();
        }
        let name = recording.intern_string(&format!("function {}", random.below(40)));
        let file = recording.intern_string("/srv/app.py");
        let module = (tick % 3 == 0).then_some(file);
        let (line, first_line) = (random.below(1000) as u32, 7);
        let kind = kinds[tick as usize % 4];
        let key = FrameKey { name, file, module, line, first_line, kind, ..FrameKey::default() };
        let frame = recording.intern_frame(key);
        let parent = stacks[random.below(stacks.len() as u64) as usize];
        stacks.push(recording.intern_stack(parent, frame));
        time += random.below(20_000_000);
        recording.begin_tick(time);
        recording.quality.dropped += tick % 2;
        let busy = if tick % 23 > 18 { 0 } else { random.below(4) };
        for thread in threads.iter().skip(random.below(3) as usize).take(busy as usize) {
            let recent = &stacks[stacks.len().saturating_sub(4)..];
            let stack = recent[random.below(recent.len() as u64) as usize];
            recording.sample(*thread, stack, 1 + random.below(3));
        }
        each(tick, &mut recording);
    }
    recording.finish(time + 5_000_000);
    recording
}

fn saved(recording: &Recording) -> Vec<u8> {
    let mut out = Vec::new();
    StreamWriter::new().finish(recording, &mut out).unwrap();
    out
}

fn read(bytes: &[u8]) -> Restored {
    restore(&mut Cursor::new(bytes), Keep::ALL).unwrap()
}

fn written(recording: &Recording, kind: FormatKind) -> Vec<u8> {
    let style = Style { show_threads: true, show_processes: true, ..Style::default() };
    let mut out = Vec::new();
    kind.format().write(recording, &style, &mut out).unwrap();
    out
}

/// Both are written alike in all formats.
#[track_caller]
fn assert_same(one: &Recording, other: &Recording) {
    assert_eq!((one.meta(), &one.quality), (other.meta(), &other.quality));
    assert_eq!(one.duration_ns(), other.duration_ns());
    assert!(one.timeline().unwrap().eq(other.timeline().unwrap()));
    for kind in FormatKind::ALL {
        assert!(written(one, kind) == written(other, kind), "{kind}");
    }
}

#[test]
fn what_is_saved_is_restored() {
    for ticks in [0, 1, 10, 2_000] {
        let recording = eventful(ticks, |_, _| {});
        let bytes = saved(&recording);
        let restored = read(&bytes);
        assert_eq!(restored.ending, Ending::Complete);
        assert_eq!(restored.bytes, bytes.len() as u64);
        assert_same(&restored.recording, &recording);
    }
}

#[test]
fn a_stream_is_the_same_however_often_it_is_written() {
    let whole = eventful(500, |_, _| {});
    for every in [1, 3, 100] {
        for forget in [false, true] {
            let mut stream = StreamWriter::new();
            let mut bytes = Vec::new();
            let recording = eventful(500, |tick, recording| {
                if tick % every == 0 {
                    stream.update(recording, &mut bytes).unwrap();
                    if forget {
                        recording.forget_samples();
                    }
                }
            });
            stream.finish(&recording, &mut bytes).unwrap();
            let restored = read(&bytes);
            assert_eq!(restored.ending, Ending::Complete);
            assert_same(&restored.recording, &whole);
        }
    }
}

#[test]
fn what_is_not_kept_is_not_needed() {
    let recording = eventful(300, |_, _| {});
    let bytes = saved(&recording);
    let restored = restore(&mut Cursor::new(&bytes), Keep::default()).unwrap().recording;
    assert!(restored.timeline().is_none());
    assert!(restored.threads().len() <= restored.processes().len());
    let style = Style { show_processes: true, ..Style::default() };
    let raw = |recording: &Recording| {
        let mut out = Vec::new();
        FormatKind::Raw.format().write(recording, &style, &mut out).unwrap();
        out
    };
    assert!(!raw(&recording).is_empty() && raw(&restored) == raw(&recording));
}

/// A time, and what each thread ran then with which weight.
type Moment = (u64, Vec<Option<(StackId, u64)>>);

/// The state of each thread at each tick.
fn history(recording: &Recording) -> Vec<Moment> {
    let mut found = Vec::new();
    let mut now = vec![None; recording.threads().len()];
    for event in recording.timeline().unwrap() {
        match event {
            Event::Tick { time_us } => found.push((time_us, now.clone())),
            Event::Run { thread, stack, weight } => now[thread.index()] = Some((stack, weight)),
            Event::Idle { thread } => now[thread.index()] = None,
        }
        if let Some((_, last)) = found.last_mut() {
            last.clone_from(&now);
        }
    }
    found
}

#[test]
fn a_file_cut_anywhere_is_read_up_to_there() {
    let mut stream = StreamWriter::new();
    let mut bytes = Vec::new();
    // How much had been written before which time.
    let mut lengths = Vec::new();
    let recording = eventful(120, |tick, recording| {
        if tick % 4 == 0 {
            stream.update(recording, &mut bytes).unwrap();
            lengths.push((bytes.len(), recording.duration_ns() / 1000));
        }
    });
    stream.finish(&recording, &mut bytes).unwrap();
    let truth = history(&recording);
    let mut ticks = 0;
    for cut in 0..bytes.len() {
        let result = restore(&mut Cursor::new(&bytes[..cut]), Keep::ALL);
        if cut < 12 {
            assert!(matches!(result, Err(Unreadable::NotARecording)), "{cut}");
            continue;
        }
        let restored = result.unwrap();
        assert_eq!(restored.ending, Ending::Cut, "{cut}");
        assert!(restored.bytes <= cut as u64);
        // It is a beginning of the whole, and never less than before.
        let found = history(&restored.recording);
        for (found, (time, expected)) in found.iter().zip(&truth) {
            assert_eq!(found.0, *time);
            assert_eq!(found.1, expected[..found.1.len()], "{cut} at {time}");
            assert!(expected[found.1.len()..].iter().all(Option::is_none));
        }
        assert!(found.len() >= ticks, "{cut}");
        ticks = found.len();
        let samples: usize = found.iter().map(|(_, ran)| ran.iter().flatten().count()).sum();
        assert_eq!(restored.recording.quality.samples, samples as u64);
        let weights: u64 =
            found.iter().flat_map(|(_, ran)| ran.iter().flatten()).map(|r| r.1).sum();
        assert_eq!(restored.recording.aggregate(&Style::default()).total(), weights);
        // All that was written is there, but for the tick that was open.
        let until = lengths.iter().rfind(|&&(length, _)| length <= cut).map_or(0, |last| last.1);
        let expected = truth.iter().filter(|&&(time, _)| time < until).count();
        assert!(found.len() >= expected, "{cut}: {} of {expected}", found.len());
    }
    assert_eq!(ticks, truth.len());
}

/// Reads hostile bytes and writes what was read in all formats.
fn try_all(bytes: &[u8]) {
    for keep in [Keep::ALL, Keep::default()] {
        if let Ok(restored) = restore(&mut Cursor::new(bytes), keep) {
            assert!(restored.bytes <= bytes.len() as u64);
            for kind in FormatKind::ALL {
                if keep.timeline || !kind.format().needs_timeline() {
                    written(&restored.recording, kind);
                }
            }
        }
    }
}

/// Makes the checksum of the chunk at `start` right, so that its contents are looked at.
fn sign(bytes: &mut [u8], start: usize) {
    let Some(length) = bytes.get(start + 1..start + 5) else { return };
    let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
    if let Some(chunk) = bytes.get(start..start + 5 + length) {
        let checksum = crc32fast::hash(chunk).to_le_bytes();
        if let Some(place) = bytes.get_mut(start + 5 + length..start + 9 + length) {
            place.copy_from_slice(&checksum);
        }
    }
}

/// Where the chunks begin.
fn chunks(bytes: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 12;
    while let Some(length) = bytes.get(at + 1..at + 5) {
        starts.push(at);
        at += 9 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
    }
    starts
}

#[test]
fn changed_bytes_do_no_harm() {
    let bytes = saved(&eventful(30, |_, _| {}));
    let whole = read(&bytes).bytes;
    let starts = chunks(&bytes);
    let mut damaged = 0;
    for at in 12..bytes.len() {
        let start = *starts.iter().rfind(|&&start| start <= at).unwrap();
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            let restored = read(&bytes);
            assert_ne!(restored.ending, Ending::Complete, "{at}");
            assert_eq!(restored.bytes, start as u64, "what comes before is read");
            // The same with a checksum that fits: anything goes, but for a panic.
            sign(&mut bytes, start);
            try_all(&bytes);
            damaged += usize::from(read(&bytes).bytes < whole);
        }
    }
    assert!(damaged > 100, "{damaged} were refused");
}

#[test]
fn made_up_chunks_do_no_harm() {
    let mut random = Random::new(3);
    let valid = saved(&eventful(30, |_, _| {}));
    let tables = *chunks(&valid).iter().find(|&&start| valid[start] == kind::TIMELINE).unwrap();
    for round in 0..3_000 {
        // Some have tables to refer to.
        let mut bytes = valid[..if round % 2 == 0 { tables } else { 12 }].to_vec();
        for _ in 0..1 + random.below(4) {
            let start = bytes.len();
            bytes.push(b"MSFKPRTNLLLQEx"[random.below(14) as usize]);
            let length = random.below(60);
            bytes.extend((length as u32).to_le_bytes());
            let small = random.below(2) == 0;
            bytes.extend((0..length).map(|_| random.below(if small { 10 } else { 256 }) as u8));
            bytes.extend([0; 4]);
            sign(&mut bytes, start);
        }
        try_all(&bytes);
    }
}

#[test]
fn lengths_are_not_believed() {
    let mut bytes = saved(&eventful(5, |_, _| {}));
    bytes.truncate(12);
    bytes.push(kind::STRINGS);
    bytes.extend(u32::MAX.to_le_bytes());
    bytes.extend([1, b'a']);
    // The payload is what there is, not 4 GB.
    let restored = read(&bytes);
    assert_eq!((restored.ending, restored.bytes), (Ending::Cut, 12));
}

#[test]
fn what_is_no_recording_is_told() {
    for text in ["", "\u{89}", "<?xml version", "main (app.py:1) 3\n", "{\"$schema\":"] {
        let result = restore(&mut text.as_bytes(), Keep::ALL);
        assert!(matches!(result, Err(Unreadable::NotARecording)), "{text}");
    }
    let mut bytes = saved(&eventful(5, |_, _| {}));
    bytes[8] = 2;
    let error = restore(&mut Cursor::new(&bytes), Keep::ALL).unwrap_err();
    assert!(matches!(error, Unreadable::Newer(2)));
    assert!(error.to_string().contains("newer"), "{error}");
}

#[test]
fn a_later_version_may_add_things() {
    let recording = eventful(50, |_, _| {});
    let bytes = saved(&recording);
    let mut extended = bytes[..12].to_vec();
    let mut add = |kind: u8, payload: &[u8]| {
        let start = extended.len();
        extended.push(kind);
        extended.extend((payload.len() as u32).to_le_bytes());
        extended.extend(payload);
        extended.extend([0; 4]);
        sign(&mut extended, start);
    };
    for start in chunks(&bytes) {
        // A kind of chunk that may be skipped, before each.
        add(b'z', b"whatever it is");
        let length = u32::from_le_bytes(bytes[start + 1..start + 5].try_into().unwrap()) as usize;
        let mut payload = bytes[start + 5..start + 5 + length].to_vec();
        match bytes[start] {
            // A field that is not known, and one more counter.
            kind::META => payload.extend([99, 2, 1, 2]),
            kind::QUALITY => payload.push(17),
            // Entries of these have a length: one more field.
            kind::FRAMES | kind::PROCESSES | kind::THREADS => {
                let mut longer = Vec::new();
                let mut rest = &payload[..];
                while let Some((&length, tail)) = rest.split_first() {
                    let (entry, tail) = tail.split_at(length.into());
                    longer.push(length + 1);
                    longer.extend(entry);
                    longer.push(5);
                    rest = tail;
                }
                payload = longer;
            }
            _ => {}
        }
        add(bytes[start], &payload);
    }
    let restored = read(&extended);
    assert_eq!(restored.ending, Ending::Complete);
    assert_same(&restored.recording, &recording);
    // What must be understood is not skipped.
    let mut bytes = bytes[..12].to_vec();
    bytes.extend([b'Z', 0, 0, 0, 0, 0, 0, 0, 0]);
    sign(&mut bytes, 12);
    assert!(matches!(read(&bytes).ending, Ending::Damaged(_)));
}

#[test]
fn samples_that_were_forgotten_too_early_are_an_error() {
    let mut recording = eventful(50, |_, _| {});
    recording.forget_samples();
    assert!(StreamWriter::new().update(&recording, &mut Vec::new()).is_err());
    let recording = Sample::new(Keep::default()).recording;
    assert!(StreamWriter::new().update(&recording, &mut Vec::new()).is_err());
}

#[test]
fn a_recording_goes_on_after_it_was_restored() {
    let recording = eventful(100, |_, _| {});
    let mut restored = read(&saved(&recording)).recording;
    let before = history(&restored).len();
    let thread = restored.threads().next().unwrap().0;
    restored.begin_tick(u64::MAX / 2);
    restored.sample(thread, StackId::ROOT, 1);
    restored.finish(u64::MAX / 2);
    let after = history(&restored);
    assert_eq!(after.len(), before + 1);
    let (_, ran) = after.last().unwrap();
    assert_eq!(ran.iter().flatten().count(), 1);
    assert_eq!(after[..before], history(&recording)[..]);
}
