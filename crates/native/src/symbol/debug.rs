//! Debug information: files that were split off from a module, and source lines and
//! inlined functions from DWARF.

use gimli::{EndianArcSlice, LittleEndian, SectionId};
use object::read::{Object, ObjectSection, ReadRef};
use object::{File, read::ReadCache};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Slice = EndianArcSlice<LittleEndian>;

/// Debug information of more bytes than this is left alone.
const MAX_DEBUG: u64 = 1 << 30;
/// Functions that are inlined into each other, at one address.
const MAX_INLINED: usize = 64;

/// An opened ELF file.
pub(crate) struct Opened {
    cache: ReadCache<BufReader<std::fs::File>>,
}

impl Opened {
    /// The plain file at `path`.
    pub fn new(path: &Path) -> Option<Opened> {
        // A target could wait for us behind a FIFO.
        if !path.metadata().ok()?.is_file() {
            return None;
        }
        let file = std::fs::File::open(path).ok()?;
        Some(Opened { cache: ReadCache::new(BufReader::new(file)) })
    }

    /// Its contents, if they are ELF.
    pub fn parse(&self) -> Option<File<'_, &ReadCache<BufReader<std::fs::File>>>> {
        File::parse(&self.cache).ok().filter(|file| file.is_64() && file.is_little_endian())
    }
}

/// One place in source code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFrame {
    /// The function's name as the symbol table would have it.
    pub function: Option<String>,
    /// The path of the source file.
    pub file: Option<String>,
    /// The line; 0 is unknown.
    pub line: u32,
}

/// The debug information of one module.
pub(crate) struct Lines {
    context: addr2line::Context<Slice>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lines")
    }
}

impl Lines {
    /// From a file that has it; `None` where it has none. `supplement` is the file that
    /// parts of it were moved to (`.gnu_debugaltlink`).
    pub fn new<'data, R: ReadRef<'data>>(
        file: &File<'data, R>,
        supplement: Option<&Opened>,
    ) -> Option<Lines> {
        let size: u64 = file
            .sections()
            .filter(|section| section.name().is_ok_and(|name| name.starts_with(".debug_")))
            .map(|section| section.size())
            .sum();
        file.section_by_name(".debug_info")?;
        if size > MAX_DEBUG {
            return None;
        }
        let mut dwarf = gimli::Dwarf::load(|id| Ok::<_, gimli::Error>(section(file, id))).ok()?;
        if let Some(other) = supplement.and_then(Opened::parse) {
            dwarf.load_sup(|id| Ok::<_, gimli::Error>(section(&other, id))).ok()?;
        }
        let context = addr2line::Context::from_dwarf(dwarf).ok()?;
        Some(Lines { context })
    }

    /// The functions at `address` (as the file counts), the innermost inlined one first.
    pub fn find(&self, address: u64) -> Vec<SourceFrame> {
        let mut found = Vec::new();
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else {
            return found;
        };
        while let Ok(Some(frame)) = frames.next()
            && found.len() < MAX_INLINED
        {
            let name = frame.function.as_ref().and_then(|name| name.raw_name().ok());
            let location = frame.location.as_ref();
            found.push(SourceFrame {
                function: name.map(|name| name.into_owned()),
                file: location.and_then(|location| location.file).map(str::to_owned),
                line: location.and_then(|location| location.line).unwrap_or(0),
            });
        }
        found
    }
}

fn section<'data, R: ReadRef<'data>>(file: &File<'data, R>, id: SectionId) -> Slice {
    use SectionId as Id;
    // What tells where variables are is not needed, and can be large.
    let needed = !matches!(
        id,
        Id::DebugLoc
            | Id::DebugLocLists
            | Id::DebugMacinfo
            | Id::DebugMacro
            | Id::DebugFrame
            | Id::DebugPubNames
            | Id::DebugPubTypes
            | Id::EhFrame
            | Id::EhFrameHdr
    );
    let data = file
        .section_by_name(id.name())
        .filter(|_| needed)
        .and_then(|section| section.uncompressed_data().ok())
        .unwrap_or_default();
    EndianArcSlice::new(Arc::from(&*data), LittleEndian)
}

/// The file that holds what was split off from `file`, which the target knows as `path`:
/// by its build id or by the name it gives, under each of `roots`.
pub(crate) fn find_split<'data, R: ReadRef<'data>>(
    file: &File<'data, R>,
    path: &str,
    roots: &[PathBuf],
) -> Option<Opened> {
    let id = file.build_id().ok().flatten().map(<[u8]>::to_owned);
    let same = |opened: &Opened| {
        let other = opened.parse()?.build_id().ok()??.to_owned();
        Some(Some(other) == id)
    };
    for root in roots {
        if let Some(id) = &id {
            // No file is named after an id that is too short; there may be a link all the same.
            let found = build_id_path(root, id).and_then(|path| Opened::new(&path));
            if let Some(opened) = found.filter(|opened| same(opened) == Some(true)) {
                return Some(opened);
            }
        }
        let Some((name, checksum)) = file.gnu_debuglink().ok().flatten() else { continue };
        let Some(name) = plain_name(name) else { continue };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for place in [
            format!("{folder}/{name}"),
            format!("{folder}/.debug/{name}"),
            format!("usr/lib/debug/{folder}/{name}"),
        ] {
            let place = root.join(place.trim_start_matches('/').replace("//", "/"));
            let Some(opened) = Opened::new(&place) else { continue };
            let fits = match (&id, same(&opened)) {
                (Some(_), Some(same)) => same,
                _ => crc(&place) == Some(checksum),
            };
            if fits {
                return Some(opened);
            }
        }
    }
    None
}

/// The file that parts of the debug information of `file` were moved to, if it says so.
pub(crate) fn find_supplement<'data, R: ReadRef<'data>>(
    file: &File<'data, R>,
    roots: &[PathBuf],
) -> Option<Opened> {
    let (_, id) = file.gnu_debugaltlink().ok()??;
    roots.iter().find_map(|root| {
        let opened = Opened::new(&build_id_path(root, id)?)?;
        let fits = opened.parse()?.build_id().ok()?? == id;
        fits.then_some(opened)
    })
}

/// `usr/lib/debug/.build-id/ab/cdef.debug`.
fn build_id_path(root: &Path, id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = id.split_first().filter(|(_, rest)| !rest.is_empty() && rest.len() < 64)?;
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(root.join(format!("usr/lib/debug/.build-id/{first:02x}/{rest}.debug")))
}

/// A file name that names nothing outside of its folder.
fn plain_name(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    (!name.is_empty() && name != "." && name != ".." && !name.contains('/')).then_some(name)
}

/// The checksum that debug links carry (CRC-32).
fn crc(path: &Path) -> Option<u32> {
    let mut file = std::fs::File::open(path).ok()?.take(MAX_DEBUG);
    let mut crc = !0u32;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let got = file.read(&mut buffer).ok()?;
        if got == 0 {
            return Some(!crc);
        }
        for byte in &buffer[..got] {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            }
        }
    }
}

/// The symbol table in `.gnu_debugdata`: an ELF file, compressed with xz.
pub(crate) fn mini_debug_info<'data, R: ReadRef<'data>>(file: &File<'data, R>) -> Option<Vec<u8>> {
    /// Fedora's largest are some 10 MB.
    const MAX: u64 = 256 << 20;
    const MAX_KIB: u32 = 256 << 10;
    let section = file.section_by_name(".gnu_debugdata")?;
    let data = section.data().ok()?;
    let mut bytes = Vec::new();
    lzma_rust2::XzReader::new_mem_limit(data, false, MAX_KIB)
        .take(MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_lines_are_found() {
        let opened = Opened::new(&std::env::current_exe().expect("exe")).expect("a file");
        let file = opened.parse().expect("ELF");
        let lines = Lines::new(&file, None).expect("debug information");
        let mut table = crate::symbol::table::SymbolTable::default();
        assert!(table.add_file(&file));
        table.sort();
        let marked = object::Object::symbols(&file)
            .find(|symbol| {
                use object::ObjectSymbol;
                symbol.name().is_ok_and(|name| name.contains("our_own_lines_are_found"))
                    && symbol.address() != 0
            })
            .map(|symbol| object::ObjectSymbol::address(&symbol))
            .expect("ourselves");
        let found = lines.find(marked);
        let file = found.last().and_then(|frame| frame.file.clone()).expect("a file");
        assert!(file.ends_with(".rs"), "{found:?}");
        let symbol = table.find(marked, None).expect("a symbol");
        assert!(crate::symbol::demangle::plain(symbol.name).contains("our_own_lines_are_found"));
    }

    #[test]
    fn checksums_and_names() {
        let folder = std::env::temp_dir().join(format!("native-crc-{}", std::process::id()));
        std::fs::write(&folder, b"123456789").expect("a file");
        assert_eq!(crc(&folder), Some(0xcbf4_3926));
        std::fs::remove_file(&folder).expect("removed");
        assert_eq!(plain_name(b"../x"), None);
        assert_eq!(plain_name(b"x.debug"), Some("x.debug"));
        let path = build_id_path(Path::new("/r"), &[0xab, 1, 2]);
        assert_eq!(path, Some(PathBuf::from("/r/usr/lib/debug/.build-id/ab/0102.debug")));
        assert_eq!(build_id_path(Path::new("/r"), &[1]), None);
    }
}
