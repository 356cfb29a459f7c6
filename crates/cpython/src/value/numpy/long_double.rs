//! x86's `long double`: 64 bits, of which none is left out, and an exponent of 15.

use super::super::number;
use std::cmp::Ordering;

/// The least power of two that the last bit stands for.
const LEAST: i32 = 1 - 16383 - 63;

/// The shortest text that reads back as the same number; `None` for what is none.
pub(super) fn text(mantissa: u64, head: u16) -> Option<String> {
    let sign = if head >> 15 == 1 { "-" } else { "" };
    match (head & 0x7fff, mantissa) {
        (0, 0) => return Some(format!("{sign}0.0")),
        // The first bit is always there: without it, it is another machine's format.
        (1.., _) if mantissa >> 63 == 0 => return None,
        (0x7fff, _) if mantissa << 1 == 0 => return Some(format!("{sign}inf")),
        (0x7fff, _) => return Some("nan".to_owned()),
        _ => {}
    }
    let (digits, exponent) = shortest(mantissa, i32::from(head & 0x7fff).max(1) - 1 + LEAST);
    let (first, others) = digits.split_at(1);
    let text = number::shape(&format!("{sign}{first}.{others}e{exponent}"), 16);
    Some(if text.contains(['.', 'e']) { text } else { text + ".0" })
}

/// The digits, and the power of ten of the first (Steele and White, "How to print
/// floating-point numbers accurately", 1990: the algorithm called Dragon4).
fn shortest(mantissa: u64, exponent: i32) -> (String, i32) {
    // The number and half the distances to its neighbours, in parts of `scale`. Below a
    // power of two the next one is nearer.
    let narrow = mantissa == 1 << 63 && exponent > LEAST;
    let mut number = Big::from(mantissa).times_power_of_two(exponent.max(0) as u32 + 2);
    let mut above = Big::from(2).times_power_of_two(exponent.max(0) as u32);
    let mut below = Big::from(if narrow { 1 } else { 2 });
    below = below.times_power_of_two(exponent.max(0) as u32);
    let mut scale = Big::from(4).times_power_of_two((-exponent).max(0) as u32);
    let log = (mantissa as f64).log10() + f64::from(exponent) * std::f64::consts::LOG10_2;
    // As the logarithm is not exact, too small rather than too large a power.
    let mut power = (log - 1e-6).ceil() as i32;
    if power >= 0 {
        scale.times_power_of_ten(power as u32);
    } else {
        for part in [&mut number, &mut above, &mut below] {
            part.times_power_of_ten(power.unsigned_abs());
        }
    }
    if number.plus(&above).cmp(&scale) == Ordering::Greater {
        power += 1;
    } else {
        for part in [&mut number, &mut above, &mut below] {
            part.times(10);
        }
    }
    let mut digits = String::new();
    // 64 bits take 21 digits at the most.
    for _ in 0..24 {
        let mut digit = 0u8;
        while digit < 9 && number.cmp(&scale) != Ordering::Less {
            number.minus(&scale);
            digit += 1;
        }
        let low = number.cmp(&below) == Ordering::Less;
        let high = number.plus(&above).cmp(&scale) == Ordering::Greater;
        if !low && !high {
            digits.push(char::from(b'0' + digit));
            for part in [&mut number, &mut above, &mut below] {
                part.times(10);
            }
            continue;
        }
        let up = match (low, high) {
            (true, true) => number.plus(&number).cmp(&scale) == Ordering::Greater,
            (_, high) => high,
        };
        digits.push(char::from(b'0' + digit + u8::from(up && digit < 9)));
        break;
    }
    (digits, power - 1)
}

/// An integer of 32-bit limbs, least first.
struct Big(Vec<u32>);

impl Big {
    fn from(value: u64) -> Big {
        Big(vec![value as u32, (value >> 32) as u32])
    }

    fn times(&mut self, factor: u32) {
        let mut carry = 0u64;
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn times_power_of_ten(&mut self, power: u32) {
        for _ in 0..power / 9 {
            self.times(1_000_000_000);
        }
        self.times(10u32.pow(power % 9));
    }

    fn times_power_of_two(mut self, power: u32) -> Big {
        self.times(1 << (power % 32));
        let mut limbs = vec![0; power as usize / 32];
        limbs.append(&mut self.0);
        Big(limbs)
    }

    fn plus(&self, other: &Big) -> Big {
        let mut carry = 0u64;
        let limb = |of: &Big, at: usize| u64::from(of.0.get(at).copied().unwrap_or(0));
        let mut limbs: Vec<u32> = (0..self.0.len().max(other.0.len()))
            .map(|at| {
                carry += limb(self, at) + limb(other, at);
                let low = carry as u32;
                carry >>= 32;
                low
            })
            .collect();
        limbs.push(carry as u32);
        Big(limbs)
    }

    /// Less what is not more than it.
    fn minus(&mut self, other: &Big) {
        let mut borrow = 0i64;
        for (at, limb) in self.0.iter_mut().enumerate() {
            borrow += i64::from(*limb) - i64::from(other.0.get(at).copied().unwrap_or(0));
            *limb = borrow as u32;
            borrow >>= 32;
        }
    }

    fn cmp(&self, other: &Big) -> Ordering {
        let limbs = |of: &Big| of.0.iter().rposition(|limb| *limb != 0).map_or(0, |at| at + 1);
        let (own, others) = (limbs(self), limbs(other));
        own.cmp(&others)
            .then_with(|| self.0.iter().take(own).rev().cmp(other.0.iter().take(others).rev()))
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn as_numpy_writes_them() {
        for (mantissa, head, expected) in [
            (0xc000_0000_0000_0000, 0x3fff, "1.5"),
            (0x8000_0000_0000_0000, 0xbffd, "-0.25"),
            (0, 0x8000, "-0.0"),
            (0xaaaa_aaaa_aaaa_aaab, 0x3ffd, "0.33333333333333333334"),
            (0xcccc_cccc_cccc_cccd, 0x3ffb, "0.1"),
            (0x9c40_0000_0000_0000, 0x400e, "40000.0"),
            (u64::MAX, 0x7ffe, "1.189731495357231765e+4932"),
            (1 << 63, 1, "3.3621031431120935063e-4932"),
            (1, 0, "4e-4951"),
            (1 << 63, 0x403e, "9.223372036854775808e+18"),
            (0xad78_ebc5_ac62_0000, 0x4041, "1e+20"),
            (3 << 62, 2, "1.0086309429336280519e-4931"),
            (1 << 63, 0x7fff, "inf"),
            (3 << 62, 0xffff, "nan"),
        ] {
            assert_eq!(text(mantissa, head).as_deref(), Some(expected));
        }
        // A number of aarch64's.
        assert_eq!(text(0, 0x3fff), None);
    }
}
