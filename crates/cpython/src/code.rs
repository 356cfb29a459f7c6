//! Code objects: read once, kept while they live.

use crate::layout::{Lasti, Layout};
use crate::linetable::{self, Position};
use crate::object::{BadObject, Objects};
use remote::Batch;

/// Names longer than this many characters are cut; the compiler makes none such.
const MAX_NAME: usize = 1024;
const MAX_PATH: usize = 4096;
/// CO_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE, CO_ASYNC_GENERATOR (Include/code.h).
const GENERATOR_FLAGS: u64 = 0x20 | 0x80 | 0x100 | 0x200;
/// A line table longer than this is not believed.
const MAX_TABLE: usize = 16 << 20;

/// What does not change about a code object.
#[derive(Debug, Clone)]
pub struct CodeInfo {
    /// Its address; another code object may get it when this one has died.
    pub address: u64,
    /// `co_qualname` where there is one (3.11 and later), else `co_name`, or what was found out
    /// since ([`crate::value::Decoder::method_name`]).
    pub name: String,
    /// `co_filename`.
    pub filename: String,
    /// `co_firstlineno`.
    pub first_line: u32,
    /// Address of the bytecode (3.11 and later: inside the code object).
    pub start: u64,
    /// Length of the bytecode in bytes.
    pub length: u32,
    /// A generator, a coroutine or an asynchronous generator: something called it each
    /// time that it runs.
    pub is_generator: bool,
    table: Vec<u8>,
    signature: Signature,
}

/// What tells a code object from another that was given its address. Pointers and the
/// number in `co_version` (3.12 and later: given once in an interpreter,
/// Objects/codeobject.c `init_code`, until 2^32 are used up); before that, where everything about a short-lived code object may be allocated at
/// the same addresses again, also the content of its name and file name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    fields: [u64; 6],
    /// The name and file name objects: length, hash and first characters.
    texts: [[u64; TEXT_WORDS]; 2],
}

const TEXT_WORDS: usize = 8;

/// The part of a code object that a [`Signature`] needs: offset and length.
pub fn signature_span(layout: &Layout) -> (u32, usize) {
    let code = &layout.code;
    let fields = [
        Some(code.filename),
        Some(code.name),
        Some(code.linetable),
        Some(code.firstlineno),
        code.consts,
        code.version,
    ];
    let low = fields.iter().flatten().min().copied().unwrap_or(0);
    let high = fields.iter().flatten().max().copied().unwrap_or(0);
    (low, (high - low) as usize + layout.arch.word())
}

/// Whether the texts are needed to tell code objects apart: where they have no number
/// (before 3.12), or the numbers have run out (it is 0 then).
fn with_texts(fields: &[u64; 6]) -> bool {
    fields[5] == 0
}

/// Offset and length of the part of a string object that a signature holds: from the
/// length on, past the hash, into the characters of a short name.
fn text_span(layout: &Layout) -> (u32, usize) {
    let from = if layout.text.flexible { layout.text.length } else { layout.text.bytes_size };
    (from, TEXT_WORDS * layout.arch.word())
}

impl Signature {
    /// Asks `batch` for what [`Signature::from_batch`] will need of the code object at
    /// `address`, of which `self` is the signature known so far.
    pub fn request(&self, layout: &Layout, address: u64, batch: &mut Batch) {
        let (low, length) = signature_span(layout);
        batch.push(address.wrapping_add(u64::from(low)), length);
        if with_texts(&self.fields) {
            let (from, length) = text_span(layout);
            for text in [self.fields[0], self.fields[1]] {
                batch.push(text.wrapping_add(u64::from(from)), length);
            }
        }
    }

    /// Whether the code object at `address` is still the one of this signature; `None`
    /// where the batch does not hold what is needed to tell.
    pub fn still(&self, layout: &Layout, address: u64, batch: &Batch) -> Option<bool> {
        let fields = fields(layout, address, batch)?;
        if fields != self.fields {
            return Some(false);
        }
        if !with_texts(&fields) {
            return Some(true);
        }
        for (object, known) in [fields[0], fields[1]].into_iter().zip(&self.texts) {
            if text_words(layout, object, batch)? != *known {
                return Some(false);
            }
        }
        Some(true)
    }

    /// From a batch in which [`Signature::request`] has asked for the parts.
    fn from_batch(layout: &Layout, address: u64, batch: &Batch) -> Option<Signature> {
        let fields = fields(layout, address, batch)?;
        let mut signature = Signature { fields, ..Signature::default() };
        if with_texts(&fields) {
            for (i, object) in [fields[0], fields[1]].into_iter().enumerate() {
                signature.texts[i] = text_words(layout, object, batch)?;
            }
        }
        Some(signature)
    }
}

/// The first two are the objects of the file name and the name.
fn fields(layout: &Layout, address: u64, batch: &Batch) -> Option<[u64; 6]> {
    let (low, length) = signature_span(layout);
    let bytes = batch.get(address.wrapping_add(u64::from(low)), length)?;
    let code = &layout.code;
    let arch = layout.arch;
    let ptr = |offset: u32| arch.ptr(bytes, (offset - low) as usize);
    let int = |offset: u32| arch.uint(bytes, (offset - low) as usize, 4);
    Some([
        ptr(code.filename)?,
        ptr(code.name)?,
        ptr(code.linetable)?,
        int(code.firstlineno)?,
        code.consts.and_then(ptr).unwrap_or(0),
        code.version.and_then(int).unwrap_or(0),
    ])
}

fn text_words(layout: &Layout, object: u64, batch: &Batch) -> Option<[u64; TEXT_WORDS]> {
    let (from, length) = text_span(layout);
    let bytes = batch.get(object.wrapping_add(u64::from(from)), length)?;
    let arch = layout.arch;
    let mut words = [0; TEXT_WORDS];
    for (i, word) in words.iter_mut().enumerate() {
        *word = arch.ptr(bytes, i * arch.word())?;
    }
    // What lies behind a short text belongs to other objects.
    let mut valid = text_bytes(layout, from, &words);
    for (i, word) in words.iter_mut().enumerate() {
        let used = valid.min(arch.word());
        valid -= used;
        if used < 8 {
            *word &= (1 << (8 * used)) - 1;
        }
        // The state, and in old versions a pointer behind it, are filled in later.
        let offset = from + (i * arch.word()) as u32;
        let state = layout.text.state;
        if layout.text.flexible && (offset == state || offset == state + arch.word() as u32) {
            *word = if offset < layout.text.ascii_data { 0 } else { *word };
        }
    }
    if !layout.text.flexible {
        // ob_sstate of a Python 2 str: interned or not.
        words[2] &= !0xffff_ffff;
    }
    Some(words)
}

/// How many bytes from the length on are the string object's own: up to the end of an
/// ASCII text; of others the length and the hash must do.
fn text_bytes(layout: &Layout, from: u32, words: &[u64; TEXT_WORDS]) -> usize {
    let text = &layout.text;
    let length = words[0].min(4096) as usize;
    if !text.flexible {
        return (text.bytes_data - from) as usize + length;
    }
    let state = words.get((text.state - from) as usize / layout.arch.word()).copied().unwrap_or(0);
    let ascii = state >> text.kind_shift >> 4 & 1 == 1;
    (text.ascii_data - from) as usize + if ascii { length } else { 0 }
}

impl CodeInfo {
    /// Reads the code object at `address`.
    pub fn load(objects: Objects, address: u64) -> Result<CodeInfo, BadObject> {
        let layout = objects.layout;
        let type_ = objects.type_of(address)?;
        if objects.type_name(type_)? != "code" {
            return Err(BadObject::Unexpected("a code object"));
        }
        let mut batch = Batch::default();
        let mut signature = Signature::default();
        // The texts' addresses come from the code object, so it takes two rounds.
        let (low, length) = signature_span(layout);
        batch.push(address.wrapping_add(u64::from(low)), length);
        objects.memory.read_batch(&mut batch)?;
        signature.fields =
            fields(layout, address, &batch).ok_or(BadObject::Unexpected("a code object"))?;
        signature.request(layout, address, &mut batch);
        objects.memory.read_batch(&mut batch)?;
        let signature = Signature::from_batch(layout, address, &batch)
            .ok_or(BadObject::Unexpected("a code object"))?;
        let code = &layout.code;
        let name = match code.qualname {
            Some(offset) => objects.field(address, offset)?,
            None => signature.fields[1],
        };
        let bytes_size = layout.text.bytes_size;
        let (start, length) = if layout.frame.lasti_kind == Lasti::Pointer {
            // A variable-sized object: ob_size counts instructions of two bytes.
            let units = objects.memory.uint(address.wrapping_add(u64::from(bytes_size)), 4)?;
            (address.wrapping_add(u64::from(code.bytecode)), units.saturating_mul(2))
        } else {
            let object = objects.field(address, code.bytecode)?;
            (object, objects.memory.uint(object.wrapping_add(u64::from(bytes_size)), 4)?)
        };
        let length = u32::try_from(length).ok().filter(|length| *length < 1 << 30);
        let table = signature.fields[2];
        // An int before 2.5, with nothing known behind it.
        let width = layout.values.ssize as usize;
        let size = objects.memory.uint(table.wrapping_add(u64::from(bytes_size)), width)?;
        let size = usize::try_from(size).ok().filter(|size| *size <= MAX_TABLE);
        let size = size.ok_or(BadObject::Unexpected("a line table"))?;
        let flags = match code.flags {
            Some(offset) => objects.memory.uint(address.wrapping_add(u64::from(offset)), 4)?,
            None => 0,
        };
        Ok(CodeInfo {
            address,
            is_generator: flags & GENERATOR_FLAGS != 0,
            name: objects.text(name, MAX_NAME)?,
            filename: objects.text(signature.fields[0], MAX_PATH)?,
            first_line: signature.fields[3] as u32,
            start,
            length: length.ok_or(BadObject::Unexpected("bytecode"))?,
            table: objects
                .memory
                .bytes(table.wrapping_add(u64::from(layout.text.bytes_data)), size)?,
            signature,
        })
    }

    /// Whether both were compiled from the same source to the same code, so that nothing
    /// that is shown of them differs.
    pub fn same_source(&self, other: &CodeInfo) -> bool {
        self.name == other.name
            && self.filename == other.filename
            && self.first_line == other.first_line
            && self.length == other.length
            && self.table == other.table
    }

    /// A hash of what [`CodeInfo::same_source`] compares.
    pub fn source_hash(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (&self.name, &self.filename, self.first_line, self.length, &self.table).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether it is the interpreter's own, `_Py_InitCleanup`: below the frame of an
    /// `__init__` that was entered without C code in between, CPython has one that
    /// checks what it returns, and hides it (3.13 and later, Python/specialize.c).
    pub fn is_shim(&self) -> bool {
        self.first_line == 0 && self.name == "__init__" && self.filename == self.name
    }

    /// What identifies it.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The source position of the instruction `lasti` bytes into the bytecode.
    pub fn position(&self, layout: &Layout, lasti: i32) -> Position {
        linetable::position(layout.code.lines, &self.table, self.first_line, lasti)
    }

    /// The raw instruction field of a frame as a number of bytes into the bytecode:
    /// negative before the first instruction; `None` if it does not point into this code,
    /// so that frame and code do not belong together.
    pub fn lasti(&self, layout: &Layout, raw: u64, thread_local: Option<u64>) -> Option<i32> {
        let offset = match layout.frame.lasti_kind {
            Lasti::Bytes => i64::from(raw as u32 as i32),
            Lasti::Instructions => i64::from(raw as u32 as i32) * 2,
            Lasti::Pointer => raw.wrapping_sub(thread_local.unwrap_or(self.start)) as i64,
        };
        (-2..i64::from(self.length)).contains(&offset).then_some(offset as i32)
    }
}
