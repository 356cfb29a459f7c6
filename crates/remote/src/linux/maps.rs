//! `/proc/PID/maps`, and the modules it shows.

use crate::Memory;
use crate::elf::{self, PAGE};
use crate::modules::{self, Mapping, Module};
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Parses the text of `/proc/PID/maps`; lines that make no sense are left out.
pub fn parse(text: &str) -> Vec<Mapping> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let (head, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = tail.trim_start();
        head
    };
    let (start, end) = field().split_once('-')?;
    let flags = field().as_bytes().to_vec();
    let offset = field();
    let _device = field();
    let inode = field();
    let deleted = rest.ends_with(" (deleted)");
    let path = rest.strip_suffix(" (deleted)").unwrap_or(rest);
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        read: flags.first() == Some(&b'r'),
        write: flags.get(1) == Some(&b'w'),
        execute: flags.get(2) == Some(&b'x'),
        offset: u64::from_str_radix(offset, 16).ok()?,
        inode: inode.parse().ok()?,
        path: unescape(path),
        deleted,
    })
}

/// The kernel writes newlines in paths as `\012`.
fn unescape(path: &str) -> String {
    path.replace("\\012", "\n")
}

/// The modules that `mappings` make up, with the files behind them. `proc_dir` is
/// `/proc/PID`, and `memory` that process's.
pub fn modules(mappings: &[Mapping], proc_dir: &Path, memory: &dyn Memory) -> Vec<Module> {
    let mut modules = modules::group(mappings);
    for module in &mut modules {
        module.file = openable(module, proc_dir, memory);
    }
    modules
}

/// Where the file that is really mapped can be opened from here: `map_files` names the
/// mapping's own inode whatever happened to the path (it wants CAP_CHECKPOINT_RESTORE),
/// `exe` likewise for the executable, and the path under the target's root serves while
/// its inode is still the one that is mapped.
fn openable(module: &Module, proc_dir: &Path, memory: &dyn Memory) -> Option<PathBuf> {
    let first = module.mappings.first()?;
    let same =
        |path: &Path| path.metadata().is_ok_and(|meta| meta.ino() == first.inode && meta.is_file());
    let by_root = proc_dir.join("root").join(first.path.trim_start_matches('/'));
    if !module.deleted && same(&by_root) {
        return Some(by_root);
    }
    let by_mapping = proc_dir.join(format!("map_files/{:x}-{:x}", first.start, first.end));
    if same(&by_mapping) {
        return Some(by_mapping);
    }
    let by_exe = proc_dir.join("exe");
    if same(&by_exe) {
        return Some(by_exe);
    }
    // Overlay file systems may show another inode number in the map than to stat; but another
    // file may have been mounted there as well.
    (!module.deleted && begins_alike(&by_root, first, memory)).then_some(by_root)
}

/// Whether a file has what is mapped of it in its first page: of a library or executable,
/// headers that no two builds have in common, and mostly the build id. The rest of the page
/// is not compared where the loader may have written to it.
fn begins_alike(path: &Path, mapping: &Mapping, memory: &dyn Memory) -> bool {
    // Only a plain file is opened: a target could wait for us behind a FIFO.
    if !path.metadata().is_ok_and(|meta| meta.is_file()) {
        return false;
    }
    let mut mapped = [0; PAGE];
    let mut found = [0; PAGE];
    let length = File::open(path).and_then(|file| file.read_at(&mut found, mapping.offset));
    let length = length.unwrap_or(0);
    if length == 0 || memory.read(mapping.start, &mut mapped[..length]).is_err() {
        return false;
    }
    let length = if mapping.write { elf::headers_length(&mapped).min(length) } else { length };
    mapped[..length] == found[..length]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arch;
    use crate::linux::ProcessMemory;

    fn memory() -> ProcessMemory {
        ProcessMemory::new(std::process::id() as i32, Arch::LE64)
    }

    /// A file is told from another that is at its path by what is mapped of it.
    #[test]
    fn another_file_at_the_same_path() {
        let own = std::fs::read("/proc/self/exe").expect("ours");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("program");
        let mapping = |write| Mapping {
            start: own.as_ptr() as u64,
            end: own.as_ptr() as u64 + PAGE as u64,
            read: true,
            write,
            execute: false,
            offset: 0,
            inode: 1,
            path: path.to_str().expect("plain").to_owned(),
            deleted: false,
        };
        let alike = |write| begins_alike(&path, &mapping(write), &memory());
        assert!(!alike(false));
        let mut other = own.clone();
        std::fs::write(&path, &other).expect("written");
        assert!(alike(false) && alike(true));
        // Behind the headers: the loader may have done it.
        other[PAGE - 1] ^= 1;
        std::fs::write(&path, &other).expect("written");
        assert!(!alike(false) && alike(true));
        other[24] ^= 1;
        std::fs::write(&path, &other).expect("written");
        assert!(!alike(false) && !alike(true));
        std::fs::write(&path, b"").expect("written");
        assert!(!alike(false) && !alike(true));
    }

    const MAPS: &str = "\
00400000-00423000 r--p 00000000 fe:00 42 /usr/bin/python3.11
00423000-006b3000 r-xp 00023000 fe:00 42 /usr/bin/python3.11
00a67000-00ba0000 rw-p 00666000 fe:00 42 /usr/bin/python3.11
00ba0000-00bcd000 rw-p 00000000 00:00 0 
01f35000-01fd9000 rw-p 00000000 00:00 0                                  [heap]
7f0000000000-7f0000001000 r--p 00000000 fe:00 7 /usr/share/locale data
7f1000000000-7f1000001000 r-xp 00000000 fe:00 9 /tmp/lib a.so (deleted)
7f1000001000-7f1000002000 ---p 00001000 fe:00 9 /tmp/lib a.so (deleted)
7f1000002000-7f1000003000 rw-p 00001000 fe:00 9 /tmp/lib a.so (deleted)
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
nonsense
";

    #[test]
    fn lines_and_modules() {
        let mappings = parse(MAPS);
        assert_eq!(mappings.len(), 11);
        assert_eq!(mappings[6].path, "/tmp/lib a.so");
        assert!(mappings[6].deleted && mappings[6].execute && !mappings[6].write);
        let modules = modules(&mappings, Path::new("/nonexistent"), &memory());
        let names: Vec<_> = modules.iter().map(|module| module.name()).collect();
        assert_eq!(names, ["python3.11", "lib a.so"]);
        let writable: Vec<_> = modules[0].writable().collect();
        assert_eq!(writable, [(0xa67000, 0xba0000), (0xba0000, 0xbcd000)]);
        assert_eq!(modules[1].mappings.len(), 3);
        assert!(modules[1].deleted);
    }
    #[test]
    fn a_page_right_before_a_library_is_none_of_its_own() {
        let maps = "\
7f0652f10000-7f0652f11000 r-xp 0000d000 fe:00 5 /usr/lib/libffi.so.8.5.0
7f0652f11000-7f0652f12000 rw-p 00000000 00:00 0 
7f0652f12000-7f0652f14000 r--p 00000000 fe:00 5 /usr/lib/libffi.so.8.5.0
7f0652f14000-7f0652f21000 r-xp 00002000 fe:00 5 /usr/lib/libffi.so.8.5.0
";
        let modules = modules(&parse(maps), Path::new("/nonexistent"), &memory());
        let starts: Vec<_> = modules.iter().map(Module::start).collect();
        assert_eq!(starts, [0x7f0652f10000, 0x7f0652f12000]);
    }
}
