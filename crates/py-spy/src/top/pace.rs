//! When to sample and when to show: samples are taken until there is something else to do.

use super::input::{Input, Inputs};
use super::model::Model;
use crate::fleet::Fleet;
use crate::record::schedule::{Schedule, Tick};
use remote::os::clock;
use std::collections::HashMap;
use std::time::Duration;

/// The longest sleep at a time: the target may end meanwhile.
const SLICE_NS: u64 = 100_000_000;

/// When the time line, which some formats need, takes more memory than this, or there were more
/// threads than this, only counts are kept: `top` may run for weeks.
const MAX_TIMELINE: u64 = 64 << 20;
const MAX_THREADS: usize = 50_000;

/// What there is to do beside sampling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Something came from outside.
    Input(Input),
    /// A window has been closed.
    Window,
    /// The target has ended; its last window has been closed.
    Over,
    /// The time is up; the last window has been closed.
    TimeUp,
}

/// The run's clock.
#[derive(Debug)]
pub struct Pace {
    schedule: Schedule,
    tick: Tick,
    delay_ns: u64,
    /// When the open window began, and when it is to end.
    window_ns: u64,
    due_ns: u64,
    end_ns: Option<u64>,
    cpu: CpuMeter,
}

impl Pace {
    /// From now on `rate` samples a second, in windows of `delay`, for `duration`.
    pub fn new(fleet: &mut Fleet, rate: f64, delay: Duration, duration: Option<Duration>) -> Pace {
        clock::tighten_timer();
        let now = clock::now_ns();
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let delay_ns = nanoseconds(delay);
        let mut schedule = Schedule::new(now, rate);
        fleet.begin(now);
        let tick = schedule.next(now);
        let mut cpu = CpuMeter::default();
        cpu.used_ns(fleet);
        Pace {
            schedule,
            tick,
            delay_ns,
            window_ns: now,
            due_ns: now.saturating_add(delay_ns),
            end_ns: duration.map(|duration| now.saturating_add(nanoseconds(duration))),
            cpu,
        }
    }

    /// Samples until there is something else to do.
    pub fn next(&mut self, fleet: &mut Fleet, model: &mut Model, inputs: &Inputs) -> Turn {
        loop {
            // Samples may take all the time there is: all else comes before the next one.
            let now = clock::now_ns();
            if self.end_ns.is_some_and(|end| now >= end) {
                self.close(fleet, model, now);
                return Turn::TimeUp;
            }
            if now >= self.due_ns {
                // What is late is not caught up with.
                self.due_ns = now.max(self.due_ns.saturating_add(self.delay_ns));
                if self.close(fleet, model, now) {
                    return Turn::Window;
                }
            }
            if now >= self.tick.at_ns {
                if let Some(input) = inputs.wait(Some(now)) {
                    return Turn::Input(input);
                }
                if !self.sample(fleet, model, now) {
                    self.close(fleet, model, now);
                    return Turn::Over;
                }
                continue;
            }
            let next = self.tick.at_ns.min(self.due_ns).min(self.end_ns.unwrap_or(u64::MAX));
            if let Some(input) = inputs.wait(Some(next.min(now + SLICE_NS))) {
                return Turn::Input(input);
            }
            if next > now + SLICE_NS && fleet.is_over() {
                self.close(fleet, model, clock::now_ns());
                return Turn::Over;
            }
        }
    }

    fn sample(&mut self, fleet: &mut Fleet, model: &mut Model, now: u64) -> bool {
        fleet.recording.quality.missed += self.tick.missed;
        fleet.recording.quality.late += u64::from(self.schedule.is_late(now, self.tick.at_ns));
        let goes_on = fleet.sample(now - self.schedule.start_ns());
        if goes_on {
            model.observe(fleet.observed());
        }
        self.tick = self.schedule.next(clock::now_ns());
        goes_on
    }

    fn close(&mut self, fleet: &mut Fleet, model: &mut Model, now: u64) -> bool {
        let recording = &mut fleet.recording;
        if recording.timeline_bytes() > MAX_TIMELINE || recording.threads().len() > MAX_THREADS {
            recording.keep_counts_only();
        }
        let elapsed_ns = now - self.window_ns;
        self.window_ns = now;
        model.close_window(&fleet.recording, elapsed_ns, self.cpu.used_ns(fleet))
    }
}

/// The CPU time that processes have used since one last asked.
#[derive(Debug, Default)]
struct CpuMeter {
    last: HashMap<i32, Duration>,
}

impl CpuMeter {
    /// Of all that are sampled now. A process that is new counts from now on.
    fn used_ns(&mut self, fleet: &Fleet) -> u64 {
        let mut now = HashMap::with_capacity(self.last.len());
        let mut used = Duration::ZERO;
        for pid in fleet.members().iter().map(|member| member.pid()) {
            if let Some(total) = clock::process_cpu(pid) {
                let before = self.last.get(&pid).copied().unwrap_or(total);
                used += total.saturating_sub(before);
                now.insert(pid, total);
            }
        }
        self.last = now;
        u64::try_from(used.as_nanos()).unwrap_or(u64::MAX)
    }
}
