//! Core files: what a process left when it crashed, or what a debugger wrote down of a
//! living one (`gcore`). Nothing here depends on the machine that we run on.
//!
//! ```text
//!  source   the bytes: a plain file through a small cache, or one that is unpacked first
//!  header   the ELF header and the table of segments
//!  notes    threads with their registers, the signal, the mapped files
//!  files    which of the mapped files are here, and whether they are the very same
//!  image    memory: pages of the core, else of the files
//! ```
//!
//! Core files are written for debuggers by a kernel, but they are files: they may be cut
//! off, damaged or made by somebody hostile. Every number that comes from them is
//! checked before it is used, and nothing is read that is not asked for.

mod arguments;
mod files;
mod header;
mod image;
mod notes;
mod signal;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use files::{Lookup, MappedFile, Verdict};
pub use header::Machine;
pub use image::CoreMemory;
pub use notes::{CoreThread, ProcessInfo};
pub use signal::Signal;

use crate::elf::PAGE;
use crate::memory::Memory;
use crate::modules::{self, Mapping, Module};
use header::Header;
use image::Segment;
use notes::Notes;
use source::Source;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

/// Why a file cannot be read as a core file.
#[derive(Debug)]
pub enum CoreError {
    /// It cannot be opened or read.
    Io(std::io::Error),
    /// It is something else, or damaged; a sentence says what is wrong.
    NotACore(String),
    /// It is a core file of a machine that is not supported, or in a form that is not.
    Unsupported(String),
}

impl From<std::io::Error> for CoreError {
    fn from(error: std::io::Error) -> Self {
        CoreError::Io(error)
    }
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoreError::Io(error) => write!(f, "{error}"),
            CoreError::NotACore(why) | CoreError::Unsupported(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for CoreError {}

/// An opened core file.
#[derive(Debug)]
pub struct Core {
    /// The machine that the process ran on.
    pub machine: Machine,
    /// The process.
    pub process: ProcessInfo,
    /// The signal that ended it; `None` if it was alive (`gcore`).
    pub signal: Option<Signal>,
    /// Its threads; the first is the one that the signal was for.
    pub threads: Vec<CoreThread>,
    /// The auxiliary vector: what the kernel told the program at its start, type and
    /// value.
    pub auxiliary: Vec<(u64, u64)>,
    /// Its memory.
    pub memory: CoreMemory,
    /// Its mappings, in order of address.
    pub mappings: Vec<Mapping>,
    /// Its executable (first) and libraries. [`Module::file`] is set where the very file
    /// is here.
    pub modules: Vec<Module>,
    /// The files of the modules, and which of them are here.
    pub files: Vec<MappedFile>,
    /// How much of the file is missing at its end, in bytes: it was cut off.
    pub cut: u64,
}

/// `AT_*` (include/uapi/linux/auxvec.h).
const AT_PHDR: u64 = 3;
const AT_PAGESZ: u64 = 6;
const AT_ENTRY: u64 = 9;

impl Core {
    /// Opens the core file at `path`; the files that were mapped are sought as `lookup`
    /// says.
    pub fn open(path: &Path, lookup: &Lookup) -> Result<Core, CoreError> {
        let source = Source::open(path)?;
        let Header { machine, segments, notes: parts } = Header::read(&source)?;
        let mut notes = Notes::read(&source, machine, &parts)?;
        let cut = cut_off(&source, &segments, &parts);
        let auxiliary = |wanted: u64| {
            notes.auxiliary.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value)
        };
        let mut memory = CoreMemory::new(source, segments);
        let entry = auxiliary(AT_PHDR).or_else(|| auxiliary(AT_ENTRY));
        // Kernels for aarch64 may have pages of 16 or 64 KiB.
        let page = auxiliary(AT_PAGESZ).filter(|size| size.is_power_of_two() && *size <= 1 << 16);
        let page = page.map_or(PAGE as u64, |size| size.max(PAGE as u64));
        let files = files::find(&mut memory, &notes.files, entry, page, lookup);
        let mappings = image::mappings(&memory, &notes.files, &files);
        for thread in &mut notes.threads {
            thread.recall_system_call(|address| memory.uint(address, 4).ok());
        }
        let mut modules = modules::group(&mappings);
        let usable: HashMap<&str, Option<&Path>> =
            files.iter().rev().map(|file| (file.path.as_str(), file.verdict.usable())).collect();
        for module in &mut modules {
            let file = usable.get(module.path.as_str()).copied().flatten();
            module.file = file.map(Path::to_owned);
        }
        let programs: HashSet<&str> =
            files.iter().filter(|file| file.executable).map(|file| file.path.as_str()).collect();
        modules.sort_by_key(|module| !programs.contains(module.path.as_str()));
        Ok(Core {
            machine,
            process: notes.process,
            signal: notes.signal,
            threads: notes.threads,
            auxiliary: notes.auxiliary,
            memory,
            mappings,
            modules,
            files,
            cut,
        })
    }

    /// The path of the executable, as the process knew it.
    pub fn executable(&self) -> Option<&str> {
        self.files.iter().find(|file| file.executable).map(|file| file.path.as_str())
    }
}

/// How many bytes the headers promise that are not there.
fn cut_off(source: &Source, segments: &[Segment], notes: &[(u64, u64)]) -> u64 {
    let ends = segments.iter().filter(|segment| segment.in_file > 0).map(Segment::file_end);
    let notes = notes.iter().map(|(offset, length)| offset.saturating_add(*length));
    ends.chain(notes).max().unwrap_or(0).saturating_sub(source.length())
}
