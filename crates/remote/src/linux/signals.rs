//! The signals that end or steer a recording.

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1};
use signal_hook::iterator;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Watches for signals from its creation on.
#[derive(Debug)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    snapshot: Arc<AtomicBool>,
}

impl Signals {
    /// From now on SIGINT, SIGTERM and SIGHUP ask for an orderly end (a second one ends
    /// us at once, with the shell's status for Ctrl-C), and SIGUSR1 for a snapshot.
    pub fn watch() -> std::io::Result<Signals> {
        let stop = Arc::new(AtomicBool::new(false));
        let snapshot = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // Handlers run in order of registration: the first signal finds the flag
            // down, the second finds it up.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
            signal_hook::flag::register(signal, stop.clone())?;
        }
        signal_hook::flag::register(SIGUSR1, snapshot.clone())?;
        Ok(Signals { stop, snapshot })
    }

    /// An orderly end was asked for.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A snapshot was asked for since the last call.
    pub fn take_snapshot(&self) -> bool {
        self.snapshot.swap(false, Ordering::Relaxed)
    }
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
    let mut signals = iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGCONT])?;
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
    signal_hook::low_level::raise(SIGTSTP)
}
