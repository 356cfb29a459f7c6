//! Which Python frames are run by which run of the evaluation loop, for those who look at
//! the native stack as well.
//!
//! | versions | what a run keeps on its native stack | frames it runs |
//! | --- | --- | --- |
//! | up to 3.9 | nothing that the thread state leads to | one |
//! | 3.10 | a `CFrame`, in a chain from the thread state | one |
//! | 3.11 | a `_PyCFrame` in such a chain, which points to its innermost frame | up to the next one's |
//! | 3.12 and later | an entry frame, hidden among the frames | those in front of it |
//!
//! (Python/ceval.c `_PyEval_EvalFrameDefault`, Include/cpython/pystate.h.)

use crate::frames::RawFrame;
use crate::layout::Layout;
use remote::Memory;

/// One run of the evaluation loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// An address in its native frame; `None` up to 3.9.
    pub marker: Option<u64>,
    /// Its innermost Python frame.
    pub frame: u64,
    /// How many Python frames it runs.
    pub count: usize,
}

/// What the runs are told from.
#[derive(Debug, Clone, Copy)]
pub struct Stack<'a> {
    /// The frames that [`crate::frames::walk`] found.
    pub frames: &'a [RawFrame],
    /// The addresses of all frames that it visited.
    pub visited: &'a [u64],
    /// The innermost C frame, where the thread state points to one.
    pub cframe: Option<u64>,
}

/// More C frames than this are no chain.
const MAX_RUNS: usize = 1 << 20;

/// Appends the runs of `stack`, innermost first, to `runs`. `read` gives pointers from the
/// thread's native stack, and nothing from elsewhere.
pub fn find(layout: &Layout, stack: Stack, read: &dyn Fn(u64) -> Option<u64>, runs: &mut Vec<Run>) {
    if layout.frame.ends_hidden {
        return by_entry_frames(stack, runs);
    }
    let cframes = match (stack.cframe, layout.thread.cframe_previous) {
        (Some(first), Some(previous)) => chain(first, previous, read),
        _ => Vec::new(),
    };
    match layout.thread.cframe_current {
        Some(current) => by_current_frames(stack.frames, &cframes, current, read, runs),
        None => one_each(stack.frames, &cframes, runs),
    }
}

/// Whether the innermost run of the evaluation loop has put its frame in place, where
/// `visited` are the addresses of all frames from there. Until then its C frame points to
/// whatever was on the native stack (3.11: Python/ceval.c, `_PyEval_EvalFrameDefault` sets
/// `tstate->cframe` before `cframe.current_frame`): often a frame of before, as that of a
/// generator, which then has no caller.
pub fn is_entered(memory: &dyn Memory, layout: &Layout, state: u64, visited: &[u64]) -> bool {
    let thread = &layout.thread;
    let (Some(cframe), Some(previous), Some(current)) =
        (thread.cframe, thread.cframe_previous, thread.cframe_current)
    else {
        return true;
    };
    let at = |base: u64, offset: u32| memory.ptr(base.wrapping_add(u64::from(offset))).ok();
    let outer = at(state, cframe).and_then(|own| match at(own, previous)? {
        0 => Some(0),
        outer => at(outer, current),
    });
    outer.is_some_and(|outer| outer == 0 || visited.contains(&outer))
}

/// Since 3.12.
fn by_entry_frames(stack: Stack, runs: &mut Vec<Run>) {
    let mut frames = stack.frames.iter().peekable();
    let mut run = Run { marker: None, frame: 0, count: 0 };
    for address in stack.visited {
        if frames.next_if(|frame| frame.address == *address).is_some() {
            run.frame = if run.count == 0 { *address } else { run.frame };
            run.count += 1;
        } else if run.count > 0 {
            runs.push(Run { marker: Some(*address), ..run });
            run.count = 0;
        }
    }
    if run.count > 0 {
        runs.push(run);
    }
}

/// The C frames on the native stack, innermost first. The last one is in the thread state.
fn chain(first: u64, previous: u32, read: &dyn Fn(u64) -> Option<u64>) -> Vec<u64> {
    let mut cframes = Vec::new();
    let mut next = first;
    while let Some(before) = read(next.wrapping_add(u64::from(previous)))
        && cframes.len() < MAX_RUNS
    {
        cframes.push(next);
        // They lie on one stack, which grows downwards.
        if before <= next {
            break;
        }
        next = before;
    }
    cframes
}

/// 3.11.
fn by_current_frames(
    frames: &[RawFrame],
    cframes: &[u64],
    current: u32,
    read: &dyn Fn(u64) -> Option<u64>,
    runs: &mut Vec<Run>,
) {
    let innermost = |cframe: &u64| read(cframe.wrapping_add(u64::from(current)));
    let mut rest = frames;
    for (i, cframe) in cframes.iter().enumerate() {
        let end = match cframes.get(i + 1).map(innermost) {
            Some(outer) => {
                rest.iter().position(|frame| Some(frame.address) == outer).unwrap_or(rest.len())
            }
            None => rest.len(),
        };
        let (own, outer) = rest.split_at(end);
        if let Some(first) = own.first() {
            runs.push(Run { marker: Some(*cframe), frame: first.address, count: own.len() });
        }
        rest = outer;
    }
    if let Some(first) = rest.first() {
        runs.push(Run { marker: None, frame: first.address, count: rest.len() });
    }
}

/// Up to 3.10: the outermost C frame is that of the outermost frame, and the innermost one
/// may be that of a run which is about to begin or has just ended.
fn one_each(frames: &[RawFrame], cframes: &[u64], runs: &mut Vec<Run>) {
    let more = cframes.len() as isize - frames.len() as isize;
    for (i, frame) in frames.iter().enumerate() {
        let at = i.checked_add_signed(more);
        let marker = at.and_then(|at| cframes.get(at)).copied();
        runs.push(Run { marker, frame: frame.address, count: 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Image;
    use crate::version::Version;
    use remote::Arch;

    fn frame(address: u64) -> RawFrame {
        RawFrame { address, code: 1, instruction: 0, tlbc_index: 0 }
    }

    fn runs(minor: u8, visited: &[u64], shown: &[u64], words: &[(u64, u64)]) -> Vec<Run> {
        let layout =
            Layout::new(Version::new(3, minor, 2), false, Arch::LE64, None).expect("known");
        let frames: Vec<RawFrame> = shown.iter().map(|address| frame(*address)).collect();
        let read =
            |at: u64| words.iter().find(|(address, _)| *address == at).map(|(_, word)| *word);
        let stack = Stack { frames: &frames, visited, cframe: Some(0x7000) };
        let mut runs = Vec::new();
        find(&layout, stack, &read, &mut runs);
        runs
    }

    #[test]
    fn entry_frames_end_runs() {
        let found = runs(12, &[1, 2, 0x7100, 0x7180, 3, 0x7200], &[1, 2, 3], &[]);
        let run = |marker, frame, count| Run { marker: Some(marker), frame, count };
        assert_eq!(found, [run(0x7100, 1, 2), run(0x7200, 3, 1)]);
    }

    #[test]
    fn c_frames_point_to_their_innermost_frames() {
        // current_frame 8, previous 16; the last one is in the thread state.
        let words = [(0x7008, 1), (0x7010, 0x7100), (0x7108, 3), (0x7110, 0x9000)];
        let found = runs(11, &[1, 2, 3, 4], &[1, 2, 3, 4], &words);
        let run = |marker, frame, count| Run { marker: Some(marker), frame, count };
        assert_eq!(found, [run(0x7000, 1, 2), run(0x7100, 3, 2)]);
    }

    #[test]
    fn a_run_that_has_only_begun_shows_what_was_there_before() {
        let layout = Layout::new(Version::new(3, 11, 2), false, Arch::LE64, None).expect("known");
        let cframe = layout.thread.cframe.expect("in 3.11") as usize;
        // The state, and two C frames: current_frame 8, previous 16.
        let mut bytes = vec![0; 0x400];
        let mut put = |at: usize, word: u64| bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        put(cframe, 0x1300);
        put(0x308, 1);
        put(0x310, 0x1340);
        put(0x348, 2);
        let memory = Image::new(0x1000, bytes.clone());
        assert!(is_entered(&memory, &layout, 0x1000, &[1, 2, 3]));
        assert!(!is_entered(&memory, &layout, 0x1000, &[1]));
        // Nothing is around the outermost.
        bytes[0x348] = 0;
        assert!(is_entered(&Image::new(0x1000, bytes.clone()), &layout, 0x1000, &[1]));
        bytes.truncate(0x340);
        assert!(!is_entered(&Image::new(0x1000, bytes), &layout, 0x1000, &[1]));
    }

    #[test]
    fn one_run_for_each_frame() {
        // previous 8; the innermost run has no frame yet.
        let words = [(0x7008, 0x7100), (0x7108, 0x7200), (0x7208, 0x9000)];
        let found = runs(10, &[1, 2], &[1, 2], &words);
        let markers: Vec<_> = found.iter().map(|run| run.marker).collect();
        assert_eq!(markers, [Some(0x7100), Some(0x7200)]);
        // The innermost frame has no run any more.
        let found = runs(10, &[1, 2, 3, 4], &[1, 2, 3, 4], &words);
        let markers: Vec<_> = found.iter().map(|run| run.marker).collect();
        assert_eq!(markers, [None, Some(0x7000), Some(0x7100), Some(0x7200)]);
        let found = runs(8, &[1, 2], &[1, 2], &words);
        assert_eq!(found.iter().filter(|run| run.marker.is_none()).count(), 2);
    }
}
