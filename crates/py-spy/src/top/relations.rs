//! Who calls a row, and whom it calls.

use super::model::Shown;
use super::table::Key;
use profile::{FrameId, Recording, StackId};
use rustc_hash::{FxHashMap, FxHashSet};

/// The neighbours of a row in all stacks since the start or the last reset, most time first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relations {
    /// The time that the row was in a stack, in nanoseconds.
    pub total: u64,
    /// The time that it was innermost.
    pub own: u64,
    /// What called it, and the time of these stacks; `None` where it was outermost.
    pub callers: Vec<(Option<Key>, u64)>,
    /// What it called, and the time of these stacks.
    pub callees: Vec<(Key, u64)>,
}

impl Relations {
    /// Of the row `key`. Calls from a row to itself are left out, and in a recursion each caller
    /// and callee counts once.
    pub fn of(recording: &Recording, shown: &Shown, key: Key) -> Relations {
        let grouping = shown.table.grouping();
        let mut found = Relations::default();
        let mut callers = FxHashMap::<Option<Key>, u64>::default();
        let mut callees = FxHashMap::<Key, u64>::default();
        let mut contains = Contains::default();
        // Of the stack at hand.
        let (mut above, mut below) = (FxHashSet::default(), FxHashSet::default());
        for ((process, stack), time) in &shown.times {
            let mut same = |frame| grouping.key(recording, *process, frame) == key;
            if key.process.is_some_and(|wanted| wanted != *process)
                || !contains.stack(recording, *stack, &mut same)
            {
                continue;
            }
            above.clear();
            below.clear();
            let mut inner: Option<Key> = None;
            let mut innermost = true;
            for frame in recording.stack_frames(*stack) {
                let now = grouping.key(recording, *process, frame);
                if now == key && inner != Some(key) {
                    below.extend(inner);
                    found.own += if innermost { *time } else { 0 };
                } else if now != key && inner == Some(key) {
                    above.insert(Some(now));
                }
                innermost = false;
                inner = Some(now);
            }
            if inner == Some(key) {
                above.insert(None);
            }
            found.total += *time;
            above.iter().for_each(|caller| *callers.entry(*caller).or_insert(0) += *time);
            below.iter().for_each(|callee| *callees.entry(*callee).or_insert(0) += *time);
        }
        let text = |key: Key| {
            (recording.string(key.name), recording.string(key.file), key.line, key.process)
        };
        found.callers = callers.into_iter().collect();
        found.callers.sort_unstable_by(|(one, time), (other, other_time)| {
            other_time.cmp(time).then_with(|| one.map(text).cmp(&other.map(text)))
        });
        found.callees = callees.into_iter().collect();
        found.callees.sort_unstable_by(|(one, time), (other, other_time)| {
            other_time.cmp(time).then_with(|| text(*one).cmp(&text(*other)))
        });
        found
    }
}

/// Which stacks contain a row. Each step of the trie is looked at once: most stacks share
/// their outer part with others.
#[derive(Default)]
struct Contains {
    known: Vec<Option<bool>>,
    path: Vec<StackId>,
}

impl Contains {
    fn stack(
        &mut self,
        recording: &Recording,
        stack: StackId,
        same: &mut impl FnMut(FrameId) -> bool,
    ) -> bool {
        self.known.resize(recording.stack_count().max(self.known.len()), None);
        self.path.clear();
        let mut at = stack;
        let mut found = loop {
            if let Some(known) = self.known[at.index()] {
                break known;
            }
            let Some((parent, frame)) = recording.stack(at) else { break false };
            if same(frame) {
                self.known[at.index()] = Some(true);
                break true;
            }
            self.path.push(at);
            at = parent;
        };
        while let Some(at) = self.path.pop() {
            found |= self.known[at.index()] == Some(true);
            self.known[at.index()] = Some(found);
        }
        found
    }
}
