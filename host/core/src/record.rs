//! What a run asked for and got, in a form that can be kept and run again.
//!
//! A record is JSON, `wellcheck-record/1`. Everything in it is what the plugin was told, with secrets
//! taken out wherever they stand: configured ones, and the values of the headers that carry
//! credentials ([`is_credential`]), whoever wrote them. What a target tells only this plugin, and the
//! plugin puts into no such header, is in the record as it was told. Times are milliseconds since the run began.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::outcome::Observation;

/// The form of a record; another one is refused.
pub const FORMAT: &str = "wellcheck-record/1";

/// Headers whose values are not kept, in a request or an answer.
pub fn is_credential(header: &str) -> bool {
    const NAMES: &[&str] =
        &["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];
    NAMES.iter().any(|name| header.eq_ignore_ascii_case(name))
}

/// One run of a plugin, and the world that it saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`FORMAT`].
    pub format: String,
    /// Which plugin ran.
    pub plugin: PluginId,
    /// The check's name.
    pub check: String,
    /// What the wall clock said when the run began: milliseconds since the epoch.
    pub began: i64,
    /// The run's timeout in milliseconds.
    pub timeout: u64,
    /// Runs in a row before this one that did not pass.
    pub failures_in_a_row: u32,
    /// A JSON object.
    pub settings: serde_json::Value,
    /// By their keys in the configuration, as they are written there; what `http` attaches is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grants: BTreeMap<String, Vec<String>>,
    /// What it might use at most, by the keys of `[check.limits]`, in bytes, milliseconds or as a
    /// number: those that were not the usual ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u64>,
    /// What its random numbers were made of: 64 hexadecimal digits.
    pub random: String,
    /// The environment that it saw.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What it had kept before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<String, Blob>,
    /// The requests that it made, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<Exchange>,
    /// The files that it opened, as they were then; `None` for one that was not there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Option<Blob>>,
    /// The checks that it asked for; `None` for one that there was not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, Option<Standing>>,
    /// The secrets that it read, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// How often it looked at a clock.
    #[serde(default)]
    pub clock_reads: u64,
    /// What is missing here, for people: a body that was cut, sockets, whose bytes are not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
    /// What came of the run, as the API has it.
    pub outcome: serde_json::Value,
}

/// Which plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginId {
    /// The file's name without `.wasm`.
    pub name: String,
    /// As it says itself.
    pub version: String,
    /// BLAKE3 of the file.
    pub digest: String,
}

/// One HTTP request, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// When it was sent.
    pub at: f64,
    /// `GET`, ...
    pub method: String,
    /// Absolute.
    pub url: String,
    /// As the plugin sent them, without what a grant adds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// What it sent.
    #[serde(default, skip_serializing_if = "Blob::is_empty")]
    pub body: Blob,
    /// What came back.
    #[serde(flatten)]
    pub reply: Reply,
}

/// What comes back for a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// An answer, whole or not.
    Answer(Answer),
    /// None: why.
    Failure(Failed),
    /// None, for as long as the run went on.
    Silence,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Until its head was there, since the request.
    #[serde(default)]
    pub after: f64,
    /// Its status code.
    pub status: u16,
    /// Its headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Its body, as it came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<Chunk>,
    /// How the body ended, if not as it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<Failed>,
}

/// A piece of a body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// Since the head or the piece before.
    #[serde(default)]
    pub after: f64,
    /// The bytes.
    pub data: Blob,
}

/// Why there is nothing, or no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// Since the request, or the piece before.
    #[serde(default)]
    pub after: f64,
    /// `refused`, `timeout`, ...: the words of the connector.
    pub kind: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}

/// How another check was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// `pass`, `warn`, `fail`, `unknown`.
    pub state: String,
    /// Why, as a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// One line for a person.
    #[serde(default)]
    pub message: String,
    /// Since its last run ended, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<f64>,
    /// What its last run measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observations: Vec<Measured>,
}

/// A number that a run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Finite.
    pub value: f64,
    /// `s`, `B`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Further names of the same number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl From<Observation> for Measured {
    fn from(observation: Observation) -> Self {
        let Observation { name, value, unit, labels, .. } = observation;
        Self { name, value, unit, labels: labels.into_iter().collect() }
    }
}

impl From<Measured> for Observation {
    fn from(measured: Measured) -> Self {
        let Measured { name, value, unit, labels } = measured;
        Self { name, value, unit, labels: labels.into_iter().collect(), warn: None, fail: None }
    }
}

/// Bytes: a text where they are one, else `{"base64": "..."}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Blob {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// The bytes of 64 hexadecimal digits.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum BlobForm {
    Text(String),
    Bytes { base64: String },
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match std::str::from_utf8(&self.0) {
            Ok(text) => BlobForm::Text(text.to_owned()),
            Err(_) => BlobForm::Bytes { base64: STANDARD.encode(&self.0) },
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match BlobForm::deserialize(deserializer)? {
            BlobForm::Text(text) => Ok(Self(text.into_bytes())),
            BlobForm::Bytes { base64 } => STANDARD
                .decode(base64)
                .map(Self)
                .map_err(|error| D::Error::custom(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_reads_as_it_was_written() {
        let exchange = Exchange {
            at: 1.5,
            method: "GET".to_owned(),
            url: "http://a.test/".to_owned(),
            headers: vec![("accept".to_owned(), "*/*".to_owned())],
            body: Blob::default(),
            reply: Reply::Answer(Answer {
                after: 3.0,
                status: 200,
                headers: Vec::new(),
                body: vec![
                    Chunk { after: 0.0, data: Blob::from("text") },
                    Chunk { after: 1.0, data: Blob(vec![0xff, 0]) },
                ],
                broken: Some(Failed {
                    after: 0.0,
                    kind: "closed".to_owned(),
                    message: String::new(),
                }),
            }),
        };
        let text = serde_json::to_string(&exchange).unwrap();
        assert!(text.contains(r#"{"base64":"/wA="}"#), "{text}");
        assert_eq!(serde_json::from_str::<Exchange>(&text).unwrap(), exchange);
        for reply in [
            Reply::Silence,
            Reply::Failure(Failed {
                after: 0.0,
                kind: "refused".to_owned(),
                message: String::new(),
            }),
        ] {
            let exchange = Exchange { reply, ..exchange.clone() };
            let text = serde_json::to_string(&exchange).unwrap();
            assert_eq!(serde_json::from_str::<Exchange>(&text).unwrap(), exchange, "{text}");
        }
    }
}
