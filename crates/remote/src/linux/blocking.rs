//! The system call that a waiting thread is in, and its arguments.

use super::Process;
use crate::{Arch, Memory};
use std::time::Duration;

/// A system call that can wait: its name, what people call it, its numbers on x86_64,
/// aarch64 and x86 (-1: there is none), and what its arguments are.
struct Call(&'static str, &'static str, [i16; 3], Form);

/// What the arguments of a call are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing that would tell what it waits for.
    Other,
    /// The first is a file descriptor.
    Descriptor,
    /// An array of `struct pollfd`, its length, then milliseconds or a `timespec`.
    Poll,
    /// The number of descriptors, three sets of them, a `timeval` or a `timespec`.
    Select,
    /// The first is an epoll instance, the fourth milliseconds.
    Epoll,
    /// An address, an operation, a value, a `timespec`.
    Futex,
    /// A `timespec`.
    Sleep,
    /// A clock, flags, a `timespec`.
    ClockSleep,
    /// The first is a process id, or -1 or such for any child.
    Process,
    /// A kind of id, then the id.
    ProcessOfKind,
    /// A folder's descriptor, then a path.
    PathAt,
    /// A path.
    Path,
}

use Form::*;

/// Numbers: arch/x86/entry/syscalls/syscall_64.tbl, syscall_32.tbl and
/// include/uapi/asm-generic/unistd.h of Linux.
const CALLS: &[Call] = &[
    Call("read", "read", [0, 63, 3], Descriptor),
    Call("readv", "read", [19, 65, 145], Descriptor),
    Call("pread64", "read", [17, 67, 180], Descriptor),
    Call("preadv", "read", [295, 69, 333], Descriptor),
    Call("write", "write", [1, 64, 4], Descriptor),
    Call("writev", "write", [20, 66, 146], Descriptor),
    Call("pwrite64", "write", [18, 68, 181], Descriptor),
    Call("pwritev", "write", [296, 70, 334], Descriptor),
    Call("recvfrom", "recv", [45, 207, 371], Descriptor),
    Call("recvmsg", "recv", [47, 212, 372], Descriptor),
    Call("recvmmsg", "recv", [299, 243, 337], Descriptor),
    Call("sendto", "send", [44, 206, 369], Descriptor),
    Call("sendmsg", "send", [46, 211, 370], Descriptor),
    Call("sendmmsg", "send", [307, 269, 345], Descriptor),
    Call("sendfile", "sendfile", [40, 71, 187], Descriptor),
    Call("accept", "accept", [43, 202, -1], Descriptor),
    Call("accept4", "accept", [288, 242, 364], Descriptor),
    Call("connect", "connect", [42, 203, 362], Descriptor),
    Call("close", "close", [3, 57, 6], Descriptor),
    Call("ioctl", "ioctl", [16, 29, 54], Descriptor),
    Call("fcntl", "fcntl", [72, 25, 55], Descriptor),
    Call("fcntl64", "fcntl", [-1, -1, 221], Descriptor),
    Call("flock", "flock", [73, 32, 143], Descriptor),
    Call("fsync", "fsync", [74, 82, 118], Descriptor),
    Call("fdatasync", "fdatasync", [75, 83, 148], Descriptor),
    Call("fallocate", "fallocate", [285, 47, 324], Descriptor),
    Call("ftruncate", "ftruncate", [77, 46, 93], Descriptor),
    Call("getdents64", "getdents", [217, 61, 220], Descriptor),
    Call("splice", "splice", [275, 76, 313], Descriptor),
    Call("copy_file_range", "copy_file_range", [326, 285, 377], Descriptor),
    Call("mq_timedsend", "mq_send", [242, 182, 279], Descriptor),
    Call("mq_timedreceive", "mq_receive", [243, 183, 280], Descriptor),
    Call("io_uring_enter", "io_uring_enter", [426, 426, 426], Descriptor),
    Call("poll", "poll", [7, -1, 168], Poll),
    Call("ppoll", "poll", [271, 73, 309], Poll),
    Call("select", "select", [23, -1, 142], Select),
    Call("pselect6", "select", [270, 72, 308], Select),
    Call("epoll_wait", "epoll_wait", [232, -1, 256], Epoll),
    Call("epoll_pwait", "epoll_wait", [281, 22, 319], Epoll),
    Call("epoll_pwait2", "epoll_wait", [441, 441, 441], Epoll),
    Call("futex", "futex", [202, 98, 240], Futex),
    Call("futex_time64", "futex", [-1, -1, 422], Futex),
    Call("nanosleep", "nanosleep", [35, 101, 162], Sleep),
    Call("clock_nanosleep", "clock_nanosleep", [230, 115, 267], ClockSleep),
    Call("clock_nanosleep_time64", "clock_nanosleep", [-1, -1, 407], ClockSleep),
    Call("wait4", "wait", [61, 260, 114], Process),
    Call("waitid", "wait", [247, 95, 284], ProcessOfKind),
    Call("openat", "open", [257, 56, 295], PathAt),
    Call("open", "open", [2, -1, 5], Path),
    Call("stat", "stat", [4, -1, 106], Path),
    Call("newfstatat", "stat", [262, 79, 300], PathAt),
    Call("statx", "stat", [332, 291, 383], PathAt),
    Call("unlink", "unlink", [87, -1, 10], Path),
    Call("unlinkat", "unlink", [263, 35, 301], PathAt),
    Call("mkdir", "mkdir", [83, -1, 39], Path),
    Call("rename", "rename", [82, -1, 38], Path),
    Call("pause", "pause", [34, -1, 29], Other),
    Call("rt_sigsuspend", "sigsuspend", [130, 133, 179], Other),
    Call("rt_sigtimedwait", "sigwait", [128, 137, 177], Other),
    Call("semop", "semop", [65, 193, -1], Other),
    Call("semtimedop", "semop", [220, 192, -1], Other),
    Call("msgrcv", "msgrcv", [70, 188, -1], Other),
    Call("msgsnd", "msgsnd", [69, 189, -1], Other),
    Call("futex_waitv", "futex", [449, 449, 449], Other),
    Call("restart_syscall", "restart_syscall", [219, 128, 0], Other),
    Call("clone", "clone", [56, 220, 120], Other),
    Call("clone3", "clone", [435, 435, 435], Other),
    Call("vfork", "vfork", [58, -1, 190], Other),
    Call("execve", "execve", [59, 221, 11], Other),
    Call("exit_group", "exit_group", [231, 94, 252], Other),
    Call("mmap", "mmap", [9, 222, 192], Other),
    Call("munmap", "munmap", [11, 215, 91], Other),
    Call("madvise", "madvise", [28, 233, 219], Other),
    Call("msync", "msync", [26, 227, 144], Other),
    Call("sync", "sync", [162, 81, 36], Other),
    Call("getrandom", "getrandom", [318, 278, 355], Other),
    Call("ptrace", "ptrace", [101, 117, 26], Other),
    Call("process_vm_readv", "process_vm_readv", [310, 270, 347], Other),
];

/// More descriptors of one call are not read. Sets of them seldom have more than 1024
/// (FD_SETSIZE), but arrays do.
pub const MAX_DESCRIPTORS: usize = 1 << 16;

/// Child processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Children {
    /// Whichever there are.
    Any,
    /// The one with this id, as the process that waits counts.
    One(i32),
    /// Those of a group, or one that a descriptor leads to.
    Some,
}

/// Whose numbers system calls have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    /// x86_64.
    X86_64,
    /// aarch64.
    Aarch64,
    /// 32-bit x86; 32-bit ARM has the same numbers but for newer calls.
    X86,
}

impl Abi {
    /// Of a process of this machine.
    fn of(arch: Arch) -> Abi {
        match (arch.pointer, cfg!(target_arch = "aarch64")) {
            (8, true) => Abi::Aarch64,
            (8, false) => Abi::X86_64,
            _ => Abi::X86,
        }
    }
}

/// The system call that a thread is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Its number.
    pub number: i64,
    /// Its arguments.
    pub arguments: [u64; 6],
    abi: Abi,
    arch: Arch,
}

impl Blocked {
    /// From the registers of a thread, as a core file has them.
    pub fn new(abi: Abi, arch: Arch, number: i64, arguments: [u64; 6]) -> Blocked {
        Blocked { number, arguments, abi, arch }
    }

    /// Of the thread `tid` of a process; `None` if it runs, is in no call (a page fault),
    /// or has ended.
    pub fn of(process: &Process, tid: i32) -> Option<Blocked> {
        let path = process.proc_dir().join(format!("task/{tid}/syscall"));
        parse(&std::fs::read_to_string(path).ok()?, process.memory.arch())
    }

    fn call(&self) -> Option<&'static Call> {
        let column = match self.abi {
            Abi::X86_64 => 0,
            Abi::Aarch64 => 1,
            Abi::X86 => 2,
        };
        let own = |call: &&Call| i64::from(call.2[column]) == self.number && self.number >= 0;
        CALLS.iter().find(own)
    }

    fn form(&self) -> Form {
        self.call().map_or(Other, |call| call.3)
    }

    /// Its name; its number in words if that is none of a call that waits.
    pub fn name(&self) -> String {
        self.call().map_or_else(|| format!("system call {}", self.number), |call| call.0.to_owned())
    }

    /// What programs call it.
    pub fn common_name(&self) -> String {
        self.call().map_or_else(|| self.name(), |call| call.1.to_owned())
    }

    /// The futex that it sleeps at.
    pub fn futex(&self) -> Option<u64> {
        (self.form() == Futex).then_some(self.arguments[0])
    }

    /// The file descriptors that it waits for.
    pub fn descriptors(&self, memory: &dyn Memory) -> Vec<i32> {
        let [first, second, ..] = self.arguments;
        match self.form() {
            Descriptor | Epoll => vec![first as i32],
            Poll => polled(memory, first, second).unwrap_or_default(),
            Select => selected(memory, &self.arguments),
            _ => Vec::new(),
        }
    }

    /// The epoll instance that it waits at.
    pub fn epoll(&self) -> Option<i32> {
        (self.form() == Epoll).then_some(self.arguments[0] as i32)
    }

    /// It only lets time pass.
    pub fn sleeps(&self, memory: &dyn Memory) -> bool {
        match self.form() {
            Sleep | ClockSleep => true,
            Poll | Select => self.descriptors(memory).is_empty(),
            _ => false,
        }
    }

    /// The child processes of which it waits for one to end: waitpid(2), waitid(2).
    pub fn children(&self) -> Option<Children> {
        let [first, second, ..] = self.arguments;
        Some(match (self.form(), first as i32) {
            (Process, -1) => Children::Any,
            (Process, pid) if pid > 0 => Children::One(pid),
            (Process, _) => Children::Some,
            // P_ALL, P_PID; P_PGID and P_PIDFD.
            (ProcessOfKind, 0) => Children::Any,
            (ProcessOfKind, 1) => Children::One(second as i32),
            (ProcessOfKind, _) => Children::Some,
            _ => return None,
        })
    }

    /// The path that it is about.
    pub fn path(&self, memory: &dyn Memory) -> Option<String> {
        let at = match self.form() {
            Path => self.arguments[0],
            PathAt => self.arguments[1],
            _ => return None,
        };
        let path = memory.c_string(at, 4096).ok()?;
        Some(String::from_utf8_lossy(&path).into_owned())
    }

    /// How long it waits at the most, counted from its begin; `None` if for ever, or
    /// where that is not known.
    pub fn timeout(&self, memory: &dyn Memory) -> Option<Duration> {
        let arguments = &self.arguments;
        let milliseconds = |value: u64| u64::try_from(value as i32).ok().map(Duration::from_millis);
        let spec = |at: u64| self.time(memory, at, 1);
        match (self.form(), self.name().as_str()) {
            (Poll, "poll") => milliseconds(arguments[2]),
            (Poll, _) => spec(arguments[2]),
            (Select, "select") => self.time(memory, arguments[4], 1000),
            (Select, _) => spec(arguments[4]),
            (Epoll, "epoll_pwait2") => spec(arguments[3]),
            (Epoll, _) => milliseconds(arguments[3]),
            (Sleep, _) => spec(arguments[0]),
            // TIMER_ABSTIME is 1.
            (ClockSleep, _) if arguments[1] & 1 == 0 => spec(arguments[2]),
            _ => None,
        }
    }

    /// The instant that it waits for, on CLOCK_MONOTONIC.
    pub fn deadline(&self, memory: &dyn Memory) -> Option<Duration> {
        const MONOTONIC: u64 = 1;
        let absolute = self.form() == ClockSleep && self.arguments[1] & 1 == 1;
        (absolute && self.arguments[0] == MONOTONIC)
            .then(|| self.time(memory, self.arguments[2], 1))?
    }

    /// A futex wait that ends by itself, or a sleep.
    pub fn is_timed(&self) -> bool {
        self.form() == Futex && self.arguments[3] != 0 || self.is_sleep()
    }

    /// A call that cannot but sleep for a time, even where that is not known.
    pub fn is_sleep(&self) -> bool {
        matches!(self.form(), Sleep | ClockSleep)
    }

    /// Python's locks can be what it waits for. One with a timeout that a signal has
    /// interrupted goes on as `restart_syscall` (restart_syscall(2)); in 2.x those with a
    /// timeout are asked for again after each of many sleeps (Lib/threading.py).
    pub fn may_be_lock(&self, memory: &dyn Memory) -> bool {
        self.form() == Futex || self.name() == "restart_syscall" || self.sleeps(memory)
    }

    /// A stop by a tracer in between goes unnoticed by the program: signal(7), "Interruption
    /// of system calls and library functions by stop signals", names those that fail.
    pub fn restarts(&self) -> bool {
        matches!(self.form(), Futex | Sleep | ClockSleep | Poll | Select | Process | ProcessOfKind)
    }

    /// A `timespec` (or, with a `unit` of 1000 ns, a `timeval`).
    fn time(&self, memory: &dyn Memory, at: u64, unit: u64) -> Option<Duration> {
        if at == 0 {
            return None;
        }
        let wide = self.arch.pointer == 8 || self.name().ends_with("64");
        let size = if wide { 8 } else { 4 };
        let seconds = memory.uint(at, size).ok()?;
        let rest = memory.uint(at.checked_add(size as u64)?, size).ok()?;
        let nanoseconds = u32::try_from(rest.checked_mul(unit)?).ok()?;
        (nanoseconds < 1_000_000_000).then(|| Duration::new(seconds, nanoseconds))
    }
}

/// A line of `/proc/PID/task/TID/syscall`: the number in decimal, six arguments, the
/// stack pointer and the program counter. `running`, or -1 and two numbers, otherwise.
fn parse(line: &str, arch: Arch) -> Option<Blocked> {
    let mut words = line.split_ascii_whitespace();
    let number = words.next()?.parse().ok().filter(|number| *number >= 0)?;
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    Some(Blocked { number, arguments, abi: Abi::of(arch), arch })
}

/// `struct pollfd { int fd; short events; short revents; }`
fn polled(memory: &dyn Memory, at: u64, count: u64) -> Option<Vec<i32>> {
    let count = count.min(MAX_DESCRIPTORS as u64) as usize;
    let bytes = memory.bytes(at, count * 8).ok()?;
    let fd = |i: usize| memory.arch().i32(&bytes, i * 8);
    Some((0..count).filter_map(fd).filter(|fd| *fd >= 0).collect())
}

/// The union of the sets of `select`.
fn selected(memory: &dyn Memory, arguments: &[u64; 6]) -> Vec<i32> {
    let count = arguments[0].min(MAX_DESCRIPTORS as u64) as usize;
    let word = memory.arch().word();
    let length = count.div_ceil(8 * word) * word;
    let mut found = Vec::new();
    for set in arguments[1..4].iter().filter(|set| **set != 0) {
        let Ok(bytes) = memory.bytes(*set, length) else { continue };
        for fd in 0..count {
            // Words of bits, which are bytes of bits where the lowest byte comes first.
            let byte = if memory.arch().big_endian {
                fd / 8 / word * word + word - 1 - fd / 8 % word
            } else {
                fd / 8
            };
            if bytes.get(byte).is_some_and(|byte| byte >> (fd % 8) & 1 == 1) {
                found.push(fd as i32);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc() {
        let line = "230 0x1 0x1 0x7f10 0x0 0x0 0x0 0x7ffe 0x7f11\n";
        let blocked = parse(line, Arch::LE64).expect("a call");
        #[cfg(target_arch = "x86_64")]
        assert_eq!((blocked.name().as_str(), blocked.form()), ("clock_nanosleep", ClockSleep));
        assert_eq!(blocked.arguments, [1, 1, 0x7f10, 0, 0, 0]);
        for bad in ["running\n", "-1 0x7ffe 0x7f11\n", "", "1 0x", "0 1 2 3 4 5 6 7 8"] {
            assert_eq!(parse(bad, Arch::LE64), None, "{bad:?}");
        }
        let odd = Blocked::new(Abi::X86_64, Arch::LE64, 9999, [0; 6]);
        let other = Blocked::new(Abi::Aarch64, Arch::LE64, 98, [8, 0, 0, 0, 0, 0]);
        assert_eq!((other.name().as_str(), other.futex()), ("futex", Some(8)));
        assert_eq!((odd.name().as_str(), odd.futex()), ("system call 9999", None));
    }

    /// Our own memory, of our own calls.
    #[test]
    fn descriptors_and_times() {
        let us = Process::open(std::process::id() as i32).expect("ourselves");
        let memory = &us.memory;
        let x86 = |number, arguments| Blocked::new(Abi::X86_64, Arch::LE64, number, arguments);
        let polled = [3i32, 0, -1, 0, 7, 0];
        let at = polled.as_ptr() as u64;
        let poll = x86(7, [at, 3, 2500, 0, 0, 0]);
        let bits = [1u64 << 5 | 1 << 63, 1 << 1];
        let select = x86(23, [66, bits.as_ptr() as u64, 0, 0, [2u64, 500_000].as_ptr() as u64, 0]);
        let spec = [5u64, 250_000_000];
        let sleep = x86(230, [1, 1, spec.as_ptr() as u64, 0, 0, 0]);
        {
            assert_eq!(poll.descriptors(memory), [3, 7]);
            assert_eq!(poll.timeout(memory), Some(Duration::from_millis(2500)));
            assert_eq!(select.descriptors(memory), [5, 63, 65]);
            assert_eq!(select.timeout(memory), Some(Duration::from_millis(2500)));
            assert_eq!(sleep.timeout(memory), None);
            assert_eq!(sleep.deadline(memory), Some(Duration::from_millis(5250)));
            assert!(sleep.sleeps(memory) && !poll.sleeps(memory));
        }
        let wait = |kind| x86(247, [kind, 5, 0, 0, 0, 0]).children();
        assert_eq!(
            [0, 1, 3].map(wait),
            [Some(Children::Any), Some(Children::One(5)), Some(Children::Some)]
        );
        let wait = |pid: i32| x86(61, [pid as u32 as u64, 0, 0, 0, 0, 0]).children();
        assert_eq!(
            [-1, 7, -7].map(wait),
            [Some(Children::Any), Some(Children::One(7)), Some(Children::Some)]
        );
        assert!(sleep.is_timed() && sleep.may_be_lock(memory) && !poll.may_be_lock(memory));
        let wrong = x86(7, [8, 3, u64::MAX, 0, 0, 0]);
        assert!(wrong.descriptors(memory).is_empty() && wrong.timeout(memory).is_none());
    }
}
