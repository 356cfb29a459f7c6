//! What each waiting thread waits for: gathered while the process stands still, put into
//! words afterwards.
//!
//! ```text
//!  gather    what is read of the threads while they stand still
//!  python    what the GIL and Python's locks tell
//!  system    what the system call and its file descriptors tell
//! ```

mod gather;
mod python;
mod system;

pub use gather::{Facts, Gathered, Ground, Looked, gather, of_scene};

use super::deadlock::{self, Deadlock};
use cpython::waits::Wait;
use gather::CallFacts;
use remote::os::descriptors::Descriptors;
use remote::os::{Process, RunState};
use serde::Serialize;

/// What a thread waits for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WaitView {
    /// `gil`, `lock`, `rlock`, `join`, `sleep`, `descriptor` and so on.
    pub kind: &'static str,
    /// In words.
    pub text: String,
    /// The system call.
    pub system_call: Option<String>,
    /// The file descriptors that it is about, or the first of very many.
    pub descriptors: Vec<DescriptorView>,
    /// How many there are.
    pub descriptor_count: usize,
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
        edges.push(owner.flatten().filter(|_| is_certain(facts, view.as_ref(), gathered.still)));
        waits.threads.push(view);
        waits.collects.push(facts.collects);
    }
    waits.deadlocks = deadlock::find(&edges);
    waits
}

/// Whether a wait is one that only another thread can end, and did not end while the threads were
/// read: what was read of a lock before and after would be called a deadlock otherwise. Who
/// wants the GIL asks for it again and again, and gets it only when its holder has moved.
fn is_certain(facts: &Facts, view: Option<&WaitView>, still: bool) -> bool {
    let for_ever = view.is_some_and(|view| !view.timeout);
    for_ever && (still || facts.stood || facts.wait == Some(Wait::Gil))
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
}

fn plain(kind: &'static str, text: String) -> WaitView {
    WaitView { kind, text, ..WaitView::default() }
}
