//! A line for a shell, as far as it is one simple command: words, quotation marks, one pipe.
//!
//! `|| exit 1` and the like say nothing more than that a failure is a failure, and where output goes
//! does not matter; both are passed over. Everything else makes the line more than one command.

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A word, or what stood in quotation marks.
    Text(String),
    /// `|`.
    Pipe,
}

/// The words of a line, or why it is more than a simple command.
pub(super) fn split(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("a quotation mark is not closed".to_owned()),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some(c) => word.extend(['\\', c]),
                            None => return Err("a quotation mark is not closed".to_owned()),
                        },
                        Some('$') => return Err(variable(&mut chars)),
                        Some('`') => return Err("it runs another command".to_owned()),
                        Some(c) => word.push(c),
                        None => return Err("a quotation mark is not closed".to_owned()),
                    }
                }
            }
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(c) => word.get_or_insert_default().push(c),
            },
            '$' => return Err(variable(&mut chars)),
            '`' => return Err("it runs another command".to_owned()),
            '#' if word.is_none() => break,
            c if c.is_whitespace() => words.extend(word.take().map(Word::Text)),
            '|' | '&' | ';' | '>' | '<' => {
                // A number before it says which output it is about.
                let number = word.as_ref().is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit()));
                if matches!(c, '>' | '<') && number {
                    word = None;
                }
                words.extend(word.take().map(Word::Text));
                let doubled = chars.next_if_eq(&c).is_some();
                match (c, doubled) {
                    ('|', true) => {
                        let rest: String = chars.collect();
                        return if gives_up(&rest) { Ok(words) } else { Err(more(&rest)) };
                    }
                    ('|', false) => words.push(Word::Pipe),
                    ('>', _) => skip_target(&mut chars),
                    ('&', false) if chars.next_if_eq(&'>').is_some() => skip_target(&mut chars),
                    (';' | '&', _) => {
                        let rest: String = chars.collect();
                        let done = rest.trim().is_empty() && c == ';';
                        let fine = (c, doubled) == ('&', true) && succeeds(&rest);
                        return if done || fine { Ok(words) } else { Err(more(&rest)) };
                    }
                    _ => return Err("it reads a file".to_owned()),
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.map(Word::Text));
    Ok(words)
}

/// Where output goes.
fn skip_target(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(|c| *c == ' ').is_some() {}
    while chars.next_if(|c| !c.is_whitespace() && !"|;<>".contains(*c)).is_some() {}
}

fn variable(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let braced = chars.next_if_eq(&'{').is_some();
    if !braced && chars.peek() == Some(&'(') {
        return "it runs another command".to_owned();
    }
    let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let name: String = std::iter::from_fn(|| chars.next_if(fits)).take(80).collect();
    format!("it depends on the variable `{name}`, which only the container knows")
}

fn more(rest: &str) -> String {
    format!("it goes on to do `{}`", super::context::shown(rest.trim()))
}

/// What follows `||` and only says that it failed.
fn gives_up(rest: &str) -> bool {
    let words: Vec<&str> = rest.trim().trim_end_matches(';').split_whitespace().collect();
    match words.as_slice() {
        ["exit"] | ["false"] => true,
        ["exit", code] => code.parse::<u8>().is_ok_and(|code| code > 0),
        _ => false,
    }
}

/// What follows `&&` and only says that it succeeded, or else failed.
fn succeeds(rest: &str) -> bool {
    let (then, otherwise) = rest.split_once("||").unwrap_or((rest, "exit 1"));
    let words: Vec<&str> = then.split_whitespace().collect();
    matches!(words.as_slice(), ["exit", "0"] | ["true"]) && gives_up(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<String, String> {
        let show = |word: &Word| match word {
            Word::Text(text) => format!("[{text}]"),
            Word::Pipe => "|".to_owned(),
        };
        split(line).map(|words| words.iter().map(show).collect())
    }

    #[test]
    fn simple_commands_are_split() {
        let cases = [
            ("curl -f http://a/ || exit 1", "[curl][-f][http://a/]"),
            ("curl 'a b' \"c d\"e\\ f # no", "[curl][a b][c de f]"),
            ("curl x >/dev/null 2>&1 || exit 1", "[curl][x]"),
            ("curl x &> /dev/null", "[curl][x]"),
            ("curl x | grep -q ok || false", "[curl][x]|[grep][-q][ok]"),
            ("curl x && exit 0 || exit 1;", "[curl][x]"),
            ("curl \\\n x;", "[curl][x]"),
            ("curl \"a\\\"b\" ''", "[curl][a\"b][]"),
        ];
        for (line, expected) in cases {
            assert_eq!(words(line).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_more_than_a_command_says_why() {
        let cases = [
            ("curl x || kill 1", "it goes on to do `kill 1`"),
            ("curl x || exit 0", "it goes on to do `exit 0`"),
            ("curl x; curl y", "it goes on to do `curl y`"),
            ("curl x && test -f y", "it goes on to do `test -f y`"),
            ("curl $(hostname)", "it runs another command"),
            ("curl `hostname`", "it runs another command"),
            ("curl http://a:${PORT}/", "it depends on the variable `PORT`"),
            ("curl \"$URL\"", "it depends on the variable `URL`"),
            ("curl 'x", "a quotation mark is not closed"),
            ("wget < x", "it reads a file"),
        ];
        for (line, expected) in cases {
            let why = split(line).expect_err(line);
            assert!(why.starts_with(expected), "{line}: {why}");
        }
    }
}
