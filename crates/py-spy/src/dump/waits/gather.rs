//! What is read of waiting threads while they stand still.

use crate::sampler::{Call, Scene, Seen};
use cpython::frames::RawFrame;
use cpython::threads::ThreadState;
use cpython::value::{Budget, Cache, Decoder};
use cpython::waits::{Gil, Held, LockKind, Sleeper, Stack, Wait};
use cpython::{CodeInfo, Objects, Runtime};
use remote::os::{Blocked, RunState, clock, threads};
use remote::{Memory, Module};
use std::time::Duration;

/// What was found out about one thread while it stood still.
#[derive(Debug, Default)]
pub struct Facts {
    pub(super) state: Option<RunState>,
    pub(super) call: Option<CallFacts>,
    pub(super) wait: Option<Wait>,
    pub(super) held: Vec<Held>,
    /// It calls the `acquire()` of a lock, or may do so.
    pub(super) acquires: bool,
    /// Where the GIL is that it needs; `None` where there is one for all.
    pub(super) gil: Option<u64>,
    /// It stood in this very wait from before it was read until all was.
    pub(super) stood: bool,
    pub(super) collects: bool,
}

/// What a system call and its arguments say.
#[derive(Debug)]
pub(super) struct CallFacts {
    pub(super) blocked: Blocked,
    pub(super) descriptors: Vec<i32>,
    pub(super) sleeps: bool,
    pub(super) timeout: Option<Duration>,
    /// Until the deadline, when it was read.
    pub(super) left: Option<Duration>,
    pub(super) path: Option<String>,
}

impl CallFacts {
    fn new(blocked: Blocked, memory: &dyn Memory, now_ns: Option<u64>) -> CallFacts {
        let left = now_ns.and_then(|now| {
            let deadline = blocked.deadline(memory)?;
            Some(deadline.saturating_sub(Duration::from_nanos(now)))
        });
        CallFacts {
            descriptors: blocked.descriptors(memory),
            sleeps: blocked.sleeps(memory),
            timeout: blocked.timeout(memory),
            left,
            path: blocked.path(memory),
            blocked,
        }
    }
}

/// All of a process's threads, as [`gather`] found them.
#[derive(Debug, Default)]
pub struct Gathered {
    /// One for each thread.
    pub(super) threads: Vec<Facts>,
    /// A garbage collection is in progress.
    pub collecting: bool,
    /// Nothing of the process moved while it was read.
    pub still: bool,
    /// Python 2.
    pub(super) old: bool,
}

/// A thread, as it is looked at.
pub struct Looked<'a> {
    /// Its thread state.
    pub state: ThreadState,
    /// Its frames, innermost first.
    pub frames: &'a [RawFrame],
    /// Their code objects and where in them they are, up to the first that is not known.
    pub codes: Vec<(&'a CodeInfo, i32)>,
    /// It computes.
    pub active: bool,
    /// It holds the GIL.
    pub gil: bool,
    /// What the kernel says of it.
    pub run_state: Option<RunState>,
    /// The system call that it is in.
    pub blocked: Option<Blocked>,
}

impl Looked<'_> {
    /// Its frames as far as their code objects are known.
    fn stack(&self) -> Stack<'_> {
        let frames = &self.frames[..self.codes.len().min(self.frames.len())];
        Stack { frames, codes: &self.codes }
    }
}

/// What they are threads of.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The process's memory.
    pub memory: &'a dyn Memory,
    /// Its CPython.
    pub runtime: &'a Runtime,
    /// All its interpreters.
    pub interpreters: &'a [u64],
    /// Executable and libraries; for versions up to 3.6 only.
    pub modules: &'a [Module],
    /// The instant, on [`clock::now_ns`], if the process lives.
    pub now_ns: Option<u64>,
}

/// Reads what all threads of a scene wait for.
pub fn of_scene(scene: &Scene) -> Gathered {
    let process = &scene.target.process;
    let interpreters: Vec<u64> =
        scene.roster.interpreters.iter().map(|interpreter| interpreter.address).collect();
    let old = !scene.target.runtime.layout.version.at_least(3, 7);
    let modules = if old { process.modules().unwrap_or_default() } else { Vec::new() };
    let mut seen = scene.seen.iter().peekable();
    let mut threads = Vec::new();
    for (index, entry) in scene.roster.threads.iter().enumerate() {
        let own = seen.next_if(|seen| seen.sample.thread == index);
        let active = scene.active.get(index).copied().unwrap_or(false);
        threads.push(Looked {
            state: entry.state,
            frames: own.map_or(&[], |seen| &seen.frames),
            codes: own.map(|seen| codes(scene, seen)).unwrap_or_default(),
            active,
            gil: own.is_some_and(|seen| seen.sample.gil),
            run_state: entry
                .tid
                .filter(|_| !active)
                .and_then(|tid| threads::Thread::new(process.proc_dir(), tid).state()),
            blocked: entry.tid.and_then(|tid| Blocked::of(process, tid)),
        });
    }
    let ground = Ground {
        memory: &process.memory,
        runtime: &scene.target.runtime,
        interpreters: &interpreters,
        modules: &modules,
        now_ns: Some(clock::now_ns()),
    };
    let mut gathered = gather(ground, &threads);
    for ((facts, thread), (entry, before)) in
        gathered.threads.iter_mut().zip(&threads).zip(scene.roster.threads.iter().zip(scene.cpu))
    {
        // A thread that has used no CPU time and waits in the same call has done nothing.
        facts.stood = facts.wait.is_some()
            && entry.tid.is_some_and(|tid| {
                thread.blocked == Blocked::of(process, tid)
                    && before.is_some()
                    && *before == threads::Thread::new(process.proc_dir(), tid).cpu_ns()
            });
    }
    gathered
}

fn codes<'a>(scene: &Scene<'a>, seen: &Seen) -> Vec<(&'a CodeInfo, i32)> {
    let code = |call: &Call| Some((scene.code(call.code)?, call.lasti));
    seen.calls.iter().map_while(code).collect()
}

/// Reads what all threads wait for. The process must stand still.
pub fn gather(ground: Ground, threads: &[Looked]) -> Gathered {
    let Ground { memory, runtime, interpreters, modules, now_ns } = ground;
    let cache = Cache::new(memory);
    let objects = Objects { memory: &cache, layout: &runtime.layout };
    let decoder = Decoder::new(objects, Budget::level(1));
    let gil = Gil::find(memory, runtime, interpreters, modules);
    let collecting = cpython::waits::collecting(memory, runtime, interpreters, modules);
    let mut gathered = Gathered {
        collecting: !collecting.is_empty(),
        old: runtime.layout.version.major == 2,
        ..Gathered::default()
    };
    for thread in threads {
        let mut facts = Facts::default();
        let futex = thread.blocked.and_then(|blocked| blocked.futex());
        let elsewhere = thread.blocked.is_some_and(|blocked| !blocked.may_be_lock(memory));
        let (state, stack) = (thread.state.address, thread.stack());
        let sleeper = Sleeper { state, stack, futex, elsewhere };
        facts.gil = gil.address_of(thread.state.interpreter);
        // Who wants the GIL wakes up every now and then to ask for it: one that is held may
        // have been on its way.
        if !thread.active {
            facts.state = thread.run_state;
            facts.call = thread.blocked.map(|blocked| CallFacts::new(blocked, memory, now_ns));
            facts.wait = decoder.waits_for(sleeper, &gil);
        } else if futex.is_some() {
            let wait = decoder.waits_for(sleeper, &gil);
            facts.wait = wait.filter(|wait| *wait == Wait::Gil);
        }
        // It got the lock while it was looked at.
        if matches!(&facts.wait, Some(Wait::Lock(lock)) if lock.kind == LockKind::RLock
            && lock.owner == Some(thread.state.pthread_id))
        {
            (facts.wait, facts.call, facts.state) = (None, None, None);
        }
        let own = thread.state.interpreter;
        // Who collects has the GIL, but for as long as what it calls gives it to another.
        let other = |other: &&Looked| {
            other.state.interpreter == own && other.state.address != thread.state.address
        };
        let mut others = threads.iter().filter(other);
        facts.collects = collecting.contains(&own)
            && match thread.gil {
                true => !others.any(|other| decoder.may_collect(other.stack())),
                false => others.next().is_none(),
            };
        gathered.threads.push(facts);
    }
    // Who holds a plain lock is told by the holder's frames only, all of which must be looked
    // at: not for nothing.
    let plain = |facts: &Facts| matches!(&facts.wait, Some(Wait::Lock(lock)) if lock.owner.is_none() && lock.kind != LockKind::Shared);
    if gathered.threads.iter().any(plain) {
        for (facts, thread) in gathered.threads.iter_mut().zip(threads) {
            facts.held = decoder.held_locks(thread.stack());
            facts.acquires = decoder.acquires(thread.stack());
        }
    }
    gathered
}
