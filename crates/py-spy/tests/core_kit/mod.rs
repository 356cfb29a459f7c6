//! Core files of targets, and what `dump --core` says of them.
#![allow(dead_code)] // each test file uses a part

use crate::support::{Dump, Interpreter, Run, Target, TrueThread, py_spy, run, target, tool};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A core file in a folder of its own, which goes with it.
pub struct CoreFile {
    pub path: PathBuf,
    pub folder: TempDir,
    /// All memory is in it.
    pub whole: bool,
}

/// Whether the kernel writes core files into a process's working directory, as a setting
/// of the machine says that tests leave alone; `PYSPY_TEST_CORES=gdb` does without it.
pub fn kernel_writes_plain_files() -> bool {
    if std::env::var("PYSPY_TEST_CORES").is_ok_and(|by| by == "gdb") {
        return false;
    }
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let plain = !pattern.starts_with(['|', '/']) && !pattern.trim().is_empty();
    if !plain {
        eprintln!("kernel.core_pattern is {:?}: gdb writes the core files instead", pattern.trim());
    }
    plain
}

/// A program that may leave a core file, in the folder where the kernel will put it.
pub fn command(interpreter: &Interpreter, script: &str, args: &[&str]) -> (Command, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // gdb does not need it, and not every machine allows it.
    let plain = kernel_writes_plain_files();
    let limit = if plain { "ulimit -c unlimited && exec \"$@\"" } else { "exec \"$@\"" };
    command
        .args(["-c", limit, "sh"])
        .arg(&interpreter.path)
        .arg(target::script_path(script))
        .args(args)
        .current_dir(folder.path());
    (command, folder)
}

/// A target of `truth.py` that may leave a core file.
pub fn start(interpreter: &Interpreter, script: &str, args: &[&str]) -> (Target, TempDir) {
    let (command, folder) = command(interpreter, script, args);
    let label = format!("{} {script}", interpreter.label);
    (Target::start_command(&label, command), folder)
}

/// Waits until the target stands where it says; returns what it says about its threads.
#[track_caller]
pub fn stand_still(target: &mut Target) -> Vec<TrueThread> {
    let said = |target: &Target| -> Vec<TrueThread> {
        serde_json::from_value(target.ready["threads"].clone()).unwrap()
    };
    for _ in 0..10 {
        let truth = said(target);
        target.send("again");
        target.ready = target.wait_ready();
        target.wait_reading(target.pid());
        target.wait_asleep();
        if said(target) == truth {
            return truth;
        }
    }
    panic!("{}: does not stand still", target.label);
}

/// Ends the target with SIGABRT and returns the core file that the kernel writes; where it
/// does not write plain files, gdb's.
#[track_caller]
pub fn abort(mut target: Target, folder: TempDir) -> CoreFile {
    if !kernel_writes_plain_files() {
        return gcore(&target, folder);
    }
    target.signal(Signal::ABORT);
    let status = target.wait_killed();
    let path = written(&folder);
    assert!(path.is_some(), "{}: {status}, and no core file", target.label);
    CoreFile { path: path.unwrap(), folder, whole: true }
}

/// Tells the target to crash, and returns the core file that the kernel writes; where it
/// does not write plain files, gdb's.
#[track_caller]
pub fn crash(mut target: Target, folder: TempDir) -> CoreFile {
    // The others are to be where they wait.
    target.wait_asleep();
    let path = folder.path().join("core.gdb");
    if !kernel_writes_plain_files() {
        let there = folder.path().join("attached");
        let mut gdb = Command::new(tool("gdb"))
            .args(["-nx", "-batch", "-ex"])
            .arg(format!("shell touch {}", there.display()))
            .args(["-ex", "continue", "-ex"])
            .arg(format!("generate-core-file {}", path.display()))
            .args(["-ex", "kill", "-p", &target.pid().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !there.exists() {
            assert!(gdb.try_wait().unwrap().is_none(), "gdb ended");
            std::thread::sleep(Duration::from_millis(2));
        }
        target.send("go");
        assert!(gdb.wait().unwrap().success());
        return CoreFile { path, folder, whole: true };
    }
    target.send("go");
    let deadline = Instant::now() + Duration::from_secs(60);
    while target.is_alive() {
        assert!(Instant::now() < deadline, "{} lives on", target.label);
        std::thread::sleep(Duration::from_millis(2));
    }
    let status = target.wait();
    let path = written(&folder);
    assert!(
        path.is_some(),
        "{}: {status}, and no core file; stderr: {}",
        target.label,
        target.stderr()
    );
    CoreFile { path: path.unwrap(), folder, whole: true }
}

/// The core file in a folder.
pub fn written(folder: &TempDir) -> Option<PathBuf> {
    let is_core = |path: &PathBuf| {
        let mut head = [0; 18];
        let read = std::fs::File::open(path)
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head));
        read.is_ok() && head.starts_with(b"\x7fELF") && head[16] == 4
    };
    let entries = std::fs::read_dir(folder.path()).unwrap().flatten();
    entries.map(|entry| entry.path()).find(is_core)
}

/// A core file that gdb writes of the target, which lives on.
#[track_caller]
pub fn gcore(target: &Target, folder: TempDir) -> CoreFile {
    let prefix = folder.path().join("gcore");
    let pid = target.pid().to_string();
    let run = run(Command::new(tool("gcore")).arg("-o").arg(&prefix).arg(&pid)).ok();
    // A part of a thread's stack that cannot be read (glibc 2.42 and later have guard pages
    // inside of the mapping) makes gdb leave out all of that stack.
    let lost = |line: &str| line.contains("Memory read failed") && !line.contains(" 4096 bytes");
    let whole = !run.stderr.lines().any(lost);
    CoreFile { path: folder.path().join(format!("gcore.{pid}")), folder, whole }
}

/// Runs `py-spy dump --core` and returns what it prints; fails if that fails.
#[track_caller]
pub fn dump(core: &Path, extra: &[&str]) -> Run {
    let run = try_dump(core, extra);
    assert!(
        run.status.success(),
        "dump --core {} {extra:?}: {}\n{}",
        core.display(),
        run.status,
        run.stderr
    );
    run
}

/// Runs `py-spy dump --core`.
#[track_caller]
pub fn try_dump(core: &Path, extra: &[&str]) -> Run {
    let run = run(py_spy(["dump", "--core"]).arg(core).args(extra));
    assert!(!run.stderr.contains("panicked"), "{}: {}", core.display(), run.stderr);
    run
}

/// The same as JSON.
#[track_caller]
pub fn dump_json(core: &Path, extra: &[&str]) -> Dump {
    let run = dump(core, &[&["--json"], extra].concat());
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
}
