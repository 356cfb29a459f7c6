//! Offsets for finding out what a thread waits for.

use super::Source;

/// Where frames keep what is on their evaluation stack and which handlers are active,
/// and where the GIL is.
#[derive(Debug, Clone)]
pub struct Waits {
    /// `co_stacksize`, an int.
    pub stack_size: Option<u32>,
    /// How a frame tells which `try` and `with` blocks it is in.
    pub blocks: Option<Blocks>,
    /// `ceval.gil` in `_PyRuntimeState` (3.7 to 3.11): the GIL itself.
    pub runtime_gil: Option<u32>,
    /// Size of `struct _gil_runtime_state` (3.7 and later).
    pub gil_size: Option<u32>,
    /// `gc.collecting` in `_PyRuntimeState` (3.7 and 3.8), an int.
    pub runtime_collecting: Option<u32>,
    /// `ob_mutex`, one byte, in the head of every object (free-threaded builds).
    pub object_mutex: Option<u32>,
}

/// How a frame tells which `try` and `with` blocks it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// A stack of blocks in the frame (up to 3.10).
    Stack {
        /// `f_valuestack`, a pointer.
        values: u32,
        /// `f_iblock`, an int: how many blocks there are.
        count: u32,
        /// `f_blockstack`: `b_type`, `b_handler` and `b_level`, three ints each.
        blocks: u32,
    },
    /// A table of the code object's, `co_exceptiontable` (3.11 and later).
    Table(u32),
}

pub(super) fn waits(source: &Source) -> Waits {
    const F: &str = "PyFrameObject";
    let stack = || {
        let count = source.table(F, "f_iblock")?;
        // It comes last but for the locals, behind one or two chars
        // (Include/frameobject.h, from 3.9 on Include/cpython/frameobject.h).
        let last = ["f_executing", "f_state"].iter().filter_map(|name| source.table(F, name));
        let before = last.map(|at| at + 1).fold(count + 4, u32::max);
        let values = source.table(F, "f_valuestack")?;
        Some(Blocks::Stack { values, count, blocks: before.next_multiple_of(4) })
    };
    let table = source.table("PyCodeObject", "co_exceptiontable").map(Blocks::Table);
    Waits {
        stack_size: source.table("PyCodeObject", "co_stacksize"),
        blocks: table.or_else(stack),
        runtime_gil: source.table("_PyRuntimeState", "ceval.gil"),
        gil_size: source.table("_gil_runtime_state", "size"),
        runtime_collecting: source.table("_PyRuntimeState", "gc.collecting"),
        object_mutex: source.table("PyObject", "ob_mutex"),
    }
}
