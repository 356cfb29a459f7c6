//! The word size and byte order of a target, which need not be ours.

/// How the target lays out integers in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arch {
    /// Bytes in a pointer: 4 or 8.
    pub pointer: u8,
    /// True where the most significant byte comes first.
    pub big_endian: bool,
}

impl Arch {
    /// 64-bit little endian: x86_64, aarch64.
    pub const LE64: Arch = Arch { pointer: 8, big_endian: false };

    /// Of an ELF file, by its first bytes: `EI_CLASS` and `EI_DATA` (elf.h).
    pub fn of_elf(start: &[u8]) -> Option<Arch> {
        let (class, data) = match start.strip_prefix(b"\x7fELF")? {
            [class, data, ..] => (*class, *data),
            _ => return None,
        };
        let pointer = match class {
            1 => 4,
            2 => 8,
            _ => return None,
        };
        matches!(data, 1 | 2).then_some(Arch { pointer, big_endian: data == 2 })
    }

    /// Pointer size in bytes, as an offset.
    #[inline]
    pub fn word(self) -> usize {
        self.pointer as usize
    }

    /// An unsigned integer of `size` (1, 2, 4 or 8) bytes at `offset`; `None` past the end.
    #[inline]
    pub fn uint(self, bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
        let field = bytes.get(offset..offset.checked_add(size)?)?;
        if !self.big_endian && size == 8 {
            return field.try_into().ok().map(u64::from_le_bytes);
        }
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.big_endian {
            field.iter().fold(0, fold)
        } else {
            field.iter().rev().fold(0, fold)
        })
    }

    /// A pointer (or `size_t`) at `offset`.
    #[inline]
    pub fn ptr(self, bytes: &[u8], offset: usize) -> Option<u64> {
        self.uint(bytes, offset, self.word())
    }

    /// A `Py_ssize_t` at `offset`, sign extended.
    #[inline]
    pub fn ssize(self, bytes: &[u8], offset: usize) -> Option<i64> {
        let value = self.ptr(bytes, offset)?;
        Some(if self.pointer == 4 { i64::from(value as u32 as i32) } else { value as i64 })
    }

    /// A 32-bit signed integer at `offset`.
    #[inline]
    pub fn i32(self, bytes: &[u8], offset: usize) -> Option<i32> {
        self.uint(bytes, offset, 4).map(|value| value as u32 as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_either_order_and_size() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5];
        assert_eq!(Arch::LE64.uint(&bytes, 4, 2), Some(0x0201));
        assert_eq!(Arch { pointer: 4, big_endian: true }.ptr(&bytes, 4), Some(0x0102_0304));
        assert_eq!(Arch { pointer: 4, big_endian: false }.ssize(&bytes, 0), Some(-1));
        assert_eq!(Arch::LE64.ptr(&bytes, 1), Some(0x0504_0302_01ff_ffff));
        assert_eq!(Arch::LE64.ptr(&bytes, 2), None);
        assert_eq!(Arch::LE64.uint(&bytes, usize::MAX, 8), None);
    }
}
