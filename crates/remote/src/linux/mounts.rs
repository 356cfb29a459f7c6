//! What is mounted where, for files that might never be reached.

use std::collections::VecDeque;
use std::path::{Component, Path, PathBuf};

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

/// All that a process sees mounted.
#[derive(Debug, Default)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// Those of the process at `proc_dir` (`/proc/PID`); none if that cannot be told.
    pub fn of(proc_dir: &Path) -> Mounts {
        let text = std::fs::read(proc_dir.join("mountinfo")).unwrap_or_default();
        Mounts(String::from_utf8_lossy(&text).lines().filter_map(parse).collect())
    }

    /// The one with this id.
    pub fn by_id(&self, id: u64) -> Option<&Mount> {
        self.0.iter().find(|mount| mount.id == id)
    }

    /// Whether what lies at `path` is on a remote file system that is mounted below the
    /// root: without that of the root no program would have started.
    fn is_remote(&self, path: &Path) -> bool {
        // Of several at one place the last one covers the others.
        let deepest = |mount: &&Mount| path.starts_with(&mount.point);
        let own = self.0.iter().filter(deepest).max_by_key(|mount| mount.point.as_os_str().len());
        own.is_some_and(|mount| mount.point.parent().is_some() && is_remote(&mount.kind))
    }

    /// Whether an absolute path of a process whose file system begins at `root` is a file.
    /// False where a remote file system would have to be asked, for the links on the way as
    /// well.
    pub fn is_local_file(&self, root: &Path, path: &Path) -> bool {
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
            if self.is_remote(&at) {
                return false;
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
    fn nothing_remote_is_asked() {
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
        let mounts = Mounts(lines.iter().filter_map(|line| parse(line)).collect());
        let found = |path: &str| mounts.is_local_file(root.path(), Path::new(path));
        assert!(found("/app/f") && found("/app/near"));
        for path in ["/net/app/f", "/far/f", "/round/f", "/app", "/app/none"] {
            assert!(!found(path), "{path}");
        }
    }
}
