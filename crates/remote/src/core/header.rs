//! The ELF header of a core file and its table of segments.

use super::CoreError;
use super::image::Segment;
use super::source::Source;
use crate::Arch;

/// The processor of a core file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// x86_64 (`EM_X86_64`).
    X86_64,
    /// 64-bit ARM, little endian (`EM_AARCH64`).
    Aarch64,
}

impl Machine {
    /// Word size and byte order.
    pub fn arch(self) -> Arch {
        Arch::LE64
    }
}

/// A process with more mappings than this has no core file; the kernel's limit is 65,530
/// by default.
const MAX_SEGMENTS: u64 = 1 << 21;

const ET_CORE: u64 = 4;
const PT_LOAD: u64 = 1;
const PT_NOTE: u64 = 4;
/// `e_phnum` of files with more segments than fit: the section header tells.
const PN_XNUM: u64 = 0xffff;
/// Size of an `Elf64_Phdr`.
const ENTRY: usize = 56;

/// What the headers say.
pub struct Header {
    pub machine: Machine,
    /// The parts of memory, in order of address.
    pub segments: Vec<Segment>,
    /// The parts of the file that hold notes: offset and length.
    pub notes: Vec<(u64, u64)>,
}

impl Header {
    pub fn read(source: &Source) -> Result<Header, CoreError> {
        let no_core = |why: &str| CoreError::NotACore(why.to_owned());
        let length = source.length().min(64) as usize;
        let header = source.bytes(0, length).unwrap_or_default();
        if length == 0 {
            return Err(no_core("it is empty: was there room for it?"));
        }
        if header.get(..4) != Some(b"\x7fELF") {
            return Err(no_core("it is no ELF file"));
        }
        let arch = Arch::LE64;
        let class = (header.get(4).copied().unwrap_or(0), header.get(5).copied().unwrap_or(0));
        let field = |offset, size| arch.uint(&header, offset, size);
        let cut = || no_core("its header is cut off");
        let kind = field(16, 2).ok_or_else(cut)?;
        let machine = field(18, 2).ok_or_else(cut)?;
        let machine = match (class, machine) {
            // Class 2 is 64 bits, data 1 is little endian.
            ((2, 1), 62) => Machine::X86_64,
            ((2, 1), 183) => Machine::Aarch64,
            ((bits, order), machine) => {
                return Err(CoreError::Unsupported(format!(
                    "it is of a {}-bit {} endian machine (ELF machine {}); supported are x86_64 and aarch64",
                    if bits == 1 { 32 } else { 64 },
                    if order == 2 { "big" } else { "little" },
                    if order == 2 { (machine as u16).swap_bytes().into() } else { machine },
                )));
            }
        };
        if kind != ET_CORE {
            let what = match kind {
                1 => "an object file",
                2 => "an executable",
                3 => "an executable or a library",
                _ => "no core file",
            };
            return Err(no_core(&format!("it is {what}, not a core file")));
        }
        // e_phoff 32, e_shoff 40, e_phentsize 54, e_phnum 56.
        let table = field(32, 8).ok_or_else(cut)?;
        let entry = field(54, 2).ok_or_else(cut)?;
        let mut count = field(56, 2).ok_or_else(cut)?;
        if count == PN_XNUM {
            // sh_info of the first section header (elf(5)).
            let sections = field(40, 8).ok_or_else(cut)?;
            let section = source.bytes(sections, 64).ok_or_else(cut)?;
            count = arch.uint(&section, 44, 4).ok_or_else(cut)?;
        }
        if entry != ENTRY as u64 || count > MAX_SEGMENTS {
            return Err(no_core("its table of segments makes no sense"));
        }
        Self::segments(source, machine, table, count)
    }

    fn segments(
        source: &Source,
        machine: Machine,
        table: u64,
        count: u64,
    ) -> Result<Header, CoreError> {
        let arch = machine.arch();
        let mut header = Header { machine, segments: Vec::new(), notes: Vec::new() };
        for i in 0..count {
            let at = table.checked_add(i * ENTRY as u64);
            let Some(entry) = at.and_then(|at| source.bytes(at, ENTRY)) else {
                if header.segments.is_empty() {
                    return Err(CoreError::NotACore("its table of segments is cut off".into()));
                }
                break;
            };
            let field = |offset, size| arch.uint(&entry, offset, size).unwrap_or(0);
            let (flags, offset) = (field(4, 4), field(8, 8));
            let (start, in_file, size) = (field(16, 8), field(32, 8), field(40, 8));
            match field(0, 4) {
                PT_NOTE => header.notes.push((offset, in_file)),
                PT_LOAD if size > 0 => {
                    let Some(end) = start.checked_add(size) else { continue };
                    let in_file = in_file.min(size);
                    header.segments.push(Segment { start, end, offset, in_file, flags });
                }
                _ => {}
            }
        }
        header.segments.sort_by_key(|segment| segment.start);
        // Memory is mapped once: a segment ends where the next one begins.
        let mut next = u64::MAX;
        for segment in header.segments.iter_mut().rev() {
            segment.end = segment.end.min(next).max(segment.start);
            segment.in_file = segment.in_file.min(segment.end - segment.start);
            next = segment.start;
        }
        Ok(header)
    }
}
