//! What was seen with a thread's innermost frame at an address.
//!
//! The pointer to the innermost frame is read whole even where the frames behind it are
//! caught at a change. A stack read later, when the thread has been stopped, is one of
//! another instant: taking it instead would favour states that are easily read. The
//! address says which of the stacks seen of late the first try was one of: in a data
//! stack it is the depth, and where frames are objects the function. So does the outer
//! part of the copy, which changes slowly: only stacks that share it are taken.

use super::trie::NodeId;
use rustc_hash::FxHashMap;

/// Stacks remembered of each address.
const REMEMBERED: usize = 8;
/// More addresses than this are forgotten and learned anew.
const MAX_ADDRESSES: usize = 1 << 16;
/// What was seen this many samples ago is no longer taken for the present.
const FRESH: u64 = 1000;
/// Every so often the thread is stopped all the same, to see what is new.
const LOOK_EVERY: u32 = 8;

/// The stacks seen of late, by the address of their innermost frame.
#[derive(Debug, Default)]
pub struct Recall {
    /// By the thread's life as well: what comes after it may have its frames in the same places,
    /// and the same outermost functions.
    by_frame: FxHashMap<(u64, u64), Seen>,
    now: u64,
}

#[derive(Debug, Default)]
struct Seen {
    stacks: [Option<(NodeId, u64)>; REMEMBERED],
    next: usize,
    asked: u32,
}

impl Recall {
    /// A new sample begins.
    pub fn tick(&mut self) {
        self.now += 1;
    }

    /// A stack of the thread of this `life` that was accepted.
    pub fn learn(&mut self, life: u64, frame: u64, stack: NodeId) {
        let place = (life, frame);
        if self.by_frame.len() >= MAX_ADDRESSES && !self.by_frame.contains_key(&place) {
            self.by_frame.clear();
        }
        let seen = self.by_frame.entry(place).or_default();
        seen.stacks[seen.next] = Some((stack, self.now));
        seen.next = (seen.next + 1) % REMEMBERED;
    }

    /// One of the stacks seen of late of this thread with the innermost frame at `frame`, in
    /// turn, of those that `fit`.
    pub fn recall(
        &mut self,
        life: u64,
        frame: u64,
        fit: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        let now = self.now;
        let seen = self.by_frame.get_mut(&(life, frame))?;
        seen.asked = seen.asked.wrapping_add(1);
        let from = seen.asked as usize;
        (0..REMEMBERED).find_map(|i| {
            let (stack, when) = seen.stacks[(from + i) % REMEMBERED]?;
            (now - when < FRESH && fit(stack)).then_some(stack)
        })
    }

    /// Whether the thread should be stopped rather than only remembered.
    pub fn must_look(&self, life: u64, frame: u64) -> bool {
        self.by_frame.get(&(life, frame)).is_none_or(|seen| seen.asked.is_multiple_of(LOOK_EVERY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_what_is_fresh_in_turn() {
        let mut recall = Recall::default();
        assert_eq!(recall.recall(5, 1, |_| true), None);
        assert!(recall.must_look(5, 1));
        recall.learn(5, 1, NodeId::ROOT);
        assert_eq!(recall.recall(5, 1, |_| true), Some(NodeId::ROOT));
        assert!(!recall.must_look(5, 1));
        assert_eq!(recall.recall(5, 1, |_| false), None);
        assert_eq!(recall.recall(5, 2, |_| true), None);
        // The next thread in its place has nothing to do with it.
        assert_eq!(recall.recall(6, 1, |_| true), None);
        assert!(recall.must_look(6, 1));
        (0..FRESH).for_each(|_| recall.tick());
        assert_eq!(recall.recall(5, 1, |_| true), None);
    }
}
