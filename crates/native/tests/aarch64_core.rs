//! The core file of a 64-bit ARM machine, made by hand, is unwound on any machine: by what
//! it is, not by where it is read.

use native::{Library, Registers, Setting, Space, Stop, Walk};
use remote::core::{Core, Lookup, Machine};
use remote::{Memory, Module};
use std::io::Write;

/// Where the library is mapped, and where in it what is.
const LIBRARY: u64 = 0x10_0000;
const INDEX: usize = 0x200;
const FRAMES: usize = 0x300;
const LEAF: usize = 0x800;
const MIDDLE: usize = 0x820;
const BARE: usize = 0x840;
const OUTER: usize = 0x860;
/// The stack, at the top of an address space of 48 bits.
const STACK: u64 = 0xffff_ffe0_0000;
/// A signature, as it lies over the address that it signs.
const SIGNED: u64 = 0x0035 << 48;

/// Puts numbers of so many bytes behind each other.
fn put(bytes: &mut [u8], mut at: usize, size: usize, numbers: &[u64]) {
    for number in numbers {
        bytes[at..at + size].copy_from_slice(&number.to_le_bytes()[..size]);
        at += size;
    }
}

/// An entry of `.eh_frame` with its length in front, at a multiple of four.
fn entry(frames: &mut Vec<u8>, content: &[u8]) -> usize {
    let at = frames.len();
    let length = content.len().next_multiple_of(4);
    frames.extend((length as u32).to_le_bytes());
    frames.extend(content);
    frames.resize(at + 4 + length, 0);
    at
}

/// A library of four functions: one that needs no stack, one with a frame pointer and a
/// signed return address, one without unwind information, and a thread's first.
fn library() -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    put(&mut bytes, 16, 2, &[3, 183]);
    put(&mut bytes, 32, 8, &[64]);
    put(&mut bytes, 54, 2, &[56, 2]);
    // PT_LOAD (read, execute) and PT_GNU_EH_FRAME: type, flags, then offset to alignment.
    put(&mut bytes, 64, 4, &[1, 5]);
    put(&mut bytes, 72, 8, &[0, 0, 0, 4096, 4096, 4096]);
    put(&mut bytes, 120, 4, &[0x6474_e550, 4]);
    put(&mut bytes, 128, 8, &[INDEX as u64, INDEX as u64, 0, 64, 64, 4]);

    let mut frames = Vec::new();
    // Version 1, "zR", code in units of 4, data of -8, return address in x30, addresses
    // relative to where they stand; the CFA is sp (31) at first.
    entry(&mut frames, b"\0\0\0\0\x01zR\0\x04\x78\x1e\x01\x1b\x0c\x1f\0");
    let functions: [(usize, &[u8]); 3] = [
        (LEAF, &[]),
        // One instruction on: x29 + 32 is the CFA; x29 is 32 below it and x30 24; signed.
        (MIDDLE, &[0x41, 0x0c, 29, 32, 0x80 | 29, 4, 0x80 | 30, 3, 0x2d]),
        // x30 is undefined: there is no caller.
        (OUTER, &[0x07, 30]),
    ];
    let mut table = Vec::new();
    for (function, instructions) in functions {
        let at = frames.len();
        let mut content = Vec::new();
        content.extend((at as u32 + 4).to_le_bytes());
        content.extend((function as i32 - (FRAMES + at + 8) as i32).to_le_bytes());
        content.extend(0x20u32.to_le_bytes());
        content.push(0);
        content.extend(instructions);
        entry(&mut frames, &content);
        table.extend([function - INDEX, FRAMES + at - INDEX].map(|number| number as u64));
    }
    frames.extend([0; 4]);
    bytes[FRAMES..FRAMES + frames.len()].copy_from_slice(&frames);
    bytes[INDEX..INDEX + 4].copy_from_slice(&[1, 0x1b, 3, 0x3b]);
    put(&mut bytes, INDEX + 4, 4, &[(FRAMES - INDEX - 4) as u64, 3]);
    put(&mut bytes, INDEX + 12, 4, &table);

    // stp x29, x30, [sp, #-16]!; bl; ldp x29, x30, [sp], #16; ret
    put(&mut bytes, BARE, 4, &[0xa9bf_7bfd, 0x9400_0010, 0xa8c1_7bfd, 0xd65f_03c0]);
    // nop; bl
    put(&mut bytes, OUTER, 4, &[0xd503_201f, 0x97ff_fff7]);
    bytes
}

fn note(owner: &[u8], kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [owner.len() as u32, data.len() as u32, kind] {
        bytes.extend(number.to_le_bytes());
    }
    for part in [owner, data] {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// A core file with one thread that has these registers.
fn core(registers: &[u64; 34], stack: &[u64]) -> Vec<u8> {
    // struct elf_prstatus: signal 12, pid 32, registers 112.
    let mut status = vec![0; 112 + 34 * 8 + 8];
    put(&mut status, 12, 2, &[11]);
    put(&mut status, 32, 4, &[77]);
    put(&mut status, 112, 8, registers);
    let mut files = vec![0; 40];
    put(&mut files, 0, 8, &[1, 4096, LIBRARY, LIBRARY + 4096, 0]);
    files.extend(b"/nowhere/libarm.so\0");
    let notes = [note(b"CORE\0", 1, &status), note(b"CORE\0", 0x4649_4c45, &files)].concat();
    let mut words = vec![0; 4096];
    put(&mut words, 0x800, 8, stack);
    let mut bytes = vec![0; 64 + 3 * 56];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    put(&mut bytes, 16, 2, &[4, 183]);
    put(&mut bytes, 32, 8, &[64]);
    put(&mut bytes, 54, 2, &[56, 3]);
    let parts = [(4, 0, 0, notes), (1, 5, LIBRARY, library()), (1, 6, STACK, words)];
    for (i, (kind, flags, start, part)) in parts.iter().enumerate() {
        let (at, length) = (bytes.len() as u64, part.len() as u64);
        put(&mut bytes, 64 + 56 * i, 4, &[*kind, *flags]);
        put(&mut bytes, 72 + 56 * i, 8, &[at, *start, 0, length, length, 1]);
        bytes.extend(part);
    }
    bytes
}

#[test]
fn a_stack_of_aarch64_is_unwound_by_tables_and_by_its_code() {
    let sp = STACK + 0x800;
    let at = |function: usize, offset: u64| LIBRARY + function as u64 + offset;
    let mut registers = [0; 34];
    registers[29] = sp;
    registers[30] = at(MIDDLE, 12);
    registers[31] = sp;
    registers[32] = at(LEAF, 4);
    let stack = [sp + 32, at(BARE, 8) | SIGNED, 7, 7, 0, at(OUTER, 8)];
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&core(&registers, &stack)).expect("written");

    let core = Core::open(file.path(), &Lookup::default()).expect("a core file");
    assert_eq!(core.machine, Machine::Aarch64);
    let [Module { path, .. }] = &core.modules[..] else { panic!("{:?}", core.modules) };
    assert_eq!(path, "/nowhere/libarm.so");
    let setting = Setting {
        machine: core.machine,
        interpreter: String::new(),
        roots: Vec::new(),
        perf_map: None,
        library: Library::default(),
    };
    let mut space = Space::new(setting);
    space.update(&core.mappings, &core.modules);
    let thread = &core.threads[0];
    let registers = Registers::from_kernel(core.machine, &thread.registers).expect("registers");
    let word = |address: u64| core.memory.uint(address, 8).ok();
    let mut walk = Walk::default();
    space.walk(&core.memory, &registers, &word, &mut walk);
    let found: Vec<(u64, u64)> = walk.frames.iter().map(|frame| (frame.pc, frame.sp)).collect();
    let expected =
        [(at(LEAF, 4), sp), (at(MIDDLE, 12), sp), (at(BARE, 8), sp + 32), (at(OUTER, 8), sp + 48)];
    assert_eq!(found, expected, "{:?}", walk.stop);
    assert_eq!(walk.stop, Some(Stop::Outermost));
}
