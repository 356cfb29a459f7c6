//! py-spy: what any Python process is doing, without touching it.

pub mod error;
pub mod sampler;
pub mod target;
