//! What a recording is made of: ids, frames, processes, threads and the facts about the run.

use serde::Serialize;

use crate::{FormatKind, Style};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Only meaningful in the recording that gave it out.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// The id as a dense index, counted from 0.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id! {
    /// An interned string. The default is the empty string.
    StringId
}
id! {
    /// An interned frame.
    FrameId
}
id! {
    /// An interned stack: a node of the trie whose path from the root is the stack, outermost frame
    /// first.
    StackId
}
id! {
    /// A process of the recording.
    ProcessIx
}
id! {
    /// A thread of the recording.
    ThreadIx
}

impl StackId {
    /// The empty stack, the root of the trie.
    pub const ROOT: StackId = StackId(0);
}

/// What runs in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameKind {
    /// A Python function.
    #[default]
    Python,
    /// A Cython function, shown with its line in the `.pyx` file.
    Cython,
    /// A function of a native library or program.
    Native,
    /// No function: something the sampler wants to show in the stack, such as a running garbage
    /// collection.
    Marker,
}

/// A frame, as it is interned: equal keys are the same frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FrameKey {
    /// The function's (qualified) name.
    pub name: StringId,
    /// The whole path of the source file, or of the library for native frames; may be empty.
    pub file: StringId,
    /// The path people want to read: the part that names the module.
    pub short_file: StringId,
    /// The Python module or native library, where known.
    pub module: Option<StringId>,
    /// The line that was running, counted from 1; 0 is unknown.
    pub line: u32,
    /// The first line of the function, counted from 1; 0 is unknown.
    pub first_line: u32,
    /// What runs in the frame.
    pub kind: FrameKind,
}

/// A process that was sampled, or an ancestor of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The operating system's id.
    pub pid: i32,
    /// The process that started it, if that one is part of the recording.
    pub parent: Option<ProcessIx>,
    /// The command line, as one string.
    pub cmdline: String,
}

/// A thread that was sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The process it belongs to.
    pub process: ProcessIx,
    /// The operating system's thread id, or the pthread id where that is all there is.
    pub tid: u64,
    /// The name Python knows it by.
    pub name: Option<String>,
}

/// The unit of a sample's weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightUnit {
    /// How many sampling instants the sample stands for; 1 but for special purposes.
    #[default]
    Samples,
    /// Nanoseconds of CPU time.
    Nanoseconds,
}

/// What is known about a run before its first sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Meta {
    /// What was profiled: the command line, mostly. The title of what is drawn.
    pub command: String,
    /// When recording began, in seconds since the Unix epoch.
    pub start_time: f64,
    /// The sampling rate asked for, in samples per second and thread. A rate that is no positive
    /// number is treated as 1.
    pub rate: f64,
    /// The version of the Python that was profiled, such as `3.13.0`.
    pub python_version: String,
    /// The version of this tool.
    pub tool_version: String,
    /// What the weights count.
    pub unit: WeightUnit,
}

impl Meta {
    /// The time from one sample to the next, in seconds, by the rate asked for.
    pub fn interval(&self) -> f64 {
        if self.rate.is_finite() && self.rate > 0.0 { 1.0 / self.rate } else { 1.0 }
    }
}

/// What a recording has to remember beyond the count of each stack.
///
/// The less, the better it holds up for a week: without either, memory grows only with the number
/// of distinct stacks and processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Which thread ran what when.
    pub timeline: bool,
    /// Which thread a sample belongs to. Otherwise the threads of a process are one: a server that
    /// starts a thread for each request would have millions.
    pub threads: bool,
}

impl Keep {
    /// Everything.
    pub const ALL: Keep = Keep { timeline: true, threads: true };

    /// What is needed to write `formats` in the way `style` asks.
    pub fn needed_for(formats: impl IntoIterator<Item = FormatKind>, style: &Style) -> Keep {
        let timeline = formats.into_iter().any(|kind| kind.format().needs_timeline());
        Keep { timeline, threads: timeline || style.show_threads }
    }
}
