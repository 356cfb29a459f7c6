//! How one frame leads to its caller's: rules, made once for each address and then
//! applied to every stack that passes there.
//!
//! ```text
//!  cfi    rules from `.eh_frame`
//!  scan   rules from the machine code itself, where there is no unwind information (x86_64)
//!  scan_arm   the same for aarch64
//! ```
//!
//! A rule never guesses: what it cannot know ends the walk, with the reason.

pub(crate) mod cfi;
mod expression;
pub(crate) mod scan;
pub(crate) mod scan_arm;

use crate::registers::Registers;
use std::fmt;

pub(crate) use expression::Expression;

/// Reads words of a stack: a copy of it, or the memory of a core file.
pub trait Stack {
    /// The eight bytes at `address`, if they can be read.
    fn word(&self, address: u64) -> Option<u64>;
}

/// A copy of a part of a thread's stack.
#[derive(Debug, Clone, Copy)]
pub struct StackCopy<'a> {
    /// Where it was.
    pub start: u64,
    /// What it was.
    pub bytes: &'a [u8],
}

impl Stack for StackCopy<'_> {
    #[inline]
    fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let word = self.bytes.get(at..at.checked_add(8)?)?;
        word.try_into().ok().map(u64::from_le_bytes)
    }
}

impl<F: Fn(u64) -> Option<u64>> Stack for F {
    fn word(&self, address: u64) -> Option<u64> {
        self(address)
    }
}

/// Why a walk cannot go on from a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It was the outermost frame.
    Outermost,
    /// The stack could not be read there (or was not copied that far).
    Unreadable(u64),
    /// A register was needed whose value is not known (its DWARF number).
    Register(u8),
    /// Nothing says how to unwind this code.
    NoRule,
    /// The caller's frame would not be further out: this is no stack.
    Backwards,
    /// What should be a return address points to no code, or not behind a call.
    NoCode(u64),
    /// More frames than any stack has.
    TooLong,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Outermost => write!(f, "the outermost frame"),
            Stop::Unreadable(at) => write!(f, "the stack at {at:#x} cannot be read"),
            Stop::Register(number) => write!(f, "register {number} is not known"),
            Stop::NoRule => write!(f, "no unwind information"),
            Stop::Backwards => write!(f, "the stack goes backwards"),
            Stop::NoCode(at) => write!(f, "{at:#x} is no return address"),
            Stop::TooLong => write!(f, "too many frames"),
        }
    }
}

/// A caller's register, by what its callee left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    pub register: u8,
    /// Where, from the CFA.
    pub offset: i32,
}

/// Rules of the common kind save no more registers than this.
pub(crate) const MAX_SAVED: usize = 11;

/// How to get from a frame to its caller.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    /// The CFA (the caller's stack pointer) is a register and an offset; registers and
    /// the return address were saved at offsets from it.
    Plain {
        base: u8,
        offset: i32,
        saved: [Saved; MAX_SAVED],
        count: u8,
        /// Where the return address is; `None` where it is in its register still.
        returns: Option<i32>,
    },
    /// Anything else that unwind information can say.
    Other(Box<Other>),
    /// There is no caller.
    Outermost,
    /// It is not known.
    Unknown,
}

/// A rule with expressions, or with registers kept in unusual ways.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Other {
    pub cfa: Cfa,
    pub registers: Vec<(u16, How)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cfa {
    Register(u8, i64),
    Expression(Expression),
}

/// How a caller's register is found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum How {
    Undefined,
    Same,
    Register(u8),
    /// In memory, at an offset from the CFA.
    At(i64),
    /// The CFA and an offset itself.
    Is(i64),
    /// In memory, where an expression says.
    AtExpression(Expression),
    /// What an expression says.
    IsExpression(Expression),
}

impl Rule {
    /// Turns a frame's registers into its caller's.
    pub fn apply(&self, registers: &mut Registers, stack: &dyn Stack) -> Result<(), Stop> {
        let before = registers.sp();
        let pc = registers.pc;
        match self {
            Rule::Plain { base, offset, saved, count, returns } => {
                let from = registers.get(*base).ok_or(Stop::Register(*base))?;
                let cfa = from.wrapping_add_signed(i64::from(*offset));
                let at = |offset: i32| {
                    let address = cfa.wrapping_add_signed(i64::from(offset));
                    stack.word(address).ok_or(Stop::Unreadable(address))
                };
                let back = match returns {
                    Some(offset) => at(*offset)?,
                    None => return_register(registers)?,
                };
                let old = *registers;
                registers.forget_scratch();
                for saved in saved.iter().take(usize::from(*count)) {
                    match at(saved.offset) {
                        Ok(value) => registers.set(saved.register, value),
                        // Popped already, and below the stack pointer: it is back.
                        Err(_) if cfa.wrapping_add_signed(saved.offset.into()) < before => {
                            keep(registers, &old, saved.register);
                        }
                        Err(stop) => return Err(stop),
                    }
                }
                registers.set(registers.sp_number(), cfa);
                registers.pc = registers.plain(back);
            }
            Rule::Other(other) => other.apply(registers, stack)?,
            Rule::Outermost => return Err(Stop::Outermost),
            Rule::Unknown => return Err(Stop::NoRule),
        }
        if registers.pc == 0 {
            return Err(Stop::Outermost);
        }
        // Without a stack frame of its own, as an aarch64 leaf has none, a frame must at
        // least lead to other code.
        if registers.sp() < before || (registers.sp() == before && registers.pc == pc) {
            return Err(Stop::Backwards);
        }
        Ok(())
    }
}

fn keep(registers: &mut Registers, old: &Registers, number: u8) {
    if let Some(value) = old.get(number) {
        registers.set(number, value);
    }
}

/// The return address of a frame that has not saved it (aarch64).
fn return_register(registers: &Registers) -> Result<u64, Stop> {
    let number = registers.return_column() as u8;
    registers.get(number).ok_or(Stop::Register(number))
}

impl Other {
    fn apply(&self, registers: &mut Registers, stack: &dyn Stack) -> Result<(), Stop> {
        let old = *registers;
        let cfa = match &self.cfa {
            Cfa::Register(base, offset) => {
                old.get(*base).ok_or(Stop::Register(*base))?.wrapping_add_signed(*offset)
            }
            Cfa::Expression(expression) => expression.evaluate(&old, stack, None)?,
        };
        registers.forget_scratch();
        registers.set(registers.sp_number(), cfa);
        let column = old.return_column();
        let mut back = None;
        for (number, how) in &self.registers {
            let at = |address: u64| stack.word(address).ok_or(Stop::Unreadable(address));
            let value = match how {
                Undefined if *number == column => return Err(Stop::Outermost),
                Undefined => None,
                Same => old.get(*number as u8),
                Register(other) => old.get(*other),
                At(offset) => Some(at(cfa.wrapping_add_signed(*offset))?),
                Is(offset) => Some(cfa.wrapping_add_signed(*offset)),
                AtExpression(expression) => {
                    Some(at(expression.evaluate(&old, stack, Some(cfa))?)?)
                }
                IsExpression(expression) => Some(expression.evaluate(&old, stack, Some(cfa))?),
            };
            if *number == column {
                back = value;
                continue;
            }
            let Ok(number) = u8::try_from(*number) else { continue };
            match value {
                Some(value) => registers.set(number, value),
                None => registers.forget(number),
            }
        }
        registers.pc = match back {
            Some(back) => registers.plain(back),
            // aarch64: not saved, so it is in its register still.
            None => registers.plain(return_register(&old)?),
        };
        Ok(())
    }
}

use How::{At, AtExpression, Is, IsExpression, Register, Same, Undefined};

#[cfg(test)]
mod tests {
    use super::*;
    use remote::core::Machine;

    const NONE: Saved = Saved { register: 0, offset: 0 };

    #[test]
    fn a_plain_rule_finds_the_caller() {
        let mut saved = [NONE; MAX_SAVED];
        saved[0] = Saved { register: 6, offset: -16 };
        let rule = Rule::Plain { base: 7, offset: 24, saved, count: 1, returns: Some(-8) };
        let words = [1u64, 77, 0x5555];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let stack = StackCopy { start: 0x1000, bytes: &bytes };
        let mut registers = Registers::bare(Machine::X86_64, 0x4444, 0x1000);
        assert_eq!(rule.apply(&mut registers, &stack), Ok(()));
        assert_eq!((registers.pc, registers.sp(), registers.get(6)), (0x5555, 0x1018, Some(77)));
        let mut far = Registers::bare(Machine::X86_64, 0x4444, 0x1008);
        assert_eq!(rule.apply(&mut far, &stack), Err(Stop::Unreadable(0x1018)));
        let by_frame = Rule::Plain { base: 6, offset: 16, saved, count: 0, returns: Some(-8) };
        let mut bare = Registers::bare(Machine::X86_64, 0x4444, 0x1000);
        assert_eq!(by_frame.apply(&mut bare, &stack), Err(Stop::Register(6)));
    }

    #[test]
    fn a_leaf_of_aarch64_needs_no_stack() {
        let rule =
            Rule::Plain { base: 31, offset: 0, saved: [NONE; MAX_SAVED], count: 0, returns: None };
        let nothing = |_: u64| None;
        let mut registers = Registers::bare(Machine::Aarch64, 0x4444, 0x1000);
        assert_eq!(rule.apply(&mut registers, &nothing), Err(Stop::Register(30)));
        // Signed return addresses lose their signature.
        registers.set(30, 0x0042_0000_0000_5555);
        assert_eq!(rule.apply(&mut registers, &nothing), Ok(()));
        assert_eq!((registers.pc, registers.sp()), (0x5555, 0x1000));
    }
}
