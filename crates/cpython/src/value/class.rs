//! Classes, modules, cells, weak references, and Python 2's old-style classes.

use super::reader::Reader;
use super::types::{Kind, Type};
use super::{Item, Shape, Value};
use crate::object::{BadObject, flags};

type Result<T> = std::result::Result<T, BadObject>;

/// The most `__slots__` of a class and its ancestors that are looked at.
const MAX_SLOTS: usize = 256;

impl Reader<'_, '_> {
    pub(super) fn class(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let shown = match type_.kind {
            Kind::Type => self.class_text(object)?,
            Kind::Classic => {
                let name = self.classic_name(object)?;
                format!("<class {name} at {object:#x}>")
            }
            Kind::Module => self.module_text(object)?,
            Kind::Cell => match self.objects.field(object, self.layout().values.cell)? {
                0 => format!("<cell at {object:#x}: empty>"),
                inner => {
                    let name = self.type_name_of(inner)?;
                    format!("<cell at {object:#x}: {name} object at {inner:#x}>")
                }
            },
            Kind::WeakRef => self.weakref_text(object)?,
            Kind::Memory => format!("<memory at {object:#x}>"),
            _ => return self.classic_instance(object, type_),
        };
        Ok(self.symbol(object, type_, &shown))
    }

    /// `tp_name` of an object's type.
    pub(super) fn type_name_of(&self, object: u64) -> Result<String> {
        Ok(self.type_at(self.objects.type_of(object)?)?.name.clone())
    }

    /// Objects/typeobject.c `type_repr`; in 2.x only classes are called so.
    fn class_text(&self, class: u64) -> Result<String> {
        let type_ = self.type_at(class)?;
        let old = self.layout().version.major == 2;
        let word = if old && !type_.heap { "type" } else { "class" };
        Ok(format!("<{word} '{}'>", type_.full_name))
    }

    /// The class itself, where its metaclass is `enum.EnumMeta`.
    pub(super) fn enum_class(&self, class: u64, meta: &Type) -> Result<Value> {
        let type_ = self.type_at(class)?;
        let ancestors = self.ancestors(class).unwrap_or_default();
        let flag = self.layout().version.at_least(3, 11)
            && ancestors
                .iter()
                .any(|one| self.type_at(*one).is_ok_and(|one| one.full_name == "enum.Flag"));
        let word = if flag { "flag" } else { "enum" };
        Ok(self.symbol(class, meta, &format!("<{word} '{}'>", type_.name)))
    }

    fn classic_name(&self, class: u64) -> Result<String> {
        let (name, dict) = self.layout().values.classic.ok_or(BadObject::Unexpected("a class"))?;
        let name = self.name(self.objects.field(class, name)?)?;
        let dict = self.objects.field(class, dict)?;
        let module = self.objects.dict_get(dict, "__module__")?;
        let module = module.and_then(|module| self.name(module).ok());
        Ok(format!("{}.{name}", module.as_deref().unwrap_or("?")))
    }

    /// An instance of an old-style class. Exceptions were such before 2.5.
    fn classic_instance(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let (class, dict) =
            self.layout().values.instance.ok_or(BadObject::Unexpected("an instance"))?;
        let class = self.objects.field(object, class)?;
        let dict = self.objects.field(object, dict)?;
        let name = self.classic_name(class)?;
        let open = if self.classic_has_repr(class) {
            format!("<{name} at {object:#x}")
        } else {
            format!("<{name} instance at {object:#x}")
        };
        if self.attributes == 0 {
            return Ok(self.symbol(object, type_, &(open + ">")));
        }
        let mut pairs = Vec::new();
        self.objects.for_each_item(dict, &mut |key, value| {
            pairs.push((key, value));
            pairs.len() < self.budget.items
        })?;
        let length = self.dict_length(dict)?;
        self.attributes_of(object, type_, open, pairs, length)
    }

    /// Whether an old-style class or one of its bases has a `__repr__`.
    fn classic_has_repr(&self, class: u64) -> bool {
        let Some((_, dict_at)) = self.layout().values.classic else { return false };
        let mut todo = vec![class];
        for _ in 0..64 {
            let Some(class) = todo.pop() else { return false };
            let dict = self.objects.field(class, dict_at).unwrap_or(0);
            if dict == 0 || self.objects.dict_get(dict, "__repr__").is_ok_and(|own| own.is_some()) {
                return dict != 0;
            }
            // cl_bases comes first.
            let bases = self.part(class, 0).and_then(|bases| self.tuple_items(bases, 16));
            todo.extend(bases.map(|(bases, _)| bases).unwrap_or_default());
        }
        false
    }

    /// Lib/importlib/_bootstrap.py `_module_repr`; Objects/moduleobject.c of 2.x.
    fn module_text(&self, module: u64) -> Result<String> {
        let dict = self.objects.field(module, self.layout().object.md_dict)?;
        let get = |name| self.objects.dict_get(dict, name).ok().flatten();
        let text = |object: u64| {
            let kind = self.type_at(self.objects.type_of(object).ok()?).ok()?.kind;
            let string = matches!(kind, Kind::Str | Kind::Unicode | Kind::Bytes);
            string.then(|| self.objects.text(object, 1024).ok()).flatten()
        };
        let repr = |name: String| super::stdlib::quoted(&name);
        let name = get("__name__").and_then(text);
        let file = get("__file__").and_then(text);
        if self.layout().version.major == 2 {
            let name = name.as_deref().unwrap_or("?");
            return Ok(match file {
                Some(file) => format!("<module '{name}' from '{file}'>"),
                None => format!("<module '{name}' (built-in)>"),
            });
        }
        if let Some(spec) = get("__spec__") {
            let attribute = |name| self.objects.attribute(spec, name).ok().flatten();
            let origin = attribute("origin").and_then(text);
            let located = attribute("_set_fileattr")
                .is_some_and(|flag| self.integer(flag).is_ok_and(|flag| flag.text != "0"));
            if let Some(name) = attribute("name").and_then(text) {
                return Ok(match origin {
                    Some(origin) if located => {
                        format!("<module {} from {}>", repr(name), repr(origin))
                    }
                    Some(origin) => format!("<module {} ({origin})>", repr(name)),
                    None => format!("<module {}{}>", repr(name), self.loaded(attribute("loader"))),
                });
            }
        }
        let name = repr(name.unwrap_or_else(|| "?".to_owned()));
        Ok(match file {
            Some(file) => format!("<module {name} from {}>", repr(file)),
            None => format!("<module {name}{}>", self.loaded(get("__loader__"))),
        })
    }

    /// How a module says who loaded it, if it does not say where from.
    fn loaded(&self, loader: Option<u64>) -> String {
        let type_of = |object| self.type_at(self.objects.type_of(object)?);
        let Some((loader, Ok(type_))) = loader.map(|loader| (loader, type_of(loader))) else {
            return String::new();
        };
        match type_.kind {
            Kind::None => String::new(),
            // Importers are used as classes.
            Kind::Type => match self.type_at(loader) {
                Ok(class) if class.name == "BuiltinImporter" => " (built-in)".to_owned(),
                Ok(class) if class.name == "FrozenImporter" => " (frozen)".to_owned(),
                Ok(class) => format!(" (<class '{}'>)", class.full_name),
                Err(_) => String::new(),
            },
            _ => format!(" (<{} object at {loader:#x}>)", type_.full_name),
        }
    }

    /// Objects/weakrefobject.c `weakref_repr`: the object's type with its module from
    /// 3.13 on.
    fn weakref_text(&self, reference: u64) -> Result<String> {
        let object = self.part(reference, 0)?;
        let type_ = self.type_at(self.objects.type_of(object)?)?;
        if type_.kind == Kind::None {
            return Ok(format!("<weakref at {reference:#x}; dead>"));
        }
        let kind = if self.layout().version.at_least(3, 13) {
            let full = &type_.full_name;
            full.strip_prefix("__main__.").unwrap_or(full)
        } else {
            &type_.name
        };
        let name = match type_.kind {
            Kind::Function => {
                let name = self.objects.field(object, self.layout().values.function.name)?;
                format!(" ({})", self.name(name)?)
            }
            Kind::Type => {
                let class = self.type_at(object)?;
                format!(" ({})", class.short_name())
            }
            _ => String::new(),
        };
        Ok(format!("<weakref at {reference:#x}; to '{kind}' at {object:#x}{name}>"))
    }

    /// An instance of which nothing but its attributes is known: type, address, and,
    /// where asked for, those. ` object` follows the type where `object.__repr__` says so.
    pub(super) fn instance(&mut self, object: u64, type_: &Type, what: &str) -> Result<Value> {
        let open = format!("<{}{what} at {object:#x}", type_.full_name);
        if self.attributes == 0 || !type_.heap {
            return Ok(self.symbol(object, type_, &(open + ">")));
        }
        let limit = self.budget.items;
        let mut pairs = Vec::new();
        let mut length = 0;
        // Up to a bound, the number of attributes is their count.
        let _ = self.objects.for_each_attribute(object, &mut |key, value| {
            length += 1;
            if pairs.len() < limit {
                pairs.push((key, value));
            }
            length < 4096
        });
        let named: Vec<(String, u64)> = pairs
            .into_iter()
            .filter_map(|(key, value)| Some((self.name(key).ok()?, value)))
            .chain(self.slots(object, type_))
            .collect();
        let length = length.max(named.len() as u64);
        self.named_parts(object, type_, open, named, length)
    }

    /// The values of `__slots__` of the class and its ancestors.
    pub(super) fn slots(&self, object: u64, type_: &Type) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        let mut left = MAX_SLOTS;
        for class in self.ancestors(type_.address).unwrap_or_default() {
            let heap = self.objects.type_flags(class).unwrap_or(0) & flags::HEAPTYPE != 0;
            // C code's heap types have members of their own.
            let made = heap && self.objects.type_name(class).is_ok_and(|name| !name.contains('.'));
            if !made {
                continue;
            }
            let members = self.members(class, left).unwrap_or_default();
            left -= members.len().min(left);
            for (name, offset) in members {
                let value = self.objects.memory.ptr(object.wrapping_add(offset)).unwrap_or(0);
                if value != 0 && !name.starts_with("__") {
                    found.push((name, value));
                }
            }
        }
        found
    }

    fn attributes_of(
        &mut self,
        object: u64,
        type_: &Type,
        open: String,
        pairs: Vec<(u64, u64)>,
        length: u64,
    ) -> Result<Value> {
        let named = pairs
            .into_iter()
            .filter_map(|(key, value)| Some((self.name(key).ok()?, value)))
            .collect();
        self.named_parts(object, type_, open, named, length)
    }

    /// `<type at address: name=value, ...>`
    fn named_parts(
        &mut self,
        object: u64,
        type_: &Type,
        open: String,
        named: Vec<(String, u64)>,
        length: u64,
    ) -> Result<Value> {
        if named.is_empty() {
            return Ok(self.symbol(object, type_, &(open + ">")));
        }
        self.attributes -= 1;
        let value = self.inside(object, "<...>", |reader| {
            let items = reader.named(&named);
            Ok(reader.group(object, type_, Shape::Fields, (open + ": ", ">"), items, length))
        });
        self.attributes += 1;
        value
    }

    /// Values with their names, as many as the budget allows.
    pub(super) fn named(&mut self, parts: &[(String, u64)]) -> Vec<Item> {
        let count = self.take(parts.len() as u64);
        let addresses: Vec<u64> = parts.iter().take(count).map(|(_, value)| *value).collect();
        let values = self.values(&addresses).into_iter();
        parts
            .iter()
            .zip(values)
            .map(|((name, _), value)| Item::named(super::text::clean(name), value))
            .collect()
    }
}
