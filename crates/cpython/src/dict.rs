//! Dictionaries of every version, and the attributes of instances.

use crate::object::{BadObject, Objects, flags};
use remote::Batch;

type Result<T> = std::result::Result<T, BadObject>;

/// The most entries of one dictionary that are looked at.
const MAX_ENTRIES: u64 = 1 << 20;
/// So many keys are read at once when one is looked for.
const AT_ONCE: usize = 64;
/// The most keys that one is looked for among.
const MAX_SEARCH: u64 = 1 << 16;
/// A dictionary of more entries than this is none.
const MAX_SIZE: u64 = 1 << 36;

/// Where a dictionary's entries are and how they look.
struct Entries {
    at: u64,
    count: u64,
    stride: u32,
    key: u32,
    /// Offset of the value in an entry, or the array that holds the values.
    value: Values,
}

enum Values {
    /// At this offset of an entry.
    InEntry(u32),
    /// In an array of their own, in the order of the keys.
    Array(u64),
    /// Likewise, with the indices of those that were set, oldest first.
    Ordered(u64, Vec<u8>),
}

impl Objects<'_> {
    /// Calls `visit` with each key and value (both objects) until it returns false.
    pub fn for_each_item(&self, dict: u64, visit: &mut dyn FnMut(u64, u64) -> bool) -> Result<()> {
        let entries = self.entries(dict)?;
        self.walk(&entries, visit)
    }

    /// The value of the string key `name`.
    pub fn dict_get(&self, dict: u64, name: &str) -> Result<Option<u64>> {
        self.find(&self.entries(dict)?, name)
    }

    /// The attribute `name` in an instance's own dictionary.
    pub fn attribute(&self, object: u64, name: &str) -> Result<Option<u64>> {
        match self.own_entries(object)? {
            Some(entries) => self.find(&entries, name),
            None => Ok(None),
        }
    }

    /// Calls `visit` with name and value of each attribute in an instance's own
    /// dictionary until it returns false.
    pub fn for_each_attribute(
        &self,
        object: u64,
        visit: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<()> {
        match self.own_entries(object)? {
            Some(entries) => self.walk(&entries, visit),
            None => Ok(()),
        }
    }

    /// The instance's own dictionary; `None` where it has none (yet).
    fn own_entries(&self, object: u64) -> Result<Option<Entries>> {
        let type_ = self.type_of(object)?;
        let type_flags = self.type_flags(type_)?;
        let word = u64::from(self.layout.arch.pointer);
        if self.layout.version.at_least(3, 11) && type_flags & flags::MANAGED_DICT != 0 {
            return self.managed_entries(object, type_, type_flags);
        }
        let mut offset = self.ssize_field(type_, self.layout.object.tp_dictoffset)?;
        if offset < 0 {
            offset += self.variable_size(object, type_)?;
        }
        if offset <= 0 {
            return Ok(None);
        }
        let dict = self.memory.ptr(object.wrapping_add(offset as u64 & !(word - 1)))?;
        if dict == 0 { Ok(None) } else { self.entries(dict).map(Some) }
    }

    /// Where an object of variable size ends (Objects/object.c `_PyObject_GetDictPtr`,
    /// `_PyObject_VAR_SIZE`): negative `tp_dictoffset`s count from there.
    fn variable_size(&self, object: u64, type_: u64) -> Result<i64> {
        let layout = self.layout;
        let word = i64::from(layout.arch.pointer);
        let basic = self.ssize_field(type_, layout.object.tp_basicsize)?;
        let item = self.ssize_field(type_, layout.values.types.itemsize)?;
        let count = self.ssize_field(object, layout.values.ob_size)?.unsigned_abs();
        let items = i64::try_from(count).ok().and_then(|count| count.checked_mul(item));
        let size = items.and_then(|items| items.checked_add(basic));
        let size = size.filter(|size| (0..1 << 40).contains(size));
        let size = size.ok_or(BadObject::Unexpected("an object's size"))?;
        Ok((size + word - 1) & !(word - 1))
    }

    fn ssize_field(&self, object: u64, offset: u32) -> Result<i64> {
        // An int before PEP 353.
        let size = self.layout.values.ssize as usize;
        let value = self.memory.uint(object.wrapping_add(u64::from(offset)), size)?;
        Ok(if size == 4 { i64::from(value as u32 as i32) } else { value as i64 })
    }

    /// 3.11: `PyDictValues *` at word -4 and the dictionary at -3; 3.12: one tagged word
    /// at -3; 3.13 and later: the dictionary at -3 (-1 where there is no GIL) and the
    /// values in the object (Include/internal/pycore_object.h).
    fn managed_entries(&self, object: u64, type_: u64, type_flags: u64) -> Result<Option<Entries>> {
        let version = self.layout.version;
        let word = u64::from(self.layout.arch.pointer);
        let before = |words: u64| object.wrapping_sub(words * word);
        let (dict, values) = if version.at_least(3, 13) {
            let dict = self.memory.ptr(before(if self.layout.free_threaded { 1 } else { 3 }))?;
            let inline = if type_flags & flags::INLINE_VALUES != 0 {
                let size = self.field(type_, self.layout.object.tp_basicsize)?;
                let values = object.wrapping_add(size);
                // _dictvalues: capacity, size, embedded, valid: a byte each, then values.
                let valid = self.memory.uint(values.wrapping_add(3), 1)? != 0;
                if valid { values.wrapping_add(word) } else { 0 }
            } else {
                0
            };
            (dict, inline)
        } else if version.at_least(3, 12) {
            let tagged = self.memory.ptr(before(3))?;
            if tagged & 1 == 1 { (0, tagged.wrapping_add(1)) } else { (tagged, 0) }
        } else {
            (self.memory.ptr(before(3))?, self.memory.ptr(before(4))?)
        };
        if dict != 0 {
            return self.entries(dict).map(Some);
        }
        let keys = self.layout.object.ht_cached_keys.ok_or(BadObject::Unexpected("a class"))?;
        let keys = self.field(type_, keys)?;
        if values == 0 || keys == 0 {
            return Ok(None);
        }
        let mut entries = self.keys(keys)?;
        entries.value = self.split(values)?;
        Ok(Some(entries))
    }

    /// The values of a split table, and the order in which they were set, of which 3.11
    /// and later keep record: indices of a byte each, in 3.11 and 3.12 in front of the
    /// values from back to front (Include/internal/pycore_dict.h
    /// `_PyDictValues_AddToInsertionOrder`), from 3.13 on behind their capacity.
    fn split(&self, at: u64) -> Result<Values> {
        let version = self.layout.version;
        let word = u64::from(self.layout.arch.pointer);
        let order = if version.at_least(3, 13) {
            let head = at.wrapping_sub(word);
            let capacity = self.memory.uint(head, 1)?;
            let size = self.memory.uint(head.wrapping_add(1), 1)? as usize;
            self.memory.bytes(at.wrapping_add(capacity * word), size)?
        } else if version.at_least(3, 11) {
            let size = self.memory.uint(at.wrapping_sub(2), 1)?;
            let mut order = self.memory.bytes(at.wrapping_sub(2 + size), size as usize)?;
            order.reverse();
            order
        } else {
            return Ok(Values::Array(at));
        };
        Ok(Values::Ordered(at, order))
    }

    fn find(&self, entries: &Entries, name: &str) -> Result<Option<u64>> {
        let mut pairs = Vec::new();
        let mut found = None;
        let mut left = MAX_SEARCH;
        self.walk(entries, &mut |key, value| {
            pairs.push((key, value));
            left -= 1;
            if pairs.len() == AT_ONCE {
                found = self.among(&pairs, name);
                pairs.clear();
            }
            found.is_none() && left > 0
        })?;
        Ok(found.or_else(|| self.among(&pairs, name)))
    }

    /// The value of the key `name`: all keys are read at once.
    fn among(&self, pairs: &[(u64, u64)], name: &str) -> Option<u64> {
        let text = &self.layout.text;
        let data = if text.flexible { text.ascii_data } else { text.bytes_data };
        let size = data as usize + name.len();
        let mut batch = Batch::default();
        for (key, _) in pairs {
            batch.push(*key, size);
        }
        // What could not be read is read again, one by one.
        let _ = self.memory.read_batch(&mut batch);
        let is_name = |(key, _): &&(u64, u64)| {
            let quick = batch.get(*key, size).and_then(|bytes| self.is_text(bytes, name));
            quick.unwrap_or_else(|| self.text(*key, name.len() + 1).is_ok_and(|text| text == name))
        };
        pairs.iter().find(is_name).map(|(_, value)| *value)
    }

    /// Whether a string that begins with `bytes` is `name`; `None` where more must be read.
    fn is_text(&self, bytes: &[u8], name: &str) -> Option<bool> {
        let (text, arch) = (&self.layout.text, self.layout.arch);
        let data = if text.flexible { text.ascii_data } else { text.bytes_data };
        let length = if text.flexible { text.length } else { text.bytes_size };
        // An int before 2.5.
        let width = if text.flexible { arch.word() } else { self.layout.values.ssize as usize };
        let same = arch.uint(bytes, length as usize, width)? == name.len() as u64
            && bytes.get(data as usize..)?.starts_with(name.as_bytes());
        if !text.flexible {
            // Otherwise it may be a `unicode`.
            return same.then_some(true);
        }
        let state = arch.uint(bytes, text.state as usize, 4)? >> text.kind_shift;
        // One byte a character, behind the head, and ASCII.
        (state & 0b11111 == 0b11001 && name.is_ascii()).then_some(same)
    }

    fn walk(&self, entries: &Entries, visit: &mut dyn FnMut(u64, u64) -> bool) -> Result<()> {
        let arch = self.layout.arch;
        let stride = u64::from(entries.stride);
        if let Values::Ordered(at, order) = &entries.value {
            let word = arch.word() as u64;
            for index in order.iter().map(|index| u64::from(*index)) {
                if index >= entries.count {
                    continue;
                }
                let key = entries.at.wrapping_add(index * stride + u64::from(entries.key));
                let key = self.memory.ptr(key)?;
                let value = self.memory.ptr(at.wrapping_add(index * word))?;
                if key != 0 && value != 0 && !visit(key, value) {
                    break;
                }
            }
            return Ok(());
        }
        let (mut next, mut some) = (0, 16);
        let count = entries.count.min(MAX_ENTRIES);
        while next < count {
            // Most visitors need the first few only.
            some = (some * 4).min(count - next).min(4096);
            let bytes = self
                .memory
                .bytes(entries.at.wrapping_add(next * stride), (some * stride) as usize)?;
            let values = match entries.value {
                Values::InEntry(_) | Values::Ordered(..) => Vec::new(),
                Values::Array(at) => {
                    let word = arch.word();
                    self.memory.bytes(at.wrapping_add(next * word as u64), some as usize * word)?
                }
            };
            for i in 0..some as usize {
                let entry = i * entries.stride as usize;
                let key = arch.ptr(&bytes, entry + entries.key as usize).unwrap_or(0);
                let value = match entries.value {
                    Values::InEntry(offset) => arch.ptr(&bytes, entry + offset as usize),
                    Values::Array(_) | Values::Ordered(..) => arch.ptr(&values, i * arch.word()),
                };
                let value = value.unwrap_or(0);
                if key != 0 && value != 0 && !visit(key, value) {
                    return Ok(());
                }
            }
            next += some;
        }
        Ok(())
    }

    fn entries(&self, dict: u64) -> Result<Entries> {
        let layout = &self.layout.object;
        if let Some(mask) = layout.dict_mask {
            // Before 3.3 (Include/dictobject.h): an open hash table of {hash, key, value}.
            let mask = self.field(dict, mask)?
                & if self.layout.arch.pointer == 8 && !self.mask_is_wide() {
                    0xffff_ffff
                } else {
                    u64::MAX
                };
            let word = u32::from(self.layout.arch.pointer);
            return Ok(Entries {
                at: self.field(dict, layout.dict_keys)?,
                count: checked(mask.wrapping_add(1))?,
                stride: 3 * word,
                key: word,
                value: Values::InEntry(2 * word),
            });
        }
        let mut entries = self.keys(self.field(dict, layout.dict_keys)?)?;
        if let Some(offset) = layout.dict_values {
            let values = self.field(dict, offset)?;
            if values != 0 {
                // Split table. 3.13 and later have a word of header in front of the
                // values; before, they begin at once (Include/internal/pycore_dict.h).
                let header = if self.layout.version.at_least(3, 13) { 8 } else { 0 };
                entries.value = self.split(values.wrapping_add(header))?;
            }
        }
        Ok(entries)
    }

    /// `ma_mask` is an int up to 2.4, a `Py_ssize_t` from 2.5 on (PEP 353).
    fn mask_is_wide(&self) -> bool {
        self.layout.version.at_least(2, 5)
    }

    /// The entries behind a `PyDictKeysObject`.
    fn keys(&self, keys: u64) -> Result<Entries> {
        let arch = self.layout.arch;
        let word = arch.word();
        let version = self.layout.version;
        let head = self.memory.bytes(keys, 5 * word)?;
        let number = |index: usize| arch.ptr(&head, index * word).unwrap_or(0);
        let general = |at: u64, count: u64| -> Result<Entries> {
            let word = word as u32;
            Ok(Entries {
                at,
                count: checked(count)?,
                stride: 3 * word,
                key: word,
                value: Values::InEntry(2 * word),
            })
        };
        if !version.at_least(3, 6) {
            // Objects/dictobject.c, 3.3 to 3.5: refcnt, size, lookup, usable, entries.
            return general(keys.wrapping_add(4 * word as u64), number(1));
        }
        if !version.at_least(3, 11) {
            // Objects/dict-common.h, 3.6 to 3.10: refcnt, size, lookup, usable, nentries,
            // indices; an index takes as many bytes as the size needs.
            let size = checked(number(1))?;
            let width = match size {
                0..=0xff => 1,
                0x100..=0xffff => 2,
                _ => 4,
            };
            return general(keys.wrapping_add(5 * word as u64 + size * width), number(4));
        }
        // Include/internal/pycore_dict.h, 3.11 and later: refcnt; log2_size,
        // log2_index_bytes, kind: a byte each; (a mutex;) version; usable; nentries.
        let at = |index: usize| head.get(word + index).copied().unwrap_or(0);
        let (index_bytes, kind) = (at(1), at(2));
        if index_bytes > 40 {
            return Err(BadObject::Unexpected("dictionary keys"));
        }
        let count = number(3);
        let start = keys.wrapping_add(4 * word as u64).wrapping_add(1 << index_bytes);
        if kind == 0 {
            return general(start, count);
        }
        let word = word as u32;
        Ok(Entries {
            at: start,
            count: checked(count)?,
            stride: 2 * word,
            key: 0,
            value: Values::InEntry(word),
        })
    }
}

fn checked(count: u64) -> Result<u64> {
    if count <= MAX_SIZE { Ok(count) } else { Err(BadObject::Unexpected("a dictionary")) }
}
