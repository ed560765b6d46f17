//! Texts in which Gatus puts variables of the environment: `$NAME`, `${NAME}`, and `$$` for `$`.
//!
//! Gatus replaces them before it reads the YAML; here they stay references of our configuration, so
//! that no secret is written down.

use crate::import::context::{Context, shown};
use crate::import::write::Text;
use crate::import::yaml::Mark;

/// A text of the configuration; what cannot be a reference becomes a note.
pub(super) fn text(written: &str, mark: Mark, what: &str, context: &mut Context<'_>) -> Text {
    let mut text = Text::default();
    // Kept together until a variable comes: `$` and `{` are a reference only when written as one.
    let mut literal = String::new();
    let mut rest = written;
    while let Some(start) = rest.find('$') {
        literal.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            literal.push('$');
            rest = after;
            continue;
        }
        let (name, after) = match rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}').unwrap_or((inner, "")),
            None => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                rest.split_at(end.unwrap_or(rest.len()))
            }
        };
        rest = after;
        // Behind a `$` it would be a literal.
        let fits = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !literal.ends_with('$');
        if fits {
            text = text.with(&Text::literal(&literal)).with(&Text::reference(name));
            literal.clear();
        } else {
            context.note(
                mark,
                format!(
                    "`${}` in {what} is left out: it cannot be written as a reference (`${{NAME}}`)",
                    shown(name)
                ),
            );
        }
    }
    literal.push_str(rest);
    text.with(&Text::literal(literal))
}

/// Whether Gatus would put something else in its place.
pub(super) fn varies(written: &str) -> bool {
    written.replace("$$", "").contains('$')
}

/// A text in which `$$` is `$`, where a reference can be of no use.
pub(super) fn plain(written: &str) -> String {
    written.replace("$$", "$")
}
