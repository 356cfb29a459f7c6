//! Looks at another process from the outside: its memory, mappings, symbols and
//! threads, and, where it must, holds a thread still for a moment.
//!
//! Everything that differs between operating systems is in the folder of that system
//! (`linux/`), whose public names are the same in each; the rest of the workspace uses
//! [`os`]. Nothing in this crate knows Python, and nothing in it writes to a target.

pub mod arch;
pub mod batch;
pub mod core;
pub mod elf;
pub mod memory;
pub mod modules;
pub mod pthread;

#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(target_os = "linux")]
pub use linux as os;

#[cfg(not(target_os = "linux"))]
compile_error!(
    "remote: only Linux is supported so far; a new system is a new folder beside linux/"
);

pub use arch::Arch;
pub use batch::Batch;
pub use memory::{Memory, ReadError};
pub use modules::{Mapping, Module};
