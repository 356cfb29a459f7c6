//! NumPy arrays and scalars, of its versions 1 and 2.
//!
//! ```text
//!  element      what the elements of an array are (dtype), and how that is written
//!  scalar       one element; objects that are one; which NumPy writes them how
//!  strings      elements that are strings of any length
//!  date         elements that are dates
//!  long_double  elements that are long doubles
//! ```

mod date;
mod element;
mod long_double;
mod scalar;
mod strings;

use super::reader::Reader;
use super::types::Type;
use super::{Group, Item, Shape, Value};
use crate::object::BadObject;
use element::{Element, Inner};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

type Result<T> = std::result::Result<T, BadObject>;

const BAD: BadObject = BadObject::Unexpected("an array");

/// `NPY_MAXDIMS` of NumPy 2.
const MAX_DIMENSIONS: u64 = 64;
/// An element (a part of one, if it has parts) larger than this is not looked at.
const MAX_ELEMENT: u64 = 1 << 16;

/// What is not read again.
#[derive(Default)]
pub(super) struct Known {
    /// Whether the target's NumPy is version 1.
    first: Cell<Option<bool>>,
    /// Types of elements by their address; `None` for what turned out to be none.
    elements: RefCell<HashMap<u64, Option<Element>>>,
}

/// Where an array's elements are.
pub(super) struct Array {
    data: u64,
    /// Length and stride in bytes of each dimension, the outermost first.
    pub dimensions: Vec<(u64, i64)>,
}

/// `(2, 3)`
fn shape(lengths: impl Iterator<Item = u64>) -> String {
    let lengths: Vec<String> = lengths.map(|length| length.to_string()).collect();
    let comma = if lengths.len() == 1 { "," } else { "" };
    format!("({}{comma})", lengths.join(", "))
}

impl Reader<'_, '_> {
    /// numpy/core/include/numpy/ndarraytypes.h `PyArrayObject_fields`: data, nd (an int),
    /// dimensions, strides, base, descr.
    pub(super) fn array_of(&self, object: u64) -> Result<Array> {
        let head = u64::from(self.layout().values.head);
        let count_at = object.wrapping_add(head + u64::from(self.layout().arch.pointer));
        let dimensions = self.objects.memory.uint(count_at, 4)?;
        if dimensions > MAX_DIMENSIONS {
            return Err(BAD);
        }
        let lengths = self.pointers(self.part(object, 2)?, dimensions, dimensions as usize)?;
        let strides = self.pointers(self.part(object, 3)?, dimensions, dimensions as usize)?;
        let strides = strides.into_iter().map(|stride| stride as i64);
        Ok(Array {
            data: self.part(object, 0)?,
            dimensions: lengths.into_iter().zip(strides).collect(),
        })
    }

    /// `array([1, 2], shape=(2,), dtype=int64)`
    pub(super) fn numpy_array(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let array = self.array_of(object)?;
        let element = self.element(self.part(object, 5)?)?;
        let shape = shape(array.dimensions.iter().map(|(length, _)| *length));
        let dtype = self.element_name(&element);
        let data = self.inside(object, "...", |reader| {
            let data = reader.axis(&array.dimensions, &element, array.data);
            Ok(data.unwrap_or(Value::Unreadable))
        })?;
        let items = vec![
            Item::plain(data),
            Item::named("shape", self.symbol(object, type_, &shape)),
            Item::named("dtype", self.symbol(object, type_, &dtype)),
        ];
        let name = match type_.short_name() {
            "recarray" => "rec.array",
            name if type_.heap => name,
            _ => "array",
        };
        Ok(self.group(object, type_, Shape::Fields, (format!("{name}("), ")"), items, 3))
    }

    /// The elements of some dimensions.
    fn axis(&mut self, dimensions: &[(u64, i64)], element: &Element, at: u64) -> Result<Value> {
        let Some(((length, stride), inner)) = dimensions.split_first() else {
            return self.element_at(element, at);
        };
        let (length, stride, size) = (*length, *stride, element.size);
        let count = self.take(length);
        self.nodes = self.nodes.saturating_sub(count);
        let mut items = Vec::with_capacity(count);
        let plain = matches!(element.inner, Inner::Plain) && size <= MAX_ELEMENT;
        if plain && inner.is_empty() && stride == size as i64 {
            let bytes = self.objects.memory.bytes(at, count * size as usize)?;
            for i in 0..count {
                if self.is_expired() {
                    break;
                }
                let from = i * size as usize;
                let bytes = bytes.get(from..from + size as usize).unwrap_or_default();
                items.push(Item::plain(self.scalar(element, bytes)));
            }
        } else {
            for i in 0..count {
                let at = at.wrapping_add((i as i64).wrapping_mul(stride) as u64);
                let reserved = (count - i - 1).min(self.nodes / 2);
                self.nodes -= reserved;
                let value = self.axis(inner, element, at).unwrap_or(Value::Unreadable);
                self.nodes += reserved;
                items.push(Item::plain(value));
            }
        }
        Ok(numpy_group("numpy.ndarray", at, ("[", "]"), items, length))
    }

    /// One element, with what is inside of it.
    fn element_at(&mut self, element: &Element, at: u64) -> Result<Value> {
        match &element.inner {
            Inner::Fields(fields, length) => {
                let count = self.take(fields.len() as u64);
                self.nodes = self.nodes.saturating_sub(count);
                let mut items = Vec::with_capacity(count);
                for (i, field) in fields.iter().take(count).enumerate() {
                    let reserved = (count - i - 1).min(self.nodes / 2);
                    self.nodes -= reserved;
                    let at = at.wrapping_add(field.offset);
                    let value = field.element.as_ref().ok_or(BAD);
                    let value = value.and_then(|element| self.element_at(element, at));
                    self.nodes += reserved;
                    items.push(Item::plain(value.unwrap_or(Value::Unreadable)));
                }
                let close = if *length == 1 { ",)" } else { ")" };
                Ok(numpy_group("numpy.void", at, ("(", close), items, *length))
            }
            Inner::Array(base, lengths) => {
                let mut stride = base.size;
                let mut dimensions = Vec::with_capacity(lengths.len());
                for length in lengths.iter().rev() {
                    dimensions.push((*length, stride as i64));
                    stride = stride.wrapping_mul(*length);
                }
                dimensions.reverse();
                self.axis(&dimensions, base, at)
            }
            Inner::Strings(strings) => {
                let size = 2 * self.layout().arch.word();
                let bytes = self.objects.memory.bytes(at, size)?;
                Ok(self.string_element(*strings, &bytes))
            }
            Inner::Plain if element.size > MAX_ELEMENT => Ok(Value::Cut),
            Inner::Plain => {
                let bytes = self.objects.memory.bytes(at, element.size as usize)?;
                Ok(self.scalar(element, &bytes))
            }
        }
    }
}

fn numpy_group(
    type_name: &str,
    address: u64,
    (open, close): (&str, &str),
    items: Vec<Item>,
    length: u64,
) -> Value {
    Value::Group(Box::new(Group {
        type_name: type_name.to_owned(),
        address,
        open: open.to_owned(),
        close: close.to_owned(),
        shape: Shape::Sequence,
        items,
        length,
    }))
}
