//! A process by its id: what `/proc` says of it.

use super::{maps, threads};
use crate::elf::Elf;
use crate::modules::{Mapping, Module};
use crate::{Arch, Memory, ReadError, os::ProcessMemory};
use std::fmt;
use std::path::PathBuf;

/// Why a process cannot be looked at.
#[derive(Debug)]
pub enum OpenError {
    /// There is no process of that id.
    NoSuchProcess,
    /// It has ended and waits to be collected by its parent.
    Zombie,
    /// It is a kernel thread and has no memory of its own.
    KernelThread,
    /// The system does not let us look; [`super::diagnose`] tells why.
    Denied,
    /// Another failure of the system.
    Io(std::io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NoSuchProcess => write!(f, "there is no such process"),
            OpenError::Zombie => {
                write!(f, "it has ended and only waits for its parent to collect its exit status")
            }
            OpenError::KernelThread => write!(f, "it is a kernel thread"),
            OpenError::Denied => write!(f, "no permission"),
            OpenError::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// A live process.
#[derive(Debug)]
pub struct Process {
    /// Its id in our pid namespace.
    pub pid: i32,
    proc_dir: PathBuf,
    /// Its memory.
    pub memory: ProcessMemory,
    /// When it started, in clock ticks since boot: with the pid it names the process.
    pub started: u64,
}

impl Process {
    /// Opens the process `pid` and makes sure that its memory can be read.
    pub fn open(pid: i32) -> Result<Process, OpenError> {
        let proc_dir = PathBuf::from(format!("/proc/{pid}"));
        let stat = read(proc_dir.join("stat")).map_err(io_error)?;
        let started = stat_field(&stat, 22).ok_or(OpenError::NoSuchProcess)?;
        if is_ended(&stat) {
            return Err(OpenError::Zombie);
        }
        let mut process =
            Process { pid, memory: ProcessMemory::new(pid, Arch::LE64), proc_dir, started };
        let mut mappings = process.mappings()?;
        for _ in 0..3 {
            if !mappings.is_empty() {
                break;
            }
            // It may just be giving up its memory for that of another program.
            std::thread::yield_now();
            mappings = process.mappings()?;
        }
        let Some(first) = mappings.iter().find(|mapping| mapping.read) else {
            // An empty map is a kernel thread's, or one of a process on its way out.
            return Err(match std::fs::read_link(process.proc_dir.join("exe")) {
                Ok(_) => OpenError::Zombie,
                Err(_) => OpenError::KernelThread,
            });
        };
        let mut start = [0; 6];
        match process.memory.read_some(first.start, &mut start) {
            Err(ReadError::Denied(_)) => return Err(OpenError::Denied),
            Err(ReadError::Gone) => return Err(OpenError::NoSuchProcess),
            Err(ReadError::Os(code)) => {
                return Err(OpenError::Io(std::io::Error::from_raw_os_error(code)));
            }
            _ => {}
        }
        let of_file = || {
            let executable =
                maps::modules(&mappings, &process.proc_dir, &process.memory).into_iter().next();
            executable.as_ref().and_then(Elf::open).and_then(|elf| elf.arch())
        };
        // Mostly the executable comes first.
        let own = Arch::of_elf(&start).filter(|_| first.inode != 0 && first.offset == 0);
        if let Some(arch) = own.or_else(of_file) {
            process.memory = ProcessMemory::new(pid, arch);
        }
        Ok(process)
    }

    /// `/proc/PID`.
    pub fn proc_dir(&self) -> &std::path::Path {
        &self.proc_dir
    }

    /// All mappings, in order of address.
    pub fn mappings(&self) -> Result<Vec<Mapping>, OpenError> {
        let text = read(self.proc_dir.join("maps")).map_err(io_error)?;
        Ok(maps::parse(&String::from_utf8_lossy(&text)))
    }

    /// The executable and the libraries, the executable first where it can be told.
    pub fn modules(&self) -> Result<Vec<Module>, OpenError> {
        Ok(self.modules_in(&self.mappings()?))
    }

    /// The same of these mappings.
    pub fn modules_in(&self, mappings: &[Mapping]) -> Vec<Module> {
        let mut modules = maps::modules(mappings, &self.proc_dir, &self.memory);
        if let Some(exe) = self.exe() {
            let exe = exe.trim_end_matches(" (deleted)").to_owned();
            modules.sort_by_key(|module| module.path != exe);
        }
        modules
    }

    /// The path of its executable, as the kernel names it.
    pub fn exe(&self) -> Option<String> {
        exe(self.pid)
    }

    /// Its arguments, the program's name first.
    pub fn arguments(&self) -> Vec<String> {
        arguments(self.pid)
    }

    /// Its parent's id.
    pub fn parent(&self) -> Option<i32> {
        let stat = read(self.proc_dir.join("stat")).ok()?;
        stat_field(&stat, 4).map(|ppid| ppid as i32)
    }

    /// Its thread ids.
    pub fn thread_ids(&self, into: &mut Vec<i32>) -> std::io::Result<()> {
        threads::list(&self.proc_dir, into)
    }

    /// The id of the process that traces it (a debugger, strace), if one does.
    pub fn tracer(&self) -> Option<i32> {
        let status = read(self.proc_dir.join("status")).ok()?;
        let status = String::from_utf8_lossy(&status);
        let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
        line.trim().parse().ok().filter(|pid| *pid != 0)
    }

    /// A path of the target's, as we can open it: through its root directory, so that
    /// containers and chroots resolve.
    pub fn path_here(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// The target's root directory, as we can open it.
    pub fn root(&self) -> PathBuf {
        self.proc_dir.join("root")
    }

    /// False once the process has ended or its id was given to another.
    pub fn is_alive(&self) -> bool {
        match read(self.proc_dir.join("stat")) {
            Ok(stat) => stat_field(&stat, 22) == Some(self.started) && !is_ended(&stat),
            Err(error) => !is_gone(&error),
        }
    }
}

/// Whether what a file of `/proc` told of is no more; other errors say nothing of it.
pub(super) fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// A file of `/proc` in one read, if it is not long: these tell no size, and to read the first
/// few bytes costs as much as all.
pub(super) fn read(path: impl AsRef<std::path::Path>) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::with_capacity(1 << 15);
    // Without a limit it would be asked for its size.
    std::fs::File::open(path)?.take(u64::MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// The path of the executable of the process `pid`, as the kernel names it.
pub fn exe(pid: i32) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// The arguments of the process `pid`, the program's name first.
pub fn arguments(pid: i32) -> Vec<String> {
    let text = read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = text.strip_suffix(&[0]).unwrap_or(&text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

/// How long ago the process `pid` was started.
pub fn age(pid: i32) -> Option<std::time::Duration> {
    let stat = read(format!("/proc/{pid}/stat")).ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    // Clock ticks are hundredths of a second on every Linux (USER_HZ).
    let started = stat_field(&stat, 22)? as f64 / 100.0;
    std::time::Duration::try_from_secs_f64((uptime - started).max(0.0)).ok()
}

fn io_error(error: std::io::Error) -> OpenError {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => OpenError::NoSuchProcess,
        Some(libc::EPERM | libc::EACCES) => OpenError::Denied,
        _ => OpenError::Io(error),
    }
}

/// Whether `/proc/PID/stat` tells of a process that only waits to be collected.
pub(super) fn is_ended(stat: &[u8]) -> bool {
    let state = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
    matches!(state, Some(b'Z' | b'X'))
}

/// Field `number` (from 1, as proc(5) counts) of `/proc/PID/stat`, for numbers above 3.
pub(super) fn stat_field(stat: &[u8], number: usize) -> Option<u64> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
    rest.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ourselves() {
        let process = Process::open(std::process::id() as i32).expect("our own process");
        assert!(process.is_alive());
        assert_eq!(process.memory.arch(), Arch::LE64);
        let modules = process.modules().expect("modules");
        let exe = std::env::current_exe().expect("exe");
        assert_eq!(modules[0].path, exe.to_string_lossy());
        assert!(Elf::open(&modules[0]).is_some_and(|elf| elf.section(".data").is_some()));
        assert!(matches!(Process::open(i32::MAX), Err(OpenError::NoSuchProcess)));
        assert!(matches!(Process::open(-1), Err(OpenError::NoSuchProcess)));
    }
}
