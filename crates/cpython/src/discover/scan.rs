//! Searching a module's variables where nothing names what we look for.

use super::Landscape;
use crate::layout::Layout;
use crate::object::{Objects, flags};
use remote::{Batch, Mapping, Memory, Module};

/// No more than this is read of one module's variables.
const MAX_SEARCH: u64 = 256 << 20;
/// Read in pieces of this size.
const PIECE: u64 = 1 << 20;
/// Interpreters and threads followed when checking a candidate.
const MAX_FOLLOWED: usize = 4096;

/// The 8-aligned addresses at which `wanted` lies in the module's variables.
pub fn find_bytes(memory: &dyn Memory, module: &Module, wanted: &[u8; 8]) -> Vec<u64> {
    let mut found = Vec::new();
    pieces(memory, module, |address, bytes| {
        let hits = bytes.chunks_exact(8).enumerate().filter(|(_, word)| word == wanted);
        found.extend(hits.map(|(i, _)| address + 8 * i as u64));
    });
    found
}

fn pieces(memory: &dyn Memory, module: &Module, mut visit: impl FnMut(u64, &[u8])) {
    let mut read = 0;
    for (start, end) in module.writable() {
        let mut at = start;
        while at < end && read < MAX_SEARCH {
            let length = (end - at).min(PIECE);
            if let Ok(bytes) = memory.bytes(at, length as usize) {
                visit(at, &bytes);
            }
            at += length;
            read += length;
        }
    }
}

/// True if an interpreter is at `address`: it has threads, they point back to it, and the
/// list of interpreters that begins with it ends.
pub fn check_interpreter(memory: &dyn Memory, layout: &Layout, address: u64) -> bool {
    interpreters_behind(memory, layout, address).is_some()
}

/// How many interpreters the list from `address` on has; `None` if it is none.
fn interpreters_behind(memory: &dyn Memory, layout: &Layout, address: u64) -> Option<usize> {
    let at = |base: u64, offset: u32| memory.ptr(base.wrapping_add(u64::from(offset))).ok();
    let word = u64::from(layout.arch.pointer);
    let mut next = address;
    let mut threads = 0;
    for count in 0..MAX_FOLLOWED {
        if next == 0 {
            // A subinterpreter may stand without a thread for a moment; all of them not.
            return (threads > 0).then_some(count);
        }
        if !next.is_multiple_of(word) {
            return None;
        }
        let thread = at(next, layout.interpreter.threads_head)?;
        if thread != 0 {
            if !thread.is_multiple_of(word) || at(thread, layout.thread.interp)? != next {
                return None;
            }
            at(thread, layout.thread.next)?;
            threads += 1;
        }
        next = at(next, layout.interpreter.next)?;
    }
    None
}

/// Finds the variable that points to the first interpreter: the one behind which the
/// most interpreters are listed.
pub fn interpreters_head(landscape: Landscape, module: &Module, layout: &Layout) -> Option<u64> {
    let memory = landscape.memory;
    let word = layout.arch.word();
    let mut candidates: Vec<(u64, u64)> = Vec::new();
    pieces(memory, module, |address, bytes| {
        for (i, _) in bytes.chunks_exact(word).enumerate() {
            let value = layout.arch.ptr(bytes, i * word).unwrap_or(0);
            if value != 0
                && value.is_multiple_of(word as u64)
                && writable(landscape.mappings, value)
            {
                candidates.push((address + (i * word) as u64, value));
            }
        }
    });
    let mut best = None;
    let mut batch = Batch::default();
    for some in candidates.chunks(1024) {
        // First the pointer to the threads, for a thousand candidates in a call.
        batch.clear();
        for (_, value) in some {
            batch.push(value + u64::from(layout.interpreter.threads_head), word);
        }
        memory.read_batch(&mut batch).ok()?;
        for (variable, value) in some {
            let field = value + u64::from(layout.interpreter.threads_head);
            let thread = batch.get(field, word).and_then(|bytes| layout.arch.ptr(bytes, 0));
            if !thread.is_some_and(|thread| thread != 0 && writable(landscape.mappings, thread)) {
                continue;
            }
            let Some(count) = interpreters_behind(memory, layout, *value) else { continue };
            if !has_modules(memory, layout, *value) {
                continue;
            }
            if best.is_none_or(|(most, _)| count > most) {
                best = Some((count, *variable));
            }
        }
    }
    best.map(|(_, variable)| variable)
}

/// `sys.modules` is a dictionary: a second look at what already seems an interpreter.
fn has_modules(memory: &dyn Memory, layout: &Layout, interpreter: u64) -> bool {
    let objects = Objects { memory, layout };
    let Some(offset) = layout.interpreter.modules else { return true };
    let Ok(modules) = objects.field(interpreter, offset) else { return false };
    match objects.type_of(modules).and_then(|type_| objects.type_name(type_)) {
        Ok(name) => name == "dict",
        // A core file need not have the constants of a binary.
        Err(_) => objects.is_a(modules, flags::DICT_SUBCLASS, &["dict"]) == Ok(true),
    }
}

fn writable(mappings: &[Mapping], address: u64) -> bool {
    let at = mappings.partition_point(|mapping| mapping.end <= address);
    mappings.get(at).is_some_and(|mapping| mapping.start <= address && mapping.write)
}
