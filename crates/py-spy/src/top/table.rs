//! The rows: functions, lines or files, with the time that went to each.

use super::model::Place;
use profile::{FrameId, ProcessIx, Recording, StringId};
use regex::Regex;
use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use std::fmt::Write;

/// What a row stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Level {
    /// A function.
    #[default]
    Function,
    /// A line of a function.
    Line,
    /// A source file.
    File,
}

impl Level {
    /// The next one, in a circle.
    pub fn next(self) -> Level {
        match self {
            Level::Function => Level::Line,
            Level::Line => Level::File,
            Level::File => Level::Function,
        }
    }
}

/// What rows there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grouping {
    /// What each stands for.
    pub level: Level,
    /// A row for each process, instead of one for all.
    pub by_process: bool,
    /// Whole paths instead of short ones.
    pub full_filenames: bool,
}

impl Grouping {
    /// The row that a frame belongs to.
    pub fn key(self, recording: &Recording, process: ProcessIx, frame: FrameId) -> Key {
        let frame = recording.frame(frame);
        let file = if self.full_filenames { frame.file } else { frame.short_file };
        let (name, line) = match self.level {
            Level::Function => (frame.name, frame.first_line),
            Level::Line => (frame.name, frame.line),
            Level::File => (StringId::default(), 0),
        };
        Key { process: self.by_process.then_some(process), name, file, line }
    }
}

/// What makes a row another one than the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The process, where they are told apart.
    pub process: Option<ProcessIx>,
    /// The function; empty for files.
    pub name: StringId,
    /// The file.
    pub file: StringId,
    /// The line, or the function's first one; 0 is none.
    pub line: u32,
}

/// A row's numbers, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// In the last window, at the top of the stack.
    pub own_now: u64,
    /// In the last window, anywhere in the stack.
    pub total_now: u64,
    /// In the whole run, at the top of the stack.
    pub own: u64,
    /// In the whole run, anywhere in the stack.
    pub total: u64,
}

/// The columns that can be sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Column {
    /// `%Own`.
    #[value(name = "own%", aliases = ["1", "%own", "own-percent"])]
    OwnNow,
    /// `%Total`.
    #[value(name = "total%", aliases = ["2", "%total", "total-percent"])]
    TotalNow,
    /// `OwnTime`.
    #[default]
    #[value(name = "own", aliases = ["3", "owntime", "own-time"])]
    Own,
    /// `TotalTime`.
    #[value(name = "total", aliases = ["4", "totaltime", "total-time"])]
    Total,
}

impl Times {
    fn get(&self, column: Column) -> u64 {
        match column {
            Column::OwnNow => self.own_now,
            Column::TotalNow => self.total_now,
            Column::Own => self.own,
            Column::Total => self.total,
        }
    }

    /// What is compared: the column first, then what is most like it.
    fn rank(&self, column: Column) -> [u64; 4] {
        let rest = match column {
            Column::OwnNow => [Column::Own, Column::TotalNow, Column::Total],
            Column::TotalNow => [Column::Total, Column::OwnNow, Column::Own],
            Column::Own => [Column::OwnNow, Column::Total, Column::TotalNow],
            Column::Total => [Column::TotalNow, Column::Own, Column::OwnNow],
        };
        [self.get(column), self.get(rest[0]), self.get(rest[1]), self.get(rest[2])]
    }
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What it stands for.
    pub key: Key,
    /// Its numbers.
    pub times: Times,
    /// The last stack that was counted for it: recursion counts once.
    seen_in: u32,
}

/// All rows. Frames are looked up once each.
#[derive(Debug, Clone, Default)]
pub struct Table {
    grouping: Grouping,
    rows: Vec<Row>,
    by_key: FxHashMap<Key, u32>,
    /// The row of each frame, of each process where they are told apart.
    by_frame: FxHashMap<(ProcessIx, FrameId), u32>,
    /// The first line of the functions of a name and file, and whether they differ in it.
    namesakes: FxHashMap<(StringId, StringId), (u32, bool)>,
    stacks: u32,
}

impl Table {
    /// No rows yet.
    pub fn new(grouping: Grouping) -> Table {
        Table { grouping, ..Table::default() }
    }

    /// What its rows stand for.
    pub fn grouping(&self) -> Grouping {
        self.grouping
    }

    /// The row of a key.
    pub fn find(&self, key: Key) -> Option<&Row> {
        self.rows.get(*self.by_key.get(&key)? as usize)
    }

    /// A new window: the numbers of the last one are gone.
    pub(super) fn begin_window(&mut self) {
        for row in &mut self.rows {
            (row.times.own_now, row.times.total_now) = (0, 0);
        }
    }

    /// Adds times by place, to the numbers of the window, of the run, or of both.
    pub(super) fn add(
        &mut self,
        recording: &Recording,
        times: impl Iterator<Item = (Place, u64)>,
        window: bool,
        run: bool,
    ) {
        for ((process, stack), time) in times {
            self.stacks = self.stacks.wrapping_add(1);
            let mut innermost = true;
            for frame in recording.stack_frames(stack) {
                let at = self.row(recording, process, frame);
                let Some(row) = self.rows.get_mut(at as usize) else { continue };
                let own = if std::mem::take(&mut innermost) { time } else { 0 };
                let total = if row.seen_in == self.stacks { 0 } else { time };
                row.seen_in = self.stacks;
                if window {
                    row.times.own_now = row.times.own_now.saturating_add(own);
                    row.times.total_now = row.times.total_now.saturating_add(total);
                }
                if run {
                    row.times.own = row.times.own.saturating_add(own);
                    row.times.total = row.times.total.saturating_add(total);
                }
            }
        }
    }

    fn row(&mut self, recording: &Recording, process: ProcessIx, frame: FrameId) -> u32 {
        let process = if self.grouping.by_process { process } else { ProcessIx::default() };
        if let Some(known) = self.by_frame.get(&(process, frame)) {
            return *known;
        }
        let key = self.grouping.key(recording, process, frame);
        let new = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let at = *self.by_key.entry(key).or_insert(new);
        if at == new {
            self.rows.push(Row { key, times: Times::default(), seen_in: 0 });
            let named = self.namesakes.entry((key.name, key.file)).or_insert((key.line, false));
            named.1 |= named.0 != key.line;
        }
        self.by_frame.insert((process, frame), at);
        at
    }

    /// The rows whose label fits `filter`, most of `column` first.
    pub fn order(&self, recording: &Recording, column: Column, filter: Option<&Regex>) -> Vec<Key> {
        let mut label = String::new();
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        if let Some(filter) = filter {
            rows.retain(|row| {
                label.clear();
                self.label(recording, row.key, &mut label);
                filter.is_match(&label)
            });
        }
        let text = |key: Key| {
            (recording.string(key.name), recording.string(key.file), key.line, key.process)
        };
        rows.sort_unstable_by(|one, other| {
            match other.times.rank(column).cmp(&one.times.rank(column)) {
                Ordering::Equal => text(one.key).cmp(&text(other.key)),
                order => order,
            }
        });
        rows.into_iter().map(|row| row.key).collect()
    }

    /// Appends what a row is called, safe to be shown: `name (file)`, `name (file:line)` or the
    /// file. Functions of the same name and file are told apart by their first lines.
    pub fn label(&self, recording: &Recording, key: Key, to: &mut String) {
        let [name, file] = [key.name, key.file].map(|id| profile::printable(recording.string(id)));
        let line = match self.grouping.level {
            Level::Line => key.line > 0,
            Level::File => false,
            Level::Function => {
                self.namesakes.get(&(key.name, key.file)).is_some_and(|(_, differ)| *differ)
            }
        };
        // Writing to a string cannot fail.
        let _ = match (self.grouping.level, file.is_empty(), line) {
            (Level::File, true, _) => write!(to, "<no file>"),
            (Level::File, ..) => write!(to, "{file}"),
            (_, true, _) => write!(to, "{}", named(&name)),
            (_, _, true) => write!(to, "{} ({file}:{})", named(&name), key.line),
            (_, _, false) => write!(to, "{} ({file})", named(&name)),
        };
    }
}

fn named(name: &str) -> &str {
    if name.is_empty() { "<unnamed>" } else { name }
}
