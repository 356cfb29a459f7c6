//! The same as [`super::scan`] for aarch64: its instructions all have four bytes, and few of
//! them have to do with the stack.

use super::scan::{State, Text, Value};
use super::{Cfa, How, Other, Rule};
use rustc_hash::FxHashSet;

/// Instructions that are looked at for one rule.
const MAX_INSTRUCTIONS: usize = 20_000;
/// Branches that are left for later.
const MAX_PATHS: usize = 256;

const LR: usize = 30;
const SP: usize = 31;
/// x0 to x18 and the link register: a call may leave anything in them.
const SCRATCH: u32 = 0x7_ffff | 1 << LR;

/// What an instruction does to the path of execution.
enum Flow {
    Next,
    Call,
    Return,
    /// To another place, and there is no other way on.
    Jump(u64),
    /// To another place, or on.
    Branch(u64),
    /// Through a register of which nothing is known; x16 and x17 are for going to another
    /// function (Procedure Call Standard for the Arm 64-bit Architecture, 6.1.1).
    Leave(u32),
    End,
}

/// Follows the code at `pc` to where it returns.
pub(crate) fn rule(text: &dyn Text, pc: u64) -> Option<Rule> {
    let mut paths = vec![State::new(pc)];
    let mut seen = FxHashSet::default();
    let mut left = MAX_INSTRUCTIONS;
    while let Some(mut state) = paths.pop() {
        while left > 0 && seen.insert(state.pc) {
            left -= 1;
            let mut bytes = [0; 4];
            if text.read(state.pc, &mut bytes) < 4 {
                break;
            }
            let code = u32::from_le_bytes(bytes);
            let at = state.pc;
            state.pc = at.wrapping_add(4);
            match flow(code, at) {
                Flow::Next => step(&mut state, code),
                Flow::Call => {
                    for scratch in (0..32).filter(|number| SCRATCH >> number & 1 == 1) {
                        state.registers[scratch] = Value::Unknown;
                    }
                }
                Flow::Return | Flow::Leave(16 | 17) => {
                    if let Some(rule) = returned(&state) {
                        return Some(rule);
                    }
                    break;
                }
                Flow::Jump(target) => state.pc = target,
                Flow::Branch(target) => {
                    if paths.len() < MAX_PATHS {
                        paths.push(State { pc: target, ..state.clone() });
                    }
                }
                Flow::Leave(_) | Flow::End => break,
            }
        }
    }
    None
}

/// The rule for the start, if what comes next is a return.
fn returned(state: &State) -> Option<Rule> {
    let Value::Copy { base, offset: cfa } = state.registers[SP] else { return None };
    let mut registers = Vec::new();
    // x19 to x29, and what holds the return address.
    for kept in 19u8..=30 {
        let how = match state.registers[usize::from(kept)] {
            Value::Copy { base, offset: 0 } if base == kept => How::Same,
            Value::Copy { base, offset: 0 } => How::Register(base),
            Value::Memory { base: from, offset } if from == base => {
                How::At(offset.checked_sub(cfa)?)
            }
            // Without a return address there is no way on.
            _ if usize::from(kept) == LR => return None,
            _ => How::Undefined,
        };
        registers.push((u16::from(kept), how));
    }
    Some(Rule::Other(Box::new(Other { cfa: Cfa::Register(base, cfa), registers })))
}

/// `bits` of `code` from bit `at` on, as a signed number.
fn signed(code: u32, at: u32, bits: u32) -> i64 {
    i64::from(((code >> at) << (32 - bits)) as i32 >> (32 - bits))
}

/// Encodings are those of the Arm Architecture Reference Manual for A-profile, chapter C4.
fn flow(code: u32, at: u64) -> Flow {
    let to = |bits: u32, from: u32| at.wrapping_add_signed(4 * signed(code, from, bits));
    match () {
        // bl, blr, and blr that checks a signature.
        () if is_call(code) => Flow::Call,
        // b
        () if code >> 26 == 0b00_0101 => Flow::Jump(to(26, 0)),
        // b.cond, cbz and cbnz
        () if code >> 24 == 0x54 || code >> 25 & 0x3f == 0x1a => Flow::Branch(to(19, 5)),
        // tbz and tbnz
        () if code >> 25 & 0x3f == 0x1b => Flow::Branch(to(14, 5)),
        // ret, retaa, retab
        () if code & 0xffff_fc1f == 0xd65f_0000 || code & 0xffff_fbff == 0xd65f_0bff => {
            Flow::Return
        }
        // br, and br that checks a signature.
        () if code & 0xfeff_f000 == 0xd61f_0000 => Flow::Leave(code >> 5 & 31),
        // udf, brk, hlt, eret
        () if code >> 16 == 0 || code >> 24 == 0xd4 && code & 0x1f != 1 => Flow::End,
        () if code & 0xffff_f000 == 0xd69f_0000 => Flow::End,
        () => Flow::Next,
    }
}

fn is_call(code: u32) -> bool {
    code >> 26 == 0b10_0101 || code & 0xfeff_f000 == 0xd63f_0000
}

/// One instruction that neither branches nor calls.
fn step(state: &mut State, code: u32) {
    let (target, base) = ((code & 31) as usize, (code >> 5 & 31) as usize);
    // add and sub with a constant, both with the stack pointer as 31: mov to and from it too.
    if code & 0xbf80_0000 == 0x9100_0000 {
        let shift = if code >> 22 & 1 == 1 { 12 } else { 0 };
        let by = i64::from(code >> 10 & 0xfff) << shift;
        let by = if code >> 30 & 1 == 1 { -by } else { by };
        state.registers[target] = State::add(state.registers[base], by);
        return;
    }
    // mov between registers: orr with the zero register.
    if code & 0xffe0_ffe0 == 0xaa00_03e0 {
        let from = (code >> 16 & 31) as usize;
        if target != SP {
            state.registers[target] =
                if from == SP { Value::Unknown } else { state.registers[from] };
        }
        return;
    }
    match code >> 25 & 0xf {
        // Loads and stores.
        0b0100 | 0b0110 | 0b1100 | 0b1110 => transfer(state, code, target, base),
        // Branches and system instructions: hints that sign the link register, nop, ...;
        // mrs writes a register.
        0b1010 | 0b1011 => {
            if code & 0xfff0_0000 == 0xd530_0000 && target != SP {
                state.registers[target] = Value::Unknown;
            }
        }
        // SIMD: of the general registers only moves from vectors write any.
        0b0111 | 0b1111 => {
            if target != SP {
                state.registers[target] = Value::Unknown;
            }
        }
        // Whether 31 is the stack pointer or nothing depends on the instruction; comparisons
        // (subs and adds, ands) mean nothing.
        _ => {
            let flags = code >> 29 & 1 == 1;
            if target != SP || !flags {
                state.registers[target] = Value::Unknown;
            }
        }
    }
}

/// A load or a store.
fn transfer(state: &mut State, code: u32, target: usize, base: usize) {
    let simd = code >> 26 & 1 == 1;
    // Pairs: where the address goes (none, after, no change, before) is in bits 23 and 24.
    if code >> 27 & 0b111 == 0b101 {
        let size = match (simd, code >> 30) {
            (false, 0b10) | (true, 0b01) => 8,
            (true, 0b10) => 16,
            _ => 4,
        };
        let offset = size * signed(code, 15, 7);
        let second = (code >> 10 & 31) as usize;
        let mode = code >> 23 & 0b11;
        let start = state.registers[base];
        let first_at = if mode == 1 { start } else { State::add(start, offset) };
        if mode & 1 == 1 {
            state.registers[base] = State::add(start, offset);
        }
        if !simd {
            let whole = code >> 30 == 0b10;
            let load = code >> 22 & 1 == 1;
            access(state, target, first_at, whole, load);
            access(state, second, State::add(first_at, size), whole, load);
        }
        return;
    }
    let whole = code >> 30 == 0b11 && !simd;
    // Loads that extend have bit 23; a word that is only stored stays as it was.
    let load = code >> 22 & 0b11 != 0;
    if code & 0x3b00_0000 == 0x3900_0000 {
        // With an offset in units of the size.
        let offset = i64::from(code >> 10 & 0xfff) * 8;
        let at = State::add(state.registers[base], offset);
        if !simd {
            access(state, target, at, whole && code >> 22 & 0b11 < 2, load);
        }
        return;
    }
    if code & 0x3b20_0000 == 0x3800_0000 {
        // With an offset in bytes; 01 is added after, 11 before.
        let (offset, mode) = (signed(code, 12, 9), code >> 10 & 0b11);
        let start = state.registers[base];
        let at = if mode == 1 { start } else { State::add(start, offset) };
        if mode & 1 == 1 {
            state.registers[base] = State::add(start, offset);
        }
        if !simd {
            access(state, target, at, whole && code >> 22 & 0b11 < 2 && mode != 2, load);
        }
        return;
    }
    if !simd || code >> 23 & 1 == 1 {
        // Anything else (exclusive, atomic, literal; vectors with a step): it may write what
        // it names, but for the stack pointer, which it only adds to.
        let literal = code & 0x3b00_0000 == 0x1800_0000;
        let mut written = vec![target, (code >> 16 & 31) as usize];
        if simd || code & 0x3f00_0000 == 0x1900_0000 {
            written.push(base);
        }
        for register in written {
            let names_nothing = register == SP && (register != base || literal);
            if !names_nothing {
                state.registers[register] = Value::Unknown;
            }
        }
    }
}

/// A register loaded from or stored to memory; 31 is the zero register.
fn access(state: &mut State, register: usize, at: Value, whole: bool, load: bool) {
    match (load, whole) {
        (true, true) if register != SP => state.registers[register] = state.load(at),
        (true, false) if register != SP => state.registers[register] = Value::Unknown,
        (true, _) => {}
        (false, true) if register != SP => state.store(at, state.registers[register]),
        (false, _) => state.store(at, Value::Unknown),
    }
}

/// Whether the instruction in front of an address is a call, by its bytes.
pub(crate) fn is_behind_call(before: [u8; 4]) -> bool {
    is_call(u32::from_le_bytes(before))
}

/// The functions that parts of the function in `range` were moved to (`.cold`): those that
/// it has jumps into.
pub(crate) fn jump_targets(text: &dyn Text, range: (u64, u64)) -> Vec<u64> {
    const MAX_FUNCTION: u64 = 1 << 20;
    let length = (range.1.saturating_sub(range.0)).min(MAX_FUNCTION) as usize;
    let mut bytes = vec![0; length];
    let got = text.read(range.0, &mut bytes);
    let codes = bytes[..got.min(length)].chunks_exact(4);
    let codes = codes.filter_map(|code| code.try_into().ok().map(u32::from_le_bytes));
    let targets = codes.zip((range.0..).step_by(4)).filter_map(|(code, at)| match flow(code, at) {
        Flow::Jump(target) | Flow::Branch(target) => Some(target),
        _ => None,
    });
    targets.filter(|target| !(range.0..range.1).contains(target)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::Registers;
    use remote::core::Machine;

    /// The caller of code at 0x1000, with its stack at 0x7000: its address, its stack pointer,
    /// and its x19.
    fn caller(code: &[u32], stack: &[u64]) -> Option<(u64, u64, Option<u64>)> {
        let registers = registers(code, stack)?;
        Some((registers.pc, registers.sp(), registers.get(19)))
    }

    fn registers(code: &[u32], stack: &[u64]) -> Option<Registers> {
        let bytes: Vec<u8> = code.iter().flat_map(|code| code.to_le_bytes()).collect();
        let text = |address: u64, buffer: &mut [u8]| {
            let at = address.checked_sub(0x1000).map_or(bytes.len(), |at| at as usize);
            let rest = bytes.get(at..).unwrap_or_default();
            let got = rest.len().min(buffer.len());
            buffer[..got].copy_from_slice(&rest[..got]);
            got
        };
        let rule = rule(&text, 0x1000)?;
        let mut registers = Registers::bare(Machine::Aarch64, 0x1000, 0x7000);
        for (number, value) in [(19, 0x19), (29, 0x7010), (30, 0x3030)] {
            registers.set(number, value);
        }
        let word = |address: u64| stack.get((address.checked_sub(0x7000)? / 8) as usize).copied();
        rule.apply(&mut registers, &word).ok()?;
        Some(registers)
    }

    const RET: u32 = 0xd65f_03c0;

    #[test]
    fn a_leaf_returns_to_its_link_register() {
        // mov w0, wzr; ret
        assert_eq!(caller(&[0x2a1f_03e0, RET], &[]), Some((0x3030, 0x7000, Some(0x19))));
        // retaa; br x17; br x3
        assert_eq!(caller(&[0xd65f_0bff], &[]).map(|found| found.0), Some(0x3030));
        assert_eq!(caller(&[0xd61f_0220], &[]).map(|found| found.0), Some(0x3030));
        assert_eq!(caller(&[0xd61f_0060], &[]), None);
    }

    #[test]
    fn registers_come_back_from_where_they_were_put() {
        // tbnz w0, #31, +0x18; add w0, w0, #1; ldr x29, [sp, #16]; ldp x19, x30, [sp];
        // add sp, sp, #32; ret
        let code = [0x37f8_00c0, 0x1100_0400, 0xf940_0bfd, 0xa940_7bf3, 0x9100_83ff, RET];
        assert_eq!(caller(&code, &[42, 0x5555, 1]), Some((0x5555, 0x7020, Some(42))));
        let x29 = registers(&code, &[42, 0x5555, 43]).and_then(|registers| registers.get(29));
        assert_eq!(x29, Some(43));
        // mov sp, x29; ldp x29, x30, [sp], #16; autiasp; ret: by the frame pointer
        let code = [0x9100_03bf, 0xa8c1_7bfd, 0xd503_23bf, RET];
        assert_eq!(caller(&code, &[1, 2, 3, 0x6666]), Some((0x6666, 0x7020, Some(0x19))));
        // stp x19, x30, [sp, #-16]!; bl somewhere; ldp x19, x30, [sp], #16; ret
        let code = [0xa9bf_7bf3, 0x9400_0100, 0xa8c1_7bf3, RET];
        assert_eq!(caller(&code, &[]), Some((0x3030, 0x7000, Some(0x19))));
        // str d8, [sp, #-16]!; ldr d8, [sp], #16; ret
        let code = [0xfc1f_0fe8, 0xfc41_07e8, RET];
        assert_eq!(caller(&code, &[]), Some((0x3030, 0x7000, Some(0x19))));
    }

    #[test]
    fn what_is_not_known_ends_it() {
        // bl somewhere; ret: the link register was overwritten
        assert_eq!(caller(&[0x9400_0100, RET], &[]), None);
        // sub sp, sp, x1; ret: nothing tells where that is
        assert_eq!(caller(&[0xcb21_63ff, RET], &[1, 2]), None);
        // b to itself; udf; cut off
        assert_eq!(caller(&[0x1400_0000], &[]), None);
        assert_eq!(caller(&[0], &[]), None);
        assert_eq!(caller(&[], &[]), None);
        // cbz x0, +8; brk #1; ret
        assert_eq!(
            caller(&[0xb400_0040, 0xd420_0020, RET], &[]).map(|found| found.0),
            Some(0x3030)
        );
    }

    #[test]
    fn calls_and_jumps_are_recognised() {
        let behind = |code: u32| is_behind_call(code.to_le_bytes());
        // bl, blr x8, blraaz x8, blraa x8, x9
        assert!([0x9400_0001, 0xd63f_0100, 0xd63f_091f, 0xd73f_0909].into_iter().all(behind));
        // b, br x8, ret, nop
        assert!(![0x1400_0001, 0xd61f_0100, RET, 0xd503_201f].into_iter().any(behind));
        // b.eq -0x100; cbz x0, +4; ret
        let code = [0x54ff_f800u32, 0xb400_0020, RET];
        let bytes: Vec<u8> = code.iter().flat_map(|code| code.to_le_bytes()).collect();
        let text = |_: u64, buffer: &mut [u8]| {
            buffer.copy_from_slice(&bytes);
            bytes.len()
        };
        assert_eq!(jump_targets(&text, (0x1000, 0x100c)), [0xf00]);
    }
}
