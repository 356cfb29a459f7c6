//! What the unit tests share.

use crate::{
    FrameKey, Keep, Meta, Process, ProcessIx, Recording, StackId, Style, Thread, ThreadIx,
    WeightUnit,
};

/// A small, reproducible source of random numbers.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number from 0 to `limit - 1`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % limit.max(1)
    }
}

/// A recording with one process and one thread.
pub(crate) struct Sample {
    pub(crate) recording: Recording,
    pub(crate) process: ProcessIx,
    pub(crate) thread: ThreadIx,
}

impl Sample {
    pub(crate) fn new(keep: Keep) -> Sample {
        let meta = Meta {
            command: "python3 app.py <&>".to_string(),
            start_time: 1.5e9,
            rate: 100.0,
            python_version: "3.13.0".to_string(),
            tool_version: "1.0.0".to_string(),
            unit: WeightUnit::Samples,
        };
        let mut recording = Recording::new(meta, keep);
        let cmdline = "python3 app.py".to_string();
        let process = recording.add_process(Process { pid: 10, parent: None, cmdline });
        let name = Some("MainThread".to_string());
        let thread = recording.add_thread(Thread { process, tid: 10, name });
        Sample { recording, process, thread }
    }

    /// A stack of functions, outermost first. `name:line` gives the line, 1 if there is none; the
    /// function's first line is 1, its file is `/srv/app.py`.
    pub(crate) fn stack(&mut self, functions: &[&str]) -> StackId {
        functions.iter().fold(StackId::ROOT, |stack, function| {
            let (name, line) = function.rsplit_once(':').unwrap_or((function, "1"));
            let frame = FrameKey {
                name: self.recording.intern_string(name),
                file: self.recording.intern_string("/srv/app.py"),
                short_file: self.recording.intern_string("app.py"),
                line: line.parse().unwrap(),
                first_line: 1,
                ..FrameKey::default()
            };
            let frame = self.recording.intern_frame(frame);
            self.recording.intern_stack(stack, frame)
        })
    }

    /// One tick, 10 ms after the one before, in which the only thread runs `functions`.
    pub(crate) fn tick(&mut self, functions: &[&str]) {
        let stack = self.stack(functions);
        let time = self.recording.quality.ticks * 10_000_000;
        self.recording.begin_tick(time);
        self.recording.sample(self.thread, stack, 1);
    }

    pub(crate) fn write(&mut self, kind: crate::FormatKind, style: &Style) -> String {
        let end = self.recording.duration_ns().max(self.recording.quality.ticks * 10_000_000);
        self.recording.finish(end);
        let mut out = Vec::new();
        kind.format().write(&self.recording, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}
