//! `_Py_DebugOffsets`: the offsets that CPython 3.13 and later publish in the target.
//!
//! Include/internal/pycore_runtime.h (3.13), pycore_debug_offsets.h (3.14, 3.15): the
//! cookie `xdebugpy`, `PY_VERSION_HEX`, the free-threaded flag, then one 64-bit offset
//! after the other. Its length is not stored, so which fields there are goes by version;
//! a version that we do not know yet is read as the newest known one, and believed only
//! if every field passes.

use crate::version::Version;
use remote::{Arch, Memory};

/// The first eight bytes of `_PyRuntime`.
pub const COOKIE: &[u8; 8] = b"xdebugpy";

/// The struct and field names in order; a name that ends in `.size` opens a new struct.
const FIELDS_3_13: &str = "\
runtime_state: size finalizing interpreters_head
interpreter_state: size id next threads_head gc imports_modules sysdict builtins ceval_gil gil_runtime_state gil_runtime_state_enabled gil_runtime_state_locked gil_runtime_state_holder
thread_state: size prev next interp current_frame thread_id native_thread_id datastack_chunk status
interpreter_frame: size previous executable instr_ptr localsplus owner
code_object: size filename name qualname linetable firstlineno argcount localsplusnames localspluskinds co_code_adaptive
pyobject: size ob_type
type_object: size tp_name tp_repr tp_flags
tuple_object: size ob_item ob_size
list_object: size ob_item ob_size
dict_object: size ma_keys ma_values
float_object: size ob_fval
long_object: size lv_tag ob_digit
bytes_object: size ob_size ob_sval
unicode_object: size state length asciiobject_size
gc: size collecting
";

const FIELDS_3_14: &str = "\
runtime_state: size finalizing interpreters_head
interpreter_state: size id next threads_head threads_main gc imports_modules sysdict builtins ceval_gil gil_runtime_state gil_runtime_state_enabled gil_runtime_state_locked gil_runtime_state_holder code_object_generation tlbc_generation
thread_state: size prev next interp current_frame thread_id native_thread_id datastack_chunk status
interpreter_frame: size previous executable instr_ptr localsplus owner stackpointer tlbc_index
code_object: size filename name qualname linetable firstlineno argcount localsplusnames localspluskinds co_code_adaptive co_tlbc
pyobject: size ob_type
type_object: size tp_name tp_repr tp_flags
tuple_object: size ob_item ob_size
list_object: size ob_item ob_size
set_object: size used table mask
dict_object: size ma_keys ma_values
float_object: size ob_fval
long_object: size lv_tag ob_digit
bytes_object: size ob_size ob_sval
unicode_object: size state length asciiobject_size
gc: size collecting
gen_object: size gi_name gi_iframe gi_frame_state
";

const FIELDS_3_15: &str = "\
runtime_state: size finalizing interpreters_head
interpreter_state: size id next threads_head threads_main gc imports_modules sysdict builtins ceval_gil gil_runtime_state gil_runtime_state_enabled gil_runtime_state_locked gil_runtime_state_holder code_object_generation tlbc_generation
thread_state: size prev next interp current_frame base_frame last_profiled_frame last_profiled_frame_seq thread_id native_thread_id datastack_chunk status holds_gil gil_requested current_exception exc_state
err_stackitem: exc_value
interpreter_frame: size previous executable instr_ptr localsplus owner stackpointer tlbc_index
code_object: size filename name qualname linetable firstlineno argcount localsplusnames localspluskinds co_code_adaptive co_tlbc
pyobject: size ob_type
type_object: size tp_name tp_repr tp_flags tp_basicsize tp_dictoffset
heap_type_object: size ht_cached_keys
tuple_object: size ob_item ob_size
list_object: size ob_item ob_size
set_object: size used table mask
dict_object: size ma_keys ma_values
float_object: size ob_fval
long_object: size lv_tag ob_digit
bytes_object: size ob_size ob_sval
unicode_object: size state length asciiobject_size compactunicodeobject_size
gc: size collecting frame generation_stats_size generation_stats
gen_object: size gi_name gi_iframe gi_frame_state
";

/// The largest size a struct is believed to have: `_PyRuntimeState` has 350 KiB in 3.15.
const MAX_STRUCT: u64 = 16 << 20;

/// The published offsets, validated.
#[derive(Debug, Clone)]
pub struct DebugOffsets {
    /// The version that the target states.
    pub version: Version,
    /// Built with `--disable-gil`.
    pub free_threaded: bool,
    fields: Vec<(&'static str, &'static str, u64)>,
}

/// Why a `_Py_DebugOffsets` is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// No cookie there, or not readable.
    NotThere,
    /// The field named is outside its struct, or a size makes no sense.
    Field(String),
}

impl DebugOffsets {
    /// Reads and checks what lies at `address`.
    pub fn read(memory: &dyn Memory, address: u64) -> Result<DebugOffsets, Rejected> {
        let head = memory.bytes(address, 24).map_err(|_| Rejected::NotThere)?;
        let arch = memory.arch();
        let number = |bytes: &[u8], at| arch.uint(bytes, at, 8).unwrap_or(u64::MAX);
        if &head[..8] != COOKIE {
            return Err(Rejected::NotThere);
        }
        let version = Version::from_hex(number(&head, 8))
            .ok_or_else(|| Rejected::Field(format!("version {:#x}", number(&head, 8))))?;
        let free_threaded = match number(&head, 16) {
            0 => false,
            1 => true,
            other => return Err(Rejected::Field(format!("free_threaded {other}"))),
        };
        let names = match (version.major, version.minor) {
            (3, ..=13) => FIELDS_3_13,
            (3, 14) => FIELDS_3_14,
            _ => FIELDS_3_15,
        };
        let names: Vec<(&str, &str)> = names
            .lines()
            .filter_map(|line| line.split_once(": "))
            .flat_map(|(of, fields)| fields.split(' ').map(move |field| (of, field)))
            .collect();
        let bytes = memory.bytes(address + 24, names.len() * 8).map_err(|_| Rejected::NotThere)?;
        let fields =
            names.iter().enumerate().map(|(i, (of, field))| (*of, *field, number(&bytes, i * 8)));
        let offsets = DebugOffsets { version, free_threaded, fields: fields.collect() };
        offsets.validate(arch)?;
        Ok(offsets)
    }

    /// The offset `field` of the struct `of`.
    pub fn get(&self, of: &str, field: &str) -> Option<u32> {
        let found = self.fields.iter().find(|(s, f, _)| *s == of && *f == field)?;
        u32::try_from(found.2).ok()
    }

    /// Each size must make sense and each field must lie inside its struct.
    fn validate(&self, arch: Arch) -> Result<(), Rejected> {
        let mut size = 0;
        for (of, field, value) in &self.fields {
            let reject = || Err(Rejected::Field(format!("{of}.{field} = {value}")));
            if *field == "size" {
                size = *value;
                if size < 2 * u64::from(arch.pointer) || size > MAX_STRUCT {
                    return reject();
                }
            } else if field.ends_with("_size") || *of == "err_stackitem" {
                // asciiobject_size, compactunicodeobject_size, generation_stats_size, and
                // a struct that does not tell its size.
                if *value > 4096 {
                    return reject();
                }
            } else if *of == "gc" {
                // Its size is that of _gc_runtime_state, whose start is
                // interpreter_state.gc; `frame` and `generation_stats` came with 3.15.
                if *value >= size.max(4096) {
                    return reject();
                }
            } else if self.optional(of, field) && *value == 0 {
                continue;
            } else if *value >= size {
                return reject();
            }
        }
        // Fields that hold pointers and are all there in every version.
        for (of, field) in [
            ("interpreter_state", "next"),
            ("interpreter_state", "threads_head"),
            ("interpreter_state", "ceval_gil"),
            ("thread_state", "next"),
            ("thread_state", "interp"),
            ("thread_state", "current_frame"),
            ("interpreter_frame", "previous"),
            ("interpreter_frame", "executable"),
            ("interpreter_frame", "instr_ptr"),
            ("code_object", "filename"),
            ("code_object", "name"),
            ("code_object", "linetable"),
        ] {
            let value = self.get(of, field).unwrap_or(1);
            if !value.is_multiple_of(u32::from(arch.pointer)) {
                return Err(Rejected::Field(format!("{of}.{field} = {value} is not aligned")));
            }
        }
        Ok(())
    }

    /// Fields that only free-threaded builds fill.
    fn optional(&self, of: &str, field: &str) -> bool {
        field.contains("tlbc") || (of == "interpreter_state" && field.starts_with("gil_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Image;

    /// 3.13.0's own, as printed by a debugger, with some later version's number.
    fn published(version: u64, change: impl Fn(&str, &str, u64) -> u64) -> Vec<u8> {
        let mut bytes = COOKIE.to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend(0u64.to_le_bytes());
        let names = if version < 0x030e_0000 { FIELDS_3_13 } else { FIELDS_3_15 };
        for line in names.lines() {
            let (of, fields) = line.split_once(": ").expect("a struct");
            for (i, field) in fields.split(' ').enumerate() {
                let value = if field == "size" { 800 } else { 8 * i as u64 };
                bytes.extend(change(of, field, value).to_le_bytes());
            }
        }
        bytes
    }

    #[test]
    fn an_unseen_version_is_read_as_the_newest_and_every_field_is_checked() {
        let read = |bytes: Vec<u8>| DebugOffsets::read(&Image::new(0x1000, bytes), 0x1000);
        let good = read(published(0x0310_00a1, |_, _, value| value)).expect("3.16");
        assert_eq!(good.version.to_string(), "3.16.0a1");
        assert_eq!(good.get("thread_state", "current_frame"), Some(32));
        assert_eq!(good.get("thread_state", "holds_gil"), Some(96));
        let names = FIELDS_3_15.lines().filter_map(|line| line.split_once(": "));
        for (of, fields) in names {
            for field in fields.split(' ') {
                let bad =
                    published(
                        0x030f_00f0,
                        |s, f, value| {
                            if (s, f) == (of, field) { 1 << 40 } else { value }
                        },
                    );
                assert!(matches!(read(bad), Err(Rejected::Field(_))), "{of}.{field}");
            }
        }
        let cut = published(0x030d_00f0, |_, _, value| value)[..300].to_vec();
        assert_eq!(read(cut).err(), Some(Rejected::NotThere));
        let zero =
            published(0x030d_00f0, |_, field, value| if field == "size" { 0 } else { value });
        assert!(matches!(read(zero), Err(Rejected::Field(_))));
    }
}
