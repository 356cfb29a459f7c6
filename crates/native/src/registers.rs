//! The registers that unwinding needs, numbered as DWARF numbers them.

use remote::core::Machine;

/// Registers whose values are known, at one point of a stack.
///
/// A caller's registers are known as far as its callees have saved them or must leave
/// them alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    machine: Machine,
    /// The instruction that runs, or the one that a call returns to.
    pub pc: u64,
    values: [u64; 32],
    known: u32,
    /// The bits that addresses have.
    address: u64,
}

/// x86_64: `%rsp` is 7, the return address 16 (System V ABI, figure 3.36).
const X86_RSP: u8 = 7;
const X86_RETURN: u16 = 16;
/// rbx, rbp, rsp, r12 to r15.
const X86_KEPT: u32 = 1 << 3 | 1 << 6 | 1 << 7 | 0xf << 12;
/// aarch64: the link register is 30, the stack pointer 31 (DWARF for the Arm 64-bit
/// Architecture, 4.1).
const ARM_LR: u8 = 30;
const ARM_SP: u8 = 31;
/// x19 to x29 and the stack pointer.
const ARM_KEPT: u32 = 0x7ff << 19 | 1 << 31;
/// Addresses of a program have 48 bits, unless the kernel was built for fewer; above are the
/// bits that sign a return address (Documentation/arch/arm64/pointer-authentication.rst).
const ARM_ADDRESS: u64 = (1 << 48) - 1;

impl Registers {
    /// From general registers in the kernel's order (`struct user_regs_struct`,
    /// `struct user_pt_regs`); `None` where there are too few, as of a 32-bit thread.
    pub fn from_kernel(machine: Machine, words: &[u64]) -> Option<Registers> {
        let mut values = [0; 32];
        let pc = match machine {
            Machine::X86_64 => {
                // Where the registers 0 to 15 are: rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8...
                const ORDER: [usize; 16] = [10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0];
                for (value, at) in values.iter_mut().zip(ORDER) {
                    *value = *words.get(at)?;
                }
                *words.get(16)?
            }
            Machine::Aarch64 => {
                values.copy_from_slice(words.get(..32)?);
                *words.get(32)?
            }
        };
        let known = if machine == Machine::X86_64 { 0xffff } else { u32::MAX };
        Some(Registers { machine, pc, values, known, address: address_bits(machine) })
    }

    /// Of a thread of which only these two are known.
    pub fn bare(machine: Machine, pc: u64, sp: u64) -> Registers {
        let address = address_bits(machine);
        let mut registers = Registers { machine, pc, values: [0; 32], known: 0, address };
        registers.set(registers.sp_number(), sp);
        registers
    }

    /// What they are registers of.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// The stack pointer.
    pub fn sp(&self) -> u64 {
        self.values[usize::from(self.sp_number())]
    }

    pub(crate) fn sp_number(&self) -> u8 {
        match self.machine {
            Machine::X86_64 => X86_RSP,
            Machine::Aarch64 => ARM_SP,
        }
    }

    /// The column of unwind tables that holds the return address.
    pub(crate) fn return_column(&self) -> u16 {
        match self.machine {
            Machine::X86_64 => X86_RETURN,
            Machine::Aarch64 => u16::from(ARM_LR),
        }
    }

    /// The value of register `number`, if it is known.
    pub fn get(&self, number: u8) -> Option<u64> {
        let value = self.values.get(usize::from(number))?;
        (self.known >> number & 1 == 1).then_some(*value)
    }

    pub(crate) fn set(&mut self, number: u8, value: u64) {
        if let Some(slot) = self.values.get_mut(usize::from(number)) {
            *slot = value;
            self.known |= 1 << number;
        }
    }

    pub(crate) fn forget(&mut self, number: u8) {
        if number < 32 {
            self.known &= !(1 << number);
        }
    }

    /// Forgets what a callee may change: what is left is known of its caller.
    pub(crate) fn forget_scratch(&mut self) {
        self.known &= match self.machine {
            Machine::X86_64 => X86_KEPT,
            Machine::Aarch64 => ARM_KEPT,
        };
    }

    /// Takes note that nothing is mapped at `end` or above.
    pub(crate) fn end_addresses_at(&mut self, end: u64) {
        if self.machine == Machine::Aarch64 && end > 1 {
            self.address = u64::MAX >> (end - 1).leading_zeros();
        }
    }

    /// A return address without what signs it.
    pub(crate) fn plain(&self, address: u64) -> u64 {
        address & self.address
    }
}

fn address_bits(machine: Machine) -> u64 {
    match machine {
        Machine::X86_64 => u64::MAX,
        Machine::Aarch64 => ARM_ADDRESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_order_is_put_into_dwarfs() {
        let words: Vec<u64> = (100..127).collect();
        let registers = Registers::from_kernel(Machine::X86_64, &words).expect("enough");
        assert_eq!((registers.pc, registers.sp()), (116, 119));
        assert_eq!(registers.get(6), Some(104));
        assert_eq!((registers.get(3), registers.get(15)), (Some(105), Some(100)));
        assert_eq!(registers.get(16), None);
        assert_eq!(Registers::from_kernel(Machine::X86_64, &words[..17]), None);
        let words: Vec<u64> = (100..134).collect();
        let registers = Registers::from_kernel(Machine::Aarch64, &words).expect("enough");
        assert_eq!((registers.pc, registers.sp(), registers.get(30)), (132, 131, Some(130)));
    }

    #[test]
    fn what_signs_an_address_is_above_all_that_is_mapped() {
        let mut registers = Registers::bare(Machine::Aarch64, 1, 2);
        assert_eq!(registers.plain(0x00aa_ffff_1234_5678), 0xffff_1234_5678);
        // The stack lies at the top: a kernel with addresses of 39 bits.
        registers.end_addresses_at(0x7f_ffff_f000);
        assert_eq!(registers.plain(0x55d5_557f_1234_5678), 0x7f_1234_5678);
        let mut other = Registers::bare(Machine::X86_64, 1, 2);
        other.end_addresses_at(0x7f_ffff_f000);
        assert_eq!(other.plain(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_caller_knows_what_was_left_alone() {
        let mut registers = Registers::bare(Machine::X86_64, 1, 2);
        registers.set(0, 5);
        registers.set(6, 6);
        registers.forget_scratch();
        assert_eq!((registers.get(0), registers.get(6)), (None, Some(6)));
        assert_eq!(registers.sp(), 2);
    }
}
