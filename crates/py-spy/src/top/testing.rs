//! A recording to test with, and samples in it.

use super::model::Model;
use super::table::{Grouping, Key};
use crate::fleet::Observed;
use profile::{FrameKey, Keep, Meta, Process, ProcessIx, Recording, StackId, Thread, ThreadIx};

/// Two processes with a thread each, and a second thread in the first.
pub struct Sample {
    pub recording: Recording,
    pub model: Model,
    pub processes: [ProcessIx; 2],
    pub threads: [ThreadIx; 3],
}

impl Sample {
    pub fn new(grouping: Grouping) -> Sample {
        let meta = Meta {
            command: "python app.py".into(),
            python_version: "3.13.0".into(),
            rate: 100.0,
            ..Meta::default()
        };
        let mut recording = Recording::new(meta, Keep::ALL);
        let processes = [70, 80].map(|pid| {
            recording.add_process(Process { pid, parent: None, cmdline: "python app.py".into() })
        });
        let threads = [(0, 70, "MainThread"), (0, 71, "worker"), (1, 80, "MainThread")];
        let threads = threads.map(|(process, tid, name)| {
            let process = processes[process];
            recording.add_thread(Thread { process, tid, name: Some(name.into()) })
        });
        let model = Model::new(profile::WeightUnit::Samples, grouping);
        Sample { recording, model, processes, threads }
    }

    /// The stack of frames such as `name:line`, outermost first; all in `app.py`. A function's
    /// first line is the ten that its line is in.
    pub fn stack(&mut self, frames: &[&str]) -> StackId {
        let mut stack = StackId::ROOT;
        for frame in frames {
            let (name, line) = frame.rsplit_once(':').expect("name:line");
            let line: u32 = line.parse().expect("a number");
            let key = FrameKey {
                name: self.recording.intern_string(name),
                file: self.recording.intern_string("/srv/app.py"),
                short_file: self.recording.intern_string("app.py"),
                line,
                first_line: line / 10 * 10,
                ..FrameKey::default()
            };
            let frame = self.recording.intern_frame(key);
            stack = self.recording.intern_stack(stack, frame);
        }
        stack
    }

    /// The first thread computes with the GIL at `times` instants.
    pub fn run(&mut self, frames: &[&str], times: usize) {
        let stack = self.stack(frames);
        let seen = self.seen(0, stack);
        (0..times).for_each(|_| self.model.observe(&[seen]));
    }

    pub fn seen(&self, thread: usize, stack: StackId) -> Observed {
        let thread = self.threads[thread];
        let about = self.recording.thread(thread);
        let (process, tid) = (about.process, about.tid);
        Observed { process, thread, tid, stack, active: true, gil: true, weight: 1 }
    }

    /// Closes a window of so many milliseconds.
    pub fn close(&mut self, milliseconds: u64) -> bool {
        self.model.close_window(&self.recording, milliseconds * 1_000_000, 0)
    }

    /// The row with this label.
    pub fn key(&self, label: &str) -> Key {
        let table = &self.model.shown().table;
        let keys = table.order(&self.recording, super::table::Column::Own, None);
        let found = keys.into_iter().find(|key| {
            let mut text = String::new();
            table.label(&self.recording, *key, &mut text);
            text == label
        });
        found.unwrap_or_else(|| panic!("no row {label:?}"))
    }

    /// All labels, sorted by `column`, with own and total time of the window and of the run in
    /// milliseconds.
    pub fn rows(&self, column: super::table::Column) -> Vec<(String, [u64; 4])> {
        let table = &self.model.shown().table;
        let keys = table.order(&self.recording, column, None);
        let row = |key: Key| {
            let mut text = String::new();
            table.label(&self.recording, key, &mut text);
            let times = table.find(key).expect("a row").times;
            let numbers = [times.own_now, times.total_now, times.own, times.total];
            (text, numbers.map(|ns| ns / 1_000_000))
        };
        keys.into_iter().map(row).collect()
    }
}
