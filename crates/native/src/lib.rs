//! Native stacks: unwinding them, naming their functions, and merging them with Python's.
//!
//! ```text
//!   registers and stack of a thread        (a copy, or a core file)
//!            v
//!   unwind   rules for each address, from unwind information or from the code
//!            v
//!   space    the process's modules; what is known of each address is known once
//!   symbol   names and lines: symbol tables, DWARF, Cython, perf maps
//!            v
//!   merge    which native frame stands for which Python frames
//! ```
//!
//! Nothing here holds a thread, knows when to sample, or where samples go. Code and unwind
//! information are read through [`remote::Memory`], so that a live process and a core file
//! are the same; [`Space::walk`] reads the target only where it meets an address for the
//! first time, which may be long after the thread was let go.

mod image;
pub mod interpreter;
pub mod merge;
mod registers;
mod space;
mod symbol;
mod unwind;

pub use merge::{Choice, Level, Outcome, Step, merge};
pub use registers::Registers;
pub use space::{Frame, Function, FunctionId, Setting, Space, Walk};
pub use symbol::library::Library;
pub use unwind::{Stack, StackCopy, Stop};
