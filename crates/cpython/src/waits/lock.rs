//! Lock objects.

use super::Stack;
use crate::value::Decoder;
use remote::Memory;

/// Frames of the standard library that may lie between a wait and the lock that was
/// asked for.
const NEAR: usize = 3;

/// Which lock it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// `threading.Lock`: it does not record who holds it.
    Lock,
    /// `threading.RLock`.
    RLock,
    /// A lock of `multiprocessing`, which processes share.
    Shared,
    /// A semaphore of `multiprocessing`, which may be released by who did not acquire it.
    Semaphore,
    /// The lock inside of a `queue.SimpleQueue`: an item is waited for.
    SimpleQueue,
}

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Which it is.
    pub kind: LockKind,
    /// The address of the object.
    pub address: u64,
    /// `threading.get_ident()` of the thread that holds it, where that is recorded.
    pub owner: Option<u64>,
}

/// The address that a thread has been parked for (3.13 and later), if it sleeps at the
/// semaphore of the parking lot: `struct wait_entry` has the address in front of the
/// semaphore (Python/parking_lot.c). Anything may be there if it does not.
pub(super) fn parked_at(memory: &dyn Memory, futex: u64) -> Option<u64> {
    memory.ptr(futex.checked_sub(memory.arch().word() as u64)?).ok().filter(|at| *at != 0)
}

impl Decoder<'_> {
    /// `tp_name` of an object's type; `None` if this is none.
    pub(super) fn type_name(&self, object: u64) -> Option<String> {
        let type_ = self.objects.type_of(object).ok()?;
        // What every type's own type's type is: `type`.
        let meta = self.objects.type_of(self.objects.type_of(type_).ok()?).ok()?;
        let name = self.objects.type_name(meta).ok()?;
        if name != "type" {
            return None;
        }
        let name = self.objects.type_name(type_).ok()?;
        // Of old-style classes (2.x) all instances have one type.
        if name == "instance" { self.classic_type_name(object).or(Some(name)) } else { Some(name) }
    }

    fn classic_type_name(&self, object: u64) -> Option<String> {
        let (class, _) = self.layout().values.instance?;
        let (name, _) = self.layout().values.classic?;
        let class = self.objects.field(object, class).ok()?;
        self.objects.text(self.objects.field(class, name).ok()?, 256).ok()
    }

    /// A lock object.
    pub(super) fn lock_at(&self, object: u64) -> Option<Lock> {
        let kind = match self.type_name(object)?.as_str() {
            "thread.lock" | "_thread.lock" => LockKind::Lock,
            "_thread.RLock" => LockKind::RLock,
            "_multiprocessing.SemLock" => self.shared_kind(object)?,
            "_queue.SimpleQueue" => LockKind::SimpleQueue,
            // Lib/threading.py: all of 2.x, and 3.x where there is no other.
            "_RLock" | "_PyRLock" => return self.python_rlock(object),
            _ => return None,
        };
        let owner = match kind {
            LockKind::RLock => self.owner(object),
            LockKind::Shared => self.shared_owner(object),
            LockKind::Lock | LockKind::Semaphore | LockKind::SimpleQueue => None,
        };
        Some(Lock { kind, address: object, owner })
    }

    /// Modules/_threadmodule.c `rlockobject`: a lock, the owner, how often it has it.
    /// From 3.14 on a `_PyRecursiveMutex` (Include/internal/pycore_lock.h): a byte whose
    /// lowest bit says whether it is locked, the owner, how many times more.
    fn owner(&self, object: u64) -> Option<u64> {
        let (layout, memory) = (self.layout(), self.objects.memory);
        let word = layout.arch.word() as u64;
        let at = object.wrapping_add(u64::from(layout.values.head));
        let locked = if layout.version.at_least(3, 14) {
            memory.uint(at, 1).ok()? & 1 == 1
        } else {
            memory.ptr(at.wrapping_add(2 * word)).ok()? != 0
        };
        let owner = memory.ptr(at.wrapping_add(word)).ok()?;
        (locked && owner != 0).then_some(owner)
    }

    /// Modules/_multiprocessing/semaphore.c `SemLockObject` (2.6 to 3.15): `maxvalue` comes
    /// behind the count. Who acquires a lock holds it, but of a semaphore of more places the
    /// count and the last thread name no holder.
    fn shared_kind(&self, object: u64) -> Option<LockKind> {
        let word = self.layout().arch.word() as u64;
        let at = object.wrapping_add(u64::from(self.layout().values.head));
        let places = self.objects.memory.uint(at.wrapping_add(2 * word + 4), 4).ok()?;
        Some(if places == 1 { LockKind::Shared } else { LockKind::Semaphore })
    }

    /// Modules/_multiprocessing/semaphore.c `SemLockObject`: a pointer to the semaphore,
    /// the last thread of this process that took it, and how often this process has it.
    fn shared_owner(&self, object: u64) -> Option<u64> {
        let memory = self.objects.memory;
        let word = self.layout().arch.word() as u64;
        let at = object.wrapping_add(u64::from(self.layout().values.head));
        let count = memory.uint(at.wrapping_add(2 * word), 4).ok()?;
        let owner = memory.ptr(at.wrapping_add(word)).ok()?;
        (count > 0 && owner != 0).then_some(owner)
    }

    /// An `RLock` that is written in Python.
    fn python_rlock(&self, object: u64) -> Option<Lock> {
        let owner = self.first_attribute(object, &["_owner", "_RLock__owner"])?;
        let owner = self.objects.small_int(owner).ok().map(|owner| owner as u64);
        Some(Lock { kind: LockKind::RLock, address: object, owner })
    }

    /// The first of some attributes that there is.
    pub(super) fn first_attribute(&self, object: u64, names: &[&str]) -> Option<u64> {
        names.iter().find_map(|name| self.objects.attribute(object, name).ok().flatten())
    }

    /// The attributes in which those that are written in Python keep their lock.
    fn inner_lock(&self, object: u64) -> Option<u64> {
        const NAMES: [&str; 5] =
            ["_block", "_RLock__block", "_lock", "_Condition__lock", "_Semaphore__cond"];
        self.first_attribute(object, &NAMES)
    }

    /// Whether a thread that sleeps at `futex`, or is `parked`, does so for this lock.
    ///
    /// Modules/_threadmodule.c: a `lockobject` begins with a pointer to a semaphore
    /// (Python/thread_pthread.h) up to 3.13.0, later with a `PyMutex`; an `rlockobject`
    /// with a pointer up to 3.13, with a `PyMutex` from 3.14 on. A `simplequeueobject`
    /// (Modules/_queuemodule.c) begins with such a lock as well, or with the flag that it
    /// parks its readers at; a `SemLockObject` with a pointer to a semaphore.
    fn sleeps_at(&self, lock: &Lock, futex: u64, parked: Option<u64>) -> bool {
        let at = lock.address.wrapping_add(u64::from(self.layout().values.head));
        parked == Some(at) || self.objects.memory.ptr(at) == Ok(futex)
    }

    /// The lock whose futex a thread sleeps at, among those that its innermost frames
    /// have to do with.
    pub(super) fn lock_of(&self, stack: Stack, futex: u64, parked: Option<u64>) -> Option<Lock> {
        for (frame, _, _) in stack.iter().take(NEAR) {
            let values = self.evaluation_stack(frame).unwrap_or_default();
            let variables = self.addresses(frame).unwrap_or_default();
            // Variables first: a lock that is written in Python has another one inside.
            let near = variables.into_iter().map(|(_, value)| value).chain(values);
            for object in near.filter(|object| *object != 0) {
                if let Some(lock) = self.lock_in(object, futex, parked) {
                    return Some(lock);
                }
            }
        }
        None
    }

    /// The lock whose futex it is: an object itself, what a method is bound to, or what
    /// an object of the standard library has inside.
    fn lock_in(&self, object: u64, futex: u64, parked: Option<u64>) -> Option<Lock> {
        let mut object = object;
        for _ in 0..3 {
            let name = self.type_name(object)?;
            if let Some(lock) = self.lock_at(object) {
                let inner = self.inner_lock(object).and_then(|inner| self.lock_at(inner));
                let held = inner.as_ref().unwrap_or(&lock);
                return self.sleeps_at(held, futex, parked).then_some(lock);
            }
            object = match name.as_str() {
                "builtin_function_or_method" | "builtin_method" => self.bound_to(object)?,
                "method" | "instancemethod" => {
                    self.objects.field(object, self.layout().values.method.1).ok()?
                }
                "Condition" | "_Condition" => self.inner_lock(object)?,
                _ => return None,
            };
        }
        None
    }

    /// `m_self` of a method that is written in C (Include/methodobject.h).
    fn bound_to(&self, method: u64) -> Option<u64> {
        let offset = self.layout().values.head + self.layout().arch.word() as u32;
        self.objects.field(method, offset).ok().filter(|bound| *bound != 0)
    }

    /// The plain lock that a `with` statement holds when it has entered `object`.
    pub(super) fn lock_behind(&self, object: u64) -> Option<Lock> {
        let lock = self.lock_at(object).or_else(|| {
            let name = self.type_name(object)?;
            let inner = matches!(name.as_str(), "Condition" | "_Condition");
            self.lock_at(inner.then(|| self.inner_lock(object))??)
        });
        lock.filter(|lock| lock.kind == LockKind::Lock)
    }
}

/// Whether `value` is a function or method of C, bound or not, that has one of these names.
pub(super) fn is_builtin(decoder: &Decoder, value: u64, names: &[&str]) -> bool {
    let objects = decoder.objects;
    let head = decoder.layout().values.head;
    let known = |name: &[u8]| names.iter().any(|known| known.as_bytes() == name);
    let found = || match decoder.type_name(value)?.as_str() {
        "builtin_function_or_method" | "builtin_method" => {
            let name = objects.memory.ptr(objects.field(value, head).ok()?).ok()?;
            Some(known(&objects.memory.c_string(name, 16).ok()?))
        }
        "method_descriptor" => {
            let word = decoder.layout().arch.word() as u32;
            let name = objects.field(value, head + word).ok()?;
            Some(known(objects.text(name, 16).ok()?.as_bytes()))
        }
        _ => None,
    };
    found().unwrap_or(false)
}

/// What a `with` statement has entered, if `value` is the `__exit__` that it keeps on the
/// stack: bound to the object, or (3.14 and later) with the object `above` it.
pub(super) fn is_exit(decoder: &Decoder, value: u64, above: Option<u64>) -> Option<u64> {
    let objects = decoder.objects;
    let layout = decoder.layout();
    let word = layout.arch.word() as u32;
    let head = layout.values.head;
    let named = |name: u64| objects.text(name, 16).is_ok_and(|name| name == "__exit__");
    let function = |function: u64| {
        objects.field(function, layout.values.function.name).is_ok_and(named).then_some(())
    };
    match decoder.type_name(value)?.as_str() {
        "builtin_function_or_method" | "builtin_method" => {
            // m_ml, which begins with the name.
            let name = objects.memory.ptr(objects.field(value, head).ok()?).ok()?;
            let name = objects.memory.c_string(name, 16).ok()?;
            if name == b"__exit__" { decoder.bound_to(value) } else { None }
        }
        "method" | "instancemethod" => {
            let (inner, bound) = layout.values.method;
            function(objects.field(value, inner).ok()?)?;
            objects.field(value, bound).ok()
        }
        // Include/descrobject.h: the type, then the name.
        "method_descriptor" => {
            let name = objects.field(value, head + word).ok()?;
            above.filter(|_| named(name))
        }
        "function" => {
            function(value)?;
            above
        }
        _ => None,
    }
    .filter(|entered| *entered != 0)
}
