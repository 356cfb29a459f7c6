//! Sets.

use super::reader::Reader;
use super::types::{Kind, Type};
use super::{Shape, Value};
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

/// The most entries of a set's table that are looked at.
const MAX_TABLE: u64 = 1 << 20;

impl Reader<'_, '_> {
    pub(super) fn set(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let old = self.layout().version.major == 2;
        let exact = type_.name == type_.base_name && !type_.heap;
        let name = &type_.name;
        let length = self.set_length(object)?;
        let (open, close) = match (length, exact && type_.kind == Kind::Set) {
            (_, _) if old => (format!("{name}(["), "])"),
            (0, _) => (format!("{name}("), ")"),
            (_, true) => ("{".to_owned(), "}"),
            _ => (format!("{name}({{"), "})"),
        };
        // In itself it can only be by way of an object that prints its parts.
        self.inside(object, "set(...)", |reader| {
            let keys = reader.set_keys(object, reader.take(length))?;
            let items = reader.items(&keys);
            Ok(reader.group(object, type_, Shape::Sequence, (open, close), items, length))
        })
    }

    fn set_length(&self, object: u64) -> Result<u64> {
        match self.layout().values.set {
            Some((used, ..)) => self.length(object, used),
            // 2.4 (Include/setobject.h): a dictionary.
            None => self.length(self.part(object, 0)?, self.layout().values.dict_used),
        }
    }

    /// The first keys in the table's order, which is the order of iteration.
    fn set_keys(&self, object: u64, limit: usize) -> Result<Vec<u64>> {
        let mut keys = Vec::new();
        if limit == 0 {
            return Ok(keys);
        }
        let layout = self.layout();
        let arch = layout.arch;
        let Some((_, mask, table)) = layout.values.set else {
            let dict = self.part(object, 0)?;
            self.objects.for_each_item(dict, &mut |key, _| {
                keys.push(key);
                keys.len() < limit
            })?;
            return Ok(keys);
        };
        let size = self.length(object, mask)?.wrapping_add(1).min(MAX_TABLE);
        let table = self.objects.field(object, table)?;
        let word = arch.word();
        let key_at = layout.values.set_key as usize;
        let (mut next, mut some) = (0, 16);
        while next < size {
            some = (some * 4).min(size - next).min(4096);
            let at = table.wrapping_add(next * 2 * word as u64);
            let bytes = self.objects.memory.bytes(at, some as usize * 2 * word)?;
            for entry in bytes.chunks_exact(2 * word) {
                let key = arch.ptr(entry, key_at).unwrap_or(0);
                let hash = arch.ssize(entry, word - key_at).unwrap_or(-1);
                if key == 0 || self.is_dummy(key, hash) {
                    continue;
                }
                keys.push(key);
                if keys.len() == limit {
                    return Ok(keys);
                }
            }
            next += some;
        }
        Ok(keys)
    }

    /// What takes the place of a key that was removed (Objects/setobject.c `dummy`): it
    /// has a hash that no key has from 3.5 on; in 3.4 a type of its own; before, it is a
    /// certain string.
    fn is_dummy(&self, key: u64, hash: i64) -> bool {
        if self.layout().version.at_least(3, 5) {
            return hash == -1;
        }
        let Ok(name) = self.objects.type_of(key).and_then(|type_| self.objects.type_name(type_))
        else {
            return true;
        };
        let text = || self.objects.text(key, 16).is_ok_and(|text| text == "<dummy key>");
        name.starts_with("<dummy key>") || (name == "str" && text())
    }
}
