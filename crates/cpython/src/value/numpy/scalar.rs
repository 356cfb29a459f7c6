//! One element of an array, and objects that are one.

use super::super::reader::Reader;
use super::super::text::Text;
use super::super::types::{Kind, Type};
use super::super::{Integer, Item, Shape, Symbol, Value, number};
use super::date::iso;
use super::element::{Element, Inner};
use super::{BAD, MAX_ELEMENT, Result, long_double};

/// How many classes of NumPy's are looked at to tell its version.
const MAX_CLASSES: usize = 64;

impl Reader<'_, '_> {
    /// One element with nothing inside.
    pub(super) fn scalar(&mut self, element: &Element, bytes: &[u8]) -> Value {
        let arch = remote::Arch { pointer: 8, big_endian: element.big_endian };
        let size = element.size as usize;
        let bits = |at: usize, size: usize| arch.uint(bytes, at, size).unwrap_or(0);
        let symbol = |text: String| {
            let type_name = format!("{}{}", element.kind, element.size);
            Value::Symbol(Symbol { type_name, text, address: 0 })
        };
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
            ('f', _) => match self.real(bytes, arch) {
                Some((value, text)) => Value::Float(value, text),
                None => symbol("<longdouble>".to_owned()),
            },
            ('c', 8..) => {
                let (first, second) = bytes.split_at(bytes.len() / 2);
                let (Some((real, first)), Some((_, second))) =
                    (self.real(first, arch), self.real(second, arch))
                else {
                    return symbol("<clongdouble>".to_owned());
                };
                let first = first.strip_suffix(".0").unwrap_or(&first);
                let second = second.strip_suffix(".0").unwrap_or(&second);
                if real == 0.0 && real.is_sign_positive() {
                    return symbol(format!("{second}j"));
                }
                let sign = if second.starts_with('-') { "" } else { "+" };
                symbol(format!("({first}{sign}{second}j)"))
            }
            ('S', _) => {
                let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                let units: Vec<u32> = bytes.iter().take(end).map(|byte| u32::from(*byte)).collect();
                // In Python 2 bytes are `str`.
                let old = self.layout().version.major == 2;
                let (name, prefix) = if old { ("str", "") } else { ("bytes", "b") };
                Value::Text(Text { characters: false, ..self.text_of(name, prefix, units) })
            }
            ('U', _) => {
                let mut units: Vec<u32> = (0..size / 4).map(|i| bits(i * 4, 4) as u32).collect();
                while units.last() == Some(&0) {
                    units.pop();
                }
                let old = self.layout().version.major == 2;
                let (name, prefix) = if old { ("unicode", "u") } else { ("str", "") };
                let text = self.text_of(name, prefix, units);
                Value::Text(Text { characters: true, wide: !old, ..text })
            }
            ('O', _) => match bits(0, self.layout().arch.word().min(size)) {
                0 => Value::None,
                object => self.value(object),
            },
            ('V', _) => symbol(self.raw(bytes)),
            (kind, _) => symbol(format!("<{kind}{size}>")),
        }
    }

    /// `b'\x01\x61\xFF'`: bytes of no type are never shown as characters.
    fn raw(&self, bytes: &[u8]) -> String {
        let shown = bytes.iter().take(self.budget.chars);
        format!("b'{}'", shown.map(|byte| format!("\\x{byte:02X}")).collect::<String>())
    }

    pub(super) fn text_of(
        &self,
        type_name: &str,
        prefix: &'static str,
        mut units: Vec<u32>,
    ) -> Text {
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

    /// A float of 16, 32 or 64 bits, or one of the 80 bits of x86's `long double`.
    fn real(&self, bytes: &[u8], arch: remote::Arch) -> Option<(f64, String)> {
        let bits = |at: usize, size: usize| arch.uint(bytes, at, size).unwrap_or(0);
        Some(match bytes.len() {
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
            10..=16 if !arch.big_endian => {
                let (mantissa, head) = (bits(0, 8), bits(8, 2) as u16);
                let text = long_double::text(mantissa, head)?;
                // As far as that holds it.
                (text.parse().unwrap_or(f64::NAN), text)
            }
            _ => return None,
        })
    }

    /// `np.float64(1.5)`, `1.5` before NumPy 2: the value lies behind the head; strings are
    /// Python's own (numpy/core/include/numpy/arrayscalars.h).
    pub(in super::super) fn numpy_scalar(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let name = type_.short_name().to_owned();
        let digits = |prefix: &str| {
            name.strip_prefix(prefix).and_then(|bits| bits.parse::<u64>().ok()).map(|bits| bits / 8)
        };
        let big_endian = self.layout().arch.big_endian;
        let element = |kind, size| Some(Element::plain(kind, size, big_endian));
        let word = u64::from(self.layout().arch.pointer);
        let of = match name.as_str() {
            "bool" | "bool_" => element('b', 1),
            "intc" => element('i', 4),
            "uintc" => element('u', 4),
            "longlong" => element('i', 8),
            "ulonglong" => element('u', 8),
            // On 32 bits x86's has 12 bytes, of which 10 are used everywhere.
            "longdouble" | "float96" | "float128" => element('f', 2 * word.max(6)),
            "clongdouble" | "complex192" | "complex256" => element('c', 4 * word.max(6)),
            "datetime64" | "timedelta64" => return self.numpy_time(object, type_, &name),
            "str_" | "bytes_" | "unicode_" | "string_" => None,
            _ if self.is_void(type_) => return self.numpy_void(object, type_),
            _ => [("uint", 'u'), ("int", 'i'), ("float", 'f'), ("complex", 'c')]
                .iter()
                .find_map(|(prefix, kind)| element(*kind, digits(prefix)?)),
        };
        let old = self.is_numpy_1(type_);
        let value = match &of {
            Some(of) => {
                let at = object.wrapping_add(u64::from(self.layout().values.head));
                let bytes = self.objects.memory.bytes(at, of.size.min(MAX_ELEMENT) as usize)?;
                self.scalar(of, &bytes)
            }
            None if matches!(type_.kind, Kind::Str | Kind::Unicode | Kind::Bytes) => {
                let text = self.string(object, type_)?;
                if old {
                    return Ok(text);
                }
                text
            }
            None => return self.instance(object, type_, ""),
        };
        if old {
            let shown = value.repr(usize::MAX);
            return Ok(self.symbol(object, type_, &shown));
        }
        let value = match value {
            Value::Bool(truth) => {
                let shown = if truth { "np.True_" } else { "np.False_" };
                return Ok(self.symbol(object, type_, shown));
            }
            // What a `float` cannot hold has quotes, and a complex number no more
            // parentheses then.
            Value::Float(_, text) if name == "longdouble" => {
                self.symbol(object, type_, &format!("'{text}'"))
            }
            Value::Symbol(symbol) if name == "clongdouble" => {
                let text = symbol.text.trim_matches(['(', ')']);
                self.symbol(object, type_, &format!("'{text}'"))
            }
            Value::Symbol(mut symbol) if symbol.text.starts_with('(') => {
                symbol.text = symbol.text.trim_matches(['(', ')']).to_owned();
                Value::Symbol(symbol)
            }
            other => other,
        };
        // Two ints may be of the same size: they are called by that.
        let name = match of {
            Some(Element { kind: 'i', size, .. }) => format!("int{}", size * 8),
            Some(Element { kind: 'u', size, .. }) => format!("uint{}", size * 8),
            _ => name,
        };
        let items = vec![Item::plain(value)];
        Ok(self.group(object, type_, Shape::Fields, (format!("np.{name}("), ")"), items, 1))
    }

    fn is_void(&self, type_: &Type) -> bool {
        if type_.name == "numpy.void" {
            return true;
        }
        let is = |class| self.objects.type_name(class).is_ok_and(|name| name == "numpy.void");
        self.ancestors(type_.address).unwrap_or_default().into_iter().take(MAX_CLASSES).any(is)
    }

    /// Whether this is NumPy 1: there `bool` was called `bool_` (numpy/_core/src/multiarray/
    /// scalartypes.c.src). That class is found from any other: it derives directly from
    /// `generic`, which knows its subclasses.
    fn is_numpy_1(&self, type_: &Type) -> bool {
        // The versions of Python that no NumPy 2 was made for; and in the oldest ones the
        // subclasses are in a list.
        if !self.layout().version.at_least(3, 9) {
            return true;
        }
        if let Some(known) = self.numpy.first.get() {
            return known;
        }
        let known = self.find_numpy_1(type_).unwrap_or(false);
        self.decoder.numpy.first.set(Some(known));
        known
    }

    fn find_numpy_1(&self, type_: &Type) -> Option<bool> {
        let name = |class: u64| self.objects.type_name(class).ok();
        let ancestors = self.ancestors(type_.address).ok()?.into_iter().take(MAX_CLASSES);
        let generic = ancestors
            .into_iter()
            .find(|class| name(*class).is_some_and(|name| name == "numpy.generic"))?;
        // Include/cpython/object.h `_typeobject`: tp_mro, tp_cache, tp_subclasses.
        let at = self.layout().values.types.mro + 2 * u32::from(self.layout().arch.pointer);
        let subclasses = self.objects.field(generic, at).ok()?;
        let (mut found, mut left) = (None, MAX_CLASSES);
        self.objects
            .for_each_item(subclasses, &mut |_, reference| {
                left -= 1;
                // A weak reference, which begins with the object.
                let name = self.part(reference, 0).ok().and_then(name);
                found = match name.as_deref() {
                    Some("numpy.bool_") => Some(true),
                    Some("numpy.bool") => Some(false),
                    _ => None,
                };
                found.is_none() && left > 0
            })
            .ok()?;
        found
    }

    /// `np.void((1, 2.5), dtype=[('a', '<i4'), ('b', '<f8')])`, `(1, 2.5)` before NumPy 2;
    /// `np.void(b'\x01')`. Behind the head and a size: the data and their type.
    fn numpy_void(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let old = self.is_numpy_1(type_);
        let (data, describes) = (self.part(object, 1)?, self.part(object, 2)?);
        let element = self.element(describes)?;
        let value = self.inside(object, "...", |reader| {
            let value = reader.element_at(&element, data);
            Ok(value.unwrap_or(Value::Unreadable))
        })?;
        let fields = matches!(element.inner, Inner::Fields(..));
        if old && fields {
            return Ok(value);
        }
        let mut items = vec![Item::plain(value)];
        if fields {
            let dtype = self.element_name(&element);
            items.push(Item::named("dtype", self.symbol(object, type_, &dtype)));
        }
        let prefix = if old { "" } else { "np." };
        let length = items.len() as u64;
        let ends = (format!("{prefix}{}(", type_.short_name()), ")");
        Ok(self.group(object, type_, Shape::Fields, ends, items, length))
    }

    /// `np.datetime64('2024-01-31T12:00')`: a count of units since 1970, the unit and a
    /// factor, both ints.
    fn numpy_time(&mut self, object: u64, type_: &Type, name: &str) -> Result<Value> {
        let at = object.wrapping_add(u64::from(self.layout().values.head));
        let value = self.objects.memory.uint(at, 8)? as i64;
        let (unit, factor) = self.unit_at(at.wrapping_add(8))?;
        let in_units = match (unit, factor) {
            ("generic", _) => String::new(),
            (_, 1) => format!(",'{unit}'"),
            _ => format!(",'{factor}{unit}'"),
        };
        let shown = if name == "timedelta64" {
            let count = if value == i64::MIN { "'NaT'".to_owned() } else { value.to_string() };
            format!("{count}{in_units}")
        } else if value == i64::MIN {
            "'NaT'".to_owned()
        } else {
            match iso(value.checked_mul(i64::from(factor)).ok_or(BAD)?, unit) {
                // A text does not tell that it is of hours only, nor a factor.
                Some(text) if unit == "h" || factor != 1 => format!("'{text}'{in_units}"),
                Some(text) => format!("'{text}'"),
                None => format!("{value}{in_units}"),
            }
        };
        let module = if self.is_numpy_1(type_) { "numpy" } else { "np" };
        Ok(self.symbol(object, type_, &format!("{module}.{name}({shown})")))
    }
}
