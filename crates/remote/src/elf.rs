//! Sections and symbols of a mapped ELF file: from the file where it can still be
//! opened, otherwise from what the loader left of it in memory.

use crate::{Arch, Memory, Module};
use object::read::{Object, ObjectSection, ObjectSegment, ReadCache};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// The most symbols looked at in one table; a libpython has about 20,000.
const MAX_SYMBOLS: u64 = 4_000_000;

/// A module's ELF file, opened.
pub struct Elf {
    cache: ReadCache<Blocks>,
    bias: u64,
    mapped: (u64, u64),
}

/// A file of which the parts that are asked for are read once, with what is around them: the
/// names of sections, one after the other, take one system call instead of two each.
struct Blocks {
    file: File,
    position: u64,
    known: HashMap<u64, Vec<u8>>,
}

const BLOCK: u64 = 16 << 10;
/// More blocks than this are not kept.
const MAX_BLOCKS: usize = 64;

impl Blocks {
    fn new(file: File) -> Blocks {
        Blocks { file, position: 0, known: HashMap::new() }
    }

    /// What the file has at the position, up to the end of the block.
    fn rest(&mut self) -> io::Result<&[u8]> {
        let start = self.position / BLOCK * BLOCK;
        if self.known.len() >= MAX_BLOCKS {
            self.known.clear();
        }
        let block = match self.known.entry(start) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let mut bytes = vec![0; BLOCK as usize];
                let got = self.file.read_at(&mut bytes, start)?;
                bytes.truncate(got);
                free.insert(bytes)
            }
        };
        Ok(block.get((self.position - start) as usize..).unwrap_or_default())
    }
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = if buffer.len() as u64 >= BLOCK {
            self.file.read_at(buffer, self.position)?
        } else {
            let rest = self.rest()?;
            let got = rest.len().min(buffer.len());
            buffer[..got].copy_from_slice(&rest[..got]);
            got
        };
        self.position += got as u64;
        Ok(got)
    }
}

impl Seek for Blocks {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// A range of the target's memory that an ELF section became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Its address in the target.
    pub address: u64,
    /// Its size in bytes.
    pub size: u64,
}

impl Elf {
    /// Opens the file behind `module`. `None` where it is gone, unreadable or no ELF.
    pub fn open(module: &Module) -> Option<Elf> {
        let file = File::open(module.file.as_ref()?).ok()?;
        let cache = ReadCache::new(Blocks::new(file));
        let bias = {
            let parsed = object::File::parse(&cache).ok()?;
            load_bias(&parsed, module)?
        };
        let end = module.mappings.last()?.end;
        Some(Elf { cache, bias, mapped: (module.start(), end) })
    }

    fn parsed(&self) -> Option<object::File<'_, &ReadCache<Blocks>>> {
        object::File::parse(&self.cache).ok()
    }

    /// The target's word size and byte order.
    pub fn arch(&self) -> Option<Arch> {
        let file = self.parsed()?;
        Some(Arch {
            pointer: if file.is_64() { 8 } else { 4 },
            big_endian: !file.is_little_endian(),
        })
    }

    /// The section `name`, if it is mapped.
    pub fn section(&self, name: &str) -> Option<Section> {
        let file = self.parsed()?;
        let section = file.section_by_name(name)?;
        let address = section.address().wrapping_add(self.bias);
        let inside = address >= self.mapped.0 && address < self.mapped.1;
        (section.address() != 0 && inside).then_some(Section { address, size: section.size() })
    }

    /// The addresses of those `names` that the file's dynamic or full symbol table has.
    pub fn symbols(&self, names: &[&'static str]) -> HashMap<&'static str, u64> {
        let mut found = HashMap::new();
        let (Some(file), Some(arch)) = (self.parsed(), self.arch()) else { return found };
        for (table, texts) in [(".dynsym", ".dynstr"), (".symtab", ".strtab")] {
            // Whole sections in one read each: asking for one name after the other takes
            // a system call for every symbol.
            let data = |name| file.section_by_name(name).and_then(|section| section.data().ok());
            if found.len() < names.len()
                && let (Some(symbols), Some(strings)) = (data(table), data(texts))
            {
                let bias = self.bias;
                scan_symbols(
                    arch,
                    symbols,
                    strings,
                    names,
                    |value| value.wrapping_add(bias),
                    &mut found,
                );
            }
        }
        found
    }
}

/// Looks for `names` in a table of `Elf64_Sym` or `Elf32_Sym`.
fn scan_symbols(
    arch: Arch,
    symbols: &[u8],
    strings: &[u8],
    names: &[&'static str],
    address: impl Fn(u64) -> u64,
    found: &mut HashMap<&'static str, u64>,
) {
    // Elf64_Sym: st_name 0, st_shndx 6, st_value 8, 24 bytes; Elf32_Sym: 0, 14, 4, 16.
    let (size, value_at, section_at) = if arch.word() == 8 { (24, 8, 6) } else { (16, 4, 14) };
    for symbol in symbols.chunks_exact(size).take(MAX_SYMBOLS as usize) {
        let name = arch.uint(symbol, 0, 4).unwrap_or(0) as usize;
        let value = arch.ptr(symbol, value_at).unwrap_or(0);
        let undefined = arch.uint(symbol, section_at, 2) == Some(0);
        let Some(text) = strings.get(name..) else { continue };
        if value == 0 || undefined {
            continue;
        }
        let is = |wanted: &&&str| {
            text.starts_with(wanted.as_bytes()) && text.get(wanted.len()) == Some(&0)
        };
        if let Some(wanted) = names.iter().find(is) {
            found.entry(wanted).or_insert_with(|| address(value));
        }
    }
}

/// What must be added to the file's addresses to get the target's.
fn load_bias<'data>(file: &impl Object<'data>, module: &Module) -> Option<u64> {
    for segment in file.segments() {
        let (offset, size) = segment.file_range();
        if size == 0 {
            continue;
        }
        let page = offset & !0xfff;
        let end = offset.checked_add(size)?;
        for mapping in &module.mappings {
            // A segment's first page may be mapped with a lower offset than the segment
            // has, and a mapping may begin in the middle of a segment.
            if mapping.inode != 0 && mapping.offset >= page && mapping.offset < end {
                let at = segment.address().wrapping_add(mapping.offset).wrapping_sub(offset);
                return Some(mapping.start.wrapping_sub(at));
            }
        }
    }
    None
}

/// The addresses of those `names` that are in the dynamic symbol table, as it lies in the
/// target's memory: for modules whose file cannot be opened.
pub fn symbols_in_memory(
    memory: &dyn Memory,
    module: &Module,
    names: &[&'static str],
) -> HashMap<&'static str, u64> {
    read_dynamic(memory, module, names).unwrap_or_default()
}

/// One program header of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// `p_type`.
    pub kind: u32,
    /// `p_flags`: 1 for what may be executed.
    pub flags: u32,
    /// `p_offset`.
    pub offset: u64,
    /// `p_vaddr`, as the file counts.
    pub address: u64,
    /// `p_filesz`.
    pub file_size: u64,
    /// `p_memsz`.
    pub memory_size: u64,
}

impl Program {
    /// A part of the file that is mapped.
    pub const LOAD: u32 = 1;
    /// The dynamic table.
    pub const DYNAMIC: u32 = 2;
    /// Notes.
    pub const NOTE: u32 = 4;
    /// The index of the unwind information.
    pub const EH_FRAME: u32 = 0x6474_e550;
}

/// The headers of a mapped ELF file, as they lie in the target's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// What must be added to the file's addresses to get the target's.
    pub bias: u64,
    /// Its program headers.
    pub programs: Vec<Program>,
}

impl Headers {
    /// Of the file whose first page is mapped at `start`. `read` fills a buffer from an
    /// address, or says that it cannot.
    pub fn read(arch: Arch, start: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<Headers> {
        let bytes = |address: u64, length: usize| {
            let mut buffer = vec![0; length];
            read(address, &mut buffer).then_some(buffer)
        };
        let word = arch.word();
        let header = bytes(start, 64)?;
        let class = [if word == 8 { 2 } else { 1 }, if arch.big_endian { 2 } else { 1 }];
        if header.get(..4)? != b"\x7fELF" || header.get(4..6)? != class {
            return None;
        }
        // Elf64_Ehdr: e_type 16, e_phoff 32, e_phentsize 54, e_phnum 56; Elf32: 16, 28, 42,
        // 44. Elf64_Phdr: p_type, p_flags, p_offset 8, p_vaddr 16, p_filesz 32, p_memsz 40,
        // 56 bytes; Elf32_Phdr: p_type, p_offset 4, p_vaddr 8, p_filesz 16, p_memsz 20,
        // p_flags 24, 32 bytes.
        let (phoff, sizes) = if word == 8 { (32, 54) } else { (28, 42) };
        let [flags, offset, address, file_size, memory_size, length] =
            if word == 8 { [4, 8, 16, 32, 40, 56] } else { [24, 4, 8, 16, 20, 32] };
        let table = start.checked_add(arch.ptr(&header, phoff)?)?;
        if arch.uint(&header, sizes, 2)? != length as u64 {
            return None;
        }
        let count = arch.uint(&header, sizes + 2, 2)?.min(256) as usize;
        let mut programs = Vec::new();
        for program in bytes(table, length * count)?.chunks_exact(length) {
            programs.push(Program {
                kind: arch.uint(program, 0, 4)? as u32,
                flags: arch.uint(program, flags, 4)? as u32,
                offset: arch.ptr(program, offset)?,
                address: arch.ptr(program, address)?,
                file_size: arch.ptr(program, file_size)?,
                memory_size: arch.ptr(program, memory_size)?,
            });
        }
        let first = programs.iter().find(|program| program.kind == Program::LOAD)?;
        Some(Headers { bias: start.wrapping_sub(first.address & !0xfff), programs })
    }

    /// The first header of a kind.
    pub fn find(&self, kind: u32) -> Option<&Program> {
        self.programs.iter().find(|program| program.kind == kind)
    }
}

fn read_dynamic(
    memory: &dyn Memory,
    module: &Module,
    names: &[&'static str],
) -> Option<HashMap<&'static str, u64>> {
    let table = DynamicTable::read(memory, module.start())?;
    let mut found = HashMap::new();
    let bias = table.bias;
    let address = |value: u64| value.wrapping_add(bias);
    scan_symbols(memory.arch(), &table.symbols, &table.strings, names, address, &mut found);
    Some(found)
}

/// The dynamic symbol table of a mapped ELF file, as it lies in the target's memory.
#[derive(Debug, Clone)]
pub struct DynamicTable {
    /// What must be added to the symbols' addresses to get the target's.
    pub bias: u64,
    /// `Elf64_Sym` or `Elf32_Sym`, one after the other.
    pub symbols: Vec<u8>,
    /// Their names.
    pub strings: Vec<u8>,
}

impl DynamicTable {
    /// Of the file whose first page is mapped at `start`.
    pub fn read(memory: &dyn Memory, start: u64) -> Option<DynamicTable> {
        let arch = memory.arch();
        let word = arch.word();
        let headers =
            Headers::read(arch, start, |address, into| memory.read(address, into).is_ok())?;
        let bias = headers.bias;
        let dynamic = headers.find(Program::DYNAMIC)?;
        let size = dynamic.memory_size.min(1 << 16) as usize;
        let entries = memory.bytes(dynamic.address.wrapping_add(bias), size).ok()?;
        let tag = |wanted: u64| {
            entries.chunks_exact(2 * word).find_map(|item| {
                (arch.ptr(item, 0)? == wanted).then(|| arch.ptr(item, word)).flatten()
            })
        };
        // The loader of glibc has relocated these pointers in place, musl's has not.
        let absolute = |value: u64| if value < start { value.wrapping_add(bias) } else { value };
        let (strtab, strsz) = (absolute(tag(5)?), tag(10)?);
        let symtab = absolute(tag(6)?);
        // No entry tells the number of symbols; in every linker's output the strings follow.
        let symbol = if word == 8 { 24 } else { 16 };
        let count = (strtab.checked_sub(symtab)? / symbol).min(MAX_SYMBOLS);
        let symbols = memory.bytes(symtab, (count * symbol) as usize).ok()?;
        let strings = memory.bytes(strtab, strsz as usize).ok()?;
        Some(DynamicTable { bias, symbols, strings })
    }
}

/// The smallest page of any machine.
pub const PAGE: usize = 4096;

/// The length of the ELF header and the table of segments behind it (e_phoff 32,
/// e_phentsize 54, e_phnum 56), as far as they are in this first page of a 64-bit file.
pub fn headers_length(page: &[u8]) -> usize {
    let field = |offset, size| Arch::LE64.uint(page, offset, size).unwrap_or(0);
    let end = field(32, 8).saturating_add(field(54, 2) * field(56, 2));
    usize::try_from(end).unwrap_or(PAGE).clamp(64, PAGE)
}

/// A build id longer than this is none; they have 20 bytes mostly.
const MAX_BUILD_ID: usize = 64;

/// The build id of the ELF file at `path`, if it has one.
pub fn build_id(path: &std::path::Path) -> Option<Vec<u8>> {
    let cache = ReadCache::new(BufReader::new(File::open(path).ok()?));
    let file = object::File::parse(&cache).ok()?;
    let id = file.build_id().ok()??;
    (id.len() <= MAX_BUILD_ID).then(|| id.to_owned())
}

/// The build id of the 64-bit ELF file whose first page is mapped at `start`, by what is
/// there and in the note that its headers point to. `read` fills a buffer from an
/// address, or says that it cannot.
pub fn build_id_in_memory(start: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<Vec<u8>> {
    let headers = Headers::read(Arch::LE64, start, &read)?;
    headers.programs.iter().find_map(|program| {
        if program.kind != Program::NOTE {
            return None;
        }
        let mut notes = vec![0; program.file_size.min(1 << 16) as usize];
        let address = program.address.wrapping_add(headers.bias);
        read(address, &mut notes).then(|| note_build_id(&notes)).flatten()
    })
}

/// `NT_GNU_BUILD_ID` (3) of owner `GNU` among these notes.
fn note_build_id(notes: &[u8]) -> Option<Vec<u8>> {
    let arch = Arch::LE64;
    let mut at = 0usize;
    loop {
        let word = |offset| arch.uint(notes, at.checked_add(offset)?, 4);
        let (name, length, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let data = at + 12 + name.next_multiple_of(4);
        if kind == 3 && notes.get(at + 12..at + 16) == Some(b"GNU\0") {
            let id = notes.get(data..data.checked_add(length)?)?;
            return (1..=MAX_BUILD_ID).contains(&length).then(|| id.to_owned());
        }
        at = data.checked_add(length.next_multiple_of(4))?;
    }
}
