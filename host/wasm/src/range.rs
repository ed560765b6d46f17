//! Ranges of monitoring plugins: `10`, `10:`, `~:10`, `10:20`, `@10:20`.

/// Whether `text` is a range that other tools will read too.
pub(crate) fn is_range(text: &str) -> bool {
    if text.len() > 64 {
        return false;
    }
    let text = text.strip_prefix('@').unwrap_or(text);
    let (start, end) = match text.split_once(':') {
        None => ("", text),
        Some((start, end)) => (start, end),
    };
    let start = match start {
        "" => Some(0.0),
        "~" => Some(f64::NEG_INFINITY),
        start => number(start),
    };
    let end = match end {
        "" if text.ends_with(':') => Some(f64::INFINITY),
        end => number(end),
    };
    matches!((start, end), (Some(start), Some(end)) if start <= end) && text != ":"
}

fn number(text: &str) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E');
    if !text.bytes().all(plain) {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

#[cfg(test)]
mod tests {
    use super::is_range;

    #[test]
    fn the_notation_of_monitoring_plugins() {
        for range in ["10", "10:", "~:10", "10:20", "@10:20", "-5:5", "0.5", "1e3", "~:", ":10"] {
            assert!(is_range(range), "{range}");
        }
        for other in ["", ":", "@", "20:10", "-1", "a", "1:2:3", "NaN", "inf", "1 2", "10:~", "\n1"]
        {
            assert!(!is_range(other), "{other}");
        }
    }
}
