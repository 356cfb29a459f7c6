//! The signals that end or steer a recording.
#![allow(unsafe_code)]

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGXFSZ};
use signal_hook::{flag, iterator, low_level};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Several signals in so short a time mean one thing: service managers send SIGHUP right behind
/// SIGTERM, a person who is not heard tries again later.
const GRACE: Duration = Duration::from_millis(500);

/// Watches for signals from its creation on.
#[derive(Debug)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    snapshot: Arc<AtomicBool>,
    suspend: Arc<AtomicBool>,
}

impl Signals {
    /// From now on SIGINT, SIGTERM and SIGHUP ask for an orderly end, SIGUSR1 for a snapshot, and
    /// SIGTSTP (Ctrl-Z) to stop when nothing is held.
    pub fn watch() -> std::io::Result<Signals> {
        let new = || Arc::new(AtomicBool::new(false));
        let signals = Signals { stop: new(), snapshot: new(), suspend: new() };
        for signal in ending() {
            flag::register(signal, signals.stop.clone())?;
        }
        flag::register(SIGUSR1, signals.snapshot.clone())?;
        flag::register(SIGTSTP, signals.suspend.clone())?;
        Ok(signals)
    }

    /// From now on a further signal to end ends us at once, with the shell's status for it. Takes
    /// a thread, which is why [`Signals::watch`] does not do it.
    pub fn watch_impatience(&self) -> std::io::Result<()> {
        let mut signals = iterator::Signals::new(ending())?;
        let mut patience = Patience::default();
        let run = move || {
            for signal in signals.forever() {
                if patience.is_over() {
                    low_level::exit(128 + signal);
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(run).map(|_| ())
    }

    /// An orderly end was asked for.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A snapshot was asked for since the last call.
    pub fn take_snapshot(&self) -> bool {
        self.snapshot.swap(false, Ordering::Relaxed)
    }

    /// Stops until the shell lets us go on, if that was asked for since the last call.
    pub fn suspend_if_asked(&self) {
        if self.suspend.swap(false, Ordering::Relaxed) {
            let _ = suspend();
        }
    }
}

/// Tells the first signal to end from one that means: at once.
#[derive(Debug, Default)]
pub struct Patience(Option<Instant>);

impl Patience {
    /// Whether the signal that has come now is one too many.
    pub fn is_over(&mut self) -> bool {
        self.0.get_or_insert_with(Instant::now).elapsed() > GRACE
    }
}

/// The signals that ask for an end. `nohup` has SIGHUP ignored, and it stays so, for programs that
/// we start as well. An ignored SIGINT is taken all the same: shells without job control have it
/// ignored in all that runs in the background, and `kill -INT` is how a script ends a recording.
fn ending() -> Vec<i32> {
    let mut signals = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    signals
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zeroes are a valid `sigaction`, and the call only writes to it.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

/// A file that may not grow any more (`ulimit -f`) is an error of a write, and not our end.
pub fn survive_file_limits() -> std::io::Result<()> {
    // A handler rather than ignoring it: programs that we start must not inherit that.
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(|_| ())
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// An orderly end, by this signal.
    Stop(i32),
    /// A snapshot (SIGUSR1).
    Snapshot,
    /// The process was stopped, and goes on.
    Continued,
}

/// Calls `tell` for each signal from now on, on a thread of its own: it may take its time, and
/// is called however busy the others are. Signals of a kind that arrive in short order may be
/// told as one.
pub fn listen(mut tell: impl FnMut(Asked) + Send + 'static) -> std::io::Result<()> {
    let mut signals = iterator::Signals::new(ending())?;
    for signal in [SIGQUIT, SIGUSR1, SIGCONT] {
        signals.add_signal(signal)?;
    }
    let run = move || {
        for signal in signals.forever() {
            tell(match signal {
                SIGUSR1 => Asked::Snapshot,
                SIGCONT => Asked::Continued,
                stop => Asked::Stop(stop),
            });
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(run).map(|_| ())
}

/// Stops this process, as Ctrl-Z does, until the shell lets it go on.
pub fn suspend() -> std::io::Result<()> {
    low_level::emulate_default_handler(SIGTSTP)
}
