//! Knows CPython, and no operating system: layouts, finding the interpreter, threads,
//! frames, code objects and values, all through [`remote::Memory`].
//!
//! Everything that is read may be torn, stale or hostile. Every length is bounded, every
//! walk has a limit, and nothing that comes from the target is believed before it has
//! been checked against something else.

pub mod code;
pub mod dict;
pub mod discover;
pub mod frames;
pub mod layout;
pub mod linetable;
pub mod object;
pub mod runs;
pub mod still;
pub mod threads;
pub mod type_names;
pub mod value;
pub mod version;
pub mod waits;

#[cfg(test)]
mod testing;

pub use code::CodeInfo;
pub use discover::Runtime;
pub use layout::Layout;
pub use object::Objects;
pub use version::Version;
