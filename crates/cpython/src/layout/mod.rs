//! Where things are in the structs of one CPython: data, not types.
//!
//! A [`Layout`] holds the offsets that the readers need, in bytes. CPython 3.13 and later
//! publish most of them in the target ([`debug_offsets`]); the rest, and all of the
//! older versions', comes from the tables in `layouts/` ([`table`]).

pub mod debug_offsets;
mod parts;
pub mod table;
pub mod values;
pub mod waits;

pub use parts::{
    Code, FIRST_HIDDEN_OWNER, Frame, Interpreter, Lasti, LineFormat, Object, Runtime, Text, Thread,
};

use crate::version::Version;
use debug_offsets::DebugOffsets;
use remote::Arch;
use std::fmt;
use table::Table;

/// The offsets of one version on one architecture.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The version they are of.
    pub version: Version,
    /// Built with `--disable-gil`.
    pub free_threaded: bool,
    /// Word size and byte order.
    pub arch: Arch,
    /// `_PyRuntimeState`, 3.7 and later.
    pub runtime: Runtime,
    /// `PyInterpreterState`.
    pub interpreter: Interpreter,
    /// `PyThreadState`.
    pub thread: Thread,
    /// `struct _gil_runtime_state`: `last_holder`, `locked`; 3.12 and later.
    pub gil: Option<(u32, u32)>,
    /// `_PyInterpreterFrame` or, up to 3.10, `PyFrameObject`.
    pub frame: Frame,
    /// `PyCodeObject`.
    pub code: Code,
    /// Strings.
    pub text: Text,
    /// Objects, types and dictionaries.
    pub object: Object,
    /// Local variables and values.
    pub values: values::Values,
    /// What threads wait for.
    pub waits: waits::Waits,
}

/// A version of which no layout is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// What was asked for, and what is known.
    pub message: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unsupported {}

/// Looks fields up: in what the target publishes first, in the table otherwise.
struct Source<'a> {
    published: Option<&'a DebugOffsets>,
    table: Table,
    version: Version,
    /// Bytes in a pointer of the target.
    word_size: u32,
}

impl Source<'_> {
    fn table(&self, of: &str, field: &str) -> Option<u32> {
        self.table.get(of, field)
    }

    fn first(&self, choices: &[(&str, &str)]) -> Option<u32> {
        choices.iter().find_map(|(of, field)| self.table(of, field))
    }

    /// `published` names the field in `_Py_DebugOffsets`, `choices` in the table.
    fn either(&self, published: (&str, &str), choices: &[(&str, &str)]) -> Option<u32> {
        match self.published {
            Some(offsets) => offsets.get(published.0, published.1).or_else(|| self.first(choices)),
            None => self.first(choices),
        }
    }

    fn need(&self, published: (&str, &str), choices: &[(&str, &str)]) -> Result<u32, Unsupported> {
        self.either(published, choices).ok_or_else(|| Unsupported {
            message: format!("no offset of {published:?} is known for CPython {}", self.version),
        })
    }
}

impl Layout {
    /// The layout of `version`, with what the target publishes where it does.
    pub fn new(
        version: Version,
        free_threaded: bool,
        arch: Arch,
        published: Option<&DebugOffsets>,
    ) -> Result<Layout, Unsupported> {
        let known = Table::for_version(
            version.major,
            version.minor,
            version.patch,
            free_threaded,
            arch.pointer,
        );
        let table = match (known, published) {
            (Some(table), _) => table,
            // A version that is newer than this program: what it does not publish is
            // most likely where its predecessor had it.
            (None, Some(_)) => Table::newest(free_threaded, arch.pointer),
            (None, None) => {
                return Err(Unsupported {
                    message: format!("CPython {version} ({}-bit) is not known", arch.pointer * 8),
                });
            }
        };
        let source = Source { published, table, version, word_size: u32::from(arch.pointer) };
        Ok(Layout {
            version,
            free_threaded,
            arch,
            runtime: Runtime {
                interpreters_head: source.either(
                    ("runtime_state", "interpreters_head"),
                    &[("_PyRuntimeState", "interpreters.head")],
                ),
                tstate_current: source.table("_PyRuntimeState", "gilstate.tstate_current"),
                auto_interpreter: source.table("_PyRuntimeState", "gilstate.autoInterpreterState"),
            },
            interpreter: interpreter(&source)?,
            thread: thread(&source)?,
            gil: gil(&source),
            frame: frame(&source)?,
            code: code(&source)?,
            text: text(&source, free_threaded)?,
            object: object(&source)?,
            values: values::values(&source)?,
            waits: waits::waits(&source),
        })
    }
}

fn interpreter(source: &Source) -> Result<Interpreter, Unsupported> {
    const S: &str = "PyInterpreterState";
    Ok(Interpreter {
        next: source.need(("interpreter_state", "next"), &[(S, "next")])?,
        id: source.either(("interpreter_state", "id"), &[(S, "id")]),
        threads_head: source.need(
            ("interpreter_state", "threads_head"),
            &[(S, "threads.head"), (S, "tstate_head")],
        )?,
        modules: source.either(
            ("interpreter_state", "imports_modules"),
            &[(S, "imports.modules"), (S, "modules")],
        ),
        gil: source.either(("interpreter_state", "ceval_gil"), &[(S, "ceval.gil")]),
        code_generation: source
            .published
            .and_then(|offsets| offsets.get("interpreter_state", "code_object_generation")),
        collecting: source.table(S, "gc.collecting"),
    })
}

fn thread(source: &Source) -> Result<Thread, Unsupported> {
    const S: &str = "PyThreadState";
    let published = source.published.is_some();
    let current = [(S, "current_frame"), (S, "cframe"), (S, "frame")];
    let cframe = if published || source.table(S, "current_frame").is_some() {
        None
    } else {
        source.table(S, "cframe").and(source.first(&[("_PyCFrame", "current_frame")]))
    };
    // 3.10 has a C frame too, which does not lead to the frames.
    let frame = match source.table(S, "frame") {
        Some(frame) if !published => frame,
        _ => source.need(("thread_state", "current_frame"), &current)?,
    };
    Ok(Thread {
        size: source.need(("thread_state", "size"), &[(S, "size")])?,
        next: source.need(("thread_state", "next"), &[(S, "next")])?,
        interp: source.need(("thread_state", "interp"), &[(S, "interp")])?,
        frame,
        cframe_current: cframe,
        cframe: source.table(S, "cframe").filter(|_| !published),
        cframe_previous: source
            .first(&[("_PyCFrame", "previous"), ("CFrame", "previous")])
            .filter(|_| !published),
        thread_id: source.need(("thread_state", "thread_id"), &[(S, "thread_id")])?,
        native_thread_id: source
            .either(("thread_state", "native_thread_id"), &[(S, "native_thread_id")]),
        serial: source.table(S, "id").filter(|_| !published),
        chunk: source.either(("thread_state", "datastack_chunk"), &[(S, "datastack_chunk")]),
        state: source.table(S, "state"),
        status: source.either(("thread_state", "status"), &[(S, "_status")]),
        holds_gil: source.published.and_then(|offsets| offsets.get("thread_state", "holds_gil")),
        gil_requested: source
            .published
            .and_then(|offsets| offsets.get("thread_state", "gil_requested")),
    })
}

fn gil(source: &Source) -> Option<(u32, u32)> {
    if !source.version.at_least(3, 12) {
        return None;
    }
    let field = |name| source.table("_gil_runtime_state", name);
    Some((field("last_holder")?, field("locked")?))
}

fn frame(source: &Source) -> Result<Frame, Unsupported> {
    const S: &str = "_PyInterpreterFrame";
    const H: &str = "PyFrameObject";
    let heap = !source.version.at_least(3, 11);
    let version = source.version;
    let previous =
        source.need(("interpreter_frame", "previous"), &[(S, "previous"), (H, "f_back")])?;
    let code = source.need(
        ("interpreter_frame", "executable"),
        &[(S, "f_executable"), (S, "f_code"), (H, "f_code")],
    )?;
    let lasti = source.need(
        ("interpreter_frame", "instr_ptr"),
        &[(S, "instr_ptr"), (S, "prev_instr"), (H, "f_lasti")],
    )?;
    let owner = source.either(("interpreter_frame", "owner"), &[(S, "owner")]);
    let tlbc_index = source
        .published
        .filter(|offsets| offsets.free_threaded && version.at_least(3, 14))
        .and_then(|offsets| offsets.get("interpreter_frame", "tlbc_index"))
        .filter(|offset| *offset != 0);
    let fields = [
        Some((previous, 8)),
        Some((code, 8)),
        Some((lasti, 8)),
        owner.map(|at| (at, 1)),
        tlbc_index.map(|at| (at, 4)),
    ];
    let used = fields.iter().flatten();
    let span =
        used.fold((u32::MAX, 0), |(low, high), (at, size)| (low.min(*at), high.max(at + size)));
    Ok(Frame {
        heap,
        previous,
        code,
        // Stack references carry a tag in the low bits of pointers from 3.14 on
        // (Include/internal/pycore_stackref.h).
        tag_mask: if version.at_least(3, 14) { 3 } else { 0 },
        lasti,
        lasti_kind: match (version.major, version.minor) {
            (2, _) | (3, ..=9) => Lasti::Bytes,
            (3, 10) => Lasti::Instructions,
            _ => Lasti::Pointer,
        },
        owner: owner.filter(|_| !heap),
        ends_hidden: version.at_least(3, 12),
        tlbc_index,
        span,
    })
}

fn code(source: &Source) -> Result<Code, Unsupported> {
    const S: &str = "PyCodeObject";
    let version = source.version;
    Ok(Code {
        size: source.need(("code_object", "size"), &[(S, "size")])?,
        filename: source.need(("code_object", "filename"), &[(S, "co_filename")])?,
        name: source.need(("code_object", "name"), &[(S, "co_name")])?,
        qualname: source.either(("code_object", "qualname"), &[(S, "co_qualname")]),
        linetable: source
            .need(("code_object", "linetable"), &[(S, "co_linetable"), (S, "co_lnotab")])?,
        firstlineno: source.need(("code_object", "firstlineno"), &[(S, "co_firstlineno")])?,
        consts: source.table(S, "co_consts"),
        flags: source.table(S, "co_flags"),
        bytecode: source.need(
            ("code_object", "co_code_adaptive"),
            &[(S, "co_code_adaptive"), (S, "co_code")],
        )?,
        tlbc: source
            .published
            .filter(|offsets| offsets.free_threaded)
            .and_then(|offsets| offsets.get("code_object", "co_tlbc"))
            .filter(|offset| *offset != 0),
        version: source.table(S, "co_version"),
        lines: match (version.major, version.minor) {
            (2, _) | (3, ..=5) => LineFormat::LnotabUnsigned,
            (3, ..=9) => LineFormat::Lnotab,
            (3, 10) => LineFormat::Pep626,
            _ => LineFormat::Locations,
        },
    })
}

fn text(source: &Source, free_threaded: bool) -> Result<Text, Unsupported> {
    const A: &str = "PyASCIIObject";
    const U: &str = "PyUnicodeObject";
    let version = source.version;
    let bytes = [("PyBytesObject", "ob_sval"), ("PyStringObject", "ob_sval")];
    Ok(Text {
        flexible: version.at_least(3, 3),
        length: source.need(("unicode_object", "length"), &[(A, "length"), (U, "length")])?,
        state: source.either(("unicode_object", "state"), &[(A, "state")]).unwrap_or(0),
        // Two bits of `interned` come first; free-threaded builds give it a byte from
        // 3.14 on (Include/cpython/unicodeobject.h).
        kind_shift: if free_threaded && version.at_least(3, 14) { 8 } else { 2 },
        hash: source.first(&[(A, "hash"), (U, "hash")]).unwrap_or(0),
        ascii_data: source
            .either(("unicode_object", "asciiobject_size"), &[(A, "size")])
            .unwrap_or(0),
        compact_data: source
            .either(
                ("unicode_object", "compactunicodeobject_size"),
                &[("PyCompactUnicodeObject", "size")],
            )
            .unwrap_or(0),
        data: source.first(&[(U, "data"), (U, "str")]).unwrap_or(0),
        bytes_size: source.need(("bytes_object", "ob_size"), &[("PyVarObject", "ob_size")])?,
        bytes_data: source.need(("bytes_object", "ob_sval"), &bytes)?,
    })
}

fn object(source: &Source) -> Result<Object, Unsupported> {
    const T: &str = "PyTypeObject";
    let ob_type = source.need(("pyobject", "ob_type"), &[("PyObject", "ob_type")])?;
    Ok(Object {
        ob_type,
        tp_name: source.need(("type_object", "tp_name"), &[(T, "tp_name")])?,
        tp_flags: source.need(("type_object", "tp_flags"), &[(T, "tp_flags")])?,
        tp_basicsize: source.need(("type_object", "tp_basicsize"), &[(T, "tp_basicsize")])?,
        tp_dictoffset: source.need(("type_object", "tp_dictoffset"), &[(T, "tp_dictoffset")])?,
        ht_cached_keys: source.either(
            ("heap_type_object", "ht_cached_keys"),
            &[("PyHeapTypeObject", "ht_cached_keys")],
        ),
        // PyModuleObject begins with its dictionary in every version
        // (Objects/moduleobject.c, Include/internal/pycore_moduleobject.h).
        md_dict: source
            .table("PyModuleObject", "md_dict")
            .unwrap_or(ob_type + u32::from(source.word())),
        dict_keys: source.need(
            ("dict_object", "ma_keys"),
            &[("PyDictObject", "ma_keys"), ("PyDictObject", "ma_table")],
        )?,
        dict_values: source.either(("dict_object", "ma_values"), &[("PyDictObject", "ma_values")]),
        dict_mask: source.table("PyDictObject", "ma_mask"),
        int_digits: source.need(
            ("long_object", "ob_digit"),
            &[
                ("PyIntObject", "ob_ival"),
                ("PyLongObject", "long_value.ob_digit"),
                ("PyLongObject", "ob_digit"),
            ],
        )?,
        int_size: source.need(
            ("long_object", "lv_tag"),
            &[("PyLongObject", "long_value.lv_tag"), ("PyVarObject", "ob_size")],
        )?,
    })
}

impl Source<'_> {
    fn word(&self) -> u8 {
        // ob_type is the second word of every object but a free-threaded one's, whose
        // tables name md_dict.
        self.table("PyObject", "ob_type").map_or(8, |at| at as u8)
    }
}
