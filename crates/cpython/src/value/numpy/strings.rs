//! NumPy 2's strings of any length (NEP 55; numpy/_core/src/multiarray/stringdtype/
//! static_string.c of 2.0).

use super::super::reader::Reader;
use super::super::text::Text;
use super::super::{Symbol, Value};
use super::element::Strings;
use super::{MAX_ELEMENT, Result};

// The flags of an element.
const MISSING: u8 = 0x80;
const INITIALIZED: u8 = 0x40;
const OUTSIDE: u8 = 0x20;

impl Reader<'_, '_> {
    /// `PyArray_StringDTypeObject` (numpy/ndarraytypes.h of 2.0) behind the descriptor's
    /// head: na_object; coerce and three more chars; two strings (size, address); allocator.
    /// That has three functions, then the arena: cursor, size, address.
    pub(super) fn strings(&self, at: u64) -> Result<Strings> {
        let word = u64::from(self.layout().arch.pointer);
        let pointer = |at: u64, index: u64| self.objects.memory.ptr(at.wrapping_add(index * word));
        let coerces = self.objects.memory.uint(at.wrapping_add(word), 1)? != 0;
        let allocator = pointer(at, 6)?;
        let (arena_size, arena) = match (pointer(allocator, 4), pointer(allocator, 5)) {
            (Ok(size), Ok(arena)) => (size, arena),
            // Those strings that lie in their elements can be shown still.
            _ => (0, 0),
        };
        Ok(Strings { missing: pointer(at, 0)?, coerces, arena, arena_size })
    }

    /// `StringDType(na_object=nan)`
    pub(super) fn strings_name(&mut self, strings: Strings) -> String {
        let mut parts = Vec::new();
        if strings.missing != 0 {
            parts.push(format!("na_object={}", self.value(strings.missing).repr(32)));
        }
        if !strings.coerces {
            parts.push("coerce=False".to_owned());
        }
        format!("StringDType({})", parts.join(", "))
    }

    /// One element: two words, of which the highest byte is for flags. A short string is in
    /// the others; else they are a size and where the string is, in the arena or outside.
    pub(super) fn string_element(&mut self, strings: Strings, bytes: &[u8]) -> Value {
        let arch = self.layout().arch;
        let word = arch.word();
        let unknown = || {
            let (type_name, text) = ("str".to_owned(), "<str>".to_owned());
            Value::Symbol(Symbol { type_name, text, address: 0 })
        };
        if bytes.len() != 2 * word {
            return unknown();
        }
        let flags = if arch.big_endian { bytes.first() } else { bytes.last() };
        let flags = flags.copied().unwrap_or(0);
        if flags & MISSING != 0 {
            return if strings.missing == 0 { unknown() } else { self.value(strings.missing) };
        }
        if flags & 0xf0 == INITIALIZED | OUTSIDE {
            let size = usize::from(flags & 0x0f);
            let first = usize::from(arch.big_endian);
            let text =
                bytes.get(first..first + size).and_then(|text| std::str::from_utf8(text).ok());
            return text.map_or_else(unknown, |text| Value::Text(self.utf8(text, 0)));
        }
        let (size_at, offset_at) = if arch.big_endian { (0, word) } else { (word, 0) };
        let size = arch.uint(bytes, size_at, word).unwrap_or(0) & (u64::MAX >> (72 - 8 * word));
        let offset = arch.uint(bytes, offset_at, word).unwrap_or(0);
        let within = offset.checked_add(size).is_some_and(|end| end <= strings.arena_size);
        let at = match flags & OUTSIDE {
            _ if size == 0 => return Value::Text(self.utf8("", 0)),
            0 if within && strings.arena != 0 => strings.arena.wrapping_add(offset),
            0 => return unknown(),
            _ => offset,
        };
        let Ok(read) = self.objects.memory.bytes(at, size.min(MAX_ELEMENT) as usize) else {
            return Value::Unreadable;
        };
        let rest = size - read.len() as u64;
        let text = match std::str::from_utf8(&read) {
            Ok(text) => text,
            // The last character may be cut.
            Err(error) if rest > 0 && error.error_len().is_none() => {
                std::str::from_utf8(&read[..error.valid_up_to()]).unwrap_or("")
            }
            Err(_) => return unknown(),
        };
        Value::Text(self.utf8(text, rest))
    }

    /// The text, of which `rest` bytes are missing: one character each, as far as is known.
    fn utf8(&self, text: &str, rest: u64) -> Text {
        let mut text = self.text_of("str", "", text.chars().map(u32::from).collect());
        text.length += rest;
        text
    }
}
