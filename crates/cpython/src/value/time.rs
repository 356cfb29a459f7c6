//! `datetime`: dates, times, durations and time zones (Include/datetime.h; the same
//! structs since 2.3).

use super::reader::Reader;
use super::types::{Kind, Type};
use super::{Item, Shape, Value};
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

impl Reader<'_, '_> {
    pub(super) fn time(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let name = &type_.name;
        match type_.kind {
            Kind::TimeDelta => {
                let shown = self.duration(object)?;
                Ok(self.symbol(object, type_, &format!("{name}({shown})")))
            }
            Kind::ZoneInfo => {
                // Modules/_zoneinfo.c: the key comes first.
                self.zone_info(object, type_, self.part(object, 0)?)
            }
            Kind::TimeZone => {
                let (offset, label) = (self.part(object, 0)?, self.part(object, 1)?);
                if label == 0 && self.delta(offset)? == [0, 0, 0] {
                    return Ok(self.symbol(object, type_, &format!("{name}.utc")));
                }
                let parts = if label == 0 { vec![offset] } else { vec![offset, label] };
                self.call(object, type_, name, &parts)
            }
            _ => self.moment(object, type_),
        }
    }

    /// `ZoneInfo(key='UTC')`; the one in C says its module too.
    pub(super) fn zone_info(&mut self, object: u64, type_: &Type, key: u64) -> Result<Value> {
        self.inside(object, "...", |reader| {
            let items = reader.named(&[("key".to_owned(), key)]);
            let ends = (format!("{}(", type_.name), ")");
            Ok(reader.group(object, type_, Shape::Fields, ends, items, 1))
        })
    }

    /// Days, seconds and microseconds behind the hash.
    fn delta(&self, object: u64) -> Result<[i64; 3]> {
        let layout = self.layout();
        let at = object.wrapping_add(u64::from(layout.values.head) + layout.arch.word() as u64);
        let bytes = self.objects.memory.bytes(at, 12)?;
        let part = |i: usize| i64::from(layout.arch.i32(&bytes, i * 4).unwrap_or(0));
        Ok([part(0), part(1), part(2)])
    }

    /// Modules/_datetimemodule.c `delta_repr`: named from 3.7 on.
    fn duration(&self, object: u64) -> Result<String> {
        let delta = self.delta(object)?;
        if self.layout().version.at_least(3, 7) {
            let parts = ["days", "seconds", "microseconds"].iter().zip(delta);
            let parts = parts.filter(|(_, value)| *value != 0);
            let parts: Vec<String> = parts.map(|(name, value)| format!("{name}={value}")).collect();
            return Ok(if parts.is_empty() { "0".to_owned() } else { parts.join(", ") });
        }
        let count = match delta {
            [_, 0, 0] => 1,
            [_, _, 0] => 2,
            _ => 3,
        };
        let parts: Vec<String> = delta.iter().take(count).map(i64::to_string).collect();
        Ok(parts.join(", "))
    }

    /// Behind the hash a byte that says whether there is a time zone; then the parts, in
    /// bytes, the highest first; then `fold` (3.6 and later); then the time zone.
    fn moment(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let layout = self.layout();
        let head = u64::from(layout.values.head) + layout.arch.word() as u64;
        let size = match type_.kind {
            Kind::Date => 4,
            Kind::Time => 6,
            _ => 10,
        };
        let bytes = self.objects.memory.bytes(object.wrapping_add(head), 1 + size + 1)?;
        let byte = |i: usize| i64::from(bytes.get(1 + i).copied().unwrap_or(0));
        let micro = |i: usize| byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
        let date = [byte(0) << 8 | byte(1), byte(2), byte(3)];
        let (mut parts, zoned) = match type_.kind {
            Kind::Date => (date.to_vec(), false),
            Kind::Time => (vec![byte(0), byte(1), byte(2), micro(3)], byte_is_set(&bytes)),
            _ => {
                let mut parts = date.to_vec();
                parts.extend([byte(4), byte(5), byte(6), micro(7)]);
                (parts, byte_is_set(&bytes))
            }
        };
        if type_.kind != Kind::Date {
            for _ in 0..2 {
                if parts.last() == Some(&0) {
                    parts.pop();
                } else {
                    break;
                }
            }
        }
        let fold = layout.version.at_least(3, 6) && type_.kind != Kind::Date && byte(size) != 0;
        let word = layout.arch.word() as u64;
        let zone_at = (head + 1 + size as u64 + u64::from(layout.version.at_least(3, 6)))
            .next_multiple_of(word);
        let mut items: Vec<Item> = parts.into_iter().map(Value::int).map(Item::plain).collect();
        let fold_item = fold.then(|| Item::named("fold", Value::int(1)));
        if type_.kind == Kind::Time {
            if zoned {
                items.push(self.zone(object, zone_at)?);
            }
            items.extend(fold_item);
        } else {
            items.extend(fold_item);
            if zoned {
                items.push(self.zone(object, zone_at)?);
            }
        }
        let length = items.len() as u64;
        let ends = (format!("{}(", type_.name), ")");
        Ok(self.group(object, type_, Shape::Fields, ends, items, length))
    }

    fn zone(&mut self, object: u64, at: u64) -> Result<Item> {
        let zone = self.objects.memory.ptr(object.wrapping_add(at))?;
        let value = self.inside(object, "...", |reader| Ok(reader.value(zone)))?;
        Ok(Item::named("tzinfo", value))
    }
}

fn byte_is_set(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|byte| *byte != 0)
}
