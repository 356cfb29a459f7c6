//! What a thread waits for, as far as Python knows it, and which locks it holds.
//!
//! ```text
//!  gc        whether a garbage collection is in progress
//!  gil       whether a futex is (part of) the GIL
//!  stack     what is on a frame's evaluation stack, and how much of it is certain
//!  lock      lock objects: which of them a futex belongs to, and who owns them
//!  construct the waiting functions of `threading`, `queue` and others, by their frames
//! ```
//!
//! A thread that waits for a lock sleeps in the kernel at a futex. `lock.acquire()` and
//! `with lock:` leave no frame of their own, but the lock, or a bound method of it, is on
//! the evaluation stack of the innermost frame, and it is the one whose memory the futex
//! is in. Who holds it is recorded in an `RLock` only. Of a plain `Lock` it can still be
//! told where it was taken by `with`: as long as the block lasts, its `__exit__` is on the
//! stack of the frame.

mod construct;
mod gc;
mod gil;
mod lock;
mod stack;

pub use construct::{Construct, Purpose};
pub use gc::collecting;
pub use gil::Gil;
pub use lock::{Lock, LockKind};

use crate::code::CodeInfo;
use crate::frames::RawFrame;
use crate::value::Decoder;

/// A collection is not looked for in more frames than this.
const MAX_COLLECTING: usize = 64;

/// One thread's frames, innermost first, with their code objects and the instructions
/// they are at, in bytes into the bytecode.
#[derive(Debug, Clone, Copy)]
pub struct Stack<'a> {
    /// The frames.
    pub frames: &'a [RawFrame],
    /// Their code objects, and where in them they are.
    pub codes: &'a [(&'a CodeInfo, i32)],
}

impl<'a> Stack<'a> {
    fn iter(self) -> impl Iterator<Item = (&'a RawFrame, &'a CodeInfo, i32)> {
        self.frames.iter().zip(self.codes).map(|(frame, (code, lasti))| (frame, *code, *lasti))
    }
}

/// What a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The GIL.
    Gil,
    /// The end of a pause that another thread makes of all (free-threaded builds): a
    /// garbage collection, mostly.
    World,
    /// A lock.
    Lock(Lock),
    /// Something that the standard library makes from locks.
    Construct(Construct),
    /// The lock that every object of a free-threaded build has: another thread changes
    /// the object.
    Object {
        /// Its type.
        type_name: String,
        /// Its address.
        address: u64,
    },
}

/// A lock that a thread holds since a `with` statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The lock's address.
    pub lock: u64,
    /// The index of the frame, 0 for the innermost.
    pub frame: usize,
}

/// What is known about one thread.
#[derive(Debug, Clone, Copy)]
pub struct Sleeper<'a> {
    /// The address of its thread state.
    pub state: u64,
    /// Its frames.
    pub stack: Stack<'a>,
    /// The futex that it sleeps at, if that is what it does.
    pub futex: Option<u64>,
    /// It is in a system call that no lock of Python's makes.
    pub elsewhere: bool,
}

impl Decoder<'_> {
    /// What a thread that sleeps waits for, where that is anything of Python's.
    pub fn waits_for(&self, sleeper: Sleeper, gil: &Gil) -> Option<Wait> {
        let memory = self.objects.memory;
        let parked = sleeper.futex.and_then(|futex| lock::parked_at(memory, futex));
        if let Some(futex) = sleeper.futex {
            if gil.contains(memory, futex) || gil.is_requested(self.objects, sleeper.state) {
                return Some(Wait::Gil);
            }
            let state = self.layout().thread.state.filter(|_| self.layout().free_threaded);
            if state.is_some_and(|at| parked == Some(sleeper.state + u64::from(at))) {
                return Some(Wait::World);
            }
        }
        let lock = sleeper.futex.and_then(|futex| self.lock_of(sleeper.stack, futex, parked));
        if !sleeper.elsewhere
            && let Some(construct) = self.construct(sleeper.stack, lock.as_ref())
        {
            return Some(Wait::Construct(construct));
        }
        if let Some(lock) = lock {
            return Some(Wait::Lock(lock));
        }
        // Include/object.h, free-threaded: `ob_mutex` in the head of an object.
        let mutex = self.layout().waits.object_mutex.filter(|_| self.layout().free_threaded)?;
        let object = parked?.wrapping_sub(u64::from(mutex));
        let type_name = self.type_name(object)?;
        Some(Wait::Object { type_name, address: object })
    }

    /// The plain locks that a thread holds since `with` statements, but for those that it gave
    /// away since: `Condition.wait` (Lib/threading.py) releases the lock of its condition until
    /// it ends.
    pub fn held_locks(&self, stack: Stack) -> Vec<Held> {
        let mut held = Vec::new();
        let mut given_away = Vec::new();
        for (index, (frame, code, lasti)) in stack.iter().enumerate() {
            for entered in self.entered(frame, lasti).unwrap_or_default() {
                if let Some(lock) = self.lock_behind(entered)
                    && !given_away.contains(&lock.address)
                {
                    held.push(Held { lock: lock.address, frame: index });
                }
            }
            if is_condition_wait(code) {
                let variables = self.addresses(frame).unwrap_or_default();
                let own = variables.into_iter().find(|(name, _)| name == "self");
                given_away.extend(own.and_then(|(_, own)| Some(self.lock_behind(own)?.address)));
            }
        }
        held
    }

    /// Whether a thread's innermost frame calls (or has called before) the `acquire()` of a lock,
    /// other than by a `with` statement.
    pub fn acquires(&self, stack: Stack) -> bool {
        let Some((frame, _, _)) = stack.iter().next() else { return true };
        // That of a lock that is written in Python has a frame of its own.
        self.calls(frame, &["acquire", "acquire_lock"]).unwrap_or(true)
    }

    /// Whether a thread's frames show that it may be in a garbage collection that runs Python
    /// code: it has called `gc.collect`, or runs a finalizer.
    pub fn may_collect(&self, stack: Stack) -> bool {
        stack.iter().take(MAX_COLLECTING).any(|(frame, code, _)| {
            code.name.rsplit('.').next() == Some("__del__")
                || self.calls(frame, &["collect"]).unwrap_or(false)
        })
    }

    /// Whether one of some functions of C is (or was) on a frame's evaluation stack.
    fn calls(&self, frame: &RawFrame, names: &[&str]) -> Option<bool> {
        let values = self.evaluation_stack(frame).ok()?;
        let called = |value: u64| value != 0 && lock::is_builtin(self, value, names);
        Some(values.into_iter().any(called))
    }
}

/// `Condition.wait`, in which its lock is released.
fn is_condition_wait(code: &CodeInfo) -> bool {
    let file = code.filename.trim_end_matches('c');
    let function = code.name.rsplit('.').next().unwrap_or("");
    function == "wait" && (file == "threading.py" || file.ends_with("/threading.py"))
}
