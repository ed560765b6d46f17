//! The plain word that ASP.NET Core's health checks answer with by themselves.
//!
//! `Degraded` is 200, as it is there. What is in maintenance is `Degraded`, and `unknown` is
//! `Unhealthy`.

use super::{Format, Selection};
use crate::status::Status;

/// See the module.
#[derive(Debug)]
pub(super) struct AspNet;

impl Format for AspNet {
    fn name(&self) -> &'static str {
        "aspnet"
    }

    fn summary(&self) -> &'static str {
        "one word, as ASP.NET Core answers: Healthy, Degraded or Unhealthy"
    }

    fn media_type(&self) -> &'static str {
        "text/plain"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        if whole(selection) == "Unhealthy" { 503 } else { 200 }
    }

    fn cache_control(&self, _selection: &Selection<'_>) -> String {
        "no-store, no-cache".to_owned()
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        whole(selection).into()
    }
}

/// ASP.NET's word for all of it.
pub(super) fn whole(selection: &Selection<'_>) -> &'static str {
    if selection.in_maintenance() { "Degraded" } else { word(selection.status()) }
}

/// ASP.NET's word for a state.
pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "Healthy",
        Status::Warn => "Degraded",
        Status::Unknown | Status::Fail => "Unhealthy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::{check, failed, snapshot};
    #[test]
    fn a_word_and_its_code() {
        let answer = |sample| {
            let snapshot = snapshot(vec![sample], vec![]);
            let selection = Selection::all(&snapshot);
            (AspNet.code(&selection), String::from_utf8(AspNet.render(&selection)).expect("text"))
        };
        let expected =
            [(200, "Healthy"), (200, "Degraded"), (503, "Unhealthy"), (503, "Unhealthy")];
        for (status, (code, word)) in Status::ALL.into_iter().zip(expected) {
            assert_eq!(answer(check("a", status)), (code, word.to_owned()), "{status}");
        }
        let mut aside = failed("a");
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        assert_eq!(answer(aside), (200, "Degraded".to_owned()));
    }
}
