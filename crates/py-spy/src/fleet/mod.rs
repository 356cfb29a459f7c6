//! Several processes sampled into one recording.
//!
//! ```text
//!  scout     (its own thread) finds processes and attaches to them
//!  members   one for each process: a sampler, and its stacks in the recording's terms
//!  filter    what of it is wanted
//! ```

mod filter;
mod member;
mod scout;

pub use filter::Filter;
pub use member::Member;

use crate::error::Error;
use crate::sampler::{Counters, Options, Sampler};
use crate::target::Target;
use profile::{Keep, Meta, Process, ProcessIx, Recording, StackId, ThreadIx, WeightUnit};
use remote::ReadError;
use remote::os::clock;
use remote::os::family::{self, Descent};
use rustc_hash::FxHashMap;
use scout::{Ancestor, News, Scout};
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is to be sampled, and how.
#[derive(Debug)]
pub struct Plan {
    /// The processes to begin with.
    pub pids: Vec<i32>,
    /// They have been started by us just now.
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
    asked: Vec<i32>,
    /// The roots, with the start time that makes them what they are.
    roots: Vec<Descent>,
    /// The recording's process by id and command line: `exec` makes another of it.
    processes: FxHashMap<(i32, String), ProcessIx>,
    plan: Plan,
    observed: Vec<Observed>,
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
        let mut seen = HashSet::new();
        plan.pids.retain(|pid| seen.insert(*pid));
        let mut targets = Vec::new();
        let mut roots = Vec::new();
        let mut descents = Vec::new();
        for pid in &plan.pids {
            descents.extend(family::descent(*pid));
            let target = match plan.follow {
                // Where it is no Python (yet), the scout goes on looking.
                true => Target::try_attach(*pid)?.ok(),
                false => Some(Target::attach(*pid, plan.fresh)?),
            };
            roots.push((*pid, target.as_ref().map(|target| target.runtime.clone())));
            targets.extend(target);
        }
        let start_time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let command = match (targets.first(), plan.pids.first()) {
            (Some(target), _) => target.command(),
            (None, Some(pid)) => remote::os::process::arguments(*pid).join(" "),
            (None, None) => String::new(),
        };
        let version = targets.first().map(|target| target.runtime.layout.version.to_string());
        let recording = Recording::new(
            Meta {
                command,
                start_time: start_time.as_secs_f64(),
                rate: plan.rate,
                python_version: version.unwrap_or_default(),
                tool_version: format!("py-spy {}", env!("CARGO_PKG_VERSION")),
                unit: match plan.options.cpu {
                    true => WeightUnit::Nanoseconds,
                    false => WeightUnit::Samples,
                },
            },
            plan.keep,
        );
        let scout = Scout::start(roots, plan.follow)
            .map_err(|error| Error::System("cannot start a thread", error))?;
        let mut fleet = Fleet {
            recording,
            members: Vec::new(),
            scout,
            asked: Vec::new(),
            roots: descents,
            processes: FxHashMap::default(),
            plan,
            observed: Vec::new(),
            wanted: Vec::new(),
            past: Counters::default(),
            start_ns: clock::now_ns(),
        };
        for target in targets {
            fleet.join(target, &[])?;
        }
        Ok(fleet)
    }

    /// The processes that are sampled now.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What the last sample showed.
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// The processes that it began with.
    pub fn pids(&self) -> &[i32] {
        &self.plan.pids
    }

    /// Takes one sample of each process, `time_ns` after the start. False when there is
    /// nothing left to sample, and will not be.
    pub fn sample(&mut self, time_ns: u64) -> bool {
        self.scout.glance();
        self.hear();
        self.observed.clear();
        let mut failed = false;
        for member in &mut self.members {
            let (recording, plan) = (&mut self.recording, &self.plan);
            let result = member.sample(recording, &plan.filter, plan.keep, &mut self.observed);
            failed |= result.is_err();
            match result {
                Ok(()) => {}
                Err(ReadError::Gone) => {
                    self.scout.ended(member.pid());
                    self.asked.push(member.pid());
                }
                Err(error) => {
                    // It may have replaced its program.
                    log::debug!("process {}: a sample failed: {error}", member.pid());
                    self.recording.quality.errors += 1;
                    self.scout.examine(member.pid());
                    self.asked.push(member.pid());
                }
            }
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
            self.scout.ended(member.pid());
            self.asked.push(member.pid());
        }
        self.part();
        let lives = |root: &Descent| {
            family::descent(root.pid).is_some_and(|now| now.started == root.started && !now.ended)
        };
        self.asked.is_empty() && !(self.plan.follow && self.roots.iter().any(lives))
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
            let before = self.observed.len();
            self.observed.retain(|seen| {
                let index = seen.stack.index();
                if wanted.len() <= index {
                    wanted.resize(index + 1, None);
                }
                *wanted[index].get_or_insert_with(|| filter.wants_stack(recording, seen.stack))
            });
            self.recording.quality.filtered += (before - self.observed.len()) as u64;
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
    }

    /// Takes the scout's news.
    fn hear(&mut self) {
        while let Some(news) = self.scout.news() {
            match news {
                News::Over(pid) => self.answered(pid),
                News::Found(target, ancestors) => {
                    let pid = target.process.pid;
                    self.answered(pid);
                    if let Err(error) = self.join(*target, &ancestors) {
                        log::debug!("process {pid}: {error}");
                        self.scout.examine(pid);
                    }
                }
            }
        }
    }

    fn answered(&mut self, pid: i32) {
        if let Some(at) = self.asked.iter().position(|asked| *asked == pid) {
            self.asked.swap_remove(at);
        }
    }

    /// Lets go of members that the scout has been asked about.
    fn part(&mut self) {
        let (asked, past) = (&self.asked, &mut self.past);
        self.members.retain(|member| {
            let stays = !asked.contains(&member.pid());
            if !stays {
                *past += member.sampler.counters;
            }
            stays
        });
    }

    fn join(&mut self, target: Target, ancestors: &[Ancestor]) -> Result<(), Error> {
        let pid = target.process.pid;
        let command = target.command();
        let sampler = Sampler::new(target, self.plan.options)?;
        self.members.retain(|member| member.pid() != pid);
        let mut parent = None;
        for ancestor in ancestors {
            parent = Some(self.process(ancestor.pid, &ancestor.command, parent));
        }
        let process = self.process(pid, &command, parent);
        self.members.push(Member::new(sampler, process));
        Ok(())
    }

    fn process(&mut self, pid: i32, command: &str, parent: Option<ProcessIx>) -> ProcessIx {
        let recording = &mut self.recording;
        *self.processes.entry((pid, command.to_owned())).or_insert_with(|| {
            recording.add_process(Process { pid, parent, cmdline: command.to_owned() })
        })
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
                 all, {share:.2} % of the time; {} pauses failed. filtered: stacks left out as \
                 asked",
                quality.pause_failed
            ));
        }
        lines
    }

    /// Closes the time line at this instant; recording may go on.
    pub fn finish(&mut self) {
        self.recording.finish(clock::now_ns() - self.start_ns);
    }
}
