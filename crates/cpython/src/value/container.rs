//! Numbers, strings and sequences.

use super::reader::Reader;
use super::types::{Kind, Type};
use super::{Integer, Item, Shape, Value, number, text::Text};
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

/// Items in a block of a deque (Modules/_collectionsmodule.c `BLOCKLEN`).
const DEQUE_BLOCK: u64 = 64;
const OLD_DEQUE_BLOCK: u64 = 62;

impl Reader<'_, '_> {
    pub(super) fn number(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let values = &self.layout().values;
        let version = self.layout().version;
        let double = |offset: u32| -> Result<f64> {
            let at = object.wrapping_add(u64::from(offset));
            Ok(f64::from_bits(self.objects.memory.uint(at, 8)?))
        };
        Ok(match type_.kind {
            Kind::Float => {
                let value = double(values.float)?;
                Value::Float(value, number::float(value, version))
            }
            Kind::Complex => {
                let (real, imaginary) = (double(values.complex)?, double(values.complex + 8)?);
                self.symbol(object, type_, &number::complex(real, imaginary, version))
            }
            // Python 2: PyIntObject.ob_ival, a C long; a bool is one.
            Kind::Int => Value::int(self.c_long(object)?),
            Kind::Bool if version.major == 2 => Value::Bool(self.c_long(object)? != 0),
            Kind::Bool => Value::Bool(self.integer(object)?.text != "0"),
            _ => Value::Int(self.integer(object)?),
        })
    }

    fn c_long(&self, object: u64) -> Result<i64> {
        let arch = self.layout().arch;
        let at = object.wrapping_add(u64::from(self.layout().values.head));
        let raw = self.objects.memory.bytes(at, arch.word())?;
        arch.ssize(&raw, 0).ok_or(BadObject::Unexpected("an int"))
    }

    /// `PyLongObject`: sign and number of digits in `ob_size` or, from 3.12 on, in the
    /// tag: two bits of sign (0 plus, 1 zero, 2 minus), one reserved, then the number
    /// (Include/cpython/longintrepr.h). Digits have 30 bits from 2.7 on where pointers
    /// have 64, else 15.
    pub(super) fn integer(&self, object: u64) -> Result<Integer> {
        let layout = self.layout();
        let arch = layout.arch;
        let raw = |offset: u32, size: usize| {
            self.objects.memory.uint(object.wrapping_add(u64::from(offset)), size)
        };
        let (count, negative) = if layout.version.at_least(3, 12) {
            let tag = raw(layout.object.int_size, arch.word())?;
            (tag >> 3, tag & 3 == 2)
        } else if layout.values.ssize == 4 {
            let size = raw(layout.values.ob_size, 4)? as u32 as i32;
            (u64::from(size.unsigned_abs()), size < 0)
        } else {
            let size = raw(layout.values.ob_size, arch.word())? as i64;
            (size.unsigned_abs(), size < 0)
        };
        let wide = layout.version.at_least(2, 7) && arch.pointer == 8;
        let (size, bits) = if wide { (4, 30) } else { (2, 15) };
        if count > 1 << 32 {
            return Err(BadObject::Unexpected("an int"));
        }
        let at = object.wrapping_add(u64::from(layout.values.long_digits));
        let sign = if negative { "-" } else { "" };
        let long = layout.version.major == 2;
        let read = |from: u64, count: u64| -> Result<Vec<u64>> {
            let bytes = self
                .objects
                .memory
                .bytes(at.wrapping_add(from * size as u64), count as usize * size)?;
            Ok((0..count as usize)
                .map(|i| arch.uint(&bytes, i * size, size).unwrap_or(0))
                .collect())
        };
        if count * u64::from(bits) > number::MAX_BITS {
            let top = read(count - 4, 4)?;
            let (mut value, mut low) = (0u128, count);
            for digit in top.iter().rev() {
                if value >> 64 != 0 {
                    break;
                }
                value = value << bits | u128::from(*digit);
                low -= 1;
            }
            let extra = 64 - value.leading_zeros().min(64);
            let top = (value >> extra) as u64;
            let exponent = low * u64::from(bits) + u64::from(extra);
            let (lead, digits) = number::approximate(top, exponent);
            return Ok(Integer { text: format!("{sign}{lead}"), digits: Some(digits), long });
        }
        let digits = read(0, count)?;
        let text = number::decimal(number::limbs(digits.into_iter(), bits));
        Ok(Integer { text: format!("{sign}{text}"), digits: None, long })
    }

    pub(super) fn string(&self, object: u64, type_: &Type) -> Result<Value> {
        let text = &self.layout().text;
        let limit = self.budget.chars.saturating_add(1);
        let old = self.layout().version.major == 2;
        let (prefix, suffix, units, length) = match type_.kind {
            Kind::Str => {
                let (units, length) = self.code_points(object, limit)?;
                ("", "", units, length)
            }
            Kind::Unicode => {
                let (units, length) = self.code_points(object, limit)?;
                ("u", "", units, length)
            }
            Kind::ByteArray => {
                let length = self.length(object, self.layout().values.ob_size)?;
                let field = self.layout().values.bytearray;
                let at = match field {
                    Some(field) if length > 0 => self.objects.field(object, field)?,
                    _ => object,
                };
                ("bytearray(b", ")", self.byte_units(at, length, limit)?, length)
            }
            _ => {
                let length = self.length(object, text.bytes_size)?;
                let at = object.wrapping_add(u64::from(text.bytes_data));
                (if old { "" } else { "b" }, "", self.byte_units(at, length, limit)?, length)
            }
        };
        Ok(Value::Text(Text {
            type_name: super::text::clean(&type_.full_name),
            prefix,
            suffix,
            units,
            length,
            characters: matches!(type_.kind, Kind::Str | Kind::Unicode),
            wide: !old,
            escape_single: type_.kind == Kind::ByteArray && !self.layout().version.at_least(3, 15),
        }))
    }

    pub(super) fn sequence(&mut self, object: u64, type_: &Type) -> Result<Value> {
        match type_.kind {
            Kind::Tuple => self.tuple(object, type_),
            Kind::List => {
                let length = self.length(object, self.layout().values.ob_size)?;
                let at = self.objects.field(object, self.layout().values.list_items)?;
                self.inside(object, "[...]", |reader| {
                    let addresses = reader.pointers(at, length, reader.take(length))?;
                    let items = reader.items(&addresses);
                    Ok(reader.group(object, type_, Shape::Sequence, ("[", "]"), items, length))
                })
            }
            Kind::Deque => self.deque(object, type_),
            Kind::Array => self.array(object, type_),
            Kind::Range => self.inside(object, "...", |reader| {
                // Objects/rangeobject.c: start, stop, step, length.
                let mut parts = vec![reader.part(object, 0)?, reader.part(object, 1)?];
                let step = reader.part(object, 2)?;
                if reader.integer(step)?.text != "1" {
                    parts.push(step);
                }
                let items = reader.items(&parts);
                let length = parts.len() as u64;
                Ok(reader.group(object, type_, Shape::Fields, ("range(", ")"), items, length))
            }),
            Kind::XRange => {
                // Objects/rangeobject.c of 2.x: start, step, len, all C longs.
                let number = |index| self.part(object, index).map(|value| value as i64);
                let (start, step, count) = (number(0)?, number(1)?, number(2)?);
                let stop = start.wrapping_add(count.wrapping_mul(step));
                let shown = match (start, step) {
                    (0, 1) => format!("xrange({stop})"),
                    (_, 1) => format!("xrange({start}, {stop})"),
                    _ => format!("xrange({start}, {stop}, {step})"),
                };
                Ok(self.symbol(object, type_, &shown))
            }
            _ => self.inside(object, "...", |reader| {
                let parts =
                    [reader.part(object, 0)?, reader.part(object, 1)?, reader.part(object, 2)?];
                let items = reader.items(&parts);
                Ok(reader.group(object, type_, Shape::Fields, ("slice(", ")"), items, 3))
            }),
        }
    }

    fn tuple(&mut self, object: u64, type_: &Type) -> Result<Value> {
        self.inside(object, "(...)", |reader| {
            let (_, length) = reader.tuple_items(object, 0)?;
            let (addresses, _) = reader.tuple_items(object, reader.take(length))?;
            let items = reader.items(&addresses);
            let close = if length == 1 { ",)" } else { ")" };
            Ok(reader.group(object, type_, Shape::Sequence, ("(", close), items, length))
        })
    }

    /// Modules/_collectionsmodule.c: blocks of items, linked both ways, and where in the
    /// first one the items begin.
    fn deque(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let layout = self.layout();
        let version = layout.version;
        let word = u64::from(layout.arch.pointer);
        let old = !version.at_least(3, 4);
        // 2.7.6 changed both structs.
        let late = version.major == 2 && version.minor == 7 && version.patch >= 6;
        let start = if old { layout.values.head } else { layout.values.var_head };
        let start = object.wrapping_add(u64::from(start));
        let memory = self.objects.memory;
        let mut block = memory.ptr(start)?;
        // Two blocks, then: leftindex, rightindex, (len,) (maxlen,) state, (maxlen): all
        // words, but ints in 2.4 and 2.5, which have no maxlen.
        let unit = if version.at_least(2, 6) { word } else { 4 };
        let number =
            |index: u64| memory.uint(start.wrapping_add(2 * word + index * unit), unit as usize);
        let mut index = number(0)?;
        let length = if old { number(2)? } else { self.length(object, layout.values.ob_size)? };
        let maxlen = match (unit == word, late) {
            (false, _) => -1,
            (true, true) => number(4)? as i64,
            (true, false) => number(3)? as i64,
        };
        let size = if version.at_least(3, 5) { DEQUE_BLOCK } else { OLD_DEQUE_BLOCK };
        // Items and the link to the next block: links in front; items in front (2.7.6);
        // items between the links.
        let (data, next) = match (old, late) {
            (true, false) => (2 * word, word),
            (true, true) => (0, size * word),
            (false, _) => (word, word + size * word),
        };
        self.inside(object, "[...]", |reader| {
            let count = reader.take(length);
            let mut addresses = Vec::new();
            while addresses.len() < count && index < size {
                let some = (size - index).min((count - addresses.len()) as u64);
                let at = block.wrapping_add(data + index * word);
                addresses.extend(reader.pointers(at, some, some as usize)?);
                block = memory.ptr(block.wrapping_add(next))?;
                index = 0;
            }
            let items = reader.items(&addresses);
            let close = if maxlen < 0 { "])".to_owned() } else { format!("], maxlen={maxlen})") };
            let open = format!("{}([", type_.short_name());
            Ok(reader.group(object, type_, Shape::Sequence, (open, close), items, length))
        })
    }

    /// Modules/arraymodule.c: items, allocated, and the description, which begins with
    /// the type code (a char from 3.2 on, an int before) and the size as an int.
    fn array(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let layout = self.layout();
        let memory = self.objects.memory;
        let word = u64::from(layout.arch.pointer);
        let fields = object.wrapping_add(u64::from(layout.values.var_head));
        let (data, describes) = (memory.ptr(fields)?, memory.ptr(fields.wrapping_add(2 * word))?);
        let code = char::from(memory.uint(describes, 1)? as u8);
        let size = memory.uint(describes.wrapping_add(4), 4)?;
        let length = self.length(object, layout.values.ob_size)?;
        if !code.is_ascii_alphabetic() || !matches!(size, 1 | 2 | 4 | 8) {
            return Err(BadObject::Unexpected("an array"));
        }
        let count = self.take(length);
        let bytes = memory.bytes(data, count * size as usize)?;
        let read = |i: usize| {
            let bits = layout.arch.uint(&bytes, i * size as usize, size as usize).unwrap_or(0);
            let shift = 64 - 8 * size as u32;
            match code {
                'f' => {
                    let value = f64::from(f32::from_bits(bits as u32));
                    Value::Float(value, number::float(value, layout.version))
                }
                'd' => {
                    let value = f64::from_bits(bits);
                    Value::Float(value, number::float(value, layout.version))
                }
                'b' | 'h' | 'i' | 'l' | 'q' => Value::int((bits << shift) as i64 >> shift),
                'u' | 'w' | 'c' => {
                    let c = char::from_u32(bits as u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                    self.symbol(object, type_, &format!("{c:?}"))
                }
                _ => Value::Int(Integer {
                    text: bits.to_string(),
                    digits: None,
                    long: layout.version.major == 2 && matches!(code, 'I' | 'L'),
                }),
            }
        };
        let items: Vec<Item> = (0..count).map(|i| Item::plain(read(i))).collect();
        let (open, close) = match length {
            0 => (format!("array('{code}'"), ")"),
            _ => (format!("array('{code}', ["), "])"),
        };
        Ok(self.group(object, type_, Shape::Sequence, (open, close), items, length))
    }
}
