//! DWARF expressions, as unwind information has them for PLT stubs, signal frames and
//! realigned stacks.

use super::{Stack, Stop};
use crate::registers::Registers;
use gimli::{
    Encoding, EndianSlice, EvaluationResult, Format, LittleEndian, Location, Piece, Value,
};

/// An expression, copied out of its section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expression {
    pub bytes: Vec<u8>,
}

/// Steps that one evaluation may take, and values that it may ask for.
const MAX_STEPS: u32 = 500;

const ENCODING: Encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };

impl Expression {
    /// Its value in the frame whose registers are `registers`, with `cfa` on its stack
    /// where the rule says so.
    pub fn evaluate(
        &self,
        registers: &Registers,
        stack: &dyn Stack,
        cfa: Option<u64>,
    ) -> Result<u64, Stop> {
        let bytes = EndianSlice::new(&self.bytes, LittleEndian);
        let mut evaluation = gimli::Expression(bytes).evaluation(ENCODING);
        evaluation.set_max_iterations(MAX_STEPS);
        if let Some(cfa) = cfa {
            evaluation.set_initial_value(cfa);
        }
        let failed = |_| Stop::NoRule;
        let mut result = evaluation.evaluate().map_err(failed)?;
        for _ in 0..MAX_STEPS {
            result = match result {
                EvaluationResult::Complete => {
                    return address(&evaluation.result()).ok_or(Stop::NoRule);
                }
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = if register.0 == registers.return_column()
                        && registers.get(register.0 as u8).is_none()
                    {
                        registers.pc
                    } else {
                        let number = u8::try_from(register.0).map_err(|_| Stop::NoRule)?;
                        registers.get(number).ok_or(Stop::Register(number))?
                    };
                    evaluation.resume_with_register(Value::Generic(value)).map_err(failed)?
                }
                EvaluationResult::RequiresMemory { address, size, .. } => {
                    let word = stack.word(address).ok_or(Stop::Unreadable(address))?;
                    let bits = u32::from(size.min(8)) * 8;
                    let word = if bits == 64 { word } else { word & ((1 << bits) - 1) };
                    evaluation.resume_with_memory(Value::Generic(word)).map_err(failed)?
                }
                _ => return Err(Stop::NoRule),
            };
        }
        Err(Stop::NoRule)
    }
}

/// The one address that an evaluation came to.
fn address(pieces: &[Piece<EndianSlice<LittleEndian>>]) -> Option<u64> {
    match pieces {
        [Piece { location: Location::Address { address }, .. }] => Some(*address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remote::core::Machine;

    #[test]
    fn a_plt_stub_counts_from_where_it_is() {
        // breg7 8; breg16 0; lit15; and; lit11; ge; lit3; shl; plus
        let bytes = vec![0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
        let expression = Expression { bytes };
        let nothing = |_: u64| None;
        let value = |pc| {
            let registers = Registers::bare(Machine::X86_64, pc, 0x1000);
            expression.evaluate(&registers, &nothing, None)
        };
        assert_eq!(value(0x4000), Ok(0x1008));
        assert_eq!(value(0x400b), Ok(0x1010));
    }

    #[test]
    fn memory_is_read_and_endless_ones_end() {
        // breg6 -8; deref
        let expression = Expression { bytes: vec![0x76, 0x78, 0x06] };
        let mut registers = Registers::bare(Machine::X86_64, 1, 2);
        let stack = |address: u64| (address == 0xff8).then_some(0x1234);
        assert_eq!(expression.evaluate(&registers, &stack, None), Err(Stop::Register(6)));
        registers.set(6, 0x1000);
        assert_eq!(expression.evaluate(&registers, &stack, None), Ok(0x1234));
        // skip -3
        let endless = Expression { bytes: vec![0x2f, 0xfd, 0xff] };
        assert_eq!(endless.evaluate(&registers, &stack, None), Err(Stop::NoRule));
    }
}
