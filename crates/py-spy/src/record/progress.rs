//! One line on a terminal that tells how it goes.

use profile::Quality;
use ratatui::crossterm::terminal::size;
use std::io::{IsTerminal, Write};

const EVERY_NS: u64 = 250_000_000;

/// Shows progress on stderr, if that is a terminal.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    last_ns: u64,
    shown: bool,
}

impl Progress {
    /// Shows nothing yet; if `hidden`, nothing at all.
    pub fn new(hidden: bool) -> Progress {
        Progress { terminal: !hidden && std::io::stderr().is_terminal(), last_ns: 0, shown: false }
    }

    /// Renews the line if that is due.
    pub fn show(&mut self, now_ns: u64, start_ns: u64, quality: &Quality) {
        if !self.terminal || now_ns < self.last_ns + EVERY_NS {
            return;
        }
        self.last_ns = now_ns;
        self.shown = true;
        let seconds = (now_ns.saturating_sub(start_ns)) as f64 / 1e9;
        let rate = quality.ticks as f64 / seconds.max(1e-9);
        let left_out = quality.dropped + quality.missed;
        let mut line = format!(
            "py-spy> {} samples in {seconds:.1}s, {rate:.1} a second, {left_out} left out, {} errors",
            quality.samples, quality.errors
        );
        // A line that is wrapped could not be written over.
        if let Ok((columns @ 1.., _)) = size() {
            line.truncate(usize::from(columns) - 1);
        }
        // `\x1b[K` clears what a longer line before left behind.
        let _ = write!(std::io::stderr(), "\r{line}\x1b[K");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
