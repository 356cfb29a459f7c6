//! NumPy arrays and scalars, of its versions 1 and 2.

use super::reader::Reader;
use super::types::{Kind, Type};
use super::{Group, Integer, Item, Shape, Symbol, Value, number, text::Text};
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

const BAD: BadObject = BadObject::Unexpected("an array");

/// `NPY_MAXDIMS` of NumPy 2.
const MAX_DIMENSIONS: u64 = 64;
/// `NPY_DATETIMEUNIT`.
const UNITS: [&str; 15] =
    ["Y", "M", "W", "", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"];
/// An element larger than this is not looked at.
const MAX_ELEMENT: u64 = 1 << 16;

/// What the elements of an array are (`PyArray_Descr`).
#[derive(Clone, Copy)]
struct Element {
    /// `b`, `i`, `u`, `f`, `c`, `S`, `U`, `O`, `M`, `m`, `V`.
    kind: char,
    size: u64,
    big_endian: bool,
    /// The unit of dates and durations, and how many of it one is.
    unit: &'static str,
    factor: u32,
}

/// Where an array's elements are.
pub(super) struct Array {
    data: u64,
    /// Length and stride in bytes of each dimension, the outermost first.
    pub dimensions: Vec<(u64, i64)>,
    element: Element,
}

impl Element {
    fn name(self) -> String {
        let bits = self.size * 8;
        match self.kind {
            'b' => "bool".to_owned(),
            'i' => format!("int{bits}"),
            'u' => format!("uint{bits}"),
            'f' => format!("float{bits}"),
            'c' => format!("complex{bits}"),
            'S' => format!("S{}", self.size),
            'U' => format!("U{}", self.size / 4),
            'O' => "object".to_owned(),
            'M' | 'm' => {
                let name = if self.kind == 'M' { "datetime64" } else { "timedelta64" };
                match (self.unit, self.factor) {
                    ("", _) => name.to_owned(),
                    (unit, 1) => format!("{name}[{unit}]"),
                    (unit, factor) => format!("{name}[{factor}{unit}]"),
                }
            }
            _ => format!("void{bits}"),
        }
    }
}

impl Reader<'_, '_> {
    /// numpy/core/include/numpy/ndarraytypes.h `PyArrayObject_fields`: data, nd (an int),
    /// dimensions, strides, base, descr.
    pub(super) fn array_of(&self, object: u64) -> Result<Array> {
        let dimensions =
            self.objects.memory.uint(object + u64::from(self.layout().values.head) + 8, 4)?;
        if dimensions > MAX_DIMENSIONS {
            return Err(BAD);
        }
        let lengths = self.pointers(self.part(object, 2)?, dimensions, dimensions as usize)?;
        let strides = self.pointers(self.part(object, 3)?, dimensions, dimensions as usize)?;
        let strides = strides.into_iter().map(|stride| stride as i64);
        Ok(Array {
            data: self.part(object, 0)?,
            dimensions: lengths.into_iter().zip(strides).collect(),
            element: self.element(self.part(object, 5)?)?,
        })
    }

    /// `PyArray_Descr`: typeobj; kind, type, byteorder and (NumPy 1) flags, a char each;
    /// type_num, an int; then NumPy 1: elsize and alignment, ints; NumPy 2: flags, 64
    /// bits, and elsize, a `npy_intp`.
    fn element(&self, describes: u64) -> Result<Element> {
        let head = u64::from(self.layout().values.head);
        let bytes = self.objects.memory.bytes(describes.wrapping_add(head), 32)?;
        let arch = self.layout().arch;
        let byte = |at: usize| char::from(bytes.get(at).copied().unwrap_or(0));
        let int = |at, size| arch.uint(&bytes, at, size).unwrap_or(0);
        let alignment = int(20, 4);
        // In NumPy 2 that is the upper half of the flags, of which 8 are used.
        let first = (1..=64).contains(&alignment);
        let size = if first { int(16, 4) } else { int(24, 8) };
        let kind = byte(8);
        if !"biufcSUOMmVT".contains(kind) || size > MAX_ELEMENT {
            return Err(BAD);
        }
        let big_endian = match byte(10) {
            '>' => true,
            '<' => false,
            _ => arch.big_endian,
        };
        let (unit, factor) = if matches!(kind, 'M' | 'm') {
            self.unit(describes, first).unwrap_or(("", 1))
        } else {
            ("", 1)
        };
        Ok(Element { kind, size, big_endian, unit, factor })
    }

    /// The unit is in `c_metadata`: behind four pointers an enum and an int. NumPy 1 has
    /// subarray, fields, names, f and metadata in front of it; NumPy 2 elsize, alignment,
    /// metadata, hash, two reserved words, subarray, fields and names.
    fn unit(&self, describes: u64, first: bool) -> Result<(&'static str, u32)> {
        let word = u64::from(self.layout().arch.pointer);
        let head = u64::from(self.layout().values.head);
        let at = if first { 24 + 5 * word } else { 24 + 9 * word };
        let metadata = self.objects.memory.ptr(describes.wrapping_add(head + at))?;
        self.unit_at(metadata.wrapping_add(4 * word))
    }

    fn unit_at(&self, at: u64) -> Result<(&'static str, u32)> {
        let unit = self.objects.memory.uint(at, 4)?;
        let factor = self.objects.memory.uint(at.wrapping_add(4), 4)?;
        Ok((UNITS.get(unit as usize).copied().ok_or(BAD)?, factor as u32))
    }

    /// `array([1, 2], shape=(2,), dtype=int64)`
    pub(super) fn numpy_array(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let array = self.array_of(object)?;
        let lengths: Vec<String> =
            array.dimensions.iter().map(|(length, _)| length.to_string()).collect();
        let comma = if lengths.len() == 1 { "," } else { "" };
        let shape = format!("({}{comma})", lengths.join(", "));
        let dtype = array.element.name();
        let data = self.inside(object, "...", |reader| {
            Ok(reader.axis(&array, 0, array.data).unwrap_or(Value::Unreadable))
        })?;
        let items = vec![
            Item::plain(data),
            Item::named("shape", self.symbol(object, type_, &shape)),
            Item::named("dtype", self.symbol(object, type_, &dtype)),
        ];
        let name = if type_.heap { type_.short_name() } else { "array" };
        Ok(self.group(object, type_, Shape::Fields, (format!("{name}("), ")"), items, 3))
    }

    /// The elements from dimension `axis` on.
    fn axis(&mut self, array: &Array, axis: usize, at: u64) -> Result<Value> {
        let Some((length, stride)) = array.dimensions.get(axis).copied() else {
            let size = array.element.size as usize;
            let bytes = self.objects.memory.bytes(at, size)?;
            return Ok(self.scalar(array.element, &bytes));
        };
        let count = self.take(length);
        self.nodes = self.nodes.saturating_sub(count);
        let last = axis + 1 == array.dimensions.len();
        let size = array.element.size;
        let mut items = Vec::with_capacity(count);
        if last && stride == size as i64 {
            let bytes = self.objects.memory.bytes(at, count * size as usize)?;
            for i in 0..count {
                let from = i * size as usize;
                let element = bytes.get(from..from + size as usize).unwrap_or_default();
                items.push(Item::plain(self.scalar(array.element, element)));
            }
        } else {
            for i in 0..count {
                let at = at.wrapping_add((i as i64).wrapping_mul(stride) as u64);
                let reserved = (count - i - 1).min(self.nodes / 2);
                self.nodes -= reserved;
                let value = self.axis(array, axis + 1, at).unwrap_or(Value::Unreadable);
                self.nodes += reserved;
                items.push(Item::plain(value));
            }
        }
        Ok(Value::Group(Box::new(Group {
            type_name: "numpy.ndarray".to_owned(),
            address: at,
            open: "[".to_owned(),
            close: "]".to_owned(),
            shape: Shape::Sequence,
            items,
            length,
        })))
    }

    /// One element.
    fn scalar(&mut self, element: Element, bytes: &[u8]) -> Value {
        let arch = remote::Arch { pointer: 8, big_endian: element.big_endian };
        let size = element.size as usize;
        let bits = |at: usize, size: usize| arch.uint(bytes, at, size).unwrap_or(0);
        let symbol =
            |text: String| Value::Symbol(Symbol { type_name: element.name(), text, address: 0 });
        match (element.kind, size) {
            ('b', _) => Value::Bool(bits(0, 1) != 0),
            ('i' | 'm' | 'M', 1 | 2 | 4 | 8) => {
                let value = bits(0, size);
                if element.kind != 'i' && value == 1 << 63 {
                    return symbol("NaT".to_owned());
                }
                let shift = 64 - 8 * size as u32;
                let value = (value << shift) as i64 >> shift;
                let date = value.checked_mul(i64::from(element.factor));
                match date.and_then(|date| iso(date, element.unit)) {
                    Some(date) if element.kind == 'M' => symbol(format!("'{date}'")),
                    _ => Value::int(value),
                }
            }
            ('u', 1 | 2 | 4 | 8) => {
                let text = bits(0, size).to_string();
                Value::Int(Integer { text, digits: None, long: false })
            }
            ('f', 2 | 4 | 8 | 10..=16) => match self.real(bytes, arch, size) {
                Some((value, text)) => Value::Float(value, text),
                None => symbol("<longdouble>".to_owned()),
            },
            ('c', 8 | 16) => {
                let half = size / 2;
                let part = |at: usize| {
                    let value = if half == 4 {
                        f64::from(f32::from_bits(bits(at, 4) as u32))
                    } else {
                        f64::from_bits(bits(at, 8))
                    };
                    let text = if half == 4 {
                        number::float32(value as f32)
                    } else {
                        number::float(value, self.layout().version)
                    };
                    (value, text.strip_suffix(".0").unwrap_or(&text).to_owned())
                };
                let ((real, first), (_, second)) = (part(0), part(half));
                if real == 0.0 && real.is_sign_positive() {
                    return symbol(format!("{second}j"));
                }
                let sign = if second.starts_with('-') { "" } else { "+" };
                symbol(format!("({first}{sign}{second}j)"))
            }
            ('S', _) => {
                let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                let units: Vec<u32> = bytes.iter().take(end).map(|byte| u32::from(*byte)).collect();
                Value::Text(self.text_of("bytes", "b", units))
            }
            ('U', _) => {
                let mut units: Vec<u32> = (0..size / 4).map(|i| bits(i * 4, 4) as u32).collect();
                while units.last() == Some(&0) {
                    units.pop();
                }
                Value::Text(self.text_of("str", "", units))
            }
            ('O', _) => match bits(0, self.layout().arch.word().min(size)) {
                0 => Value::None,
                object => self.value(object),
            },
            _ => symbol(format!("<{}>", element.name())),
        }
    }

    fn text_of(&self, type_name: &str, prefix: &'static str, mut units: Vec<u32>) -> Text {
        let length = units.len() as u64;
        units.truncate(self.budget.chars.saturating_add(1));
        Text {
            type_name: type_name.to_owned(),
            prefix,
            suffix: "",
            units,
            length,
            characters: prefix.is_empty(),
            wide: true,
            escape_single: false,
        }
    }

    /// A float of 16, 32 or 64 bits, or one of the 80 bits of x86's `long double` as far
    /// as a `double` holds it.
    fn real(&self, bytes: &[u8], arch: remote::Arch, size: usize) -> Option<(f64, String)> {
        let bits = |at: usize, size: usize| arch.uint(bytes, at, size).unwrap_or(0);
        Some(match size {
            2 => {
                let text = number::float16(bits(0, 2) as u16);
                (text.parse().unwrap_or(f64::NAN), text)
            }
            4 => {
                let value = f32::from_bits(bits(0, 4) as u32);
                (f64::from(value), number::float32(value))
            }
            8 => {
                let value = f64::from_bits(bits(0, 8));
                (value, number::float(value, self.layout().version))
            }
            _ if !arch.big_endian => {
                let (mantissa, rest) = (bits(0, 8), bits(8, 2));
                let exponent = (rest & 0x7fff) as i32;
                let sign = if rest >> 15 == 1 { -1.0 } else { 1.0 };
                let value = match exponent {
                    0x7fff if mantissa << 1 == 0 => f64::INFINITY,
                    0x7fff => f64::NAN,
                    _ => mantissa as f64 * 2f64.powi((exponent - 16383 - 63).max(-1100)),
                };
                (sign * value, number::float(sign * value, self.layout().version))
            }
            _ => return None,
        })
    }

    /// `np.float64(1.5)`: the value lies behind the head; strings are Python's own
    /// (numpy/core/include/numpy/arrayscalars.h).
    pub(super) fn numpy_scalar(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let name = type_.short_name().to_owned();
        let digits = |prefix: &str| {
            name.strip_prefix(prefix).and_then(|bits| bits.parse::<u64>().ok()).map(|bits| bits / 8)
        };
        let big_endian = self.layout().arch.big_endian;
        let element = |kind, size| Some(Element { kind, size, big_endian, unit: "", factor: 1 });
        let of = match name.as_str() {
            "bool" | "bool_" => element('b', 1),
            "intc" => element('i', 4),
            "uintc" => element('u', 4),
            "longlong" => element('i', 8),
            "ulonglong" => element('u', 8),
            "longdouble" | "float128" => element('f', 16),
            "str_" | "bytes_" => None,
            "datetime64" | "timedelta64" => return self.numpy_time(object, type_, &name),
            _ => [("uint", 'u'), ("int", 'i'), ("float", 'f'), ("complex", 'c')]
                .iter()
                .find_map(|(prefix, kind)| element(*kind, digits(prefix)?)),
        };
        let value = match of {
            Some(of) => {
                let at = object.wrapping_add(u64::from(self.layout().values.head));
                let bytes = self.objects.memory.bytes(at, of.size as usize)?;
                self.scalar(of, &bytes)
            }
            None if matches!(type_.kind, Kind::Str | Kind::Unicode | Kind::Bytes) => {
                self.string(object, type_)?
            }
            None => return self.instance(object, type_, ""),
        };
        if let Value::Bool(truth) = value {
            let shown = if truth { "np.True_" } else { "np.False_" };
            return Ok(self.symbol(object, type_, shown));
        }
        let value = match value {
            // No more parentheses around a complex number, and quotes around what a
            // `float` cannot hold.
            Value::Symbol(mut symbol) if symbol.text.starts_with('(') => {
                symbol.text = symbol.text.trim_matches(['(', ')']).to_owned();
                Value::Symbol(symbol)
            }
            other => other,
        };
        let items = vec![Item::plain(value)];
        Ok(self.group(object, type_, Shape::Fields, (format!("np.{name}("), ")"), items, 1))
    }

    /// `np.datetime64('2024-01-31T12:00')`: a count of units since 1970, the unit and a
    /// factor, both ints.
    fn numpy_time(&mut self, object: u64, type_: &Type, name: &str) -> Result<Value> {
        let at = object.wrapping_add(u64::from(self.layout().values.head));
        let value = self.objects.memory.uint(at, 8)? as i64;
        let (unit, factor) = self.unit_at(at.wrapping_add(8))?;
        let factor_text = if factor == 1 { String::new() } else { factor.to_string() };
        let shown = if value == i64::MIN {
            "'NaT'".to_owned()
        } else if name == "timedelta64" {
            format!("{value},'{factor_text}{unit}'")
        } else {
            match iso(value.checked_mul(i64::from(factor)).ok_or(BAD)?, unit) {
                Some(text) => format!("'{text}'"),
                None => format!("{value},'{factor_text}{unit}'"),
            }
        };
        Ok(self.symbol(object, type_, &format!("np.{name}({shown})")))
    }
}

/// A count of units since the first day of 1970 as ISO 8601.
fn iso(count: i64, unit: &str) -> Option<String> {
    let date = |days: i64| {
        // Days to a date of the Gregorian calendar: eras of 400 years, which begin in
        // March.
        let shifted = days + 719_468;
        let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let of_month = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        format!("{year:04}-{month:02}-{of_month:02}")
    };
    let limit = |days: i64| (days.abs() < 1 << 40).then_some(days);
    let digits = match unit {
        "Y" => return Some(format!("{:04}", count.checked_add(1970)?)),
        "M" => {
            return Some(format!(
                "{:04}-{:02}",
                count.div_euclid(12) + 1970,
                count.rem_euclid(12) + 1
            ));
        }
        "W" => return Some(date(limit(count.checked_mul(7)?)?)),
        "D" => return Some(date(limit(count)?)),
        "h" => {
            let day = date(limit(count.div_euclid(24))?);
            return Some(format!("{day}T{:02}", count.rem_euclid(24)));
        }
        "m" => {
            let day = date(limit(count.div_euclid(1440))?);
            let rest = count.rem_euclid(1440);
            return Some(format!("{day}T{:02}:{:02}", rest / 60, rest % 60));
        }
        "s" => 0,
        "ms" => 3,
        "us" => 6,
        "ns" => 9,
        _ => return None,
    };
    let scale = 10i64.pow(digits);
    let (seconds, fraction) = (count.div_euclid(scale), count.rem_euclid(scale));
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (h, m, s) = (rest / 3600, rest / 60 % 60, rest % 60);
    let day = date(limit(days)?);
    let width = digits as usize;
    let fraction = if digits == 0 { String::new() } else { format!(".{fraction:0width$}") };
    Some(format!("{day}T{h:02}:{m:02}:{s:02}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn dates() {
        assert_eq!(iso(0, "D").as_deref(), Some("1970-01-01"));
        assert_eq!(iso(19_782, "D").as_deref(), Some("2024-02-29"));
        assert_eq!(iso(-1, "D").as_deref(), Some("1969-12-31"));
        assert_eq!(iso(-1, "ms").as_deref(), Some("1969-12-31T23:59:59.999"));
        assert_eq!(iso(649, "M").as_deref(), Some("2024-02"));
        assert_eq!(iso(i64::MAX, "D"), None);
    }
}
