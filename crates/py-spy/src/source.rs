//! Source files of the target, and the short names they are shown by.

use remote::os::mounts::Mounts;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// Shortens paths, each once.
#[derive(Debug, Default)]
pub struct ShortNames {
    known: HashMap<String, String>,
    packages: HashMap<PathBuf, bool>,
    mounts: Option<Mounts>,
}

impl ShortNames {
    /// `path` without the folders above its topmost package: a folder counts as a
    /// package when it holds an `__init__.py` in the target's file system, which begins at `root`.
    /// File systems of other machines that do not answer are not waited for.
    pub fn short<'a>(&'a mut self, root: &Path, path: &str) -> &'a str {
        if !self.known.contains_key(path) {
            let short = self.shorten(root, path);
            self.known.insert(path.to_owned(), short);
        }
        self.known.get(path).map_or("", String::as_str)
    }

    fn shorten(&mut self, root: &Path, path: &str) -> String {
        let whole = Path::new(path);
        // `<frozen importlib._bootstrap>`, `<string>` and relative paths stay as they are
        // up to their last part.
        if path.starts_with('<') || whole.file_name().is_none() {
            return path.to_owned();
        }
        let mut start = whole.parent();
        while let Some(folder) = start.filter(|folder| self.is_package(root, folder)) {
            start = folder.parent();
        }
        let parts = start.map_or(0, |folder| folder.components().count());
        let rest: PathBuf = whole.components().skip(parts).collect();
        rest.to_string_lossy().into_owned()
    }

    fn is_package(&mut self, root: &Path, folder: &Path) -> bool {
        let plain =
            folder.is_absolute() && !folder.components().any(|part| part == Component::ParentDir);
        if !plain || folder.parent().is_none() {
            return false;
        }
        if let Some(known) = self.packages.get(folder) {
            return *known;
        }
        let init = folder.join("__init__.py");
        // The root of a process, `/proc/PID/root`, lies beside what it sees mounted.
        let proc_dir = root.parent().filter(|_| root.starts_with("/proc"));
        let mounts = || Mounts::of(proc_dir.unwrap_or(Path::new("/proc/self")));
        let mounts = self.mounts.get_or_insert_with(mounts);
        let found = match proc_dir {
            Some(_) => mounts.is_file(root, &init),
            None => {
                let inside = init.strip_prefix("/").unwrap_or(&init);
                mounts.is_file(Path::new("/"), &root.join(inside))
            }
        };
        self.packages.insert(folder.to_owned(), found);
        found
    }
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_keep_their_folders() {
        let root = tempfile::tempdir().expect("a folder");
        let package = root.path().join("app/pkg/sub");
        std::fs::create_dir_all(&package).expect("folders");
        for folder in [&package, &root.path().join("app/pkg")] {
            std::fs::write(folder.join("__init__.py"), "").expect("a file");
        }
        let root_of_all = Path::new("/");
        let mut names = ShortNames::default();
        let file = package.join("mod.py");
        assert_eq!(names.short(root_of_all, &file.to_string_lossy()), "pkg/sub/mod.py");
        let top = root.path().join("app/main.py");
        assert_eq!(names.short(root_of_all, &top.to_string_lossy()), "main.py");
        assert_eq!(names.short(root_of_all, "<string>"), "<string>");
        assert_eq!(names.short(root_of_all, "rel/mod.py"), "mod.py");
        assert_eq!(names.short(root_of_all, ""), "");
    }
}
