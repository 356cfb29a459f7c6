//! One stack of native and Python frames.
//!
//! A native frame of the evaluation loop stands for the Python frames that it runs. From
//! 3.10 on every run of the loop keeps something of its own on its stack that the thread
//! state leads to: a *marker* (3.10 and 3.11 the `CFrame`, since 3.12 the entry frame). The
//! native frame around a marker's address is the one that runs those Python frames, whatever
//! it is called and however the compiler has cut it up. Up to 3.9 there is one run of the
//! loop for each Python frame, and they are counted.
//!
//! ```text
//!   Python frames       levels                  native frames
//!
//!   inner       \                               memcpy
//!   generator    } marker 0x7ffe10 --\          list_sort
//!   sort_them   /                     \-------- _PyEval_EvalFrameDefault  0x7ffd80..0x7ffe90
//!   main        }- marker 0x7fff20 -----\       callback
//!                                        \----- _PyEval_EvalFrameDefault  0x7ffeb0..0x7fff90
//!                                               main
//! ```

use crate::interpreter::{self, Role};
use crate::space::{Frame, FunctionId, Space, Walk};
use crate::unwind::{Stack, Stop};
use remote::Memory;

/// The Python frames that one run of the evaluation loop runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// An address inside of the native frame; `None` up to 3.9.
    pub marker: Option<u64>,
    /// The address of the frame object, which the loop has at hand (up to 3.9).
    pub frame: u64,
    /// How many they are.
    pub count: usize,
}

/// One step of a merged stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The Python frame of this number, counted from the innermost.
    Python(usize),
    /// A native function.
    Native(FunctionId),
}

/// Which native frames are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    /// The interpreter's own, and what runs before it, as well.
    pub all: bool,
}

/// What came of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Every Python frame has its native frame, and none is missing between them.
    pub whole: bool,
    /// The thread waits for the GIL.
    pub waits_for_gil: bool,
}

/// Merges the Python frames of `levels` (innermost first) with the native frames of `walk`
/// into `steps` (innermost first). All Python frames are there in any case, in their order;
/// native frames are where it is certain between which they belong.
pub fn merge(
    space: &mut Space,
    memory: &dyn Memory,
    stack: &dyn Stack,
    walk: &Walk,
    levels: &[Level],
    choice: Choice,
    steps: &mut Vec<Step>,
) -> Outcome {
    steps.clear();
    let mut merger = Merger { space, memory, choice, waits_for_gil: false };
    let anchors = match levels.iter().all(|level| level.marker.is_some()) {
        true => by_marker(walk, levels),
        false => merger.by_count(stack, walk, levels),
    };
    let mut whole = true;
    let mut python = 0;
    // The first native frame that is not placed yet, while it is certain what comes before.
    let mut next = Some(0);
    for (level, anchor) in levels.iter().zip(&anchors) {
        if let (Some(from), Some(anchor)) = (next, *anchor)
            && from <= anchor
        {
            merger.native(&walk.frames[from..anchor], steps, false);
        }
        whole &= anchor.is_some();
        steps.extend((python..python + level.count).map(Step::Python));
        python += level.count;
        next = anchor.map(|anchor| anchor + 1);
    }
    if let Some(from) = next {
        merger.native(&walk.frames[from..], steps, true);
    }
    let ends = levels.is_empty() && walk.stop != Some(Stop::Outermost);
    Outcome { whole: whole && !ends, waits_for_gil: merger.waits_for_gil }
}

/// The native frame around each level's marker.
fn by_marker(walk: &Walk, levels: &[Level]) -> Vec<Option<usize>> {
    let around = |level: &Level| {
        let marker = level.marker?;
        let next = walk.frames.partition_point(|frame| frame.sp <= marker);
        let at = next.checked_sub(1)?;
        let end = walk.frames.get(next).map(|frame| frame.sp).or(walk.end)?;
        (marker < end).then_some(at)
    };
    let mut anchors: Vec<Option<usize>> = levels.iter().map(around).collect();
    // Two levels cannot be one frame, nor lie the wrong way round: then none is certain.
    let mut last: Option<usize> = None;
    for anchor in &mut anchors {
        if let (Some(at), Some(before)) = (*anchor, last)
            && at <= before
        {
            *anchor = None;
        }
        last = anchor.or(last);
    }
    anchors
}

struct Merger<'a> {
    space: &'a mut Space,
    memory: &'a dyn Memory,
    choice: Choice,
    waits_for_gil: bool,
}

impl Merger<'_> {
    /// Appends native frames that follow each other (innermost first) as they are to be
    /// shown. `outermost` says that nothing is further out.
    fn native(&mut self, frames: &[Frame], steps: &mut Vec<Step>, outermost: bool) {
        let mut frames = frames;
        if outermost && !self.choice.all {
            while let Some((last, rest)) = frames.split_last() {
                let shown = self.space.shown(self.memory, last);
                match shown.role {
                    Role::Startup | Role::Internal | Role::Eval | Role::Generated => frames = rest,
                    // Without symbols a thread's first functions have no names.
                    Role::Plain if shown.nameless_libc => frames = rest,
                    _ => break,
                }
            }
        }
        let from = steps.len();
        // From the outside in: of each piece of work the function that began it counts.
        let mut work = None;
        for (i, frame) in frames.iter().enumerate().rev() {
            let shown = self.space.shown(self.memory, frame);
            let mut role = shown.role;
            let callee = i.checked_sub(1).and_then(|i| frames.get(i));
            if self.is_take_gil(frame, role, callee) || self.is_gil_of_2_7(frame, frames.get(i + 1))
            {
                role = Role::Work(interpreter::Work::Gil);
            }
            self.waits_for_gil |= role == Role::Work(interpreter::Work::Gil);
            let visible = match role {
                // The C library's own helpers, where they have no names.
                Role::Plain if shown.nameless_libc => {
                    !frames.get(i + 1).is_some_and(|caller| self.space.same_module(caller, frame))
                }
                Role::Plain | Role::Startup => true,
                Role::Generated => {
                    !frames.get(i + 1).is_none_or(|caller| self.space.is_interpreter(caller))
                }
                Role::Work(kind) => work != Some(kind),
                Role::Internal | Role::Eval => false,
            };
            match role {
                Role::Work(kind) => work = Some(kind),
                Role::Internal | Role::Eval | Role::Generated => {}
                Role::Plain | Role::Startup => work = None,
            }
            if visible || self.choice.all {
                if role == shown.role {
                    let functions = self.space.functions_of(shown).iter().rev();
                    steps.extend(functions.map(|id| Step::Native(*id)));
                } else {
                    let name = self.space.named_like(shown, "take_gil");
                    steps.push(Step::Native(name));
                }
            }
        }
        steps[from..].reverse();
        self.fold_wrappers(from, steps);
    }

    /// Cython makes two C functions of one: a wrapper that unpacks the arguments, and the
    /// function itself.
    fn fold_wrappers(&self, from: usize, steps: &mut Vec<Step>) {
        if self.choice.all {
            return;
        }
        let cython = |step: &Step| match step {
            Step::Native(id) => self.space.function(*id).filter(|function| function.cython),
            Step::Python(_) => None,
        };
        let mut kept = from;
        for i in from..steps.len() {
            let same = kept > from
                && match (cython(&steps[i]), cython(&steps[kept - 1])) {
                    (Some(outer), Some(inner)) => {
                        outer.name == inner.name && outer.module == inner.module
                    }
                    _ => false,
                };
            if !same {
                steps[kept] = steps[i];
                kept += 1;
            }
        }
        steps.truncate(kept);
    }

    /// Without symbols `take_gil` is still the function of the interpreter that waits with
    /// a time limit.
    fn is_take_gil(&mut self, frame: &Frame, role: Role, callee: Option<&Frame>) -> bool {
        let Some(callee) = callee else { return false };
        if role != Role::Internal || !self.space.is_interpreter(frame) {
            return false;
        }
        self.space.shown(self.memory, callee).gil_wait
    }

    /// Whether a frame takes the GIL as 2.7 does: for the evaluation loop, which is not among
    /// the frames here, or a function that begins by that.
    fn is_gil_of_2_7(&mut self, frame: &Frame, caller: Option<&Frame>) -> bool {
        self.space.is_interpreter(frame)
            && self.space.shown(self.memory, frame).lock_wait
            && caller.is_none_or(|caller| self.space.shown(self.memory, caller).for_gil)
    }

    /// Up to 3.9: the native frame of each Python frame, by counting.
    fn by_count(&mut self, stack: &dyn Stack, walk: &Walk, levels: &[Level]) -> Vec<Option<usize>> {
        let loops = self.loops(walk);
        let complete = walk.stop == Some(Stop::Outermost) || self.has_begun(walk, &loops);
        if loops.len() == levels.len() && complete {
            return loops.into_iter().map(Some).collect();
        }
        // A frame more or less: one that is about to begin or end, or the stack of another
        // greenlet below. The loop has its frame object at hand, so that its address lies
        // somewhere in the loop's native frame, or where its callee has saved it.
        let score = |shift: isize| {
            let hits = levels.iter().enumerate().filter(|(i, level)| {
                let at = i.checked_add_signed(shift).and_then(|at| loops.get(at));
                at.is_some_and(|at| holds(stack, walk, *at, level.frame))
            });
            hits.count()
        };
        let (fewest, most) = (-(levels.len() as isize), loops.len() as isize);
        // A stack of thousands of frames is compared at its likely places only.
        let likely = [0, most + fewest, 1, -1];
        let best = likely.into_iter().map(|shift| (score(shift), shift)).max();
        // Where two places are as likely neither is certain.
        let certain = best.filter(|(hits, shift)| {
            let others = likely.iter().filter(|other| *other != shift);
            *hits > 0 && others.map(|other| score(*other)).max() < Some(*hits)
        });
        let mut anchors = vec![None; levels.len()];
        if let Some((_, shift)) = certain {
            for (i, anchor) in anchors.iter_mut().enumerate() {
                *anchor = i.checked_add_signed(shift).and_then(|at| loops.get(at)).copied();
            }
        }
        anchors
    }

    /// Whether the program's start lies beyond the outermost of the `loops`: older ones for
    /// aarch64 do not say that it is the outermost function.
    fn has_begun(&mut self, walk: &Walk, loops: &[usize]) -> bool {
        let beyond = loops.last().map_or(0, |last| last + 1);
        let mut frames = walk.frames.iter().skip(beyond);
        frames.any(|frame| self.space.shown(self.memory, frame).role == Role::Startup)
    }

    /// The frames of the evaluation loop, innermost first.
    fn loops(&mut self, walk: &Walk) -> Vec<usize> {
        let mut loops: Vec<usize> = Vec::new();
        for (i, frame) in walk.frames.iter().enumerate() {
            let eval = self.space.is_interpreter(frame)
                && self.space.shown(self.memory, frame).role == Role::Eval;
            if !eval {
                continue;
            }
            // A part that the compiler has split off is called by the rest directly.
            if let Some(last) = loops.last_mut()
                && *last + 1 == i
                && self.space.bounds(&walk.frames[*last]) != self.space.bounds(frame)
            {
                *last = i;
                continue;
            }
            loops.push(i);
        }
        loops
    }
}

/// Whether `value` lies in the native frame `at`, or in its callee's.
fn holds(stack: &dyn Stack, walk: &Walk, at: usize, value: u64) -> bool {
    /// Words looked at.
    const MAX: u64 = 512;
    let Some(frame) = walk.frames.get(at) else { return false };
    let from = at.checked_sub(1).and_then(|at| walk.frames.get(at)).map_or(frame.sp, |f| f.sp);
    let end = walk.frames.get(at + 1).map(|frame| frame.sp).or(walk.end).unwrap_or(frame.sp);
    let start = from.max(end.saturating_sub(8 * MAX));
    (start..end).step_by(8).any(|address| stack.word(address) == Some(value))
}
