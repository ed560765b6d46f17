//! Durations and sizes as people write them: `30s`, `1m30s`, `250ms`, `64KiB`.

use std::time::Duration;

const DURATION_UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads a duration: whole numbers with units `ms`, `s`, `m`, `h`, `d`, one after the other.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (_, factor) = DURATION_UNITS.iter().find(|(unit, _)| *unit == &after[..end])?;
        total = total.checked_add(number.checked_mul(*factor)?)?;
        rest = after[end..].trim_start();
    }
    Some(Duration::from_millis(total))
}

/// Reads a size in bytes: a whole number with a unit `B`, `kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text.trim())?;
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.checked_mul(*factor)
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// Writes a duration so that [`parse_duration`] reads it back, with two units at most for long
/// ones: `1m30s`, `250ms`, `3d4h`.
pub fn show_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut parts = Vec::new();
    for (unit, factor) in DURATION_UNITS.iter().rev() {
        let count = left / factor;
        if count > 0 && parts.len() < 2 {
            parts.push(format!("{count}{unit}"));
            left %= factor;
        }
    }
    parts.concat()
}

/// Writes a size so that [`parse_size`] reads it back: `512 B`, `64 KiB`, `1500 B`.
pub fn exact_size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{} {unit}", bytes / factor),
        None => format!("{bytes} B"),
    }
}

/// Writes a size with a binary unit and at most one decimal: `512 B`, `1.5 MiB`.
pub fn show_size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, factor) in units {
        if bytes >= factor {
            let tenths = (u128::from(bytes) * 10 + u128::from(factor) / 2) / u128::from(factor);
            return match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                tenth => format!("{}.{tenth} {unit}", tenths / 10),
            };
        }
    }
    format!("{bytes} B")
}

/// A number of things: `1 problem`, `2 problems`.
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_have_units() {
        let cases = [
            ("30s", Some(30_000)),
            ("1m30s", Some(90_000)),
            ("1m 30s", Some(90_000)),
            ("250ms", Some(250)),
            ("7d", Some(604_800_000)),
            ("0s", Some(0)),
            ("30", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1y", None),
            ("99999999999999999999d", None),
            ("999999999999999999d", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let cases = [
            ("64KiB", Some(65_536)),
            ("1 MB", Some(1_000_000)),
            ("0B", Some(0)),
            ("64", None),
            ("64k", None),
            ("99999999999999GiB", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_size(text), expected, "{text}");
        }
        for (bytes, text) in
            [(1500, "1500 B"), (64 << 10, "64 KiB"), (0, "0 B"), (3 << 30, "3 GiB")]
        {
            assert_eq!(exact_size(bytes), text);
            assert_eq!(parse_size(text), Some(bytes));
        }
        assert_eq!(show_size(512), "512 B");
        assert_eq!(show_size(1_572_864), "1.5 MiB");
        assert_eq!(show_size(64 << 20), "64 MiB");
    }

    proptest! {
        #[test]
        fn durations_read_back_as_written(ms in 0u64..60_000) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,20}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
