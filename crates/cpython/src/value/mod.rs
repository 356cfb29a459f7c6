//! The values of a target's objects: read into trees, within a budget.
//!
//! ```text
//!  locals    the names and objects of a frame
//!  types     what an object is: its type, the builtin type that it derives from, and
//!            whether its repr is that builtin's
//!  reader    one object, then those it refers to: budget, depth and cycles
//!  number, text, container, record, callable, class, time, decimal, numpy, pandas
//!            what CPython's own types hold, a group of types a file
//!  method    the class that a method belongs to, from its first argument
//!  render    a tree as `repr` would write it, cut to a number of characters
//!  json      the same tree, structured
//! ```
//!
//! Nothing of the target is run: what a class written in Python would print about itself
//! is known only of the standard library's ones, and of dataclasses, enums and named
//! tuples. Everything else shows its type, its address and, where asked for, its
//! attributes.

mod cache;
mod callable;
mod class;
mod container;
mod decimal;
mod json;
mod locals;
mod mapping;
mod method;
mod number;
mod numpy;
mod pandas;
mod reader;
mod record;
mod render;
mod set;
mod stdlib;
mod text;
mod time;
mod types;

pub use cache::Cache;
pub use locals::{ArgumentKind, Kind, Storage, Variable};
pub use reader::Decoder;
pub use text::Text;

/// How much of a value is read and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Characters of a value's text. Marks that say how long something really is come on
    /// top, a few characters for each level of nesting.
    pub chars: usize,
    /// Levels of nesting.
    pub depth: usize,
    /// Items of one container.
    pub items: usize,
    /// How many levels of instances show their attributes; 0 shows type and address.
    pub attributes: usize,
    /// Modules show all their names, not those of variables only.
    pub everything: bool,
}

impl Budget {
    /// The budget for `-l` given `level` times (once at least): 128 characters, and twice
    /// that for each further one; attributes from the second on, and all names of modules
    /// from the third on.
    pub fn level(level: usize) -> Budget {
        let more = level.clamp(1, 16) - 1;
        Budget {
            chars: 128 << more,
            depth: 8 + 4 * more,
            items: 64 << more,
            attributes: more,
            everything: more >= 2,
        }
    }
}

/// What an object is and holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An int, or a `long` of Python 2.
    Int(Integer),
    /// A float, and its text.
    Float(f64, String),
    /// A string, bytes or a bytearray.
    Text(Text),
    /// Anything that is shown by a fixed text, such as a function or an object of which
    /// nothing more is known.
    Symbol(Symbol),
    /// Anything that has others in it.
    Group(Box<Group>),
    /// It is inside of itself; the text is what `repr` shows in such a place.
    Cycle(&'static str),
    /// Not looked at: the budget was used up.
    Cut,
    /// Its memory cannot be read, or is not what it should be.
    Unreadable,
}

/// An int of any size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integer {
    /// Its decimal digits with their sign, or only the first ones.
    pub text: String,
    /// How many digits it has (about), if not all of them are in `text`.
    pub digits: Option<u64>,
    /// A `long` of Python 2: `repr` adds an `L`.
    pub long: bool,
}

/// Something with a fixed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Its type.
    pub type_name: String,
    /// What is shown. Control characters in it are escaped already.
    pub text: String,
    /// Its address.
    pub address: u64,
}

/// How the items of a [`Group`] belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One after the other.
    Sequence,
    /// Keys and values.
    Mapping,
    /// Named (and unnamed) parts.
    Fields,
}

/// Something that has others in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its type.
    pub type_name: String,
    /// Its address.
    pub address: u64,
    /// What stands before the items.
    pub open: String,
    /// What stands behind them.
    pub close: String,
    /// How they belong to it.
    pub shape: Shape,
    /// Those that were read.
    pub items: Vec<Item>,
    /// How many there are.
    pub length: u64,
}

/// One of a [`Group`].
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What stands before the value.
    pub label: Label,
    /// The value.
    pub value: Value,
}

/// What a value inside a [`Group`] is called.
#[derive(Debug, Clone, PartialEq)]
pub enum Label {
    /// Nothing.
    None,
    /// A name: `name=value`.
    Name(String),
    /// A dictionary's key: `key: value`.
    Key(Value),
}

impl Item {
    fn plain(value: Value) -> Item {
        Item { label: Label::None, value }
    }

    fn named(name: impl Into<String>, value: Value) -> Item {
        Item { label: Label::Name(name.into()), value }
    }
}

impl Value {
    /// A small int of our own making.
    fn int(value: i64) -> Value {
        Value::Int(Integer { text: value.to_string(), digits: None, long: false })
    }

    /// Whether nothing of it was left out.
    pub fn is_whole(&self) -> bool {
        match self {
            Value::Cut => false,
            Value::Int(int) => int.digits.is_none(),
            Value::Text(text) => text.is_whole(),
            Value::Group(group) => {
                group.length == group.items.len() as u64
                    && group.items.iter().all(|item| {
                        let key = match &item.label {
                            Label::Key(key) => key.is_whole(),
                            _ => true,
                        };
                        key && item.value.is_whole()
                    })
            }
            _ => true,
        }
    }
}
