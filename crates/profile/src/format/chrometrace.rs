//! Trace events, for `chrome://tracing` and <https://ui.perfetto.dev>.
//!
//! Format: "Trace Event Format", JSON array form. Each frame is a pair of `B` and `E` events on the
//! true timeline, in microseconds since recording began. A frame lasts from the tick it is first
//! seen at to the tick it is no longer seen at.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use serde_json::json;

use super::{About, timeline};
use crate::render::{FrameTable, shared_pids, short_command};
use crate::{Event, Format, Recording, StackId, Style, ThreadIx};

/// After so many intervals without a tick nobody knows what the threads did: their frames end one
/// interval after the last tick, and begin again at the next. (Ticks may be spread at random, so
/// two or three intervals are nothing unusual.)
const GAP_INTERVALS: f64 = 5.0;

pub(super) struct Chrometrace;

impl Format for Chrometrace {
    fn write(&self, recording: &Recording, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let mut trace = Trace::new(recording, style, BufWriter::new(out));
        trace.write_metadata(style)?;
        for event in timeline(recording)? {
            match event {
                Event::Tick { time_us } => trace.tick(time_us)?,
                Event::Run { thread, stack, .. } => trace.change(thread, Some(stack)),
                Event::Idle { thread } => trace.change(thread, None),
            }
        }
        trace.finish()
    }

    fn needs_timeline(&self) -> bool {
        true
    }

    fn extension(&self) -> &'static str {
        "json"
    }
}

/// What is drawn of a thread at the moment.
#[derive(Clone, Default)]
struct Lane {
    /// What the timeline says the thread runs.
    stack: Option<StackId>,
    /// The views of the frames that are begun and not ended, outermost first.
    open: Vec<u32>,
}

struct Trace<'a, W> {
    recording: &'a Recording,
    frames: FrameTable<'a>,
    /// The views' texts as JSON: the name, and the arguments.
    names: Vec<(String, String)>,
    out: W,
    lanes: Vec<Lane>,
    /// The threads to be brought up to date at `now`.
    changed: Vec<ThreadIx>,
    /// The time of the current tick, in microseconds.
    now: Option<u64>,
    interval_us: u64,
    gap_us: u64,
    events: u64,
    path: Vec<u32>,
}

impl<'a, W: Write> Trace<'a, W> {
    fn new(recording: &'a Recording, style: &Style, out: W) -> Trace<'a, W> {
        let frames = FrameTable::new(recording, style);
        let names = frames
            .views()
            .map(|(view, _)| {
                let mut args = json!({ "filename": view.file });
                if view.line > 0 {
                    args["line"] = view.line.into();
                }
                (json!(view.name).to_string(), args.to_string())
            })
            .collect();
        let interval_us = recording.meta().interval() * 1e6;
        Trace {
            recording,
            frames,
            names,
            out,
            lanes: vec![Lane::default(); recording.threads().len()],
            changed: Vec::new(),
            now: None,
            interval_us: (interval_us as u64).max(1),
            gap_us: ((interval_us * GAP_INTERVALS) as u64).max(1),
            events: 0,
            path: Vec::new(),
        }
    }

    /// The names of processes and threads, and the facts about the run.
    fn write_metadata(&mut self, style: &Style) -> io::Result<()> {
        let metadata = |name: &str, pid: i32, tid: u64, args: serde_json::Value| json!({ "ph": "M", "cat": "py-spy", "name": name, "pid": pid, "tid": tid, "ts": 0, "args": args });
        let recording = self.recording;
        let first = recording.processes().next().map_or(0, |(_, process)| process.pid);
        let mut about = serde_json::to_value(About::new(recording))?;
        about["title"] = style.title(recording).into();
        self.event(&metadata("py-spy", first, 0, about).to_string())?;
        let shared = shared_pids(recording);
        let mut lives: HashMap<i32, Vec<String>> = HashMap::new();
        for (ix, process) in recording.processes() {
            let mut name = process.cmdline.clone();
            if shared.contains(&process.pid) {
                // Viewers have one name for each id. Some programs execute themselves for ever.
                const MAX_LIVES: usize = 8;
                let lives = lives.entry(process.pid).or_default();
                if lives.len() < MAX_LIVES {
                    lives.push(short_command(process));
                }
                name = lives.join(", then ");
            }
            let args = json!({ "name": name });
            self.event(&metadata("process_name", process.pid, 0, args).to_string())?;
            let args = json!({ "sort_index": ix.index() });
            self.event(&metadata("process_sort_index", process.pid, 0, args).to_string())?;
        }
        for (_, thread) in recording.threads() {
            let pid = recording.process(thread.process).pid;
            let name = thread.name.clone().unwrap_or_else(|| format!("Thread {}", thread.tid));
            let args = json!({ "name": name });
            self.event(&metadata("thread_name", pid, thread.tid, args).to_string())?;
        }
        Ok(())
    }

    fn tick(&mut self, time: u64) -> io::Result<()> {
        self.settle()?;
        if let Some(last) = self.now
            && time - last > self.gap_us
        {
            self.close_all(last.saturating_add(self.interval_us))?;
        }
        self.now = Some(time);
        Ok(())
    }

    fn change(&mut self, thread: ThreadIx, stack: Option<StackId>) {
        self.lanes[thread.index()].stack = stack;
        self.changed.push(thread);
    }

    /// Draws the changes of the current tick. What ends comes first: a new thread may have the id
    /// of one that is gone.
    fn settle(&mut self) -> io::Result<()> {
        let Some(now) = self.now else { return Ok(()) };
        let mut changed = std::mem::take(&mut self.changed);
        for &thread in &changed {
            if self.lanes[thread.index()].stack.is_none() {
                self.draw(thread, now)?;
            }
        }
        for &thread in &changed {
            self.draw(thread, now)?;
        }
        changed.clear();
        self.changed = changed;
        Ok(())
    }

    /// Makes the open frames of a thread those of its stack.
    fn draw(&mut self, thread: ThreadIx, at: u64) -> io::Result<()> {
        self.path.clear();
        if let Some(stack) = self.lanes[thread.index()].stack {
            let frames = self.recording.stack_frames(stack);
            self.path.extend(frames.map(|frame| self.frames.index(frame)));
            self.path.reverse();
        }
        let path = std::mem::take(&mut self.path);
        let open = self.lanes[thread.index()].open.iter();
        let same = path.iter().zip(open).take_while(|(new, old)| new == old).count();
        self.close(thread, same, at)?;
        for &view in &path[same..] {
            self.begin(thread, view, at)?;
        }
        self.path = path;
        Ok(())
    }

    /// Ends every frame. The threads that still run are to be drawn anew.
    fn close_all(&mut self, at: u64) -> io::Result<()> {
        for index in 0..self.lanes.len() {
            let thread = ThreadIx(index as u32);
            if self.lanes[index].stack.is_some() {
                self.close(thread, 0, at)?;
                self.changed.push(thread);
            }
        }
        Ok(())
    }

    /// Ends a thread's frames, innermost first, down to `depth`.
    fn close(&mut self, thread: ThreadIx, depth: usize, at: u64) -> io::Result<()> {
        while self.lanes[thread.index()].open.len() > depth {
            let Some(view) = self.lanes[thread.index()].open.pop() else { break };
            let (pid, tid) = self.ids(thread);
            let (name, _) = &self.names[view as usize];
            let event = format!(
                "{{\"ph\":\"E\",\"cat\":\"py-spy\",\"name\":{name},\"pid\":{pid},\"tid\":{tid},\"ts\":{at}}}"
            );
            self.event(&event)?;
        }
        Ok(())
    }

    fn begin(&mut self, thread: ThreadIx, view: u32, at: u64) -> io::Result<()> {
        let (pid, tid) = self.ids(thread);
        let (name, args) = &self.names[view as usize];
        let event = format!(
            "{{\"ph\":\"B\",\"cat\":\"py-spy\",\"name\":{name},\"pid\":{pid},\"tid\":{tid},\"ts\":{at},\"args\":{args}}}"
        );
        self.lanes[thread.index()].open.push(view);
        self.event(&event)
    }

    fn ids(&self, thread: ThreadIx) -> (i32, u64) {
        let thread = self.recording.thread(thread);
        (self.recording.process(thread.process).pid, thread.tid)
    }

    fn event(&mut self, json: &str) -> io::Result<()> {
        self.out.write_all(if self.events == 0 { b"[\n" } else { b",\n" })?;
        self.events += 1;
        self.out.write_all(json.as_bytes())
    }

    fn finish(mut self) -> io::Result<()> {
        self.settle()?;
        if let Some(last) = self.now {
            let end = self.recording.duration_ns() / 1000;
            let known = end > last && end - last <= self.gap_us;
            self.close_all(if known { end } else { last.saturating_add(self.interval_us) })?;
        }
        self.out.write_all(b"\n]\n")?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::Value;

    use super::*;
    use crate::testing::{Random, Sample};
    use crate::{FormatKind, Keep, Lines, Process, Thread};

    fn write(sample: &mut Sample, style: &Style) -> Vec<Value> {
        serde_json::from_str(&sample.write(FormatKind::Chrometrace, style)).unwrap()
    }

    /// The begin and end events as (phase, name, microseconds).
    fn spans(events: &[Value]) -> Vec<(&str, &str, u64)> {
        let spans = events.iter().filter(|event| event["ph"] != "M");
        let text =
            |value: &'_ Value| value.as_str().map(str::to_owned).unwrap_or_default().leak() as &str;
        spans
            .map(|event| (text(&event["ph"]), text(&event["name"]), event["ts"].as_u64().unwrap()))
            .collect()
    }

    #[test]
    fn frames_last_as_long_as_they_are_seen() {
        let mut sample = Sample::new(Keep::ALL);
        sample.tick(&["main", "a"]);
        sample.tick(&["main", "a"]);
        sample.tick(&["main", "b"]);
        sample.recording.begin_tick(30_000_000);
        sample.tick(&["main"]);
        let events = write(&mut sample, &Style::default());
        let expected = [
            ("B", "main", 0),
            ("B", "a", 0),
            ("E", "a", 20_000),
            ("B", "b", 20_000),
            ("E", "b", 30_000),
            ("E", "main", 30_000),
            ("B", "main", 40_000),
            ("E", "main", 50_000),
        ];
        assert_eq!(spans(&events), expected);
        let begin = events.iter().find(|event| event["ph"] == "B").unwrap();
        assert_eq!(begin["args"], json!({ "filename": "app.py", "line": 1 }));
        assert_eq!((&begin["pid"], &begin["tid"]), (&json!(10), &json!(10)));
    }

    #[test]
    fn a_gap_is_nobodys_time() {
        let mut sample = Sample::new(Keep::ALL);
        let stack = sample.stack(&["f"]);
        for time_ms in [0, 10, 500, 510] {
            sample.recording.begin_tick(time_ms * 1_000_000);
            sample.recording.sample(sample.thread, stack, 1);
        }
        sample.recording.finish(2_000_000_000);
        let events = write(&mut sample, &Style::default());
        let expected =
            [("B", "f", 0), ("E", "f", 20_000), ("B", "f", 500_000), ("E", "f", 520_000)];
        assert_eq!(spans(&events), expected);
    }

    #[test]
    fn another_line_of_the_same_function_goes_on_if_lines_do_not_matter() {
        let mut sample = Sample::new(Keep::ALL);
        sample.tick(&["f:1"]);
        sample.tick(&["f:2"]);
        assert_eq!(spans(&write(&mut sample, &Style::default())).len(), 4);
        let style = Style { lines: Lines::NoLine, ..Style::default() };
        let events = write(&mut sample, &style);
        assert_eq!(spans(&events), [("B", "f", 0), ("E", "f", 20_000)]);
    }

    #[test]
    fn processes_and_threads_are_named() {
        let mut sample = Sample::new(Keep::ALL);
        let events = write(&mut sample, &Style::default());
        let named = |kind: &str| events.iter().find(|event| event["name"] == kind).unwrap();
        assert_eq!(named("process_name")["args"]["name"], "python3 app.py");
        assert_eq!(named("thread_name")["args"]["name"], "MainThread");
        assert_eq!(named("py-spy")["args"]["quality"]["samples"], 0);
    }

    #[test]
    fn a_thread_id_can_be_used_again() {
        let mut sample = Sample::new(Keep::ALL);
        let (process, name) = (sample.process, None);
        let heir = sample.recording.add_thread(Thread { process, tid: 10, name });
        sample.tick(&["old"]);
        let stack = sample.stack(&["new"]);
        sample.recording.begin_tick(10_000_000);
        sample.recording.sample(heir, stack, 1);
        let events = write(&mut sample, &Style::default());
        let expected =
            [("B", "old", 0), ("E", "old", 10_000), ("B", "new", 10_000), ("E", "new", 20_000)];
        assert_eq!(spans(&events), expected);
    }

    /// Whatever is recorded: events are in the order of time, every end has its begin in the same
    /// thread, nothing stays open, and a thread that is idle at a tick is drawn as idle there.
    #[test]
    fn random_recordings_nest() {
        for seed in 1..60 {
            let mut random = Random::new(seed);
            let mut sample = Sample::new(Keep::ALL);
            let parent = Some(sample.process);
            let child = Process { pid: 11, parent, cmdline: "child".to_string() };
            let child = sample.recording.add_process(child);
            let mut threads = vec![sample.thread];
            for tid in 20..24 {
                let process = if tid % 2 == 0 { child } else { sample.process };
                threads.push(sample.recording.add_thread(Thread { process, tid, name: None }));
            }
            let mut time_us = 0;
            let mut truth: HashMap<(u64, u64), Vec<String>> = HashMap::new();
            for _ in 0..200 {
                time_us += match random.below(20) {
                    0 => 300_000,
                    _ => 1 + random.below(25_000),
                };
                sample.recording.begin_tick(time_us * 1000);
                for &thread in &threads {
                    let depth = random.below(6);
                    let names: Vec<String> =
                        (0..depth).map(|_| format!("f{}", random.below(2))).collect();
                    let tid = sample.recording.thread(thread).tid;
                    truth.insert((tid, time_us), names.clone());
                    if depth > 0 {
                        let names: Vec<&str> = names.iter().map(String::as_str).collect();
                        let stack = sample.stack(&names);
                        sample.recording.sample(thread, stack, 1);
                    }
                }
            }
            let events = write(&mut sample, &Style::default());

            let mut open: HashMap<(i64, u64), Vec<String>> = HashMap::new();
            let mut last = 0;
            let mut times: Vec<u64> = truth.keys().map(|&(_, time)| time).collect();
            times.sort_unstable();
            times.dedup();
            let mut times = times.into_iter().peekable();
            let check = |open: &HashMap<(i64, u64), Vec<String>>, time: u64| {
                for &thread in &threads {
                    let tid = sample.recording.thread(thread).tid;
                    let drawn = open.iter().find(|((_, of), _)| *of == tid);
                    let drawn = drawn.map(|(_, names)| names.clone()).unwrap_or_default();
                    assert_eq!(drawn, truth[&(tid, time)], "seed {seed}, thread {tid} at {time}");
                }
            };
            for event in events.iter().filter(|event| event["ph"] != "M") {
                let time = event["ts"].as_u64().unwrap();
                assert!(time >= last);
                last = time;
                while let Some(tick) = times.next_if(|&tick| tick < time) {
                    check(&open, tick);
                }
                let key = (event["pid"].as_i64().unwrap(), event["tid"].as_u64().unwrap());
                let lane = open.entry(key).or_default();
                let name = event["name"].as_str().unwrap().to_string();
                match event["ph"].as_str().unwrap() {
                    "B" => lane.push(name),
                    "E" => assert_eq!(lane.pop(), Some(name)),
                    other => panic!("phase {other}"),
                }
            }
            assert!(times.next().is_none_or(|tick| tick >= last));
            assert!(open.values().all(Vec::is_empty));
        }
    }
}
