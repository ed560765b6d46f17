//! The records of the contract, made in one expression.
//!
//! Only for what a plugin writes often; every field is public for the rest. Nothing here checks
//! limits: the host does, and flags what it drops.

use crate::{Description, Fault, Observation, Part, Reason, Report, Status, Want};

impl Report {
    /// A report with a status that the plugin computed.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            observations: Vec::new(),
            parts: Vec::new(),
            details: Vec::new(),
        }
    }

    /// The target is as it should be.
    pub fn pass(message: impl Into<String>) -> Self {
        Self::new(Status::Pass, message)
    }

    /// The target works, but somebody should look.
    pub fn warn(message: impl Into<String>) -> Self {
        Self::new(Status::Warn, message)
    }

    /// The target is not as it should be, or cannot be reached.
    pub fn fail(message: impl Into<String>) -> Self {
        Self::new(Status::Fail, message)
    }

    /// Adds a number that this run measured: an [`Observation`], or a name and a value.
    pub fn observe(mut self, observation: impl Into<Observation>) -> Self {
        self.observations.push(observation.into());
        self
    }

    /// Adds one of several things that the run looked at. The report's own status stays.
    pub fn part(
        mut self,
        name: impl Into<String>,
        status: Status,
        message: impl Into<String>,
    ) -> Self {
        self.parts.push(Part { name: name.into(), status, message: message.into() });
        self
    }

    /// Adds a further fact.
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.push((name.into(), value.into()));
        self
    }
}

impl Observation {
    /// A number without a unit.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, unit: None, labels: Vec::new(), warn: None, fail: None }
    }

    /// Gives the unit: `s`, `B`, `%`, `1/s`, ...
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// Adds a further name of the same number, for example `queue` = `orders`.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }
}

impl<N: Into<String>> From<(N, f64)> for Observation {
    fn from((name, value): (N, f64)) -> Self {
        Self::new(name, value)
    }
}

impl Fault {
    /// The settings make no sense, in a way that the schema cannot say.
    pub fn bad_settings(message: impl Into<String>) -> Self {
        Self { reason: Reason::BadSettings, message: message.into() }
    }

    /// The target answered, but the answer says nothing either way.
    pub fn inconclusive(message: impl Into<String>) -> Self {
        Self { reason: Reason::Inconclusive, message: message.into() }
    }

    /// The plugin itself is at fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { reason: Reason::Internal, message: message.into() }
    }
}

impl Description {
    /// A plugin that takes any settings and wants nothing.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            settings_schema: None,
            wants: Vec::new(),
            details: Vec::new(),
        }
    }

    /// Gives the JSON Schema that the host holds settings against.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.settings_schema = Some(schema.into());
        self
    }

    /// Gives the JSON Schema of a type: doc comments are descriptions, `Option` and serde's `default`
    /// make a setting optional, serde's `deny_unknown_fields` refuses what has no field.
    ///
    /// # Panics
    ///
    /// Never: a schema has a form in JSON.
    #[cfg(feature = "schema")]
    pub fn settings<T: schemars::JsonSchema>(self) -> Self {
        let schema = schemars::schema_for!(T);
        self.schema(serde_json::to_string(&schema).expect("a schema has a form in JSON"))
    }

    /// Adds something that the plugin needs: the grant's name, its value, and why.
    pub fn want(
        mut self,
        grant: impl Into<String>,
        value: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        self.wants.push(Want { grant: grant.into(), value: value.into(), why: why.into() });
        self
    }
}

#[cfg(all(test, feature = "schema"))]
mod tests {
    use super::*;
    use crate::Range;

    /// Holds a number against a limit.
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is asked for")]
    struct Settings {
        /// Answers with a number.
        #[schemars(regex(pattern = "^https?://"))]
        base_url: String,
        /// More than this is a failure.
        #[serde(default = "hundred")]
        #[schemars(range(min = 0))]
        limit: f64,
        warn: Option<Range>,
    }

    fn hundred() -> f64 {
        100.0
    }

    #[test]
    fn a_type_of_settings_has_a_schema() {
        let text = Description::new("a", "1", "").settings::<Settings>().settings_schema.unwrap();
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["required"], serde_json::json!(["base-url"]));
        assert_eq!(schema["additionalProperties"], false);
        let property = |name: &str| &schema["properties"][name];
        assert_eq!(property("base-url")["description"], "Answers with a number.");
        assert_eq!(property("base-url")["pattern"], "^https?://");
        assert_eq!(property("limit")["default"], 100.0);
        assert_eq!(property("limit")["minimum"], 0);
        assert!(property("warn").is_object(), "{text}");
    }
}
