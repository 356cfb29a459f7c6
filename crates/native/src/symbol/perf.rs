//! `/tmp/perf-PID.map`: functions that a program has generated, as it tells profilers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Larger files are read up to here.
const MAX_FILE: u64 = 256 << 20;

/// One program's map.
#[derive(Debug)]
pub(crate) struct PerfMap {
    path: PathBuf,
    seen: Option<(u64, SystemTime)>,
    /// Whether the file has not changed is known.
    checked: bool,
    functions: Vec<(u64, u64, String)>,
}

impl PerfMap {
    /// Kept at `path`. Reads nothing yet.
    pub fn new(path: PathBuf) -> PerfMap {
        PerfMap { path, seen: None, checked: false, functions: Vec::new() }
    }

    /// The file may have changed: look at it again before the next answer. Memory of functions
    /// that are no more is used for others.
    pub fn recheck(&mut self) {
        self.checked = false;
    }

    /// The function at `address`: its start and name. Looks at the file again if it has
    /// changed and the address is not known.
    pub fn find(&mut self, address: u64) -> Option<(u64, &str)> {
        if !std::mem::replace(&mut self.checked, true) || self.position(address).is_none() {
            self.read();
        }
        let at = self.position(address)?;
        self.functions.get(at).map(|(start, _, name)| (*start, name.as_str()))
    }

    fn position(&self, address: u64) -> Option<usize> {
        let next = self.functions.partition_point(|(start, ..)| *start <= address);
        let at = next.checked_sub(1)?;
        let (start, size, _) = self.functions.get(at)?;
        (address - start < *size).then_some(at)
    }

    fn read(&mut self) {
        let Some((file, stamp)) = open_plain(&self.path) else { return };
        if self.seen == Some(stamp) {
            return;
        }
        self.seen = Some(stamp);
        let mut bytes = Vec::new();
        if file.take(MAX_FILE).read_to_end(&mut bytes).is_ok() {
            self.functions = parse(&bytes);
        }
    }
}

/// Opens a plain file: the target could wait for us behind a FIFO.
fn open_plain(path: &Path) -> Option<(File, (u64, SystemTime))> {
    let meta = path.metadata().ok()?;
    if !meta.is_file() {
        return None;
    }
    Some((File::open(path).ok()?, (meta.len(), meta.modified().ok()?)))
}

/// Lines of start and size, hexadecimal, and a name. A function that a later one overlaps is no
/// more.
fn parse(bytes: &[u8]) -> Vec<(u64, u64, String)> {
    let text = String::from_utf8_lossy(bytes);
    let number =
        |field: &str| u64::from_str_radix(field.strip_prefix("0x").unwrap_or(field), 16).ok();
    let mut functions: BTreeMap<u64, (u64, &str)> = BTreeMap::new();
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ' ');
        let (start, size) = (number(fields.next()?)?, number(fields.next()?)?);
        Some((start, size, fields.next()?.trim()))
    });
    for (start, size, name) in lines {
        let end = start.saturating_add(size);
        while let Some((other, _)) = functions
            .range(..end)
            .next_back()
            .filter(|(other, (length, _))| other.saturating_add(*length) > start)
            .map(|(other, length)| (*other, length))
        {
            functions.remove(&other);
        }
        functions.insert(start, (size, name));
    }
    let function = |(start, (size, name)): (u64, (u64, &str))| (start, size, name.to_owned());
    functions.into_iter().map(function).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_functions() {
        let map = b"7f00 10 py::a:/tmp/x.py\n0x8000 0x20 two words\nnonsense\n7f00 8 later\n1";
        let mut perf = PerfMap::new(PathBuf::from("/nonexistent"));
        perf.functions = parse(map);
        assert_eq!(perf.find(0x7f04), Some((0x7f00, "later")));
        assert_eq!(perf.find(0x7f0c), None);
        assert_eq!(perf.find(0x801f), Some((0x8000, "two words")));
        assert_eq!(perf.find(0x8020), None);
    }

    #[test]
    fn memory_is_used_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("perf.map");
        let mut perf = PerfMap::new(path.clone());
        std::fs::write(&path, "100 10 first\n110 10 second\n120 10 third\n").expect("a file");
        assert_eq!(perf.find(0x115), Some((0x110, "second")));
        let more = "100 10 first\n110 10 second\n120 10 third\n108 10 new\n";
        std::fs::write(&path, more).expect("a file");
        assert_eq!(perf.find(0x115), Some((0x110, "second")), "not asked to look again");
        perf.recheck();
        assert_eq!(perf.find(0x115), Some((0x108, "new")));
        assert_eq!(perf.find(0x118), None);
        assert_eq!(perf.find(0x100), None);
        assert_eq!(perf.find(0x121), Some((0x120, "third")));
    }
}
