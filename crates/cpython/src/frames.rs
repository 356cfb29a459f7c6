//! Walking a thread's frames in a local copy of its memory.

use crate::layout::{FIRST_HIDDEN_OWNER, Layout};
use remote::Batch;

/// The most frames that are followed. CPython's own limits and the stack end recursion
/// long before; only memory that is not a stack is longer.
pub const MAX_FRAMES: usize = 4 << 20;

/// A frame as it lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFrame {
    /// Its address.
    pub address: u64,
    /// Its code object.
    pub code: u64,
    /// `f_lasti`, or the pointer to the instruction.
    pub instruction: u64,
    /// Which thread-local copy of the bytecode it runs; 0 for the code object's own.
    pub tlbc_index: u32,
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// At the outermost frame.
    Complete,
    /// The copy does not hold the frame at this address.
    Missing(u64),
    /// It went in a circle, or never ended: this is no stack.
    Broken,
}

/// The frame at `address`, whether it is one of the interpreter's own, and its caller's.
#[inline]
pub fn read_frame(layout: &Layout, batch: &Batch, address: u64) -> Option<(RawFrame, bool, u64)> {
    let frame = &layout.frame;
    let arch = layout.arch;
    let (low, high) = frame.span;
    let bytes = batch.get(address.wrapping_add(u64::from(low)), (high - low) as usize)?;
    let ptr = |offset: u32| arch.ptr(bytes, (offset - low) as usize);
    let instruction = if frame.heap {
        arch.uint(bytes, (frame.lasti - low) as usize, 4)?
    } else {
        ptr(frame.lasti)?
    };
    let owner = frame.owner.and_then(|offset| bytes.get((offset - low) as usize));
    let tlbc_index =
        frame.tlbc_index.and_then(|offset| arch.uint(bytes, (offset - low) as usize, 4));
    let raw = RawFrame {
        address,
        code: ptr(frame.code)? & !frame.tag_mask,
        instruction,
        tlbc_index: tlbc_index.unwrap_or(0) as u32,
    };
    let hidden = owner.is_some_and(|owner| *owner >= FIRST_HIDDEN_OWNER);
    Some((raw, hidden, ptr(frame.previous)?))
}

/// Follows the frames from `first` (the innermost) outwards, appending to `frames` those
/// that a program's author knows, and to `visited` the address of every one.
pub fn walk(
    layout: &Layout,
    batch: &Batch,
    first: u64,
    frames: &mut Vec<RawFrame>,
    visited: &mut Vec<u64>,
) -> Walk {
    let mut next = first;
    // Brent's cycle check: one remembered address, moved at every power of two.
    let mut mark = 0;
    let mut steps = 0usize;
    let mut limit = 16;
    while next != 0 {
        if next == mark || steps >= MAX_FRAMES {
            return Walk::Broken;
        }
        if steps == limit {
            mark = next;
            limit *= 2;
        }
        steps += 1;
        let Some((frame, hidden, previous)) = read_frame(layout, batch, next) else {
            return Walk::Missing(next);
        };
        if previous == 0 && !hidden && layout.frame.ends_hidden {
            // Its caller was cut off: a generator's frame that has just been left.
            return Walk::Broken;
        }
        visited.push(next);
        if !hidden {
            frames.push(frame);
        }
        next = previous;
    }
    Walk::Complete
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Image;
    use crate::version::Version;
    use remote::{Arch, Memory};

    #[test]
    fn circles_end_and_hidden_frames_are_left_out() {
        let layout = Layout::new(Version::new(3, 12, 1), false, Arch::LE64, None).expect("3.12");
        let frame = |code: u64, previous: u64, owner: u8| {
            let mut bytes = vec![0; 80];
            bytes[..8].copy_from_slice(&code.to_le_bytes());
            bytes[8..16].copy_from_slice(&previous.to_le_bytes());
            bytes[70] = owner;
            bytes
        };
        let mut bytes = frame(7, 0x1050, 0);
        bytes.extend(frame(8, 0x10a0, 3));
        bytes.extend(frame(9, 0x1140, 1));
        bytes.extend(frame(5, 0x10f0, 0));
        bytes.extend(frame(6, 0, 3));
        // A generator's frame that has just been left has no caller.
        bytes.extend(frame(4, 0, 1));
        let image = Image::new(0x1000, bytes);
        let mut batch = Batch::default();
        batch.push(0x1000, 480);
        image.read_batch(&mut batch).expect("an image");
        let (mut frames, mut visited) = (Vec::new(), Vec::new());
        assert_eq!(walk(&layout, &batch, 0x1000, &mut frames, &mut visited), Walk::Complete);
        assert_eq!(frames.iter().map(|frame| frame.code).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(visited.len(), 4);
        frames.clear();
        assert_eq!(walk(&layout, &batch, 0x10f0, &mut frames, &mut visited), Walk::Broken);
        assert!(frames.len() < 100);
        assert_eq!(walk(&layout, &batch, 0x1190, &mut frames, &mut visited), Walk::Broken);
        assert_eq!(walk(&layout, &batch, 0x2000, &mut frames, &mut visited), Walk::Missing(0x2000));
    }
}
