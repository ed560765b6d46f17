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
