//! A snapshot as JSON, in the shape that scripts know.

use super::deadlock::Deadlock;
use super::snapshot::Snapshot;
use super::waits::WaitView;
use cpython::value::{ArgumentKind, Kind, Storage, Value, Variable};
use remote::core::Signal;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{Formatter, PrettyFormatter};
use std::io::{self, Write};

/// A process further down than this is shown with so many of those that it comes from.
const MAX_ANCESTORS: usize = 50;

#[derive(Serialize)]
struct ThreadJson<'a> {
    pid: i32,
    thread_id: u64,
    thread_name: Option<&'a str>,
    os_thread_id: Option<i32>,
    active: bool,
    owns_gil: bool,
    collects_garbage: bool,
    waits_for: Option<&'a WaitView>,
    /// The threads of the circle that it is in or behind, by their `os_thread_id`.
    deadlock: Option<DeadlockJson>,
    frames: Vec<FrameJson<'a>>,
    /// With `--subprocesses`: the process and what it comes from.
    process_info: Option<&'a ProcessJson<'a>>,
    /// What ended the process of a core file, for the thread that it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<SignalJson>,
}

#[derive(Serialize)]
struct ProcessJson<'a> {
    pid: i32,
    command_line: &'a str,
    /// The parent, or, where that has ended, one that came before.
    parent: Option<Box<ProcessJson<'a>>>,
}

impl ProcessJson<'_> {
    fn of(snapshot: &Snapshot) -> Option<ProcessJson<'_>> {
        let ancestors = &snapshot.lineage.as_ref()?.ancestors;
        // Readers of JSON do not nest without end.
        let ancestors = ancestors.get(..ancestors.len().min(MAX_ANCESTORS)).unwrap_or_default();
        let parent = ancestors.iter().rev().fold(None, |parent, ancestor| {
            let (pid, command_line) = (ancestor.pid, ancestor.command.as_str());
            Some(Box::new(ProcessJson { pid, command_line, parent }))
        });
        Some(ProcessJson { pid: snapshot.pid, command_line: &snapshot.command, parent })
    }
}

#[derive(Serialize)]
struct SignalJson {
    number: i32,
    name: String,
    /// `si_code`, and what it means.
    code: i32,
    reason: Option<&'static str>,
    address: Option<u64>,
    /// The process that sent it.
    sender_pid: Option<i32>,
}

impl SignalJson {
    fn new(signal: &Signal) -> SignalJson {
        SignalJson {
            number: signal.number,
            name: signal.name(),
            code: signal.code,
            reason: signal.reason(),
            address: signal.address,
            sender_pid: signal.sender.map(|(pid, _)| pid),
        }
    }
}

#[derive(Serialize)]
struct DeadlockJson {
    /// Each waits for the next, the last for the first.
    threads: Vec<Option<i32>>,
    /// It is one of them itself.
    member: bool,
}

impl DeadlockJson {
    fn of(snapshot: &Snapshot, index: usize) -> Option<DeadlockJson> {
        let own = |deadlock: &&Deadlock| {
            deadlock.circle.contains(&index) || deadlock.behind.contains(&index)
        };
        let deadlock = snapshot.deadlocks.iter().find(own)?;
        let tid = |index: &usize| snapshot.threads.get(*index).and_then(|thread| thread.tid);
        Some(DeadlockJson {
            threads: deadlock.circle.iter().map(tid).collect(),
            member: deadlock.circle.contains(&index),
        })
    }
}

#[derive(Serialize)]
struct FrameJson<'a> {
    name: &'a str,
    filename: &'a str,
    /// The library of a native frame; Python frames have none.
    module: Option<&'a str>,
    short_filename: &'a str,
    line: u32,
    /// Bytes from the start of the line, as `co_positions()` counts.
    column: Option<u32>,
    end_line: Option<u32>,
    end_column: Option<u32>,
    /// `None` where they were not asked for.
    locals: Option<Vec<LocalJson<'a>>>,
}

#[derive(Serialize)]
struct LocalJson<'a> {
    name: &'a str,
    addr: u64,
    arg: bool,
    repr: String,
    /// How it is passed, or what else it is.
    kind: &'static str,
    /// Where its value is.
    storage: &'static str,
    value: &'a Value,
}

impl LocalJson<'_> {
    fn new(variable: &Variable, chars: usize) -> LocalJson<'_> {
        LocalJson {
            name: &variable.name,
            addr: variable.address,
            arg: matches!(variable.kind, Kind::Argument(_)),
            repr: variable.value.repr(chars),
            kind: match variable.kind {
                Kind::Argument(ArgumentKind::PositionalOnly) => "positional_only",
                Kind::Argument(ArgumentKind::Positional) => "positional",
                Kind::Argument(ArgumentKind::KeywordOnly) => "keyword_only",
                Kind::Argument(ArgumentKind::VarArgs) => "var_args",
                Kind::Argument(ArgumentKind::VarKeywords) => "var_keywords",
                Kind::Local => "local",
                Kind::Name => "name",
            },
            storage: match variable.storage {
                Storage::Frame => "frame",
                Storage::Cell => "cell",
                Storage::Free => "free",
                Storage::Dict => "dict",
            },
            value: &variable.value,
        }
    }
}

/// Writes an array of all threads of all `snapshots`.
pub fn write(snapshots: &[Snapshot], out: &mut dyn Write) -> io::Result<()> {
    let processes: Vec<Option<ProcessJson>> = snapshots.iter().map(ProcessJson::of).collect();
    let mut threads = Vec::new();
    for (snapshot, process) in snapshots.iter().zip(&processes) {
        let signal = snapshot.core.as_ref().and_then(|core| core.signal.as_ref());
        for (index, thread) in snapshot.threads.iter().enumerate() {
            threads.push(ThreadJson {
                pid: snapshot.pid,
                thread_id: thread.pthread_id,
                thread_name: thread.name.as_deref(),
                os_thread_id: thread.tid,
                active: thread.active,
                owns_gil: thread.gil,
                collects_garbage: thread.collects,
                waits_for: thread.waits_for.as_ref(),
                deadlock: DeadlockJson::of(snapshot, index),
                frames: thread
                    .frames
                    .iter()
                    .map(|frame| FrameJson {
                        name: &frame.name,
                        filename: &frame.filename,
                        module: frame.module.as_deref(),
                        short_filename: &frame.short_filename,
                        line: frame.position.line,
                        column: frame.position.column,
                        end_line: frame.position.end_line,
                        end_column: frame.position.end_column,
                        locals: frame.locals.as_ref().map(|locals| {
                            let local = |variable| LocalJson::new(variable, snapshot.chars);
                            locals.iter().map(local).collect()
                        }),
                    })
                    .collect(),
                process_info: process.as_ref(),
                signal: thread.crashed.then_some(signal).flatten().map(SignalJson::new),
            });
        }
    }
    let mut to = Serializer::with_formatter(&mut *out, Escaping(PrettyFormatter::new()));
    threads.serialize(&mut to)?;
    writeln!(out)
}

/// JSON must escape only the first 32 control characters; a terminal obeys others too.
struct Escaping<'a>(PrettyFormatter<'a>);

fn is_unsafe(c: char) -> bool {
    // Controls, line separators, and what changes the direction of writing.
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Formatter for Escaping<'_> {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_unsafe) {
            let (safe, tail) = rest.split_at(at);
            let mut chars = tail.chars();
            let code = chars.next().map_or(0, u32::from);
            write!(out, "{safe}\\u{code:04x}")?;
            rest = chars.as_str();
        }
        out.write_all(rest.as_bytes())
    }

    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}
