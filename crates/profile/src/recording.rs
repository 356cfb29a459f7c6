//! The recording: everything the sampler saw, each thing stored once.

use std::hash::{BuildHasher, Hash};

use indexmap::{IndexMap, IndexSet};
use rustc_hash::FxBuildHasher;

use crate::timeline;
use crate::{
    Event, FrameId, FrameKey, Keep, Meta, Process, ProcessIx, Quality, StackId, StringId, Thread,
    ThreadIx, Timeline,
};

/// An append-only profile. See the crate's documentation for how it is filled.
///
/// Adding a sample whose thread and stack have been seen together before allocates nothing (but
/// for 64 KiB of timeline at a time, if one is kept).
///
/// Methods that take an id panic when it is from another recording that knows more than this one.
#[derive(Debug)]
pub struct Recording {
    /// How far the profile can be trusted. The sampler counts what it knows about.
    pub quality: Quality,
    meta: Meta,
    keep: Keep,
    /// Hashed with a key: the texts come from the target, which may be hostile.
    strings: IndexSet<Box<str>>,
    frames: IndexSet<FrameKey, FxBuildHasher>,
    /// The trie, without its root: (parent, innermost frame). A stack's id is its index plus one.
    stacks: IndexSet<(StackId, FrameId), FxBuildHasher>,
    counts: IndexMap<(ThreadIx, StackId), u64, FxBuildHasher>,
    processes: Vec<Process>,
    threads: Vec<Thread>,
    /// The thread that stands for all threads of a process, where threads are not kept.
    merged_threads: Vec<Option<ThreadIx>>,
    timeline: Option<timeline::Builder>,
    /// What got another name, in the order of that, and how many more were forgotten.
    renamed: Vec<Renamed>,
    renamed_forgotten: usize,
    /// Samples were forgotten: see [`Recording::forget_samples`].
    partial: bool,
    end_ns: u64,
}

/// What got another name after it was added.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Renamed {
    Process(ProcessIx),
    Thread(ThreadIx),
}

impl Recording {
    /// An empty recording that will remember what `keep` says.
    pub fn new(meta: Meta, keep: Keep) -> Recording {
        let mut strings = IndexSet::new();
        strings.insert("".into());
        Recording {
            quality: Quality::default(),
            meta,
            keep,
            strings,
            frames: IndexSet::default(),
            stacks: IndexSet::default(),
            counts: IndexMap::default(),
            processes: Vec::new(),
            threads: Vec::new(),
            merged_threads: Vec::new(),
            timeline: keep.timeline.then(timeline::Builder::default),
            renamed: Vec::new(),
            renamed_forgotten: 0,
            partial: false,
            end_ns: 0,
        }
    }

    /// The id of a string, the same for equal strings.
    pub fn intern_string(&mut self, text: &str) -> StringId {
        let index = match self.strings.get_index_of(text) {
            Some(index) => index,
            None => self.strings.insert_full(text.into()).0,
        };
        StringId(to_id(index))
    }

    /// The id of a frame, the same for equal frames.
    pub fn intern_frame(&mut self, frame: FrameKey) -> FrameId {
        FrameId(intern(&mut self.frames, frame))
    }

    /// The id of the stack that is `parent` with `frame` called from it; [`StackId::ROOT`] is the
    /// parent of outermost frames.
    pub fn intern_stack(&mut self, parent: StackId, frame: FrameId) -> StackId {
        StackId(intern(&mut self.stacks, (parent, frame)).saturating_add(1))
    }

    /// Adds a process. A parent has to be added before its children.
    pub fn add_process(&mut self, mut process: Process) -> ProcessIx {
        let ix = ProcessIx(to_id(self.processes.len()));
        // Parents come first, so that there is no way to go round in circles.
        process.parent = process.parent.filter(|&parent| parent < ix);
        self.processes.push(process);
        self.merged_threads.push(None);
        ix
    }

    /// Gives a process the command line that it turned out to have, for all of its samples.
    pub fn rename_process(&mut self, process: ProcessIx, cmdline: String) {
        let known = &mut self.processes[process.index()].cmdline;
        if *known != cmdline {
            *known = cmdline;
            self.renamed.push(Renamed::Process(process));
        }
    }

    /// Adds a thread. Where threads are not kept ([`Keep::threads`]), all threads of a process get
    /// the same index, and their ids and names are forgotten.
    pub fn add_thread(&mut self, thread: Thread) -> ThreadIx {
        let process = thread.process;
        if self.keep.threads || self.keep.timeline {
            return self.push_thread(thread);
        }
        match self.merged_threads[process.index()] {
            Some(ix) => ix,
            None => {
                let ix = self.push_thread(Thread { process, tid: 0, name: None });
                self.merged_threads[process.index()] = Some(ix);
                ix
            }
        }
    }

    /// Gives a thread the name it turned out to have, for all of its samples.
    pub fn rename_thread(&mut self, thread: ThreadIx, name: Option<String>) {
        let known = &mut self.threads[thread.index()].name;
        if (self.keep.threads || self.keep.timeline) && *known != name {
            *known = name;
            self.renamed.push(Renamed::Thread(thread));
        }
    }

    /// Opens a sampling instant, `time_ns` nanoseconds after recording began, and closes the one
    /// before. A thread without a sample in it was idle, or is not to be shown.
    pub fn begin_tick(&mut self, time_ns: u64) {
        self.quality.ticks += 1;
        self.end_ns = self.end_ns.max(time_ns);
        if let Some(timeline) = &mut self.timeline {
            timeline.begin_tick(time_ns);
        }
    }

    /// Adds what a thread was doing in the open tick, at most once for each thread. The weight is
    /// in the unit of [`Meta::unit`].
    pub fn sample(&mut self, thread: ThreadIx, stack: StackId, weight: u64) {
        self.quality.samples += 1;
        let count = self.counts.entry((thread, stack)).or_insert(0);
        *count = count.saturating_add(weight);
        if let Some(timeline) = &mut self.timeline {
            timeline.run(thread, stack, weight);
        }
    }

    /// Closes the open tick and notes how long the recording took, in nanoseconds. To be called
    /// before the recording is written; recording may go on afterwards.
    pub fn finish(&mut self, time_ns: u64) {
        self.end_ns = self.end_ns.max(time_ns);
        if let Some(timeline) = &mut self.timeline {
            timeline.end_tick();
        }
    }

    /// Forgets the timeline so far, of whole ticks: so it takes no more memory however long
    /// recording goes on. What was not yet given to the [`StreamWriter`](crate::StreamWriter)s is
    /// lost, and formats that need the timeline cannot be written.
    pub fn forget_events(&mut self) {
        self.renamed_forgotten += self.renamed.len();
        self.renamed.clear();
        if let Some(timeline) = &mut self.timeline {
            timeline.forget();
        }
    }

    /// Forgets the timeline and the samples so far, but for how many they were: no other format
    /// can be written than what the [`StreamWriter`](crate::StreamWriter)s write.
    pub fn forget_samples(&mut self) {
        self.forget_events();
        self.partial = true;
        self.counts.clear();
    }

    /// Whether samples were forgotten.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// The facts about the run.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// For facts that are known late, such as the version of a Python still starting.
    pub fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    /// Remembers from now on neither which thread ran what when nor which threads there are,
    /// so that only distinct stacks and processes take memory. Formats that need the timeline
    /// cannot be written any more.
    pub fn keep_counts_only(&mut self) {
        self.keep = Keep::default();
        self.timeline = None;
    }

    /// What the recording remembers.
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// How long the recording took, in nanoseconds: the latest time it was told.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns
    }

    /// An interned string.
    pub fn string(&self, id: StringId) -> &str {
        &self.strings[id.index()]
    }

    /// An interned frame.
    pub fn frame(&self, id: FrameId) -> &FrameKey {
        &self.frames[id.index()]
    }

    /// All frames, in the order of their ids.
    pub fn frames(&self) -> impl ExactSizeIterator<Item = &FrameKey> {
        self.frames.iter()
    }

    /// A stack as its parent and its innermost frame; `None` for the empty stack. A parent's id is
    /// less than its children's.
    pub fn stack(&self, id: StackId) -> Option<(StackId, FrameId)> {
        let index = id.index().checked_sub(1)?;
        Some(self.stacks[index])
    }

    /// A stack's frames, innermost first.
    pub fn stack_frames(&self, id: StackId) -> impl Iterator<Item = FrameId> {
        let nodes = std::iter::successors(self.stack(id), |&(parent, _)| self.stack(parent));
        nodes.map(|(_, frame)| frame)
    }

    /// How many stacks are interned, the empty one included: their ids are less than this.
    pub fn stack_count(&self) -> usize {
        self.stacks.len() + 1
    }

    /// A process.
    pub fn process(&self, ix: ProcessIx) -> &Process {
        &self.processes[ix.index()]
    }

    /// All processes, in the order they were added.
    pub fn processes(&self) -> impl ExactSizeIterator<Item = (ProcessIx, &Process)> {
        self.processes.iter().enumerate().map(|(index, process)| (ProcessIx(to_id(index)), process))
    }

    /// A thread.
    pub fn thread(&self, ix: ThreadIx) -> &Thread {
        &self.threads[ix.index()]
    }

    /// All threads, in the order they were added.
    pub fn threads(&self) -> impl ExactSizeIterator<Item = (ThreadIx, &Thread)> {
        self.threads.iter().enumerate().map(|(index, thread)| (ThreadIx(to_id(index)), thread))
    }

    /// The sum of weights of each stack in each thread, in the order they were first seen.
    pub fn counts(&self) -> impl ExactSizeIterator<Item = (ThreadIx, StackId, u64)> {
        self.counts.iter().map(|(&(thread, stack), &weight)| (thread, stack, weight))
    }

    /// Who ran what when; `None` if the recording did not keep that, or has forgotten some. Complete once [`finish`] was
    /// called.
    ///
    /// [`finish`]: Recording::finish
    pub fn timeline(&self) -> Option<Timeline<'_>> {
        let timeline = self.timeline.as_ref().filter(|timeline| timeline.forgotten() == 0);
        timeline.map(timeline::Builder::events)
    }

    /// The timeline as it is stored.
    pub(crate) fn timeline_builder(&self) -> Option<&timeline::Builder> {
        self.timeline.as_ref()
    }

    /// What got another name after `skip` others.
    pub(crate) fn renamed(&self, skip: usize) -> &[Renamed] {
        self.renamed.get(skip.saturating_sub(self.renamed_forgotten)..).unwrap_or_default()
    }

    /// How often something got another name.
    pub(crate) fn renames(&self) -> usize {
        self.renamed_forgotten + self.renamed.len()
    }

    /// How many strings are interned: their ids are less than this.
    pub(crate) fn string_count(&self) -> usize {
        self.strings.len()
    }

    /// Adds an event of another recording's timeline. What it counts for is added by
    /// [`Recording::replay_samples`].
    pub(crate) fn replay(&mut self, event: Event) {
        if let Event::Run { thread, stack, .. } = event {
            // The counts stand in the order of their first samples.
            self.counts.entry((thread, stack)).or_insert(0);
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.replay(event);
        }
    }

    /// Adds a number of samples that are alike.
    pub(crate) fn replay_samples(
        &mut self,
        (thread, stack): (ThreadIx, StackId),
        weight: u64,
        samples: u64,
    ) {
        self.quality.samples = self.quality.samples.saturating_add(samples);
        let count = self.counts.entry((thread, stack)).or_insert(0);
        *count = count.saturating_add(weight.saturating_mul(samples));
    }

    /// Ends a recording that was replayed.
    pub(crate) fn end_replay(&mut self, duration_ns: u64) {
        self.end_ns = duration_ns;
        self.counts.retain(|_, weight| *weight > 0);
        if let Some(timeline) = &mut self.timeline {
            timeline.end_replay();
        }
    }

    /// The size of the timeline, in bytes.
    pub fn timeline_bytes(&self) -> u64 {
        self.timeline.as_ref().map_or(0, timeline::Builder::bytes)
    }

    fn push_thread(&mut self, thread: Thread) -> ThreadIx {
        let ix = ThreadIx(to_id(self.threads.len()));
        self.threads.push(thread);
        if let Some(timeline) = &mut self.timeline {
            timeline.add_thread();
        }
        ix
    }
}

/// Finds or adds a value; most are there already, and finding does not touch the set's order.
fn intern<T: Hash + Eq, S: BuildHasher>(set: &mut IndexSet<T, S>, value: T) -> u32 {
    to_id(set.insert_full(value).0)
}

/// An index as an id. Four thousand million things would take more memory than there is; should
/// they come to be, the last id stands for the rest.
fn to_id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sample;

    #[test]
    fn equal_things_are_stored_once() {
        let mut recording = Recording::new(Meta::default(), Keep::default());
        assert_eq!(recording.intern_string(""), StringId::default());
        let a = recording.intern_string("a");
        assert_eq!(a, recording.intern_string("a"));
        assert_ne!(a, recording.intern_string("b"));
        let frame = recording.intern_frame(FrameKey { name: a, ..FrameKey::default() });
        assert_eq!(frame, recording.intern_frame(FrameKey { name: a, ..FrameKey::default() }));
        let one = recording.intern_stack(StackId::ROOT, frame);
        let two = recording.intern_stack(one, frame);
        assert_ne!(one, two);
        assert_eq!(two, recording.intern_stack(one, frame));
        assert_eq!(recording.stack(two), Some((one, frame)));
        assert_eq!(recording.stack(StackId::ROOT), None);
        assert_eq!(recording.stack_frames(two).count(), 2);
        assert_eq!(recording.stack_count(), 3);
    }

    #[test]
    fn threads_are_one_unless_kept() {
        for keep in [Keep::default(), Keep::ALL] {
            let mut sample = Sample::new(keep);
            let process = sample.process;
            for tid in 0..1000 {
                let name = Some("worker".to_string());
                let thread = sample.recording.add_thread(Thread { process, tid, name });
                sample.recording.rename_thread(thread, None);
            }
            assert_eq!(sample.recording.threads().len(), if keep.threads { 1001 } else { 1 });
        }
    }

    #[test]
    fn counts_are_kept_when_the_rest_is_not() {
        let mut sample = Sample::new(Keep::ALL);
        sample.tick(&["f"]);
        sample.recording.keep_counts_only();
        let process = sample.process;
        let threads = [8, 9].map(|tid| {
            sample.recording.add_thread(Thread { process, tid, name: Some("late".into()) })
        });
        assert_eq!(threads[0], threads[1]);
        let stack = sample.stack(&["f"]);
        sample.recording.begin_tick(50_000_000);
        sample.recording.sample(threads[0], stack, 1);
        let weights: Vec<u64> = sample.recording.counts().map(|(.., weight)| weight).collect();
        assert_eq!(weights, [1, 1]);
        assert_eq!(
            (sample.recording.keep(), sample.recording.timeline_bytes()),
            (Keep::default(), 0)
        );
        assert!(sample.recording.timeline().is_none());
    }

    #[test]
    fn a_process_cannot_be_its_own_ancestor() {
        let mut sample = Sample::new(Keep::default());
        let parent = Some(ProcessIx(1));
        let ix = sample.recording.add_process(Process { pid: 2, parent, cmdline: String::new() });
        assert_eq!(sample.recording.process(ix).parent, None);
    }

    #[test]
    fn a_silent_thread_is_idle_and_recording_goes_on_after_finish() {
        let mut sample = Sample::new(Keep::ALL);
        let stack = sample.stack(&["f"]);
        let (recording, thread) = (&mut sample.recording, sample.thread);
        recording.begin_tick(1_000);
        recording.sample(thread, stack, 1);
        recording.begin_tick(2_000);
        recording.finish(3_000);
        recording.begin_tick(4_000);
        recording.sample(thread, stack, 1);
        recording.finish(5_000);
        let events: Vec<Event> = recording.timeline().unwrap().collect();
        let expected = [
            Event::Tick { time_us: 1 },
            Event::Run { thread, stack, weight: 1 },
            Event::Tick { time_us: 2 },
            Event::Idle { thread },
            Event::Tick { time_us: 4 },
            Event::Run { thread, stack, weight: 1 },
        ];
        assert_eq!(events, expected);
        assert_eq!((recording.quality.samples, recording.quality.ticks), (2, 3));
        assert_eq!(recording.duration_ns(), 5_000);
    }
}
