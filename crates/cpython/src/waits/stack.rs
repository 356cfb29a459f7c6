//! A frame's evaluation stack.

use super::lock::is_exit;
use crate::frames::RawFrame;
use crate::layout::values::LocalNames;
use crate::layout::waits::Blocks;
use crate::object::BadObject;
use crate::value::Decoder;

type Result<T> = std::result::Result<T, BadObject>;

/// Deeper stacks are not looked at.
const MAX_STACK: u64 = 4096;
/// `CO_MAXBLOCKS` (Include/code.h).
const MAX_BLOCKS: u64 = 20;
/// A larger table of handlers is not believed.
const MAX_TABLE: u64 = 1 << 20;

impl Decoder<'_> {
    /// All places of a frame's evaluation stack, also those above its top: what was there
    /// before may be gone.
    pub(super) fn evaluation_stack(&self, frame: &RawFrame) -> Result<Vec<u64>> {
        let size = self.layout().waits.stack_size.ok_or(BadObject::Unexpected("a stack"))?;
        let size = self.objects.memory.uint(frame.code.wrapping_add(u64::from(size)), 4)?;
        self.values_on_stack(frame, size.min(MAX_STACK))
    }

    /// The lowest `count` places.
    fn values_on_stack(&self, frame: &RawFrame, count: u64) -> Result<Vec<u64>> {
        let objects = self.objects;
        let start = match self.layout().waits.blocks {
            Some(Blocks::Stack { values, .. }) => objects.field(frame.address, values)?,
            _ => {
                let locals = self.places(frame.code)? * self.layout().arch.word() as u64;
                let at = u64::from(self.layout().values.frame.localsplus) + locals;
                frame.address.wrapping_add(at)
            }
        };
        let values = self.pointers(start, count, count as usize)?;
        let tag_mask = self.layout().frame.tag_mask;
        // Numbers that are no objects have all bits of the mask (3.15).
        let object = |raw: u64| match raw & tag_mask {
            3 => 0,
            _ => raw & !tag_mask,
        };
        Ok(values.into_iter().map(object).collect())
    }

    /// How many places for variables lie before the stack (3.11 and later).
    fn places(&self, code: u64) -> Result<u64> {
        match self.layout().values.code.names {
            LocalNames::One(names, _) => {
                let names = self.objects.field(code, names)?;
                self.length(names, self.layout().values.ob_size)
            }
            LocalNames::Three(..) => Err(BadObject::Unexpected("a code object")),
        }
    }

    /// What the `with` statements that a frame is in have entered. `lasti` is where it is.
    pub(super) fn entered(&self, frame: &RawFrame, lasti: i32) -> Result<Vec<u64>> {
        // What lies below the level of the innermost handler must be there for it.
        let depth = match self.layout().waits.blocks {
            Some(Blocks::Stack { count, blocks, .. }) => self.block_depth(frame, count, blocks)?,
            Some(Blocks::Table(table)) => self.handler_depth(frame, table, lasti)?,
            None => 0,
        };
        if depth == 0 {
            return Ok(Vec::new());
        }
        let values = self.values_on_stack(frame, depth.min(MAX_STACK))?;
        let mut entered = Vec::new();
        for (i, value) in values.iter().enumerate() {
            if *value != 0
                && let Some(bound) = is_exit(self, *value, values.get(i + 1).copied())
            {
                entered.push(bound);
            }
        }
        Ok(entered)
    }

    /// Up to 3.10: the level of the innermost block.
    fn block_depth(&self, frame: &RawFrame, count: u32, blocks: u32) -> Result<u64> {
        let memory = self.objects.memory;
        let at = |offset: u64| frame.address.wrapping_add(offset);
        let count = memory.uint(at(u64::from(count)), 4)?;
        if count == 0 || count > MAX_BLOCKS {
            return Ok(0);
        }
        // b_type, b_handler, b_level
        Ok(memory.uint(at(u64::from(blocks) + 12 * (count - 1) + 8), 4)?)
    }

    /// 3.11 and later: the depth that the handler of an instruction needs.
    fn handler_depth(&self, frame: &RawFrame, table: u32, lasti: i32) -> Result<u64> {
        let table = self.objects.field(frame.code, table)?;
        let length = self.length(table, self.layout().text.bytes_size)?;
        if length > MAX_TABLE {
            return Err(BadObject::Unexpected("an exception table"));
        }
        let at = table.wrapping_add(u64::from(self.layout().text.bytes_data));
        let bytes = self.objects.memory.bytes(at, length as usize)?;
        let instruction = u64::try_from(lasti).unwrap_or(0) / 2;
        Ok(depth_at(&bytes, instruction))
    }
}

/// The depth of the entry that covers an instruction (counted in units of two bytes), 0
/// if none does. Objects/exception_handling_notes.txt: entries of four numbers (start,
/// length, target, depth and a flag) in groups of six bits, the highest first; bit 6 says
/// that more follow, and bit 7 marks the first byte of an entry.
fn depth_at(table: &[u8], instruction: u64) -> u64 {
    let mut bytes = table.iter().copied();
    let mut number = || {
        let mut value = 0u64;
        for _ in 0..10 {
            let byte = bytes.next()?;
            value = value << 6 | u64::from(byte & 0x3f);
            if byte & 0x40 == 0 {
                return Some(value);
            }
        }
        None
    };
    while let (Some(start), Some(length), Some(_), Some(depth)) =
        (number(), number(), number(), number())
    {
        if start <= instruction && instruction - start < length {
            return depth >> 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_an_instruction() {
        // start 4, length 10, target 70 (two groups), depth 2 with the flag;
        // start 20, length 5, target 30, depth 3.
        let table = [0x80 | 4, 10, 0x40 | 1, 6, 5, 0x80 | 20, 5, 30, 6];
        for (instruction, depth) in [(3, 0), (4, 2), (13, 2), (14, 0), (20, 3), (24, 3), (25, 0)] {
            assert_eq!(depth_at(&table, instruction), depth, "{instruction}");
        }
        assert_eq!(depth_at(&table[..7], 20), 0);
        assert_eq!(depth_at(&[0xff; 40], 1), 0);
    }
}
