//! What each waiting thread waits for: gathered while the process stands still, put into
//! words afterwards.

use super::deadlock::{self, Deadlock};
use crate::sampler::{Scene, Seen};
use cpython::frames::RawFrame;
use cpython::threads::ThreadState;
use cpython::value::{Budget, Cache, Decoder};
use cpython::waits::{Gil, Held, LockKind, Purpose, Sleeper, Stack, Wait};
use cpython::{CodeInfo, Objects, Runtime};
use remote::os::descriptors::{self, Descriptor, Descriptors, Kind};
use remote::os::{Blocked, Process, RunState, clock, threads};
use remote::{Memory, Module};
use serde::Serialize;
use std::time::Duration;

/// Descriptors that are named; of more only the number is told.
const MAX_NAMED: usize = 5;
/// Descriptors that JSON has.
const MAX_LISTED: usize = 100;

/// What a thread waits for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WaitView {
    /// `gil`, `lock`, `rlock`, `join`, `sleep`, `descriptor` and so on.
    pub kind: &'static str,
    /// In words.
    pub text: String,
    /// The system call.
    pub system_call: Option<String>,
    /// The file descriptors that it is about.
    pub descriptors: Vec<DescriptorView>,
    /// The Python object.
    pub object: Option<ObjectView>,
    /// The thread that has what it waits for.
    pub owner: Option<ThreadRef>,
    /// It may end by itself.
    pub timeout: bool,
}

/// A file descriptor.
#[derive(Debug, Clone, Serialize)]
pub struct DescriptorView {
    /// Its number.
    pub fd: i32,
    /// `socket`, `pipe`, `file` and so on.
    pub kind: &'static str,
    /// What it leads to.
    pub name: String,
    /// The ids of the processes at the other end of a pipe.
    pub peers: Option<Vec<i32>>,
}

/// An object of the target's.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectView {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its address.
    pub address: u64,
}

/// One of the process's threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThreadRef {
    /// The system's id of it.
    pub os_thread_id: Option<i32>,
    /// `threading.get_ident()`.
    pub thread_id: u64,
    /// Its name.
    pub thread_name: Option<String>,
    /// It has ended.
    pub ended: bool,
}

impl ThreadRef {
    /// `thread 1234 "name"`
    pub fn text(&self) -> String {
        let id = match self.os_thread_id {
            Some(tid) => tid.to_string(),
            None => format!("{:#x}", self.thread_id),
        };
        let name = self.thread_name.as_ref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
        let ended = if self.ended { ", which has ended" } else { "" };
        format!("thread {id}{name}{ended}")
    }
}

/// What was found out about one thread while it stood still.
#[derive(Debug, Default)]
pub struct Facts {
    state: Option<RunState>,
    call: Option<CallFacts>,
    wait: Option<Wait>,
    held: Vec<Held>,
    collects: bool,
}

/// What a system call and its arguments say.
#[derive(Debug)]
struct CallFacts {
    blocked: Blocked,
    descriptors: Vec<i32>,
    sleeps: bool,
    timeout: Option<Duration>,
    /// Until the deadline, when it was read.
    left: Option<Duration>,
    path: Option<String>,
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
    threads: Vec<Facts>,
    /// A garbage collection is in progress.
    pub collecting: bool,
    /// Python 2.
    old: bool,
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
        let active = own.is_some_and(|seen| seen.sample.active);
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
    gather(ground, &threads)
}

fn codes<'a>(scene: &Scene<'a>, seen: &Seen) -> Vec<(&'a CodeInfo, i32)> {
    let code = |call: &crate::sampler::Call| Some((scene.code(call.code)?, call.lasti));
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
        let frames = &thread.frames[..thread.codes.len().min(thread.frames.len())];
        let stack = Stack { frames, codes: &thread.codes };
        let mut facts = Facts { held: decoder.held_locks(stack), ..Facts::default() };
        let futex = thread.blocked.and_then(|blocked| blocked.futex());
        let wait = decoder.waits_for(Sleeper { state: thread.state.address, stack, futex }, &gil);
        // Who wants the GIL wakes up every now and then to ask for it: one that is held may
        // have been on its way.
        if thread.active {
            facts.wait = wait.filter(|wait| *wait == Wait::Gil);
        } else {
            facts.state = thread.run_state;
            facts.call = thread.blocked.map(|blocked| CallFacts::new(blocked, memory, now_ns));
            facts.wait = wait;
        }
        let own = thread.state.interpreter;
        let alone = || threads.iter().filter(|other| other.state.interpreter == own).count() == 1;
        facts.collects = collecting.contains(&own) && (thread.gil || alone());
        gathered.threads.push(facts);
    }
    gathered
}

/// What is told of all threads, in the roster's order.
#[derive(Debug, Default)]
pub struct Waits {
    /// What each waits for.
    pub threads: Vec<Option<WaitView>>,
    /// Whether each collects garbage.
    pub collects: Vec<bool>,
    /// Threads that wait for each other.
    pub deadlocks: Vec<Deadlock>,
}

/// A thread, for those that wait for it.
#[derive(Debug)]
pub struct Known {
    /// Who it is.
    pub thread: ThreadRef,
    /// It has the GIL.
    pub gil: bool,
    /// Its frames in words, innermost first: `work (app.py:12)`.
    pub frames: Vec<String>,
}

/// Puts what was gathered into words. `known` are the same threads; `process` is none if
/// it lives no more.
pub fn explain(gathered: Gathered, known: &[Known], process: Option<&Process>) -> Waits {
    let mut teller = Teller {
        known,
        facts: &gathered.threads,
        descriptors: process.map(Descriptors::new),
        old: gathered.old,
    };
    let mut waits = Waits::default();
    let mut edges = Vec::new();
    for (index, facts) in gathered.threads.iter().enumerate() {
        let (view, owner) = teller.explain(index, facts).unzip();
        edges.push(owner.flatten());
        waits.threads.push(view);
        waits.collects.push(facts.collects);
    }
    waits.deadlocks = deadlock::find(&edges);
    waits
}

/// Knows who is who.
struct Teller<'a> {
    known: &'a [Known],
    facts: &'a [Facts],
    old: bool,
    /// `None` where the process is no more.
    descriptors: Option<Descriptors<'a>>,
}

/// A wait, and the index of the thread that is waited for.
type Told = (WaitView, Option<usize>);

impl Teller<'_> {
    fn explain(&mut self, index: usize, facts: &Facts) -> Option<Told> {
        let system_call = facts.call.as_ref().map(|call| call.blocked.name());
        let timeout = facts.call.as_ref().is_some_and(|call| {
            call.blocked.is_timed() || call.timeout.is_some() || call.left.is_some()
        });
        let (mut view, owner) = match (&facts.wait, &facts.call, facts.state) {
            (_, _, Some(RunState::Stopped)) => {
                (plain("stopped", "SIGCONT: the process is stopped".to_owned()), None)
            }
            (_, _, Some(RunState::Traced)) => {
                (plain("traced", "its tracer to let it go on".to_owned()), None)
            }
            (Some(wait), _, _) => self.python(index, wait),
            (None, Some(call), _) => (self.system(call), None),
            (None, None, Some(RunState::Disk)) => {
                (plain("uninterruptible", "the kernel (an uninterruptible wait)".to_owned()), None)
            }
            _ => return None,
        };
        if facts.state == Some(RunState::Disk) && facts.call.is_some() {
            view.text += ", uninterruptible";
        }
        // A thread looks after its turn of the GIL again and again.
        view.timeout = timeout && view.kind != "gil";
        let own = |call: &CallFacts| !call.sleeps && call.blocked.futex().is_some();
        if view.timeout && facts.call.as_ref().is_some_and(own) {
            view.text += " (with a timeout)";
        }
        view.system_call = system_call;
        Some((view, owner))
    }

    fn by_ident(&self, ident: u64) -> Option<usize> {
        self.known.iter().position(|known| known.thread.thread_id == ident)
    }

    /// The thread of that identifier, whether it is there still or not.
    fn owner(&self, ident: u64) -> (ThreadRef, Option<usize>) {
        let found = self.by_ident(ident);
        let thread = match found.and_then(|index| self.known.get(index)) {
            Some(known) => known.thread.clone(),
            None => {
                ThreadRef { os_thread_id: None, thread_id: ident, thread_name: None, ended: true }
            }
        };
        (thread, found)
    }

    fn python(&self, index: usize, wait: &Wait) -> Told {
        match wait {
            Wait::Gil => {
                let holder = self.known.iter().position(|known| known.gil);
                let holder = holder.filter(|holder| *holder != index);
                let owner = holder.map(|holder| self.known[holder].thread.clone());
                if self.old && owner.is_none() {
                    // Nobody has the GIL, so it is the other lock among the interpreter's
                    // variables, of which more is not known.
                    return (plain("import", "the import lock".to_owned()), None);
                }
                let by = owner.as_ref().map(|owner| format!(", held by {}", owner.text()));
                let text = format!("the GIL{}", by.unwrap_or_default());
                (WaitView { kind: "gil", text, owner, ..WaitView::default() }, holder)
            }
            Wait::World => {
                let text = "all threads to go on: another one has stopped them, to collect garbage or to change what they share";
                (plain("world", text.to_owned()), None)
            }
            Wait::Object { type_name, address } => {
                let text = format!("{type_name} at {address:#x}, which another thread is using");
                let object = Some(ObjectView { type_name: type_name.clone(), address: *address });
                (WaitView { kind: "object", text, object, ..WaitView::default() }, None)
            }
            Wait::Lock(lock) => self.lock(lock),
            Wait::Construct(construct) => self.construct(construct),
        }
    }

    fn lock(&self, lock: &cpython::waits::Lock) -> Told {
        let (kind, name) = match lock.kind {
            LockKind::RLock => ("rlock", "RLock"),
            LockKind::Shared => ("shared_lock", "lock of multiprocessing"),
            LockKind::Lock | LockKind::SimpleQueue => ("lock", "Lock"),
        };
        let mut text = format!("{name} at {:#x}", lock.address);
        let (mut owner, mut found) = (None, None);
        if let Some(ident) = lock.owner {
            let (thread, index) = self.owner(ident);
            text += &format!(", held by {}", thread.text());
            (owner, found) = (Some(thread), index);
        } else if lock.kind == LockKind::Shared {
            text += ", held by another process";
        } else if let Some((index, frame)) = self.entered(lock.address) {
            let known = &self.known[index];
            text += &format!(", held by {}", known.thread.text());
            if let Some(frame) = known.frames.get(frame) {
                text += &format!(" by a with statement in {frame}");
            }
            (owner, found) = (Some(known.thread.clone()), Some(index));
        } else {
            text += "; who holds it is not recorded";
        }
        let object = Some(ObjectView { type_name: name.to_owned(), address: lock.address });
        (WaitView { kind, text, object, owner, ..WaitView::default() }, found)
    }

    /// The thread that has entered a lock by `with`, and its frame that did.
    fn entered(&self, lock: u64) -> Option<(usize, usize)> {
        self.facts.iter().enumerate().find_map(|(index, facts)| {
            let held = facts.held.iter().find(|held| held.lock == lock)?;
            Some((index, held.frame))
        })
    }

    fn construct(&self, construct: &cpython::waits::Construct) -> Told {
        let object = format!("{} at {:#x}", construct.type_name, construct.object);
        let thread = construct.thread.map(|ident| {
            let (mut thread, index) = self.owner(ident);
            if index.is_none() && construct.purpose != Purpose::Import {
                // It knows its name itself.
                thread.thread_name = construct.name.clone();
            }
            (thread, index)
        });
        let called = match (&thread, &construct.name) {
            (Some((thread, _)), _) => thread.text(),
            (None, Some(name)) => format!("thread \"{name}\""),
            (None, None) => "a thread".to_owned(),
        };
        let (kind, text) = match construct.purpose {
            Purpose::Join => ("join", format!("the end of {called} (Thread.join)")),
            Purpose::Start => ("start", format!("the start of {called}")),
            Purpose::Shutdown => {
                let now =
                    if thread.is_some() { format!(", now of {called}") } else { String::new() };
                ("shutdown", format!("the end of all threads that are no daemons{now}"))
            }
            Purpose::Condition => ("condition", format!("a notify of {object}")),
            Purpose::Event => ("event", format!("{object} to be set")),
            Purpose::Semaphore => ("semaphore", format!("{object} to be released")),
            Purpose::Barrier => ("barrier", format!("more threads to come to {object}")),
            Purpose::Get => ("queue_get", format!("an item in {object}")),
            Purpose::Put => ("queue_put", format!("room in {object}")),
            Purpose::Tasks => ("queue_join", format!("all tasks of {object} to be done")),
            Purpose::Future => ("future", format!("the result of {object}")),
            Purpose::Futures => ("futures", "futures to be done".to_owned()),
            Purpose::Import => {
                let name = construct.name.as_deref().unwrap_or("?");
                let by = thread.as_ref().map(|(thread, _)| format!(" by {}", thread.text()));
                ("import", format!("the import of {name}{}", by.unwrap_or_default()))
            }
        };
        let address = construct.object;
        let object =
            (address != 0).then(|| ObjectView { type_name: construct.type_name.clone(), address });
        let (owner, found) = thread.unzip();
        (WaitView { kind, text, object, owner, ..WaitView::default() }, found.flatten())
    }

    fn system(&mut self, call: &CallFacts) -> WaitView {
        let blocked = &call.blocked;
        let name = blocked.common_name();
        if call.sleeps {
            let text = match (call.left, call.timeout) {
                (Some(left), _) => format!("a sleep to end, {} left ({name})", seconds(left)),
                (None, Some(whole)) => format!("a sleep of {} to end ({name})", seconds(whole)),
                (None, None) => format!("a signal ({name})"),
            };
            return plain("sleep", text);
        }
        if let Some(process) = blocked.process() {
            let text = match process {
                Some(pid) => match &self.descriptors {
                    Some(_) => {
                        format!("the end of process {pid} ({})", descriptors::command_of(pid))
                    }
                    None => format!("the end of process {pid}"),
                },
                None => "the end of any child process".to_owned(),
            };
            return plain("process", text);
        }
        if let Some(path) = &call.path {
            return plain("file", format!("{name} of {path}"));
        }
        if let Some(epoll) = blocked.epoll() {
            let Some(descriptors) = &self.descriptors else {
                return self.on_descriptors(&name, &[epoll], call.timeout);
            };
            let watched = descriptors.watched(epoll);
            return self.on_descriptors(&name, &watched, call.timeout);
        }
        if !call.descriptors.is_empty() {
            return self.on_descriptors(&name, &call.descriptors, call.timeout);
        }
        if let Some(futex) = blocked.futex() {
            return plain("futex", format!("futex at {futex:#x}"));
        }
        plain("system_call", name)
    }

    fn on_descriptors(&mut self, name: &str, fds: &[i32], timeout: Option<Duration>) -> WaitView {
        let found: Vec<Descriptor> = match (&mut self.descriptors, fds) {
            (Some(descriptors), [one]) => vec![descriptors.with_peers(*one)],
            (Some(descriptors), many) => {
                many.iter().take(MAX_LISTED).map(|fd| descriptors.get(*fd)).collect()
            }
            (None, fds) => fds.iter().take(MAX_LISTED).map(|fd| Descriptor::unknown(*fd)).collect(),
        };
        let words = |found: &Descriptor| match found.kind {
            Kind::Unknown => found.name.clone(),
            _ => format!("{} (fd {})", found.name, found.fd),
        };
        let mut text = match &found[..] {
            [] => format!("{name} on no descriptor"),
            [one] => format!("{name} on {}{}", words(one), self.peers(one)),
            many => {
                let named: Vec<String> = many.iter().take(MAX_NAMED).map(words).collect();
                let more = if fds.len() > MAX_NAMED { ", ..." } else { "" };
                format!("{name} on {} descriptors: {}{more}", fds.len(), named.join(", "))
            }
        };
        if let Some(timeout) = timeout {
            text += &format!(", for {} at the most", seconds(timeout));
        }
        let descriptors = found.into_iter().map(|found| DescriptorView {
            fd: found.fd,
            kind: kind_name(&found.kind),
            name: found.name,
            peers: found.peers.map(|peers| peers.found.iter().map(|peer| peer.pid).collect()),
        });
        WaitView {
            kind: "descriptor",
            text,
            descriptors: descriptors.collect(),
            ..WaitView::default()
        }
    }

    /// Who has the other end of a pipe.
    fn peers(&self, found: &Descriptor) -> String {
        let Some(peers) = &found.peers else { return String::new() };
        let own = self.descriptors.as_ref().map_or(0, Descriptors::pid);
        let others: Vec<String> = peers
            .found
            .iter()
            .filter(|peer| peer.pid != own)
            .take(3)
            .map(|peer| format!("{} ({})", peer.pid, peer.command))
            .collect();
        match (peers.found.len(), &others[..]) {
            // Others may have it, of whom we may not know.
            (0, _) if !peers.complete => String::new(),
            (0, _) => ", whose other end nobody has open".to_owned(),
            (_, []) if peers.complete => ", whose other end only this process has open".to_owned(),
            (_, []) => ", whose other end this process has open itself".to_owned(),
            (_, [one]) => format!(" with process {one} at the other end"),
            (_, many) => format!(" with processes {} at the other end", many.join(", ")),
        }
    }
}

fn plain(kind: &'static str, text: String) -> WaitView {
    WaitView { kind, text, ..WaitView::default() }
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Socket => "socket",
        Kind::Pipe => "pipe",
        Kind::File => "file",
        Kind::Terminal => "terminal",
        Kind::Epoll => "epoll",
        Kind::Other => "other",
        Kind::Unknown => "unknown",
    }
}

/// `1.5 s`, `250 ms`, `3 h 20 min`.
fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    match whole {
        0 if time.as_millis() == 0 => "under 1 ms".to_owned(),
        0 => format!("{} ms", time.as_millis()),
        1..=119 => {
            let text = format!("{:.1}", time.as_secs_f64());
            format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
        }
        120..=7199 => format!("{} min {} s", whole / 60, whole % 60),
        7200..=172_799 => format!("{} h {} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} days", whole / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        for (milliseconds, text) in [
            (250, "250 ms"),
            (1500, "1.5 s"),
            (2000, "2 s"),
            (150_000, "2 min 30 s"),
            (10_000_000, "2 h 46 min"),
            (1_000_000_000, "11 days"),
        ] {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), text);
        }
    }
}
