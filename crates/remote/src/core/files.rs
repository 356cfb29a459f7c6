//! The files that were mapped: which of them are here, and are they the same.

use super::image::CoreMemory;
use super::notes::FileRange;
use super::source::Source;
use crate::elf::{self, PAGE};
use std::path::{Path, PathBuf};

/// Where to look for the files that a process had mapped.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    /// The executable.
    pub executable: Option<PathBuf>,
    /// Folders that hold libraries (and the executable), by the last part of their path.
    pub lib_paths: Vec<PathBuf>,
    /// A folder that holds a copy of the machine's root folder.
    pub sysroot: Option<PathBuf>,
}

/// An executable or a library that was mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedFile {
    /// Its path, as the process knew it.
    pub path: String,
    /// It is the program itself.
    pub executable: bool,
    /// Whether it is here.
    pub verdict: Verdict,
    /// Files that were looked at and are other ones, each with what differs.
    pub rejected: Vec<(PathBuf, String)>,
}

/// What was found of a mapped file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The very file: its build id (or its first page) is the one in the core.
    Same(PathBuf),
    /// A file of that name. The core has nothing to compare it with.
    Unverified(PathBuf),
    /// None, or only other ones.
    Missing,
}

impl Verdict {
    /// The file, where there is one that may be read.
    pub fn usable(&self) -> Option<&Path> {
        match self {
            Verdict::Same(path) | Verdict::Unverified(path) => Some(path),
            Verdict::Missing => None,
        }
    }
}

/// More files than this are not looked for.
const MAX_FILES: usize = 4096;

/// The path of a mapping without the mark of a file that was deleted meanwhile.
pub fn without_deleted(path: &str) -> (&str, bool) {
    match path.strip_suffix(" (deleted)") {
        Some(path) => (path, true),
        None => (path, false),
    }
}

/// Looks for the executables and libraries among the mapped files, and attaches those
/// that are here to `memory`. `entry` is an address inside of the program; `page` is the
/// size of the kernel's pages.
pub fn find(
    memory: &mut CoreMemory,
    ranges: &[FileRange],
    entry: Option<u64>,
    page: u64,
    lookup: &Lookup,
) -> Vec<MappedFile> {
    let mut by_path: Vec<(&str, bool, Vec<&FileRange>)> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for range in ranges {
        let (path, deleted) = without_deleted(&range.path);
        let at = *index.entry(range.path.as_str()).or_insert(by_path.len());
        if let Some((.., own)) = by_path.get_mut(at) {
            own.push(range);
        } else if by_path.len() < MAX_FILES {
            by_path.push((path, deleted, vec![range]));
        }
    }
    let mut files = Vec::new();
    for (path, deleted, own) in by_path {
        let inside = |entry: u64| own.iter().any(|range| (range.start..range.end).contains(&entry));
        let executable = entry.is_some_and(inside);
        let wanted = Wanted::new(memory, &own, page);
        let Some(file) = look(path, deleted, executable, &wanted, lookup) else { continue };
        if let Some(source) = file.verdict.usable().and_then(|path| Source::open_as_is(path).ok()) {
            memory.attach(source, &own);
        }
        files.push(file);
    }
    memory.settle();
    files
}

/// What the core knows of a file.
struct Wanted {
    /// What its first page begins with, or nothing.
    page: Vec<u8>,
    build_id: Option<Vec<u8>>,
    /// How far it was mapped.
    length: u64,
    /// In steps of this.
    unit: u64,
}

impl Wanted {
    fn new(memory: &CoreMemory, ranges: &[&FileRange], page: u64) -> Wanted {
        // Holes between segments may reach beyond the file's end, as with those of aarch64,
        // which lie 64 KiB apart.
        let used = ranges.iter().filter(|range| !memory.is_hole(range.start));
        let length = used.map(|range| range.offset.saturating_add(range.end - range.start));
        let length = length.max().unwrap_or(0);
        let mut wanted = Wanted { page: Vec::new(), build_id: None, length, unit: page };
        if let Some(first) = ranges.iter().find(|range| range.offset == 0) {
            let mut page = vec![0; PAGE];
            if memory.read_own(first.start, &mut page) {
                if memory.is_writable(first.start) {
                    // The loader may have changed what is behind the headers.
                    page.truncate(elf::headers_length(&page));
                }
                wanted.page = page;
                wanted.build_id = elf::build_id_in_memory(first.start, |address, bytes| {
                    memory.read_own(address, bytes)
                });
            }
        }
        wanted
    }
}

/// `None` for a file that is neither executable nor library.
fn look(
    path: &str,
    deleted: bool,
    executable: bool,
    wanted: &Wanted,
    lookup: &Lookup,
) -> Option<MappedFile> {
    if !wanted.page.is_empty() && !wanted.page.starts_with(b"\x7fELF") {
        return None;
    }
    let mut rejected = Vec::new();
    let mut data = false;
    let mut unverified = None;
    for candidate in candidates(path, executable, lookup) {
        match compare(&candidate, wanted) {
            Likeness::Same => {
                let verdict = Verdict::Same(candidate);
                return Some(MappedFile { path: path.to_owned(), executable, verdict, rejected });
            }
            Likeness::Unknown if deleted => {
                rejected.push((candidate, "the one that was mapped had been deleted".to_owned()));
            }
            Likeness::Unknown => unverified = unverified.or(Some(candidate)),
            Likeness::Other(why) => rejected.push((candidate, why)),
            Likeness::NoElf => data = true,
            Likeness::Absent => {}
        }
    }
    let library = path.rsplit('/').next().is_some_and(|name| name.contains(".so"));
    let known = executable || library || !wanted.page.is_empty() || !rejected.is_empty();
    if unverified.is_none() && (data || !known) {
        return None;
    }
    let verdict = unverified.map_or(Verdict::Missing, Verdict::Unverified);
    Some(MappedFile { path: path.to_owned(), executable, verdict, rejected })
}

/// Where a file may be, the likeliest first.
fn candidates(path: &str, executable: bool, lookup: &Lookup) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if executable && let Some(given) = &lookup.executable {
        found.push(given.clone());
    }
    let Some(relative) = path.strip_prefix('/') else { return found };
    if let Some(name) = Path::new(relative).file_name() {
        found.extend(lookup.lib_paths.iter().map(|folder| folder.join(name)));
    }
    // With a folder for the whole system, this machine's own files are of another one.
    match &lookup.sysroot {
        Some(root) if Path::new(relative).components().all(is_plain) => {
            found.push(root.join(relative));
        }
        Some(_) => {}
        None => found.push(PathBuf::from(path)),
    }
    found
}

fn is_plain(part: std::path::Component) -> bool {
    matches!(part, std::path::Component::Normal(_))
}

enum Likeness {
    Same,
    /// There is nothing to compare it with.
    Unknown,
    Other(String),
    /// It is neither executable nor library.
    NoElf,
    Absent,
}

fn compare(candidate: &Path, wanted: &Wanted) -> Likeness {
    let Ok(source) = Source::open_as_is(candidate) else { return Likeness::Absent };
    let mut page = vec![0; PAGE];
    let got = source.read_at(0, &mut page).unwrap_or(0);
    if !page[..got].starts_with(b"\x7fELF") {
        return Likeness::NoElf;
    }
    let whole = source.length().checked_next_multiple_of(wanted.unit);
    if whole.is_some_and(|whole| whole < wanted.length) {
        return Likeness::Other(format!(
            "it has {} bytes, and {} of the other were mapped",
            source.length(),
            wanted.length
        ));
    }
    if let Some(wanted) = &wanted.build_id
        && let Some(own) = elf::build_id(candidate)
    {
        if own == *wanted {
            return Likeness::Same;
        }
        return Likeness::Other(format!("build id {}, not {}", hex(&own), hex(wanted)));
    }
    match &wanted.page {
        nothing if nothing.is_empty() => Likeness::Unknown,
        same if page.starts_with(same) => Likeness::Same,
        _ => Likeness::Other("it begins with something else".to_owned()),
    }
}

/// A build id as it is written everywhere.
fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
