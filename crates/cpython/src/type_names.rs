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

/// Types of the modules `types` and `_collections_abc` that are called otherwise (Lib/types.py,
/// Lib/_collections_abc.py), and those whose C module is not in their name.
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
    ("_collections_abc.framelocalsproxy", "FrameLocalsProxy"),
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
        // Whatever another module calls them, builtins come first.
        found.sort_by_key(|(name, _)| match name.as_str() {
            "builtins" | "__builtin__" => 0,
            "types" | "_types" | "_collections_abc" => 1,
            name if name.starts_with('_') => 2,
            _ => 3,
        });
        for (name, module) in found {
            self.module(names, &name, module);
        }
    }

    /// Whether a module is written in Python: what it calls a type is not its `tp_name`.
    fn is_python(&self, dict: u64) -> bool {
        let file = self.objects.dict_get(dict, "__file__").ok().flatten();
        let file = file.and_then(|file| self.objects.text(file, 4096).ok());
        file.is_some_and(|file| !file.contains(".so"))
    }

    /// The types among the names of a module.
    fn module(&self, names: &mut Names, name: &str, module: u64) {
        let objects = self.objects;
        let Ok(dict) = objects.field(module, objects.layout.object.md_dict) else { return };
        let builtins = matches!(name, "builtins" | "__builtin__");
        if builtins {
            self.object(names, module, "module");
        }
        let public = if name == "_types" { "types" } else { name };
        let other = self.is_python(dict) || public == "types";
        let mut left = MAX_NAMES;
        let _ = objects.for_each_item(dict, &mut |key, value| {
            left -= 1;
            let Ok(key) = objects.text(key, 256) else { return left > 0 };
            if objects.is_a(value, flags::TYPE_SUBCLASS, &["type"]) == Ok(true) {
                let alias = match objects.layout.version.major {
                    2 => key == "bytes",
                    _ => matches!(key.as_str(), "IOError" | "EnvironmentError"),
                };
                let full = format!("{public}.{key}");
                // `iter("")` is of another type than other strings' from 3.11 on
                // (Objects/unicodeobject.c).
                let ascii = objects.layout.version.at_least(3, 11) && key == "str_iterator";
                let known = OTHERWISE.iter().find(|(full_name, _)| *full_name == full);
                match known {
                    Some((_, real)) => self.type_(names, value, real),
                    None if name == "_collections_abc" => {
                        // `dict_keys` and such; what has a capital is an alias.
                        if ascii {
                            self.type_(names, value, "str_ascii_iterator");
                        } else if key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                            self.type_(names, value, &key);
                        }
                    }
                    None if other => {}
                    None if !builtins => self.type_(names, value, &full),
                    None if alias => {}
                    None => self.type_(names, value, &key),
                }
                if builtins {
                    self.descriptors(names, value, &key);
                }
            } else if builtins {
                match key.as_str() {
                    "len" => self.object(names, value, "builtin_function_or_method"),
                    "Ellipsis" => self.object(names, value, "ellipsis"),
                    "None" => self.object(names, value, "NoneType"),
                    "NotImplemented" => self.object(names, value, "NotImplementedType"),
                    _ => {}
                }
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

    /// The types of some things that builtin types have.
    fn descriptors(&self, names: &mut Names, type_: u64, name: &str) {
        const KNOWN: &[(&str, &str, &str)] = &[
            ("object", "__repr__", "wrapper_descriptor"),
            ("str", "upper", "method_descriptor"),
            ("dict", "fromkeys", "classmethod_descriptor"),
            ("type", "__dict__", "getset_descriptor"),
            ("type", "__base__", "member_descriptor"),
        ];
        // Static types' dictionaries are elsewhere from 3.12 on.
        let Ok(dict) = self.objects.field(type_, self.objects.layout.values.types.dict) else {
            return;
        };
        for (_, key, of) in KNOWN.iter().filter(|(known, ..)| *known == name && dict != 0) {
            if let Ok(Some(value)) = self.objects.dict_get(dict, key) {
                self.object(names, value, of);
            }
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
        let skip = (address - start) as usize;
        // A text is read in pieces that end with pages. Another that begins inside of a
        // name is not known: a linker joins texts that end alike.
        let piece = buffer.len() <= 256 && (skip == 0 || address.is_multiple_of(4096));
        let Some(rest) = name.get(skip..).filter(|rest| piece && !rest.is_empty()) else {
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
