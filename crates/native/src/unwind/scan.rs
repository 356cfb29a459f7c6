//! Rules for code that no unwind information covers: hand-written assembler, trampolines,
//! JIT code. What a function will do to the stack pointer before it returns tells where
//! its return address is, so its instructions are followed to a `ret`.

use super::{Cfa, How, Other, Rule};
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};
use rustc_hash::FxHashSet;

/// Instructions that are looked at for one rule.
const MAX_INSTRUCTIONS: usize = 20_000;
/// Branches that are left for later.
const MAX_PATHS: usize = 256;
/// Stack slots that are kept in mind.
const MAX_SLOTS: usize = 64;
const CHUNK: usize = 1024;
/// No instruction is longer.
const LONGEST: usize = 15;

const RBP: usize = 6;
const RSP: usize = 7;

/// Reads machine code: fills the buffer from an address as far as possible and says how
/// far.
pub(crate) trait Text {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize;
}

impl<F: Fn(u64, &mut [u8]) -> usize> Text for F {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        self(address, buffer)
    }
}

/// What is known of a register's value further on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// What register `base` held at the start, and `offset`.
    Copy {
        base: u8,
        offset: i64,
    },
    /// What lay in memory at the start, at `base` and `offset`.
    Memory {
        base: u8,
        offset: i64,
    },
    Unknown,
}

/// The machine as far as it is followed.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub pc: u64,
    /// By DWARF's numbers.
    pub registers: [Value; 32],
    /// What has been stored since: base, offset, value.
    pub slots: Vec<(u8, i64, Value)>,
}

impl State {
    pub fn new(pc: u64) -> State {
        let registers = std::array::from_fn(|base| Value::Copy { base: base as u8, offset: 0 });
        State { pc, registers, slots: Vec::new() }
    }

    pub fn add(value: Value, by: i64) -> Value {
        match value {
            Value::Copy { base, offset } => Value::Copy { base, offset: offset.wrapping_add(by) },
            _ => Value::Unknown,
        }
    }

    pub fn load(&self, address: Value) -> Value {
        let Value::Copy { base, offset } = address else { return Value::Unknown };
        let stored = self.slots.iter().rev().find(|(b, o, _)| (*b, *o) == (base, offset));
        stored.map_or(Value::Memory { base, offset }, |(_, _, value)| *value)
    }

    pub fn store(&mut self, address: Value, value: Value) {
        let Value::Copy { base, offset } = address else { return };
        self.slots.retain(|(b, o, _)| (*b, *o) != (base, offset));
        if self.slots.len() < MAX_SLOTS {
            self.slots.push((base, offset, value));
        }
    }

    fn push(&mut self, value: Value) {
        self.registers[RSP] = State::add(self.registers[RSP], -8);
        self.store(self.registers[RSP], value);
    }

    fn pop(&mut self) -> Value {
        let value = self.load(self.registers[RSP]);
        self.registers[RSP] = State::add(self.registers[RSP], 8);
        value
    }

    /// The address that a memory operand names, where it is a register and an offset.
    fn address(&self, instruction: &Instruction) -> Value {
        if instruction.memory_index() != Register::None {
            return Value::Unknown;
        }
        match number(instruction.memory_base()) {
            Some(base) => {
                State::add(self.registers[base], instruction.memory_displacement64() as i64)
            }
            None => Value::Unknown,
        }
    }

    /// The rule for the start, if what comes next is a return.
    fn rule(&self) -> Option<Rule> {
        let Value::Copy { base, offset } = self.registers[RSP] else { return None };
        let cfa = offset.checked_add(8)?;
        let mut registers = vec![(16, How::At(-8))];
        // rbx, rbp, r12 to r15.
        for kept in [3u8, 6, 12, 13, 14, 15] {
            let how = match self.registers[usize::from(kept)] {
                Value::Copy { base, offset: 0 } if base == kept => How::Same,
                Value::Copy { base, offset: 0 } => How::Register(base),
                Value::Memory { base: from, offset } if from == base => {
                    How::At(offset.checked_sub(cfa)?)
                }
                _ => How::Undefined,
            };
            registers.push((u16::from(kept), how));
        }
        Some(Rule::Other(Box::new(Other { cfa: Cfa::Register(base, cfa), registers })))
    }
}

/// DWARF's number of a 64-bit general register.
fn number(register: Register) -> Option<usize> {
    const ORDER: [usize; 16] = [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];
    // iced counts as the machine does: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8...
    let at = (register as usize).checked_sub(Register::RAX as usize)?;
    ORDER.get(at).copied()
}

/// Follows the code at `pc` of x86_64 to where it returns.
pub(crate) fn rule(text: &dyn Text, pc: u64) -> Option<Rule> {
    let mut info = InstructionInfoFactory::new();
    let mut paths = vec![State::new(pc)];
    let mut seen = FxHashSet::default();
    let mut left = MAX_INSTRUCTIONS;
    let mut chunk = Chunk { start: 0, bytes: Vec::new() };
    while let Some(mut state) = paths.pop() {
        while left > 0 && seen.insert(state.pc) {
            left -= 1;
            let Some(instruction) = chunk.decode(text, state.pc) else { break };
            state.pc = instruction.next_ip();
            match instruction.flow_control() {
                FlowControl::Next | FlowControl::XbeginXabortXend => {
                    step(&mut state, &instruction, &mut info);
                }
                FlowControl::Call | FlowControl::IndirectCall => {
                    for scratch in [0usize, 1, 2, 4, 5, 8, 9, 10, 11] {
                        state.registers[scratch] = Value::Unknown;
                    }
                }
                FlowControl::Return => {
                    if let Some(rule) = state.rule() {
                        return Some(rule);
                    }
                    break;
                }
                FlowControl::UnconditionalBranch => state.pc = instruction.near_branch_target(),
                FlowControl::ConditionalBranch => {
                    if paths.len() < MAX_PATHS {
                        paths.push(State { pc: instruction.near_branch_target(), ..state.clone() });
                    }
                }
                // A jump through a fixed pointer leaves for another function, as the stubs
                // of a PLT do. Any other may be a table of cases.
                FlowControl::IndirectBranch if instruction.is_ip_rel_memory_operand() => {
                    if let Some(rule) = state.rule() {
                        return Some(rule);
                    }
                    break;
                }
                _ => break,
            }
        }
    }
    None
}

/// Bytes of code that were read.
struct Chunk {
    start: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    fn decode(&mut self, text: &dyn Text, pc: u64) -> Option<Instruction> {
        let have = |chunk: &Chunk| {
            let at = usize::try_from(pc.checked_sub(chunk.start)?).ok()?;
            chunk.bytes.get(at..).filter(|rest| !rest.is_empty()).map(<[u8]>::len)
        };
        if have(self).is_none_or(|rest| rest < LONGEST) {
            self.bytes.resize(CHUNK, 0);
            let got = text.read(pc, &mut self.bytes);
            self.bytes.truncate(got);
            self.start = pc;
        }
        let at = usize::try_from(pc.checked_sub(self.start)?).ok()?;
        let bytes = self.bytes.get(at..)?;
        let mut decoder = Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE);
        let instruction = decoder.decode();
        (!instruction.is_invalid()).then_some(instruction)
    }
}

/// One instruction that neither branches nor calls.
fn step(state: &mut State, instruction: &Instruction, info: &mut InstructionInfoFactory) {
    let operand = |state: &State, at: u32| -> Option<Value> {
        (instruction.op_kind(at) == OpKind::Register)
            .then(|| number(instruction.op_register(at)))
            .flatten()
            .map(|register| state.registers[register])
    };
    let target = (instruction.op_count() > 0 && instruction.op0_kind() == OpKind::Register)
        .then(|| number(instruction.op0_register()))
        .flatten();
    let wide = |at: u32| instruction.op_kind(at) == OpKind::Memory;
    match instruction.mnemonic() {
        Mnemonic::Push if instruction.stack_pointer_increment() == -8 => {
            let value = operand(state, 0).unwrap_or(Value::Unknown);
            return state.push(value);
        }
        Mnemonic::Pop if instruction.stack_pointer_increment() == 8 => {
            let value = state.pop();
            if let Some(target) = target {
                state.registers[target] = value;
            }
            return;
        }
        Mnemonic::Leave => {
            state.registers[RSP] = state.registers[RBP];
            state.registers[RBP] = state.pop();
            return;
        }
        Mnemonic::Mov => match (target, operand(state, 1)) {
            (Some(target), Some(value)) => return state.registers[target] = value,
            (Some(target), None) if wide(1) => {
                return state.registers[target] = state.load(state.address(instruction));
            }
            (None, Some(value)) if wide(0) => {
                return state.store(state.address(instruction), value);
            }
            _ => {}
        },
        Mnemonic::Lea => {
            if let Some(target) = target {
                return state.registers[target] = state.address(instruction);
            }
        }
        Mnemonic::Add | Mnemonic::Sub => {
            let by = immediate(instruction);
            if let (Some(target), Some(by)) = (target, by) {
                let by = if instruction.mnemonic() == Mnemonic::Sub { -by } else { by };
                return state.registers[target] = State::add(state.registers[target], by);
            }
        }
        _ => {}
    }
    // Anything else makes what it writes unknown; calls and returns do not come here.
    for used in info.info(instruction).used_registers() {
        let writes = !matches!(used.access(), OpAccess::None | OpAccess::Read | OpAccess::CondRead);
        if let (true, Some(register)) = (writes, number(used.register().full_register())) {
            state.registers[register] = Value::Unknown;
        }
    }
}

fn immediate(instruction: &Instruction) -> Option<i64> {
    match instruction.op1_kind() {
        OpKind::Immediate8to64 | OpKind::Immediate32to64 | OpKind::Immediate64 => {
            Some(instruction.immediate(1) as i64)
        }
        _ => None,
    }
}

/// Whether the instruction in front of `address` is a call, by the bytes up to there.
pub(crate) fn is_behind_call(before: &[u8]) -> bool {
    let byte = |back: usize| before.len().checked_sub(back).map(|at| before[at]);
    if byte(5) == Some(0xe8) {
        return true;
    }
    // call through a register or memory: FF /2, with its operand.
    (2..=7).any(|length| {
        let (Some(0xff), Some(modrm)) = (byte(length), byte(length - 1)) else { return false };
        if modrm >> 3 & 7 != 2 {
            return false;
        }
        let sib = usize::from(modrm & 7 == 4 && modrm >> 6 != 3);
        let displacement = match (modrm >> 6, modrm & 7) {
            (0, 5) | (2, _) => 4,
            (1, _) => 1,
            (0, 4) if byte(length.saturating_sub(2)).is_some_and(|sib| sib & 7 == 5) => 4,
            _ => 0,
        };
        length == 2 + sib + displacement
    })
}

/// The functions that parts of the function in `range` were moved to (`.cold`): those that
/// it has conditional jumps into, counted.
pub(crate) fn jump_targets(text: &dyn Text, range: (u64, u64)) -> Vec<u64> {
    const MAX_FUNCTION: u64 = 1 << 20;
    let length = (range.1.saturating_sub(range.0)).min(MAX_FUNCTION) as usize;
    let mut bytes = vec![0; length];
    let got = text.read(range.0, &mut bytes);
    bytes.truncate(got);
    let decoder = Decoder::with_ip(64, &bytes, range.0, DecoderOptions::NONE);
    let mut targets = Vec::new();
    for instruction in decoder {
        let branch = matches!(
            instruction.flow_control(),
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
        );
        let target = instruction.near_branch_target();
        if branch && !(range.0..range.1).contains(&target) && instruction.code() != Code::INVALID {
            targets.push(target);
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::Registers;
    use remote::core::Machine;

    fn caller(code: &[u8], stack: &[u64]) -> Option<(u64, u64, Option<u64>)> {
        let text = |address: u64, buffer: &mut [u8]| {
            let rest = &code[(address - 0x1000) as usize..];
            let got = rest.len().min(buffer.len());
            buffer[..got].copy_from_slice(&rest[..got]);
            got
        };
        let rule = rule(&text, 0x1000)?;
        let mut registers = Registers::bare(Machine::X86_64, 0x1000, 0x7000);
        registers.set(6, 0x7010);
        let word = |address: u64| stack.get((address.checked_sub(0x7000)? / 8) as usize).copied();
        rule.apply(&mut registers, &word).ok()?;
        Some((registers.pc, registers.sp(), registers.get(6)))
    }

    #[test]
    fn a_trampoline_returns_behind_its_own_frame() {
        // call *%rcx; add $8,%rsp; ret
        let code = [0xff, 0xd1, 0x48, 0x83, 0xc4, 8, 0xc3];
        assert_eq!(caller(&code, &[1, 0x5555]), Some((0x5555, 0x7010, Some(0x7010))));
    }

    #[test]
    fn registers_come_back_from_where_they_were_put() {
        // vzeroupper; mov 8(%rsp),%rbp; add $16,%rsp; ret
        let code = [0xc5, 0xf8, 0x77, 0x48, 0x8b, 0x6c, 0x24, 8, 0x48, 0x83, 0xc4, 16, 0xc3];
        assert_eq!(caller(&code, &[1, 42, 0x5555]), Some((0x5555, 0x7018, Some(42))));
        // push %rbp; xor %ebp,%ebp; pop %rbp; leave; ret
        let code = [0x55, 0x31, 0xed, 0x5d, 0xc9, 0xc3];
        assert_eq!(caller(&code, &[1, 2, 43, 0x5555]), Some((0x5555, 0x7020, Some(43))));
    }

    #[test]
    fn loops_and_dead_ends_are_left() {
        // 0: dec %eax; jne 0; jmp 5; 6: ud2; ...: pop %rcx; ret
        let code = [0xff, 0xc8, 0x75, 0xfc, 0x74, 0x02, 0x0f, 0x0b, 0x59, 0xc3];
        assert_eq!(caller(&code, &[1, 0x5555]).map(|found| found.0), Some(0x5555));
        // jmp to itself; jmp *%rax; cut off
        assert_eq!(caller(&[0xeb, 0xfe], &[]), None);
        assert_eq!(caller(&[0xff, 0xe0], &[]), None);
        assert_eq!(caller(&[0x48], &[]), None);
        // and $-32,%rsp; ret: nothing tells where that is.
        assert_eq!(caller(&[0x48, 0x83, 0xe4, 0xe0, 0xc3], &[1, 2, 3, 4]), None);
        // jmp *0(%rip): a PLT stub
        let stub = [0xff, 0x25, 0, 0, 0, 0];
        assert_eq!(caller(&stub, &[0x5555]).map(|found| found.0), Some(0x5555));
    }

    #[test]
    fn calls_are_recognised_from_behind() {
        assert!(is_behind_call(&[0xe8, 1, 2, 3, 4]));
        assert!(is_behind_call(&[0x41, 0xff, 0xd4]));
        assert!(is_behind_call(&[0xff, 0x50, 0x18]));
        assert!(is_behind_call(&[0xff, 0x15, 1, 2, 3, 4]));
        assert!(is_behind_call(&[0xff, 0x14, 0xc5, 1, 2, 3, 4]));
        assert!(!is_behind_call(&[0x90, 0x90, 0x90, 0x90, 0x90]));
        assert!(!is_behind_call(&[0xff, 0xe0]));
        assert!(!is_behind_call(&[]));
    }
}
