//! Functions of a module by their addresses, from ELF symbol tables.

use object::read::{Object, ObjectSection, ReadRef};
use remote::elf::DynamicTable;

/// More symbols than this are not read; the largest libraries have about a million.
const MAX_SYMBOLS: usize = 4_000_000;

/// A table of functions, sorted by address. Addresses are those of the file.
#[derive(Debug, Default)]
pub(crate) struct SymbolTable {
    functions: Vec<Function>,
    /// The texts that names are offsets into: one for each table that was read.
    texts: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
struct Function {
    start: u64,
    /// 0 where the table does not say.
    size: u64,
    /// Where its name begins: which text, and where in it.
    name: (u8, u32),
    /// The name of the source file that a local symbol stands under.
    file: Option<u32>,
    /// Whether it is known outside of the module, or at least not a section's mark.
    rank: u8,
}

/// A function that covers an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    pub start: u64,
    pub name: &'a str,
    /// The source file's name, without a folder, where the table tells (local symbols of
    /// modules that were linked without link-time optimisation).
    pub file: Option<&'a str>,
}

impl SymbolTable {
    /// Adds what the file's `.symtab` and `.dynsym` have. True if it has a `.symtab`.
    pub fn add_file<'data, R: ReadRef<'data>>(&mut self, file: &object::File<'data, R>) -> bool {
        let mut full = false;
        for (symbols, texts) in [(".symtab", ".strtab"), (".dynsym", ".dynstr")] {
            let data = |name: &str| {
                let section = file.section_by_name(name)?;
                section.uncompressed_data().ok().filter(|data| !data.is_empty())
            };
            if let (Some(symbols_data), Some(texts)) = (data(symbols), data(texts)) {
                self.add(&symbols_data, texts.into_owned());
                full |= symbols == ".symtab";
            }
        }
        full
    }

    /// Adds what the loader mapped.
    pub fn add_dynamic(&mut self, table: DynamicTable) {
        self.add(&table.symbols, table.strings);
    }

    fn add(&mut self, symbols: &[u8], text: Vec<u8>) {
        let Ok(which) = u8::try_from(self.texts.len()) else { return };
        let mut file = None;
        // Elf64_Sym: st_name 0, st_info 4, st_shndx 6, st_value 8, st_size 16.
        for symbol in symbols.chunks_exact(24).take(MAX_SYMBOLS) {
            let field = |at: usize, size: usize| {
                let mut bytes = [0; 8];
                bytes[..size].copy_from_slice(&symbol[at..at + size]);
                u64::from_le_bytes(bytes)
            };
            let (name, info) = (field(0, 4) as u32, symbol[4]);
            let (kind, binding) = (info & 15, info >> 4);
            if kind == STT_FILE {
                file = (name != 0).then_some(name);
                continue;
            }
            let (section, start) = (field(6, 2), field(8, 8));
            let is_code = matches!(kind, STT_FUNC | STT_GNU_IFUNC)
                // Assembler may leave the kind out.
                || (kind == STT_NOTYPE && binding != STB_LOCAL);
            if !is_code || section == SHN_UNDEF || section >= SHN_LORESERVE || start == 0 {
                continue;
            }
            let rank = u8::from(kind != STT_NOTYPE) * 2 + u8::from(binding == STB_GLOBAL);
            self.functions.push(Function {
                start,
                size: field(16, 8),
                name: (which, name),
                file: file.filter(|_| binding == STB_LOCAL),
                rank,
            });
        }
        self.texts.push(text);
    }

    /// To be called when all has been added.
    pub fn sort(&mut self) {
        self.functions.sort_by_key(|function| (function.start, function.rank, function.size));
        self.functions.dedup_by_key(|function| (function.start, function.name));
    }

    /// True without any function.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// The function at `address`. `bounds` is the range that the unwind information gives
    /// for it: a symbol outside of that belongs to another function, even where it is the
    /// nearest that is left in a stripped file.
    pub fn find(&self, address: u64, bounds: Option<(u64, u64)>) -> Option<Symbol<'_>> {
        let next = self.functions.partition_point(|function| function.start <= address);
        let mut best: Option<&Function> = None;
        // The best of those that begin last; of those that begin earlier one that is large
        // enough.
        for function in self.functions[..next].iter().rev().take(64) {
            let inside = match (function.size, bounds) {
                (0, Some((start, _))) => function.start >= start,
                (0, None) => true,
                (size, _) => address < function.start.saturating_add(size),
            };
            let fits = inside
                && bounds.is_none_or(|(start, end)| {
                    function.start <= start
                        && start < function.start.saturating_add(function.size.max(1))
                        || (start..end).contains(&function.start)
                });
            if best.is_some_and(|best| function.start < best.start) {
                break;
            }
            // Of several names the short one is mostly the plain one: `cexp`, `cexpf32x`.
            let length =
                |function: &Function| self.text(function.name).map_or(usize::MAX, str::len);
            let better = |best: &Function| {
                function.rank > best.rank
                    || (function.rank == best.rank && length(function) < length(best))
            };
            if fits && best.is_none_or(better) {
                best = Some(function);
            }
        }
        best.and_then(|function| self.symbol(function))
    }

    /// The address of the function of this name.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.functions
            .iter()
            .find(|function| self.text(function.name) == Some(name))
            .map(|function| function.start)
    }

    fn symbol(&self, function: &Function) -> Option<Symbol<'_>> {
        Some(Symbol {
            start: function.start,
            name: self.text(function.name)?,
            file: function.file.and_then(|file| self.text((function.name.0, file))),
        })
    }

    fn text(&self, (which, at): (u8, u32)) -> Option<&str> {
        /// Longer names are not shown whole.
        const MAX_NAME: usize = 16 << 10;
        let rest = self.texts.get(usize::from(which))?.get(at as usize..)?;
        let rest = &rest[..rest.len().min(MAX_NAME)];
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok().filter(|name| !name.is_empty())
    }
}

const STT_NOTYPE: u8 = 0;
const STT_FUNC: u8 = 2;
const STT_FILE: u8 = 4;
const STT_GNU_IFUNC: u8 = 10;
const STB_LOCAL: u8 = 0;
const STB_GLOBAL: u8 = 1;
const SHN_UNDEF: u64 = 0;
const SHN_LORESERVE: u64 = 0xff00;

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: u32, info: u8, start: u64, size: u64) -> Vec<u8> {
        let mut bytes = name.to_le_bytes().to_vec();
        bytes.extend([info, 0, 1, 0]);
        bytes.extend(start.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes
    }

    #[test]
    fn the_covering_function_is_found() {
        let text = b"\0inner\0outer\0stub\0a.c\0alias\0".to_vec();
        let symbols = [
            symbol(18, STT_FILE, 0, 0),
            symbol(7, STT_FUNC, 0x100, 0x100),
            symbol(1, STT_FUNC, 0x140, 0x10),
            symbol(13, STB_GLOBAL << 4, 0x300, 0),
            symbol(22, STB_GLOBAL << 4 | STT_FUNC, 0x140, 0x10),
        ];
        let mut table = SymbolTable::default();
        table.add(&symbols.concat(), text);
        table.sort();
        let name = |address, bounds| table.find(address, bounds).map(|symbol| symbol.name);
        assert_eq!(name(0x100, None), Some("outer"));
        assert_eq!(table.find(0x1ff, None).and_then(|symbol| symbol.file), Some("a.c"));
        // Of two names the one that others know.
        assert_eq!(name(0x144, None), Some("alias"));
        assert_eq!(name(0x150, None), Some("outer"));
        assert_eq!(name(0x200, None), None);
        // Without a size it reaches as far as the unwind information says.
        assert_eq!(name(0x310, Some((0x300, 0x320))), Some("stub"));
        assert_eq!(name(0x330, Some((0x320, 0x340))), None);
        assert_eq!(name(0x50, None), None);
        assert_eq!(table.address("stub"), Some(0x300));
    }
}
