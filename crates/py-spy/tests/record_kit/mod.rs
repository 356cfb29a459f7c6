//! Shared by the tests of `record`: running it, and reading back what it wrote with
//! readers of our own (nothing of the crate `profile`).
#![allow(dead_code)] // each test file uses a part

pub mod cost;
pub mod native;

use crate::support::{
    self, Interpreter, Run, Target, cache, in_foreground, interpreter, need, project, py_spy, tool,
};
#[allow(unused_imports)] // each test file uses a part
pub use crate::support::{GUARD, until};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Folded stacks: the frames of each, outermost first, and its count.
pub type Folded = Vec<(Vec<String>, u64)>;

/// Reads folded stacks strictly: every line is one stack and its count.
#[track_caller]
pub fn folded(text: &str) -> Folded {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is not whole: {text:?}");
    let line = |line: &str| {
        let (stack, count) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no count: {line:?}"));
        let count: u64 = count.parse().unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert!(count > 0, "{line:?}");
        let frames: Vec<String> = stack.split(';').map(unescape).collect();
        assert!(frames.iter().all(|frame| !frame.is_empty()), "an empty frame: {line:?}");
        assert!(!line.contains(char::is_control), "control characters: {line:?}");
        (frames, count)
    };
    text.strip_suffix('\n').map_or(Vec::new(), |text| text.split('\n').map(line).collect())
}

/// `\x3b` and `\u2028` back to what they stand for.
pub fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = match rest.chars().next() {
            Some('x') => 2,
            Some('u') => 4,
            _ => 0,
        };
        let code = rest
            .get(1..1 + digits)
            .filter(|hex| digits > 0 && !hex.contains(|c: char| c.is_ascii_uppercase()));
        match code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32) {
            Some(c) => {
                out.push(c);
                rest = &rest[1 + digits..];
            }
            None => out.push('\\'),
        }
    }
    out + rest
}

/// The sum of all counts.
pub fn total(folded: &Folded) -> u64 {
    folded.iter().map(|(_, count)| count).sum()
}

/// The counts of the stacks in which a frame begins with `prefix`.
pub fn with(folded: &Folded, prefix: &str) -> u64 {
    let has = |frames: &[String]| frames.iter().any(|frame| frame.starts_with(prefix));
    folded.iter().filter(|(frames, _)| has(frames)).map(|(_, count)| count).sum()
}

/// Takes a frame `name (file:line)` apart. The line is 0 where there is none.
#[track_caller]
pub fn parts(frame: &str) -> (&str, &str, u32) {
    let inner = frame.strip_suffix(')').unwrap_or_else(|| panic!("{frame:?}"));
    let (name, place) = inner.rsplit_once(" (").unwrap_or_else(|| panic!("{frame:?}"));
    match place.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?))) {
        Some((file, line)) => (name, file, line),
        None => (name, place, 0),
    }
}

/// The samples that the last quality line on stderr tells of.
#[track_caller]
pub fn samples(stderr: &str) -> u64 {
    counted(stderr, "samples").unwrap_or_else(|| panic!("no line says how many samples: {stderr}"))
}

/// A count of the quality line: `3 late` is 3 of `late`.
pub fn counted(stderr: &str, what: &str) -> Option<u64> {
    let line = stderr.lines().rev().find(|line| line.contains(" samples, "))?;
    let line = line.strip_prefix("py-spy> ")?;
    line.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
}

/// Records a process that runs and reads the folded stacks; fails if that fails, if
/// there were errors, or if the counts do not add up to the samples told (those of `--cpu` are
/// times).
#[track_caller]
pub fn record_raw(pid: i32, args: &[&str]) -> Folded {
    record_told(pid, args).0
}

/// The same, with what was said on stderr.
#[track_caller]
pub fn record_told(pid: i32, args: &[&str]) -> (Folded, String) {
    let pid = pid.to_string();
    let run =
        support::run_py_spy(["record", "-f", "raw", "-o", "-", "-p", &pid].iter().chain(args)).ok();
    let found = folded(&run.stdout);
    if !args.contains(&"--cpu") {
        assert_eq!(total(&found), samples(&run.stderr), "{}", run.stderr);
    }
    assert_eq!(counted(&run.stderr, "errors"), Some(0), "{}", run.stderr);
    (found, run.stderr)
}

/// Records again and again, and adds up what was found, until that is `enough`: on a busy
/// machine one recording may hold little, or nothing. `enough` is told all that was found so
/// far, and what the last recording said; what may never be is for it to check each time.
#[track_caller]
pub fn record_until(
    pid: i32,
    args: &[&str],
    mut enough: impl FnMut(&Folded, &str) -> bool,
) -> Folded {
    let mut all = Folded::new();
    until(&format!("enough samples with {args:?}"), || {
        let (found, told) = record_told(pid, args);
        eprint!("{args:?}: {told}");
        all.extend(found);
        enough(&all, &told).then(|| std::mem::take(&mut all))
    })
}

/// Waits until a process has computed for a while: past what it did to say that it is ready,
/// wherever it lost the processor then.
#[track_caller]
pub fn wait_computed(pid: i32) {
    let used = || -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let start = used();
    until("the program to compute", || (used() > start + 20_000_000).then_some(()));
}

/// A CPython that has what tests with modern Python need, and a GIL.
pub fn modern() -> &'static Interpreter {
    interpreter(&["3.13.*", "3.14.*", "3.12.*", "3.11.*"])
}

/// A running program whose output is collected; killed when dropped.
pub struct Running {
    child: Child,
    label: String,
    stdout: Collected,
    stderr: Collected,
}

/// What was written so far, and whether that is all.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<(Vec<u8>, bool)>>);

impl Collected {
    fn from(mut source: impl Read + Send + 'static) -> Collected {
        let collected = Collected::default();
        let to = collected.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(got @ 1..) = source.read(&mut bytes) {
                to.0.lock().unwrap().0.extend_from_slice(&bytes[..got]);
            }
            to.0.lock().unwrap().1 = true;
        });
        collected
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap().0).into_owned()
    }

    fn is_whole(&self) -> bool {
        self.0.lock().unwrap().1
    }
}

impl Running {
    /// Starts our binary.
    #[track_caller]
    pub fn py_spy(args: &[&str]) -> Running {
        Running::start(py_spy(args))
    }

    /// Starts any program.
    #[track_caller]
    pub fn start(command: Command) -> Running {
        let label = format!("{command:?}");
        let mut command = in_foreground(&[], &command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{label}: {error}"));
        // From here on it is the program, as if it had been started without it.
        let env = tool("env").canonicalize().unwrap();
        let exe = format!("/proc/{}/exe", child.id());
        until("the program to be started", || {
            std::fs::read_link(&exe).map_or(true, |exe| exe != env).then_some(())
        });
        let stdout = Collected::from(child.stdout.take().unwrap());
        let stderr = Collected::from(child.stderr.take().unwrap());
        Running { child, label, stdout, stderr }
    }

    /// Starts our binary on a terminal of its own: both of its outputs are in `stdout`,
    /// what is written to stdin is typed.
    #[track_caller]
    pub fn on_terminal(args: &[&str]) -> Running {
        let python = interpreter(&["3.13.*", "3.14.*", "3.12.*", "3.11.*", "3.10.*", "3.9.*"]);
        let mut command = Command::new(&python.path);
        command.arg(support::target::script_path("record_pty.py"));
        command
            .arg(env!("CARGO_BIN_EXE_py-spy"))
            .args(args)
            .env_remove("RUST_LOG")
            .env("TERM", "xterm");
        Running::start(command)
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits until stderr holds `text`.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let start = Instant::now();
        while !self.stderr().contains(text) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() || !self.stderr.is_whole() || self.stderr().contains(text),
                "{}: ended ({ended:?}) without {text:?}: {}",
                self.label,
                self.stderr()
            );
            assert!(
                start.elapsed() < GUARD,
                "{}: never said {text:?}: {}",
                self.label,
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until sampling has begun: it says so.
    #[track_caller]
    pub fn wait_sampling(&mut self) {
        self.wait_for("Sampling process");
    }

    /// Writes to its stdin.
    #[track_caller]
    pub fn send(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin is open");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }

    /// Closes its stdin.
    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end, with the hang guard.
    #[track_caller]
    pub fn wait(&mut self) -> Run {
        let start = Instant::now();
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                start.elapsed() < GUARD,
                "{}: does not end; stdout: {}\nstderr: {}\n{}",
                self.label,
                self.stdout(),
                self.stderr(),
                processes()
            );
            std::thread::sleep(Duration::from_millis(2));
        };
        // Programs that it started may hold the pipes open: then what there is has to do.
        // Looks are counted, not time: while we have no processor our readers have none.
        for _ in 0..250 {
            if self.stdout.is_whole() && self.stderr.is_whole() {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Run { status, stdout: self.stdout(), stderr: self.stderr(), took: start.elapsed() }
    }
}

/// What all processes do, for who wonders why something does not end.
fn processes() -> String {
    let ps = Command::new("ps").args(["-eLo", "pid,tid,ppid,stat,wchan:24,etime,args"]).output();
    let text = ps.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // Threads of the kernel are of no interest.
    text.lines().filter(|line| !line.ends_with(']')).map(|line| format!("{line}\n")).collect()
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends any process a signal.
#[track_caller]
pub fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal)
        .unwrap_or_else(|error| panic!("signal {signal:?} to {pid}: {error}"));
}

/// Kills a process that is not ours to wait for, when dropped.
pub struct KillOnDrop(pub i32);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.0) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A folder for files, and the names of those in it.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in it, as text.
    pub fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// All names in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// Runs one of tests/formats' checks on files.
#[track_caller]
pub fn check(script: &str, args: &[&str]) -> String {
    let modules = need("node/node_modules");
    let mut command = Command::new(tool("node"));
    command.arg(project().join("tests/formats").join(script)).args(args).env("NODE_PATH", &modules);
    let run = support::run(&mut command);
    assert!(run.status.success(), "{script} {args:?}:\n{}{}", run.stdout, run.stderr);
    run.stdout
}

/// A target whose truth is told at its end.
#[track_caller]
pub fn split_truth(target: &mut Target) -> Vec<(String, f64)> {
    target.signal(Signal::USR1);
    let line = target.read_line();
    let fields = line.strip_prefix("TRUTH ").unwrap_or_else(|| panic!("{line}")).split(' ');
    let spent: Vec<(String, f64)> = fields
        .map(|field| {
            let (name, seconds) = field.split_once('=').unwrap();
            (name.to_owned(), seconds.parse().unwrap())
        })
        .collect();
    let sum: f64 = spent.iter().map(|(_, seconds)| seconds).sum();
    spent.into_iter().map(|(name, seconds)| (name, seconds / sum)).collect()
}

/// Where the installed peer is.
pub fn peer() -> PathBuf {
    let path = cache().join("targets/bin/py-spy");
    assert!(path.exists(), "{} is missing: run scripts/setup-tests", path.display());
    path
}
