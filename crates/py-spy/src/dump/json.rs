//! A snapshot as JSON, in the shape that scripts know.

use super::snapshot::Snapshot;
use cpython::value::{ArgumentKind, Kind, Storage, Value, Variable};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
struct ThreadJson<'a> {
    pid: i32,
    thread_id: u64,
    thread_name: Option<&'a str>,
    os_thread_id: Option<i32>,
    active: bool,
    owns_gil: bool,
    frames: Vec<FrameJson<'a>>,
    process_info: Option<()>,
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
    let mut threads = Vec::new();
    for snapshot in snapshots {
        for thread in &snapshot.threads {
            threads.push(ThreadJson {
                pid: snapshot.pid,
                thread_id: thread.pthread_id,
                thread_name: thread.name.as_deref(),
                os_thread_id: thread.tid,
                active: thread.active,
                owns_gil: thread.gil,
                frames: thread
                    .frames
                    .iter()
                    .map(|frame| FrameJson {
                        name: &frame.name,
                        filename: &frame.filename,
                        module: None,
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
                process_info: None,
            });
        }
    }
    serde_json::to_writer_pretty(&mut *out, &threads)?;
    writeln!(out)
}
