//! What is mapped where: mappings, and the executables and libraries they make up.

use std::path::PathBuf;

/// One line of a process's memory map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub execute: bool,
    /// Offset in the mapped file.
    pub offset: u64,
    /// The file's inode; 0 for memory without a file.
    pub inode: u64,
    /// The file's path as the target's mount namespace names it, or a tag such as
    /// `[heap]`; empty for anonymous memory.
    pub path: String,
    /// The file was deleted, or another took its name, after it was mapped.
    pub deleted: bool,
}

impl Mapping {
    /// Bytes.
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// True for an empty range.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }
}

/// An executable or a library of the process.
#[derive(Debug, Clone)]
pub struct Module {
    /// The path the target knows it by.
    pub path: String,
    /// Where *we* can open the very file that is mapped, whatever has happened to its
    /// name since; `None` where it can only be seen in memory.
    pub file: Option<PathBuf>,
    /// It was deleted or replaced after it was mapped.
    pub deleted: bool,
    /// Its mappings in order of address, with the zero-initialised memory behind them.
    pub mappings: Vec<Mapping>,
}

impl Module {
    /// The lowest mapped address.
    pub fn start(&self) -> u64 {
        self.mappings.first().map_or(0, |mapping| mapping.start)
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The ranges that hold its variables (writable memory), in order of address.
    pub fn writable(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.mappings
            .iter()
            .filter(|mapping| mapping.read && mapping.write)
            .map(|mapping| (mapping.start, mapping.end))
    }
}

/// Groups mappings into modules: neighbours of one file, and the anonymous memory right
/// behind the last of them, which holds the zero-initialised variables. Only what may be
/// executed counts. No module has a [`Module::file`] yet.
pub fn group(mappings: &[Mapping]) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    let mut open = false;
    for mapping in mappings {
        let of_file = mapping.inode != 0 && mapping.path.starts_with('/');
        if of_file {
            // The first mapping of a module maps the file's start; a file that a program
            // mapped as data may come again elsewhere and is then a module of its own.
            // So may a page of one that was mapped for itself, right before it, as libffi
            // does (src/tramp.c).
            let begins = |last: &Module| {
                mapping.offset == 0 && last.mappings.first().is_some_and(|one| one.offset != 0)
            };
            let joins = open
                && modules.last().is_some_and(|last| {
                    !begins(last)
                        && last
                            .mappings
                            .iter()
                            .rev()
                            .any(|known| known.inode == mapping.inode && known.path == mapping.path)
                });
            if !joins {
                modules.push(Module {
                    path: mapping.path.clone(),
                    file: None,
                    deleted: mapping.deleted,
                    mappings: Vec::new(),
                });
            }
            open = true;
        }
        let Some(last) = modules.last_mut().filter(|_| open) else { continue };
        let adjacent = last.mappings.last().is_none_or(|before| before.end == mapping.start);
        // The heap of a non-PIE program can begin right behind its variables; holes
        // between a library's segments have no permissions.
        let bss = mapping.inode == 0
            && adjacent
            && (mapping.path.is_empty() || mapping.path == "[anon:.bss]");
        if of_file || bss {
            last.mappings.push(mapping.clone());
        } else {
            open = false;
        }
    }
    modules.retain(|module| module.mappings.iter().any(|mapping| mapping.execute));
    modules
}
