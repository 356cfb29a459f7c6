//! Several processes sampled into one recording.
//!
//! ```text
//!  scout     (its own thread) finds processes and attaches to them
//!  kin       which processes belong to the family
//!  exam      when to look at one that is no Python so far
//!  members   one for each process: a sampler, and its stacks in the recording's terms
//!  filter    what of it is wanted
//! ```

mod exam;
mod filter;
mod kin;
mod member;
mod scout;

pub use filter::Filter;
pub use kin::{Kinsman, command, household};
pub use member::{Member, thread_id};

use crate::error::Error;
use crate::sampler::{Counters, Options, Sampler};
use crate::target::Target;
use kin::{Ancestor, Life};
use native::Library;
use profile::{Keep, Meta, Process, ProcessIx, Recording, StackId, ThreadIx, WeightUnit};
use remote::ReadError;
use remote::os::family::{self, Descent};
use remote::os::{clock, files, pause};
use rustc_hash::FxHashMap;
use scout::{Find, Identity, Name, News, Scope, Scout};
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is to be sampled, and how.
#[derive(Debug)]
pub struct Plan {
    /// The processes to begin with.
    pub pids: Vec<i32>,
    /// They have been started by us just now, and where children are followed, so are
    /// orphans of theirs our children ([`family::adopt_orphans`]).
    pub fresh: bool,
    /// What they start as well.
    pub follow: bool,
    /// How.
    pub options: Options,
    /// Samples a second.
    pub rate: f64,
    /// What the recording remembers.
    pub keep: Keep,
    /// What is wanted of it.
    pub filter: Filter,
}

/// What a sample showed of one thread, in terms of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// The process.
    pub process: ProcessIx,
    /// The thread.
    pub thread: ThreadIx,
    /// Its id, as the recording has it where it keeps threads.
    pub tid: u64,
    /// Its stack.
    pub stack: StackId,
    /// It computes (or wants to).
    pub active: bool,
    /// It holds the GIL.
    pub gil: bool,
    /// What it counts for, in the recording's unit.
    pub weight: u64,
}

/// Processes that are sampled together.
pub struct Fleet {
    /// What has been recorded.
    pub recording: Recording,
    members: Vec<Member>,
    scout: Scout,
    /// Processes that the scout was asked about and has not answered for.
    asked: Vec<Name>,
    /// What those of them were recorded as that could not be read any more: an error,
    /// unless they have become another program.
    failed: FxHashMap<i32, ProcessIx>,
    /// The roots, with the start time that makes them what they are.
    roots: Vec<Descent>,
    /// The roots, as long as the scout has not been told that they all have ended.
    unsaid: Vec<Name>,
    /// The recording's processes: `exec` makes another of one.
    processes: FxHashMap<Life, ProcessIx>,
    plan: Plan,
    /// Symbols of native functions, for all members.
    library: Library,
    /// Waiting threads are observed, whether they count or not.
    watch: bool,
    observed: Vec<Observed>,
    notices: Vec<String>,
    /// Whether a stack is wanted, by its index.
    wanted: Vec<Option<bool>>,
    /// Of members that are no more.
    past: Counters,
    start_ns: u64,
}

impl Fleet {
    /// Attaches to the processes of `plan`. Where their children are followed as well, they
    /// need not be Python themselves.
    pub fn new(mut plan: Plan) -> Result<Fleet, Error> {
        // A few for each thread; what we start ourselves has been started by now.
        files::open_many();
        let mut seen = HashSet::new();
        plan.pids.retain(|pid| seen.insert(*pid));
        let mut targets = Vec::new();
        let mut descents = Vec::new();
        for pid in &plan.pids {
            descents.extend(family::descent(*pid));
            targets.push(match plan.follow {
                // Where it is no Python (yet), the scout goes on looking.
                true => match Target::try_attach(*pid) {
                    Ok(found) => found.ok(),
                    // A program of ours may have ended by now; what it started goes on.
                    Err(_) if plan.fresh && family::descent(*pid).is_none_or(|one| one.ended) => {
                        None
                    }
                    Err(error) => return Err(error),
                },
                false => Some(Target::attach(*pid, plan.fresh)?),
            });
        }
        let start_time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let command = plan.pids.first().map_or(String::new(), |pid| kin::command(*pid));
        let recording = Recording::new(
            Meta {
                command,
                start_time: start_time.as_secs_f64(),
                rate: plan.rate,
                python_version: String::new(),
                tool_version: format!("py-spy {}", env!("CARGO_PKG_VERSION")),
                unit: match plan.options.cpu {
                    true => WeightUnit::Nanoseconds,
                    false => WeightUnit::Samples,
                },
            },
            plan.keep,
        );
        let scope = match (plan.follow, plan.fresh) {
            (false, _) => Scope::Roots,
            (true, false) => Scope::Children,
            (true, true) => Scope::Orphans,
        };
        let roots: Vec<_> =
            plan.pids.iter().copied().zip(targets.iter().map(Option::as_ref)).collect();
        let (scout, identities) = Scout::start(&roots, scope)
            .map_err(|error| Error::System("cannot start a thread", error))?;
        let mut fleet = Fleet {
            recording,
            members: Vec::new(),
            scout,
            asked: Vec::new(),
            failed: FxHashMap::default(),
            unsaid: match plan.follow {
                true => descents.iter().map(Name::from).collect(),
                false => Vec::new(),
            },
            roots: descents,
            processes: FxHashMap::default(),
            plan,
            library: Library::default(),
            watch: false,
            observed: Vec::new(),
            notices: Vec::new(),
            wanted: Vec::new(),
            past: Counters::default(),
            start_ns: clock::now_ns(),
        };
        for (target, identity) in targets.into_iter().zip(identities) {
            if let (Some(target), Some(identity)) = (target, identity) {
                fleet.join(target, identity, &[])?;
            }
        }
        Ok(fleet)
    }

    /// The processes that are sampled now.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The same, for a look at them between samples.
    pub fn members_mut(&mut self) -> &mut [Member] {
        &mut self.members
    }

    /// What the last sample showed.
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// Whether to observe threads that wait as well, with no weight if they are not to be
    /// recorded.
    pub fn watch_waiting(&mut self, watch: bool) {
        self.watch = watch;
        for member in &mut self.members {
            member.sampler.watch_waiting(watch);
        }
    }

    /// The processes that it began with.
    pub fn pids(&self) -> &[i32] {
        &self.plan.pids
    }

    /// Takes one sample of each process, `time_ns` after the start. False when there is
    /// nothing left to sample, and will not be.
    pub fn sample(&mut self, time_ns: u64) -> bool {
        // Of members that are no more too.
        pause::collect_late();
        self.scout.glance();
        self.hear();
        self.observed.clear();
        let mut failed = false;
        for member in &mut self.members {
            let (recording, plan) = (&mut self.recording, &self.plan);
            let result = member.sample(recording, &plan.filter, &mut self.observed);
            failed |= result.is_err();
            match result {
                Ok(()) => continue,
                Err(ReadError::Gone) => self.scout.ended(member.name),
                Err(error) => {
                    // It may have replaced its program.
                    log::debug!("process {}: a sample failed: {error}", member.pid());
                    self.failed.insert(member.name.pid, member.process);
                    self.scout.examine(member.name);
                }
            }
            self.asked.push(member.name);
        }
        if failed {
            self.part();
        }
        self.record(time_ns);
        !self.members.is_empty() || !self.is_over()
    }

    /// Whether all processes have ended, or will never be sampled.
    pub fn is_over(&mut self) -> bool {
        self.hear();
        let ended = |member: &Member| !member.sampler.target.process.is_alive();
        if !self.members.iter().all(ended) {
            return false;
        }
        for member in &self.members {
            self.scout.ended(member.name);
            self.asked.push(member.name);
        }
        self.part();
        if self.plan.follow && self.lives() {
            return false;
        }
        // What they have left behind may not be known yet.
        for root in std::mem::take(&mut self.unsaid) {
            self.asked.push(root);
            self.scout.ended(root);
        }
        self.asked.is_empty()
    }

    /// What a person should know of what was left out, since the last call.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Whether any of the processes that it began with is still there.
    pub fn lives(&self) -> bool {
        let lives = |root: &Descent| {
            family::descent(root.pid).is_some_and(|now| now.started == root.started && !now.ended)
        };
        self.roots.iter().any(lives)
    }

    /// Counts what the members saw.
    fn record(&mut self, time_ns: u64) {
        self.recording.begin_tick(time_ns);
        let mut counters = self.past;
        for member in &self.members {
            counters += member.sampler.counters;
        }
        if !self.plan.filter.wants_all_stacks() {
            let (recording, filter, wanted) =
                (&self.recording, &self.plan.filter, &mut self.wanted);
            let mut filtered = 0;
            self.observed.retain(|seen| {
                let index = seen.stack.index();
                if wanted.len() <= index {
                    wanted.resize(index + 1, None);
                }
                let stays =
                    *wanted[index].get_or_insert_with(|| filter.wants_stack(recording, seen.stack));
                filtered += u64::from(!stays && seen.weight > 0);
                stays
            });
            self.recording.quality.filtered += filtered;
        }
        for seen in &self.observed {
            if seen.weight > 0 {
                self.recording.sample(seen.thread, seen.stack, seen.weight);
            }
        }
        let quality = &mut self.recording.quality;
        quality.dropped = counters.dropped;
        quality.torn = counters.torn;
        quality.repaired = counters.repaired;
        quality.retried = counters.retried;
        quality.paused = counters.paused;
        quality.paused_ns = counters.paused_ns;
        quality.pause_failed = counters.pause_failed;
        quality.unmerged = counters.unmerged;
        quality.unheld = counters.unheld;
    }

    /// Takes the scout's news.
    fn hear(&mut self) {
        while let Some(news) = self.scout.news() {
            match news {
                News::Over(name) => {
                    self.answered(name);
                    self.failed.remove(&name.pid);
                    if self.members.iter().any(|member| member.name == name) {
                        self.asked.push(name);
                        self.part();
                        self.answered(name);
                    }
                }
                News::Found(find) => {
                    let Find { target, identity, ancestors } = *find;
                    let name = Name::of(&target);
                    self.answered(name);
                    if let Err(error) = self.join(target, identity, &ancestors) {
                        log::debug!("process {}: {error}", name.pid);
                        self.asked.push(name);
                        self.scout.examine(name);
                    }
                }
                News::Refused(why) => self.notices.push(why),
                News::Titled(life, title) => {
                    if let Some(process) = self.processes.get(&life) {
                        self.recording.rename_process(*process, title);
                    }
                }
            }
        }
    }

    fn answered(&mut self, name: Name) {
        self.asked.retain(|asked| *asked != name);
    }

    /// Lets go of members that the scout has been asked about.
    fn part(&mut self) {
        let (asked, past) = (&self.asked, &mut self.past);
        self.members.retain(|member| {
            let stays = !asked.contains(&member.name);
            if !stays {
                *past += member.sampler.counters;
            }
            stays
        });
    }

    fn join(
        &mut self,
        target: Target,
        identity: Identity,
        ancestors: &[Ancestor],
    ) -> Result<(), Error> {
        let pid = target.process.pid;
        let version = target.runtime.layout.version;
        let mut sampler = Sampler::new(target, self.plan.options, &self.library)?;
        sampler.watch_waiting(self.watch);
        let past = &mut self.past;
        self.members.retain(|member| {
            let stays = member.pid() != pid;
            if !stays {
                *past += member.sampler.counters;
            }
            stays
        });
        if self.recording.meta().python_version.is_empty() {
            self.recording.meta_mut().python_version = version.to_string();
        }
        let mut parent = None;
        for ancestor in ancestors {
            parent = Some(self.process(ancestor.life, ancestor.pid, &ancestor.command, parent));
        }
        let process = self.process(identity.life, pid, &identity.command, parent);
        if self.failed.remove(&pid) == Some(process) {
            self.recording.quality.errors += 1;
        }
        self.members.push(Member::new(sampler, process, identity.image));
        Ok(())
    }

    /// The recording's process for one of the family's.
    fn process(
        &mut self,
        life: Life,
        pid: i32,
        command: &str,
        parent: Option<ProcessIx>,
    ) -> ProcessIx {
        let recording = &mut self.recording;
        match self.processes.get(&life) {
            Some(process) => {
                // A process that is ending has none any more.
                if !command.is_empty() {
                    recording.rename_process(*process, command.to_owned());
                }
                *process
            }
            None => {
                let new = Process { pid, parent, cmdline: command.to_owned() };
                let process = recording.add_process(new);
                self.processes.insert(life, process);
                process
            }
        }
    }

    /// Lines that tell how the samples came about.
    pub fn report(&self, details: bool) -> Vec<String> {
        let quality = &self.recording.quality;
        let mut lines = vec![quality.to_string()];
        if details {
            let paused = quality.paused_ns as f64 / 1e6;
            let share = paused / (self.recording.duration_ns() as f64 / 1e6).max(1e-9) * 100.0;
            lines.push(format!(
                "late: taken more than an interval after their time. missed: intervals without a \
                 sample. dropped: stacks that could not be trusted. torn: copies that caught the \
                 program at a change. retried: stacks that needed more than one read. repaired: \
                 stacks told from their innermost frame alone, as one of those seen with it a \
                 moment earlier. paused: stacks read with their thread paused, {paused:.1} ms in \
                 all, {share:.2} % of the time; {} pauses failed. filtered: stacks left out \
                 because of --include, --exclude or --thread. unmerged: stacks whose \
                 native and Python frames did not fit together, shown with those that are \
                 certain; {} of them because their thread could not be held: it got no \
                 processor to stop on, was held by another tracer, or had been held for too \
                 large a part of the time",
                quality.pause_failed, quality.unheld
            ));
        }
        lines
    }

    /// Begins the time line at this instant, on the clock of [`clock::now_ns`].
    pub fn begin(&mut self, start_ns: u64) {
        self.start_ns = start_ns;
    }

    /// Closes the time line at this instant; recording may go on.
    pub fn finish(&mut self) {
        for member in &self.members {
            if let Some(title) = member.title() {
                self.recording.rename_process(member.process, title);
            }
        }
        self.recording.finish(clock::now_ns().saturating_sub(self.start_ns));
    }
}
