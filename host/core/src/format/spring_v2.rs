//! The second version of Spring Boot's health: what is within a component is called `details` there
//! too. Everything else is as in [`super::spring`].

use super::{Format, Selection, spring};

/// See the module.
#[derive(Debug)]
pub(super) struct SpringV2;

impl Format for SpringV2 {
    fn name(&self) -> &'static str {
        "spring-v2"
    }

    fn summary(&self) -> &'static str {
        "the second version of Spring Boot's, with `details` instead of `components`"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.spring-boot.actuator.v2+json"
    }

    fn accepts(&self) -> &'static [&'static str] {
        &["application/vnd.spring-boot.actuator.v2+json"]
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        spring::code(selection)
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        spring::render(selection, "details")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::{check, group, snapshot};
    use crate::status::Status;
    use serde_json::Value;

    #[test]
    fn components_are_called_details() {
        let snapshot = snapshot(
            vec![check("a", Status::Pass)],
            vec![group("g", &["a"], Status::Pass, (1, 1))],
        );
        let body = SpringV2.render(&Selection::all(&snapshot));
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["details"]["g"]["details"]["a"]["details"]["state"], "pass");
        assert_eq!(body["components"], Value::Null);
    }
}
