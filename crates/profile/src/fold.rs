//! Stacks as they are shown, with the sum of their weights: what formats without time show.

use std::collections::HashMap;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::render::{FrameTable, process_label, thread_label};
use crate::{FrameId, ProcessIx, Recording, StackId, Style, ThreadIx};

/// A text that is shown as one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelId(u32);

impl LabelId {
    /// The id as a dense index, counted from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a text that is shown as one frame stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A process.
    Process(ProcessIx),
    /// A thread.
    Thread(ThreadIx),
    /// A frame: the first of those that look alike.
    Frame(FrameId),
    /// A sample without any frame.
    Empty,
}

/// The shown stacks of a recording, those that look alike merged. Made by
/// [`Recording::aggregate`].
#[derive(Debug, Default)]
pub struct Folded {
    labels: IndexMap<String, Origin>,
    /// A trie: (parent, label) and the weight of the stacks that end here. A node is known by its
    /// index plus one; 0 is the root.
    nodes: IndexMap<(u32, LabelId), u64, FxBuildHasher>,
}

impl Recording {
    /// Sums up the recording the way `style` shows it.
    pub fn aggregate(&self, style: &Style) -> Folded {
        let table = FrameTable::new(self, style);
        let mut folded = Folded::default();
        let labels: Vec<LabelId> = table
            .views()
            .map(|(view, first)| folded.label_id(view.to_string(), Origin::Frame(first)))
            .collect();
        let mut bases = HashMap::<ThreadIx, u32>::new();
        // Many stacks share their outer frames: each stack of the recording's trie is translated
        // once for each root it is shown under.
        let mut known = HashMap::<(u32, StackId), u32, FxBuildHasher>::default();
        let mut path = Vec::new();
        for (thread, stack, weight) in self.counts() {
            let base =
                *bases.entry(thread).or_insert_with(|| folded.root_frames(self, style, thread));
            if stack == StackId::ROOT {
                let label = folded.label_id("[no frames]".to_string(), Origin::Empty);
                folded.add(base, label, weight);
                continue;
            }
            let mut at = stack;
            let mut node = base;
            while let Some((parent, frame)) = self.stack(at) {
                if let Some(&found) = known.get(&(base, at)) {
                    node = found;
                    break;
                }
                path.push((at, labels[table.index(frame) as usize]));
                at = parent;
            }
            while let Some((at, label)) = path.pop() {
                node = folded.add(node, label, 0);
                known.insert((base, at), node);
            }
            folded.add_weight(node, weight);
        }
        folded
    }
}

impl Folded {
    /// The sum of all weights.
    pub fn total(&self) -> u64 {
        self.nodes.values().fold(0, |sum, &weight| sum.saturating_add(weight))
    }

    /// A label's text, not escaped.
    pub fn label(&self, id: LabelId) -> &str {
        self.labels.get_index(id.0 as usize).map_or("", |(text, _)| text)
    }

    /// All labels, with what they stand for.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = (LabelId, &str, Origin)> {
        let labels = self.labels.iter().enumerate();
        labels.map(|(index, (text, &origin))| (LabelId(index as u32), text.as_str(), origin))
    }

    /// Calls `visit` with each stack (outermost frame first) and its weight, which is never 0.
    ///
    /// The order is that of a tree whose branches are sorted by their text, a stack before those
    /// that go deeper: the same however the samples came, and with all stacks that begin alike next
    /// to each other (which sorting the joined lines would not give, as some characters sort before
    /// the separator).
    ///
    /// # Errors
    ///
    /// The first error `visit` returns ends the walk and is returned.
    pub fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(&[LabelId], u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut by_text: Vec<u32> = (0..self.labels.len() as u32).collect();
        by_text.sort_unstable_by_key(|&label| self.label(LabelId(label)));
        let mut rank = vec![0; by_text.len()];
        for (position, &label) in by_text.iter().enumerate() {
            rank[label as usize] = position;
        }
        // Sorted such that a node's children lie together, the last one by name first.
        let mut sorted: Vec<(u32, LabelId, u32)> = (1..)
            .zip(self.nodes.keys())
            .map(|(node, &(parent, label))| (parent, label, node))
            .collect();
        sorted.sort_unstable_by_key(|&(parent, label, _)| {
            (parent, std::cmp::Reverse(rank[label.0 as usize]))
        });
        let children = |of: u32| {
            let start = sorted.partition_point(|&(parent, ..)| parent < of);
            sorted[start..].iter().take_while(move |&&(parent, ..)| parent == of)
        };

        // Not recursive: stacks may be deeper than ours.
        let mut path = Vec::new();
        let mut todo: Vec<(usize, LabelId, u32)> =
            children(0).map(|&(_, label, node)| (0, label, node)).collect();
        while let Some((depth, label, node)) = todo.pop() {
            path.truncate(depth);
            path.push(label);
            match self.nodes.get_index(node as usize - 1) {
                Some((_, &weight)) if weight > 0 => visit(&path, weight)?,
                _ => {}
            }
            todo.extend(children(node).map(|&(_, label, node)| (depth + 1, label, node)));
        }
        Ok(())
    }

    /// The same stacks with their frames in the opposite order, but for those of processes and
    /// threads, which stay outermost. It has at most `limit` nodes: frames that lie too deep for
    /// that are shown as one, named `rest`.
    pub(crate) fn reversed(&self, limit: usize, rest: &str) -> Folded {
        let mut folded = Folded { labels: self.labels.clone(), nodes: IndexMap::default() };
        // How many stacks have a frame at each depth.
        let mut at_depth: Vec<usize> = Vec::new();
        let _ = self.try_for_each(|stack, _| {
            at_depth.resize(at_depth.len().max(stack.len()), 0);
            at_depth.iter_mut().take(stack.len()).for_each(|stacks| *stacks += 1);
            Ok::<(), std::convert::Infallible>(())
        });
        let depth = depth_that_fits(&at_depth, limit);
        let is_root = |&&label: &&LabelId| {
            let origin = self.labels.get_index(label.index()).map(|(_, &origin)| origin);
            matches!(origin, Some(Origin::Process(_) | Origin::Thread(_)))
        };
        let _ = self.try_for_each(|stack, weight| {
            let roots = stack.iter().take_while(is_root).count();
            let (roots, frames) = stack.split_at(roots);
            let order = roots.iter().chain(frames.iter().rev());
            let mut node = order.take(depth).fold(0, |node, &label| folded.add(node, label, 0));
            if stack.len() > depth {
                let label = folded.label_id(rest.to_string(), Origin::Empty);
                node = folded.add(node, label, 0);
            }
            folded.add_weight(node, weight);
            Ok::<(), std::convert::Infallible>(())
        });
        folded
    }

    /// Adds the frames that go before a thread's stack; gives their last node, or the root.
    fn root_frames(&mut self, recording: &Recording, style: &Style, thread: ThreadIx) -> u32 {
        let mut roots = Vec::new();
        if style.show_processes {
            let mut next = Some(recording.thread(thread).process);
            while let Some(ix) = next {
                let process = recording.process(ix);
                roots.push((process_label(process), Origin::Process(ix)));
                next = process.parent;
            }
            roots.reverse();
        }
        if style.show_threads {
            roots.push((thread_label(recording.thread(thread)), Origin::Thread(thread)));
        }
        roots.into_iter().fold(0, |node, (text, origin)| {
            let label = self.label_id(text, origin);
            self.add(node, label, 0)
        })
    }

    fn label_id(&mut self, text: String, origin: Origin) -> LabelId {
        let entry = self.labels.entry(text);
        let id = LabelId(entry.index() as u32);
        entry.or_insert(origin);
        id
    }

    fn add(&mut self, parent: u32, label: LabelId, weight: u64) -> u32 {
        let entry = self.nodes.entry((parent, label));
        let node = entry.index() as u32 + 1;
        let total = entry.or_insert(0);
        *total = total.saturating_add(weight);
        node
    }

    fn add_weight(&mut self, node: u32, weight: u64) {
        if let Some((_, total)) = self.nodes.get_index_mut((node as usize).wrapping_sub(1)) {
            *total = total.saturating_add(weight);
        }
    }
}

/// How many of these sizes, from the first on, fit into `room`; at least one.
pub(crate) fn depth_that_fits(sizes: &[usize], mut room: usize) -> usize {
    let fits = |&&size: &&usize| {
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    };
    sizes.iter().take_while(fits).count().max(1)
}
