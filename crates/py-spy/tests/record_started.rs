//! `record` finds every thread that a program starts, whatever moment of its start the
//! list of threads was read at.

mod record_kit;
mod support;

use record_kit::{Folder, Running, counted, folded, until, with};
use rustix::process::Signal;
use support::{Target, for_each, one_per_version};

/// As in record_started.py.
const THREADS: usize = 40;

/// A thread has 50 instants and more: each overlooked one takes this many that were not taken,
/// as one at either end may belong to the thread in part.
const INSTANTS: u64 = 45;

/// A thread is in the list before it runs, and then has no ids or those of its creator.
#[test]
fn no_thread_is_overlooked_that_outlives_its_start() {
    let versions = one_per_version().into_iter().filter(|python| python.at_least(3, 7));
    for_each(versions, |python| {
        // Where we did not get a processor for the lives of most threads, nothing can be said.
        until("a recording with few instants missed", || {
            let folder = Folder::new();
            let mut target = Target::start(python, "record_started.py", &[]);
            let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
            let mut recording =
                Running::py_spy(&["record", "-F", "-r", "1000", "-o", &out, "-p", &pid]);
            recording.wait_sampling();
            // From when on instants are counted is not said. A snapshot is written among them.
            recording.signal(Signal::USR1);
            until("a snapshot", || (!folder.names().is_empty()).then_some(()));
            target.send("");
            assert_eq!(target.read_line(), "DONE");
            // Up to a signal all instants are counted, up to the target's end they are not.
            recording.signal(Signal::INT);
            let done = recording.wait();
            assert_eq!(done.code(), Some(0), "{}", done.stderr);
            assert_eq!(counted(&done.stderr, "errors"), Some(0), "{}", done.stderr);
            let missed = counted(&done.stderr, "missed").unwrap_or(0);
            let found = folded(&folder.read("out.txt"));
            let overlooked: Vec<usize> = (0..THREADS)
                .filter(|number| with(&found, &format!("compute_{number} (")) == 0)
                .collect();
            let excused = overlooked.len() as u64 * INSTANTS <= missed;
            assert!(excused, "{overlooked:?}, {missed} missed: {}", done.stderr);
            (overlooked.len() * 2 <= THREADS).then_some(())
        });
    });
}
