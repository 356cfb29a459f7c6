//! The JSON of <https://www.speedscope.app>: one sampled profile for each thread.
//!
//! Schema: `file-format-schema.json` of the npm package `speedscope`. It allows further properties:
//! facts about the run and its quality are under `py-spy`.

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::ops::Range;

use super::{About, timeline};
use crate::render::{FrameTable, shared_pids, short_command};
use crate::{Event, Format, Recording, StackId, Style, ThreadIx, WeightUnit};

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

/// A profile's samples stand together in the file while the timeline is ordered by time, so they
/// have to be gathered. Threads are gathered together up to so many runs (24 bytes each); more
/// take several passes over the timeline rather than more memory.
const RUNS_AT_ONCE: u64 = 1 << 21;

pub(super) struct Speedscope;

impl Format for Speedscope {
    fn write(&self, recording: &Recording, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        let frames = FrameTable::new(recording, style);
        let threads = threads_in_order(recording)?;

        write!(out, "{{\"$schema\":\"{SCHEMA}\",\"exporter\":")?;
        let exporter = format!("py-spy@{}", recording.meta().tool_version);
        serde_json::to_writer(&mut out, &exporter)?;
        write!(out, ",\"name\":")?;
        serde_json::to_writer(&mut out, style.title(recording))?;
        write!(out, ",\"py-spy\":")?;
        serde_json::to_writer(&mut out, &About::new(recording))?;
        write!(out, ",\"activeProfileIndex\":0,\n\"shared\":{{\"frames\":[")?;
        write_frames(&frames, &mut out)?;
        write!(out, "]}},\n\"profiles\":[")?;
        let shared_pids = shared_pids(recording);
        let mut profiles = 0;
        for group in groups(&threads) {
            let group = &threads[group];
            let runs = gather(recording, group)?;
            for (&(thread, _), runs) in group.iter().zip(&runs) {
                write!(out, "{}", if profiles == 0 { "\n" } else { ",\n" })?;
                profiles += 1;
                let name = profile_name(recording, &shared_pids, thread);
                write_profile(recording, &frames, &name, runs, &mut out)?;
            }
        }
        if profiles == 0 {
            // The viewer wants at least one.
            write_profile(recording, &frames, "no samples were collected", &[], &mut out)?;
        }
        writeln!(out, "]}}")?;
        out.flush()
    }

    fn needs_timeline(&self) -> bool {
        true
    }

    fn extension(&self) -> &'static str {
        "json"
    }
}

/// Consecutive samples of one thread that are alike.
struct Run {
    stack: StackId,
    weight: u64,
    samples: u64,
}

/// The threads that have samples, in the order of processes, each with the number of its runs.
fn threads_in_order(recording: &Recording) -> io::Result<Vec<(ThreadIx, u64)>> {
    let mut runs = vec![0; recording.threads().len()];
    for event in timeline(recording)? {
        if let Event::Run { thread, .. } = event {
            runs[thread.index()] += 1;
        }
    }
    let mut threads: Vec<(ThreadIx, u64)> = recording
        .threads()
        .map(|(ix, _)| (ix, runs[ix.index()]))
        .filter(|&(_, runs)| runs > 0)
        .collect();
    threads.sort_by_key(|&(ix, _)| (recording.thread(ix).process, ix));
    Ok(threads)
}

/// Cuts the threads into groups of at most [`RUNS_AT_ONCE`], but at least one thread each.
fn groups(threads: &[(ThreadIx, u64)]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut sum = 0;
    for (index, &(_, runs)) in threads.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if sum + runs <= RUNS_AT_ONCE => group.end = index + 1,
            _ => {
                groups.push(index..index + 1);
                sum = 0;
            }
        }
        sum += runs;
    }
    groups
}

/// The runs of each of these threads.
fn gather(recording: &Recording, threads: &[(ThreadIx, u64)]) -> io::Result<Vec<Vec<Run>>> {
    let mut slots = vec![None; recording.threads().len()];
    for (slot, &(thread, _)) in threads.iter().enumerate() {
        slots[thread.index()] = Some(slot);
    }
    let mut gathered: Vec<Vec<Run>> =
        threads.iter().map(|&(_, runs)| Vec::with_capacity(runs as usize)).collect();
    // The tick at which a thread's last run began, if it is not over.
    let mut since: Vec<Option<u64>> = vec![None; threads.len()];
    let mut tick = 0;
    let mut end = |runs: &mut [Vec<Run>], slot: usize, tick: u64, now: Option<u64>| {
        if let (Some(start), Some(run)) = (since[slot], runs[slot].last_mut()) {
            run.samples = tick - start;
        }
        since[slot] = now;
    };
    for event in timeline(recording)? {
        match event {
            Event::Tick { .. } => tick += 1,
            Event::Run { thread, stack, weight } => {
                if let Some(slot) = slots[thread.index()] {
                    end(&mut gathered, slot, tick, Some(tick));
                    gathered[slot].push(Run { stack, weight, samples: 0 });
                }
            }
            Event::Idle { thread } => {
                if let Some(slot) = slots[thread.index()] {
                    end(&mut gathered, slot, tick, None);
                }
            }
        }
    }
    for slot in 0..threads.len() {
        end(&mut gathered, slot, tick + 1, None);
    }
    Ok(gathered)
}

fn profile_name(recording: &Recording, shared_pids: &HashSet<i32>, thread: ThreadIx) -> String {
    let thread = recording.thread(thread);
    let mut name = format!("Thread {}", thread.tid);
    if let Some(text) = &thread.name {
        name.push_str(&format!(" \"{text}\""));
    }
    if recording.processes().len() > 1 {
        let process = recording.process(thread.process);
        let mut of = format!("Process {} ", process.pid);
        if shared_pids.contains(&process.pid) {
            of.push_str(&format!("\"{}\" ", short_command(process)));
        }
        name.insert_str(0, &of);
    }
    name
}

fn write_frames(frames: &FrameTable<'_>, out: &mut impl Write) -> io::Result<()> {
    for (index, (view, _)) in frames.views().enumerate() {
        write!(out, "{}{{\"name\":", if index == 0 { "\n" } else { ",\n" })?;
        serde_json::to_writer(&mut *out, view.name)?;
        if !view.file.is_empty() {
            write!(out, ",\"file\":")?;
            serde_json::to_writer(&mut *out, view.file)?;
        }
        if view.line > 0 {
            write!(out, ",\"line\":{}", view.line)?;
        }
        write!(out, "}}")?;
    }
    Ok(())
}

fn write_profile(
    recording: &Recording,
    frames: &FrameTable<'_>,
    name: &str,
    runs: &[Run],
    out: &mut impl Write,
) -> io::Result<()> {
    let second = match recording.meta().unit {
        WeightUnit::Samples => recording.meta().interval(),
        WeightUnit::Nanoseconds => 1e-9,
    };
    // Summed up in whole numbers: adding a fraction a million times would drift.
    let total: u128 = runs.iter().map(|run| u128::from(run.weight) * u128::from(run.samples)).sum();
    write!(out, "{{\"type\":\"sampled\",\"name\":")?;
    serde_json::to_writer(&mut *out, name)?;
    write!(out, ",\"unit\":\"seconds\",\"startValue\":0,\"endValue\":")?;
    serde_json::to_writer(&mut *out, &(total as f64 * second))?;
    write!(out, ",\n\"samples\":[")?;
    let mut path = Vec::new();
    let mut text = String::new();
    write_repeated(runs, out, |run| {
        path.clear();
        path.extend(recording.stack_frames(run.stack).map(|frame| frames.index(frame).to_string()));
        path.reverse();
        text.clear();
        text.push('[');
        text.push_str(&path.join(","));
        text.push(']');
        Ok(text.clone())
    })?;
    write!(out, "],\n\"weights\":[")?;
    write_repeated(runs, out, |run| Ok(serde_json::to_string(&(run.weight as f64 * second))?))?;
    write!(out, "]}}")
}

/// The text of each run once for each of its samples, with commas between.
fn write_repeated(
    runs: &[Run],
    out: &mut impl Write,
    mut text: impl FnMut(&Run) -> io::Result<String>,
) -> io::Result<()> {
    let mut separator = "";
    for run in runs {
        let text = text(run)?;
        for _ in 0..run.samples {
            out.write_all(separator.as_bytes())?;
            out.write_all(text.as_bytes())?;
            separator = ",";
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::{Random, Sample};
    use crate::{FormatKind, Keep, Lines, Meta, Process, Thread};

    fn write(sample: &mut Sample, style: &Style) -> Value {
        serde_json::from_str(&sample.write(FormatKind::Speedscope, style)).unwrap()
    }

    /// A profile's samples as functions' names, and its weights.
    fn samples(file: &Value, profile: usize) -> (Vec<Vec<String>>, Vec<f64>) {
        let name = |frame: &Value| {
            let frame = &file["shared"]["frames"][frame.as_u64().unwrap() as usize];
            frame["name"].as_str().unwrap().to_string()
        };
        let profile = &file["profiles"][profile];
        let samples = profile["samples"].as_array().unwrap().iter();
        let samples = samples.map(|sample| sample.as_array().unwrap().iter().map(name).collect());
        let weights = profile["weights"].as_array().unwrap().iter();
        (samples.collect(), weights.map(|weight| weight.as_f64().unwrap()).collect())
    }

    #[test]
    fn samples_are_in_the_order_of_time() {
        let mut sample = Sample::new(Keep::ALL);
        sample.tick(&["main", "a"]);
        sample.tick(&["main", "a"]);
        sample.recording.begin_tick(20_000_000);
        sample.tick(&["main", "b"]);
        sample.tick(&["main", "a"]);
        let file = write(&mut sample, &Style::default());
        assert_eq!(file["$schema"], SCHEMA);
        assert_eq!(file["exporter"], "py-spy@1.0.0");
        assert_eq!(file["name"], "python3 app.py <&>");
        assert_eq!(file["py-spy"]["quality"]["samples"], 4);
        assert_eq!(file["py-spy"]["quality"]["ticks"], 5);
        assert_eq!(file["profiles"][0]["name"], "Thread 10 \"MainThread\"");
        assert_eq!(file["profiles"][0]["unit"], "seconds");
        assert_eq!(file["profiles"][0]["endValue"], 0.04);
        let (stacks, weights) = samples(&file, 0);
        assert_eq!(stacks, [["main", "a"], ["main", "a"], ["main", "b"], ["main", "a"]]);
        assert_eq!(weights, [0.01; 4]);
        let frame = &file["shared"]["frames"][0];
        assert_eq!((&frame["file"], &frame["line"]), (&"app.py".into(), &1.into()));
    }

    #[test]
    fn frames_that_look_alike_are_shared() {
        let mut sample = Sample::new(Keep::ALL);
        sample.tick(&["main:5"]);
        sample.tick(&["main:6"]);
        let style = Style { lines: Lines::NoLine, full_filenames: true, ..Style::default() };
        let file = write(&mut sample, &style);
        let frames = file["shared"]["frames"].as_array().unwrap();
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].get("line"), None);
        assert_eq!(frames[0]["file"], "/srv/app.py");
    }

    #[test]
    fn weights_can_be_cpu_time() {
        let mut sample = Sample::new(Keep::ALL);
        let unit = WeightUnit::Nanoseconds;
        *sample.recording.meta_mut() = Meta { unit, ..sample.recording.meta().clone() };
        let stack = sample.stack(&["f"]);
        for (tick, weight) in [5_000_000, 5_000_000, 2_500_000].into_iter().enumerate() {
            sample.recording.begin_tick(tick as u64 * 10_000_000);
            sample.recording.sample(sample.thread, stack, weight);
        }
        let (_, weights) = samples(&write(&mut sample, &Style::default()), 0);
        assert_eq!(weights, [0.005, 0.005, 0.0025]);
    }

    #[test]
    fn processes_are_named_when_there_are_several() {
        let mut sample = Sample::new(Keep::ALL);
        sample.tick(&["main"]);
        let cmdline = String::new();
        let process = sample.recording.add_process(Process { pid: 11, parent: None, cmdline });
        let thread = sample.recording.add_thread(Thread { process, tid: 12, name: None });
        let stack = sample.stack(&["main"]);
        sample.recording.sample(thread, stack, 1);
        let file = write(&mut sample, &Style::default());
        assert_eq!(file["profiles"][0]["name"], "Process 10 Thread 10 \"MainThread\"");
        assert_eq!(file["profiles"][1]["name"], "Process 11 Thread 12");
    }

    #[test]
    fn nothing_recorded_is_a_valid_file() {
        let file = write(&mut Sample::new(Keep::ALL), &Style::default());
        assert_eq!(file["profiles"].as_array().unwrap().len(), 1);
        assert_eq!(file["profiles"][0]["endValue"], 0.0);
    }

    #[test]
    fn every_sample_is_written() {
        let mut sample = Sample::new(Keep::ALL);
        let process = sample.process;
        let mut threads = vec![sample.thread];
        threads.extend(
            (1..9).map(|tid| sample.recording.add_thread(Thread { process, tid, name: None })),
        );
        let mut random = Random::new(7);
        let stacks: Vec<StackId> =
            (0..5).map(|n| sample.stack(&["main", &format!("f{n}")])).collect();
        for tick in 0..2000 {
            sample.recording.begin_tick(tick * 10_000_000);
            for &thread in &threads {
                if random.below(3) > 0 {
                    let stack = stacks[random.below(2 + thread.index() as u64 % 3) as usize];
                    sample.recording.sample(thread, stack, 1);
                }
            }
        }
        let file = write(&mut sample, &Style::default());
        for (profile, &thread) in threads.iter().enumerate() {
            let (stacks, weights) = samples(&file, profile);
            let counted = sample.recording.counts().filter(|&(of, ..)| of == thread);
            let expected: u64 = counted.map(|(_, _, count)| count).sum();
            assert_eq!((stacks.len(), weights.len()), (expected as usize, expected as usize));
        }
    }

    #[test]
    fn threads_are_gathered_in_bounded_groups() {
        let half = RUNS_AT_ONCE / 2;
        let threads = [half, half, 1, 5 * half, 7, half].map(|runs| (ThreadIx(0), runs));
        assert_eq!(groups(&threads), [0..2, 2..3, 3..4, 4..6]);
        assert!(groups(&[]).is_empty());
    }
}
