//! One process of the fleet: its sampler, and its stacks in terms of the recording.

use super::Observed;
use super::filter::Filter;
use super::scout::Name;
use crate::sampler::{Call, Entry, NodeId, Sampler};
use crate::source::{ShortNames, file_name};
use profile::{FrameKey, FrameKind, ProcessIx, Recording, StackId, Thread, ThreadIx};
use remote::ReadError;
use remote::os::family::{self, Image};
use rustc_hash::{FxHashMap, FxHashSet};

/// One process that is sampled.
pub struct Member {
    /// What samples it.
    pub sampler: Sampler,
    /// The recording's process.
    pub process: ProcessIx,
    /// The process by id and start.
    pub name: Name,
    image: Option<Image>,
    /// The recording's stack for each of the sampler's.
    stacks: Vec<Option<StackId>>,
    /// The recording's thread for each thread state and system id.
    threads: FxHashMap<(u64, i32), ThreadIx>,
    names: ShortNames,
}

/// Where its thread state is, and the system's id of it; of one whose id is not known, what tells
/// it from those that come after it.
fn thread_key(entry: &Entry) -> (u64, i32) {
    entry.tid.map_or((entry.life, 0), |tid| (entry.state.address, tid))
}

impl Member {
    /// What `sampler` sees of the execution `image` is recorded as `process`.
    pub fn new(sampler: Sampler, process: ProcessIx, image: Option<Image>) -> Member {
        Member {
            name: Name::of(&sampler.target),
            image,
            sampler,
            process,
            stacks: Vec::new(),
            threads: FxHashMap::default(),
            names: ShortNames::default(),
        }
    }

    /// The process's id.
    pub fn pid(&self) -> i32 {
        self.sampler.target.process.pid
    }

    /// What the process calls itself now, if it is still there and the same program.
    pub fn title(&self) -> Option<String> {
        let (image, command) = super::kin::called(self.pid());
        let same =
            !command.is_empty() && self.sampler.target.process.is_alive() && image == self.image;
        same.then_some(command)
    }

    /// Takes one sample of all its threads and adds what it shows to `observed`.
    pub fn sample(
        &mut self,
        recording: &mut Recording,
        filter: &Filter,
        observed: &mut Vec<Observed>,
    ) -> Result<(), ReadError> {
        self.sampler.sample()?;
        if self.sampler.roster.take_upheaval() && family::image(self.pid()) != self.image {
            // What was read is of another program.
            return Err(ReadError::Fault { address: 0, length: 0 });
        }
        if self.sampler.take_renamed() && recording.keep().threads {
            for entry in &self.sampler.roster.threads {
                let key = thread_key(entry);
                let Some(thread) = self.threads.get(&key).copied() else { continue };
                let before = &recording.thread(thread).name;
                if before.is_none() {
                    recording.rename_thread(thread, entry.name.clone());
                } else if *before != entry.name {
                    // Another thread in its place, with its id: what was seen is not this one's.
                    self.threads.remove(&key);
                }
            }
        }
        self.forget_threads();
        for i in 0..self.sampler.samples().len() {
            let sampled = self.sampler.samples()[i];
            let entry = self.sampler.thread(sampled.thread);
            if !filter.wants_thread(entry, self.pid()) {
                recording.quality.filtered += u64::from(sampled.weight > 0);
                continue;
            }
            let tid = thread_id(entry);
            observed.push(Observed {
                process: self.process,
                thread: self.thread(recording, sampled.thread),
                tid,
                stack: self.stack(recording, filter, sampled.stack),
                active: sampled.active,
                gil: sampled.gil,
                weight: sampled.weight,
            });
        }
        Ok(())
    }

    /// Forgets threads that are no more, from time to time.
    fn forget_threads(&mut self) {
        if self.threads.len() > 64 && self.threads.len() > 2 * self.sampler.threads().count() {
            let here: FxHashSet<(u64, i32)> = self.sampler.threads().map(thread_key).collect();
            self.threads.retain(|key, _| here.contains(key));
        }
    }

    fn thread(&mut self, recording: &mut Recording, index: usize) -> ThreadIx {
        let entry = self.sampler.thread(index);
        let key = match recording.keep().threads {
            true => thread_key(entry),
            false => (0, 0),
        };
        if let Some(known) = self.threads.get(&key) {
            return *known;
        }
        let thread = recording.add_thread(Thread {
            process: self.process,
            tid: thread_id(entry),
            name: entry.name.clone(),
        });
        self.threads.insert(key, thread);
        thread
    }

    /// The recording's stack for one of the sampler's: each step is translated once.
    fn stack(&mut self, recording: &mut Recording, filter: &Filter, node: NodeId) -> StackId {
        let known = |stacks: &[Option<StackId>], node: NodeId| {
            if node == NodeId::ROOT {
                Some(StackId::ROOT)
            } else {
                stacks.get(node.index()).copied().flatten()
            }
        };
        if let Some(stack) = known(&self.stacks, node) {
            return stack;
        }
        let mut path = Vec::new();
        let mut next = node;
        let mut stack = loop {
            match (known(&self.stacks, next), self.sampler.step(next)) {
                (Some(stack), _) => break stack,
                (None, Some((parent, call))) => {
                    path.push((next, call));
                    next = parent;
                }
                (None, None) => break StackId::ROOT,
            }
        };
        for (node, call) in path.into_iter().rev() {
            if !self.sampler.is_shim(call) {
                let frame = self.frame(recording, filter, call);
                let frame = recording.intern_frame(frame);
                // The parts of the import machinery are one frame.
                let caller = recording.stack(stack).map(|(_, caller)| caller);
                if caller != Some(frame) || !filter.is_folded(recording, frame) {
                    stack = recording.intern_stack(stack, frame);
                }
            }
            if self.stacks.len() <= node.index() {
                self.stacks.resize(node.index() + 1, None);
            }
            self.stacks[node.index()] = Some(stack);
        }
        stack
    }

    fn frame(&mut self, recording: &mut Recording, filter: &Filter, call: Call) -> FrameKey {
        if let Some(function) = self.sampler.native(call.code) {
            let place = function.place();
            return FrameKey {
                name: recording.intern_string(&function.name),
                file: recording.intern_string(place),
                short_file: recording.intern_string(file_name(place)),
                module: Some(recording.intern_string(&function.module)),
                line: function.line,
                kind: if function.cython { FrameKind::Cython } else { FrameKind::Native },
                ..FrameKey::default()
            };
        }
        let layout = &self.sampler.target.runtime.layout;
        let Some(code) = self.sampler.code(call.code) else { return FrameKey::default() };
        if let Some(folded) = filter.fold(recording, &code.filename) {
            return folded;
        }
        let short = self.names.short(&self.sampler.target.process.root(), &code.filename);
        FrameKey {
            name: recording.intern_string(&code.name),
            file: recording.intern_string(&code.filename),
            short_file: recording.intern_string(short),
            line: code.position(layout, call.lasti).line,
            first_line: code.first_line,
            ..FrameKey::default()
        }
    }
}

/// The system's id of a thread where it is known, else the pthread id.
pub fn thread_id(entry: &Entry) -> u64 {
    entry.tid.and_then(|tid| u64::try_from(tid).ok()).unwrap_or(entry.state.pthread_id)
}
