//! Names and source lines of addresses in one module.

pub(crate) mod cython;
pub(crate) mod debug;
pub(crate) mod demangle;
pub(crate) mod library;
pub(crate) mod perf;
pub(crate) mod table;

use debug::{Lines, Opened, SourceFrame};
use remote::Memory;
use remote::elf::DynamicTable;
use std::path::{Path, PathBuf};
use table::{Symbol, SymbolTable};

/// What names the functions of one module. Addresses are those of the file.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    table: SymbolTable,
    lines: Option<Lines>,
    lines_tried: bool,
}

/// Where a module's names can be looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The very file that is mapped, where it can be opened.
    pub file: Option<&'a Path>,
    /// What the target calls it.
    pub path: &'a str,
    /// Where it begins in the target's memory.
    pub start: u64,
    /// Folders that debug files are looked for under: the target's root, and ours.
    pub roots: &'a [PathBuf],
}

impl Symbols {
    /// Reads a module's symbol tables: of its file and of what was split off from it, or
    /// else what the loader mapped.
    pub fn read(memory: &dyn Memory, source: Source) -> Symbols {
        let mut symbols = Symbols::default();
        if symbols.read_file(source).is_none()
            && let Some(table) = DynamicTable::read(memory, source.start)
        {
            symbols.table.add_dynamic(table);
        }
        symbols.table.sort();
        log::debug!("{}: symbols read: {}", source.path, !symbols.table.is_empty());
        symbols
    }

    fn read_file(&mut self, source: Source) -> Option<()> {
        let opened = Opened::new(source.file?)?;
        let file = opened.parse()?;
        if self.table.add_file(&file) {
            return Some(());
        }
        if let Some(bytes) = debug::mini_debug_info(&file)
            && let Ok(inner) = object::File::parse(&*bytes)
        {
            self.table.add_file(&inner);
        }
        if let Some(split) = debug::find_split(&file, source.path, source.roots)
            && let Some(split) = split.parse()
        {
            self.table.add_file(&split);
        }
        Some(())
    }

    /// The function at `address`, if the symbol tables know it. `bounds` are those that
    /// the unwind information gives it.
    pub fn function(&self, address: u64, bounds: Option<(u64, u64)>) -> Option<Symbol<'_>> {
        self.table.find(address, bounds)
    }

    /// The address of the function of this name.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.table.address(name)
    }

    /// The source lines at `address`, the innermost inlined function first; empty without
    /// debug information.
    pub fn lines(&mut self, source: Source, address: u64) -> Vec<SourceFrame> {
        if !std::mem::replace(&mut self.lines_tried, true) {
            self.lines = read_lines(source);
            log::debug!("{}: source lines: {}", source.path, self.lines.is_some());
        }
        self.lines.as_ref().map(|lines| lines.find(address)).unwrap_or_default()
    }
}

fn read_lines(source: Source) -> Option<Lines> {
    let opened = Opened::new(source.file?)?;
    let file = opened.parse()?;
    let read = |file: &object::File<_>| {
        let supplement = debug::find_supplement(file, source.roots);
        Lines::new(file, supplement.as_ref())
    };
    if let Some(lines) = read(&file) {
        return Some(lines);
    }
    let split = debug::find_split(&file, source.path, source.roots)?;
    let split = split.parse()?;
    read(&split)
}
