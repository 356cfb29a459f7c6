//! How frames, threads and processes are put into words.

use std::collections::HashSet;
use std::fmt;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::{FrameId, GraphStyle, Process, Recording, Thread};

/// Which line a frame is shown with, and so what is one frame and what are several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines {
    /// The line that was running.
    #[default]
    Line,
    /// The first line of the function.
    FunctionFirstLine,
    /// None.
    NoLine,
}

/// What the reader wants to see, whatever the format.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Style {
    /// Which line a frame is shown with.
    pub lines: Lines,
    /// Whole paths rather than short ones.
    pub full_filenames: bool,
    /// A frame for the thread at the root of each stack. Formats that separate threads anyway
    /// ignore it.
    pub show_threads: bool,
    /// A frame for the process, and one for each of its ancestors, at the root of each stack.
    /// Formats that separate processes anyway ignore it.
    pub show_processes: bool,
    /// The title of the profile; the command line if not given.
    pub title: Option<String>,
    /// How flame graphs are drawn.
    pub graph: GraphStyle,
}

impl Style {
    /// The title of the profile.
    pub fn title<'a>(&'a self, recording: &'a Recording) -> &'a str {
        let title = self.title.as_deref().unwrap_or(&recording.meta().command);
        if title.trim().is_empty() { "py-spy" } else { title }
    }

    /// A frame as this style shows it.
    pub fn frame<'a>(&self, recording: &'a Recording, frame: FrameId) -> FrameView<'a> {
        let key = recording.frame(frame);
        let name = recording.string(key.name);
        FrameView {
            name: if name.is_empty() { "<unnamed>" } else { name },
            file: recording.string(if self.full_filenames { key.file } else { key.short_file }),
            line: match self.lines {
                Lines::Line => key.line,
                Lines::FunctionFirstLine => key.first_line,
                Lines::NoLine => 0,
            },
        }
    }
}

/// A frame as it is shown. Frames that look alike are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameView<'a> {
    /// The function, never empty.
    pub name: &'a str,
    /// The file; may be empty.
    pub file: &'a str,
    /// The line, counted from 1; 0 is none.
    pub line: u32,
}

impl fmt::Display for FrameView<'_> {
    /// `name (file:line)`, as far as there is a file and a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file, self.line) {
            ("", _) => write!(f, "{}", self.name),
            (file, 0) => write!(f, "{} ({file})", self.name),
            (file, line) => write!(f, "{} ({file}:{line})", self.name),
        }
    }
}

/// All frames of a recording as a style shows them, each view once.
pub(crate) struct FrameTable<'a> {
    /// The views, each with the first frame that looks like it.
    views: IndexMap<FrameView<'a>, FrameId, FxBuildHasher>,
    /// For each frame, the index of its view.
    view_of: Vec<u32>,
}

impl<'a> FrameTable<'a> {
    pub(crate) fn new(recording: &'a Recording, style: &Style) -> FrameTable<'a> {
        let mut views: IndexMap<_, _, _> = IndexMap::default();
        let mut view_of = Vec::with_capacity(recording.frames().len());
        for id in (0..recording.frames().len() as u32).map(FrameId) {
            let entry = views.entry(style.frame(recording, id));
            view_of.push(entry.index() as u32);
            entry.or_insert(id);
        }
        FrameTable { views, view_of }
    }

    /// The index of a frame's view.
    pub(crate) fn index(&self, frame: FrameId) -> u32 {
        self.view_of[frame.index()]
    }

    /// All views in the order of their indexes, each with the first frame that looks like it.
    pub(crate) fn views(&self) -> impl ExactSizeIterator<Item = (&FrameView<'a>, FrameId)> {
        self.views.iter().map(|(view, &frame)| (view, frame))
    }
}

/// More of a command line is not shown with every stack: programs may be given as arguments, and
/// then it would outweigh all else.
const MAX_COMMAND: usize = 400;

/// A command line, as far as it is shown.
pub(crate) fn short_command(process: &Process) -> String {
    let command = &process.cmdline;
    match command.char_indices().nth(MAX_COMMAND) {
        Some((cut, _)) => format!("{}...", &command[..cut]),
        None => command.clone(),
    }
}

/// The root frame that stands for a process.
pub(crate) fn process_label(process: &Process) -> String {
    format!("process {}:\"{}\"", process.pid, short_command(process))
}

/// The ids that several processes have, one after another: one that becomes another program is
/// two of them.
pub(crate) fn shared_pids(recording: &Recording) -> HashSet<i32> {
    let mut seen = HashSet::new();
    let pids = recording.processes().map(|(_, process)| process.pid);
    pids.filter(|pid| !seen.insert(*pid)).collect()
}

/// The root frame that stands for a thread.
pub(crate) fn thread_label(thread: &Thread) -> String {
    match &thread.name {
        Some(name) => format!("thread ({}): {name}", thread.tid),
        None => format!("thread ({})", thread.tid),
    }
}
