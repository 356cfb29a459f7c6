//! Struct offsets per CPython version, from text files made by `scripts/layout-gen`.
//!
//! `crates/cpython/layouts/<arch>/<version>.txt` has comment lines (`#`) and then a line a struct:
//!
//! ```text
//! PyFrameObject size=384 f_back=24 f_code=32
//! ```
//!
//! `size` is the struct's `sizeof`; a C member that is itself called `size` is `size_`. Offsets are in
//! bytes. A field that a version does not have is absent.
//!
//! A file holds for the patch releases that [`ENTRIES`] says. CPython has moved fields in patch
//! releases a few times. The headers of the releases from 2.3.1 to 3.12.6 were compared (all but some
//! last security fixes: 3.5.10, 3.6.12 to .14, and what came after 3.9.20, 3.10.15 and 3.11.10), and of
//! later ones 3.13.0, .5, .15, .18, 3.14.6, .8, .10 and 3.15.0, .2. Two moves matter: 3.7.4
//! (`_PyRuntimeState` grew before `ceval` and `gilstate`) and 3.13.13 (`datastack_cached_chunk` at the
//! end of `PyThreadState`, with which `_PyThreadStateImpl` begins).
//!
//! The files are for the Linux ABI of their folder: structs with platform types inside
//! (`pthread_mutex_t`, `long`) differ elsewhere, and in debug builds up to 3.12 (`Py_TRACE_REFS`, which
//! `Py_DEBUG` implied up to 3.7) every object starts with two more words.

use std::ops::RangeInclusive;

/// One embedded file and what it is valid for.
struct Entry {
    major: u8,
    minor: u8,
    patches: RangeInclusive<u8>,
    free_threaded: bool,
    pointer_width: u8,
    text: &'static str,
}

macro_rules! entry {
    ($major:literal, $minor:literal, $patches:expr, $free_threaded:literal, $file:literal) => {
        Entry {
            major: $major,
            minor: $minor,
            patches: $patches,
            free_threaded: $free_threaded,
            pointer_width: 8,
            text: include_str!(concat!("../../layouts/x86_64/", $file, ".txt")),
        }
    };
}

/// All files; within a minor version oldest first.
static ENTRIES: &[Entry] = &[
    entry!(2, 3, 0..=u8::MAX, false, "2.3"),
    entry!(2, 4, 0..=u8::MAX, false, "2.4"),
    entry!(2, 5, 0..=u8::MAX, false, "2.5"),
    entry!(2, 6, 0..=u8::MAX, false, "2.6"),
    entry!(2, 7, 0..=u8::MAX, false, "2.7"),
    entry!(3, 3, 0..=u8::MAX, false, "3.3"),
    entry!(3, 4, 0..=u8::MAX, false, "3.4"),
    entry!(3, 5, 0..=u8::MAX, false, "3.5"),
    entry!(3, 6, 0..=u8::MAX, false, "3.6"),
    entry!(3, 7, 0..=3, false, "3.7.0"),
    entry!(3, 7, 4..=u8::MAX, false, "3.7"),
    entry!(3, 8, 0..=u8::MAX, false, "3.8"),
    entry!(3, 9, 0..=u8::MAX, false, "3.9"),
    entry!(3, 10, 0..=u8::MAX, false, "3.10"),
    entry!(3, 11, 0..=u8::MAX, false, "3.11"),
    entry!(3, 12, 0..=u8::MAX, false, "3.12"),
    entry!(3, 13, 0..=12, false, "3.13.0"),
    entry!(3, 13, 13..=u8::MAX, false, "3.13"),
    entry!(3, 13, 0..=12, true, "3.13.0t"),
    entry!(3, 13, 13..=u8::MAX, true, "3.13t"),
    entry!(3, 14, 0..=u8::MAX, false, "3.14"),
    entry!(3, 14, 0..=u8::MAX, true, "3.14t"),
    entry!(3, 15, 0..=u8::MAX, false, "3.15"),
    entry!(3, 15, 0..=u8::MAX, true, "3.15t"),
];

/// The struct offsets of one CPython version.
#[derive(Debug, Clone)]
pub struct Table {
    /// The major version, 2 or 3.
    pub major: u8,
    /// The minor version.
    pub minor: u8,
    /// The patch releases the table is valid for.
    pub patches: RangeInclusive<u8>,
    /// Whether it is for builds without the GIL (`Py_GIL_DISABLED`).
    pub free_threaded: bool,
    /// Bytes in a pointer of the target: 4 or 8.
    pub pointer_width: u8,
    structs: Vec<Struct>,
}

#[derive(Debug, Clone)]
struct Struct {
    name: &'static str,
    fields: Vec<(&'static str, u32)>,
}

impl Table {
    /// The table for this version. `None` for a minor version that has none, and for a pointer width
    /// that has none.
    pub fn for_version(
        major: u8,
        minor: u8,
        patch: u8,
        free_threaded: bool,
        pointer_width: u8,
    ) -> Option<Table> {
        ENTRIES
            .iter()
            .find(|e| {
                (e.major, e.minor, e.free_threaded, e.pointer_width)
                    == (major, minor, free_threaded, pointer_width)
                    && e.patches.contains(&patch)
            })
            .map(Table::read)
    }

    /// The newest version's table: the best guess for what an unseen, newer version does not publish
    /// about itself. Empty (every [`get`](Table::get) is `None`) if there is none of this pointer width.
    pub fn newest(free_threaded: bool, pointer_width: u8) -> Table {
        ENTRIES
            .iter()
            .filter(|e| (e.free_threaded, e.pointer_width) == (free_threaded, pointer_width))
            .max_by_key(|e| (e.major, e.minor, *e.patches.start()))
            .map_or_else(
                || Table {
                    major: 0,
                    minor: 0,
                    patches: 0..=0,
                    free_threaded,
                    pointer_width,
                    structs: Vec::new(),
                },
                Table::read,
            )
    }

    /// The offset in bytes of a field (`"interpreters.head"` for a nested one); `"size"` gives the
    /// struct's size. `None` for what this version does not have.
    pub fn get(&self, struct_name: &str, field: &str) -> Option<u32> {
        let fields = self.fields(struct_name)?;
        fields.iter().find(|(name, _)| *name == field).map(|&(_, offset)| offset)
    }

    /// Names and offsets of a struct's fields in the file's order, `"size"` first.
    pub fn fields(&self, struct_name: &str) -> Option<&[(&'static str, u32)]> {
        let found = self.structs.iter().find(|s| s.name == struct_name)?;
        Some(&found.fields)
    }

    /// The names of the structs, in the file's order.
    pub fn structs(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.structs.iter().map(|s| s.name)
    }

    /// Every table there is.
    pub fn versions() -> impl Iterator<Item = Table> {
        ENTRIES.iter().map(Table::read)
    }

    /// Reads the text that `scripts/layout-gen` prints; the number of the first malformed line otherwise.
    /// A duplicate struct or field, or a struct without a size, is malformed.
    pub fn check_text(text: &str) -> Result<(), usize> {
        let mut seen: Vec<&str> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let malformed = Err(index + 1);
            if is_comment(line) {
                continue;
            }
            let mut words = line.split_whitespace();
            let Some(name) = words.next() else { return malformed };
            if name.contains('=') || seen.contains(&name) {
                return malformed;
            }
            seen.push(name);
            let mut fields: Vec<&str> = Vec::new();
            for word in words {
                match parse_pair(word) {
                    Some((field, _)) if !fields.contains(&field) => fields.push(field),
                    _ => return malformed,
                }
            }
            if fields.first() != Some(&"size") {
                return malformed;
            }
        }
        Ok(())
    }

    /// The text of the file behind each table, in the order of [`versions`](Table::versions).
    pub fn texts() -> impl Iterator<Item = &'static str> {
        ENTRIES.iter().map(|e| e.text)
    }

    fn read(entry: &Entry) -> Table {
        Table {
            major: entry.major,
            minor: entry.minor,
            patches: entry.patches.clone(),
            free_threaded: entry.free_threaded,
            pointer_width: entry.pointer_width,
            structs: parse(entry.text),
        }
    }
}

fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

fn parse_pair(word: &str) -> Option<(&str, u32)> {
    let (name, offset) = word.split_once('=')?;
    Some((name, offset.parse().ok()?))
}

/// What is malformed is left out: `check_text` and the tests see to it that nothing is.
fn parse(text: &'static str) -> Vec<Struct> {
    text.lines()
        .filter(|line| !is_comment(line))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            Some(Struct { name, fields: words.filter_map(parse_pair).collect() })
        })
        .collect()
}
