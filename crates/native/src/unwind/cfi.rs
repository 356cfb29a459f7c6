//! Rules from a module's `.eh_frame`, found through `.eh_frame_hdr` as the loader maps
//! both: no file is needed for it.

use super::{Cfa, Expression, How, MAX_SAVED, Other, Rule, Saved};
use crate::registers::Registers;
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EhFrameHdr, EndianSlice, FrameDescriptionEntry,
    LittleEndian, ParsedEhFrameHdr, Reader, RegisterRule, UnwindContext, UnwindSection,
    UnwindTableRow, Vendor,
};
use remote::Memory;
use remote::core::Machine;
use remote::elf::{Headers, Program};

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Larger sections are not read; those of the largest libraries have some 50 MB.
const MAX_SECTION: u64 = 256 << 20;
/// A table made of a section without an index is not longer than this.
const MAX_ENTRIES: usize = 1 << 22;

/// The unwind information of one module. Addresses are those of the file.
#[derive(Debug)]
pub(crate) struct Tables {
    machine: Machine,
    bases: BaseAddresses,
    index: Vec<u8>,
    frames: Vec<u8>,
    /// First address, end and offset in `frames` of each entry, where there is no index
    /// in the file.
    sorted: Option<Vec<(u64, u64, usize)>>,
}

/// What the unwind information says about one address.
#[derive(Debug)]
pub(crate) struct Found {
    /// The range of addresses of the function (or of a part that was moved away).
    pub function: (u64, u64),
    /// How to get to its caller.
    pub rule: Rule,
    /// The frame was made by the kernel to handle a signal: what it returns to was not
    /// called, but interrupted.
    pub signal: bool,
    /// What the function's first instruction finds on the stack, in bytes above the stack
    /// pointer: more than a return address in parts that were moved away from their
    /// function.
    pub entry_depth: i64,
}

impl Tables {
    /// Of the module with these headers; `None` where it has none.
    pub fn read(memory: &dyn Memory, machine: Machine, headers: &Headers) -> Option<Tables> {
        let program = headers.find(Program::EH_FRAME)?;
        let at = |address: u64| address.wrapping_add(headers.bias);
        let length = usize::try_from(program.memory_size.min(MAX_SECTION)).ok()?;
        let index = memory.bytes(at(program.address), length).ok()?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(program.address);
        let start = {
            let parsed = EhFrameHdr::new(&index, LittleEndian).parse(&bases, 8).ok()?;
            parsed.eh_frame_ptr().direct().ok()?
        };
        // Nothing says how long it is; it cannot be longer than the segment it is in.
        let segment = headers.programs.iter().find(|segment| {
            segment.kind == Program::LOAD
                && (segment.address..segment.address.saturating_add(segment.file_size))
                    .contains(&start)
        })?;
        let end = segment.address.saturating_add(segment.file_size);
        let frames = read_long(memory, at(start), (end - start).min(MAX_SECTION))?;
        Some(Tables { machine, bases: bases.set_eh_frame(start), index, frames, sorted: None })
    }

    /// From a section `.eh_frame` that begins at `start` and has no index.
    pub fn without_index(machine: Machine, start: u64, frames: Vec<u8>) -> Tables {
        let bases = BaseAddresses::default().set_eh_frame(start);
        let mut tables =
            Tables { machine, bases, index: Vec::new(), frames, sorted: Some(Vec::new()) };
        let mut sorted = Vec::new();
        {
            let section = tables.section();
            let mut entries = section.entries(&tables.bases);
            while let Ok(Some(entry)) = entries.next()
                && sorted.len() < MAX_ENTRIES
            {
                let CieOrFde::Fde(partial) = entry else { continue };
                if let Ok(fde) = partial.parse(EhFrame::cie_from_offset) {
                    sorted.push((fde.initial_address(), fde.end_address(), fde.offset()));
                }
            }
        }
        sorted.sort_unstable();
        tables.sorted = Some(sorted);
        tables
    }

    fn section(&self) -> EhFrame<Slice<'_>> {
        let mut section = EhFrame::new(&self.frames, LittleEndian);
        section.set_address_size(8);
        if self.machine == Machine::Aarch64 {
            section.set_vendor(Vendor::AArch64);
        }
        section
    }

    fn entry<'a>(
        &'a self,
        section: &EhFrame<Slice<'a>>,
        address: u64,
    ) -> Option<FrameDescriptionEntry<Slice<'a>>> {
        let offset = match &self.sorted {
            Some(sorted) => {
                let next = sorted.partition_point(|(first, _, _)| *first <= address);
                sorted.get(next.checked_sub(1)?)?.2
            }
            None => {
                let index: ParsedEhFrameHdr<Slice> =
                    EhFrameHdr::new(&self.index, LittleEndian).parse(&self.bases, 8).ok()?;
                let at = index.table()?.lookup(address, &self.bases).ok()?.direct().ok()?;
                usize::try_from(at.checked_sub(index.eh_frame_ptr().direct().ok()?)?).ok()?
            }
        };
        let entry =
            section.fde_from_offset(&self.bases, offset.into(), EhFrame::cie_from_offset).ok()?;
        entry.contains(address).then_some(entry)
    }

    /// What is known of the code at `address`; `None` where nothing is.
    pub fn find(&self, address: u64) -> Option<Found> {
        let section = self.section();
        let entry = self.entry(&section, address)?;
        let mut context = UnwindContext::new();
        let row = |context: &mut UnwindContext<usize>, at: u64| {
            let row = entry.unwind_info_for_address(&section, &self.bases, context, at);
            row.ok().cloned()
        };
        let found = row(&mut context, address)?;
        let entry_depth = match row(&mut context, entry.initial_address())?.cfa() {
            CfaRule::RegisterAndOffset { offset, .. } => *offset,
            CfaRule::Expression(_) => 0,
        };
        Some(Found {
            function: (entry.initial_address(), entry.end_address()),
            rule: self.rule(&section, &found).unwrap_or(Rule::Unknown),
            signal: entry.is_signal_trampoline(),
            entry_depth,
        })
    }

    /// The range of the function at `address`.
    pub fn function(&self, address: u64) -> Option<(u64, u64)> {
        let entry = self.entry(&self.section(), address)?;
        Some((entry.initial_address(), entry.end_address()))
    }

    fn rule(&self, section: &EhFrame<Slice>, row: &UnwindTableRow<usize>) -> Option<Rule> {
        self.plain(row).or_else(|| self.other(section, row))
    }

    fn plain(&self, row: &UnwindTableRow<usize>) -> Option<Rule> {
        let column = Registers::bare(self.machine, 0, 0).return_column();
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else { return None };
        let mut saved = [Saved { register: 0, offset: 0 }; MAX_SAVED];
        let mut count = 0;
        let mut returns = None;
        for (register, rule) in row.registers() {
            let RegisterRule::Offset(offset) = rule else {
                match rule {
                    // Numbers past the registers tell how addresses are signed.
                    _ if register.0 >= 32 && register.0 != column => continue,
                    RegisterRule::SameValue => continue,
                    RegisterRule::Undefined if register.0 == column => {
                        return Some(Rule::Outermost);
                    }
                    _ => return None,
                }
            };
            let offset = i32::try_from(*offset).ok()?;
            if register.0 == column {
                returns = Some(offset);
            } else if register.0 < 32 {
                *saved.get_mut(usize::from(count))? = Saved { register: register.0 as u8, offset };
                count += 1;
            }
        }
        if returns.is_none() && self.machine == Machine::X86_64 {
            return None;
        }
        Some(Rule::Plain {
            base: u8::try_from(register.0).ok().filter(|base| *base < 32)?,
            offset: i32::try_from(*offset).ok()?,
            saved,
            count,
            returns,
        })
    }

    fn other(&self, section: &EhFrame<Slice>, row: &UnwindTableRow<usize>) -> Option<Rule> {
        let expression = |expression: &gimli::UnwindExpression<usize>| {
            let bytes = expression.get(section).ok()?.0.to_slice().ok()?.into_owned();
            Some(Expression { bytes })
        };
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                Cfa::Register(u8::try_from(register.0).ok()?, *offset)
            }
            CfaRule::Expression(found) => Cfa::Expression(expression(found)?),
        };
        let mut registers = Vec::new();
        for (register, rule) in row.registers() {
            let how = match rule {
                RegisterRule::Undefined => How::Undefined,
                RegisterRule::SameValue => How::Same,
                RegisterRule::Offset(offset) => How::At(*offset),
                RegisterRule::ValOffset(offset) => How::Is(*offset),
                RegisterRule::Register(other) => How::Register(u8::try_from(other.0).ok()?),
                RegisterRule::Expression(found) => How::AtExpression(expression(found)?),
                RegisterRule::ValExpression(found) => How::IsExpression(expression(found)?),
                _ => continue,
            };
            registers.push((register.0, how));
        }
        Some(Rule::Other(Box::new(Other { cfa, registers })))
    }
}

/// A region that may be longer than one read may be.
fn read_long(memory: &dyn Memory, address: u64, length: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    let mut at = address;
    for piece in bytes.chunks_mut(remote::memory::MAX_READ) {
        memory.read(at, piece).ok()?;
        at += piece.len() as u64;
    }
    Some(bytes)
}
