//! Which file a path leads to, and how many may be open.
#![allow(unsafe_code)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file and the state that its contents were in: equal for what need not be read twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
    size: u64,
    /// When it was written last: seconds, and nanoseconds beside them.
    modified: (i64, i64),
}

impl FileId {
    /// Of the file at `path`; `None` if there is none that we may look at.
    pub fn of(path: &Path) -> Option<FileId> {
        let data = path.metadata().ok()?;
        let modified = (data.mtime(), data.mtime_nsec());
        Some(FileId { device: data.dev(), inode: data.ino(), size: data.size(), modified })
    }
}

/// Lets this process open as many files as it may without asking anyone: the usual limit is
/// that of programs that use `select`. What is started from now on inherits it.
pub fn open_many() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid rlimit of ours, and only the first writes to it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && limit.rlim_cur < limit.rlim_max
        {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_or_other_contents_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let [one, other, link] = ["one", "other", "link"].map(|name| folder.path().join(name));
        std::fs::write(&one, "same").expect("a file");
        std::fs::write(&other, "same").expect("a file");
        std::os::unix::fs::symlink(&one, &link).expect("a link");
        let before = FileId::of(&one);
        assert!(before.is_some() && before == FileId::of(&link) && before != FileId::of(&other));
        std::fs::write(&one, "more than that").expect("a file");
        assert_ne!(before, FileId::of(&one));
        assert_eq!(FileId::of(&folder.path().join("none")), None);
    }
}
