//! The notes of a core file: what is known of the process besides its memory.

use super::CoreError;
use super::header::Machine;
use super::signal::Signal;
use super::source::Source;
use crate::Arch;
use std::collections::HashSet;

/// `NT_*` (include/uapi/linux/elf.h).
const NT_PRSTATUS: u64 = 1;
const NT_PRPSINFO: u64 = 3;
const NT_AUXV: u64 = 6;
const NT_ARM_TLS: u64 = 0x401;
const NT_ARM_SYSTEM_CALL: u64 = 0x404;
const NT_FILE: u64 = 0x4649_4c45;
const NT_SIGINFO: u64 = 0x5349_4749;

/// More threads than this are not listed; the kernel's limit is 4,194,304 in all.
const MAX_THREADS: usize = 1 << 18;
/// More notes than this are not looked at.
const MAX_NOTES: usize = 1 << 22;
/// Lists of mapped files larger than this are not believed.
const MAX_FILES: u64 = 64 << 20;

/// A thread of a core file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreThread {
    /// Its id, as the process knew it.
    pub tid: i32,
    /// The signal that it was stopped by; 0 for none.
    pub signal: i32,
    /// Its general registers as the kernel orders them: `struct user_regs_struct`
    /// (x86_64: r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi,
    /// orig_rax, rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs) or
    /// `struct user_pt_regs` (aarch64: x0 to x30, sp, pc, pstate).
    pub registers: Vec<u64>,
    /// The thread pointer: the base of `%fs`, or `TPIDR_EL0`.
    pub thread_pointer: Option<u64>,
    /// The number of the system call that it was in; `None` for none, or not known.
    pub system_call: Option<u64>,
    /// That system call had just failed, and its result is where an argument was.
    interrupted: bool,
    machine: Machine,
}

impl CoreThread {
    /// The instruction that it was at.
    pub fn instruction(&self) -> u64 {
        self.register(16, 32)
    }

    /// Its stack pointer.
    pub fn stack_pointer(&self) -> u64 {
        self.register(19, 31)
    }

    /// Its frame pointer (`%rbp`, `x29`).
    pub fn frame_pointer(&self) -> u64 {
        self.register(4, 29)
    }

    /// The link register of an aarch64 thread (`x30`).
    pub fn link_register(&self) -> Option<u64> {
        match self.machine {
            Machine::X86_64 => None,
            Machine::Aarch64 => self.registers.get(30).copied(),
        }
    }

    /// Finds the system call that a thread of aarch64 was in, where its note does not tell. For
    /// a core file the kernel wakes all threads as if by a signal and forgets their calls: they
    /// are about to make them again, or have got `EINTR` (arch/arm64/kernel/signal.c, do_signal,
    /// Linux 6.1). `code` gives the instruction at an address.
    pub(super) fn recall_system_call(&mut self, code: impl Fn(u64) -> Option<u64>) {
        const SVC: u64 = 0xd400_0001;
        const EINTR: u64 = -4i64 as u64;
        if self.machine != Machine::Aarch64 || self.system_call.is_some() {
            return;
        }
        let (pc, result) = (self.instruction(), self.registers.first().copied());
        let again = code(pc) == Some(SVC);
        self.interrupted = !again && result == Some(EINTR) && code(pc.wrapping_sub(4)) == Some(SVC);
        if again || self.interrupted {
            self.system_call = self.registers.get(8).copied().filter(|number| *number < 1 << 16);
        }
    }

    /// The arguments of its system call, if it was in one and they are still there.
    pub fn system_call_arguments(&self) -> Option<[u64; 6]> {
        self.system_call.filter(|_| !self.interrupted)?;
        let order: [usize; 6] = match self.machine {
            // rdi, rsi, rdx, r10, r8, r9
            Machine::X86_64 => [14, 13, 12, 7, 9, 8],
            Machine::Aarch64 => [0, 1, 2, 3, 4, 5],
        };
        Some(order.map(|index| self.registers.get(index).copied().unwrap_or(0)))
    }

    fn register(&self, x86_64: usize, aarch64: usize) -> u64 {
        let index = match self.machine {
            Machine::X86_64 => x86_64,
            Machine::Aarch64 => aarch64,
        };
        self.registers.get(index).copied().unwrap_or(0)
    }
}

/// What a core file says of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its id, as it knew it itself; 0 if that is not said.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// The user that it ran as.
    pub user: Option<u32>,
    /// Its name, 15 bytes at the most.
    pub name: String,
    /// The beginning of its command line, 79 bytes at the most.
    pub command: String,
}

/// A part of a file that was mapped (`NT_FILE`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRange {
    pub start: u64,
    pub end: u64,
    /// Bytes into the file.
    pub offset: u64,
    pub path: String,
}

/// All notes that are of use.
#[derive(Debug, Default)]
pub struct Notes {
    pub process: ProcessInfo,
    pub signal: Option<Signal>,
    pub threads: Vec<CoreThread>,
    pub auxiliary: Vec<(u64, u64)>,
    /// In order of address.
    pub files: Vec<FileRange>,
}

/// One note.
struct Note {
    owner: Vec<u8>,
    kind: u64,
    at: u64,
    length: u64,
}

impl Notes {
    /// Reads the notes in these `parts` of the file.
    pub fn read(
        source: &Source,
        machine: Machine,
        parts: &[(u64, u64)],
    ) -> Result<Notes, CoreError> {
        let mut notes = Notes::default();
        let mut reader = Reader { source, machine, known: HashSet::new(), siginfo: None };
        // Nothing is read twice, however often the headers name it.
        let mut parts = parts.to_vec();
        parts.sort_unstable();
        let (mut read, mut left) = (0, MAX_NOTES);
        for (offset, length) in parts {
            if offset < read {
                continue;
            }
            let end = offset.saturating_add(length).min(source.length());
            let mut at = offset;
            while left > 0
                && let Some((note, next)) = reader.note(at, end)
            {
                reader.take(&note, &mut notes);
                (at, left) = (next, left - 1);
            }
            read = read.max(end);
        }
        if notes.threads.is_empty() {
            return Err(CoreError::NotACore("it has no threads (no NT_PRSTATUS note)".into()));
        }
        // A debugger (gcore) writes the signal that it stopped the threads with, but as
        // their current one it gives none.
        let current = notes.threads.first().map_or(0, |thread| thread.signal);
        if current != 0 {
            let details = reader.siginfo.filter(|signal| signal.number == current);
            notes.signal = Some(details.unwrap_or(Signal::bare(current)));
        }
        notes.files.sort_by_key(|range| range.start);
        // Memory is mapped once: a range ends where the next one begins.
        let mut next = u64::MAX;
        for range in notes.files.iter_mut().rev() {
            range.end = range.end.min(next).max(range.start);
            next = range.start;
        }
        notes.files.retain(|range| range.start < range.end);
        Ok(notes)
    }
}

struct Reader<'a> {
    source: &'a Source,
    machine: Machine,
    known: HashSet<i32>,
    /// The first one.
    siginfo: Option<Signal>,
}

impl Reader<'_> {
    fn arch(&self) -> Arch {
        self.machine.arch()
    }

    /// The note at `at`, and where the next one is.
    fn note(&self, at: u64, end: u64) -> Option<(Note, u64)> {
        if at.checked_add(12)? > end {
            return None;
        }
        let head = self.source.bytes(at, 12)?;
        let word = |offset| self.arch().uint(&head, offset, 4);
        let (name, length, kind) = (word(0)?, word(4)?, word(8)?);
        // Both parts are padded to four bytes, in 64-bit files too.
        let padded = |size: u64| size.next_multiple_of(4);
        let data = at.checked_add(12)?.checked_add(padded(name))?;
        let next = data.checked_add(padded(length))?;
        if data > end {
            return None;
        }
        let owner = self.source.bytes(at + 12, name.min(16) as usize)?;
        let length = length.min(end - data);
        Some((Note { owner, kind, at: data, length }, next))
    }

    fn take(&mut self, note: &Note, notes: &mut Notes) {
        let owner = note.owner.split(|byte| *byte == 0).next().unwrap_or(&[]);
        match (owner, note.kind) {
            (b"CORE", NT_PRSTATUS) => self.thread(note, notes),
            (b"CORE", NT_PRPSINFO) => {
                if let Some(process) = self.process(note) {
                    notes.process = process;
                }
            }
            (b"CORE", NT_SIGINFO) => {
                let bytes = self.data(note, 128);
                self.siginfo = self.siginfo.take().or_else(|| Signal::parse(self.arch(), &bytes));
            }
            (b"CORE", NT_AUXV) => notes.auxiliary = self.auxiliary(note),
            (b"CORE", NT_FILE) => notes.files = self.files(note).unwrap_or_default(),
            (b"LINUX", NT_ARM_TLS) => {
                let pointer = self.arch().uint(&self.data(note, 8), 0, 8);
                if let Some(thread) = notes.threads.last_mut() {
                    thread.thread_pointer = pointer;
                }
            }
            (b"LINUX", NT_ARM_SYSTEM_CALL) => {
                let number = self.arch().i32(&self.data(note, 4), 0);
                if let Some(thread) = notes.threads.last_mut() {
                    thread.system_call = number.and_then(|number| u64::try_from(number).ok());
                }
            }
            _ => {}
        }
    }

    /// The first `most` bytes of a note, or all if it has fewer.
    fn data(&self, note: &Note, most: u64) -> Vec<u8> {
        self.source.bytes(note.at, note.length.min(most) as usize).unwrap_or_default()
    }

    /// `struct elf_prstatus` (include/linux/elfcore.h) of 64-bit machines: signal 12 (the
    /// three words before it are there as well but stand for something else), pid 32,
    /// registers 112.
    fn thread(&mut self, note: &Note, notes: &mut Notes) {
        let count = match self.machine {
            Machine::X86_64 => 27,
            Machine::Aarch64 => 34,
        };
        let bytes = self.data(note, 112 + 8 * count);
        let arch = self.arch();
        let (Some(signal), Some(tid)) = (arch.uint(&bytes, 12, 2), arch.i32(&bytes, 32)) else {
            return;
        };
        let registers: Vec<u64> =
            (0..count as usize).filter_map(|i| arch.uint(&bytes, 112 + 8 * i, 8)).collect();
        if registers.len() < count as usize
            || notes.threads.len() >= MAX_THREADS
            || !self.known.insert(tid)
        {
            return;
        }
        let x86_64 = self.machine == Machine::X86_64;
        notes.threads.push(CoreThread {
            tid,
            signal: i32::from(signal as i16),
            thread_pointer: registers.get(21).copied().filter(|_| x86_64),
            // orig_rax is -1 outside of a system call.
            system_call: registers.get(15).copied().filter(|number| x86_64 && *number < 1 << 16),
            interrupted: false,
            registers,
            machine: self.machine,
        });
    }

    /// `struct elf_prpsinfo` of 64-bit machines: uid 16, pid 24, ppid 28, fname 40
    /// (16 bytes), psargs 56 (80 bytes).
    fn process(&self, note: &Note) -> Option<ProcessInfo> {
        let bytes = self.data(note, 136);
        let arch = self.arch();
        let text = |from: usize, length: usize| {
            let field = bytes.get(from..(from + length).min(bytes.len())).unwrap_or(&[]);
            let field = field.split(|byte| *byte == 0).next().unwrap_or(&[]);
            String::from_utf8_lossy(field).trim_end().to_owned()
        };
        Some(ProcessInfo {
            pid: arch.i32(&bytes, 24)?,
            parent: arch.i32(&bytes, 28)?,
            user: arch.uint(&bytes, 16, 4).map(|user| user as u32),
            name: text(40, 16),
            command: text(56, 80),
        })
    }

    fn auxiliary(&self, note: &Note) -> Vec<(u64, u64)> {
        let bytes = self.data(note, 4096);
        let arch = self.arch();
        let pairs = bytes.chunks_exact(16);
        let pairs = pairs.map(|pair| Some((arch.uint(pair, 0, 8)?, arch.uint(pair, 8, 8)?)));
        pairs.map_while(|pair| pair.filter(|(kind, _)| *kind != 0)).collect()
    }

    /// `NT_FILE` (fs/binfmt_elf.c `fill_files_note`): a count, the unit of offsets, then
    /// start, end and offset of each mapping, then their paths, each with a NUL.
    fn files(&self, note: &Note) -> Option<Vec<FileRange>> {
        if note.length > MAX_FILES {
            return None;
        }
        let bytes = self.data(note, MAX_FILES);
        let arch = self.arch();
        let number = |at: usize| arch.uint(&bytes, at, 8);
        let (count, unit) = (number(0)?, number(8)?);
        let count = usize::try_from(count).ok().filter(|count| *count <= bytes.len() / 24)?;
        let mut paths = bytes.get(16 + 24 * count..)?.split(|byte| *byte == 0);
        let mut files = Vec::new();
        for i in 0..count {
            let at = 16 + 24 * i;
            let (start, end) = (number(at)?, number(at + 8)?);
            let offset = number(at + 16)?.checked_mul(unit);
            let path = String::from_utf8_lossy(paths.next()?).into_owned();
            if let (true, Some(offset)) = (start < end, offset) {
                files.push(FileRange { start, end, offset, path });
            }
        }
        Some(files)
    }
}
