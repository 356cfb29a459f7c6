//! py-spy: what any Python process is doing, without touching it.

pub mod cli;
pub mod dump;
pub mod error;
pub mod fleet;
mod launch;
mod named;
pub mod record;
pub mod sampler;
mod source;
pub mod target;
pub mod top;
