//! What prints its parts by name, and what prints itself by Python code that we know.

use super::reader::Reader;
use super::types::{Kind, Printer, Type};
use super::{Item, Shape, Value};
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

/// Flags of more members than this are shown by their number.
const MAX_FLAGS: usize = 256;

impl Reader<'_, '_> {
    /// An object whose type does not print as the builtin type that it derives from.
    pub(super) fn printed(&mut self, object: u64, type_: &Type) -> Result<Value> {
        if let Some(printer) = &type_.printer {
            return match self.printed_by(object, type_, printer) {
                Some(value) => value,
                // NumPy's own records: `np.record` and `np.recarray`.
                None if printer.module.starts_with("numpy.")
                    && printer.module.ends_with("records") =>
                {
                    self.builtin(object, type_)
                }
                None if type_.kind == Kind::Type => self.builtin(object, type_),
                None => self.instance(object, type_, ""),
            };
        }
        match type_.kind {
            _ if type_.name.starts_with("numpy.") => self.numpy_scalar(object, type_),
            Kind::DateTime if type_.full_name.starts_with("pandas.") => self.builtin(object, type_),
            Kind::Tuple if type_.name.contains('.') => self.structure(object, type_),
            // In 2.x they are no tuples, but look like them.
            Kind::Object if !type_.heap && self.has_fields(type_.address) => {
                self.structure(object, type_)
            }
            // C code's own exceptions, classes and enumerations of integers.
            Kind::Exception | Kind::Type => self.builtin(object, type_),
            _ => self.instance(object, type_, ""),
        }
    }

    /// What a `__repr__` of the standard library would print; `None` for any other.
    fn printed_by(
        &mut self,
        object: u64,
        type_: &Type,
        printer: &Printer,
    ) -> Option<Result<Value>> {
        // Generated ones are wrapped by functions of the module that made them.
        let generated = |name: &str| {
            printer.file.ends_with(&format!("{name}.py"))
                || printer.file.starts_with(&format!("<frozen {name}"))
        };
        if let Some(fields) = type_.dataclass
            && (generated("dataclasses") || generated("reprlib"))
        {
            return Some(self.dataclass(object, type_, fields));
        }
        if let (Kind::Tuple, Some(fields)) = (type_.kind, type_.fields)
            // Named tuples were compiled from a string before 3.7.
            && (generated("collections/__init__")
                || generated("collections")
                || printer.file == "<string>")
        {
            return Some(self.named_tuple(object, type_, fields));
        }
        if type_.kind == Kind::Type {
            let known = printer.is("enum", "EnumMeta") || printer.is("enum", "EnumType");
            return known.then(|| self.enum_class(object, type_));
        }
        let global =
            printer.function == "global_enum_repr" || printer.function == "global_flag_repr";
        if (printer.module == "enum" && global) || printer.is("re", "RegexFlag") {
            return Some(self.global_member(object, type_));
        }
        if printer.module == "enum" {
            return Some(self.enum_member(object, type_));
        }
        self.standard(object, type_, printer)
    }

    /// `Cls(a=1, b=2)` (Lib/dataclasses.py `_repr_fn`), without the fields that are not
    /// to be shown.
    fn dataclass(&mut self, object: u64, type_: &Type, fields: u64) -> Result<Value> {
        let mut names = Vec::new();
        self.objects.for_each_item(fields, &mut |name, field| {
            names.push((name, field));
            names.len() < 1024
        })?;
        let mut parts = Vec::new();
        for (name, field) in names {
            if self.is_shown(field)
                && let Ok(name) = self.name(name)
                && let Some(value) = self.attribute(object, type_, &name)
            {
                parts.push((name, value));
            }
        }
        let length = parts.len() as u64;
        self.inside(object, "...", |reader| {
            let items = reader.named(&parts);
            let ends = (format!("{}(", type_.qualname), ")");
            Ok(reader.group(object, type_, Shape::Fields, ends, items, length))
        })
    }

    /// `dataclasses.Field`: real fields (no class variables) that `repr` includes.
    fn is_shown(&self, field: u64) -> bool {
        let Ok(type_) = self.objects.type_of(field).and_then(|type_| self.type_at(type_)) else {
            return false;
        };
        let slots = self.slots(field, &type_);
        let slot = |name: &str| slots.iter().find(|(slot, _)| slot == name).map(|(_, at)| *at);
        let hidden =
            slot("repr").is_some_and(|flag| self.integer(flag).is_ok_and(|flag| flag.text == "0"));
        let kind = slot("_field_type").and_then(|kind| {
            let type_ = self.type_at(self.objects.type_of(kind).ok()?).ok()?;
            self.name(self.attribute(kind, &type_, "name")?).ok()
        });
        !hidden && kind.is_none_or(|kind| kind == "_FIELD")
    }

    /// An attribute of an instance: in its dictionary or in a slot.
    pub(super) fn attribute(&self, object: u64, type_: &Type, name: &str) -> Option<u64> {
        if let Ok(Some(value)) = self.objects.attribute(object, name) {
            return Some(value);
        }
        self.slots(object, type_).into_iter().find(|(slot, _)| slot == name).map(|(_, at)| at)
    }

    /// `Point(x=1, y=2)` (Lib/collections/__init__.py `namedtuple`).
    fn named_tuple(&mut self, object: u64, type_: &Type, fields: u64) -> Result<Value> {
        let (names, _) = self.tuple_items(fields, 256)?;
        let (values, _) = self.tuple_items(object, names.len())?;
        let names = names.into_iter().map(|name| self.name(name).unwrap_or_default());
        let parts: Vec<(String, u64)> = names.zip(values).collect();
        // 2.7 has the name in the text of its method.
        let made_by = type_.printer.as_ref().filter(|_| self.layout().version.major == 2);
        let name = made_by.map_or(&type_.name, |printer| &printer.class).clone();
        self.record(object, type_, &name, &parts)
    }

    /// `time.struct_time(tm_year=2024, ...)` (Objects/structseq.c).
    fn structure(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let members = self.members(type_.address, 64)?;
        if members.is_empty() {
            return self.instance(object, type_, "");
        }
        let (values, length) = self.tuple_items(object, members.len())?;
        if !self.layout().version.at_least(2, 6) {
            // They printed as tuples.
            return self.inside(object, "(...)", |reader| {
                let items = reader.items(&values);
                Ok(reader.group(object, type_, Shape::Sequence, ("(", ")"), items, length))
            });
        }
        let names = members.into_iter().map(|(name, _)| name);
        let parts: Vec<(String, u64)> = names.zip(values).collect();
        self.record(object, type_, &type_.name, &parts)
    }

    /// A structure sequence of 2.x (Objects/structseq.c `visible_length_key`).
    fn has_fields(&self, class: u64) -> bool {
        if self.layout().version.major != 2 {
            return false;
        }
        let dict = self.objects.field(class, self.layout().values.types.dict).unwrap_or(0);
        let key = "n_sequence_fields";
        dict != 0 && self.objects.dict_get(dict, key).is_ok_and(|count| count.is_some())
    }

    fn record(
        &mut self,
        object: u64,
        type_: &Type,
        name: &str,
        parts: &[(String, u64)],
    ) -> Result<Value> {
        self.inside(object, "...", |reader| {
            let items = reader.named(parts);
            let ends = (format!("{name}("), ")");
            Ok(reader.group(object, type_, Shape::Fields, ends, items, parts.len() as u64))
        })
    }

    /// The value of a member of an enumeration, and its name if it has one.
    fn value_and_name(&self, object: u64, type_: &Type) -> Result<(u64, Option<String>)> {
        let value = self
            .attribute(object, type_, "_value_")
            .ok_or(BadObject::Unexpected("an enum member"))?;
        let name = self.attribute(object, type_, "_name_").and_then(|name| {
            let kind = self.type_at(self.objects.type_of(name).ok()?).ok()?.kind;
            if kind == Kind::None { None } else { self.name(name).ok() }
        });
        Ok((value, name))
    }

    /// `<Color.RED: 1>` (Lib/enum.py).
    fn enum_member(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let (value, name) = self.value_and_name(object, type_)?;
        let name = match name.or_else(|| self.flag_names(type_, value)) {
            Some(name) => format!(".{name}"),
            None => String::new(),
        };
        self.inside(object, "...", |reader| {
            let items = reader.items(&[value]);
            let ends = (format!("<{}{name}: ", type_.name), ">");
            Ok(reader.group(object, type_, Shape::Fields, ends, items, 1))
        })
    }

    /// `re.IGNORECASE|re.MULTILINE`: `global_flag_repr` (Lib/enum.py, 3.11 and later), and
    /// `RegexFlag.__repr__` (Lib/re.py, 3.8 to 3.10).
    fn global_member(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let (value, name) = self.value_and_name(object, type_)?;
        let end = type_.full_name.len().saturating_sub(type_.qualname.len() + 1);
        let module = type_.full_name.get(..end).and_then(|module| module.rsplit('.').next());
        let module = module.unwrap_or_default();
        let shown = match (name, self.layout().version.at_least(3, 11)) {
            (Some(names), _) => {
                let whole = |name: &str| match name.starts_with(|c: char| c.is_ascii_digit()) {
                    true => name.to_owned(),
                    false => format!("{module}.{name}"),
                };
                names.split('|').map(whole).collect::<Vec<String>>().join("|")
            }
            (None, true) => {
                let number = self.objects.small_int(value)?;
                format!("{module}.{}({number})", type_.short_name())
            }
            (None, false) => {
                let mut rest = self.objects.small_int(value)?;
                let mut parts = Vec::new();
                let members = self.flags(type_, rest).filter(|_| rest >= 0);
                for (flag, name) in members.ok_or(BadObject::Unexpected("flags"))? {
                    if flag & rest != 0 {
                        rest &= !flag;
                        parts.push(format!("{module}.{name}"));
                    }
                }
                if rest != 0 {
                    parts.push(format!("{rest:#x}"));
                }
                parts.join("|")
            }
        };
        Ok(self.symbol(object, type_, &shown))
    }

    /// The members of a class of flags that a value has, in the order of their definition.
    fn flags(&self, type_: &Type, value: i64) -> Option<Vec<(i64, String)>> {
        let dict = self.objects.field(type_.address, self.layout().values.types.dict).ok()?;
        let map = self.objects.dict_get(dict, "_member_map_").ok()??;
        let mut members: Vec<(i64, String)> = Vec::new();
        let mut visits = 0;
        let mut whole = true;
        self.objects
            .for_each_item(map, &mut |name, member| {
                visits += 1;
                let flag = self.objects.attribute(member, "_value_").ok().flatten();
                let flag = flag.and_then(|flag| self.objects.small_int(flag).ok());
                // What has no value is no member, and this no flag.
                whole = flag.is_some() && visits <= MAX_FLAGS && !self.is_expired();
                if let (Some(flag), Ok(name)) = (flag, self.name(name))
                    && flag != 0
                    && flag & value == flag
                {
                    members.push((flag, name));
                }
                whole && members.len() < 64
            })
            .ok()?;
        whole.then_some(members)
    }

    /// The names of the flags in a value, up to 3.10 (Lib/enum.py `_decompose`): the
    /// highest first. From 3.11 on the member has them as its name, and one without flags
    /// has none (Lib/enum.py `Flag.__repr__`).
    fn flag_names(&self, type_: &Type, value: u64) -> Option<String> {
        let value = self.objects.small_int(value).ok()?;
        let mut members = self.flags(type_, value)?;
        members.sort_by_key(|(flag, _)| std::cmp::Reverse(*flag));
        members.dedup_by_key(|(flag, _)| *flag);
        if members.is_empty() {
            let numbered = !self.layout().version.at_least(3, 11);
            return numbered.then(|| value.to_string());
        }
        let names: Vec<String> = members.into_iter().map(|(_, name)| name).collect();
        Some(names.join("|"))
    }

    /// Objects/exceptions.c `BaseException_repr`: a comma behind a lone argument before
    /// 3.7. From 3.15 on an `ImportError` has its name and path behind them.
    pub(super) fn exception(&mut self, object: u64, type_: &Type) -> Result<Value> {
        // PyException_HEAD: dict, args.
        let args = self.part(object, 1)?;
        self.inside(object, "...", |reader| {
            let (_, mut length) = reader.tuple_items(args, 0)?;
            let (addresses, _) = reader.tuple_items(args, reader.take(length))?;
            let mut items = reader.items(&addresses);
            let comma = length == 1 && !reader.layout().version.at_least(3, 7);
            if type_.base_name == "ImportError" && reader.layout().version.at_least(3, 15) {
                // Include/cpython/pyerrors.h: dict, args, notes, traceback, context, cause, a
                // char; then msg, name and path, which may not be there.
                for (index, name) in [(8, "name"), (9, "path")] {
                    let part = reader.part(object, index)?;
                    if part != 0 {
                        let value = reader.value(part);
                        items.push(Item::named(name, value));
                        length += 1;
                    }
                }
            }
            let ends = (format!("{}(", type_.short_name()), if comma { ",)" } else { ")" });
            Ok(reader.group(object, type_, Shape::Fields, ends, items, length))
        })
    }

    /// Objects/namespaceobject.c: sorted by name before 3.9.
    pub(super) fn namespace(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let mut parts = Vec::new();
        self.objects.for_each_attribute(object, &mut |name, value| {
            if let Ok(name) = self.name(name) {
                parts.push((name, value));
            }
            parts.len() < 4096
        })?;
        if !self.layout().version.at_least(3, 9) {
            parts.sort();
        }
        let name = if type_.heap { type_.short_name() } else { "namespace" };
        self.inside(object, "namespace(...)", |reader| {
            let items = reader.named(&parts);
            let ends = (format!("{name}("), ")");
            Ok(reader.group(object, type_, Shape::Fields, ends, items, parts.len() as u64))
        })
    }

    /// A call of one argument that we made ourselves: `UUID('...')`.
    pub(super) fn made(&self, object: u64, type_: &Type, argument: &str) -> Value {
        self.symbol(object, type_, &format!("{}({argument})", type_.short_name()))
    }

    /// A call whose arguments are objects.
    pub(super) fn call(
        &mut self,
        object: u64,
        type_: &Type,
        name: &str,
        arguments: &[u64],
    ) -> Result<Value> {
        self.inside(object, "...", |reader| {
            let items: Vec<Item> = reader.items(arguments);
            let ends = (format!("{name}("), ")");
            Ok(reader.group(object, type_, Shape::Fields, ends, items, arguments.len() as u64))
        })
    }
}
