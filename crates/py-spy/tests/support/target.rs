//! Programs to look at.

use super::interpreters::Interpreter;
use super::process::{targets_dir, until};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// No program takes this long to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program, with its own process group; killed and waited for when dropped.
///
/// It says that it stands at the place the test is about by printing a line
/// `READY <json>`.
#[derive(Debug)]
pub struct Target {
    /// What it is, for messages.
    pub label: String,
    /// What it said about itself when it was ready.
    pub ready: Value,
    child: Child,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
}

impl Target {
    /// Runs a script of tests/targets (or any path) on an interpreter.
    #[track_caller]
    pub fn start(interpreter: &Interpreter, script: &str, args: &[&str]) -> Target {
        let mut command = Command::new(&interpreter.path);
        command.arg(script_path(script)).args(args);
        Target::start_command(&format!("{} {script}", interpreter.label), command)
    }

    /// Runs any command that will print a line `READY <json>`.
    #[track_caller]
    pub fn start_command(label: &str, command: Command) -> Target {
        let mut target = Target::spawn(label, command);
        target.ready = target.wait_ready();
        target
    }

    /// Runs any command and does not wait for anything.
    #[track_caller]
    pub fn spawn(label: &str, mut command: Command) -> Target {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONIOENCODING", "utf-8")
            .process_group(0);
        for name in ["PYTHONHOME", "PYTHONPATH"] {
            if !command.get_envs().any(|(known, _)| known == name) {
                command.env_remove(name);
            }
        }
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{label}: {command:?}: {error}"));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.split(b'\n') {
                let Ok(line) = line else { break };
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let mut from = child.stderr.take().unwrap();
        let to = Arc::clone(&stderr);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(got @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..got]));
            }
        });
        Target { label: label.to_owned(), ready: Value::Null, child, lines, stderr }
    }

    /// The process that we started.
    pub fn child_pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The process to look at: that which the READY line names (its "pid"), else the one
    /// that we started.
    pub fn pid(&self) -> i32 {
        self.ready["pid"].as_i64().map_or(self.child_pid(), |pid| pid as i32)
    }

    /// Waits for the READY line and returns what follows it.
    #[track_caller]
    pub fn wait_ready(&mut self) -> Value {
        loop {
            let line = self.read_line();
            if let Some(json) = line.strip_prefix("READY ") {
                return serde_json::from_str(json)
                    .unwrap_or_else(|error| panic!("{}: {error}: {line}", self.label));
            }
            if line == "READY" {
                return Value::Null;
            }
        }
    }

    /// The next line of its stdout, without the line end. Fails if there is none.
    #[track_caller]
    pub fn read_line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{}: says nothing for {PATIENCE:?}; stderr: {}", self.label, self.stderr())
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait();
                // What it last wrote may still be on its way.
                std::thread::sleep(Duration::from_millis(50));
                panic!("{}: ended: {status:?}; stderr: {}", self.label, self.stderr())
            }
        }
    }

    /// Writes a line to its stdin.
    #[track_caller]
    pub fn send(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .unwrap_or_else(|error| panic!("{}: {error}", self.label));
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The state letter of the process looked at in /proc/PID/stat: R, S, D, T, t, Z, X.
    pub fn state(&self) -> char {
        state(self.pid())
    }

    /// Waits until all threads of the process looked at sleep.
    #[track_caller]
    pub fn wait_asleep(&self) {
        wait_asleep(self.pid());
    }

    /// Waits until all threads sleep but the one of this name among those of the READY line's
    /// "tids".
    #[track_caller]
    pub fn wait_asleep_but(&self, name: &str) {
        let busy = self.ready["tids"][name].as_i64().expect("one of its threads");
        wait_asleep_but(self.pid(), &[busy as i32]);
    }

    /// Waits until a thread reads from its stdin: it may have been on its way there.
    #[track_caller]
    pub fn wait_reading(&self, tid: i32) {
        let number = if cfg!(target_arch = "x86_64") { "0 0x0 " } else { "63 0x0 " };
        let path = format!("/proc/{}/task/{tid}/syscall", self.pid());
        until(&format!("a read by {}", self.label), || {
            std::fs::read_to_string(&path).unwrap().starts_with(number).then_some(())
        });
    }

    /// Sends the process looked at a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal)
            .unwrap_or_else(|error| panic!("{}: {error}", self.label));
    }

    /// Whether the process that we started runs still.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end of what we started and has been sent a signal: until that arrives,
    /// its stdin stays open, and it waits there.
    pub fn wait_killed(&mut self) -> std::process::ExitStatus {
        let stdin = self.child.stdin.take();
        let status = self.child.wait().unwrap();
        drop(stdin);
        status
    }

    /// Closes its stdin and waits for the end of what we started.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().unwrap()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // The group is our child's own; others of it may outlive the child.
        if let Some(group) = Pid::from_raw(self.child_pid()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The state letter of a process's main thread; `X` if there is none.
pub fn state(pid: i32) -> char {
    state_at(&format!("/proc/{pid}/stat"))
}

fn state_at(path: &str) -> char {
    // A thread's name may be cut amidst a character.
    let stat = std::fs::read(path).unwrap_or_default();
    let stat = String::from_utf8_lossy(&stat);
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('X')
}

/// The states of all threads of a process.
pub fn thread_states(pid: i32) -> Vec<(i32, char)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(|tid| (tid, state(tid)))
        .collect()
}

/// Waits until all threads of a process sleep, and have for a moment.
#[track_caller]
pub fn wait_asleep(pid: i32) {
    wait_asleep_but(pid, &[]);
}

/// The same, but for threads that never sleep.
#[track_caller]
pub fn wait_asleep_but(pid: i32, busy: &[i32]) {
    // Who waits for the GIL wakes up every few milliseconds.
    let often = if busy.is_empty() { 1 } else { 10 };
    // The time it had on the CPU shows that it did not wake up in between.
    let time = |tid: i32| {
        std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).unwrap_or_default()
    };
    let look = || -> Vec<_> {
        let mut threads = thread_states(pid);
        threads.retain(|(tid, _)| !busy.contains(tid));
        threads.into_iter().map(|(tid, state)| (tid, state, time(tid))).collect()
    };
    let deadline = Instant::now() + PATIENCE;
    let mut before = look();
    let mut same = 0;
    loop {
        std::thread::sleep(Duration::from_millis(2));
        let now = look();
        assert!(!now.is_empty(), "process {pid} has ended");
        let asleep = now == before && now.iter().all(|(_, state, _)| *state == 'S');
        same = if asleep { same + 1 } else { 0 };
        if same == often {
            return;
        }
        assert!(Instant::now() < deadline, "process {pid} does not go to sleep: {now:?}");
        before = now;
    }
}

/// A script of tests/targets by its name, any other path as it is.
pub fn script_path(script: &str) -> std::path::PathBuf {
    if script.contains('/') { Path::new(script).to_owned() } else { targets_dir().join(script) }
}
