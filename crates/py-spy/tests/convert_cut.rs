//! A saved recording whose writer was stopped, or which is damaged, is read as far as it goes.

mod record_kit;
mod support;

use record_kit::{Folder, Running, folded, modern, samples, total, until, with};
use rustix::process::Signal;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use support::{Interpreter, Run, Target, for_each, one_per_version, run, run_py_spy, tool};

/// The function that all of record_life.py's time goes to.
const WORK: &str = "compute_in_parent (";

fn size(path: &str) -> u64 {
    Path::new(path).metadata().map_or(0, |meta| meta.len())
}

#[track_caller]
fn to_raw(path: &str) -> Run {
    run_py_spy(["convert", path, "-f", "raw", "-o", "-"])
}

/// The chunks that lie whole within the bytes: their kinds, and where their payloads are.
fn chunks(bytes: &[u8]) -> Vec<(u8, Range<usize>)> {
    let mut all = Vec::new();
    let mut at = 12;
    while let Some(length) = bytes.get(at + 1..at + 5) {
        let end = at + 5 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
        if end + 4 > bytes.len() {
            break;
        }
        all.push((bytes[at], at + 5..end));
        at = end + 4;
    }
    all
}

/// The samples that the warning tells of.
#[track_caller]
fn warned(stderr: &str) -> u64 {
    let line = stderr.lines().find(|line| line.contains(" bytes were read, "));
    let line = line.unwrap_or_else(|| panic!("no warning: {stderr}"));
    let (_, rest) = line.split_once(" bytes were read, ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Begins to record, and waits until something was seen and written.
#[track_caller]
fn begin(target: &Target, out: &str) -> Running {
    let pid = target.pid().to_string();
    let mut recording = Running::py_spy(&["record", "-r", "200", "-p", &pid, "-o", out]);
    recording.wait_sampling();
    // The head comes first, then a second's samples, then those of the next.
    let first = until("the file to begin", || Some(size(out)).filter(|&size| size > 0));
    let second = until("a second", || Some(size(out)).filter(|&size| size > first));
    until("another second", || (size(out) > second).then_some(()));
    recording
}

/// Killed without a chance to write anything more.
#[test]
fn a_killed_recording_is_read_up_to_its_last_second() {
    let test = |python: &Interpreter| {
        let target = Target::start(python, "record_life.py", &["burn"]);
        let folder = Folder::new();
        let out = folder.file("run.pyspy");
        let mut recording = begin(&target, &out);
        recording.signal(Signal::KILL);
        assert_eq!(recording.wait().code(), None);
        let converted = to_raw(&out).ok();
        assert!(converted.stderr.contains("is not complete"), "{}", converted.stderr);
        let found = folded(&converted.stdout);
        assert_eq!(total(&found), warned(&converted.stderr), "{}", converted.stderr);
        assert!(with(&found, WORK) > 20, "{found:?}");
        // All other formats too, and the next one is whole.
        let files = ["a.svg", "a.json", "a.trace.json", "a.pyspy"].map(|name| folder.file(name));
        let args: Vec<&str> = files.iter().flat_map(|file| ["-o", file]).collect();
        run_py_spy([&["convert", &out], &args[..]].concat()).ok();
        let again = to_raw(&files[3]).ok();
        assert!(!again.stderr.contains("not complete"), "{}", again.stderr);
        assert_eq!(again.stdout, converted.stdout);
    };
    for_each(one_per_version(), test);
}

/// It can be looked at while it goes on; a signal has it written at once.
#[test]
fn a_recording_can_be_read_while_it_goes_on() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let folder = Folder::new();
    let out = folder.file("run.pyspy");
    let mut recording = begin(&target, &out);
    let early = to_raw(&out).ok();
    assert!(early.stderr.contains("is not complete"), "{}", early.stderr);
    recording.signal(Signal::USR1);
    recording.wait_for("Wrote pyspy data");
    let later = to_raw(&out).ok();
    recording.signal(Signal::INT);
    let done = recording.wait().ok();
    let last = to_raw(&out).ok();
    assert!(!last.stderr.contains("not complete"), "{}", last.stderr);
    let counts = [&early, &later, &last].map(|run| total(&folded(&run.stdout)));
    assert!(0 < counts[0] && counts[0] <= counts[1] && counts[1] <= counts[2], "{counts:?}");
    assert_eq!(counts[2], samples(&done.stderr), "{}", done.stderr);
    assert_eq!(folder.names(), ["run.pyspy"]);
}

/// Cut by hand at many places, and with bytes changed.
#[test]
fn any_part_is_read() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let (folder, pid) = (Folder::new(), target.pid().to_string());
    let out = folder.file("run.pyspy");
    let args = ["record", "-d", "2.2", "-r", "100", "-p", &pid, "-o", &out];
    // Of 220 instants at least half were seen.
    let recorded = until("a recording that holds enough", || {
        Some(samples(&run_py_spy(args).ok().stderr)).filter(|&count| count > 110)
    });
    let whole = std::fs::read(&out).unwrap();
    let part = folder.file("part.pyspy");
    let mut before = 0;
    for tenth in 0..10 {
        let cut = (whole.len() * tenth / 10).max(13);
        std::fs::write(&part, &whole[..cut]).unwrap();
        let converted = to_raw(&part).ok();
        let count = total(&folded(&converted.stdout));
        assert_eq!(count, warned(&converted.stderr));
        assert!(count >= before && count <= recorded, "{count} after {before} at {cut}");
        before = count;
    }
    assert!(before > 0);
    // Each second's samples are in a chunk: what is damaged is left out, and what follows.
    let all = chunks(&whole);
    let timeline: Vec<_> = all.into_iter().filter(|(kind, _)| *kind == b'L').collect();
    assert!(timeline.len() > 1, "{timeline:?}");
    before = 0;
    for (_, payload) in timeline {
        let mut changed = whole.clone();
        changed[(payload.start + payload.end) / 2] ^= 0x55;
        std::fs::write(&part, &changed).unwrap();
        let converted = to_raw(&part).ok();
        let told = &converted.stderr;
        assert!(told.contains("is damaged, a checksum is wrong"), "{told}");
        let count = total(&folded(&converted.stdout));
        assert!(count >= before && count < recorded, "{count} after {before} of {recorded}");
        before = count;
    }
}

/// A disk that is full: what was written until then can be read, and the status tells. The other
/// outputs are written.
#[test]
fn a_full_disk_cuts_it() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let (folder, pid) = (Folder::new(), target.pid().to_string());
    let (out, raw) = (folder.file("run.pyspy"), folder.file("run.txt"));
    // A disk on which there is room for 4 KiB. The folder for temporary files is elsewhere: what
    // could not be written is put together there.
    let script = "mount -t tmpfs -o size=8k none \"$2\" && head -c 4096 /dev/zero > \"$2/fill\" &&
        exec \"$0\" record -r 300 -p \"$1\" -o \"$2/run.pyspy\"";
    let [disk, rescued] = ["disk", "rescued"].map(|name| {
        std::fs::create_dir(folder.file(name)).unwrap();
        folder.file(name)
    });
    let mut command = Command::new(tool("unshare"));
    command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_py-spy"), &pid, &disk]);
    let mut recording = Running::start({
        command.env("TMPDIR", &rescued);
        command
    });
    recording.wait_for("; trying on");
    // Only it sees that disk.
    std::fs::copy(format!("/proc/{}/root{disk}/run.pyspy", recording.pid()), &out).unwrap();
    recording.signal(Signal::INT);
    let recorded = recording.wait();
    assert_eq!(recorded.code(), Some(1), "{}", recorded.stderr);
    assert!(recorded.stderr.contains("No space left on device"), "{}", recorded.stderr);
    assert_eq!(size(&out), 4096);
    let converted = to_raw(&out).ok();
    let before = warned(&converted.stderr);
    assert!(before > 0 && total(&folded(&converted.stdout)) == before, "{before}");
    // That is what the chunks hold that were written whole: at this rate a second's at least.
    let cut = std::fs::read(&out).unwrap();
    let all = chunks(&cut);
    assert!(all.iter().any(|(kind, _)| *kind == b'L'), "{all:?}");
    let part = folder.file("part.pyspy");
    std::fs::write(&part, &cut[..all.last().unwrap().1.end + 4]).unwrap();
    assert_eq!(to_raw(&part).ok().stdout, converted.stdout);
    let names: Vec<_> = std::fs::read_dir(&rescued).unwrap().map(|file| file.unwrap()).collect();
    let [file] = &names[..] else { panic!("{names:?}: {}", recorded.stderr) };
    let whole = to_raw(file.path().to_str().unwrap()).ok();
    assert!(!whole.stderr.contains("not complete"), "{}", whole.stderr);
    let told = format!(
        "Wrote pyspy data to '{}'. Samples: {} Errors: 0",
        file.path().display(),
        total(&folded(&whole.stdout))
    );
    assert!(recorded.stderr.contains(&told), "{told}: {}", recorded.stderr);

    let args = ["record", "-d", "0.5", "-p", &pid, "-f", "pyspy", "-o", "/dev/full"];
    let recorded = run_py_spy(args);
    assert_eq!(recorded.code(), Some(1), "{}", recorded.stderr);
    assert!(recorded.stderr.contains("cannot write /dev/full"), "{}", recorded.stderr);
    let link = folder.file("full.pyspy");
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    let args = ["record", "-d", "0.5", "-p", &pid, "-o", &link, "-o", &raw];
    until("samples", || {
        let recorded = run_py_spy(args);
        assert_eq!(recorded.code(), Some(1), "{}", recorded.stderr);
        (with(&folded(&folder.read("run.txt")), WORK) > 0).then_some(())
    });
}

/// Nobody reads any more: there is no point in going on.
#[test]
fn a_reader_that_goes_away_ends_it() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let pid = target.pid().to_string();
    let script =
        "(\"$0\" record -f pyspy -o - -p $1; echo status $? >&2) | head -c 100 > /dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_py-spy"), &pid]);
    let ended = run(&mut command);
    assert!(ended.stderr.contains("status 1"), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write -"), "{}", ended.stderr);
}
