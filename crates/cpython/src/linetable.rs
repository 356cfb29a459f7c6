//! From an instruction to its line, in every format that CPython has had.

use crate::layout::LineFormat;

/// Where an instruction comes from in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Line, from 1; 0 where the table says there is none.
    pub line: u32,
    /// Last line of the expression, where known.
    pub end_line: Option<u32>,
    /// First column in bytes, from 0, where known.
    pub column: Option<u32>,
    /// First column after the expression, in bytes, where known.
    pub end_column: Option<u32>,
}

/// The position of the instruction `lasti` bytes into the bytecode. A negative `lasti`
/// stands for a frame that has not begun: its function's first line.
pub fn position(format: LineFormat, table: &[u8], first_line: u32, lasti: i32) -> Position {
    let Ok(lasti) = u32::try_from(lasti) else {
        return Position { line: first_line, ..Position::default() };
    };
    let line = match format {
        LineFormat::LnotabUnsigned => lnotab(table, first_line, lasti, false),
        LineFormat::Lnotab => lnotab(table, first_line, lasti, true),
        LineFormat::Pep626 => pep626(table, first_line, lasti),
        LineFormat::Locations => return locations(table, first_line, lasti),
    };
    Position { line, ..Position::default() }
}

/// Pairs of bytes: step in the bytecode, step in lines (Objects/lnotab_notes.txt).
fn lnotab(table: &[u8], first_line: u32, lasti: u32, signed: bool) -> u32 {
    let mut line = i64::from(first_line);
    let mut address = 0u32;
    for step in table.chunks_exact(2) {
        address = address.saturating_add(u32::from(step[0]));
        if address > lasti {
            break;
        }
        line += if signed { i64::from(step[1] as i8) } else { i64::from(step[1]) };
    }
    u32::try_from(line).unwrap_or(0)
}

/// Pairs of bytes: length of a range, signed step in lines before it; -128 for a range
/// without a line (Objects/lnotab_notes.txt, 3.10).
fn pep626(table: &[u8], first_line: u32, lasti: u32) -> u32 {
    let mut line = i64::from(first_line);
    let mut end = 0u32;
    for step in table.chunks_exact(2) {
        let delta = step[1] as i8;
        end = end.saturating_add(u32::from(step[0]));
        if delta != -128 {
            line += i64::from(delta);
        }
        if end > lasti {
            return if delta == -128 { 0 } else { u32::try_from(line).unwrap_or(0) };
        }
    }
    u32::try_from(line).unwrap_or(0)
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Six bits a byte, least first, bit 6 says that more follow.
    fn varint(&mut self) -> Option<u32> {
        let mut value = 0u32;
        let mut shift = 0;
        loop {
            let byte = self.next()?;
            if shift < 32 {
                value |= u32::from(byte & 0x3f).checked_shl(shift)?;
            }
            if byte & 0x40 == 0 {
                return Some(value);
            }
            shift += 6;
        }
    }

    /// The sign is in the lowest bit.
    fn signed(&mut self) -> Option<i64> {
        let value = i64::from(self.varint()?);
        Some(if value & 1 == 1 { -(value >> 1) } else { value >> 1 })
    }
}

/// Objects/locations.md, 3.11: entries of a first byte with the top bit set, a code in
/// bits 3 to 6 and the length in instructions less one in bits 0 to 2, then what the
/// code says.
fn locations(table: &[u8], first_line: u32, lasti: u32) -> Position {
    let mut bytes = Bytes(table);
    let mut line = i64::from(first_line);
    let mut end = 0u32;
    while let Some(entry) = location(&mut bytes, &mut line) {
        end = end.saturating_add(entry.1);
        if end > lasti {
            return entry.0;
        }
    }
    Position { line: first_line, ..Position::default() }
}

fn location(bytes: &mut Bytes, line: &mut i64) -> Option<(Position, u32)> {
    let first = bytes.next()?;
    let length = (u32::from(first & 7) + 1) * 2;
    let code = first >> 3 & 15;
    let mut columns = None;
    let mut end_line = None;
    match code {
        15 => return Some((Position::default(), length)),
        14 => {
            *line += bytes.signed()?;
            end_line = Some(i64::from(bytes.varint()?));
            // Columns are stored plus one; zero means none.
            let (start, stop) = (bytes.varint()?, bytes.varint()?);
            columns = Some((start.checked_sub(1), stop.checked_sub(1)));
        }
        13 => *line += bytes.signed()?,
        10..=12 => {
            *line += i64::from(code - 10);
            columns = Some((Some(u32::from(bytes.next()?)), Some(u32::from(bytes.next()?))));
        }
        _ => {
            let second = bytes.next()?;
            let start = u32::from(code) * 8 + u32::from(second >> 4);
            columns = Some((Some(start), Some(start + u32::from(second & 15))));
        }
    }
    let at = u32::try_from(*line).unwrap_or(0);
    let (column, end_column) = columns.unwrap_or_default();
    let end_line = match code {
        13 => None,
        _ => Some(at.saturating_add(end_line.unwrap_or(0) as u32)),
    };
    Some((Position { line: at, end_line, column, end_column }, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lnotab_steps() {
        // def at line 10; bytes 0-5 line 11, 6-9 line 300, from 10 on line 299 (signed).
        let table = [0, 1, 6, 255, 0, 34, 4, 255];
        let line = |lasti, signed| lnotab(&table, 10, lasti, signed);
        assert_eq!(line(0, false), 11);
        assert_eq!(line(6, false), 300);
        assert_eq!(line(10, false), 555);
        assert_eq!(lnotab(&[0, 1, 6, 5, 4, 255], 10, 12, true), 15);
        let negative = position(LineFormat::Lnotab, &table, 10, -1);
        assert_eq!(negative.line, 10);
    }

    #[test]
    fn pep626_ranges_without_a_line() {
        let table = [4, 1, 2, 128, 4, 255];
        assert_eq!(pep626(&table, 7, 2), 8);
        assert_eq!(pep626(&table, 7, 4), 0);
        assert_eq!(pep626(&table, 7, 6), 7);
    }

    #[test]
    fn location_entries_of_every_kind() {
        // short form, code 1: columns 8 + 2 to 8 + 2 + 5, one instruction
        let short = locations(&[0x80 | 1 << 3, 0x25], 3, 0);
        assert_eq!((short.line, short.column, short.end_column), (3, Some(10), Some(15)));
        // one line (code 11: +1), two instructions, then no location
        let table = [0x80 | 11 << 3 | 1, 4, 9, 0x80 | 15 << 3];
        assert_eq!(locations(&table, 3, 2).line, 4);
        assert_eq!(locations(&table, 3, 4), Position::default());
        // long form: line -2 (5 = 2<<1|1), end line +1, columns none
        let long = locations(&[0x80 | 14 << 3, 5, 1, 0, 0], 9, 0);
        assert_eq!(long, Position { line: 7, end_line: Some(8), column: None, end_column: None });
        // no columns: line +70 takes two varint bytes
        assert_eq!(locations(&[0x80 | 13 << 3, 0x40 | (140 & 0x3f), 140 >> 6], 1, 0).line, 71);
        // cut short, or not there
        assert_eq!(locations(&[0x80 | 14 << 3, 5], 9, 0).line, 9);
        assert_eq!(locations(&[], 9, 0).line, 9);
    }
}
