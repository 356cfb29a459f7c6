//! What happens to the target, and to `record`, while it records: forks, other programs,
//! ends, stops, signals. What was collected is written, and nobody hangs.

mod record_kit;
mod support;

use record_kit::{
    Folder, Running, counted, folded, modern, samples, split_truth, total, until, with,
};
use rustix::process::Signal;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use support::{Target, for_each, interpreters, one_per_version, run, run_py_spy};

/// The function that all of record_life.py's time goes to.
const WORK: &str = "compute_in_parent (";

/// What recordings are repeated for.
const ENOUGH: &str = "a recording with more than 10 samples of the work";

fn start(kind: &[&str]) -> Target {
    Target::start(modern(), "record_life.py", kind)
}

/// Begins to record a target, until told otherwise.
#[track_caller]
fn begin(target: &Target, folder: &Folder, args: &[&str]) -> Running {
    let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
    let mut recording =
        Running::py_spy(&[&["record", "-r", "200", "-p", &pid, "-o", &out], args].concat());
    recording.wait_sampling();
    recording
}

/// Lets the target compute `seconds` more of CPU time: only then there must be samples.
#[track_caller]
fn let_compute(target: &Target, seconds: f64) {
    // utime and stime, in hundredths of a second.
    let used = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", target.pid())).unwrap();
        let fields: Vec<u64> = stat
            .rsplit(") ")
            .next()
            .unwrap()
            .split(' ')
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        (fields[11] + fields[12]) as f64 / 100.0
    };
    let start = used();
    until("the target to compute", || (used() - start > seconds).then_some(()));
}

/// The recording ended well: it says so, and the file holds what it says. How many samples
/// there are of the target's work: on a busy machine there may be none, as it can compute
/// while py-spy has no processor, and then it takes another recording.
#[track_caller]
fn check_written(recording: &mut Running, folder: &Folder) -> u64 {
    let done = recording.wait();
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(done.stdout, "");
    assert_eq!(folder.names(), ["out.txt"]);
    let found = folded(&folder.read("out.txt"));
    assert_eq!(total(&found), samples(&done.stderr), "{}", done.stderr);
    with(&found, WORK)
}

/// SIGINT, SIGTERM and SIGHUP write what was collected; the target goes on.
#[test]
fn signals_end_it_in_good_order() {
    let mut target = start(&["burn"]);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        until(ENOUGH, || {
            let folder = Folder::new();
            let mut recording = begin(&target, &folder, &[]);
            let_compute(&target, 0.2);
            assert_eq!(folder.names(), [""; 0], "nothing is written before the end");
            recording.signal(signal);
            (check_written(&mut recording, &folder) > 10).then_some(())
        });
    }
    target.signal(Signal::USR1);
    assert_eq!(target.read_line(), "TOLD");
}

/// SIGUSR1 writes what there is and goes on, to the same file, and the last word is the
/// whole recording. Whenever the file is looked at, it is whole.
#[test]
fn a_snapshot_is_written_on_the_way() {
    let target = start(&["burn"]);
    let folder = Folder::new();
    let mut recording = begin(&target, &folder, &[]);
    let mut last = 0;
    for _ in 0..3 {
        // The target may compute while py-spy has no processor: then nothing is new.
        last = until("a snapshot with more samples", || {
            let_compute(&target, 0.1);
            let before = std::fs::metadata(folder.file("out.txt")).ok().map(|data| data.ino());
            recording.signal(Signal::USR1);
            // The file is replaced, not overwritten: another inode.
            until("a snapshot", || {
                let now = std::fs::metadata(folder.file("out.txt")).ok().map(|data| data.ino());
                (now.is_some() && now != before).then_some(())
            });
            let sum = with(&folded(&folder.read("out.txt")), WORK);
            assert!(sum >= last, "{sum} after {last}");
            assert!(recording.is_running());
            (sum > last).then_some(sum)
        });
    }
    recording.signal(Signal::INT);
    assert!(check_written(&mut recording, &folder) >= last);
}

/// A second Ctrl-C does not wait for a file that takes its time.
#[test]
fn a_second_interrupt_stops_at_once() {
    let target = start(&["burn"]);
    let folder = Folder::new();
    // Writing into a pipe that nobody reads never ends.
    let pipe = folder.file("pipe");
    run(Command::new("mkfifo").arg(&pipe)).ok();
    let pid = target.pid().to_string();
    let mut recording = Running::py_spy(&["record", "-p", &pid, "-o", &pipe]);
    recording.wait_sampling();
    recording.signal(Signal::INT);
    recording.wait_for("Stopped sampling");
    assert!(recording.is_running());
    // In quick succession they are one.
    until("its end", || {
        recording.signal(Signal::INT);
        (!recording.is_running()).then_some(())
    });
    let done = recording.wait();
    assert_eq!(done.code(), Some(130), "{} {}", done.status, done.stderr);
}

/// The target's end, however it ends, ends the recording well.
#[test]
fn the_end_of_the_target_is_the_end() {
    for signal in [Signal::KILL, Signal::TERM] {
        until(ENOUGH, || {
            let target = start(&["burn"]);
            let folder = Folder::new();
            let mut recording = begin(&target, &folder, &["-d", "1000"]);
            let_compute(&target, 0.2);
            target.signal(signal);
            (check_written(&mut recording, &folder) > 10).then_some(())
        });
    }
    // At a low rate too nobody waits for the next sample to notice.
    let target = start(&["burn"]);
    let folder = Folder::new();
    let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
    let mut recording = Running::py_spy(&["record", "-r", "0.001", "-p", &pid, "-o", &out]);
    recording.wait_sampling();
    target.signal(Signal::KILL);
    let done = recording.wait();
    assert_eq!(
        (done.code(), folder.names()),
        (Some(0), vec!["out.txt".to_owned()]),
        "{}",
        done.stderr
    );
}

/// A target that is stopped stays stopped, and the recording ends on its time.
#[test]
fn a_stopped_target_is_no_trap() {
    let target = start(&["burn"]);
    target.signal(Signal::STOP);
    until("the stop", || (target.state() == 'T').then_some(()));
    for args in [&[][..], &["--blocking"], &["-i"]] {
        until("a recording in which the target was looked at", || {
            let folder = Folder::new();
            let (pid, out) = (target.pid().to_string(), folder.file("out.txt"));
            let fixed = ["record", "-r", "200", "-d", "0.5", "-p", &pid, "-o", &out];
            let run = run_py_spy([&fixed, args].concat()).ok();
            let found = folded(&folder.read("out.txt"));
            assert_eq!(total(&found), samples(&run.stderr));
            // Of 100 instants; where there was one, there was a look.
            let looked = counted(&run.stderr, "missed").unwrap_or(0) < 100;
            // Pausing a stopped thread wakes it up for an instant, in which it may be seen.
            let expected = looked && args == ["-i"];
            let exact = args != ["--blocking"];
            assert!(!exact || (total(&found) > 0) == expected, "{args:?}: {}", run.stderr);
            assert_eq!(target.state(), 'T', "{args:?}");
            looked.then_some(())
        });
    }
    // Stopped and continued while recording.
    target.signal(Signal::CONT);
    until(ENOUGH, || {
        let folder = Folder::new();
        let mut recording = begin(&target, &folder, &[]);
        let_compute(&target, 0.2);
        target.signal(Signal::STOP);
        until("the stop", || (target.state() == 'T').then_some(()));
        target.signal(Signal::CONT);
        let_compute(&target, 0.1);
        recording.signal(Signal::INT);
        (check_written(&mut recording, &folder) > 10).then_some(())
    });
}

/// Forks while recording: the children's work is not the parent's.
#[test]
fn forks_do_not_disturb() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "record_life.py", &["fork"]);
        let pid = target.pid().to_string();
        // On a machine with more to do it waits for a processor most of the time.
        let mut work = 0;
        for _ in 0..10 {
            let args = ["-f", "raw", "-o", "-", "-d", "0.7", "-r", "200", "-p", &pid];
            let run = run_py_spy(["record"].iter().chain(&args)).ok();
            let found = folded(&run.stdout);
            assert_eq!(with(&found, "compute_in_child ("), 0, "{found:?}");
            assert_eq!(counted(&run.stderr, "errors"), Some(0), "{}", run.stderr);
            work += with(&found, WORK);
            if work > 5 {
                return;
            }
        }
        panic!("{work} samples of its own work");
    });
}

/// Threads that live for less than a millisecond are sampled without an error, and are not
/// overlooked: half of the time is theirs, and most of that is found. (Getting to know a
/// thread takes some of its short life, so a part is lost.)
#[test]
fn threads_may_come_and_go() {
    for_each(one_per_version(), |python| {
        let mut target = Target::start(python, "record_churn.py", &[]);
        let pid = target.pid().to_string();
        let (mut parent, mut thread) = (0.0, 0.0);
        let (mut all, mut dropped) = (0, 0);
        // On a machine with more to do both wait for a processor most of the time.
        for _ in 0..10 {
            let args = ["-f", "raw", "-o", "-", "-d", "1", "-r", "500", "-t", "-p", &pid];
            let run = run_py_spy(["record"].iter().chain(&args)).ok();
            let found = folded(&run.stdout);
            assert_eq!(total(&found), samples(&run.stderr));
            assert_eq!(counted(&run.stderr, "errors"), Some(0), "{}", run.stderr);
            all += samples(&run.stderr);
            dropped += counted(&run.stderr, "dropped").unwrap_or(0);
            parent += with(&found, "compute_in_parent (") as f64;
            thread += with(&found, "compute_in_thread (") as f64;
            // Such waits come in long pieces: it takes many until they are even.
            let sum: f64 = parent + thread;
            let few_dropped = dropped * 10 <= all;
            if sum > 100.0 && (thread / sum - 0.5).abs() < 0.15 && few_dropped {
                break;
            }
        }
        assert!(parent + thread > 50.0, "{parent} and {thread}");
        assert!(dropped * 10 <= all, "{dropped} dropped, {all} kept");
        let truth =
            split_truth(&mut target).into_iter().find(|(name, _)| name == "thread").unwrap().1;
        let share = thread / (parent + thread);
        println!(
            "{}: threads: truth {truth:.3}, found {share:.3} of {}",
            python.label,
            parent + thread
        );
        // A thread that waits for a processor is active too: on a busy machine the shares of
        // threads that want one at the same time come nearer to each other's number.
        let bound = if python.free_threaded() { 0.3 } else { 0.2 };
        assert!(
            (share - truth).abs() < bound,
            "truth {truth:.3}, found {share:.3} of {}",
            parent + thread
        );
    });
}

/// The target becomes another program: one that is no Python ends the recording, another
/// Python is recorded on (or ends it); what there was is kept.
#[test]
fn another_program_ends_it_or_goes_on() {
    let other = interpreters().iter().find(|other| other.version != modern().version).unwrap();
    let script = support::target::script_path("record_life.py").to_str().unwrap().to_owned();
    let becomes = [
        vec!["/bin/sleep", "1000"],
        vec![modern().path.to_str().unwrap(), &script, "burn"],
        vec![other.path.to_str().unwrap(), &script, "burn"],
    ];
    for new in becomes {
        until(ENOUGH, || {
            let target = start(&[&["exec"], &new[..]].concat());
            let folder = Folder::new();
            let mut recording = begin(&target, &folder, &["-d", "4"]);
            let_compute(&target, 0.2);
            target.signal(Signal::USR1);
            let work = check_written(&mut recording, &folder);
            // The time of the recording may have been over before the signal arrived.
            until("it to go on as the new program", || {
                let path = format!("/proc/{}/cmdline", target.pid());
                let command = std::fs::read_to_string(path).unwrap();
                (command.split('\0').next() == Some(new[0])).then_some(())
            });
            (work > 10).then_some(())
        });
    }
}

/// A recording to the end of its time does not end the target, nor leaves it stopped.
#[test]
fn the_target_goes_on() {
    let mut target = start(&["burn"]);
    for args in [&[][..], &["--blocking"], &["--nonblocking"]] {
        let pid = target.pid().to_string();
        let fixed = ["record", "-d", "0.3", "-r", "500", "-f", "raw", "-o", "/dev/null"];
        // Without any sample nothing would have been done to the target.
        until("a recording with samples", || {
            let run = run_py_spy([&fixed[..], &["-p", &pid], args].concat()).ok();
            (samples(&run.stderr) > 0).then_some(())
        });
        target.signal(Signal::USR1);
        assert_eq!(target.read_line(), "TOLD", "{args:?}");
    }
}

/// An existing file keeps its place until the new one is whole; a link stays a link.
#[test]
fn files_are_replaced_whole() {
    let target = start(&["burn"]);
    let folder = Folder::new();
    until(ENOUGH, || {
        std::fs::write(folder.file("out.txt"), "the old one").unwrap();
        let mut recording = begin(&target, &folder, &[]);
        let_compute(&target, 0.2);
        assert_eq!(folder.read("out.txt"), "the old one");
        recording.signal(Signal::TERM);
        (check_written(&mut recording, &folder) > 10).then_some(())
    });
    // Killed in the middle: the old file is still there, whole.
    let before = folder.read("out.txt");
    let mut recording = begin(&target, &folder, &[]);
    recording.signal(Signal::KILL);
    recording.wait();
    assert_eq!((folder.names(), folder.read("out.txt")), (vec!["out.txt".to_owned()], before));
}
