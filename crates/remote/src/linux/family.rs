//! Which process started which.
#![allow(unsafe_code)]

use super::process::stat_field;
use std::fs::File;
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
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
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

/// Whether `pid` names a process, and not one of its other threads.
pub fn is_process(pid: i32) -> bool {
    let status = std::fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    group.and_then(|text| text.trim().parse().ok()) == Some(pid)
}

/// All processes that we can see.
pub fn all() -> Vec<Descent> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    names.filter_map(descent).collect()
}

/// Whether two processes share their memory: between `vfork` and `exec` a child runs in
/// its parent's, and looks like it. `None` where the kernel does not tell.
pub fn share_memory(one: i32, other: i32) -> Option<bool> {
    const KCMP_VM: libc::c_int = 1; // linux/kcmp.h
    // SAFETY: kcmp(2) compares two kernel objects and takes no pointer.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0, 0) };
    (order >= 0).then_some(order == 0)
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

    #[test]
    fn a_child_is_born() {
        let own = std::process::id() as i32;
        let mut births = Births::default();
        births.any();
        let mut child =
            std::process::Command::new("sleep").arg("1000").spawn().expect("sleep is there");
        let pid = child.id() as i32;
        assert!(births.any());
        let found = descent(pid).expect("it lives");
        assert_eq!((found.pid, found.parent), (pid, own));
        assert!(is_process(pid));
        assert!(all().contains(&found));
        assert_ne!(share_memory(own, pid), Some(true));
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(descent(pid), None);
    }
}
