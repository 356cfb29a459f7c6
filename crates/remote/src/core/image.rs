//! The memory of a core file: its own pages, and those of the files that were mapped.

use super::files::MappedFile;
use super::notes::FileRange;
use super::source::Source;
use crate::Arch;
use crate::batch::{self, Batch};
use crate::elf::PAGE;
use crate::memory::{Memory, ReadError};
use crate::modules::Mapping;
use std::collections::HashMap;

/// A part of memory (`PT_LOAD`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub start: u64,
    pub end: u64,
    /// Where its bytes are in the core file.
    pub offset: u64,
    /// How many of them are there: mostly all or none.
    pub in_file: u64,
    /// `PF_*`.
    pub flags: u64,
}

/// `PF_X`, `PF_W`, `PF_R` (elf(5)).
const EXECUTE: u64 = 1;
const WRITE: u64 = 2;
const READ: u64 = 4;

impl Segment {
    /// The end of its bytes in the core file.
    pub fn file_end(&self) -> u64 {
        self.offset.saturating_add(self.in_file)
    }
}

/// A range of memory whose pages are those of a file, where the core has none.
#[derive(Debug)]
struct Backing {
    start: u64,
    end: u64,
    offset: u64,
    /// Index of the file.
    file: usize,
}

/// The memory of a core file.
#[derive(Debug)]
pub struct CoreMemory {
    source: Source,
    /// In order of address.
    segments: Vec<Segment>,
    /// In order of address.
    backing: Vec<Backing>,
    files: Vec<Source>,
    arch: Arch,
}

/// Where the bytes at an address are.
struct Piece<'a> {
    source: &'a Source,
    offset: u64,
    /// How many follow there, at the most.
    length: u64,
    /// A mapped file's last page is filled up with zeros.
    padded: bool,
}

impl CoreMemory {
    /// What is in the core file alone.
    pub fn new(source: Source, segments: Vec<Segment>) -> CoreMemory {
        CoreMemory { source, segments, backing: Vec::new(), files: Vec::new(), arch: Arch::LE64 }
    }

    /// From now on, what is missing of these `ranges` comes from `file`.
    pub fn attach(&mut self, file: Source, ranges: &[&FileRange]) {
        let index = self.files.len();
        self.files.push(file);
        self.backing.extend(ranges.iter().map(|range| Backing {
            start: range.start,
            end: range.end,
            offset: range.offset,
            file: index,
        }));
    }

    /// To be called when all files are attached.
    pub fn settle(&mut self) {
        self.backing.sort_by_key(|backing| backing.start);
    }

    /// Fills `buffer` with bytes that are in the core file itself; false if they are not.
    pub fn read_own(&self, address: u64, buffer: &mut [u8]) -> bool {
        let mut done = 0;
        while done < buffer.len() {
            let at = address.checked_add(done as u64);
            let Some(piece) = at.and_then(|at| self.own(at)) else { return false };
            match piece.read(&mut buffer[done..]) {
                0 => return false,
                got => done += got,
            }
        }
        true
    }

    /// Whether the process could write there.
    pub fn is_writable(&self, address: u64) -> bool {
        self.segment(address).is_some_and(|segment| segment.flags & WRITE != 0)
    }

    /// Whether the process could not use it at all: a hole between a library's segments. gdb
    /// leaves these out.
    pub fn is_hole(&self, address: u64) -> bool {
        let any = READ | WRITE | EXECUTE;
        self.segment(address).is_none_or(|segment| segment.flags & any == 0)
    }

    fn segment(&self, address: u64) -> Option<&Segment> {
        let at = self.segments.partition_point(|segment| segment.start <= address);
        let segment = self.segments.get(at.checked_sub(1)?)?;
        (address < segment.end).then_some(segment)
    }

    fn own(&self, address: u64) -> Option<Piece<'_>> {
        let segment = self.segment(address)?;
        let skip = address - segment.start;
        let offset = segment.offset.checked_add(skip)?;
        let length =
            segment.in_file.checked_sub(skip)?.min(self.source.length().checked_sub(offset)?);
        (length > 0).then_some(Piece { source: &self.source, offset, length, padded: false })
    }

    fn backed(&self, address: u64) -> Option<Piece<'_>> {
        // What was cut off of memory that the program wrote to is not what the file has.
        if let Some(segment) = self.segment(address)
            && segment.flags & WRITE != 0
            && address - segment.start < segment.in_file
        {
            return None;
        }
        let at = self.backing.partition_point(|backing| backing.start <= address);
        let backing = self.backing.get(at.checked_sub(1)?)?;
        let next = self.segments.partition_point(|segment| segment.start <= address);
        let next = self.segments.get(next).map_or(u64::MAX, |segment| segment.start);
        let length = backing.end.min(next).checked_sub(address).filter(|length| *length > 0)?;
        let offset = backing.offset.checked_add(address - backing.start)?;
        Some(Piece { source: self.files.get(backing.file)?, offset, length, padded: true })
    }

    fn piece(&self, address: u64) -> Option<Piece<'_>> {
        self.own(address).or_else(|| self.backed(address))
    }
}

impl Piece<'_> {
    fn read(&self, buffer: &mut [u8]) -> usize {
        let want = buffer.len().min(usize::try_from(self.length).unwrap_or(usize::MAX));
        let got = self.source.read_at(self.offset, &mut buffer[..want]).unwrap_or(0);
        let end = self.source.length().next_multiple_of(PAGE as u64);
        if !self.padded || got == want || self.offset >= end {
            return got;
        }
        let want = want.min(usize::try_from(end - self.offset).unwrap_or(0));
        buffer[got..want].fill(0);
        want.max(got)
    }
}

impl Memory for CoreMemory {
    fn arch(&self) -> Arch {
        self.arch
    }

    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut done = 0;
        while done < buffer.len() {
            let at = address.checked_add(done as u64);
            let Some(piece) = at.and_then(|at| self.piece(at)) else { break };
            match piece.read(&mut buffer[done..]) {
                0 => break,
                got => done += got,
            }
        }
        match done {
            0 if !buffer.is_empty() => Err(ReadError::Fault { address, length: buffer.len() }),
            done => Ok(done),
        }
    }

    fn read_batch(&self, batch: &mut Batch) -> Result<(), ReadError> {
        batch::read_one_by_one(self, batch);
        Ok(())
    }
}

/// The mappings that the process had, in order of address: those of `ranges`, and all
/// memory without a file. `files` are the executable and libraries.
pub fn mappings(memory: &CoreMemory, ranges: &[FileRange], files: &[MappedFile]) -> Vec<Mapping> {
    let mut mappings = Vec::new();
    let numbers: HashMap<&str, usize> =
        files.iter().enumerate().rev().map(|(number, file)| (file.path.as_str(), number)).collect();
    for range in ranges {
        let (path, deleted) = super::files::without_deleted(&range.path);
        let number = numbers.get(path).copied();
        // gcore leaves out what is not to be written, permissions included.
        let flags = match memory.segment(range.start) {
            Some(segment) => segment.flags,
            None if number.is_some() => READ | EXECUTE,
            None => READ,
        };
        let inode = number.map_or(u64::MAX, |number| number as u64 + 1);
        mappings.push(Mapping {
            offset: range.offset,
            inode,
            path: path.to_owned(),
            deleted,
            ..mapping(range.start, range.end, flags)
        });
    }
    for segment in &memory.segments {
        let mut at = segment.start;
        let first = ranges.partition_point(|range| range.end <= segment.start);
        for range in ranges.iter().skip(first).take_while(|range| range.start < segment.end) {
            if range.start > at {
                mappings.push(mapping(at, range.start, segment.flags));
            }
            at = at.max(range.end);
        }
        if at < segment.end {
            mappings.push(mapping(at, segment.end, segment.flags));
        }
    }
    mappings.sort_by_key(|mapping| mapping.start);
    mappings
}

fn mapping(start: u64, end: u64, flags: u64) -> Mapping {
    Mapping {
        start,
        end,
        read: flags & READ != 0,
        write: flags & WRITE != 0,
        execute: flags & EXECUTE != 0,
        offset: 0,
        inode: 0,
        path: String::new(),
        deleted: false,
    }
}
