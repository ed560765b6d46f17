//! The worst word alone, as a Consul agent answers where text is asked for. Codes are as in
//! [`super::consul`].

use super::{Format, Selection, consul};

/// See the module.
#[derive(Debug)]
pub(super) struct ConsulText;

impl Format for ConsulText {
    fn name(&self) -> &'static str {
        "consul-text"
    }

    fn summary(&self) -> &'static str {
        "a Consul agent's worst word alone: passing, warning, critical or maintenance"
    }

    fn media_type(&self) -> &'static str {
        "text/plain"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        consul::code(selection)
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        consul::whole(selection).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::{check, snapshot};
    use crate::status::Status;

    #[test]
    fn one_word_without_a_line_break() {
        let word = |status| {
            let snapshot = snapshot(vec![check("a", status)], vec![]);
            String::from_utf8(ConsulText.render(&Selection::all(&snapshot))).expect("text")
        };
        assert_eq!(Status::ALL.map(word), ["passing", "warning", "critical", "critical"]);
    }
}
