//! Which CPython a module holds.

use super::Trail;
use crate::version::Version;
use remote::{Memory, Module};
use std::collections::HashMap;

/// From the constant `Py_Version` (3.11 and later), from the banner that `Py_GetVersion`
/// leaves in a static buffer when `sys` is set up, or from the module's own name.
pub fn of_module(
    memory: &dyn Memory,
    module: &Module,
    symbols: &HashMap<&'static str, u64>,
    trail: &mut Trail,
) -> Option<Version> {
    if let Some(address) = symbols.get("Py_Version") {
        let version = memory.uint(*address, memory.arch().word()).ok();
        if let Some(version) = version.and_then(Version::from_hex) {
            return Some(version);
        }
    }
    if let Some(version) = banner(memory, module) {
        return Some(version);
    }
    let version = of_name(module.name())?;
    // Patch levels of one minor version differ little; the last one is the likeliest.
    trail.note(format!(
        "{}: version {}.{} by its name only",
        module.path, version.major, version.minor
    ));
    Some(version)
}

/// `libpython3.8.so.1.0`, `python2.7`, `libpython3.6m.so`.
fn of_name(name: &str) -> Option<Version> {
    let rest = name.split("python").nth(1)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let number = rest[..end].trim_matches('.');
    number
        .contains('.')
        .then(|| Version::from_number(number))
        .flatten()
        .map(|version| Version { patch: Version::SOME_PATCH, ..version })
}

/// Variables larger than this are not searched for a banner.
const MAX_SEARCH: u64 = 64 << 20;

fn banner(memory: &dyn Memory, module: &Module) -> Option<Version> {
    let mut found = None;
    for (start, end) in module.writable() {
        let length = (end - start).min(MAX_SEARCH) as usize;
        let Ok(bytes) = memory.bytes(start, length) else { continue };
        // `3.8.18 (default, ...`: found by the parenthesis, checked by its shape.
        for (at, _) in bytes.windows(2).enumerate().filter(|(_, pair)| pair == b" (") {
            let packager = packager(&bytes[..at]);
            let front = &bytes[..at - packager];
            let number = front.iter().rev().take(12).take_while(|byte| is_number(**byte)).count();
            let from = packager + number;
            let text = &bytes[at - from..bytes.len().min(at + 200)];
            let until = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
            let before = (at - from).checked_sub(1).map(|i| bytes[i]);
            let version = std::str::from_utf8(&text[..until]).ok().and_then(Version::from_banner);
            if before.is_none_or(|byte| byte == 0) && version.is_some() {
                found = version;
            }
        }
        if found.is_some() {
            return found;
        }
    }
    found
}

/// How much of the end of a banner's beginning names a packager: ` | packaged by X |`.
fn packager(front: &[u8]) -> usize {
    if !front.ends_with(b" |") {
        return 0;
    }
    let part = &front[front.len().saturating_sub(100)..front.len() - 2];
    part.windows(2).rposition(|pair| pair == b" |").map_or(0, |at| part.len() - at + 2)
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'a' | b'b' | b'r' | b'c' | b'+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_names() {
        let minor = |name| of_name(name).map(|version| (version.major, version.minor));
        assert_eq!(minor("libpython3.8.so.1.0"), Some((3, 8)));
        assert_eq!(minor("libpython3.6m.so.1.0"), Some((3, 6)));
        assert_eq!(minor("python2.7"), Some((2, 7)));
        assert_eq!(minor("python3"), None);
        assert_eq!(minor("libpython3.so"), None);
        assert_eq!(minor("libc.so.6"), None);
    }
}
