//! Bytes, times and counts for people.

use std::time::Duration;

/// Powers of a thousand and of 1024, as they are written after a number.
const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// A number of bytes as one types it: `500MB`, `1.5 GiB`, `4096`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let cut = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(cut);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let wrong = || format!("{text:?} is not a size like 500MB, 1.5GiB, 64kB or 4096");
    let factor = factor.ok_or_else(wrong)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor as f64;
    if bytes < u64::MAX as f64 { Ok(bytes.round() as u64) } else { Err(wrong()) }
}

/// A time as one types it: `30s`, `500ms`, `2min`, `1.5`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let cut = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(cut);
    let wrong = || format!("{text:?} is not a time like 30s, 500ms or 2min");
    let seconds = match unit.trim() {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "min" | "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<f64>().map_err(|_| wrong())? * seconds;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// `500 MB`: decimal, as sizes of arrays are given.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut value = count as f64;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), units[unit])
}

/// `412 ns`, `1.23 us`, `52.1 ms`, `1.95 s`.
pub(crate) fn nanoseconds(ns: u64) -> String {
    let units = ["ns", "us", "ms", "s"];
    let mut unit = 0;
    let mut value = ns as f64;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), units[unit])
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        _ if value.fract() == 0.0 => 0,
        ..9.995 => 2,
        9.995..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// `62,500,000`.
pub(crate) fn count(number: impl ToString) -> String {
    let digits = number.to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |digits| ("-", digits));
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many times as long, to two digits: `4,700,000`.
pub(crate) fn times(longer_ns: u64, shorter_ns: u64) -> String {
    let ratio = longer_ns as f64 / shorter_ns.max(1) as f64;
    if ratio < 10.0 {
        return if ratio.fract() == 0.0 { format!("{ratio}") } else { format!("{ratio:.1}") };
    }
    let step = 10_f64.powi(ratio.log10().floor() as i32 - 1);
    count(((ratio / step).round() * step) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_or_binary_as_written() {
        for (text, bytes) in [
            ("500MB", 500_000_000),
            ("1MiB", 1 << 20),
            ("1.5 GiB", 3 << 29),
            ("4096", 4096),
            ("10b", 10),
            ("64kB", 64_000),
            ("2KiB", 2048),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "-1", "1XB", "1.2.3MB", "99999999TB", "1e9"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_a_unit_or_are_seconds() {
        for (text, ms) in [("30s", 30_000), ("1.5", 1_500), ("500ms", 500), ("2min", 120_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1s", "1d", "99999999999999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_shown_with_three_digits() {
        assert_eq!(bytes(500_000_000), "500 MB");
        assert_eq!(bytes(999_999), "1.00 MB");
        assert_eq!(bytes(12), "12 B");
        assert_eq!(nanoseconds(412), "412 ns");
        assert_eq!(nanoseconds(1_234), "1.23 us");
        assert_eq!(nanoseconds(52_100_000), "52.1 ms");
        assert_eq!(nanoseconds(1_950_000_000), "1.95 s");
        assert_eq!(nanoseconds(120_400_000_000), "120 s");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(-1234), "-1,234");
        assert_eq!(count(62_500_000), "62,500,000");
        assert_eq!(times(1_900_000_000, 404), "4,700,000");
        assert_eq!(times(3, 2), "1.5");
    }
}
