//! Stacks interned as paths, and which of them have been witnessed.
//!
//! A node is its parent, a code object and the instruction in it: a call for the outer
//! frames, the current one for the innermost. A stack counts as *witnessed* when it was
//! read while it could not change. Reads of a running thread are believed only when the
//! path they show is a witnessed one (the innermost instruction does not matter: it is
//! read from one frame and needs no other to be true).

use super::codes::CodeId;
use rustc_hash::{FxHashMap, FxHashSet};

/// A stack, or one of its outer parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The empty stack.
    pub const ROOT: NodeId = NodeId(0);

    /// For tables by node.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call {
    /// The code object, or a native function.
    pub code: CodeId,
    /// The instruction, in bytes into its bytecode; 0 for a native function.
    pub lasti: i32,
}

impl Call {
    /// A native function, which knows its line itself.
    pub fn native(function: native::FunctionId) -> Call {
        Call { code: CodeId::of_native(function.0), lasti: 0 }
    }
}

/// All stacks seen.
#[derive(Debug, Default)]
pub struct Trie {
    nodes: Vec<(NodeId, Call)>,
    children: FxHashMap<(NodeId, Call), NodeId>,
    witnessed: FxHashSet<(NodeId, CodeId)>,
    /// Stacks that have been outer parts of others, not only whole ones: their innermost
    /// instruction is a call.
    callers: FxHashSet<NodeId>,
}

impl Trie {
    /// With the empty stack only.
    pub fn new() -> Trie {
        let nothing = Call { code: CodeId::NONE, lasti: 0 };
        Trie { nodes: vec![(NodeId::ROOT, nothing)], ..Trie::default() }
    }

    /// The stack `calls` (innermost first), if all of its path has been witnessed.
    pub fn known(&mut self, calls: &[Call]) -> Option<NodeId> {
        let (leaf, callers) = calls.split_first()?;
        let mut node = NodeId::ROOT;
        for call in callers.iter().rev() {
            node = *self.children.get(&(node, *call))?;
        }
        self.witnessed.contains(&(node, leaf.code)).then(|| self.child(node, *leaf))
    }

    /// The outer part of the stack `calls` (innermost first) that is known as such: what a
    /// copy shows truly even where its inner part was caught at a change. A frame that has
    /// come back from its call ends it.
    pub fn known_part(&self, calls: &[Call]) -> NodeId {
        let mut node = NodeId::ROOT;
        for call in calls.iter().skip(1).rev() {
            match self.children.get(&(node, *call)) {
                Some(child) if self.callers.contains(child) => node = *child,
                _ => break,
            }
        }
        node
    }

    /// Whether `part` is `stack` or one of its outer parts; not looked for further than
    /// `limit` steps.
    pub fn contains(&self, stack: NodeId, part: NodeId, limit: usize) -> bool {
        let mut node = stack;
        for _ in 0..limit {
            if node == part {
                return true;
            }
            match self.step(node) {
                Some((parent, _)) => node = parent,
                None => return false,
            }
        }
        false
    }

    /// Interns the stack `calls` (innermost first), which was read while it could not
    /// change. Its outer parts have been stacks of their own before their calls.
    pub fn witness(&mut self, calls: &[Call]) -> NodeId {
        let mut node = NodeId::ROOT;
        for call in calls.iter().rev() {
            if self.witnessed.insert((node, call.code)) {
                self.callers.insert(node);
            }
            node = self.child(node, *call);
        }
        node
    }

    fn child(&mut self, parent: NodeId, call: Call) -> NodeId {
        *self.children.entry((parent, call)).or_insert_with(|| {
            // 2^32 distinct stacks would need 100 GB; the last one stands for the rest.
            let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
            self.nodes.push((parent, call));
            id
        })
    }

    /// The parent of `node` and the step from there; `None` for the empty stack.
    pub fn step(&self, node: NodeId) -> Option<(NodeId, Call)> {
        if node == NodeId::ROOT { None } else { self.nodes.get(node.index()).copied() }
    }

    /// The steps of a stack, innermost first.
    pub fn steps(&self, node: NodeId) -> impl Iterator<Item = Call> + '_ {
        let mut next = node;
        std::iter::from_fn(move || {
            let (parent, call) = self.step(next)?;
            next = parent;
            Some(call)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(code: u32, lasti: i32) -> Call {
        Call { code: CodeId::new(code), lasti }
    }

    #[test]
    fn only_whole_witnessed_paths_are_known() {
        let mut trie = Trie::new();
        let (main, a, b) = (call(1, 10), call(2, 4), call(3, 8));
        let stack = trie.witness(&[b, a, main]);
        assert_eq!(trie.known(&[b, a, main]), Some(stack));
        // Another instruction of the innermost frame is the same path.
        assert!(trie.known(&[call(3, 20), a, main]).is_some_and(|other| other != stack));
        // Another call site, another leaf and a leaf under another caller are not.
        assert_eq!(trie.known(&[b, call(2, 6), main]), None);
        assert_eq!(trie.known(&[call(4, 0), a, main]), None);
        assert_eq!(trie.known(&[b, main]), None);
        // The outer parts were stacks before their calls.
        assert!(trie.known(&[call(2, 0), main]).is_some());
        assert!(trie.known(&[]).is_none());
        trie.witness(&[call(2, 6), main]);
        let back = trie.known_part(&[call(9, 9), b, call(2, 6), main]);
        assert_eq!(trie.steps(back).collect::<Vec<_>>(), [main]);
        let part = trie.known_part(&[call(9, 9), call(3, 9), a, main]);
        assert!(trie.contains(stack, part, 9) && !trie.contains(part, stack, 9));
        assert_eq!(trie.steps(part).collect::<Vec<_>>(), [a, main]);
        assert!(!trie.contains(stack, part, 1));
        assert_eq!(trie.steps(stack).collect::<Vec<_>>(), [b, a, main]);
    }
}
