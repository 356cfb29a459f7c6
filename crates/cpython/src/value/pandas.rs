//! pandas' frames, series and indexes: their shape and the names of their columns.

use super::numpy::Array;
use super::reader::Reader;
use super::types::{Kind, Type};
use super::{Item, Shape, Value};
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

impl Reader<'_, '_> {
    /// `<pandas.core.frame.DataFrame at 0x...: shape=(3, 2), columns=['a', 'b']>`
    pub(super) fn pandas(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let mut axes = self.axes(object).unwrap_or_default();
        if axes.is_empty() && self.axis_length(object).is_some() {
            // An index is one itself.
            axes.push(object);
        }
        if axes.is_empty() {
            return self.instance(object, type_, "");
        }
        // The manager's first axis is that of the columns.
        let mut lengths: Vec<String> = axes
            .iter()
            .map(|axis| self.axis_length(*axis).map_or("?".to_owned(), |length| length.to_string()))
            .collect();
        lengths.reverse();
        let comma = if lengths.len() == 1 { "," } else { "" };
        let shape = format!("({}{comma})", lengths.join(", "));
        let mut items = vec![Item::named("shape", self.symbol(object, type_, &shape))];
        if let ([columns, _], true) = (&axes[..], axes.len() == 2) {
            let names = self.attribute_of(*columns, "_data").map(|names| {
                let inner = self.inner_array(names);
                let names = inner.unwrap_or(names);
                self.inside(object, "...", |reader| {
                    let type_ = reader.type_at(reader.objects.type_of(names)?)?;
                    let whole = reader.numpy_array(names, &type_)?;
                    // The list inside of `array(...)`.
                    Ok(match whole {
                        Value::Group(mut group) if !group.items.is_empty() => {
                            group.items.swap_remove(0).value
                        }
                        other => other,
                    })
                })
            });
            if let Some(Ok(names)) = names {
                items.push(Item::named("columns", names));
            }
        }
        let length = items.len() as u64;
        let ends = (format!("<{} at {object:#x}: ", type_.full_name), ">");
        Ok(self.group(object, type_, Shape::Fields, ends, items, length))
    }

    /// In its dictionary or in a slot.
    fn attribute_of(&self, object: u64, name: &str) -> Option<u64> {
        let type_ = self.objects.type_of(object).and_then(|type_| self.type_at(type_)).ok()?;
        self.attribute(object, &type_, name)
    }

    /// The list of indexes in the block manager (`_mgr`; `_data` before pandas 1.1): an
    /// attribute, or from pandas 1.3 on a field of a Cython class
    /// (pandas/_libs/internals.pyx), whose first fields are looked through for it.
    fn axes(&self, object: u64) -> Option<Vec<u64>> {
        let manager =
            self.attribute_of(object, "_mgr").or_else(|| self.attribute_of(object, "_data"))?;
        let list = |at: u64| {
            let kind = self.type_at(self.objects.type_of(at).ok()?).ok()?.kind;
            let length = self.length(at, self.layout().values.ob_size).ok()?;
            if kind != Kind::List || !(1..=2).contains(&length) {
                return None;
            }
            let items = self.objects.field(at, self.layout().values.list_items).ok()?;
            self.pointers(items, length, 2).ok()
        };
        if let Some(axes) = self.attribute_of(manager, "axes").and_then(list) {
            return Some(axes);
        }
        (0..6).find_map(|index| list(self.part(manager, index).ok()?))
    }

    /// The array inside of an array of dates, strings or categories: an attribute, or a
    /// field of a Cython class (pandas/_libs/arrays.pyx). None inside of NumPy's own: what a
    /// part of one refers to is all of it.
    fn inner_array(&self, data: u64) -> Option<u64> {
        let is_array = |at: &u64| {
            let type_ = self.objects.type_of(*at).and_then(|type_| self.type_at(type_));
            type_.is_ok_and(|type_| type_.kind == Kind::NumpyArray)
        };
        if is_array(&data) {
            return None;
        }
        ["_ndarray", "_codes", "_data"]
            .iter()
            .find_map(|name| self.attribute_of(data, name))
            .or_else(|| (0..6).filter_map(|index| self.part(data, index).ok()).find(is_array))
    }

    /// How long an index is: that of the array or range that it is made of.
    fn axis_length(&self, index: u64) -> Option<u64> {
        if let Some(range) = self.attribute_of(index, "_range") {
            let length = self.part(range, 3).ok()?;
            return self.integer(length).ok()?.text.parse().ok();
        }
        let mut data = self.attribute_of(index, "_data")?;
        for _ in 0..3 {
            let type_ = self.type_at(self.objects.type_of(data).ok()?).ok()?;
            if type_.kind == Kind::NumpyArray {
                let Array { dimensions, .. } = self.array_of(data).ok()?;
                return dimensions.first().map(|(length, _)| *length);
            }
            data = self.inner_array(data)?;
        }
        None
    }
}
