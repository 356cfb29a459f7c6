//! For frames that are objects (up to 3.10): which callers an innermost frame has.
//!
//! A code object keeps its last frame for its next call, so that an innermost frame's
//! address mostly tells the whole chain. Reading the thread state first, and then just
//! this chain, keeps the time between the two to a microsecond.

use cpython::frames::RawFrame;
use rustc_hash::FxHashMap;

/// More innermost frames than this are forgotten and learned anew.
const MAX_CHAINS: usize = 1024;
/// Longer chains are not kept each: the thread's last one serves.
const MAX_LENGTH: usize = 256;

/// The chains of one thread.
#[derive(Debug, Default)]
pub struct Chains {
    by_innermost: FxHashMap<u64, Chain>,
}

/// The frames that were found from one innermost frame on.
#[derive(Debug, Default)]
pub struct Chain {
    /// Their addresses, innermost first.
    pub frames: Vec<u64>,
    /// Their code objects, each once.
    pub codes: Vec<u64>,
}

impl Chains {
    /// What was found from `innermost` on when it was last seen.
    pub fn get(&self, innermost: u64) -> Option<&Chain> {
        self.by_innermost.get(&innermost)
    }

    /// Takes note of a walk.
    pub fn learn(&mut self, visited: &[u64], frames: &[RawFrame]) {
        let Some(innermost) = visited.first() else { return };
        if visited.len() > MAX_LENGTH {
            return;
        }
        if self.by_innermost.len() >= MAX_CHAINS && !self.by_innermost.contains_key(innermost) {
            self.by_innermost.clear();
        }
        let chain = self.by_innermost.entry(*innermost).or_default();
        if chain.frames == visited {
            return;
        }
        chain.frames.clear();
        chain.frames.extend_from_slice(visited);
        chain.codes.clear();
        for frame in frames {
            if !chain.codes.contains(&frame.code) {
                chain.codes.push(frame.code);
            }
        }
    }
}
