//! `record`: samples into a profile until it is time to end, then writes it.

pub(crate) mod output;
mod progress;
pub(crate) mod schedule;
mod stream;

use crate::cli::RecordArgs;
use crate::error::Error;
use crate::fleet::{Fleet, Plan};
use crate::launch::{Launched, launch};
use crate::say::say;
use output::Outputs;
use profile::{Keep, Style};
use progress::Progress;
use remote::os::clock;
use remote::os::signals::Signals;
use schedule::{Schedule, Tick};
use std::panic::{AssertUnwindSafe, catch_unwind};
use stream::Streams;

/// Why sampling ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Time,
    Signal,
    Exit,
    /// Nothing that is seen can be written any more.
    Output,
    /// A fault of our own.
    Fault,
}

/// Runs the command; the status is 0, or that of a program of ours that ended first.
pub fn run(args: &RecordArgs) -> Result<u8, Error> {
    let filter = args.sampling.choice.filter()?;
    let style = args.look.style(args.subject.subprocesses || args.subject.pid.len() > 1);
    let mut outputs = Outputs::prepare(args)?;
    args.look.check(outputs.formats())?;
    let watching = |error| Error::System("cannot watch for signals", error);
    let signals = Signals::watch().map_err(watching)?;
    let mut launched = launch(&args.subject, None)?;
    signals.watch_impatience().map_err(watching)?;
    let plan = Plan {
        pids: launched.pids.clone(),
        fresh: launched.program.is_some(),
        follow: args.subject.subprocesses,
        options: args.sampling.options(),
        rate: args.timing.rate,
        keep: Keep::needed_for(outputs.formats(), &style),
        filter,
    };
    let mut fleet = match Fleet::new(plan) {
        Ok(fleet) => fleet,
        Err(error) => return nothing_recorded(error, &mut launched),
    };
    for member in fleet.members().iter().filter(|member| member.sampler.cannot_pause()) {
        say(&format!(
            "process {} is held by another tracer: it is read without pausing it, and what cannot be trusted is left out",
            member.pid()
        ));
    }
    let mut sinks = Sinks { streams: Streams::open(&mut outputs)?, outputs, style };
    announce(args, &fleet);
    // Whatever goes wrong, what was seen up to then is written.
    let sampling = AssertUnwindSafe(|| sample(args, &mut fleet, &signals, &mut sinks));
    let end = catch_unwind(sampling).unwrap_or(End::Fault);
    // A program that is ending has given up its memory before it can be seen to have ended.
    let status = if end == End::Exit { launched.ended_status() } else { None };
    match end {
        End::Exit if status.is_none() && fleet.lives() => {
            say("Stopped sampling because process is no Python program any more")
        }
        End::Exit => say("Stopped sampling because process exited"),
        End::Signal => say("Stopped sampling because of a signal"),
        End::Fault => {
            say("Stopped sampling because of a fault of py-spy's own, which is told above")
        }
        End::Time | End::Output => {}
    }
    if fleet.recording.processes().len() == 0 {
        say("No Python program was seen");
    }
    fleet.finish();
    let streamed = sinks.streams.finish(&fleet.recording);
    sinks.outputs.write(&fleet.recording, &sinks.style, say).and(streamed)?;
    for line in fleet.report(args.verbose > 0) {
        say(&line);
    }
    Ok(status.unwrap_or(u8::from(end == End::Fault)))
}

/// A program of ours that ended before it could be looked at is not our failure.
fn nothing_recorded(error: Error, launched: &mut Launched) -> Result<u8, Error> {
    if let Some(status) = launched.ended_status() {
        say(&format!(
            "Nothing was recorded: the program ended, with status {status}, before it was seen to run Python. \
             What it starts is recorded with --subprocesses (-s)"
        ));
        return Ok(status);
    }
    if let Some(program) = &launched.program {
        say(&format!("process {} goes on", program.pid()));
    }
    Err(error)
}

fn announce(args: &RecordArgs, fleet: &Fleet) {
    let how_long = match args.timing.duration.0 {
        Some(duration) => format!(" for {} seconds", duration.as_secs_f64()),
        None => String::new(),
    };
    let what = match fleet.pids() {
        [pid] if args.subject.program.is_empty() => format!("process {pid}"),
        [_] => "process".to_owned(),
        pids => format!("processes {pids:?}"),
    };
    say(&format!(
        "Sampling {what} {} times a second{how_long}. Press Control-C to exit.",
        args.timing.rate
    ));
}

/// Samples until it is time to end.
fn sample(args: &RecordArgs, fleet: &mut Fleet, signals: &Signals, sinks: &mut Sinks) -> End {
    clock::tighten_timer();
    let mut schedule = Schedule::new(clock::now_ns(), args.timing.rate);
    let mut progress = Progress::new(args.hideprogress);
    fleet.begin(schedule.start_ns());
    let limit = args.timing.duration.0.map(|limit| limit.as_nanos() as u64);
    let end_ns = limit.map_or(u64::MAX, |limit| schedule.start_ns().saturating_add(limit));
    // Whether the last tick has yet to be taken.
    let mut open;
    let end = 'sampling: loop {
        signals.suspend_if_asked();
        let Tick { at_ns, missed } = schedule.next(clock::now_ns().min(end_ns));
        fleet.recording.quality.missed += missed;
        open = true;
        while let Some(woken) = wait(at_ns.min(end_ns), signals) {
            match woken {
                Woken::Stop => break 'sampling End::Signal,
                Woken::Slice if fleet.is_over() => break 'sampling End::Exit,
                // Nothing is held between samples, which may be far apart.
                Woken::Slice => signals.suspend_if_asked(),
            }
            if !sinks.keep_up(fleet, signals) {
                break 'sampling End::Output;
            }
        }
        let now = clock::now_ns();
        if now >= end_ns {
            break End::Time;
        }
        if schedule.is_late(now, at_ns) {
            fleet.recording.quality.late += 1;
        }
        open = false;
        if !fleet.sample(now - schedule.start_ns()) {
            break End::Exit;
        }
        if !sinks.keep_up(fleet, signals) {
            break End::Output;
        }
        fleet.take_notices().iter().for_each(|notice| say(notice));
        progress.show(now, schedule.start_ns(), &fleet.recording.quality);
    };
    if end != End::Exit {
        // When it ended is not known; up to any other end all that was not seen is counted.
        fleet.recording.quality.missed += schedule.unused(clock::now_ns().min(end_ns), open);
    }
    end
}

/// Where what is seen goes to.
struct Sinks {
    /// While it is seen.
    streams: Streams,
    /// At the end, and when a signal asks for it.
    outputs: Outputs,
    style: Style,
}

impl Sinks {
    /// Writes what is to be written now. False if there is nothing left to write to.
    fn keep_up(&mut self, fleet: &mut Fleet, signals: &Signals) -> bool {
        let now = clock::now_ns();
        if signals.take_snapshot() {
            fleet.finish();
            self.streams.snapshot(&mut fleet.recording, now);
            if let Err(error) = self.outputs.write(&fleet.recording, &self.style, say) {
                say(&error.to_string());
            }
        }
        self.streams.write(&mut fleet.recording, now)
    }
}

/// Why a wait ended before its time.
enum Woken {
    Stop,
    Slice,
}

/// Sleeps until `until_ns`, or wakes early. Long sleeps are cut into slices: a signal may
/// arrive just before one begins, and the target may end.
fn wait(until_ns: u64, signals: &Signals) -> Option<Woken> {
    const SLICE_NS: u64 = 100_000_000;
    if signals.stop() {
        return Some(Woken::Stop);
    }
    let now = clock::now_ns();
    if now >= until_ns {
        return None;
    }
    clock::sleep_until(until_ns.min(now + SLICE_NS));
    match (signals.stop(), until_ns > now + SLICE_NS) {
        (true, _) => Some(Woken::Stop),
        (_, true) => Some(Woken::Slice),
        _ => None,
    }
}
