//! Dictionaries, and what derives from them or shows them.

use super::reader::Reader;
use super::types::{Kind, Type};
use super::{Item, Label, Shape, Value};
use crate::object::BadObject;
use std::collections::HashMap;

type Result<T> = std::result::Result<T, BadObject>;

/// Ordered dictionaries and counters of more entries are shown in another order.
const MAX_SORTED: usize = 4096;

/// Objects of keys and values.
type Pairs = Vec<(u64, u64)>;

impl Reader<'_, '_> {
    pub(super) fn mapping(&mut self, object: u64, type_: &Type) -> Result<Value> {
        match type_.kind {
            Kind::Dict => self.braces(object, type_, object, "{", "}"),
            Kind::FrozenDict => {
                // Include/internal/pycore_dict.h (3.15): a dictionary, then its hash.
                let name = type_.short_name();
                let (open, close) = match self.dict_length(object)? {
                    0 => (format!("{name}("), ")"),
                    _ => (format!("{name}({{"), "})"),
                };
                self.braces(object, type_, object, &open, close)
            }
            Kind::DefaultDict => {
                // Modules/_collectionsmodule.c: a dictionary, then default_factory.
                let factory = self.objects.field(object, self.layout().values.dict_size)?;
                let factory = if factory == 0 { Value::None } else { self.value(factory) };
                let inner = self.braces(object, type_, object, "{", "}")?;
                let items = vec![Item::plain(factory), Item::plain(inner)];
                let open = format!("{}(", type_.short_name());
                Ok(self.group(object, type_, Shape::Fields, (open, ")"), items, 2))
            }
            Kind::OrderedDict => {
                let pairs = self.linked(object);
                self.ordered(object, type_, pairs)
            }
            Kind::Proxy if !self.layout().version.at_least(2, 7) => {
                self.instance(object, type_, " object")
            }
            Kind::Proxy => {
                let mapping = self.part(object, 0)?;
                let old = self.layout().version.major == 2;
                let name = if old { "dict_proxy(" } else { "mappingproxy(" };
                self.inside(object, "...", |reader| {
                    let items = reader.items(&[mapping]);
                    Ok(reader.group(object, type_, Shape::Fields, (name, ")"), items, 1))
                })
            }
            _ => self.view(object, type_),
        }
    }

    /// How many entries a dictionary has.
    pub(super) fn dict_length(&self, dict: u64) -> Result<u64> {
        self.length(dict, self.layout().values.dict_used)
    }

    fn pairs(&self, dict: u64, limit: usize) -> Result<Pairs> {
        let mut pairs = Vec::new();
        if limit > 0 {
            self.objects.for_each_item(dict, &mut |key, value| {
                pairs.push((key, value));
                pairs.len() < limit
            })?;
        }
        Ok(pairs)
    }

    /// The entries of `dict` in braces.
    pub(super) fn braces(
        &mut self,
        object: u64,
        type_: &Type,
        dict: u64,
        open: &str,
        close: &str,
    ) -> Result<Value> {
        let length = self.dict_length(dict)?;
        self.inside(object, "{...}", |reader| {
            let pairs = reader.pairs(dict, reader.take(length))?;
            let items = reader.entries(&pairs);
            Ok(reader.group(object, type_, Shape::Mapping, (open, close), items, length))
        })
    }

    fn entries(&mut self, pairs: &[(u64, u64)]) -> Vec<Item> {
        let addresses: Vec<u64> = pairs.iter().flat_map(|(key, value)| [*key, *value]).collect();
        let mut values = self.values(&addresses).into_iter();
        let mut items = Vec::new();
        while let (Some(key), Some(value)) = (values.next(), values.next()) {
            items.push(Item { label: Label::Key(key), value });
        }
        items
    }

    /// `OrderedDict({...})` from 3.12 on, with a list of pairs before.
    fn ordered(&mut self, object: u64, type_: &Type, pairs: Result<Pairs>) -> Result<Value> {
        let length = self.dict_length(object)?;
        let name = type_.short_name();
        if length == 0 {
            return Ok(self.group(
                object,
                type_,
                Shape::Mapping,
                (format!("{name}("), ")"),
                vec![],
                0,
            ));
        }
        let as_dict = self.layout().version.at_least(3, 12);
        self.inside(object, "...", |reader| {
            let limit = reader.take(length);
            let mut pairs = match pairs {
                Ok(pairs) if pairs.len() as u64 == length => pairs,
                _ => reader.pairs(object, limit)?,
            };
            pairs.truncate(limit);
            if as_dict {
                let items = reader.entries(&pairs);
                let ends = (format!("{name}({{"), "})");
                return Ok(reader.group(object, type_, Shape::Mapping, ends, items, length));
            }
            let items = reader.pair_items(object, type_, &pairs);
            let ends = (format!("{name}(["), "])");
            Ok(reader.group(object, type_, Shape::Sequence, ends, items, length))
        })
    }

    /// Entries as tuples.
    fn pair_items(&mut self, object: u64, type_: &Type, pairs: &[(u64, u64)]) -> Vec<Item> {
        let entries = self.entries(pairs).into_iter();
        let tuple = |item: Item| {
            let mut items = vec![];
            if let Label::Key(key) = item.label {
                items.push(Item::plain(key));
            }
            items.push(Item::plain(item.value));
            Item::plain(self.group(object, type_, Shape::Sequence, ("(", ")"), items, 2))
        };
        entries.map(tuple).collect()
    }

    /// Objects/odictobject.c (3.5 and later): a dictionary, then the first of a list of
    /// nodes {key, hash, next, prev} that has the order.
    fn linked(&self, object: u64) -> Result<Pairs> {
        let word = u64::from(self.layout().arch.pointer);
        let first = self.objects.field(object, self.layout().values.dict_size)?;
        self.in_order(object, first, |reader, node| {
            let memory = reader.objects.memory;
            Ok((memory.ptr(node)?, memory.ptr(node.wrapping_add(2 * word))?))
        })
    }

    /// The pairs of a dictionary in the order of a list. `step` gives a node's key and
    /// the next node, 0 at the end. A list that has the order has no other keys: it is not
    /// followed for longer, as what only looks like one may go round in a circle.
    fn in_order(
        &self,
        dict: u64,
        first: u64,
        step: impl Fn(&Self, u64) -> Result<(u64, u64)>,
    ) -> Result<Pairs> {
        let values: HashMap<u64, u64> = self.pairs(dict, MAX_SORTED + 1)?.into_iter().collect();
        let mut ordered = Vec::new();
        let mut node = first;
        for _ in 0..values.len().min(MAX_SORTED) {
            if node == 0 || self.is_expired() {
                break;
            }
            let (key, next) = step(self, node)?;
            if let Some(value) = values.get(&key) {
                ordered.push((key, *value));
            }
            node = next;
        }
        Ok(ordered)
    }

    /// `collections.OrderedDict` where it is written in Python: links in a circle. In 2.x
    /// (Lib/collections.py) `__root` is a list of previous, next and key; 3.3 and 3.4 have
    /// objects with slots, and `__root` is a weak proxy for `__hardroot`.
    pub(super) fn python_ordered(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let root = |name| self.objects.attribute(object, name).ok().flatten().unwrap_or(0);
        let old = self.layout().version.major == 2;
        let proxy = root("_OrderedDict__root");
        let start = if old { proxy } else { root("_OrderedDict__hardroot") };
        let link = |reader: &Self, link: u64| -> Result<(u64, u64)> {
            if old {
                let at = reader.objects.field(link, reader.layout().values.list_items)?;
                let parts = reader.pointers(at, 3, 3)?;
                let part = |i: usize| parts.get(i).copied().unwrap_or(0);
                return Ok((part(2), part(1)));
            }
            let type_ = reader.type_at(reader.objects.type_of(link)?)?;
            let slots = reader.slots(link, &type_);
            let slot = |name| slots.iter().find(|(slot, _)| slot == name).map_or(0, |slot| slot.1);
            Ok((slot("key"), slot("next")))
        };
        let ends = |next| if next == start || next == proxy { 0 } else { next };
        let pairs = link(self, start).and_then(|(_, first)| {
            self.in_order(object, ends(first), |reader, node| {
                let (key, next) = link(reader, node)?;
                Ok((key, ends(next)))
            })
        });
        self.ordered(object, type_, pairs)
    }

    /// `collections.Counter`: most common first.
    pub(super) fn counter(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let length = self.dict_length(object)?;
        let name = type_.short_name().to_owned();
        let ends =
            if length == 0 { (format!("{name}("), ")") } else { (format!("{name}({{"), "})") };
        self.inside(object, "...", |reader| {
            let limit = reader.take(length);
            let mut pairs = reader.pairs(object, MAX_SORTED)?;
            let counts: Vec<i64> = pairs
                .iter()
                .map_while(|(_, count)| reader.objects.small_int(*count).ok())
                .collect();
            if counts.len() as u64 == length {
                let mut indices: Vec<usize> = (0..pairs.len()).collect();
                indices.sort_by_key(|i| std::cmp::Reverse(counts.get(*i).copied()));
                pairs = indices.iter().filter_map(|i| pairs.get(*i).copied()).collect();
            }
            pairs.truncate(limit);
            let items = reader.entries(&pairs);
            Ok(reader.group(object, type_, Shape::Mapping, ends, items, length))
        })
    }

    /// `dict_keys([...])` and its like: an object that holds the dictionary.
    fn view(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let dict = self.part(object, 0)?;
        let length = self.dict_length(dict)?;
        let ends = (format!("{}([", type_.name), "])");
        self.inside(object, "...", |reader| {
            let pairs = reader.pairs(dict, reader.take(length))?;
            let items = if type_.kind == Kind::DictItems {
                reader.pair_items(object, type_, &pairs)
            } else {
                let keys = type_.name.ends_with("keys");
                let part = |(key, value): &(u64, u64)| if keys { *key } else { *value };
                let addresses: Vec<u64> = pairs.iter().map(part).collect();
                reader.items(&addresses)
            };
            Ok(reader.group(object, type_, Shape::Sequence, ends, items, length))
        })
    }
}
