//! Interpreters, their thread states, and the names that `threading` gave to threads.

use crate::layout::Layout;
use crate::object::Objects;
use remote::{Memory, ReadError};
use std::collections::{HashMap, HashSet};

/// More interpreters or threads than this are not followed.
const MAX_INTERPRETERS: usize = 4096;
const MAX_THREADS: usize = 65_536;

/// One thread state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadState {
    /// Its address.
    pub address: u64,
    /// Its interpreter's address.
    pub interpreter: u64,
    /// `pthread_self()`.
    pub pthread_id: u64,
    /// The system's thread id as the target sees it (3.11 and later).
    pub native_id: Option<u64>,
    /// What tells it from all others that were, or will be, at the same place, where there is such
    /// a number.
    pub serial: Option<u64>,
}

/// Adds the interpreters listed from the variable at `head` on. False if that is not all: the
/// list changed while it was read, and should be read again.
pub fn interpreters(
    memory: &dyn Memory,
    layout: &Layout,
    head: u64,
    into: &mut Vec<u64>,
) -> Result<bool, ReadError> {
    let mut next = memory.ptr(head)?;
    while next != 0 {
        if into.len() >= MAX_INTERPRETERS || into.contains(&next) {
            return Ok(false);
        }
        into.push(next);
        match memory.ptr(next.wrapping_add(u64::from(layout.interpreter.next))) {
            Ok(address) => next = address,
            Err(ReadError::Fault { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Adds the thread states of the interpreter at `interpreter`, newest first. False if that is
/// not all: one was freed while the list was read, which should be done again.
pub fn thread_states(
    memory: &dyn Memory,
    layout: &Layout,
    interpreter: u64,
    into: &mut Vec<ThreadState>,
) -> Result<bool, ReadError> {
    let arch = layout.arch;
    let thread = &layout.thread;
    let mut next =
        memory.ptr(interpreter.wrapping_add(u64::from(layout.interpreter.threads_head)))?;
    let mut seen = HashSet::new();
    let mut bytes = vec![0; thread.size.min(4096) as usize];
    while next != 0 {
        if seen.len() >= MAX_THREADS || !seen.insert(next) {
            return Ok(false);
        }
        match memory.read(next, &mut bytes) {
            Ok(()) => {}
            Err(ReadError::Fault { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        let ptr = |offset: u32| arch.ptr(&bytes, offset as usize).unwrap_or(0);
        if ptr(thread.interp) != interpreter {
            // It was freed while we came to it.
            return Ok(false);
        }
        into.push(ThreadState {
            address: next,
            interpreter,
            pthread_id: ptr(thread.thread_id),
            native_id: thread.native_thread_id.map(ptr),
            serial: thread.serial.map(ptr),
        });
        next = ptr(thread.next);
    }
    Ok(true)
}

/// The thread state that holds the GIL at `gil` (3.12 and later), of which `read` gives
/// the number of so many bytes at an address.
pub fn gil_holder(
    layout: &Layout,
    gil: u64,
    read: impl Fn(u64, usize) -> Option<u64>,
) -> Option<u64> {
    let (holder, locked) = layout.gil?;
    if read(gil.wrapping_add(u64::from(locked)), 4)? != 1 {
        return None;
    }
    read(gil.wrapping_add(u64::from(holder)), layout.arch.word()).filter(|holder| *holder != 0)
}

/// The names of the threads that `threading` of this interpreter knows, by the identifier
/// that `threading.get_ident()` gives (the pthread id). Empty where `threading` has not
/// been imported.
pub fn names(objects: Objects, interpreter: u64) -> HashMap<u64, String> {
    read_names(objects, interpreter).unwrap_or_default()
}

fn read_names(objects: Objects, interpreter: u64) -> Option<HashMap<u64, String>> {
    let layout = objects.layout;
    let modules = objects.field(interpreter, layout.interpreter.modules?).ok()?;
    let threading = objects.dict_get(modules, "threading").ok()??;
    let dict = objects.field(threading, layout.object.md_dict).ok()?;
    let active = objects.dict_get(dict, "_active").ok()??;
    let attributes: &[&str] =
        if layout.version.major == 2 { &["_Thread__name", "_name"] } else { &["_name", "name"] };
    let mut found = HashMap::new();
    let visit = &mut |ident: u64, thread: u64| {
        let name = attributes.iter().find_map(|name| objects.attribute(thread, name).ok()?);
        let ident = objects.small_int(ident);
        if let (Ok(ident), Some(Ok(name))) = (ident, name.map(|name| objects.text(name, 256))) {
            found.insert(ident as u64, name);
        }
        true
    };
    // What was read before a change of the dictionary interrupted it is still true.
    let _ = objects.for_each_item(active, visit);
    Some(found)
}
