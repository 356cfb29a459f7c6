//! The variables of frames, read while their threads stand still.

use cpython::frames::RawFrame;
use cpython::value::{Budget, Cache, Decoder, Variable};
use cpython::{Layout, Objects};
use remote::Memory;

/// The variables of each of `frames`; `None` where they are no longer (or not yet) there,
/// and where `expired` said that the process must go on.
///
/// `memory` need not be a process's: a core file will do.
pub fn read(
    memory: &dyn Memory,
    layout: &Layout,
    threads: &[&[RawFrame]],
    budget: Budget,
    expired: &dyn Fn() -> bool,
) -> Vec<Vec<Option<Vec<Variable>>>> {
    let cache = Cache::new(memory);
    let objects = Objects { memory: &cache, layout };
    let decoder = Decoder::new(objects, budget).until(expired);
    let frame = |frame: &RawFrame| match expired() {
        true => None,
        false => decoder.locals(frame).ok(),
    };
    threads.iter().map(|frames| frames.iter().map(frame).collect()).collect()
}
