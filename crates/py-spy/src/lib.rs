//! py-spy: what any Python process is doing, without touching it.

pub mod cli;
pub mod convert;
pub mod dump;
pub mod error;
pub mod fleet;
mod launch;
pub mod look;
mod named;
pub mod record;
pub mod sampler;
mod say;
mod source;
pub mod target;
pub mod top;
