//! What a regular expression is certain to find: a text that stands in all that it matches.
//!
//! Where it asks for nothing else, the kinds `tcp` and `websocket` look for the text.

/// A text that is in everything that the pattern matches, and whether that is all it asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certain {
    pub(super) text: String,
    pub(super) exact: bool,
}

/// The longest such text; none if the pattern has none.
pub(super) fn certain(pattern: &str) -> Option<Certain> {
    // Alternatives and flags would have to be understood.
    if pattern.contains('|') || pattern.contains("(?i") || pattern.contains("(?x") {
        return None;
    }
    let chars: Vec<char> = pattern.chars().collect();
    let mut exact = true;
    let mut best = String::new();
    let mut run = String::new();
    let mut index = 0;
    while let Some(&c) = chars.get(index) {
        index += 1;
        let literal = match c {
            '\\' => {
                let escaped = chars.get(index).copied();
                index += 1;
                match escaped {
                    Some(e) if !e.is_ascii_alphanumeric() => Some(e),
                    Some('r') => Some('\r'),
                    Some('n') => Some('\n'),
                    Some('t') => Some('\t'),
                    // `\p{Greek}`, `\x{20}`: what is in the braces is no text either.
                    Some('p' | 'P' | 'x') if chars.get(index) == Some(&'{') => {
                        index = past(&chars, index, '{', '}');
                        None
                    }
                    Some('x') => {
                        index += 2;
                        None
                    }
                    Some('p' | 'P') => {
                        index += 1;
                        None
                    }
                    _ => None,
                }
            }
            '[' => {
                // A bracket that comes first is one of the set.
                let negated = usize::from(chars.get(index) == Some(&'^'));
                let first = index + negated;
                let from = if chars.get(first) == Some(&']') { first + 1 } else { index };
                index = end_of_set(&chars, from);
                None
            }
            '(' => {
                index = past(&chars, index - 1, '(', ')');
                None
            }
            '.' | '^' | '$' => None,
            c => Some(c),
        };
        let quantifier = chars.get(index).copied().filter(|c| "?*+{".contains(*c));
        match (literal, quantifier) {
            (Some(literal), None) => run.push(literal),
            (Some(literal), Some('+')) => {
                run.push(literal);
                exact = false;
                keep(&mut best, &mut run);
            }
            _ => {
                exact = false;
                keep(&mut best, &mut run);
            }
        }
        if let Some(quantifier) = quantifier {
            index = match quantifier {
                '{' => past(&chars, index, '{', '}'),
                _ => index + 1,
            };
            // The lazy form.
            index += usize::from(chars.get(index) == Some(&'?'));
        }
    }
    keep(&mut best, &mut run);
    (!best.is_empty()).then_some(Certain { text: best, exact })
}

fn keep(best: &mut String, run: &mut String) {
    if run.len() > best.len() {
        std::mem::swap(best, run);
    }
    run.clear();
}

/// Behind the bracket that closes the one at `from`.
fn past(chars: &[char], from: usize, open: char, close: char) -> usize {
    let mut depth = 0;
    let mut index = from;
    while let Some(&c) = chars.get(index) {
        index += 1;
        match c {
            '\\' => index += 1,
            '[' if open == '(' => index = end_of_set(chars, index),
            c if c == open => depth += 1,
            c if c == close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    index
}

fn end_of_set(chars: &[char], from: usize) -> usize {
    let mut index = from;
    while let Some(&c) = chars.get(index) {
        index += 1;
        match c {
            '\\' => index += 1,
            ']' => break,
            _ => {}
        }
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_match_holds_is_certain() {
        let cases = [
            ("PONG", Some(("PONG", true))),
            ("^SSH-2.0-", Some(("SSH-2", false))),
            (r"^SSH-2\.0-", Some(("SSH-2.0-", false))),
            ("^220 ([^ ]+) ESMTP (.+)$", Some((" ESMTP ", false))),
            ("OK.*STARTTLS", Some(("STARTTLS", false))),
            ("colou?r", Some(("colo", false))),
            ("ab+c", Some(("ab", false))),
            ("a{2}bc", Some(("bc", false))),
            (r"[]x]yz\]", Some(("yz]", false))),
            (r"\p{Greek}yes\x{20}", Some(("yes", false))),
            ("a|b", None),
            ("(?i)pong", None),
            (".*", None),
            ("", None),
            ("(((", None),
            ("[", None),
            ("\\", None),
        ];
        for (pattern, expected) in cases {
            let found = certain(pattern);
            let found = found.as_ref().map(|found| (found.text.as_str(), found.exact));
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
