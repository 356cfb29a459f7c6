//! What an object is: its type, and how much of it is CPython's own doing.

use super::reader::Decoder;
use crate::object::{BadObject, flags};
use std::collections::HashMap;
use std::rc::Rc;

type Result<T> = std::result::Result<T, BadObject>;

/// A class has fewer bases than this in a row, and ancestors.
const MAX_BASES: usize = 64;
const MAX_MRO: usize = 128;
/// The most names of a class and its ancestors that are looked through.
const MAX_NAMES: usize = 1 << 14;

/// The builtin (or C) types that we know the insides of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Array,
    AsyncGenerator,
    Bool,
    BuiltinMethod,
    ByteArray,
    Bytes,
    Cell,
    ClassMethod,
    Classic,
    Code,
    Complex,
    Coroutine,
    Date,
    DateTime,
    Decimal,
    DefaultDict,
    Deque,
    Descriptor(&'static str),
    Dict,
    DictItems,
    DictView,
    Ellipsis,
    Exception,
    Float,
    Frame,
    FrozenDict,
    FrozenSet,
    Function,
    Generator,
    Instance,
    Int,
    List,
    Long,
    Memory,
    Method,
    MethodWrapper,
    Module,
    Namespace,
    None,
    NotImplemented,
    NumpyArray,
    NumpyScalar,
    Object,
    OrderedDict,
    Partial,
    Proxy,
    Range,
    Set,
    Slice,
    StaticMethod,
    Str,
    Time,
    TimeDelta,
    TimeZone,
    Tuple,
    Type,
    Unicode,
    WeakRef,
    XRange,
    ZoneInfo,
}

/// By `tp_name`. Names without a dot are those of static types; a class statement makes
/// no name with one.
const KINDS: &[(&str, Kind)] = &[
    ("object", Kind::Object),
    ("NoneType", Kind::None),
    ("NotImplementedType", Kind::NotImplemented),
    ("ellipsis", Kind::Ellipsis),
    ("bool", Kind::Bool),
    ("int", Kind::Int),
    ("long", Kind::Long),
    ("float", Kind::Float),
    ("complex", Kind::Complex),
    ("str", Kind::Str),
    ("unicode", Kind::Unicode),
    ("bytes", Kind::Bytes),
    ("bytearray", Kind::ByteArray),
    ("memoryview", Kind::Memory),
    ("tuple", Kind::Tuple),
    ("list", Kind::List),
    ("dict", Kind::Dict),
    ("frozendict", Kind::FrozenDict),
    ("dict_keys", Kind::DictView),
    ("dict_values", Kind::DictView),
    ("dict_items", Kind::DictItems),
    ("odict_keys", Kind::DictView),
    ("odict_values", Kind::DictView),
    ("odict_items", Kind::DictItems),
    ("mappingproxy", Kind::Proxy),
    ("dictproxy", Kind::Proxy),
    ("set", Kind::Set),
    ("frozenset", Kind::FrozenSet),
    ("range", Kind::Range),
    ("xrange", Kind::XRange),
    ("slice", Kind::Slice),
    ("type", Kind::Type),
    ("classobj", Kind::Classic),
    ("instance", Kind::Instance),
    ("module", Kind::Module),
    ("function", Kind::Function),
    ("method", Kind::Method),
    ("instancemethod", Kind::Method),
    ("builtin_function_or_method", Kind::BuiltinMethod),
    ("builtin_method", Kind::BuiltinMethod),
    ("method_descriptor", Kind::Descriptor("method")),
    ("classmethod_descriptor", Kind::Descriptor("method")),
    ("wrapper_descriptor", Kind::Descriptor("slot wrapper")),
    ("member_descriptor", Kind::Descriptor("member")),
    ("getset_descriptor", Kind::Descriptor("attribute")),
    ("method-wrapper", Kind::MethodWrapper),
    ("staticmethod", Kind::StaticMethod),
    ("classmethod", Kind::ClassMethod),
    ("generator", Kind::Generator),
    ("coroutine", Kind::Coroutine),
    ("async_generator", Kind::AsyncGenerator),
    ("code", Kind::Code),
    ("frame", Kind::Frame),
    ("cell", Kind::Cell),
    ("weakref", Kind::WeakRef),
    ("weakref.ReferenceType", Kind::WeakRef),
    ("BaseException", Kind::Exception),
    ("exceptions.BaseException", Kind::Exception),
    ("ImportError", Kind::Exception),
    ("namespace", Kind::Namespace),
    ("types.SimpleNamespace", Kind::Namespace),
    ("collections.deque", Kind::Deque),
    ("collections.defaultdict", Kind::DefaultDict),
    ("collections.OrderedDict", Kind::OrderedDict),
    ("functools.partial", Kind::Partial),
    ("datetime.date", Kind::Date),
    ("datetime.datetime", Kind::DateTime),
    ("datetime.time", Kind::Time),
    ("datetime.timedelta", Kind::TimeDelta),
    ("datetime.timezone", Kind::TimeZone),
    ("zoneinfo.ZoneInfo", Kind::ZoneInfo),
    ("decimal.Decimal", Kind::Decimal),
    ("array.array", Kind::Array),
    ("numpy.ndarray", Kind::NumpyArray),
    ("numpy.generic", Kind::NumpyScalar),
];

/// A type.
#[derive(Debug)]
pub(super) struct Type {
    /// Its address.
    pub address: u64,
    /// `tp_name`: for classes only the last part of their name.
    pub name: String,
    /// What `repr` calls it: with module and enclosing classes, but for builtins.
    pub full_name: String,
    /// The same without the module: `__qualname__` (`__name__` before 3.3).
    pub qualname: String,
    /// Made by a class statement (or at run time by C code).
    pub heap: bool,
    /// The nearest known type that it is or derives from.
    pub kind: Kind,
    /// That type's `tp_name`.
    pub base_name: String,
    /// Its instances print themselves as that type's do.
    pub plain: bool,
    /// What prints its instances, if that is written in Python.
    pub printer: Option<Printer>,
    /// `__dataclass_fields__` of the class that the printer is in.
    pub dataclass: Option<u64>,
    /// `_fields` of a named tuple's class.
    pub fields: Option<u64>,
}

/// A `__repr__` written in Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Printer {
    /// `__name__` of the module that it was defined in.
    pub module: String,
    /// The class that it was defined in, as far as that can be told.
    pub class: String,
    /// Its own name; empty before 3.3.
    pub function: String,
    /// The file that it was defined in.
    pub file: String,
}

impl Printer {
    pub fn is(&self, module: &str, class: &str) -> bool {
        self.module == module && self.class == class
    }
}

impl Type {
    /// The name without a module: `_PyType_Name`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

/// What a class's own dictionary says.
#[derive(Debug, Default)]
struct Own {
    module: Option<u64>,
    repr: Option<u64>,
    dataclass: Option<u64>,
    fields: Option<u64>,
}

impl Decoder<'_> {
    /// The type at `address`, read once.
    pub(super) fn type_at(&self, address: u64) -> Result<Rc<Type>> {
        if let Some(known) = self.types.borrow().get(&address) {
            return known.clone().ok_or(BadObject::Unexpected("a type"));
        }
        let found = self.load_type(address).map(Rc::new);
        self.types.borrow_mut().insert(address, found.as_ref().ok().cloned());
        found
    }

    fn load_type(&self, address: u64) -> Result<Type> {
        let objects = self.objects;
        if !self.is_type(address)? {
            return Err(BadObject::Unexpected("a type"));
        }
        let name = self.name_of(address)?;
        let heap = objects.type_flags(address)? & flags::HEAPTYPE != 0;
        let repr = self.layout().values.types.repr;
        let (kind, base, base_name) = self.kind(address)?;
        let own_repr = objects.field(address, repr)?;
        let plain = own_repr == objects.field(base, repr)?;
        let mut type_ = Type {
            address,
            full_name: name.clone(),
            qualname: name.clone(),
            name,
            heap,
            kind,
            base_name,
            plain,
            printer: None,
            dataclass: None,
            fields: None,
        };
        if heap {
            let mut left = MAX_NAMES;
            let own = self.own(address, &mut left).unwrap_or_default();
            (type_.full_name, type_.qualname) = self.full_name(address, &type_.name, own.module);
            if !plain || kind == Kind::Tuple {
                self.find_printer(&mut type_);
            }
        }
        Ok(type_)
    }

    /// `tp_name`, which every type has; cleaned where it is shown.
    fn name_of(&self, type_: u64) -> Result<String> {
        let name = self.objects.type_name(type_)?;
        if name.is_empty() { Err(BadObject::Unexpected("a type")) } else { Ok(name) }
    }

    /// The nearest known type among a type and its bases.
    fn kind(&self, address: u64) -> Result<(Kind, u64, String)> {
        let mut type_ = address;
        let mut seen = Vec::new();
        while type_ != 0 && seen.len() < MAX_BASES && !seen.contains(&type_) {
            let name = self.name_of(type_)?;
            let dotted = name.contains('.');
            let made = self.objects.type_flags(type_)? & flags::HEAPTYPE != 0;
            if (dotted || !made)
                && let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == name)
            {
                return Ok((self.by_version(*kind), type_, name));
            }
            seen.push(type_);
            type_ = self.objects.field(type_, self.layout().values.types.base)?;
        }
        if type_ == 0 {
            // A static type that was never made ready has no base (2.x's iterators).
            return Ok((Kind::Object, address, self.name_of(address)?));
        }
        Err(BadObject::Unexpected("a type"))
    }

    /// Whether what is at `address` is a type: its type is `type`, or derives from it.
    pub(super) fn is_type(&self, address: u64) -> Result<bool> {
        let mut meta = self.objects.type_of(address)?;
        for _ in 0..MAX_BASES {
            if meta == 0 {
                break;
            }
            let made = self.objects.type_flags(meta)? & flags::HEAPTYPE != 0;
            if !made && self.name_of(meta)? == "type" {
                return Ok(true);
            }
            meta = self.objects.field(meta, self.layout().values.types.base)?;
        }
        Ok(false)
    }

    fn by_version(&self, kind: Kind) -> Kind {
        match (kind, self.layout().version.major) {
            (Kind::Str, 2) => Kind::Bytes,
            (Kind::Int, 3..) => Kind::Long,
            (kind, _) => kind,
        }
    }

    /// What `repr` calls a class, and its qualified name (Objects/typeobject.c
    /// `type_repr`).
    fn full_name(&self, address: u64, name: &str, module: Option<u64>) -> (String, String) {
        let module = module.and_then(|module| self.objects.text(module, 256).ok());
        let qualname = self.layout().values.types.heap_qualname.and_then(|offset| {
            let qualname = self.objects.field(address, offset).ok()?;
            self.objects.text(qualname, 512).ok()
        });
        // A type that C code made may have no such object yet.
        let short = || name.rsplit('.').next().unwrap_or(name).to_owned();
        let qualname = qualname.unwrap_or_else(short);
        match module {
            Some(module) if module != "builtins" && module != "__builtin__" => {
                (format!("{module}.{qualname}"), qualname)
            }
            _ => (name.to_owned(), qualname),
        }
    }

    /// Looks a class's dictionary through; `left` names at the most.
    fn own(&self, class: u64, left: &mut usize) -> Result<Own> {
        let dict = self.objects.field(class, self.layout().values.types.dict)?;
        let mut own = Own::default();
        if dict == 0 {
            return Ok(own);
        }
        self.objects.for_each_item(dict, &mut |key, value| {
            *left = left.saturating_sub(1);
            let slot = match self.objects.text(key, 24).as_deref() {
                Ok("__module__") => &mut own.module,
                Ok("__repr__") => &mut own.repr,
                Ok("__dataclass_fields__") => &mut own.dataclass,
                Ok("_fields") => &mut own.fields,
                _ => return *left > 0,
            };
            *slot = Some(value);
            *left > 0
        })?;
        Ok(own)
    }

    /// The classes that attributes are looked up in, the class itself first.
    pub(super) fn ancestors(&self, class: u64) -> Result<Vec<u64>> {
        let mro = self.objects.field(class, self.layout().values.types.mro)?;
        let (items, _) = self.tuple_items(mro, MAX_MRO)?;
        Ok(items)
    }

    /// Finds the `__repr__` that was written in Python, and what goes with it.
    fn find_printer(&self, type_: &mut Type) {
        let mut left = MAX_NAMES;
        for class in self.ancestors(type_.address).unwrap_or_default() {
            let flags = self.objects.type_flags(class).unwrap_or(0);
            if flags & flags::HEAPTYPE == 0 || self.is_classic(class) {
                continue;
            }
            let own = self.own(class, &mut left).unwrap_or_default();
            type_.fields = type_.fields.or(own.fields);
            if let Some(function) = own.repr {
                type_.printer = self.printer(function, class, own.module);
                type_.dataclass = own.dataclass;
                break;
            }
        }
    }

    pub(super) fn is_classic(&self, class: u64) -> bool {
        let name = self.objects.type_of(class).and_then(|type_| self.objects.type_name(type_));
        name.is_ok_and(|name| name == "classobj")
    }

    fn printer(&self, function: u64, class: u64, module: Option<u64>) -> Option<Printer> {
        let layout = &self.layout().values.function;
        let type_ = self.objects.type_of(function).ok()?;
        if self.objects.type_name(type_).ok()? != "function" {
            return None;
        }
        let text = |object: u64| self.objects.text(object, 512).ok();
        let code = self.objects.field(function, layout.code).ok()?;
        let file = self.objects.field(code, self.layout().code.filename).ok().and_then(text);
        let globals = self.objects.field(function, layout.globals).ok()?;
        let home = self.objects.dict_get(globals, "__name__").ok()?.and_then(text);
        let qualname =
            layout.qualname.and_then(|offset| text(self.objects.field(function, offset).ok()?));
        let parts = qualname.as_deref().and_then(|name| name.rsplit_once('.'));
        // Before 3.3 a function does not know its class, and `reprlib.recursive_repr`
        // hides it.
        let (module, class) = match parts {
            Some((class, _)) if home.as_deref() != Some("reprlib") => {
                (home, class.rsplit('.').next().unwrap_or(class).to_owned())
            }
            _ if home.as_deref() == Some("reprlib") => {
                (module.and_then(text), self.name_of(class).ok()?)
            }
            _ => (home, self.name_of(class).ok()?),
        };
        let (module, file) = (module.unwrap_or_default(), file.unwrap_or_default());
        let function = qualname.as_deref().and_then(|name| name.rsplit('.').next());
        let function = function.unwrap_or_default().to_owned();
        Some(Printer { module, class, function, file })
    }

    /// The names and offsets of `__slots__` (and of structure sequences): the type's
    /// members that are objects (Include/structmember.h `PyMemberDef`).
    pub(super) fn members(&self, class: u64, limit: usize) -> Result<Vec<(String, u64)>> {
        let word = u64::from(self.layout().arch.pointer);
        // name, type, offset, flags, doc; ints padded to words around a Py_ssize_t (an
        // int before 2.5).
        let wide = self.layout().values.ssize > 4 || word == 4;
        let (offset_at, stride) = if wide { (2 * word, 5 * word) } else { (word + 4, 4 * word) };
        let mut members = Vec::new();
        let mut at = self.objects.field(class, self.layout().values.types.members)?;
        while at != 0 && members.len() < limit {
            let name = self.objects.memory.ptr(at)?;
            if name == 0 {
                break;
            }
            let name = self.objects.memory.c_string(name, 256)?;
            let kind = self.objects.memory.uint(at.wrapping_add(word), 4)?;
            let size = self.layout().values.ssize as usize;
            let offset = self.objects.memory.uint(at.wrapping_add(offset_at), size)?;
            // T_OBJECT and T_OBJECT_EX.
            if matches!(kind, 6 | 16) {
                members.push((String::from_utf8_lossy(&name).into_owned(), offset));
            }
            at = at.wrapping_add(stride);
        }
        Ok(members)
    }
}

/// Types by their address; `None` for what turned out to be none.
pub(super) type Types = HashMap<u64, Option<Rc<Type>>>;
