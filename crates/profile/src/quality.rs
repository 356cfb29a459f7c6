//! How far a profile can be trusted, in numbers.

use std::fmt;

use serde::Serialize;

/// Counters of what went well and what did not while recording. They are written into every format
/// that has a place for them.
///
/// `samples` and `ticks` are counted by the recording, the rest by the sampler.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Quality {
    /// Stacks recorded, over all threads.
    pub samples: u64,
    /// Sampling instants carried out.
    pub ticks: u64,
    /// Sampling instants carried out noticeably after their time.
    pub late: u64,
    /// Sampling instants left out because their time had passed.
    pub missed: u64,
    /// Samples thrown away because they could not be trusted.
    pub dropped: u64,
    /// Copies of a stack that changed while they were made.
    pub torn: u64,
    /// Stacks that were told from the address of their innermost frame alone, as one of those seen
    /// with it a little earlier.
    pub repaired: u64,
    /// Further attempts made at such a stack.
    pub retried: u64,
    /// Times a thread was paused to read its stack.
    pub paused: u64,
    /// Nanoseconds threads spent paused, in sum.
    pub paused_ns: u64,
    /// Pauses that were refused or came too late.
    pub pause_failed: u64,
    /// Stacks that were left out because they were asked not to be shown.
    pub filtered: u64,
    /// Samples that failed for any other reason.
    pub errors: u64,
    /// Stacks with native frames where these and the Python frames did not fit together.
    pub unmerged: u64,
    /// Of these, those whose thread was not held: it had no processor to stop on, or had been held
    /// for too large a part of the time.
    pub unheld: u64,
}

impl fmt::Display for Quality {
    /// One line: the samples and errors always, the rest where there was any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples", self.samples)?;
        let rest = [
            (self.late, "late"),
            (self.missed, "missed"),
            (self.dropped, "dropped"),
            (self.torn, "torn"),
            (self.repaired, "repaired"),
            (self.retried, "retried"),
            (self.paused, "paused"),
            (self.filtered, "filtered"),
            (self.unmerged, "unmerged"),
        ];
        for (count, what) in rest.into_iter().filter(|&(count, _)| count > 0) {
            write!(f, ", {count} {what}")?;
        }
        write!(f, ", {} errors", self.errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_what_happened() {
        let mut quality = Quality { samples: 300, ..Quality::default() };
        assert_eq!(quality.to_string(), "300 samples, 0 errors");
        quality.late = 2;
        quality.dropped = 1;
        quality.errors = 3;
        assert_eq!(quality.to_string(), "300 samples, 2 late, 1 dropped, 3 errors");
    }
}
