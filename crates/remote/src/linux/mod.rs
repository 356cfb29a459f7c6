//! Linux: `process_vm_readv`, `/proc`, `ptrace`.

pub mod blocking;
pub mod clock;
pub mod descriptors;
pub mod diagnose;
pub mod family;
pub mod files;
pub mod maps;
pub mod memory;
pub mod mounts;
pub mod pause;
pub mod process;
pub mod signals;
pub mod spawn;
pub mod threads;

pub use blocking::Blocked;
pub use descriptors::{Descriptor, Descriptors};
pub use files::FileId;
pub use memory::ProcessMemory;
pub use pause::{PauseError, Pauser};
pub use process::{OpenError, Process};
pub use threads::{RunState, Thread};
