//! `dump --core`: the same of a process that is no more.

use super::deadlock::Deadlock;
use super::native::{CoreNatives, Python};
use super::snapshot::{self, CoreView, FrameView, Snapshot, ThreadView};
use super::values;
use super::waits::{self, Gathered, Ground, Looked};
use crate::cli::DumpArgs;
use crate::error::Error;
use crate::sampler::{Call, Codes, Merged};
use crate::say::say;
use crate::source::ShortNames;
use cpython::CodeInfo;
use cpython::discover::{self, Landscape, NotFound};
use cpython::frames::RawFrame;
use cpython::still::{self, Stack};
use cpython::threads::{self, ThreadState};
use cpython::type_names::TypeNames;
use cpython::value::Budget;
use cpython::{Objects, Runtime};
use remote::Memory;
use remote::core::{Core, CoreThread, Lookup, Machine, MappedFile, Verdict};
use remote::os::blocking::{Abi, Blocked};
use remote::pthread::PthreadIds;
use std::collections::HashMap;
use std::path::Path;

/// More missing files than this are counted, not named.
const MAX_NAMED: usize = 4;

/// Reads the core file at `path`.
pub fn take(path: &Path, args: &DumpArgs) -> Result<Snapshot, Error> {
    let lookup = Lookup {
        executable: args.executable.clone(),
        lib_paths: args.lib_path.clone(),
        sysroot: args.sysroot.clone(),
    };
    let fail = |why: String| Error::Core(path.to_owned(), why);
    let core = Core::open(path, &lookup).map_err(|error| fail(error.to_string()))?;
    let mut notes = notes(&core, &lookup);
    let landscape =
        Landscape { memory: &core.memory, modules: &core.modules, mappings: &core.mappings };
    let runtime = discover::find(landscape).map_err(|missing| fail(no_python(missing, &notes)))?;
    log::debug!("CPython {} in {} ({})", runtime.layout.version, runtime.module, runtime.how);
    let budget = (args.locals > 0).then(|| Budget::level(usize::from(args.locals)));
    let root = args.sysroot.as_deref().unwrap_or(Path::new("/"));
    let natives = args.native.choice().and_then(|choice| {
        let natives = CoreNatives::new(&core, &runtime, choice, root);
        if natives.is_none() {
            notes.push("native functions of 32-bit programs cannot be shown".to_owned());
        }
        natives
    });
    let reader = Reader { core: &core, runtime: &runtime, class_names: args.class_names };
    let (threads, deadlocks, collecting) = reader.threads(budget, natives, root, &mut notes);
    if args.json {
        notes.iter().for_each(|note| say(note));
    }
    let arguments = core.arguments();
    Ok(Snapshot {
        pid: core.process.pid,
        command: match arguments.is_empty() {
            true => core.process.command.clone(),
            false => arguments.join(" "),
        },
        lineage: None,
        version: runtime.layout.version.to_string(),
        executable: core.executable().unwrap_or(&core.process.name).to_owned(),
        notes,
        chars: budget.map_or(0, |budget| budget.chars),
        core: Some(CoreView {
            file: path.to_string_lossy().into_owned(),
            signal: core.signal,
            tid: core.threads.first().map_or(0, |thread| thread.tid),
        }),
        collecting,
        threads,
        deadlocks,
    })
}

/// What is missing, and what it would have given.
fn notes(core: &Core, lookup: &Lookup) -> Vec<String> {
    let mut notes = Vec::new();
    if core.cut > 0 {
        notes.push(format!(
            "the core file was cut off, {} bytes are missing at its end: what was there cannot be shown",
            core.cut
        ));
    }
    let given = |path: &Path| lookup.executable.as_deref() == Some(path);
    for file in &core.files {
        let here = file.verdict.usable().is_some();
        for (other, why) in file.rejected.iter().filter(|(other, _)| !here || given(other)) {
            notes.push(format!(
                "{} is not the {} that was mapped ({why}): it is not used",
                other.display(),
                file.path,
            ));
        }
    }
    if let Some(given) = &lookup.executable
        && !core.files.iter().any(|file| {
            let rejected = file.rejected.iter().any(|(other, _)| other == given);
            rejected || file.verdict.usable() == Some(given)
        })
    {
        notes.push(format!("{} cannot be read, or is no executable", given.display()));
    }
    let missing: Vec<&MappedFile> =
        core.files.iter().filter(|file| file.verdict.usable().is_none()).collect();
    if !missing.is_empty() {
        let names = missing.iter().map(|file| file.path.as_str()).collect();
        notes.push(format!(
            "not here (--executable, --lib-path, --sysroot): {}; constants and symbols in them cannot be shown",
            first_of(names)
        ));
    }
    let unverified: Vec<&str> = core
        .files
        .iter()
        .filter_map(|file| match &file.verdict {
            Verdict::Unverified(path) => path.to_str(),
            _ => None,
        })
        .collect();
    if !unverified.is_empty() {
        notes.push(format!(
            "the core file has nothing to compare these with, which may be others than those that were mapped: {}",
            first_of(unverified)
        ));
    }
    notes
}

/// The first of some paths, those that matter most before the others.
fn first_of(mut names: Vec<&str>) -> String {
    names.sort_by_key(|name| !name.contains("python"));
    let more = names.len().saturating_sub(MAX_NAMED);
    names.truncate(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

fn no_python(missing: NotFound, notes: &[String]) -> String {
    let (what, trail) = match missing {
        NotFound::NoPython(trail) => ("it does not seem to be of a Python program".into(), trail),
        NotFound::NotRunning(trail) => (
            "there was a CPython in it whose interpreter was not running, or is not in the file"
                .into(),
            trail,
        ),
        NotFound::Unsupported(message, trail) => (message, trail),
    };
    // A path that has line breaks must not look like lines of ours.
    let line = |note: &String| format!("\n - {}", note.replace('\n', "?"));
    let notes: String = notes.iter().map(line).collect();
    format!("{what}\nWhat was tried:\n{trail}{}", notes.trim_start_matches('\n'))
}

/// A thread's frames with the native ones between them.
fn merged(
    natives: &mut CoreNatives,
    thread: &CoreThread,
    python: Option<Python>,
    frames: Vec<FrameView>,
) -> Vec<FrameView> {
    let steps = natives.merge(thread, python);
    let mut frames = frames.into_iter();
    let view = |step: &Merged| match step {
        Merged::Python(_) => frames.next(),
        Merged::Native(id) => natives.function(*id).map(FrameView::native),
    };
    steps.iter().filter_map(view).collect()
}

struct Reader<'a> {
    core: &'a Core,
    runtime: &'a Runtime,
    class_names: bool,
}

impl Reader<'_> {
    /// All threads that ran Python, and the one that crashed in any case.
    fn threads(
        &self,
        budget: Option<Budget>,
        mut natives: Option<CoreNatives>,
        root: &Path,
        notes: &mut Vec<String>,
    ) -> (Vec<ThreadView>, Vec<Deadlock>, bool) {
        let layout = &self.runtime.layout;
        let memory = &self.core.memory;
        let (interpreters, states) = self.states();
        let stacks: Vec<Stack> =
            states.iter().map(|state| still::stack(memory, layout, state)).collect();
        let code = stacks.iter().find_map(|stack| stack.frames.first()).map(|frame| frame.code);
        let interpreter = interpreters.first().copied().unwrap_or(0);
        let memory = TypeNames::find(memory, layout, interpreter, code);
        let objects = Objects { memory: &memory, layout };
        let mut codes = Codes::new(self.class_names);
        let mut calls: Vec<Vec<Option<Call>>> = Vec::new();
        let mut frames = Vec::new();
        let mut numbers: Vec<Vec<Option<usize>>> = Vec::new();
        for stack in &stacks {
            let mut own = Vec::new();
            let mut shown = Vec::new();
            let mut numbered = Vec::new();
            for frame in &stack.frames {
                let call = codes.at_rest(objects, frame);
                let code = call.and_then(|call| codes.info(call.code));
                let hidden = match code {
                    Some(code) => code.is_shim(),
                    // The interpreter's own is a constant of its binary, which may be missing.
                    None => self.is_constant(frame.code),
                };
                numbered.push((!hidden).then_some(own.len()));
                if !hidden {
                    own.push(call);
                    shown.push(*frame);
                }
            }
            calls.push(own);
            frames.push(shown);
            numbers.push(numbered);
        }
        let cut = stacks.iter().filter(|stack| stack.cut).count();
        if cut > 0 {
            notes.push(format!(
                "the {} early: memory is missing or damaged",
                match cut {
                    1 => "stack of a thread ends".to_owned(),
                    cut => format!("stacks of {cut} threads end"),
                }
            ));
        }
        let ids = self.ids(&states);
        let holders = self.gil_holders(&interpreters);
        let waits = self.waits(&memory, &states, &ids, &holders, &frames, |thread| {
            let own = calls.get(thread).into_iter().flatten();
            let code = |call: &Option<Call>| {
                let call = (*call)?;
                Some((codes.info(call.code)?, call.lasti))
            };
            own.map_while(code).collect()
        });
        let mut locals = match budget {
            Some(budget) => {
                let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
                values::read(&memory, layout, &frames, budget, &|| false)
            }
            None => Vec::new(),
        }
        .into_iter();
        let mut short = ShortNames::default();
        let mut known: HashMap<Call, FrameView> = HashMap::new();
        let mut views: Vec<Vec<FrameView>> = Vec::new();
        for own in calls {
            let mut locals = locals.next().unwrap_or_default().into_iter();
            let view = |call: Option<Call>| {
                let view = match call.map(|call| (call, codes.info(call.code))) {
                    Some((call, Some(code))) => known
                        .entry(call)
                        .or_insert_with(|| {
                            let name = short.short(root, &code.filename);
                            FrameView::new(code, code.position(layout, call.lasti), name)
                        })
                        .clone(),
                    _ => FrameView::unknown(),
                };
                FrameView { locals: locals.next().flatten(), ..view }
            };
            views.push(own.into_iter().map(view).collect());
        }
        let names: HashMap<u64, HashMap<u64, String>> =
            interpreters.iter().map(|at| (*at, threads::names(objects, *at))).collect();
        let crashed = self.core.threads.first().filter(|_| self.core.signal.is_some());
        let mut threads = Vec::new();
        for (i, (state, frames)) in states.iter().zip(views).enumerate() {
            let thread = ids.get(i).copied().flatten();
            let frames = match (&mut natives, thread, stacks.get(i), numbers.get(i)) {
                (Some(natives), Some(thread), Some(stack), Some(numbers)) => {
                    merged(natives, thread, Some(Python { state, stack, numbers }), frames)
                }
                _ => frames,
            };
            threads.push(ThreadView {
                pthread_id: state.pthread_id,
                tid: thread.map(|thread| thread.tid),
                name: names
                    .get(&state.interpreter)
                    .and_then(|names| names.get(&state.pthread_id))
                    .cloned(),
                active: thread.is_some_and(|thread| self.system_call(thread).is_none()),
                gil: holders.contains(&state.address),
                collects: false,
                waits_for: None,
                crashed: thread.is_some_and(|thread| Some(thread.tid) == crashed.map(|c| c.tid)),
                frames,
            });
        }
        let collecting = waits.collecting;
        let mut deadlocks = snapshot::tell_waits(&mut threads, waits, None);
        for thread in &self.core.threads {
            let is_crashed = Some(thread.tid) == crashed.map(|crashed| crashed.tid);
            let all = natives.as_ref().is_some_and(CoreNatives::shows_all);
            if !(is_crashed || all) || threads.iter().any(|one| one.tid == Some(thread.tid)) {
                continue;
            }
            let frames = natives.as_mut().map(|natives| merged(natives, thread, None, Vec::new()));
            threads.push(ThreadView {
                pthread_id: thread.thread_pointer.unwrap_or(0),
                tid: Some(thread.tid),
                name: None,
                active: is_crashed || self.system_call(thread).is_none(),
                gil: false,
                collects: false,
                waits_for: None,
                crashed: is_crashed,
                frames: frames.unwrap_or_default(),
            });
        }
        if let Some(natives) = natives
            && natives.unmerged > 0
        {
            notes.push(snapshot::unmerged_note(natives.unmerged));
        }
        // The one that crashed comes first.
        let first = threads.iter().position(|thread| thread.crashed).unwrap_or(0);
        if let Some(ahead) = threads.get_mut(..=first) {
            ahead.rotate_right(1);
        }
        for deadlock in &mut deadlocks {
            for index in deadlock.circle.iter_mut().chain(&mut deadlock.behind) {
                *index = match *index {
                    index if index == first => 0,
                    index if index < first => index + 1,
                    index => index,
                };
            }
        }
        (threads, deadlocks, collecting)
    }

    /// The system call that a thread waited in. One that sends a signal waits for nothing, as in
    /// `abort()`.
    fn system_call(&self, thread: &CoreThread) -> Option<i64> {
        let number = i64::try_from(thread.system_call?).ok()?;
        // kill, tkill, tgkill: arch/x86/entry/syscalls/syscall_64.tbl and
        // include/uapi/asm-generic/unistd.h of Linux.
        let sends = match self.core.machine {
            Machine::X86_64 => [62, 200, 234],
            Machine::Aarch64 => [129, 130, 131],
        };
        (!sends.contains(&number)).then_some(number)
    }

    /// What each thread waited for.
    fn waits<'b>(
        &self,
        memory: &dyn Memory,
        states: &[ThreadState],
        ids: &[Option<&CoreThread>],
        holders: &[u64],
        frames: &'b [Vec<RawFrame>],
        codes: impl Fn(usize) -> Vec<(&'b CodeInfo, i32)>,
    ) -> Gathered {
        let mut interpreters: Vec<u64> = states.iter().map(|state| state.interpreter).collect();
        interpreters.sort_unstable();
        interpreters.dedup();
        let abi = match self.core.machine {
            Machine::X86_64 => Abi::X86_64,
            Machine::Aarch64 => Abi::Aarch64,
        };
        let blocked = |thread: &CoreThread| {
            let number = self.system_call(thread)?;
            Some(Blocked::new(abi, memory.arch(), number, thread.system_call_arguments()?))
        };
        let looked = |(index, state): (usize, &ThreadState)| {
            let thread = ids.get(index).copied().flatten();
            Looked {
                state: *state,
                frames: frames.get(index).map_or(&[], Vec::as_slice),
                codes: codes(index),
                active: thread.is_none_or(|thread| self.system_call(thread).is_none()),
                gil: holders.contains(&state.address),
                run_state: None,
                blocked: thread.and_then(blocked),
            }
        };
        let looked: Vec<Looked> = states.iter().enumerate().map(looked).collect();
        let ground = Ground {
            memory,
            runtime: self.runtime,
            interpreters: &interpreters,
            modules: &self.core.modules,
            now_ns: None,
        };
        let mut gathered = waits::gather(ground, &looked);
        // Nothing moves any more.
        gathered.still = true;
        gathered
    }

    /// Whether an address is in memory of a module that nothing is written to.
    fn is_constant(&self, address: u64) -> bool {
        let mut mappings = self.core.modules.iter().flat_map(|module| &module.mappings);
        mappings.any(|one| (one.start..one.end).contains(&address) && !one.write)
    }

    /// The interpreters, and their thread states, oldest first.
    fn states(&self) -> (Vec<u64>, Vec<ThreadState>) {
        let layout = &self.runtime.layout;
        let memory = &self.core.memory;
        let (mut interpreters, mut states) = (Vec::new(), Vec::new());
        // What is missing of one does not keep the others.
        let head = self.runtime.interpreters_head;
        let _ = threads::interpreters(memory, layout, head, &mut interpreters);
        for interpreter in &interpreters {
            let _ = threads::thread_states(memory, layout, *interpreter, &mut states);
        }
        states.reverse();
        (interpreters, states)
    }

    /// The core's thread of each thread state.
    fn ids(&self, states: &[ThreadState]) -> Vec<Option<&CoreThread>> {
        let threads = &self.core.threads;
        let tids: Vec<i32> = threads.iter().map(|thread| thread.tid).collect();
        let by_tid: HashMap<i32, &CoreThread> =
            threads.iter().map(|thread| (thread.tid, thread)).collect();
        // pthread_self() is the thread pointer on x86_64 in every C library.
        let by_pointer: HashMap<u64, &CoreThread> = threads
            .iter()
            .filter(|_| self.core.machine == Machine::X86_64)
            .filter_map(|thread| Some((thread.thread_pointer?, thread)))
            .collect();
        let pthreads: Vec<u64> = states.iter().map(|state| state.pthread_id).collect();
        let mut pthread_ids = PthreadIds::default();
        pthread_ids.learn(&self.core.memory, &pthreads, &tids);
        let find = |state: &ThreadState| {
            let by_descriptor = || {
                let tid = pthread_ids.tid(&self.core.memory, state.pthread_id, &tids)?;
                by_tid.get(&tid).copied()
            };
            let by_native = || by_tid.get(&i32::try_from(state.native_id?).ok()?).copied();
            let pointer = by_pointer.get(&state.pthread_id).copied();
            pointer.or_else(by_native).or_else(by_descriptor)
        };
        states.iter().map(find).collect()
    }

    /// The thread states that held a GIL.
    fn gil_holders(&self, interpreters: &[u64]) -> Vec<u64> {
        let memory = &self.core.memory;
        let layout = &self.runtime.layout;
        let read = |at: u64, size: usize| memory.uint(at, size).ok();
        let mut holders = Vec::new();
        let current = self.runtime.tstate_current.and_then(|at| memory.ptr(at).ok());
        holders.extend(current.filter(|holder| *holder != 0));
        for interpreter in interpreters {
            let gil = layout
                .interpreter
                .gil
                .and_then(|offset| memory.ptr(interpreter.wrapping_add(u64::from(offset))).ok());
            let gil = gil.filter(|gil| *gil != 0);
            holders.extend(gil.and_then(|gil| threads::gil_holder(layout, gil, read)));
        }
        holders
    }
}
