//! Core files made by hand.

use std::io::Write;
use tempfile::NamedTempFile;

/// A core file to be written.
pub struct Builder {
    pub machine: u16,
    /// Start, bytes, size in memory, flags.
    pub segments: Vec<(u64, Vec<u8>, u64, u32)>,
    pub notes: Vec<u8>,
}

/// A note as it lies in a file.
pub fn note(owner: &str, kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [owner.len() as u32 + 1, data.len() as u32, kind] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(owner.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// `NT_PRSTATUS` with registers that are numbered from `first` on.
pub fn status(tid: i32, signal: i16, first: u64, registers: usize) -> Vec<u8> {
    let mut data = vec![0; 112];
    data[12..14].copy_from_slice(&signal.to_le_bytes());
    data[32..36].copy_from_slice(&tid.to_le_bytes());
    for register in 0..registers as u64 {
        data.extend(first.wrapping_add(register).to_le_bytes());
    }
    data.extend([0; 8]);
    note("CORE", 1, &data)
}

/// `NT_FILE`: start, end, offset, path.
pub fn files(ranges: &[(u64, u64, u64, &str)]) -> Vec<u8> {
    let mut data = Vec::new();
    data.extend((ranges.len() as u64).to_le_bytes());
    data.extend(4096u64.to_le_bytes());
    for (start, end, offset, _) in ranges {
        for number in [*start, *end, offset / 4096] {
            data.extend(number.to_le_bytes());
        }
    }
    for (.., path) in ranges {
        data.extend(path.as_bytes());
        data.push(0);
    }
    note("CORE", 0x4649_4c45, &data)
}

impl Builder {
    pub fn new() -> Builder {
        let mut notes = status(70, 11, 1000, 27);
        let mut process = vec![0; 136];
        process[16..20].copy_from_slice(&1000u32.to_le_bytes());
        process[24..28].copy_from_slice(&70i32.to_le_bytes());
        process[28..32].copy_from_slice(&1i32.to_le_bytes());
        process[40..44].copy_from_slice(b"prog");
        process[56..66].copy_from_slice(b"prog a b  ");
        notes.extend(note("CORE", 3, &process));
        let mut info = vec![0; 128];
        info[0] = 11;
        info[8] = 1;
        info[16..24].copy_from_slice(&0xdeadu64.to_le_bytes());
        notes.extend(note("CORE", 0x5349_4749, &info));
        notes.extend(status(71, 11, 2000, 27));
        Builder { machine: 62, segments: Vec::new(), notes }
    }

    pub fn segment(mut self, start: u64, bytes: &[u8], size: u64, flags: u32) -> Builder {
        self.segments.push((start, bytes.to_vec(), size, flags));
        self
    }

    pub fn notes(mut self, notes: &[u8]) -> Builder {
        self.notes.extend(notes);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16..18].copy_from_slice(&4u16.to_le_bytes());
        file[18..20].copy_from_slice(&self.machine.to_le_bytes());
        file[32..40].copy_from_slice(&64u64.to_le_bytes());
        file[54..56].copy_from_slice(&56u16.to_le_bytes());
        file[56..58].copy_from_slice(&(self.segments.len() as u16 + 1).to_le_bytes());
        let mut at = 64 + 56 * (self.segments.len() as u64 + 1);
        let mut entry = |kind: u32, flags: u32, start: u64, length: usize, size: u64| {
            file.extend(kind.to_le_bytes());
            file.extend(flags.to_le_bytes());
            for number in [at, start, 0, length as u64, size, 1] {
                file.extend(number.to_le_bytes());
            }
            at += length as u64;
        };
        entry(4, 0, 0, self.notes.len(), 0);
        for (start, bytes, size, flags) in &self.segments {
            entry(1, *flags, *start, bytes.len(), *size);
        }
        file.extend(&self.notes);
        for (_, bytes, ..) in &self.segments {
            file.extend(bytes);
        }
        file
    }

    pub fn write(&self) -> NamedTempFile {
        written(&self.bytes())
    }
}

/// A temporary file with these bytes.
pub fn written(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    file
}
