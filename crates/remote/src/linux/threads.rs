//! Threads of a process as the kernel sees them.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What the kernel says a thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// On a processor, or waiting for one.
    Running,
    /// Waiting for something: a lock, input, time.
    Sleeping,
    /// In an uninterruptible wait, usually for a disk.
    Disk,
    /// Stopped by a signal (SIGSTOP, Ctrl-Z).
    Stopped,
    /// Held by a debugger or another tracer.
    Traced,
    /// Ended, and not yet collected.
    Dead,
}

impl RunState {
    /// True where the thread wants to compute.
    pub fn is_running(self) -> bool {
        self == RunState::Running
    }

    fn from_letter(letter: u8) -> RunState {
        match letter {
            b'R' => RunState::Running,
            b'D' => RunState::Disk,
            b'T' => RunState::Stopped,
            b't' => RunState::Traced,
            b'Z' | b'X' | b'x' => RunState::Dead,
            _ => RunState::Sleeping,
        }
    }
}

/// The thread ids of the process at `proc_dir` (`/proc/PID`), in the kernel's order.
pub fn list(proc_dir: &Path, into: &mut Vec<i32>) -> std::io::Result<()> {
    into.clear();
    for entry in std::fs::read_dir(proc_dir.join("task"))? {
        if let Some(tid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            into.push(tid);
        }
    }
    into.sort_unstable();
    Ok(())
}

/// Where a thread waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The number of the system call; `None` if it is in none.
    pub call: Option<u32>,
    /// Its stack pointer.
    pub sp: u64,
    /// Its instruction.
    pub pc: u64,
    /// The CPU time that it had used: another one means that it went on meanwhile.
    pub cpu_ns: u64,
}

/// Whether a system call fails when its thread is held for a moment, rather than going on:
/// those that signal(7) lists as giving `EINTR` after a stop.
pub fn is_fragile(call: u32) -> bool {
    let fragile = [
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        libc::SYS_semop,
        libc::SYS_semtimedop,
        libc::SYS_rt_sigtimedwait,
        libc::SYS_msgrcv,
        libc::SYS_msgsnd,
        libc::SYS_io_getevents,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
    ];
    fragile.contains(&libc::c_long::from(call as i32))
}

/// The id by which the process at `proc_dir` knows itself, if that is another than ours.
pub fn inner_id(proc_dir: &Path) -> Option<i32> {
    namespace_ids(proc_dir).map(|(inner, _)| inner)
}

/// The `NSpid` line of a `/proc` status: our id of it, then that of each namespace down
/// to its own.
fn namespace_ids(dir: &Path) -> Option<(i32, i32)> {
    let status = super::process::read(dir.join("status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let mut ids = line.split_ascii_whitespace();
    let outer = ids.next()?.parse().ok()?;
    Some((ids.next_back()?.parse().ok()?, outer))
}

/// Whether the process at `proc_dir` (`/proc/PID`) is in another pid namespace than we
/// are, so that its threads know themselves by other ids.
pub fn in_namespace(proc_dir: &Path) -> bool {
    namespace_ids(proc_dir).is_some()
}

/// The ids by which the threads `tids` of a process in another pid namespace know
/// themselves: inner id to ours.
pub fn inner_ids(proc_dir: &Path, tids: &[i32]) -> HashMap<i32, i32> {
    tids.iter().filter_map(|tid| namespace_ids(&proc_dir.join(format!("task/{tid}")))).collect()
}

/// One thread, with the files that tell its state kept open.
#[derive(Debug)]
pub struct Thread {
    /// The id by which this system knows the thread.
    pub tid: i32,
    dir: PathBuf,
    syscall: Option<File>,
    schedstat: Option<File>,
}

impl Thread {
    /// The thread `tid` of the process at `proc_dir` (`/proc/PID`). Opens nothing yet.
    pub fn new(proc_dir: &Path, tid: i32) -> Thread {
        let dir = proc_dir.join(format!("task/{tid}"));
        Thread { tid, dir, syscall: None, schedstat: None }
    }

    /// What the thread is doing now; `None` when it has ended. From `/proc`'s `stat`,
    /// which knows all the states.
    pub fn state(&self) -> Option<RunState> {
        self.read_state().unwrap_or(None)
    }

    fn read_state(&self) -> std::io::Result<Option<RunState>> {
        let text = super::process::read(self.dir.join("stat"))?;
        // The name is in parentheses and may hold any character.
        let end = text.iter().rposition(|byte| *byte == b')');
        let letter = end.and_then(|end| text.get(end + 2));
        Ok(letter.map(|letter| RunState::from_letter(*letter)))
    }

    /// Whether the thread computes now; `None` when it has ended. One system call once
    /// open: the file `syscall` reads `running` for what is runnable, and is cheaper than
    /// `stat`. Where it names no system call, `stat` is asked: it may be a thread that was
    /// woken, as from a pause, and has not reached its processor yet (`TASK_WAKING`, which
    /// `syscall` takes for a wait). Where the kernel has no such file, `stat` answers too.
    pub fn is_running(&mut self) -> Option<bool> {
        if self.syscall.is_none() {
            self.syscall = File::open(self.dir.join("syscall")).ok();
        }
        let mut text = [0; 160];
        if let Some(file) = &self.syscall {
            match file.read_at(&mut text, 0) {
                Ok(got) if got > 0 && !text.starts_with(b"-1 ") => {
                    return Some(text.starts_with(b"running"));
                }
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return None,
                _ => {}
            }
        }
        match self.read_state() {
            Ok(state) => state.map(RunState::is_running),
            // Not to be told now, as where no more files may be opened.
            Err(error) => (!super::process::is_gone(&error)).then_some(false),
        }
    }

    /// Where a thread waits in the kernel; `None` while it runs, or where the system does
    /// not tell.
    pub fn standing(&mut self) -> Option<Standing> {
        if self.syscall.is_none() {
            self.syscall = File::open(self.dir.join("syscall")).ok();
        }
        let mut text = [0; 256];
        let got = self.syscall.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(text.get(..got)?).ok()?;
        // `nr a b c d e f sp pc`, or `-1 sp pc` outside of a system call.
        let mut words = text.split_ascii_whitespace();
        let call = words.next()?.parse::<i64>().ok()?;
        let mut number = || u64::from_str_radix(words.next_back()?.strip_prefix("0x")?, 16).ok();
        let (pc, sp) = (number()?, number()?);
        let cpu_ns = self.cpu_ns()?;
        Some(Standing { call: u32::try_from(call).ok(), sp, pc, cpu_ns })
    }

    /// Nanoseconds of CPU time used so far (up to the last clock tick or switch).
    pub fn cpu_ns(&mut self) -> Option<u64> {
        if self.schedstat.is_none() {
            self.schedstat = File::open(self.dir.join("schedstat")).ok();
        }
        let mut text = [0; 64];
        let got = self.schedstat.as_ref()?.read_at(&mut text, 0).ok()?;
        let digits = text[..got].iter().take_while(|byte| byte.is_ascii_digit());
        let number = digits
            .fold(0u64, |sum, byte| sum.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')));
        (got > 0).then_some(number)
    }

    /// Closes the files; they are opened again when asked for.
    pub fn rest(&mut self) {
        self.syscall = None;
        self.schedstat = None;
    }

    /// The name the kernel has for the thread (`comm`), 15 bytes at most.
    pub fn os_name(&self) -> Option<String> {
        let text = std::fs::read(self.dir.join("comm")).ok()?;
        Some(String::from_utf8_lossy(&text).trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread of ours and its id.
    fn start(work: impl FnOnce() + Send + 'static) -> (std::thread::JoinHandle<()>, i32) {
        let (tell, told) = std::sync::mpsc::channel();
        let handle = std::thread::spawn(move || {
            let own = std::fs::read_link("/proc/thread-self").expect("thread-self");
            let name = own.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            tell.send(name).expect("the test waits");
            work();
        });
        let tid = told.recv().expect("the thread tells").and_then(|name| name.parse().ok());
        (handle, tid.expect("a number"))
    }

    #[test]
    fn a_spinning_thread_runs_and_a_waiting_one_does_not() {
        use std::sync::atomic::{AtomicBool, Ordering};
        static STOP: AtomicBool = AtomicBool::new(false);
        let proc_dir = Path::new("/proc/self");
        let (spinning, spinner) = start(|| {
            while !STOP.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (waiting, waiter) = start(move || {
            let _ = wait.recv();
        });
        let mut tids = Vec::new();
        list(proc_dir, &mut tids).expect("task folder");
        assert!(tids.contains(&spinner) && tids.contains(&waiter));
        let mut thread = Thread::new(proc_dir, spinner);
        assert_eq!(thread.is_running(), Some(true));
        assert_eq!(thread.state(), Some(RunState::Running));
        assert!(thread.cpu_ns().is_some());
        let mut thread = Thread::new(proc_dir, waiter);
        while thread.state() != Some(RunState::Sleeping) {
            std::thread::yield_now();
        }
        assert_eq!(thread.is_running(), Some(false));
        let standing = thread.standing().expect("where it waits");
        assert!(standing.sp > 4096 && standing.pc > 4096);
        assert!(standing.call.is_some() && thread.standing() == Some(standing));
        STOP.store(true, Ordering::Relaxed);
        drop(go);
        spinning.join().and(waiting.join()).expect("both end");
        assert_eq!(Thread::new(proc_dir, 1 << 30).is_running(), None);
    }
}
