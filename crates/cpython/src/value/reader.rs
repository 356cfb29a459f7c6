//! Reads one object and those it refers to, within a budget.

use super::types::{Kind, Type, Types};
use super::{Budget, Group, Item, Shape, Symbol, Value, numpy, text};
use crate::layout::Layout;
use crate::object::{BadObject, Objects};
use std::cell::RefCell;
use std::rc::Rc;

type Result<T> = std::result::Result<T, BadObject>;

/// How much deeper than containers other objects may be inside of each other.
const MORE_LEVELS: usize = 8;

/// Reads values; knows the types that it has met.
pub struct Decoder<'a> {
    pub(crate) objects: Objects<'a>,
    pub(super) budget: Budget,
    pub(super) types: RefCell<Types>,
    expired: Option<&'a dyn Fn() -> bool>,
    pub(super) numpy: numpy::Known,
}

impl<'a> Decoder<'a> {
    /// One for the time in which the target's threads stand still (or hardly move): what
    /// it knows about types is not read again. Put a [`super::Cache`] in front of the
    /// target's memory.
    pub fn new(objects: Objects<'a>, budget: Budget) -> Decoder<'a> {
        Decoder {
            objects,
            budget,
            types: RefCell::default(),
            expired: None,
            numpy: numpy::Known::default(),
        }
    }

    /// Reads nothing more once `expired` says so: what is left shows as [`Value::Cut`].
    pub fn until(self, expired: &'a dyn Fn() -> bool) -> Decoder<'a> {
        Decoder { expired: Some(expired), ..self }
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expired.is_some_and(|expired| expired())
    }

    pub(crate) fn layout(&self) -> &'a Layout {
        self.objects.layout
    }

    /// The object at `address`. This never fails: what cannot be read shows as such.
    pub fn value(&self, address: u64) -> Value {
        self.reader().value(address)
    }

    pub(super) fn reader(&self) -> Reader<'_, 'a> {
        // An item takes two characters at the least.
        let nodes = self.budget.chars.saturating_mul(2);
        let attributes = self.budget.attributes;
        let (objects, active) = (self.objects, Vec::new());
        Reader { decoder: self, objects, active, level: 0, nodes, attributes }
    }

    /// A length: `ob_size` and such.
    pub(crate) fn length(&self, object: u64, offset: u32) -> Result<u64> {
        let size = self.layout().values.ssize as usize;
        let value = self.objects.memory.uint(object.wrapping_add(u64::from(offset)), size)?;
        let limit = if size == 4 { 1 << 31 } else { 1 << 40 };
        if value < limit { Ok(value) } else { Err(BadObject::Unexpected("a length")) }
    }

    /// The first items of a tuple, and how many it has.
    pub(super) fn tuple_items(&self, tuple: u64, limit: usize) -> Result<(Vec<u64>, u64)> {
        let values = &self.layout().values;
        let length = self.length(tuple, values.ob_size)?;
        let at = tuple.wrapping_add(u64::from(values.tuple_items));
        Ok((self.pointers(at, length, limit)?, length))
    }

    /// The first of `length` pointers at `at`.
    pub(crate) fn pointers(&self, at: u64, length: u64, limit: usize) -> Result<Vec<u64>> {
        let arch = self.layout().arch;
        let count = length.min(limit as u64) as usize;
        let bytes = self.objects.memory.bytes(at, count * arch.word())?;
        Ok((0..count).map(|i| arch.ptr(&bytes, i * arch.word()).unwrap_or(0)).collect())
    }
}

/// Reads one value: knows where in it it is, and how much may still be read.
pub(super) struct Reader<'d, 'a> {
    pub decoder: &'d Decoder<'a>,
    pub objects: Objects<'a>,
    /// The objects that the current one is inside of, outermost first.
    pub active: Vec<u64>,
    /// How many values the current one is inside of.
    level: usize,
    /// How many more objects may be read.
    pub nodes: usize,
    /// How many more levels of instances show their attributes.
    pub attributes: usize,
}

impl<'a> std::ops::Deref for Reader<'_, 'a> {
    type Target = Decoder<'a>;

    fn deref(&self) -> &Decoder<'a> {
        self.decoder
    }
}

impl Reader<'_, '_> {
    /// The object at `address`.
    pub fn value(&mut self, address: u64) -> Value {
        // What is no container holds others as well, as deep as the target likes.
        let deep = self.level > self.budget.depth + MORE_LEVELS;
        if self.nodes == 0 || deep || self.is_expired() {
            return Value::Cut;
        }
        self.nodes -= 1;
        self.level += 1;
        let type_ = self.objects.type_of(address).and_then(|type_| self.type_at(type_));
        let value = type_.and_then(|type_| self.typed(address, &type_));
        self.level -= 1;
        value.unwrap_or(Value::Unreadable)
    }

    fn typed(&mut self, object: u64, type_: &Rc<Type>) -> Result<Value> {
        if !type_.plain {
            return self.printed(object, type_);
        }
        self.builtin(object, type_)
    }

    /// What has the insides of a known type, and its way to print itself.
    pub(super) fn builtin(&mut self, object: u64, type_: &Type) -> Result<Value> {
        match type_.kind {
            Kind::None => Ok(Value::None),
            Kind::Ellipsis => Ok(self.symbol(object, type_, "Ellipsis")),
            Kind::NotImplemented => Ok(self.symbol(object, type_, "NotImplemented")),
            Kind::Bool | Kind::Int | Kind::Long | Kind::Float | Kind::Complex => {
                self.number(object, type_)
            }
            Kind::Str | Kind::Unicode | Kind::Bytes | Kind::ByteArray => self.string(object, type_),
            Kind::Tuple
            | Kind::List
            | Kind::Deque
            | Kind::Range
            | Kind::XRange
            | Kind::Slice
            | Kind::Array => self.sequence(object, type_),
            Kind::Set | Kind::FrozenSet => self.set(object, type_),
            Kind::Dict
            | Kind::FrozenDict
            | Kind::DictView
            | Kind::DictItems
            | Kind::Proxy
            | Kind::DefaultDict
            | Kind::OrderedDict => self.mapping(object, type_),
            Kind::Type
            | Kind::Classic
            | Kind::Instance
            | Kind::Module
            | Kind::Cell
            | Kind::WeakRef
            | Kind::Memory => self.class(object, type_),
            Kind::Function
            | Kind::Method
            | Kind::BuiltinMethod
            | Kind::Descriptor(_)
            | Kind::MethodWrapper
            | Kind::StaticMethod
            | Kind::ClassMethod
            | Kind::Partial
            | Kind::Generator
            | Kind::Coroutine
            | Kind::AsyncGenerator
            | Kind::Code
            | Kind::Frame => self.callable(object, type_),
            Kind::Date
            | Kind::DateTime
            | Kind::Time
            | Kind::TimeDelta
            | Kind::TimeZone
            | Kind::ZoneInfo => self.time(object, type_),
            Kind::Decimal => self.decimal(object, type_),
            Kind::Exception => self.exception(object, type_),
            Kind::Namespace => self.namespace(object, type_),
            Kind::NumpyArray => self.numpy_array(object, type_),
            Kind::NumpyScalar => self.numpy_scalar(object, type_),
            Kind::Object => self.instance(object, type_, " object"),
        }
    }

    /// Something that is shown by a fixed text.
    pub(super) fn symbol(&self, object: u64, type_: &Type, shown: &str) -> Value {
        Value::Symbol(Symbol {
            type_name: text::clean(&type_.full_name),
            text: text::clean(shown),
            address: object,
        })
    }

    /// Reads what is inside of `object`; `cycle` is what is shown where it is inside of
    /// itself.
    pub(super) fn inside(
        &mut self,
        object: u64,
        cycle: &'static str,
        read: impl FnOnce(&mut Self) -> Result<Value>,
    ) -> Result<Value> {
        if self.active.contains(&object) {
            return Ok(Value::Cycle(cycle));
        }
        self.active.push(object);
        let value = read(self);
        self.active.pop();
        value
    }

    /// How many of `length` items of one container are read here.
    pub(super) fn take(&self, length: u64) -> usize {
        if self.active.len() > self.budget.depth {
            return 0;
        }
        length.min(self.budget.items.min(self.nodes) as u64) as usize
    }

    /// Reads values, none of which takes so much that nothing is left for the others.
    pub(super) fn values(&mut self, addresses: &[u64]) -> Vec<Value> {
        let mut values = Vec::with_capacity(addresses.len());
        for (i, address) in addresses.iter().enumerate() {
            let reserved = (addresses.len() - i - 1).min(self.nodes / 2);
            self.nodes -= reserved;
            values.push(self.value(*address));
            self.nodes += reserved;
        }
        values
    }

    /// [`Reader::values`] as items.
    pub(super) fn items(&mut self, addresses: &[u64]) -> Vec<Item> {
        self.values(addresses).into_iter().map(Item::plain).collect()
    }

    /// A group of the type's name.
    pub(super) fn group(
        &self,
        object: u64,
        type_: &Type,
        shape: Shape,
        (open, close): (impl Into<String>, impl Into<String>),
        items: Vec<Item>,
        length: u64,
    ) -> Value {
        Value::Group(Box::new(Group {
            type_name: text::clean(&type_.full_name),
            address: object,
            open: text::clean(&open.into()),
            close: text::clean(&close.into()),
            shape,
            items,
            length,
        }))
    }

    /// A string's text for use in a name; cleaned where it is shown.
    pub(super) fn name(&self, string: u64) -> Result<String> {
        self.objects.text(string, 256)
    }

    /// The field number `index` behind the object's head.
    pub(super) fn part(&self, object: u64, index: u32) -> Result<u64> {
        let layout = self.layout();
        let offset = layout.values.head + index * u32::from(layout.arch.pointer);
        self.objects.field(object, offset)
    }
}
