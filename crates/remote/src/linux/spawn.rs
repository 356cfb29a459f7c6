//! Starting the program to be profiled.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

/// A program that we started. Dropping it leaves it running.
#[derive(Debug)]
pub struct Program {
    child: Child,
    ended: Option<i32>,
}

/// The user who called `sudo`, if that is how we were started: uid, gid, name.
fn sudo_caller() -> Option<(u32, u32, CString)> {
    // SAFETY: no arguments, cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let name = CString::new(std::env::var("SUDO_USER").ok()?).ok()?;
    Some((number("SUDO_UID")?, number("SUDO_GID")?, name))
}

/// Whether our child has ended. `waitpid` would also take the stops that belong to a pause
/// of it (and the standard library then counts it as ended).
fn has_exited(pid: i32) -> bool {
    // SAFETY: all zeros are a valid siginfo_t, and it is a valid place to write to; what is
    // left in it is that of a child's event, or nothing.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, options) != 0 || info.si_pid() != 0
    }
}

impl Program {
    /// Starts `arguments` with our stdin, stdout, stderr and terminal; under sudo as the
    /// user who called it, with that user's groups.
    pub fn start(arguments: &[String]) -> std::io::Result<Program> {
        Program::start_with(arguments, |_| Ok(()))
    }

    /// Starts `arguments` like [`Program::start`], but with stdout and stderr going to a file
    /// and nothing to read from stdin: somebody else has the terminal.
    pub fn start_into(arguments: &[String], output: &File) -> std::io::Result<Program> {
        Program::start_with(arguments, |command| {
            let [stdout, stderr] = [output.try_clone()?, output.try_clone()?];
            command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
            Ok(())
        })
    }

    fn start_with(
        arguments: &[String],
        prepare: impl FnOnce(&mut Command) -> std::io::Result<()>,
    ) -> std::io::Result<Program> {
        let (program, rest) = arguments
            .split_first()
            .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidInput, "no program"))?;
        let mut command = Command::new(program);
        command.args(rest);
        prepare(&mut command)?;
        if let Some((uid, gid, name)) = sudo_caller() {
            // SAFETY: between fork and exec only system calls are made. initgroups may
            // allocate, which is safe here because we have a single thread when we start
            // programs.
            unsafe {
                command.pre_exec(move || {
                    let failed = libc::initgroups(name.as_ptr(), gid as _) != 0
                        || libc::setgid(gid) != 0
                        || libc::setuid(uid) != 0;
                    if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
                });
            }
        }
        Ok(Program { child: command.spawn()?, ended: None })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Interrupts it, as Ctrl-C in its terminal does.
    pub fn interrupt(&self) {
        if self.ended.is_none() {
            // SAFETY: no pointers; the id is our child's until its status is collected.
            unsafe { libc::kill(self.pid(), libc::SIGINT) };
        }
    }

    /// Its exit status as a shell gives it (128 + the signal that killed it), once it
    /// has ended.
    pub fn status(&mut self) -> Option<i32> {
        if self.ended.is_none() {
            if !has_exited(self.pid()) {
                return None;
            }
            let status = self.child.try_wait().ok().flatten()?;
            self.ended = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        }
        self.ended
    }
}
