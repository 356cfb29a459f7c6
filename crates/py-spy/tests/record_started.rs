//! `record` finds every thread that a program starts, whatever moment of its start the
//! list of threads was read at.

mod record_kit;
mod support;

use record_kit::{Folder, Running, counted, folded, samples, until, with};
use support::target::script_path;
use support::{for_each, one_per_version};

/// As in record_started.py.
const THREADS: usize = 40;

/// A thread is in the list before it runs, and then has no ids or those of its creator.
#[test]
fn no_thread_is_overlooked_that_outlives_its_start() {
    let versions = one_per_version().into_iter().filter(|python| python.at_least(3, 7));
    for_each(versions, |python| {
        // Where we did not get a processor for the whole life of a thread, nothing can be said.
        let (found, stderr) = until("a recording with few instants missed", || {
            let (folder, script) = (Folder::new(), script_path("record_started.py"));
            let out = folder.file("out.txt");
            let program = [python.path.to_str().unwrap(), script.to_str().unwrap()];
            let fixed = ["record", "-F", "-r", "1000", "-o", &out, "--"];
            let done = Running::py_spy(&[&fixed[..], &program].concat()).wait();
            assert_eq!(done.code(), Some(0), "{}", done.stderr);
            assert_eq!(counted(&done.stderr, "errors"), Some(0), "{}", done.stderr);
            let missed = counted(&done.stderr, "missed").unwrap_or(0);
            (missed * 5 < samples(&done.stderr))
                .then(|| (folded(&folder.read("out.txt")), done.stderr))
        });
        // The first may have ended before the program's interpreter was found.
        let overlooked: Vec<usize> = (1..THREADS)
            .filter(|number| with(&found, &format!("compute_{number} (")) == 0)
            .collect();
        assert!(overlooked.is_empty(), "{overlooked:?}: {stderr}");
    });
}
