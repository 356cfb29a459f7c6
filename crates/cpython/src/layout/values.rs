//! Offsets for reading local variables and values.

use super::{Source, Unsupported};

/// Where frames, code objects, types and the builtin types keep what `dump --locals`
/// shows. What is the same in every version (a struct that is only a head and a few
/// pointers) is not here but computed from [`Values::head`] where it is read.
#[derive(Debug, Clone)]
pub struct Values {
    /// Size of `PyObject`: where the fields of an object begin.
    pub head: u32,
    /// Size of `PyVarObject`.
    pub var_head: u32,
    /// `ob_size` of a `PyVarObject`.
    pub ob_size: u32,
    /// Bytes in a length: an int before PEP 353 (2.5), a `Py_ssize_t` since.
    pub ssize: u32,
    /// In frames.
    pub frame: FrameValues,
    /// In code objects.
    pub code: CodeValues,
    /// In types.
    pub types: TypeValues,
    /// `ob_item` of tuples, an array inside the object.
    pub tuple_items: u32,
    /// `ob_item` of lists, a pointer.
    pub list_items: u32,
    /// `ob_fval` of floats.
    pub float: u32,
    /// `cval` of complex numbers.
    pub complex: u32,
    /// `ob_digit` of (long) ints, also in Python 2.
    pub long_digits: u32,
    /// `ob_bytes` (2.6 to 3.3) or `ob_start` (3.4 and later) of bytearrays.
    pub bytearray: Option<u32>,
    /// `used`, `mask` and `table` of sets (2.5 and later).
    pub set: Option<(u32, u32, u32)>,
    /// Offset of the key in an entry of a set: the hash came first up to 3.2.
    pub set_key: u32,
    /// Size of `PyDictObject`: where the fields of its subclasses begin.
    pub dict_size: u32,
    /// `ma_used`.
    pub dict_used: u32,
    /// In functions.
    pub function: FunctionValues,
    /// In generators, coroutines and asynchronous generators alike.
    pub generator: GeneratorValues,
    /// `im_func` and `im_self` of methods.
    pub method: (u32, u32),
    /// `ob_ref` of cells.
    pub cell: u32,
    /// `in_class` and `in_dict` of instances of old-style classes (Python 2).
    pub instance: Option<(u32, u32)>,
    /// `cl_name` and `cl_dict` of old-style classes.
    pub classic: Option<(u32, u32)>,
}

/// In frames.
#[derive(Debug, Clone)]
pub struct FrameValues {
    /// `localsplus`.
    pub localsplus: u32,
    /// `f_locals`.
    pub locals: u32,
    /// `f_globals`.
    pub globals: u32,
    /// `f_frame` of a frame object, where it is not the frame itself (3.11 and later).
    pub object_frame: Option<u32>,
}

/// In code objects; the counts are ints.
#[derive(Debug, Clone)]
pub struct CodeValues {
    /// `co_argcount`.
    pub argcount: u32,
    /// `co_posonlyargcount` (3.8 and later).
    pub posonly: Option<u32>,
    /// `co_kwonlyargcount` (3.0 and later).
    pub kwonly: Option<u32>,
    /// `co_nlocals`.
    pub nlocals: u32,
    /// `co_flags`.
    pub flags: u32,
    /// Names and kinds of all fast locals.
    pub names: LocalNames,
}

/// How a code object names its fast locals.
#[derive(Debug, Clone, Copy)]
pub enum LocalNames {
    /// `co_varnames`, `co_cellvars` and `co_freevars` (up to 3.10), one after the other.
    Three(u32, u32, u32),
    /// `co_localsplusnames` and `co_localspluskinds` (3.11 and later).
    One(u32, u32),
}

/// In types.
#[derive(Debug, Clone)]
pub struct TypeValues {
    /// `tp_repr`.
    pub repr: u32,
    /// `tp_base`.
    pub base: u32,
    /// `tp_dict`.
    pub dict: u32,
    /// `tp_mro`.
    pub mro: u32,
    /// `tp_members`.
    pub members: u32,
    /// `tp_itemsize`.
    pub itemsize: u32,
    /// `ht_qualname` of heap types (3.3 and later).
    pub heap_qualname: Option<u32>,
}

/// In functions.
#[derive(Debug, Clone)]
pub struct FunctionValues {
    /// `func_code`.
    pub code: u32,
    /// `func_globals`.
    pub globals: u32,
    /// `func_name`.
    pub name: u32,
    /// `func_qualname` (3.3 and later).
    pub qualname: Option<u32>,
}

/// In generators.
#[derive(Debug, Clone)]
pub struct GeneratorValues {
    /// `gi_frame`, a pointer (up to 3.10).
    pub frame: Option<u32>,
    /// `gi_iframe`, the frame itself (3.11 and later).
    pub inner: Option<u32>,
    /// `gi_frame_state`, a signed byte (3.11 and later).
    pub state: Option<u32>,
    /// `gi_code` (2.6 to 3.11).
    pub code: Option<u32>,
    /// `gi_qualname` (3.5 and later).
    pub qualname: Option<u32>,
}

pub(super) fn values(source: &Source) -> Result<Values, Unsupported> {
    let table = |of, field| source.table(of, field);
    let version = source.version;
    let set = |field, name| source.either(("set_object", field), &[("PySetObject", name)]);
    let head = source.need(("pyobject", "size"), &[("PyObject", "size")])?;
    Ok(Values {
        head,
        var_head: source.need(("", ""), &[("PyVarObject", "size")])?,
        ob_size: source.need(("tuple_object", "ob_size"), &[("PyVarObject", "ob_size")])?,
        ssize: if version.at_least(2, 5) { source.word_size } else { 4 },
        frame: frame(source)?,
        code: code(source)?,
        types: types(source)?,
        tuple_items: source.need(("tuple_object", "ob_item"), &[("PyTupleObject", "ob_item")])?,
        list_items: source.need(("list_object", "ob_item"), &[("PyListObject", "ob_item")])?,
        float: source.need(("float_object", "ob_fval"), &[("PyFloatObject", "ob_fval")])?,
        complex: source.need(("", ""), &[("PyComplexObject", "cval")])?,
        long_digits: source.need(
            ("long_object", "ob_digit"),
            &[("PyLongObject", "long_value.ob_digit"), ("PyLongObject", "ob_digit")],
        )?,
        bytearray: source
            .first(&[("PyByteArrayObject", "ob_start"), ("PyByteArrayObject", "ob_bytes")]),
        set: set("used", "used")
            .and_then(|used| Some((used, set("mask", "mask")?, set("table", "table")?))),
        set_key: table("setentry", "key").unwrap_or(0),
        dict_size: source.need(("dict_object", "size"), &[("PyDictObject", "size")])?,
        dict_used: source.need(("", ""), &[("PyDictObject", "ma_used")])?,
        function: FunctionValues {
            code: source.need(("", ""), &[("PyFunctionObject", "func_code")])?,
            globals: source.need(("", ""), &[("PyFunctionObject", "func_globals")])?,
            name: source.need(("", ""), &[("PyFunctionObject", "func_name")])?,
            qualname: table("PyFunctionObject", "func_qualname"),
        },
        generator: GeneratorValues {
            frame: table("PyGenObject", "gi_frame"),
            inner: source.either(("gen_object", "gi_iframe"), &[("PyGenObject", "gi_iframe")]),
            state: source
                .either(("gen_object", "gi_frame_state"), &[("PyGenObject", "gi_frame_state")]),
            code: table("PyGenObject", "gi_code"),
            qualname: table("PyGenObject", "gi_qualname"),
        },
        method: (
            table("PyMethodObject", "im_func").unwrap_or(head),
            table("PyMethodObject", "im_self").unwrap_or(head + source.word_size),
        ),
        cell: table("PyCellObject", "ob_ref").unwrap_or(head),
        instance: table("PyInstanceObject", "in_class").zip(table("PyInstanceObject", "in_dict")),
        classic: table("PyClassObject", "cl_name").zip(table("PyClassObject", "cl_dict")),
    })
}

fn frame(source: &Source) -> Result<FrameValues, Unsupported> {
    const S: &str = "_PyInterpreterFrame";
    const H: &str = "PyFrameObject";
    Ok(FrameValues {
        localsplus: source
            .need(("interpreter_frame", "localsplus"), &[(S, "localsplus"), (H, "f_localsplus")])?,
        locals: source.need(("", ""), &[(S, "f_locals"), (H, "f_locals")])?,
        globals: source.need(("", ""), &[(S, "f_globals"), (H, "f_globals")])?,
        object_frame: source.table(H, "f_frame"),
    })
}

fn code(source: &Source) -> Result<CodeValues, Unsupported> {
    const S: &str = "PyCodeObject";
    let field = |name| source.need(("", ""), &[(S, name)]);
    let published = |name| source.either(("code_object", name), &[]);
    let all = |name, own| published(name).or_else(|| source.table(S, own));
    let names = all("localsplusnames", "co_localsplusnames");
    let kinds = all("localspluskinds", "co_localspluskinds");
    Ok(CodeValues {
        argcount: source.need(("code_object", "argcount"), &[(S, "co_argcount")])?,
        posonly: source.table(S, "co_posonlyargcount"),
        kwonly: source.table(S, "co_kwonlyargcount"),
        nlocals: field("co_nlocals")?,
        flags: field("co_flags")?,
        names: match names.zip(kinds) {
            Some((names, kinds)) => LocalNames::One(names, kinds),
            None => LocalNames::Three(
                field("co_varnames")?,
                field("co_cellvars")?,
                field("co_freevars")?,
            ),
        },
    })
}

fn types(source: &Source) -> Result<TypeValues, Unsupported> {
    const S: &str = "PyTypeObject";
    let field = |name| source.need(("", ""), &[(S, name)]);
    Ok(TypeValues {
        repr: source.need(("type_object", "tp_repr"), &[(S, "tp_repr")])?,
        base: field("tp_base")?,
        dict: field("tp_dict")?,
        mro: field("tp_mro")?,
        members: field("tp_members")?,
        itemsize: field("tp_itemsize")?,
        heap_qualname: source.table("PyHeapTypeObject", "ht_qualname"),
    })
}
