//! Where the GIL is, so that a thread which sleeps at it is known to want it.

use crate::Runtime;
use crate::layout::Layout;
use crate::object::Objects;
use remote::elf::Elf;
use remote::{Memory, Module};

/// The memory of the GIL.
#[derive(Debug, Clone, Default)]
pub struct Gil {
    /// Any futex in here is the GIL's.
    ranges: Vec<(u64, u64)>,
    /// Any futex that a word in here points to is the GIL's (2.x).
    pointers: Vec<(u64, u64)>,
    requested: Option<u32>,
    /// Interpreters, and where the GIL of each is (3.12 and later).
    own: Vec<(u64, u64)>,
}

/// A variable of the interpreter's that is only known by its symbol is not larger.
const MAX_VARIABLE: u64 = 64;
/// The variables of an interpreter are less.
const MAX_VARIABLES: u64 = 8 << 20;

impl Gil {
    /// Of all `interpreters` of `runtime`. The module that holds it must be among
    /// `modules` for versions up to 3.6.
    pub fn find(
        memory: &dyn Memory,
        runtime: &Runtime,
        interpreters: &[u64],
        modules: &[Module],
    ) -> Gil {
        let layout = &runtime.layout;
        let mut gil = Gil { requested: layout.thread.gil_requested, ..Gil::default() };
        let size = u64::from(layout.waits.gil_size.unwrap_or(0));
        // 3.12 and later: each interpreter points to its own.
        if let Some(offset) = layout.interpreter.gil {
            for interpreter in interpreters {
                if let Ok(at) = memory.ptr(interpreter.wrapping_add(u64::from(offset)))
                    && at != 0
                {
                    gil.ranges.push((at, at.wrapping_add(size)));
                    gil.own.push((*interpreter, at));
                }
            }
            return gil;
        }
        // 3.7 to 3.11: in _PyRuntime.
        if let (Some(offset), Some(head)) =
            (layout.waits.runtime_gil, layout.runtime.interpreters_head)
        {
            let base = runtime.interpreters_head.wrapping_sub(u64::from(head));
            let at = base.wrapping_add(u64::from(offset));
            gil.ranges.push((at, at.wrapping_add(size)));
            return gil;
        }
        let Some(module) = modules.iter().find(|module| module.path == runtime.module) else {
            return gil;
        };
        gil.find_variables(layout, module);
        gil
    }

    /// Up to 3.6 it is made of static variables: a condition and a mutex from 3.2 on
    /// (Python/ceval_gil.h), a pointer to a lock before (Python/ceval.c).
    fn find_variables(&mut self, layout: &Layout, module: &Module) {
        const CONDITION: [&str; 4] = ["gil_cond", "gil_mutex", "switch_cond", "switch_mutex"];
        const POINTER: [&str; 1] = ["interpreter_lock"];
        let old = layout.version.major == 2;
        let names: &[&'static str] = if old { &POINTER } else { &CONDITION };
        let symbols = Elf::open(module).map(|elf| elf.symbols(names)).unwrap_or_default();
        let into = if old { &mut self.pointers } else { &mut self.ranges };
        let size = if old { layout.arch.word() as u64 } else { MAX_VARIABLE };
        into.extend(symbols.values().map(|at| (*at, at.wrapping_add(size))));
        if into.is_empty() {
            // Without symbols. No other lock that a thread would sleep at is among the
            // interpreter's own variables, but for the import lock of 2.x.
            into.extend(module.writable().filter(|(start, end)| end - start < MAX_VARIABLES));
        }
    }

    /// Where the GIL of an interpreter is, which others may share; `None` where all have the
    /// same one.
    pub fn address_of(&self, interpreter: u64) -> Option<u64> {
        self.own.iter().find(|(own, _)| *own == interpreter).map(|(_, at)| *at)
    }

    /// Whether the futex is the GIL's.
    pub fn contains(&self, memory: &dyn Memory, futex: u64) -> bool {
        let inside = |(start, end): &(u64, u64)| (*start..*end).contains(&futex);
        self.ranges.iter().any(inside)
            || self.pointers.iter().any(|range| points_to(memory, *range, futex))
    }

    /// 3.15 and later: the thread says so itself.
    pub(super) fn is_requested(&self, objects: Objects, thread_state: u64) -> bool {
        let flag = |offset: u32| {
            let at = thread_state.wrapping_add(u64::from(offset));
            objects.memory.uint(at, 4).is_ok_and(|flag| flag != 0)
        };
        self.requested.is_some_and(flag)
    }
}

/// Whether any word of a range is `address`.
fn points_to(memory: &dyn Memory, (start, end): (u64, u64), address: u64) -> bool {
    let arch = memory.arch();
    let Ok(bytes) = memory.bytes(start, (end - start) as usize) else { return false };
    bytes.chunks_exact(arch.word()).any(|word| arch.ptr(word, 0) == Some(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Image;

    #[test]
    fn pointers_lead_to_it() {
        let mut bytes = vec![0; 64];
        bytes[40..48].copy_from_slice(&0x7f00_1234u64.to_le_bytes());
        let image = Image::new(0x1000, bytes);
        let gil = Gil {
            ranges: vec![(0x5000, 0x5040)],
            pointers: vec![(0x1000, 0x1040)],
            requested: None,
            own: vec![(0x10, 0x5000)],
        };
        assert!(gil.contains(&image, 0x7f00_1234) && gil.contains(&image, 0x5020));
        assert_eq!((gil.address_of(0x10), gil.address_of(0x20)), (Some(0x5000), None));
        assert!(!gil.contains(&image, 0x7f00_1238) && !gil.contains(&image, 0x5040));
    }
}
