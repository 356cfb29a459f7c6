//! Which process started which.
#![allow(unsafe_code)]

use super::ProcessMemory;
use super::process::stat_field;
use crate::{Arch, Memory};
use std::fs::File;
use std::hash::Hasher;
use std::os::unix::fs::FileExt;

/// What tells where a process comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descent {
    /// Its id.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its terminal session, named by the process that began it.
    pub session: i32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// It has ended, and waits to be collected by its parent.
    pub ended: bool,
}

/// Where the process `pid` comes from; `None` when it has ended. Threads answer as well,
/// see [`is_process`].
pub fn descent(pid: i32) -> Option<Descent> {
    let stat = super::process::read(format!("/proc/{pid}/stat")).ok()?;
    let field = |number| stat_field(&stat, number).map(|value| value as i32);
    Some(Descent {
        pid,
        parent: field(4)?,
        group: field(5)?,
        session: field(6)?,
        started: stat_field(&stat, 22)?,
        ended: super::process::is_ended(&stat),
    })
}

/// Whether `pid` names a process, and not one of its other threads: only whole processes
/// have a clock of their own. One system call, whoever the process belongs to.
pub fn is_process(pid: i32) -> bool {
    super::clock::process_cpu(pid).is_some()
}

/// The process that a thread belongs to; `None` where `id` is no thread's, or a process's own.
pub fn process_of_thread(id: i32) -> Option<i32> {
    let status = super::process::read(format!("/proc/{id}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    group.trim().parse().ok().filter(|group| *group != id)
}

/// Whether the process `pid` has memory, as far as can be told: one that ends gives it up before
/// it has ended.
pub fn has_memory(pid: i32) -> bool {
    // Who runs as another user is refused to us, which says nothing.
    !std::fs::read_link(format!("/proc/{pid}/exe"))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// All processes that we can see.
pub fn all() -> Vec<Descent> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    names.filter_map(descent).collect()
}

/// Whether the process `child` runs in the memory of `parent`, which started it: so it does
/// between `vfork` and `exec`, and looks like its parent.
pub fn borrows_memory(child: i32, parent: i32) -> bool {
    share_memory(child, parent).unwrap_or_else(|| stands_in_vfork(parent))
}

/// Whether two processes share their memory; `None` where the kernel does not tell.
fn share_memory(one: i32, other: i32) -> Option<bool> {
    const KCMP_VM: libc::c_int = 1; // linux/kcmp.h
    // SAFETY: kcmp(2) compares two kernel objects and takes no pointer.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0, 0) };
    (order >= 0).then_some(order == 0)
}

/// Whether a thread of the process `pid` waits within a system call that starts processes:
/// `vfork` lasts until the child has its own memory.
fn stands_in_vfork(pid: i32) -> bool {
    #[cfg(target_arch = "x86_64")]
    const CALLS: [libc::c_long; 3] = [libc::SYS_vfork, libc::SYS_clone, libc::SYS_clone3];
    #[cfg(not(target_arch = "x86_64"))]
    const CALLS: [libc::c_long; 2] = [libc::SYS_clone, libc::SYS_clone3];
    let mut tids = Vec::new();
    let dir = format!("/proc/{pid}");
    if super::threads::list(std::path::Path::new(&dir), &mut tids).is_err() {
        return false;
    }
    tids.iter().any(|tid| {
        let call = std::fs::read_to_string(format!("{dir}/task/{tid}/syscall")).unwrap_or_default();
        let number = call.split(' ').next().and_then(|number| number.parse().ok());
        number.is_some_and(|number: libc::c_long| CALLS.contains(&number))
    })
}

/// What tells one execution of a program from any other: `fork` keeps it, `exec` makes a
/// new one. (16 random bytes that the kernel hands to each program it starts, `AT_RANDOM`.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image([u8; 16]);

/// The execution that the process `pid` belongs to; `None` where it cannot be read.
pub fn image(pid: i32) -> Option<Image> {
    const AT_RANDOM: u64 = 25; // linux/auxvec.h
    let vector = super::process::read(format!("/proc/{pid}/auxv")).ok()?;
    let find = |arch: Arch| {
        let word = arch.word();
        let mut entries = vector.chunks_exact(2 * word);
        let entry = entries.find(|entry| arch.ptr(entry, 0) == Some(AT_RANDOM))?;
        let mut bytes = [0; 16];
        let memory = ProcessMemory::new(pid, arch);
        memory.read(arch.ptr(entry, word)?, &mut bytes).ok()?;
        Some(Image(bytes))
    };
    find(Arch::LE64).or_else(|| find(Arch { pointer: 4, big_endian: false }))
}

/// A number that changes when the process `pid` maps other files than before, and whether
/// the name of one of them (not of a folder that it is in) contains `part`.
pub fn mapped_files(pid: i32, part: &str) -> Option<(u64, bool)> {
    let maps = super::process::read(format!("/proc/{pid}/maps")).ok()?;
    let mut hasher = std::hash::DefaultHasher::new();
    let mut last: &[u8] = &[];
    let mut found = false;
    for line in maps.split(|byte| *byte == b'\n') {
        let Some(path) = line.iter().position(|byte| *byte == b'/') else { continue };
        if line[path..] != *last {
            last = &line[path..];
            hasher.write(last);
            let name = last.rsplit(|byte| *byte == b'/').next().unwrap_or(last);
            found |= name.windows(part.len().max(1)).any(|window| window == part.as_bytes());
        }
    }
    Some((hasher.finish(), found))
}

/// From now on processes whose parents have ended before them become our children, where
/// their parents come from us. They are to be collected by [`collect`].
pub fn adopt_orphans() -> bool {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a number and no pointer.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1 as libc::c_ulong, 0, 0, 0) == 0 }
}

/// Whether `pid` is a process that is our child, and not another thread of one.
pub(super) fn is_child(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    field("Tgid:") == Some(pid) && field("PPid:") == Some(std::process::id() as i32)
}

/// Collects the process `pid`, if it is a child of ours that has ended.
pub fn collect(pid: i32) {
    // `waitpid` would also take the stops that belong to a pause of it.
    // SAFETY: nothing is to be written.
    unsafe {
        let options = libc::WEXITED | libc::WNOHANG;
        libc::waitid(libc::P_PID, pid as libc::id_t, std::ptr::null_mut(), options)
    };
}

/// Collects those of our children that have ended and are not among `except`. Does nothing where
/// the kernel does not list children (`CONFIG_PROC_CHILDREN`).
pub fn collect_ended(except: impl Fn(i32) -> bool) {
    let own = std::process::id();
    let list = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
    let children = list.unwrap_or_default();
    for pid in children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()) {
        // One that lives may be held by us, and the end of a wait for that is not to be taken.
        if !except(pid) && descent(pid).is_some_and(|child| child.ended) {
            collect(pid);
        }
    }
}

/// Tells whether processes or threads have been started anywhere, from one number: the id
/// that was given out last (the last field of `/proc/loadavg`).
#[derive(Debug)]
pub struct Births {
    file: Option<File>,
    last: Option<i32>,
}

impl Default for Births {
    fn default() -> Births {
        Births { file: File::open("/proc/loadavg").ok(), last: None }
    }
}

impl Births {
    /// The last id given out; `None` where the system does not tell.
    pub fn last(&self) -> Option<i32> {
        let mut text = [0; 128];
        let got = self.file.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(text.get(..got)?).ok()?;
        text.trim_end().rsplit(' ').next()?.parse().ok()
    }

    /// Whether there were any since the last call, or that cannot be told.
    pub fn any(&mut self) -> bool {
        let last = self.last();
        let same = last.is_some() && last == self.last;
        self.last = last;
        !same
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::process::Stdio;

    #[test]
    fn a_child_is_born() {
        let own = std::process::id() as i32;
        let mut births = Births::default();
        births.any();
        let mut command = std::process::Command::new("cat");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("cat is there");
        let pid = child.id() as i32;
        assert!(births.any());
        // `spawn` returns when our memory is no longer borrowed: what the child maps and is
        // handed by the kernel comes a little later. It answers when all of that is there.
        child.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("it reads");
        child.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("it answers");
        let found = descent(pid).expect("it lives");
        assert_eq!((found.pid, found.parent), (pid, own));
        assert!(is_process(pid));
        assert!(all().contains(&found));
        assert!(!borrows_memory(pid, own));
        assert_eq!(share_memory(own, own), Some(true));
        // Not of ourselves: other tests start threads and processes meanwhile.
        assert!(!stands_in_vfork(pid));
        assert_eq!(image(own), image(own));
        assert!(image(own).is_some() && image(pid).is_some() && image(own) != image(pid));
        assert_ne!(mapped_files(own, "libc"), mapped_files(pid, "libc"));
        assert!(mapped_files(pid, "cat").is_some_and(|(_, found)| found));
        assert!(mapped_files(pid, "/").is_some_and(|(_, found)| !found));
        collect(pid);
        collect_ended(|_| false);
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(descent(pid), None);
        assert!(!is_process(pid) && image(pid).is_none() && mapped_files(pid, "").is_none());
    }

    #[test]
    fn threads_are_no_processes() {
        let (tell, told) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            // SAFETY: takes nothing and cannot fail.
            tell.send(unsafe { libc::syscall(libc::SYS_gettid) } as i32).expect("heard");
            let _ = wait.recv();
        });
        let tid = told.recv().expect("told");
        assert!(descent(tid).is_some() && !is_process(tid));
        drop(go);
        other.join().expect("ends");
    }
}
