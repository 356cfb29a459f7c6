//! `record` of a program with hundreds of threads: each is looked at when it did anything, and
//! none takes what there is only so much of.

mod record_kit;
mod support;

use record_kit::{Folder, Running, counted, folded, until, with};
use rustix::process::Signal;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use support::{Target, for_each, one_per_version};

/// Threads that wait. Two files for each would be more than may be opened.
const WAITING: u64 = 300;
const FILES: &str = "128";

/// What was recorded so far: the whole file, as `record` writes it when it gets SIGUSR1.
fn snapshot(recording: &Running, path: &str) -> record_kit::Folded {
    let inode = || std::fs::metadata(path).ok().map(|data| data.ino());
    let before = inode();
    recording.signal(Signal::USR1);
    until("a snapshot", || inode().filter(|_| inode() != before));
    folded(&std::fs::read_to_string(path).unwrap())
}

#[test]
fn one_of_many_is_seen_wherever_it_goes() {
    let versions = one_per_version().into_iter().filter(|python| python.at_least(3, 0));
    for_each(versions, |python| {
        let mut target = Target::start(python, "record_many.py", &[&WAITING.to_string()]);
        target.wait_asleep();
        let folder = Folder::new();
        let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", FILES, env!("CARGO_BIN_EXE_py-spy")])
            .args(["record", "-i", "-r", "100", "-p", &pid, "-o", &out]);
        let mut recording = Running::start(command);
        recording.wait_sampling();
        let seen = |function: &str, often: u64| {
            until(function, || {
                let found = snapshot(&recording, &out);
                (with(&found, function) >= often).then(|| with(&found, "stay ("))
            })
        };
        // Long enough to be no longer looked at in every sample.
        let waited = seen("wait_first (", 40);
        assert!(waited >= 39 * WAITING, "all the others wait as well: {waited}");
        target.send("");
        seen("wait_second (", 40);
        target.send("");
        seen("compute (", 40);
        recording.signal(Signal::INT);
        let done = recording.wait();
        assert_eq!(done.code(), Some(0), "{}", done.stderr);
        assert_eq!(counted(&done.stderr, "errors"), Some(0), "{}", done.stderr);
    });
}
