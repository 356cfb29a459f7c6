//! What is mounted where, for files that might never be reached.

use std::collections::{HashSet, VecDeque};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

/// More links than this are not followed (MAXSYMLINKS of Linux, include/linux/namei.h).
const MAX_LINKS: usize = 40;

/// The kinds of file systems of which another machine or another program has the files:
/// who asks for one waits for as long as these do not answer.
pub fn is_remote(kind: &str) -> bool {
    const REMOTE: [&str; 13] = [
        "nfs", "cifs", "smb", "ceph", "9p", "afs", "lustre", "gfs", "ocfs", "fuse", "fuseblk",
        "autofs", "beegfs",
    ];
    let plain = kind.trim_end_matches(|c: char| c.is_ascii_digit());
    kind.starts_with("fuse.") || REMOTE.iter().any(|name| *name == plain || *name == kind)
}

/// One line of `/proc/PID/mountinfo` (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its id.
    pub id: u64,
    /// The path that it is mounted at.
    pub point: PathBuf,
    /// The kind of file system.
    pub kind: String,
}

/// A remote file system that has not answered after this long is not asked again.
const PATIENCE: Duration = Duration::from_secs(1);

/// All that a process sees mounted.
#[derive(Debug, Default)]
pub struct Mounts {
    all: Vec<Mount>,
    /// Those that did not answer, by id.
    silent: HashSet<u64>,
}

impl Mounts {
    /// Those of the process at `proc_dir` (`/proc/PID`); none if that cannot be told.
    pub fn of(proc_dir: &Path) -> Mounts {
        let text = std::fs::read(proc_dir.join("mountinfo")).unwrap_or_default();
        let all = String::from_utf8_lossy(&text).lines().filter_map(parse).collect();
        Mounts { all, silent: HashSet::new() }
    }

    /// The one with this id.
    pub fn by_id(&self, id: u64) -> Option<&Mount> {
        self.all.iter().find(|mount| mount.id == id)
    }

    /// The remote file system that `path` is on, if that is mounted below the root: without that
    /// of the root no program would have started.
    fn remote(&self, path: &Path) -> Option<u64> {
        // Of several at one place the last one covers the others.
        let deepest = |mount: &&Mount| path.starts_with(&mount.point);
        let own = self.all.iter().filter(deepest).max_by_key(|mount| mount.point.as_os_str().len());
        own.filter(|mount| mount.point.parent().is_some() && is_remote(&mount.kind))
            .map(|mount| mount.id)
    }

    /// Whether an absolute path of a process whose file system begins at `root` is a file.
    /// Remote file systems, for the links on the way as well, are not waited for long: false
    /// where one does not answer.
    pub fn is_file(&mut self, root: &Path, path: &Path) -> bool {
        let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        let mut todo: VecDeque<PathBuf> = parts(path).collect();
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            if part == Path::new("..") {
                at.pop();
                continue;
            }
            at.push(part);
            if let Some(mount) = self.remote(&at) {
                let path = todo.iter().fold(inside(&at), |path, part| path.join(part));
                return self.ask(mount, PATIENCE, move || path.is_file());
            }
            let Ok(target) = std::fs::read_link(inside(&at)) else { continue };
            links += 1;
            if links > MAX_LINKS {
                return false;
            }
            at.pop();
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for part in parts(&target).rev() {
                todo.push_front(part);
            }
        }
        inside(&at).is_file()
    }

    /// What a remote file system says, if it does.
    fn ask(
        &mut self,
        mount: u64,
        patience: Duration,
        question: impl FnOnce() -> bool + Send + 'static,
    ) -> bool {
        if self.silent.contains(&mount) {
            return false;
        }
        let (tell, told) = channel();
        let asking = std::thread::Builder::new().name("mount".into());
        // A thread that never gets its answer ends with us.
        let asking = asking.spawn(move || tell.send(question()));
        let answer = asking.ok().and_then(|_| told.recv_timeout(patience).ok());
        if answer.is_none() {
            self.silent.insert(mount);
        }
        answer.unwrap_or(false)
    }
}

/// The parts of a path, without its root.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = PathBuf> {
    path.components().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(PathBuf::from(part.as_os_str())),
        _ => None,
    })
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw`
fn parse(line: &str) -> Option<Mount> {
    let (head, rest) = line.split_once(" - ")?;
    let mut words = head.split(' ');
    let id = words.next()?.parse().ok()?;
    let point = PathBuf::from(unescaped(words.nth(3)?));
    Some(Mount { id, point, kind: rest.split(' ').next()?.to_owned() })
}

/// Blanks and such are written as `\040`.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut found = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                found.push(char::from(byte));
                found.push_str(part.get(3..).unwrap_or_default());
            }
            None => {
                found.push('\\');
                found.push_str(part);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_kinds() {
        let line = r"36 35 98:0 / /a\040b rw,noatime shared:1 - fuse.sshfs x@y:/ rw";
        let mount = parse(line).expect("a mount");
        assert_eq!((mount.id, mount.point.as_path()), (36, Path::new("/a b")));
        assert!(is_remote(&mount.kind) && is_remote("nfs4") && is_remote("smb3"));
        assert!(!is_remote("ext4") && !is_remote("overlay") && !is_remote("tmpfs"));
        assert_eq!(parse("36 35"), None);
    }

    #[test]
    fn links_lead_within_the_root() {
        let root = tempfile::tempdir().expect("a folder");
        let make = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, "").expect("a file");
        };
        make("net/app/f");
        make("app/f");
        let link = |to: &str, at: &str| {
            std::os::unix::fs::symlink(to, root.path().join(at)).expect("a link");
        };
        link("/net/app", "far");
        link("../app/./f", "app/near");
        link("round", "round");
        let lines = ["1 0 0:1 / / rw - fuse.root x rw", "2 1 0:2 / /net rw - nfs4 x rw"];
        let all = lines.iter().filter_map(|line| parse(line)).collect();
        let mut mounts = Mounts { all, silent: HashSet::new() };
        assert_eq!(mounts.remote(Path::new("/net/app")), Some(2));
        assert_eq!(mounts.remote(Path::new("/app")), None);
        let mut found = |path: &str| mounts.is_file(root.path(), Path::new(path));
        for path in ["/app/f", "/app/near", "/net/app/f", "/far/f"] {
            assert!(found(path), "{path}");
        }
        for path in ["/round/f", "/app", "/app/none", "/net/app"] {
            assert!(!found(path), "{path}");
        }
        mounts.silent.insert(2);
        assert!(!mounts.is_file(root.path(), Path::new("/far/f")));
    }

    #[test]
    fn who_does_not_answer_is_not_asked_again() {
        let mut mounts = Mounts::default();
        let (answer, never) = channel();
        let question = move || never.recv().unwrap_or(true);
        assert!(!mounts.ask(7, Duration::from_millis(10), question));
        assert!(!mounts.ask(7, PATIENCE, || true));
        assert!(mounts.ask(8, PATIENCE, || true));
        drop::<std::sync::mpsc::Sender<bool>>(answer);
    }
}
