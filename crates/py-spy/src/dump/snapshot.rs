//! What `dump` shows of a process, taken before anything is printed.

use super::deadlock::Deadlock;
use super::tree::Lineage;
use super::values;
use super::waits::{self, Gathered, Known, ThreadRef, WaitView};
use crate::error::Error;
use crate::sampler::{Call, Look, Merged, Options, Policy, Sampler, Scene};
use crate::say::say;
use crate::source::{ShortNames, file_name};
use crate::target::Target;
use cpython::CodeInfo;
use cpython::linetable::Position;
use cpython::value::{Budget, Variable};
use remote::ReadError;
use remote::core::Signal;
use remote::os::{Process, clock};
use std::collections::HashMap;

/// One process.
#[derive(Debug)]
pub struct Snapshot {
    /// Its id.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// What it comes from, where that was asked for.
    pub lineage: Option<Lineage>,
    /// The version of its CPython.
    pub version: String,
    /// The path of its executable.
    pub executable: String,
    /// What a reader must know about how it was read.
    pub notes: Vec<String>,
    /// How many characters of a value are shown.
    pub chars: usize,
    /// A garbage collection is in progress.
    pub collecting: bool,
    /// The core file that this was read from, and what ended the process.
    pub core: Option<CoreView>,
    /// Its threads, oldest first; of a core file, the one that crashed before all others.
    pub threads: Vec<ThreadView>,
    /// Those of its threads that wait for each other.
    pub deadlocks: Vec<Deadlock>,
}

/// The core file that a process left.
#[derive(Debug)]
pub struct CoreView {
    /// Its path.
    pub file: String,
    /// What ended the process; `None` if it was alive.
    pub signal: Option<Signal>,
    /// The thread that the signal was for.
    pub tid: i32,
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
    /// The signal that ended the process was for it.
    pub crashed: bool,
    /// It collects garbage.
    pub collects: bool,
    /// What it waits for, if it does.
    pub waits_for: Option<WaitView>,
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
    /// The library of a native frame.
    pub module: Option<String>,
    /// Line and columns.
    pub position: Position,
    /// Its variables, where they were asked for and could be read.
    pub locals: Option<Vec<Variable>>,
}

/// A dump can wait longer for threads to stop than a recording.
const PAUSE_BOUND_NS: u64 = 100_000_000;
/// To get a processor, on a busy machine.
const ALONE_BOUND_NS: u64 = 2_000_000_000;
/// The process goes on after this, whatever has been read.
const HOLD_BOUND_NS: u64 = 1_000_000_000;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// When threads are paused.
    pub policy: Policy,
    /// How many times `-l` was given.
    pub locals: u8,
    /// The names of methods tell their class where that can be found out.
    pub class_names: bool,
    /// Which native functions are shown.
    pub native: Option<native::Choice>,
    /// Symbols of native functions, for all processes.
    pub library: &'a native::Library,
}

impl Request<'_> {
    fn budget(self) -> Option<Budget> {
        (self.locals > 0).then(|| Budget::level(usize::from(self.locals)))
    }
}

impl Snapshot {
    /// Attaches to the process `pid` and reads all its threads once.
    pub fn take(pid: i32, request: Request) -> Result<Snapshot, Error> {
        Snapshot::of(Target::attach(pid, false)?, request)
    }

    /// Reads all threads of `target` once.
    pub fn of(target: Target, request: Request) -> Result<Snapshot, Error> {
        let pid = target.process.pid;
        let command = target.command();
        let executable = target.process.exe().unwrap_or_default();
        let version = target.runtime.layout.version.to_string();
        let options = Options {
            policy: request.policy,
            idle: true,
            gil_only: false,
            cpu: false,
            class_names: request.class_names,
            native: request.native,
            pause_bound_ns: PAUSE_BOUND_NS,
            alone_bound_ns: ALONE_BOUND_NS,
        };
        let mut sampler = Sampler::new(target, options, request.library)?;
        if sampler.cannot_pause() {
            say(&format!("process {pid} is held by another tracer: it is read without pausing it"));
        }
        let budget = request.budget();
        let look = sampler.inspect(HOLD_BOUND_NS, |scene| find(scene, budget));
        let mut look = look.map_err(|error| Error::read(pid, error))?;
        if look.unclear > 0 {
            say(&format!(
                "process {pid}: {} of its threads kept changing while they were read, and are shown without frames; try again, or with --blocking",
                look.unclear
            ));
        }
        let mut notes = Vec::new();
        if budget.is_some() && !look.still {
            notes.push(
                match request.policy {
                    Policy::NonBlocking => {
                        "read without pausing: values may be of different moments"
                    }
                    _ => "the process went on meanwhile: values may be of different moments",
                }
                .to_owned(),
            );
        }
        if look.found.expired {
            notes.push(
                "not all values were read: that took too long; --nonblocking reads all of them, \
                 while the process goes on"
                    .to_owned(),
            );
        }
        let unmerged = sampler.counters.unmerged;
        if request.native.is_some() && !sampler.shows_natives() {
            notes.push("native functions of 32-bit programs cannot be shown".to_owned());
        } else if unmerged > 0 {
            notes.push(unmerged_note(unmerged));
        }
        let chars = budget.map_or(0, |budget| budget.chars);
        let mut gathered = std::mem::take(&mut look.found.waits);
        gathered.still = look.still;
        let collecting = gathered.collecting;
        let mut threads = threads(&sampler, look);
        let deadlocks = tell_waits(&mut threads, gathered, Some(&sampler.target.process));
        Ok(Snapshot {
            pid,
            command,
            lineage: None,
            version,
            executable,
            notes,
            chars,
            core: None,
            collecting,
            threads,
            deadlocks,
        })
    }
}

/// The threads of a process that goes on, and those of them that wait for each other: for a view
/// that is soon replaced by the next.
pub fn glance(sampler: &mut Sampler) -> Result<(Vec<ThreadView>, Vec<Deadlock>), ReadError> {
    let mut look = sampler.glance(|scene| find(scene, None))?;
    let gathered = std::mem::take(&mut look.found.waits);
    let mut threads = threads(sampler, look);
    let deadlocks = tell_waits(&mut threads, gathered, Some(&sampler.target.process));
    Ok((threads, deadlocks))
}

/// What is read while the process stands still, besides the stacks.
struct Found {
    waits: waits::Gathered,
    /// For each thread that was seen, for each frame.
    locals: Vec<Vec<Option<Vec<Variable>>>>,
    /// There was not enough time.
    expired: bool,
}

fn find(scene: Scene, budget: Option<Budget>) -> Found {
    let memory = &scene.target.process.memory;
    let layout = &scene.target.runtime.layout;
    let expired = || clock::now_ns() > scene.deadline_ns;
    let waits = waits::of_scene(&scene);
    let locals = match budget {
        Some(budget) => {
            let frames: Vec<_> = scene.seen.iter().map(|seen| &seen.frames[..]).collect();
            values::read(memory, layout, &frames, budget, &expired)
        }
        None => Vec::new(),
    };
    Found { waits, locals, expired: budget.is_some() && expired() }
}

/// Puts what was gathered about the threads into words, in the same order.
pub fn tell_waits(
    threads: &mut [ThreadView],
    gathered: Gathered,
    process: Option<&Process>,
) -> Vec<Deadlock> {
    let known: Vec<Known> = threads.iter().map(known).collect();
    let waits = waits::explain(gathered, &known, process);
    for ((thread, wait), collects) in threads.iter_mut().zip(waits.threads).zip(waits.collects) {
        thread.waits_for = wait;
        thread.collects = collects;
    }
    waits.deadlocks
}

/// A thread, as others know it.
fn known(thread: &ThreadView) -> Known {
    let frame = |frame: &FrameView| match frame.position.line {
        0 => format!("{} ({})", frame.name, frame.short_filename),
        line => format!("{} ({}:{line})", frame.name, frame.short_filename),
    };
    Known {
        thread: thread.name_it(),
        gil: thread.gil,
        // They are counted without the native ones.
        frames: thread.frames.iter().filter(|frame| frame.module.is_none()).map(frame).collect(),
    }
}

impl ThreadView {
    /// What it is called.
    pub fn name_it(&self) -> ThreadRef {
        ThreadRef {
            os_thread_id: self.tid,
            thread_id: self.pthread_id,
            thread_name: self.name.clone(),
            ended: false,
        }
    }
}

/// That the native frames of some threads are not all there.
pub fn unmerged_note(threads: u64) -> String {
    let (of, stacks) = match threads {
        1 => ("a thread are".to_owned(), "its native stack"),
        threads => (format!("{threads} threads are"), "their native stacks"),
    };
    format!("not all native functions of {of} shown: {stacks} could not be followed")
}

fn threads(sampler: &Sampler, look: Look<Found>) -> Vec<ThreadView> {
    let mut names = ShortNames::default();
    let mut known: HashMap<Call, FrameView> = HashMap::new();
    let mut locals = look.found.locals.into_iter();
    let mut seen = look.seen.iter().zip(std::iter::from_fn(|| Some(locals.next()))).peekable();
    let mut views = Vec::new();
    for (index, entry) in sampler.roster.threads.iter().enumerate() {
        let own = seen.next_if(|(seen, _)| seen.sample.thread == index);
        let mut frames = Vec::new();
        let sample = own.as_ref().map(|(seen, _)| seen.sample);
        if let Some((seen, locals)) = own {
            let mut locals = locals.into_iter().flatten();
            for call in &seen.calls {
                let view = known.entry(*call).or_insert_with(|| frame(sampler, *call, &mut names));
                frames.push(FrameView { locals: locals.next().flatten(), ..view.clone() });
            }
            if let Some(merged) = &seen.merged {
                let mut python = frames.into_iter();
                let view = |step: &Merged| match step {
                    Merged::Python(_) => python.next(),
                    Merged::Native(id) => sampler.function(*id).map(FrameView::native),
                };
                frames = merged.iter().filter_map(view).collect();
            }
        }
        views.push(ThreadView {
            pthread_id: entry.state.pthread_id,
            tid: entry.tid,
            name: entry.name.clone(),
            active: look.active.get(index).copied().unwrap_or(false),
            gil: sample.is_some_and(|sample| sample.gil),
            crashed: false,
            collects: false,
            waits_for: None,
            frames,
        });
    }
    for stranger in look.strangers {
        let functions = stranger.functions.iter();
        views.push(ThreadView {
            pthread_id: 0,
            tid: Some(stranger.tid),
            name: stranger.name,
            active: stranger.active,
            gil: false,
            crashed: false,
            collects: false,
            waits_for: None,
            frames: functions
                .filter_map(|id| sampler.function(*id))
                .map(FrameView::native)
                .collect(),
        });
    }
    views
}

fn frame(sampler: &Sampler, call: Call, names: &mut ShortNames) -> FrameView {
    let Some(code) = sampler.code(call.code) else { return FrameView::unknown() };
    let Target { process, runtime } = &sampler.target;
    let short = names.short(&process.root(), &code.filename);
    FrameView::new(code, code.position(&runtime.layout, call.lasti), short)
}

impl FrameView {
    /// Of a frame that runs `code`.
    pub fn new(code: &CodeInfo, position: Position, short_filename: &str) -> FrameView {
        FrameView {
            name: code.name.clone(),
            filename: code.filename.clone(),
            short_filename: short_filename.to_owned(),
            module: None,
            position,
            locals: None,
        }
    }

    /// Of a native function.
    pub fn native(function: &native::Function) -> FrameView {
        FrameView {
            name: function.name.clone(),
            filename: function.place().to_owned(),
            short_filename: file_name(function.place()).to_owned(),
            module: Some(function.module.clone()),
            position: Position { line: function.line, ..Position::default() },
            locals: None,
        }
    }

    /// Of a frame whose code cannot be read.
    pub fn unknown() -> FrameView {
        FrameView {
            name: "<unknown>".into(),
            filename: String::new(),
            short_filename: String::new(),
            module: None,
            position: Position::default(),
            locals: None,
        }
    }
}
