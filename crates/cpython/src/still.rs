//! Stacks of a target that does not move: a core file, or a process that stands still.
//!
//! The sampler of a running process predicts, copies and judges; here one read after the
//! other will do.

use crate::frames::{self, MAX_FRAMES, RawFrame, Walk};
use crate::layout::Layout;
use crate::threads::ThreadState;
use remote::{Batch, Memory};
use std::collections::HashSet;

/// What is read at once of the memory around a frame.
const WINDOW: u64 = 16 << 10;

/// The frames of one thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    /// Innermost first.
    pub frames: Vec<RawFrame>,
    /// The addresses of all frames, the interpreter's own as well.
    pub visited: Vec<u64>,
    /// Memory that is missing or damaged ended the walk before the outermost frame.
    pub cut: bool,
}

/// Reads the frames of `thread`.
pub fn stack(memory: &dyn Memory, layout: &Layout, thread: &ThreadState) -> Stack {
    let mut stack = Stack::default();
    let Some(first) = innermost(memory, layout, thread) else {
        return Stack { cut: true, ..stack };
    };
    let mut batch = Batch::default();
    let mut missing = HashSet::new();
    let mut next = first;
    loop {
        match frames::walk(layout, &batch, next, &mut stack.frames, &mut stack.visited) {
            Walk::Complete => return stack,
            // The same frame is missing twice where its memory is, and in a circle.
            Walk::Missing(address)
                if stack.visited.len() < MAX_FRAMES && missing.insert(address) =>
            {
                next = address;
                fetch(memory, layout, address, &mut batch);
            }
            Walk::Missing(_) | Walk::Broken => {
                stack.cut = true;
                return stack;
            }
        }
    }
}

/// The address of the innermost frame, 0 for none.
fn innermost(memory: &dyn Memory, layout: &Layout, thread: &ThreadState) -> Option<u64> {
    let frame = memory.ptr(thread.address.wrapping_add(u64::from(layout.thread.frame))).ok()?;
    match layout.thread.cframe_current {
        Some(offset) if frame != 0 => memory.ptr(frame.wrapping_add(u64::from(offset))).ok(),
        _ => Some(frame),
    }
}

/// Reads the frame at `address` and what is around it.
fn fetch(memory: &dyn Memory, layout: &Layout, address: u64, batch: &mut Batch) {
    let (low, high) = layout.frame.span;
    let length = u64::from(high - low);
    let first = address.wrapping_add(u64::from(low));
    // Older frames lie lower mostly: below in a chunk of a data stack.
    let from = (first & !4095).saturating_sub(WINDOW);
    let end = (first & !4095).saturating_add(4096);
    batch.clear();
    batch.push(from, (end - from) as usize);
    let _ = memory.read_batch(batch);
    if batch.get(first, length as usize).is_none() {
        batch.clear();
        batch.push(first, length as usize);
        // What cannot be read is missed again, and the walk ends there.
        let _ = memory.read_batch(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Image;
    use crate::version::Version;
    use remote::Arch;

    /// Frames of 96 bytes one above the other, each called by the one below; the thread's
    /// state is at the start.
    fn image(count: u64, last: u64) -> (Layout, ThreadState, Image) {
        let layout = Layout::new(Version::new(3, 13, 0), false, Arch::LE64, None).expect("3.13");
        let mut bytes = vec![0; 0x1000];
        let at = |i: u64| 0x2000 + 96 * i;
        let frame = layout.thread.frame as usize;
        bytes[frame..frame + 8].copy_from_slice(&at(count - 1).to_le_bytes());
        for i in 0..count {
            let mut one = vec![0; 96];
            let previous = if i == 0 { last } else { at(i - 1) };
            let mut put = |offset: u32, value: u64| {
                one[offset as usize..][..8].copy_from_slice(&value.to_le_bytes());
            };
            put(layout.frame.code, 0x100 + i);
            put(layout.frame.previous, previous);
            one[layout.frame.owner.expect("an owner") as usize] = if i == 0 { 3 } else { 0 };
            bytes.extend(one);
        }
        let thread = ThreadState {
            address: 0x1000,
            interpreter: 0,
            pthread_id: 0,
            native_id: None,
            serial: None,
        };
        (layout, thread, Image::new(0x1000, bytes))
    }

    #[test]
    fn deep_stacks_and_circles_and_holes() {
        let (layout, thread, memory) = image(5000, 0);
        let found = stack(&memory, &layout, &thread);
        assert_eq!((found.frames.len(), found.cut), (4999, false));
        assert!(found.frames.windows(2).all(|pair| pair[0].code == pair[1].code + 1));
        let (layout, thread, memory) = image(5000, 0x2000 + 96 * 4000);
        let found = stack(&memory, &layout, &thread);
        assert!(found.cut && found.frames.len() < 20_000, "{}", found.frames.len());
        let (layout, thread, memory) = image(5000, 0x7777_0000);
        let found = stack(&memory, &layout, &thread);
        assert_eq!((found.frames.len(), found.cut), (4999, true));
        let gone = ThreadState { address: 0x8888_0000, ..thread };
        assert_eq!(stack(&memory, &layout, &gone), Stack { cut: true, ..Stack::default() });
    }
}
