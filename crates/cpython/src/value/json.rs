//! A value as structured data.
//!
//! Every value is an object with a `type`. Simple ones have their text as `repr` and,
//! where JSON can hold it exactly, the `value`; others `items`, `entries` (pairs of key
//! and value) or `fields`, and their `length`, of which the items may be only the first.
//!
//! ```json
//! {"type": "list", "address": "0x7f...", "items": [{"type": "int", "repr": "1", "value": 1}],
//!  "length": 1000}
//! ```

use super::{Group, Item, Label, Shape, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Ints beyond this are not exact where numbers are doubles.
const MAX_EXACT: u64 = 1 << 53;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Value::None => {
                map.serialize_entry("type", "NoneType")?;
                map.serialize_entry("value", &())?;
            }
            Value::Bool(truth) => {
                map.serialize_entry("type", "bool")?;
                map.serialize_entry("value", truth)?;
            }
            Value::Int(int) => {
                map.serialize_entry("type", if int.long { "long" } else { "int" })?;
                map.serialize_entry("repr", &int.text)?;
                if let Some(digits) = int.digits {
                    map.serialize_entry("digits", &digits)?;
                } else if let Ok(value) = int.text.parse::<i64>()
                    && value.unsigned_abs() <= MAX_EXACT
                {
                    map.serialize_entry("value", &value)?;
                }
            }
            Value::Float(value, text) => {
                map.serialize_entry("type", "float")?;
                map.serialize_entry("repr", text)?;
                if value.is_finite() {
                    map.serialize_entry("value", value)?;
                }
            }
            Value::Text(text) => {
                map.serialize_entry("type", &text.type_name)?;
                let (quoted, _) = text.quote(usize::MAX);
                map.serialize_entry("repr", &format!("{quoted}{}", text.suffix))?;
                let content: Option<String> = if text.characters {
                    text.units.iter().map(|unit| char::from_u32(*unit)).collect()
                } else {
                    None
                };
                if let Some(content) = content {
                    map.serialize_entry("value", &content)?;
                }
                if !text.is_whole() {
                    map.serialize_entry("length", &text.length)?;
                }
            }
            Value::Symbol(symbol) => {
                map.serialize_entry("type", &symbol.type_name)?;
                if symbol.address != 0 {
                    map.serialize_entry("address", &format!("{:#x}", symbol.address))?;
                }
                map.serialize_entry("repr", &symbol.text)?;
            }
            Value::Group(group) => entries(group, &mut map)?,
            Value::Cycle(text) => {
                map.serialize_entry("cycle", &true)?;
                map.serialize_entry("repr", text)?;
            }
            Value::Cut => map.serialize_entry("cut", &true)?,
            Value::Unreadable => map.serialize_entry("unreadable", &true)?,
        }
        map.end()
    }
}

fn entries<M: SerializeMap>(group: &Group, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("type", &group.type_name)?;
    map.serialize_entry("address", &format!("{:#x}", group.address))?;
    match group.shape {
        Shape::Sequence => {
            let items: Vec<&Value> = group.items.iter().map(|item| &item.value).collect();
            map.serialize_entry("items", &items)?;
        }
        Shape::Mapping => {
            let pair = |item: &'_ Item| match &item.label {
                Label::Key(key) => Some((key.clone(), item.value.clone())),
                _ => None,
            };
            let pairs: Vec<_> = group.items.iter().filter_map(pair).collect();
            map.serialize_entry("entries", &pairs)?;
        }
        Shape::Fields => {
            map.serialize_entry("repr", &format!("{}{}", group.open, group.close))?;
            map.serialize_entry("fields", &Fields(&group.items))?;
        }
    }
    if group.shape != Shape::Fields || group.length != group.items.len() as u64 {
        map.serialize_entry("length", &group.length)?;
    }
    Ok(())
}

/// Named parts by their names, others by their numbers.
struct Fields<'a>(&'a [Item]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (i, item) in self.0.iter().enumerate() {
            match &item.label {
                Label::Name(name) => map.serialize_entry(name, &item.value)?,
                _ => map.serialize_entry(&i.to_string(), &item.value)?,
            }
        }
        map.end()
    }
}
