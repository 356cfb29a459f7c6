//! What the elements of an array are: NumPy's `dtype`.

use super::super::reader::Reader;
use super::{BAD, MAX_DIMENSIONS, Result};
use std::collections::HashMap;
use std::rc::Rc;

/// `NPY_DATETIMEUNIT`.
const UNITS: [&str; 15] =
    ["Y", "M", "W", "", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"];
/// How many fields of one type are read, those of nested ones included.
const MAX_FIELDS: usize = 256;
/// How many types are inside of each other at the most; so deep nests nobody.
const MAX_NESTING: usize = 8;
/// How many types are remembered.
const MAX_KNOWN: usize = 1 << 12;
/// How many entries of a type's dictionary of fields are looked through: it has titles too.
const MAX_ENTRIES: usize = 1 << 12;

/// What the elements of an array are (`PyArray_Descr`).
#[derive(Clone)]
pub(super) struct Element {
    /// `b`, `i`, `u`, `f`, `c`, `S`, `U`, `O`, `M`, `m`, `V`, `T`.
    pub kind: char,
    pub size: u64,
    pub big_endian: bool,
    /// The unit of dates and durations, and how many of it one is.
    pub unit: &'static str,
    pub factor: u32,
    pub inner: Inner,
}

/// What is inside of an element.
#[derive(Clone)]
pub(super) enum Inner {
    /// One value.
    Plain,
    /// Named parts: the first ones, and how many there are.
    Fields(Rc<[Field]>, u64),
    /// An array in C's order of these lengths.
    Array(Rc<Element>, Rc<[u64]>),
    /// Strings of any length.
    Strings(Strings),
}

/// A named part of an element.
pub(super) struct Field {
    pub name: String,
    pub offset: u64,
    /// What is no known type shows as unreadable.
    pub element: Option<Element>,
}

/// `PyArray_StringDTypeObject`.
#[derive(Clone, Copy)]
pub(super) struct Strings {
    /// The object that stands for a missing string, or 0.
    pub missing: u64,
    /// Whether other objects are made strings.
    pub coerces: bool,
    /// Where strings lie that do not fit into an element, and the size of that.
    pub arena: u64,
    pub arena_size: u64,
}

impl Element {
    /// A value with nothing inside, in the target's byte order.
    pub fn plain(kind: char, size: u64, big_endian: bool) -> Element {
        Element { kind, size, big_endian, unit: "", factor: 1, inner: Inner::Plain }
    }

    fn unit_text(&self) -> String {
        match (self.unit, self.factor) {
            ("" | "generic", _) => String::new(),
            (unit, 1) => format!("[{unit}]"),
            (unit, factor) => format!("[{factor}{unit}]"),
        }
    }

    /// As one field of others is written (numpy/core/_dtype.py `_construction_repr`).
    fn short_name(&self) -> String {
        let size = self.size;
        let order = match (size, self.big_endian) {
            (..=1, _) => "",
            (_, true) => ">",
            (_, false) => "<",
        };
        match self.kind {
            'b' => "'?'".to_owned(),
            'S' => format!("'S{size}'"),
            'U' => format!("'{}U{}'", if self.big_endian { '>' } else { '<' }, size / 4),
            'O' => "'O'".to_owned(),
            'M' | 'm' => format!("'{order}{}8{}'", self.kind, self.unit_text()),
            'V' => format!("'V{size}'"),
            kind => format!("'{order}{kind}{size}'"),
        }
    }
}

impl Reader<'_, '_> {
    /// What `dtype=` is followed by.
    pub(super) fn element_name(&mut self, element: &Element) -> String {
        let bits = element.size.wrapping_mul(8);
        match (&element.inner, element.kind) {
            (Inner::Fields(..) | Inner::Array(..), _) => self.short_name(element),
            (Inner::Strings(strings), _) => self.strings_name(*strings),
            (_, 'b') => "bool".to_owned(),
            (_, 'i') => format!("int{bits}"),
            (_, 'u') => format!("uint{bits}"),
            (_, 'f') => format!("float{bits}"),
            (_, 'c') => format!("complex{bits}"),
            (_, 'U') => format!("U{}", element.size / 4),
            (_, 'O') => "object".to_owned(),
            (_, 'M') => format!("datetime64{}", element.unit_text()),
            (_, 'm') => format!("timedelta64{}", element.unit_text()),
            (_, kind) => format!("{kind}{}", element.size),
        }
    }

    /// `[('a', '<i4'), ('b', '<f8', (2, 2))]`: offsets are not told, nor are titles.
    fn short_name(&self, element: &Element) -> String {
        match &element.inner {
            Inner::Fields(fields, length) => {
                let mut parts: Vec<String> = fields
                    .iter()
                    .map(|field| {
                        let units = field.name.chars().map(u32::from).collect();
                        let (name, _) = self.text_of("str", "", units).quote(usize::MAX);
                        let type_ = field.element.as_ref().map(|of| self.short_name(of));
                        format!("({name}, {})", type_.as_deref().unwrap_or("?"))
                    })
                    .collect();
                if *length > fields.len() as u64 {
                    parts.push("...".to_owned());
                }
                format!("[{}]", parts.join(", "))
            }
            Inner::Array(base, lengths) => {
                let shape = super::shape(lengths.iter().copied());
                format!("{}, {shape}", self.short_name(base))
            }
            _ => element.short_name(),
        }
    }

    /// `PyArray_Descr`: typeobj; kind, type, byteorder and (NumPy 1) flags, a char each;
    /// type_num, an int; then NumPy 1: elsize and alignment, ints; NumPy 2: flags, 64
    /// bits, and elsize, a `npy_intp`.
    pub(super) fn element(&self, describes: u64) -> Result<Element> {
        if let Some(known) = self.numpy.elements.borrow().get(&describes) {
            return known.clone().ok_or(BAD);
        }
        let found = self.element_within(describes, MAX_NESTING, &mut { MAX_FIELDS });
        let mut elements = self.decoder.numpy.elements.borrow_mut();
        if elements.len() < MAX_KNOWN {
            elements.insert(describes, found.as_ref().ok().cloned());
        }
        found
    }

    fn element_within(&self, describes: u64, levels: usize, left: &mut usize) -> Result<Element> {
        let levels = levels.checked_sub(1).ok_or(BAD)?;
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
        if !"biufcSUOMmVT".contains(kind) || size > 1 << 40 {
            return Err(BAD);
        }
        let big_endian = match byte(10) {
            '>' => true,
            '<' => false,
            _ => arch.big_endian,
        };
        // Behind those NumPy 1 has subarray, fields, names, f, metadata and c_metadata;
        // NumPy 2 alignment, metadata, hash, two reserved words, and subarray, fields,
        // names and c_metadata, or what a newer kind of type has.
        let word = u64::from(arch.pointer);
        let more = describes.wrapping_add(head + if first { 24 } else { 24 + 6 * word });
        let part = |index: u64| self.objects.memory.ptr(more.wrapping_add(index * word));
        let mut element = Element { size, ..Element::plain(kind, size, big_endian) };
        match kind {
            'M' | 'm' => {
                let metadata = part(if first { 5 } else { 3 })?;
                let unit = self.unit(metadata, word);
                (element.unit, element.factor) = unit.unwrap_or(("", 1));
            }
            'V' => {
                let (subarray, fields, names) = (part(0)?, part(1)?, part(2)?);
                let none = self.none_or_null(names);
                if subarray != 0 {
                    element.inner = self.subarray(subarray, levels, left)?;
                } else if !none {
                    element.inner = self.fields(names, fields, levels, left)?;
                }
            }
            'T' => element.inner = Inner::Strings(self.strings(more)?),
            _ => {}
        }
        Ok(element)
    }

    fn none_or_null(&self, object: u64) -> bool {
        let type_ = |object| self.objects.type_of(object).and_then(|type_| self.type_at(type_));
        object == 0 || type_(object).is_ok_and(|type_| type_.name == "NoneType")
    }

    /// `NpyAuxData` and behind its four pointers an enum and an int.
    fn unit(&self, metadata: u64, word: u64) -> Result<(&'static str, u32)> {
        self.unit_at(metadata.wrapping_add(4 * word))
    }

    pub(super) fn unit_at(&self, at: u64) -> Result<(&'static str, u32)> {
        let unit = self.objects.memory.uint(at, 4)?;
        let factor = self.objects.memory.uint(at.wrapping_add(4), 4)?;
        Ok((UNITS.get(unit as usize).copied().ok_or(BAD)?, factor as u32))
    }

    /// `PyArray_ArrayDescr`: base, and shape, a tuple.
    fn subarray(&self, at: u64, levels: usize, left: &mut usize) -> Result<Inner> {
        let word = u64::from(self.layout().arch.pointer);
        let base = self.objects.memory.ptr(at)?;
        let shape = self.objects.memory.ptr(at.wrapping_add(word))?;
        let (lengths, count) = self.tuple_items(shape, MAX_DIMENSIONS as usize)?;
        if count > MAX_DIMENSIONS {
            return Err(BAD);
        }
        let lengths: Result<Vec<u64>> =
            lengths.into_iter().map(|length| self.small(length)).collect();
        let base = self.element_within(base, levels, left)?;
        Ok(Inner::Array(Rc::new(base), lengths?.into()))
    }

    /// A length or an offset.
    fn small(&self, int: u64) -> Result<u64> {
        if self.layout().version.major == 2 {
            return u64::try_from(self.objects.small_int(int)?).map_err(|_| BAD);
        }
        self.integer(int)?.text.parse().map_err(|_| BAD)
    }

    /// The names are a tuple; the dictionary has (type, offset) or (type, offset, title) for
    /// each of them, and once more for each title.
    fn fields(&self, names: u64, dict: u64, levels: usize, left: &mut usize) -> Result<Inner> {
        let limit = (*left).min(self.budget.items);
        let (names, length) = self.tuple_items(names, limit)?;
        *left -= names.len().min(*left);
        let mut entries = Vec::new();
        self.objects.for_each_item(dict, &mut |key, value| {
            entries.push((key, value));
            entries.len() < MAX_ENTRIES
        })?;
        entries.sort_unstable();
        let mut texts = HashMap::new();
        let mut fields = Vec::with_capacity(names.len());
        for at in names {
            let name = self.name(at)?;
            let entry = match entries.binary_search_by_key(&at, |(key, _)| *key) {
                Ok(found) => entries.get(found).map(|(_, value)| *value),
                // Another string of the same text.
                Err(_) => {
                    if texts.is_empty() {
                        let text =
                            |(key, value): &(u64, u64)| Some((self.name(*key).ok()?, *value));
                        texts = entries.iter().filter_map(text).collect();
                    }
                    texts.get(&name).copied()
                }
            };
            let (entry, _) = self.tuple_items(entry.ok_or(BAD)?, 2)?;
            let [type_, offset] = entry[..] else { return Err(BAD) };
            let offset = self.small(offset)?;
            let element = self.element_within(type_, levels, left).ok();
            fields.push(Field { name, offset, element });
        }
        Ok(Inner::Fields(fields.into(), length))
    }
}
