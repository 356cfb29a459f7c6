//! The recording as a file that can be written while it is made, and read up to where it ends.
//!
//! The format is described in `docs/format.md`; in short:
//!
//! ```text
//! magic, version
//! chunk: kind (1 byte), length (4), payload, CRC-32 of all that (4)
//! chunk ...
//! ```
//!
//! Each kind of chunk adds to one table of the recording (strings, frames, stacks, processes,
//! threads) or to its timeline; what is new is told before it is used.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Ending, Restored, Unreadable, restore};
pub use write::StreamWriter;

/// What a file begins with. The first byte is no text, and the line ends show whether something
/// on the way has changed those.
const MAGIC: [u8; 8] = *b"\x89PYSPY\r\n";

/// The version of the format. Kinds of chunks that readers may skip can be added without a new
/// one, and fields at the end of entries that have a length.
const VERSION: u32 = 1;

/// The kinds of chunks. A reader skips those it does not know if they are lower-case letters.
mod kind {
    pub(super) const META: u8 = b'M';
    pub(super) const STRINGS: u8 = b'S';
    pub(super) const FRAMES: u8 = b'F';
    pub(super) const STACKS: u8 = b'K';
    pub(super) const PROCESSES: u8 = b'P';
    pub(super) const PROCESS_NAMES: u8 = b'R';
    pub(super) const THREADS: u8 = b'T';
    pub(super) const THREAD_NAMES: u8 = b'N';
    pub(super) const TIMELINE: u8 = b'L';
    pub(super) const QUALITY: u8 = b'Q';
    pub(super) const END: u8 = b'E';
}

/// The fields of the meta chunk.
mod field {
    pub(super) const COMMAND: u64 = 1;
    pub(super) const START_TIME: u64 = 2;
    pub(super) const RATE: u64 = 3;
    pub(super) const PYTHON_VERSION: u64 = 4;
    pub(super) const TOOL_VERSION: u64 = 5;
    pub(super) const UNIT: u64 = 6;
}

/// Makes `counters` from the names of all of them.
macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// The counters of the quality chunk, in their order there.
        fn counters(quality: &mut crate::Quality) -> impl Iterator<Item = &mut u64> {
            let crate::Quality { $($name),* } = quality;
            [$($name),*].into_iter()
        }
    };
}

// New ones go to the end.
counters!(
    samples,
    ticks,
    late,
    missed,
    dropped,
    torn,
    repaired,
    retried,
    paused,
    paused_ns,
    pause_failed,
    filtered,
    errors,
    unmerged,
    unheld,
);

/// The numbers that stand for kinds of frames.
const FRAME_KINDS: [crate::FrameKind; 4] = [
    crate::FrameKind::Python,
    crate::FrameKind::Cython,
    crate::FrameKind::Native,
    crate::FrameKind::Marker,
];
