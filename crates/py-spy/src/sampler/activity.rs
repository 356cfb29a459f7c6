//! Which threads compute and which wait, as the system sees it.

use super::roster::Entry;

/// What each thread of the roster is doing, by index.
#[derive(Debug, Default)]
pub struct Activity {
    running: Vec<bool>,
}

impl Activity {
    /// Asks the system about all `threads`.
    pub fn update(&mut self, threads: &mut [Entry]) {
        self.running.clear();
        for entry in threads {
            let running = entry.os.as_mut().and_then(|os| os.is_running());
            self.running.push(running.unwrap_or(false));
        }
    }

    /// Whether a thread computes, or wants to.
    pub fn is_running(&self, thread: usize) -> bool {
        self.running.get(thread).copied().unwrap_or(false)
    }
}
