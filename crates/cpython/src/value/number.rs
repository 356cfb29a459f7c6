//! Numbers as `repr` writes them.

use crate::version::Version;

/// Ints of more bits than this are not converted whole: it takes the square of their
/// length. (CPython itself refuses above 4,300 digits, about 14,000 bits, since 3.11.)
pub(super) const MAX_BITS: u64 = 1 << 16;

/// The decimal digits of a number of 32-bit limbs, least first.
pub(super) fn decimal(mut limbs: Vec<u32>) -> String {
    const STEP: u64 = 1_000_000_000;
    let mut parts = Vec::new();
    loop {
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        if limbs.is_empty() {
            break;
        }
        let mut rest = 0u64;
        for limb in limbs.iter_mut().rev() {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / STEP) as u32;
            rest = value % STEP;
        }
        parts.push(rest);
    }
    let Some(first) = parts.pop() else { return "0".to_owned() };
    let mut text = first.to_string();
    for part in parts.iter().rev() {
        text.push_str(&format!("{part:09}"));
    }
    text
}

/// Digits of `bits` bits each, least first, as 32-bit limbs.
pub(super) fn limbs(digits: impl Iterator<Item = u64>, bits: u32) -> Vec<u32> {
    let mut limbs = Vec::new();
    let (mut pending, mut have) = (0u64, 0u32);
    for digit in digits {
        pending |= (digit & ((1 << bits) - 1)) << have;
        have += bits;
        if have >= 32 {
            limbs.push(pending as u32);
            pending >>= 32;
            have -= 32;
        }
    }
    limbs.push(pending as u32);
    limbs
}

/// The first digits and the number of digits of `top * 2^exponent`.
pub(super) fn approximate(top: u64, exponent: u64) -> (String, u64) {
    let log = (top.max(1) as f64).log10() + exponent as f64 * std::f64::consts::LOG10_2;
    let lead = 10f64.powf(log.fract() + 5.0);
    ((lead as u64).to_string(), log as u64 + 1)
}

/// A float as `repr` writes it: the shortest digits that read back as the same (2.7, 3.1
/// and later, Python/pystrtod.c `format_float_short` with code `r`), or 17 digits.
pub(super) fn float(value: f64, version: Version) -> String {
    let text = plain(value, version);
    if text.contains(['.', 'e', 'n']) { text } else { text + ".0" }
}

/// A complex number (Objects/complexobject.c `complex_repr`).
pub(super) fn complex(real: f64, imaginary: f64, version: Version) -> String {
    let old = !version.at_least(2, 7);
    let mut second = plain(imaginary, version);
    if old && !imaginary.is_finite() {
        second.push('*');
    }
    if real == 0.0 && (real.is_sign_positive() || old) {
        return format!("{second}j");
    }
    let sign = if second.starts_with('-') { "" } else { "+" };
    format!("({}{sign}{second}j)", plain(real, version))
}

fn plain(value: f64, version: Version) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let short = version.at_least(2, 7) && version != Version::new(3, 0, version.patch);
    if short {
        shape(&format!("{value:e}"), 16)
    } else {
        // %.17g
        shape(&format!("{value:.16e}"), 17)
    }
}

/// The shortest text of a 32-bit float.
pub(super) fn float32(value: f32) -> String {
    let text = if value.is_finite() { shape(&format!("{value:e}"), 16) } else { value.to_string() };
    let text = text.replace("NaN", "nan");
    if text.contains(['.', 'e', 'n']) { text } else { text + ".0" }
}

/// IEEE 754 binary16 bits as the value and its shortest text.
pub(super) fn float16(bits: u16) -> String {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let value = sign
        * match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
        };
    let half_step = 2f64.powi(exponent.max(1) - 26);
    for digits in 0..5 {
        let text = format!("{value:.digits$e}");
        if text.parse::<f64>().is_ok_and(|read| (read - value).abs() < half_step) {
            return float(text.parse().unwrap_or(value), Version::new(3, 12, 0));
        }
    }
    float(value, Version::new(3, 12, 0))
}

/// From `d.ddde±x` to what C's `%g` and Python's `repr` print: without an exponent from
/// 1e-4 up to 10 to the power of `limit`.
pub(super) fn shape(scientific: &str, limit: i32) -> String {
    let (sign, rest) = match scientific.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", scientific),
    };
    let (mantissa, exponent) = rest.split_once('e').unwrap_or((rest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let count = digits.len() as i32;
    let body = if !(-4..limit).contains(&exponent) {
        let (first, others) = digits.split_at(1);
        let point = if others.is_empty() { "" } else { "." };
        let mark = if exponent < 0 { '-' } else { '+' };
        format!("{first}{point}{others}e{mark}{:02}", exponent.abs())
    } else if exponent < 0 {
        format!("0.{}{digits}", "0".repeat((-exponent - 1) as usize))
    } else if exponent + 1 >= count {
        format!("{digits}{}", "0".repeat((exponent + 1 - count) as usize))
    } else {
        let (whole, fraction) = digits.split_at(exponent as usize + 1);
        format!("{whole}.{fraction}")
    };
    format!("{sign}{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_python_writes_them() {
        let new = Version::new(3, 12, 0);
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (-2.5e-300, "-2.5e-300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(float(value, new), text);
        }
        let old = Version::new(2, 6, 9);
        assert_eq!(float(0.1, old), "0.10000000000000001");
        assert_eq!(float(1e16, old), "10000000000000000.0");
        assert_eq!(float(1e17, old), "1e+17");
        assert_eq!(complex(0.0, 2.0, new), "2j");
        assert_eq!(complex(-0.0, -2.5, new), "(-0-2.5j)");
        assert_eq!(complex(1.0, f64::NAN, new), "(1+nanj)");
        assert_eq!(float32(0.1), "0.1");
        assert_eq!(float32(f32::NEG_INFINITY), "-inf");
        assert_eq!(float16(0x2e66), "0.1");
        assert_eq!(float16(0x3c00), "1.0");
        assert_eq!(float16(0x7bff), "65500.0");
        assert_eq!(float16(0xfc00), "-inf");
        assert_eq!(float16(0x0001), "6e-08");
    }

    #[test]
    fn ints_of_any_size() {
        assert_eq!(decimal(vec![]), "0");
        assert_eq!(decimal(vec![0, 0, 0]), "0");
        assert_eq!(decimal(vec![1_000_000_000]), "1000000000");
        assert_eq!(decimal(vec![0, 0, 1]), "18446744073709551616");
        let power = limbs((0..11).map(|i| u64::from(i == 10)), 30);
        assert_eq!(
            decimal(power),
            "2037035976334486086268445688409378161051468393665936250636140449354381299763336706183397376"
        );
        assert_eq!(approximate(1 << 63, 1), ("184467".to_owned(), 20));
    }
}
