//! The local variables of a frame.

use super::reader::Decoder;
use super::types::Kind as TypeKind;
use super::{Value, text};
use crate::frames::RawFrame;
use crate::layout::values::LocalNames;
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

/// A frame with more local variables than this shows the first ones.
const MAX_VARIABLES: usize = 4096;
/// Names of a module or class that are looked through.
const MAX_NAMES: usize = 1 << 16;

/// `CO_*` (Include/code.h).
const OPTIMIZED: u64 = 1;
const VARARGS: u64 = 4;
const VARKEYWORDS: u64 = 8;

/// `CO_FAST_*` (Include/internal/pycore_code.h, 3.11 and later).
const FAST_CELL: u8 = 0x40;
const FAST_FREE: u8 = 0x80;

/// How an argument is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// By position only.
    PositionalOnly,
    /// By position or by name.
    Positional,
    /// By name only.
    KeywordOnly,
    /// `*args`.
    VarArgs,
    /// `**kwargs`.
    VarKeywords,
}

/// What a variable is to its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was passed.
    Argument(ArgumentKind),
    /// It was assigned in the function.
    Local,
    /// A name of a module or of a class's body.
    Name,
}

/// Where a variable's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In the frame.
    Frame,
    /// In a cell: inner functions use it.
    Cell,
    /// In the cell of an enclosing function.
    Free,
    /// In a dictionary.
    Dict,
}

/// A variable that has a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// Its name. Control characters in it are escaped.
    pub name: String,
    /// What it is to its function.
    pub kind: Kind,
    /// Where its value is.
    pub storage: Storage,
    /// The address of its value; 0 for a number that is no object (3.15).
    pub address: u64,
    /// Its value.
    pub value: Value,
}

/// What a name of a code object stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    name: u64,
    kind: Kind,
    storage: Storage,
}

impl Decoder<'_> {
    /// The variables of a frame that have values: arguments in their order, then locals
    /// in the order of their first use; of a module (or of code that was given its own
    /// namespace) its names, without those that begin with two underscores and without
    /// modules, functions and classes unless the budget asks for them.
    ///
    /// Fails only if the frame is none (any more): what a variable holds shows as
    /// [`Value::Unreadable`] where it cannot be read.
    pub fn locals(&self, frame: &RawFrame) -> Result<Vec<Variable>> {
        let layout = self.layout();
        let here = self.objects.field(frame.address, layout.frame.code)? & !layout.frame.tag_mask;
        let type_ = self.objects.type_name(self.objects.type_of(frame.code)?)?;
        if here != frame.code || type_ != "code" {
            return Err(BadObject::Unexpected("a frame"));
        }
        let flags = self.int(frame.code, layout.values.code.flags)?;
        let slots = self.slots_of(frame.code, flags)?;
        let mut variables = self.fast(frame, &slots)?;
        if flags & OPTIMIZED == 0 {
            // `__class__` and such of a class's body.
            variables.retain(|variable| self.is_of_interest(&variable.name));
            self.names(frame, &mut variables)?;
        }
        Ok(variables)
    }

    fn int(&self, object: u64, offset: u32) -> Result<u64> {
        Ok(self.objects.memory.uint(object.wrapping_add(u64::from(offset)), 4)?)
    }

    /// What each place for a variable in a frame of this code is for.
    fn slots_of(&self, code: u64, flags: u64) -> Result<Vec<Slot>> {
        let layout = &self.layout().values.code;
        let count = |offset: Option<u32>| match offset {
            Some(offset) => self.int(code, offset).map(|count| count as usize),
            None => Ok(0),
        };
        let positional = count(Some(layout.argcount))?;
        let (only, named) = (count(layout.posonly)?, count(layout.kwonly)?);
        let arguments = positional.saturating_add(named);
        let varargs = usize::from(flags & VARARGS != 0);
        let varkeywords = usize::from(flags & VARKEYWORDS != 0);
        let kind = |i: usize| {
            let end = arguments.saturating_add(varargs);
            Kind::Argument(match i {
                _ if i < only => ArgumentKind::PositionalOnly,
                _ if i < positional => ArgumentKind::Positional,
                _ if i < arguments => ArgumentKind::KeywordOnly,
                _ if i < end => ArgumentKind::VarArgs,
                _ if i < end.saturating_add(varkeywords) => ArgumentKind::VarKeywords,
                _ => return Kind::Local,
            })
        };
        let tuple = |offset| -> Result<Vec<u64>> {
            Ok(self.tuple_items(self.objects.field(code, offset)?, MAX_VARIABLES)?.0)
        };
        match layout.names {
            LocalNames::One(names, kinds) => {
                let names = tuple(names)?;
                let at = self.objects.field(code, kinds)?;
                let at = at.wrapping_add(u64::from(self.layout().text.bytes_data));
                let kinds = self.objects.memory.bytes(at, names.len())?;
                let slot = |(i, (name, bits)): (usize, (u64, u8))| Slot {
                    name,
                    kind: kind(i),
                    storage: match bits {
                        _ if bits & FAST_FREE != 0 => Storage::Free,
                        _ if bits & FAST_CELL != 0 => Storage::Cell,
                        _ => Storage::Frame,
                    },
                };
                Ok(names.into_iter().zip(kinds).enumerate().map(slot).collect())
            }
            LocalNames::Three(plain, cells, free) => {
                // In 2.3 and 2.4 a module's code has names here, but no places for them.
                let places = count(Some(layout.nlocals))?;
                let mut slots: Vec<Slot> = tuple(plain)?
                    .into_iter()
                    .take(places)
                    .enumerate()
                    .map(|(i, name)| Slot { name, kind: kind(i), storage: Storage::Frame })
                    .collect();
                // An argument that inner functions use has a cell as well, under the same
                // name (3.x clears the first place, 2.x leaves it as it was).
                let known: Vec<(Option<String>, Kind)> =
                    slots.iter().map(|slot| (self.text_of(slot.name), slot.kind)).collect();
                for name in tuple(cells)? {
                    let text = self.text_of(name);
                    let same =
                        |(other, _): &&(Option<String>, Kind)| text.is_some() && *other == text;
                    let kind = known.iter().find(same).map_or(Kind::Local, |(_, kind)| *kind);
                    slots.push(Slot { name, kind, storage: Storage::Cell });
                }
                let free = tuple(free)?.into_iter();
                slots.extend(free.map(|name| Slot {
                    name,
                    kind: Kind::Local,
                    storage: Storage::Free,
                }));
                Ok(slots)
            }
        }
    }

    fn text_of(&self, name: u64) -> Option<String> {
        self.objects.text(name, 512).ok()
    }

    /// Names and objects of the variables that the frame itself holds, without reading
    /// what they are.
    pub fn addresses(&self, frame: &RawFrame) -> Result<Vec<(String, u64)>> {
        let flags = self.int(frame.code, self.layout().values.code.flags)?;
        let held = self.held(frame, &self.slots_of(frame.code, flags)?)?;
        let addresses = held.into_iter().filter_map(|(slot, name, raw)| {
            let address = self.object_in(&slot, raw)?;
            (address != 0).then_some((name, address))
        });
        Ok(addresses.collect())
    }

    /// Name and object of the first argument of a frame, if it can be passed by position and is
    /// called one of `names`.
    pub(super) fn first_argument(
        &self,
        frame: &RawFrame,
        names: &[&'static str],
    ) -> Result<Option<(&'static str, u64)>> {
        let flags = self.int(frame.code, self.layout().values.code.flags)?;
        let slots = self.slots_of(frame.code, flags)?;
        let by_position = |slot: &&Slot| {
            let kind = slot.kind;
            kind == Kind::Argument(ArgumentKind::PositionalOnly)
                || kind == Kind::Argument(ArgumentKind::Positional)
        };
        let first = slots.first().filter(by_position).and_then(|slot| self.text_of(slot.name));
        let Some(name) = names.iter().find(|name| Some(**name) == first.as_deref()) else {
            return Ok(None);
        };
        // Where it has a cell, that comes behind the place that it had.
        let argument = |(slot, known, _): &(Slot, String, u64)| {
            known == name && matches!(slot.kind, Kind::Argument(_))
        };
        let held = self.held(frame, &slots)?.into_iter().rfind(argument);
        let object = held.and_then(|(slot, _, raw)| self.object_in(&slot, raw));
        Ok(object.filter(|object| *object != 0).map(|object| (*name, object)))
    }

    /// The places that hold something: what for, under which name, and the raw word.
    fn held(&self, frame: &RawFrame, slots: &[Slot]) -> Result<Vec<(Slot, String, u64)>> {
        let at = frame.address.wrapping_add(u64::from(self.layout().values.frame.localsplus));
        let values = self.pointers(at, slots.len() as u64, slots.len())?;
        let mut held = Vec::new();
        for (slot, raw) in slots.iter().zip(values) {
            if raw & !self.layout().frame.tag_mask == 0 && raw & 3 != 3 {
                continue;
            }
            // The compiler's own variables of list comprehensions before 2.7: `_[1]`.
            let name = self.text_of(slot.name).filter(|name| !name.starts_with("_["));
            if let Some(name) = name {
                held.push((*slot, text::clean(&name), raw));
            }
        }
        Ok(held)
    }

    /// The object that a place holds, 0 for none; `None` for a number that is no object
    /// (Include/internal/pycore_stackref.h, 3.15: an integer, two bits up).
    fn object_in(&self, slot: &Slot, raw: u64) -> Option<u64> {
        let tag_mask = self.layout().frame.tag_mask;
        if tag_mask != 0 && raw & 3 == 3 {
            return None;
        }
        let address = raw & !tag_mask;
        Some(match slot.storage {
            Storage::Cell | Storage::Free => self.cell_content(address),
            _ => address,
        })
    }

    /// The variables that the frame itself holds.
    fn fast(&self, frame: &RawFrame, slots: &[Slot]) -> Result<Vec<Variable>> {
        let mut variables: Vec<Variable> = Vec::new();
        for (slot, name, raw) in self.held(frame, slots)? {
            let (address, value) = match self.object_in(&slot, raw) {
                Some(0) => continue,
                Some(address) => (address, self.value(address)),
                None => (0, Value::int(raw as i64 >> 2)),
            };
            let variable =
                Variable { name, kind: slot.kind, storage: slot.storage, address, value };
            // The cell of an argument stands for it.
            let argument = matches!(slot.kind, Kind::Argument(_));
            let double = |known: &&mut Variable| known.name == variable.name;
            if argument && let Some(known) = variables.iter_mut().find(double) {
                *known = variable;
            } else {
                variables.push(variable);
            }
        }
        // Arguments first: those with cells come last up to 3.10.
        let rank = |variable: &Variable| {
            let place = |slot: &Slot| {
                matches!(slot.kind, Kind::Argument(_))
                    && self
                        .text_of(slot.name)
                        .is_some_and(|name| text::clean(&name) == variable.name)
            };
            match variable.kind {
                Kind::Argument(_) => slots.iter().position(place).unwrap_or(usize::MAX - 1),
                _ => usize::MAX,
            }
        };
        variables.sort_by_cached_key(rank);
        Ok(variables)
    }

    /// What is in a cell; the object itself if it is none (the frame has not made its
    /// cells yet).
    fn cell_content(&self, address: u64) -> u64 {
        let type_ = self.objects.type_of(address).and_then(|type_| self.type_at(type_));
        match type_ {
            Ok(type_) if type_.kind == TypeKind::Cell => {
                self.objects.field(address, self.layout().values.cell).unwrap_or(address)
            }
            _ => address,
        }
    }

    /// The names of a module, of a class's body, or of code that was given a namespace.
    fn names(&self, frame: &RawFrame, variables: &mut Vec<Variable>) -> Result<()> {
        let layout = &self.layout().values.frame;
        let globals = self.objects.field(frame.address, layout.globals)?;
        let locals = self.objects.field(frame.address, layout.locals)?;
        let dict = if locals == 0 { globals } else { locals };
        let type_ = self.type_at(self.objects.type_of(dict)?)?;
        if !matches!(type_.kind, TypeKind::Dict | TypeKind::DefaultDict | TypeKind::OrderedDict) {
            // Any mapping can be a class's namespace; this one cannot be looked into.
            return Ok(());
        }
        let mut left = MAX_NAMES;
        let mut found = Vec::new();
        let walked = self.objects.for_each_item(dict, &mut |name, address| {
            left -= 1;
            let shown = self
                .text_of(name)
                .filter(|name| self.is_of_interest(name))
                .filter(|_| self.budget.everything || !self.is_definition(address));
            if let Some(name) = shown {
                found.push((text::clean(&name), address));
            }
            left > 0 && found.len() < MAX_VARIABLES && !self.is_expired()
        });
        // A dictionary that changes while it is read does not spoil what was read of it.
        if found.is_empty() {
            walked?;
        }
        for (name, address) in found {
            if !variables.iter().any(|known| known.name == name) {
                let value = self.value(address);
                variables.push(Variable {
                    name,
                    kind: Kind::Name,
                    storage: Storage::Dict,
                    address,
                    value,
                });
            }
        }
        Ok(())
    }

    fn is_of_interest(&self, name: &str) -> bool {
        self.budget.everything || !name.starts_with("__")
    }

    /// Modules, functions and classes.
    fn is_definition(&self, address: u64) -> bool {
        let type_ = self.objects.type_of(address).and_then(|type_| self.type_at(type_));
        type_.is_ok_and(|type_| {
            matches!(
                type_.kind,
                TypeKind::Module
                    | TypeKind::Function
                    | TypeKind::BuiltinMethod
                    | TypeKind::Type
                    | TypeKind::Classic
                    | TypeKind::StaticMethod
                    | TypeKind::ClassMethod
            )
        })
    }
}
