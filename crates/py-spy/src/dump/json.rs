//! A snapshot as JSON, in the shape that scripts know.

use super::snapshot::Snapshot;
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
    locals: Option<()>,
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
                        locals: None,
                    })
                    .collect(),
                process_info: None,
            });
        }
    }
    serde_json::to_writer_pretty(&mut *out, &threads)?;
    writeln!(out)
}
