//! Whether a garbage collection is in progress.

use crate::Runtime;
use remote::elf::Elf;
use remote::{Memory, Module};

/// Those of `interpreters` that collect garbage now.
///
/// The flag is in the interpreter from 3.9 on, in `_PyRuntime` in 3.7 and 3.8, and a static
/// variable of Modules/gcmodule.c before, of which only a symbol could tell.
pub fn collecting(
    memory: &dyn Memory,
    runtime: &Runtime,
    interpreters: &[u64],
    modules: &[Module],
) -> Vec<u64> {
    let layout = &runtime.layout;
    let is_set = |at: u64| memory.uint(at, 4).is_ok_and(|flag| flag == 1);
    if let Some(offset) = layout.interpreter.collecting {
        let own = |interpreter: &u64| is_set(interpreter.wrapping_add(u64::from(offset)));
        return interpreters.iter().copied().filter(own).collect();
    }
    let flag = match (layout.waits.runtime_collecting, layout.runtime.interpreters_head) {
        (Some(offset), Some(head)) => {
            let base = runtime.interpreters_head.wrapping_sub(u64::from(head));
            Some(base.wrapping_add(u64::from(offset)))
        }
        _ => {
            let module = modules.iter().find(|module| module.path == runtime.module);
            let elf = module.and_then(Elf::open);
            elf.and_then(|elf| elf.symbols(&["collecting"]).get("collecting").copied())
        }
    };
    match flag {
        Some(at) if is_set(at) => interpreters.to_vec(),
        _ => Vec::new(),
    }
}
