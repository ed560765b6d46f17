//! The envelope that the health check of clearskies answers with: five keys, 200 or 500.
//!
//! `data` is an array where it fails and an object where it succeeds, as it is there; `error` is
//! always empty, so that nothing is told. With nothing to check it says no more than that the
//! process answers, and that its configuration is sound.

use serde::Serialize;

use super::{Format, Selection, well_or_aside};

/// See the module.
#[derive(Debug)]
pub(super) struct Clearskies;

impl Format for Clearskies {
    fn name(&self) -> &'static str {
        "clearskies"
    }

    fn summary(&self) -> &'static str {
        "the five-key envelope of a clearskies health check, 200 or 500"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        if succeeds(selection) { 200 } else { 500 }
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        if succeeds(selection) {
            envelope("success", "", Data::Object {})
        } else {
            envelope("failure", "", Data::Array([]))
        }
    }
}

/// The body where the route or the method is not there; its code is 404.
pub fn not_found() -> Vec<u8> {
    envelope("client_error", "Not Found", Data::Array([]))
}

fn succeeds(selection: &Selection<'_>) -> bool {
    let configuration = &selection.snapshot.setup.configuration;
    let refused = !configuration.applied && !configuration.problems.is_empty();
    well_or_aside(selection) && !(selection.roots.is_empty() && refused)
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data {
    Object {},
    Array([(); 0]),
}

fn envelope(status: &str, error: &str, data: Data) -> Vec<u8> {
    #[derive(Serialize)]
    struct Nothing {}
    #[derive(Serialize)]
    struct Envelope<'a> {
        status: &'a str,
        error: &'a str,
        data: Data,
        pagination: Nothing,
        input_errors: Nothing,
    }
    let envelope =
        Envelope { status, error, data, pagination: Nothing {}, input_errors: Nothing {} };
    serde_json::to_vec(&envelope).expect("these types have string keys")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, group, snapshot};
    use super::*;
    use crate::config::tree::Place;
    use crate::config::{Problem, Severity};
    use crate::snapshot::{Setup, Snapshot};
    use crate::status::Status;

    fn of(snapshot: &Snapshot) -> (u16, String) {
        let selection = Selection::all(snapshot);
        let body = String::from_utf8(Clearskies.render(&selection)).expect("text");
        (Clearskies.code(&selection), body)
    }

    const SUCCESS: &str =
        r#"{"status":"success","error":"","data":{},"pagination":{},"input_errors":{}}"#;
    const FAILURE: &str =
        r#"{"status":"failure","error":"","data":[],"pagination":{},"input_errors":{}}"#;

    #[test]
    fn data_is_an_object_on_success_and_an_array_on_failure() {
        for (status, expected) in [
            (Status::Pass, (200, SUCCESS)),
            (Status::Warn, (200, SUCCESS)),
            (Status::Fail, (500, FAILURE)),
            (Status::Unknown, (500, FAILURE)),
        ] {
            let (code, body) = of(&snapshot([check("a", status)], []));
            assert_eq!((code, &*body), expected, "{status}");
        }
        assert_eq!(
            String::from_utf8(not_found()).expect("text"),
            r#"{"status":"client_error","error":"Not Found","data":[],"pagination":{},"input_errors":{}}"#
        );
    }

    #[test]
    fn with_nothing_to_check_it_succeeds_if_the_configuration_is_sound() {
        let mut empty = snapshot([], []);
        assert_eq!(of(&empty), (200, SUCCESS.to_owned()));
        let place = Place::file("wellcheck.toml");
        let problem = Problem { severity: Severity::Error, place, message: "no".to_owned() };
        let mut setup = Setup::default();
        setup.configuration.problems.push(problem);
        empty.setup = setup.into();
        assert_eq!(of(&empty), (500, FAILURE.to_owned()));
        let mut one = snapshot([check("a", Status::Pass)], []);
        one.setup = empty.setup;
        assert_eq!(of(&one), (200, SUCCESS.to_owned()), "what runs is well");
    }

    #[test]
    fn maintenance_is_a_success_and_a_groups_rule_decides() {
        let mut aside = check("a", Status::Fail);
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        assert_eq!(of(&snapshot([aside], [])).0, 200);
        let any = group("any", &["a", "b"], Status::Pass, (1, 2));
        let members = [check("a", Status::Pass), check("b", Status::Fail)];
        assert_eq!(of(&snapshot(members, [any])).0, 200);
    }
}
