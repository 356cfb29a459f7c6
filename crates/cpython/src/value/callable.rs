//! Functions, methods, generators and what they are made of.

use super::reader::Reader;
use super::types::{Kind, Type};
use super::{Shape, Value};
use crate::code::CodeInfo;
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

impl Reader<'_, '_> {
    pub(super) fn callable(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let shown = match type_.kind {
            Kind::Function => format!("<function {} at {object:#x}>", self.function_name(object)?),
            Kind::BuiltinMethod => self.builtin_text(object)?,
            Kind::Descriptor(what) => {
                // Objects/descrobject.c: the type, then the name.
                let of = self.type_at(self.part(object, 0)?)?;
                let name = self.name(self.part(object, 1)?)?;
                // 3.15 does not name `object`.
                if of.name == "object" && self.layout().version.at_least(3, 15) {
                    format!("<{what} '{name}'>")
                } else {
                    format!("<{what} '{name}' of '{}' objects>", of.name)
                }
            }
            Kind::MethodWrapper => {
                let (descriptor, of) = (self.part(object, 0)?, self.part(object, 1)?);
                let name = self.name(self.part(descriptor, 1)?)?;
                let type_name = self.type_name_of(of)?;
                format!("<method-wrapper '{name}' of {type_name} object at {of:#x}>")
            }
            Kind::Code => {
                let code = CodeInfo::load(self.objects, object)?;
                let name = self.name(self.objects.field(object, self.layout().code.name)?)?;
                format!(
                    "<code object {name} at {object:#x}, file \"{}\", line {}>",
                    code.filename, code.first_line
                )
            }
            Kind::Frame => self.frame_text(object)?,
            Kind::Method => return self.method(object, type_),
            Kind::StaticMethod | Kind::ClassMethod => return self.wrapped(object, type_),
            Kind::Partial => return self.partial(object, type_),
            _ => self.generator_text(object, type_)?,
        };
        Ok(self.symbol(object, type_, &shown))
    }

    /// `__qualname__`, or `__name__` before 3.3.
    fn function_name(&self, function: u64) -> Result<String> {
        let layout = &self.layout().values.function;
        self.name(self.objects.field(function, layout.qualname.unwrap_or(layout.name))?)
    }

    /// Objects/methodobject.c: the definition, which begins with its name, then the
    /// object that it is bound to: from 3.0 on the module for functions.
    fn builtin_text(&self, object: u64) -> Result<String> {
        let name = self.objects.memory.ptr(self.part(object, 0)?)?;
        let name = self.objects.memory.c_string(name, 256)?;
        let name = String::from_utf8_lossy(&name);
        let of = self.part(object, 1)?;
        let bound = of != 0 && {
            let kind = self.type_at(self.objects.type_of(of)?)?.kind;
            kind != Kind::Module || self.layout().version.major == 2
        };
        Ok(if bound {
            let type_name = self.type_name_of(of)?;
            format!("<built-in method {name} of {type_name} object at {of:#x}>")
        } else {
            format!("<built-in function {name}>")
        })
    }

    /// Objects/classobject.c `method_repr`: the qualified name from 3.5 on; before, the
    /// class that the method was found by.
    fn method(&mut self, object: u64, type_: &Type) -> Result<Value> {
        let layout = self.layout();
        let (function, of) = layout.values.method;
        let (function, of) =
            (self.objects.field(object, function)?, self.objects.field(object, of)?);
        let is_function = self.type_at(self.objects.type_of(function)?)?.kind == Kind::Function;
        let name = if !is_function {
            "?".to_owned()
        } else if layout.version.at_least(3, 5) {
            self.function_name(function)?
        } else {
            self.name(self.objects.field(function, layout.values.function.name)?)?
        };
        let class = if layout.version.at_least(3, 5) {
            None
        } else if layout.version.major == 2 {
            Some(self.part(object, 2)?)
        } else {
            Some(self.objects.type_of(of)?)
        };
        let name = match class.filter(|class| *class != 0) {
            Some(class) => format!("{}.{name}", self.class_name(class)),
            None => name,
        };
        if of == 0 {
            return Ok(self.symbol(object, type_, &format!("<unbound method {name}>")));
        }
        self.inside(object, "<...>", |reader| {
            let items = reader.items(&[of]);
            let ends = (format!("<bound method {name} of "), ">");
            Ok(reader.group(object, type_, Shape::Fields, ends, items, 1))
        })
    }

    fn class_name(&self, class: u64) -> String {
        let name = match self.layout().values.classic {
            Some((name, _)) if self.type_name_of(class).is_ok_and(|name| name == "classobj") => {
                self.objects.field(class, name).and_then(|name| self.name(name))
            }
            _ => self.type_at(class).map(|class| class.short_name().to_owned()),
        };
        name.unwrap_or_else(|_| "?".to_owned())
    }

    /// `staticmethod(f)` shows what it wraps from 3.10 on (Objects/funcobject.c).
    fn wrapped(&mut self, object: u64, type_: &Type) -> Result<Value> {
        if !self.layout().version.at_least(3, 10) {
            return self.instance(object, type_, " object");
        }
        let callable = self.part(object, 0)?;
        self.inside(object, "<...>", |reader| {
            let items = reader.items(&[callable]);
            let ends = (format!("<{}(", type_.name), ")>");
            Ok(reader.group(object, type_, Shape::Fields, ends, items, 1))
        })
    }

    /// Modules/_functoolsmodule.c: fn, args, kw.
    fn partial(&mut self, object: u64, type_: &Type) -> Result<Value> {
        if self.layout().version.major == 2 {
            return self.instance(object, type_, " object");
        }
        let (function, args, kw) =
            (self.part(object, 0)?, self.part(object, 1)?, self.part(object, 2)?);
        self.inside(object, "...", |reader| {
            let limit = reader.take(1 << 20);
            let (args, args_length) = reader.tuple_items(args, limit)?;
            let mut length = 1 + args_length;
            let mut addresses = vec![function];
            addresses.extend(args);
            let mut items = reader.items(&addresses);
            // None where there are no keywords, in old versions.
            if reader.type_at(reader.objects.type_of(kw)?)?.kind == Kind::Dict {
                let mut named = Vec::new();
                reader.objects.for_each_item(kw, &mut |key, value| {
                    if let Ok(name) = reader.name(key) {
                        named.push((name, value));
                    }
                    named.len() < limit
                })?;
                length += reader.dict_length(kw)?;
                items.extend(reader.named(&named));
            }
            let ends = (format!("{}(", type_.full_name), ")");
            Ok(reader.group(object, type_, Shape::Fields, ends, items, length))
        })
    }

    /// `repr` and, behind it, where the generator is.
    fn generator_text(&self, object: u64, type_: &Type) -> Result<String> {
        let layout = &self.layout().values.generator;
        let frame = match (layout.inner, layout.frame) {
            (Some(inner), _) => object.wrapping_add(u64::from(inner)),
            (None, Some(frame)) => self.objects.field(object, frame)?,
            _ => 0,
        };
        let place = self.generator_place(object, frame);
        let code = |offset| self.objects.field(object, offset);
        let name = match (layout.qualname, layout.code) {
            (Some(offset), _) => self.objects.field(object, offset)?,
            (None, Some(offset)) => self.objects.field(code(offset)?, self.layout().code.name)?,
            _ if frame == 0 => return Ok(format!("<{} object at {object:#x}>", type_.name)),
            _ => {
                let code = self.objects.field(frame, self.layout().frame.code)?;
                self.objects.field(code, self.layout().code.name)?
            }
        };
        let name = self.name(name)?;
        let place = place.map(|place| format!(", {place}")).unwrap_or_default();
        // Before 2.6 generators did not tell their name.
        let named = self.layout().version.at_least(2, 6);
        let name = if named { format!(" {name}") } else { String::new() };
        let kind = if type_.kind == Kind::AsyncGenerator { "async_generator" } else { &type_.name };
        Ok(format!("<{kind} object{name} at {object:#x}{place}>"))
    }

    /// Where a generator is: `line 12`, `running at line 12`, `finished`.
    fn generator_place(&self, object: u64, frame: u64) -> Option<String> {
        let layout = self.layout();
        let version = layout.version;
        let state = match layout.values.generator.state {
            Some(offset) => {
                let at = object.wrapping_add(u64::from(offset));
                self.objects.memory.uint(at, 1).ok()? as u8 as i8
            }
            None if frame == 0 => return Some("finished".to_owned()),
            None => {
                // gi_running: an int, from 3.5 to 3.9 a char; gone in 3.10.
                let at = object.wrapping_add(u64::from(layout.values.generator.frame? + 8));
                let known = !version.at_least(3, 10);
                let running = known && self.objects.memory.uint(at, 1).ok()? != 0;
                return self.place(frame, if running { "running at " } else { "" }, true);
            }
        };
        // enum _framestate (Include/internal/pycore_frame.h): renumbered in 3.15.
        let (created, executing, finished) = if version.at_least(3, 15) {
            (state == 0, state == 4, state == 5)
        } else {
            let first = if version.at_least(3, 13) { -3 } else { -2 };
            (state == first, state == 0, state > 0)
        };
        match (created, executing, finished) {
            (_, _, true) => Some("finished".to_owned()),
            (true, ..) => Some("not started".to_owned()),
            (_, true, _) => self.place(frame, "running at ", false),
            _ => self.place(frame, "", false),
        }
    }

    /// The line that a frame is at.
    fn place(&self, frame: u64, before: &str, may_be_new: bool) -> Option<String> {
        let layout = self.layout();
        let code = self.objects.field(frame, layout.frame.code).ok()? & !layout.frame.tag_mask;
        let code = CodeInfo::load(self.objects, code).ok()?;
        let size = if layout.frame.heap { 4 } else { layout.arch.word() };
        let at = frame.wrapping_add(u64::from(layout.frame.lasti));
        let raw = self.objects.memory.uint(at, size).ok()?;
        let thread_local = self.thread_local_start(frame, code.address);
        let lasti = code.lasti(layout, raw, thread_local)?;
        if lasti < 0 && may_be_new {
            return Some("not started".to_owned());
        }
        let line = code.position(layout, lasti).line;
        (line > 0).then(|| format!("{before}line {line}"))
    }

    /// Where the copy of the bytecode that a frame runs begins, if it runs a copy.
    fn thread_local_start(&self, frame: u64, code: u64) -> Option<u64> {
        let layout = self.layout();
        let (index_at, tlbc) = (layout.frame.tlbc_index?, layout.code.tlbc?);
        let at = frame.wrapping_add(u64::from(index_at));
        let index = self.objects.memory.uint(at, 4).ok().filter(|index| *index > 0)?;
        // _PyCodeArray: the size, then the addresses.
        let array = self.objects.field(code, tlbc).ok()?;
        let size = self.objects.memory.ptr(array).ok()?;
        let entry = array.wrapping_add((1 + index) * u64::from(layout.arch.pointer));
        (index < size).then(|| self.objects.memory.ptr(entry).ok()).flatten()
    }

    /// Objects/frameobject.c `frame_repr`, 3.7 and later.
    fn frame_text(&self, object: u64) -> Result<String> {
        let layout = self.layout();
        if !layout.version.at_least(3, 7) {
            return Ok(format!("<frame object at {object:#x}>"));
        }
        let frame = match layout.values.frame.object_frame {
            Some(offset) => self.objects.field(object, offset)?,
            None => object,
        };
        let code = self.objects.field(frame, layout.frame.code)? & !layout.frame.tag_mask;
        let info = CodeInfo::load(self.objects, code)?;
        let name = self.name(self.objects.field(code, layout.code.name)?)?;
        let file = super::stdlib::quoted(&info.filename);
        let line = self.place(frame, "", false).unwrap_or_else(|| "line ?".to_owned());
        Ok(format!("<frame at {object:#x}, file {file}, {line}, code {name}>"))
    }
}
