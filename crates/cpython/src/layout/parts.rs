//! The parts of a [`Layout`](super::Layout): one for each struct of CPython that the readers know.

/// Offsets in `_PyRuntimeState`.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// `interpreters.head`.
    pub interpreters_head: Option<u32>,
    /// `gilstate.tstate_current` (3.7 to 3.11): the thread state that holds the GIL.
    pub tstate_current: Option<u32>,
    /// `gilstate.autoInterpreterState`: the main interpreter.
    pub auto_interpreter: Option<u32>,
}

/// Offsets in `PyInterpreterState`.
#[derive(Debug, Clone)]
pub struct Interpreter {
    /// The next interpreter.
    pub next: u32,
    /// Its number (3.7 and later).
    pub id: Option<u32>,
    /// The first thread state.
    pub threads_head: u32,
    /// `sys.modules`.
    pub modules: Option<u32>,
    /// Pointer to its GIL (3.12 and later).
    pub gil: Option<u32>,
    /// A number that changes whenever a code object dies (3.14 and later).
    pub code_generation: Option<u32>,
    /// `gc.collecting` (3.9 and later), an int.
    pub collecting: Option<u32>,
}

/// Offsets in `PyThreadState`.
#[derive(Debug, Clone)]
pub struct Thread {
    /// Its size.
    pub size: u32,
    /// The next thread state.
    pub next: u32,
    /// Its interpreter.
    pub interp: u32,
    /// The current frame; in 3.11 and 3.12 the C frame that points to it.
    pub frame: u32,
    /// Where the C frame (3.11, 3.12) points to the current frame.
    pub cframe_current: Option<u32>,
    /// The innermost C frame (3.10 to 3.12): each run of the evaluation loop has one on its
    /// native stack.
    pub cframe: Option<u32>,
    /// Where a C frame points to that of the run around it.
    pub cframe_previous: Option<u32>,
    /// `pthread_self()`, an unsigned long.
    pub thread_id: u32,
    /// The system's thread id (3.11 and later).
    pub native_thread_id: Option<u32>,
    /// `id`: of all thread states that an interpreter has had no two have the same (3.7 and later;
    /// not published by 3.13 and later).
    pub serial: Option<u32>,
    /// The newest chunk of the data stack (3.11 and later).
    pub chunk: Option<u32>,
    /// Attached, detached or suspended: an int (3.13 and later).
    pub state: Option<u32>,
    /// The `_status` bit field (3.12 and later).
    pub status: Option<u32>,
    /// Non-zero while it holds the GIL (3.15 and later), an int.
    pub holds_gil: Option<u32>,
    /// Non-zero while it waits for the GIL (3.15 and later), an int.
    pub gil_requested: Option<u32>,
}

/// How the instruction that a frame is at is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasti {
    /// `f_lasti`, an int: bytes into the bytecode (up to 3.9).
    Bytes,
    /// `f_lasti`, an int: instructions of two bytes (3.10).
    Instructions,
    /// A pointer into the code object (3.11 and later).
    Pointer,
}

/// Offsets in a frame.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Frames are objects on the heap (up to 3.10), not entries of a data stack.
    pub heap: bool,
    /// The caller's frame.
    pub previous: u32,
    /// The code object.
    pub code: u32,
    /// The bits of `code` that are not part of the pointer.
    pub tag_mask: u64,
    /// The current instruction.
    pub lasti: u32,
    /// What `lasti` holds.
    pub lasti_kind: Lasti,
    /// Who owns the frame: a byte (3.11 and later).
    pub owner: Option<u32>,
    /// The outermost frame is always one of the interpreter's own (3.12 and later: every
    /// `_PyEval_EvalFrameDefault` has an entry frame, Python/ceval.c).
    pub ends_hidden: bool,
    /// Index of the thread-local bytecode (free-threaded 3.14 and later), an i32.
    pub tlbc_index: Option<u32>,
    /// The fields lie in this range of offsets.
    pub span: (u32, u32),
}

/// Owners of this number and above are the interpreter's own frames and are not shown:
/// `FRAME_OWNED_BY_CSTACK` is 3 in 3.12 and 3.13, in 3.14 `FRAME_OWNED_BY_INTERPRETER` is
/// 3 and CSTACK 4, in 3.15 INTERPRETER is 3 (Include/internal/pycore_frame.h,
/// pycore_interpframe_structs.h).
pub const FIRST_HIDDEN_OWNER: u8 = 3;

/// How lines are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// `co_lnotab` with unsigned line steps (before 3.6).
    LnotabUnsigned,
    /// `co_lnotab` with signed line steps (3.6 to 3.9).
    Lnotab,
    /// `co_linetable` of PEP 626 (3.10).
    Pep626,
    /// Location table of PEP 657 (3.11 and later).
    Locations,
}

/// Offsets in `PyCodeObject`.
#[derive(Debug, Clone)]
pub struct Code {
    /// Its size up to the bytecode.
    pub size: u32,
    /// `co_filename`.
    pub filename: u32,
    /// `co_name`.
    pub name: u32,
    /// `co_qualname` (3.11 and later).
    pub qualname: Option<u32>,
    /// `co_lnotab` or `co_linetable`.
    pub linetable: u32,
    /// `co_firstlineno`, an int.
    pub firstlineno: u32,
    /// `co_consts`.
    pub consts: Option<u32>,
    /// `co_flags`, an int.
    pub flags: Option<u32>,
    /// `co_code`, an object (up to 3.10), or `co_code_adaptive`, the bytes themselves.
    pub bytecode: u32,
    /// `co_tlbc` (free-threaded 3.14 and later).
    pub tlbc: Option<u32>,
    /// `co_version` (3.11 and later): a number given once, an unsigned int.
    pub version: Option<u32>,
    /// How its lines are stored.
    pub lines: LineFormat,
}

/// Offsets in strings.
#[derive(Debug, Clone)]
pub struct Text {
    /// Whether `str` has the flexible representation (3.3 and later).
    pub flexible: bool,
    /// Length in characters.
    pub length: u32,
    /// The state bits, 32 of them.
    pub state: u32,
    /// Where the kind begins in the state: `compact` and `ascii` follow its three bits.
    pub kind_shift: u32,
    /// The hash.
    pub hash: u32,
    /// Characters of an ASCII string.
    pub ascii_data: u32,
    /// Characters of any other compact string.
    pub compact_data: u32,
    /// Pointer to the characters of all others.
    pub data: u32,
    /// `ob_size` of bytes (and of `str` in Python 2).
    pub bytes_size: u32,
    /// The bytes.
    pub bytes_data: u32,
}

/// Offsets in objects.
#[derive(Debug, Clone)]
pub struct Object {
    /// `ob_type`.
    pub ob_type: u32,
    /// `tp_name`.
    pub tp_name: u32,
    /// `tp_flags`.
    pub tp_flags: u32,
    /// `tp_basicsize`.
    pub tp_basicsize: u32,
    /// `tp_dictoffset`.
    pub tp_dictoffset: u32,
    /// `ht_cached_keys` (3.3 and later).
    pub ht_cached_keys: Option<u32>,
    /// `md_dict` of a module.
    pub md_dict: u32,
    /// `ma_keys`, or `ma_table` before 3.3.
    pub dict_keys: u32,
    /// `ma_values` (3.3 and later).
    pub dict_values: Option<u32>,
    /// `ma_mask` (before 3.3).
    pub dict_mask: Option<u32>,
    /// The digits of an int, or the value of a Python 2 int.
    pub int_digits: u32,
    /// `lv_tag` (3.12 and later) or `ob_size`.
    pub int_size: u32,
}
