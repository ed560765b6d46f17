//! What monitoring plugins write: a line for people, numbers behind a `|`, and more lines.
//!
//! ```text
//! DISK OK - free space: / 12 GB | '/'=3GB;10;15;0;20
//! more text for people | '/boot'=68MB;88;93;0;98
//! '/home'=69357MB;253404;253409;0;253414
//! ```
//!
//! Nothing here is believed: it takes what it understands, and what comes of it is cleaned as a
//! plugin's report is.

use wellcheck_core::outcome::Observation;

/// Most numbers that are looked at; fewer are kept.
const MOST: usize = 256;

/// The name of a number whose label has no letter that a name may have.
const NAMELESS: &str = "value";

/// What stands in an output.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Answer {
    /// The first line.
    pub(super) message: String,
    /// The lines below it, without the numbers.
    pub(super) long: String,
    pub(super) observations: Vec<Observation>,
    /// What was left out of the numbers, one line each.
    pub(super) flags: Vec<String>,
}

/// Reads an output.
pub(super) fn read(text: &str) -> Answer {
    let mut answer = Answer::default();
    let mut numbers = String::new();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let (message, perfdata) = first.split_once('|').unwrap_or((first, ""));
    answer.message = message.trim().to_owned();
    numbers.push_str(perfdata);
    // From a second `|` on there are only numbers.
    let mut is_long = true;
    for line in lines {
        numbers.push(' ');
        if !is_long {
            numbers.push_str(line);
            continue;
        }
        let (long, perfdata) = match line.split_once('|') {
            Some((long, perfdata)) => {
                is_long = false;
                (long, perfdata)
            }
            None => (line, ""),
        };
        if !answer.long.is_empty() {
            answer.long.push('\n');
        }
        answer.long.push_str(long.trim_end());
        numbers.push_str(perfdata);
    }
    answer.long.truncate(answer.long.trim_end().len());
    perfdata_of(&numbers, &mut answer);
    answer
}

fn perfdata_of(text: &str, answer: &mut Answer) {
    let mut rest = text.trim_start();
    let mut wrong = 0_usize;
    for _ in 0..MOST {
        if rest.is_empty() {
            break;
        }
        let Some((label, after)) = label(rest) else {
            // Nothing behind it can be told apart any more.
            wrong += 1;
            rest = "";
            break;
        };
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        match number(&label, &after[..end]) {
            Read::Number(observation) => answer.observations.push(observation),
            Read::Unknown => {}
            Read::Nonsense => wrong += 1,
        }
        rest = after[end..].trim_start();
    }
    if wrong > 0 {
        answer.flags.push(format!("{wrong} of the numbers left out: they are no `'label'=value[unit];[warn];[fail];[min];[max]`"));
    }
    if !rest.is_empty() {
        answer.flags.push(format!("numbers left out (at most {MOST} are looked at)"));
    }
}

/// The label, and what stands behind its `=`.
fn label(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (label, rest) = text.split_once('=')?;
        return (!label.is_empty() && !label.contains('\''))
            .then(|| (label.trim().to_owned(), rest));
    };
    let mut label = String::new();
    let mut rest = quoted;
    loop {
        let (piece, after) = rest.split_once('\'')?;
        label.push_str(piece);
        // Two of them are one.
        match after.strip_prefix('\'') {
            Some(more) => {
                label.push('\'');
                rest = more;
            }
            None => return Some((label, after.strip_prefix('=')?)),
        }
    }
}

enum Read {
    Number(Observation),
    /// The plugin says that it could not find it out.
    Unknown,
    Nonsense,
}

/// `value[unit];[warn];[fail];[min];[max]`
fn number(label: &str, text: &str) -> Read {
    let mut fields = text.split(';');
    let value = fields.next().unwrap_or_default();
    if value == "U" {
        return Read::Unknown;
    }
    let end = value.find(|c: char| !(c.is_ascii_digit() || "+-.,".contains(c)));
    let (mut digits, mut unit) = value.split_at(end.unwrap_or(value.len()));
    // An exponent is no unit.
    if let Some(exponent) = unit.strip_prefix(['e', 'E'])
        && exponent.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+')
    {
        let start = digits.len() + 1;
        let end = exponent[1..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(value.len(), |n| start + 1 + n);
        (digits, unit) = value.split_at(end);
    }
    // Some plugins write as the language of their user does.
    let digits = digits.replace(',', ".");
    let Some(value) = digits.parse().ok().filter(|value: &f64| value.is_finite()) else {
        return Read::Nonsense;
    };
    let (factor, unit) = ours(unit);
    let mut bound =
        || fields.next().filter(|text| !text.is_empty()).map(|text| scaled(text, factor));
    let (warn, fail) = (bound(), bound());
    let (name, labels) = named(label);
    let unit = (!unit.is_empty()).then(|| unit.to_owned());
    Read::Number(Observation { name, value: times(value, factor), unit, labels, warn, fail })
}

/// Our unit, and how many of it theirs is. Sizes are in multiples of 1024, as monitoring-plugins mean
/// them.
fn ours(unit: &str) -> (f64, &str) {
    match unit {
        // A counter.
        "c" => (1.0, ""),
        "ns" => (1e-9, "s"),
        "us" | "µs" | "μs" => (1e-6, "s"),
        "ms" => (1e-3, "s"),
        "KB" | "kB" | "KiB" => (1024.0, "B"),
        "MB" | "MiB" => (1_048_576.0, "B"),
        "GB" | "GiB" => (1_073_741_824.0, "B"),
        "TB" | "TiB" => (1_099_511_627_776.0, "B"),
        "PB" | "PiB" => (1_125_899_906_842_624.0, "B"),
        other => (1.0, other),
    }
}

/// Small factors are divided by, so that 15 ms are 0.015 s and not 0.015000000000000001.
fn times(value: f64, factor: f64) -> f64 {
    if factor < 1.0 { value / (1.0 / factor).round() } else { value * factor }
}

/// A range in our unit. What is none stays as it is, and is left out later.
fn scaled(range: &str, factor: f64) -> String {
    if factor == 1.0 {
        return range.to_owned();
    }
    let (at, plain) = match range.strip_prefix('@') {
        Some(plain) => ("@", plain),
        None => ("", range),
    };
    let one = |text: &str| match text.parse::<f64>() {
        Ok(value) if value.is_finite() => times(value, factor).to_string(),
        _ => text.to_owned(),
    };
    match plain.split_once(':') {
        Some((start, end)) => format!("{at}{}:{}", one(start), one(end)),
        None => format!("{at}{}", one(plain)),
    }
}

/// A name that ours may have; where that is another one, the label itself stands beside it.
fn named(label: &str) -> (String, Vec<(String, String)>) {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut name: String = label.chars().map(|c| if fits(c) { c } else { '_' }).take(64).collect();
    name = name.trim_matches('_').to_owned();
    if name.is_empty() {
        NAMELESS.clone_into(&mut name);
    } else if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name = format!("{NAMELESS}_{name}");
        name.truncate(64);
    }
    let labels = match name == label {
        true => Vec::new(),
        false => vec![("label".to_owned(), label.to_owned())],
    };
    (name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let answer = read(&format!("OK|{text}"));
        let show = |o: &Observation| {
            let label: String = o.labels.iter().map(|(_, label)| format!("{{{label}}}")).collect();
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            format!(
                "{}{label}={}{};{};{}",
                o.name,
                o.value,
                part(&o.unit),
                part(&o.warn),
                part(&o.fail)
            )
        };
        answer
            .observations
            .iter()
            .map(show)
            .chain(answer.flags.iter().map(|_| "flag".to_owned()))
            .collect()
    }

    #[test]
    fn numbers_have_labels_units_and_ranges() {
        for (text, expected) in [
            ("time=0.015s;;;0.000000;10.0", &["time=0.015s;;"][..]),
            ("rta=15ms;100,0;500", &["rta=0.015s;100,0;0.5"]),
            ("load1=0.5;5;10;0; load5=0.25;4;8;0;", &["load1=0.5;5;10", "load5=0.25;4;8"]),
            ("/=3MB;10;15;0;20", &["value{/}=3145728B;10485760;15728640"]),
            ("'C:\\ %'=97%;80:90;@~:5", &["C{C:\\ %}=97%;80:90;@~:5"]),
            ("'it''s a=b'=1c", &["it_s_a_b{it's a=b}=1;;"]),
            ("5min=1 u=U x=2", &["value_5min{5min}=1;;", "x=2;;"]),
            ("a=1,5us;10:;~:20", &["a=0.0000015s;0.00001:;~:0.00002"]),
            ("a=1e3 b=1.5e-3s c=2E", &["a=1000;;", "b=0.0015s;;", "c=2E;;"]),
            ("", &[]),
            ("nonsense", &["flag"]),
            ("a=x b=1", &["b=1;;", "flag"]),
            ("'open=1", &["flag"]),
            ("a=1e999", &["flag"]),
            ("=1", &["flag"]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn texts_and_numbers_may_stand_on_several_lines() {
        let text = "DISK OK - free | '/'=3GB\nmore\n\nand more | a=1\nb=2\nc=3\n";
        let answer = read(text);
        assert_eq!(answer.message, "DISK OK - free");
        assert_eq!(answer.long, "more\n\nand more");
        let names: Vec<&str> = answer.observations.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, ["value", "a", "b", "c"]);
        assert_eq!(read(""), Answer::default());
    }

    #[test]
    fn what_has_no_end_is_looked_at_in_part() {
        let text: String = (0..10_000).map(|n| format!("a{n}=1 ")).collect();
        let answer = read(&format!("|{text}"));
        assert_eq!((answer.observations.len(), answer.flags.len()), (MOST, 1));
        for hostile in
            ["|'", "|''''''", "|=", "|a=;;;;;;;", "|\u{202e}=1", "|a=1e", "|a=1e+", "|é=1é"]
        {
            read(hostile);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_output_breaks_it(text in "[ -~\n'|=;:@eU0-9.,é\u{202e}]{0,200}") {
            let answer = read(&text);
            proptest::prop_assert!(!answer.message.contains('\n'));
            for observation in &answer.observations {
                proptest::prop_assert!(observation.value.is_finite());
                proptest::prop_assert!(observation.name.len() <= 64 && !observation.name.is_empty());
            }
        }
    }
}
