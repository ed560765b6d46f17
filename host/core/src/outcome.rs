//! What one run returned: a report about the target, or a fault of the check.
//!
//! The two never mix. A `fail` says that the target is not as it should be; a fault says that
//! nobody knows. Both carry a reason from a small closed list, so that it can be a metric label.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::fact::Found;
use crate::grant::Use;
use crate::redact::Redactor;
use crate::status::Status;

/// What one run returned.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The check answered.
    Answered(Report),
    /// The check could not answer; says nothing about the target.
    Faulted(Fault),
}

impl Outcome {
    /// The status that this outcome argues for; a fault argues for `unknown`.
    pub fn status(&self) -> Status {
        match self {
            Self::Answered(report) => report.status.into(),
            Self::Faulted(_) => Status::Unknown,
        }
    }

    /// One line for a person.
    pub fn message(&self) -> &str {
        match self {
            Self::Answered(report) => &report.message,
            Self::Faulted(fault) => &fault.message,
        }
    }

    /// Why it is not a plain pass, where that is known.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Answered(report) => report.reason.map(FailReason::as_str),
            Self::Faulted(fault) => Some(fault.reason.as_str()),
        }
    }
}

/// The statuses that an answer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// As it should be.
    Pass,
    /// Works, but somebody should look.
    Warn,
    /// Not as it should be; also a target that cannot be reached.
    Fail,
}

impl From<Answer> for Status {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Pass => Self::Pass,
            Answer::Warn => Self::Warn,
            Answer::Fail => Self::Fail,
        }
    }
}

/// An answer about the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How the target is.
    pub status: Answer,
    /// Why it fails, for kinds that can tell.
    pub reason: Option<FailReason>,
    /// One line for a person.
    pub message: String,
    /// Numbers that the run measured.
    pub observations: Vec<Observation>,
    /// The things that it looked at, where there are several.
    pub parts: Vec<Part>,
    /// Further facts, name and text.
    pub details: Vec<(String, String)>,
    /// What conditions ask for; empty once they have been asked.
    pub found: Found,
}

impl Report {
    /// A report with nothing but a status and a message.
    pub fn new(status: Answer, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: None,
            message: message.into(),
            observations: Vec::new(),
            parts: Vec::new(),
            details: Vec::new(),
            found: Found::default(),
        }
    }

    /// A failing report with its reason.
    pub fn fail(reason: FailReason, message: impl Into<String>) -> Self {
        Self { reason: Some(reason), ..Self::new(Answer::Fail, message) }
    }
}

/// A number that a run reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    /// Always finite.
    pub value: f64,
    /// `s`, `B`, `%`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Further names of the same number.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "pairs")]
    pub labels: Vec<(String, String)>,
    /// A range of monitoring plugins outside of which the value is worth a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn: Option<String>,
    /// Likewise, for a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail: Option<String>,
}

impl Observation {
    /// A number with a unit and no labels.
    pub fn new(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self {
            name: name.into(),
            value,
            unit: Some(unit.to_owned()).filter(|u| !u.is_empty()),
            labels: Vec::new(),
            warn: None,
            fail: None,
        }
    }

    /// A duration, in seconds.
    pub fn seconds(name: impl Into<String>, duration: Duration) -> Self {
        Self::new(name, duration.as_secs_f64(), "s")
    }
}

/// Serializes name-text pairs as a JSON object, in their order.
pub(crate) fn pairs<S: serde::Serializer>(
    pairs: &impl AsRef<[(String, String)]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.as_ref().iter().map(|(name, text)| (name, text)))
}

/// One of several things that a check looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is called.
    pub name: String,
    /// How it is.
    pub status: Answer,
    /// One line for a person.
    pub message: String,
}

/// The run could not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Why, from a closed list.
    pub reason: FaultReason,
    /// One line for a person.
    pub message: String,
}

impl Fault {
    /// A fault with its reason and message.
    pub fn new(reason: FaultReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word used in JSON, metrics and logs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

reasons! {
    /// Why a run could not answer.
    FaultReason {
        /// No run has finished yet.
        Pending = "pending",
        /// It runs once what it depends on has been healthy.
        Waiting = "waiting",
        /// It is in its start-up phase, in which failures are not believed.
        Starting = "starting",
        /// Something that it depends on is not healthy, and nor is it since then.
        Blocked = "blocked",
        /// Our own connection is down, so that nobody knows.
        Offline = "offline",
        /// No run has ended for so long that nobody knows.
        Stale = "stale",
        /// The plugin is being compiled.
        Compiling = "compiling",
        /// There is no plugin file of that name.
        Missing = "missing",
        /// The plugin's file cannot be used.
        Load = "load",
        /// The plugin trapped: a panic, an `unreachable`, an exit, a call stack too deep.
        Trap = "trap",
        /// The run used up its CPU budget or its wall time. A target's timeout is a `fail`.
        Timeout = "timeout",
        /// The run hit a limit: memory, handles, bytes, ...
        Limit = "limit",
        /// The host had no room for the run, which says nothing about the check.
        Busy = "busy",
        /// The run asked for something that no grant names.
        Denied = "denied",
        /// The answer does not keep to the contract.
        BadAnswer = "bad-answer",
        /// The settings do not match the schema, or the plugin refuses them.
        BadSettings = "bad-settings",
        /// The plugin says that the target's answer decides nothing.
        Inconclusive = "inconclusive",
        /// A defect of the check or of wellcheck.
        Internal = "internal",
    }
}

reasons! {
    /// Why a target fails.
    FailReason {
        /// The target's name has no address, or the name servers do not answer.
        Resolve = "resolve",
        /// Nobody listens there.
        Refused = "refused",
        /// No way to the target.
        Unreachable = "unreachable",
        /// The target did not answer in time.
        Timeout = "timeout",
        /// The target closed the connection before it had answered.
        Closed = "closed",
        /// The target's certificate has expired.
        TlsExpired = "tls-expired",
        /// The target's certificate is not valid yet.
        TlsNotYetValid = "tls-not-yet-valid",
        /// The target's certificate is for another name.
        TlsWrongName = "tls-wrong-name",
        /// The target's certificate is not signed by anyone who is trusted.
        TlsUntrusted = "tls-untrusted",
        /// Certificates are missing between the target's own and a trusted root.
        TlsIncomplete = "tls-incomplete",
        /// No common version of TLS, or an older one than the check wants.
        TlsVersion = "tls-version",
        /// The target wants a certificate of ours, or another one.
        TlsClientCertificate = "tls-client-certificate",
        /// No common cipher, a broken handshake, or no TLS at all.
        Tls = "tls",
        /// The target does not speak the protocol.
        Protocol = "protocol",
        /// More headers or body than the limit.
        TooLarge = "too-large",
        /// Too many redirects, or one that leads nowhere.
        Redirect = "redirect",
        /// The proxy refused.
        Proxy = "proxy",
        /// The status code is not an expected one.
        UnexpectedStatus = "unexpected-status",
        /// The body is not as expected.
        UnexpectedBody = "unexpected-body",
        /// A header of the answer is not as expected.
        UnexpectedHeader = "unexpected-header",
        /// The login was refused.
        Login = "login",
        /// The target answers with an error, to what was asked or before it.
        Query = "query",
        /// What was asked for is not the expected value.
        UnexpectedValue = "unexpected-value",
        /// The run took longer than the check's budget.
        Slow = "slow",
        /// The target is as it should not be, by the check's `invert`.
        Inverted = "inverted",
        /// A plugin reported a fail.
        Plugin = "plugin",
        /// What is looked for is not there.
        Absent = "absent",
        /// Whoever pushes outcomes pushed a fail.
        Pushed = "pushed",
        /// Nobody has pushed an outcome for too long.
        Stale = "stale",
    }
}

/// What a run leaves behind besides its outcome.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunLog {
    /// What a guest printed, line by line, escaped and bounded.
    pub lines: Vec<String>,
    /// What the host changed or left out of the guest's report, one line each.
    pub flags: Vec<String>,
}

/// One finished run: its outcome, what it cost, what it said.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What it returned.
    pub outcome: Outcome,
    /// How long it took, by the wall.
    pub duration: Duration,
    /// Plugin runs: what it printed and what was left out.
    pub log: RunLog,
    /// Plugin runs: what it asked for, sorted, each once. Empty for built-in kinds.
    pub used: Vec<Use>,
}

impl Run {
    /// A run that said nothing beside its outcome, and asked for nothing.
    pub fn new(outcome: Outcome, duration: Duration) -> Self {
        Self { outcome, duration, log: RunLog::default(), used: Vec::new() }
    }

    /// Takes known secrets out of every text.
    pub fn redact(&mut self, redactor: &Redactor) {
        if redactor.is_empty() {
            return;
        }
        let mut texts: Vec<&mut String> =
            self.log.lines.iter_mut().chain(&mut self.log.flags).collect();
        texts.extend(self.used.iter_mut().map(|used| &mut used.value));
        match &mut self.outcome {
            Outcome::Faulted(fault) => texts.push(&mut fault.message),
            Outcome::Answered(report) => {
                report.found.rewrite(&|text| redactor.apply_to(text));
                texts.push(&mut report.message);
                for part in &mut report.parts {
                    texts.extend([&mut part.name, &mut part.message]);
                }
                for (name, text) in &mut report.details {
                    texts.extend([name, text]);
                }
                for observation in &mut report.observations {
                    for (name, text) in &mut observation.labels {
                        texts.extend([name, text]);
                    }
                    texts.push(&mut observation.name);
                    texts.extend(observation.unit.iter_mut().chain(&mut observation.warn));
                    texts.extend(observation.fail.iter_mut());
                }
            }
        }
        for text in texts {
            redactor.apply_to(text);
        }
        self.used.sort();
        self.used.dedup();
    }
}
