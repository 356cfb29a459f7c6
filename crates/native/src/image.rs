//! One executable or library of the target, with what is known of its code.

use crate::symbol::library::Library;
use crate::symbol::{Source, Symbols};
use crate::unwind::cfi::{Found, Tables};
use object::{Object, ObjectSection};
use remote::core::Machine;
use remote::elf::Headers;
use remote::{Arch, Memory};
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

/// A mapped ELF file, or the vDSO.
#[derive(Debug)]
pub(crate) struct Image {
    /// What the target calls its file.
    pub path: String,
    /// Where we can open that file.
    pub file: Option<PathBuf>,
    /// The mapped range.
    pub range: (u64, u64),
    /// It holds the interpreter.
    pub interpreter: bool,
    inode: u64,
    headers: Option<Headers>,
    tables: Lazy<Tables>,
    symbols: Lazy<Rc<RefCell<Symbols>>>,
}

/// Something that is made when it is first needed, or found to be missing.
#[derive(Debug)]
enum Lazy<T> {
    NotYet,
    Missing,
    There(T),
}

impl<T> Lazy<T> {
    fn get(&mut self, make: impl FnOnce() -> Option<T>) -> Option<&mut T> {
        if let Lazy::NotYet = self {
            *self = make().map_or(Lazy::Missing, Lazy::There);
        }
        match self {
            Lazy::There(value) => Some(value),
            _ => None,
        }
    }
}

impl Image {
    /// Reads nothing yet.
    pub fn new(
        path: &str,
        file: Option<PathBuf>,
        inode: u64,
        range: (u64, u64),
        interpreter: bool,
    ) -> Image {
        Image {
            path: path.to_owned(),
            file,
            range,
            interpreter,
            inode,
            headers: None,
            tables: Lazy::NotYet,
            symbols: Lazy::NotYet,
        }
    }

    /// Whether this is the same file at the same place.
    pub fn is(&self, path: &str, inode: u64, range: (u64, u64)) -> bool {
        // More may have been mapped behind it: the zero-initialised variables, or the heap.
        self.path == path && self.inode == inode && self.range.0 == range.0
    }

    /// Whether it is no ELF file, but memory that only looks like a file: code may be
    /// generated into memory that is shared (`/dev/zero`, `/memfd:`).
    pub fn is_raw(&self, memory: &dyn Memory) -> bool {
        let mut magic = [0; 4];
        memory.read(self.range.0, &mut magic).is_ok() && magic != *b"\x7fELF"
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The last part of the Python module's name, for an extension module.
    pub fn python_module(&self) -> Option<&str> {
        self.name().split('.').next()
    }

    /// The address in the file.
    pub fn in_file(&mut self, memory: &dyn Memory, address: u64) -> u64 {
        let start = self.range.0;
        let bias = self.headers(memory).map_or(start, |headers| headers.bias);
        address.wrapping_sub(bias)
    }

    fn headers(&mut self, memory: &dyn Memory) -> Option<&Headers> {
        if self.headers.is_none() {
            let start = self.range.0;
            let read = |address: u64, into: &mut [u8]| memory.read(address, into).is_ok();
            let headers = Headers::read(Arch::LE64, start, read);
            // Not the start of a file, or unreadable.
            let nothing = Headers { bias: start, programs: Vec::new() };
            self.headers = Some(headers.unwrap_or(nothing));
        }
        self.headers.as_ref()
    }

    /// What the unwind information says of an address in the target.
    pub fn unwind(&mut self, memory: &dyn Memory, machine: Machine, address: u64) -> Option<Found> {
        let at = self.in_file(memory, address);
        let bias = address.wrapping_sub(at);
        let mut found = self.tables(memory, machine)?.find(at)?;
        found.function.0 = found.function.0.wrapping_add(bias);
        found.function.1 = found.function.1.wrapping_add(bias);
        Some(found)
    }

    /// The range of the function at an address, both in the target.
    pub fn function(
        &mut self,
        memory: &dyn Memory,
        machine: Machine,
        address: u64,
    ) -> Option<(u64, u64)> {
        let at = self.in_file(memory, address);
        let bias = address.wrapping_sub(at);
        let (start, end) = self.tables(memory, machine)?.function(at)?;
        Some((start.wrapping_add(bias), end.wrapping_add(bias)))
    }

    fn tables(&mut self, memory: &dyn Memory, machine: Machine) -> Option<&Tables> {
        self.headers(memory);
        let (headers, file) = (self.headers.as_ref()?, &self.file);
        let make = || {
            Tables::read(memory, machine, headers)
                .or_else(|| tables_of_file(file.as_ref()?, machine))
        };
        self.tables.get(make).map(|tables| &*tables)
    }

    /// Its names, and where they come from.
    pub fn symbols<'a>(
        &'a mut self,
        memory: &dyn Memory,
        library: &Library,
        roots: &'a [PathBuf],
    ) -> Option<(&'a RefCell<Symbols>, Source<'a>)> {
        let source =
            Source { file: self.file.as_deref(), path: &self.path, start: self.range.0, roots };
        let symbols = self.symbols.get(|| Some(library.symbols(memory, source)))?;
        Some((symbols, source))
    }

    /// Frees what is only needed while it is mapped.
    pub fn unmapped(&mut self) {
        self.tables = Lazy::Missing;
        self.symbols = Lazy::Missing;
    }
}

/// From the file's section, for modules without an index (or whose memory is not there).
fn tables_of_file(file: &std::path::Path, machine: Machine) -> Option<Tables> {
    let opened = crate::symbol::debug::Opened::new(file)?;
    let parsed = opened.parse()?;
    let section = parsed.section_by_name(".eh_frame")?;
    let frames = section.uncompressed_data().ok()?.into_owned();
    Some(Tables::without_index(machine, section.address(), frames))
}
