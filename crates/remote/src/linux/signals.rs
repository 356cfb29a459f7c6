//! The signals that end or steer a recording.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
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
