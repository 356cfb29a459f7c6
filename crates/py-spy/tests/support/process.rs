//! Running programs, and where things are.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The checkout's folder.
pub fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The folder of the programs for tests to look at.
pub fn targets_dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/targets"))
}

/// Where `scripts/setup-tests` puts what the tests need.
pub fn cache() -> PathBuf {
    let var =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    var("PYSPY_TEST_CACHE").unwrap_or_else(|| {
        let base = var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")));
        base.expect("neither PYSPY_TEST_CACHE nor HOME is set").join("py-spy-tests")
    })
}

/// A file that `scripts/setup-tests` makes, such as `targets/bin/uwsgi`; fails without it.
pub fn need(path: &str) -> PathBuf {
    let path = cache().join(path);
    assert!(path.exists(), "{} is missing: run scripts/setup-tests", path.display());
    path
}

/// A program in `$PATH`, such as `gdb`; fails without it.
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let found = std::env::split_paths(&path)
        .chain(extra)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not on this machine: run scripts/setup-tests"))
}

/// Copies a program, to be run. Not by ourselves: a child that another thread starts
/// meanwhile would have it open for writing too, and a file open for writing cannot be run.
#[track_caller]
pub fn copy_program(from: &Path, to: &Path) {
    run(Command::new("cp").arg("--dereference").arg(from).arg(to)).ok();
}

/// How a program ended and what it printed.
#[derive(Debug)]
pub struct Run {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Run {
    /// The exit status, `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails unless the status is 0.
    #[track_caller]
    pub fn ok(self) -> Run {
        assert!(
            self.status.success(),
            "{}\nstdout: {}\nstderr: {}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// No program that tests run takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Only guards against hanging: nothing takes this long.
pub const GUARD: Duration = Duration::from_secs(90);

/// Polls until there is an answer.
#[track_caller]
pub fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(start.elapsed() < GUARD, "waited {GUARD:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A program as one that is started from a terminal, by `wrapper` and `env`, which become it:
/// where the tests run in the background or under nohup, Control-C or the end of the terminal
/// is ignored by all that they start.
pub fn in_foreground(wrapper: &[&str], command: &Command) -> Command {
    let words = [wrapper, &["env", "--default-signal=INT,QUIT,HUP,TERM"]].concat();
    let mut wrapped = Command::new(words[0]);
    wrapped.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

/// Our binary with these arguments, ready to be started.
pub fn py_spy<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_py-spy"));
    command.args(args).env_remove("RUST_LOG").env("RUST_BACKTRACE", "1");
    command
}

/// Runs our binary to its end.
#[track_caller]
pub fn run_py_spy<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    run(&mut py_spy(args))
}

/// Runs a program to its end, with nothing on its stdin.
#[track_caller]
pub fn run(command: &mut Command) -> Run {
    let start = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            let _ = child.wait();
            panic!("{command:?} did not end in {PATIENCE:?}; stderr: {}", stderr.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = start.elapsed();
    Run { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap(), took }
}

fn read_all(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// To make namespaces takes root, or a user namespace of one's own.
#[track_caller]
pub fn unshare(options: &[&str]) -> Command {
    let mut command = Command::new(tool("unshare"));
    if !rustix::process::geteuid().is_root() {
        command.arg("-r");
    }
    command.args(options);
    command
}

/// A shell's word.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_str().unwrap())
}
