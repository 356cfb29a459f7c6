//! What `dump` shows of a process, taken before anything is printed.

use crate::error::Error;
use crate::sampler::{Options, Policy, Sampler};
use crate::source::ShortNames;
use crate::target::Target;
use cpython::linetable::Position;
use std::collections::HashMap;

/// One process.
#[derive(Debug)]
pub struct Snapshot {
    /// Its id.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The version of its CPython.
    pub version: String,
    /// The path of its executable.
    pub executable: String,
    /// Its threads, oldest first.
    pub threads: Vec<ThreadView>,
}

/// One thread.
#[derive(Debug)]
pub struct ThreadView {
    /// `pthread_self()`.
    pub pthread_id: u64,
    /// The system's id, where known.
    pub tid: Option<i32>,
    /// Its name.
    pub name: Option<String>,
    /// It computes.
    pub active: bool,
    /// It holds the GIL.
    pub gil: bool,
    /// Innermost first.
    pub frames: Vec<FrameView>,
}

/// One frame.
#[derive(Debug, Clone)]
pub struct FrameView {
    /// Qualified name where there is one.
    pub name: String,
    /// As the code object has it.
    pub filename: String,
    /// Without the folders above its package.
    pub short_filename: String,
    /// Line and columns.
    pub position: Position,
}

/// A dump is one sample: it can wait longer for threads to stop than a recording.
const ATTEMPTS: usize = 5;

impl Snapshot {
    /// Attaches to the process `pid` and reads all its threads once.
    pub fn take(pid: i32, policy: Policy) -> Result<Snapshot, Error> {
        let target = Target::attach(pid, false)?;
        let command = target.command();
        let executable = target.process.exe().unwrap_or_default();
        let version = target.runtime.layout.version.to_string();
        let options = Options {
            policy,
            idle: true,
            gil_only: false,
            cpu: false,
            pause_bound_ns: 100_000_000,
        };
        let mut sampler = Sampler::new(target, options)?;
        if sampler.cannot_pause() {
            eprintln!(
                "py-spy> process {pid} is held by another tracer: it is read without pausing it"
            );
        }
        // A stack that could not be trusted is worth another try here.
        let mut dropped = 0;
        for _ in 0..ATTEMPTS {
            dropped = sampler.counters.dropped;
            sampler.sample().map_err(|error| Error::read(pid, error))?;
            if sampler.counters.dropped == dropped {
                break;
            }
        }
        if sampler.counters.dropped > dropped {
            eprintln!(
                "py-spy> process {pid}: {} of its threads kept changing while they were read, and are shown without frames; try again, or with --blocking",
                sampler.counters.dropped - dropped
            );
        }
        Ok(Snapshot { pid, command, version, executable, threads: threads(&sampler) })
    }
}

fn threads(sampler: &Sampler) -> Vec<ThreadView> {
    let layout = &sampler.target.runtime.layout;
    let mut names = ShortNames::default();
    let mut known: HashMap<crate::sampler::Call, FrameView> = HashMap::new();
    let mut views = Vec::new();
    for (index, entry) in sampler.roster.threads.iter().enumerate() {
        let sample = sampler.samples().iter().find(|sample| sample.thread == index);
        let mut frames = Vec::new();
        for call in sample.iter().flat_map(|sample| sampler.steps(sample.stack)) {
            let view = known.entry(call).or_insert_with(|| {
                let Some(code) = sampler.code(call.code) else {
                    return FrameView {
                        name: "<unknown>".into(),
                        filename: String::new(),
                        short_filename: String::new(),
                        position: Position::default(),
                    };
                };
                FrameView {
                    name: code.name.clone(),
                    filename: code.filename.clone(),
                    short_filename: names.short(&sampler.target.process, &code.filename).to_owned(),
                    position: code.position(layout, call.lasti),
                }
            });
            frames.push(view.clone());
        }
        views.push(ThreadView {
            pthread_id: entry.state.pthread_id,
            tid: entry.tid,
            name: entry.name.clone(),
            active: sample.is_some_and(|sample| sample.active),
            gil: sample.is_some_and(|sample| sample.gil),
            frames,
        });
    }
    views
}
