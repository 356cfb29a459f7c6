//! Dates and times as NumPy writes them.

/// A count of units since the first day of 1970 as ISO 8601.
pub(super) fn iso(count: i64, unit: &str) -> Option<String> {
    let date = |days: i64| {
        // Days to a date of the Gregorian calendar: eras of 400 years, which begin in
        // March.
        let shifted = days + 719_468;
        let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let of_month = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        format!("{year:04}-{month:02}-{of_month:02}")
    };
    let limit = |days: i64| (days.unsigned_abs() < 1 << 40).then_some(days);
    let digits = match unit {
        "Y" => return Some(format!("{:04}", count.checked_add(1970)?)),
        "M" => {
            return Some(format!(
                "{:04}-{:02}",
                count.div_euclid(12) + 1970,
                count.rem_euclid(12) + 1
            ));
        }
        "W" => return Some(date(limit(count.checked_mul(7)?)?)),
        "D" => return Some(date(limit(count)?)),
        "h" => {
            let day = date(limit(count.div_euclid(24))?);
            return Some(format!("{day}T{:02}", count.rem_euclid(24)));
        }
        "m" => {
            let day = date(limit(count.div_euclid(1440))?);
            let rest = count.rem_euclid(1440);
            return Some(format!("{day}T{:02}:{:02}", rest / 60, rest % 60));
        }
        "s" => 0,
        "ms" => 3,
        "us" => 6,
        "ns" => 9,
        _ => return None,
    };
    let scale = 10i64.pow(digits);
    let (seconds, fraction) = (count.div_euclid(scale), count.rem_euclid(scale));
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (h, m, s) = (rest / 3600, rest / 60 % 60, rest % 60);
    let day = date(limit(days)?);
    let width = digits as usize;
    let fraction = if digits == 0 { String::new() } else { format!(".{fraction:0width$}") };
    Some(format!("{day}T{h:02}:{m:02}:{s:02}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn dates() {
        assert_eq!(iso(0, "D").as_deref(), Some("1970-01-01"));
        assert_eq!(iso(19_782, "D").as_deref(), Some("2024-02-29"));
        assert_eq!(iso(-1, "D").as_deref(), Some("1969-12-31"));
        assert_eq!(iso(-1, "ms").as_deref(), Some("1969-12-31T23:59:59.999"));
        assert_eq!(iso(649, "M").as_deref(), Some("2024-02"));
        assert_eq!(iso(i64::MAX, "D"), None);
    }
}
