//! From the sampler's stacks to the recorded profile.

use crate::error::Error;
use crate::sampler::{Entry, NodeId, Options, Sampler};
use crate::source::ShortNames;
use crate::target::Target;
use profile::{
    FrameKey, Keep, Meta, Process, ProcessIx, Recording, StackId, Thread, ThreadIx, WeightUnit,
};
use remote::ReadError;
use remote::os::clock;
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Samples a process into a recording.
pub struct Recorder {
    /// What has been recorded.
    pub recording: Recording,
    sampler: Sampler,
    options: Options,
    keep: Keep,
    process: ProcessIx,
    start_ns: u64,
    /// The recording's stack for each of the sampler's.
    stacks: Vec<Option<StackId>>,
    /// The recording's thread for each thread state and system id.
    threads: FxHashMap<(u64, i32), ThreadIx>,
    names: ShortNames,
}

/// How long a process that replaced its program is given to become a Python again.
const PATIENCE: Duration = Duration::from_secs(2);

impl Recorder {
    /// Starts a recording of what `sampler` sees, `rate` times a second.
    pub fn new(sampler: Sampler, rate: f64, keep: Keep) -> Recorder {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let command = sampler.target.command();
        let mut recording = Recording::new(
            Meta {
                command: command.clone(),
                start_time: now.as_secs_f64(),
                rate,
                python_version: sampler.target.runtime.layout.version.to_string(),
                tool_version: format!("py-spy {}", env!("CARGO_PKG_VERSION")),
                unit: if sampler.options().cpu {
                    WeightUnit::Nanoseconds
                } else {
                    WeightUnit::Samples
                },
            },
            keep,
        );
        let pid = sampler.target.process.pid;
        let process = recording.add_process(Process { pid, parent: None, cmdline: command });
        Recorder {
            recording,
            options: sampler.options(),
            sampler,
            keep,
            process,
            start_ns: clock::now_ns(),
            stacks: Vec::new(),
            threads: FxHashMap::default(),
            names: ShortNames::default(),
        }
    }

    /// Takes one sample, `time_ns` after the start.
    pub fn sample(&mut self, time_ns: u64) -> Result<(), ReadError> {
        self.sampler.sample()?;
        self.recording.begin_tick(time_ns);
        for i in 0..self.sampler.samples().len() {
            let sampled = self.sampler.samples()[i];
            let thread = self.thread(sampled.thread);
            let stack = self.stack(sampled.stack);
            if sampled.weight > 0 {
                self.recording.sample(thread, stack, sampled.weight);
            }
        }
        let counters = &self.sampler.counters;
        let quality = &mut self.recording.quality;
        quality.dropped = counters.dropped;
        quality.torn = counters.torn;
        quality.repaired = counters.repaired;
        quality.retried = counters.retried;
        quality.paused = counters.paused;
        quality.paused_ns = counters.paused_ns;
        Ok(())
    }

    /// False once the process has ended.
    pub fn is_alive(&self) -> bool {
        self.sampler.target.process.is_alive()
    }

    fn thread(&mut self, index: usize) -> ThreadIx {
        let entry = &self.sampler.roster.threads[index];
        let key =
            if self.keep.threads { (entry.state.address, entry.tid.unwrap_or(0)) } else { (0, 0) };
        if let Some(known) = self.threads.get(&key) {
            return *known;
        }
        let thread = self.recording.add_thread(Thread {
            process: self.process,
            tid: thread_id(entry),
            name: entry.name.clone(),
        });
        self.threads.insert(key, thread);
        thread
    }

    /// The recording's stack for one of the sampler's: each step is translated once.
    fn stack(&mut self, node: NodeId) -> StackId {
        let known = |stacks: &[Option<StackId>], node: NodeId| {
            if node == NodeId::ROOT {
                Some(StackId::ROOT)
            } else {
                stacks.get(node.index()).copied().flatten()
            }
        };
        if let Some(stack) = known(&self.stacks, node) {
            return stack;
        }
        let mut path = Vec::new();
        let mut next = node;
        let mut stack = loop {
            match (known(&self.stacks, next), self.sampler.step(next)) {
                (Some(stack), _) => break stack,
                (None, Some((parent, call))) => {
                    path.push((next, call));
                    next = parent;
                }
                (None, None) => break StackId::ROOT,
            }
        };
        for (node, call) in path.into_iter().rev() {
            if !self.sampler.is_shim(call) {
                let frame = self.frame(call);
                let frame = self.recording.intern_frame(frame);
                stack = self.recording.intern_stack(stack, frame);
            }
            if self.stacks.len() <= node.index() {
                self.stacks.resize(node.index() + 1, None);
            }
            self.stacks[node.index()] = Some(stack);
        }
        stack
    }

    fn frame(&mut self, call: crate::sampler::Call) -> FrameKey {
        let layout = &self.sampler.target.runtime.layout;
        let Some(code) = self.sampler.code(call.code) else { return FrameKey::default() };
        let short = self.names.short(&self.sampler.target.process, &code.filename);
        FrameKey {
            name: self.recording.intern_string(&code.name),
            file: self.recording.intern_string(&code.filename),
            short_file: self.recording.intern_string(short),
            line: code.position(layout, call.lasti).line,
            first_line: code.first_line,
            ..FrameKey::default()
        }
    }

    /// After a read that failed for good: the process may have replaced its program. True
    /// if it can be sampled again.
    pub fn recover(&mut self) -> bool {
        let pid = self.sampler.target.process.pid;
        let start = Instant::now();
        while start.elapsed() < PATIENCE && self.sampler.target.process.is_alive() {
            match Target::attach(pid, false).and_then(|target| Sampler::new(target, self.options)) {
                Ok(mut sampler) => {
                    // What was counted goes on being counted; the stacks are new ones.
                    sampler.counters = self.sampler.counters;
                    self.sampler = sampler;
                    self.stacks.clear();
                    self.threads.clear();
                    return true;
                }
                Err(Error::NotPython(..) | Error::NotRunning(..)) => {}
                Err(_) => return false,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Closes the time line at this instant; recording may go on.
    pub fn finish(&mut self) {
        self.recording.finish(clock::now_ns() - self.start_ns);
    }

    /// Tells how the samples came about.
    pub fn report(&self, verbose: u8) {
        let quality = &self.recording.quality;
        eprintln!("py-spy> {quality}");
        if verbose > 0 {
            let paused = quality.paused_ns as f64 / 1e6;
            let share = paused / (self.recording.duration_ns() as f64 / 1e6).max(1e-9) * 100.0;
            eprintln!(
                "py-spy> late: taken more than an interval after their time. missed: intervals without a sample. \
                 dropped: stacks that could not be trusted. torn: copies that caught the program at a change. \
                 retried: stacks that needed more than one read. repaired: stacks told from their innermost frame alone, as one of those seen with it a moment earlier. paused: stacks read with their thread paused, \
                 {paused:.1} ms in all, {share:.2} % of the time; {} pauses failed",
                self.sampler.counters.pause_failed
            );
        }
    }
}

/// The system's id of a thread where it is known, else the pthread id.
fn thread_id(entry: &Entry) -> u64 {
    entry.tid.and_then(|tid| u64::try_from(tid).ok()).unwrap_or(entry.state.pthread_id)
}
