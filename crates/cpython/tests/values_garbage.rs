//! Whatever lies in the target's memory, reading a value of it ends soon and shows
//! something that is not too long.

use cpython::frames::RawFrame;
use cpython::layout::table::Table;
use cpython::value::{Budget, Decoder, Value};
use cpython::{Layout, Objects, Version};
use remote::{Arch, Batch, Memory, ReadError};
use std::cell::Cell;

/// Memory that is made up as it is asked for: some pages of garbage, and types.
struct Garbage<'a> {
    layout: &'a Layout,
    seed: u64,
    /// Pointers go to these many pages, so that objects meet.
    pages: u64,
    style: Style,
    reads: Cell<u64>,
    bytes: Cell<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Style {
    /// Anything, and all of it can be read.
    Noise,
    /// Ones, likewise.
    Ones,
    /// Zeros with holes.
    Holes,
    /// Words that are pointers into the same few pages, or small numbers.
    Pointers,
    /// Likewise, and all that is pointed to has a type.
    Objects,
}

const BASE: u64 = 0x10_0000;
/// Objects lie this far from each other.
const SLOT: u64 = 64;
/// Where types are, how far from each other, and where their names.
const TYPES: u64 = 0x8000_0000;
const TYPE: u64 = 1024;
const TEXTS: u64 = 0x9000_0000;

const NAMES: &[&str] = &[
    "type",
    "object",
    "int",
    "long",
    "str",
    "bytes",
    "bytearray",
    "tuple",
    "list",
    "dict",
    "set",
    "range",
    "slice",
    "collections.deque",
    "collections.OrderedDict",
    "collections.defaultdict",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "BaseException",
    "module",
    "function",
    "method",
    "builtin_function_or_method",
    "method_descriptor",
    "method-wrapper",
    "generator",
    "coroutine",
    "code",
    "frame",
    "cell",
    "weakref.ReferenceType",
    "functools.partial",
    "array.array",
    "numpy.ndarray",
    "numpy.longdouble",
    "numpy.datetime64",
    "types.SimpleNamespace",
    "mappingproxy",
    "dict_items",
    "dict_keys",
    "unicode",
    "instance",
    "classobj",
    "xrange",
    "time.struct_time",
    "staticmethod",
    "float",
    "complex",
    "bool",
    "NoneType",
    "zoneinfo.ZoneInfo",
    "frozenset",
    "numpy.void",
];

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

impl Garbage<'_> {
    fn word(&self, address: u64) -> u64 {
        let random = mix(self.seed ^ address.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let inside = BASE + random % (self.pages * 4096 / SLOT) * SLOT;
        let typed = u64::from(self.layout.object.ob_type);
        match self.style {
            Style::Noise => random,
            Style::Ones => u64::MAX,
            Style::Holes => 0,
            Style::Objects if address % SLOT == typed => {
                TYPES + random % (2 * NAMES.len() as u64) * TYPE
            }
            Style::Pointers | Style::Objects => match random >> 60 {
                0 => 0,
                1 => random % 3,
                2 => random % 300,
                3 => random % (1 << 40),
                4 => random,
                5 => u64::MAX - random % 100,
                _ => inside,
            },
        }
    }

    /// A field of a type: the known ones, and as many classes that derive from them.
    fn type_field(&self, address: u64) -> u64 {
        let number = (address - TYPES) / TYPE;
        let (object, types) = (&self.layout.object, &self.layout.values.types);
        let count = NAMES.len() as u64;
        let class = number >= count;
        let is = |offset: u32| (address - TYPES) % TYPE == u64::from(offset) / 8 * 8;
        let random = mix(self.seed ^ address);
        if is(object.ob_type) {
            TYPES
        } else if is(object.tp_name) {
            TEXTS + number * 32
        } else if is(object.tp_flags) {
            u64::from(class) << 9 | if class { random & (1 << 4 | 1 << 2) } else { 0 }
        } else if is(types.base) {
            match number {
                1 => 0,
                _ if class => TYPES + (number - count) * TYPE,
                _ => TYPES + TYPE,
            }
        } else if is(types.repr) {
            if random.is_multiple_of(4) { random } else { number % count }
        } else if is(object.tp_basicsize) || is(types.itemsize) || is(object.tp_dictoffset) {
            random % 64 / 8 * 8
        } else {
            self.word(address)
        }
    }

    fn byte(&self, address: u64) -> u8 {
        if address >= TEXTS {
            let number = ((address - TEXTS) / 32) as usize;
            let name = NAMES.get(number).map_or("SomeClass", |name| *name);
            return name.as_bytes().get((address % 32) as usize).copied().unwrap_or(0);
        }
        let at = address & !7;
        let word = if at >= TYPES { self.type_field(at) } else { self.word(at) };
        word.to_le_bytes()[(address % 8) as usize]
    }

    fn is_readable(&self, address: u64) -> bool {
        match self.style {
            Style::Noise | Style::Ones => !(TYPES..=TEXTS << 1).contains(&address),
            Style::Holes => !mix(address >> 8).is_multiple_of(4),
            Style::Pointers | Style::Objects => {
                let end = TYPES + 2 * NAMES.len() as u64 * TYPE;
                let texts = TEXTS + 64 * NAMES.len() as u64;
                (BASE..BASE + self.pages * 4096).contains(&address)
                    || (TYPES..end).contains(&address)
                    || (TEXTS..texts).contains(&address)
            }
        }
    }
}

impl Memory for Garbage<'_> {
    fn arch(&self) -> Arch {
        Arch::LE64
    }

    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        self.reads.set(self.reads.get() + 1);
        self.bytes.set(self.bytes.get() + buffer.len() as u64);
        let last = address.wrapping_add(buffer.len() as u64 - 1);
        if !self.is_readable(address) || !self.is_readable(last) {
            return Err(ReadError::Fault { address, length: buffer.len() });
        }
        for (i, byte) in buffer.iter_mut().enumerate() {
            *byte = if self.style == Style::Noise || self.style == Style::Ones {
                self.word(address.wrapping_add(i as u64) & !7) as u8
            } else {
                self.byte(address.wrapping_add(i as u64))
            };
        }
        Ok(buffer.len())
    }

    fn read_batch(&self, batch: &mut Batch) -> Result<(), ReadError> {
        remote::batch::read_one_by_one(self, batch);
        Ok(())
    }
}

fn layouts() -> Vec<Layout> {
    let layout = |table: Table| {
        let version = Version::new(table.major, table.minor, *table.patches.start());
        Layout::new(version, table.free_threaded, Arch::LE64, None).ok()
    };
    let all: Vec<Layout> = Table::versions().filter_map(layout).collect();
    assert!(all.len() >= 20, "{} layouts", all.len());
    all
}

#[test]
fn garbage_is_read_within_bounds() {
    let (mut looked, mut shown) = (0, 0);
    for (number, layout) in layouts().iter().enumerate() {
        for style in [Style::Noise, Style::Ones, Style::Holes, Style::Pointers, Style::Objects] {
            for round in 0..24u64 {
                let pages = 1 + round % 6;
                let seed = mix(number as u64 * 1000 + round);
                let memory = Garbage {
                    layout,
                    seed,
                    pages,
                    style,
                    reads: Cell::new(0),
                    bytes: Cell::new(0),
                };
                let objects = Objects { memory: &memory, layout };
                let budget =
                    Budget { everything: round % 2 == 0, ..Budget::level(1 + round as usize % 3) };
                let decoder = Decoder::new(objects, budget);
                let what = format!("{} {style:?} {round}", layout.version);
                for at in 0..8 {
                    let address = BASE + mix(seed + at) % (pages * 2048) / SLOT * SLOT;
                    let value = decoder.value(address);
                    let text = value.repr(budget.chars);
                    let limit = budget.chars + 40 * (budget.depth + 2);
                    assert!(text.chars().count() <= limit, "{what}: {} of {limit}", text.len());
                    assert!(!text.chars().any(char::is_control), "{what}: {text:?}");
                    if style == Style::Objects {
                        looked += 1;
                        shown += usize::from(value != Value::Unreadable);
                    }
                    let frame =
                        RawFrame { address, code: address + 64, instruction: 0, tlbc_index: 0 };
                    for variable in decoder.locals(&frame).unwrap_or_default() {
                        assert!(!variable.value.repr(budget.chars).contains('\n'), "{what}");
                    }
                }
                let reads = memory.reads.get();
                assert!(reads < 200_000, "{what}: {reads} reads");
                assert!(memory.bytes.get() < 1 << 30, "{what}: {} bytes", memory.bytes.get());
            }
        }
    }
    // Much of the garbage does look like objects.
    assert!(shown > looked / 4, "{shown} of {looked}");
}
