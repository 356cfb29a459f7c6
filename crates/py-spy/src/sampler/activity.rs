//! Which threads compute and which wait, as the system sees it.
//!
//! Asking about every thread at every sample would make waiting threads cost something.
//! With more than a few threads, only those that computed of late (the *hot* ones) are
//! asked. That no other has computed meanwhile is seen from one number, the CPU time of
//! the whole process: what the hot threads do not explain of it was used by others, and
//! then all are looked at again.

use super::roster::Entry;
use remote::os::{self, clock};
use std::path::Path;

/// With this many threads or fewer, all are asked each time.
const FEW: usize = 3;
/// A thread that was not seen computing in this many samples is no longer hot.
const COOL: u32 = 16;
/// CPU time that is not explained up to this is no reason to look at all threads.
const SLACK_NS: u64 = 100_000;
/// With more threads than this, the files of those that wait are not kept open: a process may
/// open only so many.
const MAX_OPEN: usize = 64;
/// Looking at all threads may take one part in this many of the time.
const SCAN_SHARE: u64 = 20;

/// What is known of one thread; part of its entry in the roster.
#[derive(Debug, Default)]
pub struct ThreadActivity {
    os: Option<os::Thread>,
    running: bool,
    ended: bool,
    /// Samples since it was last seen computing; hot up to [`COOL`].
    quiet: u32,
    /// CPU time when last asked.
    cpu_ns: u64,
    /// CPU time that samples have been weighed with.
    weighed_ns: Option<u64>,
}

impl ThreadActivity {
    /// Of the thread `tid` of the process at `proc_dir`.
    pub fn new(proc_dir: &Path, tid: i32) -> ThreadActivity {
        ThreadActivity { os: Some(os::Thread::new(proc_dir, tid)), ..ThreadActivity::default() }
    }

    /// Where it waits; `None` while it does not.
    pub fn standing(&mut self) -> Option<os::threads::Standing> {
        self.os.as_mut()?.standing()
    }

    /// It computes, or wants to.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// It is known which of the system's threads it is.
    pub fn is_known(&self) -> bool {
        self.os.is_some()
    }

    /// The system's thread has ended.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// It has computed of late.
    pub fn is_hot(&self) -> bool {
        self.quiet < COOL
    }

    /// Asks about it again, and with the next samples.
    pub fn warm(&mut self) {
        self.quiet = 0;
        self.ask();
    }

    /// It was seen to hold the GIL. Where nothing can be asked, it is taken to compute.
    pub fn has_gil(&mut self) {
        self.warm();
        self.running |= self.os.is_none();
    }

    /// It computed before we held it.
    pub fn held(&mut self) {
        self.quiet = 0;
        self.running = true;
    }

    /// CPU time in nanoseconds that no sample has been weighed with yet, as of the last
    /// [`ThreadActivity::look_at_clock`].
    pub fn unweighed_ns(&self) -> u64 {
        self.cpu_ns.saturating_sub(self.weighed_ns.unwrap_or(self.cpu_ns))
    }

    /// Asks for the CPU time used. The first time is where counting begins.
    pub fn look_at_clock(&mut self) {
        self.ask_cpu();
        self.weighed_ns.get_or_insert(self.cpu_ns);
    }

    /// The CPU time that a sample is weighed with: all that no other was.
    pub fn weigh(&mut self) -> u64 {
        let weight = self.unweighed_ns();
        self.weighed_ns = Some(self.cpu_ns);
        weight
    }

    /// Asks whether it computes now.
    pub fn ask(&mut self) {
        let answer = self.os.as_mut().map(os::Thread::is_running);
        self.ended = answer == Some(None);
        self.running = answer == Some(Some(true));
        if self.running {
            self.quiet = 0;
        } else if self.quiet < COOL {
            self.quiet += 1;
            if self.quiet == COOL {
                self.rest();
            }
        }
    }

    /// Whether the system's thread has ended since it was asked about last.
    pub fn has_ended_since(&mut self) -> bool {
        self.ended |= self.os.as_mut().map(os::Thread::is_running) == Some(None);
        self.ended
    }

    /// Whether the system's thread has ended by now. Leaves no file open, as it may be asked of
    /// all threads at once.
    pub fn has_ended_by_now(&mut self) -> bool {
        self.ask();
        self.rest();
        self.ended
    }

    /// Closes its files if it waits and there are `many` like it.
    fn spare(&mut self, many: bool) {
        if many && !self.running {
            self.rest();
        }
    }

    /// Closes its files; they are opened again when it is asked about.
    fn rest(&mut self) {
        if let Some(os) = &mut self.os {
            os.rest();
        }
    }

    /// Returns by how much it has grown.
    fn ask_cpu(&mut self) -> u64 {
        let now = self.os.as_mut().and_then(os::Thread::cpu_ns).unwrap_or(self.cpu_ns);
        let grown = now.saturating_sub(self.cpu_ns);
        self.cpu_ns = self.cpu_ns.max(now);
        grown
    }
}

/// What is known of all threads together.
#[derive(Debug, Default)]
pub struct Activity {
    /// CPU time of the process less that of its threads, when all were looked at.
    base_ns: Option<i128>,
    scanned_ns: u64,
    scan_took_ns: u64,
    /// Threads that run no Python: they too explain CPU time.
    native: Vec<(i32, ThreadActivity)>,
    tids: Vec<i32>,
    tracking: bool,
}

impl Activity {
    /// Brings all of `threads` up to date. `changed` says that some are new, `closely` that
    /// those that wait are of interest too: where none computes, the clocks tell exactly
    /// whether one did.
    pub fn update(
        &mut self,
        pid: i32,
        proc_dir: &Path,
        threads: &mut [Entry],
        changed: bool,
        closely: bool,
    ) {
        self.tracking = threads.len() > FEW;
        if !self.tracking {
            for entry in threads {
                entry.activity.ask();
            }
            return;
        }
        let many = self.are_many(threads);
        let began = clock::now_ns();
        let total = clock::process_cpu(pid).map_or(0, |used| used.as_nanos() as i128);
        let mut calm = true;
        for entry in threads.iter_mut().filter(|entry| entry.activity.is_hot()) {
            entry.activity.ask_cpu();
            entry.activity.ask();
            entry.activity.spare(many);
            calm &= !entry.activity.is_running();
        }
        for (_, native) in self.native.iter_mut().filter(|(_, native)| native.is_hot()) {
            calm &= native.ask_cpu() == 0;
            native.spare(many);
        }
        let unexplained = self.base_ns.map(|base| total - self.known_ns(threads) - base);
        if let (true, Some(base), Some(ns @ ..0)) = (calm, &mut self.base_ns, unexplained) {
            // It was taken while some ran, whose clocks lag.
            *base += ns;
        }
        let slack = if calm && closely { 0 } else { i128::from(SLACK_NS) };
        let due = unexplained.is_none_or(|ns| ns > slack || ns < -1_000_000_000);
        let affordable = began > self.scanned_ns + SCAN_SHARE * self.scan_took_ns;
        if changed || (due && affordable) {
            self.scan(pid, proc_dir, threads);
            self.scanned_ns = clock::now_ns();
            self.scan_took_ns = self.scanned_ns - began;
        }
    }

    /// Whether a thread that is not hot is known not to have run.
    pub fn tracks(&self) -> bool {
        self.tracking
    }

    fn are_many(&self, threads: &[Entry]) -> bool {
        threads.len() + self.native.len() > MAX_OPEN
    }

    fn known_ns(&self, threads: &[Entry]) -> i128 {
        let python = threads.iter().map(|entry| &entry.activity);
        let all = python.chain(self.native.iter().map(|(_, native)| native));
        all.map(|activity| i128::from(activity.cpu_ns)).sum()
    }

    /// Looks at every thread.
    fn scan(&mut self, pid: i32, proc_dir: &Path, threads: &mut [Entry]) {
        let many = self.are_many(threads);
        for entry in threads.iter_mut() {
            let activity = &mut entry.activity;
            if activity.ask_cpu() > 0 {
                activity.quiet = 0;
            }
            activity.ask();
            activity.spare(many);
        }
        if os::threads::list(proc_dir, &mut self.tids).is_ok() {
            let python = |tid: &i32| threads.iter().any(|entry| entry.tid == Some(*tid));
            self.tids.retain(|tid| !python(tid));
            self.native.retain(|(tid, _)| self.tids.binary_search(tid).is_ok());
            for tid in &self.tids {
                if !self.native.iter().any(|(known, _)| known == tid) {
                    self.native.push((*tid, ThreadActivity::new(proc_dir, *tid)));
                }
            }
            for (_, native) in &mut self.native {
                native.quiet =
                    if native.ask_cpu() > 0 { 0 } else { native.quiet.saturating_add(1) };
                native.spare(many);
            }
        }
        // Read after the threads: what they use meanwhile must not look unexplained.
        let total = clock::process_cpu(pid).map_or(0, |used| used.as_nanos() as i128);
        self.base_ns = Some(total - self.known_ns(threads));
    }
}
