//! Objects: types, strings and numbers. All lengths are bounded before they are used.

use crate::layout::Layout;
use remote::{Memory, ReadError};

/// Reads objects of one target.
#[derive(Clone, Copy)]
pub struct Objects<'a> {
    /// The target's memory.
    pub memory: &'a dyn Memory,
    /// Its layout.
    pub layout: &'a Layout,
}

/// Something in the target is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadObject {
    /// It cannot be read.
    Unreadable(ReadError),
    /// It is not of the type that was expected, or its fields make no sense.
    Unexpected(&'static str),
}

impl From<ReadError> for BadObject {
    fn from(error: ReadError) -> Self {
        BadObject::Unreadable(error)
    }
}

type Result<T> = std::result::Result<T, BadObject>;

/// `Py_TPFLAGS_*` (Include/object.h): what a type derives from.
pub mod flags {
    /// The values of instances' attributes lie in the instance (3.13 and later).
    pub const INLINE_VALUES: u64 = 1 << 2;
    /// Instances have a dictionary in front of them (3.11 and later).
    pub const MANAGED_DICT: u64 = 1 << 4;
    /// Created by a class statement.
    pub const HEAPTYPE: u64 = 1 << 9;
    /// A subclass of Python 2's int (2.6 and later).
    pub const INT_SUBCLASS: u64 = 1 << 23;
    /// A subclass of int, or of Python 2's long (2.6 and later).
    pub const LONG_SUBCLASS: u64 = 1 << 24;
    /// A subclass of str, or of Python 2's unicode (2.6 and later).
    pub const UNICODE_SUBCLASS: u64 = 1 << 28;
    /// A subclass of dict (2.6 and later).
    pub const DICT_SUBCLASS: u64 = 1 << 29;
    /// A subclass of type (2.6 and later).
    pub const TYPE_SUBCLASS: u64 = 1 << 31;
}

impl Objects<'_> {
    /// The pointer in the field at `offset` of the object at `object`.
    pub fn field(&self, object: u64, offset: u32) -> Result<u64> {
        Ok(self.memory.ptr(object.wrapping_add(u64::from(offset)))?)
    }

    /// The object's type.
    pub fn type_of(&self, object: u64) -> Result<u64> {
        self.field(object, self.layout.object.ob_type)
    }

    /// The flags of a type.
    pub fn type_flags(&self, type_: u64) -> Result<u64> {
        self.field(type_, self.layout.object.tp_flags)
    }

    /// `tp_name` of a type.
    pub fn type_name(&self, type_: u64) -> Result<String> {
        let name = self.field(type_, self.layout.object.tp_name)?;
        let bytes = self.memory.c_string(name, 256)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text of a `str` (or Python 2 `unicode`) object, or the content of a bytes
    /// object, `limit` characters of it at the most. Lone surrogates come out as U+FFFD.
    pub fn text(&self, object: u64, limit: usize) -> Result<String> {
        if self.layout.text.flexible {
            return match self.flexible_text(object, limit) {
                // Python 3 file names can be bytes in odd embeddings.
                Err(BadObject::Unexpected(_)) => self.bytes_text(object, limit),
                other => other,
            };
        }
        if self.is_a(object, flags::UNICODE_SUBCLASS, &["unicode"])? {
            self.old_unicode(object, limit)
        } else {
            self.bytes_text(object, limit)
        }
    }

    /// Whether an object's type has one of `flags`, or before 2.6, when there were none,
    /// one of these `names`.
    pub fn is_a(&self, object: u64, flags: u64, names: &[&str]) -> Result<bool> {
        let type_ = self.type_of(object)?;
        if self.layout.version.at_least(2, 6) {
            return Ok(self.type_flags(type_)? & flags != 0);
        }
        let name = self.type_name(type_)?;
        Ok(names.contains(&name.as_str()))
    }

    fn length(&self, object: u64, offset: u32) -> Result<usize> {
        // An int before 2.5 (PEP 353).
        let size = self.layout.values.ssize as usize;
        let value = self.memory.uint(object.wrapping_add(u64::from(offset)), size)? as i64;
        usize::try_from(value)
            .ok()
            .filter(|length| *length <= 1 << 40)
            .ok_or(BadObject::Unexpected("a length"))
    }

    fn bytes_text(&self, object: u64, limit: usize) -> Result<String> {
        let length = self.length(object, self.layout.text.bytes_size)?.min(limit);
        let at = object.wrapping_add(u64::from(self.layout.text.bytes_data));
        Ok(String::from_utf8_lossy(&self.memory.bytes(at, length)?).into_owned())
    }

    fn flexible_text(&self, object: u64, limit: usize) -> Result<String> {
        let text = &self.layout.text;
        let arch = self.layout.arch;
        let head = self.memory.bytes(object, text.state as usize + 4)?;
        let state = arch.uint(&head, text.state as usize, 4).unwrap_or(0) >> text.kind_shift;
        let kind = (state & 7) as usize;
        let (compact, ascii) = (state >> 3 & 1 == 1, state >> 4 & 1 == 1);
        if !matches!(kind, 1 | 2 | 4) || (ascii && kind != 1) {
            return Err(BadObject::Unexpected("a string"));
        }
        let length = arch.ssize(&head, text.length as usize).unwrap_or(-1);
        let length = usize::try_from(length).map_err(|_| BadObject::Unexpected("a length"))?;
        let length = length.min(limit);
        let at = match (compact, ascii) {
            (true, true) => object.wrapping_add(u64::from(text.ascii_data)),
            (true, false) => object.wrapping_add(u64::from(text.compact_data)),
            _ => self.field(object, text.data)?,
        };
        let size = length.checked_mul(kind).ok_or(BadObject::Unexpected("a length"))?;
        Ok(self.decode(&self.memory.bytes(at, size)?, kind))
    }

    /// Python 2 and 3.2: UCS2 or UCS4, which the first characters tell: in a UCS4 string
    /// the upper half of every unit is at most 0x10.
    fn old_unicode(&self, object: u64, limit: usize) -> Result<String> {
        let length = self.length(object, self.layout.text.length)?.min(limit);
        let at = self.field(object, self.layout.text.data)?;
        let probe = self.memory.bytes(at, length.min(8) * 2)?;
        let arch = self.layout.arch;
        let units: Vec<u64> =
            (0..probe.len() / 2).filter_map(|i| arch.uint(&probe, i * 2, 2)).collect();
        let high = usize::from(!arch.big_endian);
        let wide = units.len() > 1 && units.iter().skip(high).step_by(2).all(|unit| *unit <= 0x10);
        let kind = if wide { 4 } else { 2 };
        Ok(self.decode(&self.memory.bytes(at, length * kind)?, kind))
    }

    fn decode(&self, bytes: &[u8], kind: usize) -> String {
        let arch = self.layout.arch;
        let unit = |i: usize| arch.uint(bytes, i * kind, kind).unwrap_or(0) as u32;
        let count = bytes.len() / kind;
        if kind == 2 && !self.layout.text.flexible {
            // UCS2 builds store surrogate pairs.
            let units: Vec<u16> = (0..count).map(|i| unit(i) as u16).collect();
            return String::from_utf16_lossy(&units);
        }
        (0..count).map(|i| char::from_u32(unit(i)).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }

    /// An int that fits into 64 bits: thread identifiers are such.
    pub fn small_int(&self, object: u64) -> Result<i64> {
        let layout = &self.layout.object;
        if self.layout.version.major == 2
            && self.is_a(object, flags::INT_SUBCLASS, &["int", "bool"])?
        {
            // PyIntObject.ob_ival, a C long.
            let raw = self.memory.bytes(
                object.wrapping_add(u64::from(layout.int_digits)),
                self.layout.arch.word(),
            )?;
            return self.layout.arch.ssize(&raw, 0).ok_or(BadObject::Unexpected("an int"));
        }
        if !self.is_a(object, flags::LONG_SUBCLASS, &["long"])? {
            return Err(BadObject::Unexpected("an int"));
        }
        self.long(object)
    }

    /// Longs: digits of 30 bits (15 on 32-bit builds and before 2.7), least first.
    fn long(&self, object: u64) -> Result<i64> {
        let layout = &self.layout.object;
        let version = self.layout.version;
        let arch = self.layout.arch;
        let raw =
            self.memory.bytes(object.wrapping_add(u64::from(layout.int_size)), arch.word())?;
        let size = arch.ssize(&raw, 0).unwrap_or(0);
        let (count, negative) = if version.at_least(3, 12) {
            ((size as u64 >> 3) as usize, size & 3 == 2)
        } else {
            (size.unsigned_abs() as usize, size < 0)
        };
        let wide = version.at_least(2, 7) && arch.pointer == 8;
        let (bytes, bits) = if wide { (4, 30) } else { (2, 15) };
        if count * bits > 90 {
            return Err(BadObject::Unexpected("an int of 64 bits"));
        }
        // Python 2's longs have their digits where PyIntObject has none: behind ob_size.
        let at = if version.major == 2 {
            layout.int_size + u32::from(arch.pointer)
        } else {
            layout.int_digits
        };
        let digits = self.memory.bytes(object.wrapping_add(u64::from(at)), count * bytes)?;
        let mut value: u128 = 0;
        for i in (0..count).rev() {
            value = value << bits | u128::from(arch.uint(&digits, i * bytes, bytes).unwrap_or(0));
        }
        // pthread ids are unsigned 64-bit numbers; they come back as their bit pattern.
        let value = value as u64 as i64;
        Ok(if negative { value.wrapping_neg() } else { value })
    }
}
