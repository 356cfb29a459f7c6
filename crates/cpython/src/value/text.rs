//! Strings and bytes: what they hold, and how `repr` quotes it.

use super::reader::Reader;
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

/// The beginning of a string: code points (surrogates may be among them) or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// `str`, `bytes`, `unicode`, `bytearray` or the subclass's name.
    pub type_name: String,
    /// What `repr` puts before the quote: `b`, `u`, `bytearray(b`.
    pub prefix: &'static str,
    /// What it puts behind the closing quote.
    pub suffix: &'static str,
    /// As much of it as the budget allows.
    pub units: Vec<u32>,
    /// How many characters or bytes there are.
    pub length: u64,
    /// Whether the units are characters and not bytes.
    pub characters: bool,
    /// Whether characters beyond ASCII are shown as they are (Python 3).
    pub wide: bool,
    /// Whether single quotes are escaped in double quotes too, as bytearrays do it up to
    /// 3.14 (Objects/bytearrayobject.c `bytearray_repr`).
    pub escape_single: bool,
}

impl Reader<'_, '_> {
    /// The first `limit` code points of a string, and how many it has.
    pub(super) fn code_points(&self, object: u64, limit: usize) -> Result<(Vec<u32>, u64)> {
        if self.layout().text.flexible {
            self.flexible(object, limit)
        } else {
            self.python2(object, limit)
        }
    }

    /// PEP 393 (Include/cpython/unicodeobject.h): one, two or four bytes a character.
    fn flexible(&self, object: u64, limit: usize) -> Result<(Vec<u32>, u64)> {
        const BAD: BadObject = BadObject::Unexpected("a string");
        let text = &self.layout().text;
        let arch = self.layout().arch;
        let head = self.objects.memory.bytes(object, text.state as usize + 4)?;
        let state = arch.uint(&head, text.state as usize, 4).unwrap_or(0) >> text.kind_shift;
        let kind = (state & 7) as usize;
        let (compact, ascii) = (state >> 3 & 1 == 1, state >> 4 & 1 == 1);
        let length = arch.ssize(&head, text.length as usize).unwrap_or(-1);
        let length = u64::try_from(length).map_err(|_| BAD)?;
        if !matches!(kind, 1 | 2 | 4) || (ascii && kind != 1) || length > 1 << 40 {
            return Err(BAD);
        }
        let at = match (compact, ascii) {
            (true, true) => object.wrapping_add(u64::from(text.ascii_data)),
            (true, false) => object.wrapping_add(u64::from(text.compact_data)),
            _ => self.objects.field(object, text.data)?,
        };
        let count = length.min(limit as u64) as usize;
        let bytes = self.objects.memory.bytes(at, count * kind)?;
        let units = (0..count).map(|i| arch.uint(&bytes, i * kind, kind).unwrap_or(0) as u32);
        Ok((units.collect(), length))
    }

    /// Objects/unicodeobject.c of 2.x: two or four bytes a character, by how CPython was
    /// configured. The buffer ends with a zero character, which tells them apart.
    fn python2(&self, object: u64, limit: usize) -> Result<(Vec<u32>, u64)> {
        let memory = self.objects.memory;
        let arch = self.layout().arch;
        let length = self.length(object, self.layout().text.length)?;
        let at = self.objects.field(object, self.layout().text.data)?;
        let count = length.min(limit as u64) as usize;
        let narrow = memory.bytes(at, count * 2)?;
        let unit = |bytes: &[u8], i, size| arch.uint(bytes, i * size, size).unwrap_or(0) as u32;
        let ends = |size: u64| memory.uint(at.wrapping_add(length * size), size as usize) == Ok(0);
        let high = usize::from(!arch.big_endian);
        let small = (0..count).skip(high).step_by(2).all(|i| unit(&narrow, i, 2) <= 0x10);
        if ends(4) && (!ends(2) || (count > 1 && small)) {
            let bytes = memory.bytes(at, count * 4)?;
            return Ok(((0..count).map(|i| unit(&bytes, i, 4)).collect(), length));
        }
        // Surrogate pairs are one character for repr.
        let units: Vec<u16> = (0..count).map(|i| unit(&narrow, i, 2) as u16).collect();
        let points = char::decode_utf16(units).map(|decoded| match decoded {
            Ok(character) => u32::from(character),
            Err(lone) => u32::from(lone.unpaired_surrogate()),
        });
        let points: Vec<u32> = points.collect();
        let length = length - (count - points.len().min(count)) as u64;
        Ok((points, length))
    }

    /// The first `limit` bytes at `at`, of `length`.
    pub(super) fn byte_units(&self, at: u64, length: u64, limit: usize) -> Result<Vec<u32>> {
        let count = length.min(limit as u64) as usize;
        Ok(self.objects.memory.bytes(at, count)?.into_iter().map(u32::from).collect())
    }
}

impl Text {
    /// All of it is here.
    pub fn is_whole(&self) -> bool {
        self.units.len() as u64 >= self.length
    }

    /// The quoted text of the first units, `limit` characters of it at the most (and at
    /// least one unit), and how many units that were.
    pub(super) fn quote(&self, limit: usize) -> (String, usize) {
        // repr takes double quotes where that saves escaping (Objects/unicodeobject.c
        // `unicode_repr`, bytesobject.c `PyBytes_Repr`).
        let has = |quote: char| self.units.contains(&u32::from(quote));
        let quote = if has('\'') && !has('"') { '"' } else { '\'' };
        let mut text = format!("{}{quote}", self.prefix);
        let (mut used, mut count) = (0, 0);
        for (i, unit) in self.units.iter().enumerate() {
            let piece = self.escape(*unit, quote);
            let size = piece.chars().count();
            if count > 0 && used + size > limit {
                break;
            }
            used += size;
            count = i + 1;
            text.push_str(&piece);
        }
        text.push(quote);
        (text, count)
    }

    fn escape(&self, unit: u32, quote: char) -> String {
        match char::from_u32(unit) {
            Some('\\') => "\\\\".to_owned(),
            Some('\n') => "\\n".to_owned(),
            Some('\r') => "\\r".to_owned(),
            Some('\t') => "\\t".to_owned(),
            Some(c) if c == quote || (self.escape_single && c == '\'') => format!("\\{c}"),
            Some(c @ ' '..='~') => c.to_string(),
            Some(c) if self.wide && self.characters && is_printable(c) => c.to_string(),
            _ if unit <= 0xff => format!("\\x{unit:02x}"),
            _ if unit <= 0xffff => format!("\\u{unit:04x}"),
            _ => format!("\\U{unit:08x}"),
        }
    }
}

/// Whether Python's `str.isprintable` would say so: every character but those of the
/// categories Cc, Cf, Cs, Co, Cn, Zl, Zp and Zs, except the space. Python and Rust may
/// know different versions of Unicode.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    // Combining marks are printable but for escape_debug at the start of a string.
    let mut buffer = [0; 5];
    buffer[0] = b'a';
    let length = c.encode_utf8(&mut buffer[1..]).len();
    let text = std::str::from_utf8(&buffer[..=length]).unwrap_or("");
    text.escape_debug().nth(1) == Some(c)
}

/// A name or path from the target without anything that a terminal would act on.
pub(super) fn clean(text: &str) -> String {
    if text.chars().all(is_printable) {
        return text.to_owned();
    }
    let escape = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\r' => "\\r".to_owned(),
        c if is_printable(c) => c.to_string(),
        c if u32::from(c) <= 0xff => format!("\\x{:02x}", u32::from(c)),
        c if u32::from(c) <= 0xffff => format!("\\u{:04x}", u32::from(c)),
        c => format!("\\U{:08x}", u32::from(c)),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(units: &str) -> Text {
        Text {
            type_name: "str".into(),
            prefix: "",
            suffix: "",
            units: units.chars().map(u32::from).collect(),
            length: units.chars().count() as u64,
            characters: true,
            wide: true,
            escape_single: false,
        }
    }

    #[test]
    fn quotes_and_escapes_as_repr() {
        let repr = |units: &str| text(units).quote(1000).0;
        assert_eq!(repr("it's"), "\"it's\"");
        assert_eq!(repr("it's \"so\""), "'it\\'s \"so\"'");
        assert_eq!(repr("a\\\n\t\r\x1b[31m\x7f\u{85}"), "'a\\\\\\n\\t\\r\\x1b[31m\\x7f\\x85'");
        assert_eq!(
            repr("é\u{301}漢😀\u{200b}\u{2028}\u{a0}\u{ad}"),
            "'é\u{301}漢😀\\u200b\\u2028\\xa0\\xad'"
        );
        assert_eq!(repr("\u{e000}\u{10ffff}\u{378}"), "'\\ue000\\U0010ffff\\u0378'");
        let lone = Text { units: vec![0xd800, 0x61], ..text("xx") };
        assert_eq!(lone.quote(100).0, "'\\ud800a'");
        let bytes = Text { characters: false, prefix: "b", ..text("é\0") };
        assert_eq!(bytes.quote(100).0, "b'\\xe9\\x00'");
        assert_eq!(text("abcdef").quote(3), ("'abc'".to_owned(), 3));
        assert_eq!(clean("a\x1b[0m\u{202e}ü"), "a\\x1b[0m\\u202eü");
    }
}
