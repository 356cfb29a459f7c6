//! `decimal.Decimal`, in C (3.3 and later) and in Python.

use super::reader::Reader;
use super::types::Type;
use super::{Value, text};
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

/// More words of digits than this are not read.
const MAX_WORDS: u64 = 4096;

impl Reader<'_, '_> {
    /// Modules/_decimal/_decimal.c `PyDecObject`: the hash, then an `mpd_t` {flags (a
    /// byte), exp, digits, len, alloc, data} (libmpdec/mpdecimal.h). Words hold 19 digits
    /// where pointers have 64 bits, else 9.
    pub(super) fn decimal(&self, object: u64, type_: &Type) -> Result<Value> {
        const BAD: BadObject = BadObject::Unexpected("a decimal");
        let layout = self.layout();
        let arch = layout.arch;
        let word = arch.word();
        let at = object.wrapping_add(u64::from(layout.values.head) + word as u64);
        let bytes = self.objects.memory.bytes(at, 6 * word)?;
        let number = |i: usize| arch.ssize(&bytes, i * word).ok_or(BAD);
        let flags = bytes.first().copied().unwrap_or(0);
        let (exponent, digits, words) = (number(1)?, number(2)?, number(3)?);
        let sign = flags & 1 != 0;
        let special = match flags & 14 {
            0 => None,
            2 => Some("Infinity"),
            4 => Some("NaN"),
            _ => Some("sNaN"),
        };
        let per_word = if word == 8 { 19 } else { 9 };
        let words = u64::try_from(words).ok().filter(|words| *words <= MAX_WORDS).ok_or(BAD)?;
        let data = self.pointers(arch.ptr(&bytes, 5 * word).ok_or(BAD)?, words, words as usize)?;
        let mut coefficient = String::new();
        for part in data.iter().rev() {
            coefficient.push_str(&format!("{part:0per_word$}"));
        }
        let digits = usize::try_from(digits).map_err(|_| BAD)?;
        let excess = coefficient.len().saturating_sub(digits.max(1));
        let coefficient = if digits == 0 { "" } else { coefficient.get(excess..).unwrap_or("") };
        let shown = match special {
            Some("Infinity") => "Infinity".to_owned(),
            Some(name) => format!("{name}{}", coefficient.trim_start_matches('0')),
            None => scientific(coefficient, exponent),
        };
        Ok(self.decimal_value(object, type_, sign, &shown))
    }

    fn decimal_value(&self, object: u64, type_: &Type, sign: bool, shown: &str) -> Value {
        // The class's name is fixed (`dec_repr`, `Decimal.__repr__`).
        let sign = if sign { "-" } else { "" };
        let quote = if self.layout().version.at_least(2, 6) { '\'' } else { '"' };
        let shown = format!("Decimal({quote}{sign}{shown}{quote})");
        self.symbol(object, type_, &text::clean(&shown))
    }

    /// Lib/decimal.py: `_sign`, `_int` (a string; a tuple before 2.6) and `_exp` (`F`,
    /// `n` or `N` for what is no number).
    pub(super) fn python_decimal(&self, object: u64, type_: &Type) -> Result<Value> {
        const BAD: BadObject = BadObject::Unexpected("a decimal");
        let get = |name: &str| self.attribute(object, type_, name).ok_or(BAD);
        let sign = self.objects.small_int(get("_sign")?)? != 0;
        let (int, exponent) = (get("_int")?, get("_exp")?);
        let digits = match self.objects.text(int, 4096) {
            Ok(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits,
            _ => {
                let (items, _) = self.tuple_items(int, 4096)?;
                let digits = items.iter().map(|item| self.objects.small_int(*item));
                digits.map(|digit| Ok(digit?.to_string())).collect::<Result<String>>()?
            }
        };
        let shown = match self.objects.small_int(exponent) {
            Ok(exponent) => scientific(&digits, exponent),
            Err(_) => match self.objects.text(exponent, 4)?.as_str() {
                "F" => "Infinity".to_owned(),
                "n" => format!("NaN{digits}"),
                _ => format!("sNaN{digits}"),
            },
        };
        Ok(self.decimal_value(object, type_, sign, &shown))
    }
}

/// The decimal arithmetic specification's to-scientific-string.
fn scientific(digits: &str, exponent: i64) -> String {
    let digits = if digits.is_empty() { "0" } else { digits };
    let count = digits.len() as i64;
    let adjusted = exponent.saturating_add(count - 1);
    if exponent == 0 {
        return digits.to_owned();
    }
    if exponent < 0 && adjusted >= -6 {
        let whole = count + exponent;
        return if whole > 0 {
            let (whole, fraction) = digits.split_at(whole as usize);
            format!("{whole}.{fraction}")
        } else {
            format!("0.{}{digits}", "0".repeat(whole.unsigned_abs() as usize))
        };
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{first}{point}{rest}E{adjusted:+}")
}

#[cfg(test)]
mod tests {
    use super::scientific;

    #[test]
    fn decimals_as_python_writes_them() {
        for (digits, exponent, text) in [
            ("123", 0, "123"),
            ("123", -2, "1.23"),
            ("123", -3, "0.123"),
            ("123", -5, "0.00123"),
            ("1", -6, "0.000001"),
            ("1", -7, "1E-7"),
            ("123", 2, "1.23E+4"),
            ("0", -2, "0.00"),
            ("0", 3, "0E+3"),
            ("", 0, "0"),
        ] {
            assert_eq!(scientific(digits, exponent), text);
        }
    }
}
