//! The names of builtin types where they cannot be read.
//!
//! `tp_name` of a type written in C points to a constant of its binary. A core file mostly
//! has no constants: they are in the binary, and that may be missing. But the types are
//! known by other names too: `builtins` has most of them, `types` others, and each C
//! module has its own. So this finds out what the constants must say, and answers reads
//! of them.

use crate::layout::Layout;
use crate::object::{Objects, flags};
use remote::{Arch, Batch, Memory, ReadError, batch};
use std::collections::BTreeMap;

/// More modules than this are not looked at, nor more names of one.
const MAX_MODULES: usize = 1 << 14;
const MAX_NAMES: usize = 1 << 14;

/// Types of the module `types` that are called otherwise (Lib/types.py), and those whose
/// C module is not in their name.
const OTHERWISE: &[(&str, &str)] = &[
    ("types.AsyncGeneratorType", "async_generator"),
    ("types.BuiltinFunctionType", "builtin_function_or_method"),
    ("types.CellType", "cell"),
    ("types.ClassMethodDescriptorType", "classmethod_descriptor"),
    ("types.ClassType", "classobj"),
    ("types.CodeType", "code"),
    ("types.CoroutineType", "coroutine"),
    ("types.DictProxyType", "dictproxy"),
    ("types.EllipsisType", "ellipsis"),
    ("types.FrameType", "frame"),
    ("types.FunctionType", "function"),
    ("types.GeneratorType", "generator"),
    ("types.GetSetDescriptorType", "getset_descriptor"),
    ("types.InstanceType", "instance"),
    ("types.MappingProxyType", "mappingproxy"),
    ("types.MemberDescriptorType", "member_descriptor"),
    ("types.MethodDescriptorType", "method_descriptor"),
    ("types.MethodType", "method"),
    ("types.MethodWrapperType", "method-wrapper"),
    ("types.ModuleType", "module"),
    ("types.NoneType", "NoneType"),
    ("types.NotImplementedType", "NotImplementedType"),
    ("types.SimpleNamespace", "types.SimpleNamespace"),
    ("types.TracebackType", "traceback"),
    ("types.WrapperDescriptorType", "wrapper_descriptor"),
    ("_collections.OrderedDict", "collections.OrderedDict"),
    ("_collections.defaultdict", "collections.defaultdict"),
    ("_collections.deque", "collections.deque"),
    ("_datetime.date", "datetime.date"),
    ("_datetime.datetime", "datetime.datetime"),
    ("_datetime.time", "datetime.time"),
    ("_datetime.timedelta", "datetime.timedelta"),
    ("_datetime.timezone", "datetime.timezone"),
    ("_decimal.Decimal", "decimal.Decimal"),
    ("_functools.partial", "functools.partial"),
    ("_weakref.ReferenceType", "weakref"),
    ("_weakref.ref", "weakref"),
];

/// A memory in which the names of types that could be found out can be read.
pub struct TypeNames<'a> {
    memory: &'a dyn Memory,
    /// By address, with a NUL.
    names: BTreeMap<u64, Vec<u8>>,
}

impl<'a> TypeNames<'a> {
    /// Finds out what it can about the types that the interpreter at `interpreter` has.
    /// `code` is a code object, if one is known. Where the names can be read, nothing is
    /// done.
    pub fn find(
        memory: &'a dyn Memory,
        layout: &Layout,
        interpreter: u64,
        code: Option<u64>,
    ) -> TypeNames<'a> {
        let mut found = TypeNames { memory, names: BTreeMap::new() };
        let finder = Finder { objects: Objects { memory, layout } };
        if let Some(code) = code {
            finder.object(&mut found.names, code, "code");
        }
        if finder.is_needed(interpreter) {
            finder.modules(&mut found.names, interpreter);
        }
        found
    }

    /// How many names were found out.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether none was, or had to be.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

struct Finder<'a> {
    objects: Objects<'a>,
}

type Names = BTreeMap<u64, Vec<u8>>;

impl Finder<'_> {
    /// Whether the name of `dict` cannot be read.
    fn is_needed(&self, interpreter: u64) -> bool {
        let objects = self.objects;
        let Some(offset) = objects.layout.interpreter.modules else { return false };
        let type_ = objects.field(interpreter, offset).and_then(|dict| objects.type_of(dict));
        type_.is_ok_and(|type_| objects.type_name(type_).is_err())
    }

    fn modules(&self, names: &mut Names, interpreter: u64) {
        let objects = self.objects;
        let layout = objects.layout;
        let Some(offset) = layout.interpreter.modules else { return };
        let Ok(modules) = objects.field(interpreter, offset) else { return };
        let mut found = Vec::new();
        let _ = objects.for_each_item(modules, &mut |key, module| {
            if let Ok(name) = objects.text(key, 256) {
                found.push((name, module));
            }
            found.len() < MAX_MODULES
        });
        // Whatever another module calls them, builtins come first; then what each C module
        // calls its own.
        let rank = |name: &str| match name {
            "builtins" | "__builtin__" => 0,
            "types" => 1,
            name if name.starts_with('_') => 2,
            _ => 3,
        };
        found.sort_by_key(|(name, _)| rank(name));
        for (name, module) in found {
            self.module(names, &name, module);
        }
    }

    /// The types among the names of a module.
    fn module(&self, names: &mut Names, name: &str, module: u64) {
        let objects = self.objects;
        let Ok(dict) = objects.field(module, objects.layout.object.md_dict) else { return };
        let builtins = matches!(name, "builtins" | "__builtin__");
        if builtins {
            self.object(names, module, "module");
        }
        let mut left = MAX_NAMES;
        let _ = objects.for_each_item(dict, &mut |key, value| {
            left -= 1;
            let Ok(key) = objects.text(key, 256) else { return left > 0 };
            if objects.is_a(value, flags::TYPE_SUBCLASS, &["type"]) == Ok(true) {
                let alias = matches!(key.as_str(), "IOError" | "EnvironmentError");
                let full = format!("{name}.{key}");
                let known = OTHERWISE.iter().find(|(full_name, _)| *full_name == full);
                match known {
                    Some((_, real)) => self.type_(names, value, real),
                    None if name == "types" => {}
                    None if !builtins => self.type_(names, value, &full),
                    None if alias && objects.layout.version.major > 2 => {}
                    None => self.type_(names, value, &key),
                }
            } else if builtins {
                match key.as_str() {
                    "len" => self.object(names, value, "builtin_function_or_method"),
                    "Ellipsis" => self.object(names, value, "ellipsis"),
                    "NotImplemented" => self.object(names, value, "NotImplementedType"),
                    _ => {}
                }
            } else if matches!(key.as_str(), "__spec__" | "__package__" | "__cached__") {
                self.none(names, value);
            }
            left > 0
        });
    }

    /// `object` is an instance of the type `name`.
    fn object(&self, names: &mut Names, object: u64, name: &str) {
        if let Ok(type_) = self.objects.type_of(object) {
            self.type_(names, type_, name);
        }
    }

    /// Modules have a `__spec__` that is None, or an object of a class, or a string: only
    /// None's type is written in C and has instances without anything in them.
    fn none(&self, names: &mut Names, object: u64) {
        let layout = &self.objects.layout.object;
        let Ok(type_) = self.objects.type_of(object) else { return };
        let size = self.objects.field(type_, layout.tp_basicsize);
        let head = 2 * u64::from(self.objects.layout.arch.pointer);
        let other = flags::UNICODE_SUBCLASS | flags::BYTES_SUBCLASS | flags::HEAPTYPE;
        let plain = self.objects.type_flags(type_).is_ok_and(|flags| flags & other == 0);
        if plain && size.is_ok_and(|size| size <= 2 * head) {
            self.type_(names, type_, "NoneType");
        }
    }

    /// The type at `type_` is called `name`, unless something else is known.
    fn type_(&self, names: &mut Names, type_: u64, name: &str) {
        let objects = self.objects;
        let Ok(at) = objects.field(type_, objects.layout.object.tp_name) else { return };
        if at == 0 || names.contains_key(&at) || objects.memory.uint(at, 1).is_ok() {
            return;
        }
        let mut text = name.as_bytes().to_vec();
        text.push(0);
        names.insert(at, text);
    }
}

impl Memory for TypeNames<'_> {
    fn arch(&self) -> Arch {
        self.memory.arch()
    }

    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let result = self.memory.read_some(address, buffer);
        if !matches!(result, Err(ReadError::Fault { .. })) {
            return result;
        }
        let Some((start, name)) = self.names.range(..=address).next_back() else { return result };
        let Some(rest) = name.get((address - start) as usize..).filter(|rest| !rest.is_empty())
        else {
            return result;
        };
        // Who reads a text asks for more than it has, and stops at the NUL.
        let got = rest.len().min(buffer.len());
        buffer[..got].copy_from_slice(&rest[..got]);
        buffer[got..].fill(0);
        Ok(buffer.len())
    }

    fn read_batch(&self, batch: &mut Batch) -> Result<(), ReadError> {
        if self.names.is_empty() {
            return self.memory.read_batch(batch);
        }
        batch::read_one_by_one(self, batch);
        Ok(())
    }
}
